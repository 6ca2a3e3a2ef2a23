/* Arrow import: what came out goes in again; conversions; slices; hostile arrays. */
#include "arrow_test.h"

enum { TEXT_LIMIT = 100, ROWS = 3000 };

static void array_release(struct ArrowArray *array)
{
    array->release = NULL;
}

static void schema_no_release(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

/* One column of Arrow data over the test's own buffers. */
struct one_column {
    struct ArrowSchema schema, child_schema, *child_schemas[1];
    struct ArrowArray array, child, *children[1];
    const void *buffers[6];
    const void *struct_buffers[1];
};

static void set_up(struct one_column *one, const char *format, int64_t length, int64_t buffers)
{
    memset(one, 0, sizeof *one);
    one->child_schema = (struct ArrowSchema){
        .format = format, .name = "a", .flags = ARROW_FLAG_NULLABLE, .release = schema_no_release};
    one->child_schemas[0] = &one->child_schema;
    one->schema = (struct ArrowSchema){.format = "+s",
                                       .n_children = 1,
                                       .children = one->child_schemas,
                                       .release = schema_no_release};
    one->child = (struct ArrowArray){.length = length,
                                     .null_count = -1,
                                     .n_buffers = buffers,
                                     .buffers = one->buffers,
                                     .release = array_release};
    one->children[0] = &one->child;
    one->array = (struct ArrowArray){.length = length,
                                     .n_buffers = 1,
                                     .buffers = one->struct_buffers,
                                     .n_children = 1,
                                     .children = one->children,
                                     .release = array_release};
}

/* A group of one nullable column and a hidden key. */
struct target {
    struct allocator allocator;
    struct schema *schema;
    struct row_group *group;
};

static void make_target(struct target *target, omen_type type, bool nullable)
{
    allocator_init(&target->allocator, 0);
    const struct column_definition column = {"a", type, nullable, NULL};
    assert_ok(schema_create(&target->allocator, &column, 1, NULL, 0, &target->schema, NULL));
    assert_ok(row_group_create(&target->allocator, target->schema, 1, 100, &target->group));
}

static void drop_target(struct target *target)
{
    assert_valid(target->group);
    row_group_release(target->group);
    schema_release(target->schema);
    assert_int_equal(target->allocator.bytes_used, 0);
}

static omen_status import(struct target *target, struct one_column *one, omen_error *error)
{
    return row_group_append_arrow(target->group, &one->schema, &one->array, 0,
                                  (uint32_t)one->array.length, 1000, error);
}

static void test_round_trip(void **state)
{
    struct random random = test_random(61);
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct schema *schema = all_types_schema(&allocator);
    struct row_group *source, *target;
    assert_ok(row_group_create(&allocator, schema, 1, ROWS, &source));
    append_random(&random, source, schema, ROWS, TEXT_LIMIT);
    struct ArrowSchema arrow_schema;
    assert_ok(schema_to_arrow(schema, NULL, 0, &arrow_schema));
    uint32_t columns[ALL_TYPES_COLUMNS];
    for (uint32_t c = 0; c < ALL_TYPES_COLUMNS; c++)
        columns[c] = c;
    struct ArrowArray batch;
    assert_ok(row_group_export(source, 0, ROWS, columns, ALL_TYPES_COLUMNS, &batch));
    for (int round = 0; round < 30; round++) {
        uint32_t offset = (uint32_t)random_below(&random, 1000);
        uint32_t child_offset = (uint32_t)random_below(&random, 1000);
        uint32_t first = (uint32_t)random_below(&random, ROWS - offset - child_offset);
        uint32_t count = (uint32_t)random_below(&random, ROWS - offset - child_offset - first);
        struct ArrowArray sliced = batch;
        sliced.offset = offset;
        sliced.length = ROWS - offset - child_offset;
        for (uint32_t c = 0; c < ALL_TYPES_COLUMNS; c++) {
            batch.children[c]->offset = child_offset;
            batch.children[c]->length = ROWS - child_offset;
        }
        assert_ok(row_group_create(&allocator, schema, 2, ROWS, &target));
        assert_ok(row_group_append_slots(target, source, 0, 5));
        assert_ok(row_group_append_arrow(target, &arrow_schema, &sliced, first, count, 0, NULL));
        assert_int_equal(row_group_row_count(target), count + 5);
        assert_valid(target);
        for (uint32_t i = 0; i < count; i++)
            assert_same_slot(target, 5 + i, source, offset + child_offset + first + i,
                             ALL_TYPES_COLUMNS);
        row_group_release(target);
    }
    /* All or nothing, whichever allocation fails. */
    bool failed = true;
    assert_ok(row_group_create(&allocator, schema, 2, ROWS, &target));
    for (uint64_t nth = 1; failed; nth++) {
        allocator_fail_at(&allocator, nth, 0);
        omen_status status =
            row_group_append_arrow(target, &arrow_schema, &batch, 0, 500, 0, NULL);
        failed = allocator_has_failed(&allocator);
        allocator_fail_at(&allocator, 0, 0);
        assert_int_equal(status, failed ? OMEN_OUT_OF_MEMORY : OMEN_OK);
        assert_int_equal(row_group_row_count(target), failed ? 0 : 500);
        assert_valid(target);
    }
    for (uint32_t c = 0; c < ALL_TYPES_COLUMNS; c++) {
        batch.children[c]->offset = 0;
        batch.children[c]->length = ROWS;
    }
    assert_int_equal(row_group_append_arrow(target, &arrow_schema, &batch, 0, ROWS, 0, NULL),
                     OMEN_LIMIT_EXCEEDED);
    assert_int_equal(row_group_row_count(target), 500);
    row_group_release(target);
    batch.release(&batch);
    arrow_schema.release(&arrow_schema);
    row_group_release(source);
    schema_release(schema);
    assert_int_equal(allocator.bytes_used, 0);
}

static void check_number(const char *format, const void *value, omen_type type,
                         omen_status status, int64_t expected)
{
    struct target target;
    struct one_column one;
    omen_error error;
    make_target(&target, type, true);
    set_up(&one, format, 1, 2);
    one.buffers[1] = value;
    assert_int_equal(import(&target, &one, &error), status);
    assert_int_equal(row_group_row_count(target.group), status == OMEN_OK);
    if (status == OMEN_OK) {
        omen_value stored;
        row_group_read(target.group, 0, 0, &stored);
        uint32_t width = type_width(type.id);
        assert_int_equal(width == 2   ? stored.as.i16
                         : width == 4 ? stored.as.i32
                         : width == 8 ? stored.as.i64
                                      : (int64_t)stored.as.decimal.low,
                         expected);
        row_group_read(target.group, 0, 1, &stored);
        assert_int_equal(stored.as.i64, 1000);
    } else {
        assert_non_null(strstr(error.message, "\"a\""));
    }
    drop_target(&target);
}

#define NUMBER(format, ctype, value, type, status, expected)                                  \
    check_number(format, &(const ctype){value}, type, status, expected)

static void test_conversions(void **state)
{
    const omen_type small = {.id = OMEN_TYPE_SMALLINT}, integer = {.id = OMEN_TYPE_INTEGER};
    const omen_type big = {.id = OMEN_TYPE_BIGINT}, date = {.id = OMEN_TYPE_DATE};
    const omen_type time = {.id = OMEN_TYPE_TIMESTAMP}, zoned = {.id = OMEN_TYPE_TIMESTAMPTZ};
    const omen_type money = {.id = OMEN_TYPE_DECIMAL, .precision = 6, .scale = 2};
    NUMBER("c", int8_t, -128, small, OMEN_OK, -128);
    NUMBER("C", uint8_t, 255, integer, OMEN_OK, 255);
    NUMBER("S", uint16_t, 65535, integer, OMEN_OK, 65535);
    NUMBER("S", uint16_t, 32768, small, OMEN_OUT_OF_RANGE, 0);
    NUMBER("i", int32_t, -32768, small, OMEN_OK, -32768);
    NUMBER("i", int32_t, -32769, small, OMEN_OUT_OF_RANGE, 0);
    NUMBER("I", uint32_t, UINT32_MAX, big, OMEN_OK, UINT32_MAX);
    NUMBER("I", uint32_t, UINT32_MAX, integer, OMEN_OUT_OF_RANGE, 0);
    NUMBER("l", int64_t, INT64_MIN, big, OMEN_OK, INT64_MIN);
    NUMBER("l", int64_t, INT64_MIN, integer, OMEN_OUT_OF_RANGE, 0);
    NUMBER("L", uint64_t, INT64_MAX, big, OMEN_OK, INT64_MAX);
    NUMBER("L", uint64_t, UINT64_MAX, big, OMEN_OUT_OF_RANGE, 0);
    NUMBER("f", float, 1, integer, OMEN_TYPE_MISMATCH, 0);
    NUMBER("tdD", int32_t, -1, date, OMEN_OK, -1);
    NUMBER("tdm", int64_t, -86400000, date, OMEN_OK, -1);
    NUMBER("tdm", int64_t, 1, date, OMEN_DATETIME_OVERFLOW, 0);
    NUMBER("tdm", int64_t, INT64_C(86400000) << 32, date, OMEN_DATETIME_OVERFLOW, 0);
    NUMBER("tdD", int32_t, -2440588, date, OMEN_OK, -2440588); /* 4714-11-24 BC */
    NUMBER("tdD", int32_t, -2440589, date, OMEN_DATETIME_OVERFLOW, 0);
    NUMBER("tdD", int32_t, 2145042905, date, OMEN_OK, 2145042905); /* 5874897-12-31 */
    NUMBER("tdD", int32_t, 2145042906, date, OMEN_DATETIME_OVERFLOW, 0);
    NUMBER("tsu:", int64_t, INT64_C(-210866803200000000), time, OMEN_OK,
           INT64_C(-210866803200000000));
    NUMBER("tsu:", int64_t, INT64_C(-210866803200000001), time, OMEN_DATETIME_OVERFLOW, 0);
    NUMBER("tss:UTC", int64_t, INT64_C(-210866803201), zoned, OMEN_DATETIME_OVERFLOW, 0);
    NUMBER("tss:", int64_t, -1, time, OMEN_OK, -1000000);
    NUMBER("tss:", int64_t, INT64_MAX / 999999, time, OMEN_DATETIME_OVERFLOW, 0);
    NUMBER("tsm:", int64_t, 1234, time, OMEN_OK, 1234000);
    NUMBER("tsu:", int64_t, -5, time, OMEN_OK, -5);
    NUMBER("tsn:", int64_t, -5000, time, OMEN_OK, -5);
    NUMBER("tsn:", int64_t, 5001, time, OMEN_DATETIME_OVERFLOW, 0);
    NUMBER("tsn:UTC", int64_t, 5000, zoned, OMEN_OK, 5);
    NUMBER("tsn:UTC", int64_t, 5000, time, OMEN_TYPE_MISMATCH, 0);
    NUMBER("tsu:", int64_t, 5000, zoned, OMEN_TYPE_MISMATCH, 0);
    const omen_decimal value = {9999, 0}, large = {10000, 0}, cents = {123456, 0};
    check_number("d:20,0", &value, money, OMEN_OK, 999900);
    check_number("d:20,0", &large, money, OMEN_OUT_OF_RANGE, 0);
    check_number("d:6,2", &cents, money, OMEN_OK, 123456);
    check_number("d:6,3", &cents, money, OMEN_TYPE_MISMATCH, 0);
    NUMBER("e", uint16_t, 1, integer, OMEN_NOT_SUPPORTED, 0);
}

static void test_nulls(void **state)
{
    const int64_t junk[] = {INT64_MAX, 7, INT64_MAX};
    const uint8_t validity = 2;
    struct target target;
    struct one_column one;
    omen_error error;
    make_target(&target, (omen_type){.id = OMEN_TYPE_SMALLINT}, true);
    set_up(&one, "l", 3, 2);
    one.buffers[0] = &validity;
    one.buffers[1] = junk;
    assert_ok(import(&target, &one, &error)); /* what lies under a NULL does not matter */
    omen_value value;
    row_group_read(target.group, 0, 0, &value);
    assert_true(value.is_null);
    row_group_read(target.group, 1, 0, &value);
    assert_int_equal(value.as.i16, 7);
    set_up(&one, "n", 3, 0);
    assert_ok(import(&target, &one, &error));
    row_group_read(target.group, 5, 0, &value);
    assert_true(value.is_null);
    drop_target(&target);
    make_target(&target, (omen_type){.id = OMEN_TYPE_BIGINT}, false);
    set_up(&one, "l", 3, 2);
    one.buffers[0] = &validity;
    one.buffers[1] = junk;
    assert_int_equal(import(&target, &one, &error), OMEN_NOT_NULL_VIOLATION);
    assert_non_null(strstr(error.message, "row 1"));
    set_up(&one, "n", 3, 0);
    assert_int_equal(import(&target, &one, &error), OMEN_NOT_NULL_VIOLATION);
    drop_target(&target);
}

static void check_text(struct target *target, uint32_t slot, const char *expected)
{
    omen_value value;
    row_group_read(target->group, slot, 0, &value);
    assert_int_equal(value.as.bytes.length, strlen(expected));
    assert_memory_equal(value.as.bytes.data, expected, strlen(expected));
}

static void test_text(void **state)
{
    struct target target;
    struct one_column one;
    omen_error error;
    const int32_t offsets[] = {0, 3, 3, 20};
    const int64_t large_offsets[] = {0, 3, 3, 20};
    const char *data = "abca rather long one";
    make_target(&target, (omen_type){.id = OMEN_TYPE_TEXT}, true);
    for (int large = 0; large < 2; large++) {
        set_up(&one, large ? "U" : "u", 3, 3);
        one.buffers[1] = large ? (const void *)large_offsets : offsets;
        one.buffers[2] = data;
        assert_ok(import(&target, &one, &error));
        check_text(&target, 3 * (uint32_t)large, "abc");
        check_text(&target, 3 * (uint32_t)large + 1, "");
        check_text(&target, 3 * (uint32_t)large + 2, "a rather long one");
    }
    const int32_t all_empty[] = {0, 0};
    set_up(&one, "u", 1, 3); /* no data buffer: fine, as there are no data */
    one.buffers[1] = all_empty;
    assert_ok(import(&target, &one, &error));
    const int32_t bad_text[] = {0, 1, 3};
    set_up(&one, "u", 2, 3);
    one.buffers[1] = bad_text;
    one.buffers[2] = "a\xC3x";
    assert_int_equal(import(&target, &one, &error), OMEN_INVALID_ENCODING);
    assert_non_null(strstr(error.message, "row 2"));
    set_up(&one, "z", 2, 3);
    one.buffers[1] = bad_text;
    assert_int_equal(import(&target, &one, &error), OMEN_TYPE_MISMATCH);
    drop_target(&target);
    /* CHAR is padded to its length in characters. */
    make_target(&target, (omen_type){.id = OMEN_TYPE_CHAR, .length_max = 15}, true);
    set_up(&one, "u", 1, 3);
    one.buffers[1] = (const int32_t[]){0, 4};
    one.buffers[2] = "a\xC3\xA9z";
    assert_ok(import(&target, &one, &error));
    check_text(&target, 0, "a\xC3\xA9z            ");
    drop_target(&target);
}

/* Everything detectable about a hostile array is an error, and the group stays as it was. */
static void test_hostile(void **state)
{
    struct target target;
    struct one_column one;
    omen_error error;
    const int64_t numbers[] = {1, 2, 3};
    make_target(&target, (omen_type){.id = OMEN_TYPE_BIGINT}, true);
#define REFUSE(change)                                                                        \
    do {                                                                                      \
        set_up(&one, "l", 3, 2);                                                              \
        one.buffers[1] = numbers;                                                             \
        change;                                                                               \
        assert_int_equal(row_group_append_arrow(target.group, &one.schema, &one.array, 0, 3,  \
                                                0, &error),                                   \
                         OMEN_INVALID_ARGUMENT);                                              \
        assert_int_equal(row_group_row_count(target.group), 0);                               \
    } while (0)
    REFUSE(one.buffers[1] = NULL);
    REFUSE(one.child.buffers = NULL);
    REFUSE(one.child.n_buffers = 1);
    REFUSE(one.child.n_buffers = -1);
    REFUSE(one.child.length = 2);
    REFUSE(one.child.length = -1);
    REFUSE(one.child.offset = -1);
    REFUSE(one.child.offset = INT64_MAX);
    REFUSE(one.child.null_count = 1);
    REFUSE(one.child.release = NULL);
    REFUSE(one.children[0] = NULL);
    REFUSE(one.array.children = NULL);
    REFUSE(one.array.n_children = 2);
    REFUSE(one.array.n_children = -1);
    REFUSE(one.array.length = 2);
    REFUSE(one.array.length = -3);
    REFUSE(one.array.offset = -1);
    REFUSE(one.array.offset = 1);
    REFUSE(one.array.offset = INT64_MAX);
    REFUSE(one.array.release = NULL);
    REFUSE(one.schema.release = NULL);
    REFUSE(one.schema.children = NULL);
    REFUSE(one.schema.format = "l");
    REFUSE(one.schema.format = NULL);
    REFUSE(one.child_schemas[0] = NULL);
    REFUSE(one.child_schema.format = NULL);
    REFUSE(one.array.null_count = -1; one.struct_buffers[0] = "\5");
    set_up(&one, "l", 3, 2);
    one.buffers[1] = numbers;
    one.child.dictionary = &one.array;
    assert_int_equal(import(&target, &one, &error), OMEN_NOT_SUPPORTED);
    drop_target(&target);
}

static void test_hostile_strings(void **state)
{
    struct target target;
    struct one_column one;
    omen_error error;
    make_target(&target, (omen_type){.id = OMEN_TYPE_TEXT}, true);
    const int32_t backwards[] = {5, 2}, negative[] = {-1, 2}, fine[] = {0, 2};
    const void *offsets[] = {backwards, negative, fine};
    for (int i = 0; i < 3; i++) {
        set_up(&one, "u", 1, 3);
        one.buffers[1] = offsets[i];
        one.buffers[2] = i == 2 ? NULL : "abcdef";
        assert_int_equal(import(&target, &one, &error), OMEN_INVALID_ARGUMENT);
    }
    const int64_t sizes[] = {20};
    static const uint32_t views[][4] = {
        {20, 0, 1, 0},          /* a buffer that is not there */
        {20, 0, 0, 1},          /* ends beyond its buffer */
        {20, 0, 0, UINT32_MAX}, /* negative offset */
        {UINT32_MAX, 0, 0, 0},  /* negative length */
        {20, 0, UINT32_MAX, 0}, /* negative buffer */
    };
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        set_up(&one, "vu", 1, 4);
        one.buffers[1] = views[i];
        one.buffers[2] = "twenty bytes of text";
        one.buffers[3] = sizes;
        assert_int_equal(import(&target, &one, &error), OMEN_INVALID_ARGUMENT);
    }
    static const uint32_t good[4] = {20, 0, 0, 0};
    set_up(&one, "vu", 1, 4);
    one.buffers[1] = good;
    one.buffers[3] = sizes;
    assert_int_equal(import(&target, &one, &error), OMEN_INVALID_ARGUMENT);
    one.buffers[2] = "twenty bytes of text";
    one.buffers[3] = NULL;
    assert_int_equal(import(&target, &one, &error), OMEN_INVALID_ARGUMENT);
    one.child.n_buffers = 2;
    assert_int_equal(import(&target, &one, &error), OMEN_INVALID_ARGUMENT);
    one.child.n_buffers = 4;
    one.buffers[3] = sizes;
    assert_int_equal(row_group_row_count(target.group), 0);
    assert_ok(import(&target, &one, &error));
    check_text(&target, 0, "twenty bytes of text");
    drop_target(&target);
}

