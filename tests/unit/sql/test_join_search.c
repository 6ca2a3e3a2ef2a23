/* test_join_search.c - orders of joins over graphs made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/allocator.h"
#include "base/random.h"
#include "sql/join_search.h"

static struct allocator allocator;

/* The order as numbers, and the rows. */
static double order_of(const struct join_graph *graph, char *out)
{
    struct arena arena;
    uint32_t order[JOIN_LEAVES_MAX];
    double rows = 0;
    arena_init(&arena, &allocator);
    assert_int_equal(join_search(graph, &arena, order, &rows), OMEN_OK);
    arena_release(&arena);
    for (uint32_t i = 0; i < graph->leaf_count; i++)
        out += sprintf(out, i > 0 ? " %u" : "%u", order[i]);
    return rows;
}

static void add_leaf(struct join_graph *graph, double base, double rows, uint64_t classes, uint64_t unique)
{
    graph->leaves[graph->leaf_count++] =
        (struct join_leaf){.base = base, .rows = rows, .classes = classes, .unique = unique};
}

/* Big tables in the middle of a chain: the filtered end first, along the chain. */
static void test_chain(void **state)
{
    struct join_graph graph = {.class_count = 2, .classes = {{150000}, {1500000}}};
    char order[256];
    add_leaf(&graph, 6000000, 6000000, 2, 0); /* lineitem */
    add_leaf(&graph, 1500000, 1500000, 3, 2); /* orders */
    add_leaf(&graph, 150000, 10, 1, 1);       /* customer */
    double rows = order_of(&graph, order);
    assert_string_equal(order, "2 1 0");
    assert_true(rows > 399 && rows < 401);
}

/* Nothing ties two small leaves: they are not paired while there is another way. */
static void test_no_cross_product(void **state)
{
    struct join_graph graph = {.class_count = 2, .classes = {{5}, {5}}};
    char order[256];
    add_leaf(&graph, 5, 1, 1, 1);
    add_leaf(&graph, 5, 1, 2, 2);
    add_leaf(&graph, 1e6, 1e6, 3, 0);
    order_of(&graph, order);
    assert_string_equal(order, "0 2 1");
}

/* And where there is none, the pieces are joined first. */
static void test_cross_product_last(void **state)
{
    struct join_graph graph = {.class_count = 1, .classes = {{1000}}};
    char order[256];
    add_leaf(&graph, 1000, 1000, 1, 1);
    add_leaf(&graph, 3, 3, 0, 0);
    add_leaf(&graph, 1000, 2, 1, 1);
    double rows = order_of(&graph, order);
    assert_true(strcmp(order, "2 0 1") == 0 || strcmp(order, "0 2 1") == 0);
    assert_true(rows > 5.9 && rows < 6.1);
}

/* A key of two columns: both fixed is one row, not one of the product of both. */
static void test_key_of_two_columns(void **state)
{
    struct join_graph graph = {.class_count = 2, .classes = {{200000}, {10000}}};
    char order[256];
    add_leaf(&graph, 6000000, 6000000, 3, 0);
    add_leaf(&graph, 800000, 800000, 3, 3);
    double rows = order_of(&graph, order);
    assert_true(rows > 5.9e6 && rows < 6.1e6);
}

/* An equality of expressions ties, any other condition does not. */
static void test_links(void **state)
{
    struct join_link links[] = {{.leaves = 3, .share = 0.3}, {.leaves = 5, .share = 0.001, .left = 1, .right = 4},
                                {.leaves = 6, .share = 0.001, .left = 2, .right = 4}};
    struct join_graph graph = {.links = links, .link_count = 3};
    char order[256];
    add_leaf(&graph, 10, 10, 0, 0);
    add_leaf(&graph, 10, 10, 0, 0);
    add_leaf(&graph, 1000, 1000, 0, 0);
    order_of(&graph, order);
    assert_true(strcmp(order, "0 2 1") == 0 || strcmp(order, "1 2 0") == 0);
}

/* More leaves than are searched exhaustively: a star around a large table, each dimension filtered
 * less than the one before. */
static void test_many_leaves(void **state)
{
    struct join_graph graph = {0};
    char order[512];
    add_leaf(&graph, 1e6, 1e6, (1u << 20) - 1, 0);
    for (uint32_t i = 0; i < 20; i++) {
        graph.classes[graph.class_count++].distinct = 1000;
        add_leaf(&graph, 1000, 10 * (20 - i), UINT64_C(1) << i, UINT64_C(1) << i);
    }
    order_of(&graph, order);
    assert_memory_equal(order, "20 0 19 18 17 ", 14);
}

/* Whatever the graph, each leaf comes once. */
static void test_random_graphs(void **state)
{
    struct random random = random_seeded(42);
    for (int round = 0; round < 300; round++) {
        struct join_graph graph = {.class_count = 6};
        uint32_t leaves = 1 + (uint32_t)(random_next(&random) % (round % 10 == 0 ? JOIN_LEAVES_MAX : 9));
        char order[512];
        bool seen[JOIN_LEAVES_MAX] = {false};
        for (uint32_t i = 0; i < 6; i++)
            graph.classes[i].distinct = 1 + (double)(random_next(&random) % 1000);
        for (uint32_t i = 0; i < leaves; i++) {
            uint64_t classes = random_next(&random) % 64 & random_next(&random);
            double base = 1 + (double)(random_next(&random) % 100000);
            add_leaf(&graph, base, base * random_unit(&random), classes, classes & random_next(&random));
        }
        order_of(&graph, order);
        uint32_t count = 0;
        for (char *at = strtok(order, " "); at != NULL; at = strtok(NULL, " "), count++) {
            unsigned leaf;
            assert_int_equal(sscanf(at, "%u", &leaf), 1);
            assert_true(leaf < leaves && !seen[leaf]);
            seen[leaf] = true;
        }
        assert_int_equal(count, leaves);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),      cmocka_unit_test(test_no_cross_product),
        cmocka_unit_test(test_cross_product_last), cmocka_unit_test(test_key_of_two_columns),
        cmocka_unit_test(test_links),      cmocka_unit_test(test_many_leaves),
        cmocka_unit_test(test_random_graphs),
    };
    allocator_init(&allocator, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
