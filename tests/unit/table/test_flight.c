/* Rows of commits in flight: applied, not published. No snapshot sees them, statistics are not exact
 * over them, and maintenance leaves them alone until they are published. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_log.h"
#include "support.h"

struct fixture {
    struct model model;
    struct fake_log log;
    int64_t tag;
};

static void fixture_open(struct fixture *fixture)
{
    model_open(&fixture->model, KEY_BIGINT);
    fake_log_open(&fixture->log, fixture->model.manager);
    fixture->log.held = true;
    fixture->tag = 1;
}

static void fixture_close(struct fixture *fixture)
{
    fake_log_durable(&fixture->log, fixture->log.committed);
    check_valid(&fixture->model);
    fake_log_close(&fixture->log);
    model_close(&fixture->model);
}

/* Commits without waiting: inserts [first, first + count), or deletes them. */
static struct txn_ticket change(struct fixture *fixture, int32_t first, int32_t count, bool insert)
{
    struct model *model = &fixture->model;
    struct txn_ticket ticket;
    struct write_set *set;
    txn_writer_lock(model->manager);
    assert_int_equal(write_set_create(model->table, &set), OMEN_OK);
    for (int32_t kid = first; kid < first + count; kid++) {
        struct test_row row;
        omen_value key[2];
        if (insert) {
            test_row_fill(model, kid, fixture->tag, fixture->tag, &row);
            fixture->tag++;
            assert_int_equal(write_set_insert(set, row.values, NULL), OMEN_OK);
        } else {
            test_key_fill(model, kid, &row, key);
            assert_int_equal(write_set_delete(set, key, NULL), OMEN_OK);
        }
    }
    assert_int_equal(write_set_commit_locked(set, TXN_DURABLE, &ticket, NULL), OMEN_OK);
    txn_writer_unlock(model->manager);
    write_set_destroy(set);
    return ticket;
}

static struct txn_ticket insert(struct fixture *fixture, int32_t first, int32_t count)
{
    return change(fixture, first, count, true);
}

static struct txn_ticket delete(struct fixture *fixture, int32_t first, int32_t count)
{
    return change(fixture, first, count, false);
}

static void publish(struct fixture *fixture, struct txn_ticket ticket)
{
    fake_log_durable(&fixture->log, ticket.lsn);
    assert_true(txn_published(fixture->model.manager) >= ticket.timestamp);
}

/* Rows that a statement of now counts, by a scan; and what is known without one. */
static uint64_t scanned(struct fixture *fixture, uint64_t *known, bool *exact)
{
    struct snapshot snapshot;
    struct table_view *view;
    struct scan *scan;
    struct ArrowArray batch;
    uint64_t rows = 0;
    assert_int_equal(snapshot_acquire(fixture->model.manager, &snapshot), OMEN_OK);
    assert_int_equal(table_view_open(fixture->model.table, &snapshot, &view), OMEN_OK);
    *known = table_view_row_count(view, exact);
    const struct scan_spec spec = {.limit = UINT64_MAX, .partition_count = 1};
    assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
    while (table_scan_next(scan, &batch) == OMEN_OK) {
        rows += (uint64_t)batch.length;
        batch.release(&batch);
    }
    table_scan_close(scan);
    table_view_release(view);
    snapshot_release(&snapshot);
    return rows;
}

static void expect_rows(struct fixture *fixture, uint64_t rows, bool expected_exact)
{
    uint64_t known;
    bool exact;
    assert_int_equal(scanned(fixture, &known, &exact), rows);
    assert_int_equal(exact, expected_exact);
    if (exact)
        assert_int_equal(known, rows);
}

static struct maintain_report maintain(struct fixture *fixture)
{
    struct maintain_report report = {0};
    maintain_fully(&fixture->model, &report);
    check_valid(&fixture->model);
    return report;
}

