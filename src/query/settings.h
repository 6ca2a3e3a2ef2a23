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

enum {
    SETTING_TEXT_BYTES = 64, /* of application_name, as PostgreSQL's, with its zero */
    SETTING_VALUE_BYTES = 160,
};

/* All zero but `storage`: the defaults. */
struct settings {
    struct storage_settings *storage; /* the database's, for all its connections */
    enum route_choice route;
    bool route_strict;
    bool relaxed_commit; /* synchronous_commit = off */
    bool no_index_scans; /* enable_indexscan = off */
    uint64_t timeout_ms; /* of each statement; 0 = none */
    char application_name[SETTING_TEXT_BYTES];
};

/* Sets one; `value` NULL: its default. With `keep` false it is only checked (SET LOCAL outside a
 * transaction). Errors: UNDEFINED_TYPE (42704) for a name there is none of; INVALID_ARGUMENT for a
 * bad value; NOT_SUPPORTED for one that PostgreSQL has and OmenDB has not; NOT_READY for a setting
 * that cannot be changed. */
OMEN_MUST_CHECK omen_status settings_set(struct settings *settings, const char *name,
                                         const char *value, bool keep, omen_error *error);

/* Writes a setting's value. Errors: UNDEFINED_TYPE. */
OMEN_MUST_CHECK omen_status settings_show(const struct settings *settings, const char *name,
                                          char value[SETTING_VALUE_BYTES], omen_error *error);

/* The name and description of setting number `position` in the order of their names; false behind
 * the last. Static strings. */
bool settings_list(uint32_t position, const char **name, const char **description);

#endif
