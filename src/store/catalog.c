/* catalog.c - tables by name, each with a begin and an end.
 *
 *   entries, sorted by name and then by begin:   a [3, inf)   b [4, 9)   b [12, inf)   c [7, 15)
 *
 * A name has at most one entry without an end. A lookup takes the entry whose lifetime holds what
 * is published. Entries that ended before that are taken out when somebody comes by (`tidy`):
 * nobody looks at an older state, since statements hold references to the tables they found.
 *
 * Schemas change rarely and hold dozens of tables, so binary search over an array beats a hash
 * table in every way that matters here.
 *
 * Concurrency: `lock` guards entries, count and capacity; they change only under the writer lock,
 * or in `tidy`, which takes out what no writer looks at any more. `version` and `pending` are
 * written under `lock` (release) and read without it (acquire).
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/nearest.h"
#include "store/catalog_private.h"
#include "store/definition.h"

enum { SUGGESTIONS_MAX = 4096 }; /* names looked at for a hint */

/* Of what was there before the database was opened. */
#define TIME_RESTORED UINT64_C(1)

omen_status catalog_create(struct allocator *allocator, struct txn_manager *manager,
                           struct catalog **out)
{
    *out = NULL;
    struct catalog *catalog = allocator_alloc_zeroed(allocator, sizeof *catalog);
    if (catalog == NULL)
        return OMEN_OUT_OF_MEMORY;
    catalog->allocator = allocator;
    catalog->manager = manager;
    catalog->id_next = 1;
    atomic_init(&catalog->version, 1);
    rwlock_init(&catalog->lock);
    *out = catalog;
    return OMEN_OK;
}

void catalog_set_views(struct catalog *catalog, const struct catalog_view *views, size_t count,
                       void *context)
{
    catalog->views = views;
    catalog->view_count = count;
    catalog->view_context = context;
}

void catalog_destroy(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    for (size_t i = 0; i < catalog->count; i++)
        table_release(catalog->entries[i].table);
    allocator_free(catalog->allocator, catalog->entries,
                   catalog->capacity * sizeof *catalog->entries);
    rwlock_destroy(&catalog->lock);
    allocator_free(catalog->allocator, catalog, sizeof *catalog);
}

/* --- finding --- */

static int compare_name(const char *name, size_t length, const char *other)
{
    size_t other_length = strlen(other);
    int order = memcmp(name, other, length < other_length ? length : other_length);
    if (order != 0)
        return order;
    return (length > other_length) - (length < other_length);
}

