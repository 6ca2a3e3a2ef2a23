/* os.h - everything the core asks of the operating system, behind one table of functions.
 *
 * The table is passed explicitly, so that a test can hand in one that fails, or that reads files
 * which do not exist. Errors carry the path and the system's reason.
 */
#ifndef OMEN_OS_OS_H
#define OMEN_OS_OS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct os {
    void *context; /* for replacements; the real one has none */

    /* Opens a file for reading from its start; regular files and pipes, never directories.
     * `*file` gets a handle for the functions below.
     * Errors: FILE_NOT_FOUND, INSUFFICIENT_PRIVILEGE, IO_ERROR. */
    omen_status (*file_open)(const struct os *os, const char *path, int64_t *file,
                             omen_error *error);
    /* Reads up to `capacity` bytes on; `*length` = 0 at the end. Errors: IO_ERROR. */
    omen_status (*file_read)(const struct os *os, int64_t file, void *buffer, size_t capacity,
                             size_t *length, omen_error *error);
    /* The file's length in bytes now; 0 for pipes. Errors: IO_ERROR. */
    omen_status (*file_size)(const struct os *os, int64_t file, uint64_t *bytes, omen_error *error);
    void (*file_close)(const struct os *os, int64_t file);

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

    /* Writes the folder that holds this library (or the program it is linked into), without a
     * final slash and zero-terminated. Errors: IO_ERROR; LIMIT_EXCEEDED where it does not fit. */
    omen_status (*own_folder)(const struct os *os, char *buffer, size_t capacity,
                              omen_error *error);
};

/* Calls `function` on a thread with a stack of that size and waits for it: for work that may
 * recurse deeper than the caller's stack allows. Errors: OUT_OF_MEMORY, and nothing was called. */
OMEN_MUST_CHECK omen_status os_run_with_stack(size_t stack_bytes, void (*function)(void *),
                                              void *argument);

/* The operating system itself. Thread-safe. */
extern const struct os os_real;

#endif
