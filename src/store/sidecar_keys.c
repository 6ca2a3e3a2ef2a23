/* sidecar_keys.c - sorted keys with their slots in few bytes.
 *
 *   words   blocks of 128 keys:
 *           varint: first key less the last one of the block before | varint: smallest difference
 *           u8 bits | u8 form of the slots | u16 slot of the first
 *           differences of the others less the smallest, `bits` bits each, lowest bit first
 *           form 1: u16 slot of each other; form 0: they follow one another
 *   bytes   per key: varint bytes shared with the key before | varint bytes that follow | those
 *           bytes | u16 slot
 *
 * Ascending dense keys cost 6 bytes a block; keys without any pattern their entropy and 2 bytes for
 * the slot.
 */
#include <string.h>

#include "base/bits.h"
#include "column/key.h"
#include "store/sidecar_keys.h"

enum {
    BLOCK_KEYS = 128,
    VARINT_BYTES_MAX = 10,
    SLOTS_FOLLOW = 0,
    SLOTS_LISTED = 1,
};

/* --- varints --- */

static void put_varint(struct byte_writer *writer, uint64_t value)
{
    uint8_t bytes[VARINT_BYTES_MAX];
    size_t length = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[length++] = (uint8_t)(value | 0x80);
    bytes[length++] = (uint8_t)value;
    byte_writer_put(writer, bytes, length);
}

static uint64_t take_varint(struct byte_reader *reader)
{
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 64; shift += 7) {
        uint8_t byte = byte_reader_u8(reader);
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    reader->failed = true;
    return 0;
}

/* --- bits --- */

static uint32_t bits_of(uint64_t value)
{
    return value == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(value);
}

static void put_bits(uint8_t *packed, uint32_t position, uint32_t bits, uint64_t value)
{
    for (uint32_t done = 0; done < bits;) {
        uint32_t at = position + done;
        uint32_t room = 8 - at % 8;
        packed[at / 8] |= (uint8_t)((value >> done) << (at % 8));
        done += room;
    }
}

/* Reads up to 9 bytes from where the bits begin: `packed` has room behind them. */
static uint64_t get_bits(const uint8_t *packed, uint32_t position, uint32_t bits)
{
    uint32_t shift = position % 8;
    uint64_t value = bytes_get_u64(packed + position / 8) >> shift;
    if (shift + bits > 64)
        value |= (uint64_t)packed[position / 8 + 8] << (64 - shift);
    return bits == 64 ? value : value & ((UINT64_C(1) << bits) - 1);
}

static size_t packed_bytes(uint32_t count, uint32_t bits)
{
    return ((size_t)count * bits + 7) / 8;
}

/* --- words --- */

static void put_block(struct byte_writer *writer, const uint64_t *words, const uint16_t *slots,
                      uint32_t count, uint64_t before)
{
    uint64_t smallest = UINT64_MAX, largest = 0;
    bool follow = true;
    for (uint32_t i = 1; i < count; i++) {
        uint64_t difference = words[i] - words[i - 1];
        smallest = difference < smallest ? difference : smallest;
        largest = difference > largest ? difference : largest;
        follow = follow && slots[i] == (uint16_t)(slots[i - 1] + 1);
    }
    if (count == 1)
        smallest = largest = 0;
    uint32_t bits = bits_of(largest - smallest);
    put_varint(writer, words[0] - before);
    put_varint(writer, smallest);
    byte_writer_u8(writer, (uint8_t)bits);
    byte_writer_u8(writer, follow ? SLOTS_FOLLOW : SLOTS_LISTED);
    byte_writer_u16(writer, slots[0]);
    size_t bytes = packed_bytes(count - 1, bits);
    uint8_t *packed = bytes == 0 ? NULL : byte_writer_reserve(writer, bytes);
    if (packed != NULL) {
        memset(packed, 0, bytes);
        for (uint32_t i = 1; i < count; i++)
            put_bits(packed, (i - 1) * bits, bits, words[i] - words[i - 1] - smallest);
    }
    for (uint32_t i = 1; i < count && !follow; i++)
        byte_writer_u16(writer, slots[i]);
}

void sidecar_put_words(struct byte_writer *writer, const uint64_t *words, const uint16_t *slots,
                       uint32_t count)
{
    uint64_t before = 0;
    for (uint32_t first = 0; first < count; first += BLOCK_KEYS) {
        uint32_t block = (uint32_t)size_min(BLOCK_KEYS, count - first);
        put_block(writer, words + first, slots + first, block, before);
        before = words[first + block - 1];
    }
}

/* False where a key would not be larger than, or equal to, the one before. */
static bool take_differences(struct byte_reader *reader, uint64_t smallest, uint32_t bits,
                             uint64_t *words, uint32_t count)
{
    uint8_t room[BLOCK_KEYS * sizeof(uint64_t) + 9];
    size_t bytes = packed_bytes(count - 1, bits);
    const uint8_t *packed = byte_reader_take(reader, bytes);
    if (packed == NULL)
        return false;
    memcpy(room, packed, bytes);
    memset(room + bytes, 0, 9);
    bool wrapped = false;
    for (uint32_t i = 1; i < count; i++) {
        uint64_t difference = get_bits(room, (i - 1) * bits, bits);
        wrapped |= __builtin_add_overflow(difference, smallest, &difference);
        wrapped |= __builtin_add_overflow(words[i - 1], difference, &words[i]);
    }
    return !wrapped;
}

