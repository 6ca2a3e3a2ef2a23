/* txn_lock_table.c - the lock table's memory: shards, hash buckets, records cut from slabs.
 *
 *   slab:  [ head | record | record | ... ]    4 KiB, a pool's first 512 bytes; a record's first
 * word leads to its slab
 *
 * Records of objects and entries come from slabs, so that a lock costs two short lists' heads and
 * no call of the allocator. A slab all of whose records are free goes back to the allocator, but
 * for one in each pool. All memory but the owners' counts towards the table's limit.
 */
#include "txn/txn_lock_private.h"

#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"

enum {
    SLAB_BYTES = 4096,
    SLAB_FIRST_BYTES = 512, /* of a pool: most have few records, and the one that is empty stays */
    SLAB_HEAD_BYTES = 64,
    BUCKETS_KEPT = 1024, /* more of them go once the shard is empty */
};

struct lock_record {
    struct lock_slab *slab;
    struct lock_record *next; /* while it is free */
};

struct lock_slab {
    struct lock_slab *next, *previous; /* in the pool's list, while it has a free record */
    struct lock_record *free;
    uint32_t used, bytes;
};

_Static_assert(sizeof(struct lock_slab) <= SLAB_HEAD_BYTES, "the head has room");

/* --- memory under the limit --- */

static void *take(struct lock_table *locks, size_t bytes)
{
    uint64_t before = atomic_fetch_add_explicit(&locks->bytes_used, bytes, memory_order_relaxed);
    void *block = NULL;
    if (locks->bytes_max == 0 || before + bytes <= locks->bytes_max)
        block = allocator_alloc(locks->allocator, bytes);
    if (block == NULL)
        atomic_fetch_sub_explicit(&locks->bytes_used, bytes, memory_order_relaxed);
    return block;
}

static void give(struct lock_table *locks, void *block, size_t bytes)
{
    allocator_free(locks->allocator, block, bytes);
    atomic_fetch_sub_explicit(&locks->bytes_used, bytes, memory_order_relaxed);
}

static void pool_link(struct lock_pool *pool, struct lock_slab *slab)
{
    slab->previous = NULL;
    slab->next = pool->partial;
    if (slab->next != NULL)
        slab->next->previous = slab;
    pool->partial = slab;
}

static void pool_unlink(struct lock_pool *pool, struct lock_slab *slab)
{
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else
        pool->partial = slab->next;
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
}

static bool pool_grow(struct lock_table *locks, struct lock_pool *pool)
{
    uint32_t bytes = pool->slabs == 0 ? SLAB_FIRST_BYTES : SLAB_BYTES;
    struct lock_slab *slab = take(locks, bytes);
    if (slab == NULL)
        return false;
    pool->slabs++;
    slab->bytes = bytes;
    slab->used = 0;
    slab->free = NULL;
    size_t at = SLAB_HEAD_BYTES;
    for (; at + pool->record_bytes <= bytes; at += pool->record_bytes) {
        struct lock_record *record = (void *)((char *)slab + at);
        record->slab = slab;
        record->next = slab->free;
        slab->free = record;
    }
    pool_link(pool, slab);
    pool->slabs_empty++;
    return true;
}

/* All zero but its slab. */
static void *pool_get(struct lock_table *locks, struct lock_pool *pool)
{
    if (pool->partial == NULL && !pool_grow(locks, pool))
        return NULL;
    struct lock_slab *slab = pool->partial;
    struct lock_record *record = slab->free;
    slab->free = record->next;
    if (slab->used++ == 0)
        pool->slabs_empty--;
    if (slab->free == NULL)
        pool_unlink(pool, slab);
    memset((char *)record + sizeof slab, 0, pool->record_bytes - sizeof slab);
    return record;
}

static void pool_put(struct lock_table *locks, struct lock_pool *pool, void *given)
{
    struct lock_record *record = given;
    struct lock_slab *slab = record->slab;
    if (slab->free == NULL)
        pool_link(pool, slab);
    record->next = slab->free;
    slab->free = record;
    if (--slab->used > 0)
        return;
    pool_unlink(pool, slab);
    if (pool->slabs_empty > 0 || (slab->bytes == SLAB_BYTES && pool->partial != NULL)) {
        pool->slabs--;
        give(locks, slab, slab->bytes);
    } else {
        pool_link(pool, slab);
        pool->slabs_empty++;
    }
}

