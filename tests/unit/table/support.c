/* support.c - see support.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "column/key.h"
#include "support.h"
#include "table/table_private.h"

/* --- the model --- */

void model_open(struct model *model, enum key_kind kind)
{
    static const char *const names[COLUMN_COUNT] = {"kid", "tag", "tag2", "b", "s", "i", "l",
                                                    "t", "n", "dt", "r", "d", "v", "c", "y",
                                                    "ts", "tz", "u", "k1", "k2"};
    memset(model, 0, sizeof *model);
    model->kind = kind;
    model->tag_next = 1;
    model->version_count = 1;
    allocator_init(&model->allocator, 0);
    assert_int_equal(txn_manager_create(&model->allocator, &model->manager), OMEN_OK);
    struct column_definition columns[COLUMN_COUNT];
    for (uint32_t i = 0; i < COLUMN_COUNT; i++) {
        columns[i] = (struct column_definition){.name = names[i],
                                                .type.id = OMEN_TYPE_BIGINT,
                                                .nullable = i >= COLUMN_FIRST_TYPE};
        if (i == COLUMN_KID)
            columns[i].type.id = OMEN_TYPE_INTEGER;
        if (i >= COLUMN_FIRST_TYPE && i < COLUMN_K1)
            columns[i].type = test_type_columns[i - COLUMN_FIRST_TYPE];
        if (i >= COLUMN_K1)
            columns[i].type = test_key_type(kind, (int)i - COLUMN_K1);
    }
    const uint32_t key_columns[] = {COLUMN_K1, COLUMN_K2};
    uint32_t key_count = kind == KEY_HIDDEN                          ? 0
                         : kind == KEY_PAIR || kind == KEY_MIXED ? 2
                                                                     : 1;
    omen_error error = {0};
    if (schema_create(&model->allocator, columns, COLUMN_COUNT, key_columns, key_count,
                      &model->schema, &error) != OMEN_OK)
        fail_msg("%s", error.message);
    assert_int_equal(
        table_create(&model->allocator, model->manager, "thing", model->schema, &model->table),
        OMEN_OK);
}

void model_close(struct model *model)
{
    table_release(model->table);
    schema_release(model->schema);
    txn_manager_destroy(model->manager);
    assert_int_equal(model->allocator.bytes_used, 0);
    free(model->versions);
    free(model->newest);
}

static int64_t *newest_of(struct model *model, int32_t kid)
{
    if (kid >= model->kid_capacity) {
        int32_t capacity = kid * 2 + 64;
        model->newest = realloc(model->newest, (size_t)capacity * sizeof *model->newest);
        assert_non_null(model->newest);
        memset(model->newest + model->kid_capacity, 0,
               (size_t)(capacity - model->kid_capacity) * sizeof *model->newest);
        model->kid_capacity = capacity;
    }
    return &model->newest[kid];
}

struct version *model_live(struct model *model, int32_t kid)
{
    int64_t newest = *newest_of(model, kid);
    if (newest == 0 || model->versions[newest].end != UINT64_MAX)
        return NULL;
    return &model->versions[newest];
}

struct version *model_at(struct model *model, int32_t kid, uint64_t snapshot)
{
    for (int64_t at = *newest_of(model, kid); at != 0; at = model->versions[at].older) {
        struct version *version = &model->versions[at];
        if (version->begin <= snapshot)
            return snapshot < version->end ? version : NULL;
    }
    return NULL;
}

static bool version_visible(const struct version *version, uint64_t snapshot)
{
    return version->begin != 0 && version->begin <= snapshot && snapshot < version->end;
}

uint64_t model_count(const struct model *model, uint64_t snapshot)
{
    uint64_t count = 0;
    for (int64_t i = 1; i < model->version_count; i++)
        count += version_visible(&model->versions[i], snapshot);
    return count;
}

int32_t model_hidden_next(const struct model *model)
{
    return (int32_t)atomic_load(&model->table->hidden_key_next);
}