/* The position of the first entry that does not come before the name. The lock is held. */
static size_t find_first(const struct catalog *catalog, const char *name, size_t length)
{
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_name(name, length, table_name(catalog->entries[middle].table)) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The entry of the name that is alive at `timestamp`, or NULL. The lock is held. */
static struct entry *find_alive(const struct catalog *catalog, const char *name, size_t length,
                                uint64_t timestamp)
{
    for (size_t i = find_first(catalog, name, length); i < catalog->count; i++) {
        struct entry *entry = &catalog->entries[i];
        if (compare_name(name, length, table_name(entry->table)) != 0)
            break;
        if (entry->begin <= timestamp && timestamp < entry->end)
            return entry;
    }
    return NULL;
}

struct entry *catalog_newest(const struct catalog *catalog, const char *name)
{
    return find_alive(catalog, name, strlen(name), TXN_NEWEST);
}

const struct catalog_view *catalog_view_of(const struct catalog *catalog, const char *name,
                                           size_t length)
{
    for (size_t i = 0; i < catalog->view_count; i++)
        if (compare_name(name, length, catalog->views[i].name) == 0)
            return &catalog->views[i];
    return NULL;
}

static omen_status undefined_table(const char *name, size_t length, omen_error *error)
{
    return error_set(error, OMEN_UNDEFINED_TABLE, "relation \"%.*s\" does not exist",
                     (int)(length < 256 ? length : 256), name);
}

static void suggest(const struct catalog *catalog, const char *name, size_t length, uint64_t now,
                    omen_error *error)
{
    struct nearest nearest;
    nearest_begin(&nearest, name, length);
    for (size_t i = 0; i < catalog->count && i < SUGGESTIONS_MAX; i++)
        if (catalog->entries[i].begin <= now && now < catalog->entries[i].end)
            nearest_offer(&nearest, NULL, table_name(catalog->entries[i].table), 0);
    nearest_hint(&nearest, "table", error);
}

void catalog_hint(const struct catalog *catalog, const char *name, uint64_t now, omen_error *error)
{
    suggest(catalog, name, strlen(name), now, error);
}

omen_status catalog_find(struct catalog *catalog, const char *name, size_t length,
                         struct table **out, omen_error *error)
{
    *out = NULL;
    rwlock_read_lock(&catalog->lock);
    const struct entry *entry = find_alive(catalog, name, length, txn_published(catalog->manager));
    if (entry != NULL)
        *out = table_retain(entry->table);
    rwlock_read_unlock(&catalog->lock);
    if (*out != NULL)
        return OMEN_OK;
    const struct catalog_view *view = catalog_view_of(catalog, name, length);
    if (view != NULL)
        return view->make(catalog->view_context, out, error);
    undefined_table(name, length, error);
    catalog_suggest(catalog, name, length, error);
    return OMEN_UNDEFINED_TABLE;
}

void catalog_suggest(struct catalog *catalog, const char *name, size_t length, omen_error *error)
{
    if (error == NULL)
        return;
    rwlock_read_lock(&catalog->lock);
    suggest(catalog, name, length, txn_published(catalog->manager), error);
    rwlock_read_unlock(&catalog->lock);
}

const atomic_uint_fast64_t *catalog_version_place(const struct catalog *catalog)
{
    return &catalog->version;
}

omen_status catalog_list(struct catalog *catalog, struct table ***tables, size_t *count)
{
    return catalog_list_at(catalog, 0, tables, count);
}

omen_status catalog_list_at(struct catalog *catalog, uint64_t timestamp, struct table ***tables,
                            size_t *count)
{
    omen_status status = OMEN_OK;
    *tables = NULL;
    *count = 0;
    rwlock_read_lock(&catalog->lock);
    uint64_t published = txn_published(catalog->manager);
    uint64_t now = timestamp > published ? timestamp : published;
    size_t alive = 0;
    for (size_t i = 0; i < catalog->count; i++)
        alive += catalog->entries[i].begin <= now && now < catalog->entries[i].end;
    struct table **list = allocator_alloc(catalog->allocator, alive * sizeof *list);
    if (alive > 0 && list == NULL)
        status = OMEN_OUT_OF_MEMORY;
    for (size_t i = 0; i < catalog->count && list != NULL; i++)
        if (catalog->entries[i].begin <= now && now < catalog->entries[i].end)
            list[(*count)++] = table_retain(catalog->entries[i].table);
    *tables = list;
    rwlock_read_unlock(&catalog->lock);
    return status;
}

void catalog_list_release(struct catalog *catalog, struct table **tables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        table_release(tables[i]);
    allocator_free(catalog->allocator, tables, count * sizeof *tables);
}

/* --- versions --- */

/* Counts the changes published meanwhile, and takes ended tables out: up to `most` of them, for the
 * caller to release without the lock, as the last reference removes files. How many. */
static size_t take_ended(struct catalog *catalog, struct table **ended, size_t most)
{
    rwlock_write_lock(&catalog->lock);
    uint64_t now = txn_published(catalog->manager), pending = 0;
    size_t kept = 0, taken = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        struct entry *entry = &catalog->entries[i];
        if (entry->end <= now && taken < most) {
            ended[taken++] = entry->table;
            continue;
        }
        uint64_t next = entry->begin > now                 ? entry->begin
                        : entry->end != TIMESTAMP_INFINITY ? entry->end
                                                           : 0;
        if (next != 0 && (pending == 0 || next < pending))
            pending = next;
        catalog->entries[kept++] = *entry;
    }
    catalog->count = kept;
    atomic_fetch_add_explicit(&catalog->version, 1, memory_order_release);
    atomic_store_explicit(&catalog->pending, pending, memory_order_release);
    rwlock_write_unlock(&catalog->lock);
    return taken;
}

static void tidy(struct catalog *catalog)
{
    struct table *ended[16];
    size_t most = sizeof ended / sizeof ended[0], taken;
    do {
        taken = take_ended(catalog, ended, most);
        for (size_t i = 0; i < taken; i++)
            table_release(ended[i]);
    } while (taken == most);
}

uint64_t catalog_version(struct catalog *catalog)
{
    /* Both pair with the stores in tidy and note_change. */
    uint64_t pending = atomic_load_explicit(&catalog->pending, memory_order_acquire);
    if (pending != 0 && pending <= txn_published(catalog->manager))
        tidy(catalog);
    return atomic_load_explicit(&catalog->version, memory_order_acquire);
}

/* A change at `timestamp` has been made. The lock is held for writing. */
static void note_change(struct catalog *catalog, uint64_t timestamp)
{
    if (atomic_load_explicit(&catalog->pending, memory_order_relaxed) == 0)
        atomic_store_explicit(&catalog->pending, timestamp, memory_order_release);
}

/* --- changing the list --- */

