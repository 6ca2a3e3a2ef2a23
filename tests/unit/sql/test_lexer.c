/* test_lexer.c - splitting statements, and refusing text that must not reach the parser. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "sql/lexer.h"
#include "sql/parse.h"

static void test_splits(void **state)
{
    static const struct {
        const char *text;
        size_t length, rest;
        bool complete;
    } cases[] = {
        {"SELECT 1; SELECT 2", 8, 9, true},
        {"SELECT 1", 8, 8, false},
        {"", 0, 0, false},
        {";", 0, 1, true},
        {"SELECT ';'; x", 10, 11, true},
        {"SELECT 'it''s;'; x", 15, 16, true},
        {"SELECT 'a\\'; x", 11, 12, true},
        {"SELECT E'a\\';'; x", 14, 15, true},
        {"SELECT e'a\\\\'; x", 13, 14, true},
        {"SELECT $$;$$; x", 12, 13, true},
        {"SELECT $a$;$$;$b$;$a$; x", 21, 22, true},
        {"SELECT a$$b; x", 11, 12, true},
        {"SELECT $1; x", 9, 10, true},
        {"SELECT \";\"; x", 10, 11, true},
        {"SELECT \"a\"\";\"; x", 13, 14, true},
        {"SELECT U&\";\"; x", 12, 13, true},
        {"SELECT 1 -- ;\n; x", 14, 15, true},
        {"SELECT /* ; /* ; */ ; */ 1; x", 26, 27, true},
        {"SELECT (1; 2); x", 13, 14, true},
        {"SELECT 'a'\n';'; x", 14, 15, true},
        {"SELECT E'a'\n'\\';'; x", 17, 18, true},
        {"SELECT 'a' ';'; x", 14, 15, true},
        {"SELECT 'open; x", 15, 15, false},
        {"SELECT $$open; x", 16, 16, false},
        {"SELECT /* open; x", 17, 17, false},
        {"SELECT \"open; x", 15, 15, false},
        {"SELECT 1--;", 11, 11, false},
        {"SELECT 1-/*;*/1; x", 15, 16, true},
        {"SELECT N';' || B'1' || X'F'; x", 27, 28, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t rest;
        bool complete;
        size_t length = lexer_split(cases[i].text, strlen(cases[i].text), &rest, &complete);
        if (length != cases[i].length || rest != cases[i].rest || complete != cases[i].complete)
            fail_msg("%s: length %zu, rest %zu, complete %d", cases[i].text, length, rest,
                     complete);
    }
}

static omen_status check(const char *text, omen_error *error)
{
    return lexer_check(text, strlen(text), NULL, error);
}

static void test_refuses(void **state)
{
    omen_error error;
    char name[80], text[200];
    memset(name, 'n', sizeof name);
    name[63] = '\0';
    snprintf(text, sizeof text, "SELECT %s, \"%s\"", name, name);
    assert_int_equal(check(text, &error), OMEN_OK);
    name[63] = 'n', name[64] = '\0';
    snprintf(text, sizeof text, "SELECT '%s', %s", name, name);
    assert_int_equal(check(text, &error), OMEN_NAME_TOO_LONG);
    assert_string_equal(error.sqlstate, "42622");
    assert_int_equal(error.position, 76);
    snprintf(text, sizeof text, "SELECT \"%.62s\"\"\"", name);
    assert_int_equal(check(text, &error), OMEN_OK);
    snprintf(text, sizeof text, "SELECT \"%s\"", name);
    assert_int_equal(check(text, &error), OMEN_NAME_TOO_LONG);
    assert_int_equal(lexer_check("SELECT \0", 8, NULL, &error), OMEN_INVALID_ENCODING);
    assert_int_equal(check("SELECT '\xC3'", &error), OMEN_INVALID_ENCODING);
    size_t length = STATEMENT_BYTES_MAX + 1;
    char *large = test_malloc(length);
    memset(large, ' ', length);
    assert_int_equal(lexer_check(large, length - 1, NULL, &error), OMEN_OK);
    assert_int_equal(lexer_check(large, length, NULL, &error), OMEN_LIMIT_EXCEEDED);
    assert_string_equal(error.sqlstate, "54000");
    test_free(large);
}

