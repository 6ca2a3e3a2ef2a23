/* test_nearest.c - which names are near, and the hints that they give; errors with and without
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/nearest.h"

static unsigned distance(const char *left, const char *right)
{
    return nearest_distance(left, strlen(left), right, strlen(right));
}

static void test_distances(void **state)
{
    assert_int_equal(distance("", ""), 0);
    assert_int_equal(distance("origin", "origin"), 0);
    assert_int_equal(distance("orgin", "origin"), 1);
    assert_int_equal(distance("origin", "orgin"), 1);
    assert_int_equal(distance("oringi", "origin"), 2);
    assert_int_equal(distance("flihgts", "flights"), 2);
    assert_int_equal(distance("FLIGHTS", "flights"), 0);
    assert_int_equal(distance("", "abc"), 3);
    assert_int_equal(distance("abcd", ""), 4);
    assert_int_equal(distance("kitten", "sitting"), 3);
    assert_int_equal(distance("kitten", "mittens!"), 3);
    assert_int_equal(distance("abcdef", "uvwxyz"), 4);
}

static void test_long_names_are_far(void **state)
{
    char name[200];
    memset(name, 'x', sizeof name);
    assert_int_equal(nearest_distance(name, 63, name, 63), 0);
    assert_int_equal(nearest_distance(name, 60, name, 63), 3);
    assert_int_equal(nearest_distance(name, 64, name, 63), 4);
    assert_int_equal(nearest_distance(name, 200, name, 200), 4);
}

/* The hint of a search for a name among others, up to a NULL. */
static const char *hint_of(const char *sought, const char *const *names)
{
    static omen_error error;
    struct nearest nearest;
    nearest_begin(&nearest, sought, strlen(sought));
    for (; *names != NULL; names++)
        nearest_offer(&nearest, NULL, *names, 0);
    error_set(&error, OMEN_UNDEFINED_TABLE, "no");
    nearest_hint(&nearest, "table", &error);
    return omen_error_hint(&error);
}

static void test_hints(void **state)
{
    assert_string_equal(hint_of("flihgts", (const char *[]){"planes", "flights", NULL}),
                        "Perhaps you meant to reference the table \"flights\".");
    assert_string_equal(
        hint_of("plane", (const char *[]){"plaza", "planes", "planet", NULL}),
        "Perhaps you meant to reference the table \"planes\" or the table \"planet\".");
    assert_string_equal(hint_of("plane", (const char *[]){"planes", "planes", NULL}),
                        "Perhaps you meant to reference the table \"planes\".");
    assert_string_equal(hint_of("plane", (const char *[]){"plane1", "plane2", "plane3", NULL}), "");
    assert_string_equal(
        hint_of("plane", (const char *[]){"planeab", "planebc", "planecd", "planes", NULL}),
        "Perhaps you meant to reference the table \"planes\".");
    /* more than half of the name differs */
    assert_string_equal(hint_of("abc", (const char *[]){"axy", "a", "", NULL}), "");
    assert_string_equal(
        hint_of("users", (const char *[]){"Users", NULL}),
        "Perhaps you meant to reference the table \"Users\". Names with capital letters stand "
        "in double quotes.");
}

static void test_penalty(void **state)
{
    struct nearest nearest;
    omen_error error;
    nearest_begin(&nearest, "naem", 4);
    nearest_offer(&nearest, "a", "name", 2);
    nearest_offer(&nearest, "b", "name", 1);
    nearest_offer(&nearest, "c", "name", 4);
    error_set(&error, OMEN_UNDEFINED_COLUMN, "no");
    nearest_hint(&nearest, "column", &error);
    assert_string_equal(omen_error_hint(&error),
                        "Perhaps you meant to reference the column \"b.name\".");
    nearest_hint(&nearest, "column", NULL);
}

static void test_hint_of_an_error(void **state)
{
    omen_error error;
    memset(&error, 0xFF, sizeof error);
    error_set(&error, OMEN_SYNTAX_ERROR, "wrong");
    assert_string_equal(omen_error_hint(&error), "");
    error_hint(&error, "try %d", 2);
    assert_string_equal(error.message, "wrong");
    omen_error copy = error;
    assert_string_equal(omen_error_hint(&copy), "try 2");
    error_set(&error, OMEN_SYNTAX_ERROR, "wrong again");
    assert_string_equal(omen_error_hint(&error), "");
    /* no room: the message stays whole */
    char text[OMEN_ERROR_MESSAGE_BYTES];
    memset(text, 'x', sizeof text);
    for (int length = 500; length < 512; length++) {
        error_set(&error, OMEN_SYNTAX_ERROR, "%.*s", length, text);
        error_hint(&error, "%s", "0123456789");
        assert_int_equal(strlen(error.message), length);
        assert_string_equal(omen_error_hint(&error), length == 500 ? "0123456789" : "");
    }
    error_hint(NULL, "nobody");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_long_names_are_far),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_penalty),
        cmocka_unit_test(test_hint_of_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
