/* sim_disk.c - the simulated disk as `struct os`: paths, handles, planned failures. See sim_disk.h.
 *
 * Each call counts at its site, asks `enter` whether it is to fail, and changes what it changes,
 * all under the disk's lock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "crash/sim_disk_private.h"

#define HANDLE_BASE INT64_C(1000)

const char *const sim_call_names[SIM_CALL_COUNT] = {
    [SIM_OPEN] = "open",
    [SIM_CREATE] = "create",
    [SIM_READ] = "read",
    [SIM_WRITE] = "write",
    [SIM_SYNC] = "sync",
    [SIM_RESERVE] = "reserve",
    [SIM_TRUNCATE] = "truncate",
    [SIM_SIZE] = "size",
    [SIM_RENAME] = "rename",
    [SIM_REMOVE] = "remove",
    [SIM_LOCK] = "lock",
    [SIM_DIRECTORY_CREATE] = "mkdir",
    [SIM_DIRECTORY_SYNC] = "dirsync",
    [SIM_DIRECTORY_LIST] = "list",
};

const char *const sim_kind_names[SIM_KIND_COUNT] = {
    [SIM_OTHER] = "other",
    [SIM_ROOT] = "root",
    [SIM_LOG_FOLDER] = "log/",
    [SIM_DATA_FOLDER] = "data/",
    [SIM_LOCK_FILE] = "lock",
    [SIM_CREATING] = "creating",
    [SIM_RESERVE_FILE] = "reserve",
    [SIM_MANIFEST] = "manifest",
    [SIM_MANIFEST_NEW] = "manifest.new",
    [SIM_LOG] = "log",
    [SIM_PARQUET] = "parquet",
    [SIM_KEYS] = "keys",
    [SIM_ENDS] = "ends",
};

static struct sim_disk *disk_of(const struct os *os)
{
    return os->context;
}

static bool changes_something(enum sim_call call)
{
    return call != SIM_OPEN && call != SIM_READ && call != SIM_SIZE && call != SIM_LOCK &&
           call != SIM_DIRECTORY_LIST;
}

static omen_status fail(omen_error *error, omen_status status, enum sim_call call, const char *path)
{
    return error_set(error, status, "could not %s%s%s%s: simulated failure", sim_call_names[call],
                     path != NULL ? " \"" : "", path != NULL ? path : "", path != NULL ? "\"" : "");
}

/* What a plan wants of this call; OK where none wants anything. */
static omen_status planned(struct sim_disk *disk, enum sim_call call, enum sim_kind kind)
{
    omen_status status = OMEN_OK;
    for (size_t i = 0; i < disk->planned_count; i++) {
        struct sim_planned *plan = &disk->planned[i];
        const struct sim_fault *fault = &plan->fault;
        if ((fault->call != SIM_CALL_COUNT && fault->call != call) ||
            (fault->kind != SIM_KIND_COUNT && fault->kind != kind))
            continue;
        plan->seen++;
        if (plan->seen == fault->nth || (fault->forever && plan->seen > fault->nth))
            status = fault->status;
    }
    return status;
}

/* Begins a call: takes the lock, and tells whether the call is to fail. */
static omen_status enter(struct sim_disk *disk, enum sim_call call, enum sim_kind kind)
{
    if (disk->watch != NULL && changes_something(call))
        disk->watch(disk->watch_context, disk, call, kind);
    mutex_lock(&disk->lock);
    disk->now_ns += 1000;
    disk->calls[call][kind]++;
    omen_status status = planned(disk, call, kind);
    if (status != OMEN_OK)
        disk->failures[call][kind]++;
    else if (disk->read_only && changes_something(call) && call != SIM_SYNC &&
             call != SIM_DIRECTORY_SYNC)
        status = OMEN_INSUFFICIENT_PRIVILEGE;
    if (changes_something(call))
        disk->number++;
    return status;
}

static omen_status leave(struct sim_disk *disk, omen_status status)
{
    mutex_unlock(&disk->lock);
    return status;
}

