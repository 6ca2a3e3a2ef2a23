/* key_decode.c - the values of an encoded key, for who has to show it (layout: key.c).
 *
 * Pure functions; nothing shared.
 */
#include <string.h>

#include "column/decimal.h"
#include "column/float_order.h"
#include "column/key.h"
#include "column/schema_private.h"

/* The number whose sign was flipped in `bits` bits. */
static int64_t unflip(uint64_t part, omen_type_id type, uint32_t bits)
{
    return type == OMEN_TYPE_BOOLEAN ? (int64_t)part
                                     : (int64_t)(part - (UINT64_C(1) << (bits - 1)));
}

/* The value of this order number: the inverse of value_order_number. */
static void set_number(omen_value *value, int64_t number)
{
    int32_t small = (int32_t)number;
    switch (value->type.id) {
    case OMEN_TYPE_BOOLEAN:
        value->as.boolean = number != 0;
        break;
    case OMEN_TYPE_SMALLINT:
        value->as.i16 = (int16_t)number;
        break;
    case OMEN_TYPE_INTEGER:
    case OMEN_TYPE_DATE:
        value->as.i32 = small;
        break;
    case OMEN_TYPE_REAL: /* the order of bits is its own inverse */
        small = float_order_bits(small);
        memcpy(&value->as.f32, &small, sizeof small);
        break;
    case OMEN_TYPE_DOUBLE:
        number = double_order_bits(number);
        memcpy(&value->as.f64, &number, sizeof number);
        break;
    case OMEN_TYPE_DECIMAL:
        value->as.decimal = decimal_from_integer(number);
        break;
    default:
        value->as.i64 = number;
        break;
    }
}

static void unpack_word(const struct schema_key *key, uint64_t word, omen_value *values)
{
    for (uint32_t i = key->count; i-- > 0;) {
        uint32_t bits = key->bits[i];
        uint64_t part = bits == 64 ? word : word & ((UINT64_C(1) << bits) - 1);
        set_number(&values[i], unflip(part, values[i].type.id, bits));
        word = bits == 64 ? 0 : word >> bits;
    }
}

/* Where the next part is to be read. */
struct place {
    const uint8_t *at, *end;
};

static omen_status take_escaped(struct place *place, struct arena *arena, omen_value *value)
{
    uint8_t *text = arena_alloc(arena, (size_t)(place->end - place->at) + 1);
    if (text == NULL)
        return OMEN_OUT_OF_MEMORY;
    size_t length = 0;
    while (place->end - place->at >= 2 && (place->at[0] != 0 || place->at[1] != 0)) {
        text[length++] = *place->at;
        place->at += place->at[0] == 0 ? 2 : 1;
    }
    if (place->end - place->at < 2)
        return OMEN_CORRUPTED;
    place->at += 2;
    value->as.bytes = (omen_bytes){text, length};
    return OMEN_OK;
}

static uint64_t take_big_endian(struct place *place, size_t width)
{
    uint64_t number = 0;
    for (size_t i = 0; i < width; i++)
        number = number << 8 | *place->at++;
    return number;
}

static omen_status take_part(struct place *place, struct arena *arena, omen_value *value)
{
    const omen_type *type = &value->type;
    if (type_is_view(type->id))
        return take_escaped(place, arena, value);
    bool word = type->id == OMEN_TYPE_DECIMAL && type->precision <= DECIMAL_WORD_PRECISION_MAX;
    size_t width = word ? 8 : type_width(type->id);
    if ((size_t)(place->end - place->at) < width)
        return OMEN_CORRUPTED;
    if (type->id == OMEN_TYPE_UUID) {
        memcpy(value->as.uuid, place->at, width);
        place->at += width;
    } else if (width == 16) {
        value->as.decimal.high = (int64_t)(take_big_endian(place, 8) ^ (UINT64_C(1) << 63));
        value->as.decimal.low = take_big_endian(place, 8);
    } else {
        set_number(value, unflip(take_big_endian(place, width), type->id, (uint32_t)width * 8));
    }
    return OMEN_OK;
}

omen_status key_decode(const struct schema *schema, const struct schema_key *key,
                       struct index_key encoded, struct arena *arena, omen_value *values)
{
    for (uint32_t i = 0; i < key->count; i++)
        values[i] = (omen_value){.type = schema->columns[key->columns[i]].type};
    if ((key->kind == INDEX_WORD) != (encoded.bytes == NULL))
        return OMEN_CORRUPTED;
    if (key->kind == INDEX_WORD) {
        unpack_word(key, encoded.word, values);
        return OMEN_OK;
    }
    struct place place = {encoded.bytes, encoded.bytes + encoded.length};
    for (uint32_t i = 0; i < key->count; i++)
        OMEN_TRY(take_part(&place, arena, &values[i]));
    return place.at == place.end ? OMEN_OK : OMEN_CORRUPTED;
}
