/* alex_search.c - lookups: the descent and the SIMD last mile, the one file with vector code.
 *
 * A block's eight keys are compared at once. A slot that equals the key is its entry or, where
 * its row id is 0, a gap that copies the key of a later block; there the walk goes on.
 *
 * Each search exists twice: for AVX2, chosen at run time, and in plain C. Both read only.
 */
#include <string.h>

#include "index/alex_private.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BATCH_KEYS = 16 };

#define LIKELY(condition) __builtin_expect(!!(condition), 1)

static inline void prefetch(const void *address)
{
    __builtin_prefetch(address, 0, 3);
}

static inline void prefetch_block(const struct alex_block *block)
{
    prefetch(block->keys);
    prefetch(block->row_ids);
}

/* The row id of `key` where the predicted block did not decide. Out of line, so that the common
 * path needs no stack frame: the fewer instructions, the more lookups overlap. */
static __attribute__((noinline)) uint64_t find_by_walking(const struct alex_leaf *leaf,
                                                          uint32_t predicted, uint64_t key)
{
    const struct alex_block *block = &leaf->blocks[leaf_walk(leaf, predicted, key)];
    for (unsigned slot = 0; slot < BLOCK_SLOTS; slot++) {
        if (block->keys[slot] == key)
            return block->row_ids[slot];
    }
    return ROW_ID_NONE;
}

/* ---- plain C ---- */

/* Bit n: slot n equals the key. */
static inline unsigned match_scalar(const struct alex_block *block, uint64_t key)
{
    unsigned slots = 0;
    for (unsigned slot = 0; slot < BLOCK_SLOTS; slot++)
        slots |= (unsigned)(block->keys[slot] == key) << slot;
    return slots;
}

static inline uint32_t fence_block_scalar(const struct alex_leaf *leaf, uint32_t last,
                                          uint64_t key)
{
    (void)last;
    return leaf_locate(leaf, key);
}

/* ---- AVX2 ---- */

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

AVX2 static inline unsigned match_avx2(const struct alex_block *block, uint64_t key)
{
    __m256i wanted = _mm256_set1_epi64x((long long)key);
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)block->keys);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(block->keys + 4));
    __m256d low_equal = _mm256_castsi256_pd(_mm256_cmpeq_epi64(low, wanted));
    __m256d high_equal = _mm256_castsi256_pd(_mm256_cmpeq_epi64(high, wanted));
    return (unsigned)_mm256_movemask_pd(low_equal) |
           (unsigned)_mm256_movemask_pd(high_equal) << 4;
}

/* Counts the fences <= key, eight at a time; unused ones are above every key but UINT64_MAX. */
AVX2 static inline uint32_t fence_block_avx2(const struct alex_leaf *leaf, uint32_t last, uint64_t key)
{
    if (key == UINT64_MAX)
        return leaf_locate(leaf, key);
    /* The entry knows the size, so the header need not be waited for. */
    size_t count = leaf_fences(last + 1);
    const uint64_t *fences = (const uint64_t *)(const void *)leaf - count;
    __m256i sign = _mm256_set1_epi64x((long long)(UINT64_C(1) << 63));
    __m256i wanted = _mm256_xor_si256(_mm256_set1_epi64x((long long)key), sign);
    size_t above = 0;
    for (size_t at = 0; at < count; at += 4) {
        __m256i some = _mm256_loadu_si256((const __m256i *)(const void *)(fences + at));
        __m256i greater = _mm256_cmpgt_epi64(_mm256_xor_si256(some, sign), wanted);
        above += (size_t)_mm_popcnt_u32(
            (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(greater)));
    }
    return count > above ? (uint32_t)(count - above - 1) : 0;
}
#endif

/* ---- the two searches, each from its own primitives ---- */

