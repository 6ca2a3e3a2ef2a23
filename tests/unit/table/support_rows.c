/* support_rows.c - the values of a test row: see support.h. */
#include <stdio.h>
#include <string.h>

#include "column/decimal.h"
#include "support.h"

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * UINT64_C(0x9E3779B97F4A7C15) + b * UINT64_C(0xD6E8FEB86659FD93) + 1;
    x ^= x >> 32;
    x *= UINT64_C(0xD6E8FEB86659FD93);
    return x ^ x >> 32;
}

const omen_type test_type_columns[COLUMN_K1 - COLUMN_FIRST_TYPE] = {
    {.id = OMEN_TYPE_BOOLEAN},
    {.id = OMEN_TYPE_SMALLINT},
    {.id = OMEN_TYPE_INTEGER},
    {.id = OMEN_TYPE_BIGINT},
    {.id = OMEN_TYPE_TEXT},
    {.id = OMEN_TYPE_DECIMAL, .precision = 38, .scale = 4},
    {.id = OMEN_TYPE_DATE},
    {.id = OMEN_TYPE_REAL},
    {.id = OMEN_TYPE_DOUBLE},
    {.id = OMEN_TYPE_VARCHAR, .length_max = 40},
    {.id = OMEN_TYPE_CHAR, .length_max = 8},
    {.id = OMEN_TYPE_BYTEA},
    {.id = OMEN_TYPE_TIMESTAMP},
    {.id = OMEN_TYPE_TIMESTAMPTZ},
    {.id = OMEN_TYPE_UUID},
};

static void set_text(omen_value *value, char *buffer, size_t length)
{
    value->as.bytes = (omen_bytes){.data = (const uint8_t *)buffer, .length = length};
}

/* Any value of the type, determined by `seed`; NULL one time in eight. */
static void fill_value(omen_type type, uint64_t seed, omen_value *value, char *text)
{
    memset(value, 0, sizeof *value);
    value->type = type;
    if (seed % 8 == 0) {
        value->is_null = true;
        return;
    }
    int length;
    switch (type.id) {
    case OMEN_TYPE_BOOLEAN: value->as.boolean = seed >> 8 & 1; break;
    case OMEN_TYPE_SMALLINT: value->as.i16 = (int16_t)seed; break;
    case OMEN_TYPE_INTEGER: value->as.i32 = (int32_t)seed; break;
    case OMEN_TYPE_DATE: value->as.i32 = (int32_t)(seed % 100000) - 50000; break;
    case OMEN_TYPE_BIGINT:
    case OMEN_TYPE_TIMESTAMP:
    case OMEN_TYPE_TIMESTAMPTZ: value->as.i64 = (int64_t)seed / 4096; break;
    case OMEN_TYPE_REAL: value->as.f32 = (float)(int16_t)seed / 8; break;
    case OMEN_TYPE_DOUBLE: value->as.f64 = (double)(int64_t)seed / 1024; break;
    case OMEN_TYPE_DECIMAL:
        value->as.decimal.low = seed;
        value->as.decimal.high = (int64_t)(seed >> 20 & 0xFFFF) - 0x8000;
        break;
    case OMEN_TYPE_CHAR:
        length = snprintf(text, 64, "%-8.8llx", (unsigned long long)seed % 4096);
        set_text(value, text, (size_t)length);
        break;
    case OMEN_TYPE_BYTEA:
        memcpy(text, &seed, 8);
        memset(text + 8, (int)(seed & 0xFF), 40);
        set_text(value, text, seed >> 16 & 31);
        break;
    case OMEN_TYPE_UUID:
        memcpy(value->as.uuid, &seed, 8);
        memcpy(value->as.uuid + 8, &seed, 8);
        break;
    default: /* text: empty, short, long */
        length = snprintf(text, 64, seed >> 10 & 1 ? "%llu" : "a longer text %llu",
                          (unsigned long long)(seed >> 12));
        set_text(value, text, seed >> 11 & 7 ? (size_t)length : 0);
        break;
    }
}

