/* status.h - propagating results inside the core. The codes are in include/omendb_status.h. */
#ifndef OMEN_BASE_STATUS_H
#define OMEN_BASE_STATUS_H

#include <stddef.h>

#include "omendb_status.h"

/* Fills `error` (may be NULL) with `status` and a formatted message and returns `status`, so
 * that a failing function reads `return error_set(error, OMEN_..., "...", ...)`. A message
 * that does not fit is cut on a character boundary. Thread-safe: touches only `error`. */
omen_status error_set(omen_error *error, omen_status status, const char *format, ...)
    OMEN_PRINTF(3, 4);

/* Adds a hint to an error that was set (may be NULL): a sentence about what to do, told after the
 * message. Left out where it does not fit behind the message. Thread-safe: touches only `error`. */
void error_hint(omen_error *error, const char *format, ...) OMEN_PRINTF(2, 3);

/* As error_set with the status's default text. */
omen_status error_set_default(omen_error *error, omen_status status);

/* Forgets a failure that what came after has made good. NULL does nothing. */
static inline void error_clear(omen_error *error)
{
    if (error != NULL)
        *error = (omen_error){.status = OMEN_OK};
}

/* Leaves the enclosing function with the status of a call that failed. Only for functions that
 * hold nothing that needs releasing. */
#define OMEN_TRY(call)                                                                             \
    do {                                                                                           \
        omen_status try_status_ = (call);                                                          \
        if (try_status_ != OMEN_OK)                                                                \
            return try_status_;                                                                    \
    } while (0)

#endif
