/* statement.c - running plans: fitting parameters, stepping, planning again when the catalog or the
 * parameters' types have changed.
 */
#include "query/statement.h"

#include <string.h>

#include "column/decimal.h"
#include "column/time_range.h"
#include "column/utf8.h"
#include "sql/lexer.h"
#include "sql/value_text.h"

enum { PLANS_KEPT = 2 }; /* for different types of parameters */

enum result_kind {
    RESULT_NONE,
    RESULT_POINT,  /* `head`, copied from the table by `point` */
    RESULT_ROW,    /* pinned: `rows.row`, plain columns of it */
    RESULT_VALUES, /* that the core has computed: `rows.values` */
    RESULT_ROWS,   /* of the engine: `decoder` */
};

struct statement {
    struct statement_head head;
    struct session *session;
    char *text;
    size_t length;
    struct plan *plans[PLANS_KEPT]; /* the one last used first; the others may be NULL */
    struct arena scratch;           /* of one run; keeps its memory for the next */
    enum result_kind result;
    struct point_query *point; /* of the last run; NULL: it was of another kind */
    struct query_rows rows;
    uint64_t value_row; /* of VALUES, the next to step to */
    bool row_pending;   /* not yet stepped to */
    bool on_row;
    struct decoder *decoder;
    const char *route;
    uint64_t rows_affected;
    uint64_t serial; /* of the transaction that the last run was in */
};

static omen_status check_open(const struct session *session, omen_error *error)
{
    if (atomic_load_explicit(&session->closed, memory_order_relaxed))
        return error_set(error, OMEN_NOT_READY, "the connection is closed");
    return OMEN_OK;
}

omen_status statement_create(struct session *session, const char *sql, size_t length,
                             struct statement **out, omen_error *error)
{
    struct allocator *allocator = session->database->allocator;
    *out = NULL;
    OMEN_TRY(check_open(session, error));
    if (length > STATEMENT_BYTES_MAX)
        return lexer_check(sql, length, NULL, error);
    struct statement *statement = allocator_alloc_zeroed(allocator, sizeof *statement);
    if (statement == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    statement->session = session_retain(session);
    statement->route = route_name(ROUTE_BY_CORE);
    statement->length = length;
    arena_init(&statement->scratch, allocator);
    statement->text = allocator_alloc(allocator, length + 1);
    omen_status status = OMEN_OK;
    bool rested = false;
    if (statement->text == NULL) {
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    } else {
        memcpy(statement->text, sql, length);
        statement->text[length] = '\0';
        rested = transaction_resume(session);
        status =
            plan_create(session, statement->text, length, NULL, 0, &statement->plans[0], error);
    }
    if (status != OMEN_OK) {
        statement_destroy(statement);
        return transaction_end_statement(session, status);
    }
    if (rested)
        transaction_note_idle(session);
    *out = statement;
    return OMEN_OK;
}

/* Lets go of the last run's result. */
static void forget_result(struct statement *statement)
{
    if (statement->point != NULL)
        point_query_release(statement->point);
    statement->point = NULL;
    statement->head = (struct statement_head){0};
    query_rows_release(&statement->rows);
    decoder_destroy(statement->decoder);
    statement->decoder = NULL;
    statement->result = RESULT_NONE;
    statement->row_pending = statement->on_row = false;
    statement->value_row = 0;
    statement->rows_affected = 0;
    if (statement->scratch.blocks != NULL)
        arena_reset(&statement->scratch);
}

void statement_destroy(struct statement *statement)
{
    if (statement == NULL)
        return;
    struct session *session = statement->session;
    struct allocator *allocator = session->database->allocator;
    forget_result(statement);
    for (int i = 0; i < PLANS_KEPT; i++)
        plan_destroy(statement->plans[i]);
    arena_release(&statement->scratch);
    allocator_free(allocator, statement->text, statement->length + 1);
    allocator_free(allocator, statement, sizeof *statement);
    session_release(session);
}

/* --- parameters --- */

/* Texts are read as the type they meet, as parameters in text form are over the wire. */
static bool is_undeclared(omen_type type)
{
    return type.id == OMEN_TYPE_NONE || type.id == OMEN_TYPE_TEXT;
}

/* The type that a caller's value declares for its parameter. */
static omen_type declared_type(const omen_value *value)
{
    omen_type type = {.id = value->type.id};
    if (is_undeclared(type))
        type.id = OMEN_TYPE_NONE;
    if (type.id == OMEN_TYPE_DECIMAL) {
        type.precision = value->type.precision;
        type.scale = value->type.scale;
    }
    return type;
}

/* A caller's value: of a type that exists, with bytes where it has a length. */
static bool parameter_is_sound(const omen_value *value)
{
    switch (value->type.id) {
    case OMEN_TYPE_NONE:
        return value->is_null;
    case OMEN_TYPE_TEXT:
    case OMEN_TYPE_VARCHAR:
    case OMEN_TYPE_CHAR:
    case OMEN_TYPE_BYTEA:
        return value->is_null || value->as.bytes.data != NULL || value->as.bytes.length == 0;
    case OMEN_TYPE_DECIMAL:
        return value->type.precision >= 1 && value->type.precision <= DECIMAL_PRECISION_MAX &&
               value->type.scale >= 0 && value->type.scale <= value->type.precision;
    default:
        return value->type.id > OMEN_TYPE_NONE && value->type.id <= OMEN_TYPE_UUID;
    }
}

/* What the value itself must be like, whatever it is for. */
static omen_status check_parameter(const omen_value *value, size_t position, omen_error *error)
{
    if (!parameter_is_sound(value))
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "parameter $%zu has no type, or a length but no bytes", position + 1);
    if (value->is_null)
        return OMEN_OK;
    if (value->type.id == OMEN_TYPE_DECIMAL &&
        !decimal_fits(decimal_to_integer(value->as.decimal), value->type.precision))
        return error_set(error, OMEN_OUT_OF_RANGE, "parameter $%zu has more digits than its type",
                         position + 1);
    if (!value_time_in_range(value))
        return error_set(error, OMEN_DATETIME_OVERFLOW, "%s out of range in parameter $%zu",
                         value->type.id == OMEN_TYPE_DATE ? "date" : "timestamp", position + 1);
    if (value->type.id >= OMEN_TYPE_TEXT && value->type.id <= OMEN_TYPE_CHAR &&
        !utf8_is_valid(value->as.bytes.data, value->as.bytes.length))
        return error_set(error, OMEN_INVALID_ENCODING,
                         "invalid byte sequence for encoding \"UTF8\" in parameter $%zu",
                         position + 1);
    return OMEN_OK;
}

