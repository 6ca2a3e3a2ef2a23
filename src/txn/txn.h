/* txn.h - snapshots, the watermark, and the commit pipeline.
 *
 * Time is a counter of commits. `published` is the newest commit that readers may see; a
 * snapshot is a value of it. Commit order, log order and visibility order are one order, because
 * one writer at a time walks the pipeline:
 *
 *   gather (no lock)  ->  [writer lock]  validate  ->  reserve  ->  append  ->  apply
 *                     ->  [no lock]      the log is synced  ->  publish  ->  acknowledge
 *
 * Everything that can fail happens up to reserve; append and apply cannot fail. What reserve has
 * put in place (rows that have not begun, index entries that lead to them) is invisible until
 * applied, and abort takes it back. Without a log, apply publishes.
 *
 * So several commits may be in flight: applied, hence what the next writer finds, but not durable,
 * hence invisible to every snapshot. A writer may build on them, because its own commit lies behind
 * theirs in the log. Whoever answers from what they did without a commit of its own (a duplicate
 * key, a row that is not there) first waits until it is published: txn_newest under the writer
 * lock, txn_settle after it.
 *
 * A reader registers its snapshot before it reads: it writes the published timestamp into a slot
 * of its own, re-reads what is published, and repeats if that moved. So a writer that looks at
 * the slots after publishing sees every snapshot that can still be read. The watermark is the
 * oldest registered snapshot, or what is published where there is none: nobody will ever read
 * below it again.
 */
#ifndef OMEN_TXN_TXN_H
#define OMEN_TXN_TXN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/status.h"

struct txn_manager;

/* Time starts at 1, so that a begin of 0 is before every snapshot's notice. */
OMEN_MUST_CHECK omen_status txn_manager_create(struct allocator *allocator,
                                               struct txn_manager **out);

/* No snapshot may be registered any more, and no lock held. NULL does nothing. */
void txn_manager_destroy(struct txn_manager *manager);

/* The locks of its transactions (txn_lock.h); as old as the manager. */
struct lock_table *txn_locks(const struct txn_manager *manager);

/* --- snapshots: any thread, no lock on the usual path --- */

struct snapshot_slot;

struct snapshot {
    uint64_t timestamp;
    struct snapshot_slot *slot; /* NULL: not registered */
};

/* Registers the newest snapshot. Errors: OUT_OF_MEMORY where a slot must be made and cannot. */
OMEN_MUST_CHECK omen_status snapshot_acquire(struct txn_manager *manager, struct snapshot *out);

/* Registers what the writer acts on (txn_newest), published or not: nothing may be read at it
 * before it is published, which is the caller's to see to. The caller holds the writer lock.
 * Errors: as above. */
OMEN_MUST_CHECK omen_status snapshot_acquire_newest(struct txn_manager *manager,
                                                    struct snapshot *out);

/* A second registration of a snapshot that is still held. */
OMEN_MUST_CHECK omen_status snapshot_share(struct txn_manager *manager, const struct snapshot *held,
                                           struct snapshot *out);

/* Gives the registration up; the snapshot is then not registered. Twice is once. */
void snapshot_release(struct snapshot *snapshot);

uint64_t txn_published(const struct txn_manager *manager);

/* Where txn_published reads, for who asks at each point read. Acquire: who sees a timestamp sees
 * all that its commit stamped. */
const _Atomic uint64_t *txn_published_place(const struct txn_manager *manager);
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

/* Where a commit's redo goes while it is written. */
struct txn_redo;
void txn_redo_put(struct txn_redo *redo, const void *data, size_t length);

enum { TXN_REDO_HEAD_BYTES = 8 }; /* of each commit in the log: its timestamp, little-endian */

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
    /* Exactly the bytes that `redo` will write, asked after reserve, where there is a log. NULL:
     * the participant has nothing to say in the log. */
    uint64_t (*redo_bytes)(void *self);
    /* Writes what is needed to do it again. What fails is the log's, and known to `redo`. */
    void (*redo)(void *self, struct txn_redo *redo);
};

struct txn_participant {
    const struct txn_participant_ops *ops;
    void *self;
};

/* One writer at a time: waits for its turn. Maintenance takes it too. */
void txn_writer_lock(struct txn_manager *manager);
void txn_writer_unlock(struct txn_manager *manager);

/* The writer, in the middle of something long, lets others be it for a while, and is it again. */
void txn_writer_yield(struct txn_manager *manager);

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

enum txn_durability {
    TXN_DURABLE, /* acknowledged when it is on disk */
    TXN_RELAXED, /* acknowledged and visible at once; a crash may lose it and what came after it */
};

