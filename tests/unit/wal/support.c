/* support.c - see support.h. */
#include "support.h"

#include <stdlib.h>

#include "base/random.h"

static const char directory[] = "/log";

static void told(void *context, uint64_t lsn)
{
    struct log_test *test = context;
    assert_true(lsn >= test->told_lsn);
    test->told_lsn = lsn;
    test->told_count++;
}

void log_init(struct log_test *test)
{
    memset(test, 0, sizeof *test);
    allocator_init(&test->allocator, 0);
    test->disk = sim_disk_create(1);
    test->options = (struct wal_options){
        .allocator = &test->allocator,
        .os = sim_disk_os(test->disk),
        .directory = directory,
        .file_bytes = LOG_FILE_BYTES,
        .database_id = "0123456789abcde",
        .durable = told,
        .durable_context = test,
    };
}

void log_end(struct log_test *test)
{
    sim_disk_mend(test->disk);
    assert_int_equal(wal_close(test->wal, NULL), OMEN_OK);
    assert_int_equal(test->allocator.bytes_used, 0);
    assert_int_equal(sim_disk_open_count(test->disk), 0);
    sim_disk_destroy(test->disk);
}

void log_create(struct log_test *test)
{
    omen_error error = {0};
    omen_status status = wal_create(&test->options, &test->wal, &error);
    if (status != OMEN_OK)
        fail_msg("%s", error.message);
    assert_int_equal(test->options.os->directory_sync(test->options.os, "/", NULL), OMEN_OK);
}

/* `length` bytes that only this commit has, on the heap. */
static uint8_t *payload(uint64_t id, uint32_t length)
{
    struct random random = random_seeded(id);
    uint8_t *bytes = malloc(length + 8);
    assert_non_null(bytes);
    for (size_t at = 0; at < length; at += 8) {
        uint64_t word = random_next(&random);
        memcpy(bytes + at, &word, 8);
    }
    return bytes;
}

omen_status log_append(struct log_test *test, uint32_t length, uint32_t piece, omen_error *error)
{
    static uint64_t last_id;
    struct log_commit commit = {.id = ++last_id, .length = length};
    omen_status status = wal_reserve(test->wal, length, error);
    if (status != OMEN_OK)
        return status;
    uint8_t *bytes = payload(commit.id, length);
    for (uint32_t at = 0; status == OMEN_OK && at < length;) {
        uint32_t next = piece == 0 || piece > length - at ? length - at : piece;
        status = wal_append(test->wal, bytes + at, next, error);
        at += next;
    }
    free(bytes);
    if (status != OMEN_OK)
        return status;
    commit.lsn = wal_commit(test->wal);
    assert_true(test->count < COMMITS_MAX);
    if (test->count > 0)
        assert_true(commit.lsn > test->commits[test->count - 1].lsn);
    test->commits[test->count++] = commit;
    return OMEN_OK;
}

void log_commit(struct log_test *test, uint32_t length)
{
    omen_error error = {0};
    omen_status status = log_append(test, length, 0, &error);
    if (status == OMEN_OK)
        status = wal_sync(test->wal, wal_end(test->wal), &error);
    if (status != OMEN_OK)
        fail_msg("%s", error.message);
    assert_true(wal_durable(test->wal) >= test->commits[test->count - 1].lsn);
    assert_int_equal(test->told_lsn, wal_durable(test->wal));
}

void log_crash(struct log_test *test, enum sim_mode mode, uint64_t seed)
{
    struct sim_disk *image = sim_disk_draw(test->disk, mode, seed);
    if (test->wal != NULL) {
        /* The process is gone: what it still does, nobody sees. */
        (void)wal_close(test->wal, NULL);
        test->wal = NULL;
    }
    sim_disk_destroy(test->disk);
    test->disk = image;
    test->options.os = sim_disk_os(image);
    test->told_lsn = 0;
}

/* --- recovery against the model --- */

