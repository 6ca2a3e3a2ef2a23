/* Key encodings: the order of encodings is the order of values, for every type and composites. */
#include "base/arena.h"
#include "column/key.h"
#include "column_test.h"

enum { TEXT_LIMIT = 60, PAIRS = 4000, PARTS_MAX = 4 };

static int key_order(enum index_kind kind, const struct index_key *left,
                     const struct index_key *right)
{
    if (kind == INDEX_WORD)
        return (left->word > right->word) - (left->word < right->word);
    size_t common = left->length < right->length ? left->length : right->length;
    int order = memcmp(left->bytes, right->bytes, common);
    return order != 0 ? order : (left->length > right->length) - (left->length < right->length);
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static int row_order(const omen_value *left, const omen_value *right, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int order = value_compare(&left[i], &right[i]);
        if (order != 0)
            return sign(order);
    }
    return 0;
}

static struct schema *make_schema(struct allocator *allocator, const omen_type *types,
                                  uint32_t count)
{
    struct column_definition columns[PARTS_MAX] = {
        {.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}};
    const uint32_t keys[PARTS_MAX] = {0, 1, 2, 3};
    for (uint32_t i = 0; i < count; i++)
        columns[i].type = types[i];
    struct schema *schema;
    assert_ok(schema_create(allocator, columns, count, keys, count, &schema, NULL));
    return schema;
}

/* An encoded key gives back what it was made of. */
static void check_decoded(const struct schema *schema, struct arena *arena, struct index_key key,
                          const omen_value *values)
{
    omen_value decoded[PARTS_MAX];
    assert_ok(key_decode(schema, &schema->key, key, arena, decoded));
    for (uint32_t i = 0; i < schema->key.count; i++)
        assert_int_equal(decoded[i].type.id, values[i].type.id);
    assert_int_equal(row_order(decoded, values, schema->key.count), 0);
    if (schema->key.kind == INDEX_BYTES) {
        key.length--;
        assert_int_equal(key_decode(schema, &schema->key, key, arena, decoded), OMEN_CORRUPTED);
    }
}

static void check_pair(const struct schema *schema, struct arena *arena, omen_value *left,
                       omen_value *right)
{
    struct index_key keys[2];
    for (uint32_t i = 0; i < schema->key.count; i++) {
        assert_ok(schema_check_value(schema, i, &left[i], NULL));
        assert_ok(schema_check_value(schema, i, &right[i], NULL));
    }
    assert_ok(key_encode(schema, left, arena, &keys[0], NULL));
    assert_ok(key_encode(schema, right, arena, &keys[1], NULL));
    check_decoded(schema, arena, keys[0], left);
    assert_int_equal(sign(key_order(schema->key.kind, &keys[0], &keys[1])),
                     row_order(left, right, schema->key.count));
    if (schema->key.kind == INDEX_WORD && schema->key.count == 1)
        assert_int_equal(key_word(&left[0]), keys[0].word);
}

static void check_types(struct random *random, const omen_type *types, uint32_t count,
                        enum index_kind kind)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = make_schema(&allocator, types, count);
    assert_int_equal(schema->key.kind, kind);
    struct arena arena;
    arena_init(&arena, &allocator);
    static uint8_t buffers[2][PARTS_MAX][TEXT_LIMIT];
    for (int pair = 0; pair < PAIRS; pair++) {
        omen_value rows[2][PARTS_MAX];
        for (uint32_t i = 0; i < count; i++)
            for (int side = 0; side < 2; side++)
                rows[side][i] = side == 1 && random_below(random, 3) == 0
                                    ? rows[0][i]
                                    : random_value(random, types[i], buffers[side][i], TEXT_LIMIT);
        check_pair(schema, &arena, rows[0], rows[1]);
    }
    arena_release(&arena);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

static void test_every_type(void **state)
{
    struct random random = test_random(31);
    for (uint32_t i = 0; i < ALL_TYPES_COLUMNS; i++) {
        const omen_type *type = &all_types[i].type;
        bool bytes = type_is_view(type->id) || type->id == OMEN_TYPE_UUID || type->precision > 18;
        check_types(&random, type, 1, bytes ? INDEX_BYTES : INDEX_WORD);
    }
}

static void test_composites(void **state)
{
    struct random random = test_random(32);
    const omen_type integer = {.id = OMEN_TYPE_INTEGER}, text = {.id = OMEN_TYPE_TEXT};
    const omen_type small = {.id = OMEN_TYPE_SMALLINT}, real = {.id = OMEN_TYPE_REAL};
    const omen_type truth = {.id = OMEN_TYPE_BOOLEAN}, bytea = {.id = OMEN_TYPE_BYTEA};
    const omen_type cents = {.id = OMEN_TYPE_DECIMAL, .precision = 9, .scale = 2};
    const omen_type money = {.id = OMEN_TYPE_DECIMAL, .precision = 18, .scale = 2};
    const omen_type bigint = {.id = OMEN_TYPE_BIGINT}, uuid = {.id = OMEN_TYPE_UUID};
    const omen_type wide = {.id = OMEN_TYPE_DECIMAL, .precision = 38, .scale = 0};
    check_types(&random, (omen_type[]){integer, integer}, 2, INDEX_WORD);
    check_types(&random, (omen_type[]){truth, small, real}, 3, INDEX_WORD);
    check_types(&random, (omen_type[]){cents, small, small}, 3, INDEX_WORD);
    check_types(&random, (omen_type[]){bigint, truth}, 2, INDEX_BYTES);
    check_types(&random, (omen_type[]){integer, real, truth}, 3, INDEX_BYTES);
    check_types(&random, (omen_type[]){text, text}, 2, INDEX_BYTES);
    check_types(&random, (omen_type[]){bytea, integer, text}, 3, INDEX_BYTES);
    check_types(&random, (omen_type[]){money, uuid}, 2, INDEX_BYTES);
    check_types(&random, (omen_type[]){wide, small, bytea, truth}, 4, INDEX_BYTES);
}