static void model_begin_version(struct model *model, const struct test_change *change,
                                uint64_t timestamp)
{
    int64_t id = change->tag > change->tag2 ? change->tag : change->tag2;
    if (id >= model->version_capacity) {
        int64_t capacity = id * 2 + 64;
        model->versions = realloc(model->versions, (size_t)capacity * sizeof *model->versions);
        assert_non_null(model->versions);
        memset(model->versions + model->version_capacity, 0,
               (size_t)(capacity - model->version_capacity) * sizeof *model->versions);
        model->version_capacity = capacity;
    }
    int64_t *newest = newest_of(model, change->new_kid);
    model->versions[id] = (struct version){.kid = change->new_kid,
                                           .tag = change->tag,
                                           .tag2 = change->tag2,
                                           .begin = timestamp,
                                           .end = UINT64_MAX,
                                           .older = *newest};
    *newest = id;
    if (id >= model->version_count)
        model->version_count = id + 1;
}

/* --- transactions --- */

/* Makes a set one that has held other rows before. */
static omen_status use_and_clear(const struct model *model, struct write_set *set)
{
    omen_status status = OMEN_OK;
    for (int32_t i = 0; i < 1 + model->tag_next % 20 && status == OMEN_OK; i++) {
        struct test_row row;
        test_row_fill(model, 1000 + i, 7 * i, 11 * i, &row);
        status = write_set_insert(set, row.values, NULL);
    }
    write_set_clear(set);
    return status;
}

omen_status test_txn_begin(struct model *model, struct test_txn *txn)
{
    *txn = (struct test_txn){.model = model};
    txn_writer_lock(model->manager);
    omen_status status = write_set_create(model->table, &txn->set);
    bool used = status == OMEN_OK && model->tag_next % 4 == 0 && model->kind != KEY_HIDDEN;
    if (used)
        status = use_and_clear(model, txn->set);
    if (status != OMEN_OK) {
        write_set_destroy(txn->set);
        txn->set = NULL;
        txn_writer_unlock(model->manager);
    }
    return status;
}

static void txn_note(struct test_txn *txn, struct test_change change)
{
    if (txn->count == txn->capacity) {
        txn->capacity = txn->capacity * 2 + 16;
        txn->changes = realloc(txn->changes, txn->capacity * sizeof *txn->changes);
        assert_non_null(txn->changes);
    }
    txn->changes[txn->count++] = change;
}

static bool txn_ends(const struct test_txn *txn, int32_t kid)
{
    for (size_t i = 0; i < txn->count; i++)
        if (txn->changes[i].old_kid == kid)
            return true;
    return false;
}

omen_status test_txn_insert(struct test_txn *txn, int32_t kid)
{
    struct model *model = txn->model;
    if (model->kind == KEY_HIDDEN)
        kid = model_hidden_next(model);
    int64_t tag = model->tag_next++;
    struct test_row row;
    test_row_fill(model, kid, tag, tag, &row);
    omen_error error;
    omen_status status = write_set_insert(txn->set, row.values, &error);
    if (status == OMEN_OK)
        txn_note(txn, (struct test_change){-1, kid, tag, tag});
    else
        assert_int_equal(status, OMEN_OUT_OF_MEMORY);
    return status;
}

