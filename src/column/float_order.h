/* float_order.h - floats in one form each, and as integers of the same order.
 *
 * Canonical: -0.0 is stored as 0.0 and every NaN as the one positive quiet NaN. The bits of a
 * canonical float, with the magnitude bits inverted where it is negative, compare as signed
 * integers in PostgreSQL's order: -infinity first, NaN after +infinity.
 */
#ifndef OMEN_COLUMN_FLOAT_ORDER_H
#define OMEN_COLUMN_FLOAT_ORDER_H

#include <stdint.h>
#include <string.h>

#define FLOAT_NAN_BITS  UINT32_C(0x7FC00000)
#define DOUBLE_NAN_BITS UINT64_C(0x7FF8000000000000)

static inline int32_t float_order_bits(int32_t bits)
{
    return bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1);
}

static inline int64_t double_order_bits(int64_t bits)
{
    return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}

static inline float float_canonical(float value)
{
    uint32_t bits = FLOAT_NAN_BITS;
    float nan;
    memcpy(&nan, &bits, sizeof nan);
    return value != value ? nan : value == 0 ? 0.0f : value;
}

static inline double double_canonical(double value)
{
    uint64_t bits = DOUBLE_NAN_BITS;
    double nan;
    memcpy(&nan, &bits, sizeof nan);
    return value != value ? nan : value == 0 ? 0.0 : value;
}

/* The ordered integer of any float, canonical or not. */
static inline int32_t float_order(float value)
{
    int32_t bits;
    float canonical = float_canonical(value);
    memcpy(&bits, &canonical, sizeof bits);
    return float_order_bits(bits);
}

static inline int64_t double_order(double value)
{
    int64_t bits;
    double canonical = double_canonical(value);
    memcpy(&bits, &canonical, sizeof bits);
    return double_order_bits(bits);
}

#endif
