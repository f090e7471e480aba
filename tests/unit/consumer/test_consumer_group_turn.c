/*
 * Many heartbeats in one turn of the loop: one target for the first and one for all others, every
 * one answered, and the group where it would be had they come one by one.
 */
#include "base/random.h"
#include "tests/unit/consumer/consumer_bench.h"

enum { MEMBERS = 12, PARTITIONS = 8, TYPE_EPOCH = 3, TYPE_TARGET_EPOCH = 6 };

static const char *const ids[MEMBERS] = {"f", "a", "k", "c", "l", "b",
                                         "h", "d", "i", "e", "j", "g"};

struct turn {
    struct consumer_bench bench;
    struct bench_member members[MEMBERS];
    struct bench_sent sent[MEMBERS];
};

static void turn_init(struct turn *turn, const char *assignor)
{
    memset(turn, 0, sizeof(*turn));
    consumer_bench_init(&turn->bench);
    consumer_bench_topic(&turn->bench, "t", PARTITIONS);
    for (unsigned i = 0; i < MEMBERS; i++)
        turn->members[i] =
            (struct bench_member){.id = ids[i], .topics = {"t"}, .assignor = assignor};
}

static void send_join(struct turn *turn, unsigned i)
{
    struct consumer_group_heartbeat_request request =
        bench_join_request(&turn->bench, &turn->members[i]);
    bench_send(&turn->bench, &turn->sent[i], &request);
}

static struct bench_answer receive(struct turn *turn, unsigned i)
{
    struct bench_answer answer = bench_receive(&turn->bench, &turn->sent[i]);
    bench_note(&turn->members[i], &answer);
    return answer;
}

static void settle(struct turn *turn, unsigned first, unsigned count)
{
    struct bench_member *members[MEMBERS];
    for (unsigned i = 0; i < count; i++)
        members[i] = &turn->members[first + i];
    bench_settle(&turn->bench, members, count);
}

/* Everything is owned once, and everybody is where the target is. */
static void assert_settled(struct turn *turn, unsigned members)
{
    const struct consumer_group *consumer = bench_group(&turn->bench);
    consumer_group_check(consumer);
    assert_int_equal(consumer->member_count, members);
    assert_int_equal(consumer_group_state(consumer), CONSUMER_GROUP_STABLE);
    uint32_t owned = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        assert_int_equal(owned & turn->members[i].owned, 0);
        owned |= turn->members[i].owned;
    }
    assert_int_equal(owned, (1u << PARTITIONS) - 1);
}

static void joins_of_one_turn_get_one_target_more(void **state)
{
    (void)state;
    struct turn turn;
    turn_init(&turn, NULL);
    for (unsigned i = 0; i < MEMBERS; i++)
        send_join(&turn, i);
    const struct consumer_group *consumer = bench_group(&turn.bench);
    assert_int_equal(consumer->epoch, MEMBERS);
    assert_int_equal(consumer->assignment_epoch, 1);
    assert_int_equal(consumer_group_state(consumer), CONSUMER_GROUP_ASSIGNING);
    coordinator_fixture_run(&turn.bench.fixture);
    assert_int_equal(consumer->assignment_epoch, MEMBERS);
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct bench_answer answer = receive(&turn, i);
        assert_int_equal(answer.error, KAFKA_ERROR_NONE);
        assert_int_equal(answer.epoch, i == 0 ? 1 : MEMBERS);
        assert_true(answer.has_assignment);
        assert_int_equal(answer.assigned, i == 0 ? (1u << PARTITIONS) - 1 : 0);
    }
    /* An epoch for every join, as ever; a target for the first and for all others. */
    assert_int_equal(coordinator_fixture_count(&turn.bench.fixture, TYPE_EPOCH), MEMBERS);
    assert_int_equal(coordinator_fixture_count(&turn.bench.fixture, TYPE_TARGET_EPOCH), 2);
    settle(&turn, 0, MEMBERS);
    assert_settled(&turn, MEMBERS);
    assert_int_equal(coordinator_fixture_count(&turn.bench.fixture, TYPE_TARGET_EPOCH), 2);
    consumer_bench_deinit(&turn.bench);
}

static void a_join_alone_in_its_turn_is_answered_in_it(void **state)
{
    (void)state;
    struct turn turn;
    turn_init(&turn, NULL);
    for (unsigned i = 0; i < 3; i++) {
        send_join(&turn, i);
        assert_int_equal(bench_group(&turn.bench)->assignment_epoch, i + 1);
        coordinator_fixture_run(&turn.bench.fixture);
        assert_int_equal(receive(&turn, i).epoch, i + 1);
    }
    consumer_bench_deinit(&turn.bench);
}

