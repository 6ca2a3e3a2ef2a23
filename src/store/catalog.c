/* catalog.c - a sorted array of tables under a readers-writer lock.
 *
 * Schemas change rarely and hold dozens of tables, so binary search over an array beats a hash
 * table in every way that matters here.
 *
 * Concurrency: `lock` guards tables, count and capacity; `version` is written under it (release)
 * and read without it (acquire).
 */
#include "store/catalog.h"

#include <stdatomic.h>
#include <string.h>

#include "os/thread.h"

struct catalog {
    struct allocator *allocator;
    struct rwlock lock;
    struct table **tables; /* sorted by name */
    size_t count;
    size_t capacity;
    atomic_uint_fast64_t version;
};

omen_status catalog_create(struct allocator *allocator, struct catalog **out)
{
    *out = NULL;
    struct catalog *catalog = allocator_alloc_zeroed(allocator, sizeof *catalog);
    if (catalog == NULL)
        return OMEN_OUT_OF_MEMORY;
    catalog->allocator = allocator;
    atomic_init(&catalog->version, 1);
    rwlock_init(&catalog->lock);
    *out = catalog;
    return OMEN_OK;
}

void catalog_destroy(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    for (size_t i = 0; i < catalog->count; i++)
        table_release(catalog->tables[i]);
    allocator_free(catalog->allocator, catalog->tables,
                   catalog->capacity * sizeof *catalog->tables);
    rwlock_destroy(&catalog->lock);
    allocator_free(catalog->allocator, catalog, sizeof *catalog);
}

static int compare_name(const char *name, size_t length, const char *other)
{
    size_t other_length = strlen(other);
    int order = memcmp(name, other, length < other_length ? length : other_length);
    if (order != 0)
        return order;
    return (length > other_length) - (length < other_length);
}

/* The position of the name, or where it belongs. The caller holds the lock. */
static size_t find_position(const struct catalog *catalog, const char *name, size_t length,
                            bool *found)
{
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_name(name, length, table_name(catalog->tables[middle]));
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *found = false;
    return low;
}

static omen_status undefined_table(const char *name, size_t length, omen_error *error)
{
    return error_set(error, OMEN_UNDEFINED_TABLE, "relation \"%.*s\" does not exist",
                     (int)(length < 256 ? length : 256), name);
}

omen_status catalog_find(struct catalog *catalog, const char *name, size_t length,
                         struct table **out, omen_error *error)
{
    bool found;
    *out = NULL;
    rwlock_read_lock(&catalog->lock);
    size_t position = find_position(catalog, name, length, &found);
    if (found)
        *out = table_retain(catalog->tables[position]);
    rwlock_read_unlock(&catalog->lock);
    return found ? OMEN_OK : undefined_table(name, length, error);
}

/* Makes room for one table more. The caller holds the write lock. */
static bool catalog_grow(struct catalog *catalog)
{
    if (catalog->count < catalog->capacity)
        return true;
    size_t capacity = catalog->capacity == 0 ? 16 : catalog->capacity * 2;
    struct table **tables =
        allocator_resize(catalog->allocator, catalog->tables, catalog->capacity * sizeof *tables,
                         capacity * sizeof *tables);
    if (tables == NULL)
        return false;
    catalog->tables = tables;
    catalog->capacity = capacity;
    return true;
}

static void raise_version(struct catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->version, 1, memory_order_release);
}

omen_status catalog_add(struct catalog *catalog, struct table *table, omen_error *error)
{
    const char *name = table_name(table);
    omen_status status = OMEN_OK;
    bool found;
    rwlock_write_lock(&catalog->lock);
    size_t position = find_position(catalog, name, strlen(name), &found);
    if (found) {
        status = error_set(error, OMEN_DUPLICATE_TABLE, "relation \"%s\" already exists", name);
    } else if (!catalog_grow(catalog)) {
        status = error_set_default(error, OMEN_OUT_OF_MEMORY);
    } else {
        memmove(catalog->tables + position + 1, catalog->tables + position,
                (catalog->count - position) * sizeof *catalog->tables);
        catalog->tables[position] = table_retain(table);
        catalog->count++;
        raise_version(catalog);
    }
    rwlock_write_unlock(&catalog->lock);
    return status;
}

/* Takes one name away if it is there and releases the table. The caller holds the write lock. */
static void remove_one(struct catalog *catalog, const char *name)
{
    bool found;
    size_t position = find_position(catalog, name, strlen(name), &found);
    if (!found)
        return;
    struct table *table = catalog->tables[position];
    catalog->count--;
    memmove(catalog->tables + position, catalog->tables + position + 1,
            (catalog->count - position) * sizeof *catalog->tables);
    table_release(table);
}

omen_status catalog_remove(struct catalog *catalog, const char *const *names, size_t count,
                           bool missing_ok, omen_error *error)
{
    omen_status status = OMEN_OK;
    rwlock_write_lock(&catalog->lock);
    for (size_t i = 0; i < count && !missing_ok && status == OMEN_OK; i++) {
        bool found;
        (void)find_position(catalog, names[i], strlen(names[i]), &found);
        if (!found)
            status =
                error_set(error, OMEN_UNDEFINED_TABLE, "table \"%s\" does not exist", names[i]);
    }
    if (status == OMEN_OK) {
        for (size_t i = 0; i < count; i++)
            remove_one(catalog, names[i]);
        raise_version(catalog);
    }
    rwlock_write_unlock(&catalog->lock);
    return status;
}

uint64_t catalog_version(const struct catalog *catalog)
{
    /* Pairs with raise_version. */
    return atomic_load_explicit(&catalog->version, memory_order_acquire);
}

omen_status catalog_list(struct catalog *catalog, struct table ***tables, size_t *count)
{
    omen_status status = OMEN_OK;
    *tables = NULL;
    *count = 0;
    rwlock_read_lock(&catalog->lock);
    if (catalog->count > 0) {
        struct table **list = allocator_alloc(catalog->allocator, catalog->count * sizeof *list);
        if (list == NULL) {
            status = OMEN_OUT_OF_MEMORY;
        } else {
            for (size_t i = 0; i < catalog->count; i++)
                list[i] = table_retain(catalog->tables[i]);
            *tables = list;
            *count = catalog->count;
        }
    }
    rwlock_read_unlock(&catalog->lock);
    return status;
}

void catalog_list_release(struct catalog *catalog, struct table **tables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        table_release(tables[i]);
    allocator_free(catalog->allocator, tables, count * sizeof *tables);
}
