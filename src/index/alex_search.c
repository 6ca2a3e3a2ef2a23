/* alex_search.c - lookups: the descent and the SIMD last mile, the one file with vector code.
 *
 * A block's eight keys are compared at once. A slot that equals the key is its entry or, where
 * its row id is 0, a gap that copies the key of a later block; there the walk goes on.
 *
 * Lookups from one caller overlap as far as they fit into the CPU's reorder window, so what
 * counts besides cache misses is the number of instructions: each lookup is one function without
 * calls and without a stack frame, compiled once per instruction set from the same inline parts.
 * No leaf header is read: the entry in the model node knows all that a search needs.
 *
 * All of them read only.
 */
#include "index/alex_private.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BATCH_KEYS = 16 };

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define INLINE            static inline __attribute__((always_inline))

/* What the instruction sets do differently. */
struct kernel {
    /* Bit n: keys[n], of a block's eight, equals the key. */
    unsigned (*match)(const uint64_t *keys, uint64_t key);
    /* How many of `count` ascending fences, a multiple of eight, are <= key. */
    size_t (*rank)(const uint64_t *fences, size_t count, uint64_t key);
    /* find_by_fences, out of line: it would cost the lookups by model registers. */
    uint64_t (*find_by_fences)(const struct alex_entry *entry, uint64_t key);
};

/* ---- within a leaf ---- */

/* The last block with an entry, or block 0. */
static uint32_t last_filled(const struct alex_block *blocks, uint32_t last)
{
    while (last > 0 && blocks[last].row_ids[0] == ROW_ID_NONE)
        last--;
    return last;
}

