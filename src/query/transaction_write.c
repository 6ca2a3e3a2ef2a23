/* transaction_write.c - what a transaction's statements lock and write.
 *
 * Keys are locked before the writer lock is taken: nobody waits for a lock with another lock held.
 * What was read before that is looked at again under the writer lock, as txn_lock.h demands.
 */
#include "query/session.h"

enum {
    /* Of a transaction: beyond that the table is locked instead, if nobody else writes to it; */
    KEYS_LOCKED_MAX = 65536,
    KEYS_LOCKED_AT_MOST = 524288, /* and beyond that others are waited for */
};

static struct txn_manager *manager_of(const struct session *session)
{
    return session->database->manager;
}

/* --- locks --- */

/* Who waits for a lock sees to it that nobody keeps it longer than allowed. */
static omen_status ask_lock_waiter(void *context, omen_error *error)
{
    const struct session_waiter *waiter = context;
    database_end_overdue(waiter->session->database);
    return session_check(waiter->session, waiter->deadline_ns, error);
}

static omen_status acquire(struct session *session, struct lock_request *request,
                           uint64_t deadline_ns, bool *taken, omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    struct session_waiter waiter = {session, deadline_ns};
    const struct txn_patience patience = {.ask = ask_lock_waiter, .context = &waiter};
    if (transaction->locks == NULL) {
        omen_status status =
            lock_owner_create(txn_locks(manager_of(session)), session->id, &transaction->locks);
        if (status != OMEN_OK)
            return error_set_default(error, status);
    }
    request->patience = &patience;
    request->timeout_ns = session->settings.lock_timeout_ms * 1000000;
    return lock_acquire(transaction->locks, request, taken, error);
}

uint64_t transaction_lock_mark(const struct session *session)
{
    const struct lock_owner *locks = session->transaction.locks;
    return locks == NULL ? 0 : lock_mark(locks);
}

void transaction_unlock_to(struct session *session, uint64_t mark)
{
    if (session->transaction.locks != NULL)
        lock_release_to(session->transaction.locks, mark);
}

omen_status transaction_lock(struct session *session, struct lock_target target,
                             enum lock_mode mode, const char *relation, uint64_t deadline_ns,
                             omen_error *error)
{
    struct lock_request request = {.target = target, .mode = mode, .relation = relation};
    return acquire(session, &request, deadline_ns, NULL, error);
}

static omen_status lock_table(struct session *session, struct table *table, enum lock_mode mode,
                              enum lock_wait wait, uint64_t deadline_ns, bool *taken,
                              omen_error *error)
{
    struct lock_request request = {.target = lock_target_table(table_identity(table)),
                                   .mode = mode,
                                   .wait = wait,
                                   .relation = table_name(table)};
    OMEN_TRY(acquire(session, &request, deadline_ns, taken, error));
    if ((taken != NULL && !*taken) || !table_is_dropped(table))
        return OMEN_OK;
    return error_set(error, OMEN_UNDEFINED_TABLE, "relation \"%s\" does not exist",
                     table_name(table));
}

omen_status transaction_lock_table(struct session *session, struct table *table,
                                   enum lock_mode mode, enum lock_wait wait, uint64_t deadline_ns,
                                   omen_error *error)
{
    return lock_table(session, table, mode, wait, deadline_ns, NULL, error);
}

/* What a table is locked by before a key of it is. */
static enum lock_mode table_mode(enum lock_mode row_mode)
{
    return row_mode >= ROW_LOCK_NO_KEY_UPDATE ? TABLE_LOCK_ROW_EXCLUSIVE : TABLE_LOCK_ROW_SHARE;
}

/* Who writes a row may leave its primary key alone; a unique key is only locked to be given or
 * taken. */
static enum lock_mode key_mode(struct numbered_key key, enum lock_mode row_mode)
{
    return key.number == 0 ? row_mode : ROW_LOCK_UPDATE;
}

