/* test_sim_disk.c - the simulated disk keeps struct os's contract and its own fault model, and
 * small programs that forget a sync are caught on it while the right one is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "crash/sim_disk.h"

/* --- struct os's contract --- */

static struct sim_disk *disk;
static const struct os *os;

static int make_disk(void **state)
{
    disk = sim_disk_create(42);
    os = sim_disk_os(disk);
    return os->directory_create(os, "db", NULL);
}

static int drop_disk(void **state)
{
    sim_disk_destroy(disk);
    return 0;
}

static int64_t open_as(const char *path, enum os_open how)
{
    int64_t file;
    assert_int_equal(os->file_open(os, path, how, &file, NULL), OMEN_OK);
    return file;
}

static void put(int64_t file, const char *text, uint64_t offset)
{
    assert_int_equal(os->file_write_at(os, file, text, strlen(text), offset, NULL), OMEN_OK);
}

/* What the file holds, as text; "?" where there is none. */
static const char *text_on(struct sim_disk *from, const char *path)
{
    static char text[64];
    const struct os *there = sim_disk_os(from);
    int64_t file;
    size_t got;
    if (there->file_open(there, path, OS_OPEN_READ, &file, NULL) != OMEN_OK)
        return "?";
    assert_int_equal(there->file_read_at(there, file, text, sizeof text - 1, 0, &got, NULL),
                     OMEN_OK);
    text[got] = '\0';
    there->file_close(there, file);
    return text;
}

static void test_files(void **state)
{
    char buffer[8] = {0};
    size_t got;
    uint64_t bytes;
    int64_t file = open_as("db/a", OS_OPEN_CREATE_NEW), other;
    put(file, "world", 6);
    put(file, "hello ", 0);
    assert_string_equal(text_on(disk, "/db/a"), "hello world");
    assert_int_equal(os->file_read(os, file, buffer, 7, &got, NULL), OMEN_OK);
    assert_memory_equal(buffer, "hello w", 7);
    assert_int_equal(os->file_read(os, file, buffer, 7, &got, NULL), OMEN_OK);
    assert_int_equal(got, 4);
    assert_int_equal(os->file_reserve(os, file, 9000, NULL), OMEN_OK);
    assert_int_equal(os->file_reserve(os, file, 50, NULL), OMEN_OK);
    assert_int_equal(os->file_size(os, file, &bytes, NULL), OMEN_OK);
    assert_int_equal(bytes, 9000);
    assert_int_equal(os->file_read_at(os, file, buffer, 8, 8995, &got, NULL), OMEN_OK);
    assert_int_equal(got, 5);
    assert_memory_equal(buffer, "\0\0\0\0\0", 5);
    assert_int_equal(os->file_truncate(os, file, 5, NULL), OMEN_OK);
    assert_int_equal(os->file_reserve(os, file, 8, NULL), OMEN_OK);
    assert_int_equal(os->file_read_at(os, file, buffer, 8, 0, &got, NULL), OMEN_OK);
    assert_memory_equal(buffer, "hello\0\0\0", 8);
    assert_int_equal(os->file_open(os, "db/a", OS_OPEN_CREATE_NEW, &other, NULL),
                     OMEN_OBJECT_IN_USE);
    assert_int_equal(os->file_open(os, "db/b", OS_OPEN_READ, &other, NULL), OMEN_FILE_NOT_FOUND);
    assert_int_equal(os->file_open(os, "dc/b", OS_OPEN_CREATE_NEW, &other, NULL),
                     OMEN_FILE_NOT_FOUND);
    os->file_close(os, file);
    assert_int_equal(sim_disk_open_count(disk), 0);
}

static omen_status count_name(void *context, const char *name)
{
    ++*(int *)context;
    return OMEN_OK;
}

