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

struct recovering {
    struct storage *storage;
    struct manifest *manifest; /* to be renewed */
    struct replay *replay;
};

static omen_status take_piece(void *context, const void *bytes, size_t length, omen_error *error)
{
    const struct recovering *recovering = context;
    return replay_data(recovering->replay, bytes, length, error);
}

static omen_status take_commit(void *context, uint64_t lsn, omen_error *error)
{
    const struct recovering *recovering = context;
    return replay_commit(recovering->replay, error);
}

static void forget_pieces(void *context)
{
    const struct recovering *recovering = context;
    replay_discard(recovering->replay);
}

/* The log is right to its end: from here on the directory changes. */
static omen_status accept_log(void *context, bool *keep, omen_error *error)
{
    const struct recovering *recovering = context;
    OMEN_TRY(replay_finish(recovering->replay, error));
    OMEN_TRY(storage_renew_manifest(recovering->storage, recovering->manifest, error));
    *keep = !recovering->storage->manifest_renewed;
    return OMEN_OK;
}

/* Opens the log, and renews the manifest, where that is given once more as one that may change. */
static omen_status run(struct storage *storage, const struct manifest *manifest,
                       struct manifest *renewed, omen_error *error)
{
    const struct replay_hooks hooks = {
        .context = storage, .find = find_table, .other = change_catalog};
    struct txn_manager *manager = storage->database->manager;
    struct recovering recovering = {.storage = storage, .manifest = renewed};
    uint64_t end_lsn;
    txn_set_time(manager, manifest->timestamp);
    omen_status status = replay_create(storage->allocator, manager, &hooks, &recovering.replay);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    const struct wal_options options =
        storage_wal_options(storage, manifest->start_lsn, manifest->proven_lsn);
    const struct wal_replay calls = {.context = &recovering,
                                     .data = take_piece,
                                     .commit = take_commit,
                                     .discard = forget_pieces,
                                     .accept = accept_log};
    status = renewed != NULL ? wal_recover(&options, &calls, &storage->wal, error)
                             : wal_verify(&options, &calls, &end_lsn, error);
    if (status == OMEN_OK && renewed == NULL)
        status = replay_finish(recovering.replay, error);
    storage->replayed_commits = replay_commit_count(recovering.replay);
    storage->replayed_rows = replay_row_count(recovering.replay);
    replay_destroy(recovering.replay);
    return status;
}

omen_status recovery_run(struct storage *storage, struct manifest *manifest, omen_error *error)
{
    return run(storage, manifest, manifest, error);
}

omen_status recovery_try(struct storage *storage, const struct manifest *manifest,
                         omen_error *error)
{
    return run(storage, manifest, NULL, error);
}
