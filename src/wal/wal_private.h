/* wal_private.h - the open log: its buffers, its files and whose turn it is.
 *
 *     appended -> | filling | -> sealed -> | pending | -> written -> synced -> durable told
 *       (lock)                   (lock)                  (turn)       (turn)     (turn)
 *
 * Two buffers of one batch each: one is filled under the lock while the other is written by who
 * has the turn. Having the turn (`busy`) is the right to seal, write and sync; it is taken and
 * given back under the lock, and the lock is not held while it is used.
 *
 * Invariants:
 *  1. synced_lsn <= written_lsn <= filling->lsn <= filling->lsn + filling->length, and
 *     durable_lsn <= synced_lsn.
 *  2. Bytes before written_lsn are in their files; what lies in files before `write_file` is
 *     synced.
 *  3. Once `failed` is set nothing more is begun: no write, no sync.
 *  4. Between wal_append and wal_commit there is room for the record that ends the commit.
 *
 * Locks, in the order they are taken: `folder_lock` (held while files are made and retired), then
 * `lock` (never held during input and output).
 */
#ifndef OMEN_WAL_WAL_PRIVATE_H
#define OMEN_WAL_WAL_PRIVATE_H

#include "os/thread.h"
#include "wal/wal.h"
#include "wal/wal_files.h"

/* A batch in memory; its header's place comes first. */
struct wal_buffer {
    uint8_t *bytes; /* WAL_BATCH_BYTES_MAX */
    size_t length;  /* header included; 0 = nothing in it */
    uint64_t lsn;   /* where it begins */
    uint32_t flags;
    struct wal_file *file; /* where it goes, known once something is in it */
};

struct wal {
    struct allocator *allocator;
    const struct os *os;
    uint64_t capacity; /* of new files */
    void (*durable)(void *context, uint64_t lsn);
    void *durable_context;

    struct mutex folder_lock; /* guards `folder` */
    struct wal_folder folder;

    struct mutex lock;           /* guards all that follows */
    struct condition turn[2];    /* who waits for the sync under way, who for the next */
    struct condition idle;       /* who waits to have the turn without leading */
    size_t idle_waiters;         /* on `idle` */
    unsigned parity;             /* turn[parity] is for the sync under way */
    bool busy;                   /* somebody has the turn */
    uint64_t leading_lsn;        /* the sync under way makes durable up to here; 0 = none */
    struct condition gathered;   /* the leader, until those it expects have come */
    bool gathering;              /* it waits there */
    uint64_t sync_number;        /* syncs led so far, the one under way included */
    uint32_t arrived;            /* threads that need a sync which has not begun */
    uint32_t served;             /* threads that the sync under way, or the last, is for */
    uint32_t expected;           /* threads the next sync should be for */
    uint64_t sync_ns;            /* what a write and a sync take, about */
    uint64_t patience_ns;        /* how long a leader waits for those it expects */
    struct wal_file *files;      /* oldest first */
    struct wal_file *write_file; /* the file last written to */
    struct wal_file *fill_file;  /* where `filling` goes; files behind it are still empty */
    struct wal_file *last_file;  /* the end of the list */
    struct wal_buffer buffers[2];
    struct wal_buffer *filling;
    struct wal_buffer *pending; /* sealed and not written yet; NULL */
    size_t record_at;           /* of the record being filled, in `filling`; 0 = none */
    bool in_commit;             /* a commit is under way */
    bool first_record;          /* its next record is its first */
    bool begun_here;            /* its first record is in `filling`, at commit_at */
    size_t commit_at;
    uint64_t end_lsn, written_lsn, synced_lsn, durable_lsn;
    bool failed;
    omen_error failure;
    bool is_short; /* the disk had no room for a few bytes, and none has come since */
};

/* Whether a failure to write, reserve or make a file is over once something is given back: disk
 * room, memory, open files. What was to be written is still to be written. Never asked of a sync.
 */
static inline bool wal_is_passing(omen_status status)
{
    return status == OMEN_DISK_FULL || status == OMEN_OUT_OF_MEMORY ||
           status == OMEN_INSUFFICIENT_RESOURCES;
}

/* --- wal_append.c --- */

/* Where the next byte goes. Lock held. */
static inline uint64_t wal_position(const struct wal *wal)
{
    return wal->filling->lsn + wal->filling->length;
}

/* Begins a batch in the buffer being filled, which is empty. Room is there. Lock held. */
void wal_begin_batch(struct wal *wal);

/* Gives the batch being filled its final form and makes the other buffer the one that is filled;
 * it becomes `pending`, which was NULL. Lock held, turn taken. */
void wal_seal(struct wal *wal);

/* Makes a new file at the end of the list. Neither lock held; one thread at a time.
 * `bytes` are what is to be written to it at least: where the disk has no room for a whole file,
 * and they are few, a small one is made. Errors: those that pass (wal_is_passing), and there is no
 * file; any other fails the log. */
omen_status wal_add_file(struct wal *wal, uint64_t bytes, omen_error *error);

/* --- wal_sync.c --- */

/* Writes what was appended so far, without a sync. Lock held, and given up meanwhile. Errors:
 * those that pass, and it stays pending; IO_ERROR where the log has failed, or does now. */
omen_status wal_flush(struct wal *wal, omen_error *error);

/* The reason for which the log has failed, as an error. Lock held. */
omen_status wal_failure(struct wal *wal, omen_status status, omen_error *error);

/* Fails the log for the reason in `failure` and wakes everybody. Lock held. */
void wal_fail(struct wal *wal, const omen_error *failure);

/* --- wal.c --- */

/* An open log over `files`, whose last is open and is written to from `lsn` on; everything before
 * is durable. Takes folder and files over, also where it fails. Errors: OUT_OF_MEMORY. */
omen_status wal_open(const struct wal_options *options, struct wal_folder *folder,
                     struct wal_file *files, uint64_t lsn, struct wal **wal, omen_error *error);

#endif
