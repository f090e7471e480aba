/* Drafts and images: what is shared, what is listed as changed, and that nothing leaks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/metadata/draft.h"
#include "cluster/metadata/loader.h"

#define ID(n) uuid_of_halves(7, (n))

static struct heap heap;

static const struct image *empty(void)
{
    heap_init_plain(&heap);
    return image_create_empty(&heap, VIEW_LITERAL("c"));
}

static void set_partition(struct image_draft *draft, struct uuid id, int32_t index, int32_t leader)
{
    int32_t ids[] = {1, 2};
    struct partition_state state = {
        .leader = leader, .replicas = {ids, 2}, .isr = {ids, 2}, .directories = NULL};
    assert_true(draft_set_partition(draft, id, index, &state));
}

/* The next image of a draft; the base's reference is given up. */
static const struct image *finish(struct image_draft *draft, const struct image *base,
                                  struct image_delta **delta)
{
    const struct image *next = draft_finish(draft, delta);
    if (!delta)
        image_release(base);
    return next;
}

static const struct image *with_topic(const char *name, uint64_t n, int32_t partitions)
{
    const struct image *base = empty();
    struct image_draft draft;
    draft_begin(&draft, base);
    assert_true(draft_add_topic(&draft, view_of_string(name), ID(n)));
    for (int32_t i = 0; i < partitions; i++)
        set_partition(&draft, ID(n), i, 1);
    return finish(&draft, base, NULL);
}

static void end(const struct image *image)
{
    image_release(image);
    for (size_t i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(heap.used[i], 0);
}

static void a_topic_is_found_by_name_and_by_id(void **state)
{
    (void)state;
    const struct image *image = with_topic("a", 1, 3);
    assert_ptr_equal(image_topic_by_name(image, VIEW_LITERAL("a")),
                     image_topic_by_id(image, ID(1)));
    assert_null(image_topic_by_name(image, VIEW_LITERAL("b")));
    assert_null(image_topic_by_id(image, ID(2)));
    const struct image_topic *topic = image_topic_by_id(image, ID(1));
    assert_non_null(image_topic_partition(topic, 2));
    assert_null(image_topic_partition(topic, 3));
    assert_null(image_topic_partition(topic, -1));
    assert_int_equal(image->partition_count, 3);
    end(image);
}

static void one_changed_partition_is_the_only_one_listed(void **state)
{
    (void)state;
    const struct image *before = with_topic("a", 1, 1000);
    struct image_draft draft;
    draft_begin(&draft, before);
    set_partition(&draft, ID(1), 777, 2);
    struct image_delta *delta;
    const struct image *after = finish(&draft, before, &delta);
    assert_int_equal(delta->topic_count, 1);
    uint32_t cursor = 0;
    struct image_partition_change change;
    assert_true(image_topic_change_next(&delta->topics[0], &cursor, &change));
    assert_int_equal(change.index, 777);
    assert_int_equal(change.before->leader, 1);
    assert_int_equal(change.after->leader, 2);
    assert_false(image_topic_change_next(&delta->topics[0], &cursor, &change));
    /* The rest is shared. */
    const struct image_topic *old = image_topic_by_id(before, ID(1));
    const struct image_topic *new = image_topic_by_id(after, ID(1));
    assert_ptr_equal(image_topic_partition(old, 776), image_topic_partition(new, 776));
    assert_ptr_equal(old->chunks[0], new->chunks[0]);
    image_delta_destroy(&heap, delta);
    image_release(before);
    end(after);
}

static void a_recreated_topic_is_a_deletion_and_a_creation(void **state)
{
    (void)state;
    const struct image *before = with_topic("a", 1, 2);
    struct image_draft draft;
    draft_begin(&draft, before);
    assert_false(draft_add_topic(&draft, VIEW_LITERAL("a"), ID(2)));
    assert_true(draft_remove_topic(&draft, ID(1)));
    assert_false(draft_remove_topic(&draft, ID(1)));
    assert_true(draft_add_topic(&draft, VIEW_LITERAL("a"), ID(2)));
    set_partition(&draft, ID(2), 0, 1);
    struct image_delta *delta;
    const struct image *after = finish(&draft, before, &delta);
    assert_int_equal(delta->topic_count, 2);
    assert_null(delta->topics[0].after);
    assert_true(uuid_equal(delta->topics[0].id, ID(1)));
    assert_null(delta->topics[1].before);
    assert_int_equal(after->partition_count, 1);
    assert_non_null(image_topic_by_id(before, ID(1)));
    image_delta_destroy(&heap, delta);
    image_release(before);
    end(after);
}

static void a_dropped_draft_changes_nothing(void **state)
{
    (void)state;
    const struct image *before = with_topic("a", 1, 70);
    struct image_draft draft;
    draft_begin(&draft, before);
    set_partition(&draft, ID(1), 69, 2);
    set_partition(&draft, ID(1), 70, 2);
    draft_set_config(&draft, CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("a"), VIEW_LITERAL("k"),
                     VIEW_LITERAL("v"));
    draft_drop(&draft);
    assert_int_equal(before->partition_count, 70);
    assert_null(image_config(before, CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("a")));
    end(before);
}

static void settings_are_kept_sorted_and_go_with_their_topic(void **state)
{
    (void)state;
    const struct image *before = with_topic("a", 1, 1);
    struct image_draft draft;
    draft_begin(&draft, before);
    const char *names[] = {"m", "a", "z", "k", "a"};
    for (size_t i = 0; i < 5; i++)
        draft_set_config(&draft, CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("a"), view_of_string(names[i]),
                         i == 4 ? VIEW_LITERAL("second") : VIEW_LITERAL("first"));
    draft_set_config(&draft, CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("a"), VIEW_LITERAL("z"),
                     VIEW_NULL);
    const struct image *middle = finish(&draft, before, NULL);
    const struct image_config *config =
        image_config(middle, CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("a"));
    assert_int_equal(config->setting_count, 3);
    assert_true(view_equal(image_config_value(config, VIEW_LITERAL("a")), VIEW_LITERAL("second")));
    assert_true(view_is_null(image_config_value(config, VIEW_LITERAL("z"))));
    draft_begin(&draft, middle);
    draft_remove_topic(&draft, ID(1));
    struct image_delta *delta;
    const struct image *after = finish(&draft, middle, &delta);
    assert_int_equal(delta->config_count, 1);
    assert_null(delta->configs[0].after);
    image_delta_destroy(&heap, delta);
    image_release(middle);
    end(after);
}

static void the_difference_by_walking_finds_the_same(void **state)
{
    (void)state;
    const struct image *before = with_topic("a", 1, 130);
    struct image_draft draft;
    draft_begin(&draft, before);
    set_partition(&draft, ID(1), 129, 2);
    draft_add_topic(&draft, VIEW_LITERAL("b"), ID(2));
    draft_set_config(&draft, CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""), VIEW_LITERAL("k"),
                     VIEW_LITERAL("v"));
    struct image_node node = {.id = 4, .rack = VIEW_NULL};
    draft_set_broker(&draft, &node);
    struct image_delta *listed;
    const struct image *after = finish(&draft, before, &listed);
    struct image_delta *walked = image_delta_between(&heap, before, after);
    assert_int_equal(walked->topic_count, listed->topic_count);
    assert_int_equal(walked->config_count, listed->config_count);
    assert_int_equal(walked->broker_count, listed->broker_count);
    assert_int_equal(walked->topic_count, 2);
    image_delta_destroy(&heap, listed);
    image_delta_destroy(&heap, walked);
    struct image_delta *none = image_delta_between(&heap, after, after);
    assert_int_equal(none->topic_count + none->config_count + none->broker_count, 0);
    image_delta_destroy(&heap, none);
    image_release(before);
    end(after);
}