static void test_names(void **state)
{
    int64_t file = open_as("db/a", OS_OPEN_CREATE_NEW), other;
    int names = 0;
    put(file, "one", 0);
    assert_int_equal(os->file_rename(os, "db/a", "db/b", NULL), OMEN_OK);
    assert_string_equal(text_on(disk, "db/b"), "one");
    other = open_as("db/a", OS_OPEN_CREATE_NEW);
    assert_int_equal(os->directory_list(os, "db", count_name, &names, NULL), OMEN_OK);
    assert_int_equal(names, 2);
    assert_int_equal(os->file_rename(os, "db/a", "db/b", NULL), OMEN_OK);
    assert_string_equal(text_on(disk, "db/b"), "");
    put(file, "still", 0); /* replaced, and open all the same */
    assert_int_equal(os->file_rename(os, "db/a", "db/b", NULL), OMEN_FILE_NOT_FOUND);
    assert_int_equal(os->file_remove(os, "db/b", NULL), OMEN_OK);
    assert_int_equal(os->file_remove(os, "db/b", NULL), OMEN_FILE_NOT_FOUND);
    assert_int_equal(os->directory_create(os, "db", NULL), OMEN_OBJECT_IN_USE);
    assert_int_equal(os->directory_create(os, "x/y", NULL), OMEN_FILE_NOT_FOUND);
    assert_int_equal(os->directory_sync(os, "x", NULL), OMEN_FILE_NOT_FOUND);
    os->file_close(os, file);
    os->file_close(os, other);
    assert_int_equal(sim_disk_used(disk), 0);
}

static void test_locks_end_with_the_process(void **state)
{
    int64_t file = open_as("db/lock", OS_OPEN_CREATE_NEW),
            other = open_as("db/lock", OS_OPEN_WRITE);
    assert_int_equal(os->file_lock(os, file, NULL), OMEN_OK);
    assert_int_equal(os->file_lock(os, other, NULL), OMEN_OBJECT_IN_USE);
    struct sim_disk *next = sim_disk_draw(disk, SIM_KILL, 1);
    const struct os *there = sim_disk_os(next);
    int64_t third;
    assert_int_equal(there->file_open(there, "db/lock", OS_OPEN_WRITE, &third, NULL), OMEN_OK);
    assert_int_equal(there->file_lock(there, third, NULL), OMEN_OK);
    sim_disk_destroy(next);
    os->file_close(os, file);
    assert_int_equal(os->file_lock(os, other, NULL), OMEN_OK);
    os->file_close(os, other);
}

/* --- the fault model --- */

/* How many of 400 images of that mode hold `text` in the file. */
static int count_images(enum sim_mode mode, const char *path, const char *text)
{
    int found = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct sim_disk *image = sim_disk_draw(disk, mode, seed);
        found += strcmp(text_on(image, path), text) == 0;
        sim_disk_destroy(image);
    }
    return found;
}

static void test_only_syncs_make_durable(void **state)
{
    int64_t file = open_as("db/a", OS_OPEN_CREATE_NEW);
    put(file, "old", 0);
    assert_int_equal(count_images(SIM_DROP, "db/a", "?"), 400);
    assert_int_equal(count_images(SIM_KEEP, "db/a", "old"), 400);
    assert_int_equal(os->file_sync(os, file, NULL), OMEN_OK);
    assert_int_equal(count_images(SIM_DROP, "db/a", "?"), 400); /* the name is not durable */
    assert_int_equal(os->directory_sync(os, "db", NULL), OMEN_OK);
    assert_int_equal(os->directory_sync(os, "/", NULL), OMEN_OK);
    assert_int_equal(count_images(SIM_DROP, "db/a", "old"), 400);
    assert_int_equal(sim_disk_unsynced(disk), 0);
    put(file, "new", 0);
    put(file, "er", 3);
    for (int mode = SIM_ORDER; mode <= SIM_REORDER_4096; mode++) {
        int old = count_images(mode, "db/a", "old"), newer = count_images(mode, "db/a", "newer");
        assert_true(old > 20 && newer > 20 && count_images(mode, "db/a", "new") > 10);
    }
    assert_int_equal(count_images(SIM_KILL, "db/a", "newer"), 400);
    os->file_close(os, file);
}

static void test_names_are_independent(void **state)
{
    assert_int_equal(os->directory_sync(os, "/", NULL), OMEN_OK);
    int64_t file = open_as("db/a", OS_OPEN_CREATE_NEW), other = open_as("db/b", OS_OPEN_CREATE_NEW);
    put(file, "A", 0);
    put(other, "B", 0);
    assert_int_equal(os->file_sync(os, file, NULL), OMEN_OK);
    assert_int_equal(os->file_sync(os, other, NULL), OMEN_OK);
    assert_int_equal(os->file_rename(os, "db/a", "db/c", NULL), OMEN_OK);
    int both = 0, none = 0, moved = 0, b_alone = 0, lost_a = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct sim_disk *image = sim_disk_draw(disk, SIM_REORDER_4096, seed);
        bool a = *text_on(image, "db/a") == 'A', b = *text_on(image, "db/b") == 'B';
        bool c = *text_on(image, "db/c") == 'A';
        both += a && b;
        none += !a && !b && !c;
        moved += c && !b;
        b_alone += b && !a && !c;
        lost_a += a && c;
        sim_disk_destroy(image);
    }
    assert_true(both > 20 && none > 20 && moved > 20 && b_alone > 20);
    assert_int_equal(lost_a, 0); /* a rename is atomic */
    os->file_close(os, file);
    os->file_close(os, other);
}

