/* support_replay.c - see support_replay.h. */
#include "support_replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static omen_status find(void *context, uint64_t table_id, struct table **out, omen_error *error)
{
    struct replica *replica = context;
    *out = NULL;
    if (table_id == TEST_TABLE_ID)
        *out = replica->model.table;
    else if (table_id != TEST_TABLE_ID + 1) /* that one has been dropped */
        return error_set(error, OMEN_CORRUPTED, "no such table");
    return OMEN_OK;
}

static omen_status other(void *context, uint64_t timestamp, uint8_t kind, const void *body,
                         size_t length, omen_error *error)
{
    struct replica *replica = context;
    if (kind != REDO_OTHER + 5 || length != 3 || memcmp(body, "abc", 3) != 0)
        return error_set(error, OMEN_CORRUPTED, "no such section");
    replica->others++;
    replica->other_rows = table_row_count_estimate(replica->model.table);
    return OMEN_OK;
}

void replica_open(struct replica *replica, const struct model *model)
{
    *replica = (struct replica){.model = *model};
    struct allocator *allocator = model->schema->allocator;
    assert_int_equal(txn_manager_create(allocator, &replica->model.manager), OMEN_OK);
    assert_int_equal(table_create(allocator, replica->model.manager, "replica", model->schema,
                                  &replica->model.table),
                     OMEN_OK);
    table_set_id(replica->model.table, TEST_TABLE_ID);
    const struct replay_hooks hooks = {replica, find, other};
    assert_int_equal(replay_create(allocator, replica->model.manager, &hooks, &replica->replay),
                     OMEN_OK);
}

void replica_close(struct replica *replica)
{
    replay_destroy(replica->replay);
    table_release(replica->model.table);
    txn_manager_destroy(replica->model.manager);
}

omen_status replica_data(struct replica *replica, const uint8_t *bytes, size_t length,
                         size_t piece_max, struct random *random, omen_error *error)
{
    while (length > 0) {
        size_t piece = 1 + random_below(random, piece_max);
        piece = piece < length ? piece : length;
        OMEN_TRY(replay_data(replica->replay, bytes, piece, error));
        bytes += piece;
        length -= piece;
    }
    return OMEN_OK;
}

void check_replay(struct model *model, const struct fake_log *log, size_t commits, int32_t kid_max,
                  struct random *random)
{
    static const size_t piece_lengths[] = {1, 20, 1000, 1 << 20};
    struct replica replica;
    omen_error error = {0};
    (void)model_live(model, kid_max); /* the replica shares what the model keeps by kid: it must not grow */
    replica_open(&replica, model);
    assert_true(commits <= log->commits);
    for (size_t i = 0; i <= commits && i < log->commits; i++) {
        size_t first = i == 0 ? 0 : log->ends[i - 1], length = log->ends[i] - first;
        if (i == commits) /* a commit that never ended */
            length = random_below(random, length);
        omen_status status = replica_data(&replica, log->bytes + first, length,
                                          piece_lengths[random_below(random, 4)], random, &error);
        if (status == OMEN_OK && i < commits)
            status = replay_commit(replica.replay, &error);
        if (status != OMEN_OK)
            fail_msg("commit %zu: %s", i, error.message);
    }
    replay_discard(replica.replay);
    assert_int_equal(replay_finish(replica.replay, &error), OMEN_OK);
    assert_int_equal(replay_commit_count(replica.replay), commits);
    check_all(&replica.model, kid_max);
    replica_close(&replica);
}
