/* complete.c - completion of commands and files; complete_sql.c has the statements. */
#define _POSIX_C_SOURCE 200809L
#include "complete.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "command.h"
#include "render.h"
#include "scan.h"

enum { FILES_MAX = 1000, PATH_BYTES = 4096 };

/* --- files ----------------------------------------------------------------------------------- */

/* Adds a path; `in_folder` and its length are the prefix up to its last slash. */
static void add_file(const char *in_folder, size_t folder_length, const char *name, bool quote,
                     struct candidates *out)
{
    char path[PATH_BYTES], text[2 * PATH_BYTES];
    struct stat status;
    size_t length = strlen(name), used = 0;
    if (folder_length + length + 2 > sizeof path)
        return;
    memcpy(path, in_folder, folder_length);
    memcpy(path + folder_length, name, length + 1);
    bool is_folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    for (const char *at = path; *at != '\0'; at++) {
        if (quote && *at == '\'')
            text[used++] = '\'';
        text[used++] = *at;
    }
    if (is_folder)
        text[used++] = '/';
    candidates_add(out, text, used, is_folder || !quote ? "" : "'");
}

void complete_files(const char *prefix, size_t length, bool quote, struct candidates *out)
{
    char path[PATH_BYTES], folder[PATH_BYTES];
    size_t used = 0, slash = 0;
    if (length + 1 > sizeof path)
        return;
    for (size_t i = 0; i < length; i++) {
        path[used++] = prefix[i];
        i += quote && prefix[i] == '\''; /* doubled */
        if (path[used - 1] == '/')
            slash = used;
    }
    path[used] = '\0';
    memcpy(folder, path, slash);
    folder[slash] = '\0';
    DIR *listing = opendir(slash == 0 ? "." : folder);
    const struct dirent *entry;
    while (listing != NULL && out->count < FILES_MAX && (entry = readdir(listing)) != NULL) {
        const char *name = entry->d_name;
        bool hidden = name[0] == '.' && path[slash] != '.';
        if (!hidden && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
            strncmp(name, path + slash, used - slash) == 0)
            add_file(folder, slash, name, quote, out);
    }
    if (listing != NULL)
        closedir(listing);
}

/* --- commands -------------------------------------------------------------------------------- */

static void add_words(const char *const *words, const char *prefix, size_t length,
                      struct candidates *out)
{
    for (; *words != NULL; words++)
        if (strncmp(*words, prefix, length) == 0)
            candidates_add(out, *words, strlen(*words), "");
}

/* The argument of a command. */
static void complete_argument(omen_connection *connection, const char *name, size_t name_length,
                              const char *argument, size_t length, struct candidates *out)
{
    static const char *const switches[] = {"on", "off", NULL}, *const rows[] = {"all", NULL};
    static const char *const modes[] = {"table", "csv", "json", "markdown", "line", NULL};
    char word[16] = "";
    if (name_length < sizeof word)
        memcpy(word, name, name_length);
    if (strcmp(word, ".read") == 0 || strcmp(word, "\\i") == 0)
        complete_files(argument, length, false, out);
    else if (strcmp(word, ".schema") == 0 || strcmp(word, ".dump") == 0 || strcmp(word, "\\d") == 0)
        complete_tables(connection, argument, length, out);
    else if (strcmp(word, ".timer") == 0 || strcmp(word, "\\timing") == 0)
        add_words(switches, argument, length, out);
    else if (strcmp(word, ".mode") == 0)
        add_words(modes, argument, length, out);
    else if (strcmp(word, ".rows") == 0)
        add_words(rows, argument, length, out);
}

static void complete_command(omen_connection *connection, const char *line, size_t length,
                             size_t start, struct candidates *out)
{
    size_t name = 0;
    while (name < length && !scan_is_blank(line[name]))
        name++;
    if (name < length) {
        size_t argument = name + scan_blank(line + name, length - name);
        out->start = start + argument;
        complete_argument(connection, line, name, line + argument, length - argument, out);
        return;
    }
    const char *known;
    out->start = start;
    for (size_t i = 0; (known = command_name(i)) != NULL; i++)
        if (strncmp(known, line, length) == 0)
            candidates_add(out, known, strlen(known), " ");
}

/* --- finding out which it is ----------------------------------------------------------------- */

void complete(omen_connection *connection, const char *text, size_t length, size_t cursor,
              struct candidates *out)
{
    size_t at = 0;
    out->start = cursor;
    for (;;) {
        size_t bare = at + scan_comments(text + at, cursor - at), rest;
        bool whole;
        if (bare > cursor)
            return; /* within a comment */
        if (bare < cursor && (text[bare] == '.' || text[bare] == '\\')) {
            const char *newline = memchr(text + bare, '\n', cursor - bare);
            if (newline == NULL) {
                complete_command(connection, text + bare, cursor - bare, bare, out);
                break;
            }
            at = (size_t)(newline - text);
            continue;
        }
        omen_statement_split(text + at, cursor - at, &rest, &whole);
        if (!whole) {
            complete_sql(connection, text + at, length - at, cursor - at, out);
            out->start += at;
            break;
        }
        at += rest;
    }
    candidates_sort(out);
}
