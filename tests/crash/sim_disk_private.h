/* sim_disk_private.h - pages, contents, inodes and the disk itself, for the sim_*.c files.
 *
 *   sim_disk --> root inode --> entries (cache), disk_entries, name_changes
 *                file inode --> cache, disk: sim_content --> pages;  changes: versions of pages
 *
 * Pages and contents are counted and shared between disks: only their owner alone writes to them.
 * Inodes belong to one disk and are counted by entries, changes and handles.
 */
#ifndef OMEN_TESTS_SIM_DISK_PRIVATE_H
#define OMEN_TESTS_SIM_DISK_PRIVATE_H

#include <stdatomic.h>

#include "base/random.h"
#include "crash/sim_disk.h"
#include "os/thread.h"

enum { SIM_NAME_BYTES = 64, SIM_PATH_BYTES = 512, SIM_FAULTS_MAX = 16 };

#define SIM_NO_PAGE UINT64_MAX

struct sim_page {
    atomic_uint references;
    atomic_uint_fast64_t hash; /* 0 = not known yet */
    uint8_t bytes[SIM_PAGE_BYTES];
};

struct sim_content {
    atomic_uint references;
    atomic_uint_fast64_t hash; /* 0 = not known */
    uint64_t size;             /* bytes */
    uint64_t page_count, page_capacity;
    struct sim_page **pages; /* NULL = zeros; so are pages from page_count on */
};

/* What one call did to one page, or to the length alone (page = SIM_NO_PAGE). */
struct sim_change {
    uint64_t number; /* the call's; ascending */
    uint64_t size;   /* the file's length after it */
    uint64_t page;
    struct sim_page *bytes; /* the page after it */
};

struct sim_entry {
    char name[SIM_NAME_BYTES];
    struct sim_inode *inode;
};

struct sim_entries {
    struct sim_entry *list;
    size_t count, capacity;
};

/* One create, remove or rename. A rename into another directory stands in the target's list. */
struct sim_name_change {
    uint64_t number;
    char from[SIM_NAME_BYTES]; /* "" for a create */
    char to[SIM_NAME_BYTES];   /* "" for a remove */
    struct sim_inode *inode;
};

struct sim_inode {
    uint32_t references;
    uint32_t links; /* names in the cache */
    uint32_t opens;
    bool directory, locked;
    enum sim_kind kind;
    uint64_t room; /* pages that count as used */

    struct sim_content *cache, *disk;
    struct sim_change *changes;
    size_t change_count, change_capacity;

    struct sim_entries entries, disk_entries;
    struct sim_name_change *name_changes;
    size_t name_change_count, name_change_capacity;

    struct sim_inode *twin; /* its copy while an image is drawn */
};

struct sim_handle {
    struct sim_inode *inode; /* NULL = free */
    uint64_t position;
    bool writable, has_lock;
};

struct sim_planned {
    struct sim_fault fault;
    uint64_t seen;
};

struct sim_disk {
    struct os os;
    struct mutex lock; /* guards all below */
    struct random chance, secrets;
    struct sim_inode *root;
    struct sim_handle *handles;
    size_t handle_count;
    uint64_t number; /* calls that changed something */
    uint64_t room_used, room_max;
    uint64_t now_ns;
    bool read_only;
    struct sim_planned planned[SIM_FAULTS_MAX];
    size_t planned_count;
    uint64_t calls[SIM_CALL_COUNT][SIM_KIND_COUNT], failures[SIM_CALL_COUNT][SIM_KIND_COUNT];
    sim_watch *watch;
    void *watch_context;
};

/* --- sim_content.c --- */

void *sim_alloc(size_t bytes); /* zeroed; aborts where there is none */
void *sim_grow(void *list, size_t *capacity, size_t count, size_t item_bytes);

struct sim_page *sim_page_retain(struct sim_page *page); /* NULL is a page of zeros */
void sim_page_release(struct sim_page *page);
struct sim_page *sim_page_copy(const struct sim_page *page);

struct sim_content *sim_content_create(void);
struct sim_content *sim_content_retain(struct sim_content *content);
void sim_content_release(struct sim_content *content);
/* Makes `*content` the caller's alone, to be written to. */
struct sim_content *sim_content_own(struct sim_content **content);
/* The page or NULL. */
struct sim_page *sim_content_page(const struct sim_content *content, uint64_t page);
/* Takes over a reference to `bytes`; the content is the caller's alone. */
void sim_content_set_page(struct sim_content *content, uint64_t page, struct sim_page *bytes);
/* Takes away what lies beyond the length. */
void sim_content_trim(struct sim_content *content);
size_t sim_content_read(const struct sim_content *content, void *buffer, size_t length,
                        uint64_t offset);
uint64_t sim_content_hash(struct sim_content *content);

/* --- sim_names.c --- */

struct sim_inode *sim_inode_create(bool directory, enum sim_kind kind);
struct sim_inode *sim_inode_retain(struct sim_inode *inode);
void sim_inode_release(struct sim_inode *inode);
void sim_inode_forget_changes(struct sim_inode *inode);
/* Empties a directory, what lies in it too. */
void sim_inode_clear(struct sim_inode *inode);

struct sim_inode *sim_entries_find(const struct sim_entries *entries, const char *name);
void sim_entries_set(struct sim_entries *entries, const char *name, struct sim_inode *inode);
void sim_entries_remove(struct sim_entries *entries, const char *name);
void sim_entries_apply(struct sim_entries *entries, const struct sim_name_change *change);
void sim_name_change_add(struct sim_inode *directory, const struct sim_name_change *change);

enum sim_kind sim_kind_of(const char *path, bool directory);
/* The directory that holds the path's last part, and that part; NULL where there is none. */
struct sim_inode *sim_parent_of(struct sim_disk *disk, const char *path,
                                char name[static SIM_NAME_BYTES]);
/* What the path leads to, NULL where nothing is. */
struct sim_inode *sim_find(struct sim_disk *disk, const char *path);

/* --- sim_calls.c: files as programs see them; the lock is held --- */

omen_status sim_write(struct sim_disk *disk, struct sim_inode *inode, const uint8_t *bytes,
                      size_t length, uint64_t offset, omen_error *error);
omen_status sim_reserve(struct sim_disk *disk, struct sim_inode *inode, uint64_t bytes,
                        omen_error *error);
void sim_truncate(struct sim_disk *disk, struct sim_inode *inode, uint64_t bytes);
/* Carries a file's changes to the disk: all, or by chance some where the sync fails. */
void sim_sync(struct sim_disk *disk, struct sim_inode *inode, bool fails);
void sim_sync_names(struct sim_disk *disk, struct sim_inode *directory, bool fails);
/* Gives room back where nothing leads to the inode any more. */
void sim_return_room(struct sim_disk *disk, struct sim_inode *inode);

#endif
