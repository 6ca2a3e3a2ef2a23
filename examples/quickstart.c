/* quickstart.c - OmenDB from C in one page: a table, a row by its key, an aggregate over the same
 * rows through the same connection.
 *
 *   cc quickstart.c $(pkg-config --cflags --libs omendb) && ./a.out
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "omendb.h"

static omen_error error;

static void check(omen_status status)
{
    if (status == OMEN_OK)
        return;
    fprintf(stderr, "%s (%s)\n", error.message, error.sqlstate);
    exit(status == OMEN_ENGINE_MISSING ? 77 : 1);
}

/* Runs one statement and prints its rows. */
static void run(omen_connection *connection, const char *sql)
{
    omen_statement *statement;
    omen_status status;
    printf("%s\n", sql);
    check(omen_prepare(connection, sql, SIZE_MAX, &statement, &error));
    check(omen_execute(statement, NULL, 0, &error));
    while ((status = omen_step(statement, &error)) == OMEN_OK) {
        for (size_t i = 0; i < omen_statement_column_count(statement); i++) {
            char text[256];
            size_t length;
            omen_value value = omen_statement_value(statement, i);
            if (omen_value_to_text(&value, text, sizeof text, &length) == OMEN_OK)
                printf("  %s = %.*s", omen_statement_column_name(statement, i), (int)length, text);
        }
        printf("   (route: %s)\n", omen_statement_route(statement));
    }
    if (status != OMEN_END_OF_DATA)
        check(status);
    omen_statement_release(statement);
}

int main(void)
{
    omen_database *database;
    omen_connection *connection;
    check(omen_open(":memory:", NULL, &database, &error));
    check(omen_connect(database, &connection, &error));

    run(connection, "CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT NOT NULL, age INTEGER)");

    /* A thousand rows, prepared once. */
    omen_statement *insert;
    check(omen_prepare(connection, "INSERT INTO users VALUES ($1, $2, $3)", SIZE_MAX, &insert,
                       &error));
    for (int64_t id = 0; id < 1000; id++) {
        char name[32];
        int length = snprintf(name, sizeof name, "user %" PRId64, id);
        omen_value values[] = {
            {.type.id = OMEN_TYPE_BIGINT, .as.i64 = id},
            {.type.id = OMEN_TYPE_TEXT, .as.bytes = {(const uint8_t *)name, (size_t)length}},
            {.type.id = OMEN_TYPE_INTEGER, .as.i32 = (int32_t)(18 + id % 60)},
        };
        check(omen_execute(insert, values, 3, &error));
    }
    omen_statement_release(insert);

    /* The learned index answers this one ... */
    run(connection, "SELECT * FROM users WHERE id = 42");
    /* ... and vectorised execution this one, over the same rows at their newest state. */
    run(connection, "SELECT count(*) AS adults, avg(age) AS mean_age FROM users WHERE age >= 21");

    omen_disconnect(connection);
    check(omen_close(database, &error));
    return 0;
}