static struct sim_handle *handle_of(struct sim_disk *disk, int64_t file)
{
    OMEN_ASSERT(file >= HANDLE_BASE && (size_t)(file - HANDLE_BASE) < disk->handle_count);
    struct sim_handle *handle = &disk->handles[file - HANDLE_BASE];
    OMEN_ASSERT(handle->inode != NULL); /* else it was closed */
    return handle;
}

/* The open file's inode, whose kind names the site; found before the call begins. */
static struct sim_inode *inode_of(struct sim_disk *disk, int64_t file)
{
    mutex_lock(&disk->lock);
    struct sim_inode *inode = handle_of(disk, file)->inode;
    mutex_unlock(&disk->lock);
    return inode;
}

/* --- opening and closing --- */

static int64_t new_handle(struct sim_disk *disk, struct sim_inode *inode, bool writable)
{
    size_t i = 0;
    while (i < disk->handle_count && disk->handles[i].inode != NULL)
        i++;
    if (i == disk->handle_count) {
        size_t capacity = disk->handle_count;
        disk->handles =
            sim_grow(disk->handles, &capacity, disk->handle_count, sizeof *disk->handles);
        disk->handle_count = capacity;
    }
    disk->handles[i] = (struct sim_handle){.inode = sim_inode_retain(inode), .writable = writable};
    inode->opens++;
    return HANDLE_BASE + (int64_t)i;
}

static void add_name(struct sim_disk *disk, struct sim_inode *parent, const char *name,
                     struct sim_inode *inode)
{
    struct sim_name_change change = {.number = disk->number, .inode = inode};
    memcpy(change.to, name, strlen(name) + 1);
    sim_entries_apply(&parent->entries, &change);
    sim_name_change_add(parent, &change);
    inode->links++;
}

static omen_status create_name(struct sim_disk *disk, const char *path, bool directory,
                               enum sim_call call, struct sim_inode **out, omen_error *error)
{
    char name[SIM_NAME_BYTES];
    struct sim_inode *parent = sim_parent_of(disk, path, name);
    if (parent == NULL)
        return fail(error, OMEN_FILE_NOT_FOUND, call, path);
    if (name[0] == '\0' || sim_entries_find(&parent->entries, name) != NULL)
        return fail(error, OMEN_OBJECT_IN_USE, call, path);
    if (disk->room_max != 0 && disk->room_used >= disk->room_max)
        return fail(error, OMEN_DISK_FULL, call, path);
    struct sim_inode *inode = sim_inode_create(directory, sim_kind_of(path, directory));
    add_name(disk, parent, name, inode);
    sim_inode_release(inode);
    *out = inode;
    return OMEN_OK;
}

static omen_status open_locked(struct sim_disk *disk, const char *path, enum os_open how,
                               int64_t *file, omen_error *error)
{
    struct sim_inode *inode;
    if (how == OS_OPEN_CREATE_NEW) {
        OMEN_TRY(create_name(disk, path, false, SIM_CREATE, &inode, error));
    } else {
        inode = sim_find(disk, path);
        if (inode == NULL)
            return fail(error, OMEN_FILE_NOT_FOUND, SIM_OPEN, path);
        if (inode->directory)
            return fail(error, OMEN_IO_ERROR, SIM_OPEN, path);
        if (disk->read_only && how == OS_OPEN_WRITE)
            return fail(error, OMEN_INSUFFICIENT_PRIVILEGE, SIM_OPEN, path);
    }
    *file = new_handle(disk, inode, how != OS_OPEN_READ);
    return OMEN_OK;
}

static omen_status disk_file_open(const struct os *os, const char *path, enum os_open how,
                                  int64_t *file, omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    enum sim_call call = how == OS_OPEN_CREATE_NEW ? SIM_CREATE : SIM_OPEN;
    omen_status status = enter(disk, call, sim_kind_of(path, false));
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, call, path));
    return leave(disk, open_locked(disk, path, how, file, error));
}

static void disk_file_close(const struct os *os, int64_t file)
{
    struct sim_disk *disk = disk_of(os);
    mutex_lock(&disk->lock);
    struct sim_handle *handle = handle_of(disk, file);
    struct sim_inode *inode = handle->inode;
    if (handle->has_lock)
        inode->locked = false;
    *handle = (struct sim_handle){0};
    inode->opens--;
    sim_return_room(disk, inode);
    sim_inode_release(inode);
    mutex_unlock(&disk->lock);
}

