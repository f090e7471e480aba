/*
 * The tables of the classic protocol: each request in each state, its error and what comes of it.
 * Times are in test_classic_timers.c, static members in test_static_members.c.
 */
#include "tests/unit/consumer/group_bench.h"

#include <stdio.h>

static const char *const g = "g";

/* ---- JoinGroup ---- */

static void join_refuses_in_this_order(void **state)
{
    (void)state;
    static const struct {
        struct joining joining;
        int error;
    } cases[] = {
        {{.group = ""}, KAFKA_ERROR_INVALID_GROUP_ID},
        {{.group = "", .session_ms = 1}, KAFKA_ERROR_INVALID_GROUP_ID},
        {{.group = "g", .session_ms = 5999}, KAFKA_ERROR_INVALID_SESSION_TIMEOUT},
        {{.group = "g", .session_ms = 1800001}, KAFKA_ERROR_INVALID_SESSION_TIMEOUT},
        {{.group = "g", .member = "m"}, KAFKA_ERROR_UNKNOWN_MEMBER_ID},
        {{.group = "g", .type = ""}, KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL},
        {{.group = "g", .has_no_protocols = true}, KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL},
        {{.group = "g", .member = "m", .instance = "i"}, KAFKA_ERROR_UNKNOWN_MEMBER_ID},
        {{.group = "g", .member = "m"}, KAFKA_ERROR_UNKNOWN_MEMBER_ID},
        {{.group = "g", .version = 4}, KAFKA_ERROR_MEMBER_ID_REQUIRED},
        {{.group = "g", .version = 9}, KAFKA_ERROR_MEMBER_ID_REQUIRED},
    };
    group_bench_start();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(join_error(&cases[i].joining), cases[i].error);
    assert_int_equal(bench_classic(g)->state, CLASSIC_EMPTY);
    group_bench_end();
}

static void a_group_is_written_when_it_is_made(void **state)
{
    (void)state;
    group_bench_start();
    join_error(&(struct joining){.group = g});
    assert_int_equal(coordinator_fixture_count(bench(), 2), 1);
    join_error(&(struct joining){.group = g});
    assert_int_equal(coordinator_fixture_count(bench(), 2), 1);
    coordinator_fixture_crash(bench());
    assert_int_equal(bench_classic(g)->state, CLASSIC_EMPTY);
    assert_int_equal(bench_classic(g)->generation, 0);
    assert_true(bench_classic(g)->protocol_type.data == NULL);
    group_bench_end();
}

static void before_version_4_a_member_is_added_at_once(void **state)
{
    (void)state;
    for (int16_t version = 1; version <= 3; version++) {
        group_bench_start();
        struct member member;
        member_join(&member, &(struct joining){.group = g, .version = version});
        assert_false(asked_is_told(&member.join));
        assert_int_equal(classic_group_size(bench_classic(g)), 1);
        bench_advance(INITIAL_DELAY_MS);
        member_joined(&member);
        assert_true(strncmp(member.id, "client-", 7) == 0);
        assert_int_equal(strlen(member.id), 7 + 36);
        assert_int_equal(member.generation, 1);
        group_bench_end();
    }
}

static void only_the_leader_is_told_the_members(void **state)
{
    (void)state;
    group_bench_start();
    struct member first, second;
    member_join(&first, &(struct joining){.group = g, .metadata = {"one"}});
    member_join(&second, &(struct joining){.group = g, .metadata = {"two"}});
    bench_advance(INITIAL_DELAY_MS);
    bench_advance(INITIAL_DELAY_MS);
    const struct join_group_response *to_leader = &first.join.join;
    assert_int_equal(to_leader->members_count, 2);
    assert_true(view_equal(to_leader->members[0].metadata, VIEW_LITERAL("one")));
    assert_true(view_equal(to_leader->members[1].metadata, VIEW_LITERAL("two")));
    assert_true(view_equal(to_leader->leader, to_leader->member_id));
    assert_true(view_equal(to_leader->protocol_name, VIEW_LITERAL("range")));
    assert_true(view_equal(to_leader->protocol_type, VIEW_LITERAL("consumer")));
    assert_int_equal(second.join.join.members_count, 0);
    assert_true(view_equal(second.join.join.leader, to_leader->member_id));
    member_joined(&first);
    member_joined(&second);
    assert_int_equal(first.generation, second.generation);
    group_bench_end();
}

