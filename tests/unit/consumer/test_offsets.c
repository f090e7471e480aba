/*
 * Committed offsets: what is stored and found again, deletion, expiry, transactions. Who may commit
 * in which state of a group is in test_classic_group.c.
 */
#include "tests/unit/consumer/group_bench.h"

#include <stdio.h>

static const char *const g = "g";

static const struct uuid id_a = {{1}}, id_b = {{2}};

static void start_with_retention(void)
{
    group_bench_prepare();
    bench()->config.settings.offsets_retention_minutes = 100; /* 6000 s */
    bench()->config.settings.offsets_retention_check_interval_ms = 10000;
    group_bench_load();
}

/* Time passes, in jumps of less than a session. */
static void pass_s(int seconds)
{
    for (; seconds > 0; seconds -= 5)
        bench_stall(5000);
}

/* ---- Committing ---- */

static void a_commit_makes_a_simple_group(void **state)
{
    (void)state;
    group_bench_start();
    assert_int_equal(commit_error(&(struct committing){.group = g, .offset = 5}), 0);
    assert_int_equal(bench_group(g)->type, GROUP_SIMPLE);
    assert_state(g, "Empty");
    assert_int_equal(committed(g, "topic", 0), 5);
    assert_int_equal(committed(g, "topic", 1), -1);
    assert_int_equal(committed(g, "other", 0), -1);
    coordinator_fixture_crash(bench());
    assert_int_equal(committed(g, "topic", 0), 5);
    group_bench_end();
}

static void without_a_group_a_generation_is_an_error(void **state)
{
    (void)state;
    group_bench_start();
    struct committing by_member = {.group = g, .member = "m", .generation = 3, .version = 8};
    assert_int_equal(commit_error(&by_member), KAFKA_ERROR_ILLEGAL_GENERATION);
    by_member.version = 9;
    assert_int_equal(commit_error(&by_member), KAFKA_ERROR_GROUP_ID_NOT_FOUND);
    assert_null(bench_group(g));
    group_bench_end();
}

static void an_answer_waits_for_the_commit_of_the_log(void **state)
{
    (void)state;
    group_bench_start();
    coordinator_fixture_hold(bench());
    struct asked commit, fetch;
    ask_commit(&commit, &(struct committing){.group = g, .offset = 5});
    ask_fetch(&fetch, g, "topic", 0, false, UUID_ZERO);
    assert_false(asked_is_told(&commit));
    assert_false(asked_is_told(&fetch)); /* it saw what could be lost */
    coordinator_fixture_commit(bench());
    assert_answered(&commit);
    assert_answered(&fetch);
    assert_int_equal(fetch.fetch.topics[0].partitions[0].committed_offset, 5);
    asked_end(&commit);
    asked_end(&fetch);
    group_bench_end();
}

static void the_last_commit_wins_whatever_it_says(void **state)
{
    (void)state;
    group_bench_start();
    commit_error(&(struct committing){.group = g, .offset = 50});
    commit_error(&(struct committing){.group = g, .offset = 3, .metadata = "back"});
    assert_int_equal(committed(g, "topic", 0), 3);
    struct asked asked;
    ask_fetch(&asked, g, "topic", 0, false, UUID_ZERO);
    assert_true(view_equal(asked.fetch.topics[0].partitions[0].metadata, VIEW_LITERAL("back")));
    asked_end(&asked);
    group_bench_end();
}

static void many_partitions_in_any_order(void **state)
{
    (void)state;
    group_bench_start();
    enum { PARTITIONS = 200 };
    for (int32_t i = 0; i < PARTITIONS; i++) {
        int32_t partition = i * 77 % PARTITIONS;
        commit_error(
            &(struct committing){.group = g, .partition = partition, .offset = partition * 10});
    }
    coordinator_fixture_reload(bench());
    assert_int_equal(bench_group(g)->offsets.count, PARTITIONS);
    for (int32_t i = 0; i < PARTITIONS; i++)
        assert_int_equal(committed(g, "topic", i), i * 10);
    struct asked asked;
    ask_fetch_all(&asked, g, false);
    assert_int_equal(asked.fetch.topics_count, 1);
    assert_int_equal(asked.fetch.topics[0].partitions_count, PARTITIONS);
    asked_end(&asked);
    group_bench_end();
}

