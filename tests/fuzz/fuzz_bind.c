/* fuzz_bind.c - any statement over a small catalog: bound, computed and written for the engine.
 *
 * Each step answers or fails with an error that says what it is; nothing leaks, and INTERNAL is
 * never the answer. Mutations: mutate_bind.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "fuzz.h"
#include "sql/bind.h"
#include "sql/decorrelate.h"
#include "sql/engine_text.h"
#include "sql/evaluate.h"
#include "sql/lexer.h"
#include "txn/txn.h"

enum { STATEMENT_MEMORY_BYTES = 128 << 20 };

static struct allocator catalog_allocator;
static struct catalog *catalog;

#define COLUMN(name_, id_, ...)                                                                    \
    {.name = name_, .type = {.id = OMEN_TYPE_##id_, __VA_ARGS__}, .nullable = true}

static const struct column_definition every_type[] = {
    COLUMN("id", INTEGER, .length_max = 0),
    COLUMN("b", BOOLEAN, .length_max = 0),
    COLUMN("i2", SMALLINT, .length_max = 0),
    COLUMN("i4", INTEGER, .length_max = 0),
    COLUMN("i8", BIGINT, .length_max = 0),
    COLUMN("f4", REAL, .length_max = 0),
    COLUMN("f8", DOUBLE, .length_max = 0),
    COLUMN("n", DECIMAL, .precision = 10, .scale = 2),
    COLUMN("n38", DECIMAL, .precision = 38, .scale = 10),
    COLUMN("s", TEXT, .length_max = 0),
    COLUMN("v", VARCHAR, .length_max = 5),
    COLUMN("c", CHAR, .length_max = 4),
    COLUMN("y", BYTEA, .length_max = 0),
    COLUMN("d", DATE, .length_max = 0),
    COLUMN("ts", TIMESTAMP, .length_max = 0),
    COLUMN("tz", TIMESTAMPTZ, .length_max = 0),
    COLUMN("u", UUID, .length_max = 0),
};
static const struct column_definition two_keys[] = {
    COLUMN("k1", INTEGER, .length_max = 0),
    COLUMN("k2", BIGINT, .length_max = 0),
    COLUMN("i4", BIGINT, .length_max = 0),
    COLUMN("s", TEXT, .length_max = 0),
};

static void add_table(const char *name, const struct column_definition *columns, uint32_t count,
                      uint32_t key_count)
{
    static const uint32_t key[] = {0, 1};
    struct schema *schema = NULL;
    omen_error error;
    if (schema_create(&catalog_allocator, columns, count, key, key_count, &schema, &error) !=
            OMEN_OK ||
        catalog_add(catalog, name, schema, &error) != OMEN_OK)
        abort();
    schema_release(schema);
}

/* Once a process; never taken down. */
static void make_catalog(void)
{
    static struct txn_manager *manager;
    allocator_init(&catalog_allocator, 0);
    if (txn_manager_create(&catalog_allocator, &manager) != OMEN_OK ||
        catalog_create(&catalog_allocator, manager, &catalog) != OMEN_OK)
        abort();
    add_table("t", every_type, sizeof every_type / sizeof *every_type, 1);
    add_table("w", two_keys, sizeof two_keys / sizeof *two_keys, 2);
}

/* --- one bound tree --- */

struct visit {
    struct arena *arena;
    omen_error error;
};

static bool visit_query(struct query *query, uint32_t levels, void *state);

static void check_error(omen_status status, const omen_error *error)
{
    OMEN_ASSERT(status != OMEN_INTERNAL);
    OMEN_ASSERT(status == OMEN_OK || (error->status == status && error->message[0] != '\0'));
}

/* What is written for a call reads back as that call. */
static void check_call(const struct expression *call, struct visit *visit)
{
    const char *signature;
    struct engine_call read;
    if (call->line->evaluate == NULL ||
        engine_call_write(call, visit->arena, &signature, &visit->error) != OMEN_OK)
        return;
    omen_status status = engine_call_read(signature, strlen(signature), &read, &visit->error);
    check_error(status, &visit->error);
    OMEN_ASSERT(read.line == call->line && read.argument_count == call->argument_count);
}