/* Sectors of one write tear at 512 bytes where they may, and never within. */
static void test_tears(void **state)
{
    static char old[8192], new[8192], found[8192];
    memset(old, 'o', sizeof old);
    memset(new, 'n', sizeof new);
    int64_t file = open_as("db/a", OS_OPEN_CREATE_NEW);
    assert_int_equal(os->file_write_at(os, file, old, sizeof old, 0, NULL), OMEN_OK);
    assert_int_equal(os->file_sync(os, file, NULL), OMEN_OK);
    assert_int_equal(os->directory_sync(os, "db", NULL), OMEN_OK);
    assert_int_equal(os->directory_sync(os, "/", NULL), OMEN_OK);
    assert_int_equal(os->file_write_at(os, file, new, sizeof new, 0, NULL), OMEN_OK);
    os->file_close(os, file);
    int mixed_pages[SIM_MODE_COUNT] = {0}, mixed_files[SIM_MODE_COUNT] = {0};
    for (int mode = 0; mode < SIM_MODE_COUNT; mode++)
        for (uint64_t seed = 0; seed < 400; seed++) {
            struct sim_disk *image = sim_disk_draw(disk, mode, seed);
            const struct os *there = sim_disk_os(image);
            size_t got;
            assert_int_equal(there->file_open(there, "db/a", OS_OPEN_READ, &file, NULL), OMEN_OK);
            assert_int_equal(there->file_read_at(there, file, found, sizeof found, 0, &got, NULL),
                             OMEN_OK);
            assert_int_equal(got, sizeof found);
            for (size_t i = 0; i < sizeof found; i += 512)
                for (size_t j = 0; j < 512; j++)
                    assert_int_equal(found[i + j], found[i]);
            mixed_pages[mode] += memcmp(found, found + 512, 4096 - 512) != 0;
            mixed_files[mode] += found[0] != found[4096];
            sim_disk_destroy(image);
        }
    for (int mode = 0; mode < SIM_MODE_COUNT; mode++) {
        bool tears = mode == SIM_TEAR_512 || mode == SIM_REORDER_512;
        bool splits = tears || mode == SIM_TEAR_4096 || mode == SIM_REORDER_4096;
        assert_true(tears ? mixed_pages[mode] > 20 : mixed_pages[mode] == 0);
        assert_true(splits ? mixed_files[mode] > 20 : mixed_files[mode] == 0);
    }
}

static void test_failed_sync_lies(void **state)
{
    int lost = 0, kept = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct sim_disk *fresh = sim_disk_create(seed);
        const struct os *there = sim_disk_os(fresh);
        int64_t file;
        assert_int_equal(there->file_open(there, "a", OS_OPEN_CREATE_NEW, &file, NULL), OMEN_OK);
        assert_int_equal(there->file_write_at(there, file, "old", 3, 0, NULL), OMEN_OK);
        assert_int_equal(there->file_sync(there, file, NULL), OMEN_OK);
        assert_int_equal(there->directory_sync(there, "/", NULL), OMEN_OK);
        assert_int_equal(there->file_write_at(there, file, "new", 3, 0, NULL), OMEN_OK);
        sim_disk_fail(fresh,
                      &(struct sim_fault){SIM_SYNC, SIM_KIND_COUNT, 1, false, OMEN_IO_ERROR});
        assert_int_equal(there->file_sync(there, file, NULL), OMEN_IO_ERROR);
        assert_int_equal(there->file_sync(there, file, NULL), OMEN_OK); /* and proves nothing */
        assert_string_equal(text_on(fresh, "a"), "new");
        struct sim_disk *killed = sim_disk_draw(fresh, SIM_KILL, seed);
        assert_string_equal(text_on(killed, "a"), "new");
        struct sim_disk *cut = sim_disk_draw(killed, SIM_KEEP, seed);
        lost += strcmp(text_on(cut, "a"), "old") == 0;
        kept += strcmp(text_on(cut, "a"), "new") == 0;
        sim_disk_destroy(cut);
        sim_disk_destroy(killed);
        /* A new write to the page brings all of it. */
        assert_int_equal(there->file_write_at(there, file, "!", 1, 3, NULL), OMEN_OK);
        assert_int_equal(there->file_sync(there, file, NULL), OMEN_OK);
        cut = sim_disk_draw(fresh, SIM_DROP, seed);
        assert_string_equal(text_on(cut, "a"), "new!");
        sim_disk_destroy(cut);
        sim_disk_destroy(fresh);
    }
    assert_true(lost > 40 && kept > 40 && lost + kept == 200);
}

