/* verify.c - checking a database without opening it for good.
 *
 * Parts are checked one by one, so that a fault in one does not hide those of others: first each
 * segment alone, with all of its columns; then, where the segments are whole, everything together
 * as opening would have it: segments adopted, log applied, tables validated. Of columns one row
 * group's are in memory at a time; of everything the index is.
 */
#include "store/verify.h"

#include <stdarg.h>
#include <string.h>

#include "base/bits.h"
#include "store/storage_private.h"

enum { LINE_BYTES = 1024 };

struct verify {
    struct storage *storage;
    struct verify_report *report;
};

static void say(struct verify *verify, const char *format, ...) OMEN_PRINTF(2, 3);

static void say(struct verify *verify, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (verify->report->line != NULL)
        verify->report->line(verify->report->context, line);
}

static void fault(struct verify *verify, const char *where, const omen_error *error)
{
    verify->report->faults++;
    say(verify, "fault in %s: %s (%s)", where, error->message, error->sqlstate);
}

/* --- one segment --- */

static bool keys_equal(enum index_kind kind, const struct group_keys *keys, uint32_t position,
                       struct index_key key)
{
    if (kind == INDEX_WORD)
        return keys->words[position] == key.word;
    const struct index_key *other = &keys->bytes[position];
    return other->length == key.length &&
           (key.length == 0 || memcmp(other->bytes, key.bytes, key.length) == 0);
}

/* Every slot that began has one key, and that is the row's. The columns of the key are here. */
static omen_status check_keys(const struct row_group *group, const struct group_keys *keys,
                              struct arena *arena, omen_error *error)
{
    uint64_t seen[ROW_GROUP_ROWS / 64] = {0};
    uint32_t rows = row_group_row_count(group), begun = 0;
    for (uint32_t i = 0; i < keys->count; i++) {
        uint32_t slot = keys->slots[i];
        struct index_key key;
        if (slot >= rows || bit_get(seen, slot) || !row_group_has_begun(group, slot))
            return error_set(error, OMEN_CORRUPTED, "the keys lead to slot %u, which is not there",
                             slot);
        bit_set(seen, slot);
        omen_status status = row_group_key(group, slot, arena, &key);
        if (status != OMEN_OK)
            return error_set_default(error, status);
        if (!keys_equal(row_group_schema(group)->key.kind, keys, i, key))
            return error_set(error, OMEN_CORRUPTED, "the key of slot %u is not the row's", slot);
    }
    for (uint32_t slot = 0; slot < rows; slot++)
        begun += row_group_has_begun(group, slot);
    if (begun != keys->count)
        return error_set(error, OMEN_CORRUPTED, "%u rows and %u keys", begun, keys->count);
    return OMEN_OK;
}

static omen_status check_group(struct verify *verify, const struct adopted_group *adopted,
                               omen_error *error)
{
    struct arena arena;
    omen_error reason = {.message = ""};
    const struct row_group *group = adopted->group;
    arena_init(&arena, verify->storage->allocator);
    omen_status status = row_group_ensure_all(group, &reason);
    if (status == OMEN_OK)
        status = row_group_validate(group, &reason);
    if (status == OMEN_OK)
        status = check_keys(group, &adopted->keys, &arena, &reason);
    arena_release(&arena);
    if (status == OMEN_OK) {
        verify->report->groups++;
        verify->report->rows += row_group_row_count(group) - row_group_ended_count(group);
        return OMEN_OK;
    }
    return error_set(error, status, "row group %llu: %.400s",
                     (unsigned long long)row_group_number(group), reason.message);
}

static bool check_segment(struct verify *verify, struct schema *schema, const char *table,
                          const struct manifest_segment *from)
{
    struct segment_facts facts;
    struct segment_opened opened = {.group_count = 0};
    char where[LINE_BYTES], path[SEGMENT_PATH_BYTES_MAX];
    omen_error error = {.message = ""};
    uint64_t faults = verify->report->faults;
    if (!segment_facts_take(from->facts, from->facts_bytes, &facts)) {
        error_set(&error, OMEN_CORRUPTED, "what it says of a segment is damaged");
        fault(verify, "manifest", &error);
        return false;
    }
    segment_path(DIRECTORY_DATA, &facts, SEGMENT_DATA, path);
    snprintf(where, sizeof where, "table \"%s\", segment %.100s", table, path);
    verify->report->segments++;
    omen_status status = segment_open(&verify->storage->segments, schema, &facts, &opened, &error);
    if (status == OMEN_OK)
        status = segment_verify(opened.segment, &error);
    if (status != OMEN_OK)
        fault(verify, where, &error);
    for (uint32_t i = 0; i < opened.group_count && status == OMEN_OK; i++) {
        if (check_group(verify, &opened.groups[i], &error) != OMEN_OK)
            fault(verify, where, &error);
        row_group_release(opened.groups[i].group); /* one at a time in memory */
        opened.groups[i].group = NULL;
    }
    segment_opened_release(&opened);
    return verify->report->faults == faults;
}

/* --- everything together --- */