omen_type test_key_type(enum key_kind kind, int part)
{
    switch (kind) {
    case KEY_TEXT: return (omen_type){.id = part == 0 ? OMEN_TYPE_TEXT : OMEN_TYPE_INTEGER};
    case KEY_PAIR: return (omen_type){.id = part == 0 ? OMEN_TYPE_SMALLINT : OMEN_TYPE_INTEGER};
    case KEY_MIXED: return (omen_type){.id = part == 0 ? OMEN_TYPE_TEXT : OMEN_TYPE_BIGINT};
    case KEY_DOUBLE: return (omen_type){.id = part == 0 ? OMEN_TYPE_DOUBLE : OMEN_TYPE_INTEGER};
    case KEY_DECIMAL:
        return part == 0 ? (omen_type){.id = OMEN_TYPE_DECIMAL, .precision = 30, .scale = 2}
                         : (omen_type){.id = OMEN_TYPE_INTEGER};
    case KEY_UUID: return (omen_type){.id = part == 0 ? OMEN_TYPE_UUID : OMEN_TYPE_INTEGER};
    default: return (omen_type){.id = part == 0 ? OMEN_TYPE_BIGINT : OMEN_TYPE_INTEGER};
    }
}

/* Distinct kids give distinct (k1, k2); where k2 is no part of the key, distinct k1. */
static void fill_key(enum key_kind kind, int32_t kid, int part, omen_value *value, char *text)
{
    memset(value, 0, sizeof *value);
    value->type = test_key_type(kind, part);
    if (part == 1) {
        if (kind == KEY_MIXED)
            value->as.i64 = kid % 5 - 2;
        else
            value->as.i32 = kind == KEY_PAIR ? (kid % 16 - 8) * 100000007 : -kid;
        return;
    }
    int length;
    switch (kind) {
    case KEY_TEXT:
        length = kid == 1 ? 0
                          : snprintf(text, 64, kid % 3 ? "k%d" : "a key with a long prefix %d", kid);
        text[kid == 1 ? 0 : length] = '\0';
        set_text(value, text, (size_t)length);
        break;
    case KEY_MIXED:
        length = kid / 5 == 0 ? 0 : snprintf(text, 64, "%d%s", kid / 5, kid / 5 % 2 ? "" : "xx");
        set_text(value, text, (size_t)length);
        break;
    case KEY_PAIR: value->as.i16 = (int16_t)(kid / 16 - 50); break;
    case KEY_DOUBLE: value->as.f64 = ((double)kid - 100) / 3; break;
    case KEY_DECIMAL: {
        value->as.decimal = decimal_from_integer(((wide_integer)kid - 100) * INT64_MAX);
        break;
    }
    case KEY_UUID: {
        uint64_t high = mix((uint64_t)kid, 77);
        memcpy(value->as.uuid, &high, 8);
        memcpy(value->as.uuid + 12, &kid, 4);
        break;
    }
    default: /* over the whole range of 64 bits, one to one */
        value->as.i64 = (int64_t)((uint64_t)kid * UINT64_C(0x9E3779B97F4A7C15));
        break;
    }
}

void test_row_fill(const struct model *model, int32_t kid, int64_t tag, int64_t tag2,
                   struct test_row *row)
{
    memset(row->values, 0, sizeof row->values);
    row->values[COLUMN_KID] = (omen_value){.type.id = OMEN_TYPE_INTEGER, .as.i32 = kid};
    row->values[COLUMN_TAG] = (omen_value){.type.id = OMEN_TYPE_BIGINT, .as.i64 = tag};
    row->values[COLUMN_TAG2] = (omen_value){.type.id = OMEN_TYPE_BIGINT, .as.i64 = tag2};
    for (uint32_t column = COLUMN_FIRST_TYPE; column < COLUMN_K1; column++)
        fill_value(test_type_columns[column - COLUMN_FIRST_TYPE],
                   mix((uint64_t)(column < COLUMN_FIRST_TAG2 ? tag : tag2), column),
                   &row->values[column], row->text[column]);
    for (int part = 0; part < 2; part++)
        fill_key(model->kind, kid, part, &row->values[COLUMN_K1 + part],
                 row->text[COLUMN_K1 + part]);
}

uint32_t test_key_fill(const struct model *model, int32_t kid, struct test_row *row,
                       omen_value *key)
{
    if (model->kind == KEY_HIDDEN) {
        key[0] = (omen_value){.type.id = OMEN_TYPE_BIGINT, .as.i64 = kid};
        return 1;
    }
    test_row_fill(model, kid, 1, 1, row);
    key[0] = row->values[COLUMN_K1];
    key[1] = row->values[COLUMN_K2];
    return model->kind == KEY_PAIR || model->kind == KEY_MIXED ? 2 : 1;
}

bool value_equal(const omen_value *a, const omen_value *b)
{
    if (a->is_null || b->is_null)
        return a->is_null && b->is_null;
    return a->type.id == b->type.id && value_compare(a, b) == 0;
}
