/* Static members (KIP-345): they keep their place while they are away, and fence each other. */
#include "tests/unit/consumer/group_bench.h"

static const char *const g = "g";

/* A stable group with the static members "one" (leading) and "two". */
static void two_static_members(struct member *one, struct member *two)
{
    member_join(one, &(struct joining){.group = g, .instance = "one"});
    member_join(two, &(struct joining){.group = g, .instance = "two"});
    bench_advance(INITIAL_DELAY_MS);
    bench_advance(INITIAL_DELAY_MS);
    member_joined(one);
    member_joined(two);
    assert_int_equal(sync_error(&(struct syncing){.group = g,
                                                  .member = one->id,
                                                  .generation = 1,
                                                  .to = {one->id, two->id},
                                                  .assignment = {"first", "second"}}),
                     KAFKA_ERROR_NONE);
}

static void a_static_member_needs_no_second_join(void **state)
{
    (void)state;
    group_bench_start();
    struct member one;
    member_join(&one, &(struct joining){.group = g, .instance = "one"});
    assert_false(asked_is_told(&one.join));
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&one);
    assert_true(strncmp(one.id, "one-", 4) == 0);
    group_bench_end();
}

/* Version, who comes back: what it is told. The group goes on in its generation. */
static void one_that_comes_back_finds_its_place(void **state)
{
    (void)state;
    for (int16_t version = 8; version <= 9; version++) {
        for (int leads = 0; leads < 2; leads++) {
            group_bench_start();
            struct member one, two, back;
            two_static_members(&one, &two);
            member_join(&back, &(struct joining){.group = g,
                                                 .version = version,
                                                 .instance = leads ? "one" : "two",
                                                 .metadata = {"changed"}});
            assert_answered(&back.join);
            const struct join_group_response *answer = &back.join.join;
            bool skips = version >= 9 && leads;
            assert_int_equal(answer->skip_assignment, skips);
            assert_int_equal(answer->members_count, skips ? 2 : 0);
            bool names_itself = view_equal(answer->leader, answer->member_id);
            assert_int_equal(names_itself, skips);
            if (version < 9)
                assert_true(view_equal(answer->leader, view_of_string(one.id)));
            member_joined(&back);
            assert_int_equal(back.generation, 1);
            struct asked sync;
            ask_sync(&sync, &(struct syncing){.group = g, .member = back.id, .generation = 1});
            assert_true(
                view_equal(sync.sync.assignment, view_of_string(leads ? "first" : "second")));
            asked_end(&sync);
            /* It is written: the id outlives the node. */
            coordinator_fixture_crash(bench());
            assert_int_equal(heartbeat_error(g, back.id, 1), KAFKA_ERROR_NONE);
            assert_int_equal(heartbeat_error(g, leads ? one.id : two.id, 1),
                             KAFKA_ERROR_UNKNOWN_MEMBER_ID);
            group_bench_end();
        }
    }
}

static void the_old_id_is_fenced_everywhere(void **state)
{
    (void)state;
    group_bench_start();
    struct member one, two, back;
    two_static_members(&one, &two);
    member_join(&back, &(struct joining){.group = g, .instance = "two"});
    member_joined(&back);
    struct asked asked;
    ask_heartbeat(&asked, g, two.id, "two", 1);
    assert_int_equal(asked.heartbeat.error_code, KAFKA_ERROR_FENCED_INSTANCE_ID);
    asked_end(&asked);
    assert_int_equal(sync_error(&(struct syncing){
                         .group = g, .member = two.id, .instance = "two", .generation = 1}),
                     KAFKA_ERROR_FENCED_INSTANCE_ID);
    assert_int_equal(commit_error(&(struct committing){
                         .group = g, .member = two.id, .instance = "two", .generation = 1}),
                     KAFKA_ERROR_FENCED_INSTANCE_ID);
    assert_int_equal(join_error(&(struct joining){.group = g, .member = two.id, .instance = "two"}),
                     KAFKA_ERROR_FENCED_INSTANCE_ID);
    ask_leave(&asked, g, two.id, "two");
    assert_int_equal(asked.leave.members[0].error_code, KAFKA_ERROR_FENCED_INSTANCE_ID);
    asked_end(&asked);
    ask_heartbeat(&asked, g, two.id, "three", 1);
    assert_int_equal(asked.heartbeat.error_code, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    asked_end(&asked);
    group_bench_end();
}

/* Two processes with one instance id fence each other in turn; never do both own (T-24). */
static void two_owners_of_an_instance_take_turns(void **state)
{
    (void)state;
    group_bench_start();
    struct member one, two, turns[4];
    two_static_members(&one, &two);
    struct member *owner = &two;
    for (int i = 0; i < 4; i++) {
        member_join(&turns[i], &(struct joining){.group = g, .instance = "two"});
        member_joined(&turns[i]);
        struct asked asked;
        ask_heartbeat(&asked, g, owner->id, "two", 1);
        assert_int_equal(asked.heartbeat.error_code, KAFKA_ERROR_FENCED_INSTANCE_ID);
        asked_end(&asked);
        owner = &turns[i];
        ask_heartbeat(&asked, g, owner->id, "two", 1);
        assert_int_equal(asked.heartbeat.error_code, KAFKA_ERROR_NONE);
        asked_end(&asked);
        assert_int_equal(classic_group_size(bench_classic(g)), 2);
    }
    group_bench_end();
}

static void another_choice_of_protocol_makes_a_rebalance(void **state)
{
    (void)state;
    group_bench_start();
    struct member one, back;
    member_join(&one,
                &(struct joining){.group = g, .instance = "one", .protocols = {"range", "other"}});
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&one);
    sync_error(&(struct syncing){.group = g, .member = one.id, .generation = 1});
    member_join(&back,
                &(struct joining){.group = g, .instance = "one", .protocols = {"other", "range"}});
    member_joined(&back);
    assert_int_equal(back.generation, 2);
    group_bench_end();
}