omen_status test_txn_insert_arrow(struct test_txn *txn, const int32_t *kids, uint32_t count)
{
    struct model *model = txn->model;
    /* The batch is made with an allocator of its own: the table's may be made to fail. */
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct row_group *group;
    assert_int_equal(row_group_create(&allocator, model->schema, 1, count, &group), OMEN_OK);
    int64_t first_tag = model->tag_next;
    int32_t hidden = model_hidden_next(model);
    for (uint32_t i = 0; i < count; i++) {
        struct test_row row;
        int64_t tag = model->tag_next++;
        test_row_fill(model, model->kind == KEY_HIDDEN ? hidden + (int32_t)i : kids[i], tag, tag,
                      &row);
        omen_value values[COLUMN_COUNT + 1];
        memcpy(values, row.values, sizeof row.values);
        values[COLUMN_COUNT] = (omen_value){.type.id = OMEN_TYPE_BIGINT};
        assert_int_equal(row_group_append_values(group, values), OMEN_OK);
    }
    uint32_t columns[COLUMN_COUNT];
    all_columns(columns);
    struct ArrowArray array;
    struct ArrowSchema schema;
    struct batch_builder *builder;
    assert_int_equal(
        batch_builder_create(&allocator, model->schema, columns, COLUMN_COUNT, count, &builder),
        OMEN_OK);
    uint16_t *slots = malloc(count * sizeof *slots);
    for (uint32_t i = 0; i < count; i++)
        slots[i] = (uint16_t)i;
    assert_int_equal(batch_builder_add(builder, group, slots, count), OMEN_OK);
    assert_int_equal(batch_builder_finish(builder, &array), OMEN_OK);
    uint64_t fail_at = atomic_exchange(&model->allocator.fail_at, 0);
    uint64_t calls = atomic_load(&model->allocator.calls);
    assert_int_equal(schema_to_arrow(model->schema, NULL, 0, &schema), OMEN_OK);
    atomic_store(&model->allocator.calls, calls);
    atomic_store(&model->allocator.fail_at, fail_at);
    omen_error error;
    omen_status status = write_set_insert_arrow(txn->set, &schema, &array, &error);
    if (status == OMEN_OK) {
        for (uint32_t i = 0; i < count; i++)
            txn_note(txn, (struct test_change){
                              -1, model->kind == KEY_HIDDEN ? hidden + (int32_t)i : kids[i],
                              first_tag + i, first_tag + i});
    } else if (status != OMEN_OUT_OF_MEMORY) {
        fail_msg("insert_arrow: %s", error.message);
    }
    free(slots);
    array.release(&array);
    schema.release(&schema);
    batch_builder_destroy(builder);
    row_group_release(group);
    assert_int_equal(allocator.bytes_used, 0);
    return status;
}

omen_status test_txn_update(struct test_txn *txn, int32_t kid, int32_t new_kid, int columns)
{
    struct model *model = txn->model;
    struct version *live = model_live(model, kid);
    bool done = txn_ends(txn, kid);
    int64_t drawn = model->tag_next++;
    int64_t tag = live == NULL || columns != 1 ? drawn : live->tag;
    int64_t tag2 = live == NULL || columns != 0 ? drawn : live->tag2;
    struct test_row row, key_row;
    omen_value key[2];
    test_row_fill(model, new_kid, tag, tag2, &row);
    test_key_fill(model, kid, &key_row, key);
    uint32_t positions[COLUMN_COUNT], count = 0;
    omen_value values[COLUMN_COUNT];
    for (uint32_t column = 0; column < COLUMN_COUNT; column++) {
        bool wanted = column == COLUMN_KID || column >= COLUMN_K1
                          ? new_kid != kid
                          : columns == 2 ||
                                (column == COLUMN_TAG || (column != COLUMN_TAG2 &&
                                                          column < COLUMN_FIRST_TAG2)) ==
                                    (columns == 0);
        if (!wanted)
            continue;
        positions[count] = column;
        values[count++] = row.values[column];
    }
    omen_error error;
    omen_status status = write_set_update(txn->set, key, positions, values, count, &error);
    if (status == OMEN_OUT_OF_MEMORY)
        return status;
    assert_int_equal(status, live == NULL ? OMEN_NOT_FOUND : OMEN_OK);
    if (status == OMEN_OK && !done)
        txn_note(txn, (struct test_change){kid, new_kid, tag, tag2});
    return status;
}

omen_status test_txn_delete(struct test_txn *txn, int32_t kid)
{
    struct model *model = txn->model;
    struct version *live = model_live(model, kid);
    bool done = txn_ends(txn, kid);
    struct test_row row;
    omen_value key[2];
    test_key_fill(model, kid, &row, key);
    omen_status status = write_set_delete(txn->set, key, NULL);
    if (status == OMEN_OUT_OF_MEMORY)
        return status;
    assert_int_equal(status, live == NULL ? OMEN_NOT_FOUND : OMEN_OK);
    if (status == OMEN_OK && !done)
        txn_note(txn, (struct test_change){kid, -1, 0, 0});
    return status;
}

