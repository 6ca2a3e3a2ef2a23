/* query_lock.c - SELECT ... FOR UPDATE and its kin.
 *
 *   by key      lock the key, read the row: nobody changes it any more
 *   by engine   rows as they come: lock their keys, then see whether LIMIT wants them; in the end
 * look whether all are still the newest versions
 *
 * A row that was changed before its lock was there makes a READ COMMITTED statement run again,
 * locks kept, so that it comes to an end; in REPEATABLE READ it is 40001, but for FOR KEY SHARE
 * where the key is there as before.
 */
#include <string.h>

#include "query/decode.h"
#include "query/query_plan.h"

enum { RUNS_MAX = 100 };

/* Whether it is a row that the transaction itself has written. */
static bool is_own(uint64_t row_id)
{
    return (row_id_group(row_id) & OWN_GROUP_BIT) != 0;
}

/* --- one row by its key --- */

/* Whether the version that was found is the newest, as far as the mode needs it. */
static omen_status check_row(struct session *session, struct table *table,
                             const struct row_ref *row, enum lock_mode mode, uint64_t deadline_ns,
                             omen_error *error)
{
    struct write_set *set;
    uint64_t row_id = row_id_make(row_group_number(row->group), row->slot);
    if (is_own(row_id))
        return OMEN_OK;
    OMEN_TRY(transaction_create_set(session, table, &set, error));
    omen_status status = write_set_delete_row(set, row_id, error);
    if (status == OMEN_OK)
        status = transaction_check_targets(session, set, mode, deadline_ns, error);
    write_set_destroy(set);
    return status;
}

omen_status query_lock_row(struct query_plan *plan, struct run *run, struct evaluation *evaluation,
                           struct row_ref *row, omen_error *error)
{
    const struct row_locking *locking = &plan->query->lockings[0];
    struct session *session = run->session;
    struct lookup *lookup = plan->lookup;
    struct index_key key;
    bool found, taken = true;
    OMEN_TRY(lookup_run(lookup, session, evaluation, row, error));
    if (row->group == NULL)
        return OMEN_OK; /* a key that is not there is not locked */
    row_ref_release(row);
    *row = (struct row_ref){0};
    OMEN_TRY(lookup_find_key(lookup, evaluation, &key, &found, error));
    OMEN_ASSERT(found);
    transaction_keep_locks(session);
    OMEN_TRY(transaction_lock_key(session, lookup->table, primary_key(key), locking->mode,
                                  locking->wait, run->deadline_ns, &taken, error));
    if (!taken)
        return OMEN_OK;
    OMEN_TRY(transaction_settle_newest(session, run->deadline_ns, error));
    OMEN_TRY(lookup_run(lookup, session, evaluation, row, error));
    if (row->group == NULL || !transaction_keeps_snapshot(session))
        return OMEN_OK;
    omen_status status =
        check_row(session, lookup->table, row, locking->mode, run->deadline_ns, error);
    if (status != OMEN_OK) {
        row_ref_release(row);
        *row = (struct row_ref){0};
    }
    return status;
}

/* --- the engine's rows --- */

struct locking_rows {
    struct query_plan *plan;
    struct run *run;
    struct decoder *decoder;
    struct write_set **locked; /* per locking: its rows, as if they were to be deleted */
    uint64_t first, end;       /* of what LIMIT and OFFSET want */
    uint64_t passed;           /* rows that could be locked */
    omen_value *values;        /* those that are wanted, in the run's arena */
    uint64_t row_count, row_capacity;
};

static omen_status lock_one(struct locking_rows *rows, uint32_t number, uint64_t row_id,
                            bool *taken, omen_error *error)
{
    const struct row_locking *locking = &rows->plan->query->lockings[number];
    struct session *session = rows->run->session;
    struct table *table = locking->relation->table;
    struct write_set *set;
    struct index_key *keys;
    struct arena arena;
    size_t count = 0;
    bool covered;
    *taken = true;
    if (is_own(row_id))
        return OMEN_OK; /* its key is locked already */
    transaction_keep_locks(session);
    OMEN_TRY(transaction_cover_keys(session, table, 1, rows->run->deadline_ns, &covered, error));
    if (covered)
        return write_set_delete_row(rows->locked[number], row_id, error);
    OMEN_TRY(transaction_create_set(session, table, &set, error));
    arena_init(&arena, session->database->allocator);
    omen_status status = write_set_delete_row(set, row_id, error);
    if (status == OMEN_OK)
        status = write_set_target_keys(set, &arena, &keys, &count, error);
    for (size_t i = 0; status == OMEN_OK && i < count; i++)
        status = transaction_lock_key(session, table, primary_key(keys[i]), locking->mode,
                                      locking->wait, rows->run->deadline_ns, taken, error);
    arena_release(&arena);
    write_set_destroy(set);
    if (status == OMEN_OK && *taken)
        status = write_set_delete_row(rows->locked[number], row_id, error);
    return status;
}

