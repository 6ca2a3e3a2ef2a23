/* session.c - making and releasing sessions; what their statements wait for. */
#include "query/session.h"

#include "os/biased_lock.h"

static atomic_uint_fast64_t sessions_made;

omen_status session_create(struct database *database, struct session **out, omen_error *error)
{
    *out = NULL;
    struct session *session = allocator_alloc_zeroed(database->allocator, sizeof *session);
    if (session == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    atomic_init(&session->references, 1);
    session->database = database_retain(database);
    session->settings.storage = &session->database->settings;
    session->reader = reader_slot_claim();
    session->id = atomic_fetch_add_explicit(&sessions_made, 1, memory_order_relaxed) + 1;
    session->activity.transaction = session->id;
    session->activity.end = transaction_end_resting;
    activity_add(&database->sessions, &session->activity);
    *out = session;
    return OMEN_OK;
}

struct session *session_retain(struct session *session)
{
    atomic_fetch_add_explicit(&session->references, 1, memory_order_relaxed);
    return session;
}

void session_release(struct session *session)
{
    if (session == NULL)
        return;
    /* Release pairs with the acquire of whoever comes last. */
    if (atomic_fetch_sub_explicit(&session->references, 1, memory_order_acq_rel) != 1)
        return;
    struct database *database = session->database;
    activity_remove(&database->sessions, &session->activity);
    transaction_destroy(session);
    reader_slot_release(session->reader);
    allocator_free(database->allocator, session, sizeof *session);
    database_release(database);
}

/* --- waiting --- */

omen_status session_check(const struct session *session, uint64_t deadline_ns, omen_error *error)
{
    const struct os *os = session->database->os;
    if (atomic_load_explicit(&session->interrupted, memory_order_relaxed))
        return error_set(error, OMEN_CANCELLED, "canceling statement due to user request");
    if (deadline_ns != 0 && os->monotonic_ns(os) >= deadline_ns)
        return error_set(error, OMEN_CANCELLED, "canceling statement due to statement timeout");
    return OMEN_OK;
}

static omen_status ask_waiter(void *context, omen_error *error)
{
    const struct session_waiter *waiter = context;
    return session_check(waiter->session, waiter->deadline_ns, error);
}

struct txn_patience session_patience(const struct session *session, uint64_t deadline_ns,
                                     struct session_waiter *waiter)
{
    *waiter = (struct session_waiter){session, deadline_ns};
    return (struct txn_patience){.ask = ask_waiter, .context = waiter};
}

omen_status session_writer_enter(const struct session *session, uint64_t deadline_ns,
                                 omen_error *error)
{
    struct session_waiter waiter;
    const struct txn_patience patience = session_patience(session, deadline_ns, &waiter);
    return txn_writer_lock_patiently(session->database->manager, &patience, error);
}

omen_status session_writer_lock(const struct session *session, uint64_t deadline_ns,
                                omen_error *error)
{
    struct session_waiter waiter;
    const struct txn_patience patience = session_patience(session, deadline_ns, &waiter);
    struct database *database = session->database;
    if (database->storage != NULL)
        OMEN_TRY(storage_admit(database->storage, &patience, error));
    return session_writer_enter(session, deadline_ns, error);
}

omen_status session_writer_unlock(const struct session *session, omen_status status,
                                  const struct txn_ticket *ticket, omen_error *error)
{
    struct txn_manager *manager = session->database->manager;
    if (status == OMEN_OK && ticket != NULL) {
        txn_writer_unlock(manager);
        return txn_wait(manager, ticket, error);
    }
    struct txn_ticket newest = txn_newest(manager);
    txn_writer_unlock(manager);
    OMEN_TRY(txn_settle(manager, &newest, error));
    return status;
}

enum txn_durability session_durability(const struct session *session)
{
    return session->settings.relaxed_commit ? TXN_RELAXED : TXN_DURABLE;
}

omen_status session_commit_locked(const struct session *session, struct write_set *set,
                                  struct txn_ticket *ticket, omen_error *error)
{
    return write_set_commit_locked(set, session_durability(session), ticket, error);
}

/* Keys of a set in the order in which they are waited for. */
struct key_list {
    struct arena arena;
    struct numbered_key *keys;
    size_t count;
    bool known;
};

/* The writer lock is held. Gives it up where somebody has locked a key of the set, and waits for
 * that lock, which is the session's then to the end of the statement; `*waited`: all is to be tried
 * again. */
static omen_status pass_locks(struct session *session, uint64_t deadline_ns, struct write_set *set,
                              struct key_list *list, bool *waited, omen_error *error)
{
    struct table *table = write_set_table(set);
    enum lock_mode mode = transaction_set_mode(set);
    *waited = transaction_table_is_locked(session, table);
    if (*waited) {
        txn_writer_unlock(session->database->manager);
        return transaction_lock_table(session, table, TABLE_LOCK_ROW_EXCLUSIVE, LOCK_WAIT,
                                      deadline_ns, error);
    }
    if (!transaction_keys_are_locked(session, table))
        return OMEN_OK;
    size_t locked = transaction_find_locked_key(session, table, list->keys, list->count, mode);
    if (list->known && locked == list->count)
        return OMEN_OK;
    *waited = true;
    txn_writer_unlock(session->database->manager);
    if (list->known)
        return transaction_lock_key(session, table, list->keys[locked], mode, LOCK_WAIT,
                                    deadline_ns, NULL, error);
    list->known = true; /* encoded without the lock: columns may have to be read */
    return write_set_keys(set, &list->arena, &list->keys, &list->count, error);
}

/* Waits for the writer lock at a moment when nobody else has locked a key of the set. */
static omen_status lock_for(struct session *session, uint64_t deadline_ns, struct write_set *set,
                            omen_error *error)
{
    struct key_list list = {0};
    omen_status status;
    bool waited;
    arena_init(&list.arena, session->database->allocator);
    do {
        waited = false;
        status = session_writer_lock(session, deadline_ns, error);
        if (status == OMEN_OK)
            status = pass_locks(session, deadline_ns, set, &list, &waited, error);
    } while (status == OMEN_OK && waited);
    arena_release(&list.arena);
    return status;
}

omen_status session_keep(struct session *session, uint64_t deadline_ns, struct write_set *set,
                         omen_error *error)
{
    struct txn_ticket ticket;
    if (write_set_needs_uniques(set))
        OMEN_TRY(table_prepare_uniques(write_set_table(set), error));
    if (transaction_is_open(&session->transaction))
        return transaction_add(session, set, deadline_ns, error);
    OMEN_TRY(lock_for(session, deadline_ns, set, error));
    omen_status status = session_commit_locked(session, set, &ticket, error);
    return session_writer_unlock(session, status, &ticket, error);
}

/* --- one row by its key --- */

struct row_changing {
    struct session *session;
    struct table *table;
    struct index_key key;
    enum lock_mode mode;
    const struct row_change *change;
    uint64_t deadline_ns;
    struct write_set *set;
    bool open;      /* a transaction: */
    bool committed; /* else this, and the ticket holds */
    bool locked;    /* some key is somebody else's: wait for it, and try again */
    struct txn_ticket ticket;
};

/* The key that the row moves to is written as well. The writer lock is held, so nobody is waited
 * for. */
static omen_status look_at_keys(struct row_changing *changing, omen_error *error)
{
    struct session *session = changing->session;
    struct numbered_key *keys;
    size_t count;
    struct arena arena;
    arena_init(&arena, session->database->allocator);
    omen_status status = write_set_keys(changing->set, &arena, &keys, &count, error);
    for (size_t i = 0; status == OMEN_OK && i < count && !changing->locked; i++) {
        bool taken = true;
        if (changing->open)
            status = transaction_lock_key(session, changing->table, keys[i], changing->mode,
                                          LOCK_SKIP, changing->deadline_ns, &taken, error);
        else
            taken = !transaction_key_is_locked(session, changing->table, keys[i], changing->mode);
        changing->locked = !taken;
    }
    arena_release(&arena);
    return status;
}

/* Puts what is made of the row into the set, if there is one at the snapshot; `snapshot`
 * TXN_NEWEST: the newest, published or not. */
static omen_status gather(struct row_changing *changing, uint64_t snapshot, omen_error *error)
{
    struct row_ref row;
    omen_status status =
        transaction_get(changing->session, changing->table, snapshot, changing->key, &row);
    if (status == OMEN_NOT_FOUND)
        return OMEN_OK;
    if (status != OMEN_OK)
        return error_set_default(error, status);
    status = changing->change->gather(changing->change->context, &row, changing->set, error);
    if (row.group != NULL)
        row_ref_release(&row);
    return status;
}

/* Finds the row and keeps what is made of it. What is not published yet may be found: what is made
 * of it is not durable earlier, and what is answered without a commit waits. The writer lock is
 * held. */
static omen_status change_found(struct row_changing *changing, omen_error *error)
{
    struct session *session = changing->session;
    OMEN_TRY(gather(changing, transaction_target_snapshot(session), error));
    if (write_set_row_count(changing->set) == 0)
        return OMEN_OK;
    if (changing->open || transaction_any_locked(session))
        OMEN_TRY(look_at_keys(changing, error));
    if (changing->locked)
        return OMEN_OK;
    if (changing->open)
        return transaction_add_locked(session, changing->set, error);
    omen_status status = session_commit_locked(session, changing->set, &changing->ticket, error);
    changing->committed = status == OMEN_OK;
    return status;
}

/* One try. */
static omen_status change_once(struct row_changing *changing, omen_error *error)
{
    struct session *session = changing->session;
    struct txn_manager *manager = session->database->manager;
    OMEN_TRY(session_writer_lock(session, changing->deadline_ns, error));
    changing->locked = transaction_key_is_locked(session, changing->table,
                                                 primary_key(changing->key), changing->mode);
    omen_status status = changing->locked ? OMEN_OK : change_found(changing, error);
    bool added = changing->open && write_set_row_count(changing->set) > 0;
    if (status == OMEN_OK && (changing->locked || added)) {
        txn_writer_unlock(manager); /* the transaction knows what it has seen unpublished */
        return OMEN_OK;
    }
    return session_writer_unlock(session, status, changing->committed ? &changing->ticket : NULL,
                                 error);
}

/* Whether the statement's snapshot has a row to change: if not, nobody is waited for. */
static omen_status look_before(struct row_changing *changing, bool *found, omen_error *error)
{
    struct session *session = changing->session;
    struct snapshot snapshot;
    omen_error failure = {.status = OMEN_OK};
    OMEN_TRY(transaction_create_set(session, changing->table, &changing->set, error));
    omen_status status = transaction_snapshot(session, &snapshot, &failure);
    if (status == OMEN_OK) {
        status = session_writer_lock(session, changing->deadline_ns, &failure);
        if (status == OMEN_OK) {
            status = gather(changing, snapshot.timestamp, &failure);
            txn_writer_unlock(session->database->manager);
        }
        snapshot_release(&snapshot);
    }
    /* NOT_FOUND: the row is there for the snapshot, and has gone since. */
    *found =
        status == OMEN_NOT_FOUND || (status == OMEN_OK && write_set_row_count(changing->set) > 0);
    write_set_destroy(changing->set);
    if (status == OMEN_OK || status == OMEN_NOT_FOUND)
        return OMEN_OK;
    if (error != NULL)
        *error = failure;
    return status;
}

/* In a transaction the key is locked first, if there is a row to change or nobody is in the way. */
static omen_status lock_first(struct row_changing *changing, bool *goes_on, omen_error *error)
{
    struct session *session = changing->session;
    *goes_on = true;
    if (!changing->open)
        return OMEN_OK;
    OMEN_TRY(transaction_fix_snapshot(session, error));
    OMEN_TRY(transaction_lock_key(session, changing->table, primary_key(changing->key),
                                  changing->mode, LOCK_SKIP, changing->deadline_ns, goes_on,
                                  error));
    if (*goes_on)
        return OMEN_OK;
    OMEN_TRY(look_before(changing, goes_on, error));
    if (!*goes_on)
        return OMEN_OK;
    return transaction_lock_key(session, changing->table, primary_key(changing->key),
                                changing->mode, LOCK_WAIT, changing->deadline_ns, NULL, error);
}

/* Waits for the keys that the last try was about; `*goes_on` false: there is no row to wait for. */
static omen_status wait_for_keys(struct row_changing *changing, bool *goes_on, omen_error *error)
{
    bool gathered = write_set_row_count(changing->set) > 0;
    omen_status status = OMEN_OK;
    *goes_on = true;
    if (gathered && changing->open) /* the next try may be about others */
        transaction_keep_locks(changing->session);
    if (gathered)
        status =
            transaction_lock_set(changing->session, changing->set, changing->deadline_ns, error);
    write_set_destroy(changing->set);
    if (gathered)
        return status;
    OMEN_TRY(look_before(changing, goes_on, error));
    if (!*goes_on)
        return OMEN_OK;
    return transaction_lock_key(changing->session, changing->table, primary_key(changing->key),
                                changing->mode, LOCK_WAIT, changing->deadline_ns, NULL, error);
}

omen_status session_change_row(struct session *session, uint64_t deadline_ns, struct table *table,
                               struct index_key key, const struct row_change *change,
                               uint64_t *rows, omen_error *error)
{
    struct row_changing changing = {.session = session,
                                    .table = table,
                                    .key = key,
                                    .mode = change->mode,
                                    .change = change,
                                    .deadline_ns = deadline_ns,
                                    .open = transaction_is_open(&session->transaction)};
    uint64_t mark = transaction_lock_mark(session);
    bool goes_on;
    *rows = 0;
    if (change->mode == ROW_LOCK_UPDATE && !change->deletes)
        OMEN_TRY(table_prepare_uniques(table, error));
    omen_status status = lock_first(&changing, &goes_on, error);
    while (status == OMEN_OK && goes_on) {
        OMEN_TRY(transaction_take_set(session, table, change->kept, &changing.set, error));
        status = change_once(&changing, error);
        goes_on = status == OMEN_OK && changing.locked;
        if (goes_on) {
            status = wait_for_keys(&changing, &goes_on, error);
            continue;
        }
        *rows = write_set_row_count(changing.set);
        transaction_leave_set(session, change->kept, changing.set);
    }
    if (status == OMEN_OK && *rows == 0) /* nothing was changed, nothing need be locked */
        transaction_unlock_to(session, mark);
    return status;
}