/* Of a pool whose records are all free. */
static void pool_clear(struct lock_table *locks, struct lock_pool *pool)
{
    while (pool->partial != NULL) {
        struct lock_slab *slab = pool->partial;
        OMEN_ASSERT(slab->used == 0);
        pool_unlink(pool, slab);
        give(locks, slab, slab->bytes);
    }
    pool->slabs = pool->slabs_empty = 0;
}

/* --- life --- */

omen_status lock_table_create(struct allocator *allocator, uint64_t bytes_max,
                              struct lock_table **out)
{
    *out = NULL;
    struct lock_table *locks = allocator_alloc_zeroed(allocator, sizeof *locks);
    if (locks == NULL)
        return OMEN_OUT_OF_MEMORY;
    locks->allocator = allocator;
    locks->bytes_max = bytes_max;
    for (uint32_t i = 0; i < LOCK_SHARDS; i++) {
        struct lock_shard *shard = &locks->shards[i];
        mutex_init(&shard->mutex);
        shard->buckets = shard->buckets_min;
        shard->bucket_count = LOCK_BUCKETS_MIN;
        shard->objects.record_bytes = sizeof(struct lock_object);
        shard->entries.record_bytes = sizeof(struct lock_entry);
    }
    *out = locks;
    return OMEN_OK;
}

static void free_buckets(struct lock_table *locks, struct lock_shard *shard)
{
    if (shard->buckets != shard->buckets_min)
        give(locks, shard->buckets, shard->bucket_count * sizeof(struct lock_object *));
    shard->buckets = shard->buckets_min;
    shard->bucket_count = LOCK_BUCKETS_MIN;
}

void lock_table_destroy(struct lock_table *locks)
{
    if (locks == NULL)
        return;
    for (uint32_t i = 0; i < LOCK_SHARDS; i++) {
        struct lock_shard *shard = &locks->shards[i];
        OMEN_ASSERT(shard->object_count == 0);
        pool_clear(locks, &shard->objects);
        pool_clear(locks, &shard->entries);
        free_buckets(locks, shard);
        mutex_destroy(&shard->mutex);
    }
    OMEN_ASSERT(atomic_load(&locks->bytes_used) == 0);
    allocator_free(locks->allocator, locks, sizeof *locks);
}

void lock_table_set_hooks(struct lock_table *locks, const struct lock_hooks *hooks)
{
    locks->hooks = hooks;
}

void lock_every_shard(struct lock_table *locks)
{
    for (uint32_t i = 0; i < LOCK_SHARDS; i++)
        mutex_lock(&locks->shards[i].mutex);
}

void unlock_every_shard_but(struct lock_table *locks, const struct lock_shard *kept)
{
    for (uint32_t i = 0; i < LOCK_SHARDS; i++)
        if (&locks->shards[i] != kept)
            mutex_unlock(&locks->shards[i].mutex);
}

/* --- objects --- */

static enum lock_kind target_kind(const struct lock_target *target)
{
    if (!target->has_key)
        return LOCK_KIND_TABLE;
    return target->key.bytes == NULL ? LOCK_KIND_WORD : LOCK_KIND_BYTES;
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 32)) * UINT64_C(0x9E3779B97F4A7C15);
    return value ^ (value >> 29);
}

uint64_t lock_hash(const struct lock_target *target)
{
    uint64_t seed = mix(target->table * 4 + target->index * UINT64_C(0xBF58476D1CE4E5B9));
    switch (target_kind(target)) {
    case LOCK_KIND_TABLE:
        break;
    case LOCK_KIND_WORD:
        seed ^= target->key.word + 1;
        break;
    case LOCK_KIND_BYTES:
        seed ^= checksum64(target->key.bytes, target->key.length, 0);
        break;
    }
    return mix(seed * UINT64_C(0x94D049BB133111EB));
}

static const uint8_t *object_bytes(const struct lock_object *object)
{
    return object->length <= LOCK_KEY_INLINE_BYTES ? object->key.near : object->key.far;
}

struct lock_target lock_object_target(const struct lock_object *object)
{
    struct lock_target target = {.table = object->table, .index = object->index};
    target.has_key = object->kind != LOCK_KIND_TABLE;
    if (object->kind == LOCK_KIND_WORD)
        target.key.word = object->key.word;
    if (object->kind == LOCK_KIND_BYTES) {
        target.key.bytes = object_bytes(object);
        target.key.length = object->length;
    }
    return target;
}