static void check_tables(struct verify *verify)
{
    struct catalog *catalog = verify->storage->database->catalog;
    struct table **tables;
    size_t count;
    omen_error error = {.message = ""};
    omen_status status = catalog_list(catalog, &tables, &count);
    if (status != OMEN_OK) {
        error_set_default(&error, status);
        fault(verify, "memory", &error);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char where[LINE_BYTES];
        snprintf(where, sizeof where, "table \"%s\"", table_name(tables[i]));
        if (table_validate(tables[i], &error) != OMEN_OK)
            fault(verify, where, &error);
    }
    catalog_list_release(catalog, tables, count);
}

/* Opens it all, as far as the parts are whole, and changes nothing. */
static void check_whole(struct verify *verify, const struct manifest *manifest)
{
    struct storage *storage = verify->storage;
    omen_error error = {.message = ""};
    omen_status status = storage_expect_tables(storage, manifest->table_count, &error);
    if (status != OMEN_OK)
        fault(verify, "memory", &error);
    for (size_t i = 0; i < manifest->table_count && status == OMEN_OK; i++) {
        char where[LINE_BYTES];
        const struct manifest_table *table = &manifest->tables[i];
        snprintf(where, sizeof where, "table \"%s\"", table->definition.name);
        status = storage_restore_table(storage, table, &error);
        if (status != OMEN_OK)
            fault(verify, where, &error);
    }
    if (status != OMEN_OK)
        return;
    catalog_set_id_next(storage->database->catalog, manifest->table_id_next);
    status = recovery_try(storage, manifest, &error);
    if (status != OMEN_OK)
        fault(verify, "log", &error);
    else
        check_tables(verify);
}

/* The log alone, where the tables are not whole. */
static void check_log(struct verify *verify, const struct manifest *manifest)
{
    omen_error error = {.message = ""};
    uint64_t end_lsn;
    const struct wal_options options =
        storage_wal_options(verify->storage, manifest->start_lsn, manifest->proven_lsn);
    if (wal_verify(&options, NULL, &end_lsn, &error) != OMEN_OK)
        fault(verify, "log", &error);
}

static void check_manifest(struct verify *verify, const struct manifest *manifest)
{
    bool whole = true;
    storage_set_identity(verify->storage, manifest->database_id);
    for (size_t i = 0; i < manifest->table_count; i++) {
        const struct manifest_table *table = &manifest->tables[i];
        for (size_t j = 0; j < table->segment_count; j++)
            whole = check_segment(verify, table->definition.schema, table->definition.name,
                                  &table->segments[j]) &&
                    whole;
        say(verify, "table \"%s\": %zu segments", table->definition.name, table->segment_count);
    }
    verify->report->tables = manifest->table_count;
    if (whole)
        check_whole(verify, manifest);
    else
        check_log(verify, manifest);
    if (whole && verify->report->faults == 0)
        say(verify, "log: %llu commits", (unsigned long long)verify->storage->replayed_commits);
}

/* --- the way there --- */

static omen_status ignore_name(void *context, const char *name)
{
    return OMEN_OK;
}

/* Unlike opening, verifying makes nothing where nothing is. */
static omen_status find_database(struct storage *storage, const char *path, omen_error *error)
{
    OMEN_TRY(storage->os->directory_list(storage->os, path, ignore_name, NULL, error));
    OMEN_TRY(storage_find(storage, path, error));
    if (!storage->directory.fresh)
        return OMEN_OK;
    return error_set(error, OMEN_FILE_NOT_FOUND, "there is no database in \"%s\"", path);
}

static omen_status verify_path(struct verify *verify, const char *path, omen_error *error)
{
    struct storage *storage = verify->storage;
    struct manifest manifest;
    omen_error reason = {.message = ""};
    OMEN_TRY(find_database(storage, path, error));
    omen_status status =
        manifest_read(storage->os, storage->directory.path, storage->allocator, &manifest, &reason);
    if (status == OMEN_OK)
        check_manifest(verify, &manifest);
    else if (status == OMEN_CORRUPTED || status == OMEN_IO_ERROR)
        fault(verify, "manifest", &reason);
    manifest_release(&manifest);
    if (status == OMEN_OK || status == OMEN_CORRUPTED || status == OMEN_IO_ERROR)
        return OMEN_OK;
    return error_set(error, status, "%s", reason.message);
}

omen_status database_verify(const struct os *os, const struct database_options *options,
                            struct verify_report *report, omen_error *error)
{
    struct database_options in_memory = *options;
    struct database *database;
    struct verify verify = {.report = report};
    in_memory.path = NULL;
    report->tables = report->segments = report->groups = report->rows = report->faults = 0;
    OMEN_TRY(database_open(os, &in_memory, &database, error));
    verify.storage = storage_make(database, options);
    omen_status status = verify.storage == NULL ? error_set_default(error, OMEN_OUT_OF_MEMORY)
                                                : verify_path(&verify, options->path, error);
    if (verify.storage != NULL)
        storage_free(verify.storage);
    omen_status closed = database_close(database, status == OMEN_OK ? error : NULL);
    return status == OMEN_OK ? closed : status;
}
