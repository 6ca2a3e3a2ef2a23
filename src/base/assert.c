/* assert.c - the end of a process whose own invariants broke. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "omendb: invariant broken: %s (%s:%d)\n", expression, file, line);
    abort();
}
