/* bind_recursive.c - WITH RECURSIVE: a query whose right side reads what came out so far.
 *
 *   WITH RECURSIVE t AS (left UNION [ALL] right, which reads t once)
 *
 * The left side gives the columns their names and types; the right side is bound with t in sight.
 */
#include <string.h>

#include "sql/bind_query_private.h"

/* --- where the query reads itself, in the parse tree --- */

struct search {
    const struct parsed *parsed;
    const char *name;
    uint32_t visited; /* messages */
    uint32_t count;
    int location;   /* of the last reference */
    uint32_t outer; /* within how many outer joins, subqueries, INTERSECTs and EXCEPTs */
    uint32_t subquery;
    uint32_t set;
    const char *wrong; /* where a reference must not be: the first such place */
};

static void search_message(struct search *search, const ProtobufCMessage *message);

static void note_reference(struct search *search, const PgQuery__RangeVar *node)
{
    if (strcmp(node->relname, search->name) != 0 || node->schemaname[0] != '\0' ||
        parse_file(search->parsed, node) != NULL)
        return;
    search->count++;
    search->location = node->location;
    if (search->wrong != NULL)
        return;
    if (search->subquery > 0)
        search->wrong = "a subquery";
    else if (search->outer > 0)
        search->wrong = "an outer join";
    else if (search->set > 0)
        search->wrong = "INTERSECT or EXCEPT";
}

static void search_members(struct search *search, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        const char *bytes = (const char *)message;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count;
            const ProtobufCMessage *const *items;
            memcpy(&count, bytes + field->quantifier_offset, sizeof count);
            memcpy(&items, bytes + field->offset, sizeof items);
            for (size_t j = 0; j < count; j++)
                search_message(search, items[j]);
            continue;
        }
        const ProtobufCMessage *item;
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            uint32_t which;
            memcpy(&which, bytes + field->quantifier_offset, sizeof which);
            if (which != field->id)
                continue;
        }
        memcpy(&item, bytes + field->offset, sizeof item);
        if (item != NULL)
            search_message(search, item);
    }
}

static void search_join(struct search *search, const PgQuery__JoinExpr *node)
{
    bool left = node->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT ||
                node->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL;
    bool right = node->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT ||
                 node->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL;
    search->outer += left;
    search_message(search, &node->larg->base);
    search->outer -= left;
    search->outer += right;
    search_message(search, &node->rarg->base);
    search->outer -= right;
    if (node->quals != NULL)
        search_message(search, &node->quals->base);
}

static bool is_a(const ProtobufCMessage *message, const char *name)
{
    return strcmp(message->descriptor->short_name, name) == 0;
}

/* The parser bounds the depth of the tree. */
static void search_message(struct search *search, const ProtobufCMessage *message)
{
    search->visited++;
    if (is_a(message, "RangeVar")) {
        note_reference(search, (const PgQuery__RangeVar *)message);
    } else if (is_a(message, "JoinExpr")) {
        search_join(search, (const PgQuery__JoinExpr *)message);
    } else {
        bool subquery = is_a(message, "SubLink");
        bool set = false;
        if (is_a(message, "SelectStmt")) {
            const PgQuery__SelectStmt *select = (const PgQuery__SelectStmt *)message;
            set = select->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT ||
                  select->op == PG_QUERY__SET_OPERATION__SETOP_EXCEPT;
        }
        search->subquery += subquery;
        search->set += set;
        search_members(search, message);
        search->subquery -= subquery;
        search->set -= set;
    }
}

bool bind_refers_to(struct binder *binder, const PgQuery__Node *query, const char *name)
{
    struct search search = {.parsed = binder->parsed, .name = name};
    search_message(&search, &query->base);
    binder->steps += search.visited / BIND_LOOKS_A_STEP + 1;
    return search.count > 0;
}

/* --- the form --- */

static omen_status check_form(struct binder *binder, const PgQuery__CommonTableExpr *node,
                              omen_error *error)
{
    const PgQuery__SelectStmt *select = node->ctequery->select_stmt;
    struct search left = {.parsed = binder->parsed, .name = node->ctename}, right = left;
    if (select->op != PG_QUERY__SET_OPERATION__SETOP_UNION)
        return bind_fail(binder, node->location, error, OMEN_INVALID_RECURSION,
                         "recursive query \"%s\" does not have the form non-recursive-term UNION "
                         "[ALL] recursive-term",
                         node->ctename);
    search_message(&left, &select->larg->base);
    if (left.count > 0)
        return bind_fail(binder, left.location, error, OMEN_INVALID_RECURSION,
                         "recursive reference to query \"%s\" must not appear within its "
                         "non-recursive term",
                         node->ctename);
    search_message(&right, &select->rarg->base);
    if (right.wrong != NULL)
        return bind_fail(binder, right.location, error, OMEN_INVALID_RECURSION,
                         "recursive reference to query \"%s\" must not appear within %s",
                         node->ctename, right.wrong);
    if (right.count > 1)
        return bind_fail(binder, right.location, error, OMEN_INVALID_RECURSION,
                         "recursive reference to query \"%s\" must not appear more than once",
                         node->ctename);
    if (select->n_sort_clause > 0)
        return bind_fail(binder, bind_location(select->sort_clause[0]), error, OMEN_NOT_SUPPORTED,
                         "ORDER BY in a recursive query is not implemented");
    if (select->limit_offset != NULL)
        return bind_fail(binder, bind_location(select->limit_offset), error, OMEN_NOT_SUPPORTED,
                         "OFFSET in a recursive query is not implemented");
    if (select->limit_count != NULL)
        return bind_fail(binder, bind_location(select->limit_count), error, OMEN_NOT_SUPPORTED,
                         "LIMIT in a recursive query is not implemented");
    if (select->n_locking_clause > 0)
        return bind_fail(binder, -1, error, OMEN_NOT_SUPPORTED,
                         "FOR UPDATE/SHARE in a recursive query is not implemented");
    if (select->with_clause != NULL)
        return bind_refuse(binder, node->location, "WITH in a recursive query", error);
    return OMEN_OK;
}