static int compare_kids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* What the commit must say. */
static omen_status txn_expected(struct test_txn *txn)
{
    struct model *model = txn->model;
    int32_t *begun = malloc((txn->count + 1) * sizeof *begun);
    int32_t *ended = malloc((txn->count + 1) * sizeof *ended);
    size_t begun_count = 0, ended_count = 0;
    for (size_t i = 0; i < txn->count; i++) {
        if (txn->changes[i].new_kid >= 0)
            begun[begun_count++] = txn->changes[i].new_kid;
        if (txn->changes[i].old_kid >= 0)
            ended[ended_count++] = txn->changes[i].old_kid;
    }
    qsort(begun, begun_count, sizeof *begun, compare_kids);
    qsort(ended, ended_count, sizeof *ended, compare_kids);
    omen_status expected = OMEN_OK;
    for (size_t i = 0; i < begun_count; i++) {
        bool twice = i > 0 && begun[i] == begun[i - 1];
        bool taken = model_live(model, begun[i]) != NULL &&
                     bsearch(&begun[i], ended, ended_count, sizeof *ended, compare_kids) == NULL;
        if (twice || taken)
            expected = OMEN_DUPLICATE_KEY;
    }
    free(begun);
    free(ended);
    return expected;
}

static void txn_end(struct test_txn *txn)
{
    write_set_destroy(txn->set);
    txn_writer_unlock(txn->model->manager);
    free(txn->changes);
    *txn = (struct test_txn){0};
}

/* The model follows what was committed. */
static void txn_follow(struct test_txn *txn, uint64_t timestamp)
{
    struct model *model = txn->model;
    for (size_t i = 0; i < txn->count; i++)
        if (txn->changes[i].old_kid >= 0)
            model_live(model, txn->changes[i].old_kid)->end = timestamp;
    for (size_t i = 0; i < txn->count; i++)
        if (txn->changes[i].new_kid >= 0)
            model_begin_version(model, &txn->changes[i], timestamp);
}

omen_status test_txn_commit(struct test_txn *txn, omen_error *error)
{
    struct model *model = txn->model;
    omen_status expected = txn_expected(txn);
    uint64_t before = txn_published(model->manager);
    omen_error unused = {0};
    if (error == NULL)
        error = &unused;
    omen_status status = write_set_commit(txn->set, true, error);
    if (status == OMEN_OUT_OF_MEMORY)
        return status;
    if (status != expected)
        fail_msg("commit gave %d, the model %d: %s", status, expected, error->message);
    if (status == OMEN_OK) {
        uint64_t timestamp = txn_published(model->manager);
        assert_int_equal(timestamp, before + 1);
        txn_follow(txn, timestamp);
    }
    txn_end(txn);
    return status;
}

omen_status test_txn_launch(struct test_txn *txn, enum txn_durability durability,
                            struct txn_ticket *ticket)
{
    omen_error error = {0};
    omen_status expected = txn_expected(txn);
    omen_status status = write_set_commit_locked(txn->set, durability, ticket, &error);
    if (status != expected)
        fail_msg("commit gave %d, the model %d: %s", status, expected, error.message);
    if (status == OMEN_OK)
        txn_follow(txn, ticket->timestamp);
    txn_end(txn);
    return status;
}

void model_forget(struct model *model, uint64_t timestamp)
{
    for (int32_t kid = 0; kid < model->kid_capacity; kid++) {
        int64_t *newest = &model->newest[kid];
        while (*newest != 0 && model->versions[*newest].begin > timestamp) {
            struct version *lost = &model->versions[*newest];
            *newest = lost->older;
            *lost = (struct version){0};
        }
        struct version *last = *newest == 0 ? NULL : &model->versions[*newest];
        if (last != NULL && last->end > timestamp)
            last->end = UINT64_MAX;
    }
}

void test_txn_rollback(struct test_txn *txn)
{
    txn_end(txn);
}

