/* settings.c - the table of settings, and reading and writing their values. */
#include "query/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/nearest.h"
#include "sql/join_order.h"

enum setting_kind {
    SETTING_FIXED,   /* `values`: what may be set, the first is what is shown */
    SETTING_SHOWN,   /* cannot be set */
    SETTING_IGNORED, /* any value; shown as `values` */
    SETTING_ROUTE,
    SETTING_STRICT,
    SETTING_COMMIT,
    SETTING_INDEX_SCANS,
    SETTING_JOIN_LIMIT,
    SETTING_TIMEOUT,
    SETTING_LOCK_TIMEOUT,
    SETTING_IDLE_TIMEOUT,
    SETTING_ISOLATION,
    SETTING_DEFAULT_ISOLATION,
    SETTING_READ_ONLY,
    SETTING_DEFAULT_READ_ONLY,
    SETTING_CHECKPOINT_BYTES, /* these three are the database's */
    SETTING_CHECKPOINT_TIME,
    SETTING_CACHE_BYTES,
    SETTING_ZONE,
    SETTING_NAME,
};

struct setting {
    const char *name;
    enum setting_kind kind;
    const char *values; /* separated by |, compared without blanks, quotes and case */
    const char *description;
};

static const struct setting known_settings[] = {
    {"application_name", SETTING_NAME, "", "Name of the application."},
    {"bytea_output", SETTING_FIXED, "hex", "Output format for bytea."},
    {"client_encoding", SETTING_FIXED, "UTF8|UTF-8|UNICODE", "Encoding of texts."},
    {"client_min_messages", SETTING_IGNORED, "notice", "Has no effect."},
    {"datestyle", SETTING_FIXED, "ISO, MDY|ISO|ISO,DMY|ISO,YMD", "Display format of dates."},
    {"default_transaction_isolation", SETTING_DEFAULT_ISOLATION, "",
     "Isolation of new transactions."},
    {"default_transaction_read_only", SETTING_DEFAULT_READ_ONLY, "",
     "Whether new transactions only read."},
    {"enable_indexscan", SETTING_INDEX_SCANS, "",
     "Whether the engine's scans that fix a whole key are answered by the index."},
    {"escape_string_warning", SETTING_IGNORED, "on", "Has no effect."},
    {"extra_float_digits", SETTING_FIXED, "1|2|3|0",
     "Floats are always shown with the fewest exact digits."},
    {"idle_in_transaction_session_timeout", SETTING_IDLE_TIMEOUT, "",
     "Longest pause between the statements of a transaction; 0 = no limit."},
    {"integer_datetimes", SETTING_SHOWN, "on", "Whether timestamps are integers."},
    {"intervalstyle", SETTING_FIXED, "postgres", "Display format of intervals."},
    {"join_collapse_limit", SETTING_JOIN_LIMIT, "",
     "Tables of a FROM that are joined in the order their sizes suggest; 1 = as written."},
    {"lock_timeout", SETTING_LOCK_TIMEOUT, "", "Longest wait for a lock; 0 = no limit."},
    {"omen.checkpoint_bytes", SETTING_CHECKPOINT_BYTES, "",
     "Log after which a checkpoint is made, for all connections."},
    {"omen.checkpoint_interval", SETTING_CHECKPOINT_TIME, "",
     "Time after which a checkpoint is made, for all connections."},
    {"omen.route", SETTING_ROUTE, "", "Way that answers: auto, index or engine."},
    {"omen.route_strict", SETTING_STRICT, "",
     "Whether a statement fails that omen.route cannot answer."},
    {"search_path", SETTING_FIXED, "\"$user\", public|public|pg_catalog,public",
     "Schemas that names are looked up in."},
    {"server_encoding", SETTING_SHOWN, "UTF8", "Encoding of stored text."},
    {"server_version", SETTING_SHOWN, "15.0 (OmenDB)", "Version of PostgreSQL whose SQL this is."},
    {"server_version_num", SETTING_SHOWN, "150000", "The same as a number."},
    {"shared_buffers", SETTING_CACHE_BYTES, "",
     "Memory for columns that are on disk as well, for all connections."},
    {"standard_conforming_strings", SETTING_FIXED, "on|true|yes|1",
     "Backslashes are plain characters in '...'."},
    {"statement_timeout", SETTING_TIMEOUT, "", "Longest time of a statement; 0 = no limit."},
    {"synchronous_commit", SETTING_COMMIT, "",
     "Whether commits wait until they are on disk: on or off."},
    {"timezone", SETTING_ZONE, "UTC|Etc/UTC|GMT|Etc/GMT|Zulu|Universal|UCT|Z|0|+0|+00|+00:00|-0|00",
     "Time zone of timestamps with time zone."},
    {"transaction_isolation", SETTING_ISOLATION, "", "Isolation of this transaction."},
    {"transaction_read_only", SETTING_READ_ONLY, "", "Whether it only reads."},
};