/* What a member hears with the target of the turn is what it would hear one turn later. */
static void a_member_that_beats_in_between_goes_on_with_the_others(void **state)
{
    (void)state;
    struct turn turn;
    turn_init(&turn, NULL);
    send_join(&turn, 0);
    coordinator_fixture_run(&turn.bench.fixture);
    receive(&turn, 0);
    send_join(&turn, 1);
    send_join(&turn, 2);
    struct consumer_group_heartbeat_request beat =
        bench_beat_request(&turn.bench, &turn.members[0]);
    bench_send(&turn.bench, &turn.sent[0], &beat);
    coordinator_fixture_run(&turn.bench.fixture);
    receive(&turn, 1);
    receive(&turn, 2);
    struct bench_answer answer = receive(&turn, 0);
    assert_int_equal(answer.epoch, 1); /* it is to give up some first */
    assert_true(answer.has_assignment);
    assert_int_equal(__builtin_popcount(answer.assigned), 3);
    assert_int_equal(bench_find(&turn.bench, ids[0])->progress.state, MEMBER_UNREVOKED_PARTITIONS);
    settle(&turn, 0, 3);
    assert_settled(&turn, 3);
    consumer_bench_deinit(&turn.bench);
}

static void a_parked_member_that_leaves_is_unknown(void **state)
{
    (void)state;
    struct turn turn;
    turn_init(&turn, NULL);
    send_join(&turn, 0);
    send_join(&turn, 1);
    struct consumer_group_heartbeat_request leave =
        bench_beat_request(&turn.bench, &turn.members[1]);
    leave.member_epoch = MEMBER_EPOCH_LEAVE;
    bench_send(&turn.bench, &turn.sent[2], &leave);
    coordinator_fixture_run(&turn.bench.fixture);
    assert_int_equal(receive(&turn, 0).error, KAFKA_ERROR_NONE);
    assert_int_equal(receive(&turn, 1).error, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(bench_receive(&turn.bench, &turn.sent[2]).error, KAFKA_ERROR_NONE);
    settle(&turn, 0, 1);
    assert_settled(&turn, 1);
    consumer_bench_deinit(&turn.bench);
}

static void a_static_member_may_come_back_among_many(void **state)
{
    (void)state;
    struct turn turn;
    turn_init(&turn, NULL);
    turn.members[0].instance = "i";
    send_join(&turn, 0);
    coordinator_fixture_run(&turn.bench.fixture);
    receive(&turn, 0);
    uint32_t owned = turn.members[0].owned;
    assert_int_equal(bench_leave(&turn.bench, &turn.members[0], MEMBER_EPOCH_LEAVE_STATIC).error,
                     KAFKA_ERROR_NONE);
    turn.members[3] = turn.members[0];
    turn.members[3].id = "another";
    turn.members[0].owned = 0;
    send_join(&turn, 1);
    send_join(&turn, 2);
    send_join(&turn, 3);
    coordinator_fixture_run(&turn.bench.fixture);
    receive(&turn, 1);
    receive(&turn, 2);
    struct bench_answer answer = receive(&turn, 3);
    assert_int_equal(answer.error, KAFKA_ERROR_NONE);
    assert_int_equal(answer.assigned & ~owned, 0);
    assert_null(bench_find(&turn.bench, ids[0]));
    settle(&turn, 1, 3);
    assert_settled(&turn, 3);
    consumer_bench_deinit(&turn.bench);
}

/* ---- The log refuses, the append is lost, the coordinator ends ------------------------------- */

static void send_three(struct turn *turn)
{
    turn_init(turn, NULL);
    for (unsigned i = 0; i < 3; i++)
        send_join(turn, i);
}

static void receive_three(struct turn *turn, enum kafka_error first, enum kafka_error others)
{
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(receive(turn, i).error, i == 0 ? first : others);
}

static void join_again(struct turn *turn)
{
    for (unsigned i = 0; i < 3; i++) {
        turn->members[i].owned = 0;
        assert_int_equal(bench_join(&turn->bench, &turn->members[i]).error, KAFKA_ERROR_NONE);
    }
    settle(turn, 0, 3);
    assert_settled(turn, 3);
    consumer_bench_deinit(&turn->bench);
}

static void a_target_that_the_log_refuses_is_made_by_the_next_heartbeat(void **state)
{
    (void)state;
    struct turn turn;
    send_three(&turn);
    coordinator_fixture_refuse(&turn.bench.fixture, true);
    coordinator_fixture_run(&turn.bench.fixture);
    receive_three(&turn, KAFKA_ERROR_NONE, KAFKA_ERROR_NOT_COORDINATOR);
    const struct consumer_group *consumer = bench_group(&turn.bench);
    assert_int_equal(consumer->assignment_epoch, 1);
    coordinator_fixture_refuse(&turn.bench.fixture, false);
    assert_int_equal(bench_beat(&turn.bench, &turn.members[0]).error, KAFKA_ERROR_NONE);
    assert_int_equal(consumer->assignment_epoch, 3);
    join_again(&turn);
}

static void parked_heartbeats_hear_that_the_coordinator_ends(void **state)
{
    (void)state;
    struct turn turn;
    send_three(&turn);
    coordinator_fixture_reload(&turn.bench.fixture);
    receive_three(&turn, KAFKA_ERROR_NOT_COORDINATOR, KAFKA_ERROR_NOT_COORDINATOR);
    join_again(&turn);
}

static void parked_heartbeats_do_not_outlive_a_lost_append(void **state)
{
    (void)state;
    struct turn turn;
    turn_init(&turn, NULL);
    coordinator_fixture_lose_next(&turn.bench.fixture);
    for (unsigned i = 0; i < 3; i++)
        send_join(&turn, i);
    coordinator_fixture_run(&turn.bench.fixture);
    receive_three(&turn, KAFKA_ERROR_NOT_COORDINATOR, KAFKA_ERROR_NOT_COORDINATOR);
    join_again(&turn);
}

/* ---- One by one, or together ----------------------------------------------------------------- */

/* Ranges do not depend on earlier targets: the same changes lead to the same target, however they
 * are spread over turns. */
static void random_changes(struct turn *turn, uint64_t seed, unsigned per_turn)
{
    struct random_stream random;
    random_init(&random, seed, 3);
    bool in[MEMBERS] = {false};
    for (unsigned step = 0; step < 30; step++) {
        unsigned count = 1 + (unsigned)random_below(&random, MEMBERS);
        unsigned first = (unsigned)random_below(&random, MEMBERS);
        unsigned sent = 0;
        for (unsigned k = 0; k < count; k++) {
            unsigned i = (first + k) % MEMBERS;
            if (in[i]) {
                struct consumer_group_heartbeat_request leave =
                    bench_beat_request(&turn->bench, &turn->members[i]);
                leave.member_epoch = MEMBER_EPOCH_LEAVE;
                bench_send(&turn->bench, &turn->sent[i], &leave);
            } else {
                send_join(turn, i);
            }
            if (++sent < per_turn && k + 1 < count)
                continue;
            coordinator_fixture_run(&turn->bench.fixture);
            for (; sent > 0; sent--) {
                unsigned j = (first + k - (sent - 1)) % MEMBERS;
                assert_int_equal(receive(turn, j).error, KAFKA_ERROR_NONE);
                in[j] = !in[j];
                if (!in[j])
                    turn->members[j].owned = 0;
            }
        }
    }
}

/* Everybody still in the group goes where the target is. */
static void settle_who_is_in(struct turn *turn)
{
    const struct consumer_group *consumer = bench_group(&turn->bench);
    struct bench_member *members[MEMBERS];
    unsigned count = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (consumer && consumer_group_find_member(consumer, view_of_string(ids[i])))
            members[count++] = &turn->members[i];
    }
    bench_settle(&turn->bench, members, count);
    if (count > 0)
        assert_settled(turn, count);
}