void model_insert(struct model *model, int32_t first, int32_t count)
{
    struct test_txn txn;
    assert_int_equal(test_txn_begin(model, &txn), OMEN_OK);
    for (int32_t i = 0; i < count; i++)
        assert_int_equal(test_txn_insert(&txn, first + i), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
}

void model_update(struct model *model, int32_t kid, int32_t new_kid)
{
    struct test_txn txn;
    assert_int_equal(test_txn_begin(model, &txn), OMEN_OK);
    assert_int_equal(test_txn_update(&txn, kid, new_kid, 2), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
}

void model_delete(struct model *model, int32_t kid)
{
    struct test_txn txn;
    assert_int_equal(test_txn_begin(model, &txn), OMEN_OK);
    assert_int_equal(test_txn_delete(&txn, kid), OMEN_OK);
    assert_int_equal(test_txn_commit(&txn, NULL), OMEN_OK);
}

/* --- checks --- */

void all_columns(uint32_t *columns)
{
    for (uint32_t i = 0; i < COLUMN_COUNT; i++)
        columns[i] = i;
}

static bool bit(const void *words, int64_t index)
{
    return ((const uint8_t *)words)[index / 8] >> (index % 8) & 1;
}

void arrow_read(const omen_type *type, const struct ArrowArray *array, int64_t row,
                omen_value *out)
{
    memset(out, 0, sizeof *out);
    out->type = *type;
    assert_int_equal(array->offset, 0);
    if (array->buffers[0] != NULL && !bit(array->buffers[0], row)) {
        out->is_null = true;
        return;
    }
    const char *values = array->buffers[1];
    if (type->id == OMEN_TYPE_BOOLEAN) {
        out->as.boolean = bit(values, row);
        return;
    }
    if (!type_is_view(type->id)) {
        size_t width = type_width(type->id);
        memcpy(&out->as, values + (size_t)row * width, width);
        return;
    }
    const char *view = values + row * 16;
    int32_t words[4];
    memcpy(words, view, sizeof words);
    out->as.bytes.length = (size_t)words[0];
    if (words[0] <= 12) {
        out->as.bytes.data = (const uint8_t *)view + 4;
        return;
    }
    assert_true(words[2] >= 0 && words[2] < array->n_buffers - 3);
    const int64_t *sizes = array->buffers[array->n_buffers - 1];
    assert_true(words[3] + (int64_t)words[0] <= sizes[words[2]]);
    out->as.bytes.data = (const uint8_t *)array->buffers[2 + words[2]] + words[3];
    assert_memory_equal(out->as.bytes.data, view + 4, 4);
}

static bool predicate_passes(const omen_predicate *predicate, const omen_value *value)
{
    if (predicate->op == OMEN_IS_NULL || predicate->op == OMEN_IS_NOT_NULL)
        return value->is_null == (predicate->op == OMEN_IS_NULL);
    if (value->is_null)
        return false;
    for (size_t i = 0; i < predicate->value_count; i++) {
        if (predicate->values[i].is_null)
            continue;
        int order = value_compare(value, &predicate->values[i]);
        bool passes = predicate->op == OMEN_EQ || predicate->op == OMEN_IN ? order == 0
                      : predicate->op == OMEN_NE                               ? order != 0
                      : predicate->op == OMEN_LT                               ? order < 0
                      : predicate->op == OMEN_LE                               ? order <= 0
                      : predicate->op == OMEN_GT                               ? order > 0
                                                                               : order >= 0;
        if (passes)
            return true;
    }
    return false;
}

static bool row_passes(const struct test_row *row, const omen_predicate *predicates,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!predicate_passes(&predicates[i], &row->values[predicates[i].column]))
            return false;
    return true;
}

/* Checks one row of a batch and marks its version as seen. */
static void check_row(struct model *model, const struct ArrowArray *batch, int64_t index,
                      uint64_t snapshot, const omen_predicate *predicates, size_t count,
                      uint8_t *seen)
{
    omen_value got[COLUMN_COUNT];
    for (uint32_t column = 0; column < COLUMN_COUNT; column++)
        arrow_read(&model->schema->columns[column].type, batch->children[column], index,
                   &got[column]);
    int64_t tag = got[COLUMN_TAG].as.i64, tag2 = got[COLUMN_TAG2].as.i64;
    int64_t id = tag > tag2 ? tag : tag2;
    assert_true(id > 0 && id < model->version_count);
    const struct version *version = &model->versions[id];
    if (!version_visible(version, snapshot))
        fail_msg("version %lld of kid %d [%llu, %llu) shown to snapshot %llu", (long long)id,
                 version->kid, (unsigned long long)version->begin,
                 (unsigned long long)version->end, (unsigned long long)snapshot);
    if (seen[id])
        fail_msg("version %lld of kid %d shown twice", (long long)id, version->kid);
    seen[id] = 1;
    struct test_row row;
    test_row_fill(model, version->kid, version->tag, version->tag2, &row);
    for (uint32_t column = 0; column < COLUMN_COUNT; column++)
        if (!value_equal(&got[column], &row.values[column]))
            fail_msg("version %lld of kid %d: column %u differs", (long long)id, version->kid,
                     column);
    assert_true(row_passes(&row, predicates, count));
}

static void check_all_seen(struct model *model, uint64_t snapshot,
                           const omen_predicate *predicates, size_t count, const uint8_t *seen)
{
    for (int64_t id = 1; id < model->version_count; id++) {
        const struct version *version = &model->versions[id];
        if (seen[id] || !version_visible(version, snapshot))
            continue;
        struct test_row row;
        test_row_fill(model, version->kid, version->tag, version->tag2, &row);
        if (row_passes(&row, predicates, count))
            fail_msg("version %lld of kid %d [%llu, %llu) missing at snapshot %llu",
                     (long long)id, version->kid, (unsigned long long)version->begin,
                     (unsigned long long)version->end, (unsigned long long)snapshot);
    }
}

omen_status check_stream(struct model *model, struct ArrowArrayStream *stream,
                         uint64_t snapshot, const omen_predicate *predicates, size_t count)
{
    uint8_t *seen = calloc((size_t)model->version_count + 1, 1);
    omen_status status = OMEN_OK;
    for (;;) {
        struct ArrowArray batch;
        int code = stream->get_next(stream, &batch);
        if (code != 0) {
            assert_string_equal(stream->get_last_error(stream), "53200 out of memory");
            status = OMEN_OUT_OF_MEMORY;
            break;
        }
        if (batch.release == NULL)
            break;
        assert_true(batch.length > 0 && batch.length <= BATCH_ROWS);
        assert_int_equal(batch.n_children, COLUMN_COUNT);
        for (int64_t i = 0; i < batch.length; i++)
            check_row(model, &batch, i, snapshot, predicates, count, seen);
        batch.release(&batch);
    }
    stream->release(stream);
    if (status == OMEN_OK)
        check_all_seen(model, snapshot, predicates, count, seen);
    free(seen);
    return status;
}

omen_status check_scan(struct model *model, struct table_view *view, uint64_t snapshot,
                       const omen_predicate *predicates, size_t count, bool key_lookup)
{
    uint32_t columns[COLUMN_COUNT];
    all_columns(columns);
    struct scan_spec spec = {.columns = columns,
                             .column_count = COLUMN_COUNT,
                             .predicates = predicates,
                             .predicate_count = count,
                             .limit = UINT64_MAX,
                             .partition_count = 1,
                             .key_lookup = key_lookup};
    struct ArrowArrayStream stream;
    omen_error error = {0};
    omen_status status = table_scan_stream(view, &spec, &stream, &error);
    if (status == OMEN_OUT_OF_MEMORY)
        return status;
    if (status != OMEN_OK)
        fail_msg("scan: %s", error.message);
    return check_stream(model, &stream, snapshot, predicates, count);
}

/* What is published by table_read, every other time by a slot of this thread's. */
static omen_status check_read(struct model *model, struct index_key key, int32_t kid)
{
    static struct reader_slot *slot;
    static uint32_t reads;
    uint32_t columns[COLUMN_COUNT];
    omen_value values[COLUMN_COUNT];
    uint8_t texts[COLUMN_COUNT][ROW_COPY_TEXT_BYTES];
    struct row_copy copy = {
        .columns = columns, .column_count = COLUMN_COUNT, .values = values, .texts = texts};
    if (slot == NULL)
        slot = reader_slot_claim();
    all_columns(columns);
    for (uint32_t i = 0; i < COLUMN_COUNT; i++)
        values[i] = (omen_value){.type = model->schema->columns[i].type};
    omen_status status = table_read(model->table, reads++ % 2 == 0 ? slot : NULL, key.word, &copy, NULL);
    if (status == OMEN_OUT_OF_MEMORY || status == OMEN_CORRUPTED)
        return status;
    const struct version *version = model_at(model, kid, txn_published(model->manager));
    if (status != (version == NULL ? OMEN_NOT_FOUND : OMEN_OK))
        fail_msg("kid %d read: status %d, the model has %s", kid, status,
                 version == NULL ? "nothing" : "a version");
    struct test_row row;
    if (version != NULL)
        test_row_fill(model, kid, version->tag, version->tag2, &row);
    for (uint32_t column = 0; version != NULL && column < COLUMN_COUNT; column++)
        if (!value_equal(&values[column], &row.values[column]))
            fail_msg("kid %d read: column %u differs", kid, column);
    row_group_release(copy.pinned);
    return OMEN_OK;
}

omen_status check_point(struct model *model, const struct snapshot *snapshot, int32_t kid)
{
    struct test_row row;
    omen_value key[2];
    test_key_fill(model, kid, &row, key);
    struct arena scratch;
    arena_init(&scratch, &model->allocator);
    struct read_view view = {.snapshot = snapshot->timestamp};
    struct row_ref found;
    omen_status status = table_get(model->table, &view, key, &scratch, &found);
    if (status != OMEN_OUT_OF_MEMORY && snapshot->timestamp == txn_published(model->manager) &&
        model->schema->key.kind == INDEX_WORD) {
        struct index_key encoded;
        assert_int_equal(key_encode(model->schema, key, &scratch, &encoded, NULL), OMEN_OK);
        omen_status read = check_read(model, encoded, kid);
        if (read != OMEN_OK && status == OMEN_OK)
            row_ref_release(&found);
        if (read != OMEN_OK)
            status = read;
    }
    arena_release(&scratch);
    if (status == OMEN_OUT_OF_MEMORY || status == OMEN_CORRUPTED)
        return status;
    const struct version *version = model_at(model, kid, snapshot->timestamp);
    if (status != (version == NULL ? OMEN_NOT_FOUND : OMEN_OK))
        fail_msg("kid %d at snapshot %llu: status %d, the model has %s", kid,
                 (unsigned long long)snapshot->timestamp, status,
                 version == NULL ? "nothing" : "a version");
    if (version == NULL) {
        assert_null(found.group);
        return OMEN_OK;
    }
    test_row_fill(model, kid, version->tag, version->tag2, &row);
    status = row_group_ensure_all(found.group, NULL);
    for (uint32_t column = 0; column < COLUMN_COUNT && status == OMEN_OK; column++) {
        omen_value got;
        row_group_read(found.group, found.slot, column, &got);
        if (!value_equal(&got, &row.values[column]))
            fail_msg("kid %d at snapshot %llu: column %u differs", kid,
                     (unsigned long long)snapshot->timestamp, column);
    }
    row_ref_release(&found);
    return status;
}

void check_valid(struct model *model)
{
    omen_error error = {0};
    if (table_validate(model->table, &error) != OMEN_OK)
        fail_msg("%s", error.message);
}

void check_all(struct model *model, int32_t kid_max)
{
    struct snapshot snapshot;
    struct table_view *view;
    assert_int_equal(snapshot_acquire(model->manager, &snapshot), OMEN_OK);
    assert_int_equal(table_view_open(model->table, &snapshot, &view), OMEN_OK);
    assert_int_equal(check_scan(model, view, snapshot.timestamp, NULL, 0, true), OMEN_OK);
    for (int32_t kid = 0; kid <= kid_max; kid++)
        assert_int_equal(check_point(model, &snapshot, kid), OMEN_OK);
    assert_int_equal(table_row_count_estimate(model->table),
                     model_count(model, snapshot.timestamp));
    table_view_release(view);
    snapshot_release(&snapshot);
    check_valid(model);
}

void maintain_fully(struct model *model, struct maintain_report *report)
{
    struct maintain_report unused = {0};
    if (report == NULL)
        report = &unused;
    do
        assert_int_equal(table_maintain(model->table, 100000, report), OMEN_OK);
    while (report->more);
}
