/* options.c - the command line: a table of options, and hints for what is not in it. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

const char options_help[] =
    "usage: omendb [OPTIONS] [DIRECTORY]\n"
    "       omendb verify DIRECTORY\n"
    "Runs SQL against the database in DIRECTORY, or without one against a database in memory.\n"
    "verify checks all of a database that nobody has open, and says where faults lie.\n"
    "\n"
    "  -c SQL             run these statements\n"
    "  -f FILE            run the statements of a file (- is standard input)\n"
    "  --format FORMAT    print results as table (the default), csv, json, markdown or line\n"
    "  --csv, --table     short for --format csv and --format table\n"
    "  --keep-going       do not stop at the first error\n"
    "  --timer            after each statement, print its time and route\n"
    "  --echo             print each statement before its result\n"
    "  --help, --version\n"
    "\n"
    "-c and -f may be repeated and run in order. Without any, statements come from standard "
    "input,\n"
    "at a prompt where that is a terminal; .help there lists the shell's own commands.\n"
    "\n"
    "Exit status: 0 done; 1 a statement failed, a file or the database could not be opened, or\n"
    "verify found a fault;\n"
    "2 wrong options; 3 the output could not be written; 130 Ctrl-C; 141 the output was closed.\n";

enum option_id {
    OPTION_COMMAND,
    OPTION_FILE,
    OPTION_FORMAT,
    OPTION_CSV,
    OPTION_TABLE,
    OPTION_KEEP_GOING,
    OPTION_TIMER,
    OPTION_ECHO,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_COUNT
};

static const char *const names[OPTION_COUNT] = {
    "-c",           "-f",      "--format", "--csv",  "--table",
    "--keep-going", "--timer", "--echo",   "--help", "--version",
};

enum { WORD_BYTES_MAX = 32, DISTANCE_MAX = 2 };

/* Letters to change, add or leave out to make `b` of `a`. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_BYTES_MAX + 1];
    size_t length = strlen(b);
    if (length > WORD_BYTES_MAX || strlen(a) > WORD_BYTES_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= length; i++)
        row[i] = i;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j + 1] = diagonal + 1 < best ? diagonal + 1 : best;
        }
    }
    return row[length];
}

const char *options_nearest(const char *word, const char *const *known, size_t count)
{
    const char *nearest = NULL;
    size_t least = DISTANCE_MAX + 1;
    for (size_t i = 0; i < count; i++) {
        size_t steps = distance(word, known[i]);
        if (steps < least && steps < strlen(known[i])) {
            least = steps;
            nearest = known[i];
        }
    }
    return nearest;
}

static void complain(const char *what, const char *argument, const char *hint)
{
    fprintf(stderr, "omendb: %s ", what);
    show(stderr, argument, strlen(argument));
    if (hint != NULL)
        fprintf(stderr, "; did you mean %s?", hint);
    fputs("\nTry omendb --help.\n", stderr);
}

static void complain_unknown(const char *argument)
{
    char hint[32];
    enum render_format format;
    const char *nearest = options_nearest(argument, names, OPTION_COUNT);
    if (strncmp(argument, "--", 2) == 0 && render_format_find(argument + 2, &format)) {
        snprintf(hint, sizeof hint, "--format %s", argument + 2);
        nearest = hint;
    }
    complain("unknown option", argument, nearest);
}

static bool find(const char *argument, size_t length, enum option_id *id)
{
    if (length == 2 && memcmp(argument, "-h", 2) == 0) {
        *id = OPTION_HELP;
        return true;
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], argument, length) == 0) {
            *id = (enum option_id)i;
            return true;
        }
    }
    return false;
}

static bool set_format(const char *name, struct options *out)
{
    if (render_format_find(name, &out->format))
        return true;
    fputs("omendb: there is no format ", stderr);
    show(stderr, name, strlen(name));
    fprintf(stderr, "; formats are %s\nTry omendb --help.\n", render_format_list);
    return false;
}

/* Applies an option; `value` is for those that take one. */
static bool apply(enum option_id id, const char *value, struct options *out)
{
    switch (id) {
    case OPTION_COMMAND:
    case OPTION_FILE:
        out->tasks[out->task_count++] = (struct task){id == OPTION_FILE, value};
        return true;
    case OPTION_FORMAT:
        return set_format(value, out);
    case OPTION_CSV:
        out->format = RENDER_CSV;
        return true;
    case OPTION_TABLE:
        out->format = RENDER_TABLE;
        return true;
    case OPTION_KEEP_GOING:
        return out->keep_going = true;
    case OPTION_TIMER:
        return out->timer = true;
    case OPTION_ECHO:
        return out->echo = true;
    case OPTION_HELP:
        return out->help = true;
    case OPTION_VERSION:
        return out->version = true;
    case OPTION_COUNT:
        break;
    }
    return false;
}

static bool set_directory(const char *argument, struct options *out)
{
    if (out->directory != NULL && !out->verify && strcmp(out->directory, "verify") == 0) {
        out->verify = true;
        out->directory = argument;
        return true;
    }
    if (out->directory != NULL) {
        complain("one directory is enough, there is also", argument, NULL);
        return false;
    }
    out->directory = argument;
    return true;
}

/* Reads the option at arguments[*at], and the value behind it where it takes one. */
static bool read_option(int count, char **arguments, int *at, struct options *out)
{
    const char *argument = arguments[*at], *value = NULL;
    const char *equals = strncmp(argument, "--", 2) == 0 ? strchr(argument, '=') : NULL;
    size_t length = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    enum option_id id;
    if (!find(argument, length, &id)) {
        complain_unknown(argument);
        return false;
    }
    bool takes_value = id == OPTION_COMMAND || id == OPTION_FILE || id == OPTION_FORMAT;
    if (equals != NULL)
        value = equals + 1;
    else if (takes_value && *at + 1 < count)
        value = arguments[++*at];
    if (takes_value != (value != NULL)) {
        complain(takes_value ? "a value is missing behind" : "no value belongs to", argument, NULL);
        return false;
    }
    return apply(id, value, out);
}

bool options_read(int count, char **arguments, struct options *out)
{
    *out = (struct options){.format = RENDER_TABLE};
    out->tasks = calloc((size_t)count + 1, sizeof *out->tasks);
    if (out->tasks == NULL) {
        fputs("omendb: out of memory\n", stderr);
        return false;
    }
    bool only_names = false; /* behind -- */
    for (int i = 1; i < count; i++) {
        bool is_option = !only_names && arguments[i][0] == '-';
        if (is_option && strcmp(arguments[i], "--") == 0)
            only_names = true;
        else if (is_option ? !read_option(count, arguments, &i, out)
                           : !set_directory(arguments[i], out))
            return false;
    }
    return true;
}

void options_release(struct options *options)
{
    free(options->tasks);
    options->tasks = NULL;
}
