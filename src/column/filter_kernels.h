/* filter_kernels.h - range tests over arrays of numbers, as bitmaps (private to src/column).
 *
 * Each kernel sets bit i of `bits` where low <= values[i] <= high, for i below `count` (at most
 * VECTOR_ROWS), and clears the other bits of the words it touches: (count + 63) / 64 of them.
 * The decimal kernel takes 128-bit numbers, low half first, that are all within 64 bits.
 * The float kernels compare by float_order.h; their bounds are in that order too.
 */
#ifndef OMEN_COLUMN_FILTER_KERNELS_H
#define OMEN_COLUMN_FILTER_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

struct filter_kernels {
    void (*range_i16)(const int16_t *values, uint32_t count, int16_t low, int16_t high,
                      uint64_t *bits);
    void (*range_i32)(const int32_t *values, uint32_t count, int32_t low, int32_t high,
                      uint64_t *bits);
    void (*range_i64)(const int64_t *values, uint32_t count, int64_t low, int64_t high,
                      uint64_t *bits);
    void (*range_f32)(const int32_t *values, uint32_t count, int32_t low, int32_t high,
                      uint64_t *bits);
    void (*range_f64)(const int64_t *values, uint32_t count, int64_t low, int64_t high,
                      uint64_t *bits);
    void (*range_decimal)(const int64_t *halves, uint32_t count, int64_t low, int64_t high,
                          uint64_t *bits);
};

/* The fastest kernels this processor runs; the plain ones. */
const struct filter_kernels *filter_kernels_best(void);
const struct filter_kernels *filter_kernels_scalar(void);

#endif