/* Known member, state, same or changed list: parked (a rebalance), or answered at once. */
static void a_known_member_joins_again(void **state)
{
    (void)state;
    static const struct {
        bool is_stable;
        bool is_leader;
        bool has_changed;
        bool is_parked;
    } cases[] = {
        {false, false, false, false}, {false, true, false, false}, {false, false, true, true},
        {false, true, true, true},    {true, false, false, false}, {true, true, false, true},
        {true, false, true, true},    {true, true, true, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        group_bench_start();
        struct member leader, follower;
        member_join(&leader, &(struct joining){.group = g});
        member_join(&follower, &(struct joining){.group = g});
        bench_advance(INITIAL_DELAY_MS);
        bench_advance(INITIAL_DELAY_MS);
        member_joined(&leader);
        member_joined(&follower);
        if (cases[i].is_stable)
            sync_error(&(struct syncing){.group = g, .member = leader.id, .generation = 1});
        struct member *who = cases[i].is_leader ? &leader : &follower;
        member_rejoin(
            who, &(struct joining){.group = g, .metadata = {cases[i].has_changed ? "new" : NULL}});
        assert_int_equal(asked_is_told(&who->join), !cases[i].is_parked);
        if (cases[i].is_parked) {
            assert_state(g, "PreparingRebalance");
            coordinator_fixture_resign(bench());
            assert_int_equal(who->join.call.call.error, KAFKA_ERROR_NOT_COORDINATOR);
            asked_end(&who->join);
        } else {
            member_joined(who);
            assert_int_equal(who->generation, 1);
            assert_int_equal(who->join.join.members_count, cases[i].is_leader ? 2 : 0);
        }
        group_bench_end();
    }
}

static void most_votes_choose_the_protocol(void **state)
{
    (void)state;
    group_bench_start();
    struct member members[3];
    const struct joining joinings[3] = {
        {.group = g, .protocols = {"a", "b", "c"}},
        {.group = g, .protocols = {"only here", "b", "a"}},
        {.group = g, .protocols = {"b", "a"}},
    };
    for (int i = 0; i < 3; i++)
        member_join(&members[i], &joinings[i]);
    bench_advance(INITIAL_DELAY_MS);
    bench_advance(INITIAL_DELAY_MS);
    for (int i = 0; i < 3; i++) {
        assert_true(view_equal(members[i].join.join.protocol_name, VIEW_LITERAL("b")));
        member_joined(&members[i]);
    }
    struct joining stranger = {.group = g, .protocols = {"c", "only here"}};
    assert_int_equal(join_error(&stranger), KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL);
    stranger = (struct joining){.group = g, .type = "connect", .protocols = {"b"}};
    assert_int_equal(join_error(&stranger), KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL);
    group_bench_end();
}

static void a_full_group_takes_no_more(void **state)
{
    (void)state;
    group_bench_prepare();
    bench()->config.settings.group_max_size = 2;
    group_bench_load();
    struct member first, second, third;
    struct joining joining = {.group = g};
    member_join(&first, &joining);
    member_join(&second, &joining);
    assert_int_equal(join_error(&joining), KAFKA_ERROR_GROUP_MAX_SIZE_REACHED);
    bench_advance(INITIAL_DELAY_MS);
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&first);
    member_joined(&second);
    assert_int_equal(join_error(&joining), KAFKA_ERROR_GROUP_MAX_SIZE_REACHED);
    sync_error(&(struct syncing){.group = g, .member = first.id, .generation = 1});
    assert_int_equal(join_error(&joining), KAFKA_ERROR_GROUP_MAX_SIZE_REACHED);
    /* One goes, another comes. */
    assert_int_equal(leave_error(g, second.id), KAFKA_ERROR_NONE);
    member_join(&third, &joining);
    member_rejoin(&first, &joining);
    member_joined(&first);
    member_joined(&third);
    group_bench_end();
}

