/* Random pushes, moves and removals against a linear search for the smallest (key, push order). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/priority_queue.h"
#include "base/random.h"

enum { NODES = 100 };

static struct priority_node *smallest(struct priority_node *nodes)
{
    struct priority_node *best = NULL;
    for (int i = 0; i < NODES; i++) {
        if (!priority_node_is_queued(&nodes[i]))
            continue;
        if (!best || nodes[i].key < best->key ||
            (nodes[i].key == best->key && nodes[i].order < best->order))
            best = &nodes[i];
    }
    return best;
}

static void the_smallest_comes_first(void **state)
{
    (void)state;
    struct heap heap;
    struct random_stream random;
    struct priority_queue queue;
    struct priority_node nodes[NODES] = {{0}};
    heap_init_plain(&heap);
    random_init(&random, 5, 0);
    priority_queue_init(&queue, &heap, MEMORY_STATE);
    for (int step = 0; step < 20000; step++) {
        struct priority_node *node = &nodes[random_below(&random, NODES)];
        int64_t key = random_between(&random, -20, 20);
        if (!priority_node_is_queued(node))
            assert_true(priority_queue_push(&queue, node, key));
        else if (random_chance(&random, 1, 2))
            priority_queue_remove(&queue, node);
        assert_ptr_equal(priority_queue_peek(&queue), smallest(nodes));
    }
    while (queue.count > 0) {
        struct priority_node *expected = smallest(nodes);
        assert_ptr_equal(priority_queue_pop(&queue), expected);
        assert_false(priority_node_is_queued(expected));
    }
    assert_null(priority_queue_pop(&queue));
    priority_queue_deinit(&queue);
    assert_int_equal(heap.used[MEMORY_STATE], 0);
}

static void equal_keys_leave_in_push_order(void **state)
{
    (void)state;
    struct heap heap;
    struct priority_queue queue;
    struct priority_node nodes[NODES] = {{0}};
    heap_init_plain(&heap);
    priority_queue_init(&queue, &heap, MEMORY_STATE);
    for (int i = 0; i < NODES; i++)
        assert_true(priority_queue_push(&queue, &nodes[i], i % 2));
    for (int i = 0; i < NODES; i++)
        assert_ptr_equal(priority_queue_pop(&queue),
                         &nodes[i < NODES / 2 ? 2 * i : 2 * i + 1 - NODES]);
    priority_queue_deinit(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_comes_first),
        cmocka_unit_test(equal_keys_leave_in_push_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
