/* directory.c - telling what a path is, locking, creating.
 *
 * Creating must survive a crash at any point, in which names that were not synced come and go
 * independently. So the mark `creating` is durable before anything else is made, and the manifest
 * is durable before the mark goes. Without a manifest:
 *
 *   nothing but `lock`          a new directory
 *   `creating` is there         an unfinished creation: begun anew
 *   log/ or data/ is there      a database that lost its manifest: refused, never made anew
 *   anything else is there      no database: refused
 *
 * What an unfinished creation has left may be names that the disk lacks, after a sync that failed,
 * and another sync would not bring them: the directory's own too. So all are made anew, or renamed.
 *
 * The lock is the system's (flock): it goes with the process, however that ends. The file stays, as
 * removing it would let two processes hold two files of one name.
 */
#define _POSIX_C_SOURCE 200809L
#include "store/directory.h"

#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "store/manifest.h"

#define LOCK_NAME       "lock"
#define CREATING_NAME   "creating"
#define MARK_NEW_NAME   "creating.new"
#define FOLDER_NEW_NAME "folder.new"
#define MOVED_ENDING    ".creating" /* of the directory itself, for a moment */

enum { HOLDER_BYTES = 160, MOVED_PATH_BYTES = STORE_PATH_BYTES + sizeof MOVED_ENDING };

static void moved_path(const struct directory *directory, char path[MOVED_PATH_BYTES])
{
    size_t length = strlen(directory->path);
    memcpy(path, directory->path, length);
    memcpy(path + length, MOVED_ENDING, sizeof MOVED_ENDING);
}

/* --- what is there --- */

struct contents {
    bool lock, creating, manifest, folders, foreign;
};

static omen_status note_name(void *context, const char *name)
{
    struct contents *contents = context;
    if (strcmp(name, LOCK_NAME) == 0)
        contents->lock = true;
    else if (strcmp(name, CREATING_NAME) == 0)
        contents->creating = true;
    else if (strcmp(name, MANIFEST_NAME) == 0)
        contents->manifest = true;
    else if (strcmp(name, DIRECTORY_LOG) == 0 || strcmp(name, DIRECTORY_DATA) == 0)
        contents->folders = true;
    else if (strcmp(name, MANIFEST_NEW_NAME) != 0 && strcmp(name, MARK_NEW_NAME) != 0 &&
             strcmp(name, FOLDER_NEW_NAME) != 0 && strcmp(name, DIRECTORY_RESERVE) != 0 &&
             strcmp(name, "lost+found") != 0)
        contents->foreign = true;
    return OMEN_OK;
}

/* Takes over the name that an unfinished creation left aside, where the process ended between the
 * two names, or another is there now (renew_name). Whether there was one. */
static bool bring_back(const struct directory *directory)
{
    struct contents contents = {0};
    char path[MOVED_PATH_BYTES];
    const struct os *os = directory->os;
    moved_path(directory, path);
    return os->directory_list(os, path, note_name, &contents, NULL) == OMEN_OK &&
           contents.creating && !contents.manifest && !contents.foreign &&
           os->file_rename(os, path, directory->path, NULL) == OMEN_OK;
}

/* Lists the directory and judges what it is. */
static omen_status judge(struct directory *directory, omen_error *error)
{
    struct contents contents = {0};
    const char *path = directory->path;
    OMEN_TRY(directory->os->directory_list(directory->os, path, note_name, &contents, error));
    directory->fresh = false;
    if (contents.manifest)
        return OMEN_OK;
    if (contents.foreign)
        return error_set(error, OMEN_WRONG_OBJECT_TYPE,
                         "\"%s\" is not a database: it is a directory with other files", path);
    if (contents.folders && !contents.creating)
        return error_set(error, OMEN_CORRUPTED, "database \"%s\" lacks its manifest", path);
    directory->fresh = true;
    directory->unfinished = contents.creating;
    return OMEN_OK;
}

