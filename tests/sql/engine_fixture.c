/* engine_fixture.c - databases with a SQL engine, for tests. */
#include "engine_fixture.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture open_with(const char *path)
{
    omen_options options;
    omen_options_init(&options);
    options.engine_path = path;
    options.engine_thread_count = 2;
    return fixture_open_with(&options);
}

void insert_rows(omen_connection *connection, const char *table, int first, int count)
{
    omen_value *values = calloc((size_t)count * 3, sizeof *values);
    char (*names)[16] = calloc((size_t)count, sizeof *names);
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "row %d", first + i);
        values[3 * i] = value_bigint(first + i);
        values[3 * i + 1] = value_text(names[i]);
        values[3 * i + 2] = value_integer((first + i) % 10);
    }
    assert_int_equal(omen_insert(connection, table, values, (size_t)count, NULL), OMEN_OK);
    free(values);
    free(names);
}