static void long_metadata_is_refused_by_its_characters(void **state)
{
    (void)state;
    group_bench_prepare();
    bench()->config.settings.offset_metadata_max_bytes = 4;
    group_bench_load();
    static const struct {
        const char *metadata;
        int error;
    } cases[] = {
        {"", 0},
        {"1234", 0},
        {"12345", 12},
        {"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", 0},
        {"\xf0\x9f\x98\x80\xf0\x9f\x98\x80", 0},
        {"\xf0\x9f\x98\x80\xf0\x9f\x98\x80x", 12},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(commit_error(&(struct committing){
                             .group = g, .offset = (int64_t)i, .metadata = cases[i].metadata}),
                         cases[i].error);
    assert_int_equal(committed(g, "topic", 0), 4);
    group_bench_end();
}

static void a_refused_log_refuses_the_commit(void **state)
{
    (void)state;
    group_bench_start();
    coordinator_fixture_refuse(bench(), true);
    assert_int_equal(commit_error(&(struct committing){.group = g, .offset = 5}),
                     KAFKA_ERROR_NOT_COORDINATOR);
    coordinator_fixture_refuse(bench(), false);
    assert_int_equal(committed(g, "topic", 0), -1);
    group_bench_end();
}

/* ---- Topic ids ---- */

static int64_t committed_for(struct uuid id)
{
    struct asked asked;
    ask_fetch(&asked, g, "topic", 0, false, id);
    int64_t offset = asked.fetch.topics[0].partitions[0].committed_offset;
    asked_end(&asked);
    return offset;
}

static void an_offset_is_for_one_topic_of_its_name(void **state)
{
    (void)state;
    group_bench_start();
    commit_error(&(struct committing){.group = g, .offset = 5, .topic_id = id_a});
    assert_int_equal(committed_for(id_a), 5);
    assert_int_equal(committed_for(id_b), -1);
    assert_int_equal(committed_for(UUID_ZERO), 5);
    commit_error(&(struct committing){.group = g, .partition = 1, .offset = 6, .topic_id = id_b});
    assert_int_equal(committed_for(id_a), -1); /* the topic has another id by now */
    assert_int_equal(committed_for(id_b), -1);
    commit_error(&(struct committing){.group = g, .offset = 7, .topic_id = id_b});
    assert_int_equal(committed_for(id_b), 7);
    coordinator_fixture_reload(bench());
    assert_int_equal(committed_for(id_b), 7);
    commit_error(&(struct committing){.group = g, .offset = 8});
    assert_int_equal(committed_for(id_b), 8); /* named without an id: for any */
    assert_int_equal(committed_for(id_a), 8);
    group_bench_end();
}

static void offsets_go_with_their_topic(void **state)
{
    (void)state;
    group_bench_start();
    struct uuid id = coordinator_fixture_set_topic(bench(), "topic", 2);
    coordinator_fixture_set_topic(bench(), "other", 1);
    commit_error(&(struct committing){.group = g, .offset = 5});
    commit_error(&(struct committing){.group = g, .partition = 1, .offset = 6, .topic_id = id});
    commit_error(&(struct committing){.group = "h", .offset = 7});
    commit_error(&(struct committing){.group = g, .topic = "other", .offset = 8});
    coordinator_fixture_delete_topic(bench(), "topic");
    bench_run();
    assert_int_equal(committed(g, "topic", 0), -1);
    assert_int_equal(committed(g, "topic", 1), -1);
    assert_int_equal(committed("h", "topic", 0), -1);
    assert_int_equal(committed(g, "other", 0), 8);
    coordinator_fixture_reload(bench());
    assert_int_equal(committed(g, "topic", 0), -1);
    group_bench_end();
}

/* ---- Deleting ---- */

static void offsets_are_deleted_one_by_one(void **state)
{
    (void)state;
    group_bench_start();
    for (int32_t i = 0; i < 3; i++)
        commit_error(&(struct committing){.group = g, .partition = i, .offset = 5});
    assert_int_equal(offset_delete_error(g, "topic", 1), 0);
    assert_int_equal(offset_delete_error(g, "topic", 9), 0);
    assert_int_equal(committed(g, "topic", 1), -1);
    assert_int_equal(committed(g, "topic", 2), 5);
    coordinator_fixture_reload(bench());
    assert_int_equal(committed(g, "topic", 1), -1);
    assert_int_equal(committed(g, "topic", 0), 5);
    group_bench_end();
}

static const char subscription[] = "\0\0\0\0\0\1\0\4read\0\0\0\0";

/* A member that reads the topic "read"; its group is stable. */
static void a_reader(struct member *member)
{
    struct join_group_request_protocol protocol = {
        .name = VIEW_LITERAL("range"), .metadata = view_of(subscription, sizeof(subscription) - 1)};
    member_join(member, &(struct joining){.group = g});
    bench_advance(INITIAL_DELAY_MS);
    struct classic_member *inner =
        classic_member_find(bench_classic(g), view_of_string(member->id));
    struct classic_joiner joiner = {.protocols = &protocol,
                                    .protocol_count = 1,
                                    .session_timeout_ms = SESSION_MS,
                                    .rebalance_timeout_ms = REBALANCE_MS};
    classic_member_update(inner, &joiner);
    member_joined(member);
    sync_error(&(struct syncing){.group = g, .member = member->id, .generation = 1});
}

static void offsets_of_topics_that_are_read_stay(void **state)
{
    (void)state;
    group_bench_start();
    struct member member;
    a_reader(&member);
    struct committing committing = {.group = g, .member = member.id, .generation = 1, .offset = 5};
    commit_error(&committing);
    committing.topic = "read";
    commit_error(&committing);
    assert_int_equal(offset_delete_error(g, "read", 0), KAFKA_ERROR_GROUP_SUBSCRIBED_TO_TOPIC);
    assert_int_equal(offset_delete_error(g, "topic", 0), 0);
    assert_int_equal(committed(g, "read", 0), 5);
    group_bench_end();
}

static void what_does_not_fit_a_batch_is_deleted_in_pieces(void **state)
{
    (void)state;
    group_bench_start();
    static char id[20001]; /* in every key */
    memset(id, 'g', sizeof(id) - 1);
    enum { PARTITIONS = 120 };
    for (int32_t i = 0; i < PARTITIONS; i++)
        commit_error(&(struct committing){.group = id, .partition = i, .offset = 1});
    assert_int_equal(bench_group(id)->offsets.count, PARTITIONS);
    int64_t before = coordinator_end_offset(bench()->coordinator);
    assert_int_equal(delete_error(id), 0);
    assert_int_equal(coordinator_end_offset(bench()->coordinator), before + PARTITIONS + 1);
    assert_null(bench_group(id));
    coordinator_fixture_reload(bench());
    assert_null(bench_group(id));
    assert_int_equal(map_count(&bench_groups()->topics), 0);
    group_bench_end();
}

/* ---- Expiry ---- */

static void offsets_of_a_simple_group_age_from_their_commit(void **state)
{
    (void)state;
    start_with_retention();
    commit_error(&(struct committing){.group = g, .offset = 5});
    pass_s(3000);
    commit_error(&(struct committing){.group = g, .partition = 1, .offset = 6});
    pass_s(2990);
    assert_int_equal(committed(g, "topic", 0), 5);
    pass_s(30);
    assert_int_equal(committed(g, "topic", 0), -1);
    assert_int_equal(committed(g, "topic", 1), 6);
    pass_s(3000);
    assert_null(bench_group(g)); /* with the last offset the group goes */
    coordinator_fixture_reload(bench());
    assert_null(bench_group(g));
    group_bench_end();
}

static void offsets_of_a_group_age_from_when_it_became_empty(void **state)
{
    (void)state;
    start_with_retention();
    struct member member;
    one_stable_member(&member, "a");
    commit_error(
        &(struct committing){.group = g, .member = member.id, .generation = 1, .offset = 5});
    for (int i = 0; i < 1300; i++) {
        pass_s(5);
        heartbeat_error(g, member.id, 1);
    }
    assert_int_equal(committed(g, "topic", 0), 5); /* older than the retention, but in use */
    leave_error(g, member.id);
    pass_s(5980);
    assert_int_equal(committed(g, "topic", 0), 5);
    coordinator_fixture_reload(bench());
    assert_int_equal(committed(g, "topic", 0), 5);
    pass_s(40);
    assert_null(bench_group(g));
    group_bench_end();
}

static void in_a_stable_group_only_what_nobody_reads_expires(void **state)
{
    (void)state;
    start_with_retention();
    struct member member;
    a_reader(&member);
    struct committing committing = {.group = g, .member = member.id, .generation = 1, .offset = 5};
    commit_error(&committing);
    committing.topic = "read";
    commit_error(&committing);
    for (int i = 0; i < 1205; i++) {
        pass_s(5);
        heartbeat_error(g, member.id, 1);
    }
    assert_int_equal(committed(g, "topic", 0), -1);
    assert_int_equal(committed(g, "read", 0), 5);
    group_bench_end();
}

static void an_expiry_of_its_own_counts_alone(void **state)
{
    (void)state;
    start_with_retention();
    commit_error(
        &(struct committing){.group = g, .version = 2, .offset = 5, .retention_ms = 60000});
    commit_error(&(struct committing){
        .group = g, .version = 2, .partition = 1, .offset = 6, .retention_ms = 9000000});
    coordinator_fixture_reload(bench());
    pass_s(50);
    assert_int_equal(committed(g, "topic", 0), 5);
    pass_s(30);
    assert_int_equal(committed(g, "topic", 0), -1);
    pass_s(8000);
    assert_int_equal(committed(g, "topic", 1), 6);
    pass_s(1000);
    assert_null(bench_group(g));
    group_bench_end();
}

static void an_expiry_of_its_own_may_be_the_end_of_time_or_long_over(void **state)
{
    (void)state;
    start_with_retention();
    commit_error(
        &(struct committing){.group = g, .version = 2, .offset = 5, .retention_ms = INT64_MAX});
    commit_error(&(struct committing){
        .group = g, .version = 2, .partition = 1, .offset = 6, .retention_ms = INT64_MIN});
    commit_error(&(struct committing){
        .group = g, .version = 2, .partition = 2, .offset = 7, .retention_ms = -2});
    pass_s(30);
    assert_int_equal(committed(g, "topic", 1), -1);
    assert_int_equal(committed(g, "topic", 2), -1);
    pass_s(9000);
    assert_int_equal(committed(g, "topic", 0), 5);
    coordinator_fixture_reload(bench());
    pass_s(30);
    assert_int_equal(committed(g, "topic", 0), 5);
    group_bench_end();
}

static void a_sweep_that_the_log_refuses_comes_again(void **state)
{
    (void)state;
    start_with_retention();
    commit_error(&(struct committing){.group = g, .offset = 5});
    coordinator_fixture_refuse(bench(), true);
    pass_s(7000);
    assert_non_null(bench_group(g));
    coordinator_fixture_refuse(bench(), false);
    pass_s(20);
    assert_null(bench_group(g));
    group_bench_end();
}

static void a_sweep_goes_over_all_groups(void **state)
{
    (void)state;
    start_with_retention();
    char id[16];
    enum { GROUPS = 5100 }; /* more than one turn takes */
    for (int i = 0; i < GROUPS; i++) {
        snprintf(id, sizeof(id), "g%d", i);
        commit_error(&(struct committing){.group = id, .offset = i});
    }
    pass_s(6100);
    assert_int_equal(map_count(&bench_groups()->by_id), 0);
    group_bench_end();
}

/* ---- Transactions ---- */

static int txn_error(const struct committing *committing, int64_t producer_id)
{
    struct asked asked;
    ask_txn_commit(&asked, committing, producer_id, 0);
    assert_int_equal(asked.call.told, 1);
    int error = asked.call.call.error;
    if (error == KAFKA_ERROR_NONE)
        error = asked.txn.topics[0].partitions[0].error_code;
    asked_end(&asked);
    return error;
}

static void an_offset_in_a_transaction_is_pending(void **state)
{
    (void)state;
    for (int ends = 0; ends < 4; ends++) { /* bit 0: commit, bit 1: with a load between */
        group_bench_start();
        commit_error(&(struct committing){.group = g, .offset = 5});
        assert_int_equal(txn_error(&(struct committing){.group = g, .offset = 9}, 77), 0);
        assert_int_equal(committed(g, "topic", 0), 5);
        assert_int_equal(committed_stable(g, "topic", 0), -KAFKA_ERROR_UNSTABLE_OFFSET_COMMIT);
        assert_int_equal(committed_stable(g, "topic", 1), -1);
        if (ends & 2)
            coordinator_fixture_crash(bench());
        assert_int_equal(committed_stable(g, "topic", 0), -KAFKA_ERROR_UNSTABLE_OFFSET_COMMIT);
        bench_end_transaction(77, 0, ends & 1);
        assert_int_equal(committed_stable(g, "topic", 0), ends & 1 ? 9 : 5);
        coordinator_fixture_reload(bench());
        assert_int_equal(committed_stable(g, "topic", 0), ends & 1 ? 9 : 5);
        assert_int_equal(map_count(&bench_groups()->transactions), 0);
        group_bench_end();
    }
}

/* KAFKA-14505 (T-16): what stands later in the log wins, though the marker comes last. */
static void a_later_plain_commit_outlives_the_marker(void **state)
{
    (void)state;
    for (int loads = 0; loads < 2; loads++) {
        group_bench_start();
        txn_error(&(struct committing){.group = g, .offset = 9}, 77);
        commit_error(&(struct committing){.group = g, .offset = 5});
        if (loads)
            coordinator_fixture_reload(bench());
        bench_end_transaction(77, 0, true);
        assert_int_equal(committed_stable(g, "topic", 0), 5);
        coordinator_fixture_reload(bench());
        assert_int_equal(committed_stable(g, "topic", 0), 5);
        group_bench_end();
    }
}

static void transactions_do_not_mix(void **state)
{
    (void)state;
    group_bench_start();
    txn_error(&(struct committing){.group = g, .offset = 1}, 1);
    txn_error(&(struct committing){.group = g, .offset = 2}, 2);
    txn_error(&(struct committing){.group = "h", .offset = 3}, 2);
    txn_error(&(struct committing){.group = g, .offset = 4}, 1); /* again, later */
    bench_end_transaction(2, 0, true);
    assert_int_equal(committed(g, "topic", 0), 2);
    assert_int_equal(committed_stable(g, "topic", 0), -KAFKA_ERROR_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(committed_stable("h", "topic", 0), 3);
    bench_end_transaction(1, 0, true);
    assert_int_equal(committed_stable(g, "topic", 0), 4);
    bench_end_transaction(1, 0, false); /* of nothing */
    assert_int_equal(committed_stable(g, "topic", 0), 4);
    group_bench_end();
}

static void deleting_drops_what_is_pending(void **state)
{
    (void)state;
    group_bench_start();
    txn_error(&(struct committing){.group = g, .offset = 1}, 1);
    assert_int_equal(offset_delete_error(g, "topic", 0), 0);
    assert_int_equal(committed_stable(g, "topic", 0), -1);
    bench_end_transaction(1, 0, true);
    assert_int_equal(committed(g, "topic", 0), -1);
    txn_error(&(struct committing){.group = g, .offset = 1}, 2);
    assert_int_equal(delete_error(g), 0);
    assert_null(bench_group(g));
    bench_end_transaction(2, 0, true);
    assert_null(bench_group(g));
    group_bench_end();
}

static void what_is_pending_does_not_expire(void **state)
{
    (void)state;
    start_with_retention();
    commit_error(&(struct committing){.group = g, .offset = 5});
    txn_error(&(struct committing){.group = g, .offset = 9}, 77);
    txn_error(&(struct committing){.group = "h", .offset = 9}, 77);
    pass_s(7000);
    assert_int_equal(committed(g, "topic", 0), 5);
    assert_non_null(bench_group("h"));
    bench_end_transaction(77, 0, false);
    pass_s(20);
    assert_null(bench_group(g));
    assert_null(bench_group("h"));
    group_bench_end();
}

static void who_may_commit_in_a_transaction(void **state)
{
    (void)state;
    group_bench_start();
    struct committing by_member = {.group = g, .member = "m", .generation = 3};
    assert_int_equal(txn_error(&by_member, 1), KAFKA_ERROR_ILLEGAL_GENERATION);
    struct member member;
    member_join(&member, &(struct joining){.group = g});
    bench_advance(INITIAL_DELAY_MS);
    member_joined(&member); /* completing: plain commits are refused, these are not */
    by_member = (struct committing){.group = g, .member = member.id, .generation = 1};
    assert_int_equal(commit_error(&by_member), KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    assert_int_equal(txn_error(&by_member, 1), 0);
    by_member.generation = 2;
    assert_int_equal(txn_error(&by_member, 1), KAFKA_ERROR_ILLEGAL_GENERATION);
    by_member.member = "stranger";
    assert_int_equal(txn_error(&by_member, 1), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    by_member.instance = "i";
    assert_int_equal(txn_error(&by_member, 1), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(txn_error(&(struct committing){.group = g}, 1), 0); /* says nothing */
    group_bench_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_makes_a_simple_group),
        cmocka_unit_test(without_a_group_a_generation_is_an_error),
        cmocka_unit_test(an_answer_waits_for_the_commit_of_the_log),
        cmocka_unit_test(the_last_commit_wins_whatever_it_says),
        cmocka_unit_test(many_partitions_in_any_order),
        cmocka_unit_test(long_metadata_is_refused_by_its_characters),
        cmocka_unit_test(a_refused_log_refuses_the_commit),
        cmocka_unit_test(an_offset_is_for_one_topic_of_its_name),
        cmocka_unit_test(offsets_go_with_their_topic),
        cmocka_unit_test(offsets_are_deleted_one_by_one),
        cmocka_unit_test(offsets_of_topics_that_are_read_stay),
        cmocka_unit_test(what_does_not_fit_a_batch_is_deleted_in_pieces),
        cmocka_unit_test(offsets_of_a_simple_group_age_from_their_commit),
        cmocka_unit_test(offsets_of_a_group_age_from_when_it_became_empty),
        cmocka_unit_test(in_a_stable_group_only_what_nobody_reads_expires),
        cmocka_unit_test(an_expiry_of_its_own_counts_alone),
        cmocka_unit_test(an_expiry_of_its_own_may_be_the_end_of_time_or_long_over),
        cmocka_unit_test(a_sweep_that_the_log_refuses_comes_again),
        cmocka_unit_test(a_sweep_goes_over_all_groups),
        cmocka_unit_test(an_offset_in_a_transaction_is_pending),
        cmocka_unit_test(a_later_plain_commit_outlives_the_marker),
        cmocka_unit_test(transactions_do_not_mix),
        cmocka_unit_test(deleting_drops_what_is_pending),
        cmocka_unit_test(what_is_pending_does_not_expire),
        cmocka_unit_test(who_may_commit_in_a_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
