/* lock_views.h - omen_locks and omen_transactions: who waits for whom, and who keeps what. */
#ifndef OMEN_STORE_LOCK_VIEWS_H
#define OMEN_STORE_LOCK_VIEWS_H

#include "base/status.h"
#include "table/table.h"

#define LOCKS_VIEW_NAME        "omen_locks"
#define TRANSACTIONS_VIEW_NAME "omen_transactions"

/* Make the views as of now (catalog_view): a row for each lock held or waited for, an object's
 * together; and one for each transaction, ascending. `context` is the struct database. Any thread.
 * Errors: OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status locks_view_make(void *context, struct table **out, omen_error *error);
OMEN_MUST_CHECK omen_status transactions_view_make(void *context, struct table **out,
                                                   omen_error *error);

#endif
