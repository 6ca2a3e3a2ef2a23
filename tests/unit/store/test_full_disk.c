/* test_full_disk.c - a disk without a byte of room: the database opens and reads, refuses writers
 * with 53100, makes the checkpoint it has kept room for, and lets rows be deleted.
 *
 * On a simulated disk whose capacity is what is used. One table of integers: ids 0 to `rows` - 1.
 */
#include "support.h"

#include "api/api_private.h"
#include "crash/sim_disk.h"
#include "store/storage_private.h"

enum { RESERVE_BYTES = 1024 * 1024, LOG_FILE_BYTES = 256 * 1024, ROWS_MAX = 4096 };

static struct sim_disk *disk;
static omen_database *database;
static omen_connection *connection;
static bool there[ROWS_MAX];
static omen_error error;

static void open_it(void)
{
    const struct database_options options = {.path = "/db",
                                             .log_file_bytes = LOG_FILE_BYTES,
                                             .reserve_bytes = RESERVE_BYTES,
                                             .no_background = true,
                                             .plain_segments = true};
    struct database *opened;
    if (database_open(sim_disk_os(disk), &options, &opened, &error) != OMEN_OK)
        fail_msg("%s", error.message);
    database = (omen_database *)opened;
    assert_int_equal(omen_connect(database, &connection, NULL), OMEN_OK);
}

static void close_it(void)
{
    omen_disconnect(connection);
    if (omen_close(database, &error) != OMEN_OK)
        fail_msg("%s", error.message);
}

static struct storage *storage(void)
{
    return ((struct database *)database)->storage;
}

static omen_status run(const char *sql)
{
    struct ArrowArrayStream stream;
    omen_status status = omen_query(connection, sql, SIZE_MAX, &stream, NULL, &error);
    if (status == OMEN_OK)
        stream.release(&stream);
    return status;
}

static void must_run(const char *sql)
{
    if (run(sql) != OMEN_OK)
        fail_msg("%s: %s", sql, error.message);
}

static omen_status add(int id)
{
    char sql[1200], text[1001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, '%s')", id, text);
    omen_status status = run(sql);
    there[id] |= status == OMEN_OK;
    return status;
}

static omen_status delete(int id)
{
    char sql[80];
    snprintf(sql, sizeof sql, "DELETE FROM t WHERE id = %d", id);
    omen_status status = run(sql);
    if (status == OMEN_OK)
        there[id] = false;
    return status;
}

static void check_rows(void)
{
    for (int id = 0; id < ROWS_MAX; id++) {
        omen_value key = {.type.id = OMEN_TYPE_INTEGER, .as.i32 = id};
        omen_row *row;
        omen_status status = omen_get(connection, "t", NULL, &key, 1, &row, &error);
        if (status != OMEN_NOT_FOUND && status != OMEN_OK)
            fail_msg("%s", error.message);
        if (there[id] != (status == OMEN_OK))
            fail_msg("row %d is %sthere", id, there[id] ? "not " : "");
        if (status == OMEN_OK)
            omen_row_release(row);
    }
}

/* Closed, or with a log to apply where the power fails. */
static void make(bool power_fails, enum sim_mode mode, uint64_t seed)
{
    memset(there, 0, sizeof there);
    disk = sim_disk_create(seed);
    open_it();
    must_run("CREATE TABLE t (id int PRIMARY KEY, v text)");
    for (int id = 0; id < 100; id++)
        assert_int_equal(add(id), OMEN_OK);
    must_run("CHECKPOINT");
    for (int id = 100; id < 1000; id++)
        assert_int_equal(add(id), OMEN_OK);
    struct sim_disk *image = sim_disk_draw(disk, mode, seed);
    close_it();
    if (power_fails) {
        sim_disk_destroy(disk);
        disk = image;
    } else {
        sim_disk_destroy(image);
    }
}

static void destroy(void)
{
    close_it();
    assert_int_equal(sim_disk_open_count(disk), 0);
    sim_disk_destroy(disk);
}

static void find_spare(void *context, const char *name, uint64_t bytes)
{
    if (strstr(name, "/log/spare-") != NULL)
        snprintf(context, 64, "%s", name);
}

/* Not a byte is left, nor a log file that would be used again. */
static void fill_disk(void)
{
    char spare[64] = "";
    sim_disk_each(disk, find_spare, spare);
    if (spare[0] != '\0')
        assert_int_equal(sim_disk_os(disk)->file_remove(sim_disk_os(disk), spare, NULL), OMEN_OK);
    sim_disk_set_capacity(disk, sim_disk_used(disk));
}

