/* os_file.c - files and directories of the real operating system: POSIX, and flock.
 *
 * What an error number means depends on the call only where os.h says so; `fail` has the rest.
 * EINTR is retried where POSIX lets it happen, but not for syncs: what a sync that was
 * interrupted has made durable, nobody knows.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "os/os_private.h"

enum { REASON_BYTES = 128, ZERO_BYTES = 64 * 1024 };

static omen_status status_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return OMEN_FILE_NOT_FOUND;
    case EISDIR:
        return OMEN_WRONG_OBJECT_TYPE;
    case EACCES:
    case EPERM:
    case EROFS:
        return OMEN_INSUFFICIENT_PRIVILEGE;
    case EEXIST:
    case EWOULDBLOCK:
        return OMEN_OBJECT_IN_USE;
    case ENOSPC:
    case EDQUOT:
        return OMEN_DISK_FULL;
    case EMFILE:
    case ENFILE:
        return OMEN_INSUFFICIENT_RESOURCES;
    case ENOMEM:
        return OMEN_OUT_OF_MEMORY;
    default:
        return OMEN_IO_ERROR;
    }
}

/* "could not <verb> "<path>": <the system's reason>"; without the path where that is NULL. */
static omen_status fail(omen_error *error, const char *verb, const char *path, int number)
{
    char buffer[REASON_BYTES];
    const char *reason = strerror_r(number, buffer, sizeof buffer);
    if (path == NULL)
        return error_set(error, status_of(number), "could not %s: %s", verb, reason);
    return error_set(error, status_of(number), "could not %s \"%s\": %s", verb, path, reason);
}

/* --- files --- */

omen_status real_file_open(const struct os *os, const char *path, enum os_open how, int64_t *file,
                           omen_error *error)
{
    static const int flags[] = {
        [OS_OPEN_READ] = O_RDONLY,
        [OS_OPEN_WRITE] = O_RDWR,
        [OS_OPEN_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
        [OS_OPEN_CREATE_OUT] = O_RDWR | O_CREAT | O_EXCL,
    };
    static const char *const verbs[] = {
        [OS_OPEN_READ] = "open file for reading",
        [OS_OPEN_WRITE] = "open file for writing",
        [OS_OPEN_CREATE_NEW] = "create file",
        [OS_OPEN_CREATE_OUT] = "create file",
    };
    int descriptor = open(path, flags[how] | O_CLOEXEC, how == OS_OPEN_CREATE_OUT ? 0666 : 0600);
    if (descriptor < 0)
        return fail(error, verbs[how], path, errno);
    struct stat facts;
    int number = fstat(descriptor, &facts) != 0 ? errno : 0;
    if (number == 0 && S_ISDIR(facts.st_mode))
        number = EISDIR;
    if (number != 0) {
        close(descriptor);
        return fail(error, verbs[how], path, number);
    }
    *file = descriptor;
    return OMEN_OK;
}

omen_status real_file_read(const struct os *os, int64_t file, void *buffer, size_t capacity,
                           size_t *length, omen_error *error)
{
    ssize_t got;
    do
        got = read((int)file, buffer, capacity);
    while (got < 0 && errno == EINTR);
    *length = got > 0 ? (size_t)got : 0;
    return got >= 0 ? OMEN_OK : fail(error, "read file", NULL, errno);
}

omen_status real_file_read_at(const struct os *os, int64_t file, void *buffer, size_t length,
                              uint64_t offset, size_t *got, omen_error *error)
{
    *got = 0;
    while (*got < length) {
        ssize_t count =
            pread((int)file, (char *)buffer + *got, length - *got, (off_t)(offset + *got));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail(error, "read file", NULL, errno);
        if (count == 0)
            break;
        *got += (size_t)count;
    }
    return OMEN_OK;
}

omen_status real_file_write_at(const struct os *os, int64_t file, const void *buffer, size_t length,
                               uint64_t offset, omen_error *error)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count =
            pwrite((int)file, (const char *)buffer + done, length - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail(error, "write file", NULL, errno);
        done += (size_t)count;
    }
    return OMEN_OK;
}