/* Makes the directory where nothing is. */
static omen_status find_or_make(struct directory *directory, omen_error *error)
{
    const struct os *os = directory->os;
    omen_status status = judge(directory, error);
    if (status != OMEN_FILE_NOT_FOUND)
        return status;
    status = bring_back(directory) ? OMEN_OK : os->directory_create(os, directory->path, error);
    if (status != OMEN_OK && status != OMEN_OBJECT_IN_USE)
        return status;
    omen_error reason;
    status = judge(directory, &reason); /* another process may have been faster */
    if (status == OMEN_FILE_NOT_FOUND)
        return error_set(error, OMEN_WRONG_OBJECT_TYPE,
                         "\"%s\" is not a database: it is no directory", directory->path);
    return status == OMEN_OK ? OMEN_OK : error_set(error, status, "%s", reason.message);
}

/* --- the lock --- */

/* What the lock file says of its holder, or "another process". */
static void read_holder(const struct directory *directory, const char *path,
                        char holder[HOLDER_BYTES])
{
    int64_t file;
    size_t got = 0;
    if (directory->os->file_open(directory->os, path, OS_OPEN_READ, &file, NULL) == OMEN_OK) {
        if (directory->os->file_read_at(directory->os, file, holder, HOLDER_BYTES - 1, 0, &got,
                                        NULL) != OMEN_OK)
            got = 0;
        directory->os->file_close(directory->os, file);
    }
    size_t length = 0;
    while (length < got && holder[length] >= ' ' && holder[length] <= '~')
        length++;
    holder[length] = '\0';
    if (strncmp(holder, "process ", 8) != 0)
        memcpy(holder, "another process", sizeof "another process");
}

static omen_status open_lock_file(struct directory *directory, const char *path, omen_error *error)
{
    const struct os *os = directory->os;
    omen_status status = os->file_open(os, path, OS_OPEN_WRITE, &directory->lock, error);
    if (status == OMEN_FILE_NOT_FOUND)
        status = os->file_open(os, path, OS_OPEN_CREATE_NEW, &directory->lock, error);
    if (status == OMEN_OBJECT_IN_USE) /* another process was faster */
        status = os->file_open(os, path, OS_OPEN_WRITE, &directory->lock, error);
    return status;
}

static omen_status take_lock(struct directory *directory, omen_error *error)
{
    char path[STORE_PATH_BYTES], holder[HOLDER_BYTES];
    omen_error reason = {.status = OMEN_OK};
    OMEN_TRY(path_join(path, directory->path, LOCK_NAME, error));
    omen_status status = open_lock_file(directory, path, &reason);
    if (status == OMEN_INSUFFICIENT_PRIVILEGE)
        return error_set(error, status, "database \"%s\" is read-only: %s", directory->path,
                         reason.message);
    if (status != OMEN_OK)
        return error_set(error, status, "%s", reason.message);
    status = directory->os->file_lock(directory->os, directory->lock, &reason);
    if (status == OMEN_OK) {
        directory->locked = true;
        return OMEN_OK;
    }
    directory->os->file_close(directory->os, directory->lock);
    if (status != OMEN_OBJECT_IN_USE)
        return error_set(error, status, "database \"%s\": %s", directory->path, reason.message);
    read_holder(directory, path, holder);
    return error_set(error, status, "database \"%s\" is in use by %s", directory->path, holder);
}

omen_status directory_open(struct directory *directory, const struct os *os, const char *path,
                           omen_error *error)
{
    *directory = (struct directory){.os = os};
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0)
        return error_set(error, OMEN_INVALID_ARGUMENT, "a database needs a path");
    if (length > STORE_PATH_BYTES - 128) /* the names of files follow */
        return error_set(error, OMEN_LIMIT_EXCEEDED, "the path of the database is too long");
    memcpy(directory->path, path, length);
    OMEN_TRY(find_or_make(directory, error));
    OMEN_TRY(take_lock(directory, error));
    omen_status status = judge(directory, error); /* what it is may have changed until now */
    if (status != OMEN_OK)
        directory_close(directory);
    return status;
}

