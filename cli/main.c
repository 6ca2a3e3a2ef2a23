/* main.c - the omendb shell in its smallest form: runs SQL from arguments, a file or standard
 * input against a database in memory.
 *
 * Results go to standard output; errors, as `ERROR: message (SQLSTATE)`, to standard error. The
 * first error ends the run with exit status 1; a wrong argument ends it with 2.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "omendb.h"
#include "render.h"

static const char usage[] =
    "usage: omendb [OPTIONS]\n"
    "Runs SQL against a database in memory.\n"
    "\n"
    "  -c SQL     run these statements\n"
    "  -f FILE    run the statements of a file (- is standard input)\n"
    "  --csv      print results as CSV\n"
    "  --table    print results as tables (the default)\n"
    "  --timer    after each statement, print its time and route\n"
    "  --echo     print each statement before its result\n"
    "  --help, --version\n"
    "\n"
    "-c and -f may be repeated and run in order; without any, standard input is read.\n";

struct shell {
    omen_connection *connection;
    enum render_format format;
    bool timer;
    bool echo;
};

static void print_duration(double seconds)
{
    if (seconds < 1e-3)
        printf("%.1f us", seconds * 1e6);
    else if (seconds < 1)
        printf("%.1f ms", seconds * 1e3);
    else
        printf("%.2f s", seconds);
}

static void print_error(const omen_error *error)
{
    fflush(stdout);
    fputs("ERROR: ", stderr);
    render_text(stderr, error->message);
    fprintf(stderr, " (%s)\n", error->sqlstate);
}

/* Prints what a statement without rows did, as PostgreSQL's command tags. */
static void print_tag(const omen_statement *statement)
{
    const char *tag = omen_statement_tag(statement);
    unsigned long long rows = omen_statement_rows_affected(statement);
    if (strcmp(tag, "INSERT") == 0)
        printf("INSERT 0 %llu\n", rows);
    else if (strcmp(tag, "COPY") == 0)
        printf("COPY %llu\n", rows);
    else if (tag[0] != '\0') /* blanks and comments have none */
        printf("%s\n", tag);
}

/* What --timer prints: the time the database took, without the printing of rows. */
static void print_time(const omen_statement *statement, double parsing, double running)
{
    printf("-- time: ");
    print_duration(running);
    printf(" (after ");
    print_duration(parsing);
    printf(" of parsing)   route: %s\n\n", omen_statement_route(statement));
}

/* Runs one statement and prints its result. False, with the error printed, where it failed. */
static bool run_statement(struct shell *shell, const char *sql, size_t length)
{
    omen_statement *statement = NULL;
    omen_error error = {.status = OMEN_OK};
    uint64_t rows = 0;
    double stepping = 0;
    if (shell->echo)
        printf("> %.*s;\n", (int)length, sql);
    double start = render_now_seconds();
    omen_status status = omen_prepare(shell->connection, sql, length, &statement, &error);
    double parsed = render_now_seconds();
    if (status == OMEN_OK)
        status = omen_execute(statement, NULL, 0, &error);
    double executed = render_now_seconds();
    if (status == OMEN_OK && omen_statement_column_count(statement) > 0)
        status = render_result(statement, shell->format, stdout, &rows, &stepping, &error);
    else if (status == OMEN_OK && shell->format == RENDER_TABLE)
        print_tag(statement);
    if (status != OMEN_OK)
        print_error(&error);
    else if (shell->timer)
        print_time(statement, parsed - start, executed - parsed + stepping);
    omen_statement_release(statement);
    return status == OMEN_OK;
}

static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (strchr(" \t\r\n\f\v", text[i]) == NULL || text[i] == '\0')
            return false;
    return true;
}

static bool run_text(struct shell *shell, const char *sql, size_t length)
{
    while (length > 0) {
        size_t rest = 0;
        bool complete = false;
        size_t statement = omen_statement_split(sql, length, &rest, &complete);
        while (statement > 0 && is_blank(sql, 1)) {
            sql++, statement--, length--, rest--;
        }
        if (!is_blank(sql, statement) && !run_statement(shell, sql, statement))
            return false;
        sql += rest;
        length -= rest;
    }
    return true;
}

