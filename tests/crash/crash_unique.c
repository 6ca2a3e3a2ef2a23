/* crash_unique.c - unique constraints of the model's tables.
 *
 *   numbers: UNIQUE (v)     names: UNIQUE (note, v), which is NULL in part for some versions
 *
 * The indexes of constraints lie in no file. So every opened database has to find out again which keys
 * are taken. Versions of these tables are drawn from few, never one that is there: a key becomes free and
 * is taken again all the time, also from one row to another within a commit. That must never be refused,
 * and a version that is there must be.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "crash/crash_model_private.h"

enum {
    UNIQUE_TABLES = 2, /* the first ones */
    FEW_VERSIONS = 2 * MODEL_KEYS,
    COLUMNS_MAX = 6,
};

static bool has_version(const struct model_state *state, int table, uint64_t version)
{
    bool has = false;
    for (uint32_t key = 0; key < MODEL_KEYS && !has; key++)
        has = state->versions[table][key] == version;
    return has;
}

uint64_t model_choose_version(const struct model_state *state, int table, struct random *random)
{
    uint64_t few = 1 + random_below(random, FEW_VERSIONS);
    if (table < UNIQUE_TABLES && !has_version(state, table, few))
        return few;
    return FEW_VERSIONS + 1 + random_below(random, UINT64_C(1) << 48);
}

/* A key that has no row, or MODEL_KEYS; and a version that is whole in the constraint, or 0. */
static uint32_t find_probe(const struct model_state *state, int table, uint64_t *version)
{
    uint32_t free = MODEL_KEYS;
    *version = 0;
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        uint64_t there = state->versions[table][key];
        if (there == 0)
            free = key;
        else if (table == 0 || there % 5 != 0) /* its note is not NULL */
            *version = there;
    }
    return free;
}

static bool refuses(omen_connection *connection, const struct model_state *state, int table,
                    char *text, size_t text_bytes)
{
    char value_text[TEXT_BYTES];
    omen_value values[COLUMNS_MAX];
    omen_error error;
    uint64_t version;
    uint32_t keys = model_key_columns(table), key = find_probe(state, table, &version);
    if (!state->exists[table] || key == MODEL_KEYS || version == 0)
        return true;
    memcpy(values, model_key_values(table, key), keys * sizeof *values);
    model_version_values(version, values + keys, value_text);
    omen_status status = omen_insert(connection, model_table_names[table], values, 1, &error);
    if (status != OMEN_OK)
        return true; /* or it was the disk's, or the memory's */
    snprintf(text, text_bytes, "%s: v %" PRIu64 " is taken, and was taken again",
             model_table_names[table], version);
    return false;
}

bool model_refuses_duplicates(omen_connection *connection, const struct model_state *state,
                              char *text, size_t text_bytes)
{
    bool all = true;
    for (int table = 0; table < UNIQUE_TABLES && all; table++)
        all = refuses(connection, state, table, text, text_bytes);
    return all;
}

void model_check_outcome(omen_status status, const omen_error *error)
{
    if (status != OMEN_DUPLICATE_KEY)
        return;
    fprintf(stderr, "a change was refused that takes no key that is taken: %s\n",
            error == NULL ? "" : error->message);
    OMEN_ASSERT(status != OMEN_DUPLICATE_KEY);
}