void directory_sign(const struct directory *directory)
{
    char process[96], when[32], text[HOLDER_BYTES];
    const struct os *os = directory->os;
    time_t seconds = (time_t)(os->wall_clock_us(os) / 1000000);
    struct tm utc;
    os->process_name(os, process, sizeof process);
    if (gmtime_r(&seconds, &utc) == NULL || strftime(when, sizeof when, "%F %T", &utc) == 0)
        when[0] = '\0';
    int length = snprintf(text, sizeof text, "process %s since %s UTC\n", process, when);
    if (length <= 0 || (size_t)length >= sizeof text)
        return;
    if (os->file_write_at(os, directory->lock, text, (size_t)length, 0, NULL) == OMEN_OK)
        (void)os->file_truncate(os, directory->lock, (uint64_t)length, NULL);
}

void directory_close(struct directory *directory)
{
    if (!directory->locked)
        return;
    directory->os->file_close(directory->os, directory->lock);
    directory->locked = false;
}

/* --- creating --- */

static bool keep_nothing(void *context, const char *name)
{
    return false;
}

/* Puts an empty folder where one is, whose name nobody knows to be durable. */
static omen_status replace_folder(const struct directory *directory, const char *name,
                                  const char *path, omen_error *error)
{
    char path_new[STORE_PATH_BYTES];
    uint64_t removed;
    const struct os *os = directory->os;
    OMEN_TRY(directory_sweep(directory, name, keep_nothing, NULL, &removed, error));
    OMEN_TRY(path_join(path_new, directory->path, FOLDER_NEW_NAME, error));
    omen_status status = os->directory_create(os, path_new, error);
    if (status == OMEN_OK || status == OMEN_OBJECT_IN_USE)
        status = os->file_rename(os, path_new, path, error);
    return status;
}

static omen_status make_folder(const struct directory *directory, const char *name,
                               omen_error *error)
{
    char path[STORE_PATH_BYTES];
    OMEN_TRY(path_join(path, directory->path, name, error));
    omen_error reason;
    omen_status status = directory->os->directory_create(directory->os, path, &reason);
    if (status == OMEN_OBJECT_IN_USE)
        status = replace_folder(directory, name, path, &reason);
    return status == OMEN_OK ? OMEN_OK : error_set(error, status, "%s", reason.message);
}

/* Renames the directory, there and back. A mount point, or the directory that somebody is in, has
 * a name that no creation made: it stays.
 *
 * For a moment nothing has the database's name. Nothing is in it yet, and whoever looks for it
 * then, or after this process has ended just there, brings the name back (find_or_make), and finds
 * the lock taken. */
static omen_status renew_name(const struct directory *directory, omen_error *error)
{
    struct contents contents = {0};
    char path[MOVED_PATH_BYTES];
    const struct os *os = directory->os;
    moved_path(directory, path);
    omen_status status = os->file_rename(os, directory->path, path, error);
    /* What a creation before this one has left aside is in the way too, but harmless. */
    if (status == OMEN_OBJECT_IN_USE &&
        os->directory_list(os, path, note_name, &contents, NULL) == OMEN_OK &&
        (contents.foreign || contents.manifest))
        return error_set(error, status, "\"%s\" is in the way", path);
    if (status == OMEN_OBJECT_IN_USE || status == OMEN_INSUFFICIENT_PRIVILEGE)
        return OMEN_OK;
    OMEN_TRY(status);
    omen_error reason;
    status = os->file_rename(os, path, directory->path, &reason);
    if (status == OMEN_OK || status == OMEN_FILE_NOT_FOUND) /* somebody else has done it */
        return OMEN_OK;
    return error_set(error, status, "%s", reason.message);
}

