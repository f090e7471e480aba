/*
 * Times of the classic protocol: the initial delay, the ends of both phases, sessions. Virtual time
 * moves by exactly what a test says; one more millisecond is the wheel's tick.
 */
#include "tests/unit/consumer/group_bench.h"

static const char *const g = "g";

static void join_at(struct member *member, int64_t ms)
{
    bench_advance(ms);
    member_join(member, &(struct joining){.group = g});
}

/* Initial delay 3000, rebalance timeout 20000: joins at 0, 2900 and 5800; the end is at 9000. */
static void the_initial_delay_is_prolonged_while_members_come(void **state)
{
    (void)state;
    group_bench_start();
    struct member members[3];
    join_at(&members[0], 0);
    join_at(&members[1], 2900);
    join_at(&members[2], 2900);
    bench_advance(3190);
    assert_false(asked_is_told(&members[0].join));
    bench_advance(20);
    for (int i = 0; i < 3; i++)
        member_joined(&members[i]);
    assert_int_equal(members[0].join.join.members_count, 3);
    group_bench_end();
}

static void the_initial_delay_ends_with_the_rebalance_timeout(void **state)
{
    (void)state;
    group_bench_start();
    struct member members[8];
    /* One more every 2 s: at 6 s (the timeout of all) nobody is waited for any more. */
    int count = 0;
    while (count < 3) {
        bench_advance(count == 0 ? 0 : 2000);
        member_join(&members[count++], &(struct joining){.group = g, .rebalance_ms = 6000});
    }
    bench_advance(1990);
    assert_false(asked_is_told(&members[0].join));
    bench_advance(30);
    for (int i = 0; i < count; i++)
        member_joined(&members[i]);
    group_bench_end();
}

static void without_initial_delay_the_first_is_answered_at_once(void **state)
{
    (void)state;
    group_bench_prepare();
    bench()->config.settings.group_initial_rebalance_delay_ms = 0;
    group_bench_load();
    struct member member;
    join_at(&member, 0);
    bench_advance(1);
    member_joined(&member);
    group_bench_end();
}

