/* storage_view.h - omen_storage: one row about what the database keeps, in memory and on disk. */
#ifndef OMEN_STORE_STORAGE_VIEW_H
#define OMEN_STORE_STORAGE_VIEW_H

#include "base/status.h"
#include "table/table.h"

#define STORAGE_VIEW_NAME "omen_storage"

/* Makes the view as of now: a table of its own that nobody can change, with one row; the caller has
 * the one reference. `context` is the struct database. Any thread. Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status storage_view_make(void *context, struct table **out, omen_error *error);

#endif
