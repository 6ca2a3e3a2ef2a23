/* os.h - everything the core asks of the operating system, behind one table of functions.
 *
 * The table is passed explicitly, so that a test can hand in one that fails, or that reads files
 * which do not exist. Errors carry the path and the system's reason.
 */
#ifndef OMEN_OS_OS_H
#define OMEN_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* How a file is opened. */
enum os_open {
    OS_OPEN_READ,       /* regular files and pipes, never directories */
    OS_OPEN_WRITE,      /* an existing regular file, to read and write */
    OS_OPEN_CREATE_NEW, /* to read and write; fails where the name is taken. Mode 0600 */
    OS_OPEN_CREATE_OUT, /* the same for a file that is the user's: mode 0666 less the umask */
};

/* Which file it is and whether it has changed: equal where nobody wrote to it in between. */
struct os_identity {
    uint64_t device, number;
    uint64_t bytes;
    int64_t modified_ns, changed_ns; /* its content; its content or attributes */
    bool is_regular;                 /* no pipe, device or directory */
};

struct os {
    void *context; /* for replacements; the real one has none */

    /* --- files and directories. Paths are zero-terminated; handles are for any thread.
     *
     * What opens something can also give INSUFFICIENT_RESOURCES (the process or the system has too
     * many files open), and every call OUT_OF_MEMORY where the system has none left: then nothing
     * has happened, but for a write or a reserve, which may have done a part, and a later call may
     * succeed. A sync never fails so once it has begun: nobody would know what is durable. --- */

    /* Opens a file. `*file` gets a handle for the functions below.
     * Errors: FILE_NOT_FOUND, INSUFFICIENT_PRIVILEGE, DISK_FULL, IO_ERROR; OBJECT_IN_USE where a
     * new file's name is taken; WRONG_OBJECT_TYPE for a directory. */
    omen_status (*file_open)(const struct os *os, const char *path, enum os_open how, int64_t *file,
                             omen_error *error);
    /* Reads up to `capacity` bytes on from where the last call ended; `*length` = 0 at the end.
     * Errors: IO_ERROR. */
    omen_status (*file_read)(const struct os *os, int64_t file, void *buffer, size_t capacity,
                             size_t *length, omen_error *error);
    /* Reads `length` bytes at `offset`; fewer only where the file ends there, `*got` says how
     * many. Errors: IO_ERROR. */
    omen_status (*file_read_at)(const struct os *os, int64_t file, void *buffer, size_t length,
                                uint64_t offset, size_t *got, omen_error *error);
    /* Writes `length` bytes at `offset`, all of them or an error; the file grows as needed. What
     * lies there after an error is undefined. Durable only after file_sync.
     * Errors: DISK_FULL, IO_ERROR. */
    omen_status (*file_write_at)(const struct os *os, int64_t file, const void *buffer,
                                 size_t length, uint64_t offset, omen_error *error);
    /* Makes the file's content and length durable. After an error nobody knows what is durable,
     * and a second call that succeeds proves nothing: it must not be tried.
     * Errors: IO_ERROR (also for a full disk: only a write can be told so in time). */
    omen_status (*file_sync)(const struct os *os, int64_t file, omen_error *error);
    /* Makes the file at least `bytes` long, with room on the disk for all of it; new bytes read
     * as zero. Errors: DISK_FULL, IO_ERROR; the file may then have grown. */
    omen_status (*file_reserve)(const struct os *os, int64_t file, uint64_t bytes,
                                omen_error *error);
    /* Cuts the file to `bytes`, at most its length. Errors: IO_ERROR. */
    omen_status (*file_truncate)(const struct os *os, int64_t file, uint64_t bytes,
                                 omen_error *error);
    /* The file's length in bytes now; 0 for pipes. Errors: IO_ERROR. */
    omen_status (*file_size)(const struct os *os, int64_t file, uint64_t *bytes, omen_error *error);
    /* What has the name `path` now, or, where that is NULL, the open file.
     * Errors: FILE_NOT_FOUND, INSUFFICIENT_PRIVILEGE, IO_ERROR. */
    omen_status (*file_identity)(const struct os *os, const char *path, int64_t file,
                                 struct os_identity *out, omen_error *error);
    /* Gives an open file the mode of what has the name `path`, and its owner and group as far as
     * this process may: where it may not, the group gets no rights that were another's.
     * Errors: FILE_NOT_FOUND, INSUFFICIENT_PRIVILEGE, IO_ERROR. */
    omen_status (*file_take_mode)(const struct os *os, int64_t file, const char *path,
                                  omen_error *error);
    void (*file_close)(const struct os *os, int64_t file);