/* A sync that finds the disk full has lost what was written: that is an I/O error. */
static int sync_number(int number)
{
    return status_of(number) == OMEN_IO_ERROR ? number : EIO;
}

omen_status real_file_sync(const struct os *os, int64_t file, omen_error *error)
{
    return fdatasync((int)file) == 0 ? OMEN_OK : fail(error, "sync file", NULL, sync_number(errno));
}

/* Where the file system cannot reserve: zeros, written. */
static omen_status write_zeros(int64_t file, uint64_t from, uint64_t to, omen_error *error)
{
    static const char zeros[ZERO_BYTES];
    for (uint64_t at = from; at < to;) {
        size_t length = size_min(sizeof zeros, to - at);
        OMEN_TRY(real_file_write_at(NULL, file, zeros, length, at, error));
        at += length;
    }
    return OMEN_OK;
}

omen_status real_file_reserve(const struct os *os, int64_t file, uint64_t bytes, omen_error *error)
{
    uint64_t present;
    OMEN_TRY(real_file_size(os, file, &present, error));
    if (present >= bytes)
        return OMEN_OK;
    int number;
    do
        number = fallocate((int)file, 0, (off_t)present, (off_t)(bytes - present)) != 0 ? errno : 0;
    while (number == EINTR);
    if (number == EOPNOTSUPP || number == ENOSYS)
        return write_zeros(file, present, bytes, error);
    return number == 0 ? OMEN_OK : fail(error, "reserve room for file", NULL, number);
}

omen_status real_file_truncate(const struct os *os, int64_t file, uint64_t bytes, omen_error *error)
{
    int number;
    do
        number = ftruncate((int)file, (off_t)bytes) != 0 ? errno : 0;
    while (number == EINTR);
    return number == 0 ? OMEN_OK : fail(error, "truncate file", NULL, number);
}

omen_status real_file_size(const struct os *os, int64_t file, uint64_t *bytes, omen_error *error)
{
    struct stat facts;
    *bytes = 0;
    if (fstat((int)file, &facts) != 0)
        return fail(error, "look at file", NULL, errno);
    *bytes = S_ISREG(facts.st_mode) ? (uint64_t)facts.st_size : 0;
    return OMEN_OK;
}

static int64_t nanoseconds_of(const struct timespec *time)
{
    return time->tv_sec * INT64_C(1000000000) + time->tv_nsec;
}

omen_status real_file_identity(const struct os *os, const char *path, int64_t file,
                               struct os_identity *out, omen_error *error)
{
    struct stat facts;
    *out = (struct os_identity){.bytes = 0};
    if ((path != NULL ? stat(path, &facts) : fstat((int)file, &facts)) != 0)
        return fail(error, "look at file", path, errno);
    *out = (struct os_identity){
        .device = facts.st_dev,
        .number = facts.st_ino,
        .bytes = (uint64_t)facts.st_size,
        .modified_ns = nanoseconds_of(&facts.st_mtim),
        .changed_ns = nanoseconds_of(&facts.st_ctim),
        .is_regular = S_ISREG(facts.st_mode),
    };
    return OMEN_OK;
}

omen_status real_file_take_mode(const struct os *os, int64_t file, const char *path,
                                omen_error *error)
{
    struct stat wanted, now;
    if (stat(path, &wanted) != 0 || fstat((int)file, &now) != 0)
        return fail(error, "look at file", path, errno);
    mode_t mode = wanted.st_mode & 07777;
    if ((now.st_uid != wanted.st_uid || now.st_gid != wanted.st_gid) &&
        fchown((int)file, wanted.st_uid, wanted.st_gid) != 0 &&
        fchown((int)file, (uid_t)-1, wanted.st_gid) != 0)
        mode &= ~(mode_t)S_IRWXG;
    if (fchmod((int)file, mode) != 0)
        return fail(error, "set the mode of file", path, errno);
    return OMEN_OK;
}

