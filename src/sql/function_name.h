/* function_name.h - names of the functions that PostgreSQL has: what is missing here and what is
 * nowhere are different errors. */
#ifndef OMEN_SQL_FUNCTION_NAME_H
#define OMEN_SQL_FUNCTION_NAME_H

#include <stdbool.h>

/* Whether PostgreSQL has a function, aggregate or window function of that name. Thread-safe. */
bool function_name_is_known(const char *name);

#endif
