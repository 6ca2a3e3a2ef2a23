/* wal.h - the write-ahead log: commits, in order, durable before they are acknowledged.
 *
 * The log is a sequence of commits, each a string of bytes that the log does not look into. An LSN
 * is a position in it. What lies on the disk is described in docs/FILE_FORMAT.md.
 *
 *     wal_reserve  wal_append ...  wal_commit      one thread at a time: who holds the writer lock
 *     wal_sync                                     any thread, many at once: group commit
 *
 * The log has no thread of its own. A thread in wal_sync that finds nobody at it leads: it writes
 * all that was appended so far in one batch and syncs it once, while others append behind it; who
 * comes meanwhile waits for the next leader, which is one of them.
 *
 * What can go wrong. A full disk met by a write or a reservation, and too little memory or too many
 * open files, are told to the caller and are over once there is room. Any other failure of a write,
 * and any failure of a sync, fails the log for good: nothing is retried, nothing that was not
 * durable before is ever acknowledged, and whoever waits gets COMMIT_UNKNOWN with the reason.
 */
#ifndef OMEN_WAL_WAL_H
#define OMEN_WAL_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/allocator.h"
#include "base/status.h"
#include "os/os.h"

struct wal;

enum {
    WAL_ID_BYTES = 16,
    WAL_FILE_BYTES_MIN = 16 * 1024,
    WAL_FILE_BYTES_DEFAULT = 64 * 1024 * 1024,
};

/* How a log is made or opened. Everything pointed at outlives the log, but for `directory`, which
 * is copied. */
struct wal_options {
    struct allocator *allocator;
    const struct os *os;
    const char *directory; /* the log's own folder; its parent exists */
    uint64_t file_bytes;   /* of new files, a multiple of 4096; 0 = WAL_FILE_BYTES_DEFAULT */
    uint8_t database_id[WAL_ID_BYTES]; /* files of another database are refused */

    /* Where reading starts: what wal_mark or wal_cut gave (a checkpoint), or the start_lsn of
     * wal_create. A multiple of 8. */
    uint64_t start_lsn;
    /* The log is known to have been durable up to here (from the manifest): damage before it is
     * refused instead of cut. At least start_lsn. */
    uint64_t proven_lsn;

    /* Called whenever more has become durable, with rising LSNs, by one thread at a time, before
     * any wal_sync up to `lsn` returns. No lock of the log is held, but a thread that appends may
     * be waiting for it with the writer lock: it must take neither that lock nor call the log.
     * May be NULL. */
    void (*durable)(void *context, uint64_t lsn);
    void *durable_context;
};

/* What wal_recover does with the commits it finds. */
struct wal_replay {
    void *context;
    /* A piece of a commit's bytes; the pieces of a commit follow one another and have any length,
     * whatever the lengths they were appended in. `bytes` live during the call. */
    omen_status (*data)(void *context, const void *bytes, size_t length, omen_error *error);
    /* The commit of the pieces since the last call is whole and ends at `lsn`. */
    omen_status (*commit)(void *context, uint64_t lsn, omen_error *error);
    /* The pieces since the last call belong to a commit that never ended: forget them. */
    void (*discard)(void *context);
    /* All was read and handed over, and nothing on the disk has changed yet: the last chance to
     * refuse. Files that the log needs no more go afterwards, unless `*keep` is set. May be NULL.
     */
    omen_status (*accept)(void *context, bool *keep, omen_error *error);
};

/* Makes a new, empty log that begins at options->start_lsn: the folder where it is missing, and
 * one durable file; the caller syncs the folder's parent. Remains of a log that was never used are
 * removed. `*wal` is NULL on failure.
 * Errors: OBJECT_IN_USE where the folder holds a log with commits; OUT_OF_MEMORY, DISK_FULL,
 * INSUFFICIENT_PRIVILEGE, IO_ERROR. */
OMEN_MUST_CHECK omen_status wal_create(const struct wal_options *options, struct wal **wal,
                                       omen_error *error);

/* Reads the log from options->start_lsn, hands each commit to `replay`, and opens the log for
 * appending behind the last. A torn tail is cut; what is valid but not proven durable is copied to
 * a new file and synced before this returns, or, where the disk is full, written once more where it
 * is: then the log has no room, and wal_reserve gets it once there is. Where this fails the log
 * holds the same commits as before, and it may be repeated; what is refused before replay->accept
 * returns is as it was, bit for bit. `*wal` is NULL on failure.
 * Errors: CORRUPTED where the log is damaged before what is known to have been durable, lacks a
 * file or is another database's; NOT_SUPPORTED where its format is newer; what `replay` returned;
 * OUT_OF_MEMORY, DISK_FULL, INSUFFICIENT_PRIVILEGE, IO_ERROR. */
OMEN_MUST_CHECK omen_status wal_recover(const struct wal_options *options,
                                        const struct wal_replay *replay, struct wal **wal,
                                        omen_error *error);

/* Reads the log as wal_recover would, hands each commit to `replay` (NULL: to nobody), and changes
 * nothing. `*end_lsn` becomes where the last valid batch ends. Errors: as wal_recover. */
