/* txn_lock.c - taking and releasing locks: modes, conflicts, queues, marks.
 *
 * Whose turn it is. A request is granted at once if no other owner holds what conflicts with it
 * and, unless its owner holds the object already, nobody waits for what conflicts with it. Else
 * it waits: behind all others, or, where its owner holds the object already, behind those of whom
 * that is true as well. When something is released, the queue is walked from its front: who
 * conflicts neither with other holders nor with anyone before it that still waits has its turn.
 *
 * Why lock_any_held needs no ordering of its own. A locker adds itself to `blocking` before it
 * looks at its row under the writer lock. A writer that registers nothing loads `blocking` under
 * the writer lock. The sections under that lock have one order. If the writer's comes first, the
 * locker finds what it did. If the locker's comes first, the adding happens before the load,
 * which therefore cannot read what was there before it. A locker subtracts itself after its
 * commit has been applied under the writer lock, or when it leaves nothing behind at all; a writer
 * that reads the result finds the commit, since it acts on the newest version. So all accesses
 * of `blocking` may be relaxed.
 *
 * Source: the modes, and what conflicts with what: PostgreSQL's manual, "Explicit Locking".
 */
#include "txn/txn_lock.h"

#include "base/assert.h"
#include "txn/txn_lock_private.h"

#define BIT(mode) (1u << (mode))

/* clang-format off */
const uint16_t lock_conflicts[LOCK_MODES] = {
    [ROW_LOCK_KEY_SHARE] = BIT(ROW_LOCK_UPDATE),
    [ROW_LOCK_SHARE] = BIT(ROW_LOCK_NO_KEY_UPDATE) | BIT(ROW_LOCK_UPDATE),
    [ROW_LOCK_NO_KEY_UPDATE] =
        BIT(ROW_LOCK_SHARE) | BIT(ROW_LOCK_NO_KEY_UPDATE) | BIT(ROW_LOCK_UPDATE),
    [ROW_LOCK_UPDATE] = BIT(ROW_LOCK_KEY_SHARE) | BIT(ROW_LOCK_SHARE) |
        BIT(ROW_LOCK_NO_KEY_UPDATE) | BIT(ROW_LOCK_UPDATE),
    [TABLE_LOCK_ACCESS_SHARE] = BIT(TABLE_LOCK_ACCESS_EXCLUSIVE),
    [TABLE_LOCK_ROW_SHARE] = BIT(TABLE_LOCK_EXCLUSIVE) | BIT(TABLE_LOCK_ACCESS_EXCLUSIVE),
    [TABLE_LOCK_ROW_EXCLUSIVE] = BIT(TABLE_LOCK_SHARE) | BIT(TABLE_LOCK_SHARE_ROW_EXCLUSIVE) |
        BIT(TABLE_LOCK_EXCLUSIVE) | BIT(TABLE_LOCK_ACCESS_EXCLUSIVE),
    [TABLE_LOCK_SHARE_UPDATE_EXCLUSIVE] = BIT(TABLE_LOCK_SHARE_UPDATE_EXCLUSIVE) |
        BIT(TABLE_LOCK_SHARE) | BIT(TABLE_LOCK_SHARE_ROW_EXCLUSIVE) |
        BIT(TABLE_LOCK_EXCLUSIVE) | BIT(TABLE_LOCK_ACCESS_EXCLUSIVE),
    [TABLE_LOCK_SHARE] = BIT(TABLE_LOCK_ROW_EXCLUSIVE) |
        BIT(TABLE_LOCK_SHARE_UPDATE_EXCLUSIVE) | BIT(TABLE_LOCK_SHARE_ROW_EXCLUSIVE) |
        BIT(TABLE_LOCK_EXCLUSIVE) | BIT(TABLE_LOCK_ACCESS_EXCLUSIVE),
    [TABLE_LOCK_SHARE_ROW_EXCLUSIVE] = BIT(TABLE_LOCK_ROW_EXCLUSIVE) |
        BIT(TABLE_LOCK_SHARE_UPDATE_EXCLUSIVE) | BIT(TABLE_LOCK_SHARE) |
        BIT(TABLE_LOCK_SHARE_ROW_EXCLUSIVE) | BIT(TABLE_LOCK_EXCLUSIVE) |
        BIT(TABLE_LOCK_ACCESS_EXCLUSIVE),
    [TABLE_LOCK_EXCLUSIVE] = BIT(TABLE_LOCK_ROW_SHARE) | BIT(TABLE_LOCK_ROW_EXCLUSIVE) |
        BIT(TABLE_LOCK_SHARE_UPDATE_EXCLUSIVE) | BIT(TABLE_LOCK_SHARE) |
        BIT(TABLE_LOCK_SHARE_ROW_EXCLUSIVE) | BIT(TABLE_LOCK_EXCLUSIVE) |
        BIT(TABLE_LOCK_ACCESS_EXCLUSIVE),
    [TABLE_LOCK_ACCESS_EXCLUSIVE] = BIT(TABLE_LOCK_ACCESS_SHARE) | BIT(TABLE_LOCK_ROW_SHARE) |
        BIT(TABLE_LOCK_ROW_EXCLUSIVE) | BIT(TABLE_LOCK_SHARE_UPDATE_EXCLUSIVE) |
        BIT(TABLE_LOCK_SHARE) | BIT(TABLE_LOCK_SHARE_ROW_EXCLUSIVE) |
        BIT(TABLE_LOCK_EXCLUSIVE) | BIT(TABLE_LOCK_ACCESS_EXCLUSIVE),
};
/* clang-format on */

