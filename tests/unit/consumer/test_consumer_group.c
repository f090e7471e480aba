/*
 * ConsumerGroupHeartbeat: what is refused and in which order, what the answer holds, how epochs
 * move, who is fenced.
 */
#include "tests/unit/consumer/consumer_bench.h"

static struct bench_member member_of(const char *id)
{
    return (struct bench_member){.id = id, .topics = {"t"}};
}

/* ---- The request itself ---- */

static enum kafka_error refusal(struct consumer_bench *bench,
                                struct consumer_group_heartbeat_request request)
{
    struct bench_answer answer = bench_ask(bench, &request);
    if (answer.error != KAFKA_ERROR_NONE) {
        assert_true(answer.message[0] != 0);
        assert_int_equal(answer.member_id[0], 0);
        assert_int_equal(answer.epoch, 0);
        assert_false(answer.has_assignment);
    }
    return answer.error;
}

static void a_request_that_says_too_little_is_refused(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct bench_member member = member_of("a");
    const struct consumer_group_heartbeat_request good = bench_join_request(&bench, &member);
    struct consumer_group_heartbeat_request_topic_partitions owned = {.partitions_count = 0};
    struct consumer_group_heartbeat_request bad[16];
    size_t count = 0;
    for (size_t i = 0; i < 16; i++)
        bad[i] = good;
    bad[count++].group_id = VIEW_LITERAL("");
    bad[count++].group_id = VIEW_LITERAL(" \t");
    bad[count++].member_id = VIEW_LITERAL("");
    bad[count++].instance_id = VIEW_LITERAL("");
    bad[count++].rack_id = VIEW_LITERAL("  ");
    bad[count++].rebalance_timeout_ms = -1;
    bad[count++].topic_partitions = NULL;
    bad[count].topic_partitions = &owned;
    bad[count++].topic_partitions_count = 1;
    bad[count++].subscribed_topic_names = NULL;
    bad[count++].member_epoch = -2; /* without an instance */
    bad[count++].member_epoch = -3;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(refusal(&bench, bad[i]), KAFKA_ERROR_INVALID_REQUEST);
    struct consumer_group_heartbeat_request request = good;
    request.server_assignor = VIEW_LITERAL("nope");
    assert_int_equal(refusal(&bench, request), KAFKA_ERROR_UNSUPPORTED_ASSIGNOR);
    request = good;
    request.subscribed_topic_regex = VIEW_LITERAL("[");
    assert_int_equal(refusal(&bench, request), KAFKA_ERROR_INVALID_REGULAR_EXPRESSION);
    assert_null(bench_group(&bench));
    assert_int_equal(bench_records(&bench), 0);
    consumer_bench_deinit(&bench);
}

static void version_0_may_leave_the_member_id_to_the_coordinator(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    bench.version = 0;
    struct bench_member member = member_of("");
    struct bench_answer answer = bench_join(&bench, &member);
    assert_int_equal(answer.error, KAFKA_ERROR_NONE);
    assert_int_equal(strlen(answer.member_id), UUID_TEXT_SIZE);
    member.id = answer.member_id;
    assert_int_equal(bench_beat(&bench, &member).error, KAFKA_ERROR_NONE);
    member.id = "";
    member.epoch = 1;
    assert_int_equal(bench_beat(&bench, &member).error, KAFKA_ERROR_INVALID_REQUEST);
    consumer_bench_deinit(&bench);
}

/* ---- Group and member ---- */

