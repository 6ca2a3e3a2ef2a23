/* reserve.c - room on the disk that is kept for one checkpoint.
 *
 * A full disk stops writers until something is freed, and what frees the log is a checkpoint, which
 * needs room itself. So a file is kept that means nothing, and is removed when a checkpoint finds
 * the disk full; the next checkpoint that succeeds makes it again. All of this is a best effort:
 * failing to keep a reserve is no error.
 */
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
    if (storage->reserve_held || storage->reserve_bytes == 0 || !reserve_path(storage, path))
        return;
    omen_status status = os->file_open(os, path, OS_OPEN_WRITE, &file, NULL);
    if (status == OMEN_FILE_NOT_FOUND)
        status = os->file_open(os, path, OS_OPEN_CREATE_NEW, &file, NULL);
    if (status != OMEN_OK)
        return;
    status = os->file_reserve(os, file, storage->reserve_bytes, NULL);
    os->file_close(os, file);
    storage->reserve_held = status == OMEN_OK;
    if (!storage->reserve_held)
        (void)os->file_remove(os, path, NULL);
}

bool reserve_give(struct storage *storage)
{
    char path[STORE_PATH_BYTES];
    if (!storage->reserve_held || !reserve_path(storage, path))
        return false;
    storage->reserve_held = false;
    return storage->os->file_remove(storage->os, path, NULL) == OMEN_OK;
}
