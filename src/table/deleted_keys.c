/* deleted_keys.c - the queue of deleted keys whose index entries wait for the watermark.
 *
 *   head: [. . k k k] -> [k k k k k] -> [k k . . .] :tail -> [. . . . .] reserved
 *
 * One writer. Chunks are freed as they empty; the last one stays.
 */
#include "table/table_private.h"

enum { CHUNK_KEYS = sizeof((struct deleted_chunk *)0)->keys / sizeof(struct deleted_key) };

bool deleted_keys_reserve(struct deleted_keys *queue, struct allocator *allocator, size_t extra)
{
    struct deleted_chunk *last = queue->tail;
    while (last != NULL && last->next != NULL)
        last = last->next;
    while (queue->capacity - queue->first - queue->count < extra) {
        struct deleted_chunk *chunk = allocator_alloc(allocator, sizeof *chunk);
        if (chunk == NULL)
            return false;
        chunk->next = NULL;
        if (last != NULL)
            last->next = chunk;
        else
            queue->head = queue->tail = chunk;
        last = chunk;
        queue->capacity += CHUNK_KEYS;
    }
    return true;
}

void deleted_keys_push(struct deleted_keys *queue, struct deleted_key key)
{
    OMEN_ASSERT(queue->first + queue->count < queue->capacity);
    size_t position = (queue->first + queue->count) % CHUNK_KEYS;
    if (position == 0 && queue->first + queue->count > 0)
        queue->tail = queue->tail->next;
    queue->tail->keys[position] = key;
    queue->count++;
}

const struct deleted_key *deleted_keys_peek(const struct deleted_keys *queue)
{
    return queue->count == 0 ? NULL : &queue->head->keys[queue->first];
}

void deleted_keys_pop(struct deleted_keys *queue, struct allocator *allocator)
{
    OMEN_ASSERT(queue->count > 0);
    queue->count--;
    queue->first++;
    if (queue->count == 0 && queue->head == queue->tail) {
        queue->first = 0;
    } else if (queue->first == CHUNK_KEYS) {
        struct deleted_chunk *empty = queue->head;
        queue->head = empty->next;
        queue->first = 0;
        queue->capacity -= CHUNK_KEYS;
        allocator_free(allocator, empty, sizeof *empty);
    }
}

void deleted_keys_destroy(struct deleted_keys *queue, struct allocator *allocator)
{
    while (queue->head != NULL) {
        struct deleted_chunk *next = queue->head->next;
        allocator_free(allocator, queue->head, sizeof *queue->head);
        queue->head = next;
    }
    *queue = (struct deleted_keys){0};
}