static void who_is_not_known_is_told_so(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct bench_member a = member_of("a");
    a.epoch = 1;
    assert_int_equal(bench_beat(&bench, &a).error, KAFKA_ERROR_GROUP_ID_NOT_FOUND);
    assert_int_equal(bench_leave(&bench, &a, -1).error, KAFKA_ERROR_GROUP_ID_NOT_FOUND);
    struct bench_member known = member_of("known");
    assert_int_equal(bench_join(&bench, &known).error, KAFKA_ERROR_NONE);
    assert_int_equal(bench_beat(&bench, &a).error, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(bench_leave(&bench, &a, -1).error, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    a.instance = "i";
    assert_int_equal(bench_beat(&bench, &a).error, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(bench_leave(&bench, &a, -1).error, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(bench_leave(&bench, &a, -2).error, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    consumer_bench_deinit(&bench);
}

static void a_full_group_takes_known_members_only(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    bench.fixture.config.settings.group_consumer_max_size = 1;
    struct bench_member a = member_of("a");
    struct bench_member b = member_of("b");
    assert_int_equal(bench_join(&bench, &a).error, KAFKA_ERROR_NONE);
    assert_int_equal(bench_join(&bench, &b).error, KAFKA_ERROR_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(bench_join(&bench, &a).error, KAFKA_ERROR_NONE);
    assert_int_equal(bench_leave(&bench, &a, -1).error, KAFKA_ERROR_NONE);
    assert_int_equal(bench_join(&bench, &b).error, KAFKA_ERROR_NONE);
    consumer_bench_deinit(&bench);
}

static void epochs_that_do_not_fit_are_fenced(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 4);
    struct bench_member a = member_of("a");
    struct bench_member b = member_of("b");
    bench_join(&bench, &a);
    assert_int_equal(a.epoch, 1);
    bench_join(&bench, &b);
    struct bench_member *both[] = {&a, &b};
    bench_settle(&bench, both, 2);
    assert_int_equal(a.epoch, 2);
    assert_int_equal(bench_find(&bench, "a")->progress.previous_epoch, 1);
    struct bench_member late = a;
    late.epoch = 3;
    assert_int_equal(bench_beat(&bench, &late).error, KAFKA_ERROR_FENCED_MEMBER_EPOCH);
    /* The previous epoch counts only with proof that the newer answer made no difference. */
    late.epoch = 1;
    assert_int_equal(bench_beat(&bench, &late).error, KAFKA_ERROR_FENCED_MEMBER_EPOCH);
    assert_int_equal(bench_beat_owning(&bench, &late, 0xf).error, KAFKA_ERROR_FENCED_MEMBER_EPOCH);
    late.epoch = 1;
    struct bench_answer answer = bench_beat_owning(&bench, &late, a.owned);
    assert_int_equal(answer.error, KAFKA_ERROR_NONE);
    assert_int_equal(answer.epoch, 2);
    late.epoch = 1;
    assert_int_equal(bench_beat_owning(&bench, &late, 0).error, KAFKA_ERROR_NONE);
    consumer_bench_deinit(&bench);
}

/* ---- Answers ---- */

static void the_assignment_is_told_when_it_is_news(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 2);
    struct bench_member a = member_of("a");
    struct bench_answer answer = bench_join(&bench, &a);
    assert_string_equal(answer.member_id, "a");
    assert_int_equal(answer.interval_ms, 5000);
    assert_true(answer.has_assignment);
    assert_int_equal(answer.assigned, 3);
    assert_false(bench_beat(&bench, &a).has_assignment);
    assert_false(bench_beat_owning(&bench, &a, 3).has_assignment);
    /* A request that says everything is answered with everything. */
    struct consumer_group_heartbeat_request full = bench_join_request(&bench, &a);
    full.member_epoch = a.epoch;
    assert_true(bench_ask(&bench, &full).has_assignment);
    full.rebalance_timeout_ms = -1;
    assert_false(bench_ask(&bench, &full).has_assignment);
    /* More partitions: the next heartbeat brings them. */
    consumer_bench_topic(&bench, "t", 4);
    answer = bench_beat(&bench, &a);
    assert_int_equal(answer.epoch, 2);
    assert_int_equal(answer.assigned, 15);
    /* Nobody subscribes to nothing: an empty assignment is told, too. */
    struct bench_member b = {.id = "b"};
    answer = bench_join(&bench, &b);
    assert_true(answer.has_assignment);
    assert_int_equal(answer.assigned, 0);
    consumer_bench_deinit(&bench);
}

static void an_unchanged_heartbeat_touches_no_log_and_takes_no_memory(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 4);
    struct bench_member a = member_of("a");
    bench_join(&bench, &a);
    bench_beat(&bench, &a);
    struct consumer_group_heartbeat_request request;
    consumer_group_heartbeat_request_init(&request);
    request.group_id = VIEW_LITERAL("g");
    request.member_id = VIEW_LITERAL("a");
    request.member_epoch = a.epoch;
    struct consumer_group_heartbeat_response response;
    consumer_group_heartbeat_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&bench.fixture, &call, 1, &request, &response);
    uint64_t records = bench_records(&bench);
    struct groups *groups = coordinator_fixture_state(&bench.fixture);
    /* Any allocation would be refused, and halt. */
    for (unsigned c = 0; c < MEMORY_CLASSES; c++)
        groups->heap->limit[c] = groups->heap->used[c] ? groups->heap->used[c] : 1;
    consumer_group_heartbeat(groups, &call.call);
    for (unsigned c = 0; c < MEMORY_CLASSES; c++)
        groups->heap->limit[c] = 0;
    coordinator_fixture_run(&bench.fixture);
    assert_int_equal(call.told, 1);
    assert_int_equal(response.error_code, 0);
    assert_int_equal(response.member_epoch, a.epoch);
    assert_int_equal(call.arena.held, 0);
    assert_int_equal(bench_records(&bench), records);
    fixture_call_deinit(&call);
    consumer_bench_deinit(&bench);
}

static void nothing_is_answered_before_it_is_committed(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    coordinator_fixture_hold(&bench.fixture);
    struct bench_member a = member_of("a");
    struct consumer_group_heartbeat_request request = bench_join_request(&bench, &a);
    struct consumer_group_heartbeat_response response;
    consumer_group_heartbeat_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&bench.fixture, &call, 1, &request, &response);
    consumer_group_heartbeat(coordinator_fixture_state(&bench.fixture), &call.call);
    coordinator_fixture_run(&bench.fixture);
    assert_int_equal(call.told, 0);
    coordinator_fixture_commit(&bench.fixture);
    assert_int_equal(call.told, 1);
    fixture_call_deinit(&call);
    consumer_bench_deinit(&bench);
}

static void a_refused_append_changes_nothing(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 2);
    struct bench_member a = member_of("a");
    struct bench_member b = member_of("b");
    bench_join(&bench, &a);
    coordinator_fixture_refuse(&bench.fixture, true);
    assert_int_equal(bench_join(&bench, &b).error, KAFKA_ERROR_NOT_COORDINATOR);
    assert_int_equal(bench_leave(&bench, &a, -1).error, KAFKA_ERROR_NOT_COORDINATOR);
    assert_null(bench_find(&bench, "b"));
    assert_non_null(bench_find(&bench, "a"));
    /* A session that ends now is tried again. */
    coordinator_fixture_advance(&bench.fixture, 45000);
    assert_non_null(bench_find(&bench, "a"));
    coordinator_fixture_refuse(&bench.fixture, false);
    coordinator_fixture_advance(&bench.fixture, 500);
    assert_null(bench_find(&bench, "a"));
    consumer_bench_deinit(&bench);
}

