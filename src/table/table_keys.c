/* table_keys.c - scans answered through the index: a key fixed by = or IN on all its columns.
 *
 * Per key column one predicate gives the candidates (= before IN); their cross product is
 * encoded, sorted and made distinct, so that a value twice in an IN list gives one row. NULLs,
 * and values that no row can hold, give no key. Every predicate is then applied to the row
 * found, those that gave the keys too: `id = 5 AND id = 6` finds row 5 and drops it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "column/key.h"
#include "table/table_scan.h"

/* The predicate that fixes the column, or NULL. */
static const omen_predicate *fixing_predicate(const omen_predicate *predicates, size_t count,
                                              uint32_t column)
{
    const omen_predicate *found = NULL;
    for (size_t i = 0; i < count; i++) {
        if (predicates[i].column != column)
            continue;
        if (predicates[i].op == OMEN_EQ)
            return &predicates[i];
        if (predicates[i].op == OMEN_IN &&
            (found == NULL || predicates[i].value_count < found->value_count))
            found = &predicates[i];
    }
    return found;
}

bool table_predicates_fix_key(const struct schema *schema, const omen_predicate *predicates,
                              size_t count)
{
    for (uint32_t i = 0; i < schema->key_count; i++)
        if (fixing_predicate(predicates, count, schema->key_columns[i]) == NULL)
            return false;
    return true;
}

static int compare_words(const void *left, const void *right)
{
    uint64_t a = ((const struct index_key *)left)->word;
    uint64_t b = ((const struct index_key *)right)->word;
    return (a > b) - (a < b);
}

static int compare_bytes(const void *left, const void *right)
{
    const struct index_key *a = left, *b = right;
    size_t shorter = size_min(a->length, b->length);
    int order = shorter == 0 ? 0 : memcmp(a->bytes, b->bytes, shorter);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static void make_distinct(struct scan *scan)
{
    if (scan->key_count < 2)
        return;
    bool words = scan->view->table->schema->key_kind == INDEX_WORD;
    int (*compare)(const void *, const void *) = words ? compare_words : compare_bytes;
    qsort(scan->keys, scan->key_count, sizeof *scan->keys, compare);
    size_t kept = 1;
    for (size_t i = 1; i < scan->key_count; i++)
        if (compare(&scan->keys[kept - 1], &scan->keys[i]) != 0)
            scan->keys[kept++] = scan->keys[i];
    scan->key_count = kept;
}

/* Encodes combination number `ordinal` of the candidates, where it can be a key. */
static omen_status collect_key(struct scan *scan, const omen_predicate *const *fixing,
                               size_t ordinal)
{
    const struct schema *schema = scan->view->table->schema;
    omen_value values[SCHEMA_KEY_COLUMNS_MAX];
    for (uint32_t i = 0; i < schema->key_count; i++) {
        values[i] = fixing[i]->values[ordinal % fixing[i]->value_count];
        ordinal /= fixing[i]->value_count;
        if (schema_check_value(schema, schema->key_columns[i], &values[i], NULL) != OMEN_OK)
            return OMEN_OK;
    }
    omen_status status =
        key_encode(schema, values, &scan->keys_arena, &scan->keys[scan->key_count], NULL);
    if (status == OMEN_OK)
        scan->key_count++;
    return status == OMEN_OUT_OF_MEMORY ? status : OMEN_OK;
}

omen_status scan_keys_collect(struct scan *scan, const struct scan_spec *spec)
{
    const struct schema *schema = scan->view->table->schema;
    const omen_predicate *fixing[SCHEMA_KEY_COLUMNS_MAX];
    size_t combinations = 1;
    for (uint32_t i = 0; i < schema->key_count; i++) {
        fixing[i] =
            fixing_predicate(spec->predicates, spec->predicate_count, schema->key_columns[i]);
        if (fixing[i] == NULL)
            return OMEN_OK;
        combinations *= fixing[i]->value_count;
        if (combinations > SCAN_KEYS_MAX)
            return OMEN_OK;
    }
    scan->keys = arena_alloc(&scan->keys_arena, combinations * sizeof *scan->keys);
    if (scan->keys == NULL)
        return OMEN_OUT_OF_MEMORY;
    scan->counters.by_index = true;
    if (spec->partition != 0)
        return OMEN_OK; /* the first share answers */
    for (size_t i = 0; i < combinations; i++)
        OMEN_TRY(collect_key(scan, fixing, i));
    make_distinct(scan);
    return OMEN_OK;
}

/* Pins the visible rows of the next keys; gives how many keys that were. */
static size_t lookup_keys(struct scan *scan, struct row_ref *rows)
{
    struct table *table = scan->view->table;
    uint64_t row_ids[LOOKUP_BATCH];
    size_t count = size_min(LOOKUP_BATCH, scan->key_count - scan->key_next);
    biased_lock_read_lock(&table->lock);
    index_lookup_batch(table->index, scan->keys + scan->key_next, count, row_ids);
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct row_ref){0};
        version_resolve(table, row_ids[i], scan->view->snapshot.timestamp, &rows[i]);
    }
    biased_lock_read_unlock(&table->lock);
    return count;
}

omen_status scan_keys_gather(struct scan *scan)
{
    omen_status status = OMEN_OK;
    while (scan->key_next < scan->key_count && status == OMEN_OK &&
           scan->gathered < scan->remaining) {
        struct row_ref rows[LOOKUP_BATCH];
        size_t count = lookup_keys(scan, rows);
        size_t done = 0;
        for (; done < count && scan->gathered < scan->remaining; done++) {
            if (rows[done].group == NULL)
                continue;
            status = filter_ensure(scan->filter, rows[done].group, &scan->failure);
            if (status != OMEN_OK)
                break;
            if (!filter_passes(scan->filter, rows[done].group, rows[done].slot))
                continue;
            uint16_t slot = (uint16_t)rows[done].slot;
            status = scan_gather(scan, rows[done].group, &slot, 1);
            if (status != OMEN_OK)
                break; /* looked up again by the next call */
        }
        scan->key_next += done;
        for (size_t i = 0; i < count; i++)
            row_ref_release(&rows[i]);
    }
    /* Too much text for one batch: what is in hand goes first. */
    return status == OMEN_LIMIT_EXCEEDED && scan->gathered > 0 ? OMEN_OK : status;
}