/* A group that was larger is made to join again; who comes last stays outside. */
static void a_loaded_group_above_the_limit_shrinks(void **state)
{
    (void)state;
    group_bench_start();
    struct member members[3];
    struct joining joining = {.group = g};
    for (int i = 0; i < 3; i++)
        member_join(&members[i], &joining);
    bench_advance(INITIAL_DELAY_MS);
    bench_advance(INITIAL_DELAY_MS);
    for (int i = 0; i < 3; i++)
        member_joined(&members[i]);
    sync_error(&(struct syncing){.group = g, .member = members[0].id, .generation = 1});
    bench()->config.settings.group_max_size = 2;
    coordinator_fixture_reload(bench());
    assert_int_equal(heartbeat_error(g, members[0].id, 1), KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    for (int i = 0; i < 3; i++)
        member_rejoin(&members[i], &joining);
    assert_int_equal(members[2].join.join.error_code, KAFKA_ERROR_GROUP_MAX_SIZE_REACHED);
    asked_end(&members[2].join);
    member_joined(&members[0]);
    member_joined(&members[1]);
    assert_int_equal(members[0].generation, 2);
    group_bench_end();
}

static void a_member_that_asks_twice_waits_once(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    member_join(&member, &(struct joining){.group = g});
    struct member again = member;
    member_rejoin(&again, &(struct joining){.group = g});
    assert_answered(&member.join);
    assert_int_equal(member.join.join.error_code, KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    asked_end(&member.join);
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&again);
    group_bench_end();
}

static void a_log_that_refuses_refuses_the_joiner(void **state)
{
    (void)state;
    group_bench_start();
    coordinator_fixture_refuse(bench(), true);
    assert_int_equal(join_error(&(struct joining){.group = g}), KAFKA_ERROR_NOT_COORDINATOR);
    assert_null(bench_group(g));
    coordinator_fixture_refuse(bench(), false);
    assert_int_equal(join_error(&(struct joining){.group = g}), KAFKA_ERROR_MEMBER_ID_REQUIRED);
    group_bench_end();
}

/* ---- SyncGroup ---- */

static void sync_refuses_in_this_order(void **state)
{
    (void)state;
    group_bench_start();
    struct syncing syncing = {.group = "", .member = "m", .version = 5};
    assert_int_equal(sync_error(&syncing), KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL);
    syncing.version = 4;
    assert_int_equal(sync_error(&syncing), KAFKA_ERROR_INVALID_GROUP_ID);
    syncing.group = g;
    assert_int_equal(sync_error(&syncing), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    join_error(&(struct joining){.group = g});
    assert_int_equal(sync_error(&syncing), KAFKA_ERROR_UNKNOWN_MEMBER_ID); /* Empty */
    struct member member;
    member_join(&member, &(struct joining){.group = g});
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&member);
    assert_int_equal(sync_error(&syncing), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    syncing.member = member.id;
    syncing.instance = "i";
    assert_int_equal(sync_error(&syncing), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    syncing.instance = NULL;
    syncing.generation = 2;
    assert_int_equal(sync_error(&syncing), KAFKA_ERROR_ILLEGAL_GENERATION);
    syncing.generation = 1;
    syncing.version = 5;
    syncing.type = "connect";
    syncing.protocol = "range";
    assert_int_equal(sync_error(&syncing), KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL);
    syncing.type = "consumer";
    syncing.protocol = "other";
    assert_int_equal(sync_error(&syncing), KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL);
    syncing.protocol = "range";
    assert_int_equal(sync_error(&syncing), KAFKA_ERROR_NONE);
    group_bench_end();
}

static void followers_wait_for_the_leader(void **state)
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
    struct asked waits, leads;
    ask_sync(&waits, &(struct syncing){.group = g, .member = follower.id, .generation = 1});
    assert_false(asked_is_told(&waits));
    coordinator_fixture_hold(bench());
    ask_sync(&leads, &(struct syncing){.group = g,
                                       .member = leader.id,
                                       .generation = 1,
                                       .to = {follower.id, "nobody"},
                                       .assignment = {"for the follower", "x"}});
    assert_false(asked_is_told(&leads)); /* not before the record is committed */
    assert_false(asked_is_told(&waits));
    coordinator_fixture_commit(bench());
    assert_answered(&leads);
    assert_answered(&waits);
    assert_int_equal(leads.sync.assignment.size, 0); /* the leader forgot itself */
    assert_true(view_equal(waits.sync.assignment, VIEW_LITERAL("for the follower")));
    asked_end(&leads);
    asked_end(&waits);
    assert_int_equal(coordinator_fixture_count(bench(), 2), 2);
    /* A retry gets it again. */
    ask_sync(&waits, &(struct syncing){.group = g, .member = follower.id, .generation = 1});
    assert_true(view_equal(waits.sync.assignment, VIEW_LITERAL("for the follower")));
    asked_end(&waits);
    group_bench_end();
}

static void a_refused_assignment_begins_another_rebalance(void **state)
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
    struct asked waits, leads;
    ask_sync(&waits, &(struct syncing){.group = g, .member = follower.id, .generation = 1});
    coordinator_fixture_refuse(bench(), true);
    ask_sync(&leads, &(struct syncing){.group = g, .member = leader.id, .generation = 1});
    coordinator_fixture_refuse(bench(), false);
    assert_int_equal(leads.sync.error_code, KAFKA_ERROR_NOT_COORDINATOR);
    assert_int_equal(waits.sync.error_code, KAFKA_ERROR_NOT_COORDINATOR);
    asked_end(&leads);
    asked_end(&waits);
    assert_state(g, "PreparingRebalance");
    group_bench_end();
}

/* What was taken and lost takes the state with it; the group is as the log has it. */
static void a_lost_assignment_is_as_if_never_given(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    one_stable_member(&member, "first");
    member_rejoin(&member, &(struct joining){.group = g});
    member_joined(&member);
    assert_int_equal(member.generation, 2);
    coordinator_fixture_lose_next(bench());
    struct asked sync;
    ask_sync(&sync, &(struct syncing){.group = g,
                                      .member = member.id,
                                      .generation = 2,
                                      .to = {member.id},
                                      .assignment = {"second"}});
    assert_int_equal(sync.call.told, 1);
    assert_int_not_equal(sync.call.call.error, KAFKA_ERROR_NONE);
    asked_end(&sync);
    bench_run();
    assert_int_equal(bench_classic(g)->generation, 1);
    ask_sync(&sync, &(struct syncing){.group = g, .member = member.id, .generation = 1});
    assert_true(view_equal(sync.sync.assignment, VIEW_LITERAL("first")));
    asked_end(&sync);
    group_bench_end();
}

/* ---- Heartbeat, LeaveGroup, OffsetCommit by state ---- */

/* Brings group "g" with one leader into a state; the parked call, if any, is in `open`. */
static void bring(struct member *member, struct member *other, enum classic_state state)
{
    if (state == CLASSIC_EMPTY) {
        one_stable_member(member, "a");
        leave_error(g, member->id);
        return;
    }
    member_join(member, &(struct joining){.group = g});
    bench_advance(INITIAL_DELAY_MS);
    member_joined(member);
    if (state == CLASSIC_COMPLETING)
        return;
    sync_error(&(struct syncing){.group = g, .member = member->id, .generation = 1});
    if (state == CLASSIC_PREPARING)
        member_join(other, &(struct joining){.group = g});
}

static void requests_by_state(void **state)
{
    (void)state;
    static const struct {
        enum classic_state state;
        int heartbeat, heartbeat_old, heartbeat_stranger;
        int commit, commit_old, commit_stranger, commit_outsider;
        int leave_stranger, offset_delete, delete_group;
    } cases[] = {
        {CLASSIC_EMPTY, 25, 25, 25, 25, 25, 25, 0, 25, 0, 0},
        {CLASSIC_PREPARING, 27, 22, 25, 0, 22, 25, 25, 25, 86, 68},
        {CLASSIC_COMPLETING, 0, 22, 25, 27, 22, 25, 25, 25, 86, 68},
        {CLASSIC_STABLE, 0, 22, 25, 0, 22, 25, 25, 25, 86, 68},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        group_bench_start();
        struct member member, other;
        bring(&member, &other, cases[i].state);
        assert_int_equal(bench_classic(g)->state, cases[i].state);
        assert_int_equal(heartbeat_error(g, member.id, 1), cases[i].heartbeat);
        assert_int_equal(heartbeat_error(g, member.id, 7), cases[i].heartbeat_old);
        assert_int_equal(heartbeat_error(g, "x", 1), cases[i].heartbeat_stranger);
        struct committing by_member = {.group = g, .member = member.id, .generation = 1};
        assert_int_equal(commit_error(&by_member), cases[i].commit);
        by_member.generation = 7;
        assert_int_equal(commit_error(&by_member), cases[i].commit_old);
        assert_int_equal(
            commit_error(&(struct committing){.group = g, .member = "x", .generation = 1}),
            cases[i].commit_stranger);
        assert_int_equal(commit_error(&(struct committing){.group = g}), cases[i].commit_outsider);
        assert_int_equal(leave_error(g, "x"), cases[i].leave_stranger);
        assert_int_equal(bench_classic(g)->state, cases[i].state);
        /* The metadata of the bench is no subscription: every topic counts as read. */
        assert_int_equal(offset_delete_error(g, "topic", 0), cases[i].offset_delete);
        assert_int_equal(delete_error(g), cases[i].delete_group);
        if (cases[i].state == CLASSIC_PREPARING) {
            coordinator_fixture_resign(bench());
            asked_end(&other.join);
        }
        group_bench_end();
    }
}

static void requests_without_a_group(void **state)
{
    (void)state;
    group_bench_start();
    assert_int_equal(heartbeat_error("", "m", 1), KAFKA_ERROR_INVALID_GROUP_ID);
    assert_int_equal(heartbeat_error(g, "m", 1), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(leave_error(g, "m"), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(offset_delete_error("", "topic", 0), KAFKA_ERROR_INVALID_GROUP_ID);
    assert_int_equal(offset_delete_error(g, "topic", 0), KAFKA_ERROR_GROUP_ID_NOT_FOUND);
    assert_int_equal(delete_error(g), KAFKA_ERROR_GROUP_ID_NOT_FOUND);
    assert_int_equal(committed(g, "topic", 0), -1);
    assert_state(g, "Dead");
    struct asked asked;
    ask_describe(&asked, g, 6);
    assert_int_equal(asked.describe.error_code, KAFKA_ERROR_GROUP_ID_NOT_FOUND);
    assert_true(view_equal(asked.describe.error_message, VIEW_LITERAL("Group g not found.")));
    asked_end(&asked);
    ask_leave(&asked, "", "m", NULL);
    assert_int_equal(asked.leave.error_code, KAFKA_ERROR_INVALID_GROUP_ID);
    asked_end(&asked);
    assert_null(bench_group(g));
    group_bench_end();
}

static void a_leaver_makes_the_others_rebalance(void **state)
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
    struct asked waits;
    ask_sync(&waits, &(struct syncing){.group = g, .member = follower.id, .generation = 1});
    assert_int_equal(leave_error(g, leader.id), KAFKA_ERROR_NONE);
    assert_answered(&waits); /* of a leader that is gone nothing comes */
    assert_int_equal(waits.sync.error_code, KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    asked_end(&waits);
    member_rejoin(&follower, &(struct joining){.group = g});
    assert_answered(&follower.join);
    assert_int_equal(follower.join.join.members_count, 1); /* it leads now */
    member_joined(&follower);
    assert_int_equal(follower.generation, 2);
    assert_int_equal(leave_error(g, follower.id), KAFKA_ERROR_NONE);
    assert_state(g, "Empty");
    assert_int_equal(bench_classic(g)->generation, 3);
    group_bench_end();
}

static void a_leaver_that_waits_is_told(void **state)
{
    (void)state;
    group_bench_start();
    struct member first, second;
    member_join(&first, &(struct joining){.group = g});
    member_join(&second, &(struct joining){.group = g});
    assert_int_equal(leave_error(g, second.id), KAFKA_ERROR_NONE);
    assert_answered(&second.join);
    assert_int_equal(second.join.join.error_code, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    asked_end(&second.join);
    bench_advance(INITIAL_DELAY_MS);
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&first);
    group_bench_end();
}

static void pending_members_can_leave(void **state)
{
    (void)state;
    group_bench_start();
    struct asked join;
    ask_join(&join, &(struct joining){.group = g});
    char id[128];
    snprintf(id, sizeof(id), "%.*s", (int)join.join.member_id.size,
             (const char *)join.join.member_id.data);
    asked_end(&join);
    assert_int_equal(map_count(&bench_classic(g)->pending), 1);
    assert_int_equal(heartbeat_error(g, id, 0), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(leave_error(g, id), KAFKA_ERROR_NONE);
    assert_int_equal(map_count(&bench_classic(g)->pending), 0);
    assert_int_equal(leave_error(g, id), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    group_bench_end();
}

/* ---- What lasts ---- */

static void a_group_lasts_over_a_reload(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    one_stable_member(&member, "all of it");
    coordinator_fixture_crash(bench());
    assert_int_equal(heartbeat_error(g, member.id, 1), KAFKA_ERROR_NONE);
    struct asked asked;
    ask_describe(&asked, g, 5);
    assert_true(view_equal(asked.describe.group_state, VIEW_LITERAL("Stable")));
    assert_true(view_equal(asked.describe.protocol_data, VIEW_LITERAL("range")));
    assert_int_equal(asked.describe.members_count, 1);
    assert_true(view_equal(asked.describe.members[0].member_assignment, VIEW_LITERAL("all of it")));
    assert_true(view_equal(asked.describe.members[0].client_host, VIEW_LITERAL("/127.0.0.1")));
    asked_end(&asked);
    /* The first rebalance behind it: nobody is lost. */
    member_rejoin(&member, &(struct joining){.group = g});
    member_joined(&member);
    assert_int_equal(member.generation, 2);
    group_bench_end();
}

static void a_deleted_group_is_gone_for_good(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    one_stable_member(&member, "a");
    commit_error(
        &(struct committing){.group = g, .member = member.id, .generation = 1, .offset = 5});
    leave_error(g, member.id);
    assert_int_equal(delete_error(g), KAFKA_ERROR_NONE);
    assert_null(bench_group(g));
    assert_int_equal(committed(g, "topic", 0), -1);
    coordinator_fixture_reload(bench());
    assert_null(bench_group(g));
    group_bench_end();
}

static void lists_filter_by_state_and_type(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    one_stable_member(&member, "a");
    commit_error(&(struct committing){.group = "simple", .offset = 5});
    static const struct {
        const char *state, *type;
        size_t count;
    } cases[] = {
        {NULL, NULL, 2},        {"stable", NULL, 1},        {"EMPTY", "Classic", 1},
        {NULL, "classic", 2},   {NULL, "consumer", 0},      {"Dead", NULL, 0},
        {"Stable", "share", 0}, {"no such state", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct asked asked;
        ask_list(&asked, cases[i].state, cases[i].type);
        assert_answered(&asked);
        assert_int_equal(asked.list.groups_count, cases[i].count);
        asked_end(&asked);
    }
    group_bench_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join_refuses_in_this_order),
        cmocka_unit_test(a_group_is_written_when_it_is_made),
        cmocka_unit_test(before_version_4_a_member_is_added_at_once),
        cmocka_unit_test(only_the_leader_is_told_the_members),
        cmocka_unit_test(a_known_member_joins_again),
        cmocka_unit_test(most_votes_choose_the_protocol),
        cmocka_unit_test(a_full_group_takes_no_more),
        cmocka_unit_test(a_loaded_group_above_the_limit_shrinks),
        cmocka_unit_test(a_member_that_asks_twice_waits_once),
        cmocka_unit_test(a_log_that_refuses_refuses_the_joiner),
        cmocka_unit_test(sync_refuses_in_this_order),
        cmocka_unit_test(followers_wait_for_the_leader),
        cmocka_unit_test(a_refused_assignment_begins_another_rebalance),
        cmocka_unit_test(a_lost_assignment_is_as_if_never_given),
        cmocka_unit_test(requests_by_state),
        cmocka_unit_test(requests_without_a_group),
        cmocka_unit_test(a_leaver_makes_the_others_rebalance),
        cmocka_unit_test(a_leaver_that_waits_is_told),
        cmocka_unit_test(pending_members_can_leave),
        cmocka_unit_test(a_group_lasts_over_a_reload),
        cmocka_unit_test(a_deleted_group_is_gone_for_good),
        cmocka_unit_test(lists_filter_by_state_and_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
