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
#include "table/own_writes_private.h"
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
    for (uint32_t i = 0; i < schema->key.count; i++)
        if (fixing_predicate(predicates, count, schema->key.columns[i]) == NULL)
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

omen_status key_keep(struct arena *arena, struct index_key *key)
{
    if (key->bytes == NULL)
        return OMEN_OK;
    uint8_t *bytes = arena_alloc(arena, key->length);
    if (bytes == NULL)
        return OMEN_OUT_OF_MEMORY;
    memcpy(bytes, key->bytes, key->length);
    key->bytes = bytes;
    return OMEN_OK;
}

size_t keys_make_distinct(enum index_kind kind, struct index_key *keys, size_t count)
{
    int (*compare)(const void *, const void *) = kind == INDEX_WORD ? compare_words : compare_bytes;
    bool distinct = true;
    for (size_t i = 1; i < count && distinct; i++)
        distinct = compare(&keys[i - 1], &keys[i]) < 0;
    if (distinct)
        return count;
    qsort(keys, count, sizeof *keys, compare);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++)
        if (compare(&keys[kept - 1], &keys[i]) != 0)
            keys[kept++] = keys[i];
    return kept;
}

bool table_key_among(const struct table *table, const struct index_key *keys, size_t count,
                     struct index_key key)
{
    bool words = table->schema->key.kind == INDEX_WORD;
    return count > 0 &&
           bsearch(&key, keys, count, sizeof key, words ? compare_words : compare_bytes) != NULL;
}

static int compare_numbered(const void *left, const void *right)
{
    const struct numbered_key *a = left, *b = right;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return a->key.bytes == NULL ? compare_words(&a->key, &b->key) : compare_bytes(&a->key, &b->key);
}

size_t numbered_keys_find(const struct numbered_key *keys, size_t count, struct numbered_key key)
{
    const struct numbered_key *found =
        count == 0 ? NULL : bsearch(&key, keys, count, sizeof key, compare_numbered);
    return found == NULL ? count : (size_t)(found - keys);
}

/* Encodes combination number `ordinal` of the candidates, where it can be a key. */
static omen_status collect_key(struct scan *scan, const omen_predicate *const *fixing,
                               size_t ordinal)
{
    const struct schema *schema = scan->view->table->schema;
    omen_value values[SCHEMA_KEY_COLUMNS_MAX];
    for (uint32_t i = 0; i < schema->key.count; i++) {
        values[i] = fixing[i]->values[ordinal % fixing[i]->value_count];
        ordinal /= fixing[i]->value_count;
        if (schema_check_value(schema, schema->key.columns[i], &values[i], NULL) != OMEN_OK)
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
    for (uint32_t i = 0; i < schema->key.count; i++) {
        fixing[i] =
            fixing_predicate(spec->predicates, spec->predicate_count, schema->key.columns[i]);
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
    scan->key_count = keys_make_distinct(schema->key.kind, scan->keys, scan->key_count);
    return OMEN_OK;
}

/* The own writes' word on the keys, as far as the view's command goes. Their lock is held. */
static void ask_own(struct scan *scan, struct row_ref *rows)
{
    size_t kept = 0;
    for (size_t i = 0; i < scan->key_count; i++) {
        struct index_key key = scan->keys[i];
        if (own_lookup(scan->view->own, scan->view->command, key, &rows[kept]) == OWN_GONE)
            continue;
        scan->keys[kept++] = key;
    }
    scan->key_count = kept;
}

omen_status scan_keys_ask_own(struct scan *scan)
{
    struct own_writes *own = scan->view->own;
    struct row_ref *rows = arena_alloc(&scan->keys_arena, scan->key_count * sizeof *rows);
    if (rows == NULL)
        return OMEN_OUT_OF_MEMORY;
    mutex_lock(&own->lock);
    if (own->epoch == scan->view->own_epoch) {
        ask_own(scan, rows);
        scan->own_rows = rows;
    } else {
        scan->counters.by_index = false;
    }
    mutex_unlock(&own->lock);
    return OMEN_OK;
}

/* The own row of key number `position`, pinned again; none where the table has the answer. */
static struct row_ref own_row_of(const struct scan *scan, size_t position)
{
    if (scan->own_rows == NULL || scan->own_rows[position].group == NULL)
        return (struct row_ref){0};
    struct row_ref row = scan->own_rows[position];
    row_group_retain(row.group);
    return row;
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
        rows[i] = own_row_of(scan, scan->key_next + i);
        if (rows[i].group != NULL)
            continue;
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
