/* path.h - names of files in a database directory. */
#ifndef OMEN_STORE_PATH_H
#define OMEN_STORE_PATH_H

#include <stdio.h>

#include "base/status.h"

enum { STORE_PATH_BYTES = 4096 };

/* Writes "folder/name". Errors: LIMIT_EXCEEDED where it does not fit. */
OMEN_MUST_CHECK static inline omen_status path_join(char out[STORE_PATH_BYTES], const char *folder,
                                                    const char *name, omen_error *error)
{
    int length = snprintf(out, STORE_PATH_BYTES, "%s/%s", folder, name);
    if (length > 0 && length < STORE_PATH_BYTES)
        return OMEN_OK;
    return error_set(error, OMEN_LIMIT_EXCEEDED, "the path of database \"%.64s...\" is too long",
                     folder);
}

#endif
