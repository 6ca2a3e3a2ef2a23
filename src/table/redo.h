/* redo.h - what a commit says in the log: sections, and how they are applied again.
 *
 *   commit:   timestamp (8 bytes) | section | section | ...
 *   section:  kind (1 byte) | length of the body (varint) | body
 *
 * Sections are applied in their order. Those of rows name keys, never row ids, so that they mean
 * the same whatever has been compacted since. docs/FILE_FORMAT.md has the layout of every section.
 *
 *     replay_data, replay_data, ... replay_commit     a commit
 *     replay_data, ...              replay_discard    one that never ended: as if it had not begun
 *
 * Several commits are gathered and applied at once, at the timestamp of the last: only what they
 * leave behind counts, because nobody reads before replay_finish.
 */
#ifndef OMEN_TABLE_REDO_H
#define OMEN_TABLE_REDO_H

#include "table/table.h"

enum redo_kind {
    REDO_ROWS = 1,   /* rows: each replaces the row of its key, if there is one */
    REDO_ENDS = 2,   /* keys whose rows end */
    REDO_OTHER = 64, /* from here on: not of tables */
};

/* For participants other than tables: the head of a section, which is followed by its body. */
uint64_t redo_head_bytes(uint64_t body_bytes);
void redo_put_head(struct txn_redo *redo, uint8_t kind, uint64_t body_bytes);

/* What replaying needs of its caller. */
struct replay_hooks {
    void *context;
    /* The table of this id (borrowed until the next call of a hook). NULL, with OK: it has been
     * dropped since, and its rows do not matter. */
    omen_status (*find)(void *context, uint64_t table_id, struct table **out, omen_error *error);
    /* A section of kind REDO_OTHER or above, whole and of a commit that has ended. Everything
     * before it has been applied. */
    omen_status (*other)(void *context, uint64_t timestamp, uint8_t kind, const void *body,
                         size_t length, omen_error *error);
};

struct replay;

/* The caller is alone with the tables until replay_finish; the manager has no log yet.
 * Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status replay_create(struct allocator *allocator, struct txn_manager *manager,
                                          const struct replay_hooks *hooks, struct replay **out);

/* A piece of a commit, of any length; read during the call.
 * Errors, also of the other calls: CORRUPTED where the bytes are no commit or cannot be applied to
 * what is there; what the hooks return; OUT_OF_MEMORY. After an error only replay_destroy. */
OMEN_MUST_CHECK omen_status replay_data(struct replay *replay, const void *bytes, size_t length,
                                        omen_error *error);
OMEN_MUST_CHECK omen_status replay_commit(struct replay *replay, omen_error *error);
void replay_discard(struct replay *replay);

/* Applies what has been gathered. The manager's time is then that of the last commit. */
OMEN_MUST_CHECK omen_status replay_finish(struct replay *replay, omen_error *error);
void replay_destroy(struct replay *replay); /* NULL does nothing */

/* Commits and rows (ended ones too) since replay_create. */
uint64_t replay_commit_count(const struct replay *replay);
uint64_t replay_row_count(const struct replay *replay);

#endif
