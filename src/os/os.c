/* os.c - the real operating system: chance, clocks, the dynamic loader. Files: os_file.c. */
#define _GNU_SOURCE
#include "os/os_private.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

static void real_random_bytes(const struct os *os, void *buffer, size_t length)
{
    uint8_t *next = buffer;
    while (length > 0) {
        ssize_t got = getrandom(next, length, 0);
        OMEN_ASSERT(got > 0 || errno == EINTR);
        if (got > 0)
            next += got, length -= (size_t)got;
    }
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

static void real_process_name(const struct os *os, char *buffer, size_t capacity)
{
    snprintf(buffer, capacity, "%ld (%.64s)", (long)getpid(), program_invocation_short_name);
    for (char *at = buffer; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
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

/* The number that a file consists of; `fallback` where it does not. */
static uint64_t number_in(const char *path, uint64_t fallback)
{
    unsigned long long number;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fallback;
    if (fscanf(file, "%llu", &number) == 1 && number < fallback)
        fallback = number;
    fclose(file);
    return fallback;
}

uint64_t os_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t bytes =
        pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : UINT64_C(1) << 30;
    return number_in("/sys/fs/cgroup/memory.max",
                     number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes", bytes));
}

const struct os os_real = {
    .file_open = real_file_open,
    .file_read = real_file_read,
    .file_read_at = real_file_read_at,
    .file_write_at = real_file_write_at,
    .file_sync = real_file_sync,
    .file_reserve = real_file_reserve,
    .file_truncate = real_file_truncate,
    .file_size = real_file_size,
    .file_identity = real_file_identity,
    .file_take_mode = real_file_take_mode,
    .path_follow = real_path_follow,
    .file_close = real_file_close,
    .file_rename = real_file_rename,
    .file_remove = real_file_remove,
    .file_lock = real_file_lock,
    .directory_create = real_directory_create,
    .directory_sync = real_directory_sync,
    .directory_open = real_directory_open,
    .directory_sync_open = real_directory_sync_open,
    .directory_list = real_directory_list,
    .random_bytes = real_random_bytes,
    .monotonic_ns = real_monotonic_ns,
    .wall_clock_us = real_wall_clock_us,
    .library_open = real_library_open,
    .library_symbol = real_library_symbol,
    .library_close = real_library_close,
    .environment = real_environment,
    .process_name = real_process_name,
    .own_folder = real_own_folder,
};
