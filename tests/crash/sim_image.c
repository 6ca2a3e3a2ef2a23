/* sim_image.c - what a simulated disk may hold after the power failed, and hashes of it.
 *
 * An image copies the tree that its mode chooses: directory by directory the names, file by file
 * the pages. Files without unsynced changes share their content with the image.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "crash/sim_disk_private.h"

const char *const sim_mode_names[SIM_MODE_COUNT] = {
    [SIM_KEEP] = "keep",
    [SIM_DROP] = "drop",
    [SIM_ORDER] = "order",
    [SIM_TEAR_512] = "tear512",
    [SIM_TEAR_4096] = "tear4096",
    [SIM_REORDER_512] = "reorder512",
    [SIM_REORDER_4096] = "reorder4096",
    [SIM_KILL] = "kill",
};

enum { SECTORS = SIM_PAGE_BYTES / SIM_SECTOR_BYTES, BIAS_MAX = 16 };

struct draw {
    enum sim_mode mode;
    struct random random;
    uint64_t cut; /* in order: the last change that happened */
    struct sim_disk *image;
};

/* --- choosing --- */

static void note_range(const struct sim_inode *inode, uint64_t *oldest, uint64_t *count)
{
    *count += inode->change_count + inode->name_change_count;
    if (inode->change_count != 0 && inode->changes[0].number < *oldest)
        *oldest = inode->changes[0].number;
    if (inode->name_change_count != 0 && inode->name_changes[0].number < *oldest)
        *oldest = inode->name_changes[0].number;
    for (size_t i = 0; i < inode->entries.count; i++)
        note_range(inode->entries.list[i].inode, oldest, count);
}

/* In how many of 16 cases the newest is taken: never and always are common. */
static uint64_t choose_bias(struct draw *draw)
{
    static const uint64_t biases[] = {0, 1, 8, 15, BIAS_MAX};
    return biases[random_below(&draw->random, sizeof biases / sizeof biases[0])];
}

/* A change of names, or of a length, that stands alone: did it happen? */
static bool happened(struct draw *draw, uint64_t number, uint64_t bias)
{
    switch (draw->mode) {
    case SIM_DROP:
        return false;
    case SIM_ORDER:
        return number <= draw->cut;
    case SIM_TEAR_512:
    case SIM_TEAR_4096:
        return number < draw->cut || (number == draw->cut && random_below(&draw->random, 2) == 0);
    case SIM_REORDER_512:
    case SIM_REORDER_4096:
        return random_below(&draw->random, BIAS_MAX) < bias;
    default:
        return true;
    }
}

/* --- contents --- */

/* The version of a page or sector after `last` of the changes; the disk's where there is none. */
static const uint8_t *version_bytes(const struct sim_inode *inode, uint64_t page, size_t version,
                                    struct sim_page **whole)
{
    static const uint8_t zeros[SIM_PAGE_BYTES];
    struct sim_page *bytes =
        version == SIZE_MAX ? sim_content_page(inode->disk, page) : inode->changes[version].bytes;
    *whole = bytes;
    return bytes != NULL ? bytes->bytes : zeros;
}

/* Which version a page has: the index of a change, SIZE_MAX for the synced one. `indexes` are the
 * changes of this page, ascending. */
static size_t choose_version(struct draw *draw, const struct sim_inode *inode,
                             const size_t *indexes, size_t count, uint64_t bias)
{
    if (draw->mode == SIM_REORDER_512 || draw->mode == SIM_REORDER_4096) {
        if (random_below(&draw->random, BIAS_MAX) < bias)
            return indexes[count - 1];
        size_t any = random_below(&draw->random, count + 1);
        return any == count || bias == 0 ? SIZE_MAX : indexes[any];
    }
    size_t version = SIZE_MAX;
    for (size_t i = 0; i < count; i++)
        if (happened(draw, inode->changes[indexes[i]].number, bias))
            version = indexes[i];
    return version;
}

static void draw_page(struct draw *draw, const struct sim_inode *inode, struct sim_content *out,
                      const size_t *indexes, size_t count, uint64_t bias)
{
    uint64_t page = inode->changes[indexes[0]].page;
    struct sim_page *whole;
    bool sectors = draw->mode == SIM_TEAR_512 || draw->mode == SIM_REORDER_512;
    size_t versions[SECTORS];
    bool same = true;
    for (size_t i = 0; i < SECTORS; i++) {
        versions[i] =
            i == 0 || sectors ? choose_version(draw, inode, indexes, count, bias) : versions[0];
        same = same && versions[i] == versions[0];
    }
    if (same) {
        (void)version_bytes(inode, page, versions[0], &whole);
        sim_content_set_page(out, page, sim_page_retain(whole));
        return;
    }
    struct sim_page *mixed = sim_page_copy(NULL);
    for (size_t i = 0; i < SECTORS; i++)
        memcpy(mixed->bytes + i * SIM_SECTOR_BYTES,
               version_bytes(inode, page, versions[i], &whole) + i * SIM_SECTOR_BYTES,
               SIM_SECTOR_BYTES);
    sim_content_set_page(out, page, mixed);
}