const char *lock_mode_name(enum lock_mode mode)
{
    static const char *const names[LOCK_MODES] = {
        "KEY SHARE",     "SHARE",
        "NO KEY UPDATE", "UPDATE",
        "ACCESS SHARE",  "ROW SHARE",
        "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE",
        "SHARE",         "SHARE ROW EXCLUSIVE",
        "EXCLUSIVE",     "ACCESS EXCLUSIVE",
    };
    return names[mode];
}

bool lock_modes_conflict(enum lock_mode one, enum lock_mode other)
{
    return (lock_conflicts[one] & lock_bit(other)) != 0;
}

static bool is_table_mode(uint32_t mode)
{
    return mode >= TABLE_LOCK_ACCESS_SHARE;
}

/* Whether holding it can be in the way of a statement that writes rows. */
static bool is_blocking(uint32_t mode)
{
    return !is_table_mode(mode) || mode >= TABLE_LOCK_SHARE;
}

/* --- owners --- */

omen_status lock_owner_create(struct lock_table *locks, uint64_t transaction,
                              struct lock_owner **out)
{
    *out = NULL;
    struct lock_owner *owner = allocator_alloc_zeroed(locks->allocator, sizeof *owner);
    if (owner == NULL)
        return OMEN_OUT_OF_MEMORY;
    owner->locks = locks;
    owner->transaction = transaction;
    condition_init(&owner->woken);
    *out = owner;
    return OMEN_OK;
}

void lock_owner_destroy(struct lock_owner *owner)
{
    if (owner == NULL)
        return;
    lock_release_all(owner);
    condition_destroy(&owner->woken);
    allocator_free(owner->locks->allocator, owner, sizeof *owner);
}

void lock_owner_rename(struct lock_owner *owner, uint64_t transaction)
{
    OMEN_ASSERT(owner->count == 0);
    owner->transaction = transaction;
}

uint64_t lock_owner_transaction(const struct lock_owner *owner)
{
    return owner->transaction;
}

uint64_t lock_owner_count(const struct lock_owner *owner)
{
    return owner->count;
}

static void owner_push(struct lock_owner *owner, struct lock_entry *entry)
{
    struct lock_entry **top = is_table_mode(entry->mode) ? &owner->tables : &owner->keys;
    entry->sequence = ++owner->sequence;
    entry->below = *top;
    *top = entry;
    owner->count++;
    if (is_blocking(entry->mode) && owner->blocking++ == 0)
        atomic_fetch_add_explicit(&owner->locks->blocking, 1, memory_order_relaxed);
}