/* ---- Rebalancing ---- */

static void partitions_move_only_after_they_were_given_up(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 4);
    struct bench_member a = member_of("a");
    struct bench_member b = member_of("b");
    bench_join(&bench, &a);
    assert_int_equal(a.owned, 15);
    struct bench_answer answer = bench_join(&bench, &b);
    assert_int_equal(answer.epoch, 2);
    assert_int_equal(answer.assigned, 0);
    assert_int_equal(consumer_group_state(bench_group(&bench)), CONSUMER_GROUP_RECONCILING);
    answer = bench_beat(&bench, &a);
    assert_int_equal(answer.epoch, 1); /* it keeps its epoch until it has given up */
    assert_int_equal(answer.assigned, 3);
    assert_false(bench_beat(&bench, &b).has_assignment);
    assert_false(bench_beat_owning(&bench, &a, 15).has_assignment);
    answer = bench_beat_owning(&bench, &a, 3);
    assert_int_equal(answer.epoch, 2);
    answer = bench_beat(&bench, &b);
    assert_int_equal(answer.assigned, 12);
    assert_int_equal(consumer_group_state(bench_group(&bench)), CONSUMER_GROUP_STABLE);
    consumer_bench_deinit(&bench);
}

static void who_does_not_give_up_in_time_is_fenced(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 4);
    struct bench_member a = member_of("a");
    struct bench_member b = member_of("b");
    bench_join(&bench, &a);
    bench_join(&bench, &b);
    assert_int_equal(bench_beat(&bench, &a).assigned, 3);
    for (unsigned i = 0; i < 5; i++) { /* 50 s of heartbeats */
        coordinator_fixture_advance(&bench.fixture, 10000);
        assert_int_equal(bench_beat(&bench, &a).error, KAFKA_ERROR_NONE);
        assert_int_equal(bench_beat(&bench, &b).error, KAFKA_ERROR_NONE);
    }
    coordinator_fixture_advance(&bench.fixture, 10000);
    assert_int_equal(bench_beat(&bench, &a).error, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    struct bench_answer answer = bench_beat(&bench, &b);
    assert_int_equal(answer.epoch, 3);
    assert_int_equal(answer.assigned, 15);
    consumer_bench_deinit(&bench);
}

