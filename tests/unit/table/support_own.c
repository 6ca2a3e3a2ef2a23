/* support_own.c - see support_own.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "column/key.h"
#include "support_own.h"

void open_fixture(struct fixture *fixture)
{
    static const struct column_definition columns[] = {
        {.name = "id", .type = {.id = OMEN_TYPE_BIGINT}},
        {.name = "n", .type = {.id = OMEN_TYPE_INTEGER}, .nullable = true}};
    static const uint32_t key[] = {ID};
    *fixture = (struct fixture){.snapshot = OWN_SNAPSHOT_NONE};
    allocator_init(&fixture->allocator, 0);
    assert_int_equal(txn_manager_create(&fixture->allocator, &fixture->manager), OMEN_OK);
    assert_int_equal(
        schema_create(&fixture->allocator, columns, 2, key, 1, &fixture->schema, NULL), OMEN_OK);
    assert_int_equal(table_create(&fixture->allocator, fixture->manager, "t", fixture->schema,
                                  &fixture->table),
                     OMEN_OK);
    assert_int_equal(own_writes_create(fixture->table, &fixture->own), OMEN_OK);
}

void close_fixture(struct fixture *fixture)
{
    omen_error error = {.message = ""};
    omen_status status = table_validate(fixture->table, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, OMEN_OK);
    own_writes_destroy(fixture->own);
    table_release(fixture->table);
    schema_release(fixture->schema);
    txn_manager_destroy(fixture->manager);
    assert_int_equal(atomic_load(&fixture->allocator.bytes_used), 0);
}

omen_value bigint(int64_t value)
{
    return (omen_value){.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = value};
}

omen_value integer(int32_t value)
{
    return (omen_value){.type = {.id = OMEN_TYPE_INTEGER}, .as.i32 = value};
}

/* --- statements --- */

struct write_set *begin(struct fixture *fixture)
{
    struct write_set *set;
    fixture->command++;
    txn_writer_lock(fixture->manager);
    assert_int_equal(write_set_create(fixture->table, &set), OMEN_OK);
    write_set_read_own(set, fixture->own, fixture->command, fixture->snapshot);
    return set;
}

omen_status finish(struct fixture *fixture, struct write_set *set, omen_error *error)
{
    omen_status status =
        own_writes_add(fixture->own, set, fixture->command, fixture->snapshot, error);
    txn_writer_unlock(fixture->manager);
    write_set_destroy(set);
    return status;
}

void put(struct write_set *set, int64_t first, int32_t count, int32_t n)
{
    for (int64_t id = first; id < first + count; id++) {
        omen_value row[] = {bigint(id), integer(n)};
        assert_int_equal(write_set_insert(set, row, NULL), OMEN_OK);
    }
}

omen_status set_n(struct write_set *set, int64_t id, int32_t n)
{
    const uint32_t column = N;
    omen_value key = bigint(id), value = integer(n);
    return write_set_update(set, &key, &column, &value, 1, NULL);
}

omen_status move(struct write_set *set, int64_t id, int64_t to)
{
    const uint32_t column = ID;
    omen_value key = bigint(id), value = bigint(to);
    return write_set_update(set, &key, &column, &value, 1, NULL);
}

omen_status take(struct write_set *set, int64_t id)
{
    omen_value key = bigint(id);
    return write_set_delete(set, &key, NULL);
}

omen_status own_insert(struct fixture *fixture, int64_t first, int32_t count, int32_t n)
{
    struct write_set *set = begin(fixture);
    put(set, first, count, n);
    return finish(fixture, set, NULL);
}

omen_status own_update(struct fixture *fixture, int64_t id, int32_t n)
{
    struct write_set *set = begin(fixture);
    assert_int_equal(set_n(set, id, n), OMEN_OK);
    return finish(fixture, set, NULL);
}

omen_status own_delete(struct fixture *fixture, int64_t id)
{
    struct write_set *set = begin(fixture);
    assert_int_equal(take(set, id), OMEN_OK);
    return finish(fixture, set, NULL);
}

omen_status own_commit(struct fixture *fixture)
{
    struct write_set *set;
    assert_int_equal(own_writes_commit_set(fixture->own, &set, NULL), OMEN_OK);
    omen_status status = set == NULL ? OMEN_OK : write_set_commit(set, false, NULL);
    write_set_destroy(set);
    return status;
}

/* --- others --- */

void insert(struct fixture *fixture, int64_t first, int32_t count)
{
    struct write_set *set;
    assert_int_equal(write_set_create(fixture->table, &set), OMEN_OK);
    for (int64_t id = first; id < first + count; id++)
        put(set, id, 1, (int32_t)id);
    assert_int_equal(write_set_commit(set, false, NULL), OMEN_OK);
    write_set_destroy(set);
}

/* Deletes the rows of [first, first + count) whose id is no multiple of `kept`. */
void delete_most(struct fixture *fixture, int64_t first, int32_t count, int64_t kept)
{
    struct write_set *set;
    assert_int_equal(write_set_create(fixture->table, &set), OMEN_OK);
    txn_writer_lock(fixture->manager);
    for (int64_t id = first; id < first + count; id++)
        if (id % kept != 0)
            assert_int_equal(take(set, id), OMEN_OK);
    assert_int_equal(write_set_commit(set, true, NULL), OMEN_OK);
    txn_writer_unlock(fixture->manager);
    write_set_destroy(set);
}