bool catalog_grow(struct catalog *catalog, size_t more)
{
    rwlock_write_lock(&catalog->lock);
    bool room = catalog->count + more <= catalog->capacity;
    if (!room) {
        size_t capacity = catalog->capacity == 0 ? 16 : catalog->capacity * 2;
        if (capacity < catalog->count + more)
            capacity = catalog->count + more;
        struct entry *entries =
            allocator_resize(catalog->allocator, catalog->entries,
                             catalog->capacity * sizeof *entries, capacity * sizeof *entries);
        room = entries != NULL;
        if (room) {
            catalog->entries = entries;
            catalog->capacity = capacity;
        }
    }
    rwlock_write_unlock(&catalog->lock);
    return room;
}

void catalog_list_table(struct catalog *catalog, struct table *table, uint64_t begin)
{
    const char *name = table_name(table);
    size_t length = strlen(name);
    rwlock_write_lock(&catalog->lock);
    OMEN_ASSERT(catalog->count < catalog->capacity);
    size_t position = find_first(catalog, name, length);
    while (position < catalog->count &&
           compare_name(name, length, table_name(catalog->entries[position].table)) == 0)
        position++;
    memmove(catalog->entries + position + 1, catalog->entries + position,
            (catalog->count - position) * sizeof *catalog->entries);
    catalog->entries[position] =
        (struct entry){.table = table, .begin = begin, .end = TIMESTAMP_INFINITY};
    catalog->count++;
    note_change(catalog, begin);
    rwlock_write_unlock(&catalog->lock);
}

void catalog_end_table(struct catalog *catalog, uint64_t id, uint64_t timestamp)
{
    rwlock_write_lock(&catalog->lock);
    for (size_t i = 0; i < catalog->count; i++)
        if (table_id(catalog->entries[i].table) == id)
            catalog->entries[i].end = timestamp;
    note_change(catalog, timestamp);
    rwlock_write_unlock(&catalog->lock);
}

/* --- what is persistent --- */

uint64_t catalog_id_next(const struct catalog *catalog)
{
    return catalog->id_next;
}

void catalog_set_id_next(struct catalog *catalog, uint64_t id)
{
    if (id > catalog->id_next)
        catalog->id_next = id;
}

struct table *catalog_find_id(struct catalog *catalog, uint64_t id, bool *known)
{
    *known = id > 0 && id < catalog->id_next;
    for (size_t i = 0; i < catalog->count; i++)
        if (table_id(catalog->entries[i].table) == id &&
            catalog->entries[i].end == TIMESTAMP_INFINITY)
            return catalog->entries[i].table;
    return NULL;
}

static omen_status list_again(struct catalog *catalog, struct table *table, omen_error *error)
{
    bool known;
    if (catalog_newest(catalog, table_name(table)) != NULL ||
        catalog_find_id(catalog, table_id(table), &known) != NULL)
        return error_set(error, OMEN_CORRUPTED, "table \"%s\" is there twice", table_name(table));
    if (!catalog_grow(catalog, 1))
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    catalog_set_id_next(catalog, table_id(table) + 1);
    catalog_list_table(catalog, table_retain(table), TIME_RESTORED);
    return OMEN_OK;
}

omen_status catalog_restore(struct catalog *catalog, struct table *table, omen_error *error)
{
    return list_again(catalog, table, error);
}

static omen_status replay_create_table(struct catalog *catalog, struct byte_reader *reader,
                                       omen_error *error)
{
    struct table_definition definition;
    struct table *table;
    OMEN_TRY(definition_decode(reader, catalog->allocator, &definition, error));
    omen_status status = table_create(catalog->allocator, catalog->manager, definition.name,
                                      definition.schema, &table);
    if (status != OMEN_OK) {
        error_set_default(error, status);
    } else {
        table_set_id(table, definition.id);
        status = list_again(catalog, table, error);
        table_release(table);
    }
    definition_release(&definition);
    return status;
}

static omen_status replay_drop_table(struct catalog *catalog, struct byte_reader *reader,
                                     omen_error *error)
{
    bool known;
    uint64_t id = byte_reader_u64(reader);
    if (reader->failed || catalog_find_id(catalog, id, &known) == NULL)
        return error_set(error, OMEN_CORRUPTED, "the log drops a table that is not there");
    catalog_end_table(catalog, id, TIME_RESTORED);
    return OMEN_OK;
}

omen_status catalog_replay(struct catalog *catalog, uint8_t kind, const void *body, size_t length,
                           omen_error *error)
{
    struct byte_reader reader = {.data = body, .length = length};
    if (kind == REDO_CREATE_TABLE)
        OMEN_TRY(replay_create_table(catalog, &reader, error));
    else if (kind == REDO_DROP_TABLE)
        OMEN_TRY(replay_drop_table(catalog, &reader, error));
    else
        return error_set(error, OMEN_CORRUPTED, "the log has a section of unknown kind %u", kind);
    if (reader.length > 0)
        return error_set(error, OMEN_CORRUPTED, "a section of the log is too long");
    return OMEN_OK;
}
