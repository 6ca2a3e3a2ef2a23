/* transaction_tables.c - creating and dropping tables, in a transaction or as a statement of its
 * own.
 *
 * Who creates a table locks its name, as if that were a key of no table, and who drops one locks
 * the table: so of two the second waits, and then sees what the first has done. Statements that
 * read are not held up by a DROP that has not been committed; those that write are.
 */
#include <string.h>

#include "query/session.h"
#include "store/definition.h"

enum { NAMES_TABLE = 0 }; /* stands for the table whose keys are names of tables */

omen_status transaction_find_table(const struct session *session, const char *name, size_t length,
                                   struct table **out, omen_error *error)
{
    return catalog_find_in(session->database->catalog, session->transaction.tables, name, length,
                           out, error);
}

/* Whether the name is still this table's for who reads. */
static bool is_found(const struct session *session, const struct table *table)
{
    struct table *found;
    omen_error unused;
    const char *name = table_name(table);
    if (transaction_find_table(session, name, strlen(name), &found, &unused) != OMEN_OK)
        return false;
    table_release(found);
    return found == table;
}

/* Locks a table for reading: one that was dropped in vain as well, by a commit that the log has
 * failed to make durable and that nobody sees. */
static omen_status lock_read(struct session *session, struct table *table, uint64_t deadline_ns,
                             omen_error *error)
{
    omen_status status = transaction_lock_table(session, table, TABLE_LOCK_ACCESS_SHARE, LOCK_WAIT,
                                                deadline_ns, error);
    if (status != OMEN_UNDEFINED_TABLE || !is_found(session, table))
        return status;
    error_clear(error);
    return OMEN_OK;
}

omen_status transaction_lock_reads(struct session *session, struct table *const *tables,
                                   size_t count, uint64_t deadline_ns, omen_error *error)
{
    for (size_t i = 0; i < count && transaction_is_open(&session->transaction); i++)
        if (!table_is_view(tables[i])) /* which is the statement's own */
            OMEN_TRY(lock_read(session, tables[i], deadline_ns, error));
    return OMEN_OK;
}

static omen_status lock_name(struct session *session, const char *name, uint64_t deadline_ns,
                             omen_error *error)
{
    const struct index_key key = {.bytes = (const uint8_t *)name, .length = (uint32_t)strlen(name)};
    OMEN_TRY(transaction_lock(session, lock_target_key(NAMES_TABLE, 0, key), ROW_LOCK_UPDATE, name,
                              deadline_ns, error));
    /* Who had the lock may have given it up before his commit was published. A commit finds that by
     * itself. */
    return transaction_is_open(&session->transaction)
               ? transaction_settle_newest(session, deadline_ns, error)
               : OMEN_OK;
}

/* Errors: DUPLICATE_TABLE. */
static omen_status check_free(struct session *session, const char *name, omen_error *error)
{
    struct table *table;
    omen_error unused;
    omen_status status = transaction_find_table(session, name, strlen(name), &table, &unused);
    table_release(table);
    if (status == OMEN_UNDEFINED_TABLE)
        return OMEN_OK;
    if (status != OMEN_OK)
        return error_set_default(error, status);
    return error_set(error, OMEN_DUPLICATE_TABLE, "relation \"%s\" already exists", name);
}