static void a_hundred_thousand_partitions_stay_modest(void **state)
{
    (void)state;
    const struct image *image = empty();
    struct image_draft draft;
    draft_begin(&draft, image);
    for (uint64_t n = 0; n < 1000; n++) {
        char name[16];
        snprintf(name, sizeof(name), "topic-%u", (unsigned)n);
        assert_true(draft_add_topic(&draft, view_of_string(name), ID(n)));
        for (int32_t i = 0; i < 100; i++)
            set_partition(&draft, ID(n), i, 1);
    }
    const struct image *full = finish(&draft, image, NULL);
    assert_int_equal(full->partition_count, 100000);
    assert_true(heap.used[MEMORY_STATE] < 100000 * 100);
    /* The next version costs what changed. */
    uint64_t before = heap.used[MEMORY_STATE];
    draft_begin(&draft, full);
    set_partition(&draft, ID(500), 50, 2);
    const struct image *next = draft_finish(&draft, NULL);
    assert_true(heap.used[MEMORY_STATE] - before < 8192);
    image_release(full);
    end(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_is_found_by_name_and_by_id),
        cmocka_unit_test(one_changed_partition_is_the_only_one_listed),
        cmocka_unit_test(a_recreated_topic_is_a_deletion_and_a_creation),
        cmocka_unit_test(a_dropped_draft_changes_nothing),
        cmocka_unit_test(settings_are_kept_sorted_and_go_with_their_topic),
        cmocka_unit_test(the_difference_by_walking_finds_the_same),
        cmocka_unit_test(a_hundred_thousand_partitions_stay_modest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
