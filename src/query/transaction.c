/* transaction.c - see transaction.h: statements, what they see, commit, rollback, savepoints.
 *
 * Locks on rows that were written are given up when the commit has been applied, before it is
 * durable: whoever comes next finds what it did as the newest version, and its own commit lies
 * behind it in the log. What such a transaction reads it may not answer before that is published
 * (`rests_on`). Other locks leave nothing behind that tells the next holder to wait: with one of
 * those all are kept until then.
 */
#include "query/transaction.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "query/session.h"

static struct txn_manager *manager_of(const struct session *session)
{
    return session->database->manager;
}

void transaction_note_reads(struct session *session)
{
    struct transaction *transaction = &session->transaction;
    transaction->shifts_reads =
        transaction->state == TRANSACTION_FAILED ||
        (transaction->state == TRANSACTION_OPEN &&
         (!transaction->has_run || transaction->write_count > 0 || transaction->tables != NULL ||
          session->settings.idle_timeout_ms != 0 || transaction_keeps_snapshot(session) ||
          transaction->rests_on.lsn != 0));
}

/* --- what others see of it: activity.h says in which order --- */

static void show_state(struct session *session, enum activity_state state)
{
    atomic_store_explicit(&session->activity.state, state, memory_order_release);
}

static void show_modes(struct session *session)
{
    const struct settings *settings = &session->settings;
    atomic_store_explicit(&session->activity.read_only, settings->read_only, memory_order_relaxed);
    atomic_store_explicit(&session->activity.isolation, isolation_name(settings->isolation),
                          memory_order_relaxed);
}

static void show_snapshot(struct session *session)
{
    atomic_store_explicit(&session->activity.snapshot, session->transaction.snapshot.timestamp,
                          memory_order_relaxed);
}

/* The transaction waits for its next statement from now on. */
static void begin_rest(struct session *session)
{
    struct transaction *transaction = &session->transaction;
    const struct os *os = session->database->os;
    uint64_t rows = 0;
    uint64_t timeout_ms = session->settings.idle_timeout_ms;
    if (transaction->ended)
        return;
    for (size_t i = 0; i < transaction->write_count; i++)
        rows += own_writes_row_count(transaction->writes[i]);
    atomic_store_explicit(&session->activity.rows_written, rows, memory_order_relaxed);
    show_state(session, transaction->state == TRANSACTION_OPEN ? ACTIVITY_IDLE : ACTIVITY_FAILED);
    transaction->rests = timeout_ms != 0;
    if (transaction->rests) /* the last that is done to it */
        activity_rest(&session->database->sessions, &session->activity,
                      os->monotonic_ns(os) + timeout_ms * 1000000);
}

/* --- letting go --- */

static void forget_savepoint(struct session *session)
{
    struct savepoint *savepoint = session->transaction.savepoint;
    session->transaction.savepoint = savepoint->outer;
    allocator_free(session->database->allocator, savepoint,
                   sizeof *savepoint + savepoint->write_count * sizeof savepoint->marks[0]);
}

static void forget_writes(struct session *session, size_t kept)
{
    struct transaction *transaction = &session->transaction;
    while (transaction->write_count > kept)
        own_writes_destroy(transaction->writes[--transaction->write_count]);
}

static void release_locks(struct transaction *transaction)
{
    if (transaction->locks != NULL)
        lock_release_all(transaction->locks);
}

/* Everything but the state: nothing has been written, nothing is locked, nothing is seen. */
static void undo_all(struct session *session)
{
    struct transaction *transaction = &session->transaction;
    while (transaction->savepoint != NULL)
        forget_savepoint(session);
    forget_writes(session, 0);
    snapshot_release(&transaction->snapshot);
    atomic_store_explicit(&session->activity.snapshot, 0, memory_order_relaxed);
    transaction->rests_on = (struct txn_ticket){0};
    if (transaction->tables != NULL)
        transaction->tables_version++;
    catalog_changes_destroy(transaction->tables);
    transaction->tables = NULL;
    release_locks(transaction);
}

