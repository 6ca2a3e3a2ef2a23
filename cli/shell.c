/* shell.c - texts, files and the prompt, split into statements and commands.
 *
 * A text is run piece by piece: run_pieces takes what is complete off its front and leaves the
 * rest for when more has come. A piece is a statement, as the core's lexer splits them, or, where
 * none has begun, a line that starts with a dot or a backslash.
 */
#define _POSIX_C_SOURCE 200809L
#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "complete.h"
#include "interrupt.h"
#include "output.h"
#include "prompt.h"
#include "scan.h"

enum {
    READ_BYTES = 1 << 16,
    TEXT_BYTES_MAX = 32 << 20, /* more than the core takes as one statement */
    READ_DEPTH_MAX = 16,
};

/* --- pieces ---------------------------------------------------------------------------------- */

static uint64_t count_lines(const char *text, size_t length)
{
    uint64_t lines = 0;
    const char *end = text + length;
    while ((text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
        lines++;
        text++;
    }
    return lines;
}

/* What is to be done about the outcome of a piece: whether the run goes on. */
static bool go_on(struct shell *shell, bool succeeded)
{
    if (!succeeded && !shell->interactive)
        shell->failed = true;
    if (output_failed() || interrupt_pending() || shell->quit)
        return false;
    return succeeded || shell->keep_going;
}

/* Runs the command line at the start of the text. Gives its length with the line's end, or 0
 * where the line is not complete. */
static size_t run_command_line(struct shell *shell, const char *text, size_t length, bool at_end,
                               const struct place *place, bool *succeeded)
{
    const char *newline = memchr(text, '\n', length);
    size_t line = newline == NULL ? length : (size_t)(newline - text);
    if (newline == NULL && !at_end)
        return 0;
    *succeeded = command_run(shell, text, line, place);
    return newline == NULL ? line : line + 1;
}

/* Runs the piece at the start of the text, which is not blank there. Gives the bytes done with, or
 * 0 where the piece is not complete. */
static size_t run_piece(struct shell *shell, const char *text, size_t length, bool at_end,
                        struct place *place, bool *succeeded)
{
    *succeeded = true;
    size_t bare = scan_comments(text, length);
    if (bare < length && (text[bare] == '.' || text[bare] == '\\')) {
        struct place command = *place;
        command.line += count_lines(text, bare);
        size_t taken =
            run_command_line(shell, text + bare, length - bare, at_end, &command, succeeded);
        return taken == 0 ? 0 : bare + taken;
    }
    size_t rest;
    bool complete;
    size_t statement = omen_statement_split(text, length, &rest, &complete);
    if (!complete && !at_end)
        return 0;
    if (bare < statement || (!complete && bare > length)) /* more than comments, or a broken one */
        *succeeded = shell_run_statement(shell, text, statement, place);
    return rest;
}

/* Runs the complete pieces at the front of a text, all of it `at_end`. `*taken` gets the bytes
 * done with; `place` moves along. False where the run must end. */
static bool run_pieces(struct shell *shell, const char *text, size_t length, bool at_end,
                       struct place *place, size_t *taken)
{
    *taken = 0;
    for (;;) {
        size_t blank = scan_blank(text + *taken, length - *taken);
        place->line += count_lines(text + *taken, blank);
        *taken += blank;
        if (*taken == length)
            return true;
        bool succeeded;
        size_t done = run_piece(shell, text + *taken, length - *taken, at_end, place, &succeeded);
        if (done == 0)
            return true;
        place->line += count_lines(text + *taken, done);
        *taken += done;
        if (!go_on(shell, succeeded))
            return false;
    }
}

bool shell_run_text(struct shell *shell, const char *text, size_t length)
{
    struct place place = {.line = 1};
    size_t taken;
    return run_pieces(shell, text, length, true, &place, &taken);
}

/* --- files ----------------------------------------------------------------------------------- */

/* Text that grows at its end and is used up from its front. */
struct text {
    char *data;
    size_t length, capacity;
};

/* Makes room for at least READ_BYTES more. */
static bool text_reserve(struct text *text)
{
    if (text->capacity - text->length >= READ_BYTES)
        return true;
    size_t capacity = text->capacity * 2 + READ_BYTES;
    char *larger = realloc(text->data, capacity);
    if (larger == NULL)
        return false;
    text->data = larger;
    text->capacity = capacity;
    return true;
}

static bool text_append(struct text *text, const char *data, size_t length)
{
    while (length > 0) {
        size_t part = length < READ_BYTES ? length : READ_BYTES;
        if (!text_reserve(text))
            return false;
        memcpy(text->data + text->length, data, part);
        text->length += part;
        data += part;
        length -= part;
    }
    return true;
}

static void text_use(struct text *text, size_t length)
{
    memmove(text->data, text->data + length, text->length - length);
    text->length -= length;
}

/* Reads more behind the text: 1, or 0 at the end of the file, or -1 with the error. */
static int read_more(int descriptor, const char *name, struct text *text, omen_error *error)
{
    if (!text_reserve(text)) {
        report_fill(error, OMEN_OUT_OF_MEMORY, "out of memory reading \"%s\"", name);
        return -1;
    }
    fflush(stdout); /* who writes the input may be waiting for the answer */
    enum wake wake;
    while ((wake = interrupt_wait(descriptor)) != WAKE_READABLE && wake != WAKE_INTERRUPT)
        continue;
    if (wake == WAKE_INTERRUPT) {
        report_fill(error, OMEN_CANCELLED, "interrupted");
        return -1;
    }
    ssize_t bytes = read(descriptor, text->data + text->length, READ_BYTES);
    if (bytes < 0) {
        report_fill(error, OMEN_IO_ERROR, "could not read \"%s\": %s", name, strerror(errno));
        return -1;
    }
    text->length += (size_t)bytes;
    return bytes > 0;
}

/* Drops a byte order mark from the beginning of a file. */
static void drop_mark(struct text *text)
{
    if (text->length >= 3 && memcmp(text->data, "\xEF\xBB\xBF", 3) == 0)
        text_use(text, 3);
}

/* Reads and runs. A statement can only end at a semicolon and a command at a line's end, so the
 * text is split again only where new text holds one. Fills the error where reading failed. */
static bool run_stream(struct shell *shell, int descriptor, const char *name, struct place *place,
                       struct text *text, omen_error *error)
{
    int more;
    for (bool first = true;; first = false) {
        size_t before = text->length, taken;
        if ((more = read_more(descriptor, name, text, error)) < 0)
            return false;
        if (first)
            drop_mark(text);
        const char *fresh = text->data + (first ? 0 : before);
        size_t fresh_length = text->length - (first ? 0 : before);
        bool useful = memchr(fresh, ';', fresh_length) != NULL ||
                      (text->length < READ_BYTES && memchr(fresh, '\n', fresh_length) != NULL);
        if (more > 0 && !useful && text->length < TEXT_BYTES_MAX)
            continue;
        if (!run_pieces(shell, text->data, text->length, more == 0, place, &taken))
            return false;
        text_use(text, taken);
        if (more == 0)
            return true;
        if (text->length >= TEXT_BYTES_MAX) {
            report_fill(error, OMEN_LIMIT_EXCEEDED,
                        "no statement ends within %d bytes of \"%s\", line %llu", TEXT_BYTES_MAX,
                        name, (unsigned long long)place->line);
            return false;
        }
    }
}

static omen_status status_of_open(int reason)
{
    return reason == ENOENT || reason == ENOTDIR ? OMEN_FILE_NOT_FOUND
           : reason == EACCES                    ? OMEN_INSUFFICIENT_PRIVILEGE
                                                 : OMEN_IO_ERROR;
}

bool shell_run_file(struct shell *shell, const char *name)
{
    bool standard = strcmp(name, "-") == 0, done = false;
    struct place place = {.file = standard ? NULL : name, .is_script = true, .line = 1};
    struct text text = {0};
    omen_error error = {.status = OMEN_OK};
    int descriptor = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (shell->depth == READ_DEPTH_MAX)
        report_fill(&error, OMEN_LIMIT_EXCEEDED, "\"%s\": files read each other %d deep", name,
                    READ_DEPTH_MAX);
    else if (descriptor < 0)
        report_fill(&error, status_of_open(errno), "could not open \"%s\": %s", name,
                    strerror(errno));
    shell->depth++;
    if (error.status == OMEN_OK)
        done = run_stream(shell, descriptor, standard ? "standard input" : name, &place, &text,
                          &error);
    shell->depth--;
    free(text.data);
    if (descriptor >= 0 && !standard)
        close(descriptor);
    if (error.status == OMEN_OK)
        return done;
    report_error(&error, NULL, 0, NULL);
    return go_on(shell, false);
}

/* --- the prompt ------------------------------------------------------------------------------ */

/* The command that quit, exit and help mean, as newcomers type them; NULL: it is none of them. */
static const char *plain_word(const char *line, size_t length)
{
    static const char *const words[] = {"quit", "exit", "help"};
    while (length > 0 && (scan_is_blank(line[length - 1]) || line[length - 1] == ';'))
        length--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (length == 4 && memcmp(line, words[i], 4) == 0)
            return i == 2 ? ".help" : ".quit";
    return NULL;
}

/* Remembers and runs what was typed, as far as it is complete. */
static void run_typed(struct shell *shell, struct prompt *prompt, struct text *text)
{
    struct place place = {.line = 1};
    size_t taken;
    size_t blank = scan_blank(text->data, text->length);
    const char *command = plain_word(text->data + blank, text->length - blank);
    if (command != NULL) {
        command_run(shell, command, strlen(command), &place);
        text->length = 0;
        return;
    }
    if (!run_pieces(shell, text->data, text->length, false, &place, &taken))
        taken = text->length; /* what follows an error or Ctrl-C in the same line is not run */
    if (taken > 0)
        prompt_remember(prompt, text->data, taken);
    text_use(text, taken);
    if (scan_comments(text->data, text->length) == text->length)
        text->length = 0;
    fflush(stdout);
}

/* Whether all of a text would be run, its last line with its end (prompt_questions). */
static bool is_complete(void *context, const char *text, size_t length)
{
    (void)context;
    size_t blank = scan_blank(text, length);
    if (plain_word(text + blank, length - blank) != NULL)
        return true;
    for (size_t at = blank; at < length; at += scan_blank(text + at, length - at)) {
        size_t bare = at + scan_comments(text + at, length - at), rest;
        if (bare == length)
            return true;
        if (bare < length && (text[bare] == '.' || text[bare] == '\\')) {
            const char *newline = memchr(text + bare, '\n', length - bare);
            at = newline == NULL ? length : (size_t)(newline - text);
            continue;
        }
        bool complete;
        omen_statement_split(text + at, length - at, &rest, &complete);
        if (!complete)
            return false;
        at += rest;
    }
    return true;
}

static void complete_word(void *context, const char *text, size_t length, size_t cursor,
                          struct candidates *out)
{
    const struct shell *shell = context;
    complete(shell->connection, text, length, cursor, out);
}

static enum prompt_mark mark_of(const struct shell *shell)
{
    omen_transaction_state state = omen_transaction_state_of(shell->connection);
    return state == OMEN_TRANSACTION_OPEN     ? PROMPT_OPEN
           : state == OMEN_TRANSACTION_FAILED ? PROMPT_FAILED
                                              : PROMPT_PLAIN;
}

bool shell_run_prompt(struct shell *shell)
{
    const struct prompt_questions questions = {
        .context = shell, .is_complete = is_complete, .complete = complete_word};
    struct prompt *prompt = prompt_open(&questions);
    struct text text = {0};
    bool memory = prompt != NULL;
    while (memory && !shell->quit && !output_failed()) {
        const char *line;
        size_t length;
        enum prompt_event event =
            prompt_read(prompt, text.length > 0, mark_of(shell), &line, &length);
        if (event == PROMPT_END)
            break;
        if (event == PROMPT_CLEARED) {
            text.length = 0;
            continue;
        }
        memory = text_append(&text, line, length);
        if (memory)
            run_typed(shell, prompt, &text);
    }
    free(text.data);
    prompt_close(prompt);
    return memory;
}