static bool take_slots(struct byte_reader *reader, uint8_t form, uint16_t first, uint16_t *slots,
                       uint32_t count)
{
    slots[0] = first;
    if (form == SLOTS_FOLLOW) {
        for (uint32_t i = 1; i < count; i++)
            slots[i] = (uint16_t)(first + i);
        return true; /* from the last slot they may go on to the first */
    }
    const uint8_t *listed = byte_reader_take(reader, (size_t)(count - 1) * sizeof *slots);
    if (form != SLOTS_LISTED || listed == NULL)
        return false;
    for (uint32_t i = 1; i < count; i++)
        slots[i] = bytes_get_u16(listed + (i - 1) * sizeof *slots);
    return true;
}

static bool take_block(struct byte_reader *reader, uint64_t before, uint64_t *words,
                       uint16_t *slots, uint32_t count)
{
    uint64_t step = take_varint(reader);
    uint64_t smallest = take_varint(reader);
    uint32_t bits = byte_reader_u8(reader);
    uint8_t form = byte_reader_u8(reader);
    uint16_t slot = byte_reader_u16(reader);
    if (reader->failed || bits > 64 || __builtin_add_overflow(before, step, &words[0]))
        return false;
    return take_differences(reader, smallest, bits, words, count) &&
           take_slots(reader, form, slot, slots, count);
}

omen_status sidecar_take_words(struct byte_reader *reader, uint32_t count, struct arena *arena,
                               struct group_keys *out)
{
    *out = (struct group_keys){0};
    if (count > ROW_GROUP_ROWS) {
        reader->failed = true;
        return OMEN_OK;
    }
    uint64_t *words = arena_alloc(arena, count * sizeof *words);
    uint16_t *slots = arena_alloc(arena, count * sizeof *slots);
    if (words == NULL || slots == NULL)
        return OMEN_OUT_OF_MEMORY;
    uint64_t before = 0;
    for (uint32_t first = 0; first < count && !reader->failed; first += BLOCK_KEYS) {
        uint32_t block = (uint32_t)size_min(BLOCK_KEYS, count - first);
        if (!take_block(reader, before, words + first, slots + first, block))
            reader->failed = true;
        before = words[first + block - 1];
    }
    if (!reader->failed)
        *out = (struct group_keys){.count = count, .words = words, .slots = slots};
    return OMEN_OK;
}

/* --- bytes --- */

void sidecar_put_bytes(struct byte_writer *writer, const struct index_key *keys,
                       const uint16_t *slots, uint32_t count)
{
    struct index_key before = {0};
    for (uint32_t i = 0; i < count; i++) {
        size_t shared = 0;
        while (shared < before.length && shared < keys[i].length &&
               before.bytes[shared] == keys[i].bytes[shared])
            shared++;
        put_varint(writer, shared);
        put_varint(writer, keys[i].length - shared);
        byte_writer_put(writer, keys[i].bytes + shared, keys[i].length - shared);
        byte_writer_u16(writer, slots[i]);
        before = keys[i];
    }
}

static bool ascends(const struct index_key *before, const struct index_key *key)
{
    size_t common = size_min(before->length, key->length);
    int order = common == 0 ? 0 : memcmp(before->bytes, key->bytes, common);
    return order < 0 || (order == 0 && before->length <= key->length);
}

/* One key behind `before`; its bytes go to the arena. */
static omen_status take_key(struct byte_reader *reader, const struct index_key *before,
                            struct arena *arena, struct index_key *out)
{
    uint64_t shared = take_varint(reader), rest = take_varint(reader);
    *out = (struct index_key){0};
    if (reader->failed || shared > before->length || rest > KEY_BYTES_MAX ||
        shared + rest > KEY_BYTES_MAX || rest > reader->length) {
        reader->failed = true;
        return OMEN_OK;
    }
    const uint8_t *suffix = byte_reader_take(reader, rest);
    uint8_t *bytes = arena_alloc(arena, shared + rest);
    if (bytes == NULL)
        return OMEN_OUT_OF_MEMORY;
    if (shared > 0)
        memcpy(bytes, before->bytes, shared);
    if (rest > 0)
        memcpy(bytes + shared, suffix, rest);
    *out = (struct index_key){.bytes = bytes, .length = shared + rest};
    if (!ascends(before, out))
        reader->failed = true;
    return OMEN_OK;
}

omen_status sidecar_take_bytes(struct byte_reader *reader, uint32_t count, struct arena *arena,
                               struct group_keys *out)
{
    *out = (struct group_keys){0};
    /* Each key takes four bytes at least. */
    if (count > ROW_GROUP_ROWS || count > reader->length / 4) {
        reader->failed = true;
        return OMEN_OK;
    }
    struct index_key *keys = arena_alloc(arena, count * sizeof *keys);
    uint16_t *slots = arena_alloc(arena, count * sizeof *slots);
    if (keys == NULL || slots == NULL)
        return OMEN_OUT_OF_MEMORY;
    struct index_key before = {0};
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        OMEN_TRY(take_key(reader, &before, arena, &keys[i]));
        slots[i] = byte_reader_u16(reader);
        before = keys[i];
    }
    if (!reader->failed)
        *out = (struct group_keys){.count = count, .bytes = keys, .slots = slots};
    return OMEN_OK;
}