/* Takes the newest entry off its list; `top` is the list. */
static void owner_pop(struct lock_owner *owner, struct lock_entry **top)
{
    struct lock_entry *entry = *top;
    *top = entry->below;
    owner->count--;
    if (is_blocking(entry->mode) && --owner->blocking == 0)
        atomic_fetch_sub_explicit(&owner->locks->blocking, 1, memory_order_relaxed);
}

/* --- the queue and the holders of an object --- */

bool lock_holder_conflicts(const struct lock_object *object, const struct lock_owner *owner,
                           uint32_t mode)
{
    if ((object->held & lock_conflicts[mode]) == 0)
        return false;
    const struct lock_entry *holder = object->holders;
    for (; holder != NULL; holder = holder->next)
        if (holder->owner != owner && (lock_conflicts[mode] & lock_bit(holder->mode)) != 0)
            return true;
    return false;
}

static bool queue_conflicts(const struct lock_object *object, uint32_t mode)
{
    const struct lock_entry *waiter = object->queue;
    for (; waiter != NULL; waiter = waiter->next)
        if ((lock_conflicts[mode] & lock_bit(waiter->mode)) != 0)
            return true;
    return false;
}

/* Behind `before`; NULL: first. */
static void queue_insert(struct lock_entry *entry, struct lock_entry *before)
{
    struct lock_object *object = entry->object;
    entry->previous = before;
    entry->next = before != NULL ? before->next : object->queue;
    *(before != NULL ? &before->next : &object->queue) = entry;
    *(entry->next != NULL ? &entry->next->previous : &object->queue_last) = entry;
}

static void queue_insert_in_turn(struct lock_entry *entry)
{
    struct lock_entry *before = entry->object->queue_last;
    while (entry->upgrade && before != NULL && !before->upgrade)
        before = before->previous;
    queue_insert(entry, before);
}

void lock_queue_put_first(struct lock_entry *entry)
{
    lock_queue_remove(entry);
    queue_insert(entry, NULL);
}

void lock_queue_remove(struct lock_entry *entry)
{
    struct lock_object *object = entry->object;
    *(entry->previous != NULL ? &entry->previous->next : &object->queue) = entry->next;
    *(entry->next != NULL ? &entry->next->previous : &object->queue_last) = entry->previous;
}

void lock_grant(struct lock_entry *entry)
{
    struct lock_object *object = entry->object;
    entry->granted = true;
    entry->previous = NULL;
    entry->next = object->holders;
    if (entry->next != NULL)
        entry->next->previous = entry;
    object->holders = entry;
    object->counts[lock_count_index(entry->mode)]++;
    object->held |= lock_bit(entry->mode);
}

static void ungrant(struct lock_entry *entry)
{
    struct lock_object *object = entry->object;
    *(entry->previous != NULL ? &entry->previous->next : &object->holders) = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    if (--object->counts[lock_count_index(entry->mode)] == 0)
        object->held &= (uint16_t)~lock_bit(entry->mode);
}

/* Gives their turn to those who have it. */
static void grant_waiters(struct lock_table *locks, struct lock_object *object)
{
    uint16_t ahead = 0; /* modes of those that wait on */
    for (struct lock_entry *entry = object->queue, *next; entry != NULL; entry = next) {
        next = entry->next;
        if ((lock_conflicts[entry->mode] & ahead) != 0 ||
            lock_holder_conflicts(object, entry->owner, entry->mode)) {
            ahead |= lock_bit(entry->mode);
            continue;
        }
        lock_queue_remove(entry);
        lock_grant(entry);
        entry->owner->waiting = NULL;
        lock_wake(locks, entry->owner);
    }
}

