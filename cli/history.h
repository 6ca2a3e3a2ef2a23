/* history.h - the file that holds what was typed at the prompt, across sessions.
 *
 * One entry a line; a line feed in an entry is \n, a backslash \\. It is readable by its owner
 * only and is appended to, so that shells side by side keep all of their entries.
 */
#ifndef OMEN_CLI_HISTORY_H
#define OMEN_CLI_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

enum { HISTORY_ENTRIES_MAX = 1000 };

/* Called with each entry, zero-terminated, oldest first. */
typedef void history_entry(void *context, const char *text);

/* Reads the file's last HISTORY_ENTRIES_MAX entries, and shortens a file that has grown to many
 * more. Nothing happens where there is no file or none can be read. */
void history_read(history_entry *entry, void *context);

/* Appends an entry. Failure to do so is silent: a prompt works without a history. */
void history_append(const char *text, size_t length);

#endif