static void a_silent_member_is_fenced_when_its_session_ends(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 2);
    struct bench_member a = member_of("a");
    struct bench_member b = member_of("b");
    bench_join(&bench, &a);
    coordinator_fixture_advance(&bench.fixture, 20000);
    bench_join(&bench, &b);
    coordinator_fixture_advance(&bench.fixture, 24999);
    assert_non_null(bench_find(&bench, "a"));
    coordinator_fixture_advance(&bench.fixture, 1);
    assert_null(bench_find(&bench, "a"));
    assert_int_equal(bench_group(&bench)->epoch, 3);
    assert_int_equal(bench_beat(&bench, &b).assigned, 3);
    assert_int_equal(bench_beat(&bench, &a).error, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    consumer_bench_deinit(&bench);
}

static void sessions_go_on_after_a_load(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct bench_member a = member_of("a");
    bench_join(&bench, &a);
    coordinator_fixture_advance(&bench.fixture, 30000);
    coordinator_fixture_crash(&bench.fixture);
    coordinator_fixture_advance(&bench.fixture, 44999);
    assert_non_null(bench_find(&bench, "a"));
    assert_int_equal(bench_beat(&bench, &a).error, KAFKA_ERROR_NONE);
    coordinator_fixture_advance(&bench.fixture, 45000);
    assert_null(bench_find(&bench, "a"));
    consumer_bench_deinit(&bench);
}

static void settings_of_the_group_come_first(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    coordinator_fixture_set_setting(&bench.fixture, CONFIG_RESOURCE_GROUP, "g",
                                    "consumer.session.timeout.ms", "50000");
    coordinator_fixture_set_setting(&bench.fixture, CONFIG_RESOURCE_GROUP, "g",
                                    "consumer.heartbeat.interval.ms", "7000");
    struct bench_member a = member_of("a");
    assert_int_equal(bench_join(&bench, &a).interval_ms, 7000);
    coordinator_fixture_advance(&bench.fixture, 49999);
    assert_non_null(bench_find(&bench, "a"));
    coordinator_fixture_advance(&bench.fixture, 1);
    assert_null(bench_find(&bench, "a"));
    consumer_bench_deinit(&bench);
}