void change_n(struct fixture *fixture, int64_t id, int32_t n)
{
    struct write_set *set;
    assert_int_equal(write_set_create(fixture->table, &set), OMEN_OK);
    txn_writer_lock(fixture->manager);
    assert_int_equal(n < 0 ? take(set, id) : set_n(set, id, n), OMEN_OK);
    assert_int_equal(write_set_commit(set, true, NULL), OMEN_OK);
    txn_writer_unlock(fixture->manager);
    write_set_destroy(set);
}

uint64_t maintain(struct fixture *fixture)
{
    struct maintain_report report = {0};
    for (int i = 0; i < 30; i++)
        assert_int_equal(table_maintain(fixture->table, 1 << 20, &report), OMEN_OK);
    return report.groups_compacted;
}

/* --- reading --- */

struct table_view *view_at(struct fixture *fixture, const struct snapshot *snapshot,
                                  uint32_t command)
{
    struct table_view *view;
    assert_int_equal(
        table_view_open_own(fixture->table, snapshot, fixture->own, command, &view), OMEN_OK);
    return view;
}

/* As the next statement would see the table. */
struct table_view *view_now(struct fixture *fixture)
{
    struct snapshot snapshot;
    assert_int_equal(snapshot_acquire(fixture->manager, &snapshot), OMEN_OK);
    struct table_view *view = view_at(fixture, &snapshot, fixture->command + 1);
    snapshot_release(&snapshot);
    return view;
}

bool totals_equal(struct totals a, struct totals b)
{
    return a.rows == b.rows && a.ids == b.ids && a.ns == b.ns;
}

/* Reads one share of the rows that pass. */
static void read_share(struct table_view *view, const omen_predicate *predicate, uint32_t share,
                       uint32_t shares, struct totals *totals)
{
    static const uint32_t columns[] = {ID, N, ROW_ID_COLUMN};
    struct scan_spec spec = {.columns = columns,
                             .column_count = 3,
                             .predicates = predicate,
                             .predicate_count = predicate != NULL,
                             .limit = UINT64_MAX,
                             .partition = share,
                             .partition_count = shares,
                             .key_lookup = true};
    struct scan *scan;
    struct ArrowArray batch;
    omen_status status;
    assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
    while ((status = table_scan_next(scan, &batch)) == OMEN_OK) {
        const int64_t *ids = batch.children[0]->buffers[1];
        const int32_t *ns = batch.children[1]->buffers[1];
        const int64_t *row_ids = batch.children[2]->buffers[1];
        for (int64_t i = 0; i < batch.length; i++) {
            totals->rows++;
            totals->ids += ids[i];
            totals->ns += ns[i];
            totals->row_id = (uint64_t)row_ids[i];
        }
        batch.release(&batch);
    }
    assert_int_equal(status, OMEN_END_OF_DATA);
    table_scan_close(scan);
}

struct totals read_all(struct table_view *view, uint32_t shares)
{
    struct totals totals = {0};
    for (uint32_t share = 0; share < shares; share++)
        read_share(view, NULL, share, shares, &totals);
    return totals;
}

/* The row with this id by a key lookup; the row's count is 0 or 1. */
struct totals read_one(struct table_view *view, int64_t id)
{
    omen_value value = bigint(id);
    omen_predicate predicate = {.column = ID, .op = OMEN_EQ, .values = &value, .value_count = 1};
    struct totals totals = {0};
    read_share(view, &predicate, 0, 1, &totals);
    return totals;
}

/* n of the row with this id in the view, the same by all ways; -1 where there is none. */
int32_t n_in(struct table_view *view, int64_t id)
{
    omen_value values[2] = {bigint(id), bigint(id)};
    /* A range does not go by the index. */
    omen_predicate range[] = {{.column = ID, .op = OMEN_GE, .values = &values[0], .value_count = 1}};
    struct totals by_key = read_one(view, id), from = {0}, after = {0};
    read_share(view, range, 0, 1, &from);
    values[0].as.i64++;
    read_share(view, range, 0, 1, &after);
    assert_int_equal(from.rows - after.rows, by_key.rows);
    assert_int_equal(from.ns - after.ns, by_key.ns);
    assert_true(by_key.rows <= 1);
    return by_key.rows == 0 ? -1 : (int32_t)by_key.ns;
}

/* n of the row with this id as the next statement sees it. */
int32_t n_of(struct fixture *fixture, int64_t id)
{
    struct table_view *view = view_now(fixture);
    int32_t n = n_in(view, id);
    table_view_release(view);
    omen_value key = bigint(id), value;
    struct row_ref row;
    struct read_view point = {.snapshot = txn_published(fixture->manager),
                              .command = fixture->command + 1};
    omen_status status = table_get_own(fixture->table, &point, fixture->own,
                                       index_key_word(key_word(&key)), &row);
    if (n < 0) {
        assert_int_equal(status, OMEN_NOT_FOUND);
        return n;
    }
    assert_int_equal(status, OMEN_OK);
    row_group_read(row.group, row.slot, N, &value);
    assert_int_equal(value.as.i32, n);
    row_ref_release(&row);
    return n;
}
