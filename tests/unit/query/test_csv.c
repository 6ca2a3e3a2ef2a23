/* test_csv.c - records and fields, whatever the pieces they are read in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "query/csv.h"

struct source {
    const char *text;
    size_t length, position, piece;
};

static omen_status read_piece(void *context, char *buffer, size_t capacity, size_t *length,
                              omen_error *error)
{
    struct source *source = context;
    *length = source->length - source->position;
    if (*length > source->piece)
        *length = source->piece;
    if (*length > capacity)
        *length = capacity;
    memcpy(buffer, source->text + source->position, *length);
    source->position += *length;
    return OMEN_OK;
}

/* All records as text: fields as [..] or "..", records ended by \n, an error by !SQLSTATE. */
static void read_all(const char *text, size_t length, size_t piece,
                     const struct csv_options *options, char *out)
{
    struct allocator allocator;
    struct csv_reader *reader;
    struct source source = {.text = text, .length = length, .piece = piece};
    const struct csv_field *fields;
    size_t count;
    omen_error error = {.message = ""};
    omen_status status;
    allocator_init(&allocator, 0);
    assert_int_equal(csv_create(&allocator, options, read_piece, &source, &reader), OMEN_OK);
    *out = '\0';
    while ((status = csv_next(reader, &fields, &count, &error)) == OMEN_OK) {
        out += sprintf(out, "%llu:", (unsigned long long)csv_line(reader));
        for (size_t i = 0; i < count; i++)
            out += sprintf(out, fields[i].quoted ? "\"%.*s\"" : "[%.*s]", (int)fields[i].length,
                           fields[i].text);
        out += sprintf(out, "\n");
    }
    if (status != OMEN_END_OF_DATA)
        sprintf(out, "!%s", error.sqlstate);
    csv_destroy(reader);
    assert_int_equal(allocator.bytes_used, 0);
}

static void test_records(void **state)
{
    static const struct csv_options plain = {',', '"', '"', false}, escaped = {';', '\'', '\\', false};
    static const struct {
        const struct csv_options *options;
        const char *text, *expected;
    } cases[] = {
        {&plain, "", ""},
        {&plain, "a,b\n", "1:[a][b]\n"},
        {&plain, "a,b", "1:[a][b]\n"},
        {&plain, "a\r\nb\r\n", "1:[a]\n2:[b]\n"},
        {&plain, "a\rb\r", "1:[a]\n2:[b]\n"},
        {&plain, "a\n\nb\n", "1:[a]\n2:[]\n3:[b]\n"},
        {&plain, ",\n", "1:[][]\n"},
        {&plain, "\"\",x\n", "1:\"\"[x]\n"},
        {&plain, "\"a\"\"b\"\n", "1:\"a\"b\"\n"},
        {&plain, "x\"a,b\"y\n", "1:\"xa,by\"\n"},
        {&plain, "\"a\nb\",c\nd,e\n", "1:\"a\nb\"[c]\n3:[d][e]\n"},
        {&plain, "\"a\r\nb\",c\nd,e\n", "1:\"a\r\nb\"[c]\n3:[d][e]\n"},
        {&plain, "\"open\nx", "!22P04"},
        {&plain, "a\nb\rc\n", "1:[a]\n!22P04"},
        {&plain, "a\r\nb\nc", "1:[a]\n!22P04"},
        {&plain, "a\n\\.\nb\n", "1:[a]\n"},
        {&plain, "\\.x\n", "1:[\\.x]\n"},
        {&escaped, "'a\\'b;c';d\n", "1:\"a'b;c\"[d]\n"},
        {&escaped, "'a\\\\';d\n", "1:\"a\\\"[d]\n"},
        {&escaped, "a\\;d\n", "1:[a\\][d]\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 40; piece++) {
            char got[256];
            read_all(cases[i].text, strlen(cases[i].text), piece, cases[i].options, got);
            if (strcmp(got, cases[i].expected) != 0)
                fail_msg("%s in pieces of %zu gave\n%s", cases[i].text, piece, got);
        }
}

/* A record larger than the buffer, and many that straddle its end. */
static void test_large_records(void **state)
{
    static const struct csv_options plain = {',', '"', '"', false};
    struct allocator allocator;
    struct csv_reader *reader;
    const struct csv_field *fields;
    size_t count, length = 5 << 20;
    char *text = malloc(length);
    memset(text, 'x', length);
    memcpy(text, "short,1\n\"", 9);
    memcpy(text + length - 4, "\",2\n", 4);
    struct source source = {.text = text, .length = length, .piece = 4096};
    allocator_init(&allocator, 0);
    assert_int_equal(csv_create(&allocator, &plain, read_piece, &source, &reader), OMEN_OK);
    assert_int_equal(csv_next(reader, &fields, &count, NULL), OMEN_OK);
    assert_int_equal(csv_next(reader, &fields, &count, NULL), OMEN_OK);
    assert_int_equal(count, 2);
    assert_int_equal(fields[0].length, length - 9 - 4);
    assert_int_equal(fields[1].text[0], '2');
    assert_int_equal(csv_next(reader, &fields, &count, NULL), OMEN_END_OF_DATA);
    assert_int_equal(csv_next(reader, &fields, &count, NULL), OMEN_END_OF_DATA);
    csv_destroy(reader);
    free(text);
}

static void test_random_bytes(void **state)
{
    const char *seed = getenv("OMEN_SEED");
    struct random random = random_seeded(seed != NULL ? strtoull(seed, NULL, 0) : 9);
    static const struct csv_options options[] = {{',', '"', '"', false}, {',', '"', '\\', true}};
    static const char alphabet[] = "a,\"\"\\\n\n\r.";
    for (int i = 0; i < 3000; i++) {
        char text[64], whole[2048], pieces[2048];
        size_t length = random_below(&random, sizeof text);
        for (size_t j = 0; j < length; j++)
            text[j] = alphabet[random_below(&random, sizeof alphabet - 1)];
        read_all(text, length, length + 1, &options[i % 2], whole);
        read_all(text, length, 1 + random_below(&random, 5), &options[i % 2], pieces);
        assert_string_equal(whole, pieces);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_large_records),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
