/* interrupt.h - Ctrl-C, as a flag, as a cancelled statement, and as the end of a wait.
 *
 * One state for the process. The handler stores a flag, wakes interrupt_wait through a pipe and
 * calls omen_interrupt for the connection that runs a statement. Everything else is called by the
 * main thread.
 */
#ifndef OMEN_CLI_INTERRUPT_H
#define OMEN_CLI_INTERRUPT_H

#include <stdbool.h>

#include "omendb.h"

enum wake { WAKE_READABLE, WAKE_INTERRUPT, WAKE_RESIZE, WAKE_CONTINUE, WAKE_TERMINATE };

/* Installs the handlers. Where a run is not `interactive`, a second Ctrl-C before
 * interrupt_clear kills the process, as a statement may not notice the first. */
void interrupt_install(bool interactive);

/* The connection that Ctrl-C cancels from now on; NULL for none. */
void interrupt_watch(omen_connection *connection);

/* Whether Ctrl-C was pressed since interrupt_clear. */
bool interrupt_pending(void);
void interrupt_clear(void);

/* Waits until `descriptor` can be read or a signal of `enum wake` has come. */
enum wake interrupt_wait(int descriptor);

/* From here to interrupt_prompt_end, SIGTERM and SIGHUP, a changed window and a shell that runs on
 * after Ctrl-Z are reported by interrupt_wait, so that the terminal can be put right. */
void interrupt_prompt_begin(void);
void interrupt_prompt_end(void);

#endif
