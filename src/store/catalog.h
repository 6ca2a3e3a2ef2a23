/* catalog.h - the tables of a database by name.
 *
 * Names are bytes and compare exactly: folding case is the SQL front's business. Every change
 * raises the version, by which plans notice that they are old.
 *
 * Concurrency: thread-safe; a readers-writer lock guards the list. Whoever finds a table gets a
 * reference of its own, so a drop takes the name away and nothing else.
 */
#ifndef OMEN_STORE_CATALOG_H
#define OMEN_STORE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "table/table.h"

struct catalog;

/* An empty catalog. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status catalog_create(struct allocator *allocator, struct catalog **out);

/* Releases every table. NULL does nothing. */
void catalog_destroy(struct catalog *catalog);

/* The table of this name, with a reference that the caller releases. Errors: UNDEFINED_TABLE. */
OMEN_MUST_CHECK omen_status catalog_find(struct catalog *catalog, const char *name, size_t length,
                                         struct table **out, omen_error *error);

/* Lists the table under its name (retained). Errors: DUPLICATE_TABLE, OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status catalog_add(struct catalog *catalog, struct table *table,
                                        omen_error *error);

/* Takes all the names away, or none. With `missing_ok` names that are not there are passed over;
 * a name given twice counts once. Errors: UNDEFINED_TABLE. */
OMEN_MUST_CHECK omen_status catalog_remove(struct catalog *catalog, const char *const *names,
                                           size_t count, bool missing_ok, omen_error *error);

/* Raised by every change. Acquire: a reader that sees a version sees the change it stands for. */
uint64_t catalog_version(const struct catalog *catalog);

/* All tables now, each with a reference, in an array from the allocator of `catalog`; give it
 * back by catalog_list_release. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status catalog_list(struct catalog *catalog, struct table ***tables,
                                         size_t *count);
void catalog_list_release(struct catalog *catalog, struct table **tables, size_t count);

#endif
