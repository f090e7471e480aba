/* Persistent trees: every version against a sorted model, balance, and no leak. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "cluster/metadata/tree.h"

enum { KEYS = 200, VERSIONS = 300 };

struct item {
    struct image_object object;
    int32_t key;
    int32_t value;
};

static int compare(const void *key, const struct image_object *value)
{
    int32_t wanted = *(const int32_t *)key;
    int32_t found = ((const struct item *)value)->key;
    return (wanted > found) - (wanted < found);
}

static void release(struct heap *heap, struct image_object *value)
{
    heap_put(heap, MEMORY_STATE, value, value->size);
}

static const struct image_tree_kind kind = {compare, release};

static const void *key_of(const struct image_object *value)
{
    return &((const struct item *)value)->key;
}

static void put(struct heap *heap, struct image_tree *tree, int32_t key, int32_t value)
{
    struct item *item = heap_must_get(heap, MEMORY_STATE, sizeof(*item));
    *item = (struct item){{1, sizeof(*item)}, key, value};
    image_tree_put(&kind, heap, tree, &key, &item->object);
}

/* value 0: absent */
static void expect(const struct image_tree *tree, const int32_t *model)
{
    image_tree_check(&kind, tree, key_of);
    struct image_tree_cursor cursor;
    image_tree_start(tree, &cursor);
    for (int32_t key = 0; key < KEYS; key++) {
        const struct item *found = (const struct item *)image_tree_find(&kind, tree, &key);
        assert_int_equal(found ? found->value : 0, model[key]);
        if (model[key] != 0)
            assert_ptr_equal(image_tree_next(&cursor), found);
    }
    assert_null(image_tree_next(&cursor));
}

static void every_version_stays_as_it_was(void **state)
{
    (void)state;
    static struct image_tree versions[VERSIONS];
    static int32_t models[VERSIONS][KEYS];
    struct heap heap;
    heap_init_plain(&heap);
    struct random_stream random;
    random_init(&random, 42, 1);
    memset(models, 0, sizeof(models));
    memset(versions, 0, sizeof(versions));
    for (int v = 1; v < VERSIONS; v++) {
        versions[v] = image_tree_acquire(&versions[v - 1]);
        memcpy(models[v], models[v - 1], sizeof(models[v]));
        for (uint64_t edits = random_below(&random, 20); edits > 0; edits--) {
            int32_t key = (int32_t)random_below(&random, KEYS);
            if (random_chance(&random, 2, 5)) {
                image_tree_remove(&kind, &heap, &versions[v], &key);
                models[v][key] = 0;
            } else {
                int32_t value = (int32_t)random_between(&random, 1, 1000000);
                put(&heap, &versions[v], key, value);
                models[v][key] = value;
            }
        }
    }
    for (int v = 0; v < VERSIONS; v++)
        expect(&versions[v], models[v]);
    /* Releasing in any order leaves the others whole. */
    for (int v = 0; v < VERSIONS; v += 2)
        image_tree_release(&kind, &heap, &versions[v]);
    for (int v = 1; v < VERSIONS; v += 2)
        expect(&versions[v], models[v]);
    for (int v = 1; v < VERSIONS; v += 2)
        image_tree_release(&kind, &heap, &versions[v]);
    assert_int_equal(heap.used[MEMORY_STATE], 0);
}

static void seek_starts_at_the_first_key_not_before(void **state)
{
    (void)state;
    struct heap heap;
    heap_init_plain(&heap);
    struct image_tree tree = {NULL, 0};
    for (int32_t key = 0; key < 100; key += 2)
        put(&heap, &tree, key, key + 1);
    for (int32_t wanted = -1; wanted <= 100; wanted++) {
        struct image_tree_cursor cursor;
        image_tree_seek(&kind, &tree, &wanted, &cursor);
        const struct item *first = (const struct item *)image_tree_next(&cursor);
        if (wanted > 98) {
            assert_null(first);
            continue;
        }
        assert_int_equal(first->key, wanted < 0 ? 0 : (wanted + 1) / 2 * 2);
    }
    image_tree_release(&kind, &heap, &tree);
    assert_int_equal(heap.used[MEMORY_STATE], 0);
}

static void a_change_copies_a_path_and_not_the_tree(void **state)
{
    (void)state;
    struct heap heap;
    heap_init_plain(&heap);
    struct image_tree tree = {NULL, 0};
    for (int32_t key = 0; key < 100000; key++)
        put(&heap, &tree, key, 1);
    uint64_t before = heap.used[MEMORY_STATE];
    struct image_tree next = image_tree_acquire(&tree);
    put(&heap, &next, 50000, 2);
    uint64_t grown = heap.used[MEMORY_STATE] - before;
    assert_true(grown < 2000);
    image_tree_release(&kind, &heap, &tree);
    image_tree_release(&kind, &heap, &next);
    assert_int_equal(heap.used[MEMORY_STATE], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_stays_as_it_was),
        cmocka_unit_test(seek_starts_at_the_first_key_not_before),
        cmocka_unit_test(a_change_copies_a_path_and_not_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