static void test_planned_failures(void **state)
{
    int64_t file = open_as("db/manifest", OS_OPEN_CREATE_NEW);
    sim_disk_fail(disk, &(struct sim_fault){SIM_WRITE, SIM_MANIFEST, 2, false, OMEN_IO_ERROR});
    put(file, "a", 0);
    assert_int_equal(os->file_write_at(os, file, "b", 1, 0, NULL), OMEN_IO_ERROR);
    put(file, "c", 0);
    sim_disk_mend(disk);
    sim_disk_fail(disk, &(struct sim_fault){SIM_WRITE, SIM_KIND_COUNT, 1, true, OMEN_DISK_FULL});
    assert_int_equal(os->file_write_at(os, file, "d", 1, 0, NULL), OMEN_DISK_FULL);
    assert_int_equal(os->file_write_at(os, file, "e", 1, 0, NULL), OMEN_DISK_FULL);
    sim_disk_mend(disk);
    put(file, "f", 0);
    assert_int_equal(sim_disk_calls(disk, SIM_WRITE, SIM_MANIFEST), 6);
    assert_int_equal(sim_disk_failures(disk, SIM_WRITE, SIM_MANIFEST), 3);
    sim_disk_set_read_only(disk, true);
    assert_int_equal(os->file_write_at(os, file, "g", 1, 0, NULL), OMEN_INSUFFICIENT_PRIVILEGE);
    assert_int_equal(os->file_remove(os, "db/manifest", NULL), OMEN_INSUFFICIENT_PRIVILEGE);
    os->file_close(os, file);
    assert_string_equal(text_on(disk, "db/manifest"), "f");
}

static void test_full_disk(void **state)
{
    static char bytes[3 * SIM_PAGE_BYTES];
    int64_t file = open_as("db/a", OS_OPEN_CREATE_NEW), other = open_as("db/b", OS_OPEN_CREATE_NEW);
    sim_disk_set_capacity(disk, 4 * SIM_PAGE_BYTES);
    assert_int_equal(os->file_reserve(os, file, 2 * SIM_PAGE_BYTES, NULL), OMEN_OK);
    assert_int_equal(os->file_write_at(os, other, bytes, 3 * SIM_PAGE_BYTES, 0, NULL),
                     OMEN_DISK_FULL);
    uint64_t size;
    assert_int_equal(os->file_size(os, other, &size, NULL), OMEN_OK);
    assert_int_equal(size, 2 * SIM_PAGE_BYTES);
    assert_int_equal(os->file_write_at(os, file, bytes, 2 * SIM_PAGE_BYTES, 0, NULL), OMEN_OK);
    assert_int_equal(os->file_reserve(os, file, 3 * SIM_PAGE_BYTES, NULL), OMEN_DISK_FULL);
    int64_t third;
    assert_int_equal(os->file_open(os, "db/c", OS_OPEN_CREATE_NEW, &third, NULL), OMEN_DISK_FULL);
    assert_int_equal(os->file_remove(os, "db/b", NULL), OMEN_OK);
    assert_int_equal(os->file_reserve(os, file, 3 * SIM_PAGE_BYTES, NULL), OMEN_DISK_FULL);
    os->file_close(os, other); /* only now the room is free */
    assert_int_equal(os->file_reserve(os, file, 4 * SIM_PAGE_BYTES, NULL), OMEN_OK);
    os->file_close(os, file);
}

static void test_same_seed_same_image(void **state)
{
    int64_t file = open_as("db/a", OS_OPEN_CREATE_NEW);
    for (uint64_t i = 0; i < 64; i++)
        put(file, "some text", i * 4000);
    uint64_t kept = sim_disk_hash(disk);
    int different = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct sim_disk *a = sim_disk_draw(disk, SIM_REORDER_512, seed);
        struct sim_disk *b = sim_disk_draw(disk, SIM_REORDER_512, seed);
        assert_true(sim_disk_hash(a) == sim_disk_hash(b));
        different += sim_disk_hash(a) != kept;
        sim_disk_destroy(a);
        sim_disk_destroy(b);
    }
    assert_true(different > 50);
    assert_true(sim_disk_hash(disk) == kept);
    os->file_close(os, file);
}