static uint64_t draw_size(struct draw *draw, const struct sim_inode *inode, uint64_t bias)
{
    bool reorders = draw->mode == SIM_REORDER_512 || draw->mode == SIM_REORDER_4096;
    if (reorders && bias == BIAS_MAX)
        return inode->cache->size;
    if (reorders) {
        size_t any = random_below(&draw->random, inode->change_count + 1);
        return any == 0 ? inode->disk->size : inode->changes[any - 1].size;
    }
    uint64_t size = inode->disk->size;
    for (size_t i = 0; i < inode->change_count; i++)
        if (happened(draw, inode->changes[i].number, bias))
            size = inode->changes[i].size;
    return size;
}

/* Orders indexes of changes by page, older first. */
static int compare_pages(const void *left, const void *right, void *context)
{
    const struct sim_change *changes = context;
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    if (changes[a].page != changes[b].page)
        return changes[a].page < changes[b].page ? -1 : 1;
    return a < b ? -1 : a > b;
}

static struct sim_content *draw_content(struct draw *draw, const struct sim_inode *inode)
{
    if (draw->mode == SIM_DROP || inode->change_count == 0)
        return sim_content_retain(inode->disk);
    uint64_t bias = choose_bias(draw);
    struct sim_content *out = sim_content_retain(inode->disk);
    sim_content_own(&out);
    size_t count = inode->change_count;
    size_t *indexes = sim_alloc(count * sizeof *indexes);
    for (size_t i = 0; i < count; i++)
        indexes[i] = i;
    qsort_r(indexes, count, sizeof *indexes, compare_pages, inode->changes);
    for (size_t from = 0, to; from < count; from = to) {
        uint64_t page = inode->changes[indexes[from]].page;
        for (to = from + 1; to < count && inode->changes[indexes[to]].page == page;)
            to++;
        if (page != SIM_NO_PAGE)
            draw_page(draw, inode, out, indexes + from, to - from, bias);
    }
    free(indexes);
    out->size = draw_size(draw, inode, bias);
    sim_content_trim(out);
    return out;
}

/* --- the tree --- */

static struct sim_inode *draw_inode(struct draw *draw, struct sim_inode *inode);

static void draw_entries(struct draw *draw, const struct sim_entries *from, struct sim_entries *to)
{
    for (size_t i = 0; i < from->count; i++) {
        struct sim_inode *twin = draw_inode(draw, from->list[i].inode);
        sim_entries_set(to, from->list[i].name, twin);
        sim_inode_release(twin);
    }
}

/* A directory's names after the power cut, both states alike. */
static void draw_names(struct draw *draw, const struct sim_inode *from, struct sim_inode *to)
{
    struct sim_entries names = {0};
    uint64_t bias = choose_bias(draw);
    for (size_t i = 0; i < from->disk_entries.count; i++)
        sim_entries_set(&names, from->disk_entries.list[i].name, from->disk_entries.list[i].inode);
    for (size_t i = 0; i < from->name_change_count; i++)
        if (happened(draw, from->name_changes[i].number, bias))
            sim_entries_apply(&names, &from->name_changes[i]);
    draw_entries(draw, &names, &to->entries);
    for (size_t i = 0; i < to->entries.count; i++) {
        sim_entries_set(&to->disk_entries, to->entries.list[i].name, to->entries.list[i].inode);
        to->entries.list[i].inode->links++;
    }
    while (names.count != 0)
        sim_entries_remove(&names, names.list[0].name);
    free(names.list);
}

/* The process dies only: changes that are not synced stay so. */
static void copy_changes(struct draw *draw, const struct sim_inode *from, struct sim_inode *to)
{
    to->change_count = to->change_capacity = from->change_count;
    to->changes = sim_alloc((from->change_count + 1) * sizeof *to->changes);
    for (size_t i = 0; i < from->change_count; i++) {
        to->changes[i] = from->changes[i];
        sim_page_retain(to->changes[i].bytes);
    }
    for (size_t i = 0; i < from->name_change_count; i++) {
        struct sim_name_change change = from->name_changes[i];
        change.inode = draw_inode(draw, change.inode);
        sim_name_change_add(to, &change);
        sim_inode_release(change.inode);
    }
    draw_entries(draw, &from->entries, &to->entries);
    draw_entries(draw, &from->disk_entries, &to->disk_entries);
    for (size_t i = 0; i < to->entries.count; i++)
        to->entries.list[i].inode->links++;
}

