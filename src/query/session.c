/* session.c - making and releasing sessions. */
#include "query/session.h"

omen_status session_create(struct database *database, struct session **out, omen_error *error)
{
    *out = NULL;
    struct session *session = allocator_alloc_zeroed(database->allocator, sizeof *session);
    if (session == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    atomic_init(&session->references, 1);
    session->database = database_retain(database);
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
    allocator_free(database->allocator, session, sizeof *session);
    database_release(database);
}