static bool visit_expression(struct expression **part, void *state)
{
    struct visit *visit = state;
    if ((*part)->kind == EXPRESSION_SUBQUERY)
        (void)visit_query((*part)->subquery.query, 1, state);
    if ((*part)->kind == EXPRESSION_CALL)
        check_call(*part, visit);
    return expression_visit_parts(*part, visit_expression, state);
}

static bool read_null(struct expression **part, void *state)
{
    return (*part)->kind != EXPRESSION_COLUMN && (*part)->kind != EXPRESSION_PARAMETER &&
           expression_visit_parts(*part, read_null, state);
}

static bool fold(struct expression **part, void *state)
{
    struct visit *visit = state;
    omen_status status = evaluate_constants(part, visit->arena, &visit->error);
    check_error(status, &visit->error);
    if (status != OMEN_OK)
        return false;
    bind_narrow(part, visit->arena);
    if (read_null(part, NULL) && expression_is_evaluable(*part)) {
        struct evaluation evaluation = {.arena = visit->arena};
        omen_value value;
        status = evaluate(*part, &evaluation, &value, &visit->error);
        check_error(status, &visit->error);
        OMEN_ASSERT(status != OMEN_OK || value.is_null || value.type.id == (*part)->type.id);
    }
    return visit_expression(part, state);
}

static bool visit_query(struct query *query, uint32_t levels, void *state)
{
    (void)levels;
    return query_visit_parts(query, fold, visit_query, state);
}

static omen_status bind_statement(struct binder *binder, const PgQuery__Node *statement,
                                  struct query **query, omen_error *error)
{
    struct bound_insert insert = {0};
    struct bound_change change = {0};
    omen_status status = OMEN_NOT_SUPPORTED;
    *query = NULL;
    switch (statement->node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        status = bind_insert(binder, statement->insert_stmt, &insert, error);
        *query = insert.query;
        return status;
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        status = bind_update(binder, statement->update_stmt, &change, error);
        *query = change.query;
        return status;
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        status = bind_delete(binder, statement->delete_stmt, &change, error);
        *query = change.query;
        return status;
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return bind_query(binder, NULL, statement->select_stmt, query, error);
    default:
        return error_set(error, status, "not this statement");
    }
}

static void run_query(struct binder *binder, struct query *query, struct arena *arena)
{
    struct visit visit = {.arena = arena};
    struct engine_text text;
    (void)visit_query(query, 0, &visit);
    omen_status status = decorrelate_query(binder, query, &visit.error);
    check_error(status, &visit.error);
    if (status != OMEN_OK)
        return;
    status = engine_text_write(query, binder->parameter_count, binder->parameter_types,
                                           arena, &text, &visit.error);
    check_error(status, &visit.error);
    OMEN_ASSERT(status != OMEN_OK || text.text[text.length] == '\0');
}

static void run_statement(const char *sql, size_t length, struct arena *arena)
{
    struct parsed parsed;
    struct binder binder;
    struct query *query;
    omen_error error = {0};
    omen_status status = parse_statement(sql, length, arena, &parsed, &error);
    check_error(status, &error);
    if (status != OMEN_OK || parsed.statement == NULL)
        return;
    status = binder_init(&binder, arena, catalog, &parsed, NULL, 0, &error);
    check_error(status, &error);
    if (status != OMEN_OK)
        return;
    status = bind_statement(&binder, parsed.statement, &query, &error);
    check_error(status, &error);
    OMEN_ASSERT(error.position >= 0 && (size_t)error.position <= length + 1);
    if (status == OMEN_OK) {
        binder_finish(&binder);
        if (query != NULL)
            run_query(&binder, query, arena);
    }
    binder_release(&binder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct allocator allocator;
    const char *text = (const char *)data;
    if (catalog == NULL)
        make_catalog();
    allocator_init(&allocator, STATEMENT_MEMORY_BYTES);
    while (size > 0) {
        size_t rest = 0;
        bool complete = false;
        size_t length = lexer_split(text, size, &rest, &complete);
        struct arena arena;
        arena_init(&arena, &allocator);
        run_statement(text, length, &arena);
        arena_release(&arena);
        text += rest;
        size -= rest;
    }
    OMEN_ASSERT(allocator.bytes_used == 0);
    return 0;
}
