/* history.c - the history file: $OMENDB_HISTORY (empty: none), else omendb/history in
 * $XDG_STATE_HOME, else ~/.omendb_history. */
#define _POSIX_C_SOURCE 200809L
#include "history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_BYTES = 4096,
    FILE_BYTES_MAX = 4 << 20, /* of a longer file only the end is read */
    ENTRY_BYTES_MAX = 1 << 16,
};

/* The file's path; false where there is to be none. */
static bool find_path(char path[PATH_BYTES])
{
    const char *named = getenv("OMENDB_HISTORY"), *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length = 0;
    if (named != NULL) {
        length = snprintf(path, PATH_BYTES, "%s", named);
    } else if (state != NULL && state[0] == '/') {
        snprintf(path, PATH_BYTES, "%s/omendb", state);
        mkdir(path, 0700);
        length = snprintf(path, PATH_BYTES, "%s/omendb/history", state);
    } else if (home != NULL && home[0] == '/') {
        length = snprintf(path, PATH_BYTES, "%s/.omendb_history", home);
    }
    return length > 0 && length < PATH_BYTES;
}

/* Opens the file for reading and appending, private to its owner. -1 where that is not possible,
 * and for what is no file, e.g. /dev/null. */
static int open_file(int flags)
{
    char path[PATH_BYTES];
    struct stat status;
    int file = find_path(path) ? open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600) : -1;
    if (file < 0)
        return -1;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) ||
        ((status.st_mode & 077) != 0 && fchmod(file, 0600) != 0)) {
        close(file);
        return -1;
    }
    return file;
}

static bool write_all(int file, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(file, data, length);
        if (written < 0)
            return false;
        data += written;
        length -= (size_t)written;
    }
    return true;
}

void history_append(const char *text, size_t length)
{
    if (length == 0 || length > ENTRY_BYTES_MAX)
        return;
    char *line = malloc(2 * length + 1), *end = line;
    if (line == NULL)
        return;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n' || text[i] == '\\')
            *end++ = '\\';
        *end++ = text[i] == '\n' ? 'n' : text[i];
    }
    *end++ = '\n';
    int file = open_file(O_WRONLY | O_APPEND | O_CREAT);
    if (file >= 0) {
        (void)!write_all(file, line, (size_t)(end - line));
        close(file);
    }
    free(line);
}

/* Undoes the escapes of a zero-terminated line, in place. */
static void unescape(char *line)
{
    char *out = line;
    for (; *line != '\0'; line++) {
        bool escape = line[0] == '\\' && line[1] != '\0';
        *out++ = !escape ? line[0] : line[1] == 'n' ? '\n' : line[1];
        line += escape;
    }
    *out = '\0';
}

/* The start of the last `entries` lines of the text. */
static char *last_lines(char *text, size_t length, size_t entries)
{
    char *at = text + length;
    while (at > text) {
        if (at[-1] == '\n' && at != text + length && --entries == 0)
            break;
        at--;
    }
    return at;
}

/* The end of the file, zero-terminated, from the first whole line on. The caller frees. */
static char *read_end(int file, size_t *length)
{
    off_t size = lseek(file, 0, SEEK_END);
    off_t start = size > FILE_BYTES_MAX ? size - FILE_BYTES_MAX : 0;
    char *text = size < 0 ? NULL : malloc((size_t)(size - start) + 1);
    if (text == NULL)
        return NULL;
    ssize_t bytes = pread(file, text, (size_t)(size - start), start);
    *length = bytes > 0 ? (size_t)bytes : 0;
    text[*length] = '\0';
    char *line = start > 0 ? strchr(text, '\n') : NULL;
    if (line != NULL) {
        *length -= (size_t)(line + 1 - text);
        memmove(text, line + 1, *length + 1);
    }
    return text;
}

/* Puts a file with the given entries in the place of one that has grown too long. */
static void shorten(const char *text, size_t length)
{
    char path[PATH_BYTES], fresh[PATH_BYTES + 16];
    if (!find_path(path))
        return;
    snprintf(fresh, sizeof fresh, "%s.%ld", path, (long)getpid());
    int file = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return;
    bool written = write_all(file, text, length);
    if (close(file) != 0 || !written || rename(fresh, path) != 0)
        unlink(fresh);
}

void history_read(history_entry *entry, void *context)
{
    size_t length;
    int file = open_file(O_RDONLY);
    char *text = file < 0 ? NULL : read_end(file, &length);
    if (file >= 0)
        close(file);
    if (text == NULL)
        return;
    char *kept = last_lines(text, length, HISTORY_ENTRIES_MAX);
    if (last_lines(text, length, 2 * HISTORY_ENTRIES_MAX) > text)
        shorten(kept, length - (size_t)(kept - text));
    for (char *line = kept, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        unescape(line);
        if (line[0] != '\0')
            entry(context, line);
    }
    free(text);
}
