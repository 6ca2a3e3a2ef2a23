/* sim_disk.h - a disk in memory behind `struct os`, whose power can fail at any moment.
 *
 * The fault model, which is stricter than any one file system:
 *
 *   two states   Each file has the content that programs read (the page cache) and the content that
 *                survives a power cut (the disk); each directory has its names twice likewise.
 * Writes, reserves, truncations, creates, renames and removes change the first. file_sync and
 *                directory_sync carry the changes to the second; nothing else does. A file's sync
 *                does not make its name durable, nor a directory's sync the content of its files.
 *   power cut    An image is what the disk may hold if the power fails now. For each page of 4 KiB
 *                that changed since the last sync it has any of the page's versions: the synced
 * one, the newest, or one between; with a tear at 512 bytes each sector has. A length is any of
 * those since the last sync, and what a file never got reads as zeros. Names: each unsynced change
 * happened or did not, whatever became of others and of the content; only changes of the same name
 * keep their order, and a rename is atomic. kill         The process dies, the machine lives on:
 * another image, in which both states stay. sync fails   Some of the changes reached the disk, or
 * all, or none; the cache forgets that they have not, shows them as if they had, and a later sync
 * that succeeds does not carry them: only a new write to the same page does. disk full    With a
 * capacity, writes beyond what is reserved, reserves and creates get DISK_FULL, writes after having
 * written a part. failures     Each call on each kind of file (a site) can be made to fail the nth
 * time, once or for ever. A write that fails has written a part.
 *
 * It does not model bits that rot (tests write those themselves), a disk that lies about a sync
 * that succeeded, or sectors that tear within 512 bytes.
 *
 * Everything comes from one seed: faults, images, time and random bytes. Thread-safe; a run is
 * repeatable where one thread makes it. Images share pages with what they were drawn from, so
 * drawing costs microseconds. All functions abort where the system is out of memory.
 */
#ifndef OMEN_TESTS_SIM_DISK_H
#define OMEN_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/os.h"

enum { SIM_PAGE_BYTES = 4096, SIM_SECTOR_BYTES = 512 };

/* What is called ... */
enum sim_call {
    SIM_OPEN,
    SIM_CREATE,
    SIM_READ,
    SIM_WRITE,
    SIM_SYNC,
    SIM_RESERVE,
    SIM_TRUNCATE,
    SIM_SIZE,
    SIM_RENAME,
    SIM_REMOVE,
    SIM_LOCK,
    SIM_DIRECTORY_CREATE,
    SIM_DIRECTORY_SYNC,
    SIM_DIRECTORY_LIST,
    SIM_CALL_COUNT,
};

/* ... and on what, as the path tells. */
enum sim_kind {
    SIM_OTHER,
    SIM_ROOT, /* a database directory, or any that is not one of the next two */
    SIM_LOG_FOLDER,
    SIM_DATA_FOLDER,
    SIM_LOCK_FILE,
    SIM_CREATING, /* the mark of a database that is being made */
    SIM_RESERVE_FILE,
    SIM_MANIFEST,
    SIM_MANIFEST_NEW,
    SIM_LOG,
    SIM_PARQUET,
    SIM_KEYS,
    SIM_ENDS,
    SIM_KIND_COUNT,
};

extern const char *const sim_call_names[SIM_CALL_COUNT];
extern const char *const sim_kind_names[SIM_KIND_COUNT];

/* How an image treats what is not synced. */
enum sim_mode {
    SIM_KEEP,         /* everything happened */
    SIM_DROP,         /* nothing happened */
    SIM_ORDER,        /* what was done before some moment happened */
    SIM_TEAR_512,     /* likewise, and the write at that moment is torn into sectors */
    SIM_TEAR_4096,    /* likewise into pages */
    SIM_REORDER_512,  /* each sector and each name for itself */
    SIM_REORDER_4096, /* each page and each name for itself */
    SIM_KILL,         /* no power cut: the process died */
    SIM_MODE_COUNT,
};

extern const char *const sim_mode_names[SIM_MODE_COUNT];

struct sim_disk;

/* An empty disk: only "/" and what `seed` will bring. Relative paths start at "/". */
struct sim_disk *sim_disk_create(uint64_t seed);
void sim_disk_destroy(struct sim_disk *disk); /* NULL does nothing; open handles go with it */

/* The disk as an operating system, which lives as long as the disk. Clocks advance by a
 * microsecond a call; libraries are the machine's, and there is no environment. */
const struct os *sim_disk_os(struct sim_disk *disk);

/* What the disk holds after a power cut now (SIM_KILL: what the next process finds). The image is
 * a disk of its own: nothing is open, nothing planned, time goes on, random bytes come from
 * `seed`, as does every choice. */
struct sim_disk *sim_disk_draw(struct sim_disk *disk, enum sim_mode mode, uint64_t seed);

/* A hash of all names and contents as programs see them. */
uint64_t sim_disk_hash(struct sim_disk *disk);

/* Changes that no sync has carried to the disk yet. */
uint64_t sim_disk_unsynced(struct sim_disk *disk);

/* Calls `watch` before each call that changes something or makes it durable, without the disk's
 * lock: it may draw images. NULL ends it. */
typedef void sim_watch(void *context, struct sim_disk *disk, enum sim_call call,
                       enum sim_kind kind);
void sim_disk_watch(struct sim_disk *disk, sim_watch *watch, void *context);

/* The nth call from now (1 = the next) of that kind on that kind of file fails with `status`,
 * and with `forever` every later one. SIM_CALL_COUNT and SIM_KIND_COUNT stand for any. Several may
 * be planned; sim_disk_mend takes all away. */
struct sim_fault {
    enum sim_call call;
    enum sim_kind kind;
    uint64_t nth;
    bool forever;
    omen_status status; /* what the caller gets: IO_ERROR, DISK_FULL, ... */
};
void sim_disk_fail(struct sim_disk *disk, const struct sim_fault *fault);
void sim_disk_mend(struct sim_disk *disk);

/* Calls made and failed at a site so far. */
uint64_t sim_disk_calls(struct sim_disk *disk, enum sim_call call, enum sim_kind kind);
uint64_t sim_disk_failures(struct sim_disk *disk, enum sim_call call, enum sim_kind kind);

/* Bytes for all files, in pages; 0 = no limit. What is used may be more: then only freeing helps.
 */
void sim_disk_set_capacity(struct sim_disk *disk, uint64_t bytes);
uint64_t sim_disk_used(struct sim_disk *disk);

/* Every change gets INSUFFICIENT_PRIVILEGE, opening for writing too. */
void sim_disk_set_read_only(struct sim_disk *disk, bool read_only);

/* Lets time pass. */
void sim_disk_advance(struct sim_disk *disk, uint64_t ns);

/* Files that are open. */
size_t sim_disk_open_count(struct sim_disk *disk);

/* Calls `visit` with the path and length of each file; the disk must not change meanwhile. */
void sim_disk_each(struct sim_disk *disk,
                   void (*visit)(void *context, const char *path, uint64_t bytes), void *context);

#endif