/* --- open files --- */

static omen_status disk_file_read_at(const struct os *os, int64_t file, void *buffer, size_t length,
                                     uint64_t offset, size_t *got, omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    const struct sim_inode *inode = inode_of(disk, file);
    *got = 0;
    omen_status status = enter(disk, SIM_READ, inode->kind);
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, SIM_READ, NULL));
    *got = sim_content_read(inode->cache, buffer, length, offset);
    return leave(disk, OMEN_OK);
}

static omen_status disk_file_read(const struct os *os, int64_t file, void *buffer, size_t capacity,
                                  size_t *length, omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    const struct sim_inode *inode = inode_of(disk, file);
    *length = 0;
    omen_status status = enter(disk, SIM_READ, inode->kind);
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, SIM_READ, NULL));
    struct sim_handle *handle = handle_of(disk, file);
    *length = sim_content_read(inode->cache, buffer, capacity, handle->position);
    handle->position += *length;
    return leave(disk, OMEN_OK);
}

static omen_status disk_file_write_at(const struct os *os, int64_t file, const void *buffer,
                                      size_t length, uint64_t offset, omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    struct sim_inode *inode = inode_of(disk, file);
    omen_status status = enter(disk, SIM_WRITE, inode->kind);
    OMEN_ASSERT(handle_of(disk, file)->writable);
    if (status == OMEN_OK)
        return leave(disk, sim_write(disk, inode, buffer, length, offset, error));
    size_t part =
        status == OMEN_INSUFFICIENT_PRIVILEGE ? 0 : random_below(&disk->chance, length + 1);
    (void)sim_write(disk, inode, buffer, part, offset, NULL);
    return leave(disk, fail(error, status, SIM_WRITE, NULL));
}

static omen_status disk_file_sync(const struct os *os, int64_t file, omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    struct sim_inode *inode = inode_of(disk, file);
    omen_status status = enter(disk, SIM_SYNC, inode->kind);
    sim_sync(disk, inode, status != OMEN_OK);
    return leave(disk, status == OMEN_OK ? status : fail(error, status, SIM_SYNC, NULL));
}

static omen_status disk_file_reserve(const struct os *os, int64_t file, uint64_t bytes,
                                     omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    struct sim_inode *inode = inode_of(disk, file);
    omen_status status = enter(disk, SIM_RESERVE, inode->kind);
    if (status == OMEN_OK)
        return leave(disk, sim_reserve(disk, inode, bytes, error));
    return leave(disk, fail(error, status, SIM_RESERVE, NULL));
}

static omen_status disk_file_truncate(const struct os *os, int64_t file, uint64_t bytes,
                                      omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    struct sim_inode *inode = inode_of(disk, file);
    omen_status status = enter(disk, SIM_TRUNCATE, inode->kind);
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, SIM_TRUNCATE, NULL));
    OMEN_ASSERT(bytes <= inode->cache->size);
    sim_truncate(disk, inode, bytes);
    return leave(disk, OMEN_OK);
}

static omen_status disk_file_size(const struct os *os, int64_t file, uint64_t *bytes,
                                  omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    const struct sim_inode *inode = inode_of(disk, file);
    *bytes = 0;
    omen_status status = enter(disk, SIM_SIZE, inode->kind);
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, SIM_SIZE, NULL));
    *bytes = inode->cache->size;
    return leave(disk, OMEN_OK);
}

/* The database's own files are never asked. */
static omen_status disk_file_identity(const struct os *os, const char *path, int64_t file,
                                      struct os_identity *out, omen_error *error)
{
    *out = (struct os_identity){.bytes = 0};
    return error_set(error, OMEN_IO_ERROR, "a simulated file has no identity");
}

static omen_status disk_file_take_mode(const struct os *os, int64_t file, const char *path,
                                       omen_error *error)
{
    return error_set(error, OMEN_IO_ERROR, "a simulated file has no mode");
}

