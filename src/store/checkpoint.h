/* checkpoint.h - a checkpoint in steps: from the rows in memory to segments and a new manifest
 * (R8.1).
 *
 *   begin    under the writer lock: everything in flight is published; C, the log's end, the tables
 *   step     each writes one segment, or one file of ends, without any lock
 *   finish   the manifest; then the log is released and files that no manifest names are removed
 *
 * A checkpoint is a registered reader at C, so nothing that it captured changes or goes. One at a
 * time; any thread, one step at a time.
 */
#ifndef OMEN_STORE_CHECKPOINT_H
#define OMEN_STORE_CHECKPOINT_H

#include <stdbool.h>

#include "base/status.h"

struct storage;
struct checkpoint;

/* Captures the state now. Errors: why the log has failed; what an earlier checkpoint has left
 * unknown (R8.4); OUT_OF_MEMORY. */
OMEN_MUST_CHECK omen_status checkpoint_begin(struct storage *storage, struct checkpoint **out,
                                             omen_error *error);

/* Does the next piece of work; `*more` is false when nothing is left but to finish. After an error
 * the checkpoint can only be destroyed. Errors: DISK_FULL, IO_ERROR, OUT_OF_MEMORY, the codec's. */
OMEN_MUST_CHECK omen_status checkpoint_step(struct checkpoint *checkpoint, bool *more,
                                            omen_error *error);

/* Makes it the database's. Errors: as manifest_write. Where the manifest was not replaced, the old
 * one and all it names are as they were; where nobody can know, no further checkpoint is made. */
OMEN_MUST_CHECK omen_status checkpoint_finish(struct checkpoint *checkpoint, omen_error *error);

/* Frees it, and removes files it has written that count for nothing. NULL does nothing. */
void checkpoint_destroy(struct checkpoint *checkpoint);

#endif
