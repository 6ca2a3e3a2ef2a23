/* flip_live.c - see flip_live.h. Reads manifest and log with the core's own functions. */
#include "crash/flip_live.h"

#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "store/manifest.h"
#include "store/segment.h"
#include "wal/wal_read.h"

enum { HEADER_BYTES = sizeof(struct wal_header_bytes) };

static void note_file(void *context, const char *path, uint64_t bytes)
{
    struct flip_files *files = context;
    OMEN_ASSERT(files->count < FLIP_FILES_MAX && strlen(path) < FLIP_PATH_BYTES);
    struct flip_file *file = &files->files[files->count++];
    *file = (struct flip_file){.bytes = bytes};
    memcpy(file->path, path, strlen(path) + 1);
}

static struct flip_file *find_file(struct flip_files *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++) {
        const char *has = files->files[i].path;
        if (strcmp(has + (has[0] == '/'), path) == 0)
            return &files->files[i];
    }
    return NULL;
}

static void mark(struct flip_files *files, const char *path, uint64_t from, uint64_t to)
{
    struct flip_file *file = find_file(files, path);
    OMEN_ASSERT(file != NULL && to <= file->bytes && file->live_count < FLIP_RANGES_MAX);
    if (from < to)
        file->live[file->live_count++] = (struct flip_range){from, to};
}

static void mark_whole(struct flip_files *files, const char *path)
{
    const struct flip_file *file = find_file(files, path);
    OMEN_ASSERT(file != NULL);
    mark(files, path, 0, file->bytes);
}

static void mark_segments(struct flip_files *files, const struct manifest *manifest)
{
    for (size_t i = 0; i < manifest->table_count; i++)
        for (size_t j = 0; j < manifest->tables[i].segment_count; j++) {
            const struct manifest_segment *segment = &manifest->tables[i].segments[j];
            struct segment_facts facts;
            OMEN_ASSERT(segment_facts_take(segment->facts, segment->facts_bytes, &facts));
            for (int what = SEGMENT_DATA; what <= SEGMENT_ENDS; what++) {
                char path[SEGMENT_PATH_BYTES_MAX];
                segment_path("db/data", &facts, (enum segment_file)what, path);
                if (what != SEGMENT_ENDS || facts.ends_bytes != 0)
                    mark_whole(files, path);
            }
        }
}

/* Where the batch lies that says that the log was closed: it is the last. */
static uint64_t find_closing(struct wal_folder *folder, const struct wal_file *files,
                             uint64_t start_lsn)
{
    struct wal_reader reader;
    struct wal_batch batch = {.flags = 0}, next;
    const uint8_t *records;
    OMEN_ASSERT(wal_reader_init(&reader, folder, NULL) == OMEN_OK);
    OMEN_ASSERT(wal_reader_seek(&reader, files, start_lsn, NULL) == OMEN_OK);
    while (wal_reader_next(&reader, &next, &records, NULL) == OMEN_OK && records != NULL)
        batch = next;
    wal_reader_release(&reader);
    OMEN_ASSERT(batch.flags & WAL_BATCH_CLOSE);
    return batch.lsn;
}

static void mark_log(struct flip_files *files, const struct wal_options *options)
{
    struct wal_folder folder;
    struct wal_file *log;
    struct byte_writer remains = {.allocator = options->allocator};
    OMEN_ASSERT(wal_folder_init(&folder, options, NULL) == OMEN_OK);
    OMEN_ASSERT(wal_folder_scan(&folder, options->start_lsn, &log, &remains, NULL) == OMEN_OK);
    uint64_t end_lsn = find_closing(&folder, log, options->start_lsn);
    for (const struct wal_file *file = log; file != NULL; file = file->next) {
        const char *path = wal_folder_file_path(&folder, file->first_lsn);
        uint64_t from = size_max(file->first_lsn, options->start_lsn);
        uint64_t to = size_min(file->end_lsn, end_lsn);
        bool holds_start = file->first_lsn < options->start_lsn && from < file->end_lsn;
        if (holds_start || from < to)
            mark(files, path, 0, HEADER_BYTES);
        if (from < to)
            mark(files, path, WAL_HEADER_BYTES + from - file->first_lsn,
                 WAL_HEADER_BYTES + to - file->first_lsn);
    }
    wal_files_free(&folder, log);
    byte_writer_release(&remains);
    wal_folder_release(&folder);
}

void flip_files_find(struct sim_disk *disk, struct flip_files *files)
{
    const struct os *os = sim_disk_os(disk);
    struct allocator *allocator;
    struct manifest manifest;
    allocator = allocator_create(0);
    OMEN_ASSERT(allocator != NULL);
    files->count = 0;
    sim_disk_each(disk, note_file, files);
    OMEN_ASSERT(manifest_read(os, "db", allocator, &manifest, NULL) == OMEN_OK);
    struct wal_options options = {.allocator = allocator,
                                  .os = os,
                                  .directory = "db/log",
                                  .start_lsn = manifest.start_lsn,
                                  .proven_lsn = manifest.proven_lsn};
    memcpy(options.database_id, manifest.database_id, sizeof options.database_id);
    mark_whole(files, "db/" MANIFEST_NAME);
    mark_segments(files, &manifest);
    mark_log(files, &options);
    manifest_release(&manifest);
    allocator_retire(allocator);
}

bool flip_file_counts(const struct flip_file *file, uint64_t at)
{
    for (uint32_t i = 0; i < file->live_count; i++)
        if (at >= file->live[i].from && at < file->live[i].to)
            return true;
    return false;
}

bool flip_file_harmed(const struct flip_file *file, const uint8_t *before, const uint8_t *data,
                      size_t length)
{
    if (file->live_count == 0)
        return false;
    if (data == NULL || length < file->bytes)
        return true;
    for (uint32_t i = 0; i < file->live_count; i++) {
        const struct flip_range *range = &file->live[i];
        if (memcmp(before + range->from, data + range->from, range->to - range->from) != 0)
            return true;
    }
    return false;
}
