/* sim_calls.c - what writing, reserving, truncating and syncing do to a simulated file. */
#include <string.h>

#include "base/bits.h"
#include "crash/sim_disk_private.h"

static void add_change(struct sim_disk *disk, struct sim_inode *inode, uint64_t page)
{
    inode->changes = sim_grow(inode->changes, &inode->change_capacity, inode->change_count,
                              sizeof *inode->changes);
    inode->changes[inode->change_count++] = (struct sim_change){
        .number = disk->number,
        .size = inode->cache->size,
        .page = page,
        .bytes = page == SIM_NO_PAGE ? NULL : sim_page_retain(sim_content_page(inode->cache, page)),
    };
}

static uint64_t pages_of(uint64_t bytes)
{
    return bytes / SIM_PAGE_BYTES + (bytes % SIM_PAGE_BYTES != 0);
}

/* Takes room up to `pages` and tells how many there are now. */
static uint64_t take_room(struct sim_disk *disk, struct sim_inode *inode, uint64_t pages)
{
    if (pages <= inode->room)
        return pages;
    uint64_t wanted = pages - inode->room;
    if (disk->room_max != 0) {
        uint64_t left = disk->room_max > disk->room_used ? disk->room_max - disk->room_used : 0;
        wanted = wanted < left ? wanted : left;
    }
    inode->room += wanted;
    disk->room_used += wanted;
    return inode->room;
}

void sim_return_room(struct sim_disk *disk, struct sim_inode *inode)
{
    if (inode->links != 0 || inode->opens != 0)
        return;
    disk->room_used -= inode->room;
    inode->room = 0;
}

static omen_status disk_full(omen_error *error)
{
    return error_set(error, OMEN_DISK_FULL, "could not write file: simulated disk is full");
}

omen_status sim_write(struct sim_disk *disk, struct sim_inode *inode, const uint8_t *bytes,
                      size_t length, uint64_t offset, omen_error *error)
{
    struct sim_content *content = sim_content_own(&inode->cache);
    uint64_t room = take_room(disk, inode, pages_of(offset + length)) * SIM_PAGE_BYTES;
    size_t fits = room >= offset + length ? length : room > offset ? room - offset : 0;
    for (size_t done = 0; done < fits;) {
        uint64_t page = (offset + done) / SIM_PAGE_BYTES;
        size_t within = (offset + done) % SIM_PAGE_BYTES;
        size_t count = size_min(fits - done, SIM_PAGE_BYTES - within);
        struct sim_page *copy = sim_page_copy(sim_content_page(content, page));
        memcpy(copy->bytes + within, bytes + done, count);
        sim_content_set_page(content, page, copy);
        done += count;
        if (content->size < offset + done)
            content->size = offset + done;
        add_change(disk, inode, page);
    }
    return fits == length ? OMEN_OK : disk_full(error);
}

omen_status sim_reserve(struct sim_disk *disk, struct sim_inode *inode, uint64_t bytes,
                        omen_error *error)
{
    if (bytes <= inode->cache->size)
        return OMEN_OK;
    uint64_t room = take_room(disk, inode, pages_of(bytes)) * SIM_PAGE_BYTES;
    uint64_t grown = room < bytes ? room : bytes;
    if (grown > inode->cache->size) {
        sim_content_own(&inode->cache)->size = grown;
        add_change(disk, inode, SIM_NO_PAGE);
    }
    return grown == bytes ? OMEN_OK : disk_full(error);
}

void sim_truncate(struct sim_disk *disk, struct sim_inode *inode, uint64_t bytes)
{
    struct sim_content *content = sim_content_own(&inode->cache);
    uint64_t pages_before = content->page_count;
    content->size = bytes;
    sim_content_trim(content);
    add_change(disk, inode, SIM_NO_PAGE);
    for (uint64_t page = bytes / SIM_PAGE_BYTES; page < pages_before; page++)
        add_change(disk, inode, page);
    uint64_t room = pages_of(bytes);
    if (inode->room > room) {
        disk->room_used -= inode->room - room;
        inode->room = room;
    }
}

/* --- syncing --- */

/* A page of the disk becomes what the change made of it. */
static void carry_page(struct sim_content *content, const struct sim_change *change)
{
    if (change->page == SIM_NO_PAGE)
        return;
    sim_content_set_page(content, change->page, sim_page_retain(change->bytes));
    /* Whoever writes a page back makes the file long enough for it. */
    uint64_t end = (change->page + 1) * SIM_PAGE_BYTES;
    uint64_t needed = end < change->size ? end : change->size;
    if (content->size < needed)
        content->size = needed;
}

void sim_sync(struct sim_disk *disk, struct sim_inode *inode, bool fails)
{
    if (inode->change_count == 0)
        return;
    struct sim_content *content = sim_content_own(&inode->disk);
    /* In 1 of 4 failures nothing reached the disk, in 1 of 4 all. */
    uint64_t share = fails ? random_below(&disk->chance, 4) : 3;
    for (size_t i = 0; i < inode->change_count; i++) {
        const struct sim_change *change = &inode->changes[i];
        bool carried = share == 3 || (share != 0 && random_below(&disk->chance, 2) == 0);
        if (!carried)
            continue;
        carry_page(content, change);
        if (change->page == SIM_NO_PAGE)
            content->size = change->size;
    }
    sim_content_trim(content);
    sim_inode_forget_changes(inode);
}

void sim_sync_names(struct sim_disk *disk, struct sim_inode *directory, bool fails)
{
    uint64_t share = fails ? random_below(&disk->chance, 4) : 3;
    for (size_t i = 0; i < directory->name_change_count; i++)
        if (share == 3 || (share != 0 && random_below(&disk->chance, 2) == 0))
            sim_entries_apply(&directory->disk_entries, &directory->name_changes[i]);
    sim_inode_forget_changes(directory);
}
