/* test_value_text.c - text to value and back: PostgreSQL's answers, and hostile texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "sql/semantics.h"
#include "sql/value_text.h"

struct text_case {
    omen_type type;
    const char *text;
    const char *expected; /* the text it prints as, or the SQLSTATE after an exclamation mark */
};

#define BOOLEAN {.id = OMEN_TYPE_BOOLEAN}
#define SMALLINT {.id = OMEN_TYPE_SMALLINT}
#define INTEGER {.id = OMEN_TYPE_INTEGER}
#define BIGINT {.id = OMEN_TYPE_BIGINT}
#define REAL {.id = OMEN_TYPE_REAL}
#define DOUBLE {.id = OMEN_TYPE_DOUBLE}
#define DECIMAL(p, s) {.id = OMEN_TYPE_DECIMAL, .precision = p, .scale = s}
#define TEXT {.id = OMEN_TYPE_TEXT}
#define VARCHAR(n) {.id = OMEN_TYPE_VARCHAR, .length_max = n}
#define CHAR(n) {.id = OMEN_TYPE_CHAR, .length_max = n}
#define BYTEA {.id = OMEN_TYPE_BYTEA}
#define DATE {.id = OMEN_TYPE_DATE}
#define TIMESTAMP {.id = OMEN_TYPE_TIMESTAMP}
#define TIMESTAMPTZ {.id = OMEN_TYPE_TIMESTAMPTZ}
#define UUID {.id = OMEN_TYPE_UUID}