/* Whether a plan was made for values of these types. */
static bool plan_fits(const struct plan *plan, const omen_value *parameters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        omen_type declared = declared_type(&parameters[i]);
        if (declared.id == OMEN_TYPE_NONE
                ? plan->declared[i].id != OMEN_TYPE_NONE
                : !semantics_same_type(declared, plan_parameter_types(plan)[i]))
            return false;
    }
    return true;
}

/* Whether all values are exactly of the plan's types, where every bit pattern is a value of the
 * type: nothing to check or fit.
 */
static bool parameters_are_plain(const struct plan *plan, const omen_value *parameters,
                                 size_t count)
{
    enum {
        FIXED = 1 << OMEN_TYPE_BOOLEAN | 1 << OMEN_TYPE_SMALLINT | 1 << OMEN_TYPE_INTEGER |
                1 << OMEN_TYPE_BIGINT | 1 << OMEN_TYPE_REAL | 1 << OMEN_TYPE_DOUBLE |
                1 << OMEN_TYPE_UUID
    };
    const omen_type *types = plan_parameter_types(plan);
    for (size_t i = 0; i < count; i++)
        if (parameters[i].type.id != types[i].id || (1 << (types[i].id & 31) & FIXED) == 0)
            return false;
    return true;
}

/* The value as its parameter's type in the plan; text is read as it. */
static omen_status fit_parameter(const omen_value *from, omen_type type, struct arena *arena,
                                 omen_value *out, omen_error *error)
{
    bool is_text = type.id >= OMEN_TYPE_TEXT && type.id <= OMEN_TYPE_CHAR;
    *out = *from;
    out->type = type;
    if (from->is_null || !is_undeclared(from->type) || is_text)
        return OMEN_OK;
    return value_from_text(type, (const char *)from->as.bytes.data, from->as.bytes.length, arena,
                           out, error);
}