struct replayed {
    struct log_test *test;
    uint8_t *bytes;
    size_t length, capacity;
};

static omen_status on_data(void *context, const void *bytes, size_t length, omen_error *error)
{
    struct replayed *state = context;
    while (state->length + length > state->capacity) {
        state->capacity = state->capacity * 2 + 1024;
        state->bytes = realloc(state->bytes, state->capacity);
        assert_non_null(state->bytes);
    }
    memcpy(state->bytes + state->length, bytes, length);
    state->length += length;
    return OMEN_OK;
}

static omen_status on_commit(void *context, uint64_t lsn, omen_error *error)
{
    struct replayed *state = context;
    struct log_test *test = state->test;
    size_t nth = test->first + test->replayed++;
    assert_true(nth < test->count);
    const struct log_commit *commit = &test->commits[nth];
    assert_int_equal(state->length, commit->length);
    assert_int_equal(lsn, commit->lsn);
    uint8_t *expected = payload(commit->id, commit->length);
    assert_memory_equal(state->bytes, expected, commit->length);
    free(expected);
    state->length = 0;
    return OMEN_OK;
}

static void on_discard(void *context)
{
    struct replayed *state = context;
    state->length = 0;
    state->test->discarded++;
}

omen_status log_recover(struct log_test *test, omen_error *error)
{
    struct replayed state = {.test = test};
    const struct wal_replay replay = {
        .context = &state, .data = on_data, .commit = on_commit, .discard = on_discard};
    test->replayed = test->discarded = 0;
    omen_status status = wal_recover(&test->options, &replay, &test->wal, error);
    free(state.bytes);
    if (status != OMEN_OK) {
        assert_null(test->wal);
        return status;
    }
    test->count = test->first + test->replayed;
    assert_true(wal_durable(test->wal) == wal_end(test->wal));
    return OMEN_OK;
}

/* --- files --- */

struct listing {
    char paths[64][64];
    size_t count;
};

static void list_file(void *context, const char *path, uint64_t bytes)
{
    struct listing *listing = context;
    const char *name = strrchr(path, '/') + 1;
    if (strlen(name) == 16 && listing->count < 64)
        snprintf(listing->paths[listing->count++], 64, "%s", path);
}

static int compare_paths(const void *left, const void *right)
{
    return strcmp(left, right);
}

static struct listing list_files(struct log_test *test)
{
    struct listing listing = {.count = 0};
    sim_disk_each(test->disk, list_file, &listing);
    qsort(listing.paths, listing.count, sizeof listing.paths[0], compare_paths);
    return listing;
}

const char *log_file_path(struct log_test *test, size_t nth)
{
    static char path[64];
    struct listing listing = list_files(test);
    assert_true(nth < listing.count);
    memcpy(path, listing.paths[nth], sizeof path);
    return path;
}

size_t log_file_count(struct log_test *test)
{
    return list_files(test).count;
}

void log_peek(struct log_test *test, const char *path, uint64_t offset, void *bytes, size_t length)
{
    const struct os *os = sim_disk_os(test->disk);
    int64_t file;
    size_t got;
    assert_int_equal(os->file_open(os, path, OS_OPEN_READ, &file, NULL), OMEN_OK);
    assert_int_equal(os->file_read_at(os, file, bytes, length, offset, &got, NULL), OMEN_OK);
    assert_int_equal(got, length);
    os->file_close(os, file);
}

void log_poke(struct log_test *test, const char *path, uint64_t offset, const void *bytes,
              size_t length)
{
    const struct os *os = sim_disk_os(test->disk);
    int64_t file;
    assert_int_equal(os->file_open(os, path, OS_OPEN_WRITE, &file, NULL), OMEN_OK);
    assert_int_equal(os->file_write_at(os, file, bytes, length, offset, NULL), OMEN_OK);
    assert_int_equal(os->file_sync(os, file, NULL), OMEN_OK);
    os->file_close(os, file);
}