static const struct text_case cases[] = {
    {BOOLEAN, "t", "t"}, {BOOLEAN, " TRUE ", "t"}, {BOOLEAN, "y", "t"}, {BOOLEAN, "of", "f"},
    {BOOLEAN, "on", "t"}, {BOOLEAN, "0", "f"}, {BOOLEAN, "o", "!22P02"}, {BOOLEAN, "", "!22P02"},
    {BOOLEAN, "truex", "!22P02"}, {BOOLEAN, "2", "!22P02"},
    {SMALLINT, "-32768", "-32768"}, {SMALLINT, "32768", "!22003"},
    {INTEGER, " +42 ", "42"}, {INTEGER, "-2147483648", "-2147483648"},
    {INTEGER, "2147483648", "!22003"}, {INTEGER, "4 2", "!22P02"}, {INTEGER, "", "!22P02"},
    {INTEGER, "-", "!22P02"}, {INTEGER, "42.0", "!22P02"}, {INTEGER, "1e2", "!22P02"},
    {INTEGER, "99999999999999999999999999", "!22003"}, {INTEGER, "0x10", "!22P02"},
    {BIGINT, "9223372036854775807", "9223372036854775807"},
    {BIGINT, "-9223372036854775808", "-9223372036854775808"},
    {BIGINT, "9223372036854775808", "!22003"}, {BIGINT, "-9223372036854775809", "!22003"},
    {DOUBLE, "0.1", "0.1"}, {DOUBLE, "1e15", "1e+15"}, {DOUBLE, "1e14", "100000000000000"},
    {DOUBLE, "123456789012345678", "1.2345678901234568e+17"}, {DOUBLE, "1e-4", "0.0001"},
    {DOUBLE, "1e-5", "1e-05"}, {DOUBLE, "5e-324", "5e-324"}, {DOUBLE, "-0.0", "-0"},
    {DOUBLE, "1.7976931348623157e308", "1.7976931348623157e+308"}, {DOUBLE, "1e309", "!22003"},
    {DOUBLE, "1e-400", "!22003"}, {DOUBLE, "inf", "Infinity"}, {DOUBLE, "-INFINITY", "-Infinity"},
    {DOUBLE, "nan", "NaN"}, {DOUBLE, "nan(1)", "!22P02"}, {DOUBLE, "1,5", "!22P02"},
    {DOUBLE, " 2.5 ", "2.5"}, {DOUBLE, "", "!22P02"}, {DOUBLE, "100", "100"},
    {DOUBLE, "1e23", "9.999999999999999e+22"}, {DOUBLE, "2e23", "1.9999999999999998e+23"},
    {DOUBLE, "-1678257852174351987.65", "-1.6782578521743519e+18"}, {DOUBLE, "1e22", "1e+22"},
    {REAL, "55304070.2", "5.5304072e+07"},
    {DOUBLE, "42.32834391986", "42.32834391986"}, {REAL, "8.5e8", "8.5e+08"},
    {REAL, "0.1", "0.1"}, {REAL, "1e6", "1e+06"}, {REAL, "100000", "100000"},
    {REAL, "1234567", "1.234567e+06"}, {REAL, "1e39", "!22003"}, {REAL, "1e-45", "1e-45"},
    {REAL, "16777217", "1.6777216e+07"}, {REAL, "3.4028235e38", "3.4028235e+38"},
    {DECIMAL(10, 2), "12.345", "12.35"}, {DECIMAL(10, 2), "-12.345", "-12.35"},
    {DECIMAL(10, 2), "12.344999", "12.34"}, {DECIMAL(10, 2), ".5", "0.50"},
    {DECIMAL(10, 2), "5.", "5.00"}, {DECIMAL(10, 2), "-0.001", "0.00"},
    {DECIMAL(10, 2), "1.5e2", "150.00"}, {DECIMAL(10, 2), "1e-1000000000", "0.00"},
    {DECIMAL(10, 2), "1e1000000000", "!22003"}, {DECIMAL(10, 2), "0e1000000000", "0.00"},
    {DECIMAL(10, 2), "99999999.994", "99999999.99"}, {DECIMAL(10, 2), "99999999.995", "!22003"},
    {DECIMAL(10, 2), "abc", "!22P02"}, {DECIMAL(10, 2), "1e", "!22P02"},
    {DECIMAL(10, 2), ".", "!22P02"}, {DECIMAL(10, 2), "1 2", "!22P02"},
    {DECIMAL(10, 2), "NaN", "!0A000"}, {DECIMAL(3, 0), "999.5", "!22003"},
    {DECIMAL(38, 0), "99999999999999999999999999999999999999",
     "99999999999999999999999999999999999999"},
    {DECIMAL(38, 0), "100000000000000000000000000000000000000", "!22003"},
    {DECIMAL(38, 38), "-0.12345678901234567890123456789012345678",
     "-0.12345678901234567890123456789012345678"},
    {DECIMAL(20, 10), "1234567890.0123456789", "1234567890.0123456789"},
    {TEXT, "", ""}, {TEXT, " x ", " x "}, {TEXT, "h\xC3\xA9", "h\xC3\xA9"},
    {TEXT, "\xC3", "!22021"}, {TEXT, "\xED\xA0\x80", "!22021"}, {TEXT, "\xC0\x80", "!22021"},
    {VARCHAR(3), "abc", "abc"}, {VARCHAR(3), "abcd", "!22001"}, {VARCHAR(3), "abc  ", "abc"},
    {VARCHAR(3), "\xC3\xA9\xC3\xA9\xC3\xA9", "\xC3\xA9\xC3\xA9\xC3\xA9"},
    {VARCHAR(2), "\xC3\xA9\xC3\xA9\xC3\xA9", "!22001"},
    {CHAR(4), "ab", "ab  "}, {CHAR(4), "", "    "}, {CHAR(4), "abcde", "!22001"},
    {CHAR(3), "\xC3\xA9", "\xC3\xA9  "},
    {BYTEA, "\\x00fF", "\\x00ff"}, {BYTEA, "\\x0 0", "!22023"}, {BYTEA, "\\x00 ff", "\\x00ff"},
    {BYTEA, "\\x0", "!22023"}, {BYTEA, "\\xg0", "!22023"}, {BYTEA, "a\\\\b\\001", "\\x615c6201"},
    {BYTEA, "\\", "!22P02"}, {BYTEA, "\\8", "!22P02"}, {BYTEA, "\\40", "!22P02"},
    {BYTEA, "", "\\x"},
    {DATE, "2024-02-29", "2024-02-29"}, {DATE, "2023-02-29", "!22008"},
    {DATE, "20240229", "2024-02-29"}, {DATE, "2024-1-5", "2024-01-05"},
    {DATE, "1900-02-29", "!22008"}, {DATE, "2000-02-29", "2000-02-29"},
    {DATE, "0001-01-01", "0001-01-01"}, {DATE, "0001-01-01 BC", "0001-01-01 BC"},
    {DATE, "0044-03-15 BC", "0044-03-15 BC"}, {DATE, "4714-01-01 BC", "!22008"},
    {DATE, "5874897-12-31", "5874897-12-31"}, {DATE, "5874898-01-01", "!22008"},
    {DATE, "0000-01-01", "!22008"}, {DATE, "2024-13-01", "!22008"}, {DATE, "abc", "!22007"},
    {DATE, "", "!22007"}, {DATE, "2024-01-01x", "!22007"}, {DATE, "2024-01", "!22007"},
    {DATE, "1/8/1999", "!0A000"}, {DATE, "today", "!0A000"}, {DATE, "infinity", "!0A000"},
    {DATE, "Jan 8 1999", "!0A000"}, {DATE, "epoch", "1970-01-01"},
    {DATE, "2024-01-02 03:04:05", "2024-01-02"},
    {TIMESTAMP, "2024-01-02 03:04:05.5", "2024-01-02 03:04:05.5"},
    {TIMESTAMP, "2024-01-02T03:04", "2024-01-02 03:04:00"},
    {TIMESTAMP, "2024-01-02", "2024-01-02 00:00:00"},
    {TIMESTAMP, "2024-01-02 03:04:05+09", "2024-01-02 03:04:05"},
    {TIMESTAMP, "1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"},
    {TIMESTAMP, "0001-01-01 00:00:00 BC", "0001-01-01 00:00:00 BC"},
    {TIMESTAMP, "2024-01-02 24:00:00", "2024-01-03 00:00:00"},
    {TIMESTAMP, "2024-01-02 24:00:01", "!22008"}, {TIMESTAMP, "2024-01-02 23:60:00", "!22008"},
    {TIMESTAMP, "2024-01-02 23:59:60", "2024-01-03 00:00:00"},
    {TIMESTAMP, "2024-01-02 23:59:61", "!22008"},
    {TIMESTAMP, "2024-01-02 01:02:03.9999996", "2024-01-02 01:02:04"},
    {TIMESTAMP, "294247-01-10 04:00:54.775807", "294247-01-10 04:00:54.775807"},
    {TIMESTAMP, "294247-01-10 04:00:54.775808", "!22008"},
    {TIMESTAMP, "2024-01-02 x", "!22007"},
    {TIMESTAMPTZ, "2024-01-02 03:04:05+02", "2024-01-02 01:04:05+00"},
    {TIMESTAMPTZ, "2024-01-02 03:04:05-05:30", "2024-01-02 08:34:05+00"},
    {TIMESTAMPTZ, "2024-01-02 03:04:05 +0530", "2024-01-01 21:34:05+00"},
    {TIMESTAMPTZ, "2024-01-02T03:04:05Z", "2024-01-02 03:04:05+00"},
    {TIMESTAMPTZ, "2024-01-02 03:04:05", "2024-01-02 03:04:05+00"},
    {TIMESTAMPTZ, "2024-01-02 03:04:05 UTC", "2024-01-02 03:04:05+00"},
    {TIMESTAMPTZ, "2024-01-02 03:04:05 Europe/Berlin", "!0A000"},
    {TIMESTAMPTZ, "2024-01-02 03:04:05+99", "!22007"},
    {UUID, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {UUID, "{a0eebc999c0b4ef8bb6d6bb9bd380a11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {UUID, "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "!22P02"},
    {UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111", "!22P02"}, {UUID, "", "!22P02"},
    {UUID, "-a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "!22P02"},
};

static void test_known_texts(void **state)
{
    struct allocator allocator;
    struct arena arena;
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[128] = "";
        size_t length = 0;
        omen_value value;
        omen_error error = {.message = ""};
        omen_status status = value_from_text(cases[i].type, cases[i].text, strlen(cases[i].text),
                                             &arena, &value, &error);
        if (status == OMEN_OK) {
            assert_int_equal(value_to_text(&value, got, sizeof got - 1, &length), OMEN_OK);
            got[length] = '\0';
        } else {
            snprintf(got, sizeof got, "!%s", error.sqlstate);
            assert_int_equal(error.status, status);
            assert_true(error.message[0] != '\0');
        }
        if (strcmp(got, cases[i].expected) != 0)
            fail_msg("%s '%s' gave %s (%s), expected %s", type_name_of(cases[i].type.id),
                     cases[i].text, got, error.message, cases[i].expected);
    }
    arena_release(&arena);
    assert_int_equal(allocator.bytes_used, 0);
}

static uint64_t seed_of_run(void)
{
    const char *text = getenv("OMEN_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20240607;
    printf("seed %llu (set OMEN_SEED to replay)\n", (unsigned long long)seed);
    return seed;
}

static size_t width_of(omen_type_id type)
{
    return type == OMEN_TYPE_UUID ? 16 : type == OMEN_TYPE_DATE || type == OMEN_TYPE_REAL ? 4 : 8;
}

/* Every value prints as a text that reads back as the same bits. */
static void test_round_trips(void **state)
{
    struct random random = random_seeded(seed_of_run());
    struct allocator allocator;
    struct arena arena;
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    static const omen_type_id types[] = {OMEN_TYPE_DOUBLE, OMEN_TYPE_REAL, OMEN_TYPE_BIGINT,
                                         OMEN_TYPE_DATE, OMEN_TYPE_TIMESTAMP, OMEN_TYPE_UUID,
                                         OMEN_TYPE_TIMESTAMPTZ};
    for (int i = 0; i < 200000; i++) {
        omen_value value = {0}, back;
        char text[64];
        size_t length;
        uint64_t bits = random_next(&random);
        value.type.id = types[bits % 7];
        bits = random_next(&random) >> random_below(&random, 60);
        memcpy(&value.as, &bits, sizeof bits);
        if (value.type.id == OMEN_TYPE_DOUBLE && value.as.f64 != value.as.f64)
            continue;
        if (value.type.id == OMEN_TYPE_REAL && value.as.f32 != value.as.f32)
            continue;
        if (value.type.id == OMEN_TYPE_DATE)
            value.as.i32 = (int32_t)(value.as.i32 % 2000000);
        if (value.type.id == OMEN_TYPE_TIMESTAMP || value.type.id == OMEN_TYPE_TIMESTAMPTZ)
            value.as.i64 = value.as.i64 % INT64_C(100000000000000000);
        assert_int_equal(value_to_text(&value, text, sizeof text, &length), OMEN_OK);
        if (value_from_text(value.type, text, length, &arena, &back, NULL) != OMEN_OK ||
            memcmp(&back.as, &value.as, width_of(value.type.id)) != 0)
            fail_msg("%.*s does not read back", (int)length, text);
    }
    arena_release(&arena);
}

/* Any bytes give an answer or an error, never a fault. */
static void test_hostile_texts(void **state)
{
    struct random random = random_seeded(seed_of_run());
    struct allocator allocator;
    struct arena arena;
    static const char alphabet[] = "0123456789-+:. TZeE\\x'{}ntfalsyBCADinfo\xC3\xA9\xFF\0/";
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    for (int i = 0; i < 200000; i++) {
        char text[48];
        size_t length = random_below(&random, sizeof text);
        for (size_t j = 0; j < length; j++)
            text[j] = alphabet[random_below(&random, sizeof alphabet - 1)];
        omen_type type = {.id = (omen_type_id)(1 + random_below(&random, 15)),
                          .precision = 12,
                          .scale = 4,
                          .length_max = 5};
        omen_value value;
        omen_error error = {.status = OMEN_OK};
        omen_status status = value_from_text(type, text, length, &arena, &value, &error);
        assert_int_equal(error.status, status);
        if (i % 1000 == 0)
            arena_reset(&arena);
    }
    /* Long ones: a megabyte of digits, of zeros behind the point, of text. */
    size_t length = 1 << 20;
    char *text = test_malloc(length);
    memset(text, '9', length);
    for (omen_type_id id = OMEN_TYPE_BOOLEAN; id <= OMEN_TYPE_UUID; id++) {
        omen_value value;
        omen_type type = {.id = id, .precision = 38, .scale = 4};
        omen_status status = value_from_text(type, text, length, &arena, &value, NULL);
        assert_true(status == OMEN_OK || status != OMEN_INTERNAL);
    }
    memset(text, '0', length);
    text[1] = '.';
    text[length - 1] = '1';
    omen_value value;
    assert_int_equal(value_from_text((omen_type)DECIMAL(10, 2), text, length, &arena, &value, NULL),
                     OMEN_OK);
    assert_int_equal(value.as.decimal.low, 0);
    test_free(text);
    arena_release(&arena);
}

/* Any text is an interval that prints and reads back as the same, or an error. */
static void test_intervals(void **state)
{
    static const char *const words[] = {"1",    "-2",   "3.5",  "04:05:06", "+1:2",  "1-2", "day",
                                        "mons", "year", "weeks", "ago",     "P",     "T",   "Y",
                                        " ",    " ",    "@",    "us",       ".5",    "-",   "99999999999",
                                        "2147483647", "9223372036854775807", "x", ":", "H", "5M"};
    struct random random = random_seeded(seed_of_run());
    struct allocator allocator;
    struct arena arena;
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    for (int i = 0; i < 200000; i++) {
        char text[128] = "", printed[INTERVAL_TEXT_BYTES_MAX];
        size_t length = 0;
        omen_value value, back;
        for (uint64_t parts = 1 + random_below(&random, 8); parts > 0 && strlen(text) < 100; parts--)
            strncat(text, words[random_below(&random, sizeof words / sizeof *words)], 24);
        omen_type type = {.id = (omen_type_id)SQL_TYPE_INTERVAL};
        if (value_from_text(type, text, strlen(text), &arena, &value, NULL) != OMEN_OK)
            continue;
        assert_int_equal(value_to_text(&value, printed, sizeof printed, &length), OMEN_OK);
        if (value_from_text(type, printed, length, &arena, &back, NULL) != OMEN_OK ||
            memcmp(value.as.uuid, back.as.uuid, 16) != 0)
            fail_msg("'%s' prints as '%.*s', which does not read back", text, (int)length, printed);
    }
    arena_release(&arena);
}

/* What does not fit the buffer says how much is needed and writes nothing. */
static void test_small_buffers(void **state)
{
    char buffer[8] = "unset";
    size_t length;
    omen_value value = {.type = INTEGER, .as.i32 = -123456789};
    assert_int_equal(value_to_text(&value, buffer, 4, &length), OMEN_LIMIT_EXCEEDED);
    assert_int_equal(length, 10);
    assert_string_equal(buffer, "unset");
    value = (omen_value){.type = BYTEA, .as.bytes = {(const uint8_t *)"abc", 3}};
    assert_int_equal(value_to_text(&value, buffer, 7, &length), OMEN_LIMIT_EXCEEDED);
    assert_int_equal(length, 8);
    value = (omen_value){.type = DECIMAL(38, 127), .as.decimal = {.low = 1}};
    assert_int_equal(value_to_text(&value, buffer, 0, &length), OMEN_LIMIT_EXCEEDED);
    value = (omen_value){.type = TEXT, .is_null = true};
    assert_int_equal(value_to_text(&value, NULL, 0, &length), OMEN_OK);
    assert_int_equal(length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_small_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
