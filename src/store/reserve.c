/* reserve.c - room on the disk that is kept for one checkpoint.
 *
 * A full disk stops writers until something is freed, and what frees the log is a checkpoint, which
 * needs room itself. So a file is kept that means nothing, and is removed when a checkpoint finds
 * the disk full; the next checkpoint that succeeds makes it again. Where writers find the disk full
 * and the log has nothing for a checkpoint to free, the file is cut by a quarter, so that rows can
 * be deleted, and the rest is there for the checkpoint of that. All of this is a best effort:
 * failing to keep a reserve is no error.
 */
#include "base/bits.h"
#include "store/storage_private.h"

static bool reserve_path(const struct storage *storage, char path[STORE_PATH_BYTES])
{
    return path_join(path, storage->directory.path, DIRECTORY_RESERVE, NULL) == OMEN_OK;
}

void reserve_make(struct storage *storage)
{
    char path[STORE_PATH_BYTES];
    int64_t file;
    const struct os *os = storage->os;
    if (storage->reserve_left == storage->reserve_bytes || !reserve_path(storage, path))
        return;
    omen_status status = os->file_open(os, path, OS_OPEN_WRITE, &file, NULL);
    if (status == OMEN_FILE_NOT_FOUND)
        status = os->file_open(os, path, OS_OPEN_CREATE_NEW, &file, NULL);
    if (status != OMEN_OK)
        return;
    uint64_t bytes;
    if (storage->reserve_left == 0 && os->file_size(os, file, &bytes, NULL) == OMEN_OK)
        storage->reserve_left =
            size_min(bytes, storage->reserve_bytes); /* kept by who was before */
    status = os->file_reserve(os, file, storage->reserve_bytes, NULL);
    /* Of a failed reserve nothing is known, but that what was kept before is still there. */
    if (status != OMEN_OK && storage->reserve_left > 0)
        (void)os->file_truncate(os, file, storage->reserve_left, NULL);
    else if (status == OMEN_OK)
        storage->reserve_left = storage->reserve_bytes;
    os->file_close(os, file);
    if (storage->reserve_left == 0)
        (void)os->file_remove(os, path, NULL);
}

bool reserve_give(struct storage *storage)
{
    char path[STORE_PATH_BYTES];
    if (storage->reserve_left == 0 || !reserve_path(storage, path))
        return false;
    storage->reserve_left = 0;
    wal_note_room(storage->wal);
    return storage->os->file_remove(storage->os, path, NULL) == OMEN_OK;
}

bool reserve_lend(struct storage *storage)
{
    char path[STORE_PATH_BYTES];
    int64_t file;
    const struct os *os = storage->os;
    uint64_t quarter = storage->reserve_bytes / 4;
    if (storage->reserve_left <= quarter)
        return reserve_give(storage);
    if (!reserve_path(storage, path) ||
        os->file_open(os, path, OS_OPEN_WRITE, &file, NULL) != OMEN_OK)
        return false;
    omen_status status = os->file_truncate(os, file, storage->reserve_left - quarter, NULL);
    os->file_close(os, file);
    if (status != OMEN_OK)
        return false;
    storage->reserve_left -= quarter;
    wal_note_room(storage->wal);
    return true;
}
