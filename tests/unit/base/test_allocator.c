/* The counted allocator, the arena and the error record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/allocator.h"
#include "base/arena.h"
#include "base/status.h"

static void test_counts_and_alignment(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    const size_t sizes[] = {1, 63, 64, 4096, (2u << 20) - 1, 2u << 20, (5u << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *block = allocator_alloc_zeroed(&allocator, sizes[i]);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % ALLOCATOR_ALIGNMENT, 0);
        assert_int_equal(block[0] | block[sizes[i] - 1], 0);
        assert_int_equal(allocator.bytes_used, sizes[i]);
        memset(block, 0xAB, sizes[i]);
        block = allocator_resize(&allocator, block, sizes[i], sizes[i] * 2);
        assert_non_null(block);
        assert_int_equal(block[sizes[i] - 1], 0xAB);
        allocator_free(&allocator, block, sizes[i] * 2);
        assert_int_equal(allocator.bytes_used, 0);
    }
}

static void test_budget(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 100);
    void *first = allocator_alloc(&allocator, 60);
    assert_non_null(first);
    assert_null(allocator_alloc(&allocator, 41));
    assert_int_equal(allocator.bytes_used, 60);
    void *second = allocator_alloc(&allocator, 40);
    assert_non_null(second);
    allocator_free(&allocator, first, 60);
    allocator_free(&allocator, second, 40);
    assert_null(allocator_alloc(&allocator, SIZE_MAX - 1));
    assert_int_equal(allocator.bytes_used, 0);
}

static void test_planned_failure(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    allocator_fail_at(&allocator, 2, 0);
    void *first = allocator_alloc(&allocator, 8);
    assert_non_null(first);
    assert_false(allocator_has_failed(&allocator));
    assert_null(allocator_alloc(&allocator, 8));
    assert_true(allocator_has_failed(&allocator));
    void *third = allocator_alloc(&allocator, 8);
    assert_non_null(third);
    allocator_free(&allocator, first, 8);
    allocator_free(&allocator, third, 8);
    allocator_fail_at(&allocator, 1, 1);
    assert_null(allocator_alloc(&allocator, 8));
    assert_null(allocator_alloc(&allocator, 8));
}

static void test_arena(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct arena arena;
    arena_init(&arena, &allocator);
    for (size_t bytes = 0; bytes < 5000; bytes += 7) {
        char *block = arena_alloc(&arena, bytes);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        memset(block, 1, bytes);
    }
    assert_string_equal(arena_copy_text(&arena, "learned", 5), "learn");
    allocator_fail_at(&allocator, 1, 1);
    assert_null(arena_alloc(&arena, 3u << 20));
    arena_release(&arena);
    assert_int_equal(allocator.bytes_used, 0);
}

static void test_error_cuts_on_a_character(void **state)
{
    char text[600];
    memset(text, 'x', sizeof text);
    text[510] = '\xC3';
    text[511] = '\xA9';
    text[599] = '\0';
    omen_error error;
    assert_int_equal(error_set(&error, OMEN_DUPLICATE_KEY, "%s", text), OMEN_DUPLICATE_KEY);
    assert_string_equal(error.sqlstate, "23505");
    assert_int_equal(strlen(error.message), 510);
    assert_int_equal(error_set(NULL, OMEN_INTERNAL, "nobody listens"), OMEN_INTERNAL);
    assert_string_equal(omen_status_sqlstate((omen_status)9999), "XX000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_and_alignment),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_planned_failure),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_error_cuts_on_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
