/* txn.h - snapshots, the watermark, and the commit pipeline.
 *
 * Time is a counter of commits. `published` is the newest commit that readers may see; a
 * snapshot is a value of it. Commit order, log order and visibility order are one order, because
 * one writer at a time walks the pipeline:
 *
 *   gather (no lock)  ->  [writer lock]  validate  ->  reserve  ->  apply  ->  publish
 *
 * Everything that can fail happens up to reserve; apply cannot fail. What reserve has put in
 * place (rows that have not begun, index entries that lead to them) is invisible until applied,
 * and abort takes it back.
 *
 * A reader registers its snapshot before it reads: it writes the published timestamp into a slot
 * of its own, re-reads what is published, and repeats if that moved. So a writer that looks at
 * the slots after publishing sees every snapshot that can still be read. The watermark is the
 * oldest registered snapshot, or what is published where there is none: nobody will ever read
 * below it again.
 */
#ifndef OMEN_TXN_TXN_H
#define OMEN_TXN_TXN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/status.h"

struct txn_manager;

/* Time starts at 1, so that a begin of 0 is before every snapshot's notice. */
OMEN_MUST_CHECK omen_status txn_manager_create(struct allocator *allocator,
                                               struct txn_manager **out);

/* No snapshot may be registered any more. NULL does nothing. */
void txn_manager_destroy(struct txn_manager *manager);

/* --- snapshots: any thread, no lock on the usual path --- */

struct snapshot_slot;

struct snapshot {
    uint64_t timestamp;
    struct snapshot_slot *slot; /* NULL: not registered */
};

/* Registers the newest snapshot. Errors: OUT_OF_MEMORY where a slot must be made and cannot. */
OMEN_MUST_CHECK omen_status snapshot_acquire(struct txn_manager *manager, struct snapshot *out);

/* A second registration of a snapshot that is still held. */
OMEN_MUST_CHECK omen_status snapshot_share(struct txn_manager *manager, const struct snapshot *held,
                                           struct snapshot *out);

/* Gives the registration up; the snapshot is then not registered. Twice is once. */
void snapshot_release(struct snapshot *snapshot);

uint64_t txn_published(const struct txn_manager *manager);
uint64_t txn_watermark(const struct txn_manager *manager);
uint32_t txn_snapshot_count(const struct txn_manager *manager); /* registered now */

/* Whether a version alive in [begin, end) can be read by anyone, now or later: by a registered
 * snapshot, or because `end` is later than what is published. */
bool txn_lifetime_readable(const struct txn_manager *manager, uint64_t begin, uint64_t end);

/* --- read views --- */

/* What one statement sees, fixed at its start. */
struct read_view {
    uint64_t snapshot;
    uint64_t transaction; /* whose uncommitted writes count too; 0 = nobody's */
    uint32_t command;     /* of those, the ones written by earlier commands */
};

/* --- writing --- */

/* What a transaction does to one object. The table implements it. Called with the writer lock
 * held, in the order of the pipeline. */
struct txn_participant_ops {
    /* Refuses what must not be: duplicate keys, missing targets. Changes nothing. */
    omen_status (*validate)(void *self, omen_error *error);
    /* Takes all memory and places everything invisibly. On failure it has undone its part. */
    omen_status (*reserve)(void *self, omen_error *error);
    /* Makes it so at `timestamp`. Cannot fail. */
    void (*apply)(void *self, uint64_t timestamp);
    /* Undoes a successful reserve. Cannot fail. */
    void (*abort)(void *self);
};

struct txn_participant {
    const struct txn_participant_ops *ops;
    void *self;
};

/* One writer at a time: waits for its turn. Maintenance takes it too. */
void txn_writer_lock(struct txn_manager *manager);
void txn_writer_unlock(struct txn_manager *manager);

/* What a waiting writer asks every few milliseconds: whether it may wait on. */
struct txn_patience {
    omen_status (*ask)(void *context, omen_error *error);
    void *context;
};

/* As txn_writer_lock, but gives up as soon as `patience` has another answer than OK: the lock is
 * then not held, and the answer is returned. */
OMEN_MUST_CHECK omen_status txn_writer_lock_patiently(struct txn_manager *manager,
                                                      const struct txn_patience *patience,
                                                      omen_error *error);

/* Runs the pipeline over the participants, all or nothing, at one new timestamp. The caller
 * holds the writer lock. `*timestamp` (may be NULL) gets the commit's timestamp. */
OMEN_MUST_CHECK omen_status txn_commit(struct txn_manager *manager,
                                       const struct txn_participant *participants, size_t count,
                                       uint64_t *timestamp, omen_error *error);

/* A timestamp of its own for a change of layout that changes no content (compaction). The caller
 * holds the writer lock, and publishes what it got. */
uint64_t txn_next_timestamp(struct txn_manager *manager);
void txn_publish(struct txn_manager *manager, uint64_t timestamp);

#endif