static bool object_is(const struct lock_object *object, const struct lock_target *target)
{
    enum lock_kind kind = target_kind(target);
    if (object->table != target->table || object->kind != kind)
        return false;
    if (kind == LOCK_KIND_TABLE)
        return true;
    if (object->index != target->index)
        return false;
    if (kind == LOCK_KIND_WORD)
        return object->key.word == target->key.word;
    return object->length == target->key.length &&
           memcmp(object_bytes(object), target->key.bytes, object->length) == 0;
}

static struct lock_object **bucket_of(struct lock_shard *shard, uint64_t hash)
{
    return &shard->buckets[hash & (shard->bucket_count - 1)];
}

struct lock_object *lock_object_find(struct lock_shard *shard, const struct lock_target *target,
                                     uint64_t hash)
{
    struct lock_object *object = *bucket_of(shard, hash);
    while (object != NULL && (object->hash != hash || !object_is(object, target)))
        object = object->next;
    return object;
}

/* Where memory is exhausted the buckets stay as they are, and get longer. */
static void grow_buckets(struct lock_table *locks, struct lock_shard *shard)
{
    struct lock_object **old = shard->buckets;
    uint32_t old_count = shard->bucket_count;
    size_t bytes = 2 * (size_t)old_count * sizeof *old;
    struct lock_object **grown = take(locks, bytes);
    if (grown == NULL)
        return;
    memset(grown, 0, bytes);
    shard->buckets = grown;
    shard->bucket_count = 2 * old_count;
    for (uint32_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct lock_object *object = old[i];
            old[i] = object->next;
            struct lock_object **bucket = bucket_of(shard, object->hash);
            object->next = *bucket;
            *bucket = object;
        }
    }
    if (old != shard->buckets_min)
        give(locks, old, old_count * sizeof *old);
}

/* False where memory is exhausted. */
static bool set_target(struct lock_table *locks, struct lock_object *object,
                       const struct lock_target *target)
{
    object->table = target->table;
    object->kind = (uint8_t)target_kind(target);
    if (object->kind == LOCK_KIND_TABLE)
        return true;
    object->index = target->index;
    if (object->kind == LOCK_KIND_WORD) {
        object->key.word = target->key.word;
        return true;
    }
    OMEN_ASSERT(target->key.length <= UINT32_MAX);
    object->length = (uint32_t)target->key.length;
    uint8_t *bytes = object->key.near;
    if (object->length > LOCK_KEY_INLINE_BYTES)
        bytes = object->key.far = take(locks, object->length);
    if (bytes == NULL)
        return false;
    memcpy(bytes, target->key.bytes, object->length);
    return true;
}

struct lock_object *lock_object_obtain(struct lock_table *locks, struct lock_shard *shard,
                                       const struct lock_target *target, uint64_t hash)
{
    struct lock_object *object = lock_object_find(shard, target, hash);
    if (object != NULL)
        return object;
    object = pool_get(locks, &shard->objects);
    if (object == NULL)
        return NULL;
    object->hash = hash;
    if (!set_target(locks, object, target)) {
        pool_put(locks, &shard->objects, object);
        return NULL;
    }
    if (++shard->object_count > shard->bucket_count)
        grow_buckets(locks, shard);
    struct lock_object **bucket = bucket_of(shard, hash);
    object->next = *bucket;
    *bucket = object;
    return object;
}

void lock_object_drop_idle(struct lock_table *locks, struct lock_shard *shard,
                           struct lock_object *object)
{
    if (object->holders != NULL || object->queue != NULL)
        return;
    struct lock_object **place = bucket_of(shard, object->hash);
    while (*place != object)
        place = &(*place)->next;
    *place = object->next;
    if (object->kind == LOCK_KIND_BYTES && object->length > LOCK_KEY_INLINE_BYTES)
        give(locks, object->key.far, object->length);
    pool_put(locks, &shard->objects, object);
    if (--shard->object_count == 0 && shard->bucket_count > BUCKETS_KEPT)
        free_buckets(locks, shard);
}

struct lock_entry *lock_entry_create(struct lock_table *locks, struct lock_shard *shard)
{
    return pool_get(locks, &shard->entries);
}

void lock_entry_destroy(struct lock_table *locks, struct lock_shard *shard,
                        struct lock_entry *entry)
{
    pool_put(locks, &shard->entries, entry);
}