static omen_status disk_path_follow(const struct os *os, const char *path, char *buffer,
                                    size_t capacity, omen_error *error)
{
    return (size_t)snprintf(buffer, capacity, "%s", path) < capacity ? OMEN_OK
                                                                     : OMEN_LIMIT_EXCEEDED;
}

static omen_status disk_file_lock(const struct os *os, int64_t file, omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    struct sim_inode *inode = inode_of(disk, file);
    omen_status status = enter(disk, SIM_LOCK, inode->kind);
    if (status == OMEN_OK && inode->locked)
        status = OMEN_OBJECT_IN_USE;
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, SIM_LOCK, NULL));
    inode->locked = handle_of(disk, file)->has_lock = true;
    return leave(disk, OMEN_OK);
}

/* --- names --- */

/* The inode lost a name; what nothing leads to gives its room back. */
static void lose_link(struct sim_disk *disk, struct sim_inode *inode)
{
    inode->links--;
    sim_return_room(disk, inode);
}

static omen_status rename_locked(struct sim_disk *disk, const char *from, const char *to,
                                 omen_error *error)
{
    struct sim_name_change change = {.number = disk->number};
    struct sim_inode *parent = sim_parent_of(disk, from, change.from);
    OMEN_ASSERT(parent == sim_parent_of(disk, to, change.to)); /* only within a directory */
    change.inode = parent == NULL ? NULL : sim_entries_find(&parent->entries, change.from);
    if (change.inode == NULL)
        return fail(error, OMEN_FILE_NOT_FOUND, SIM_RENAME, from);
    struct sim_inode *replaced = sim_entries_find(&parent->entries, change.to);
    if (replaced != NULL && replaced->directory &&
        (!change.inode->directory || replaced->entries.count != 0))
        return fail(error, OMEN_OBJECT_IN_USE, SIM_RENAME, to);
    if (replaced == change.inode)
        return OMEN_OK;
    sim_inode_retain(replaced);
    sim_entries_apply(&parent->entries, &change);
    sim_name_change_add(parent, &change);
    change.inode->kind = sim_kind_of(to, change.inode->directory);
    if (replaced != NULL)
        lose_link(disk, replaced);
    sim_inode_release(replaced);
    return OMEN_OK;
}

static omen_status disk_file_rename(const struct os *os, const char *from, const char *to,
                                    omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    omen_status status = enter(disk, SIM_RENAME, sim_kind_of(from, false));
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, SIM_RENAME, from));
    return leave(disk, rename_locked(disk, from, to, error));
}

static omen_status remove_locked(struct sim_disk *disk, const char *path, omen_error *error)
{
    struct sim_name_change change = {.number = disk->number};
    struct sim_inode *parent = sim_parent_of(disk, path, change.from);
    change.inode = parent == NULL ? NULL : sim_entries_find(&parent->entries, change.from);
    if (change.inode == NULL)
        return fail(error, OMEN_FILE_NOT_FOUND, SIM_REMOVE, path);
    if (change.inode->directory)
        return fail(error, OMEN_IO_ERROR, SIM_REMOVE, path);
    sim_name_change_add(parent, &change);
    sim_entries_apply(&parent->entries, &change);
    lose_link(disk, change.inode);
    return OMEN_OK;
}

static omen_status disk_file_remove(const struct os *os, const char *path, omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    omen_status status = enter(disk, SIM_REMOVE, sim_kind_of(path, false));
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, SIM_REMOVE, path));
    return leave(disk, remove_locked(disk, path, error));
}

static omen_status disk_directory_create(const struct os *os, const char *path, omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    struct sim_inode *inode;
    omen_status status = enter(disk, SIM_DIRECTORY_CREATE, sim_kind_of(path, true));
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, SIM_DIRECTORY_CREATE, path));
    return leave(disk, create_name(disk, path, true, SIM_DIRECTORY_CREATE, &inode, error));
}

static omen_status disk_directory_sync(const struct os *os, const char *path, omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    omen_status status = enter(disk, SIM_DIRECTORY_SYNC, sim_kind_of(path, true));
    struct sim_inode *directory = sim_find(disk, path);
    if (directory != NULL && directory->directory)
        sim_sync_names(disk, directory, status != OMEN_OK);
    else if (status == OMEN_OK)
        status = OMEN_FILE_NOT_FOUND;
    return leave(disk, status == OMEN_OK ? status : fail(error, status, SIM_DIRECTORY_SYNC, path));
}

