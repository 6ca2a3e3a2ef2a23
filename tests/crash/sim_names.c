/* sim_names.c - inodes, directories and paths of simulated disks. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crash/sim_disk_private.h"

struct sim_inode *sim_inode_create(bool directory, enum sim_kind kind)
{
    struct sim_inode *inode = sim_alloc(sizeof *inode);
    inode->references = 1;
    inode->directory = directory;
    inode->kind = kind;
    if (!directory) {
        inode->cache = sim_content_create();
        inode->disk = sim_content_retain(inode->cache);
    }
    return inode;
}

struct sim_inode *sim_inode_retain(struct sim_inode *inode)
{
    if (inode != NULL)
        inode->references++;
    return inode;
}

void sim_inode_forget_changes(struct sim_inode *inode)
{
    for (size_t i = 0; i < inode->change_count; i++)
        sim_page_release(inode->changes[i].bytes);
    inode->change_count = 0;
    for (size_t i = 0; i < inode->name_change_count; i++)
        sim_inode_release(inode->name_changes[i].inode);
    inode->name_change_count = 0;
}

static void entries_clear(struct sim_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (entries->list[i].inode->directory)
            sim_inode_clear(entries->list[i].inode);
        sim_inode_release(entries->list[i].inode);
    }
    entries->count = 0;
}

void sim_inode_clear(struct sim_inode *inode)
{
    entries_clear(&inode->entries);
    entries_clear(&inode->disk_entries);
    sim_inode_forget_changes(inode);
}

void sim_inode_release(struct sim_inode *inode)
{
    if (inode == NULL || --inode->references != 0)
        return;
    sim_inode_clear(inode);
    sim_content_release(inode->cache);
    sim_content_release(inode->disk);
    free(inode->changes);
    free(inode->name_changes);
    free(inode->entries.list);
    free(inode->disk_entries.list);
    free(inode);
}

/* --- names --- */

static struct sim_entry *entry_of(const struct sim_entries *entries, const char *name)
{
    for (size_t i = 0; i < entries->count; i++)
        if (strcmp(entries->list[i].name, name) == 0)
            return &entries->list[i];
    return NULL;
}

struct sim_inode *sim_entries_find(const struct sim_entries *entries, const char *name)
{
    const struct sim_entry *entry = entry_of(entries, name);
    return entry != NULL ? entry->inode : NULL;
}

void sim_entries_set(struct sim_entries *entries, const char *name, struct sim_inode *inode)
{
    struct sim_entry *entry = entry_of(entries, name);
    sim_inode_retain(inode);
    if (entry != NULL) {
        sim_inode_release(entry->inode);
    } else {
        entries->list =
            sim_grow(entries->list, &entries->capacity, entries->count, sizeof *entries->list);
        entry = &entries->list[entries->count++];
        memcpy(entry->name, name, strlen(name) + 1);
    }
    entry->inode = inode;
}

void sim_entries_remove(struct sim_entries *entries, const char *name)
{
    struct sim_entry *entry = entry_of(entries, name);
    if (entry == NULL)
        return;
    sim_inode_release(entry->inode);
    *entry = entries->list[--entries->count];
}

void sim_entries_apply(struct sim_entries *entries, const struct sim_name_change *change)
{
    struct sim_inode *inode = sim_inode_retain(change->inode);
    if (change->from[0] != '\0' && sim_entries_find(entries, change->from) == inode)
        sim_entries_remove(entries, change->from);
    if (change->to[0] != '\0')
        sim_entries_set(entries, change->to, inode);
    sim_inode_release(inode);
}

void sim_name_change_add(struct sim_inode *directory, const struct sim_name_change *change)
{
    directory->name_changes =
        sim_grow(directory->name_changes, &directory->name_change_capacity,
                 directory->name_change_count, sizeof *directory->name_changes);
    directory->name_changes[directory->name_change_count++] = *change;
    sim_inode_retain(change->inode);
}

/* --- paths --- */

static bool ends_with(const char *text, size_t length, const char *end)
{
    size_t end_length = strlen(end);
    return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

enum sim_kind sim_kind_of(const char *path, bool directory)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (directory)
        return ends_with(path, length, "/log")    ? SIM_LOG_FOLDER
               : ends_with(path, length, "/data") ? SIM_DATA_FOLDER
                                                  : SIM_ROOT;
    static const struct {
        const char *end;
        enum sim_kind kind;
    } ends[] = {{"/lock", SIM_LOCK_FILE},
                {"/manifest", SIM_MANIFEST},
                {"/creating", SIM_CREATING},
                {"/creating.new", SIM_CREATING},
                {"/reserve", SIM_RESERVE_FILE},
                {"manifest.new", SIM_MANIFEST_NEW},
                {".keys", SIM_KEYS},
                {".ends", SIM_ENDS},
                {".parquet", SIM_PARQUET},
                {".plain", SIM_PARQUET}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ends_with(path, length, ends[i].end))
            return ends[i].kind;
    return strstr(path, "/log/") != NULL ? SIM_LOG : SIM_OTHER;
}

struct sim_inode *sim_parent_of(struct sim_disk *disk, const char *path,
                                char name[static SIM_NAME_BYTES])
{
    struct sim_inode *at = disk->root;
    name[0] = '\0';
    for (;;) {
        path += strspn(path, "/");
        size_t length = strcspn(path, "/");
        if (length == 0)
            return at;
        if (length == 1 && *path == '.') {
            path++;
            continue;
        }
        OMEN_ASSERT(length < SIM_NAME_BYTES);
        if (name[0] != '\0')
            at = sim_entries_find(&at->entries, name);
        if (at == NULL || !at->directory)
            return NULL;
        memcpy(name, path, length);
        name[length] = '\0';
        path += length;
    }
}

struct sim_inode *sim_find(struct sim_disk *disk, const char *path)
{
    char name[SIM_NAME_BYTES];
    struct sim_inode *parent = sim_parent_of(disk, path, name);
    if (parent == NULL || name[0] == '\0')
        return parent;
    return sim_entries_find(&parent->entries, name);
}
