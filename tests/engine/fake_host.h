/* fake_host.h - a core made of a few rows, for driving a SQL engine through its ABI.
 *
 * Tables by name:
 *   t             8 rows: id bigint (key, not null), name text, amount bigint, flag boolean
 *   big           FAKE_BIG_ROWS rows of the same columns, computed; delivered in partitions
 *   failing       delivers one batch, then fails with XX001
 *   failing_big   the same in each partition, with the estimate of a large table
 *   unopenable    scan_open fails with 58030
 *   short_batch   batches with too few children
 *   null_format   table_schema gives a column without a format (arrow-rs asserts: a panic)
 *   typed         no rows, one column of each type; what is pushed is noted in predicate_text
 *   drip          as t, one row a batch, so that dynamic filters have time to come
 *   plain         as t, but the host applies no predicate at all
 *   fickle        as t, but a predicate is EXACT only the first time it is asked about
 *   null_buffers  batches whose children have no buffer array (arrow-rs asserts: a panic)
 * Every other name is undefined.
 *
 * What a scan is told to prune by is applied as if it were a predicate, to every row that comes
 * after: an engine that asks for more than it may loses rows.
 *
 * The host applies every predicate on id, amount and flag, and tests for NULL on all columns. It
 * applies none on name, so those must stay in the engine. What was asked of it last, and how much
 * of what it handed out is still alive, is in `struct fake_host`. Thread-safe.
 */
#ifndef TEST_FAKE_HOST_H
#define TEST_FAKE_HOST_H

#include <stdatomic.h>

#include "omendb_engine.h"

#define FAKE_BIG_ROWS 200000
#define FAKE_ASKS_MAX 20000 /* of an endless function, one a millisecond */
#define FAKE_NAME_LONG "a name that does not fit into a view"
#define FAKE_UNDEFINED_MESSAGE "relation \"%s\" does not exist"

struct fake_host {
    /* What the last query asked for; reset it by fake_host_reset. */
    atomic_int scan_count;
    atomic_int predicate_count; /* of the last scan */
    atomic_int column_count;    /* of the last scan */
    atomic_int partition_count; /* of the last scan */
    atomic_int partitions_seen; /* scans with partition > 0 */
    atomic_int prune_count;     /* calls of scan_prune with predicates */
    atomic_llong rows_pruned;   /* left out because of them */
    atomic_llong partition_rows[2]; /* delivered by the first shares */
    atomic_llong limit;         /* of the last scan; -1 = none */
    atomic_llong rows_delivered;
    atomic_int resolve_count;
    atomic_int calls_stopped; /* functions that saw that nobody wants their result */
    char predicate_text[512]; /* the last scan's, e.g. "price >= 150(10,2); day = -1" */

    /* For tests to set; kept by fake_host_reset. */
    atomic_llong rows_missing; /* the small tables' last rows that are not there */
    atomic_llong generation;   /* raised: other tables under the same names */
    atomic_bool call_endless;  /* functions of columns compute until they are stopped */

    const void *values[4]; /* addresses of the last batch's values, by the table's column */

    /* Handed out and not released. */
    atomic_int tables_alive;
    atomic_int cursors_alive;
    atomic_int arrays_alive;
};

extern struct fake_host fake_host;

/* The functions to open an engine with. Static. */
const omen_engine_host *fake_host_functions(void);

/* A statement handle to pass to query and explain. */
omen_engine_statement *fake_host_statement(void);

/* Forgets what was asked; what is alive stays counted. */
void fake_host_reset(void);

#endif