static omen_status fit_parameters(struct statement *statement, const omen_value *parameters,
                                  size_t count, const omen_value **out, omen_error *error)
{
    const omen_type *types = plan_parameter_types(statement->plans[0]);
    size_t exact = 0;
    *out = parameters;
    while (exact < count && semantics_same_type(parameters[exact].type, types[exact]))
        exact++;
    if (exact == count)
        return OMEN_OK;
    omen_value *fitted = arena_alloc(&statement->scratch, count * sizeof *fitted);
    if (fitted == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (size_t i = 0; i < count; i++)
        OMEN_TRY(fit_parameter(&parameters[i], types[i], &statement->scratch, &fitted[i], error));
    *out = fitted;
    return OMEN_OK;
}

/* --- plans --- */

static bool plan_is_current(const struct statement *statement, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->binder.file_count; i++)
        if (!file_is_current(plan->binder.files[i]))
            return false;
    return !plan->rows.spoilt && !plan->reads_view &&
           plan->tables_version == statement->session->transaction.tables_version &&
           query_plan_is_fresh(&plan->rows, statement->session) &&
           plan->catalog_version == catalog_version(statement->session->database->catalog);
}

/* Plans for values of these types. On failure the old plans stay: the next run tries again. */
static omen_status plan_again(struct statement *statement, const omen_value *parameters,
                              size_t count, omen_error *error)
{
    struct plan *plan;
    omen_type *declared = arena_alloc(&statement->scratch, count * sizeof *declared);
    if (declared == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    for (size_t i = 0; i < count; i++)
        declared[i] = declared_type(&parameters[i]);
    OMEN_TRY(plan_create(statement->session, statement->text, statement->length, declared,
                         (uint32_t)count, &plan, error));
    plan_destroy(statement->plans[PLANS_KEPT - 1]);
    memmove(statement->plans + 1, statement->plans, (PLANS_KEPT - 1) * sizeof(struct plan *));
    statement->plans[0] = plan;
    return OMEN_OK;
}

/* Brings the plan for these values to the front. */
static omen_status choose_plan(struct statement *statement, const omen_value *parameters,
                               size_t count, omen_error *error)
{
    for (int i = 0; i < PLANS_KEPT && statement->plans[i] != NULL; i++) {
        struct plan *plan = statement->plans[i];
        if (!plan_is_current(statement, plan) || !plan_fits(plan, parameters, count))
            continue;
        statement->plans[i] = statement->plans[0];
        statement->plans[0] = plan;
        return OMEN_OK;
    }
    return plan_again(statement, parameters, count, error);
}

/* The value of a text that has more digits than its parameter's NUMERIC, which has those of what
 * it is compared with: rounded to them it would be another number. `*is_wider` false: it fits, or
 * is no number. */
static omen_status read_wider(const omen_value *text, omen_type type, omen_value *out,
                              bool *is_wider, omen_error *error)
{
    struct number number;
    wide_integer unscaled;
    uint32_t scale = (uint32_t)type.scale;
    *is_wider = false;
    if (text->is_null || !is_undeclared(text->type) || type.id != OMEN_TYPE_DECIMAL ||
        !number_scan((const char *)text->as.bytes.data, text->as.bytes.length, &number) ||
        (number_to_scaled(&number, scale, &unscaled) == NUMBER_EXACT &&
         decimal_fits(unscaled, type.precision)))
        return OMEN_OK;
    while (scale <= DECIMAL_PRECISION_MAX &&
           number_to_scaled(&number, scale, &unscaled) == NUMBER_ROUNDED)
        scale++;
    if (scale > DECIMAL_PRECISION_MAX ||
        number_to_scaled(&number, scale, &unscaled) != NUMBER_EXACT)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "numbers of more than %d digits are not supported", DECIMAL_PRECISION_MAX);
    *is_wider = true;
    *out = (omen_value){.type = {.id = OMEN_TYPE_DECIMAL,
                                 .precision = DECIMAL_PRECISION_MAX,
                                 .scale = (int8_t)scale},
                        .as.decimal = decimal_from_integer(unscaled)};
    return OMEN_OK;
}

/* Plans again while texts have more digits than the plan's parameters: such a value declares its
 * own type. */
static omen_status widen_plan(struct statement *statement, const omen_value **parameters,
                              size_t count, omen_error *error)
{
    omen_value *widened = NULL, wider;
    bool is_wider;
    for (size_t i = 0; i < count; i++) {
        omen_type type = plan_parameter_types(statement->plans[0])[i];
        OMEN_TRY(read_wider(&(*parameters)[i], type, &wider, &is_wider, error));
        if (!is_wider)
            continue;
        if (widened == NULL) {
            widened = arena_alloc(&statement->scratch, count * sizeof *widened);
            if (widened == NULL)
                return error_set_default(error, OMEN_OUT_OF_MEMORY);
            memcpy(widened, *parameters, count * sizeof *widened);
            *parameters = widened;
        }
        widened[i] = wider;
        OMEN_TRY(choose_plan(statement, widened, count, error));
        i = SIZE_MAX; /* the others may have other types now */
    }
    return OMEN_OK;
}