static void changes_lead_to_one_target_however_they_come(const char *assignor)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct turn alone;
        struct turn together;
        turn_init(&alone, assignor);
        turn_init(&together, assignor);
        random_changes(&alone, seed, 1);
        random_changes(&together, seed, MEMBERS);
        assert_true(coordinator_fixture_count(&together.bench.fixture, TYPE_TARGET_EPOCH) <
                    coordinator_fixture_count(&alone.bench.fixture, TYPE_TARGET_EPOCH));
        settle_who_is_in(&alone);
        settle_who_is_in(&together);
        for (unsigned i = 0; i < MEMBERS; i++) {
            uint32_t a = alone.members[i].owned;
            uint32_t b = together.members[i].owned;
            if (assignor)
                assert_int_equal(a, b);
            else
                assert_in_range(__builtin_popcount(a) + 1 - __builtin_popcount(b), 0, 2);
        }
        const struct consumer_group *left = bench_group(&alone.bench);
        const struct consumer_group *right = bench_group(&together.bench);
        assert_int_equal(left->epoch, right->epoch);
        assert_int_equal(left->member_count, right->member_count);
        consumer_bench_deinit(&alone.bench);
        consumer_bench_deinit(&together.bench);
    }
}

static void ranges_are_the_same_however_the_changes_come(void **state)
{
    (void)state;
    changes_lead_to_one_target_however_they_come("range");
}

static void uniform_is_as_even_however_the_changes_come(void **state)
{
    (void)state;
    changes_lead_to_one_target_however_they_come(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_of_one_turn_get_one_target_more),
        cmocka_unit_test(a_join_alone_in_its_turn_is_answered_in_it),
        cmocka_unit_test(a_member_that_beats_in_between_goes_on_with_the_others),
        cmocka_unit_test(a_parked_member_that_leaves_is_unknown),
        cmocka_unit_test(a_static_member_may_come_back_among_many),
        cmocka_unit_test(a_target_that_the_log_refuses_is_made_by_the_next_heartbeat),
        cmocka_unit_test(parked_heartbeats_hear_that_the_coordinator_ends),
        cmocka_unit_test(parked_heartbeats_do_not_outlive_a_lost_append),
        cmocka_unit_test(ranges_are_the_same_however_the_changes_come),
        cmocka_unit_test(uniform_is_as_even_however_the_changes_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
