/* engine_fixture.h - databases with a SQL engine, for the tests of what goes through it. */
#ifndef OMEN_TESTS_ENGINE_FIXTURE_H
#define OMEN_TESTS_ENGINE_FIXTURE_H

#include "../unit/api/support.h"

/* A database in memory whose engine, on two threads, is the library at `path`. */
struct fixture open_with(const char *path);

/* Appends (i, 'row i', i % 10) for `count` numbers i from `first` to a table of (BIGINT, TEXT,
 * INTEGER). */
void insert_rows(omen_connection *connection, const char *table, int first, int count);

#endif
