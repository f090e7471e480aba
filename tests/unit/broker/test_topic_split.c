/* The order in which partitions are answered, and the places of those a coordinator was asked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "broker/topic_split.h"

enum { NONE = KAFKA_ERROR_NONE, BAD = KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION };

struct place {
    size_t topic, partition;
    enum kafka_error error;
    size_t asked_topic, asked_partition; /* where the error is NONE */
};

/* Topics: one refused in part, one as a whole, an empty one, one that is asked as a whole. */
static void split(struct topic_split *split, struct arena *arena)
{
    topic_split_init(split, arena, 4);
    int16_t *first = topic_split_add(split, 3);
    first[0] = NONE;
    first[1] = BAD;
    first[2] = NONE;
    topic_split_add(split, 1)[0] = BAD;
    topic_split_add(split, 0);
    int16_t *last = topic_split_add(split, 2);
    last[0] = last[1] = NONE;
}

static void expect(enum topic_walk_order order, const struct place *places, size_t count)
{
    struct heap heap;
    struct arena arena;
    struct topic_split of_request;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    split(&of_request, &arena);
    struct topic_walk at = topic_walk_of(&of_request, order);
    for (size_t i = 0; i < count; i++) {
        assert_true(topic_walk_next(&at));
        assert_int_equal(at.topic, places[i].topic);
        assert_int_equal(at.partition, places[i].partition);
        assert_int_equal(at.error, places[i].error);
        if (at.error != KAFKA_ERROR_NONE)
            continue;
        assert_int_equal(at.asked_topic, places[i].asked_topic);
        assert_int_equal(at.asked_partition, places[i].asked_partition);
    }
    assert_false(topic_walk_next(&at));
    arena_deinit(&arena);
}

static void what_was_refused_comes_first(void **state)
{
    (void)state;
    static const struct place places[] = {{0, 1, BAD, 0, 0},  {1, 0, BAD, 0, 0},
                                          {0, 0, NONE, 0, 0}, {0, 2, NONE, 0, 1},
                                          {3, 0, NONE, 1, 0}, {3, 1, NONE, 1, 1}};
    expect(TOPIC_WALK_REFUSED_FIRST, places, sizeof(places) / sizeof(places[0]));
}

static void the_order_of_the_request_is_kept(void **state)
{
    (void)state;
    static const struct place places[] = {{0, 0, NONE, 0, 0}, {0, 1, BAD, 0, 0},
                                          {0, 2, NONE, 0, 1}, {1, 0, BAD, 0, 0},
                                          {3, 0, NONE, 1, 0}, {3, 1, NONE, 1, 1}};
    expect(TOPIC_WALK_IN_ORDER, places, sizeof(places) / sizeof(places[0]));
}

static void nothing_has_no_places(void **state)
{
    (void)state;
    struct heap heap;
    struct arena arena;
    struct topic_split of_request;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    topic_split_init(&of_request, &arena, 0);
    struct topic_walk at = topic_walk_of(&of_request, TOPIC_WALK_REFUSED_FIRST);
    assert_false(topic_walk_next(&at));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_refused_comes_first),
        cmocka_unit_test(the_order_of_the_request_is_kept),
        cmocka_unit_test(nothing_has_no_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