/* Brings the right plan to the front, and the parameters into its types. */
static omen_status fit_plan(struct statement *statement, const omen_value *parameters, size_t count,
                            struct run *run, omen_error *error)
{
    if (plan_is_current(statement, statement->plans[0]) &&
        parameters_are_plain(statement->plans[0], parameters, count)) {
        run->parameters = parameters;
        return OMEN_OK;
    }
    for (size_t i = 0; i < count; i++)
        OMEN_TRY(check_parameter(&parameters[i], i, error));
    OMEN_TRY(choose_plan(statement, parameters, count, error));
    OMEN_TRY(widen_plan(statement, &parameters, count, error));
    return fit_parameters(statement, parameters, count, &run->parameters, error);
}

static omen_status begin_run(struct statement *statement, const omen_value *parameters,
                             size_t count, struct run *run, omen_error *error)
{
    struct session *session = statement->session;
    forget_result(statement);
    OMEN_TRY(check_open(session, error));
    session_begin(session);
    if (count != statement_parameter_count(statement))
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "the statement takes %u parameters, %zu were given",
                         statement_parameter_count(statement), count);
    const struct plan *given = statement->plans[0];
    OMEN_TRY(transaction_begin_statement(session, given->ends_transaction,
                                         given->locks_rows ? "SELECT FOR UPDATE"
                                         : given->writes   ? given->tag
                                                           : NULL,
                                         error));
    statement->serial = session->transaction.serial;
    *run = (struct run){
        .session = session, .parameter_count = (uint32_t)count, .scratch = &statement->scratch};
    const struct os *os = session->database->os;
    if (session->settings.timeout_ms != 0)
        run->deadline_ns = os->monotonic_ns(os) + session->settings.timeout_ms * 1000000;
    return fit_plan(statement, parameters, count, run, error);
}

/* --- running --- */

/* Statements that give no rows. */
static omen_status run_command(struct statement *statement, struct run *run, omen_error *error)
{
    struct plan *plan = statement->plans[0];
    switch (plan->kind) {
    case PLAN_CREATE_TABLE:
    case PLAN_DROP_TABLE:
        return ddl_run(plan, run, error);
    case PLAN_CREATE_AS:
        return create_as_run(plan, run, &statement->rows_affected, error);
    case PLAN_CHECKPOINT:
        return database_checkpoint(statement->session->database, error);
    case PLAN_INSERT:
        return insert_run(plan, run, &statement->rows_affected, error);
    case PLAN_UPDATE:
    case PLAN_DELETE:
        return change_run(plan, run, &statement->rows_affected, error);
    case PLAN_COPY:
        return copy_run(plan, run, &statement->rows_affected, error);
    case PLAN_COPY_TO:
        return copy_to_run(plan, run, &statement->rows_affected, error);
    case PLAN_SET:
        return set_run(plan, error);
    case PLAN_TRANSACTION:
        return transaction_run(plan, run, error);
    case PLAN_LOCK:
        return lock_run(plan, run, error);
    default:
        return OMEN_OK;
    }
}

static bool gives_rows(const struct plan *plan)
{
    return plan->explain || plan->kind == PLAN_QUERY || plan->kind == PLAN_SHOW;
}

/* The rows of a plan that gives some, into statement->rows. */
static omen_status run_rows(struct statement *statement, struct run *run, omen_error *error)
{
    struct plan *plan = statement->plans[0];
    if (plan->kind == PLAN_QUERY && !plan->explain)
        return query_run(&plan->rows, run, &statement->rows, error);
    statement->rows.kind = ROWS_VALUES;
    if (plan->explain)
        return explain_run(plan, run, &statement->rows.values, error);
    return show_run(plan, &statement->scratch, &statement->rows.values, error);
}

/* Outside a transaction: waits for those who have locked a table that the plan writes to, or locks
 * rows of, so that what they do to it is seen, be it that it is dropped. */
