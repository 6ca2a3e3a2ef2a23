/* filter_kernels.c - the kernels of filter_kernels.h: AVX2 where the processor has it, and plain
 * C that does the same anywhere.
 *
 * AVX2 has only "greater than", so x lies in [low, high] where neither low > x nor x > high.
 * A comparison leaves all-ones lanes; movemask gathers one bit of each. Pure functions.
 */
#include "column/filter_kernels.h"

#include <stddef.h>

#include "column/float_order.h"

#define SAME(value) (value)

/* `width` elements of `values` make one value, of which the first counts. */
#define DEFINE_SCALAR(name, type, width, ORDERED)                                                  \
    static void scalar_##name(const type *values, uint32_t count, type low, type high,             \
                              uint64_t *bits)                                                      \
    {                                                                                              \
        for (uint32_t base = 0; base < count; base += 64) {                                        \
            uint32_t end = count - base < 64 ? count - base : 64;                                  \
            uint64_t word = 0;                                                                     \
            for (uint32_t i = 0; i < end; i++) {                                                   \
                type value = ORDERED(values[(size_t)(base + i) * (width)]);                        \
                word |= (uint64_t)(value >= low && value <= high) << i;                            \
            }                                                                                      \
            bits[base / 64] = word;                                                                \
        }                                                                                          \
    }

DEFINE_SCALAR(range_i16, int16_t, 1, SAME)
DEFINE_SCALAR(range_i32, int32_t, 1, SAME)
DEFINE_SCALAR(range_i64, int64_t, 1, SAME)
DEFINE_SCALAR(range_f32, int32_t, 1, float_order_bits)
DEFINE_SCALAR(range_f64, int64_t, 1, double_order_bits)
DEFINE_SCALAR(range_decimal, int64_t, 2, SAME)

static const struct filter_kernels scalar_kernels = {scalar_range_i16, scalar_range_i32,
                                                     scalar_range_i64, scalar_range_f32,
                                                     scalar_range_f64, scalar_range_decimal};

const struct filter_kernels *filter_kernels_scalar(void)
{
    return &scalar_kernels;
}

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* Runs WORD, which gives 64 results for the 64 values at `values + base`, over the whole words
 * and the scalar kernel over the rest. */
#define DEFINE_AVX2(name, type, width, WORD)                                                       \
    AVX2 static void avx2_##name(const type *values, uint32_t count, type low, type high,          \
                                 uint64_t *bits)                                                   \
    {                                                                                              \
        uint32_t whole = count / 64 * 64;                                                          \
        for (uint32_t base = 0; base < whole; base += 64)                                          \
            bits[base / 64] = WORD(values + (size_t)base * (width), low, high);                    \
        if (whole < count)                                                                         \
            scalar_##name(values + (size_t)whole * (width), count - whole, low, high,              \
                          bits + whole / 64);                                                      \
    }

static inline AVX2 __m256i outside_i16(__m256i value, __m256i low, __m256i high)
{
    return _mm256_or_si256(_mm256_cmpgt_epi16(low, value), _mm256_cmpgt_epi16(value, high));
}

static inline AVX2 uint64_t word_i16(const int16_t *values, int16_t low, int16_t high)
{
    __m256i lows = _mm256_set1_epi16(low), highs = _mm256_set1_epi16(high);
    uint64_t word = 0;
    for (uint32_t i = 0; i < 64; i += 32) {
        __m256i first = _mm256_loadu_si256((const __m256i *)(values + i));
        __m256i second = _mm256_loadu_si256((const __m256i *)(values + i + 16));
        /* packs works within 128-bit halves; the permutation restores the order. */
        __m256i bytes =
            _mm256_packs_epi16(outside_i16(first, lows, highs), outside_i16(second, lows, highs));
        bytes = _mm256_permute4x64_epi64(bytes, 0xD8);
        word |= (uint64_t)(uint32_t)~_mm256_movemask_epi8(bytes) << i;
    }
    return word;
}

static inline AVX2 uint32_t eight_i32(__m256i value, __m256i low, __m256i high)
{
    __m256i outside =
        _mm256_or_si256(_mm256_cmpgt_epi32(low, value), _mm256_cmpgt_epi32(value, high));
    return ~(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(outside)) & 0xFF;
}

