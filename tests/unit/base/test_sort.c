/* Sorted, stable, and nothing lost, for sizes around the run length and random ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "base/sort.h"

struct item {
    int key;
    int place; /* before sorting */
};

static int by_key(const void *a, const void *b, void *context)
{
    (*(int *)context)++;
    int left = ((const struct item *)a)->key, right = ((const struct item *)b)->key;
    return (left > right) - (left < right);
}

static void sorting_is_stable_at_every_size(void **state)
{
    (void)state;
    static struct item items[600];
    struct heap heap;
    struct random_stream random;
    heap_init_plain(&heap);
    random_init(&random, 8, 0);
    for (size_t count = 0; count < 600; count += count < 70 ? 1 : 53) {
        int comparisons = 0;
        long sum = 0, sum_after = 0;
        for (size_t i = 0; i < count; i++) {
            items[i] = (struct item){(int)random_below(&random, 20), (int)i};
            sum += items[i].key * 1000 + items[i].place;
        }
        assert_true(sort_stable_on(&heap, items, count, sizeof(items[0]), by_key, &comparisons));
        for (size_t i = 0; i < count; i++) {
            sum_after += items[i].key * 1000 + items[i].place;
            if (i == 0)
                continue;
            assert_true(items[i - 1].key <= items[i].key);
            if (items[i - 1].key == items[i].key)
                assert_true(items[i - 1].place < items[i].place);
        }
        assert_int_equal(sum, sum_after);
    }
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
}

static void a_sorted_array_costs_one_comparison_an_item(void **state)
{
    (void)state;
    static struct item items[256];
    static struct item scratch[256];
    int comparisons = 0;
    for (int i = 0; i < 256; i++)
        items[i] = (struct item){i, i};
    sort_stable(items, 256, sizeof(items[0]), scratch, by_key, &comparisons);
    assert_int_equal(comparisons, 255);
}

static void a_refusal_leaves_the_array(void **state)
{
    (void)state;
    struct item items[] = {{2, 0}, {1, 1}};
    int comparisons = 0;
    struct heap heap;
    heap_init_plain(&heap);
    heap.limit[MEMORY_SCRATCH] = 1;
    assert_false(sort_stable_on(&heap, items, 2, sizeof(items[0]), by_key, &comparisons));
    assert_int_equal(items[0].key, 2);
}

static void the_lower_bound_is_the_first_not_before(void **state)
{
    (void)state;
    struct item items[] = {{1, 0}, {3, 0}, {3, 1}, {5, 0}};
    static const size_t expected[] = {0, 0, 1, 1, 3, 3, 4};
    int comparisons = 0;
    for (int key = 0; key < 7; key++) {
        struct item wanted = {key, 0};
        assert_int_equal(
            sort_lower_bound(items, 4, sizeof(items[0]), &wanted, by_key, &comparisons),
            expected[key]);
    }
    struct item wanted = {0, 0};
    assert_int_equal(sort_lower_bound(items, 0, sizeof(items[0]), &wanted, by_key, &comparisons),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorting_is_stable_at_every_size),
        cmocka_unit_test(a_sorted_array_costs_one_comparison_an_item),
        cmocka_unit_test(a_refusal_leaves_the_array),
        cmocka_unit_test(the_lower_bound_is_the_first_not_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
