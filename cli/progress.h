/* progress.h - a bar on the terminal for a statement that takes long.
 *
 * One state for the process, as interrupt.h. A thread of its own draws on standard error, from two
 * seconds (or OMENDB_PROGRESS_MS) after progress_begin on, and only where that is a terminal; the
 * main thread begins and ends it. Nothing else may write to the terminal between the two.
 */
#ifndef OMEN_CLI_PROGRESS_H
#define OMEN_CLI_PROGRESS_H

#include "omendb.h"

/* A statement of this connection begins to run. */
void progress_begin(const omen_connection *connection);

/* It is done, or something is about to be printed: a bar is wiped. Does nothing where none began.
 */
void progress_end(void);

#endif