static void cut_power(enum sim_mode mode, uint64_t seed)
{
    struct sim_disk *image = sim_disk_draw(disk, mode, seed);
    sim_disk_set_capacity(image, sim_disk_used(image));
    close_it();
    sim_disk_destroy(disk);
    disk = image;
    open_it();
}

static void turn(int count)
{
    while (count-- > 0) {
        sim_disk_advance(disk, UINT64_C(2000000000));
        storage_step(storage());
    }
}

/* --- tests --- */

/* The room kept for a checkpoint frees the log's, and writers go on by themselves. */
static void test_opening_leaves_the_reserve_to_the_checkpoint(void **state)
{
    make(true, SIM_KEEP, 1);
    fill_disk();
    open_it();
    assert_int_equal(storage()->reserve_left, RESERVE_BYTES);
    check_rows();
    assert_int_equal(add(2000), OMEN_DISK_FULL);
    assert_string_equal(error.sqlstate, "53100");
    check_rows();
    turn(20);
    assert_int_equal(add(2000), OMEN_OK);
    for (int id = 0; id < 50; id++)
        assert_int_equal(delete(id), OMEN_OK);
    check_rows();
    cut_power(SIM_DROP, 1);
    check_rows();
    destroy();
}

/* Nothing kept at all: it is opened, read, closed and opened again, and waits for room. */
static void test_without_a_reserve_it_opens_and_reads(void **state)
{
    for (uint64_t seed = 0; seed < 3 * SIM_MODE_COUNT; seed++) {
        make(seed % 3 != 0, (enum sim_mode)(seed % SIM_MODE_COUNT), seed);
        (void)sim_disk_os(disk)->file_remove(sim_disk_os(disk), "/db/reserve", NULL);
        fill_disk();
        for (int i = 0; i < 2; i++) {
            open_it();
            check_rows();
            assert_int_equal(add(2000), OMEN_DISK_FULL);
            assert_int_equal(delete(2), OMEN_DISK_FULL);
            turn(3);
            check_rows();
            close_it();
            fill_disk();
        }
        open_it();
        check_rows();
        cut_power((enum sim_mode)(seed / 2 % SIM_MODE_COUNT), seed);
        check_rows();
        sim_disk_set_capacity(disk, 0); /* somebody has tidied up */
        assert_int_equal(add(2000), OMEN_OK);
        assert_int_equal(delete(2), OMEN_OK);
        cut_power(SIM_DROP, seed);
        check_rows();
        sim_disk_set_capacity(disk, 0);
        must_run("CHECKPOINT");
        check_rows();
        cut_power(SIM_DROP, seed);
        check_rows();
        destroy();
    }
}

/* After a failed sync the cache may show a commit that the disk lacks. Who has seen it once opened
 * sees it ever after, also where there is no room to copy it. */
static void test_what_is_seen_on_a_full_disk_is_durable(void **state)
{
    int seen = 0;
    for (uint64_t seed = 0; seed < 30; seed++) {
        make(false, SIM_KEEP, seed);
        open_it();
        assert_int_equal(add(1500), OMEN_OK);
        sim_disk_fail(disk, &(struct sim_fault){SIM_SYNC, SIM_LOG, 1, false, OMEN_IO_ERROR});
        assert_int_equal(add(1501), OMEN_COMMIT_UNKNOWN);
        omen_disconnect(connection);
        assert_int_equal(omen_close(database, &error), OMEN_IO_ERROR);
        (void)sim_disk_os(disk)->file_remove(sim_disk_os(disk), "/db/reserve", NULL);
        fill_disk();
        open_it();
        omen_value key = {.type.id = OMEN_TYPE_INTEGER, .as.i32 = 1501};
        omen_row *row;
        there[1501] = omen_get(connection, "t", NULL, &key, 1, &row, &error) == OMEN_OK;
        if (there[1501])
            omen_row_release(row);
        seen += there[1501];
        assert_int_equal(add(2000), OMEN_DISK_FULL);
        cut_power(seed % 2 == 0 ? SIM_DROP : SIM_REORDER_512, seed);
        check_rows();
        destroy();
    }
    assert_in_range(seen, 1, 30);
}

/* The log has nothing that a checkpoint would free: writers borrow from the reserve. */
static void test_rows_can_be_deleted_from_a_closed_database(void **state)
{
    make(false, SIM_KEEP, 2);
    fill_disk();
    open_it();
    assert_int_equal(storage_log_bytes(storage()), 0);
    assert_int_equal(delete(5), OMEN_DISK_FULL);
    turn(2);
    assert_true(storage()->reserve_left > 0);
    for (int id = 0; id < 500; id++)
        assert_int_equal(delete(id), OMEN_OK);
    check_rows();
    must_run("CHECKPOINT");
    cut_power(SIM_DROP, 3);
    check_rows();
    destroy();
}