enum { SETTING_COUNT = sizeof known_settings / sizeof *known_settings };

static omen_status find_setting(const char *name, const struct setting **out, omen_error *error)
{
    for (uint32_t i = 0; i < SETTING_COUNT; i++)
        if (strcasecmp(known_settings[i].name, name) == 0) {
            *out = &known_settings[i];
            return OMEN_OK;
        }
    error_set(error, OMEN_UNDEFINED_TYPE, "unrecognized configuration parameter \"%.200s\"", name);
    struct nearest nearest;
    nearest_begin(&nearest, name, strlen(name));
    for (uint32_t i = 0; i < SETTING_COUNT; i++)
        nearest_offer(&nearest, NULL, known_settings[i].name, 0);
    nearest_hint(&nearest, "parameter", error);
    return OMEN_UNDEFINED_TYPE;
}

bool settings_list(uint32_t position, const char **name, const char **description)
{
    if (position >= SETTING_COUNT)
        return false;
    *name = known_settings[position].name;
    *description = known_settings[position].description;
    return true;
}

/* --- values --- */

static bool is_skipped(char c)
{
    return c == ' ' || c == '"' || c == '\'';
}

/* Whether `value` is one of the alternatives. */
static bool is_among(const char *values, const char *value)
{
    for (const char *at = values; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        const char *given = value;
        for (;; at++, given++) {
            while (is_skipped(*at))
                at++;
            while (is_skipped(*given))
                given++;
            bool ends = *at == '|' || *at == '\0';
            if (ends && *given == '\0')
                return true;
            if (ends || strncasecmp(at, given, 1) != 0)
                break;
        }
    }
    return false;
}

static omen_status bad_value(const struct setting *setting, const char *value, omen_error *error)
{
    return error_set(error, OMEN_INVALID_ARGUMENT, "invalid value for parameter \"%s\": \"%.200s\"",
                     setting->name, value);
}

/* PostgreSQL's booleans: unique beginnings of true, false, yes, no; on, off, 1, 0. */
static bool read_boolean(const char *value, bool *out)
{
    size_t length = strlen(value);
    if (length == 0)
        return false;
    *out = strncasecmp(value, "true", length) == 0 || strncasecmp(value, "yes", length) == 0 ||
           strcasecmp(value, "on") == 0 || strcmp(value, "1") == 0;
    return *out || strncasecmp(value, "false", length) == 0 ||
           strncasecmp(value, "no", length) == 0 || strcasecmp(value, "off") == 0 ||
           strcasecmp(value, "of") == 0 || strcmp(value, "0") == 0;
}

/* `value` NULL: the default. */
static omen_status read_switch(const struct setting *setting, const char *value, bool usual,
                               bool *out, omen_error *error)
{
    *out = usual;
    if (value == NULL || read_boolean(value, out))
        return OMEN_OK;
    return error_set(error, OMEN_INVALID_ARGUMENT, "parameter \"%s\" requires a Boolean value",
                     setting->name);
}

