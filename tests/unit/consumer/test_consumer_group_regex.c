/* Subscriptions by pattern: resolved by the coordinator, behind the heartbeat. */
#include "tests/unit/consumer/consumer_bench.h"

static struct bench_member member_of(const char *id, const char *regex)
{
    return (struct bench_member){.id = id, .regex = regex};
}

static void a_pattern_is_resolved_behind_the_heartbeat(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "orders", 2);
    consumer_bench_topic(&bench, "orders-eu", 2);
    consumer_bench_topic(&bench, "other", 2);
    struct bench_member a = member_of("a", "orders.*");
    struct bench_answer answer = bench_join(&bench, &a);
    assert_int_equal(answer.error, KAFKA_ERROR_NONE);
    assert_int_equal(answer.assigned, 0);
    answer = bench_beat(&bench, &a);
    assert_int_equal(answer.epoch, 2);
    assert_int_equal(answer.assigned, 0x303);
    assert_int_equal(coordinator_fixture_count(&bench.fixture, 16), 1);
    /* Another one with the same pattern: known already. */
    struct bench_member b = member_of("b", "orders.*");
    bench_join(&bench, &b);
    struct bench_member *both[] = {&a, &b};
    bench_settle(&bench, both, 2);
    assert_int_equal(a.owned | b.owned, 0x303);
    assert_int_equal(coordinator_fixture_count(&bench.fixture, 16), 1);
    consumer_bench_deinit(&bench);
}

static void names_and_pattern_are_united(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 1);
    consumer_bench_topic(&bench, "u", 1);
    struct bench_member a = {.id = "a", .topics = {"t"}, .regex = "[tu]"};
    assert_int_equal(bench_join(&bench, &a).assigned, 1);
    assert_int_equal(bench_beat(&bench, &a).assigned, 0x101);
    consumer_bench_deinit(&bench);
}

static void a_new_topic_is_found_but_not_within_ten_seconds(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "x1", 1);
    struct bench_member a = member_of("a", "x.");
    bench_join(&bench, &a);
    bench_beat(&bench, &a);
    assert_int_equal(a.owned, 1);
    consumer_bench_topic(&bench, "x2", 1);
    bench_beat(&bench, &a);
    bench_beat(&bench, &a);
    assert_int_equal(a.owned, 1);
    coordinator_fixture_advance(&bench.fixture, 10001);
    bench_beat(&bench, &a); /* begins the resolution */
    assert_int_equal(bench_beat(&bench, &a).assigned, 0x101);
    /* A deleted topic goes at once, from the assignment. */
    coordinator_fixture_delete_topic(&bench.fixture, "x2");
    bench_beat(&bench, &a);
    assert_int_equal(bench_find(&bench, "a")->target->partition_count, 1);
    consumer_bench_deinit(&bench);
}

static void a_pattern_is_resolved_anew_after_a_while(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "x1", 1);
    struct bench_member a = member_of("a", "x.");
    bench_join(&bench, &a);
    bench_beat(&bench, &a);
    for (unsigned i = 0; i < 15; i++) {
        coordinator_fixture_advance(&bench.fixture, 40000);
        assert_int_equal(bench_beat(&bench, &a).error, KAFKA_ERROR_NONE);
    }
    assert_int_equal(coordinator_fixture_count(&bench.fixture, 16), 1);
    coordinator_fixture_advance(&bench.fixture, 1000);
    bench_beat(&bench, &a);
    assert_int_equal(coordinator_fixture_count(&bench.fixture, 16), 2);
    assert_int_equal(bench_group(&bench)->epoch, 2); /* the same topics */
    consumer_bench_deinit(&bench);
}

static void the_last_subscriber_takes_the_resolution_along(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "x1", 1);
    struct bench_member a = member_of("a", "x.");
    struct bench_member b = member_of("b", "x.");
    bench_join(&bench, &a);
    bench_join(&bench, &b);
    bench_leave(&bench, &a, -1);
    assert_int_equal(map_count(&bench_group(&bench)->regexes), 1);
    bench_leave(&bench, &b, -1);
    assert_int_equal(map_count(&bench_group(&bench)->regexes), 0);
    assert_int_equal(map_count(&bench_group(&bench)->subscribed), 0);
    consumer_bench_deinit(&bench);
}

static void another_pattern_takes_the_place_of_the_first(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "x", 1);
    consumer_bench_topic(&bench, "y", 1);
    struct bench_member a = member_of("a", "x");
    bench_join(&bench, &a);
    bench_beat(&bench, &a);
    assert_int_equal(a.owned, 1);
    coordinator_fixture_advance(&bench.fixture, 11000);
    a.regex = "y";
    struct consumer_group_heartbeat_request request = bench_join_request(&bench, &a);
    request.member_epoch = a.epoch;
    request.topic_partitions = NULL;
    struct bench_answer answer = bench_ask(&bench, &request);
    assert_int_equal(answer.error, KAFKA_ERROR_NONE);
    assert_int_equal(answer.assigned, 0); /* taken back at once */
    a.owned = 0;
    bench_beat_owning(&bench, &a, 0);
    struct bench_member *one[] = {&a};
    bench_settle(&bench, one, 1);
    assert_int_equal(a.owned, 0x100);
    /* And none: "" ends it. */
    a.regex = "";
    request = bench_join_request(&bench, &a);
    request.member_epoch = a.epoch;
    assert_int_equal(bench_ask(&bench, &request).assigned, 0);
    assert_int_equal(map_count(&bench_group(&bench)->regexes), 0);
    consumer_bench_deinit(&bench);
}

static void a_resolution_ends_with_its_group(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "x1", 1);
    struct bench_member a = member_of("a", "x.");
    struct consumer_group_heartbeat_request request = bench_join_request(&bench, &a);
    struct consumer_group_heartbeat_response response;
    consumer_group_heartbeat_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&bench.fixture, &call, 1, &request, &response);
    consumer_group_heartbeat(coordinator_fixture_state(&bench.fixture), &call.call);
    assert_non_null(bench_group(&bench)->resolution);
    coordinator_fixture_reload(&bench.fixture);
    assert_int_equal(call.told, 1);
    fixture_call_deinit(&call);
    consumer_bench_deinit(&bench);
}

static void a_resolution_of_many_topics_takes_several_turns(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    static char names[2500][8];
    for (unsigned i = 0; i < 2500; i++) {
        names[i][0] = 't';
        for (unsigned d = 0, n = i; d < 4; d++, n /= 10)
            names[i][4 - d] = (char)('0' + n % 10);
        coordinator_fixture_set_topic(&bench.fixture, names[i], 1);
    }
    consumer_bench_topic(&bench, "zz", 1);
    struct bench_member a = member_of("a", "t.*9|zz");
    bench_join(&bench, &a);
    assert_int_equal(coordinator_fixture_count(&bench.fixture, 16), 1);
    const struct consumer_regex *regex =
        consumer_group_find_regex(bench_group(&bench), VIEW_LITERAL("t.*9|zz"));
    assert_int_equal(regex->topic_count, 251);
    consumer_bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_is_resolved_behind_the_heartbeat),
        cmocka_unit_test(names_and_pattern_are_united),
        cmocka_unit_test(a_new_topic_is_found_but_not_within_ten_seconds),
        cmocka_unit_test(a_pattern_is_resolved_anew_after_a_while),
        cmocka_unit_test(the_last_subscriber_takes_the_resolution_along),
        cmocka_unit_test(another_pattern_takes_the_place_of_the_first),
        cmocka_unit_test(a_resolution_ends_with_its_group),
        cmocka_unit_test(a_resolution_of_many_topics_takes_several_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
