/* own_writes_model.h - a table with one transaction at work on it, beside a plain model: what is
 * committed at every moment, what the transaction has written, and what each view must see.
 *
 * The functions fail the running test (cmocka) where table and model differ.
 */
#ifndef OMEN_TESTS_OWN_WRITES_MODEL_H
#define OMEN_TESTS_OWN_WRITES_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "fake_log.h"
#include "table/own_writes.h"
#include "table/table_private.h"

enum { K, N, PAD, COLUMNS };
enum { KEYS = 300, READERS = 6, SAVEPOINTS = 4, OPS_MAX = 12, TABLE_ID = 300 };
enum kind { WORDS, TEXTS, HIDDEN, KINDS };

#define UNTOUCHED (-1)

/* By key: the number of the version that is there, 0 = none; in what a transaction has written also
 * UNTOUCHED. */
struct rows {
    int32_t n[KEYS];
};

struct moment {
    uint64_t timestamp;
    struct rows rows;
};

struct reader {
    struct table_view *view; /* NULL: none */
    struct rows expected;
    uint32_t transaction, command;
    uint64_t row_ids[KEYS]; /* once it was read whole; 0 = not seen */
    bool read;
};

struct savepoint {
    struct own_mark mark;
    uint32_t command; /* the last one then, */
    struct rows before, rows; /* what it saw, and what it left */
};

struct run {
    enum kind kind;
    struct random random;
    struct allocator allocator;
    struct txn_manager *manager;
    struct schema *schema;
    struct table *table;
    struct fake_log log;

    struct moment *history; /* one for each commit */
    size_t moments, moment_capacity;
    uint64_t changed_at[KEYS];
    int32_t next_n;
    int32_t next_key; /* of a hidden one */

    uint32_t transaction; /* its number */
    struct own_writes *own; /* NULL: none is open */
    bool repeatable;
    struct snapshot snapshot; /* REPEATABLE READ */
    uint32_t command;
    struct rows written;
    struct rows written_before; /* what the last command saw */
    struct savepoint savepoints[SAVEPOINTS];
    uint32_t savepoint_count;

    struct reader readers[READERS];
    struct maintain_report report;
    uint64_t commits, rollbacks, undone, duplicates, conflicts, failures;
};

static inline uint64_t below(struct run *run, uint64_t bound)
{
    return random_below(&run->random, bound);
}

void open_run(struct run *run, enum kind kind, uint64_t seed);
void close_run(struct run *run); /* no transaction is open any more; asserts that nothing leaked */

/* What is committed now, and the commit that made it so. */
const struct rows *committed(const struct run *run);
void remember(struct run *run, const struct rows *rows);

struct text {
    char bytes[96];
};

/* The key column, and a row; text lives in what is passed. */
omen_value key_value(const struct run *run, int32_t k, struct text *text);
void fill_row(const struct run *run, int32_t k, int32_t n, omen_value *row, struct text *texts);
struct index_key encode(const struct run *run, int32_t k, struct arena *arena);

/* What a statement's snapshot is, and what the statement sees at it. */
void statement_snapshot(struct run *run, struct snapshot *out);
struct rows seen_at(const struct run *run, const struct rows *written, uint64_t snapshot);

/* Fails one of the next allocations, now and then; whether that is what a call came back with. */
void sabotage(struct run *run);
bool memory_ran_out(struct run *run, omen_status status);

/* Opens or closes a view, or reads one; opens one and reads it at once. */
void step_reader(struct run *run);
void step_fresh_reader(struct run *run);
void reader_close(struct reader *reader);

/* Reads single keys. */
void step_points(struct run *run);

/* Compares with what is committed. */
void check_table(struct run *run, struct table *table, struct txn_manager *manager);

#endif