    /* Writes the path that a path leads to by symbolic links at its end, zero-terminated: itself
     * where there are none. Nothing need be there.
     * Errors: IO_ERROR (links that lead in a circle), INSUFFICIENT_PRIVILEGE; LIMIT_EXCEEDED where
     * it does not fit. */
    omen_status (*path_follow)(const struct os *os, const char *path, char *buffer, size_t capacity,
                               omen_error *error);

    /* Gives a file or directory another name in the same file system, replacing a file, or an
     * empty directory, that has it. Durable only after directory_sync. Errors: FILE_NOT_FOUND,
     * INSUFFICIENT_PRIVILEGE, DISK_FULL, IO_ERROR; OBJECT_IN_USE where a directory cannot be moved,
     * or the other is not empty. */
    omen_status (*file_rename)(const struct os *os, const char *from, const char *to,
                               omen_error *error);
    /* Takes a name away; durable only after directory_sync. Errors: FILE_NOT_FOUND, IO_ERROR. */
    omen_status (*file_remove)(const struct os *os, const char *path, omen_error *error);

    /* Takes the one lock on a file that is open for writing, for as long as it is open: against
     * other processes and other handles of this one. Errors: OBJECT_IN_USE, IO_ERROR. */
    omen_status (*file_lock)(const struct os *os, int64_t file, omen_error *error);

    /* --- directories --- */

    /* Makes a directory, mode 0700. Errors: OBJECT_IN_USE where the name is taken;
     * FILE_NOT_FOUND without a parent; INSUFFICIENT_PRIVILEGE, DISK_FULL, IO_ERROR. */
    omen_status (*directory_create)(const struct os *os, const char *path, omen_error *error);
    /* Makes the names in a directory durable: created, renamed, removed. As file_sync.
     * Errors: FILE_NOT_FOUND, IO_ERROR. */
    omen_status (*directory_sync)(const struct os *os, const char *path, omen_error *error);
    /* The same in two calls, for who must know beforehand that a sync can at least be begun.
     * `*directory` gets a handle for directory_sync_open and file_close alone. Errors of the first:
     * FILE_NOT_FOUND, INSUFFICIENT_PRIVILEGE, IO_ERROR; of the second: IO_ERROR. */
    omen_status (*directory_open)(const struct os *os, const char *path, int64_t *directory,
                                  omen_error *error);
    omen_status (*directory_sync_open)(const struct os *os, int64_t directory, omen_error *error);
    /* Calls `visit` for each name in a directory but "." and "..", in no order; it stops where
     * `visit` returns something else than OK, and returns that. Names live during the call.
     * Errors: FILE_NOT_FOUND (no such directory, or no directory), INSUFFICIENT_PRIVILEGE,
     * IO_ERROR. */
    omen_status (*directory_list)(const struct os *os, const char *path,
                                  omen_status (*visit)(void *context, const char *name),
                                  void *context, omen_error *error);

    /* --- chance, time, code --- */

    /* Fills `buffer` with random bytes nobody can guess. Cannot fail. */
    void (*random_bytes)(const struct os *os, void *buffer, size_t length);

    /* Nanoseconds since some moment, never running backwards. */
    uint64_t (*monotonic_ns)(const struct os *os);
    /* Microseconds since 1970-01-01 UTC. */
    int64_t (*wall_clock_us)(const struct os *os);

    /* Loads a shared object and finds a symbol in it (NULL where there is none). Errors:
     * ENGINE_MISSING with the loader's reason. */
    omen_status (*library_open)(const struct os *os, const char *path, void **library,
                                omen_error *error);
    void *(*library_symbol)(const struct os *os, void *library, const char *name);
    void (*library_close)(const struct os *os, void *library);

    /* An environment variable, or NULL. */
    const char *(*environment)(const struct os *os, const char *name);

    /* Writes "PID (PROGRAM)" of this process, printable and zero-terminated; cut where it does not
     * fit. Cannot fail. */
    void (*process_name)(const struct os *os, char *buffer, size_t capacity);

    /* Writes the folder that holds this library (or the program it is linked into), without a
     * final slash and zero-terminated. Errors: IO_ERROR; LIMIT_EXCEEDED where it does not fit. */
    omen_status (*own_folder)(const struct os *os, char *buffer, size_t capacity,
                              omen_error *error);
};

/* Calls `function` on a thread with a stack of that size and waits for it: for work that may
 * recurse deeper than the caller's stack allows. Errors: OUT_OF_MEMORY, and nothing was called. */
OMEN_MUST_CHECK omen_status os_run_with_stack(size_t stack_bytes, void (*function)(void *),
                                              void *argument);

/* Bytes of memory that this process may have: the machine's, or what its control group allows. */
uint64_t os_memory_bytes(void);

/* The operating system itself. Thread-safe. */
extern const struct os os_real;

#endif