static void test_r11_2_statistics_over_rows_in_flight_are_not_exact(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    publish(&fixture, insert(&fixture, 0, 100));
    expect_rows(&fixture, 100, true);
    struct txn_ticket inserted = insert(&fixture, 100, 10);
    expect_rows(&fixture, 100, false);
    publish(&fixture, inserted);
    expect_rows(&fixture, 110, true);
    struct txn_ticket deleted = delete(&fixture, 0, 5);
    expect_rows(&fixture, 110, false);
    publish(&fixture, deleted);
    expect_rows(&fixture, 105, false);
    fixture_close(&fixture);
}

/* Zone maps cover rows in flight too: no row that is visible is pruned by them, none that is not is
 * shown. */
static void test_zones_over_rows_in_flight(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    publish(&fixture, insert(&fixture, 0, 2 * VECTOR_ROWS));
    struct txn_ticket inserted = insert(&fixture, 5000, VECTOR_ROWS);
    table_seal_open(fixture.model.table);
    struct snapshot snapshot;
    struct table_view *view;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(snapshot_acquire(fixture.model.manager, &snapshot), OMEN_OK);
        assert_int_equal(table_view_open(fixture.model.table, &snapshot, &view), OMEN_OK);
        omen_value bound = {.type.id = OMEN_TYPE_INTEGER, .as.i32 = 5000};
        omen_predicate predicate = {COLUMN_KID, OMEN_GE, &bound, 1};
        const struct scan_spec spec = {.predicates = &predicate,
                                       .predicate_count = 1,
                                       .limit = UINT64_MAX,
                                       .partition_count = 1};
        struct scan *scan;
        struct ArrowArray batch;
        int64_t rows = 0;
        assert_int_equal(table_scan_open(view, &spec, &scan, NULL), OMEN_OK);
        while (table_scan_next(scan, &batch) == OMEN_OK) {
            rows += batch.length;
            batch.release(&batch);
        }
        assert_int_equal(rows, round == 0 ? 0 : VECTOR_ROWS);
        table_scan_close(scan);
        table_view_release(view);
        snapshot_release(&snapshot);
        publish(&fixture, inserted);
    }
    fixture_close(&fixture);
}

static void test_r7_1_nothing_in_flight_is_frozen(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    struct txn_ticket first = insert(&fixture, 0, 3000);
    table_seal_open(fixture.model.table);
    struct txn_ticket second = insert(&fixture, 3000, 3000);
    table_seal_open(fixture.model.table);
    assert_int_equal(maintain(&fixture).groups_frozen, 0);
    expect_rows(&fixture, 0, false);
    publish(&fixture, first);
    assert_int_equal(maintain(&fixture).groups_frozen, 1); /* the one whose rows are published */
    expect_rows(&fixture, 3000, false);
    publish(&fixture, second);
    maintain(&fixture);
    expect_rows(&fixture, 6000, true);
    fixture_close(&fixture);
}

/* Rows whose end is in flight are live to every snapshot there is: their entries stay, their groups
 * are neither dropped nor compacted for their sake. */
static void test_ends_in_flight_free_nothing(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    publish(&fixture, insert(&fixture, 0, 2000));
    table_seal_open(fixture.model.table);
    struct txn_ticket deleted = delete(&fixture, 0, 2000);
    struct maintain_report report = maintain(&fixture);
    assert_int_equal(report.entries_erased, 0);
    assert_int_equal(report.groups_dropped, 0);
    assert_int_equal(report.groups_compacted, 0);
    expect_rows(&fixture, 2000, false);
    publish(&fixture, deleted);
    report = maintain(&fixture);
    assert_int_equal(report.entries_erased, 2000);
    assert_int_equal(report.groups_dropped, 1);
    expect_rows(&fixture, 0, true);
    fixture_close(&fixture);
}

