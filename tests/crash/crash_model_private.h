/* crash_model_private.h - what the files of the model share. */
#ifndef OMEN_TESTS_CRASH_MODEL_PRIVATE_H
#define OMEN_TESTS_CRASH_MODEL_PRIVATE_H

#include "crash/crash_model.h"

enum {
    TEXT_BYTES = 1600,
    VALUE_COLUMNS = 4, /* behind the key's */
};

extern const char *const model_table_names[MODEL_TABLES], *const model_table_texts[MODEL_TABLES];

uint32_t model_key_columns(int table);

/* The key's values; static. */
const omen_value *model_key_values(int table, uint32_t key);

/* The columns behind the key, which follow from the version. `text` is borrowed by them. */
void model_version_values(uint64_t version, omen_value *values, char text[static TEXT_BYTES]);

void model_state_define(struct model_state *state, int table, bool exists);
void model_state_apply(struct model_state *state, const struct model_commit *commit);

/* What writers see: the base and all pending commits. */
struct model_state model_newest(const struct model *model);

/* The place of the next pending commit, empty; the caller counts it. */
struct model_commit *model_begin_commit(struct model *model);

/* What becomes of the last pending commit now that its call has returned. Gives `status`. */
omen_status model_end_commit(struct model *model, omen_status status, bool durable);

void model_add_change(struct model_commit *commit, enum model_change_kind kind, int table,
                      uint32_t key, uint64_t version);

/* A version for a row of the table, which no row of it has where its constraints want that. */
uint64_t model_choose_version(const struct model_state *state, int table, struct random *random);

/* Whether constraints refuse what is there already (crash_unique.c); why not in `text`. */
bool model_refuses_duplicates(omen_connection *connection, const struct model_state *state,
                              char *text, size_t text_bytes);

/* The model never takes a key that is taken: stops where the database says otherwise. */
void model_check_outcome(omen_status status, const omen_error *error);

/* Random changes of one table, in `state` too; each key at most once. */
void model_choose_changes(struct model_commit *commit, struct model_state *state, int table,
                          struct random *random);

#endif
