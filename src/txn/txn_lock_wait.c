/* txn_lock_wait.c - waiting for a lock, and finding out that nobody would ever be woken.
 *
 * A waiter waits for the other holders whose modes conflict with its own, and for those before it
 * in the queue whose modes do. A circle of waiting can only close when somebody begins to wait:
 * all that is new then leads to or from the one who does, while releasing, granting and giving up
 * add nothing to wait for that was not waited for before. So one search from the one who begins,
 * with all shards held, finds each circle, and finds none that is not there. It fails with
 * DEADLOCK_DETECTED, the others go on.
 *
 * Before that, a request that came last is put first in its queue: if the circle went through the
 * queue's order alone, it is open then.
 *
 * The search visits owners breadth first. Who has been looked at spares those before it in its
 * queue: what they wait for, of the modes that it conflicts with, has been found with it. So a
 * queue costs its length, not its square.
 */
#include "base/assert.h"
#include "os/os.h"
#include "txn/txn_lock_private.h"

#include <stdio.h>
#include <string.h>

enum {
    ASK_NS = 10 * 1000 * 1000,
    DETAIL_BYTES = OMEN_ERROR_MESSAGE_BYTES - 32,
};

static uint64_t lock_now(const struct lock_table *locks)
{
    if (locks->hooks != NULL)
        return locks->hooks->now(locks->hooks->context);
    return os_real.monotonic_ns(&os_real);
}

void lock_wake(struct lock_table *locks, struct lock_owner *owner)
{
    if (locks->hooks != NULL)
        locks->hooks->wake(locks->hooks->context, owner->transaction);
    else
        condition_wake_one(&owner->woken);
}

/* With the shard's mutex held, but for the time of sleeping. */
static void lock_sleep(struct lock_table *locks, struct lock_shard *shard, struct lock_owner *owner,
                       uint64_t ns)
{
    if (locks->hooks == NULL) {
        condition_wait_ns(&owner->woken, &shard->mutex, ns);
        return;
    }
    mutex_unlock(&shard->mutex);
    locks->hooks->sleep(locks->hooks->context, owner->transaction, ns);
    mutex_lock(&shard->mutex);
}

/* --- the search; all shards are held --- */

struct search {
    uint64_t number;
    struct lock_owner *start;
    struct lock_owner *last; /* of those to be looked at */
};

/* Notes that `waiter` waits for `owner`. True: the circle is closed. */
static bool search_add(struct search *search, struct lock_owner *waiter, struct lock_owner *owner)
{
    if (owner == search->start) {
        owner->search_parent = waiter;
        return true;
    }
    if (owner->search != search->number) {
        owner->search = search->number;
        owner->search_parent = waiter;
        owner->search_next = NULL;
        search->last->search_next = owner;
        search->last = owner;
    }
    return false;
}

static void spare(struct search *search, struct lock_owner *owner, uint16_t modes)
{
    if (owner->spared_search != search->number)
        owner->spared = 0;
    owner->spared_search = search->number;
    owner->spared |= modes;
}

/* Adds those whom the owner waits for. True: the start is among them. */
static bool search_from(struct search *search, struct lock_owner *owner)
{
    const struct lock_entry *entry = owner->waiting;
    if (entry == NULL)
        return false;
    uint16_t conflicts = lock_conflicts[entry->mode];
    if (owner->spared_search == search->number && (conflicts & ~owner->spared) == 0)
        return false;
    struct lock_entry *other = entry->object->holders;
    for (; other != NULL; other = other->next)
        if (other->owner != owner && (conflicts & lock_bit(other->mode)) != 0 &&
            search_add(search, owner, other->owner))
            return true;
    /* What the start holds itself does not stop it, but may stop others: it spares nobody then. */
    bool spares = owner != search->start || !entry->upgrade;
    for (other = entry->object->queue; other != entry; other = other->next) {
        if ((conflicts & lock_bit(other->mode)) != 0 && search_add(search, owner, other->owner))
            return true;
        if (spares)
            spare(search, other->owner, conflicts);
    }
    return false;
}

bool lock_waits_for_itself(struct lock_table *locks, struct lock_owner *start)
{
    struct search search = {.number = ++locks->search, .start = start, .last = start};
    start->search = search.number;
    start->search_next = NULL;
    for (struct lock_owner *owner = start; owner != NULL; owner = owner->search_next)
        if (search_from(&search, owner))
            return true;
    return false;
}

/* --- the message --- */

/* "Transaction 7 waits for UPDATE on a row of relation "t"; blocked by transaction 9." and so on.
 * All shards are held, as since the search. */