void lock_entry_withdraw(struct lock_table *locks, struct lock_shard *shard,
                         struct lock_entry *entry)
{
    struct lock_object *object = entry->object;
    if (entry->granted)
        ungrant(entry);
    else
        lock_queue_remove(entry);
    lock_entry_destroy(locks, shard, entry);
    if (object->queue != NULL)
        grant_waiters(locks, object);
    lock_object_drop_idle(locks, shard, object);
}

/* --- taking --- */

/* Whether the table's locks that the owner holds cover the mode. The owner's thread; no mutex: an
 * object that it holds is not going away, and what it is of never changes. */
static bool owner_covers_table(const struct lock_owner *owner, uint64_t table, uint32_t mode)
{
    uint16_t covered = 0;
    for (const struct lock_entry *entry = owner->tables; entry != NULL; entry = entry->below)
        if (entry->object->table == table)
            covered |= lock_conflicts[entry->mode];
    return covered != 0 && (lock_conflicts[mode] & ~covered) == 0;
}

enum lock_try lock_try(struct lock_owner *owner, struct lock_shard *shard,
                       const struct lock_request *request, uint64_t hash, bool enqueue,
                       struct lock_entry **out)
{
    struct lock_table *locks = owner->locks;
    *out = NULL;
    struct lock_object *object = lock_object_obtain(locks, shard, &request->target, hash);
    if (object == NULL)
        return LOCK_TRY_NO_MEMORY;
    uint16_t covered = 0;
    for (const struct lock_entry *holder = object->holders; holder != NULL; holder = holder->next)
        if (holder->owner == owner)
            covered |= lock_conflicts[holder->mode];
    if (covered != 0 && (lock_conflicts[request->mode] & ~covered) == 0)
        return LOCK_TRY_HELD;
    bool blocked = lock_holder_conflicts(object, owner, request->mode) ||
                   (covered == 0 && queue_conflicts(object, request->mode));
    if (blocked && !enqueue)
        return LOCK_TRY_BLOCKED;
    struct lock_entry *entry = lock_entry_create(locks, shard);
    if (entry == NULL) {
        lock_object_drop_idle(locks, shard, object);
        return LOCK_TRY_NO_MEMORY;
    }
    entry->object = object;
    entry->owner = owner;
    entry->mode = (uint8_t)request->mode;
    entry->upgrade = covered != 0;
    *out = entry;
    if (blocked) {
        queue_insert_in_turn(entry);
        return LOCK_TRY_BLOCKED;
    }
    lock_grant(entry);
    return LOCK_TRY_GRANTED;
}

static omen_status not_available(const struct lock_request *request, omen_error *error)
{
    return error_set(error, OMEN_LOCK_NOT_AVAILABLE, "could not obtain lock on %srelation \"%s\"",
                     request->target.has_key ? "row in " : "",
                     request->relation != NULL ? request->relation : "");
}

omen_status lock_acquire(struct lock_owner *owner, const struct lock_request *request, bool *taken,
                         omen_error *error)
{
    OMEN_ASSERT(is_table_mode(request->mode) != request->target.has_key);
    if (taken != NULL)
        *taken = true;
    if (!request->target.has_key && owner_covers_table(owner, request->target.table, request->mode))
        return OMEN_OK;
    uint64_t hash = lock_hash(&request->target);
    struct lock_shard *shard = lock_shard_of(owner->locks, hash);
    struct lock_entry *entry;
    mutex_lock(&shard->mutex);
    enum lock_try result = lock_try(owner, shard, request, hash, false, &entry);
    mutex_unlock(&shard->mutex);
    omen_status status = OMEN_OK;
    if (result == LOCK_TRY_NO_MEMORY)
        status = error_set(error, OMEN_OUT_OF_MEMORY, "out of memory for locks");
    else if (result == LOCK_TRY_BLOCKED && request->wait == LOCK_NOWAIT)
        status = not_available(request, error);
    else if (result == LOCK_TRY_BLOCKED && request->wait == LOCK_WAIT)
        status = lock_acquire_waiting(owner, request, hash, &entry, error);
    if (entry != NULL)
        owner_push(owner, entry);
    if (taken != NULL)
        *taken = status == OMEN_OK && (result != LOCK_TRY_BLOCKED || request->wait == LOCK_WAIT);
    return status;
}

