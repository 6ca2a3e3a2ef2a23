/* attachment.c - lists of segments that grow; see attachment.h. */
#include "store/attachment.h"

#include <string.h>

struct attachment *table_files_add(struct allocator *allocator, struct table_files *files)
{
    if (files->count == files->capacity) {
        size_t capacity = files->capacity == 0 ? 4 : files->capacity * 2;
        struct attachment *attachments =
            allocator_resize(allocator, files->attachments, files->capacity * sizeof *attachments,
                             capacity * sizeof *attachments);
        if (attachments == NULL)
            return NULL;
        files->attachments = attachments;
        files->capacity = capacity;
    }
    struct attachment *attachment = &files->attachments[files->count++];
    memset(attachment, 0, sizeof *attachment);
    return attachment;
}

void table_files_release(struct allocator *allocator, struct table_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        segment_release(files->attachments[i].segment);
    allocator_free(allocator, files->attachments, files->capacity * sizeof *files->attachments);
    *files = (struct table_files){0};
}

struct attachment *table_files_find(const struct table_files *files, const uint8_t uuid[16])
{
    for (size_t i = 0; i < files->count; i++)
        if (memcmp(files->attachments[i].facts.uuid, uuid, 16) == 0)
            return &files->attachments[i];
    return NULL;
}