/* What somebody waits for: that the log is durable up to `lsn`; 0 = nothing is to be waited for. */
struct txn_ticket {
    uint64_t timestamp;
    uint64_t lsn;
};

/* Runs the pipeline over the participants up to apply, all or nothing, at one new timestamp. The
 * caller holds the writer lock, gives it up, and then waits for the ticket (may be NULL: without a
 * log there is nothing to wait for). Errors: the participants'; of the log DISK_FULL and the reason
 * why it has failed; OUT_OF_MEMORY. Then nothing has happened. */
OMEN_MUST_CHECK omen_status txn_commit(struct txn_manager *manager,
                                       const struct txn_participant *participants, size_t count,
                                       enum txn_durability durability, struct txn_ticket *ticket,
                                       omen_error *error);

/* Waits until the commit is durable and published. COMMIT_UNKNOWN where the log fails: the commit
 * may or may not be there after a restart, and nobody sees it until then; or where it met a full
 * disk, too little memory or too many open files: then it becomes durable and visible once that is
 * over. Any thread; best without the writer lock. */
OMEN_MUST_CHECK omen_status txn_wait(struct txn_manager *manager, const struct txn_ticket *ticket,
                                     omen_error *error);

/* The newest state that the writer acts on. The caller holds the writer lock. */
struct txn_ticket txn_newest(const struct txn_manager *manager);

/* Waits until that state is published, so that an answer may rest on it. Errors: why the log has
 * failed; where it has not, DISK_FULL, OUT_OF_MEMORY, INSUFFICIENT_RESOURCES. The answer must then
 * not be given. */
OMEN_MUST_CHECK omen_status txn_settle(struct txn_manager *manager, const struct txn_ticket *ticket,
                                       omen_error *error);

/* Waits as the outcome of a statement demands, after the writer lock: for its own commit (`status`
 * is OK, `ticket` the commit's), or until what its error rests on is published (`ticket` is
 * txn_newest's, taken with the lock still held). Gives `status`, or why waiting failed. */
OMEN_MUST_CHECK omen_status txn_outcome(struct txn_manager *manager, omen_status status,
                                        const struct txn_ticket *ticket, omen_error *error);

/* What the writer reads at: the newest version, published or not. Not registered: the holder of
 * the writer lock alone may read so, for as long as it holds it. */
#define TXN_NEWEST (UINT64_MAX - 1)

/* A timestamp of its own for a change of layout that changes no content (compaction). The caller
 * holds the writer lock, and publishes what it got: then, or when what is in flight before it has
 * been published. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status txn_next_timestamp(struct txn_manager *manager, uint64_t *timestamp);
void txn_publish(struct txn_manager *manager, uint64_t timestamp);

/* --- the log --- */

/* What the pipeline needs of a log; src/wal is one. `reserve`, `append` and `commit` are called by
 * the holder of the writer lock, the others by anyone. */
struct txn_log_ops {
    /* Room for one commit of so many bytes. On failure nothing has happened. */
    omen_status (*reserve)(void *log, uint64_t bytes, omen_error *error);
    /* Adds to the commit under way, or begins one. On failure nothing of it will be replayed. */
    omen_status (*append)(void *log, const void *data, size_t length, omen_error *error);
    uint64_t (*commit)(void *log); /* ends what was appended; gives where it ends, above 0 */
    /* Somebody waits until the log is durable up to `lsn`, having it synced by himself or by
     * another: the sync is worth to be waited for. Gives a number: those of one sync get the same,
     * mostly. */
    uint64_t (*join)(void *log, uint64_t lsn);
    /* Returns when the log is durable up to `lsn`, or with why it is not: COMMIT_UNKNOWN where it
     * has failed for good, else what it met, which passes. */
    omen_status (*sync)(void *log, uint64_t lsn, omen_error *error);
    omen_status (*failure)(void *log, omen_error *error); /* why it failed; OK if it has not */
};

/* From now on commits go to `log` (borrowed), which is durable up to `durable`; NULL: to none. The
 * caller is alone, as while opening and closing. txn_set_wal does it for a log of src/wal, whose
 * `durable` callback is txn_durable. */
struct wal;
void txn_set_wal(struct txn_manager *manager, struct wal *wal);
void txn_set_log(struct txn_manager *manager, const struct txn_log_ops *ops, void *log,
                 uint64_t durable);

bool txn_has_log(const struct txn_manager *manager); /* the writer */

/* The log tells that it is durable up to `lsn`; `context` is the manager. Any thread, any order. */
void txn_durable(void *context, uint64_t lsn);

/* Moves time forward to `timestamp`, which is published. The caller is alone, as while opening. */
void txn_set_time(struct txn_manager *manager, uint64_t timestamp);

#endif
