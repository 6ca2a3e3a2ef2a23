/* Schemas: creation and its refusals, value checks, UTF-8, and the Arrow form. */
#include "column/utf8.h"
#include "column_test.h"

static omen_status create(const struct column_definition *columns, uint32_t count,
                          const uint32_t *keys, uint32_t key_count)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema;
    omen_error error = {.status = OMEN_OK};
    omen_status status =
        schema_create(&allocator, columns, count, keys, key_count, &schema, &error);
    assert_int_equal(error.status, status);
    assert_true((schema == NULL) == (status != OMEN_OK));
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
    return status;
}

static void test_refuses(void **state)
{
    const omen_type integer = {.id = OMEN_TYPE_INTEGER};
    const char *long_name = "0123456789012345678901234567890123456789012345678901234567890123";
    const uint32_t keys[] = {0, 0, 9};
    assert_int_equal(create((struct column_definition[]){{"a", integer, true, NULL}, {"a", integer, true, NULL}},
                            2, NULL, 0), OMEN_DUPLICATE_COLUMN);
    assert_int_equal(create((struct column_definition[]){{long_name, integer, true, NULL}}, 1, NULL, 0),
                     OMEN_NAME_TOO_LONG);
    assert_ok(create((struct column_definition[]){{long_name + 1, integer, true, NULL}}, 1, NULL, 0));
    assert_int_equal(create((struct column_definition[]){{"", integer, true, NULL}}, 1, NULL, 0),
                     OMEN_INVALID_TABLE);
    assert_int_equal(create((struct column_definition[]){{"\xFF", integer, true, NULL}}, 1, NULL, 0),
                     OMEN_INVALID_TABLE);
    assert_int_equal(create((struct column_definition[]){{"a", {0}, true, NULL}}, 1, NULL, 0),
                     OMEN_INVALID_TABLE);
    const omen_type bad[] = {{.id = OMEN_TYPE_DECIMAL, .precision = 39},
                             {.id = OMEN_TYPE_DECIMAL},
                             {.id = OMEN_TYPE_DECIMAL, .precision = 5, .scale = 6},
                             {.id = OMEN_TYPE_DECIMAL, .precision = 5, .scale = -1}};
    for (int i = 0; i < 4; i++)
        assert_int_equal(create((struct column_definition[]){{"a", bad[i], true, NULL}}, 1, NULL, 0),
                         OMEN_INVALID_TABLE);
    const struct column_definition one = {"a", integer, true, NULL};
    assert_int_equal(create(&one, 1, keys, 2), OMEN_INVALID_TABLE);
    assert_int_equal(create(&one, 1, keys + 2, 1), OMEN_INVALID_TABLE);
    static struct column_definition many[SCHEMA_COLUMNS_MAX + 1];
    static char names[SCHEMA_COLUMNS_MAX + 1][16];
    for (int i = 0; i <= SCHEMA_COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        many[i] = (struct column_definition){names[i], integer, true, NULL};
    }
    assert_int_equal(create(many, SCHEMA_COLUMNS_MAX + 1, NULL, 0), OMEN_TOO_MANY_COLUMNS);
    assert_ok(create(many, SCHEMA_COLUMNS_MAX, NULL, 0));
}

