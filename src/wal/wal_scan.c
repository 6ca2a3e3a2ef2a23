/* wal_scan.c - which files of the folder make up the log.
 *
 * Files come and go by renames that a crash may take back, so the folder may hold more than the
 * log: a file is part of it unless one of higher sequence begins at or before its first LSN
 * (wal_format.h, invariant 4). Walking the files by rising first LSN, those remain whose sequence
 * is higher than any before; each ends where the next begins.
 *
 * A file may lie under "again-" and its name (wal_file_name_again). Where one lies under the name
 * itself as well, that one came later and counts. Of several the last one counts: the others were
 * released under their names before it came, and only the disk had kept the others of them.
 */
#include "wal/wal_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LSN_DIGITS = LSN_NAME_BYTES - 1 };

struct scan {
    struct wal_folder *folder;
    struct byte_writer *remains;
    struct byte_writer lsns;   /* u64 of the machine */
    struct byte_writer agains; /* likewise, under "again-" */
};

/* The LSN that a log file's name stands for; false for other names. */
static bool parse_name(const char *name, uint64_t *lsn)
{
    if (strlen(name) != LSN_DIGITS || strspn(name, "0123456789abcdef") != LSN_DIGITS)
        return false;
    *lsn = strtoull(name, NULL, 16);
    return true;
}

static omen_status visit_name(void *context, const char *name)
{
    struct scan *scan = context;
    uint64_t lsn;
    if (parse_name(name, &lsn))
        byte_writer_put(&scan->lsns, &lsn, sizeof lsn);
    else if (strncmp(name, "again-", 6) == 0 && parse_name(name + 6, &lsn))
        byte_writer_put(&scan->agains, &lsn, sizeof lsn);
    else if (strcmp(name, "new") == 0 || strncmp(name, "spare-", 6) == 0)
        byte_writer_put(scan->remains, name, strlen(name) + 1);
    bool failed = scan->lsns.failed || scan->agains.failed || scan->remains->failed;
    return failed ? OMEN_OUT_OF_MEMORY : OMEN_OK;
}

static int compare_lsns(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a), memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

static uint64_t lsn_at(const struct byte_writer *lsns, size_t position)
{
    uint64_t lsn;
    memcpy(&lsn, lsns->data + position * sizeof lsn, sizeof lsn);
    return lsn;
}

static bool contains(const struct byte_writer *lsns, uint64_t lsn)
{
    for (size_t i = 0; i < lsns->length / sizeof lsn; i++)
        if (lsn_at(lsns, i) == lsn)
            return true;
    return false;
}

/* Chooses the file under "again-" that is part of the log, if one is. */
static omen_status take_again(struct scan *scan)
{
    struct wal_folder *folder = scan->folder;
    size_t count = scan->agains.length / sizeof(uint64_t);
    folder->again_lsn = WAL_LSN_NONE;
    for (size_t i = 0; i < count; i++) {
        uint64_t lsn = lsn_at(&scan->agains, i);
        bool later = folder->again_lsn == WAL_LSN_NONE || lsn > folder->again_lsn;
        if (later && !contains(&scan->lsns, lsn))
            folder->again_lsn = lsn;
    }
    for (size_t i = 0; i < count; i++) {
        char name[6 + LSN_NAME_BYTES] = "again-";
        uint64_t lsn = lsn_at(&scan->agains, i);
        wal_file_name(name + 6, lsn);
        if (lsn != folder->again_lsn)
            byte_writer_put(scan->remains, name, sizeof name);
        else
            byte_writer_put(&scan->lsns, &lsn, sizeof lsn);
    }
    return scan->lsns.failed || scan->remains->failed ? OMEN_OUT_OF_MEMORY : OMEN_OK;
}

/* Reads the header of the file named by `lsn`. */
static omen_status read_header(struct wal_folder *folder, uint64_t lsn, struct wal_header *header,
                               omen_error *error)
{
    const struct os *os = folder->os;
    const char *path = wal_folder_file_path(folder, lsn);
    uint8_t bytes[sizeof(struct wal_header_bytes)];
    int64_t handle;
    uint64_t size = 0;
    size_t got;
    OMEN_TRY(os->file_open(os, path, OS_OPEN_READ, &handle, error));
    omen_status status = os->file_read_at(os, handle, bytes, sizeof bytes, 0, &got, error);
    if (status == OMEN_OK)
        status = os->file_size(os, handle, &size, error);
    os->file_close(os, handle);
    if (status == OMEN_OK)
        status = wal_header_decode(bytes, got, path, header, error);
    if (status != OMEN_OK)
        return status;
    if (header->first_lsn != lsn)
        return error_set(error, OMEN_CORRUPTED, "log file \"%s\" is that of LSN %" PRIx64, path,
                         header->first_lsn);
    if (memcmp(header->database_id, folder->database_id, WAL_ID_BYTES) != 0)
        return error_set(error, OMEN_CORRUPTED, "log file \"%s\" belongs to another database",
                         path);
    return OMEN_OK;
}