/* R5.3 with commits in flight before and behind the switch: its timestamp waits for its turn. */
static void test_compaction_between_commits_in_flight(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    publish(&fixture, insert(&fixture, 0, 2000));
    table_seal_open(fixture.model.table);
    publish(&fixture, delete(&fixture, 0, 1000));
    struct txn_ticket before = delete(&fixture, 1000, 100); /* of the group, and in flight */
    uint64_t published = txn_published(fixture.model.manager);
    assert_int_equal(maintain(&fixture).groups_compacted, 1);
    assert_int_equal(txn_published(fixture.model.manager), published);
    expect_rows(&fixture, 1000, false);
    struct txn_ticket behind = delete(&fixture, 1100, 100); /* of the copy */
    maintain(&fixture);
    expect_rows(&fixture, 1000, false);
    fake_log_durable(&fixture.log, before.lsn); /* and with it the switch */
    assert_int_equal(txn_published(fixture.model.manager), before.timestamp + 1);
    maintain(&fixture);
    expect_rows(&fixture, 900, false);
    publish(&fixture, behind);
    maintain(&fixture);
    expect_rows(&fixture, 800, false);
    fixture_close(&fixture);
}

/* After the log has failed, what was in flight is as if it had never been, for readers; and
 * maintenance never takes it for done. */
static void test_a_failed_log_leaves_what_was_published(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    publish(&fixture, insert(&fixture, 0, 2000));
    struct txn_ticket deleted = delete(&fixture, 0, 1500), inserted = insert(&fixture, 0, 700);
    fake_log_fail(&fixture.log);
    assert_int_equal(txn_wait(fixture.model.manager, &deleted, NULL), OMEN_COMMIT_UNKNOWN);
    assert_int_equal(txn_wait(fixture.model.manager, &inserted, NULL), OMEN_COMMIT_UNKNOWN);
    table_seal_open(fixture.model.table);
    for (int i = 0; i < 3; i++) {
        struct maintain_report report = maintain(&fixture);
        assert_int_equal(report.entries_erased + report.groups_dropped + report.groups_compacted, 0);
        expect_rows(&fixture, 2000, false);
    }
    fake_log_close(&fixture.log);
    model_close(&fixture.model);
}

/* A row updated again and again while nothing is published: its chain leads the reader past all of
 * that, and is cut once it is published (R5.4). */
static void test_chains_of_versions_in_flight(void **state)
{
    struct fixture fixture;
    fixture_open(&fixture);
    publish(&fixture, insert(&fixture, 0, 1));
    struct txn_ticket newest = {0};
    for (int i = 0; i < 200; i++) {
        delete(&fixture, 0, 1);
        newest = insert(&fixture, 0, 1);
        expect_rows(&fixture, 1, false);
    }
    struct snapshot snapshot;
    struct row_ref found;
    omen_value key[2], tag; /* test_key_fill sets both */
    struct test_row row;
    struct arena scratch;
    arena_init(&scratch, &fixture.model.allocator);
    test_key_fill(&fixture.model, 0, &row, key);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(snapshot_acquire(fixture.model.manager, &snapshot), OMEN_OK);
        struct read_view view = {.snapshot = snapshot.timestamp};
        assert_int_equal(table_get(fixture.model.table, &view, key, &scratch, &found), OMEN_OK);
        row_group_read(found.group, found.slot, COLUMN_TAG, &tag);
        assert_int_equal(tag.as.i64, round == 0 ? 1 : 201);
        row_ref_release(&found);
        snapshot_release(&snapshot);
        publish(&fixture, newest);
    }
    arena_release(&scratch);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r11_2_statistics_over_rows_in_flight_are_not_exact),
        cmocka_unit_test(test_zones_over_rows_in_flight),
        cmocka_unit_test(test_r7_1_nothing_in_flight_is_frozen),
        cmocka_unit_test(test_ends_in_flight_free_nothing),
        cmocka_unit_test(test_compaction_between_commits_in_flight),
        cmocka_unit_test(test_a_failed_log_leaves_what_was_published),
        cmocka_unit_test(test_chains_of_versions_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