/* find_in_leaf: the row id of `key` given its leaf's entry. */
#define DEFINE_SEARCH(suffix, attributes)                                                       \
    attributes static __attribute__((noinline)) uint64_t find_by_fences_##suffix(               \
        const struct alex_entry *entry, uint64_t key)                                           \
    {                                                                                           \
        const struct alex_leaf *leaf = entry->child;                                            \
        const struct alex_block *block =                                                        \
            &leaf->blocks[fence_block_##suffix(leaf, entry->last, key)];                        \
        unsigned slots = match_##suffix(block, key);                                            \
        return slots != 0 ? block->row_ids[__builtin_ctz(slots)] : ROW_ID_NONE;                 \
    }                                                                                           \
                                                                                                \
    attributes static inline uint64_t find_in_leaf_##suffix(const struct alex_entry *entry,     \
                                                            uint64_t key)                       \
    {                                                                                           \
        if (!LIKELY(entry->kind == ALEX_MODEL))                                                 \
            return find_by_fences_##suffix(entry, key);                                         \
        const struct alex_leaf *leaf = entry->child;                                            \
        uint32_t at = model_block(entry->base, entry->multiplier, entry->last, key);            \
        const struct alex_block *block = &leaf->blocks[at];                                     \
        unsigned slots = match_##suffix(block, key);                                            \
        if (LIKELY(slots != 0)) {                                                               \
            uint64_t row_id = block->row_ids[__builtin_ctz(slots)];                             \
            if (LIKELY(row_id != ROW_ID_NONE))                                                  \
                return row_id;                                                                  \
        } else if (key >= block->keys[0] && key < block->keys[BLOCK_SLOTS - 1]) {               \
            return ROW_ID_NONE;                                                                 \
        }                                                                                       \
        return find_by_walking(leaf, at, key);                                                  \
    }                                                                                           \
                                                                                                \
    attributes static uint64_t lookup_##suffix(const struct alex *alex, uint64_t key)           \
    {                                                                                           \
        const struct alex_entry *entry = &alex->root;                                           \
        while (entry->kind == ALEX_INNER)                                                       \
            entry = entry_descend(entry, key);                                                  \
        return find_in_leaf_##suffix(entry, key);                                               \
    }                                                                                           \
                                                                                                \
    attributes static void lookup_group_##suffix(const struct alex *alex,                       \
                                                 const struct index_key *keys, size_t count,    \
                                                 uint64_t *row_ids)                             \
    {                                                                                           \
        const struct alex_entry *entries[BATCH_KEYS];                                           \
        descend_group(alex, keys, count, entries);                                              \
        for (size_t at = 0; at < count; at++)                                                   \
            row_ids[at] = find_in_leaf_##suffix(entries[at], keys[at].word);                    \
    }                                                                                           \
                                                                                                \
    attributes static void lookup_batch_##suffix(const struct alex *alex,                       \
                                                 const struct index_key *keys, size_t count,    \
                                                 uint64_t *row_ids)                             \
    {                                                                                           \
        for (size_t at = 0; at < count; at += BATCH_KEYS)                                       \
            lookup_group_##suffix(alex, keys + at,                                              \
                                  count - at < BATCH_KEYS ? count - at : BATCH_KEYS,            \
                                  row_ids + at);                                                \
    }

/* Brings what the leaf search reads into the cache: the predicted block, or the fences. */
static inline void prefetch_leaf(const struct alex_entry *entry, uint64_t key)
{
    const struct alex_leaf *leaf = entry->child;
    if (LIKELY(entry->kind == ALEX_MODEL)) {
        prefetch_block(
            &leaf->blocks[model_block(entry->base, entry->multiplier, entry->last, key)]);
        return;
    }
    const char *fences = (const char *)leaf - leaf_fences(entry->last + 1) * sizeof(uint64_t);
    for (const char *line = fences; line <= (const char *)leaf; line += 64)
        prefetch(line);
}

/* Descends a group of keys level by level, so that their cache misses overlap. */
static inline void descend_group(const struct alex *alex, const struct index_key *keys,
                                 size_t count, const struct alex_entry **entries)
{
    bool inner = alex->root.kind == ALEX_INNER;
    for (size_t at = 0; at < count; at++)
        entries[at] = &alex->root;
    while (inner) {
        inner = false;
        for (size_t at = 0; at < count; at++) {
            if (entries[at]->kind != ALEX_INNER)
                continue;
            entries[at] = entry_descend(entries[at], keys[at].word);
            prefetch(entries[at]);
            inner = true;
        }
    }
    for (size_t at = 0; at < count; at++)
        prefetch_leaf(entries[at], keys[at].word);
}

DEFINE_SEARCH(scalar, )
const struct alex_search alex_search_scalar = {lookup_scalar, lookup_batch_scalar};

#if defined(__x86_64__)
DEFINE_SEARCH(avx2, AVX2)
static const struct alex_search alex_search_avx2 = {lookup_avx2, lookup_batch_avx2};
#endif

const struct alex_search *alex_search_select(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi"))
        return &alex_search_avx2;
#endif
    return &alex_search_scalar;
}

uint64_t alex_lookup(const struct alex *alex, uint64_t key)
{
    return alex->search->lookup(alex, key);
}

void alex_lookup_batch(const struct alex *alex, const struct index_key *keys, size_t count,
                       uint64_t *row_ids)
{
    alex->search->lookup_batch(alex, keys, count, row_ids);
}
