/*
 * The end of following while the log is in use: whoever waits for it is told when that is through,
 * and those that stay are fetched for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/replication/follower_fixture.h"

static struct follower_fixture test;

struct stop {
    struct follower_stop stop;
    unsigned told;
};

static void stop_told(struct follower_stop *stop)
{
    container_of(stop, struct stop, stop)->told++;
}

static void ending_waits_for_an_append_under_way(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, fixture_log_of(&test, 2, 0), 1, 10);
    fixture_run(&test);
    test.node.hold = true;
    test.node.slow = true;
    model_append(&test, fixture_log_of(&test, 2, 0), 3, 10);
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 0), 4);
    struct stop stop = {.stop.stopped = stop_told};
    assert_false(fetchers_unfollow(&test.fetchers, test.replica[0], &stop.stop));
    memory_node_run(&test.node);
    assert_int_equal(stop.told, 0);
    fixture_complete_all(&test);
    assert_int_equal(stop.told, 1);
    assert_int_equal(partition_log_written_end(test.replica[0]->log), 4);
    assert_null(test.replica[0]->follower);
    follower_fixture_deinit(&test);
}

static void ending_waits_for_a_cut_under_way(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, fixture_log_of(&test, 2, 0), 1, 10);
    fixture_run(&test);
    model_replicate(fixture_log_of(&test, 3, 0), fixture_log_of(&test, 2, 0), 5);
    model_append(&test, fixture_log_of(&test, 2, 0), 3, 10);
    fixture_run(&test);
    fixture_follow(&test, 0, 3, 6);
    memory_node_run(&test.node);
    fixture_step(&test);
    /* The step ran the cut; another one is caught before the loop turns. */
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 0), 1);
    struct fetch_response_partition_data answer;
    fetch_response_partition_data_init(&answer);
    answer.diverging_epoch.epoch = 4;
    answer.diverging_epoch.end_offset = 0;
    follower_take(fixture_follower_of(&test, 0), &answer, NULL);
    assert_int_equal(fixture_follower_of(&test, 0)->state, FOLLOWER_CUTTING);
    struct stop stop = {.stop.stopped = stop_told};
    assert_false(fetchers_unfollow(&test.fetchers, test.replica[0], &stop.stop));
    assert_int_equal(stop.told, 0);
    memory_node_run(&test.node);
    assert_int_equal(stop.told, 1);
    assert_int_equal(fixture_end_of(&test, 0), 0);
    follower_fixture_deinit(&test);
}

/* An image may change the role and the settings of a partition together. */
static void settings_that_change_meanwhile_do_not_bring_it_back(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, fixture_log_of(&test, 2, 0), 1, 10);
    fixture_run(&test);
    test.node.hold = true;
    test.node.slow = true;
    model_append(&test, fixture_log_of(&test, 2, 0), 3, 10);
    fixture_run(&test);
    struct stop stop = {.stop.stopped = stop_told};
    assert_false(fetchers_unfollow(&test.fetchers, test.replica[0], &stop.stop));
    fetchers_reconfigure(&test.fetchers, test.replica[0]);
    assert_null(fixture_follower_of(&test, 0)->fetcher);
    fixture_complete_all(&test);
    assert_int_equal(stop.told, 1);
    assert_null(test.replica[0]->follower);
    follower_fixture_deinit(&test);
}

/* Both frames that a fetcher may hold belong to partitions that have left it. */
static void the_frames_of_those_that_left_make_room(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 3);
    for (unsigned i = 0; i < 3; i++) {
        fixture_follow(&test, i, 2, 5);
        model_append(&test, fixture_log_of(&test, 2, i), 1, 10);
    }
    fixture_run(&test);
    test.node.hold = true;
    test.node.slow = true;
    model_append(&test, fixture_log_of(&test, 2, 0), 1, 10);
    fixture_run(&test);
    model_append(&test, fixture_log_of(&test, 2, 1), 1, 10);
    memory_node_advance(&test.node, FETCHER_SETTLE_MS_MAX * UINT64_C(1000000) + 2000000);
    fixture_run(&test);
    assert_ptr_not_equal(fixture_follower_of(&test, 0)->frame,
                         fixture_follower_of(&test, 1)->frame);
    struct stop stops[FETCHER_FRAMES_MAX] = {{.stop.stopped = stop_told},
                                             {.stop.stopped = stop_told}};
    for (unsigned i = 0; i < FETCHER_FRAMES_MAX; i++)
        assert_false(fetchers_unfollow(&test.fetchers, test.replica[i], &stops[i].stop));
    model_append(&test, fixture_log_of(&test, 2, 2), 1, 10);
    fixture_run(&test);
    assert_int_equal(fixture_end_of(&test, 2), 1);
    fixture_complete_all(&test);
    test.node.hold = false;
    for (unsigned i = 0; i < FETCHER_FRAMES_MAX; i++)
        assert_int_equal(stops[i].told, 1);
    fixture_run(&test);
    fixture_assert_same(&test, 2, fixture_log_of(&test, 2, 2));
    follower_fixture_deinit(&test);
}

static void closing_waits_for_what_is_under_way(void **state)
{
    (void)state;
    follower_fixture_init(&test, TOPIC_DURABILITY_CACHE, 2);
    for (unsigned i = 0; i < 2; i++) {
        fixture_follow(&test, i, 2, 5);
        model_append(&test, fixture_log_of(&test, 2, i), 1, 10);
    }
    fixture_run(&test);
    test.node.slow = true;
    model_append(&test, fixture_log_of(&test, 2, 0), 3, 10);
    test.node.hold = true;
    fixture_step(&test);
    assert_true(follower_is_busy(fixture_follower_of(&test, 0)));
    follower_fixture_deinit(&test); /* asserts that it is not closed at once, and then is */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ending_waits_for_an_append_under_way),
        cmocka_unit_test(ending_waits_for_a_cut_under_way),
        cmocka_unit_test(settings_that_change_meanwhile_do_not_bring_it_back),
        cmocka_unit_test(the_frames_of_those_that_left_make_room),
        cmocka_unit_test(closing_waits_for_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
