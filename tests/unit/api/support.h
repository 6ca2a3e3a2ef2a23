/* support.h - what the tests of the embedded API share: a database, and results as text. */
#ifndef OMEN_TESTS_API_SUPPORT_H
#define OMEN_TESTS_API_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "omendb.h"

struct fixture {
    omen_database *database;
    omen_connection *connection;
};

/* Opens a database in memory with file access; fails the test where that fails. */
struct fixture fixture_open(void);

/* The same with options of the test's own. */
struct fixture fixture_open_with(const omen_options *options);

/* One whose engine is missing, so that what needs it fails with 58000. */
struct fixture fixture_open_without_engine(void);

/* A folder of the test's own, made and removed by these (setup and teardown of a test), and the
 * path of a database in it. */
extern char test_folder[64], test_path[96];
int make_folder(void **state);
int remove_folder(void **state);

/* Opens the database at test_path, of plain segments and without work in the background, so that no
 * engine is needed. The second fails the test where that fails. */
struct os;
omen_status try_open_plain(const struct os *os, struct fixture *fixture, omen_error *error);
struct fixture open_plain(const struct os *os);

/* Closes it and fails the test where memory is left. */
void fixture_close(struct fixture *fixture);

/* Runs one statement and gives its rows as text: values separated by |, rows ended by \n, NULL
 * as "null". A statement that writes gives "n rows\n" where n > 0. A failure gives
 * "ERROR sqlstate". The result is in a static buffer until the next call on this thread. */
const char *run(omen_connection *connection, const char *sql);

/* As run, for a prepared statement. */
const char *run_prepared(omen_statement *statement, const omen_value *parameters, size_t count);

/* As run, through omen_query and its Arrow stream; a row count alone: "n rows\n". */
uint64_t query_rows(omen_connection *connection, const char *sql);

/* Fails the test, showing both, where the result is not the expected. */
void expect(omen_connection *connection, const char *sql, const char *expected);

/* Inserts the row of table `from` with this INTEGER key into table `into`, by Arrow; `error` tells
 * whether that failed. */
void insert_arrow_of(omen_connection *connection, const char *from, int32_t id, const char *into,
                     omen_error *error);

/* The message of the last failure that run saw. */
const omen_error *last_error(void);

omen_counters counters_of(omen_connection *connection);

omen_value value_bigint(int64_t value);
omen_value value_integer(int32_t value);
omen_value value_smallint(int16_t value);
omen_value value_double(double value);
omen_value value_real(float value);
omen_value value_text(const char *text);
omen_value value_null(void);
omen_value value_decimal(int64_t unscaled, uint8_t precision, int8_t scale);

#endif