/* A list in ascending order: every pair must compare as its positions do. */
static void check_ascending(omen_type type, omen_value *values, uint32_t count)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = make_schema(&allocator, &type, 1);
    struct arena arena;
    arena_init(&arena, &allocator);
    for (uint32_t i = 0; i < count; i++)
        values[i].type = type;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++) {
            check_pair(schema, &arena, &values[i], &values[j]);
            assert_int_equal(row_order(&values[i], &values[j], 1), (i > j) - (i < j));
        }
    arena_release(&arena);
    schema_release(schema);
}

static void test_edges(void **state)
{
    omen_value integers[] = {{.as.i64 = INT64_MIN}, {.as.i64 = INT64_MIN + 1}, {.as.i64 = -1},
                             {.as.i64 = 0}, {.as.i64 = (INT64_C(1) << 53)},
                             {.as.i64 = (INT64_C(1) << 53) + 1}, {.as.i64 = INT64_MAX}};
    check_ascending((omen_type){.id = OMEN_TYPE_BIGINT}, integers, 7);
    integers[0].as.i64 = TIMESTAMP_MIN;
    integers[1].as.i64 = TIMESTAMP_MIN + 1;
    check_ascending((omen_type){.id = OMEN_TYPE_TIMESTAMP}, integers, 7); /* before 1970, too */
    omen_value doubles[] = {{.as.f64 = -INFINITY}, {.as.f64 = -1e308}, {.as.f64 = -5e-324},
                            {.as.f64 = -0.0}, {.as.f64 = 5e-324}, {.as.f64 = 1e308},
                            {.as.f64 = INFINITY}, {.as.f64 = NAN}};
    check_ascending((omen_type){.id = OMEN_TYPE_DOUBLE}, doubles, 8);
    static uint8_t long_text[2][10240];
    memset(long_text, 'x', sizeof long_text);
    long_text[1][10239] = 'y';
    omen_value texts[] = {{.as.bytes = {NULL, 0}},
                          {.as.bytes = {(const uint8_t *)"\0", 1}},
                          {.as.bytes = {(const uint8_t *)"\0\0", 2}},
                          {.as.bytes = {(const uint8_t *)"\0a", 2}},
                          {.as.bytes = {(const uint8_t *)"\x01", 1}},
                          {.as.bytes = {(const uint8_t *)"a", 1}},
                          {.as.bytes = {(const uint8_t *)"a\0", 2}},
                          {.as.bytes = {(const uint8_t *)"a\0b", 3}},
                          {.as.bytes = {(const uint8_t *)"ab", 2}},
                          {.as.bytes = {long_text[0], 10239}},
                          {.as.bytes = {long_text[0], 10240}},
                          {.as.bytes = {long_text[1], 10240}}};
    check_ascending((omen_type){.id = OMEN_TYPE_TEXT}, texts, 12);
    check_ascending((omen_type){.id = OMEN_TYPE_BYTEA}, texts, 12);
}

/* -0.0 and 0.0, and every NaN, are the same key. */
static void test_floats_have_one_form(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    const omen_type type = {.id = OMEN_TYPE_DOUBLE};
    struct schema *schema = make_schema(&allocator, &type, 1);
    omen_value values[4] = {{.type = type, .as.f64 = -0.0}, {.type = type, .as.f64 = 0.0},
                            {.type = type, .as.f64 = NAN}, {.type = type, .as.f64 = -NAN}};
    for (int i = 0; i < 4; i++)
        assert_ok(schema_check_value(schema, 0, &values[i], NULL));
    assert_int_equal(key_word(&values[0]), key_word(&values[1]));
    assert_int_equal(key_word(&values[2]), key_word(&values[3]));
    assert_memory_equal(&values[0].as.f64, &values[1].as.f64, 8);
    assert_memory_equal(&values[2].as.f64, &values[3].as.f64, 8);
    schema_release(schema);
}

static void test_limits(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    const omen_type type = {.id = OMEN_TYPE_BYTEA};
    struct schema *schema = make_schema(&allocator, &type, 1);
    struct arena arena;
    arena_init(&arena, &allocator);
    struct index_key key;
    uint8_t *huge = calloc(KEY_BYTES_MAX, 1);
    omen_value value = {.type = type, .as.bytes = {huge, KEY_BYTES_MAX / 2}};
    assert_int_equal(key_encode(schema, &value, &arena, &key, NULL), OMEN_LIMIT_EXCEEDED);
    value.as.bytes.length = KEY_BYTES_MAX / 2 - 1;
    assert_ok(key_encode(schema, &value, &arena, &key, NULL));
    assert_int_equal(key.length, KEY_BYTES_MAX);
    arena_release(&arena);
    allocator_fail_at(&allocator, 1, 0);
    assert_int_equal(key_encode(schema, &value, &arena, &key, NULL), OMEN_OUT_OF_MEMORY);
    free(huge);
    schema_release(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),     cmocka_unit_test(test_composites),
        cmocka_unit_test(test_edges),          cmocka_unit_test(test_floats_have_one_form),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
