/* txn_lock_list.c - looking at all locks: the list for views, and the invariants.
 *
 * The list is made with all shards held, in two walks: the first counts, the second copies. So it
 * shows one moment, in one block:  [ lock_info ... | transactions waited for ... | key bytes ... ]
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "txn/txn_lock_private.h"

/* Calls `visit` for each entry, an object's together: holders, then its queue. All shards held. */
static void visit_entries(struct lock_table *locks,
                          void (*visit)(void *context, const struct lock_entry *entry),
                          void *context)
{
    for (uint32_t i = 0; i < LOCK_SHARDS; i++) {
        struct lock_shard *shard = &locks->shards[i];
        for (uint32_t j = 0; j < shard->bucket_count; j++) {
            const struct lock_object *object = shard->buckets[j];
            for (; object != NULL; object = object->next) {
                const struct lock_entry *entry = object->holders;
                for (; entry != NULL; entry = entry->next)
                    visit(context, entry);
                for (entry = object->queue; entry != NULL; entry = entry->next)
                    visit(context, entry);
            }
        }
    }
}

/* The transactions in the entry's way, at `out` unless that is NULL; gives how many. */
static size_t in_the_way(const struct lock_entry *entry, uint64_t *out)
{
    size_t count = 0;
    if (entry->granted)
        return 0;
    uint16_t conflicts = lock_conflicts[entry->mode];
    const struct lock_entry *other = entry->object->holders;
    for (; other != NULL; other = other->next) {
        if (other->owner == entry->owner || (conflicts & lock_bit(other->mode)) == 0)
            continue;
        if (out != NULL)
            out[count] = other->owner->transaction;
        count++;
    }
    for (other = entry->object->queue; other != entry; other = other->next) {
        if ((conflicts & lock_bit(other->mode)) == 0)
            continue;
        if (out != NULL)
            out[count] = other->owner->transaction;
        count++;
    }
    return count;
}

/* What the list needs, then where the next goes. */
struct listing {
    size_t locks, transactions, bytes;
    struct lock_info *info;
    uint64_t *waits_for;
    uint8_t *key;
};

static void count_entry(void *context, const struct lock_entry *entry)
{
    struct listing *listing = context;
    listing->locks++;
    listing->transactions += in_the_way(entry, NULL);
    listing->bytes += entry->object->length;
}

static void copy_entry(void *context, const struct lock_entry *entry)
{
    struct listing *listing = context;
    struct lock_info *info = listing->info++;
    *info = (struct lock_info){
        .transaction = entry->owner->transaction,
        .target = lock_object_target(entry->object),
        .mode = entry->mode,
        .granted = entry->granted,
        .waiting_since_ns = entry->granted ? 0 : entry->owner->waiting_since_ns,
        .waits_for = listing->waits_for,
    };
    info->waits_for_count = in_the_way(entry, listing->waits_for);
    listing->waits_for += info->waits_for_count;
    if (info->target.key.bytes != NULL) {
        memcpy(listing->key, info->target.key.bytes, info->target.key.length);
        info->target.key.bytes = listing->key;
        listing->key += info->target.key.length;
    }
}

omen_status lock_list_take(struct lock_table *locks, struct allocator *allocator,
                           struct lock_list *out)
{
    *out = (struct lock_list){.allocator = allocator};
    struct listing listing = {0};
    omen_status status = OMEN_OK;
    lock_every_shard(locks);
    visit_entries(locks, count_entry, &listing);
    if (listing.locks > 0) {
        out->block_bytes = listing.locks * sizeof *listing.info +
                           listing.transactions * sizeof *listing.waits_for + listing.bytes;
        out->block = allocator_alloc(allocator, out->block_bytes);
        if (out->block == NULL)
            status = OMEN_OUT_OF_MEMORY;
    }
    if (out->block != NULL) {
        out->locks = listing.info = out->block;
        out->count = listing.locks;
        listing.waits_for = (uint64_t *)(listing.info + listing.locks);
        listing.key = (uint8_t *)(listing.waits_for + listing.transactions);
        visit_entries(locks, copy_entry, &listing);
    }
    unlock_every_shard_but(locks, NULL);
    return status;
}

void lock_list_release(struct lock_list *list)
{
    allocator_free(list->allocator, list->block, list->block_bytes);
    *list = (struct lock_list){.allocator = list->allocator};
}

/* --- invariants --- */

/* Gives what is wrong with the object, or NULL. */
static const char *object_fault(const struct lock_object *object)
{
    uint32_t counts[LOCK_MODES] = {0};
    uint16_t held = 0, ahead = 0;
    if (object->holders == NULL)
        return "nobody holds it";
    for (const struct lock_entry *entry = object->holders; entry != NULL; entry = entry->next) {
        if (!entry->granted || entry->object != object)
            return "a holder is none";
        if (entry->next != NULL && entry->next->previous != entry)
            return "the holders' list is broken";
        if (lock_holder_conflicts(object, entry->owner, entry->mode))
            return "two hold what conflicts";
        counts[entry->mode]++;
        held |= lock_bit(entry->mode);
    }
    if (held != object->held)
        return "the modes held are others";
    for (uint32_t mode = 0; mode < LOCK_MODES; mode++)
        if (counts[mode] > 0 && counts[mode] != object->counts[lock_count_index(mode)])
            return "a mode is held another number of times";
    const struct lock_entry *previous = NULL;
    for (const struct lock_entry *entry = object->queue; entry != NULL; entry = entry->next) {
        if (entry->granted || entry->object != object || entry->owner->waiting != entry)
            return "a waiter is none";
        if (entry->previous != previous)
            return "the queue is broken";
        if ((lock_conflicts[entry->mode] & ahead) == 0 &&
            !lock_holder_conflicts(object, entry->owner, entry->mode))
            return "somebody waits for nothing";
        ahead |= lock_bit(entry->mode);
        previous = entry;
    }
    return object->queue_last != previous ? "the queue ends elsewhere" : NULL;
}

static void check_circle(void *context, const struct lock_entry *entry)
{
    const char **fault = context;
    struct lock_owner *owner = entry->owner;
    if (!entry->granted && lock_waits_for_itself(owner->locks, owner))
        *fault = "somebody waits for itself";
}

bool lock_table_is_valid(struct lock_table *locks)
{
    const char *fault = NULL;
    lock_every_shard(locks);
    for (uint32_t i = 0; i < LOCK_SHARDS && fault == NULL; i++) {
        const struct lock_shard *shard = &locks->shards[i];
        uint32_t count = 0;
        for (uint32_t j = 0; j < shard->bucket_count; j++) {
            const struct lock_object *object = shard->buckets[j];
            for (; object != NULL && fault == NULL; object = object->next, count++)
                fault = object_fault(object);
        }
        if (fault == NULL && count != shard->object_count)
            fault = "the shard has another number of objects";
    }
    if (fault == NULL)
        visit_entries(locks, check_circle, &fault);
    unlock_every_shard_but(locks, NULL);
    if (fault != NULL)
        fprintf(stderr, "locks: %s\n", fault);
    return fault == NULL;
}
