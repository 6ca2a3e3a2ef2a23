/* output_file.c - see output_file.h. */
#include "query/output_file.h"

#include <stdio.h>
#include <string.h>

enum { BUFFER_BYTES = 1 << 20, PATH_BYTES_MAX = 4096, SUFFIX_BYTES = 32 };

struct output_file {
    const struct os *os;
    struct allocator *allocator;
    char *path, *temporary; /* PATH_BYTES_MAX and SUFFIX_BYTES more, each */
    int64_t handle;         /* -1: closed, or never opened */
    bool made, renamed;
    uint64_t offset; /* of the buffer in the file */
    size_t used;
    uint8_t *buffer;
};

/* The file that is replaced: one that may be written, and whose mode the new one gets before
 * anything is in it. */
static omen_status open_like(struct output_file *file, omen_error *error)
{
    const struct os *os = file->os;
    int64_t old;
    OMEN_TRY(os->file_open(os, file->path, OS_OPEN_WRITE, &old, error));
    os->file_close(os, old);
    OMEN_TRY(os->file_open(os, file->temporary, OS_OPEN_CREATE_NEW, &file->handle, error));
    file->made = true;
    return os->file_take_mode(os, file->handle, file->path, error);
}

static omen_status open_temporary(struct output_file *file, const char *path, omen_error *error)
{
    const struct os *os = file->os;
    struct os_identity identity;
    omen_error unused;
    uint64_t number;
    OMEN_TRY(os->path_follow(os, path, file->path, PATH_BYTES_MAX, error));
    os->random_bytes(os, &number, sizeof number);
    snprintf(file->temporary, PATH_BYTES_MAX + SUFFIX_BYTES, "%s.%016llx.tmp", file->path,
             (unsigned long long)number);
    if (os->file_identity(os, file->path, -1, &identity, &unused) == OMEN_OK) {
        if (!identity.is_regular)
            return error_set(error, OMEN_WRONG_OBJECT_TYPE, "\"%.300s\" is not a regular file",
                             path);
        return open_like(file, error);
    }
    OMEN_TRY(os->file_open(os, file->temporary, OS_OPEN_CREATE_OUT, &file->handle, error));
    file->made = true;
    return OMEN_OK;
}

omen_status output_open(const struct os *os, struct allocator *allocator, const char *path,
                        struct output_file **out, omen_error *error)
{
    *out = NULL;
    struct output_file *file = allocator_alloc_zeroed(allocator, sizeof *file);
    if (file == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    file->os = os;
    file->allocator = allocator;
    file->handle = -1;
    file->path = allocator_alloc(allocator, PATH_BYTES_MAX + SUFFIX_BYTES);
    file->temporary = allocator_alloc(allocator, PATH_BYTES_MAX + SUFFIX_BYTES);
    file->buffer = allocator_alloc(allocator, BUFFER_BYTES);
    omen_status status = file->path == NULL || file->temporary == NULL || file->buffer == NULL
                             ? error_set_default(error, OMEN_OUT_OF_MEMORY)
                             : open_temporary(file, path, error);
    if (status != OMEN_OK) {
        output_close(file);
        return status;
    }
    *out = file;
    return OMEN_OK;
}

static omen_status flush(struct output_file *file, omen_error *error)
{
    OMEN_TRY(file->os->file_write_at(file->os, file->handle, file->buffer, file->used, file->offset,
                                     error));
    file->offset += file->used;
    file->used = 0;
    return OMEN_OK;
}

omen_status output_write(struct output_file *file, const void *data, size_t length,
                         omen_error *error)
{
    const uint8_t *from = data;
    while (length > 0) {
        size_t room = BUFFER_BYTES - file->used;
        size_t part = length < room ? length : room;
        memcpy(file->buffer + file->used, from, part);
        file->used += part;
        from += part;
        length -= part;
        if (file->used == BUFFER_BYTES)
            OMEN_TRY(flush(file, error));
    }
    return OMEN_OK;
}

/* The folder that the file lies in, in place of its path. */
static const char *folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return ".";
    slash[slash == path] = '\0';
    return path;
}

omen_status output_finish(struct output_file *file, omen_error *error)
{
    const struct os *os = file->os;
    OMEN_TRY(flush(file, error));
    OMEN_TRY(os->file_sync(os, file->handle, error));
    os->file_close(os, file->handle);
    file->handle = -1;
    OMEN_TRY(os->file_rename(os, file->temporary, file->path, error));
    file->renamed = true;
    return os->directory_sync(os, folder_of(file->path), error);
}

void output_close(struct output_file *file)
{
    if (file == NULL)
        return;
    const struct os *os = file->os;
    struct allocator *allocator = file->allocator;
    omen_error unused;
    if (file->handle >= 0)
        os->file_close(os, file->handle);
    if (file->made && !file->renamed)
        (void)!os->file_remove(os, file->temporary, &unused);
    allocator_free(allocator, file->path, PATH_BYTES_MAX + SUFFIX_BYTES);
    allocator_free(allocator, file->temporary, PATH_BYTES_MAX + SUFFIX_BYTES);
    allocator_free(allocator, file->buffer, BUFFER_BYTES);
    allocator_free(allocator, file, sizeof *file);
}