/* Reads a whole stream. NULL, with the error printed, on failure; the caller frees. */
static char *read_stream(FILE *file, const char *name, size_t *length)
{
    size_t capacity = 1 << 16;
    char *text = malloc(capacity);
    *length = 0;
    while (text != NULL) {
        *length += fread(text + *length, 1, capacity - *length, file);
        if (ferror(file)) {
            fprintf(stderr, "ERROR: could not read \"%s\": %s (58030)\n", name, strerror(errno));
            free(text);
            return NULL;
        }
        if (*length < capacity)
            return text;
        char *larger = realloc(text, capacity *= 2);
        if (larger == NULL)
            free(text);
        text = larger;
    }
    fprintf(stderr, "ERROR: out of memory reading \"%s\" (53200)\n", name);
    return NULL;
}

static bool run_file(struct shell *shell, const char *name)
{
    bool standard = strcmp(name, "-") == 0;
    FILE *file = standard ? stdin : fopen(name, "rb");
    if (file == NULL) {
        fprintf(stderr, "ERROR: could not open \"%s\": %s (58P01)\n", name, strerror(errno));
        return false;
    }
    size_t length;
    char *text = read_stream(file, name, &length);
    if (!standard)
        fclose(file);
    bool done = text != NULL && run_text(shell, text, length);
    free(text);
    return done;
}

/* Whether the argument takes a value that follows it. */
static bool takes_value(const char *argument)
{
    return strcmp(argument, "-c") == 0 || strcmp(argument, "-f") == 0;
}

/* Reads the options that are not work. Returns -1 to go on, else the exit status. */
static int read_options(struct shell *shell, int count, char **arguments, bool *has_work)
{
    for (int i = 1; i < count; i++) {
        const char *argument = arguments[i];
        if (takes_value(argument)) {
            if (++i == count) {
                fprintf(stderr, "omendb: %s needs a value\n%s", argument, usage);
                return 2;
            }
            *has_work = true;
        } else if (strcmp(argument, "--csv") == 0) {
            shell->format = RENDER_CSV;
        } else if (strcmp(argument, "--table") == 0) {
            shell->format = RENDER_TABLE;
        } else if (strcmp(argument, "--timer") == 0) {
            shell->timer = true;
        } else if (strcmp(argument, "--echo") == 0) {
            shell->echo = true;
        } else if (strcmp(argument, "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        } else if (strcmp(argument, "--version") == 0) {
            printf("omendb %s\n", omen_version());
            return 0;
        } else {
            fprintf(stderr, "omendb: unknown argument %s\n%s", argument, usage);
            return 2;
        }
    }
    return -1;
}

static bool run_work(struct shell *shell, int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        if (!takes_value(arguments[i]))
            continue;
        const char *value = arguments[i + 1];
        bool is_sql = strcmp(arguments[i], "-c") == 0;
        if (is_sql ? !run_text(shell, value, strlen(value)) : !run_file(shell, value))
            return false;
        i++;
    }
    return true;
}

int main(int count, char **arguments)
{
    struct shell shell = {.format = RENDER_TABLE};
    bool has_work = false;
    int status = read_options(&shell, count, arguments, &has_work);
    if (status >= 0)
        return status;

    omen_database *database = NULL;
    omen_error error;
    omen_options options;
    omen_options_init(&options);
    options.file_access = true;
    if (omen_open(NULL, &options, &database, &error) != OMEN_OK ||
        omen_connect(database, &shell.connection, &error) != OMEN_OK) {
        print_error(&error);
        omen_close(database);
        return 1;
    }
    bool done = has_work ? run_work(&shell, count, arguments) : run_file(&shell, "-");
    omen_disconnect(shell.connection);
    omen_close(database);
    return done && fflush(stdout) == 0 ? 0 : 1;
}