static void who_does_not_come_back_is_left_out(void **state)
{
    (void)state;
    group_bench_start();
    struct member first, second;
    one_stable_member(&first, "a");
    member_join(&second, &(struct joining){.group = g});
    /* The first one lives, but does not join again. */
    for (int i = 0; i < 4; i++) {
        assert_false(asked_is_told(&second.join));
        bench_advance(REBALANCE_MS / 4 - 10);
        if (i < 3)
            assert_int_equal(heartbeat_error(g, first.id, 1), KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    }
    bench_advance(50);
    member_joined(&second);
    assert_int_equal(second.generation, 2);
    assert_int_equal(second.join.join.members_count, 1);
    assert_int_equal(heartbeat_error(g, first.id, 1), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    group_bench_end();
}

static void a_silent_member_is_removed_like_one_that_leaves(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    one_stable_member(&member, "a");
    bench_advance(SESSION_MS - 10);
    assert_state(g, "Stable");
    bench_advance(20);
    assert_state(g, "Empty");
    assert_int_equal(bench_classic(g)->generation, 2);
    group_bench_end();
}

/* Each of them keeps the session; a commit of the past generation does not. */
static void what_keeps_a_session(void **state)
{
    (void)state;
    enum { HEARTBEAT, COMMIT, SYNC, OLD_COMMIT, FETCH, WAYS };
    for (int way = 0; way < WAYS; way++) {
        group_bench_start();
        struct member member;
        one_stable_member(&member, "a");
        for (int i = 0; i < 3; i++) {
            bench_advance(SESSION_MS - 100);
            if (way == HEARTBEAT)
                heartbeat_error(g, member.id, 1);
            if (way == COMMIT)
                commit_error(
                    &(struct committing){.group = g, .member = member.id, .generation = 1});
            if (way == OLD_COMMIT)
                commit_error(
                    &(struct committing){.group = g, .member = member.id, .generation = 2});
            if (way == SYNC)
                sync_error(&(struct syncing){.group = g, .member = member.id, .generation = 1});
            if (way == FETCH)
                committed(g, "topic", 0);
        }
        assert_state(g, way == FETCH || way == OLD_COMMIT ? "Empty" : "Stable");
        group_bench_end();
    }
}

static void who_waits_in_a_join_does_not_expire(void **state)
{
    (void)state;
    group_bench_start();
    struct member first, second;
    one_stable_member(&first, "a");
    /* The first joins again at once and waits for the second, who has until the rebalance ends. */
    member_join(&second, &(struct joining){.group = g, .version = 3});
    member_rejoin(&first, &(struct joining){.group = g});
    member_joined(&first);
    member_joined(&second);
    sync_error(&(struct syncing){.group = g, .member = first.id, .generation = 2});
    sync_error(&(struct syncing){.group = g, .member = second.id, .generation = 2});
    member_rejoin(&first, &(struct joining){.group = g});
    bench_advance(SESSION_MS - 10);
    heartbeat_error(g, second.id, 2);
    bench_advance(SESSION_MS - 10);
    assert_false(asked_is_told(&first.join));
    bench_advance(100);
    member_joined(&first);
    assert_int_equal(first.generation, 3);
    group_bench_end();
}

static void a_new_member_is_kept_five_minutes(void **state)
{
    (void)state;
    group_bench_start();
    struct member old, fresh;
    member_join(&old, &(struct joining){.group = g, .rebalance_ms = 1800000});
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&old);
    sync_error(&(struct syncing){.group = g, .member = old.id, .generation = 1});
    /* A client of version 3 whose answer waits for the old member, which only beats. */
    member_join(&fresh, &(struct joining){.group = g, .version = 3, .rebalance_ms = 1800000});
    for (int passed_ms = 0; passed_ms < 5 * 60 * 1000 - 6000; passed_ms += 5000) {
        bench_advance(5000);
        heartbeat_error(g, old.id, 1);
    }
    assert_false(asked_is_told(&fresh.join));
    bench_advance(5000);
    heartbeat_error(g, old.id, 1);
    bench_advance(2000);
    assert_answered(&fresh.join);
    assert_int_equal(fresh.join.join.error_code, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    asked_end(&fresh.join);
    assert_int_equal(classic_group_size(bench_classic(g)), 1);
    group_bench_end();
}

static void an_id_that_nobody_uses_is_forgotten(void **state)
{
    (void)state;
    group_bench_start();
    for (int i = 0; i < 1000; i++)
        join_error(&(struct joining){.group = g});
    assert_int_equal(map_count(&bench_classic(g)->pending), 1000);
    bench_advance(SESSION_MS + 1);
    assert_int_equal(map_count(&bench_classic(g)->pending), 0);
    group_bench_end();
}

static void a_rebalance_waits_for_ids_that_were_given_out(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    one_stable_member(&member, "a");
    join_error(&(struct joining){.group = g}); /* takes an id and does not come */
    member_rejoin(&member, &(struct joining){.group = g});
    assert_false(asked_is_told(&member.join));
    bench_advance(SESSION_MS + 1);
    member_joined(&member);
    group_bench_end();
}

static void a_leader_that_does_not_sync_is_removed(void **state)
{
    (void)state;
    group_bench_start();
    struct member leader, follower;
    member_join(&leader, &(struct joining){.group = g});
    member_join(&follower, &(struct joining){.group = g});
    bench_advance(INITIAL_DELAY_MS);
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&leader);
    member_joined(&follower);
    struct asked sync;
    ask_sync(&sync, &(struct syncing){.group = g, .member = follower.id, .generation = 1});
    for (int i = 0; i < 4; i++) { /* it beats all the same */
        assert_false(asked_is_told(&sync));
        heartbeat_error(g, leader.id, 1);
        bench_advance(REBALANCE_MS / 4 + 5);
    }
    assert_answered(&sync);
    assert_int_equal(sync.sync.error_code, KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    asked_end(&sync);
    assert_int_equal(heartbeat_error(g, leader.id, 1), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    member_rejoin(&follower, &(struct joining){.group = g});
    member_joined(&follower);
    assert_int_equal(follower.generation, 2);
    group_bench_end();
}

static void a_follower_that_does_not_sync_is_removed_too(void **state)
{
    (void)state;
    group_bench_start();
    struct member leader, follower;
    member_join(&leader, &(struct joining){.group = g});
    member_join(&follower, &(struct joining){.group = g});
    bench_advance(INITIAL_DELAY_MS);
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&leader);
    member_joined(&follower);
    sync_error(&(struct syncing){.group = g, .member = leader.id, .generation = 1});
    for (int i = 0; i < 4; i++) {
        heartbeat_error(g, leader.id, 1);
        heartbeat_error(g, follower.id, 1);
        bench_advance(REBALANCE_MS / 4 + 5);
    }
    assert_state(g, "PreparingRebalance");
    assert_int_equal(heartbeat_error(g, follower.id, 1), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    group_bench_end();
}

/* This node stood still: what its members sent meanwhile is not read yet (T-39). */
static void a_stall_gives_members_a_moment(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    one_stable_member(&member, "a");
    bench_stall(10 * SESSION_MS);
    assert_int_equal(heartbeat_error(g, member.id, 1), KAFKA_ERROR_NONE);
    bench_stall(10 * SESSION_MS);
    bench_advance(1010);
    assert_state(g, "Empty");
    group_bench_end();
}

static void sessions_begin_anew_with_a_load(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    one_stable_member(&member, "a");
    bench_advance(SESSION_MS - 100);
    coordinator_fixture_reload(bench());
    bench_advance(SESSION_MS - 100);
    assert_state(g, "Stable");
    bench_advance(200);
    assert_state(g, "Empty");
    group_bench_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_initial_delay_is_prolonged_while_members_come),
        cmocka_unit_test(the_initial_delay_ends_with_the_rebalance_timeout),
        cmocka_unit_test(without_initial_delay_the_first_is_answered_at_once),
        cmocka_unit_test(who_does_not_come_back_is_left_out),
        cmocka_unit_test(a_silent_member_is_removed_like_one_that_leaves),
        cmocka_unit_test(what_keeps_a_session),
        cmocka_unit_test(who_waits_in_a_join_does_not_expire),
        cmocka_unit_test(a_new_member_is_kept_five_minutes),
        cmocka_unit_test(an_id_that_nobody_uses_is_forgotten),
        cmocka_unit_test(a_rebalance_waits_for_ids_that_were_given_out),
        cmocka_unit_test(a_leader_that_does_not_sync_is_removed),
        cmocka_unit_test(a_follower_that_does_not_sync_is_removed_too),
        cmocka_unit_test(a_stall_gives_members_a_moment),
        cmocka_unit_test(sessions_begin_anew_with_a_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
