/* The bounded map of newest offsets: against a plain array, at its limits, and in its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "log/compaction_map.h"

static const struct siphash_key hash_key = {1, 2};

static struct view key_of(char text[32], unsigned number)
{
    return view_of(text, (size_t)snprintf(text, 32, "key %u", number));
}

static void the_newest_offset_of_each_key_is_found(void **state)
{
    enum { KEYS = 5000 };
    struct heap heap;
    struct compaction_map map;
    char text[32];
    static int64_t newest[KEYS];
    (void)state;
    heap_init_plain(&heap);
    compaction_map_init(&map, &heap, hash_key, 1 << 20, 0.9);
    assert_int_equal(compaction_map_find(&map, key_of(text, 0)), -1);
    for (int64_t offset = 0; offset < 3 * KEYS; offset++) {
        unsigned number = (unsigned)(offset * 7919 % KEYS);
        assert_true(compaction_map_put(&map, key_of(text, number), offset));
        newest[number] = offset;
        assert_true(heap.used[MEMORY_SCRATCH] <= 1 << 20);
    }
    assert_int_equal(map.count, KEYS);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(compaction_map_find(&map, key_of(text, i)), newest[i]);
    assert_int_equal(compaction_map_find(&map, key_of(text, KEYS)), -1);
    compaction_map_deinit(&map);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
}

static void a_full_map_refuses_new_keys_and_takes_known_ones(void **state)
{
    static const size_t sizes[] = {0, 24 * 100, 24 * 5000, 1 << 18};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct heap heap;
        struct compaction_map map;
        char text[32];
        unsigned count = 0;
        heap_init_plain(&heap);
        heap.limit[MEMORY_SCRATCH] = sizes[i] > 2400 ? sizes[i] : 2400;
        compaction_map_init(&map, &heap, hash_key, sizes[i], 0.9);
        while (compaction_map_put(&map, key_of(text, count), count))
            count++;
        /* At least half of Kafka's count for the same memory: the rest is room for growing. */
        assert_true(count >= 14);
        assert_true(count >= sizes[i] / 24 * 9 / 10 / 2);
        assert_true(compaction_map_put(&map, key_of(text, 3), count));
        assert_int_equal(compaction_map_find(&map, key_of(text, 3)), count);
        assert_int_equal(compaction_map_find(&map, key_of(text, 4)), 4);
        assert_int_equal(compaction_map_find(&map, key_of(text, count)), -1);
        compaction_map_deinit(&map);
    }
}

static void empty_keys_and_zero_bytes_are_keys(void **state)
{
    struct heap heap;
    struct compaction_map map;
    (void)state;
    heap_init_plain(&heap);
    compaction_map_init(&map, &heap, hash_key, 1 << 16, 0.9);
    assert_true(compaction_map_put(&map, VIEW_LITERAL(""), 5));
    assert_true(compaction_map_put(&map, VIEW_LITERAL("\0"), 6));
    assert_int_equal(compaction_map_find(&map, VIEW_LITERAL("")), 5);
    assert_int_equal(compaction_map_find(&map, VIEW_LITERAL("\0")), 6);
    compaction_map_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_offset_of_each_key_is_found),
        cmocka_unit_test(a_full_map_refuses_new_keys_and_takes_known_ones),
        cmocka_unit_test(empty_keys_and_zero_bytes_are_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
