/* bits.h - bitmaps in Arrow's order (least significant bit first) and small bit helpers. */
#ifndef OMEN_BASE_BITS_H
#define OMEN_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool bit_get(const uint64_t *words, size_t index)
{
    return words[index / 64] >> (index % 64) & 1;
}

static inline void bit_set(uint64_t *words, size_t index)
{
    words[index / 64] |= UINT64_C(1) << (index % 64);
}

static inline void bit_clear(uint64_t *words, size_t index)
{
    words[index / 64] &= ~(UINT64_C(1) << (index % 64));
}

/* Sets `count` bits from `first` on. */
static inline void bit_set_range(uint64_t *words, size_t first, size_t count)
{
    for (size_t index = first; index < first + count;) {
        size_t in_word = index % 64, taken = 64 - in_word;
        if (taken > first + count - index)
            taken = first + count - index;
        words[index / 64] |= (UINT64_MAX >> (64 - taken)) << in_word;
        index += taken;
    }
}

static inline size_t bit_words(size_t bit_count)
{
    return (bit_count + 63) / 64;
}

/* How many of the first `bit_count` bits are set. */
static inline size_t bit_count_set(const uint64_t *words, size_t bit_count)
{
    size_t total = 0;
    for (size_t word = 0; word < bit_count / 64; word++)
        total += (size_t)__builtin_popcountll(words[word]);
    if (bit_count % 64 != 0)
        total += (size_t)__builtin_popcountll(words[bit_count / 64] &
                                              ((UINT64_C(1) << (bit_count % 64)) - 1));
    return total;
}

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