static void what_changes_the_assignment_raises_the_epoch(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 2);
    struct bench_member a = member_of("a");
    bench_join(&bench, &a);
    assert_int_equal(bench_group(&bench)->epoch, 1);
    bench_join(&bench, &a); /* says the same again */
    assert_int_equal(bench_group(&bench)->epoch, 1);
    struct consumer_group_heartbeat_request request = bench_join_request(&bench, &a);
    request.member_epoch = a.epoch;
    request.rack_id = VIEW_LITERAL("r"); /* is written, changes nothing */
    uint64_t records = bench_records(&bench);
    bench_ask(&bench, &request);
    assert_int_equal(bench_records(&bench), records + 1);
    assert_int_equal(bench_group(&bench)->epoch, 1);
    consumer_bench_topic(&bench, "other", 1); /* nobody subscribes to it */
    bench_beat(&bench, &a);
    assert_int_equal(bench_group(&bench)->epoch, 1);
    a.topics[1] = "other";
    request = bench_join_request(&bench, &a);
    request.member_epoch = a.epoch;
    assert_int_equal(bench_ask(&bench, &request).assigned, 0x103);
    assert_int_equal(bench_group(&bench)->epoch, 2);
    coordinator_fixture_delete_topic(&bench.fixture, "other");
    bench_beat_owning(&bench, &a, 3);
    a.epoch = 2;
    assert_int_equal(bench_group(&bench)->epoch, 3);
    assert_int_equal(bench_find(&bench, "a")->progress.assigned->partition_count, 2);
    consumer_bench_deinit(&bench);
}

static void an_unsubscribed_topic_is_taken_back_at_once(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 2);
    consumer_bench_topic(&bench, "u", 2);
    struct bench_member a = {.id = "a", .topics = {"t", "u"}};
    assert_int_equal(bench_join(&bench, &a).assigned, 0x303);
    a.topics[1] = NULL;
    struct consumer_group_heartbeat_request request = bench_join_request(&bench, &a);
    request.member_epoch = a.epoch;
    request.topic_partitions = NULL;
    struct bench_answer answer = bench_ask(&bench, &request);
    assert_int_equal(answer.assigned, 3);
    assert_int_equal(answer.epoch, 1);
    assert_int_equal(bench_beat_owning(&bench, &a, 3).epoch, 2);
    consumer_bench_deinit(&bench);
}

static void most_wishes_choose_the_assignor(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 3);
    consumer_bench_topic(&bench, "u", 3);
    struct bench_member a = {.id = "a", .topics = {"t", "u"}, .assignor = "range"};
    struct bench_member b = {.id = "b", .topics = {"t", "u"}};
    bench_join(&bench, &a);
    bench_join(&bench, &b);
    struct bench_member *both[] = {&a, &b};
    bench_settle(&bench, both, 2);
    assert_int_equal(a.owned, 0x303); /* the same extra in each topic */
    assert_int_equal(b.owned, 0x404);
    consumer_bench_deinit(&bench);
}

/* ---- Leaving, static members ---- */

static void a_member_that_leaves_frees_what_it_had(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 2);
    struct bench_member a = member_of("a");
    struct bench_member b = member_of("b");
    bench_join(&bench, &a);
    bench_join(&bench, &b);
    struct bench_answer answer = bench_leave(&bench, &a, -1);
    assert_int_equal(answer.error, KAFKA_ERROR_NONE);
    assert_int_equal(answer.epoch, -1);
    assert_string_equal(answer.member_id, "a");
    assert_false(answer.has_assignment);
    assert_int_equal(bench_beat(&bench, &b).assigned, 3);
    assert_int_equal(bench_leave(&bench, &b, -1).error, KAFKA_ERROR_NONE);
    assert_int_equal(consumer_group_state(bench_group(&bench)), CONSUMER_GROUP_EMPTY);
    assert_int_equal(map_count(&bench_group(&bench)->owners), 0);
    consumer_bench_deinit(&bench);
}