static omen_status deadlock(struct lock_owner *start, omen_error *error)
{
    /* The parents lead backwards; `search_next` is free by now to lead forwards. */
    struct lock_owner *owner = start;
    do {
        owner->search_parent->search_next = owner;
        owner = owner->search_parent;
    } while (owner != start);
    char detail[DETAIL_BYTES] = "";
    size_t length = 0;
    do {
        char line[256];
        int wanted = snprintf(
            line, sizeof line,
            "%sTransaction %llu waits for %s on %s \"%.63s\"; blocked by transaction %llu.",
            length > 0 ? " " : "", (unsigned long long)owner->transaction,
            lock_mode_name(owner->waiting->mode),
            owner->waiting->object->kind == LOCK_KIND_TABLE ? "relation" : "a row of relation",
            owner->relation != NULL ? owner->relation : "",
            (unsigned long long)owner->search_next->transaction);
        OMEN_ASSERT(wanted > 0 && (size_t)wanted < sizeof line);
        if (length + (size_t)wanted + sizeof " ..." > sizeof detail) {
            memcpy(detail + length, " ...", sizeof " ...");
            break;
        }
        memcpy(detail + length, line, (size_t)wanted + 1);
        length += (size_t)wanted;
        owner = owner->search_next;
    } while (owner != start);
    omen_status status = error_set_default(error, OMEN_DEADLOCK_DETECTED);
    error_hint(error, "%s", detail);
    return status;
}

/* --- waiting --- */

/* A waiting entry's owner; all shards are held. OK: it waits, or has been granted. */
static omen_status begin_waiting(struct lock_owner *owner, struct lock_entry *entry,
                                 const struct lock_request *request, omen_error *error)
{
    owner->waiting = entry;
    owner->relation = request->relation;
    owner->waiting_since_ns = lock_now(owner->locks);
    if (!lock_waits_for_itself(owner->locks, owner))
        return OMEN_OK;
    lock_queue_put_first(entry);
    if (!lock_holder_conflicts(entry->object, owner, entry->mode)) {
        lock_queue_remove(entry);
        lock_grant(entry);
        owner->waiting = NULL;
        return OMEN_OK;
    }
    if (!lock_waits_for_itself(owner->locks, owner))
        return OMEN_OK;
    omen_status status = deadlock(owner, error);
    owner->waiting = NULL;
    return status;
}

static omen_status ask(const struct lock_table *locks, const struct lock_request *request,
                       uint64_t deadline_ns, omen_error *error)
{
    if (request->patience != NULL)
        OMEN_TRY(request->patience->ask(request->patience->context, error));
    if (deadline_ns != 0 && lock_now(locks) >= deadline_ns)
        return error_set(error, OMEN_LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout");
    return OMEN_OK;
}

/* With the shard's mutex held. An answer other than OK: the entry may have been granted all the
 * same. */
static omen_status wait_for_turn(struct lock_table *locks, struct lock_shard *shard,
                                 const struct lock_entry *entry, const struct lock_request *request,
                                 omen_error *error)
{
    struct lock_owner *owner = entry->owner;
    uint64_t deadline_ns =
        request->timeout_ns != 0 ? owner->waiting_since_ns + request->timeout_ns : 0;
    omen_status status = OMEN_OK;
    while (!entry->granted && status == OMEN_OK) {
        uint64_t ns = ASK_NS;
        if (deadline_ns != 0) {
            uint64_t now = lock_now(locks);
            uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
            ns = left < ns ? left : ns;
        }
        lock_sleep(locks, shard, owner, ns);
        if (entry->granted)
            break;
        mutex_unlock(&shard->mutex);
        status = ask(locks, request, deadline_ns, error);
        mutex_lock(&shard->mutex);
    }
    return status;
}

omen_status lock_acquire_waiting(struct lock_owner *owner, const struct lock_request *request,
                                 uint64_t hash, struct lock_entry **entry, omen_error *error)
{
    struct lock_table *locks = owner->locks;
    struct lock_shard *shard = lock_shard_of(locks, hash);
    lock_every_shard(locks);
    enum lock_try result = lock_try(owner, shard, request, hash, true, entry);
    omen_status status = OMEN_OK;
    if (result == LOCK_TRY_NO_MEMORY)
        status = error_set(error, OMEN_OUT_OF_MEMORY, "out of memory for locks");
    if (result == LOCK_TRY_BLOCKED)
        status = begin_waiting(owner, *entry, request, error);
    unlock_every_shard_but(locks, shard);
    if (status == OMEN_OK && *entry != NULL)
        status = wait_for_turn(locks, shard, *entry, request, error);
    if (status != OMEN_OK && *entry != NULL) {
        owner->waiting = NULL;
        lock_entry_withdraw(locks, shard, *entry);
        *entry = NULL;
    }
    mutex_unlock(&shard->mutex);
    return status;
}
