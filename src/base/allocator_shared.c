/* allocator_shared.c - allocators that outlive their owner.
 *
 * Exported Arrow batches may be released long after their database was closed, and giving memory
 * back touches the allocator last of all. So a retired allocator waits in a list until its count
 * is zero; each later create or retire frees those that are.
 *
 * Concurrency: `retired_lock` guards the list. A count of zero is final for a retired allocator:
 * whoever could still allocate or free holds a block of it.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/allocator.h"

struct shared_allocator {
    struct allocator allocator; /* first: the two addresses are one */
    struct shared_allocator *next;
};

static pthread_mutex_t retired_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared_allocator *retired;

/* Frees the retired allocators whose blocks are all back. The caller holds the lock. */
static void sweep_retired(void)
{
    struct shared_allocator **link = &retired;
    while (*link != NULL) {
        struct shared_allocator *shared = *link;
        /* Acquire after the relaxed decrement of the last free: it was that thread's last touch
         * of the allocator, and a read-modify-write, so nothing of it can come later. */
        if (atomic_load_explicit(&shared->allocator.bytes_used, memory_order_acquire) == 0) {
            *link = shared->next;
            free(shared);
        } else {
            link = &shared->next;
        }
    }
}

struct allocator *allocator_create(size_t bytes_max)
{
    struct shared_allocator *shared = calloc(1, sizeof *shared);
    pthread_mutex_lock(&retired_lock);
    sweep_retired();
    pthread_mutex_unlock(&retired_lock);
    if (shared == NULL)
        return NULL;
    allocator_init(&shared->allocator, bytes_max);
    return &shared->allocator;
}

void allocator_retire(struct allocator *allocator)
{
    if (allocator == NULL)
        return;
    struct shared_allocator *shared = (struct shared_allocator *)allocator;
    pthread_mutex_lock(&retired_lock);
    shared->next = retired;
    retired = shared;
    sweep_retired();
    pthread_mutex_unlock(&retired_lock);
}