/* The same with CHECKPOINT alone, as where the background thread sleeps. */
static void test_a_checkpoint_statement_helps_writers(void **state)
{
    make(false, SIM_KEEP, 2);
    fill_disk();
    open_it();
    assert_int_equal(delete(5), OMEN_DISK_FULL);
    must_run("CHECKPOINT");
    assert_int_equal(delete(5), OMEN_OK);
    cut_power(SIM_DROP, 3);
    check_rows();
    destroy();
}

/* A batch that finds no room, though the file system had promised it: the commit's outcome is
 * unknown, and a checkpoint gets the reserve, with which it becomes known. */
static void test_a_batch_without_room_gets_the_reserve(void **state)
{
    make(false, SIM_KEEP, 4);
    open_it();
    assert_int_equal(add(1500), OMEN_OK);
    sim_disk_fail(disk, &(struct sim_fault){SIM_WRITE, SIM_LOG, 1, true, OMEN_DISK_FULL});
    assert_int_equal(add(1501), OMEN_COMMIT_UNKNOWN);
    assert_int_equal(run("CHECKPOINT"), OMEN_DISK_FULL);
    assert_string_equal(error.sqlstate, "53100");
    assert_int_equal(storage()->reserve_left, 0); /* given back, in vain */
    sim_disk_mend(disk);
    must_run("CHECKPOINT");
    there[1501] = true;
    check_rows();
    assert_int_equal(storage()->reserve_left, RESERVE_BYTES);
    cut_power(SIM_DROP, 5);
    check_rows();
    destroy();
}

/* --- a database that was never made --- */

static uint64_t cut_number, cut_counter;
static struct sim_disk *cut;
static bool made; /* all but the name of the manifest */

static void cut_creation(void *context, struct sim_disk *from, enum sim_call call,
                         enum sim_kind kind)
{
    if (cut_counter++ != cut_number)
        return;
    cut = sim_disk_draw(from, SIM_ORDER, cut_number);
    made = call == SIM_RENAME && kind == SIM_MANIFEST_NEW;
    if (made) { /* with all that was done for it */
        sim_disk_destroy(cut);
        cut = sim_disk_draw(from, SIM_KILL, cut_number);
    }
}

/* The creation was cut off, and then others filled the disk: there is no database that could be
 * opened, only room that the creation took. It serves the next creation; where it is not enough that
 * is refused, nothing is lost, and once there is room the database is made. */
static void test_a_creation_cut_off_needs_room_and_no_more(void **state)
{
    uint64_t refused = 0, opened = 0, whole = 0;
    (void)state;
    for (cut_number = 0;; cut_number++) {
        struct database *database_made;
        const struct database_options options = {.path = "/db",
                                                 .log_file_bytes = LOG_FILE_BYTES,
                                                 .reserve_bytes = RESERVE_BYTES,
                                                 .no_background = true,
                                                 .plain_segments = true};
        disk = sim_disk_create(cut_number);
        cut_counter = 0;
        cut = NULL;
        made = false;
        sim_disk_watch(disk, cut_creation, NULL);
        open_it();
        sim_disk_watch(disk, NULL, NULL);
        close_it();
        sim_disk_destroy(disk);
        if (cut == NULL)
            break;
        disk = cut;
        uint64_t used = sim_disk_used(disk);
        sim_disk_set_capacity(disk, used != 0 ? used : 1); /* of a page there is none */
        omen_status status =
            database_open(sim_disk_os(disk), &options, &database_made, &error);
        if (status != OMEN_OK) {
            assert_int_equal(status, OMEN_DISK_FULL);
            assert_false(made);
            refused++;
        } else {
            assert_int_equal(omen_close((omen_database *)database_made, NULL), OMEN_OK);
            opened++;
            whole += made;
        }
        sim_disk_set_capacity(disk, 0);
        memset(there, 0, sizeof there);
        open_it();
        must_run("CREATE TABLE t (id int PRIMARY KEY, v text)");
        assert_int_equal(add(7), OMEN_OK);
        check_rows();
        destroy();
    }
    assert_true(refused > 0 && opened > 0 && whole == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opening_leaves_the_reserve_to_the_checkpoint),
        cmocka_unit_test(test_without_a_reserve_it_opens_and_reads),
        cmocka_unit_test(test_what_is_seen_on_a_full_disk_is_durable),
        cmocka_unit_test(test_rows_can_be_deleted_from_a_closed_database),
        cmocka_unit_test(test_a_checkpoint_statement_helps_writers),
        cmocka_unit_test(test_a_batch_without_room_gets_the_reserve),
        cmocka_unit_test(test_a_creation_cut_off_needs_room_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