static inline AVX2 uint64_t word_i32(const int32_t *values, int32_t low, int32_t high)
{
    __m256i lows = _mm256_set1_epi32(low), highs = _mm256_set1_epi32(high);
    uint64_t word = 0;
    for (uint32_t i = 0; i < 64; i += 8)
        word |= (uint64_t)eight_i32(_mm256_loadu_si256((const __m256i *)(values + i)), lows, highs)
                << i;
    return word;
}

static inline AVX2 uint64_t word_f32(const int32_t *values, int32_t low, int32_t high)
{
    __m256i lows = _mm256_set1_epi32(low), highs = _mm256_set1_epi32(high);
    uint64_t word = 0;
    for (uint32_t i = 0; i < 64; i += 8) {
        __m256i value = _mm256_loadu_si256((const __m256i *)(values + i));
        __m256i magnitude = _mm256_srli_epi32(_mm256_srai_epi32(value, 31), 1);
        word |= (uint64_t)eight_i32(_mm256_xor_si256(value, magnitude), lows, highs) << i;
    }
    return word;
}

static inline AVX2 uint32_t four_i64(__m256i value, __m256i low, __m256i high)
{
    __m256i outside =
        _mm256_or_si256(_mm256_cmpgt_epi64(low, value), _mm256_cmpgt_epi64(value, high));
    return ~(uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(outside)) & 0xF;
}

static inline AVX2 uint64_t word_i64(const int64_t *values, int64_t low, int64_t high)
{
    __m256i lows = _mm256_set1_epi64x(low), highs = _mm256_set1_epi64x(high);
    uint64_t word = 0;
    for (uint32_t i = 0; i < 64; i += 4)
        word |= (uint64_t)four_i64(_mm256_loadu_si256((const __m256i *)(values + i)), lows, highs)
                << i;
    return word;
}

static inline AVX2 uint64_t word_f64(const int64_t *values, int64_t low, int64_t high)
{
    __m256i lows = _mm256_set1_epi64x(low), highs = _mm256_set1_epi64x(high);
    uint64_t word = 0;
    for (uint32_t i = 0; i < 64; i += 4) {
        __m256i value = _mm256_loadu_si256((const __m256i *)(values + i));
        __m256i sign = _mm256_cmpgt_epi64(_mm256_setzero_si256(), value);
        __m256i magnitude = _mm256_srli_epi64(sign, 1);
        word |= (uint64_t)four_i64(_mm256_xor_si256(value, magnitude), lows, highs) << i;
    }
    return word;
}

static inline AVX2 uint64_t word_decimal(const int64_t *halves, int64_t low, int64_t high)
{
    __m256i lows = _mm256_set1_epi64x(low), highs = _mm256_set1_epi64x(high);
    uint64_t word = 0;
    for (uint32_t i = 0; i < 64; i += 4) {
        __m256i first = _mm256_loadu_si256((const __m256i *)(halves + 2 * i));
        __m256i second = _mm256_loadu_si256((const __m256i *)(halves + 2 * i + 4));
        /* The low halves of values 0, 2, 1, 3; the permutation restores the order. */
        __m256i values = _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(first, second), 0xD8);
        word |= (uint64_t)four_i64(values, lows, highs) << i;
    }
    return word;
}

DEFINE_AVX2(range_i16, int16_t, 1, word_i16)
DEFINE_AVX2(range_i32, int32_t, 1, word_i32)
DEFINE_AVX2(range_i64, int64_t, 1, word_i64)
DEFINE_AVX2(range_f32, int32_t, 1, word_f32)
DEFINE_AVX2(range_f64, int64_t, 1, word_f64)
DEFINE_AVX2(range_decimal, int64_t, 2, word_decimal)

static const struct filter_kernels avx2_kernels = {avx2_range_i16, avx2_range_i32,
                                                   avx2_range_i64, avx2_range_f32,
                                                   avx2_range_f64, avx2_range_decimal};

const struct filter_kernels *filter_kernels_best(void)
{
    return __builtin_cpu_supports("avx2") ? &avx2_kernels : &scalar_kernels;
}

#else

const struct filter_kernels *filter_kernels_best(void)
{
    return &scalar_kernels;
}

#endif