static char *append(char *end, const char *text)
{
    size_t length = strlen(text);
    memcpy(end, text, length + 1);
    return end + length;
}

/* `count` times `unit` between a head and as many tails. */
static char *repeat(const char *head, const char *unit, const char *middle, const char *tail,
                    size_t count)
{
    char *text = malloc(strlen(head) + strlen(middle) + count * (strlen(unit) + strlen(tail)) + 1);
    assert_non_null(text);
    char *end = append(text, head);
    for (size_t i = 0; i < count; i++)
        end = append(end, unit);
    end = append(end, middle);
    for (size_t i = 0; i < count; i++)
        end = append(end, tail);
    return text;
}

/* Runs on a thread with a small stack, as a server's would be. */
static void *parse_deep(void *unused)
{
    static const struct {
        const char *head, *unit, *middle, *tail;
    } shapes[] = {
        {"SELECT ", "(", "1", ")"},
        {"SELECT ", "1+", "1", ""},
        {"SELECT ", "- ", "x", ""},
        {"SELECT ", "NOT ", "x", ""},
        {"SELECT x", "", "", " IS NULL"},
        {"SELECT x", "", "", " ISNULL"},
        {"SELECT 1", "", "", "::int"},
        {"SELECT ", "(SELECT ", "1", ")"},
        {"SELECT * FROM ", "(SELECT * FROM ", "t", ") a"},
        {"SELECT ", "array[", "1", "]"},
        {"SELECT ", "f(", "1", ")"},
        {"SELECT ", "CASE WHEN ", "x", " THEN 1 END"},
        {"SELECT 1", "", "", " UNION SELECT 1"},
        {"SELECT * FROM a", "", "", " CROSS JOIN b"},
        {"SELECT * FROM t WHERE id = 1", "", "", " OR id = 2"},
        {"SELECT * FROM t WHERE id = 1", "", "", " || 'x'"},
        {"SELECT ", "(1,", "1", ")"},
        {"EXPLAIN SELECT ", "((", "1", "))"},
    };
    static const size_t counts[] = {10, 100, 400, 1000, 2500, 4000, 10000, 100000, 500000};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t j = 0; j < sizeof counts / sizeof *counts; j++) {
            struct allocator allocator;
            struct arena arena;
            struct parsed parsed;
            omen_error error = {.message = ""};
            allocator_init(&allocator, 0);
            arena_init(&arena, &allocator);
            char *text = repeat(shapes[i].head, shapes[i].unit, shapes[i].middle, shapes[i].tail,
                                counts[j]);
            omen_status status = parse_statement(text, strlen(text), &arena, &parsed, &error);
            bool refused = status == OMEN_STATEMENT_TOO_COMPLEX || status == OMEN_SYNTAX_ERROR;
            if (!(status == OMEN_OK || refused) || (counts[j] == 10 && status == OMEN_SYNTAX_ERROR))
                fail_msg("%s x %zu: %d %s", shapes[i].unit, counts[j], status, error.message);
            if (counts[j] == 100 && status != OMEN_OK)
                fail_msg("%s x 100: %s", shapes[i].unit, error.message);
            if (counts[j] >= 100000 && status == OMEN_OK)
                fail_msg("%s x %zu was not refused", shapes[i].unit, counts[j]);
            free(text);
            arena_release(&arena);
            assert_int_equal(allocator.bytes_used, 0);
        }
    return NULL;
}