omen_status real_path_follow(const struct os *os, const char *path, char *buffer, size_t capacity,
                             omen_error *error)
{
    enum { LINKS_MAX = 40, TARGET_BYTES = 4096 };
    char target[TARGET_BYTES];
    if ((size_t)snprintf(buffer, capacity, "%s", path) >= capacity)
        return error_set(error, OMEN_LIMIT_EXCEEDED, "the path \"%.200s...\" is too long", path);
    for (int links = 0; links < LINKS_MAX; links++) {
        ssize_t length = readlink(buffer, target, sizeof target - 1);
        if (length < 0 && (errno == EINVAL || errno == ENOENT))
            return OMEN_OK; /* no link; nothing */
        if (length < 0)
            return fail(error, "follow", path, errno);
        target[length] = '\0';
        /* A relative one begins where the link lies. */
        char *slash = target[0] == '/' ? NULL : strrchr(buffer, '/');
        char *end = slash == NULL ? buffer : slash + 1;
        size_t room = capacity - (size_t)(end - buffer);
        if ((size_t)length >= room)
            return error_set(error, OMEN_LIMIT_EXCEEDED, "what \"%.200s\" leads to is too long",
                             path);
        memcpy(end, target, (size_t)length + 1);
    }
    return fail(error, "follow", path, ELOOP);
}

void real_file_close(const struct os *os, int64_t file)
{
    close((int)file);
}

omen_status real_file_rename(const struct os *os, const char *from, const char *to,
                             omen_error *error)
{
    if (rename(from, to) == 0)
        return OMEN_OK;
    int number = errno;
    if (number == EBUSY || number == EINVAL || number == ENOTEMPTY)
        number = EEXIST; /* these directories stay where they are */
    return fail(error, "rename file", from, number);
}

omen_status real_file_remove(const struct os *os, const char *path, omen_error *error)
{
    return unlink(path) == 0 ? OMEN_OK : fail(error, "remove file", path, errno);
}

omen_status real_file_lock(const struct os *os, int64_t file, omen_error *error)
{
    int number;
    do
        number = flock((int)file, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
    while (number == EINTR);
    return number == 0 ? OMEN_OK : fail(error, "lock file", NULL, number);
}

/* --- directories --- */

omen_status real_directory_create(const struct os *os, const char *path, omen_error *error)
{
    return mkdir(path, 0700) == 0 ? OMEN_OK : fail(error, "create directory", path, errno);
}

omen_status real_directory_open(const struct os *os, const char *path, int64_t *directory,
                                omen_error *error)
{
    *directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *directory >= 0 ? OMEN_OK : fail(error, "open directory", path, errno);
}

static omen_status sync_directory(int64_t directory, const char *path, omen_error *error)
{
    return fsync((int)directory) == 0 ? OMEN_OK
                                      : fail(error, "sync directory", path, sync_number(errno));
}

omen_status real_directory_sync_open(const struct os *os, int64_t directory, omen_error *error)
{
    return sync_directory(directory, NULL, error);
}

omen_status real_directory_sync(const struct os *os, const char *path, omen_error *error)
{
    int64_t directory;
    OMEN_TRY(real_directory_open(os, path, &directory, error));
    omen_status status = sync_directory(directory, path, error);
    close((int)directory);
    return status;
}

omen_status real_directory_list(const struct os *os, const char *path,
                                omen_status (*visit)(void *context, const char *name),
                                void *context, omen_error *error)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return fail(error, "open directory", path, errno);
    omen_status status = OMEN_OK;
    while (status == OMEN_OK) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            if (errno != 0)
                status = fail(error, "read directory", path, errno);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = visit(context, entry->d_name);
    }
    closedir(directory);
    return status;
}