static omen_status changes_of(struct session *session, struct catalog_changes **out,
                              omen_error *error)
{
    struct transaction *transaction = &session->transaction;
    omen_status status = OMEN_OK;
    if (transaction->tables == NULL)
        status = catalog_changes_create(session->database->catalog, &transaction->tables);
    *out = transaction->tables;
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

static omen_status add_table(struct session *session, struct table *table, omen_error *error)
{
    struct catalog_changes *changes;
    OMEN_TRY(changes_of(session, &changes, error));
    omen_status status = catalog_changes_add(changes, table);
    transaction_note_tables(session);
    return status == OMEN_OK ? OMEN_OK : error_set_default(error, status);
}

omen_status transaction_create_table(struct session *session, const char *name,
                                     struct schema *schema, uint64_t deadline_ns, omen_error *error)
{
    struct database *database = session->database;
    struct table *table;
    OMEN_TRY(definition_check_name(name, error));
    OMEN_TRY(lock_name(session, name, deadline_ns, error));
    if (!transaction_is_open(&session->transaction))
        return database_create_table(database, name, schema, error);
    OMEN_TRY(check_free(session, name, error));
    omen_status status = table_create(database->allocator, database->manager, name, schema, &table);
    if (status != OMEN_OK)
        return error_set_default(error, status);
    status = add_table(session, table, error);
    table_release(table);
    return status;
}

omen_status transaction_create_filled(struct session *session, struct table *table,
                                      struct write_set *set, uint64_t deadline_ns,
                                      omen_error *error)
{
    struct txn_ticket ticket;
    const char *name = table_name(table);
    OMEN_TRY(definition_check_name(name, error));
    OMEN_TRY(lock_name(session, name, deadline_ns, error));
    if (transaction_is_open(&session->transaction)) {
        OMEN_TRY(check_free(session, name, error));
        OMEN_TRY(add_table(session, table, error));
        return transaction_add(session, set, deadline_ns, error);
    }
    OMEN_TRY(session_writer_lock(session, deadline_ns, error));
    omen_status status = database_add_filled(session->database, table, set,
                                             session_durability(session), &ticket, error);
    return session_writer_unlock(session, status, &ticket, error);
}

/* One try; UNDEFINED_TABLE with a table in `out`: it has gone, and the name may be another's. */
static omen_status find_and_lock(struct session *session, const char *name, enum lock_mode mode,
                                 uint64_t deadline_ns, struct table **out, omen_error *error)
{
    OMEN_TRY(transaction_find_table(session, name, strlen(name), out, error));
    if (table_is_view(*out))
        return OMEN_OK;
    bool contended = transaction_any_locked(session);
    OMEN_TRY(transaction_lock_table(session, *out, mode, LOCK_WAIT, deadline_ns, error));
    return contended && mode == TABLE_LOCK_ACCESS_EXCLUSIVE
               ? transaction_settle_newest(session, deadline_ns, error)
               : OMEN_OK;
}

omen_status transaction_find_locked(struct session *session, const char *name, enum lock_mode mode,
                                    uint64_t deadline_ns, struct table **out, omen_error *error)
{
    omen_error failure = {.status = OMEN_OK};
    bool gone;
    do {
        omen_status status = find_and_lock(session, name, mode, deadline_ns, out, &failure);
        if (status == OMEN_OK)
            return OMEN_OK;
        gone = status == OMEN_UNDEFINED_TABLE && *out != NULL;
        table_release(*out);
        *out = NULL;
        /* Nobody finds it once that is published. Where the log has failed it never is. */
        if (gone)
            gone = transaction_settle_newest(session, deadline_ns, &failure) == OMEN_OK;
    } while (gone);
    if (error != NULL)
        *error = failure;
    return failure.status;
}

/* Locks the table of this name against everybody; none, if there may be none. */
static omen_status lock_for_drop(struct session *session, const char *name, bool missing_ok,
                                 uint64_t deadline_ns, struct table **out, omen_error *error)
{
    omen_error failure = {.status = OMEN_OK};
    omen_status status = transaction_find_locked(session, name, TABLE_LOCK_ACCESS_EXCLUSIVE,
                                                 deadline_ns, out, &failure);
    if (status == OMEN_UNDEFINED_TABLE && missing_ok)
        return OMEN_OK;
    if (status != OMEN_OK && error != NULL)
        *error = failure;
    if (status != OMEN_OK || !table_is_view(*out))
        return status;
    table_release(*out);
    *out = NULL;
    return error_set(error, OMEN_UNDEFINED_TABLE, "table \"%s\" does not exist", name);
}

/* Adds the table to `alone`, or where that is NULL to what the transaction has changed. */
static omen_status drop_table(struct session *session, const char *name, bool missing_ok,
                              uint64_t deadline_ns, struct catalog_changes *alone,
                              omen_error *error)
{
    struct catalog_changes *changes = alone;
    struct table *table = NULL;
    omen_status status = lock_for_drop(session, name, missing_ok, deadline_ns, &table, error);
    if (status == OMEN_OK && table != NULL) {
        if (alone == NULL)
            status = changes_of(session, &changes, error);
        if (status == OMEN_OK && catalog_changes_drop(changes, table) != OMEN_OK)
            status = error_set_default(error, OMEN_OUT_OF_MEMORY);
        if (alone == NULL)
            transaction_note_tables(session);
    }
    table_release(table);
    return status;
}

static omen_status drop_tables(struct session *session, const char *const *names, size_t count,
                               bool missing_ok, uint64_t deadline_ns, struct catalog_changes *alone,
                               omen_error *error)
{
    for (size_t i = 0; i < count; i++) {
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again = again || strcmp(names[i], names[j]) == 0;
        if (!again)
            OMEN_TRY(drop_table(session, names[i], missing_ok, deadline_ns, alone, error));
    }
    return alone == NULL || catalog_changes_count(alone) == 0 ? OMEN_OK
                                                              : catalog_commit(alone, error);
}

omen_status transaction_drop_tables(struct session *session, const char *const *names, size_t count,
                                    bool missing_ok, uint64_t deadline_ns, omen_error *error)
{
    struct catalog_changes *alone = NULL;
    if (!transaction_is_open(&session->transaction) &&
        catalog_changes_create(session->database->catalog, &alone) != OMEN_OK)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    omen_status status = drop_tables(session, names, count, missing_ok, deadline_ns, alone, error);
    catalog_changes_destroy(alone);
    return status;
}