static void test_depth(void **state)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    assert_int_equal(pthread_create(&thread, &attributes, parse_deep, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

/* Wide is not deep: long lists of values are fine. */
static void test_width(void **state)
{
    struct allocator allocator;
    struct arena arena;
    struct parsed parsed;
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    char *text = repeat("INSERT INTO t VALUES (1, 'a', (2))", "", "", ",(1,'b',-3)", 100000);
    assert_int_equal(parse_statement(text, strlen(text), &arena, &parsed, NULL), OMEN_OK);
    free(text);
    text = repeat("SELECT * FROM t WHERE id IN (1", "", ")", "", 0);
    assert_int_equal(parse_statement(text, strlen(text), &arena, &parsed, NULL), OMEN_OK);
    free(text);
    text = repeat("SELECT * FROM t WHERE id IN (", "1,", "1)", "", 100000);
    assert_int_equal(parse_statement(text, strlen(text), &arena, &parsed, NULL), OMEN_OK);
    free(text);
    arena_release(&arena);
}

static void test_parse_facts(void **state)
{
    struct allocator allocator;
    struct arena arena;
    struct parsed parsed;
    omen_error error;
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
#define PARSE(sql) parse_statement(sql, strlen(sql), &arena, &parsed, &error)
    assert_int_equal(PARSE("SELECT $2 + $7"), OMEN_OK);
    assert_int_equal(parsed.parameter_count, 7);
    assert_int_equal(PARSE(" -- nothing\n"), OMEN_OK);
    assert_null(parsed.statement);
    assert_int_equal(PARSE("SELECT 1 ; ; -- end"), OMEN_OK);
    assert_string_equal(parsed.text, "SELECT 1 ");
    assert_int_equal(PARSE("SELECT 1; SELECT 2"), OMEN_SYNTAX_ERROR);
    assert_int_equal(PARSE("SELECT * FROM (SELECT 1 FROM t FOR UPDATE) x"), OMEN_OK);
    assert_true(parsed.has_locking);
    assert_int_equal(PARSE("WITH w AS (DELETE FROM t RETURNING *) SELECT * FROM w"), OMEN_OK);
    assert_true(parsed.has_writing);
    assert_int_equal(PARSE("SELECT 1 INTO x"), OMEN_OK);
    assert_true(parsed.has_into);
    assert_int_equal(PARSE("INSERT INTO t VALUES (1)"), OMEN_OK);
    assert_false(parsed.has_writing);
    /* The position counts characters, not bytes. */
    assert_int_equal(PARSE("SELECT '\xC3\xA9' FROM FROM"), OMEN_SYNTAX_ERROR);
    assert_string_equal(error.sqlstate, "42601");
    assert_int_equal(error.position, 17);
    assert_int_equal(PARSE("SELECT $70000"), OMEN_LIMIT_EXCEEDED);
#undef PARSE
    arena_release(&arena);
}

static void test_random_bytes(void **state)
{
    const char *seed = getenv("OMEN_SEED");
    struct random random = random_seeded(seed != NULL ? strtoull(seed, NULL, 0) : 5);
    static const char alphabet[] = "a1 \n'\"$;()[]/*-+E\\.,U&x\xC3\xA9";
    for (int i = 0; i < 300000; i++) {
        char text[40];
        size_t length = random_below(&random, sizeof text), rest;
        bool complete;
        for (size_t j = 0; j < length; j++)
            text[j] = alphabet[random_below(&random, sizeof alphabet - 1)];
        size_t statement = lexer_split(text, length, &rest, &complete);
        assert_true(statement <= length && rest <= length && rest >= statement);
        assert_true(complete == (rest == statement + 1 && text[statement] == ';'));
        struct lexer lexer = {.text = text, .length = length};
        struct token token;
        size_t end = 0;
        while ((token = lexer_next(&lexer)).kind != TOKEN_END) {
            assert_true(token.start >= end && token.length > 0);
            end = token.start + token.length;
            assert_true(end <= length);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits),      cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_depth),       cmocka_unit_test(test_width),
        cmocka_unit_test(test_parse_facts), cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