/* Makes the name of the database itself durable. */
static omen_status sync_parent(const struct directory *directory, omen_error *error)
{
    char path[STORE_PATH_BYTES];
    memcpy(path, directory->path, sizeof path);
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        memcpy(path, ".", 2);
    else if (slash == path)
        path[1] = '\0';
    else
        *slash = '\0';
    return directory->os->directory_sync(directory->os, path, error);
}

/* The mark is made anew where it is there. */
static omen_status make_mark(const struct directory *directory, omen_error *error)
{
    char path[STORE_PATH_BYTES], path_new[STORE_PATH_BYTES];
    int64_t file;
    const struct os *os = directory->os;
    OMEN_TRY(path_join(path, directory->path, CREATING_NAME, error));
    OMEN_TRY(path_join(path_new, directory->path, MARK_NEW_NAME, error));
    omen_error reason;
    (void)os->file_remove(os, path_new, NULL);
    omen_status status = os->file_open(os, path_new, OS_OPEN_CREATE_NEW, &file, &reason);
    if (status == OMEN_OK) {
        os->file_close(os, file);
        status = os->file_rename(os, path_new, path, &reason);
    }
    if (status != OMEN_OK)
        return error_set(error, status, "%s", reason.message);
    return os->directory_sync(os, directory->path, error);
}

/* Gives back the room that an unfinished creation took, for the mark may need it. Nothing of it
 * counts, so it may go before the mark is durable; what cannot be removed is replaced later. */
static void clear_remains(const struct directory *directory)
{
    char path[STORE_PATH_BYTES];
    uint64_t removed;
    (void)!directory_sweep(directory, DIRECTORY_LOG, keep_nothing, NULL, &removed, NULL);
    (void)!directory_sweep(directory, DIRECTORY_DATA, keep_nothing, NULL, &removed, NULL);
    if (path_join(path, directory->path, MANIFEST_NEW_NAME, NULL) == OMEN_OK)
        (void)directory->os->file_remove(directory->os, path, NULL);
}

omen_status directory_create_begin(const struct directory *directory, omen_error *error)
{
    OMEN_ASSERT(directory->fresh && directory->locked);
    if (directory->unfinished)
        clear_remains(directory);
    OMEN_TRY(make_mark(directory, error));
    OMEN_TRY(make_folder(directory, DIRECTORY_LOG, error));
    OMEN_TRY(make_folder(directory, DIRECTORY_DATA, error));
    OMEN_TRY(directory->os->directory_sync(directory->os, directory->path, error));
    if (directory->unfinished)
        OMEN_TRY(renew_name(directory, error));
    return sync_parent(directory, error);
}

void directory_create_end(const struct directory *directory)
{
    char path[STORE_PATH_BYTES];
    if (path_join(path, directory->path, CREATING_NAME, NULL) == OMEN_OK)
        (void)directory->os->file_remove(directory->os, path, NULL);
}

/* --- sweeping --- */

struct sweep {
    const struct directory *directory;
    const char *folder; /* its path */
    bool (*keep)(void *context, const char *name);
    void *context;
    uint64_t removed;
};

static omen_status sweep_name(void *context, const char *name)
{
    struct sweep *sweep = context;
    char path[STORE_PATH_BYTES];
    if (sweep->keep(sweep->context, name))
        return OMEN_OK;
    const struct os *os = sweep->directory->os;
    if (path_join(path, sweep->folder, name, NULL) == OMEN_OK &&
        os->file_remove(os, path, NULL) == OMEN_OK)
        sweep->removed++;
    return OMEN_OK;
}

omen_status directory_sweep(const struct directory *directory, const char *folder,
                            bool (*keep)(void *context, const char *name), void *context,
                            uint64_t *removed, omen_error *error)
{
    char path[STORE_PATH_BYTES];
    *removed = 0;
    OMEN_TRY(path_join(path, directory->path, folder, error));
    struct sweep sweep = {.directory = directory, .folder = path, .keep = keep, .context = context};
    OMEN_TRY(directory->os->directory_list(directory->os, path, sweep_name, &sweep, error));
    *removed = sweep.removed;
    return OMEN_OK;
}
