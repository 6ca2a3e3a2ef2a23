/* session.c - making and releasing sessions; what their statements wait for. */
#include "query/session.h"

#include "os/biased_lock.h"

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

struct waiter {
    const struct session *session;
    uint64_t deadline_ns;
};

static omen_status ask_waiter(void *context, omen_error *error)
{
    const struct waiter *waiter = context;
    return session_check(waiter->session, waiter->deadline_ns, error);
}

omen_status session_writer_lock(const struct session *session, uint64_t deadline_ns,
                                omen_error *error)
{
    struct waiter waiter = {session, deadline_ns};
    const struct txn_patience patience = {.ask = ask_waiter, .context = &waiter};
    struct database *database = session->database;
    if (database->storage != NULL)
        OMEN_TRY(storage_admit(database->storage, &patience, error));
    return txn_writer_lock_patiently(database->manager, &patience, error);
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

static enum txn_durability durability_of(const struct session *session)
{
    return session->settings.relaxed_commit ? TXN_RELAXED : TXN_DURABLE;
}

omen_status session_commit_locked(const struct session *session, struct write_set *set,
                                  struct txn_ticket *ticket, omen_error *error)
{
    return write_set_commit_locked(set, durability_of(session), ticket, error);
}

omen_status session_commit(const struct session *session, uint64_t deadline_ns,
                           struct write_set *set, omen_error *error)
{
    struct txn_ticket ticket;
    OMEN_TRY(session_writer_lock(session, deadline_ns, error));
    omen_status status = session_commit_locked(session, set, &ticket, error);
    return session_writer_unlock(session, status, &ticket, error);
}

omen_status session_commit_new(const struct session *session, uint64_t deadline_ns,
                               struct table *table, struct write_set *set, omen_error *error)
{
    struct txn_ticket ticket;
    OMEN_TRY(session_writer_lock(session, deadline_ns, error));
    omen_status status =
        database_add_filled(session->database, table, set, durability_of(session), &ticket, error);
    return session_writer_unlock(session, status, &ticket, error);
}