static void a_replacement_while_completing_begins_anew(void **state)
{
    (void)state;
    group_bench_start();
    struct member one, two, back;
    member_join(&one, &(struct joining){.group = g, .instance = "one"});
    member_join(&two, &(struct joining){.group = g, .instance = "two"});
    bench_advance(INITIAL_DELAY_MS);
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&one);
    member_joined(&two);
    struct asked sync;
    ask_sync(&sync,
             &(struct syncing){.group = g, .member = two.id, .instance = "two", .generation = 1});
    member_join(&back, &(struct joining){.group = g, .instance = "two"});
    assert_answered(&sync); /* the old id waited */
    assert_int_equal(sync.sync.error_code, KAFKA_ERROR_FENCED_INSTANCE_ID);
    asked_end(&sync);
    assert_false(asked_is_told(&back.join));
    assert_state(g, "PreparingRebalance");
    member_rejoin(&one, &(struct joining){.group = g, .instance = "one"});
    member_joined(&one);
    member_joined(&back);
    assert_int_equal(back.generation, 2);
    group_bench_end();
}

static void a_replacement_that_cannot_be_written_is_undone(void **state)
{
    (void)state;
    group_bench_start();
    struct member one, two;
    two_static_members(&one, &two);
    coordinator_fixture_refuse(bench(), true);
    assert_int_equal(join_error(&(struct joining){.group = g, .instance = "two"}),
                     KAFKA_ERROR_NOT_COORDINATOR);
    coordinator_fixture_refuse(bench(), false);
    struct asked asked;
    ask_heartbeat(&asked, g, two.id, "two", 1);
    assert_int_equal(asked.heartbeat.error_code, KAFKA_ERROR_NONE);
    asked_end(&asked);
    group_bench_end();
}

/* Away within the session: no rebalance. Away for longer: like any member that is gone. */
static void a_static_member_is_kept_for_its_session(void **state)
{
    (void)state;
    group_bench_start();
    struct member one, two;
    two_static_members(&one, &two);
    bench_advance(SESSION_MS - 100);
    heartbeat_error(g, one.id, 1);
    assert_state(g, "Stable");
    bench_advance(200);
    assert_state(g, "PreparingRebalance");
    assert_int_equal(classic_group_size(bench_classic(g)), 1);
    group_bench_end();
}

/* A rebalance in which nobody but static members is expected waits for their sessions. */
static void static_members_that_are_away_hold_the_join_open(void **state)
{
    (void)state;
    group_bench_start();
    struct member one, two;
    member_join(&one,
                &(struct joining){
                    .group = g, .instance = "one", .session_ms = 60000, .rebalance_ms = 1000});
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&one);
    sync_error(&(struct syncing){.group = g, .member = one.id, .generation = 1});
    member_join(&two, &(struct joining){.group = g, .rebalance_ms = 1000});
    assert_int_equal(leave_error(g, two.id), KAFKA_ERROR_NONE);
    asked_end(&two.join);
    for (int i = 0; i < 20; i++)
        bench_advance(1001);
    assert_state(g, "PreparingRebalance");
    member_rejoin(&one, &(struct joining){.group = g, .instance = "one"});
    member_joined(&one);
    assert_int_equal(one.generation, 2);
    group_bench_end();
}

static void an_administrator_removes_by_instance(void **state)
{
    (void)state;
    group_bench_start();
    struct member one, two;
    two_static_members(&one, &two);
    static const struct {
        const char *member, *instance;
        int error;
    } cases[] = {
        {"", NULL, 25}, {"", "three", 25}, {"x", "two", 82}, {"", "two", 0}, {"", "two", 25},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct asked asked;
        ask_leave(&asked, g, cases[i].member, cases[i].instance);
        assert_answered(&asked);
        assert_int_equal(asked.leave.members[0].error_code, cases[i].error);
        asked_end(&asked);
    }
    assert_state(g, "PreparingRebalance");
    group_bench_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_static_member_needs_no_second_join),
        cmocka_unit_test(one_that_comes_back_finds_its_place),
        cmocka_unit_test(the_old_id_is_fenced_everywhere),
        cmocka_unit_test(two_owners_of_an_instance_take_turns),
        cmocka_unit_test(another_choice_of_protocol_makes_a_rebalance),
        cmocka_unit_test(a_replacement_while_completing_begins_anew),
        cmocka_unit_test(a_replacement_that_cannot_be_written_is_undone),
        cmocka_unit_test(a_static_member_is_kept_for_its_session),
        cmocka_unit_test(static_members_that_are_away_hold_the_join_open),
        cmocka_unit_test(an_administrator_removes_by_instance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