static omen_status await_tables(const struct plan *plan, struct session *session,
                                uint64_t deadline_ns, omen_error *error)
{
    struct table *table = NULL;
    if (transaction_is_open(&session->transaction) || plan->explain)
        return OMEN_OK;
    if (plan->kind == PLAN_INSERT)
        table = plan->insert.bound.table;
    else if (plan->kind == PLAN_UPDATE || plan->kind == PLAN_DELETE)
        table = plan->change.table;
    else if (plan->kind == PLAN_COPY)
        table = plan->table;
    if (table != NULL)
        return transaction_await_table(session, table, TABLE_LOCK_ROW_EXCLUSIVE, deadline_ns,
                                       error);
    for (uint32_t i = 0; plan->locks_rows && i < plan->rows.query->locking_count; i++)
        OMEN_TRY(transaction_await_table(session, plan->rows.query->lockings[i].relation->table,
                                         TABLE_LOCK_ROW_SHARE, deadline_ns, error));
    return OMEN_OK;
}

/* In a transaction locks the tables that the plan names; then runs it. */
static omen_status lock_and_run(struct statement *statement, struct run *run, omen_error *error)
{
    struct session *session = statement->session;
    const struct plan *plan = statement->plans[0];
    OMEN_TRY(transaction_lock_reads(session, plan->binder.tables, plan->binder.table_count,
                                    run->deadline_ns, error));
    OMEN_TRY(await_tables(plan, session, run->deadline_ns, error));
    if (plan->uses_now)
        run->now = transaction_now(session);
    omen_status status =
        gives_rows(plan) ? run_rows(statement, run, error) : run_command(statement, run, error);
    statement->route = route_name(run->route);
    return status;
}

/* Runs the statement. Where a table of its plan was dropped while it waited for that, it has done
 * nothing yet: it begins again with the tables that have the names now. */
static omen_status run_found(struct statement *statement, const omen_value *parameters,
                             size_t count, omen_error *error)
{
    struct catalog *catalog = statement->session->database->catalog;
    struct run run;
    OMEN_TRY(begin_run(statement, parameters, count, &run, error));
    for (;;) {
        omen_status status = lock_and_run(statement, &run, error);
        if (status != OMEN_UNDEFINED_TABLE ||
            statement->plans[0]->catalog_version == catalog_version(catalog))
            return status;
        forget_result(statement);
        error_clear(error);
        OMEN_TRY(fit_plan(statement, parameters, count, &run, error));
    }
}

static omen_status stream_plan(struct statement *statement, const omen_value *parameters,
                               size_t count, struct ArrowArrayStream *out, omen_error *error)
{
    struct session *session = statement->session;
    bool empty = !gives_rows(statement->plans[0]);
    memset(out, 0, sizeof *out);
    if (empty) /* made first: what the statement has done cannot fail any more */
        OMEN_TRY(result_empty(session, out, error));
    omen_status status = run_found(statement, parameters, count, error);
    if (status == OMEN_OK)
        return empty ? OMEN_OK
                     : query_rows_stream(&statement->plans[0]->rows, session, &statement->rows, out,
                                         error);
    if (empty) {
        out->release(out);
        memset(out, 0, sizeof *out);
    }
    return status;
}

omen_status statement_stream(struct statement *statement, const omen_value *parameters,
                             size_t count, struct ArrowArrayStream *out, omen_error *error)
{
    return transaction_end_statement(statement->session,
                                     stream_plan(statement, parameters, count, out, error));
}

/* Whether the statement is a point query for which this parameter needs no fitting, and nothing has
 * come between: if not, the general way finds out what. */
static inline bool runs_as_point(const struct point_query *point, const struct session *session,
                                 const omen_value *parameters, size_t count)
{
    return point != NULL && count == 1 && parameters[0].type.id == point->key_type &&
           atomic_load_explicit(point->catalog_version, memory_order_acquire) ==
               point->catalog_version_planned &&
           session->settings.route != ROUTE_ENGINE && !session->transaction.shifts_reads &&
           !atomic_load_explicit(&session->closed, memory_order_relaxed);
}

static void start_point(struct statement *statement, struct point_query *point)
{
    forget_result(statement);
    statement->result = RESULT_POINT;
    statement->point = point;
    statement->head.values = point->row.values;
    statement->route = route_name(ROUTE_BY_INDEX);
}

static inline omen_status run_point(struct statement *statement, struct point_query *point,
                                    const omen_value *key, omen_error *error)
{
    bool found;
    if (__builtin_expect(statement->point != point, 0))
        start_point(statement, point);
    else
        point_query_release(point);
    session_begin(statement->session);
    statement->head.current_count = 0;
    statement->head.pending_count = 0;
    omen_status status = point_query_run(point, statement->session, key, &found, error);
    if (found)
        statement->head.pending_count = point->row.column_count;
    return status;
}

