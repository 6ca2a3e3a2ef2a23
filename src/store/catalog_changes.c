/* catalog_changes.c - changes of the list of tables, made privately and committed together.
 *
 *   entries, in order:   + a   + b   - c   - a        b is new, c goes, a never was
 *
 * Whoever made them finds names by the last entry that has them, before he looks in the catalog. In
 * the log tables go before others come, so that a name may pass from one to another in one commit.
 *
 * Concurrency: one thread gathers; the commit runs under the writer lock.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "store/catalog_private.h"
#include "store/definition.h"

enum { DROP_BYTES = 8 }; /* of a section of the log: the table's id */

struct changed_table {
    struct table *table; /* retained */
    bool drops;
    size_t
        definition_length; /* of a table that comes: its part of `definitions`; 0: it goes again */
};

struct catalog_changes {
    struct catalog *catalog;
    struct changed_table *entries;
    size_t count, capacity;
    /* While they are committed: */
    struct byte_writer definitions; /* the bodies of the sections of tables that come */
};

omen_status catalog_changes_create(struct catalog *catalog, struct catalog_changes **out)
{
    struct catalog_changes *changes = allocator_alloc_zeroed(catalog->allocator, sizeof *changes);
    *out = changes;
    if (changes == NULL)
        return OMEN_OUT_OF_MEMORY;
    changes->catalog = catalog;
    changes->definitions.allocator = catalog->allocator;
    return OMEN_OK;
}

void catalog_changes_undo(struct catalog_changes *changes, size_t count)
{
    while (changes->count > count)
        table_release(changes->entries[--changes->count].table);
}

void catalog_changes_destroy(struct catalog_changes *changes)
{
    if (changes == NULL)
        return;
    struct allocator *allocator = changes->catalog->allocator;
    catalog_changes_undo(changes, 0);
    byte_writer_release(&changes->definitions);
    allocator_free(allocator, changes->entries, changes->capacity * sizeof *changes->entries);
    allocator_free(allocator, changes, sizeof *changes);
}

size_t catalog_changes_count(const struct catalog_changes *changes)
{
    return changes == NULL ? 0 : changes->count;
}

static omen_status add_entry(struct catalog_changes *changes, struct table *table, bool drops)
{
    if (changes->count == changes->capacity) {
        size_t capacity = changes->capacity == 0 ? 4 : changes->capacity * 2;
        struct changed_table *entries =
            allocator_resize(changes->catalog->allocator, changes->entries,
                             changes->capacity * sizeof *entries, capacity * sizeof *entries);
        if (entries == NULL)
            return OMEN_OUT_OF_MEMORY;
        changes->entries = entries;
        changes->capacity = capacity;
    }
    changes->entries[changes->count++] =
        (struct changed_table){.table = table_retain(table), .drops = drops};
    return OMEN_OK;
}

omen_status catalog_changes_add(struct catalog_changes *changes, struct table *table)
{
    return add_entry(changes, table, false);
}

omen_status catalog_changes_drop(struct catalog_changes *changes, struct table *table)
{
    return add_entry(changes, table, true);
}

bool catalog_changes_drops(const struct catalog_changes *changes, const struct table *table)
{
    for (size_t i = 0; i < catalog_changes_count(changes); i++)
        if (changes->entries[i].drops && changes->entries[i].table == table)
            return true;
    return false;
}

omen_status catalog_find_in(struct catalog *catalog, const struct catalog_changes *changes,
                            const char *name, size_t length, struct table **out, omen_error *error)
{
    for (size_t i = catalog_changes_count(changes); i-- > 0;) {
        const struct changed_table *entry = &changes->entries[i];
        const char *found = table_name(entry->table);
        if (strlen(found) != length || memcmp(found, name, length) != 0)
            continue;
        *out = entry->drops ? NULL : table_retain(entry->table);
        if (*out != NULL)
            return OMEN_OK;
        return error_set(error, OMEN_UNDEFINED_TABLE, "relation \"%.*s\" does not exist",
                         (int)(length < 256 ? length : 256), name);
    }
    return catalog_find(catalog, name, length, out, error);
}

/* Whether the entry makes a table that is there in the end. */
static bool comes(const struct catalog_changes *changes, const struct changed_table *entry)
{
    return !entry->drops && !catalog_changes_drops(changes, entry->table);
}

