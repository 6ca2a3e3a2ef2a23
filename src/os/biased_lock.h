/* biased_lock.h - a readers-writer lock that costs its readers next to nothing while nobody writes.
 *
 *   reader with a slot:   slot.held = lock;  fence;  biased?  read ...  slot.held = none
 *   writer:               lock for writing;  biased = no;  heavy fence;  wait for each slot.held
 *
 * A lock is biased towards readers once it has seen a good many reads without a write between. Then
 * a reader that owns a slot only stores to the slot, a cache line of its own, and takes no locked
 * instruction, which would keep its loads from overlapping with those of the read before. Other
 * readers, and all while the lock is not biased, take the readers-writer lock underneath. The first
 * writer ends the bias; it pays for the fence that the readers leave out (membarrier(2), as in
 * liburcu's memb flavour). Where the system has no such call, no lock is ever biased; where a
 * sandbox begins to refuse it, those that are lose their bias in a slower way, and none gets one
 * again.
 *
 * The rules of struct rwlock hold: writers are preferred, and a thread never takes one twice.
 *
 * Source: Dice and Kogan, BRAVO: Biased Locking for Reader-Writer Locks, USENIX ATC 2019.
 */
#ifndef OMEN_OS_BIASED_LOCK_H
#define OMEN_OS_BIASED_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/thread.h"

struct biased_lock {
    struct rwlock lock;
    bool can_be_biased;
    atomic_bool biased;      /* set by readers that hold `lock`, cleared by writers that do */
    atomic_uint plain_reads; /* since the last write; relaxed */
};

/* Of one thread at a time: whoever claimed it. */
struct reader_slot {
    _Alignas(64) _Atomic(const struct biased_lock *) held; /* NULL outside */
    atomic_bool claimed;
    uint64_t entries; /* the owner's alone: how often it has entered a lock */
};

/* A slot for a reader that comes often, or NULL where all are taken: it reads all the same.
 * Thread-safe. */
struct reader_slot *reader_slot_claim(void);
void reader_slot_release(struct reader_slot *slot); /* NULL does nothing; held by nobody any more */

void biased_lock_init(struct biased_lock *lock);
void biased_lock_destroy(struct biased_lock *lock);

void biased_lock_read_lock(struct biased_lock *lock);
void biased_lock_read_unlock(struct biased_lock *lock);
void biased_lock_write_lock(struct biased_lock *lock);
void biased_lock_write_unlock(struct biased_lock *lock);

/* Takes the lock for reading by the slot alone; biased_lock_leave gives it up. False where it must
 * be taken by biased_lock_read_lock. A slot holds one lock at a time. */
static inline bool biased_lock_enter(struct biased_lock *lock, struct reader_slot *slot)
{
    if (slot == NULL || !atomic_load_explicit(&lock->biased, memory_order_relaxed))
        return false;
    atomic_store_explicit(&slot->held, lock, memory_order_relaxed);
    /* The store comes before the load for the writer, whose heavy fence in end_bias makes this one
     * of the compiler a fence of the machine. */
    atomic_signal_fence(memory_order_seq_cst);
    /* Acquire pairs with the release in biased_lock_read_lock: all that writers did before. */
    if (__builtin_expect(atomic_load_explicit(&lock->biased, memory_order_acquire), 1)) {
        slot->entries++;
        return true;
    }
    atomic_store_explicit(&slot->held, NULL, memory_order_release);
    return false;
}

static inline void biased_lock_leave(struct reader_slot *slot)
{
    /* Release pairs with the acquire in end_bias: what was read comes before what is written. */
    atomic_store_explicit(&slot->held, NULL, memory_order_release);
}

#endif