/* The last block of [low, high) whose first key is <= key; low's is, or low is 0. */
static uint32_t bisect(const struct alex_block *blocks, uint32_t low, uint32_t high, uint64_t key)
{
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (blocks[middle].keys[0] <= key)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* As leaf_locate, for blocks 0 to `last` of a leaf whose header need not be read, from block
 * `predicted`. Most predictions are off by one block if at all, so the first steps have that
 * length: a longer one would wait for a block that is not needed. */
static uint32_t walk(const struct alex_block *blocks, uint32_t last, uint32_t predicted,
                     uint64_t key)
{
    enum { SHORT_STEPS = 2 };
    if (key == UINT64_MAX)
        return last_filled(blocks, last);
    uint32_t at = predicted;
    uint32_t step = 1;
    if (blocks[at].keys[0] <= key) {
        while (last - at >= step && blocks[at + step].keys[0] <= key) {
            at += step;
            step = at - predicted < SHORT_STEPS ? 1 : step * 2;
        }
        return bisect(blocks, at, last - at >= step ? at + step : last + 1, key);
    }
    while (at >= step && blocks[at - step].keys[0] > key) {
        at -= step;
        step = predicted - at < SHORT_STEPS ? 1 : step * 2;
    }
    return bisect(blocks, at >= step ? at - step : 0, at > 0 ? at : 1, key);
}

static uint32_t locate_by_fences(const struct alex_leaf *leaf, uint64_t key)
{
    if (key == UINT64_MAX)
        return last_filled(leaf->blocks, leaf->block_count - 1);
    const uint64_t *fences = leaf_fence(leaf);
    uint32_t low = 0;
    for (uint32_t length = leaf->block_count; length > 1;) {
        uint32_t half = length / 2;
        low = fences[low + half] <= key ? low + half : low;
        length -= half;
    }
    return low;
}

uint32_t leaf_locate(const struct alex_leaf *leaf, uint64_t key)
{
    if (leaf->kind == ALEX_SORTED)
        return locate_by_fences(leaf, key);
    return walk(leaf->blocks, leaf->block_count - 1, leaf_predict(leaf, key), key);
}

/* ---- one key ---- */

INLINE void prefetch_block(const struct alex_block *block)
{
    __builtin_prefetch(block->keys);
    __builtin_prefetch(block->row_ids);
}

/* Bit n: keys[n], of a block's eight, equals the key. */
static inline unsigned match_scalar(const uint64_t *keys, uint64_t key)
{
    unsigned slots = 0;
    for (unsigned slot = 0; slot < BLOCK_SLOTS; slot++)
        slots |= (unsigned)(keys[slot] == key) << slot;
    return slots;
}

/* The row id that the block holds for `key`, or ROW_ID_NONE. */
static inline uint64_t block_lookup(const struct alex_block *block, uint64_t key)
{
    unsigned slots = match_scalar(block->keys, key);
    return slots != 0 ? block->row_ids[__builtin_ctz(slots)] : ROW_ID_NONE;
}

/* The row id of `key` where the predicted block did not decide. Out of line, so that the common
 * path needs no stack frame. Nearly always the next block decides: its last key says so without
 * a look at the block behind it, which would have to be waited for. */
static __attribute__((noinline)) uint64_t find_by_walking(const struct alex_entry *entry,
                                                          const struct alex_block *predicted,
                                                          uint64_t key)
{
    const struct alex_leaf *leaf = entry->child;
    if (key >= predicted->keys[0] && key != UINT64_MAX) {
        if (predicted == &leaf->blocks[entry->last])
            return ROW_ID_NONE;
        const struct alex_block *next = predicted + 1;
        __builtin_prefetch(next->row_ids);
        uint64_t row_id = block_lookup(next, key);
        if (row_id != ROW_ID_NONE || key < next->keys[BLOCK_SLOTS - 1])
            return row_id;
    }
    uint32_t at = walk(leaf->blocks, entry->last, (uint32_t)(predicted - leaf->blocks), key);
    const struct alex_block *block = &leaf->blocks[at];
    return block == predicted ? ROW_ID_NONE : block_lookup(block, key);
}

/* The row id of `key`, which is in `block` of the entry's leaf or in one nearby. */
INLINE uint64_t find_in_block(const struct alex_entry *entry, const struct alex_block *block,
                              uint64_t key, struct kernel kernel)
{
    unsigned slots = kernel.match(block->keys, key);
    if (LIKELY(slots != 0)) {
        uint64_t row_id = block->row_ids[__builtin_ctz(slots)];
        if (LIKELY(row_id != ROW_ID_NONE))
            return row_id;
    } else if (key < block->keys[BLOCK_SLOTS - 1] && ((key >= block->keys[0]) | entry->forward)) {
        return ROW_ID_NONE; /* one branch: which of the two holds is hard to predict */
    }
    return find_by_walking(entry, block, key);
}

INLINE const struct alex_block *predict_block(const struct alex_entry *entry, uint64_t key)
{
    const char *blocks = (const char *)entry->child + sizeof(struct alex_leaf);
    return (const struct alex_block *)(const void *)blocks +
           model_block(entry->base, entry->multiplier, entry->last, key);
}

INLINE const uint64_t *entry_fences(const struct alex_entry *entry)
{
    return (const uint64_t *)entry->child - leaf_fences(entry->last + 1);
}

/* The block of a sorted leaf that the fences name; any, for UINT64_MAX. */
INLINE const struct alex_block *fence_block(const struct alex_entry *entry, uint64_t key,
                                            struct kernel kernel)
{
    const struct alex_leaf *leaf = entry->child;
    size_t rank = kernel.rank(entry_fences(entry), leaf_fences(entry->last + 1), key);
    size_t at = rank > 0 ? rank - 1 : 0;
    return &leaf->blocks[at < entry->last ? at : entry->last];
}

/* The row id of `key` in a sorted leaf. */
INLINE uint64_t find_by_fences(const struct alex_entry *entry, uint64_t key, struct kernel kernel)
{
    const struct alex_block *block = fence_block(entry, key, kernel);
    __builtin_prefetch(block->row_ids);
    return find_in_block(entry, block, key, kernel);
}

INLINE uint64_t lookup(const struct alex *alex, uint64_t key, struct kernel kernel)
{
    const struct alex_entry *entry = &alex->root;
    if (LIKELY(entry->kind == ALEX_INNER)) {
        do
            entry = entry_descend(entry, key);
        while (!LIKELY(entry->kind != ALEX_INNER));
    }
    if (!LIKELY(entry->kind == ALEX_MODEL))
        return kernel.find_by_fences(entry, key);
    const struct alex_block *block = predict_block(entry, key);
    __builtin_prefetch(block->row_ids);
    return find_in_block(entry, block, key, kernel);
}

/* ---- groups of keys: one level at a time, so that their cache misses overlap ---- */

INLINE void descend_group(const struct alex *alex, const struct index_key *keys, size_t count,
                          const struct alex_entry **entries)
{
    bool inner = alex->root.kind == ALEX_INNER;
    for (size_t at = 0; at < count; at++) {
        entries[at] = inner ? entry_descend(&alex->root, keys[at].word) : &alex->root;
        __builtin_prefetch(entries[at]);
    }
    while (inner) {
        inner = false;
        for (size_t at = 0; at < count; at++) {
            if (LIKELY(entries[at]->kind != ALEX_INNER))
                continue;
            entries[at] = entry_descend(entries[at], keys[at].word);
            __builtin_prefetch(entries[at]);
            inner = true;
        }
    }
}

INLINE void prefetch_fences(const struct alex_entry *entry)
{
    for (const uint64_t *fence = entry_fences(entry); fence < (const uint64_t *)entry->child;
         fence += BLOCK_SLOTS)
        __builtin_prefetch(fence);
}

INLINE void lookup_group(const struct alex *alex, const struct index_key *keys, size_t count,
                         uint64_t *row_ids, struct kernel kernel)
{
    const struct alex_entry *entries[BATCH_KEYS];
    const struct alex_block *blocks[BATCH_KEYS];
    bool any_sorted = false;
    descend_group(alex, keys, count, entries);
    for (size_t at = 0; at < count; at++) {
        if (LIKELY(entries[at]->kind == ALEX_MODEL)) {
            blocks[at] = predict_block(entries[at], keys[at].word);
            prefetch_block(blocks[at]);
        } else {
            prefetch_fences(entries[at]);
            any_sorted = true;
        }
    }
    for (size_t at = 0; any_sorted && at < count; at++) {
        if (entries[at]->kind == ALEX_MODEL)
            continue;
        blocks[at] = fence_block(entries[at], keys[at].word, kernel);
        prefetch_block(blocks[at]);
    }
    for (size_t at = 0; at < count; at++)
        row_ids[at] = find_in_block(entries[at], blocks[at], keys[at].word, kernel);
}

INLINE void lookup_batch(const struct alex *alex, const struct index_key *keys, size_t count,
                         uint64_t *row_ids, struct kernel kernel)
{
    size_t at = 0;
    for (; count - at >= BATCH_KEYS; at += BATCH_KEYS)
        lookup_group(alex, keys + at, BATCH_KEYS, row_ids + at, kernel);
    if (at < count)
        lookup_group(alex, keys + at, count - at, row_ids + at, kernel);
}

/* ---- plain C ---- */

static inline size_t rank_scalar(const uint64_t *fences, size_t count, uint64_t key)
{
    size_t rank = 0;
    for (size_t at = 0; at < count; at++)
        rank += fences[at] <= key;
    return rank;
}

#if defined(__x86_64__)

/* ---- AVX2 ---- */

#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))

AVX2 static inline unsigned match_avx2(const uint64_t *keys, uint64_t key)
{
    __m256i wanted = _mm256_set1_epi64x((long long)key);
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)keys);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(keys + 4));
    __m256d low_equal = _mm256_castsi256_pd(_mm256_cmpeq_epi64(low, wanted));
    __m256d high_equal = _mm256_castsi256_pd(_mm256_cmpeq_epi64(high, wanted));
    return (unsigned)_mm256_movemask_pd(low_equal) | (unsigned)_mm256_movemask_pd(high_equal) << 4;
}

