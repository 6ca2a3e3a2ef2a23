/* settings.h - what SET changes for a connection, and SHOW tells.
 *
 * Settings of OmenDB's own start with "omen."; those of PostgreSQL exist where drivers send them,
 * and take only the values that say what happens anyway.
 * One thread: the connection's.
 */
#ifndef OMEN_QUERY_SETTINGS_H
#define OMEN_QUERY_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "store/storage.h"

enum route_choice { ROUTE_AUTO, ROUTE_INDEX, ROUTE_ENGINE };

/* READ UNCOMMITTED is READ COMMITTED by another name, as in PostgreSQL. */
enum isolation { ISOLATION_READ_COMMITTED, ISOLATION_READ_UNCOMMITTED, ISOLATION_REPEATABLE_READ };

enum {
    SETTING_TEXT_BYTES = 64, /* of application_name, as PostgreSQL's, with its zero */
    SETTING_VALUE_BYTES = 160,
};

/* All zero but `storage`: the defaults. */
struct settings {
    struct storage_settings *storage; /* the database's, for all its connections */
    enum route_choice route;
    bool route_strict;
    bool relaxed_commit;      /* synchronous_commit = off */
    bool no_index_scans;      /* enable_indexscan = off */
    uint32_t join_limit;      /* join_collapse_limit; 0 = JOIN_LIMIT_DEFAULT */
    uint64_t timeout_ms;      /* of each statement; 0 = none */
    uint64_t lock_timeout_ms; /* of each wait for a lock; 0 = none */
    uint64_t idle_timeout_ms; /* of a transaction between its statements; 0 = none */
    /* Of the transaction, and of those that begin without saying it. */
    enum isolation isolation, default_isolation;
    bool read_only, default_read_only;
    char application_name[SETTING_TEXT_BYTES];
};

/* The name of an isolation level, as SHOW writes it. Static. */
const char *isolation_name(enum isolation isolation);

/* Reads one. Errors: INVALID_ARGUMENT, naming `setting`; NOT_SUPPORTED: serializable. */
OMEN_MUST_CHECK omen_status isolation_read(const char *setting, const char *value,
                                           enum isolation *out, omen_error *error);

/* Sets one; `value` NULL: its default. With `keep` false it is only checked (SET LOCAL outside a
 * transaction). Errors: UNDEFINED_TYPE (42704) for a name there is none of; INVALID_ARGUMENT for a
 * bad value; NOT_SUPPORTED for one that PostgreSQL has and OmenDB has not; NOT_READY for a setting
 * that cannot be changed. */
OMEN_MUST_CHECK omen_status settings_set(struct settings *settings, const char *name,
                                         const char *value, bool keep, omen_error *error);

/* join_collapse_limit. */
uint32_t settings_join_limit(const struct settings *settings);

/* Writes a setting's value. Errors: UNDEFINED_TYPE. */
OMEN_MUST_CHECK omen_status settings_show(const struct settings *settings, const char *name,
                                          char value[SETTING_VALUE_BYTES], omen_error *error);

/* The name and description of setting number `position` in the order of their names; false behind
 * the last. Static strings. */
bool settings_list(uint32_t position, const char **name, const char **description);

#endif