/* --- programs --- */

enum forgotten { NOTHING, FILE_SYNC, DIRECTORY_SYNC, NEW_FILE };

/* Replaces the counter in db/counter by `value`, which is acknowledged when this returns. */
static void store_counter(const struct os *there, uint64_t value, enum forgotten forgotten)
{
    const char *path = forgotten == NEW_FILE ? "db/counter" : "db/counter.new";
    uint64_t record[1000];
    for (size_t i = 0; i < 1000; i++)
        record[i] = value;
    int64_t file;
    if (there->file_open(there, path, OS_OPEN_WRITE, &file, NULL) != OMEN_OK)
        assert_int_equal(there->file_open(there, path, OS_OPEN_CREATE_NEW, &file, NULL), OMEN_OK);
    assert_int_equal(there->file_write_at(there, file, record, sizeof record, 0, NULL), OMEN_OK);
    if (forgotten != FILE_SYNC)
        assert_int_equal(there->file_sync(there, file, NULL), OMEN_OK);
    there->file_close(there, file);
    if (forgotten != NEW_FILE)
        assert_int_equal(there->file_rename(there, path, "db/counter", NULL), OMEN_OK);
    if (forgotten != DIRECTORY_SYNC)
        assert_int_equal(there->directory_sync(there, "db", NULL), OMEN_OK);
}

struct ledger {
    uint64_t acknowledged, begun, seed;
    int images, wrong;
};

/* Draws images and checks that each holds a whole counter that was acknowledged or begun. */
static void check_images(void *context, struct sim_disk *from, enum sim_call call,
                         enum sim_kind kind)
{
    struct ledger *ledger = context;
    for (int mode = 0; mode < SIM_MODE_COUNT; mode++) {
        struct sim_disk *image = sim_disk_draw(from, mode, ledger->seed++);
        const struct os *there = sim_disk_os(image);
        uint64_t record[1000] = {0};
        size_t got = 0;
        int64_t file;
        bool right = ledger->acknowledged == 0;
        if (there->file_open(there, "db/counter", OS_OPEN_READ, &file, NULL) == OMEN_OK) {
            assert_int_equal(there->file_read_at(there, file, record, sizeof record, 0, &got, NULL),
                             OMEN_OK);
            right = got == sizeof record && record[0] >= ledger->acknowledged &&
                    record[0] <= ledger->begun;
            for (size_t i = 1; i < 1000; i++)
                right = right && record[i] == record[0];
        }
        ledger->images++;
        ledger->wrong += !right;
        sim_disk_destroy(image);
    }
}

static int wrong_images(enum forgotten forgotten)
{
    struct ledger ledger = {0};
    assert_int_equal(os->directory_sync(os, "/", NULL), OMEN_OK);
    sim_disk_watch(disk, check_images, &ledger);
    for (uint64_t value = 1; value <= 20; value++) {
        ledger.begun = value;
        store_counter(os, value, forgotten);
        ledger.acknowledged = value;
        check_images(&ledger, disk, SIM_CALL_COUNT, SIM_KIND_COUNT);
    }
    sim_disk_watch(disk, NULL, NULL);
    assert_true(ledger.images > 500);
    return ledger.wrong;
}

static void test_right_program_passes(void **state)
{
    assert_int_equal(wrong_images(NOTHING), 0);
}

static void test_forgotten_file_sync_is_caught(void **state)
{
    assert_true(wrong_images(FILE_SYNC) > 0);
}

static void test_forgotten_directory_sync_is_caught(void **state)
{
    assert_true(wrong_images(DIRECTORY_SYNC) > 0);
}

static void test_writing_in_place_is_caught(void **state)
{
    assert_true(wrong_images(NEW_FILE) > 0);
}

#define DISK_TEST(test) cmocka_unit_test_setup_teardown(test, make_disk, drop_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(test_files),
        DISK_TEST(test_names),
        DISK_TEST(test_locks_end_with_the_process),
        DISK_TEST(test_only_syncs_make_durable),
        DISK_TEST(test_names_are_independent),
        DISK_TEST(test_tears),
        DISK_TEST(test_failed_sync_lies),
        DISK_TEST(test_planned_failures),
        DISK_TEST(test_full_disk),
        DISK_TEST(test_same_seed_same_image),
        DISK_TEST(test_right_program_passes),
        DISK_TEST(test_forgotten_file_sync_is_caught),
        DISK_TEST(test_forgotten_directory_sync_is_caught),
        DISK_TEST(test_writing_in_place_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
