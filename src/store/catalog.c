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
#include "store/catalog.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/nearest.h"
#include "os/thread.h"
#include "store/definition.h"

enum { SUGGESTIONS_MAX = 4096 }; /* names looked at for a hint */

/* Of what was there before the database was opened. */
#define TIME_RESTORED UINT64_C(1)

struct entry {
    struct table *table;
    uint64_t begin, end;
};

struct catalog {
    struct allocator *allocator;
    struct txn_manager *manager;
    struct rwlock lock;
    struct entry *entries;
    size_t count;
    size_t capacity;
    uint64_t id_next;      /* guarded by the writer lock */
    const char *view_name; /* NULL: none. Set once, as are these: */
    omen_status (*view_make)(void *context, struct table **out, omen_error *error);
    void *view_context;
    atomic_uint_fast64_t version;
    atomic_uint_fast64_t pending; /* the first change not yet counted in `version`; 0 = none */
};

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

void catalog_set_view(struct catalog *catalog, const char *name,
                      omen_status (*make)(void *context, struct table **out, omen_error *error),
                      void *context)
{
    catalog->view_name = name;
    catalog->view_make = make;
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

/* The entry that the next change of the name has to do with. As the writer. */
static struct entry *find_newest(const struct catalog *catalog, const char *name)
{
    return find_alive(catalog, name, strlen(name), TXN_NEWEST);
}

static bool is_view(const struct catalog *catalog, const char *name, size_t length)
{
    return catalog->view_name != NULL && compare_name(name, length, catalog->view_name) == 0;
}

static omen_status undefined_table(const char *name, size_t length, omen_error *error)
{
    return error_set(error, OMEN_UNDEFINED_TABLE, "relation \"%.*s\" does not exist",
                     (int)(length < 256 ? length : 256), name);
}

/* Hints at a table of a name near this one. The lock is held. */
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
    if (is_view(catalog, name, length))
        return catalog->view_make(catalog->view_context, out, error);
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

/* Counts the changes published meanwhile, and takes ended tables out. */
static void tidy(struct catalog *catalog)
{
    rwlock_write_lock(&catalog->lock);
    uint64_t now = txn_published(catalog->manager), pending = 0;
    size_t kept = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        struct entry *entry = &catalog->entries[i];
        if (entry->end <= now) {
            table_release(entry->table);
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

/* Makes room for one entry more. As the writer. */
static bool grow(struct catalog *catalog)
{
    rwlock_write_lock(&catalog->lock);
    bool room = catalog->count < catalog->capacity;
    if (!room) {
        size_t capacity = catalog->capacity == 0 ? 16 : catalog->capacity * 2;
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

/* Takes over a reference to the table. There is room. As the writer. */
static void insert(struct catalog *catalog, struct table *table, uint64_t begin)
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

static void end_table(struct catalog *catalog, uint64_t id, uint64_t timestamp)
{
    rwlock_write_lock(&catalog->lock);
    for (size_t i = 0; i < catalog->count; i++)
        if (table_id(catalog->entries[i].table) == id)
            catalog->entries[i].end = timestamp;
    note_change(catalog, timestamp);
    rwlock_write_unlock(&catalog->lock);
}

/* --- a change as a participant of a commit --- */

struct change {
    struct catalog *catalog;
    /* CREATE */
    const char *name;
    struct schema *schema;
    struct table *table;           /* given, or made by reserve, as is: */
    struct byte_writer definition; /* the body of its section */
    /* DROP */
    const char *const *names;
    size_t name_count;
    bool missing_ok;
    uint64_t *ids; /* of the tables found by validate; room for name_count */
    size_t id_count;
};

static omen_status validate_create(struct change *change, omen_error *error)
{
    if (find_newest(change->catalog, change->name) != NULL ||
        is_view(change->catalog, change->name, strlen(change->name)))
        return error_set(error, OMEN_DUPLICATE_TABLE, "relation \"%s\" already exists",
                         change->name);
    return OMEN_OK;
}

static omen_status validate_drop(struct change *change, omen_error *error)
{
    change->id_count = 0;
    for (size_t i = 0; i < change->name_count; i++) {
        const struct entry *entry = find_newest(change->catalog, change->names[i]);
        if (entry == NULL && !change->missing_ok) {
            error_set(error, OMEN_UNDEFINED_TABLE, "table \"%s\" does not exist", change->names[i]);
            suggest(change->catalog, change->names[i], strlen(change->names[i]), TXN_NEWEST, error);
            return OMEN_UNDEFINED_TABLE;
        }
        if (entry == NULL)
            continue;
        uint64_t id = table_id(entry->table);
        bool twice = false;
        for (size_t j = 0; j < change->id_count; j++)
            twice = twice || change->ids[j] == id;
        if (!twice)
            change->ids[change->id_count++] = id;
    }
    return OMEN_OK;
}

/* tidy may run beside the writer: what the writer looks at is read under the lock too. */
static omen_status change_validate(void *self, omen_error *error)
{
    struct change *change = self;
    rwlock_read_lock(&change->catalog->lock);
    omen_status status =
        change->names == NULL ? validate_create(change, error) : validate_drop(change, error);
    rwlock_read_unlock(&change->catalog->lock);
    return status;
}

static omen_status reserve_create(struct change *change)
{
    struct catalog *catalog = change->catalog;
    if (!grow(catalog))
        return OMEN_OUT_OF_MEMORY;
    if (change->table == NULL)
        OMEN_TRY(table_create(catalog->allocator, catalog->manager, change->name, change->schema,
                              &change->table));
    table_set_id(change->table, catalog->id_next);
    definition_encode(&change->definition, catalog->id_next, change->name, change->schema);
    return change->definition.failed ? OMEN_OUT_OF_MEMORY : OMEN_OK;
}

static void change_abort(void *self)
{
    struct change *change = self;
    table_release(change->table);
    change->table = NULL;
    byte_writer_release(&change->definition);
}

static omen_status change_reserve(void *self, omen_error *error)
{
    struct change *change = self;
    omen_status status = OMEN_OK;
    if (change->names == NULL)
        status = reserve_create(change);
    if (status == OMEN_OK)
        return OMEN_OK;
    change_abort(change);
    return error_set_default(error, status);
}

static void change_apply(void *self, uint64_t timestamp)
{
    struct change *change = self;
    if (change->names == NULL) {
        change->catalog->id_next++;
        insert(change->catalog, change->table, timestamp);
        change->table = NULL;
    }
    for (size_t i = 0; i < change->id_count; i++)
        end_table(change->catalog, change->ids[i], timestamp);
}

enum { DROP_BYTES = 8 };

static uint64_t change_redo_bytes(void *self)
{
    const struct change *change = self;
    if (change->names != NULL)
        return change->id_count * (redo_head_bytes(DROP_BYTES) + DROP_BYTES);
    return redo_head_bytes(change->definition.length) + change->definition.length;
}

static void change_redo(void *self, struct txn_redo *redo)
{
    const struct change *change = self;
    if (change->names == NULL) {
        redo_put_head(redo, REDO_CREATE_TABLE, change->definition.length);
        txn_redo_put(redo, change->definition.data, change->definition.length);
    }
    for (size_t i = 0; i < change->id_count; i++) {
        uint8_t body[DROP_BYTES];
        bytes_put_u64(body, change->ids[i]);
        redo_put_head(redo, REDO_DROP_TABLE, DROP_BYTES);
        txn_redo_put(redo, body, DROP_BYTES);
    }
}

static const struct txn_participant_ops change_ops = {
    .validate = change_validate,
    .reserve = change_reserve,
    .apply = change_apply,
    .abort = change_abort,
    .redo_bytes = change_redo_bytes,
    .redo = change_redo,
};

static omen_status commit_change(struct change *change, omen_error *error)
{
    struct txn_manager *manager = change->catalog->manager;
    const struct txn_participant participant = {.ops = &change_ops, .self = change};
    struct txn_ticket ticket;
    change->definition = (struct byte_writer){.allocator = change->catalog->allocator};
    txn_writer_lock(manager);
    omen_status status = txn_commit(manager, &participant, 1, TXN_DURABLE, &ticket, error);
    if (status != OMEN_OK)
        ticket = txn_newest(manager);
    txn_writer_unlock(manager);
    byte_writer_release(&change->definition);
    status = txn_outcome(manager, status, &ticket, error);
    (void)catalog_version(change->catalog); /* frees what was dropped */
    return status;
}

omen_status catalog_add(struct catalog *catalog, const char *name, struct schema *schema,
                        omen_error *error)
{
    struct change change = {.catalog = catalog, .name = name, .schema = schema};
    return commit_change(&change, error);
}

omen_status catalog_add_filled(struct catalog *catalog, struct table *table,
                               const struct txn_participant *rows, enum txn_durability durability,
                               struct txn_ticket *ticket, omen_error *error)
{
    struct change change = {.catalog = catalog,
                            .name = table_name(table),
                            .schema = table_schema(table),
                            .table = table_retain(table),
                            .definition = {.allocator = catalog->allocator}};
    /* The table first: whoever does it again finds it before the rows. */
    const struct txn_participant participants[] = {{.ops = &change_ops, .self = &change}, *rows};
    omen_status status = txn_commit(catalog->manager, participants, 2, durability, ticket, error);
    table_release(change.table); /* NULL once it is listed, or was given up */
    byte_writer_release(&change.definition);
    return status;
}

omen_status catalog_remove(struct catalog *catalog, const char *const *names, size_t count,
                           bool missing_ok, omen_error *error)
{
    uint64_t *ids = allocator_alloc(catalog->allocator, count * sizeof *ids);
    if (ids == NULL && count > 0)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    struct change change = {.catalog = catalog,
                            .names = names,
                            .name_count = count,
                            .missing_ok = missing_ok,
                            .ids = ids};
    omen_status status = commit_change(&change, error);
    allocator_free(catalog->allocator, ids, count * sizeof *ids);
    return status;
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
    if (find_newest(catalog, table_name(table)) != NULL ||
        catalog_find_id(catalog, table_id(table), &known) != NULL)
        return error_set(error, OMEN_CORRUPTED, "table \"%s\" is there twice", table_name(table));
    if (!grow(catalog))
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    catalog_set_id_next(catalog, table_id(table) + 1);
    insert(catalog, table_retain(table), TIME_RESTORED);
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
    end_table(catalog, id, TIME_RESTORED);
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
