/* transactions_view.c - omen_transactions, see lock_views.h: what sessions say of themselves
 * (activity.h), and how many locks they have.
 */
#include <stdlib.h>

#include "store/lock_views.h"
#include "store/view_table.h"
#include "txn/txn_lock.h"

#define VIEW_COLUMNS(X)                                                                            \
    X(transaction, BIGINT)                                                                         \
    X(state, TEXT)                                                                                 \
    X(isolation, TEXT)                                                                             \
    X(read_only, BOOLEAN)                                                                          \
    X(began, TIMESTAMPTZ)                                                                          \
    X(snapshot, BIGINT)                                                                            \
    X(snapshot_age, BIGINT) /* commits since */                                                    \
    X(oldest, BOOLEAN)      /* nobody reads at an older one */                                     \
    X(rows_written, BIGINT)                                                                        \
    X(locks, BIGINT)                                                                               \
    X(waiting, BOOLEAN)

enum view_column { VIEW_COLUMNS(VIEW_ENUM) VIEW_COLUMN_COUNT };

static const struct column_definition view_columns[] = {VIEW_COLUMNS(VIEW_DEFINITION)};

/* A row. */
struct shown {
    struct activity_info info;
    uint64_t locks;
    bool waiting;
};

struct rows {
    struct shown *shown; /* ascending by transaction */
    size_t count;
    uint64_t published, watermark;
};

static struct shown *find_shown(struct rows *rows, uint64_t transaction)
{
    size_t low = 0, high = rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows->shown[middle].info.transaction < transaction)
            low = middle + 1;
        else
            high = middle;
    }
    return low < rows->count && rows->shown[low].info.transaction == transaction ? &rows->shown[low]
                                                                                 : NULL;
}

static void count_locks(struct rows *rows, const struct lock_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct shown *shown = find_shown(rows, list->locks[i].transaction);
        if (shown == NULL)
            continue;
        shown->locks += list->locks[i].granted;
        shown->waiting = shown->waiting || !list->locks[i].granted;
    }
}

/* Leaves those that have a transaction, or a statement with locks. */
static void leave_out_others(struct rows *rows)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++)
        if (rows->shown[i].info.state != ACTIVITY_NONE || rows->shown[i].locks > 0 ||
            rows->shown[i].waiting)
            rows->shown[kept++] = rows->shown[i];
    rows->count = kept;
}

static omen_status fill_transaction(void *context, size_t row, omen_value *values)
{
    static const char *const states[] = {"active", "active", "idle", "failed"};
    const struct rows *rows = context;
    const struct shown *shown = &rows->shown[row];
    const struct activity_info *info = &shown->info;
    view_put_number(&values[VIEW_transaction], info->transaction);
    view_put_text(&values[VIEW_state], states[info->state]);
    view_put_number(&values[VIEW_locks], shown->locks);
    view_put_boolean(&values[VIEW_waiting], shown->waiting);
    if (info->state == ACTIVITY_NONE) /* a statement by itself */
        return OMEN_OK;
    view_put_text(&values[VIEW_isolation], info->isolation);
    view_put_boolean(&values[VIEW_read_only], info->read_only);
    view_put_number(&values[VIEW_began], (uint64_t)info->began_us);
    view_put_number(&values[VIEW_rows_written], info->rows_written);
    if (info->snapshot == 0)
        return OMEN_OK;
    uint64_t published = rows->published;
    view_put_number(&values[VIEW_snapshot], info->snapshot);
    view_put_number(&values[VIEW_snapshot_age],
                    info->snapshot < published ? published - info->snapshot : 0);
    view_put_boolean(&values[VIEW_oldest], info->snapshot <= rows->watermark);
    return OMEN_OK;
}

/* The rows of all sessions, in the arena, before it is known who has locks. */
static omen_status take_sessions(struct database *database, struct arena *arena, struct rows *rows)
{
    struct activity_info *info;
    size_t count;
    OMEN_TRY(activity_list_take(&database->sessions, database->allocator, &info, &count));
    rows->shown = arena_alloc(arena, (count + 1) * sizeof *rows->shown);
    for (size_t i = 0; i < count && rows->shown != NULL; i++)
        rows->shown[rows->count++] = (struct shown){.info = info[i]};
    allocator_free(database->allocator, info, count * sizeof *info);
    return rows->shown == NULL ? OMEN_OUT_OF_MEMORY : OMEN_OK;
}

static omen_status take_rows(struct database *database, struct arena *arena, struct rows *rows)
{
    struct lock_list list;
    OMEN_TRY(take_sessions(database, arena, rows));
    OMEN_TRY(lock_list_take(txn_locks(database->manager), database->allocator, &list));
    count_locks(rows, &list);
    lock_list_release(&list);
    leave_out_others(rows);
    rows->published = txn_published(database->manager);
    rows->watermark = txn_watermark(database->manager);
    return OMEN_OK;
}

omen_status transactions_view_make(void *context, struct table **out, omen_error *error)
{
    static const struct view_definition definition = {TRANSACTIONS_VIEW_NAME, view_columns,
                                                      VIEW_COLUMN_COUNT};
    struct database *database = context;
    struct rows rows = {.count = 0};
    struct arena arena;
    *out = NULL;
    arena_init(&arena, database->allocator);
    omen_status status = take_rows(database, &arena, &rows);
    if (status != OMEN_OK) {
        error_set_default(error, status);
    } else {
        const struct view_rows table = {rows.count, fill_transaction, &rows};
        status = view_table_make(database, &definition, &table, out, error);
    }
    arena_release(&arena);
    return status;
}
