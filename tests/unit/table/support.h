/* support.h - a table beside a plain model of it, for the tests of src/table.
 *
 * The model keeps every version ever committed with begin and end, so it can say what any snapshot
 * sees. A row is determined by three numbers that are columns of it: `kid` names its key, `tag`
 * and `tag2` its other columns (all types, NULLs among them). Each change draws a new number for
 * tag or tag2, so the larger of the two names the version.
 *
 * The support functions fail the running test (cmocka) where table and model differ.
 */
#ifndef OMEN_TESTS_TABLE_SUPPORT_H
#define OMEN_TESTS_TABLE_SUPPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/allocator.h"
#include "table/table.h"
#include "txn/txn.h"

enum key_kind {
    KEY_BIGINT,
    KEY_TEXT,
    KEY_PAIR,  /* (SMALLINT, INTEGER): one word */
    KEY_MIXED, /* (TEXT, BIGINT): bytes */
    KEY_DOUBLE,
    KEY_DECIMAL,
    KEY_UUID,
    KEY_HIDDEN,
    KEY_KINDS
};

enum {
    COLUMN_KID,
    COLUMN_TAG,
    COLUMN_TAG2,
    COLUMN_FIRST_TYPE, /* one column of each type from here; the first half follows tag */
    COLUMN_FIRST_TAG2 = COLUMN_FIRST_TYPE + 7, /* and these follow tag2 */
    COLUMN_K1 = COLUMN_FIRST_TYPE + 15,
    COLUMN_K2,
    COLUMN_COUNT
};

struct version {
    int32_t kid;
    int64_t tag, tag2;
    uint64_t begin, end;
    int64_t older; /* version of the same kid before, 0 = none */
};

struct model {
    enum key_kind kind;
    struct allocator allocator;
    struct txn_manager *manager;
    struct schema *schema;
    struct table *table;
    struct version *versions; /* by the larger tag; 0 unused */
    int64_t version_count, version_capacity;
    int64_t *newest; /* by kid; 0 = never there */
    int32_t kid_capacity;
    int64_t tag_next;
};

void model_open(struct model *model, enum key_kind kind);
void model_close(struct model *model); /* asserts that nothing leaked */

/* The types of the columns from COLUMN_FIRST_TYPE on, and of K1 (part 0) and K2 (part 1). */
extern const omen_type test_type_columns[COLUMN_K1 - COLUMN_FIRST_TYPE];
omen_type test_key_type(enum key_kind kind, int part);

/* A row's values; text lives in the structure. */
struct test_row {
    omen_value values[COLUMN_COUNT];
    char text[COLUMN_COUNT][64];
};
void test_row_fill(const struct model *model, int32_t kid, int64_t tag, int64_t tag2,
                   struct test_row *row);

/* The key of `kid`; returns how many values. Text lives in `row`. */
uint32_t test_key_fill(const struct model *model, int32_t kid, struct test_row *row,
                       omen_value *key);

bool value_equal(const omen_value *a, const omen_value *b);

/* The version of `kid` that is live now, or NULL. */
struct version *model_live(struct model *model, int32_t kid);
/* The version a snapshot sees, or NULL. */
struct version *model_at(struct model *model, int32_t kid, uint64_t snapshot);
uint64_t model_count(const struct model *model, uint64_t snapshot);
int32_t model_hidden_next(const struct model *model);

/* What was committed later never happened: after a power cut. */
void model_forget(struct model *model, uint64_t timestamp);

/* --- a transaction --- */

struct test_change {
    int32_t old_kid; /* ended; -1 = none */
    int32_t new_kid; /* begun; -1 = none */
    int64_t tag, tag2;
};

struct test_txn {
    struct model *model;
    struct write_set *set;
    struct test_change *changes;
    size_t count, capacity;
};

/* Takes the writer lock. The set is new, or has held other rows before. Every function gives the table's status; OUT_OF_MEMORY changes nothing.
 * NOT_FOUND is checked against the model. */
omen_status test_txn_begin(struct model *model, struct test_txn *txn);
omen_status test_txn_insert(struct test_txn *txn, int32_t kid);
omen_status test_txn_insert_arrow(struct test_txn *txn, const int32_t *kids, uint32_t count);
/* columns: 0 = those of tag, 1 = those of tag2, 2 = all. new_kid = kid keeps the key. */
omen_status test_txn_update(struct test_txn *txn, int32_t kid, int32_t new_kid, int columns);
omen_status test_txn_delete(struct test_txn *txn, int32_t kid);
/* Commits and checks the outcome against the model, which follows. Ends the transaction unless
 * memory ran out: then it can be committed again, or rolled back. */
omen_status test_txn_commit(struct test_txn *txn, omen_error *error);
/* Commits as far as the pipeline goes without waiting: with a log it is then in flight. The model
 * follows at once; txn_wait waits for the ticket. */
omen_status test_txn_launch(struct test_txn *txn, enum txn_durability durability,
                            struct txn_ticket *ticket);
void test_txn_rollback(struct test_txn *txn);

/* --- one-statement transactions that must succeed --- */
void model_insert(struct model *model, int32_t first, int32_t count);
void model_update(struct model *model, int32_t kid, int32_t new_kid);
void model_delete(struct model *model, int32_t kid);

/* --- checks --- */

/* Reads one value of an Arrow struct array's child. */
void arrow_read(const omen_type *type, const struct ArrowArray *array, int64_t row,
                omen_value *out);

/* Drains a stream over all columns and compares with what `snapshot` sees. With predicates, only
 * rows that pass. OUT_OF_MEMORY is passed on. Releases the stream. */
omen_status check_stream(struct model *model, struct ArrowArrayStream *stream,
                         uint64_t snapshot, const omen_predicate *predicates, size_t count);

/* Opens the scan and checks it. */
omen_status check_scan(struct model *model, struct table_view *view, uint64_t snapshot,
                       const omen_predicate *predicates, size_t count, bool key_lookup);

omen_status check_point(struct model *model, const struct snapshot *snapshot, int32_t kid);

/* Full scan, every key up to kid_max, validator: all at a new snapshot. */
void check_all(struct model *model, int32_t kid_max);
void check_valid(struct model *model);

/* Maintains until there is nothing to do. */
void maintain_fully(struct model *model, struct maintain_report *report);

/* 0, 1, ..., COLUMN_COUNT - 1. */
void all_columns(uint32_t *columns);

#endif
