/* support_own.h - a table of (id BIGINT key, n INTEGER) and a transaction at work on it, for the tests
 * of own writes.
 */
#ifndef OMEN_TESTS_TABLE_SUPPORT_OWN_H
#define OMEN_TESTS_TABLE_SUPPORT_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "table/own_writes.h"
#include "table/table_private.h"

enum { ID, N };

struct fixture {
    struct allocator allocator;
    struct txn_manager *manager;
    struct schema *schema;
    struct table *table;
    struct own_writes *own;
    uint32_t command;
    uint64_t snapshot; /* of REPEATABLE READ */
};

void open_fixture(struct fixture *fixture);
void close_fixture(struct fixture *fixture); /* asserts that nothing leaked */

omen_value bigint(int64_t value);
omen_value integer(int32_t value);

/* --- statements of the transaction --- */

/* Takes the writer lock, and begins a command; finish adds what was gathered. */
struct write_set *begin(struct fixture *fixture);
omen_status finish(struct fixture *fixture, struct write_set *set, omen_error *error);

/* Gathering: rows with the ids from `first` on; another n, another id, none. */
void put(struct write_set *set, int64_t first, int32_t count, int32_t n);
omen_status set_n(struct write_set *set, int64_t id, int32_t n);
omen_status move(struct write_set *set, int64_t id, int64_t to);
omen_status take(struct write_set *set, int64_t id);

/* One statement each, and the end of the transaction. */
omen_status own_insert(struct fixture *fixture, int64_t first, int32_t count, int32_t n);
omen_status own_update(struct fixture *fixture, int64_t id, int32_t n);
omen_status own_delete(struct fixture *fixture, int64_t id);
omen_status own_commit(struct fixture *fixture);

/* --- others: rows with n = id; ids that are no multiple of `kept`; n < 0 deletes --- */

void insert(struct fixture *fixture, int64_t first, int32_t count);
void delete_most(struct fixture *fixture, int64_t first, int32_t count, int64_t kept);
void change_n(struct fixture *fixture, int64_t id, int32_t n);

/* Does all there is to do; gives how many groups were compacted. */
uint64_t maintain(struct fixture *fixture);

/* --- reading --- */

/* As a statement of `command` sees the table; as the next one would. */
struct table_view *view_at(struct fixture *fixture, const struct snapshot *snapshot, uint32_t command);
struct table_view *view_now(struct fixture *fixture);

struct totals {
    uint64_t rows;
    int64_t ids, ns; /* sums */
    uint64_t row_id; /* of the last row */
};

bool totals_equal(struct totals a, struct totals b);

/* All rows, in so many shares; the row with this id by a key lookup, if it is there. */
struct totals read_all(struct table_view *view, uint32_t shares);
struct totals read_one(struct table_view *view, int64_t id);

/* n of the row with this id, the same by all ways; -1 where there is none: in a view, and as the
 * next statement sees it. */
int32_t n_in(struct table_view *view, int64_t id);
int32_t n_of(struct fixture *fixture, int64_t id);

#endif
