/* segment_fixture.c - see segment_fixture.h. */
#include "segment_fixture.h"

#include "base/random.h"
#include "table/table_adopt.h"

void fixture_make(struct fixture *fixture, enum key_kind kind)
{
    memset(fixture, 0, sizeof *fixture);
    model_open(&fixture->model, kind);
    fixture->disk = sim_disk_create(1);
    fixture->codec = codec_plain(&fixture->model.allocator);
    fixture->groups_per_segment = 2;
    fixture->cache_bytes = UINT64_MAX;
    fixture->cache = column_cache_create(&fixture->model.allocator, &fixture->cache_bytes);
    assert_non_null(fixture->cache);
    fixture->options = (struct segment_options){.allocator = &fixture->model.allocator,
                                                .os = sim_disk_os(fixture->disk),
                                                .directory = "/db/data",
                                                .database_id = {1, 2, 3},
                                                .codec = &fixture->codec,
                                                .cache = fixture->cache};
    const struct os *os = fixture->options.os;
    assert_int_equal(os->directory_create(os, "/db", NULL), OMEN_OK);
    assert_int_equal(os->directory_create(os, "/db/data", NULL), OMEN_OK);
}

void fixture_forget_segments(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->segment_count; i++) {
        segment_release(fixture->segments[i]);
        fixture->segments[i] = NULL;
    }
    fixture->segment_count = 0;
}

void fixture_destroy(struct fixture *fixture)
{
    fixture_forget_segments(fixture);
    column_cache_release(fixture->cache);
    model_close(&fixture->model);
    assert_int_equal(sim_disk_open_count(fixture->disk), 0);
    sim_disk_destroy(fixture->disk);
}

/* A commit that fails after it has placed its rows. */
static void leave_unbegun(struct model *model, int32_t kid)
{
    struct test_txn txn;
    if (model_live(model, kid) != NULL)
        return;
    assert_int_equal(test_txn_begin(model, &txn), OMEN_OK);
    for (int32_t i = 0; i < 3; i++)
        assert_int_equal(test_txn_insert(&txn, kid + i), OMEN_OK);
    for (uint64_t nth = 1; nth < 6; nth++) {
        allocator_fail_at(&model->allocator, nth, 1);
        omen_status status = test_txn_commit(&txn, NULL);
        allocator_fail_at(&model->allocator, 0, 0);
        if (status != OMEN_OUT_OF_MEMORY)
            return;
    }
    test_txn_rollback(&txn);
}

void fixture_churn(struct fixture *fixture, int32_t kids, uint64_t seed)
{
    struct model *model = &fixture->model;
    struct random random = random_seeded(seed);
    for (int32_t kid = 0; kid < kids; kid++) {
        bool there = model_live(model, kid) != NULL;
        uint64_t fate = random_below(&random, 8);
        if (model->kind == KEY_HIDDEN && !there && kid != model_hidden_next(model))
            continue;
        if (!there)
            model_insert(model, kid, 1);
        else if (fate < 3)
            model_update(model, kid, kid);
        else if (fate == 3)
            model_delete(model, kid);
    }
    if (model->kind != KEY_HIDDEN)
        leave_unbegun(model, kids + 10);
}

static omen_status write_group(struct fixture *fixture, const struct table_view *view, size_t at,
                               struct row_group **out, omen_error *error)
{
    uint32_t rows;
    struct row_group *group = table_view_group(view, at, &rows);
    if (row_group_state_of(group) != ROW_GROUP_FROZEN)
        return segment_prefix(group, rows, txn_published(fixture->model.manager), out, error);
    *out = row_group_pin(group);
    return OMEN_OK;
}

