/* recovery.c - from a manifest and a log to the state after the last durable commit.
 *
 *   wal_recover -> pieces of commits -> replay (src/table) -> rows, applied in batches
 *                                          | tables by id, changes of the catalog
 *                                          v
 *                                       catalog
 *
 * The log names tables by id. Rows of a table that has been dropped since were committed by a
 * statement that had found the table before: they do not matter. An id that was never given out is
 * damage. Nobody reads meanwhile, so what is replayed becomes visible all at once, at the end.
 */
#include "store/storage_private.h"
#include "table/redo.h"

static omen_status find_table(void *context, uint64_t id, struct table **out, omen_error *error)
{
    struct storage *storage = context;
    bool known;
    *out = catalog_find_id(storage->database->catalog, id, &known);
    if (*out != NULL || known)
        return OMEN_OK;
    return error_set(error, OMEN_CORRUPTED, "the log has rows of a table that never was");
}

static omen_status change_catalog(void *context, uint64_t timestamp, uint8_t kind, const void *body,
                                  size_t length, omen_error *error)
{
    struct storage *storage = context;
    return catalog_replay(storage->database->catalog, kind, body, length, error);
}

static omen_status take_piece(void *context, const void *bytes, size_t length, omen_error *error)
{
    return replay_data(context, bytes, length, error);
}

static omen_status take_commit(void *context, uint64_t lsn, omen_error *error)
{
    return replay_commit(context, error);
}

static void forget_pieces(void *context)
{
    replay_discard(context);
}

static omen_status run(struct storage *storage, const struct manifest *manifest, bool opens,
                       omen_error *error)
{
    const struct replay_hooks hooks = {
        .context = storage, .find = find_table, .other = change_catalog};
    struct txn_manager *manager = storage->database->manager;
    struct replay *replay;
    uint64_t end_lsn;
    txn_set_time(manager, manifest->timestamp);
    omen_status status = replay_create(storage->allocator, manager, &hooks, &replay);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    const struct wal_options options =
        storage_wal_options(storage, manifest->start_lsn, manifest->proven_lsn);
    const struct wal_replay calls = {
        .context = replay, .data = take_piece, .commit = take_commit, .discard = forget_pieces};
    status = opens ? wal_recover(&options, &calls, &storage->wal, error)
                   : wal_verify(&options, &calls, &end_lsn, error);
    if (status == OMEN_OK)
        status = replay_finish(replay, error);
    storage->replayed_commits = replay_commit_count(replay);
    storage->replayed_rows = replay_row_count(replay);
    replay_destroy(replay);
    return status;
}

omen_status recovery_run(struct storage *storage, const struct manifest *manifest,
                         omen_error *error)
{
    return run(storage, manifest, true, error);
}

omen_status recovery_try(struct storage *storage, const struct manifest *manifest,
                         omen_error *error)
{
    return run(storage, manifest, false, error);
}
