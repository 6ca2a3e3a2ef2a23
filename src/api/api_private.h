/* api_private.h - the handles of omendb.h and what the files of this folder share.
 *
 * omen_database, omen_connection and omen_statement are struct database, struct session and
 * struct statement under other names: the API adds checks, not state.
 */
#ifndef OMEN_API_API_PRIVATE_H
#define OMEN_API_API_PRIVATE_H

#include "omendb.h"
#include "query/session.h"
#include "query/statement.h"
#include "store/database.h"
#include "table/table.h"

static inline struct database *database_of(omen_database *handle)
{
    return (struct database *)handle;
}

static inline struct session *session_of(omen_connection *handle)
{
    return (struct session *)handle;
}

static inline struct statement *statement_of(omen_statement *handle)
{
    return (struct statement *)handle;
}

static inline const struct statement *statement_of_const(const omen_statement *handle)
{
    return (const struct statement *)handle;
}

struct omen_snapshot {
    struct session *session; /* retained */
    struct snapshot snapshot;
};

struct omen_row {
    struct session *session; /* retained */
    struct table *table;     /* retained */
    struct row_ref row;
};

/* Opens a database over a given operating system; omen_open uses the real one. */
OMEN_MUST_CHECK omen_status api_open(const struct os *os, const char *path,
                                     const omen_options *options, omen_database **out,
                                     omen_error *error);

/* omen_verify over a given operating system. */
OMEN_MUST_CHECK omen_status api_verify(const struct os *os, const char *path,
                                       const omen_options *options,
                                       void (*report)(void *context, const char *line),
                                       void *context, uint64_t *faults, omen_error *error);

/* INVALID_ARGUMENT with `what` in the message. */
omen_status api_invalid(omen_error *error, const char *what);

/* The table of this name, with a reference for the caller. */
OMEN_MUST_CHECK omen_status api_table(struct session *session, const char *name, struct table **out,
                                      omen_error *error);

#endif
