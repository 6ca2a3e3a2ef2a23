/* os.c - the real operating system: POSIX files and clocks, the dynamic loader. */
#define _GNU_SOURCE
#include "os/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { REASON_BYTES = 128 };

/* The system's text for an error number; `buffer` may hold it. */
static const char *reason_text(int number, char *buffer)
{
    return strerror_r(number, buffer, REASON_BYTES);
}

static omen_status open_failed(const char *path, int number, omen_error *error)
{
    char buffer[REASON_BYTES];
    omen_status status = OMEN_IO_ERROR;
    if (number == ENOENT || number == ENOTDIR)
        status = OMEN_FILE_NOT_FOUND;
    else if (number == EACCES || number == EPERM)
        status = OMEN_INSUFFICIENT_PRIVILEGE;
    return error_set(error, status, "could not open file \"%s\" for reading: %s", path,
                     reason_text(number, buffer));
}

static omen_status real_file_open(const struct os *os, const char *path, int64_t *file,
                                  omen_error *error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return open_failed(path, errno, error);
    struct stat facts;
    int number = fstat(descriptor, &facts) != 0 ? errno : 0;
    if (number == 0 && S_ISDIR(facts.st_mode))
        number = EISDIR;
    if (number != 0) {
        close(descriptor);
        return open_failed(path, number, error);
    }
    *file = descriptor;
    return OMEN_OK;
}

static omen_status real_file_read(const struct os *os, int64_t file, void *buffer, size_t capacity,
                                  size_t *length, omen_error *error)
{
    ssize_t got;
    do
        got = read((int)file, buffer, capacity);
    while (got < 0 && errno == EINTR);
    *length = got > 0 ? (size_t)got : 0;
    if (got >= 0)
        return OMEN_OK;
    char reason[REASON_BYTES];
    return error_set(error, OMEN_IO_ERROR, "could not read file: %s", reason_text(errno, reason));
}

static omen_status real_file_size(const struct os *os, int64_t file, uint64_t *bytes,
                                  omen_error *error)
{
    struct stat facts;
    char reason[REASON_BYTES];
    *bytes = 0;
    if (fstat((int)file, &facts) != 0)
        return error_set(error, OMEN_IO_ERROR, "could not look at file: %s",
                         reason_text(errno, reason));
    *bytes = S_ISREG(facts.st_mode) ? (uint64_t)facts.st_size : 0;
    return OMEN_OK;
}

static void real_file_close(const struct os *os, int64_t file)
{
    close((int)file);
}

static uint64_t real_monotonic_ns(const struct os *os)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t real_wall_clock_us(const struct os *os)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static omen_status real_library_open(const struct os *os, const char *path, void **library,
                                     omen_error *error)
{
    *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*library != NULL)
        return OMEN_OK;
    const char *reason = dlerror();
    return error_set(error, OMEN_ENGINE_MISSING, "could not load \"%s\": %s", path,
                     reason != NULL ? reason : "unknown reason");
}

static void *real_library_symbol(const struct os *os, void *library, const char *name)
{
    return dlsym(library, name);
}

static void real_library_close(const struct os *os, void *library)
{
    if (library != NULL)
        dlclose(library);
}

static const char *real_environment(const struct os *os, const char *name)
{
    return getenv(name);
}

static omen_status real_own_folder(const struct os *os, char *buffer, size_t capacity,
                                   omen_error *error)
{
    Dl_info facts;
    if (dladdr(&os_real, &facts) == 0 || facts.dli_fname == NULL)
        return error_set(error, OMEN_IO_ERROR, "could not find where this library lies");
    const char *slash = strrchr(facts.dli_fname, '/');
    size_t length = slash != NULL ? (size_t)(slash - facts.dli_fname) : 1;
    if (length >= capacity)
        return error_set(error, OMEN_LIMIT_EXCEEDED, "the path of this library is too long");
    memcpy(buffer, slash != NULL ? facts.dli_fname : ".", length);
    buffer[length] = '\0';
    return OMEN_OK;
}

struct call {
    void (*function)(void *);
    void *argument;
};

static void *run_call(void *argument)
{
    const struct call *call = argument;
    call->function(call->argument);
    return NULL;
}

omen_status os_run_with_stack(size_t stack_bytes, void (*function)(void *), void *argument)
{
    struct call call = {.function = function, .argument = argument};
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0)
        return OMEN_OUT_OF_MEMORY;
    bool started = pthread_attr_setstacksize(&attributes, stack_bytes) == 0 &&
                   pthread_create(&thread, &attributes, run_call, &call) == 0;
    pthread_attr_destroy(&attributes);
    if (!started)
        return OMEN_OUT_OF_MEMORY;
    pthread_join(thread, NULL);
    return OMEN_OK;
}

const struct os os_real = {
    .file_open = real_file_open,
    .file_read = real_file_read,
    .file_size = real_file_size,
    .file_close = real_file_close,
    .monotonic_ns = real_monotonic_ns,
    .wall_clock_us = real_wall_clock_us,
    .library_open = real_library_open,
    .library_symbol = real_library_symbol,
    .library_close = real_library_close,
    .environment = real_environment,
    .own_folder = real_own_folder,
};