/* A number, of milliseconds or of the unit behind it. */
static omen_status read_timeout(const struct setting *setting, const char *value, uint64_t *out,
                                omen_error *error)
{
    static const struct {
        const char *name;
        double factor;
    } units[] = {{"", 1},       {"us", 1e-3},  {"ms", 1},     {"s", 1000},
                 {"min", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
    char *end;
    double number = strtod(value, &end);
    if (end == value)
        return bad_value(setting, value, error);
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        number *= units[i].factor;
        if (!(number >= 0 && number <= INT32_MAX))
            return error_set(error, OMEN_INVALID_ARGUMENT,
                             "%.0f ms is outside the valid range for parameter \"%s\" "
                             "(0 .. 2147483647)",
                             number, setting->name);
        *out = (uint64_t)(number + 0.5);
        return OMEN_OK;
    }
    return bad_value(setting, value, error);
}

/* A whole number from 1 on; `value` NULL: the default. */
static omen_status read_join_limit(const struct setting *setting, const char *value, uint32_t *out,
                                   omen_error *error)
{
    char *end;
    *out = 0;
    if (value == NULL)
        return OMEN_OK;
    long long number = strtoll(value, &end, 10);
    if (end == value || *end != '\0')
        return bad_value(setting, value, error);
    if (number < 1 || number > INT32_MAX)
        return error_set(error, OMEN_INVALID_ARGUMENT,
                         "%lld is outside the valid range for parameter \"%s\" (1 .. 2147483647)",
                         number, setting->name);
    *out = (uint32_t)number;
    return OMEN_OK;
}

struct memory_unit {
    const char *name;
    uint64_t factor;
};

static const struct memory_unit memory_units[] = {
    {"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}, {"", 1}};

enum { MEMORY_UNITS = sizeof memory_units / sizeof *memory_units };

/* A number of bytes, or of the unit behind it; at least 1. */
static omen_status read_bytes(const struct setting *setting, const char *value, uint64_t *out,
                              omen_error *error)
{
    char *end;
    double number = strtod(value, &end);
    while (end != value && *end == ' ')
        end++;
    for (size_t i = 0; end != value && i < MEMORY_UNITS; i++) {
        double bytes = number * (double)memory_units[i].factor;
        if (strcmp(end, memory_units[i].name) != 0)
            continue;
        if (!(bytes >= 1 && bytes <= (double)INT64_MAX))
            return error_set(error, OMEN_INVALID_ARGUMENT,
                             "%.0f B is outside the valid range for parameter \"%s\"", bytes,
                             setting->name);
        *out = (uint64_t)bytes;
        return OMEN_OK;
    }
    return bad_value(setting, value, error);
}

static void show_bytes(uint64_t bytes, char value[SETTING_VALUE_BYTES])
{
    size_t unit = 0;
    while (bytes % memory_units[unit].factor != 0)
        unit++;
    snprintf(value, SETTING_VALUE_BYTES, "%" PRIu64 "%s", bytes / memory_units[unit].factor,
             memory_units[unit].name);
}

/* Where a setting of the database is kept. */
static atomic_uint_fast64_t *database_place(const struct setting *setting,
                                            struct storage_settings *storage)
{
    if (setting->kind == SETTING_CHECKPOINT_TIME)
        return &storage->checkpoint_ms;
    return setting->kind == SETTING_CACHE_BYTES ? &storage->cache_bytes
                                                : &storage->checkpoint_bytes;
}

/* Sets what is the database's; `value` NULL: the default. */
static omen_status set_database(const struct setting *setting, const char *value, bool keep,
                                struct storage_settings *storage, omen_error *error)
{
    bool is_time = setting->kind == SETTING_CHECKPOINT_TIME;
    uint64_t number = is_time ? CHECKPOINT_MS_DEFAULT : CHECKPOINT_BYTES_DEFAULT;
    if (setting->kind == SETTING_CACHE_BYTES)
        number = storage->cache_bytes_default;
    if (value != NULL && is_time)
        OMEN_TRY(read_timeout(setting, value, &number, error));
    else if (value != NULL)
        OMEN_TRY(read_bytes(setting, value, &number, error));
    if (number == 0)
        return bad_value(setting, value, error);
    /* Relaxed: read once a turn, and order nothing. */
    if (keep)
        atomic_store_explicit(database_place(setting, storage), number, memory_order_relaxed);
    return OMEN_OK;
}

/* In the largest unit that divides it, as PostgreSQL. */
static void show_timeout(uint64_t timeout_ms, char value[SETTING_VALUE_BYTES])
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    size_t unit = 0;
    while (unit < 4 && timeout_ms % units[unit].factor != 0)
        unit++;
    if (timeout_ms == 0)
        snprintf(value, SETTING_VALUE_BYTES, "0");
    else
        snprintf(value, SETTING_VALUE_BYTES, "%" PRIu64 "%s", timeout_ms / units[unit].factor,
                 units[unit].name);
}

uint32_t settings_join_limit(const struct settings *settings)
{
    return settings->join_limit == 0 ? JOIN_LIMIT_DEFAULT : settings->join_limit;
}

static const char *const route_names[] = {"auto", "index", "engine"};

static omen_status read_route(const struct setting *setting, const char *value,
                              enum route_choice *out, omen_error *error)
{
    for (unsigned i = 0; i < 3; i++)
        if (strcasecmp(value, route_names[i]) == 0) {
            *out = (enum route_choice)i;
            return OMEN_OK;
        }
    return bad_value(setting, value, error);
}

static omen_status set_fixed(const struct setting *setting, const char *value, omen_error *error)
{
    if (value == NULL || is_among(setting->values, value))
        return OMEN_OK;
    return error_set(error, OMEN_NOT_SUPPORTED,
                     "the value \"%.200s\" of parameter \"%s\" is not supported", value,
                     setting->name);
}

/* on or off; PostgreSQL's other levels are about standby servers. */
static omen_status read_commit(const struct setting *setting, const char *value, bool *relaxed,
                               omen_error *error)
{
    bool durable = true;
    if (value != NULL && !read_boolean(value, &durable)) {
        if (is_among("local|remote_write|remote_apply", value))
            return set_fixed(setting, value, error);
        return bad_value(setting, value, error);
    }
    *relaxed = !durable;
    return OMEN_OK;
}

/* Where settings of one kind are kept. */
static uint64_t *timeout_place(struct settings *settings, enum setting_kind kind)
{
    if (kind == SETTING_LOCK_TIMEOUT)
        return &settings->lock_timeout_ms;
    return kind == SETTING_IDLE_TIMEOUT ? &settings->idle_timeout_ms : &settings->timeout_ms;
}

static enum isolation *isolation_place(struct settings *settings, enum setting_kind kind)
{
    return kind == SETTING_ISOLATION ? &settings->isolation : &settings->default_isolation;
}

static bool *read_only_place(struct settings *settings, enum setting_kind kind)
{
    return kind == SETTING_READ_ONLY ? &settings->read_only : &settings->default_read_only;
}

/* As PostgreSQL keeps application_name: ASCII, cut. */
static void store_name(char name[SETTING_TEXT_BYTES], const char *value)
{
    size_t length = 0;
    for (; value[length] != '\0' && length + 1 < SETTING_TEXT_BYTES; length++)
        name[length] = value[length] >= ' ' && value[length] <= '~' ? value[length] : '?';
    name[length] = '\0';
}

/* --- isolation --- */

static const char *const isolation_names[] = {"read committed", "read uncommitted",
                                              "repeatable read"};

const char *isolation_name(enum isolation isolation)
{
    return isolation_names[isolation];
}

omen_status isolation_read(const char *setting, const char *value, enum isolation *out,
                           omen_error *error)
{
    for (unsigned i = 0; i < sizeof isolation_names / sizeof *isolation_names; i++)
        if (strcasecmp(value, isolation_names[i]) == 0) {
            *out = (enum isolation)i;
            return OMEN_OK;
        }
    if (strcasecmp(value, "serializable") == 0)
        return error_set(error, OMEN_NOT_SUPPORTED,
                         "isolation level SERIALIZABLE is not supported");
    return error_set(error, OMEN_INVALID_ARGUMENT, "invalid value for parameter \"%s\": \"%.200s\"",
                     setting, value);
}

omen_status settings_set(struct settings *settings, const char *name, const char *value, bool keep,
                         omen_error *error)
{
    const struct setting *setting = NULL;
    OMEN_TRY(find_setting(name, &setting, error));
    struct settings changed = *settings;
    switch (setting->kind) {
    case SETTING_FIXED:
        OMEN_TRY(set_fixed(setting, value, error));
        break;
    case SETTING_ZONE:
        if (value != NULL && (strcasecmp(value, "local") == 0 || strcasecmp(value, "default") == 0))
            value = NULL;
        OMEN_TRY(set_fixed(setting, value, error));
        break;
    case SETTING_SHOWN:
        return error_set(error, OMEN_NOT_READY, "parameter \"%s\" cannot be changed",
                         setting->name);
    case SETTING_IGNORED:
        break;
    case SETTING_ROUTE:
        changed.route = ROUTE_AUTO;
        if (value != NULL)
            OMEN_TRY(read_route(setting, value, &changed.route, error));
        break;
    case SETTING_STRICT:
        OMEN_TRY(read_switch(setting, value, false, &changed.route_strict, error));
        break;
    case SETTING_INDEX_SCANS: {
        bool used;
        OMEN_TRY(read_switch(setting, value, true, &used, error));
        changed.no_index_scans = !used;
        break;
    }
    case SETTING_COMMIT:
        OMEN_TRY(read_commit(setting, value, &changed.relaxed_commit, error));
        break;
    case SETTING_JOIN_LIMIT:
        OMEN_TRY(read_join_limit(setting, value, &changed.join_limit, error));
        break;
    case SETTING_TIMEOUT:
    case SETTING_LOCK_TIMEOUT:
    case SETTING_IDLE_TIMEOUT:
        *timeout_place(&changed, setting->kind) = 0;
        if (value != NULL)
            OMEN_TRY(read_timeout(setting, value, timeout_place(&changed, setting->kind), error));
        break;
    case SETTING_ISOLATION:
    case SETTING_DEFAULT_ISOLATION:
        *isolation_place(&changed, setting->kind) = ISOLATION_READ_COMMITTED;
        if (value != NULL)
            OMEN_TRY(isolation_read(setting->name, value, isolation_place(&changed, setting->kind),
                                    error));
        break;
    case SETTING_READ_ONLY:
    case SETTING_DEFAULT_READ_ONLY:
        OMEN_TRY(
            read_switch(setting, value, false, read_only_place(&changed, setting->kind), error));
        break;
    case SETTING_CHECKPOINT_BYTES:
    case SETTING_CHECKPOINT_TIME:
    case SETTING_CACHE_BYTES:
        return set_database(setting, value, keep, settings->storage, error);
    case SETTING_NAME:
        store_name(changed.application_name, value == NULL ? "" : value);
        break;
    }
    if (keep)
        *settings = changed;
    return OMEN_OK;
}

omen_status settings_show(const struct settings *settings, const char *name,
                          char value[SETTING_VALUE_BYTES], omen_error *error)
{
    const struct setting *setting = NULL;
    struct settings known = *settings;
    OMEN_TRY(find_setting(name, &setting, error));
    switch (setting->kind) {
    case SETTING_ROUTE:
        snprintf(value, SETTING_VALUE_BYTES, "%s", route_names[settings->route]);
        break;
    case SETTING_STRICT:
        snprintf(value, SETTING_VALUE_BYTES, "%s", settings->route_strict ? "on" : "off");
        break;
    case SETTING_INDEX_SCANS:
        snprintf(value, SETTING_VALUE_BYTES, "%s", settings->no_index_scans ? "off" : "on");
        break;
    case SETTING_COMMIT:
        snprintf(value, SETTING_VALUE_BYTES, "%s", settings->relaxed_commit ? "off" : "on");
        break;
    case SETTING_JOIN_LIMIT:
        snprintf(value, SETTING_VALUE_BYTES, "%u", settings_join_limit(settings));
        break;
    case SETTING_TIMEOUT:
    case SETTING_LOCK_TIMEOUT:
    case SETTING_IDLE_TIMEOUT:
        show_timeout(*timeout_place(&known, setting->kind), value);
        break;
    case SETTING_ISOLATION:
    case SETTING_DEFAULT_ISOLATION:
        snprintf(value, SETTING_VALUE_BYTES, "%s",
                 isolation_name(*isolation_place(&known, setting->kind)));
        break;
    case SETTING_READ_ONLY:
    case SETTING_DEFAULT_READ_ONLY:
        snprintf(value, SETTING_VALUE_BYTES, "%s",
                 *read_only_place(&known, setting->kind) ? "on" : "off");
        break;
    case SETTING_CHECKPOINT_BYTES:
    case SETTING_CACHE_BYTES:
        show_bytes(
            atomic_load_explicit(database_place(setting, settings->storage), memory_order_relaxed),
            value);
        break;
    case SETTING_CHECKPOINT_TIME:
        show_timeout(atomic_load_explicit(&settings->storage->checkpoint_ms, memory_order_relaxed),
                     value);
        break;
    case SETTING_NAME:
        snprintf(value, SETTING_VALUE_BYTES, "%s", settings->application_name);
        break;
    default: {
        const char *end = strchr(setting->values, '|');
        size_t length = end == NULL ? strlen(setting->values) : (size_t)(end - setting->values);
        snprintf(value, SETTING_VALUE_BYTES, "%.*s", (int)length, setting->values);
        break;
    }
    }
    return OMEN_OK;
}
