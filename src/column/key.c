/* key.c - keys in their order-preserving encoding.
 *
 * Words. Each part becomes an unsigned number of its width whose order is the value's, and the
 * parts are packed from the most significant bit of the word's used width down:
 *
 *   BOOLEAN 1 bit | SMALLINT 16 | INTEGER, DATE 32 | BIGINT, TIMESTAMP(TZ) 64 : sign bit flipped
 *   REAL 32 | DOUBLE 64 : float_order.h, then sign bit flipped
 *   DECIMAL 16, 32 or 64 (up to 4, 9, 18 digits; 64 where it is the whole key) : unscaled, flipped
 *
 * Bytes. The parts follow one another:
 *
 *   numbers      big-endian, as above (BOOLEAN 1 byte, DECIMAL 8 bytes or 16 beyond 18 digits)
 *   UUID         its 16 bytes
 *   text, bytes  every 0x00 as 0x00 0xFF, then the end mark 0x00 0x00
 *
 * The end mark is smaller than any continuation (0x00 0xFF or a byte above 0x00), so a prefix
 * comes first and parts never run into each other.
 *
 * Pure functions; nothing shared.
 */
#include "column/key.h"

#include <string.h>

#include "base/assert.h"
#include "column/schema_private.h"

/* The signed 64-bit number whose order is the value's; only for types that fit one. */
static int64_t ordered_number(const omen_value *value)
{
    return (int64_t)value_order_number(value);
}

static uint32_t number_bits(omen_type_id type)
{
    return type == OMEN_TYPE_DECIMAL ? 64 : type == OMEN_TYPE_BOOLEAN ? 1 : type_width(type) * 8;
}

static uint64_t flip_sign(int64_t number, omen_type_id type, uint32_t bits)
{
    if (type == OMEN_TYPE_BOOLEAN)
        return (uint64_t)number;
    uint64_t flipped = (uint64_t)number + (UINT64_C(1) << (bits - 1));
    return bits == 64 ? flipped : flipped & ((UINT64_C(1) << bits) - 1);
}

uint64_t key_word(const omen_value *value)
{
    OMEN_DCHECK(!value->is_null);
    return flip_sign(ordered_number(value), value->type.id, number_bits(value->type.id));
}

static uint64_t pack_word(const struct schema_key *key, const omen_value *values)
{
    uint64_t word = 0;
    for (uint32_t i = 0; i < key->count; i++) {
        uint32_t bits = key->bits[i];
        uint64_t part = flip_sign(ordered_number(&values[i]), values[i].type.id, bits);
        word = bits == 64 ? part : word << bits | part;
    }
    return word;
}

static size_t escaped_bytes(omen_bytes bytes)
{
    size_t zeros = 0;
    for (size_t i = 0; i < bytes.length; i++)
        zeros += bytes.data[i] == 0;
    return bytes.length + zeros + 2;
}

static size_t part_bytes(const struct schema *schema, const struct schema_key *key, uint32_t part,
                         const omen_value *value)
{
    const omen_type *type = &schema->columns[key->columns[part]].type;
    if (type_is_view(type->id))
        return escaped_bytes(value->as.bytes);
    if (type->id == OMEN_TYPE_DECIMAL && type->precision <= DECIMAL_WORD_PRECISION_MAX)
        return 8;
    return type_width(type->id);
}

static uint8_t *put_big_endian(uint8_t *at, uint64_t number, size_t width)
{
    for (size_t i = 0; i < width; i++)
        at[i] = (uint8_t)(number >> (8 * (width - 1 - i)));
    return at + width;
}

static uint8_t *put_escaped(uint8_t *at, omen_bytes bytes)
{
    for (size_t i = 0; i < bytes.length; i++) {
        *at++ = bytes.data[i];
        if (bytes.data[i] == 0)
            *at++ = 0xFF;
    }
    *at++ = 0;
    *at++ = 0;
    return at;
}

static uint8_t *put_part(uint8_t *at, const omen_value *value, size_t width)
{
    omen_type_id type = value->type.id;
    if (type_is_view(type))
        return put_escaped(at, value->as.bytes);
    if (type == OMEN_TYPE_UUID) {
        memcpy(at, value->as.uuid, sizeof value->as.uuid);
        return at + sizeof value->as.uuid;
    }
    if (width == 16) {
        uint64_t high = (uint64_t)value->as.decimal.high ^ (UINT64_C(1) << 63);
        return put_big_endian(put_big_endian(at, high, 8), value->as.decimal.low, 8);
    }
    uint32_t bits = (uint32_t)width * 8;
    return put_big_endian(at, flip_sign(ordered_number(value), type, bits), width);
}

omen_status key_encode_of(const struct schema *schema, const struct schema_key *key,
                          const omen_value *values, struct arena *arena, struct index_key *out,
                          omen_error *error)
{
    *out = (struct index_key){0};
    if (key->kind == INDEX_WORD) {
        out->word = pack_word(key, values);
        return OMEN_OK;
    }
    size_t bytes = 0;
    for (uint32_t i = 0; i < key->count; i++) {
        bytes += part_bytes(schema, key, i, &values[i]);
        if (bytes > KEY_BYTES_MAX)
            return error_set(error, OMEN_LIMIT_EXCEEDED, "the key is longer than %d bytes",
                             KEY_BYTES_MAX);
    }
    uint8_t *data = arena_alloc(arena, bytes);
    if (data == NULL)
        return error_set_default(error, OMEN_OUT_OF_MEMORY);
    uint8_t *at = data;
    for (uint32_t i = 0; i < key->count; i++)
        at = put_part(at, &values[i], part_bytes(schema, key, i, &values[i]));
    OMEN_DCHECK((size_t)(at - data) == bytes);
    out->bytes = data;
    out->length = bytes;
    return OMEN_OK;
}

omen_status key_encode(const struct schema *schema, const omen_value *values, struct arena *arena,
                       struct index_key *out, omen_error *error)
{
    return key_encode_of(schema, &schema->key, values, arena, out, error);
}