/* Whether it takes away a table that others can see: one that was not made by these changes. */
static bool goes(const struct catalog_changes *changes, const struct changed_table *entry)
{
    if (!entry->drops)
        return false;
    for (size_t i = 0; i < changes->count; i++)
        if (!changes->entries[i].drops && changes->entries[i].table == entry->table)
            return false;
    return true;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(table_name(*(struct table *const *)left),
                  table_name(*(struct table *const *)right));
}

omen_status catalog_list_in(struct catalog *catalog, const struct catalog_changes *changes,
                            struct table ***tables, size_t *count)
{
    struct allocator *allocator = catalog->allocator;
    struct table **listed;
    size_t listed_count, made = catalog_changes_count(changes);
    if (made == 0)
        return catalog_list(catalog, tables, count);
    *tables = NULL;
    *count = 0;
    OMEN_TRY(catalog_list(catalog, &listed, &listed_count));
    size_t found = 0;
    struct table **all = allocator_alloc(allocator, (listed_count + made) * sizeof *all);
    for (size_t i = 0; all != NULL && i < listed_count; i++)
        if (!catalog_changes_drops(changes, listed[i]))
            all[found++] = table_retain(listed[i]);
    for (size_t i = 0; all != NULL && i < made; i++)
        if (comes(changes, &changes->entries[i]))
            all[found++] = table_retain(changes->entries[i].table);
    catalog_list_release(catalog, listed, listed_count);
    if (all == NULL)
        return OMEN_OUT_OF_MEMORY;
    qsort(all, found, sizeof *all, compare_names);
    *count = found;
    if (found == 0) {
        allocator_free(allocator, all, (listed_count + made) * sizeof *all);
        return OMEN_OK;
    }
    /* Given back by its length: so it has just that. */
    *tables =
        allocator_resize(allocator, all, (listed_count + made) * sizeof *all, found * sizeof *all);
    if (*tables != NULL)
        return OMEN_OK;
    for (size_t i = 0; i < found; i++)
        table_release(all[i]);
    allocator_free(allocator, all, (listed_count + made) * sizeof *all);
    *count = 0;
    return OMEN_OUT_OF_MEMORY;
}

/* --- as a participant of a commit --- */

static omen_status validate_entry(const struct catalog_changes *changes,
                                  const struct changed_table *entry, omen_error *error)
{
    const struct catalog *catalog = changes->catalog;
    const char *name = table_name(entry->table);
    const struct entry *listed = catalog_newest(catalog, name);
    if (goes(changes, entry) && (listed == NULL || listed->table != entry->table))
        return error_set(error, OMEN_UNDEFINED_TABLE, "table \"%s\" does not exist", name);
    if (comes(changes, entry) &&
        (catalog_view_of(catalog, name, strlen(name)) != NULL ||
         (listed != NULL && !catalog_changes_drops(changes, listed->table))))
        return error_set(error, OMEN_DUPLICATE_TABLE, "relation \"%s\" already exists", name);
    return OMEN_OK;
}

/* Old entries may be taken out beside the writer: what it looks at is read under the lock too. */
static omen_status changes_validate(void *self, omen_error *error)
{
    struct catalog_changes *changes = self;
    omen_status status = OMEN_OK;
    rwlock_read_lock(&changes->catalog->lock);
    for (size_t i = 0; i < changes->count && status == OMEN_OK; i++)
        status = validate_entry(changes, &changes->entries[i], error);
    rwlock_read_unlock(&changes->catalog->lock);
    return status;
}

static void changes_abort(void *self)
{
    struct catalog_changes *changes = self;
    byte_writer_release(&changes->definitions);
}

static omen_status changes_reserve(void *self, omen_error *error)
{
    struct catalog_changes *changes = self;
    struct catalog *catalog = changes->catalog;
    uint64_t id = catalog->id_next;
    for (size_t i = 0; i < changes->count; i++) {
        struct changed_table *entry = &changes->entries[i];
        size_t before = changes->definitions.length;
        entry->definition_length = 0;
        if (!comes(changes, entry))
            continue;
        table_set_id(entry->table, id);
        definition_encode(&changes->definitions, id++, table_name(entry->table),
                          table_schema(entry->table));
        entry->definition_length = changes->definitions.length - before;
    }
    if (!changes->definitions.failed && catalog_grow(catalog, id - catalog->id_next))
        return OMEN_OK;
    changes_abort(changes);
    return error_set_default(error, OMEN_OUT_OF_MEMORY);
}

