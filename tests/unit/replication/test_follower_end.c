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

static void begin(enum topic_durability durability, unsigned partition_count)
{
    follower_fixture_init(&test, durability, partition_count);
}

static void end(void)
{
    follower_fixture_deinit(&test);
}

static struct model_log *log_of(int32_t id, unsigned partition)
{
    return &fixture_leader(&test, id)->logs[partition];
}

static struct follower *follower_of(unsigned partition)
{
    return test.replica[partition]->follower;
}

static int64_t end_of(unsigned partition)
{
    return partition_log_end_offset(test.replica[partition]->log);
}

static void complete_all(void)
{
    while (memory_node_held(&test.node) > 0) {
        memory_node_complete(&test.node, 0);
        memory_node_run(&test.node);
    }
}

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
    begin(TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, log_of(2, 0), 1, 10);
    fixture_run(&test);
    test.node.hold = true;
    test.node.slow = true;
    model_append(&test, log_of(2, 0), 3, 10);
    fixture_run(&test);
    assert_int_equal(end_of(0), 4);
    struct stop stop = {.stop.stopped = stop_told};
    assert_false(fetchers_unfollow(&test.fetchers, test.replica[0], &stop.stop));
    memory_node_run(&test.node);
    assert_int_equal(stop.told, 0);
    complete_all();
    assert_int_equal(stop.told, 1);
    assert_int_equal(partition_log_written_end(test.replica[0]->log), 4);
    assert_null(test.replica[0]->follower);
    end();
}

static void ending_waits_for_a_cut_under_way(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, log_of(2, 0), 1, 10);
    fixture_run(&test);
    model_replicate(log_of(3, 0), log_of(2, 0), 5);
    model_append(&test, log_of(2, 0), 3, 10);
    fixture_run(&test);
    fixture_follow(&test, 0, 3, 6);
    memory_node_run(&test.node);
    fixture_step(&test);
    /* The step ran the cut; another one is caught before the loop turns. */
    fixture_run(&test);
    assert_int_equal(end_of(0), 1);
    struct fetch_response_partition_data answer;
    fetch_response_partition_data_init(&answer);
    answer.diverging_epoch.epoch = 4;
    answer.diverging_epoch.end_offset = 0;
    follower_take(follower_of(0), &answer, NULL);
    assert_int_equal(follower_of(0)->state, FOLLOWER_CUTTING);
    struct stop stop = {.stop.stopped = stop_told};
    assert_false(fetchers_unfollow(&test.fetchers, test.replica[0], &stop.stop));
    assert_int_equal(stop.told, 0);
    memory_node_run(&test.node);
    assert_int_equal(stop.told, 1);
    assert_int_equal(end_of(0), 0);
    end();
}

/* An image may change the role and the settings of a partition together. */
static void settings_that_change_meanwhile_do_not_bring_it_back(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 1);
    fixture_follow(&test, 0, 2, 5);
    model_append(&test, log_of(2, 0), 1, 10);
    fixture_run(&test);
    test.node.hold = true;
    test.node.slow = true;
    model_append(&test, log_of(2, 0), 3, 10);
    fixture_run(&test);
    struct stop stop = {.stop.stopped = stop_told};
    assert_false(fetchers_unfollow(&test.fetchers, test.replica[0], &stop.stop));
    fetchers_reconfigure(&test.fetchers, test.replica[0]);
    assert_null(follower_of(0)->fetcher);
    complete_all();
    assert_int_equal(stop.told, 1);
    assert_null(test.replica[0]->follower);
    end();
}

/* Both frames that a fetcher may hold belong to partitions that have left it. */
static void the_frames_of_those_that_left_make_room(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 3);
    for (unsigned i = 0; i < 3; i++) {
        fixture_follow(&test, i, 2, 5);
        model_append(&test, log_of(2, i), 1, 10);
    }
    fixture_run(&test);
    test.node.hold = true;
    test.node.slow = true;
    model_append(&test, log_of(2, 0), 1, 10);
    fixture_run(&test);
    model_append(&test, log_of(2, 1), 1, 10);
    memory_node_advance(&test.node, FETCHER_SETTLE_MS_MAX * UINT64_C(1000000) + 2000000);
    fixture_run(&test);
    assert_ptr_not_equal(follower_of(0)->frame, follower_of(1)->frame);
    struct stop stops[FETCHER_FRAMES_MAX] = {{.stop.stopped = stop_told},
                                             {.stop.stopped = stop_told}};
    for (unsigned i = 0; i < FETCHER_FRAMES_MAX; i++)
        assert_false(fetchers_unfollow(&test.fetchers, test.replica[i], &stops[i].stop));
    model_append(&test, log_of(2, 2), 1, 10);
    fixture_run(&test);
    assert_int_equal(end_of(2), 1);
    complete_all();
    test.node.hold = false;
    for (unsigned i = 0; i < FETCHER_FRAMES_MAX; i++)
        assert_int_equal(stops[i].told, 1);
    fixture_run(&test);
    fixture_assert_same(&test, 2, log_of(2, 2));
    end();
}

static void closing_waits_for_what_is_under_way(void **state)
{
    (void)state;
    begin(TOPIC_DURABILITY_CACHE, 2);
    for (unsigned i = 0; i < 2; i++) {
        fixture_follow(&test, i, 2, 5);
        model_append(&test, log_of(2, i), 1, 10);
    }
    fixture_run(&test);
    test.node.slow = true;
    model_append(&test, log_of(2, 0), 3, 10);
    test.node.hold = true;
    fixture_step(&test);
    assert_true(follower_is_busy(follower_of(0)));
    end(); /* asserts that it is not closed at once, and then is */
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