/* The general way. Out of line, so that the short one needs no stack frame. */
static __attribute__((noinline)) omen_status run_plan(struct statement *statement,
                                                      const omen_value *parameters, size_t count,
                                                      omen_error *error)
{
    OMEN_TRY(run_found(statement, parameters, count, error));
    if (!gives_rows(statement->plans[0]))
        return OMEN_OK;
    switch (statement->rows.kind) {
    case ROWS_PINNED:
        statement->result = RESULT_ROW;
        statement->row_pending = statement->rows.row.group != NULL;
        return OMEN_OK;
    case ROWS_VALUES:
        statement->result = RESULT_VALUES;
        return OMEN_OK;
    default:
        break;
    }
    OMEN_TRY(decoder_create(statement->session->database->allocator, &statement->rows.stream,
                            &statement->decoder, error));
    statement->result = RESULT_ROWS;
    return OMEN_OK;
}

omen_status statement_run(struct statement *statement, const omen_value *parameters, size_t count,
                          omen_error *error)
{
    struct point_query *point = statement->plans[0]->point;
    return runs_as_point(point, statement->session, parameters, count)
               ? run_point(statement, point, parameters, error)
               : transaction_end_statement(statement->session,
                                           run_plan(statement, parameters, count, error));
}

omen_status statement_step_elsewhere(struct statement *statement, omen_error *error)
{
    statement->on_row = false;
    statement->head.current_count = 0;
    switch (statement->result) {
    case RESULT_ROW:
        if (!statement->row_pending)
            return OMEN_END_OF_DATA;
        statement->row_pending = false;
        statement->on_row = true;
        return OMEN_OK;
    case RESULT_VALUES:
        statement->on_row = statement->value_row < statement->rows.values.row_count;
        statement->value_row += statement->on_row;
        return statement->on_row ? OMEN_OK : OMEN_END_OF_DATA;
    case RESULT_ROWS: {
        omen_status status = decoder_step(statement->decoder, error);
        statement->on_row = status == OMEN_OK;
        if (status != OMEN_OK && status != OMEN_END_OF_DATA &&
            statement->serial == statement->session->transaction.serial)
            transaction_end_statement(statement->session, status);
        return status;
    }
    default:
        return OMEN_END_OF_DATA;
    }
}

/* --- facts --- */

uint32_t statement_parameter_count(const struct statement *statement)
{
    return statement->plans[0]->parsed.parameter_count;
}

/* Whether names and types are those that binding found: of queries, run or not. */
static const struct query_plan *query_of(const struct statement *statement)
{
    const struct plan *plan = statement->plans[0];
    return plan->kind == PLAN_QUERY && !plan->explain ? &plan->rows : NULL;
}

size_t statement_column_count(const struct statement *statement)
{
    const struct query_plan *query = query_of(statement);
    if (query != NULL)
        return query->query->target_count;
    return statement->result == RESULT_VALUES ? statement->rows.values.column_count : 0;
}

const char *statement_column_name(const struct statement *statement, size_t column)
{
    const struct query_plan *query = query_of(statement);
    if (column >= statement_column_count(statement))
        return NULL;
    return query != NULL ? query->names[column] : statement->rows.values.names[column];
}

omen_type statement_column_type(const struct statement *statement, size_t column)
{
    const struct query_plan *query = query_of(statement);
    if (column >= statement_column_count(statement))
        return (omen_type){.id = OMEN_TYPE_NONE};
    return query != NULL ? query->query->types[column] : statement->rows.values.types[column];
}

omen_value statement_value_elsewhere(const struct statement *statement, size_t column)
{
    omen_value value = {.is_null = true};
    if (!statement->on_row || column >= statement_column_count(statement))
        return value;
    const struct query_rows *rows = &statement->rows;
    switch (statement->result) {
    case RESULT_ROW:
        row_group_read(rows->row.group, rows->row.slot, statement->plans[0]->rows.columns[column],
                       &value);
        return value;
    case RESULT_VALUES:
        return rows->values.values[(statement->value_row - 1) * rows->values.column_count + column];
    default:
        return decode_retype(decoder_value(statement->decoder, column),
                             statement_column_type(statement, column));
    }
}

const char *statement_route(const struct statement *statement)
{
    return statement->route;
}

const char *statement_tag(const struct statement *statement)
{
    return statement->plans[0]->tag;
}

uint64_t statement_rows_affected(const struct statement *statement)
{
    return statement->rows_affected;
}