static omen_status disk_directory_open(const struct os *os, const char *path, int64_t *directory,
                                       omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    omen_status status = enter(disk, SIM_OPEN, sim_kind_of(path, true));
    struct sim_inode *inode = sim_find(disk, path);
    if (status == OMEN_OK && (inode == NULL || !inode->directory))
        status = OMEN_FILE_NOT_FOUND;
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, SIM_OPEN, path));
    *directory = new_handle(disk, inode, false);
    return leave(disk, OMEN_OK);
}

static omen_status disk_directory_sync_open(const struct os *os, int64_t directory,
                                            omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    struct sim_inode *inode = inode_of(disk, directory);
    OMEN_ASSERT(inode->directory);
    omen_status status = enter(disk, SIM_DIRECTORY_SYNC, inode->kind);
    sim_sync_names(disk, inode, status != OMEN_OK);
    return leave(disk, status == OMEN_OK ? status : fail(error, status, SIM_DIRECTORY_SYNC, NULL));
}

static omen_status disk_directory_list(const struct os *os, const char *path,
                                       omen_status (*visit)(void *context, const char *name),
                                       void *context, omen_error *error)
{
    struct sim_disk *disk = disk_of(os);
    omen_status status = enter(disk, SIM_DIRECTORY_LIST, sim_kind_of(path, true));
    const struct sim_inode *directory = sim_find(disk, path);
    if (status == OMEN_OK && (directory == NULL || !directory->directory))
        status = OMEN_FILE_NOT_FOUND;
    if (status != OMEN_OK)
        return leave(disk, fail(error, status, SIM_DIRECTORY_LIST, path));
    size_t count = directory->entries.count;
    struct sim_entry *entries = sim_alloc((count + 1) * sizeof *entries);
    if (count != 0)
        memcpy(entries, directory->entries.list, count * sizeof *entries);
    mutex_unlock(&disk->lock); /* `visit` may call the disk */
    for (size_t i = 0; i < count && status == OMEN_OK; i++)
        status = visit(context, entries[i].name);
    free(entries);
    return status;
}

/* --- chance, time, and what there is none of --- */

static void disk_random_bytes(const struct os *os, void *buffer, size_t length)
{
    struct sim_disk *disk = disk_of(os);
    mutex_lock(&disk->lock);
    for (size_t done = 0; done < length; done += sizeof(uint64_t)) {
        uint64_t bits = random_next(&disk->secrets);
        memcpy((char *)buffer + done, &bits, size_min(sizeof bits, length - done));
    }
    mutex_unlock(&disk->lock);
}

static void disk_process_name(const struct os *os, char *buffer, size_t capacity)
{
    snprintf(buffer, capacity, "1 (simulated)");
}

static uint64_t disk_monotonic_ns(const struct os *os)
{
    struct sim_disk *disk = disk_of(os);
    mutex_lock(&disk->lock);
    uint64_t now = disk->now_ns += 1000;
    mutex_unlock(&disk->lock);
    return now;
}

static int64_t disk_wall_clock_us(const struct os *os)
{
    return INT64_C(1700000000000000) + (int64_t)(disk_monotonic_ns(os) / 1000);
}

static omen_status disk_library_open(const struct os *os, const char *path, void **library,
                                     omen_error *error)
{
    return os_real.library_open(&os_real, path, library, error);
}

static void *disk_library_symbol(const struct os *os, void *library, const char *name)
{
    return os_real.library_symbol(&os_real, library, name);
}

static void disk_library_close(const struct os *os, void *library)
{
    os_real.library_close(&os_real, library);
}

static const char *disk_environment(const struct os *os, const char *name)
{
    return NULL;
}

static omen_status disk_own_folder(const struct os *os, char *buffer, size_t capacity,
                                   omen_error *error)
{
    OMEN_ASSERT(capacity > 1);
    memcpy(buffer, "/", 2);
    return OMEN_OK;
}