/* --- types --- */

/* NUMERIC columns hold 38 digits of the left side's scale: later rows may be longer. */
static omen_status widen_decimals(struct binder *binder, struct query **left, omen_error *error)
{
    uint32_t count = (*left)->target_count;
    omen_type *types = bind_alloc(binder, count * sizeof *types, error);
    if (types == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        types[i] = (*left)->types[i];
        if (types[i].id == OMEN_TYPE_DECIMAL)
            types[i].precision = 38;
    }
    return bind_cast_outputs(binder, left, types, CONTEXT_IMPLICIT, NULL, error);
}

static omen_status check_types(struct binder *binder, const struct query *left,
                               const struct query *right, const char *name, omen_error *error)
{
    for (uint32_t i = 0; i < left->target_count && i < right->target_count; i++) {
        omen_type pair[2] = {left->types[i], right->types[i]}, common;
        const struct expression *expression = left->targets[i].expression;
        int location = expression != NULL ? expression->location : -1;
        if (semantics_common_type(pair, 2, "UNION", &common, error) != OMEN_OK)
            continue; /* told when the sides are combined */
        if (common.id != left->types[i].id || common.length_max != left->types[i].length_max)
            return bind_fail(binder, location, error, OMEN_TYPE_MISMATCH,
                             "recursive query \"%s\" column %u has type %s in non-recursive term "
                             "but type %s overall",
                             name, i + 1, semantics_type_name(left->types[i].id),
                             semantics_type_name(common.id));
        if (common.id == OMEN_TYPE_DECIMAL && common.scale != left->types[i].scale)
            return bind_refuse(binder, location,
                               "a recursive query whose numbers gain digits after the point",
                               error);
    }
    return OMEN_OK;
}

/* DECIMALs of fewer digits after the point take the left side's type. */
static omen_status cast_decimals(struct binder *binder, const struct query *left,
                                 struct query **right, omen_error *error)
{
    uint32_t count = (*right)->target_count;
    omen_type *types = bind_alloc(binder, count * sizeof *types, error);
    if (types == NULL)
        return OMEN_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        omen_type type = (*right)->types[i];
        bool decimal = type.id == OMEN_TYPE_DECIMAL && i < left->target_count &&
                       left->types[i].id == OMEN_TYPE_DECIMAL;
        types[i] = decimal ? left->types[i] : type;
    }
    return bind_cast_outputs(binder, right, types, CONTEXT_ASSIGNMENT, NULL, error);
}

static omen_status refuse_aggregates(struct binder *binder, const struct query *query,
                                     omen_error *error)
{
    int location = -1;
    for (uint32_t i = 0; query->kind == QUERY_SELECT && i < query->target_count; i++)
        if (location < 0)
            location = bind_aggregate_location(query->targets[i].expression);
    if (location < 0 && query->having != NULL)
        location = bind_aggregate_location(query->having);
    if (location < 0)
        return OMEN_OK;
    return bind_fail(binder, location, error, OMEN_INVALID_RECURSION,
                     "aggregate functions are not allowed in a recursive query's recursive term");
}

omen_status bind_recursive(struct binder *binder, struct scope *scope,
                           const PgQuery__CommonTableExpr *node, struct cte *cte, omen_error *error)
{
    const PgQuery__SelectStmt *select = node->ctequery->select_stmt;
    struct query *left, *right;
    OMEN_TRY(check_form(binder, node, error));
    OMEN_TRY(bind_query(binder, scope, select->larg, &left, error));
    OMEN_TRY(widen_decimals(binder, &left, error));
    cte->query = left;
    OMEN_TRY(bind_cte_columns(binder, cte, node, error));
    cte->query = NULL;
    cte->recursive = true;
    struct scope around = *scope;
    around.ctes = bind_alloc(binder, (scope->cte_count + 1) * sizeof(struct cte *), error);
    if (around.ctes == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (scope->cte_count > 0)
        memcpy(around.ctes, scope->ctes, scope->cte_count * sizeof(struct cte *));
    around.ctes[around.cte_count++] = cte;
    OMEN_TRY(bind_query_outputs(binder, &around, select->rarg, false, &right, error));
    OMEN_TRY(refuse_aggregates(binder, right, error));
    OMEN_TRY(check_types(binder, left, right, cte->name, error));
    OMEN_TRY(cast_decimals(binder, left, &right, error));
    return bind_combine(binder, select, left, right, &cte->query, error);
}