static void a_static_member_that_pauses_keeps_its_place(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 4);
    struct bench_member a = {.id = "a", .instance = "i", .topics = {"t"}};
    struct bench_member b = member_of("b");
    bench_join(&bench, &a);
    bench_join(&bench, &b);
    struct bench_member *both[] = {&a, &b};
    bench_settle(&bench, both, 2);
    uint32_t owned = a.owned;
    struct bench_member other = {.id = "a2", .instance = "i", .topics = {"t"}};
    assert_int_equal(bench_join(&bench, &other).error, KAFKA_ERROR_UNRELEASED_INSTANCE_ID);
    assert_int_equal(bench_join(&bench, &a).error, KAFKA_ERROR_UNRELEASED_INSTANCE_ID);
    other.epoch = 2;
    assert_int_equal(bench_beat(&bench, &other).error, KAFKA_ERROR_FENCED_INSTANCE_ID);
    assert_int_equal(bench_leave(&bench, &other, -2).error, KAFKA_ERROR_FENCED_INSTANCE_ID);
    int32_t epoch = bench_group(&bench)->epoch;
    struct bench_answer answer = bench_leave(&bench, &a, -2);
    assert_int_equal(answer.error, KAFKA_ERROR_NONE);
    assert_int_equal(answer.epoch, -2);
    assert_int_equal(bench_find(&bench, "a")->progress.epoch, -2);
    assert_false(bench_beat(&bench, &b).has_assignment);
    /* Back under another id, with the same subscription: the same partitions, no new epoch. */
    answer = bench_join(&bench, &other);
    assert_int_equal(answer.error, KAFKA_ERROR_NONE);
    assert_int_equal(answer.assigned, owned);
    assert_int_equal(answer.epoch, epoch);
    assert_int_equal(bench_group(&bench)->epoch, epoch);
    assert_null(bench_find(&bench, "a"));
    assert_int_equal(bench_beat(&bench, &a).error, KAFKA_ERROR_FENCED_INSTANCE_ID);
    /* And back under its own id. */
    assert_int_equal(bench_leave(&bench, &other, -2).error, KAFKA_ERROR_NONE);
    answer = bench_join(&bench, &other);
    assert_int_equal(answer.assigned, owned);
    assert_int_equal(bench_group(&bench)->epoch, epoch);
    /* Not back within the session: gone like any other. */
    bench_leave(&bench, &other, -2);
    coordinator_fixture_advance(&bench.fixture, 40000);
    bench_beat(&bench, &b);
    coordinator_fixture_advance(&bench.fixture, 5000);
    assert_null(bench_find(&bench, "a2"));
    assert_int_equal(bench_beat(&bench, &b).assigned, 15);
    consumer_bench_deinit(&bench);
}

static void a_static_member_leaves_for_good_with_minus_one(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct bench_member a = {.id = "a", .instance = "i", .topics = {"t"}};
    bench_join(&bench, &a);
    assert_int_equal(bench_leave(&bench, &a, -1).epoch, -1);
    assert_int_equal(map_count(&bench_group(&bench)->instances), 0);
    assert_int_equal(bench_group(&bench)->epoch, 2);
    consumer_bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_says_too_little_is_refused),
        cmocka_unit_test(version_0_may_leave_the_member_id_to_the_coordinator),
        cmocka_unit_test(who_is_not_known_is_told_so),
        cmocka_unit_test(a_full_group_takes_known_members_only),
        cmocka_unit_test(epochs_that_do_not_fit_are_fenced),
        cmocka_unit_test(the_assignment_is_told_when_it_is_news),
        cmocka_unit_test(an_unchanged_heartbeat_touches_no_log_and_takes_no_memory),
        cmocka_unit_test(nothing_is_answered_before_it_is_committed),
        cmocka_unit_test(a_refused_append_changes_nothing),
        cmocka_unit_test(partitions_move_only_after_they_were_given_up),
        cmocka_unit_test(who_does_not_give_up_in_time_is_fenced),
        cmocka_unit_test(a_silent_member_is_fenced_when_its_session_ends),
        cmocka_unit_test(sessions_go_on_after_a_load),
        cmocka_unit_test(settings_of_the_group_come_first),
        cmocka_unit_test(what_changes_the_assignment_raises_the_epoch),
        cmocka_unit_test(an_unsubscribed_topic_is_taken_back_at_once),
        cmocka_unit_test(most_wishes_choose_the_assignor),
        cmocka_unit_test(a_member_that_leaves_frees_what_it_had),
        cmocka_unit_test(a_static_member_that_pauses_keeps_its_place),
        cmocka_unit_test(a_static_member_leaves_for_good_with_minus_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