/* Locks the tables' rows that the row at hand is made of. */
static omen_status lock_current(struct locking_rows *rows, bool *taken, omen_error *error)
{
    const struct query *query = rows->plan->query;
    *taken = true;
    for (uint32_t i = 0; i < query->locking_count && *taken; i++) {
        omen_value row_id = decoder_value(rows->decoder, query->target_count + i);
        if (row_id.is_null || row_id.type.id != OMEN_TYPE_BIGINT)
            return error_set(error, OMEN_INTERNAL, "the engine gave no row id");
        OMEN_TRY(lock_one(rows, i, (uint64_t)row_id.as.i64, taken, error));
    }
    return OMEN_OK;
}

/* Makes the value's text its own; false where memory is out. */
static bool copy_bytes(omen_value *value, struct arena *arena)
{
    bool has_bytes = value->type.id >= OMEN_TYPE_TEXT && value->type.id <= OMEN_TYPE_BYTEA;
    if (value->is_null || !has_bytes || value->as.bytes.length == 0)
        return true;
    void *copy = arena_alloc(arena, value->as.bytes.length);
    if (copy != NULL)
        memcpy(copy, value->as.bytes.data, value->as.bytes.length);
    value->as.bytes.data = copy;
    return copy != NULL;
}

/* Copies the outputs of the row at hand. */
static omen_status keep_current(struct locking_rows *rows, omen_error *error)
{
    const struct query *query = rows->plan->query;
    struct arena *arena = rows->run->scratch;
    size_t width = query->target_count * sizeof *rows->values;
    if (rows->row_count == rows->row_capacity) {
        uint64_t capacity = rows->row_capacity == 0 ? 16 : rows->row_capacity * 2;
        omen_value *grown = arena_alloc(arena, capacity * width);
        if (grown == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        if (rows->row_count > 0)
            memcpy(grown, rows->values, rows->row_count * width);
        rows->values = grown;
        rows->row_capacity = capacity;
    }
    omen_value *row = rows->values + rows->row_count * query->target_count;
    for (uint32_t i = 0; i < query->target_count; i++) {
        row[i] = decode_retype(decoder_value(rows->decoder, i), query->types[i]);
        if (!copy_bytes(&row[i], arena))
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
    }
    rows->row_count++;
    return OMEN_OK;
}

static omen_status lock_rows(struct locking_rows *rows, omen_error *error)
{
    omen_status status = OMEN_OK;
    while (status == OMEN_OK && rows->passed < rows->end) {
        bool taken;
        status = decoder_step(rows->decoder, error);
        if (status == OMEN_OK)
            status = lock_current(rows, &taken, error);
        if (status != OMEN_OK || !taken)
            continue;
        if (rows->passed++ >= rows->first)
            status = keep_current(rows, error);
    }
    return status == OMEN_END_OF_DATA ? OMEN_OK : status;
}

/* Makes the sets that note what is locked. */
static omen_status begin_locking(struct locking_rows *rows, omen_error *error)
{
    const struct query *query = rows->plan->query;
    struct evaluation evaluation = run_evaluation(rows->run);
    OMEN_TRY(query_read_limits(query, &evaluation, UINT64_MAX, &rows->first, &rows->end, error));
    size_t bytes = query->locking_count * sizeof *rows->locked;
    rows->locked = arena_alloc(rows->run->scratch, bytes);
    if (rows->locked == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    memset(rows->locked, 0, bytes);
    for (uint32_t i = 0; i < query->locking_count; i++)
        OMEN_TRY(transaction_create_set(rows->run->session, query->lockings[i].relation->table,
                                        &rows->locked[i], error));
    return OMEN_OK;
}

static omen_status run_once(struct locking_rows *rows, omen_error *error)
{
    const struct query *query = rows->plan->query;
    struct session *session = rows->run->session;
    struct ArrowArrayStream stream;
    omen_status status = begin_locking(rows, error);
    if (status == OMEN_OK)
        status = query_run_engine(rows->plan, rows->run, &stream, error);
    if (status == OMEN_OK)
        status = decoder_create(session->database->allocator, &stream, &rows->decoder, error);
    if (status == OMEN_OK)
        status = lock_rows(rows, error);
    decoder_destroy(rows->decoder);
    for (uint32_t i = 0; rows->locked != NULL && i < query->locking_count; i++) {
        if (status == OMEN_OK)
            status = transaction_check_targets(session, rows->locked[i], query->lockings[i].mode,
                                               rows->run->deadline_ns, error);
        write_set_destroy(rows->locked[i]);
    }
    return status;
}

omen_status query_run_locked(struct query_plan *plan, struct run *run, struct query_rows *out,
                             omen_error *error)
{
    for (int runs = 1;; runs++) {
        struct locking_rows rows = {.plan = plan, .run = run};
        omen_error failure = {.status = OMEN_OK};
        omen_status status = run_once(&rows, &failure);
        if (status == OMEN_SERIALIZATION_FAILURE && runs < RUNS_MAX &&
            !transaction_keeps_snapshot(run->session))
            continue;
        if (status != OMEN_OK) {
            if (error != NULL)
                *error = failure;
            return status;
        }
        out->kind = ROWS_VALUES;
        out->values = (struct value_rows){.column_count = plan->query->target_count,
                                          .names = plan->names,
                                          .types = plan->query->types,
                                          .row_count = rows.row_count,
                                          .values = rows.values};
        return OMEN_OK;
    }
}