OMEN_MUST_CHECK omen_status wal_verify(const struct wal_options *options,
                                       const struct wal_replay *replay, uint64_t *end_lsn,
                                       omen_error *error);

/* Makes sure of the disk room for a commit of `payload_bytes` (a little more does no harm). Comes
 * first in a commit. After an error nothing has happened and a later call may succeed.
 * Errors: DISK_FULL, OUT_OF_MEMORY, INSUFFICIENT_RESOURCES; IO_ERROR with the reason where the log
 * has failed. */
OMEN_MUST_CHECK omen_status wal_reserve(struct wal *wal, uint64_t payload_bytes, omen_error *error);

/* Adds bytes to the commit under way, or begins one. `data` is copied; commits that outgrow the
 * log's buffer (256 KiB) are written as they come. After an error the commit is abandoned: nothing
 * of it will be replayed, and the next wal_append begins another.
 * Errors: after wal_reserve only where the file system broke its word or the log has failed
 * meanwhile: as wal_reserve. */
OMEN_MUST_CHECK omen_status wal_append(struct wal *wal, const void *data, size_t length,
                                       omen_error *error);

/* Ends the commit under way, which has at least one byte, and gives the LSN of its end: it is
 * durable once wal_sync up to there succeeds. Cannot fail. */
OMEN_MUST_CHECK uint64_t wal_commit(struct wal *wal);

/* Gives up the commit under way, if any: nothing of it will be replayed. Cannot fail. */
void wal_abandon(struct wal *wal);

/* Returns once everything up to `lsn` is durable and options->durable has been told. Any thread.
 * Errors: COMMIT_UNKNOWN with the reason where the log has failed for good (wal_failed); DISK_FULL,
 * OUT_OF_MEMORY, INSUFFICIENT_RESOURCES where it has not: then the commit is kept, the next
 * wal_sync or wal_reserve tries again to write it, and where that succeeds it becomes durable after
 * all. */
OMEN_MUST_CHECK omen_status wal_sync(struct wal *wal, uint64_t lsn, omen_error *error);

/* wal_sync in two steps, for who lets one thread sync for several: each of them joins, so that a
 * batch is gathered for as many, and one syncs. wal_join gives the number of the sync that is to
 * come, or is under way, for `lsn`. Any thread. */
uint64_t wal_join(struct wal *wal, uint64_t lsn);
OMEN_MUST_CHECK omen_status wal_sync_joined(struct wal *wal, uint64_t lsn, omen_error *error);

/* Makes everything appended durable and gives the place behind it at which a later wal_recover can
 * start: no batch reaches over it, nothing of a commit given up lies behind it. The caller is the
 * one that appends, and has no commit under way. Errors: COMMIT_UNKNOWN where the log has failed;
 * DISK_FULL, OUT_OF_MEMORY, INSUFFICIENT_RESOURCES where it has not and can be tried again; `*lsn`
 * is then unset. */
OMEN_MUST_CHECK omen_status wal_cut(struct wal *wal, uint64_t *lsn, omen_error *error);

/* The same place without waiting for a sync: what was appended is durable only once wal_sync has
 * been asked for it, up to that place. Waits for a write that is under way at most, or, where the
 * disk was full, as wal_cut. The caller and the errors are wal_cut's. */
OMEN_MUST_CHECK omen_status wal_mark(struct wal *wal, uint64_t *lsn, omen_error *error);

/* The end of the last commit. Any thread. */
uint64_t wal_end(struct wal *wal);

/* Everything before this LSN is durable. Any thread. */
uint64_t wal_durable(struct wal *wal);

/* OK, or IO_ERROR with the reason for which the log has failed. Any thread. */
omen_status wal_failed(struct wal *wal, omen_error *error);

/* Whether a small commit found the disk full, and nothing has been written or given back since. Any
 * thread. */
bool wal_is_short(struct wal *wal);

/* Room has been given back on the disk: wal_is_short is false until the next that finds none. */
void wal_note_room(struct wal *wal);

/* How many bytes the log has grown since `lsn`. Any thread. */
uint64_t wal_bytes_since(struct wal *wal, uint64_t lsn);

/* Bytes of all the log's files on the disk. Any thread. */
uint64_t wal_disk_bytes(struct wal *wal);

/* A durable checkpoint needs nothing before `lsn` any more (which is at most wal_durable): files
 * that lie wholly before it are kept for use as new ones, or removed. One thread at a time, beside
 * all others. Errors: IO_ERROR; then files may be left that the next wal_recover removes. */
OMEN_MUST_CHECK omen_status wal_release(struct wal *wal, uint64_t lsn, omen_error *error);

/* Makes everything durable, records the log's end, and frees the log in any case. The caller has
 * ended all other calls. NULL does nothing. Errors: COMMIT_UNKNOWN as wal_sync; a log that had
 * failed before closes as OK, since whoever waited was told. */
omen_status wal_close(struct wal *wal, omen_error *error);

#endif
