/* locks_view.c - omen_locks, see lock_views.h.
 *
 * All locks are of one moment, and so are the tables that give them their names, of one a little
 * later: a table that was dropped in between, or that is its transaction's alone, has no name here.
 */
#include "store/lock_views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/view_table.h"
#include "txn/txn_lock.h"

#define VIEW_COLUMNS(X)                                                                            \
    X(transaction, BIGINT) /* whose */                                                             \
    X(relation, TEXT)                                                                              \
    X(key, TEXT) /* NULL: the table */                                                             \
    X(constraint_name, TEXT)                                                                       \
    X(mode, TEXT)                                                                                  \
    X(granted, BOOLEAN)                                                                            \
    X(waiting_since, TIMESTAMPTZ)                                                                  \
    X(waits_for, TEXT) /* transactions */

enum view_column { VIEW_COLUMNS(VIEW_ENUM) VIEW_COLUMN_COUNT };

static const struct column_definition view_columns[] = {VIEW_COLUMNS(VIEW_DEFINITION)};

/* What rows are made of. */
struct locks {
    struct lock_list list;
    struct table **tables; /* ascending by identity */
    size_t table_count;
    int64_t wall_us; /* one moment on two clocks: */
    uint64_t monotonic_ns;
    struct arena arena;   /* texts of a row */
    char waits_for[1000]; /* cut beyond */
};

static int compare_tables(const void *left, const void *right)
{
    uint64_t one = table_identity(*(struct table *const *)left);
    uint64_t other = table_identity(*(struct table *const *)right);
    return (one > other) - (one < other);
}

/* The table of this identity, or NULL. */
static const struct table *find_table(const struct locks *locks, uint64_t identity)
{
    size_t low = 0, high = locks->table_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table_identity(locks->tables[middle]) < identity)
            low = middle + 1;
        else
            high = middle;
    }
    return low < locks->table_count && table_identity(locks->tables[low]) == identity
               ? locks->tables[low]
               : NULL;
}

/* What the key of this number is called; NULL: a hidden key. */
static omen_status put_constraint(struct locks *locks, const struct table *table, uint32_t number,
                                  omen_value *value)
{
    const struct schema *schema = table_schema(table);
    if (number == 0 && schema->key_hidden)
        return OMEN_OK;
    if (number > 0) {
        view_put_text(value, schema_key_of(schema, number)->name);
        return OMEN_OK;
    }
    size_t bytes = strlen(table_name(table)) + sizeof "_pkey";
    char *text = arena_alloc(&locks->arena, bytes);
    if (text == NULL)
        return OMEN_OUT_OF_MEMORY;
    snprintf(text, bytes, "%s_pkey", table_name(table));
    view_put_text(value, text);
    return OMEN_OK;
}

static omen_status put_target(struct locks *locks, const struct lock_target *target,
                              omen_value *values)
{
    if (target->table == 0) { /* the name of a table that is being made */
        values[VIEW_relation].is_null = false;
        values[VIEW_relation].as.bytes = (omen_bytes){target->key.bytes, target->key.length};
        return OMEN_OK;
    }
    const struct table *table = find_table(locks, target->table);
    if (table == NULL)
        return OMEN_OK;
    view_put_text(&values[VIEW_relation], table_name(table));
    if (!target->has_key)
        return OMEN_OK;
    const char *text = NULL;
    const struct numbered_key key = {target->index, target->key};
    OMEN_TRY(table_key_text(table, key, &locks->arena, &text));
    view_put_text(&values[VIEW_key], text);
    return put_constraint(locks, table, key.number, &values[VIEW_constraint_name]);
}

/* "7, 12": each transaction once. */
static const char *list_transactions(struct locks *locks, const struct lock_info *info)
{
    size_t length = 0;
    locks->waits_for[0] = '\0';
    for (size_t i = 0; i < info->waits_for_count; i++) {
        size_t earlier = 0;
        while (info->waits_for[earlier] != info->waits_for[i])
            earlier++;
        if (earlier < i)
            continue;
        size_t room = sizeof locks->waits_for - length;
        if (room < 32) {
            snprintf(locks->waits_for + length, room, ", ...");
            break;
        }
        length += (size_t)snprintf(locks->waits_for + length, room, "%s%llu",
                                   length == 0 ? "" : ", ", (unsigned long long)info->waits_for[i]);
    }
    return locks->waits_for;
}

static omen_status fill_lock(void *context, size_t row, omen_value *values)
{
    struct locks *locks = context;
    const struct lock_info *info = &locks->list.locks[row];
    arena_reset(&locks->arena);
    view_put_number(&values[VIEW_transaction], info->transaction);
    view_put_text(&values[VIEW_mode], lock_mode_name(info->mode));
    view_put_boolean(&values[VIEW_granted], info->granted);
    if (!info->granted) {
        int64_t waited_us = (int64_t)(locks->monotonic_ns - info->waiting_since_ns) / 1000;
        view_put_number(&values[VIEW_waiting_since], (uint64_t)(locks->wall_us - waited_us));
        view_put_text(&values[VIEW_waits_for], list_transactions(locks, info));
    }
    return put_target(locks, &info->target, values);
}

omen_status locks_view_make(void *context, struct table **out, omen_error *error)
{
    static const struct view_definition definition = {LOCKS_VIEW_NAME, view_columns,
                                                      VIEW_COLUMN_COUNT};
    struct database *database = context;
    struct locks locks = {.wall_us = database->os->wall_clock_us(database->os)};
    *out = NULL;
    omen_status status =
        lock_list_take(txn_locks(database->manager), database->allocator, &locks.list);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    locks.monotonic_ns = database->os->monotonic_ns(database->os);
    status = catalog_list(database->catalog, &locks.tables, &locks.table_count);
    if (status != OMEN_OK) {
        lock_list_release(&locks.list);
        return error_set_default(error, status);
    }
    if (locks.table_count > 0)
        qsort(locks.tables, locks.table_count, sizeof *locks.tables, compare_tables);
    arena_init(&locks.arena, database->allocator);
    const struct view_rows rows = {locks.list.count, fill_lock, &locks};
    status = view_table_make(database, &definition, &rows, out, error);
    arena_release(&locks.arena);
    catalog_list_release(database->catalog, locks.tables, locks.table_count);
    lock_list_release(&locks.list);
    return status;
}