static const struct os disk_os = {
    .file_open = disk_file_open,
    .file_read = disk_file_read,
    .file_read_at = disk_file_read_at,
    .file_write_at = disk_file_write_at,
    .file_sync = disk_file_sync,
    .file_reserve = disk_file_reserve,
    .file_truncate = disk_file_truncate,
    .file_size = disk_file_size,
    .file_identity = disk_file_identity,
    .file_take_mode = disk_file_take_mode,
    .path_follow = disk_path_follow,
    .file_close = disk_file_close,
    .file_rename = disk_file_rename,
    .file_remove = disk_file_remove,
    .file_lock = disk_file_lock,
    .directory_create = disk_directory_create,
    .directory_sync = disk_directory_sync,
    .directory_open = disk_directory_open,
    .directory_sync_open = disk_directory_sync_open,
    .directory_list = disk_directory_list,
    .random_bytes = disk_random_bytes,
    .process_name = disk_process_name,
    .monotonic_ns = disk_monotonic_ns,
    .wall_clock_us = disk_wall_clock_us,
    .library_open = disk_library_open,
    .library_symbol = disk_library_symbol,
    .library_close = disk_library_close,
    .environment = disk_environment,
    .own_folder = disk_own_folder,
};

/* --- the disk --- */

struct sim_disk *sim_disk_create(uint64_t seed)
{
    struct sim_disk *disk = sim_alloc(sizeof *disk);
    disk->os = disk_os;
    disk->os.context = disk;
    mutex_init(&disk->lock);
    struct random seeds = random_seeded(seed);
    disk->chance = random_seeded(random_next(&seeds));
    disk->secrets = random_seeded(random_next(&seeds));
    disk->root = sim_inode_create(true, SIM_ROOT);
    disk->now_ns = 1000000000;
    return disk;
}

void sim_disk_destroy(struct sim_disk *disk)
{
    if (disk == NULL)
        return;
    for (size_t i = 0; i < disk->handle_count; i++)
        sim_inode_release(disk->handles[i].inode);
    sim_inode_clear(disk->root);
    sim_inode_release(disk->root);
    mutex_destroy(&disk->lock);
    free(disk->handles);
    free(disk);
}

const struct os *sim_disk_os(struct sim_disk *disk)
{
    return &disk->os;
}

void sim_disk_watch(struct sim_disk *disk, sim_watch *watch, void *context)
{
    disk->watch = watch;
    disk->watch_context = context;
}

void sim_disk_fail(struct sim_disk *disk, const struct sim_fault *fault)
{
    mutex_lock(&disk->lock);
    OMEN_ASSERT(disk->planned_count < SIM_FAULTS_MAX);
    disk->planned[disk->planned_count++] = (struct sim_planned){.fault = *fault};
    mutex_unlock(&disk->lock);
}

void sim_disk_mend(struct sim_disk *disk)
{
    mutex_lock(&disk->lock);
    disk->planned_count = 0;
    mutex_unlock(&disk->lock);
}

uint64_t sim_disk_calls(struct sim_disk *disk, enum sim_call call, enum sim_kind kind)
{
    return disk->calls[call][kind];
}

uint64_t sim_disk_failures(struct sim_disk *disk, enum sim_call call, enum sim_kind kind)
{
    return disk->failures[call][kind];
}

void sim_disk_set_capacity(struct sim_disk *disk, uint64_t bytes)
{
    mutex_lock(&disk->lock);
    disk->room_max = bytes / SIM_PAGE_BYTES;
    mutex_unlock(&disk->lock);
}

uint64_t sim_disk_used(struct sim_disk *disk)
{
    return disk->room_used * SIM_PAGE_BYTES;
}

void sim_disk_set_read_only(struct sim_disk *disk, bool read_only)
{
    disk->read_only = read_only;
}

void sim_disk_advance(struct sim_disk *disk, uint64_t ns)
{
    mutex_lock(&disk->lock);
    disk->now_ns += ns;
    mutex_unlock(&disk->lock);
}

size_t sim_disk_open_count(struct sim_disk *disk)
{
    size_t count = 0;
    for (size_t i = 0; i < disk->handle_count; i++)
        count += disk->handles[i].inode != NULL;
    return count;
}
