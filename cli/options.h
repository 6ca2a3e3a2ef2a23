/* options.h - what the command line asks for. */
#ifndef OMEN_CLI_OPTIONS_H
#define OMEN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "render.h"

/* The shell's exit status. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,        /* a statement failed, or a file or the database could not be opened */
    EXIT_USAGE = 2,         /* a wrong option */
    EXIT_OUTPUT = 3,        /* the output could not be written */
    EXIT_INTERRUPTED = 130, /* Ctrl-C ended a run without prompt: 128 + SIGINT */
    EXIT_PIPE = 141,        /* the reader of the output went away: 128 + SIGPIPE */
};

/* One -c or -f, in the order given. Borrowed from the arguments. */
struct task {
    bool is_file;
    const char *text; /* SQL, or a file's name */
};

struct options {
    const char *directory; /* NULL: in memory */
    struct task *tasks;    /* owned: options_release */
    size_t task_count;
    enum render_format format;
    bool timer, echo, keep_going;
    bool help, version;
    bool verify; /* `omendb verify DIRECTORY` */
};

/* Reads the arguments. False, with a message and a hint on standard error, where one is wrong.
 * `*out` is to be released in any case. */
bool options_read(int count, char **arguments, struct options *out);
void options_release(struct options *options);

/* The text of --help. */
extern const char options_help[];

/* The one of `count` names that is nearest to `word`, for a hint: NULL where none is near. */
const char *options_nearest(const char *word, const char *const *names, size_t count);

#endif
