/* stand_in.h - a SQL engine that knows the statements of the workload and nothing else.
 *
 * It reads tables as the real one does: through the host's functions, at the statement's read view, with
 * predicates handed down or not, batch by batch while its rows are asked for. What is to be computed it
 * learns from the client whose fibre asks, not from the text. So that a simulation can have analytical
 * reads, and updates through them, without threads that are not its own.
 */
#ifndef OMEN_TESTS_STAND_IN_H
#define OMEN_TESTS_STAND_IN_H

#include "omendb_engine.h"
#include "workload.h"

/* As omen_engine_entry. `current` gives the client that the running thread works for. */
const omen_engine *stand_in_entry(uint32_t abi_version);
void stand_in_set_current(const struct workload_client *(*current)(void));

#endif
