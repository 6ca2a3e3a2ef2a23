/* simulate_remake.c - a table that is dropped and made again in transactions, beside sessions that read it.
 *
 *   makers    BEGIN; DROP TABLE remade; CREATE TABLE remade ..; INSERT (1, n), (2, n); COMMIT, or ROLLBACK
 *   watcher   alone: SELECT v WHERE id = 1 gives one row, and n never goes back
 *             in a transaction: rows 1 and 2 have one n, since the first read locks the table
 *
 * A REPEATABLE READ transaction whose snapshot is older than the table sees it empty.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "simulate.h"

enum { MAKE_NS_MAX = 300 * 1000 * 1000, WATCH_NS_MAX = 20 * 1000 * 1000, ATTEMPTS_MAX = 20, NONE = -1, SESSIONS = 3 };

struct remaking {
    struct episode *episode;
    int64_t newest;         /* n, which only the maker that has dropped the table raises */
    int64_t last_committed; /* n; its maker has been told so */
    omen_connection *connections[SESSIONS]; /* the last is the watcher's */
    pthread_t threads[SESSIONS];
};

static struct remaking world;

static void complain(const char *what, const char *more)
{
    printf("remade: %s: %s\n", what, more);
    atomic_fetch_add(&world.episode->shared.violations, 1);
    atomic_store(&world.episode->shared.stop, true);
}

/* What every statement may meet. */
static bool allowed(const omen_error *error)
{
    bool disturbed = strcmp(error->sqlstate, "53200") == 0 || strcmp(error->sqlstate, "57014") == 0;
    return (disturbed && world.episode->shared.options.disturbed) || strcmp(error->sqlstate, "40P01") == 0;
}

/* Runs a statement; `value` (may be NULL) gets the one number it gives, or NONE. False where it failed as it may,
 * and also where it must not, which is told. */
static bool run(omen_connection *connection, const char *sql, int64_t *value)
{
    omen_error error = {.message = ""};
    omen_statement *statement = NULL;
    if (value != NULL)
        *value = NONE;
    omen_status status = omen_prepare(connection, sql, SIZE_MAX, &statement, &error);
    if (status == OMEN_OK)
        status = omen_execute(statement, NULL, 0, &error);
    if (status == OMEN_OK && value != NULL) {
        status = omen_step(statement, &error);
        if (status == OMEN_OK)
            *value = omen_statement_value(statement, 0).as.i64;
        if (status == OMEN_END_OF_DATA)
            status = OMEN_OK;
    }
    omen_statement_release(statement);
    if (status != OMEN_OK && !allowed(&error))
        complain(sql, error.message);
    return status == OMEN_OK;
}

static void roll_back(omen_connection *connection)
{
    for (int i = 0; i < ATTEMPTS_MAX && !run(connection, "ROLLBACK", NULL); i++)
        ;
}

static bool make(omen_connection *connection, int64_t *n)
{
    char insert[96];
    if (!run(connection, "BEGIN", NULL) || !run(connection, "DROP TABLE IF EXISTS remade", NULL))
        return false;
    *n = ++world.newest;
    snprintf(insert, sizeof insert, "INSERT INTO remade VALUES (1, %" PRId64 "), (2, %" PRId64 ")", *n, *n);
    return run(connection, "CREATE TABLE remade (id BIGINT PRIMARY KEY, v BIGINT)", NULL) &&
           run(connection, insert, NULL);
}

static void *remake(void *argument)
{
    omen_connection *connection = *(omen_connection **)argument;
    while (!atomic_load(&world.episode->stop)) {
        int64_t n = 0;
        bool made = make(connection, &n);
        if (!made || fibre_random(4) == 0 || !run(connection, "COMMIT", NULL))
            roll_back(connection);
        else if (n > world.last_committed)
            world.last_committed = n;
        world.episode->counts.remakes++;
        fibre_sleep(fibre_random(MAKE_NS_MAX));
    }
    return NULL;
}

static void watch_alone(omen_connection *connection)
{
    int64_t before = world.last_committed, seen;
    char text[64];
    if (!run(connection, "SELECT v FROM remade WHERE id = 1", &seen))
        return;
    snprintf(text, sizeof text, "%" PRId64 " after %" PRId64, seen, before);
    if (seen < before)
        complain("a statement alone sees", text);
}

static void watch_twice(omen_connection *connection, bool repeatable)
{
    int64_t first, second;
    char text[64];
    if (!run(connection, repeatable ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN", NULL) ||
        !run(connection, "SELECT v FROM remade WHERE id = 1", &first) ||
        !run(connection, "SELECT v FROM remade WHERE id = 2", &second)) {
        roll_back(connection);
        return;
    }
    snprintf(text, sizeof text, "%" PRId64 " and %" PRId64, first, second);
    if (first != second || (first == NONE && !repeatable))
        complain("two rows of one table say", text);
    if (!run(connection, "COMMIT", NULL))
        roll_back(connection);
}

static void *watch(void *argument)
{
    omen_connection *connection = *(omen_connection **)argument;
    while (!atomic_load(&world.episode->stop)) {
        uint64_t what = fibre_random(3);
        if (what == 0)
            watch_alone(connection);
        else
            watch_twice(connection, what == 2);
        fibre_sleep(fibre_random(WATCH_NS_MAX));
    }
    return NULL;
}

static bool connect_all(void)
{
    omen_error error = {.message = ""};
    for (int i = 0; i < SESSIONS; i++)
        if (omen_connect(world.episode->database, &world.connections[i], &error) != OMEN_OK) {
            complain("connecting", error.message);
            return false;
        }
    return true;
}

bool remake_start(struct episode *episode)
{
    int64_t n;
    world = (struct remaking){.episode = episode};
    if (!connect_all())
        return false;
    if (!make(world.connections[0], &n) || !run(world.connections[0], "COMMIT", NULL)) {
        complain("the first", "was not made");
        return false;
    }
    world.last_committed = n;
    for (int i = 0; i < SESSIONS; i++)
        pthread_create(&world.threads[i], NULL, i == SESSIONS - 1 ? watch : remake, &world.connections[i]);
    return true;
}

void remake_stop(void)
{
    for (int i = 0; i < SESSIONS; i++)
        pthread_join(world.threads[i], NULL);
    for (int i = 0; i < SESSIONS; i++)
        omen_disconnect(world.connections[i]);
}
