/* bind_row.c - comparisons of rows, written out as comparisons of their parts.
 *
 *   (a, b) = (c, d)     a = c AND b = d
 *   (a, b) <> (c, d)    a <> c OR b <> d
 *   (a, b) < (c, d)     a < c OR (a = c AND b < d)
 *   (a, b) <= (c, d)    a < c OR (a = c AND b <= d)
 *
 * With NULLs too this gives what PostgreSQL gives: unknown from the first pair that is neither
 * equal nor different.
 */
#include <string.h>

#include "sql/bind_private.h"

struct row_pair {
    struct expression **left, **right;
    uint32_t count;
    int location;
};

static omen_status compare_parts(struct binder *binder, const char *name,
                                 const struct row_pair *rows, struct expression **out,
                                 omen_error *error)
{
    bool distinct = strcmp(name, "IS DISTINCT FROM") == 0;
    bool same = strcmp(name, "IS NOT DISTINCT FROM") == 0;
    bool any = distinct || strcmp(name, "<>") == 0;
    struct expression **parts = arena_alloc(binder->arena, rows->count * sizeof *parts);
    if (parts == NULL)
        return bind_no_memory(error);
    for (uint32_t i = 0; i < rows->count; i++) {
        if (distinct || same)
            OMEN_TRY(bind_distinct_from(binder, rows->left[i], rows->right[i], same, rows->location,
                                        &parts[i], error));
        else
            OMEN_TRY(bind_operator(binder, name, rows->left[i], rows->right[i], rows->location,
                                   &parts[i], error));
    }
    return bind_junction(binder, any ? EXPRESSION_OR : EXPRESSION_AND, parts, rows->count,
                         rows->location, out, error);
}

static omen_status compare_orders(struct binder *binder, const char *name,
                                  const struct row_pair *rows, struct expression **out,
                                  omen_error *error)
{
    const char strict[2] = {name[0], '\0'};
    uint32_t last = rows->count - 1;
    const struct semantics_line *line;
    for (uint32_t i = 0; i < last; i++) { /* errors name the operator written */
        omen_status status = semantics_find_operator(name, &rows->left[i]->type,
                                                     &rows->right[i]->type, &line, error);
        if (status != OMEN_OK) {
            parse_set_position(binder->parsed, rows->location, error);
            return status;
        }
    }
    OMEN_TRY(bind_operator(binder, name, rows->left[last], rows->right[last], rows->location, out,
                           error));
    for (uint32_t i = last; i-- > 0;) {
        struct expression *both[2], *either[2];
        OMEN_TRY(bind_operator(binder, "=", rows->left[i], rows->right[i], rows->location, &both[0],
                               error));
        both[1] = *out;
        OMEN_TRY(bind_operator(binder, strict, rows->left[i], rows->right[i], rows->location,
                               &either[0], error));
        OMEN_TRY(bind_junction(binder, EXPRESSION_AND, both, 2, rows->location, &either[1], error));
        OMEN_TRY(bind_junction(binder, EXPRESSION_OR, either, 2, rows->location, out, error));
    }
    return OMEN_OK;
}

omen_status bind_row_comparison(struct binder *binder, struct scope *scope, const char *name,
                                struct expression **left, size_t left_count,
                                const PgQuery__RowExpr *right, int location,
                                struct expression **out, omen_error *error)
{
    static const char *const orders[] = {"<", "<=", ">", ">="};
    static const char *const others[] = {"=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"};
    enum { ORDERED_PARTS_MAX = 32 };
    struct row_pair rows = {.left = left, .count = (uint32_t)left_count, .location = location};
    if (left_count != right->n_args)
        return bind_fail(binder, location, error, OMEN_SYNTAX_ERROR,
                         "unequal number of entries in row expressions");
    if (left_count == 0)
        return bind_fail(binder, location, error, OMEN_NOT_SUPPORTED,
                         "cannot compare rows of zero length");
    OMEN_TRY(bind_list(binder, scope, right->args, right->n_args, &rows.right, error));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) == 0)
            return compare_parts(binder, name, &rows, out, error);
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strcmp(name, orders[i]) == 0 && rows.count <= ORDERED_PARTS_MAX) {
            for (uint32_t part = 0; part < rows.count; part++) {
                OMEN_TRY(bind_spend_copies(binder, rows.left[part], 1, error));
                OMEN_TRY(bind_spend_copies(binder, rows.right[part], 1, error));
            }
            return compare_orders(binder, name, &rows, out, error);
        }
    return bind_unsupported(binder, location, "this comparison of rows is", error);
}