static void test_keys(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema;
    assert_ok(schema_create(&allocator, all_types, ALL_TYPES_COLUMNS, NULL, 0, &schema, NULL));
    assert_true(schema->key_hidden);
    assert_int_equal(schema->stored_count, ALL_TYPES_COLUMNS + 1);
    assert_int_equal(schema->key.columns[0], ALL_TYPES_COLUMNS);
    assert_int_equal(schema->key.kind, INDEX_WORD);
    assert_int_equal(schema_find(schema, "text", 4), 9);
    assert_int_equal(schema_find(schema, "tex", 3), -1);
    const char *hidden = schema->columns[ALL_TYPES_COLUMNS].name;
    assert_int_equal(schema_find(schema, hidden, strlen(hidden)), -1);
    schema_release(schema);
    const uint32_t keys[] = {3, 13};
    assert_ok(schema_create(&allocator, all_types, ALL_TYPES_COLUMNS, keys, 2, &schema, NULL));
    assert_false(schema->columns[3].nullable);
    assert_true(schema->columns[4].nullable);
    assert_int_equal(schema->key.kind, INDEX_WORD);
    schema_release(schema_retain(schema));
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* A schema of three columns with these constraints. */
static omen_status define(const struct unique_definition *uniques, uint32_t count, struct schema **out,
                          struct allocator *allocator)
{
    const omen_type integer = {.id = OMEN_TYPE_INTEGER}, text = {.id = OMEN_TYPE_TEXT};
    const struct column_definition columns[] = {
        {"a", integer, true, NULL}, {"b", text, true, "'x'"}, {"c", integer, true, NULL}};
    struct schema_definition definition = {.columns = columns,
                                           .column_count = 3,
                                           .uniques = uniques,
                                           .unique_count = count};
    return schema_define(allocator, &definition, out, NULL);
}

static void test_unique_keys(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema;
    const uint32_t columns[] = {2, 0, 1, 2, 3};
    const struct unique_definition good[] = {{"t_c_a_key", columns, 2}, {"t_b_key", columns + 2, 1}};
    assert_ok(define(good, 2, &schema, &allocator));
    assert_int_equal(schema->unique_count, 2);
    assert_true(schema->key_hidden);
    assert_string_equal(schema->uniques[0].name, "t_c_a_key");
    assert_string_equal(schema->uniques[1].name, "t_b_key");
    assert_string_equal(schema->columns[1].default_text, "'x'");
    assert_int_equal(schema->uniques[0].kind, INDEX_WORD);
    assert_int_equal(schema->uniques[0].columns[0], 2);
    assert_int_equal(schema->uniques[0].columns[1], 0);
    assert_int_equal(schema->uniques[1].kind, INDEX_BYTES);
    assert_true(schema->columns[0].nullable);
    assert_ptr_equal(schema_key_of(schema, 0), &schema->key);
    assert_ptr_equal(schema_key_of(schema, 2), &schema->uniques[1]);
    schema_release(schema);
    const char *long_name = "0123456789012345678901234567890123456789012345678901234567890123";
    const struct {
        struct unique_definition unique;
        omen_status status;
    } bad[] = {{{"k", columns, 0}, OMEN_INVALID_TABLE},     {{"k", columns + 4, 1}, OMEN_INVALID_TABLE},
               {{"k", columns, 4}, OMEN_INVALID_TABLE},     {{"", columns, 1}, OMEN_INVALID_TABLE},
               {{NULL, columns, 1}, OMEN_INVALID_TABLE},    {{"\xFF", columns, 1}, OMEN_INVALID_TABLE},
               {{long_name, columns, 1}, OMEN_NAME_TOO_LONG}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(define(&bad[i].unique, 1, &schema, &allocator), bad[i].status);
    const struct unique_definition twice[] = {{"k", columns, 1}, {"k", columns + 1, 1}};
    assert_int_equal(define(twice, 2, &schema, &allocator), OMEN_DUPLICATE_TABLE);
    static struct unique_definition many[SCHEMA_UNIQUES_MAX + 1];
    static char names[SCHEMA_UNIQUES_MAX + 1][16];
    for (int i = 0; i <= SCHEMA_UNIQUES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        many[i] = (struct unique_definition){names[i], columns, 1};
    }
    assert_int_equal(define(many, SCHEMA_UNIQUES_MAX + 1, &schema, &allocator), OMEN_LIMIT_EXCEEDED);
    assert_ok(define(many, SCHEMA_UNIQUES_MAX, &schema, &allocator));
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

static omen_status check(const struct schema *schema, uint32_t column, omen_value value)
{
    return schema_check_value(schema, column, &value, NULL);
}

static omen_value text_value(omen_type_id type, const char *text)
{
    return (omen_value){.type = {.id = type},
                        .as.bytes = {(const uint8_t *)text, strlen(text)}};
}

static void test_value_checks(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    assert_int_equal(check(schema, 0, (omen_value){.is_null = true}), OMEN_NOT_NULL_VIOLATION);
    assert_ok(check(schema, 1, (omen_value){.is_null = true}));
    assert_int_equal(check(schema, 3, (omen_value){.type = {.id = OMEN_TYPE_BIGINT}}),
                     OMEN_TYPE_MISMATCH);
    assert_int_equal(check(schema, 7, (omen_value){.type = {.id = OMEN_TYPE_DECIMAL, .scale = 3}}),
                     OMEN_TYPE_MISMATCH);
    omen_value decimal = {.type = all_types[7].type, .as.decimal = {999999999999999, 0}};
    assert_ok(check(schema, 7, decimal));
    decimal.as.decimal.low++;
    assert_int_equal(check(schema, 7, decimal), OMEN_OUT_OF_RANGE);
    assert_int_equal(check(schema, 9, text_value(OMEN_TYPE_TEXT, "a\xFF")), OMEN_INVALID_ENCODING);
    assert_ok(check(schema, 12, text_value(OMEN_TYPE_BYTEA, "a\xFF")));
    /* 40 characters of two bytes fit VARCHAR(40); one more does not. */
    char text[90] = "";
    for (int i = 0; i < 40; i++)
        strcat(text, "\xC3\xA9");
    assert_ok(check(schema, 10, text_value(OMEN_TYPE_VARCHAR, text)));
    strcat(text, "x");
    assert_int_equal(check(schema, 10, text_value(OMEN_TYPE_VARCHAR, text)), OMEN_STRING_TOO_LONG);
    assert_int_equal(check(schema, 11, text_value(OMEN_TYPE_CHAR, text)), OMEN_STRING_TOO_LONG);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

/* Against a decoder written from the definition: decode, re-encode, compare. */
static bool utf8_reference(const uint8_t *data, size_t length)
{
    for (size_t at = 0; at < length;) {
        uint32_t first = data[at], size = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3
                                          : first >> 3 == 30 ? 4 : 0;
        if (size == 0 || size > length - at)
            return false;
        uint32_t code = size == 1 ? first : first & (0x7Fu >> size);
        for (uint32_t i = 1; i < size; i++) {
            if (data[at + i] >> 6 != 2)
                return false;
            code = code << 6 | (data[at + i] & 0x3F);
        }
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (code < least[size] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
            return false;
        at += size;
    }
    return true;
}

static void test_utf8(void **state)
{
    struct random random = test_random(41);
    static const uint8_t interesting[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                          0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                          0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    int valid = 0;
    for (int round = 0; round < 400000; round++) {
        uint8_t data[24];
        size_t length = random_below(&random, round % 2 == 0 ? 5 : sizeof data);
        for (size_t i = 0; i < length; i++)
            data[i] = random_below(&random, 3) == 0
                          ? 'a'
                          : interesting[random_below(&random, sizeof interesting)];
        bool expected = utf8_reference(data, length);
        assert_int_equal(utf8_is_valid(data, length), expected);
        valid += expected;
    }
    assert_true(valid > 10000);
    assert_int_equal(utf8_character_count((const uint8_t *)"a\xC3\xA9\xF0\x9F\x98\x80", 7), 3);
}

static void test_arrow_round_trip(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator), *back;
    struct ArrowSchema arrow;
    assert_ok(schema_to_arrow(schema, NULL, 0, &arrow));
    const uint32_t key = 0;
    assert_ok(schema_from_arrow(&allocator, &arrow, &key, 1, &back, NULL));
    assert_int_equal(back->column_count, schema->column_count);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        omen_type type = schema->columns[i].type;
        if (type.id == OMEN_TYPE_VARCHAR || type.id == OMEN_TYPE_CHAR)
            type = (omen_type){.id = OMEN_TYPE_TEXT};
        assert_memory_equal(&back->columns[i].type, &type, sizeof type);
        assert_string_equal(back->columns[i].name, schema->columns[i].name);
        assert_int_equal(back->columns[i].nullable, schema->columns[i].nullable);
    }
    schema_release(back);
    /* It outlives the schema, and so does a child moved out of it. */
    const uint32_t columns[] = {8, 8, 15};
    struct ArrowSchema chosen;
    assert_ok(schema_to_arrow(schema, columns, 3, &chosen));
    schema_release(schema);
    struct ArrowSchema child = *chosen.children[1];
    chosen.children[1]->release = NULL;
    chosen.release(&chosen);
    arrow.release(&arrow);
    assert_string_equal(child.format, "d:38,10");
    child.release(&child);
    assert_int_equal(allocator.bytes_used, 0);
}

static void no_release(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static omen_status from_format(const char *format, omen_type *type)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct ArrowSchema child = {.format = format, .name = "a", .release = no_release};
    struct ArrowSchema *children[] = {&child};
    struct ArrowSchema arrow = {
        .format = "+s", .n_children = 1, .children = children, .release = no_release};
    struct schema *schema;
    omen_status status = schema_from_arrow(&allocator, &arrow, NULL, 0, &schema, NULL);
    if (status == OMEN_OK)
        *type = schema->columns[0].type;
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
    return status;
}

static void test_arrow_formats(void **state)
{
    static const struct {
        const char *format;
        omen_type_id type;
    } cases[] = {{"c", OMEN_TYPE_SMALLINT}, {"C", OMEN_TYPE_SMALLINT}, {"S", OMEN_TYPE_INTEGER},
                 {"I", OMEN_TYPE_BIGINT},   {"L", OMEN_TYPE_BIGINT},   {"u", OMEN_TYPE_TEXT},
                 {"U", OMEN_TYPE_TEXT},     {"vu", OMEN_TYPE_TEXT},    {"Z", OMEN_TYPE_BYTEA},
                 {"w:16", OMEN_TYPE_UUID},  {"tdm", OMEN_TYPE_DATE},   {"tss:", OMEN_TYPE_TIMESTAMP},
                 {"tsn:Europe/Berlin", OMEN_TYPE_TIMESTAMPTZ}, {"d:12,3,128", OMEN_TYPE_DECIMAL}};
    omen_type type;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(from_format(cases[i].format, &type));
        assert_int_equal(type.id, cases[i].type);
    }
    static const char *const refused[] = {"e",     "w:15", "d:10,2,256", "d:39,0", "d:5,-2", "d:,",
                                          "+l",    "tts",  "tDs",        "tiM",    "",       "ts",
                                          "tsx:",  "w:",   "d:99999999999,1",      "tsu",    "vv"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_int_equal(from_format(refused[i], &type), OMEN_NOT_SUPPORTED);
    assert_int_equal(from_format(NULL, &type), OMEN_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses),      cmocka_unit_test(test_keys),
        cmocka_unit_test(test_unique_keys),
        cmocka_unit_test(test_value_checks), cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_arrow_round_trip), cmocka_unit_test(test_arrow_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