static void undo_to(struct session *session, const struct savepoint *savepoint)
{
    struct transaction *transaction = &session->transaction;
    forget_writes(session, savepoint->write_count);
    for (size_t i = 0; i < savepoint->write_count; i++)
        own_writes_undo(transaction->writes[i], savepoint->marks[i]);
    if (catalog_changes_count(transaction->tables) > savepoint->table_count) {
        catalog_changes_undo(transaction->tables, savepoint->table_count);
        transaction->tables_version++;
    }
    transaction_unlock_to(session, savepoint->locks);
}

/* The end of it. The settings are those that stay. */
static void leave(struct session *session, const struct settings *settings)
{
    struct transaction *transaction = &session->transaction;
    undo_all(session);
    session->settings = *settings;
    session->settings.isolation = session->settings.default_isolation;
    session->settings.read_only = session->settings.default_read_only;
    transaction->state = TRANSACTION_NONE;
    transaction->ended = false;
    transaction->serial++;
    show_state(session, ACTIVITY_NONE);
    transaction_note_reads(session);
}

void transaction_destroy(struct session *session)
{
    struct transaction *transaction = &session->transaction;
    transaction_resume(session);
    undo_all(session);
    lock_owner_destroy(transaction->locks);
    allocator_free(session->database->allocator, transaction->writes,
                   transaction->write_capacity * sizeof *transaction->writes);
    transaction->locks = NULL;
    transaction->writes = NULL;
    transaction->write_capacity = 0;
}

/* --- statements --- */

/* Nothing is held and nobody sees it any more, but for its own connection. */
static void end_early(struct session *session)
{
    undo_all(session);
    show_state(session, ACTIVITY_NONE);
}

void transaction_end_resting(struct activity *activity)
{
    char *place = (char *)activity - offsetof(struct session, activity);
    end_early((struct session *)(void *)place);
}

bool transaction_resume(struct session *session)
{
    struct transaction *transaction = &session->transaction;
    const struct os *os = session->database->os;
    if (!transaction->rests)
        return false;
    transaction->rests = false;
    uint64_t until = activity_take_back(&session->database->sessions, &session->activity);
    transaction->ended = until == 0 || os->monotonic_ns(os) >= until;
    if (until != 0 && transaction->ended)
        end_early(session);
    return true;
}

omen_status transaction_check(struct session *session, bool ends, omen_error *error)
{
    transaction_resume(session);
    if (session->transaction.ended) {
        transaction_rollback(session);
        return error_set(error, OMEN_IDLE_IN_TRANSACTION_TIMEOUT,
                         "transaction rolled back due to idle-in-transaction timeout");
    }
    if (session->transaction.state != TRANSACTION_FAILED || ends)
        return OMEN_OK;
    return error_set(error, OMEN_IN_FAILED_TRANSACTION,
                     "current transaction is aborted, commands ignored until end of transaction "
                     "block");
}

omen_status transaction_begin_statement(struct session *session, bool ends, const char *tag,
                                        omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    OMEN_TRY(transaction_check(session, ends, error));
    database_end_overdue(session->database); /* rather than meet their locks */
    if (tag != NULL && session->settings.read_only)
        return error_set(error, OMEN_READ_ONLY_TRANSACTION,
                         "cannot execute %s in a read-only transaction", tag);
    if (transaction->state == TRANSACTION_NONE)
        return OMEN_OK;
    if (transaction->command == UINT32_MAX - 1 && !ends)
        return error_set(error, OMEN_LIMIT_EXCEEDED,
                         "cannot have more than 2^32-2 commands in a transaction");
    show_state(session, ACTIVITY_ACTIVE);
    transaction->command += !ends;
    return OMEN_OK;
}

void transaction_note_idle(struct session *session)
{
    transaction_resume(session);
    if (session->transaction.state != TRANSACTION_NONE)
        begin_rest(session);
}