static omen_status lock_key(struct session *session, struct table *table, struct numbered_key key,
                            enum lock_mode mode, enum lock_wait wait, uint64_t deadline_ns,
                            bool *taken, omen_error *error)
{
    struct lock_request request = {.target =
                                       lock_target_key(table_identity(table), key.number, key.key),
                                   .mode = key_mode(key, mode),
                                   .wait = wait,
                                   .relation = table_name(table)};
    return acquire(session, &request, deadline_ns, taken, error);
}

omen_status transaction_lock_key(struct session *session, struct table *table,
                                 struct numbered_key key, enum lock_mode mode, enum lock_wait wait,
                                 uint64_t deadline_ns, bool *taken, omen_error *error)
{
    bool taken_unasked;
    taken = taken == NULL ? &taken_unasked : taken;
    OMEN_TRY(lock_table(session, table, table_mode(mode), wait, deadline_ns, taken, error));
    if (!*taken)
        return OMEN_OK;
    return lock_key(session, table, key, mode, wait, deadline_ns, taken, error);
}

bool transaction_any_locked(const struct session *session)
{
    return lock_any_held(txn_locks(manager_of(session)));
}

bool transaction_key_is_locked(const struct session *session, const struct table *table,
                               struct numbered_key key, enum lock_mode mode)
{
    struct lock_table *locks = txn_locks(manager_of(session));
    const struct lock_target target = lock_target_key(table_identity(table), key.number, key.key);
    return lock_any_held(locks) &&
           lock_held_by_others(locks, session->transaction.locks, &target, key_mode(key, mode));
}

static bool table_is_locked(const struct session *session, const struct table *table,
                            enum lock_mode mode)
{
    struct lock_table *locks = txn_locks(manager_of(session));
    const struct lock_target target = lock_target_table(table_identity(table));
    return lock_any_held(locks) &&
           lock_held_by_others(locks, session->transaction.locks, &target, mode);
}

bool transaction_keys_are_locked(const struct session *session, const struct table *table)
{
    /* Who locks a key has locked the table before, by ROW SHARE at least. */
    return table_is_locked(session, table, TABLE_LOCK_EXCLUSIVE);
}

struct key_search {
    const struct numbered_key *keys;
    size_t count, found;
};

static bool is_wanted(void *context, const struct lock_target *target)
{
    struct key_search *search = context;
    const struct numbered_key key = {.number = target->index, .key = target->key};
    search->found = numbered_keys_find(search->keys, search->count, key);
    return search->found < search->count;
}

size_t transaction_find_locked_key(const struct session *session, const struct table *table,
                                   const struct numbered_key *keys, size_t count,
                                   enum lock_mode mode)
{
    struct lock_table *locks = txn_locks(manager_of(session));
    struct key_search search = {keys, count, count};
    size_t at = 0;
    if (lock_target_count(locks) < count) {
        (void)lock_find_held_by_others(locks, session->transaction.locks, table_identity(table),
                                       mode, is_wanted, &search);
        return search.found;
    }
    while (at < count && !transaction_key_is_locked(session, table, keys[at], mode))
        at++;
    return at;
}

bool transaction_table_is_locked(const struct session *session, const struct table *table)
{
    return table_is_locked(session, table, TABLE_LOCK_ROW_EXCLUSIVE);
}

omen_status transaction_await_table(struct session *session, struct table *table,
                                    enum lock_mode mode, uint64_t deadline_ns, omen_error *error)
{
    if (transaction_is_open(&session->transaction) || !table_is_locked(session, table, mode))
        return OMEN_OK;
    return transaction_lock_table(session, table, mode, LOCK_WAIT, deadline_ns, error);
}

enum lock_mode transaction_set_mode(const struct write_set *set)
{
    return write_set_changes_keys(set) ? ROW_LOCK_UPDATE : ROW_LOCK_NO_KEY_UPDATE;
}

