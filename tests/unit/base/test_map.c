/*
 * The map against a model: a plain array of pairs in insertion order. Random additions, removals
 * and look-ups; after each round the map's order and contents must be the model's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/map.h"
#include "base/random.h"

enum { KEYS = 400 };

struct model {
    uint64_t keys[KEYS];
    uint64_t values[KEYS];
    size_t count;
};

static size_t model_find(const struct model *model, uint64_t key)
{
    size_t i = 0;
    while (i < model->count && model->keys[i] != key)
        i++;
    return i;
}

static void model_remove(struct model *model, size_t at)
{
    for (size_t i = at; i + 1 < model->count; i++) {
        model->keys[i] = model->keys[i + 1];
        model->values[i] = model->values[i + 1];
    }
    model->count--;
}

static void model_compare(const struct model *model, const struct map *map)
{
    size_t i = 0;
    assert_int_equal(map_count(map), model->count);
    map_for_each(entry, map)
    {
        assert_true(i < model->count);
        assert_int_equal(entry->key_number, model->keys[i]);
        assert_int_equal(entry->number, model->values[i]);
        i++;
    }
    assert_int_equal(i, model->count);
}

static void the_map_does_what_the_model_does(void **state)
{
    (void)state;
    static struct model model;
    struct heap heap;
    struct random_stream random;
    struct map map;
    heap_init_plain(&heap);
    random_init(&random, 42, 0);
    map_init(&map, &heap, MEMORY_STATE, 7);
    for (int step = 0; step < 20000; step++) {
        uint64_t key = random_below(&random, KEYS);
        uint64_t value = random_u64(&random);
        size_t at = model_find(&model, key);
        bool grow = step / 2000 % 2 == 0;
        if (random_chance(&random, grow ? 7 : 2, 10)) {
            bool added;
            struct map_entry *entry = map_add_number(&map, key, &added);
            assert_non_null(entry);
            assert_int_equal(added, at == model.count);
            entry->number = value;
            model.keys[at] = key;
            model.values[at] = value;
            model.count += added;
        } else if (at < model.count) {
            assert_int_equal((uint64_t)(uintptr_t)map_remove_number(&map, key), model.values[at]);
            model_remove(&model, at);
        } else {
            assert_null(map_find_number(&map, key));
            assert_null(map_remove_number(&map, key));
        }
        if (step % 50 == 0)
            model_compare(&model, &map);
    }
    model_compare(&model, &map);
    map_clear(&map);
    assert_int_equal(map_count(&map), 0);
    assert_null(map_first(&map));
    map_deinit(&map);
    assert_int_equal(heap.used[MEMORY_STATE], 0);
}

static void byte_keys_differ_by_every_byte_and_by_size(void **state)
{
    (void)state;
    struct heap heap;
    struct map map;
    static const char *const keys[] = {"",        "a",       "b",        "aa",
                                       "topic-1", "topic-2", "topic-12", "topic-1."};
    heap_init_plain(&heap);
    map_init(&map, &heap, MEMORY_STATE, 0);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_true(map_put(&map, view_of_string(keys[i]), (void *)(uintptr_t)(i + 1)));
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_ptr_equal(map_get(&map, view_of_string(keys[i])), (void *)(uintptr_t)(i + 1));
    assert_null(map_get(&map, VIEW_LITERAL("topic-")));
    assert_ptr_equal(map_get(&map, VIEW_NULL), (void *)(uintptr_t)1);
    map_deinit(&map);
}

static void replacing_takes_the_new_key_bytes(void **state)
{
    (void)state;
    struct heap heap;
    struct map map;
    char old_key[] = "name";
    char new_key[] = "name";
    heap_init_plain(&heap);
    map_init(&map, &heap, MEMORY_STATE, 0);
    assert_true(map_put(&map, view_of_string(old_key), old_key));
    assert_true(map_put(&map, view_of_string(new_key), new_key));
    old_key[0] = 'x';
    assert_int_equal(map_count(&map), 1);
    assert_ptr_equal(map_get(&map, VIEW_LITERAL("name")), new_key);
    assert_ptr_equal(map_entry_key(map_first(&map)).data, new_key);
    map_deinit(&map);
}

static void entries_may_be_removed_while_iterating(void **state)
{
    (void)state;
    struct heap heap;
    struct map map;
    heap_init_plain(&heap);
    map_init(&map, &heap, MEMORY_STATE, 3);
    for (uint64_t i = 0; i < 100; i++)
        assert_true(map_put_number(&map, i, &map));
    uint64_t seen = 0;
    map_for_each(entry, &map)
    {
        assert_int_equal(entry->key_number, seen++);
        if (entry->key_number % 3 != 0)
            map_remove_entry(&map, entry);
    }
    assert_int_equal(map_count(&map), 34);
    assert_non_null(map_find_number(&map, 99));
    assert_null(map_find_number(&map, 98));
    map_deinit(&map);
}

static void a_refused_addition_changes_nothing(void **state)
{
    (void)state;
    struct heap heap;
    struct map map;
    heap_init_plain(&heap);
    map_init(&map, &heap, MEMORY_STATE, 0);
    for (uint64_t i = 0; i < 8; i++)
        assert_true(map_put_number(&map, i, &map));
    heap.limit[MEMORY_STATE] = heap.used[MEMORY_STATE];
    assert_false(map_put_number(&map, 8, &map));
    assert_int_equal(map_count(&map), 8);
    assert_null(map_find_number(&map, 8));
    assert_non_null(map_find_number(&map, 7));
    heap.limit[MEMORY_STATE] = 0;
    assert_true(map_put_number(&map, 8, &map));
    map_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_map_does_what_the_model_does),
        cmocka_unit_test(byte_keys_differ_by_every_byte_and_by_size),
        cmocka_unit_test(replacing_takes_the_new_key_bytes),
        cmocka_unit_test(entries_may_be_removed_while_iterating),
        cmocka_unit_test(a_refused_addition_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
