/* statement.c - one statement: run, result, tag, timing, error. */
#include <string.h>

#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "shell.h"
#include "text.h"

/* Where tags, timings and echoes go. Programs that read the results want rows only. */
static FILE *side_output(const struct shell *shell)
{
    return render_format_is_for_people(shell->format) ? stdout : stderr;
}

static void print_duration(FILE *out, double seconds)
{
    if (seconds < 1e-3)
        fprintf(out, "%.1f us", seconds * 1e6);
    else if (seconds < 1)
        fprintf(out, "%.1f ms", seconds * 1e3);
    else
        fprintf(out, "%.2f s", seconds);
}

/* The time the database took, without the printing of rows. */
static void print_time(const struct shell *shell, const omen_statement *statement, double parsing,
                       double running)
{
    FILE *out = side_output(shell);
    fputs("-- time: ", out);
    print_duration(out, running);
    fputs(" (after ", out);
    print_duration(out, parsing);
    fprintf(out, " of parsing)   route: %s\n\n", omen_statement_route(statement));
}

static void print_echo(const struct shell *shell, const char *sql, size_t length)
{
    FILE *out = side_output(shell);
    fputs("> ", out);
    show_lines(out, sql, length);
    fputs(";\n", out);
}

/* What a statement without rows did, as PostgreSQL's command tags. A program that reads the
 * results hears nothing; somebody at the prompt does. */
static void print_tag(const struct shell *shell, const omen_statement *statement)
{
    static const char *const counting[] = {"INSERT", "UPDATE", "DELETE", "COPY", "SELECT"};
    const char *tag = omen_statement_tag(statement);
    unsigned long long rows = omen_statement_rows_affected(statement);
    FILE *out = side_output(shell);
    if (tag[0] == '\0' || (out == stderr && !shell->interactive))
        return;
    fputs(tag, out);
    for (size_t i = 0; i < sizeof counting / sizeof *counting; i++)
        if (strcmp(tag, counting[i]) == 0)
            fprintf(out, i == 0 ? " 0 %llu" : " %llu", rows);
    putc('\n', out);
}

static omen_status print_rows(struct shell *shell, omen_statement *statement,
                              struct render_totals *totals, omen_error *error)
{
    struct render_options options = {
        .format = shell->format,
        .columns = output_columns(),
        .rows_max = shell->interactive ? shell->rows_max : 0,
        .follows = shell->has_printed,
    };
    shell->has_printed = true;
    return render_result(statement, &options, stdout, totals, error);
}

bool shell_run_statement(struct shell *shell, const char *sql, size_t length,
                         const struct place *place)
{
    omen_statement *statement = NULL;
    omen_error error = {.status = OMEN_OK};
    struct render_totals totals = {0};
    if (shell->echo)
        print_echo(shell, sql, length);
    interrupt_watch(shell->connection);
    progress_begin(shell->connection);
    double start = render_now_seconds();
    omen_status status = omen_prepare(shell->connection, sql, length, &statement, &error);
    double parsed = render_now_seconds();
    if (status == OMEN_OK && interrupt_pending()) /* execute forgets earlier interrupts */
        status = report_fill(&error, OMEN_CANCELLED, "statement cancelled");
    if (status == OMEN_OK)
        status = omen_execute(statement, NULL, 0, &error);
    double executed = render_now_seconds();
    if (status == OMEN_OK && omen_statement_column_count(statement) > 0)
        status = print_rows(shell, statement, &totals, &error);
    progress_end();
    report_warning(shell->connection);
    if (status == OMEN_OK && omen_statement_column_count(statement) == 0)
        print_tag(shell, statement);
    interrupt_watch(NULL);
    if (status == OMEN_OK && shell->timer)
        print_time(shell, statement, parsed - start, executed - parsed + totals.seconds);
    omen_statement_release(statement);
    if (output_failed())
        return false; /* main says why */
    if (status != OMEN_OK)
        report_error(&error, sql, length, place);
    return status == OMEN_OK;
}