static void changes_apply(void *self, uint64_t timestamp)
{
    struct catalog_changes *changes = self;
    struct catalog *catalog = changes->catalog;
    for (size_t i = 0; i < changes->count; i++) {
        const struct changed_table *entry = &changes->entries[i];
        if (!goes(changes, entry))
            continue;
        table_mark_dropped(entry->table);
        catalog_end_table(catalog, table_id(entry->table), timestamp);
    }
    for (size_t i = 0; i < changes->count; i++) {
        if (!comes(changes, &changes->entries[i]))
            continue;
        catalog->id_next++;
        catalog_list_table(catalog, table_retain(changes->entries[i].table), timestamp);
    }
    byte_writer_release(&changes->definitions);
}

static uint64_t changes_redo_bytes(void *self)
{
    const struct catalog_changes *changes = self;
    uint64_t bytes = 0;
    for (size_t i = 0; i < changes->count; i++) {
        const struct changed_table *entry = &changes->entries[i];
        if (goes(changes, entry))
            bytes += redo_head_bytes(DROP_BYTES) + DROP_BYTES;
        else if (entry->definition_length > 0)
            bytes += redo_head_bytes(entry->definition_length) + entry->definition_length;
    }
    return bytes;
}

static void changes_redo(void *self, struct txn_redo *redo)
{
    const struct catalog_changes *changes = self;
    for (size_t i = 0; i < changes->count; i++) {
        uint8_t body[DROP_BYTES];
        if (!goes(changes, &changes->entries[i]))
            continue;
        bytes_put_u64(body, table_id(changes->entries[i].table));
        redo_put_head(redo, REDO_DROP_TABLE, DROP_BYTES);
        txn_redo_put(redo, body, DROP_BYTES);
    }
    const uint8_t *definition = changes->definitions.data;
    for (size_t i = 0; i < changes->count; i++) {
        size_t length = changes->entries[i].definition_length;
        if (length == 0)
            continue;
        redo_put_head(redo, REDO_CREATE_TABLE, length);
        txn_redo_put(redo, definition, length);
        definition += length;
    }
}

static const struct txn_participant_ops changes_ops = {
    .validate = changes_validate,
    .reserve = changes_reserve,
    .apply = changes_apply,
    .abort = changes_abort,
    .redo_bytes = changes_redo_bytes,
    .redo = changes_redo,
};

struct txn_participant catalog_changes_participant(struct catalog_changes *changes)
{
    return (struct txn_participant){.ops = &changes_ops, .self = changes};
}

/* --- a change that is a commit of its own --- */

/* Commits the changes. The writer lock is held, and given up. */
omen_status catalog_commit(struct catalog_changes *changes, omen_error *error)
{
    struct catalog *catalog = changes->catalog;
    const struct txn_participant participant = catalog_changes_participant(changes);
    struct txn_ticket ticket;
    txn_writer_lock(catalog->manager);
    omen_status status = txn_commit(catalog->manager, &participant, 1, TXN_DURABLE, &ticket, error);
    if (status != OMEN_OK)
        ticket = txn_newest(catalog->manager);
    txn_writer_unlock(catalog->manager);
    status = txn_outcome(catalog->manager, status, &ticket, error);
    (void)catalog_version(catalog); /* frees what was dropped */
    return status;
}

omen_status catalog_add(struct catalog *catalog, const char *name, struct schema *schema,
                        omen_error *error)
{
    struct catalog_changes *changes;
    struct table *table = NULL;
    omen_status status = catalog_changes_create(catalog, &changes);
    if (status == OMEN_OK)
        status = table_create(catalog->allocator, catalog->manager, name, schema, &table);
    if (status == OMEN_OK)
        status = catalog_changes_add(changes, table);
    status = status == OMEN_OK ? catalog_commit(changes, error) : error_set_default(error, status);
    table_release(table);
    catalog_changes_destroy(changes);
    return status;
}

omen_status catalog_add_filled(struct catalog *catalog, struct table *table,
                               const struct txn_participant *rows, enum txn_durability durability,
                               struct txn_ticket *ticket, omen_error *error)
{
    struct catalog_changes *changes;
    omen_status status = catalog_changes_create(catalog, &changes);
    if (status == OMEN_OK)
        status = catalog_changes_add(changes, table);
    if (status != OMEN_OK) {
        error_set_default(error, status);
    } else {
        /* The table first: whoever does it again finds it before the rows. */
        const struct txn_participant participants[] = {catalog_changes_participant(changes), *rows};
        status = txn_commit(catalog->manager, participants, 2, durability, ticket, error);
    }
    catalog_changes_destroy(changes);
    return status;
}
