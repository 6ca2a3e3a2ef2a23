/* decimal.h - omen_decimal as a 128-bit integer. */
#ifndef OMEN_COLUMN_DECIMAL_H
#define OMEN_COLUMN_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "omendb_types.h"

__extension__ typedef __int128 wide_integer;
__extension__ typedef unsigned __int128 wide_unsigned;

enum { DECIMAL_PRECISION_MAX = 38, DECIMAL_WORD_PRECISION_MAX = 18 };

static inline wide_integer decimal_to_integer(omen_decimal decimal)
{
    return (wide_integer)((wide_unsigned)(uint64_t)decimal.high << 64 | decimal.low);
}

static inline omen_decimal decimal_from_integer(wide_integer integer)
{
    return (omen_decimal){.low = (uint64_t)integer,
                          .high = (int64_t)((wide_unsigned)integer >> 64)};
}

/* Ten to the power of `exponent`, 0 to 38. */
static inline wide_integer decimal_power(uint32_t exponent)
{
    wide_integer power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

/* Whether the unscaled value has at most `precision` digits. */
static inline bool decimal_fits(wide_integer unscaled, uint32_t precision)
{
    wide_integer bound = decimal_power(precision);
    return unscaled > -bound && unscaled < bound;
}

#endif
