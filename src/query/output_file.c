/* output_file.c - see output_file.h. */
#include "query/output_file.h"

#include <stdio.h>
#include <string.h>

enum { BUFFER_BYTES = 1 << 20, SUFFIX_BYTES = 32 };

struct output_file {
    const struct os *os;
    struct allocator *allocator;
    size_t path_bytes; /* of each of the two names */
    char *path, *temporary;
    int64_t handle; /* -1: closed, or never opened */
    bool made, renamed;
    uint64_t offset; /* of the buffer in the file */
    size_t used;
    uint8_t *buffer;
};

static omen_status open_temporary(struct output_file *file, const char *path, omen_error *error)
{
    struct os_identity identity;
    omen_error unused;
    uint64_t number;
    file->os->random_bytes(file->os, &number, sizeof number);
    snprintf(file->path, file->path_bytes, "%s", path);
    snprintf(file->temporary, file->path_bytes, "%s.%016llx.tmp", path, (unsigned long long)number);
    if (file->os->file_identity(file->os, path, -1, &identity, &unused) == OMEN_OK &&
        !identity.is_regular)
        return error_set(error, OMEN_WRONG_OBJECT_TYPE, "\"%.300s\" is not a regular file", path);
    OMEN_TRY(
        file->os->file_open(file->os, file->temporary, OS_OPEN_CREATE_OUT, &file->handle, error));
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
    file->path_bytes = strlen(path) + SUFFIX_BYTES;
    file->path = allocator_alloc(allocator, file->path_bytes);
    file->temporary = allocator_alloc(allocator, file->path_bytes);
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
    allocator_free(allocator, file->path, file->path_bytes);
    allocator_free(allocator, file->temporary, file->path_bytes);
    allocator_free(allocator, file->buffer, BUFFER_BYTES);
    allocator_free(allocator, file, sizeof *file);
}