/* A thousand refused imports, at the start of a window, leave neither rows nor memory behind. */
static void test_refused_imports_leave_no_trace(void **state)
{
    struct target target;
    struct one_column one;
    omen_error error;
    make_target(&target, (omen_type){.id = OMEN_TYPE_TEXT}, true);
    row_group_release(target.group);
    assert_ok(row_group_create(&target.allocator, target.schema, 1, BATCH_ROWS + 800,
                               &target.group));
    const char *text = "a text that is too long to be inline and some more of it";
    for (int64_t i = 0; i < BATCH_ROWS; i++) {
        omen_value row[2] = {{.type = {.id = OMEN_TYPE_TEXT},
                              .as.bytes = {(const uint8_t *)text, strlen(text)}},
                             {.type = {.id = OMEN_TYPE_BIGINT}, .as.i64 = i}};
        assert_ok(row_group_append_values(target.group, row));
    }
    const int32_t offsets[] = {0, 40, 80, 81};
    char data[82];
    memset(data, 'x', sizeof data);
    data[80] = '\xFF';
    set_up(&one, "u", 3, 3);
    one.buffers[1] = offsets;
    one.buffers[2] = data;
    size_t bytes = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(import(&target, &one, &error), OMEN_INVALID_ENCODING);
        assert_int_equal(row_group_row_count(target.group), BATCH_ROWS);
        assert_true(i == 0 || row_group_bytes(target.group) == bytes);
        bytes = row_group_bytes(target.group);
    }
    data[80] = 'y';
    for (int i = 0; i < 200; i++)
        assert_ok(import(&target, &one, &error));
    data[80] = '\0';
    check_text(&target, BATCH_ROWS, data + 40);
    check_text(&target, 0, text);
    drop_target(&target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_nulls),      cmocka_unit_test(test_text),
        cmocka_unit_test(test_hostile),    cmocka_unit_test(test_hostile_strings),
        cmocka_unit_test(test_refused_imports_leave_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