static void draw_file(struct draw *draw, const struct sim_inode *from, struct sim_inode *to)
{
    sim_content_release(to->cache);
    sim_content_release(to->disk);
    if (draw->mode == SIM_KILL) {
        to->cache = sim_content_retain(from->cache);
        to->disk = sim_content_retain(from->disk);
        to->room = from->links != 0 ? from->room : 0;
    } else {
        to->cache = draw_content(draw, from);
        to->disk = sim_content_retain(to->cache);
        to->room = (to->cache->size + SIM_PAGE_BYTES - 1) / SIM_PAGE_BYTES;
    }
    draw->image->room_used += to->room;
}

/* The copy of an inode in the image, with a reference for the caller. */
static struct sim_inode *draw_inode(struct draw *draw, struct sim_inode *inode)
{
    if (inode->twin != NULL)
        return sim_inode_retain(inode->twin);
    struct sim_inode *copy = sim_inode_create(inode->directory, inode->kind);
    inode->twin = copy;
    if (!inode->directory)
        draw_file(draw, inode, copy);
    if (draw->mode == SIM_KILL)
        copy_changes(draw, inode, copy);
    else if (inode->directory)
        draw_names(draw, inode, copy);
    return copy;
}

static void forget_twins(struct sim_inode *inode)
{
    inode->twin = NULL;
    for (size_t i = 0; i < inode->entries.count; i++)
        forget_twins(inode->entries.list[i].inode);
    for (size_t i = 0; i < inode->disk_entries.count; i++)
        forget_twins(inode->disk_entries.list[i].inode);
    for (size_t i = 0; i < inode->name_change_count; i++)
        forget_twins(inode->name_changes[i].inode);
}

struct sim_disk *sim_disk_draw(struct sim_disk *disk, enum sim_mode mode, uint64_t seed)
{
    struct random seeds = random_seeded(seed);
    struct sim_disk *image = sim_disk_create(random_next(&seeds));
    struct draw draw = {.mode = mode, .image = image};
    draw.random = random_seeded(random_next(&seeds));
    mutex_lock(&disk->lock);
    uint64_t oldest = disk->number + 1, changes = 0;
    note_range(disk->root, &oldest, &changes);
    draw.cut = oldest - 1 + random_below(&draw.random, disk->number + 2 - oldest);
    sim_inode_release(image->root);
    image->root = draw_inode(&draw, disk->root);
    forget_twins(disk->root);
    image->number = disk->number;
    image->now_ns = disk->now_ns + 1000000000;
    image->room_max = disk->room_max;
    mutex_unlock(&disk->lock);
    return image;
}

/* --- looking at a disk --- */

static uint64_t hash_entries(const struct sim_inode *directory, const char *path)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < directory->entries.count; i++) {
        const struct sim_entry *entry = &directory->entries.list[i];
        char whole[SIM_PATH_BYTES];
        int length = snprintf(whole, sizeof whole, "%s/%s", path, entry->name);
        OMEN_ASSERT(length > 0 && (size_t)length < sizeof whole);
        uint64_t inner = entry->inode->directory ? hash_entries(entry->inode, whole)
                                                 : sim_content_hash(entry->inode->cache);
        hash += checksum64(whole, (size_t)length, inner);
    }
    return hash;
}

uint64_t sim_disk_hash(struct sim_disk *disk)
{
    mutex_lock(&disk->lock);
    uint64_t hash = hash_entries(disk->root, "");
    mutex_unlock(&disk->lock);
    return hash;
}

uint64_t sim_disk_unsynced(struct sim_disk *disk)
{
    uint64_t oldest = 0, count = 0;
    mutex_lock(&disk->lock);
    note_range(disk->root, &oldest, &count);
    mutex_unlock(&disk->lock);
    return count;
}

static void each_of(const struct sim_inode *directory, const char *path,
                    void (*visit)(void *context, const char *path, uint64_t bytes), void *context)
{
    for (size_t i = 0; i < directory->entries.count; i++) {
        const struct sim_entry *entry = &directory->entries.list[i];
        char whole[SIM_PATH_BYTES];
        int length = snprintf(whole, sizeof whole, "%s/%s", path, entry->name);
        OMEN_ASSERT(length > 0 && (size_t)length < sizeof whole);
        if (entry->inode->directory)
            each_of(entry->inode, whole, visit, context);
        else
            visit(context, whole, entry->inode->cache->size);
    }
}

void sim_disk_each(struct sim_disk *disk,
                   void (*visit)(void *context, const char *path, uint64_t bytes), void *context)
{
    each_of(disk->root, "", visit, context);
}
