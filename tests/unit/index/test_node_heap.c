/* The node heap: nodes never overlap, stay aligned, and all memory comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "index/node_heap.h"

struct node {
    unsigned char *memory;
    size_t bytes;
    bool chunked;
    unsigned char mark;
};

enum { NODES = 600 };

static void check_node(const struct node *node)
{
    for (size_t at = 0; at < node->bytes; at += 61)
        assert_int_equal(node->memory[at], node->mark);
    assert_int_equal(node->memory[node->bytes - 1], node->mark);
}

static void test_random_nodes_keep_their_bytes(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct node_heap heap;
    node_heap_init(&heap, &allocator);
    struct random random = random_seeded(5);
    static struct node nodes[NODES];
    memset(nodes, 0, sizeof nodes);
    for (unsigned step = 0; step < 40000; step++) {
        struct node *node = &nodes[random_below(&random, NODES)];
        if (node->memory != NULL) {
            check_node(node);
            node_heap_free(&heap, node->memory, node->bytes, node->chunked);
            node->memory = NULL;
        }
        if (random_below(&random, 100) < 25)
            continue;
        node->bytes = 1 + random_below(&random, UINT64_C(1) << (4 + random_below(&random, 16)));
        node->memory = node_heap_alloc(&heap, node->bytes, &node->chunked);
        assert_non_null(node->memory);
        assert_int_equal((uintptr_t)node->memory % 64, 0);
        node->mark = (unsigned char)step;
        memset(node->memory, node->mark, node->bytes);
    }
    assert_true(heap.bytes <= allocator.bytes_used);
    for (size_t at = 0; at < NODES; at++)
        node_heap_free(&heap, nodes[at].memory, nodes[at].bytes, nodes[at].chunked);
    assert_null(heap.chunks);
    node_heap_release(&heap);
    assert_int_equal(allocator.bytes_used, 0);
}

static void test_large_heaps_share_chunks(void **state)
{
    struct allocator allocator;
    allocator_init(&allocator, 0);
    struct node_heap heap;
    node_heap_init(&heap, &allocator);
    static struct node nodes[NODES];
    for (size_t at = 0; at < NODES; at++) {
        nodes[at].bytes = 63 * 1024;
        nodes[at].memory = node_heap_alloc(&heap, nodes[at].bytes, &nodes[at].chunked);
        assert_non_null(nodes[at].memory);
    }
    assert_true(nodes[NODES - 1].chunked);
    assert_true(heap.bytes <= (size_t)NODES * 66 * 1024 + NODE_HEAP_CHUNK_BYTES);
    allocator_fail_at(&allocator, 1, 1);
    bool chunked;
    while (node_heap_alloc(&heap, 500000, &chunked) != NULL) {
    }
    allocator_fail_at(&allocator, 0, 0);
    node_heap_free(&heap, NULL, 0, false);
    for (size_t at = 0; at < NODES; at++) {
        if (!nodes[at].chunked)
            node_heap_free(&heap, nodes[at].memory, nodes[at].bytes, false);
    }
    node_heap_release(&heap);
    assert_int_equal(allocator.bytes_used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_nodes_keep_their_bytes),
        cmocka_unit_test(test_large_heaps_share_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
