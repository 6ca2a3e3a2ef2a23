/* catalog.h - the tables of a database by name.
 *
 * Names are bytes and compare exactly: folding case is the SQL front's business. A change is a
 * commit like any other: it goes through the pipeline, with a record in the log where there is one,
 * and a table has a begin and an end as rows have. Names are looked up at what is published, so a
 * table is there when its creation is durable, and not before. Every change raises the version, by
 * which plans notice that they are old.
 *
 * Concurrency: thread-safe. Changes are made under the writer lock; a readers-writer lock guards
 * the list, taken inside it. Whoever finds a table gets a reference of its own, so a drop takes the
 * name away and nothing else.
 */
#ifndef OMEN_STORE_CATALOG_H
#define OMEN_STORE_CATALOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "table/redo.h"
#include "table/table.h"
#include "txn/txn.h"

struct catalog;
struct catalog_changes;

/* Sections of the catalog in the log. Numbers are part of the file format: only ever append. */
enum catalog_redo_kind {
    REDO_CREATE_TABLE = REDO_OTHER, /* the table's definition (definition.h) */
    REDO_DROP_TABLE,                /* the table's id, 8 bytes */
};

/* An empty catalog; the manager outlives it. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status catalog_create(struct allocator *allocator, struct txn_manager *manager,
                                           struct catalog **out);

/* A table of this name that is made each time somebody finds it, and which no table can be named
 * like. `make` gives a new reference. */
struct catalog_view {
    const char *name;
    omen_status (*make)(void *context, struct table **out, omen_error *error);
};

/* Gives the catalog its views: an array that outlives it. Once, before the first use. */
void catalog_set_views(struct catalog *catalog, const struct catalog_view *views, size_t count,
                       void *context);

/* Releases every table. NULL does nothing. */
void catalog_destroy(struct catalog *catalog);

/* The table of this name, with a reference that the caller releases. Errors: UNDEFINED_TABLE, with
 * a hint at a name that is near. */
OMEN_MUST_CHECK omen_status catalog_find(struct catalog *catalog, const char *name, size_t length,
                                         struct table **out, omen_error *error);

/* The same as whoever made `changes` (may be NULL) sees it. */
OMEN_MUST_CHECK omen_status catalog_find_in(struct catalog *catalog,
                                            const struct catalog_changes *changes, const char *name,
                                            size_t length, struct table **out, omen_error *error);

/* Hints at the table that may have been meant by a name that is none: looks at the names of tables
 * that there are, a few thousand of them at most. `error` may be NULL. */
void catalog_suggest(struct catalog *catalog, const char *name, size_t length, omen_error *error);

/* Makes an empty table (schema retained) and lists it. Takes the writer lock and waits until that
 * is durable. Errors: DUPLICATE_TABLE, OUT_OF_MEMORY; those of the log, COMMIT_UNKNOWN among them.
 */
OMEN_MUST_CHECK omen_status catalog_add(struct catalog *catalog, const char *name,
                                        struct schema *schema, omen_error *error);

/* Lists a table that was made beforehand and is known to nobody else, and does what `rows` does to
 * it, in one commit: both are there, or neither. The caller holds the writer lock, gives it up and
 * waits for the ticket. Retains the table. Errors: as catalog_add and of the participant; then the
 * table is good for nothing. */
OMEN_MUST_CHECK omen_status catalog_add_filled(struct catalog *catalog, struct table *table,
                                               const struct txn_participant *rows,
                                               enum txn_durability durability,
                                               struct txn_ticket *ticket, omen_error *error);

/* Raised by every change that was published. Acquire: a reader that sees a version sees the change
 * it stands for. */
uint64_t catalog_version(struct catalog *catalog);

/* Where the version stands, for who asks each time a statement runs: acquire, as above. */
const atomic_uint_fast64_t *catalog_version_place(const struct catalog *catalog);

/* All tables now, each with a reference, in an array from the allocator of `catalog`; give it
 * back by catalog_list_release. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status catalog_list(struct catalog *catalog, struct table ***tables,
                                         size_t *count);

/* The same as whoever made `changes` (may be NULL) sees it. */
OMEN_MUST_CHECK omen_status catalog_list_in(struct catalog *catalog,
                                            const struct catalog_changes *changes,
                                            struct table ***tables, size_t *count);

/* Those that are there at `timestamp`, which is published or will be, and is the newest. The caller
 * holds the writer lock. */
OMEN_MUST_CHECK omen_status catalog_list_at(struct catalog *catalog, uint64_t timestamp,
                                            struct table ***tables, size_t *count);
void catalog_list_release(struct catalog *catalog, struct table **tables, size_t count);

/* --- changes of a transaction: private until they are committed. One thread --- */

/* No changes yet. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status catalog_changes_create(struct catalog *catalog,
                                                   struct catalog_changes **out);
void catalog_changes_destroy(struct catalog_changes *changes); /* NULL does nothing */

/* The table, known to nobody else, is to be listed; retained. The caller has found out that its
 * name is free, and sees to it that it stays so (a lock). Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status catalog_changes_add(struct catalog_changes *changes,
                                                struct table *table);

/* A table that catalog_find gave with these changes is to go; retained. Nobody else may do anything
 * to it meanwhile (a lock). Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status catalog_changes_drop(struct catalog_changes *changes,
                                                 struct table *table);

/* Undoes all changes after the first `count`. */
size_t catalog_changes_count(const struct catalog_changes *changes); /* NULL: 0 */
void catalog_changes_undo(struct catalog_changes *changes, size_t count);

/* Whether these changes take the table away, or take back that it was made. */
bool catalog_changes_drops(const struct catalog_changes *changes, const struct table *table);

/* The changes as a participant of a commit: before those of the rows of new tables. They are good
 * for one try. Errors of committing: DUPLICATE_TABLE, UNDEFINED_TABLE where somebody was faster. */
struct txn_participant catalog_changes_participant(struct catalog_changes *changes);

/* Commits them by themselves: takes the writer lock, and waits until they are durable and
 * published. Errors: those of committing; of the log. */
OMEN_MUST_CHECK omen_status catalog_commit(struct catalog_changes *changes, omen_error *error);

/* --- what is persistent. The caller is alone (opening), or holds the writer lock. --- */

/* Above every table id that was given out. */
uint64_t catalog_id_next(const struct catalog *catalog);
void catalog_set_id_next(struct catalog *catalog, uint64_t id);

/* Lists a table that the manifest names. It is not retained beyond the catalog's own reference.
 * Errors: CORRUPTED where the name or the id is taken; OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status catalog_restore(struct catalog *catalog, struct table *table,
                                            omen_error *error);

/* The table of this id, borrowed, or NULL: `*known` says whether the id was ever given out, so that
 * the table has been dropped. */
struct table *catalog_find_id(struct catalog *catalog, uint64_t id, bool *known);

/* Does again what a section of the log says (redo.h): of kind REDO_CREATE_TABLE or REDO_DROP_TABLE.
 * Errors: CORRUPTED, OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status catalog_replay(struct catalog *catalog, uint8_t kind, const void *body,
                                           size_t length, omen_error *error);

#endif