/* --- releasing --- */

uint64_t lock_mark(const struct lock_owner *owner)
{
    return owner->sequence;
}

static void release_list(struct lock_owner *owner, struct lock_entry **top, uint64_t mark)
{
    struct lock_table *locks = owner->locks;
    struct lock_shard *locked = NULL;
    while (*top != NULL && (*top)->sequence > mark) {
        struct lock_entry *entry = *top;
        struct lock_shard *shard = lock_shard_of(locks, entry->object->hash);
        owner_pop(owner, top);
        if (shard != locked) {
            if (locked != NULL)
                mutex_unlock(&locked->mutex);
            mutex_lock(&shard->mutex);
            locked = shard;
        }
        lock_entry_withdraw(locks, shard, entry);
    }
    if (locked != NULL)
        mutex_unlock(&locked->mutex);
}

void lock_release_to(struct lock_owner *owner, uint64_t mark)
{
    release_list(owner, &owner->keys, mark);
    release_list(owner, &owner->tables, mark);
}

void lock_release_all(struct lock_owner *owner)
{
    lock_release_to(owner, 0);
}

/* --- for who registers no lock --- */

bool lock_any_held(const struct lock_table *locks)
{
    return atomic_load_explicit(&locks->blocking, memory_order_relaxed) != 0;
}

static bool held_by_others(struct lock_table *locks, const struct lock_owner *owner,
                           const struct lock_target *target, uint32_t mode)
{
    uint64_t hash = lock_hash(target);
    struct lock_shard *shard = lock_shard_of(locks, hash);
    mutex_lock(&shard->mutex);
    const struct lock_object *object = lock_object_find(shard, target, hash);
    bool held = object != NULL && lock_holder_conflicts(object, owner, mode);
    mutex_unlock(&shard->mutex);
    return held;
}

bool lock_held_by_others(struct lock_table *locks, const struct lock_owner *owner,
                         const struct lock_target *target, enum lock_mode mode)
{
    OMEN_ASSERT(is_table_mode(mode) != target->has_key);
    if (mode <= TABLE_LOCK_ROW_EXCLUSIVE && !lock_any_held(locks))
        return false;
    if (!target->has_key)
        return held_by_others(locks, owner, target, mode);
    struct lock_target table = lock_target_table(target->table);
    enum lock_mode table_mode =
        mode >= ROW_LOCK_NO_KEY_UPDATE ? TABLE_LOCK_ROW_EXCLUSIVE : TABLE_LOCK_ROW_SHARE;
    return held_by_others(locks, owner, &table, table_mode) ||
           held_by_others(locks, owner, target, mode);
}

uint64_t lock_target_count(struct lock_table *locks)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < LOCK_SHARDS; i++) {
        mutex_lock(&locks->shards[i].mutex);
        count += locks->shards[i].object_count;
        mutex_unlock(&locks->shards[i].mutex);
    }
    return count;
}

bool lock_find_held_by_others(struct lock_table *locks, const struct lock_owner *owner,
                              uint64_t table, enum lock_mode mode,
                              bool (*wanted)(void *context, const struct lock_target *target),
                              void *context)
{
    bool found = false;
    OMEN_ASSERT(!is_table_mode(mode));
    for (uint32_t i = 0; i < LOCK_SHARDS && !found; i++) {
        struct lock_shard *shard = &locks->shards[i];
        mutex_lock(&shard->mutex);
        for (uint32_t bucket = 0; bucket < shard->bucket_count && !found; bucket++) {
            const struct lock_object *object = shard->buckets[bucket];
            for (; object != NULL && !found; object = object->next) {
                const struct lock_target target = lock_object_target(object);
                found = target.has_key && target.table == table &&
                        lock_holder_conflicts(object, owner, mode) && wanted(context, &target);
            }
        }
        mutex_unlock(&shard->mutex);
    }
    return found;
}