static omen_status write_view(struct fixture *fixture, const struct table_view *view,
                              omen_error *error)
{
    size_t total = table_view_group_count(view);
    omen_status status = OMEN_OK;
    fixture->segment_count = 0;
    for (size_t first = 0; first < total && status == OMEN_OK;) {
        struct row_group *groups[SEGMENT_GROUPS_MAX] = {NULL};
        uint32_t count = 0;
        while (count < fixture->groups_per_segment && first < total && status == OMEN_OK) {
            status = write_group(fixture, view, first++, &groups[count], error);
            count += status == OMEN_OK;
        }
        assert_true(fixture->segment_count < FIXTURE_SEGMENTS_MAX);
        struct segment_facts *facts = &fixture->facts[fixture->segment_count];
        if (status == OMEN_OK)
            status = segment_write(&fixture->options, groups, count, facts, error);
        if (status == OMEN_OK)
            status = segment_write_ends(&fixture->options, txn_published(fixture->model.manager),
                                        groups, count, facts, error);
        fixture->segment_count += status == OMEN_OK;
        for (uint32_t i = 0; i < count; i++)
            row_group_release(groups[i]);
    }
    table_counters_of(fixture->model.table, &fixture->counters);
    return status;
}

omen_status fixture_write(struct fixture *fixture, omen_error *error)
{
    struct snapshot snapshot;
    struct table_view *view;
    fixture_forget_segments(fixture);
    omen_status status = snapshot_acquire(fixture->model.manager, &snapshot);
    if (status == OMEN_OK)
        status = table_view_open(fixture->model.table, &snapshot, &view);
    if (status == OMEN_OK) {
        status = write_view(fixture, view, error);
        table_view_release(view);
    }
    snapshot_release(&snapshot);
    if (status != OMEN_OK)
        fixture->segment_count = 0;
    return status;
}

omen_status fixture_open(struct fixture *fixture, struct table **out, omen_error *error)
{
    struct model *model = &fixture->model;
    omen_status status =
        table_create(&model->allocator, model->manager, "thing", model->schema, out);
    if (status != OMEN_OK)
        return status;
    /* Through the bytes of a manifest, as it will be. */
    for (size_t i = 0; i < fixture->segment_count; i++) {
        struct byte_writer writer = {.allocator = &model->allocator};
        struct segment_facts facts = fixture->facts[i];
        segment_facts_put(&writer, &facts);
        if (!writer.failed) {
            assert_int_equal(writer.length, SEGMENT_FACTS_BYTES);
            assert_true(segment_facts_take(writer.data, writer.length, &fixture->facts[i]));
            assert_memory_equal(&facts, &fixture->facts[i], sizeof facts);
        }
        byte_writer_release(&writer);
    }
    status = segments_adopt(&fixture->options, *out, fixture->facts, fixture->segment_count,
                            fixture->counters, 2, fixture->segments, error);
    if (status != OMEN_OK) {
        table_release(*out);
        *out = NULL;
    }
    return status;
}

void fixture_reopen(struct fixture *fixture)
{
    omen_error error = {.message = ""};
    struct table *table = NULL;
    if (fixture_write(fixture, &error) != OMEN_OK ||
        fixture_open(fixture, &table, &error) != OMEN_OK)
        fail_msg("%s", error.message);
    table_release(fixture->model.table);
    fixture->model.table = table;
}

void fixture_flip(struct fixture *fixture, size_t segment, enum segment_file what, uint64_t byte,
                  uint8_t mask)
{
    const struct os *os = fixture->options.os;
    char path[SEGMENT_PATH_BYTES_MAX];
    int64_t file;
    uint8_t value;
    size_t got;
    segment_path(fixture->options.directory, &fixture->facts[segment], what, path);
    assert_int_equal(os->file_open(os, path, OS_OPEN_WRITE, &file, NULL), OMEN_OK);
    assert_int_equal(os->file_read_at(os, file, &value, 1, byte, &got, NULL), OMEN_OK);
    assert_int_equal(got, 1);
    value ^= mask;
    assert_int_equal(os->file_write_at(os, file, &value, 1, byte, NULL), OMEN_OK);
    os->file_close(os, file);
}
