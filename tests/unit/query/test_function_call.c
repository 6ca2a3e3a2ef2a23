/* test_function_call.c - the core's functions as an engine calls them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "query/engine_host.h"
#include "sql/engine_text.h"

static const char *signature_of_pi(struct arena *arena)
{
    struct expression call = {.kind = EXPRESSION_CALL, .type = {.id = OMEN_TYPE_DOUBLE}};
    const char *signature = NULL;
    for (uint32_t i = 0; i < semantics_line_count; i++)
        if (semantics_lines[i].name != NULL && strcmp(semantics_lines[i].name, "pi") == 0)
            call.line = &semantics_lines[i];
    assert_non_null(call.line);
    assert_int_equal(engine_call_write(&call, arena, &signature, NULL), OMEN_OK);
    return signature;
}

static bool count_down(void *context)
{
    return --*(int *)context == 0;
}

/* It asks before each row, and leaves nothing behind when it is told to stop. */
static void test_stopping(void **state)
{
    struct allocator allocator;
    struct arena arena;
    allocator_init(&allocator, 0);
    arena_init(&arena, &allocator);
    const char *signature = signature_of_pi(&arena);
    const struct ArrowSchema schema = {.format = "+s"};
    const struct ArrowArray none = {.length = 10};
    struct ArrowArray out;
    omen_error error = {0};
    int asks = 4;
    assert_int_equal(engine_function_call(signature, strlen(signature), &schema, &none, 10,
                                          count_down, &asks, &out, &error),
                     OMEN_CANCELLED);
    assert_int_equal(asks, 0);
    assert_null(out.release);
    assert_string_equal(error.sqlstate, "57014");
    asks = 11; /* one more than there are rows */
    assert_int_equal(engine_function_call(signature, strlen(signature), &schema, &none, 10,
                                          count_down, &asks, &out, &error),
                     OMEN_OK);
    assert_int_equal(asks, 1);
    assert_int_equal(out.length, 10);
    out.release(&out);
    assert_int_equal(engine_function_call(signature, strlen(signature), &schema, &none, 10, NULL,
                                          NULL, &out, &error),
                     OMEN_OK);
    out.release(&out);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stopping)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