/* Comparisons are signed: flipping the top bit makes unsigned order of it. */
AVX2 static inline size_t rank_avx2(const uint64_t *fences, size_t count, uint64_t key)
{
    __m256i sign = _mm256_set1_epi64x((long long)(UINT64_C(1) << 63));
    __m256i wanted = _mm256_xor_si256(_mm256_set1_epi64x((long long)key), sign);
    size_t above = 0;
    for (size_t at = 0; at < count; at += 4) {
        __m256i some = _mm256_loadu_si256((const __m256i *)(const void *)(fences + at));
        __m256i greater = _mm256_cmpgt_epi64(_mm256_xor_si256(some, sign), wanted);
        above += (size_t)_mm_popcnt_u32((unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(greater)));
    }
    return count - above;
}

/* ---- AVX-512 ---- */

#define AVX512 __attribute__((target("avx512f,avx512dq,avx2,bmi,bmi2,popcnt")))

AVX512 static inline unsigned match_avx512(const uint64_t *keys, uint64_t key)
{
    return _mm512_cmpeq_epi64_mask(_mm512_loadu_si512(keys), _mm512_set1_epi64((long long)key));
}

AVX512 static inline size_t rank_avx512(const uint64_t *fences, size_t count, uint64_t key)
{
    __m512i wanted = _mm512_set1_epi64((long long)key);
    size_t rank = 0;
    for (size_t at = 0; at < count; at += 8)
        rank += (size_t)_mm_popcnt_u32(
            _mm512_cmple_epu64_mask(_mm512_loadu_si512(fences + at), wanted));
    return rank;
}
#endif

/* ---- one search for each instruction set ---- */

#define KERNEL(suffix)                                                                             \
    (struct kernel)                                                                                \
    {                                                                                              \
        match_##suffix, rank_##suffix, find_by_fences_##suffix                                     \
    }

#define DEFINE_SEARCH(suffix, attributes)                                                          \
    attributes static __attribute__((noinline))                                                    \
    uint64_t find_by_fences_##suffix(const struct alex_entry *entry, uint64_t key)                 \
    {                                                                                              \
        return find_by_fences(entry, key, KERNEL(suffix));                                         \
    }                                                                                              \
                                                                                                   \
    attributes static uint64_t lookup_##suffix(const void *alex, uint64_t key)                     \
    {                                                                                              \
        return lookup(alex, key, KERNEL(suffix));                                                  \
    }                                                                                              \
                                                                                                   \
    attributes static void lookup_batch_##suffix(                                                  \
        const struct alex *alex, const struct index_key *keys, size_t count, uint64_t *row_ids)    \
    {                                                                                              \
        lookup_batch(alex, keys, count, row_ids, KERNEL(suffix));                                  \
    }                                                                                              \
                                                                                                   \
    static const struct alex_search search_##suffix = {#suffix, lookup_##suffix,                   \
                                                       lookup_batch_##suffix};

DEFINE_SEARCH(scalar, )
#if defined(__x86_64__)
DEFINE_SEARCH(avx2, AVX2)
DEFINE_SEARCH(avx512, AVX512)
#endif

const struct alex_search *alex_search_number(unsigned number)
{
    unsigned count = 0;
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
    if (avx512 && number == count++)
        return &search_avx512;
    if (avx2 && number == count++)
        return &search_avx2;
#endif
    return number == count ? &search_scalar : NULL;
}