omen_status transaction_cover_keys(struct session *session, struct table *table, size_t count,
                                   uint64_t deadline_ns, bool *covered, omen_error *error)
{
    const struct lock_owner *locks = session->transaction.locks;
    uint64_t held = (locks == NULL ? 0 : lock_owner_count(locks)) + count;
    *covered = false;
    if (held <= KEYS_LOCKED_MAX)
        return OMEN_OK;
    transaction_keep_locks(session);
    return lock_table(session, table, TABLE_LOCK_EXCLUSIVE,
                      held <= KEYS_LOCKED_AT_MOST ? LOCK_SKIP : LOCK_WAIT, deadline_ns, covered,
                      error);
}

omen_status transaction_lock_keys(struct session *session, struct table *table,
                                  const struct numbered_key *keys, size_t count,
                                  enum lock_mode row_mode, uint64_t deadline_ns, omen_error *error)
{
    bool covered;
    OMEN_TRY(transaction_cover_keys(session, table, count, deadline_ns, &covered, error));
    if (!covered)
        OMEN_TRY(transaction_lock_table(session, table, table_mode(row_mode), LOCK_WAIT,
                                        deadline_ns, error));
    for (size_t i = 0; i < count && !covered; i++)
        OMEN_TRY(lock_key(session, table, keys[i], row_mode, LOCK_WAIT, deadline_ns, NULL, error));
    return OMEN_OK;
}

omen_status transaction_lock_set(struct session *session, struct write_set *set,
                                 uint64_t deadline_ns, omen_error *error)
{
    struct arena arena;
    struct numbered_key *keys;
    size_t count;
    bool covered;
    /* As many at least: where the table is locked instead nobody need know them. */
    OMEN_TRY(transaction_cover_keys(session, write_set_table(set), write_set_keys_at_least(set),
                                    deadline_ns, &covered, error));
    if (covered)
        return OMEN_OK;
    arena_init(&arena, session->database->allocator);
    omen_status status = write_set_keys(set, &arena, &keys, &count, error);
    if (status == OMEN_OK)
        status = transaction_lock_keys(session, write_set_table(set), keys, count,
                                       transaction_set_mode(set), deadline_ns, error);
    arena_release(&arena);
    return status;
}

/* --- writing --- */

/* Where the transaction's writes to the table are gathered. */
static omen_status writes_for(struct session *session, struct table *table, struct own_writes **out,
                              omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    struct allocator *allocator = session->database->allocator;
    *out = transaction_writes(session, table);
    if (*out != NULL)
        return OMEN_OK;
    if (transaction->write_count == transaction->write_capacity) {
        size_t capacity = transaction->write_capacity == 0 ? 4 : transaction->write_capacity * 2;
        struct own_writes **grown =
            allocator_resize(allocator, transaction->writes,
                             transaction->write_capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL)
            return error_set_default(error, OMEN_OUT_OF_MEMORY);
        transaction->writes = grown;
        transaction->write_capacity = capacity;
    }
    omen_status status = own_writes_create(table, out);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    transaction->writes[transaction->write_count++] = *out;
    transaction_note_reads(session);
    return OMEN_OK;
}

/* The snapshot that a statement changes rows at. */
static uint64_t target_snapshot(const struct session *session)
{
    const struct snapshot *snapshot = &session->transaction.snapshot;
    return snapshot->slot == NULL ? OWN_SNAPSHOT_NONE : snapshot->timestamp;
}

static omen_status conflict(omen_error *error)
{
    return error_set(error, OMEN_SERIALIZATION_FAILURE,
                     "could not serialize access due to concurrent update");
}

omen_status transaction_add_locked(struct session *session, struct write_set *set,
                                   omen_error *error)
{
    struct own_writes *own;
    OMEN_TRY(writes_for(session, write_set_table(set), &own, error));
    struct transaction *transaction = &session->transaction;
    transaction->has_run = true;
    omen_status status =
        own_writes_add(own, set, transaction->command, target_snapshot(session), error);
    if (own_writes_acted_on(own) > txn_published(manager_of(session)))
        transaction->rests_on = txn_newest(manager_of(session));
    transaction_note_reads(session);
    return status == OMEN_SERIALIZATION_FAILURE ? conflict(error) : status;
}

