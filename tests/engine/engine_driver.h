/* engine_driver.h - opens the engine under test, runs a query, reads the answer as text.
 *
 * A row is its values joined by '|', rows are joined by newlines, NULL is "NULL". Results are
 * zero-terminated and owned by the driver until the next call. One thread.
 */
#ifndef TEST_ENGINE_DRIVER_H
#define TEST_ENGINE_DRIVER_H

#include "omendb_engine.h"

/* Loads the shared object `path`, or where that is NULL the one the environment's OMENDB_ENGINE
 * names. NULL where there is none: the caller skips. */
const omen_engine *driver_load(const char *path);

/* Opens an instance over the fake host with this memory limit (0 = default) and thread count. */
void driver_open(uint64_t memory_bytes_max, uint32_t thread_count);

/* Closes it while streams or batches are still out; may be opened again. */
void driver_close_early(void);

/* Closes it, if still open, and checks that nothing of the host's is alive any more. */
void driver_close(void);

omen_engine_instance *driver_instance(void);

/* From now on a query is interrupted when it has asked `asks` times (-1: never), or after
 * `timeout_ms` (0: never). */
void driver_interrupt(int asks, uint64_t timeout_ms);

/* What the engine counted. */
omen_engine_counters driver_counters(void);

/* Starts `sql`; the caller reads and releases the stream. */
omen_status driver_start(const char *sql, struct ArrowArrayStream *stream, omen_error *error);

/* Runs `sql`; fails the test on an error. */
const char *driver_run(const char *sql);
const char *driver_run_with(const char *sql, const omen_value *parameters, uint32_t count);
const char *driver_explain(const char *sql);

/* Runs `sql`, which must fail, while planning or while reading; gives "SQLSTATE message". */
const char *driver_fail(const char *sql);

/* Asserts the answer of `sql`, or the SQLSTATE and a part of the message. */
void expect(const char *sql, const char *answer);
void expect_error(const char *sql, const char *sqlstate, const char *message_part);

#endif