omen_status transaction_end_statement(struct session *session, omen_status status)
{
    struct transaction *transaction = &session->transaction;
    if (transaction->state == TRANSACTION_NONE) {
        release_locks(transaction);
        return status;
    }
    transaction_resume(session); /* a result that is read between statements may fail */
    if (status != OMEN_OK && transaction->state == TRANSACTION_OPEN && !transaction->ended) {
        if (transaction->savepoint != NULL)
            undo_to(session, transaction->savepoint);
        else
            undo_all(session);
        transaction->state = TRANSACTION_FAILED;
        transaction_note_reads(session);
    }
    begin_rest(session);
    return status;
}

/* Waits until what the transaction has seen before it was published is. */
static omen_status settle(struct session *session, omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    if (transaction->rests_on.lsn == 0)
        return OMEN_OK;
    OMEN_TRY(txn_settle(manager_of(session), &transaction->rests_on, error));
    transaction->rests_on = (struct txn_ticket){0};
    transaction_note_reads(session);
    return OMEN_OK;
}

int64_t transaction_now(struct session *session)
{
    struct transaction *transaction = &session->transaction;
    const struct os *os = session->database->os;
    return transaction_is_open(transaction) ? transaction->began_us : os->wall_clock_us(os);
}

void transaction_note_tables(struct session *session)
{
    session->transaction.tables_version++;
    transaction_note_reads(session);
}

void transaction_keep_locks(struct session *session)
{
    session->transaction.keeps_locks = true;
}

bool transaction_keeps_snapshot(const struct session *session)
{
    return session->transaction.state != TRANSACTION_NONE &&
           session->settings.isolation == ISOLATION_REPEATABLE_READ;
}