omen_status transaction_add(struct session *session, struct write_set *set, uint64_t deadline_ns,
                            omen_error *error)
{
    struct txn_manager *manager = manager_of(session);
    OMEN_TRY(transaction_lock_set(session, set, deadline_ns, error));
    OMEN_TRY(session_writer_enter(session, deadline_ns, error));
    omen_status status = transaction_add_locked(session, set, error);
    struct txn_ticket newest = txn_newest(manager);
    txn_writer_unlock(manager);
    if (status != OMEN_OK) /* an answer that rests on what may not be published */
        OMEN_TRY(txn_settle(manager, &newest, error));
    return status;
}

uint64_t transaction_target_snapshot(const struct session *session)
{
    uint64_t snapshot = target_snapshot(session);
    return snapshot == OWN_SNAPSHOT_NONE ? TXN_NEWEST : snapshot;
}

omen_status transaction_fix_snapshot(struct session *session, omen_error *error)
{
    struct snapshot snapshot;
    if (!transaction_keeps_snapshot(session))
        return OMEN_OK;
    OMEN_TRY(transaction_snapshot(session, &snapshot, error));
    snapshot_release(&snapshot); /* the transaction keeps its own */
    return OMEN_OK;
}

omen_status transaction_create_set(struct session *session, struct table *table,
                                   struct write_set **out, omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    struct own_writes *own = NULL;
    *out = NULL;
    if (transaction_is_open(transaction)) {
        OMEN_TRY(writes_for(session, table, &own, error));
        OMEN_TRY(transaction_fix_snapshot(session, error));
    }
    omen_status status = write_set_create(table, out);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    if (own != NULL)
        write_set_read_own(*out, own, transaction->command, target_snapshot(session));
    return OMEN_OK;
}

omen_status transaction_take_set(struct session *session, struct table *table,
                                 struct write_set **kept, struct write_set **out, omen_error *error)
{
    if (kept == NULL || *kept == NULL || transaction_is_open(&session->transaction))
        return transaction_create_set(session, table, out, error);
    *out = *kept;
    *kept = NULL;
    return OMEN_OK;
}

void transaction_leave_set(struct session *session, struct write_set **kept, struct write_set *set)
{
    if (set == NULL || kept == NULL || *kept != NULL ||
        transaction_is_open(&session->transaction)) {
        write_set_destroy(set);
        return;
    }
    write_set_clear(set);
    *kept = set;
}

omen_status transaction_settle_newest(struct session *session, uint64_t deadline_ns,
                                      omen_error *error)
{
    struct txn_manager *manager = manager_of(session);
    OMEN_TRY(session_writer_enter(session, deadline_ns, error));
    struct txn_ticket newest = txn_newest(manager);
    txn_writer_unlock(manager);
    return txn_settle(manager, &newest, error);
}

omen_status transaction_check_targets(struct session *session, struct write_set *set,
                                      enum lock_mode mode, uint64_t deadline_ns, omen_error *error)
{
    struct txn_manager *manager = manager_of(session);
    bool keys_only = mode == ROW_LOCK_KEY_SHARE && transaction_keeps_snapshot(session);
    OMEN_TRY(session_writer_enter(session, deadline_ns, error));
    omen_status status =
        keys_only ? write_set_check_target_keys(set, error) : write_set_check_targets(set, error);
    struct txn_ticket newest = txn_newest(manager);
    txn_writer_unlock(manager);
    OMEN_TRY(txn_settle(manager, &newest, error)); /* who had the lock may have written elsewhere */
    return status == OMEN_SERIALIZATION_FAILURE ? conflict(error) : status;
}