/* A file that the log doesn't need any more, or never did. */
static omen_status put_remains(struct byte_writer *remains, uint64_t lsn, omen_error *error)
{
    char name[LSN_NAME_BYTES];
    wal_file_name(name, lsn);
    byte_writer_put(remains, name, sizeof name);
    return remains->failed ? error_set_default(error, OMEN_OUT_OF_MEMORY) : OMEN_OK;
}

/* What the walk over the files by rising LSN has found. */
struct walk {
    struct wal_file *first, *last;
    uint64_t sequence_max;
    omen_error bad; /* of the last file whose header is not right */
    uint64_t bad_lsn;
};

/* Takes the next file into the log, unless it has been replaced. */
static omen_status take_file(struct scan *scan, struct walk *walk, const struct wal_header *header,
                             omen_error *error)
{
    struct wal_folder *folder = scan->folder;
    if (walk->first != NULL && header->sequence <= walk->sequence_max)
        return put_remains(scan->remains, header->first_lsn, error);
    walk->sequence_max = header->sequence;
    struct wal_file *file = allocator_alloc_zeroed(folder->allocator, sizeof *file);
    if (file == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    file->handle = -1;
    file->header = *header;
    file->first_lsn = header->first_lsn;
    file->end_lsn = file->zeroed_lsn = header->first_lsn + header->capacity;
    if (walk->last == NULL) {
        walk->first = file;
    } else {
        if (walk->last->end_lsn > file->first_lsn)
            walk->last->end_lsn = file->first_lsn;
        walk->last->next = file;
    }
    walk->last = file;
    return OMEN_OK;
}

static omen_status walk_files(struct scan *scan, struct walk *walk, omen_error *error)
{
    size_t count = scan->lsns.length / sizeof(uint64_t);
    for (size_t i = 0; i < count; i++) {
        uint64_t lsn = lsn_at(&scan->lsns, i);
        struct wal_header header;
        omen_error bad = {0};
        omen_status status = read_header(scan->folder, lsn, &header, &bad);
        if (status == OMEN_OK) {
            OMEN_TRY(take_file(scan, walk, &header, error));
            if (header.sequence > scan->folder->sequence)
                scan->folder->sequence = header.sequence;
        } else if (status == OMEN_CORRUPTED) {
            walk->bad = bad, walk->bad_lsn = lsn;
            OMEN_TRY(put_remains(scan->remains, lsn, error));
        } else {
            return error_set(error, status, "%s", bad.message);
        }
    }
    return OMEN_OK;
}

/* Leaves out the files that end before `start_lsn`, and refuses a bad header among the others. */
static omen_status cut_front(struct scan *scan, struct walk *walk, uint64_t start_lsn,
                             omen_error *error)
{
    while (walk->first != NULL && walk->first->next != NULL &&
           walk->first->next->first_lsn <= start_lsn) {
        struct wal_file *file = walk->first;
        OMEN_TRY(put_remains(scan->remains, file->first_lsn, error));
        walk->first = file->next;
        wal_file_free(scan->folder, file);
    }
    bool needed = walk->first == NULL || walk->bad_lsn >= walk->first->first_lsn;
    if (walk->bad.status != OMEN_OK && needed)
        return error_set(error, walk->bad.status, "%s", walk->bad.message);
    return OMEN_OK;
}

omen_status wal_folder_scan(struct wal_folder *folder, uint64_t start_lsn, struct wal_file **files,
                            struct byte_writer *remains, omen_error *error)
{
    struct scan scan = {.folder = folder,
                        .remains = remains,
                        .lsns = {.allocator = folder->allocator},
                        .agains = {.allocator = folder->allocator}};
    struct walk walk = {0};
    *files = NULL;
    omen_status status =
        folder->os->directory_list(folder->os, folder->directory, visit_name, &scan, error);
    if (status == OMEN_OK)
        status = take_again(&scan);
    if (status == OMEN_OUT_OF_MEMORY)
        error_set_default(error, status);
    if (status != OMEN_OK)
        goto out;
    if (scan.lsns.length > 0)
        qsort(scan.lsns.data, scan.lsns.length / sizeof(uint64_t), sizeof(uint64_t), compare_lsns);
    status = walk_files(&scan, &walk, error);
    if (status == OMEN_OK)
        status = cut_front(&scan, &walk, start_lsn, error);
    if (status == OMEN_OK)
        *files = walk.first;
    else
        wal_files_free(folder, walk.first);
out:
    byte_writer_release(&scan.lsns);
    byte_writer_release(&scan.agains);
    return status;
}
