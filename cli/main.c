/* main.c - the omendb shell: opens a database, runs what the arguments say, or standard input.
 *
 * Results go to standard output; errors, as `ERROR: message (SQLSTATE)`, to standard error.
 * options.h lists the exit statuses.
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"
#include "options.h"
#include "output.h"
#include "prompt.h"
#include "shell.h"
#include "text.h"

enum { ROWS_MAX_DEFAULT = 40 };

/* Text is UTF-8 whatever the environment says; widths and line editing need a locale that knows. */
static void set_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

/* What may have been meant by a directory that is none. */
static void print_hint(const char *directory)
{
    struct stat status;
    if (directory != NULL && stat(directory, &status) == 0 && S_ISREG(status.st_mode))
        fputs("To run the statements of a file, put -f before its name.\n", stderr);
}

/* Whether a name of nothing begins as a statement does: no database is to be made of it. */
static bool is_statement(const char *directory)
{
    static const char *const words[] = {"select",  "insert", "update",   "delete", "create",
                                        "drop",    "with",   "values",   "show",   "copy",
                                        "explain", "set",    "describe", "table"};
    struct stat status;
    size_t length = strcspn(directory, " ");
    if (directory[length] == '\0' || stat(directory, &status) == 0)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == length && strncasecmp(directory, words[i], length) == 0)
            return true;
    return false;
}

static bool open_database(const struct options *options, omen_database **database,
                          struct shell *shell)
{
    omen_error error = {.status = OMEN_OK};
    omen_options database_options;
    omen_options_init(&database_options);
    database_options.file_access = true;
    if (options->directory != NULL && is_statement(options->directory)) {
        report_fill(&error, OMEN_INVALID_ARGUMENT,
                    "\"%s\" looks like SQL; to run it, put -c before it", options->directory);
        report_error(&error, NULL, 0, NULL);
        return false;
    }
    if (omen_open(options->directory, &database_options, database, &error) == OMEN_OK &&
        omen_connect(*database, &shell->connection, &error) == OMEN_OK)
        return true;
    report_error(&error, NULL, 0, NULL);
    print_hint(options->directory);
    return false;
}

static void run_prompt(struct shell *shell, const char *directory)
{
    shell->interactive = true;
    FILE *out = isatty(STDOUT_FILENO) ? stdout : stderr; /* as the prompt */
    fprintf(out, "OmenDB %s, database in %s. Statements end with a semicolon; .help, .quit.\n",
            omen_version(), directory == NULL ? "memory" : directory);
    if (!shell_run_prompt(shell)) {
        fputs("omendb: out of memory\n", stderr);
        shell->failed = true;
    }
}

static void run(struct shell *shell, const struct options *options)
{
    bool prompt = options->task_count == 0 && isatty(STDIN_FILENO);
    bool more = true;
    interrupt_install(prompt);
    for (size_t i = 0; i < options->task_count && more; i++) {
        const struct task *task = &options->tasks[i];
        more = task->is_file ? shell_run_file(shell, task->text)
                             : shell_run_text(shell, task->text, strlen(task->text));
    }
    if (prompt)
        run_prompt(shell, options->directory);
    else if (options->task_count == 0)
        shell_run_file(shell, "-");
}

/* Writes out what is left and says, once, why output failed; the run's exit status. */
static int finish(const struct shell *shell)
{
    errno = 0;
    (void)!fflush(stdout);
    if (output_failed() && output_errno() == EPIPE)
        return EXIT_PIPE;
    if (output_failed() && shell->interactive && output_errno() == EIO)
        raise(SIGHUP); /* the terminal has gone away; here before the signal that says so */
    if (output_failed()) {
        omen_error error;
        report_fill(&error, output_errno() == ENOSPC ? OMEN_DISK_FULL : OMEN_IO_ERROR,
                    "could not write to standard output: %s", strerror(output_errno()));
        report_error(&error, NULL, 0, NULL);
        return EXIT_OUTPUT;
    }
    if (!shell->interactive && interrupt_pending())
        return EXIT_INTERRUPTED;
    return shell->failed ? EXIT_FAILED : EXIT_DONE;
}

static int run_database(const struct options *options)
{
    struct shell shell = {
        .format = options->format,
        .rows_max = ROWS_MAX_DEFAULT,
        .timer = options->timer,
        .echo = options->echo,
        .keep_going = options->keep_going,
    };
    omen_database *database = NULL;
    if (open_database(options, &database, &shell))
        run(&shell, options);
    else
        shell.failed = true;
    int status = finish(&shell);
    omen_disconnect(shell.connection);
    omen_error reason = {.message = ""}, error;
    omen_status closed = omen_close(database, &reason);
    if (closed != OMEN_OK && status == EXIT_DONE) {
        report_fill(&error, closed, "could not close the database: %s", reason.message);
        report_error(&error, NULL, 0, NULL);
        status = EXIT_FAILED;
    }
    return status;
}

static void print_line(void *context, const char *line)
{
    show_lines(stdout, line, strlen(line));
    putchar('\n');
}

/* omendb verify DIRECTORY */
static int run_verify(const char *directory)
{
    struct shell shell = {0};
    omen_error error = {.status = OMEN_OK};
    uint64_t faults = 0;
    if (omen_verify(directory, NULL, print_line, NULL, &faults, &error) != OMEN_OK)
        report_error(&error, NULL, 0, NULL);
    else
        printf("%llu faults\n", (unsigned long long)faults);
    shell.failed = error.status != OMEN_OK || faults > 0;
    return finish(&shell);
}

int main(int count, char **arguments)
{
    struct options options;
    int status = EXIT_DONE;
    set_locale();
    signal(SIGPIPE, SIG_IGN); /* a failed write says so too, and the database is closed */
    if (!options_read(count, arguments, &options)) {
        status = EXIT_USAGE;
    } else if (options.help) {
        fputs(options_help, stdout);
        status = finish(&(struct shell){0});
    } else if (options.version) {
        printf("omendb %s\n", omen_version());
        status = finish(&(struct shell){0});
    } else if (options.verify) {
        status = run_verify(options.directory);
    } else {
        status = run_database(&options);
    }
    options_release(&options);
    return status;
}
