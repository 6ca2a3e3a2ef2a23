/* command.c - a table of commands, and what each does.
 *
 * What a database can answer is asked in SQL: .tables is SHOW TABLES, .schema SHOW CREATE TABLE,
 * \d NAME is DESCRIBE; .dump is in dump.c.
 */
#define _POSIX_C_SOURCE 200809L
#include "command.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "options.h"
#include "question.h"
#include "sql_shown.h"

enum { ROWS_MAX_MAX = 1000 };

/* `argument` is what stands behind the command's name, "" for nothing. Fills the error where the
 * command fails; one whose error is printed already leaves it and returns END_OF_DATA. */
typedef omen_status command_function(struct shell *shell, const char *argument, omen_error *error);

static command_function run_describe, run_dump, run_help, run_mode, run_quit, run_read, run_rows,
    run_schema, run_tables, run_timer;

static const struct command {
    const char *name;
    const char *alias; /* psql's; NULL for none */
    const char *argument;
    const char *help; /* NULL: not listed */
    command_function *run;
} commands[] = {
    {".dump", NULL, " [TABLE]", "the SQL that makes a table and its rows again, or all", run_dump},
    {".help", "\\?", "", "list these commands", run_help},
    {".mode", NULL, " [FORMAT]", "print results as table, csv, json, markdown or line", run_mode},
    {".quit", "\\q", "", "leave; so do .exit and Ctrl-D", run_quit},
    {".read", "\\i", " FILE", "run the statements of a file", run_read},
    {".rows", NULL, " [N|all]", "rows shown of a long table at the prompt", run_rows},
    {".schema", NULL, " [TABLE]", "the CREATE TABLE of a table, or of all", run_schema},
    {".tables", "\\dt", "", "list the tables", run_tables},
    {".timer", "\\timing", " [on|off]", "after each statement, print its time and route",
     run_timer},
    {".exit", NULL, "", NULL, run_quit},
    {"\\d", NULL, " [TABLE]", "list the tables, or describe one", run_describe},
};

enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

const char *command_name(size_t index)
{
    return index < COMMAND_COUNT ? commands[index].name : NULL;
}

/* --- what they do ---------------------------------------------------------------------------- */

static omen_status run_help(struct shell *shell, const char *argument, omen_error *error)
{
    (void)shell, (void)argument, (void)error;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char usage[64];
        if (commands[i].help == NULL)
            continue;
        snprintf(usage, sizeof usage, "%s%s", commands[i].name, commands[i].argument);
        printf("%-18s %s", usage, commands[i].help);
        if (commands[i].alias != NULL)
            printf(" (%s)", commands[i].alias);
        putchar('\n');
    }
    puts("Anything else is SQL and ends with a semicolon. Ctrl-C cancels a statement.\n"
         "Tab completes, Ctrl-R searches the history, Alt-Enter begins a line.");
    return OMEN_OK;
}

static omen_status run_mode(struct shell *shell, const char *argument, omen_error *error)
{
    if (argument[0] == '\0')
        printf("%s\n", render_format_name(shell->format));
    else if (!render_format_find(argument, &shell->format))
        return report_fill(error, OMEN_INVALID_ARGUMENT, "there is no mode \"%s\"; modes are %s",
                           argument, render_format_list);
    return OMEN_OK;
}

static omen_status run_quit(struct shell *shell, const char *argument, omen_error *error)
{
    (void)argument, (void)error;
    shell->quit = true;
    return OMEN_OK;
}

static omen_status run_read(struct shell *shell, const char *argument, omen_error *error)
{
    if (argument[0] == '\0')
        return report_fill(error, OMEN_SYNTAX_ERROR, ".read needs the name of a file");
    if (strcmp(argument, "-") == 0)
        return report_fill(error, OMEN_NOT_SUPPORTED, ".read cannot read standard input");
    bool done = shell_run_file(shell, argument);
    return done || shell->quit ? OMEN_OK : OMEN_END_OF_DATA; /* the file's error is printed */
}

static omen_status run_rows(struct shell *shell, const char *argument, omen_error *error)
{
    char *end;
    unsigned long rows = strtoul(argument, &end, 10);
    if (argument[0] == '\0' && shell->rows_max == 0)
        puts("all");
    else if (argument[0] == '\0')
        printf("%llu\n", (unsigned long long)shell->rows_max);
    else if (strcmp(argument, "all") == 0)
        shell->rows_max = 0;
    else if (!isdigit((unsigned char)argument[0]) || *end != '\0' || rows == 0 ||
             rows > ROWS_MAX_MAX)
        return report_fill(error, OMEN_INVALID_ARGUMENT, ".rows takes 1 to %d, or all",
                           ROWS_MAX_MAX);
    else
        shell->rows_max = rows;
    return OMEN_OK;
}