omen_status transaction_snapshot(struct session *session, struct snapshot *out, omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    struct txn_manager *manager = manager_of(session);
    omen_status status = OMEN_OK;
    *out = (struct snapshot){0};
    OMEN_TRY(settle(session, error));
    transaction->has_run = transaction->state == TRANSACTION_OPEN;
    transaction_note_reads(session);
    if (!transaction_keeps_snapshot(session)) {
        status = snapshot_acquire(manager, out);
    } else {
        if (transaction->snapshot.slot == NULL) {
            status = snapshot_acquire(manager, &transaction->snapshot);
            show_snapshot(session);
        }
        if (status == OMEN_OK)
            status = snapshot_share(manager, &transaction->snapshot, out);
    }
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

struct own_writes *transaction_writes(const struct session *session, const struct table *table)
{
    const struct transaction *transaction = &session->transaction;
    for (size_t i = 0; i < transaction->write_count; i++)
        if (own_writes_table(transaction->writes[i]) == table)
            return transaction->writes[i];
    return NULL;
}

omen_status transaction_view(struct session *session, struct table *table,
                             const struct snapshot *snapshot, struct table_view **out)
{
    return table_view_open_own(table, snapshot, transaction_writes(session, table),
                               session->transaction.command, out);
}

omen_status transaction_get(struct session *session, struct table *table, uint64_t snapshot,
                            struct index_key key, struct row_ref *out)
{
    const struct read_view view = {.snapshot = snapshot, .command = session->transaction.command};
    *out = (struct row_ref){0};
    return table_get_own(table, &view, transaction_writes(session, table), key, out);
}

/* --- its ends --- */

omen_status transaction_begin(struct session *session, const struct transaction_modes *modes,
                              omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    OMEN_ASSERT(transaction->state == TRANSACTION_NONE);
    transaction->state = TRANSACTION_OPEN;
    transaction->command = 1;
    transaction->serial++;
    transaction->keeps_locks = false;
    transaction->began_us = session->database->os->wall_clock_us(session->database->os);
    transaction->has_run = false;
    transaction->settings_before = transaction->session_settings = session->settings;
    atomic_store_explicit(&session->activity.began_us, transaction->began_us, memory_order_relaxed);
    atomic_store_explicit(&session->activity.rows_written, 0, memory_order_relaxed);
    show_modes(session);
    show_state(session, ACTIVITY_ACTIVE);
    return transaction_set_modes(session, modes, error);
}

static omen_status check_isolation(const struct transaction *transaction, omen_error *error)
{
    if (transaction->has_run)
        return error_set(error, OMEN_ACTIVE_TRANSACTION,
                         "SET TRANSACTION ISOLATION LEVEL must be called before any query");
    if (transaction->savepoint != NULL)
        return error_set(error, OMEN_ACTIVE_TRANSACTION,
                         "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
    return OMEN_OK;
}

omen_status transaction_set_modes(struct session *session, const struct transaction_modes *modes,
                                  omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    if (modes->isolation >= 0 && (int)session->settings.isolation != modes->isolation)
        OMEN_TRY(check_isolation(transaction, error));
    if (modes->read_only == 0 && session->settings.read_only && transaction->has_run)
        return error_set(error, OMEN_ACTIVE_TRANSACTION,
                         "transaction read-write mode must be set before any query");
    if (modes->isolation >= 0)
        session->settings.isolation = (enum isolation)modes->isolation;
    if (modes->read_only >= 0)
        session->settings.read_only = modes->read_only;
    show_modes(session);
    transaction_note_reads(session);
    return OMEN_OK;
}

omen_status transaction_check_setting(const struct session *session, const char *name,
                                      const char *value, omen_error *error)
{
    enum isolation isolation = ISOLATION_READ_COMMITTED;
    const struct transaction *transaction = &session->transaction;
    if (strcasecmp(name, "transaction_isolation") != 0 || transaction->state == TRANSACTION_NONE)
        return OMEN_OK;
    if (value != NULL)
        OMEN_TRY(isolation_read(name, value, &isolation, error));
    return isolation == session->settings.isolation ? OMEN_OK : check_isolation(transaction, error);
}

void transaction_note_settings(struct session *session)
{
    if (session->transaction.state == TRANSACTION_NONE) {
        session->settings.isolation = session->settings.default_isolation;
        session->settings.read_only = session->settings.default_read_only;
    }
    show_modes(session);
    transaction_note_reads(session);
}

/* The write sets that commit it; those that are made are destroyed by the caller. */
static omen_status make_sets(struct session *session, struct write_set **sets,
                             struct txn_participant *participants, size_t *count, omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    *count = 0;
    for (size_t i = 0; i < transaction->write_count; i++) {
        if (catalog_changes_drops(transaction->tables, own_writes_table(transaction->writes[i])))
            continue;
        if (own_writes_any_died(transaction->writes[i]))
            transaction_keep_locks(session);
        OMEN_TRY(own_writes_commit_set(transaction->writes[i], &sets[*count], error));
        if (sets[*count] == NULL)
            continue;
        participants[1 + *count] = write_set_participant(sets[*count]);
        ++*count;
    }
    return OMEN_OK;
}

/* `participants` has room for one before those of the `count` sets. */
static omen_status commit_sets(struct session *session, struct txn_participant *participants,
                               size_t count, uint64_t deadline_ns, omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    struct txn_manager *manager = manager_of(session);
    struct txn_ticket ticket;
    bool first = transaction->tables == NULL; /* of the participants that there are */
    if (count == 0 && first)
        return settle(session, error);
    if (!first) /* tables before their rows: whoever does it again finds them */
        participants[0] = catalog_changes_participant(transaction->tables);
    OMEN_TRY(session_writer_lock(session, deadline_ns, error));
    /* Tables are published when this returns, so that their version can be raised. */
    omen_status status =
        txn_commit(manager, participants + first, count + !first,
                   first ? session_durability(session) : TXN_DURABLE, &ticket, error);
    if (status != OMEN_OK)
        ticket = txn_newest(manager);
    txn_writer_unlock(manager);
    if (!transaction->keeps_locks && first)
        release_locks(transaction);
    status = txn_outcome(manager, status, &ticket, error);
    if (!first)
        (void)catalog_version(
            session->database->catalog); /* for plans that look at no more than it */
    return status;
}

omen_status transaction_commit(struct session *session, uint64_t deadline_ns, bool *committed,
                               omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    *committed = false;
    if (transaction->state == TRANSACTION_FAILED) {
        transaction_rollback(session);
        return OMEN_OK;
    }
    struct arena arena;
    size_t count = 0, tables = transaction->write_count;
    arena_init(&arena, session->database->allocator);
    struct write_set **sets = arena_alloc(&arena, tables * sizeof *sets);
    struct txn_participant *participants = arena_alloc(&arena, (tables + 1) * sizeof *participants);
    omen_status status = sets == NULL || participants == NULL
                             ? error_set_default(error, OMEN_OUT_OF_MEMORY)
                             : make_sets(session, sets, participants, &count, error);
    if (status == OMEN_OK)
        status = commit_sets(session, participants, count, deadline_ns, error);
    for (size_t i = 0; i < count; i++)
        write_set_destroy(sets[i]);
    arena_release(&arena);
    *committed = status == OMEN_OK;
    leave(session, *committed ? &transaction->session_settings : &transaction->settings_before);
    return status;
}

void transaction_rollback(struct session *session)
{
    transaction_resume(session);
    leave(session, &session->transaction.settings_before);
}

/* --- savepoints --- */

omen_status transaction_savepoint(struct session *session, const char *name, omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    struct allocator *allocator = session->database->allocator;
    size_t length = strlen(name);
    if (length > SCHEMA_NAME_BYTES_MAX)
        return error_set(error, OMEN_NAME_TOO_LONG, "identifier too long: \"%.63s...\"", name);
    size_t count = transaction->write_count;
    struct savepoint *savepoint =
        allocator_alloc(allocator, sizeof *savepoint + count * sizeof savepoint->marks[0]);
    if (savepoint == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    *savepoint = (struct savepoint){
        .outer = transaction->savepoint,
        .locks = transaction_lock_mark(session),
        .settings = session->settings,
        .session_settings = transaction->session_settings,
        .table_count = catalog_changes_count(transaction->tables),
        .write_count = count,
    };
    memcpy(savepoint->name, name, length + 1);
    for (size_t i = 0; i < count; i++)
        savepoint->marks[i] = own_writes_mark(transaction->writes[i]);
    transaction->savepoint = savepoint;
    return OMEN_OK;
}

/* The innermost savepoint of this name. */
static omen_status find_savepoint(const struct session *session, const char *name,
                                  struct savepoint **out, omen_error *error)
{
    *out = session->transaction.savepoint;
    while (*out != NULL && strcmp((*out)->name, name) != 0)
        *out = (*out)->outer;
    if (*out != NULL)
        return OMEN_OK;
    return error_set(error, OMEN_INVALID_SAVEPOINT, "savepoint \"%.63s\" does not exist", name);
}

omen_status transaction_release_savepoint(struct session *session, const char *name,
                                          omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    struct savepoint *found = NULL;
    OMEN_TRY(find_savepoint(session, name, &found, error));
    struct savepoint *outer = found->outer;
    while (transaction->savepoint != outer)
        forget_savepoint(session);
    return OMEN_OK;
}

omen_status transaction_rollback_to(struct session *session, const char *name, omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    struct savepoint *found = NULL;
    OMEN_TRY(find_savepoint(session, name, &found, error));
    while (transaction->savepoint != found)
        forget_savepoint(session);
    undo_to(session, found);
    session->settings = found->settings;
    transaction->session_settings = found->session_settings;
    transaction->state = TRANSACTION_OPEN;
    show_modes(session);
    transaction_note_reads(session);
    return OMEN_OK;
}