static omen_status run_timer(struct shell *shell, const char *argument, omen_error *error)
{
    if (strcmp(argument, "on") == 0 || strcmp(argument, "off") == 0)
        shell->timer = strcmp(argument, "on") == 0;
    else if (argument[0] == '\0')
        shell->timer = !shell->timer;
    else
        return report_fill(error, OMEN_INVALID_ARGUMENT, ".timer is on or off, not \"%s\"",
                           argument);
    if (shell->interactive && render_format_is_for_people(shell->format))
        printf("timer %s\n", shell->timer ? "on" : "off");
    return OMEN_OK;
}

/* --- questions to the database --------------------------------------------------------------- */

static omen_status run_sql(struct shell *shell, const char *sql)
{
    struct place place = {.line = 1};
    return shell_run_statement(shell, sql, strlen(sql), &place) ? OMEN_OK : OMEN_END_OF_DATA;
}

static omen_status run_tables(struct shell *shell, const char *argument, omen_error *error)
{
    (void)argument, (void)error;
    return run_sql(shell, "SHOW TABLES");
}

static omen_status run_describe(struct shell *shell, const char *argument, omen_error *error)
{
    if (argument[0] == '\0')
        return run_tables(shell, argument, error);
    char *sql = question_about_name("DESCRIBE ", argument, NAME_TYPED);
    if (sql == NULL)
        return report_fill(error, OMEN_OUT_OF_MEMORY, "out of memory");
    omen_status status = run_sql(shell, sql);
    free(sql);
    return status;
}

static omen_status print_schema(struct shell *shell, const char *table, enum name_form form,
                                omen_error *error)
{
    struct texts texts = {0};
    char *sql = question_about_name("SHOW CREATE TABLE ", table, form);
    omen_status status = sql == NULL
                             ? report_fill(error, OMEN_OUT_OF_MEMORY, "out of memory")
                             : question_ask(shell->connection, sql, SIZE_MAX, &texts, error);
    for (size_t at = 0; status == OMEN_OK && at < texts.length; at += strlen(texts.data + at) + 1) {
        size_t length = strlen(texts.data + at);
        sql_shown_print(texts.data + at, length);
        puts(length > 0 && texts.data[at + length - 1] == ';' ? "" : ";");
    }
    free(texts.data);
    free(sql);
    return status;
}

static omen_status run_schema(struct shell *shell, const char *argument, omen_error *error)
{
    if (argument[0] != '\0')
        return print_schema(shell, argument, NAME_TYPED, error);
    struct texts tables = {0};
    omen_status status = question_ask(shell->connection, "SHOW TABLES", SIZE_MAX, &tables, error);
    for (size_t at = 0; status == OMEN_OK && at < tables.length; at += strlen(tables.data + at) + 1)
        status = print_schema(shell, tables.data + at, NAME_EXACT, error);
    free(tables.data);
    return status;
}

static omen_status run_dump(struct shell *shell, const char *argument, omen_error *error)
{
    return dump(shell->connection, argument[0] == '\0' ? NULL : argument, error);
}

/* --- finding them ---------------------------------------------------------------------------- */

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0 ||
            (commands[i].alias != NULL && strcmp(commands[i].alias, name) == 0))
            return &commands[i];
    return NULL;
}

static omen_status unknown(const char *name, omen_error *error)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    const char *nearest = options_nearest(name, names, COMMAND_COUNT);
    if (nearest != NULL)
        return report_fill(error, OMEN_SYNTAX_ERROR, "unknown command %s; did you mean %s?", name,
                           nearest);
    return report_fill(error, OMEN_SYNTAX_ERROR, "unknown command %s; .help lists the commands",
                       name);
}

/* Ends the text before its last blanks and semicolons, and gives its first other character. */
static char *trim(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && (isspace((unsigned char)text[length - 1]) || text[length - 1] == ';'))
        text[--length] = '\0';
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

/* A file's name may stand in single quotes. */
static char *unquote(char *argument)
{
    size_t length = strlen(argument);
    if (length < 2 || argument[0] != '\'' || argument[length - 1] != '\'')
        return argument;
    argument[length - 1] = '\0';
    return argument + 1;
}

bool command_run(struct shell *shell, const char *line, size_t length, const struct place *place)
{
    omen_error error = {.status = OMEN_OK};
    omen_status status;
    char *copy = strndup(line, length);
    if (copy == NULL) {
        report_fill(&error, OMEN_OUT_OF_MEMORY, "out of memory");
        report_error(&error, NULL, 0, NULL);
        return false;
    }
    char *name = trim(copy);
    char *argument = name + strcspn(name, " \t");
    if (*argument != '\0')
        *argument++ = '\0';
    const struct command *command = find(name);
    if (command == NULL)
        status = unknown(name, &error);
    else
        status = command->run(shell, unquote(trim(argument)), &error);
    if (error.status != OMEN_OK)
        report_error(&error, line, length, place);
    free(copy);
    return status == OMEN_OK;
}
