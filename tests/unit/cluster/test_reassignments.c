/* Partitions that move: between brokers, between directories, to their preferred leaders. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "cluster/controller/alter_reassignments.h"
#include "cluster/controller/leader_sweep.h"
#include "cluster/controller/list_reassignments.h"
#include "cluster/controller/unregister_broker.h"
#include "tests/unit/cluster/controller_fixture.h"
#include "tests/unit/cluster/decision_requests.h"

/* Brokers 1 to 5, all active. */
static void start(struct decision_bench *bench)
{
    bench_init(bench);
    for (int32_t id = 1; id <= 5; id++)
        bench_set_broker(bench, id, false);
}

static void assert_ids(struct node_list found, struct node_list wanted)
{
    assert_int_equal(found.count, wanted.count);
    for (uint32_t i = 0; i < wanted.count; i++)
        assert_int_equal(found.ids[i], wanted.ids[i]);
}

/* Moves partition 0 of a topic; NOBODY takes the move back. */
static enum kafka_error move(struct decision_bench *bench, const char *topic,
                             struct node_list target, bool may_change_factor)
{
    int32_t ids[8];
    for (uint32_t i = 0; i < target.count; i++)
        ids[i] = target.ids[i];
    struct alter_partition_reassignments_request_reassignable_partition partition = {
        0, target.ids ? ids : NULL, target.count};
    struct alter_partition_reassignments_request_reassignable_topic asked = {view_of_string(topic),
                                                                             &partition, 1};
    struct alter_partition_reassignments_request request;
    struct alter_partition_reassignments_response response;
    struct decision decision;
    alter_partition_reassignments_request_init(&request);
    request.allow_replication_factor_change = may_change_factor;
    request.topics = &asked;
    request.topics_count = 1;
    bench_decide(bench, &decision);
    decide_alter_partition_reassignments(&decision, &request, &response);
    bench_commit(bench, &decision);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    int16_t error = response.responses[0].partitions[0].error_code;
    assert_int_equal(view_is_null(response.responses[0].partitions[0].error_message), error == 0);
    if (error != KAFKA_ERROR_NONE)
        assert_int_equal(decision.records.count, 0);
    return (enum kafka_error)error;
}

static void reassignments_are_checked(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    int32_t ids[] = {0};
    struct node_list empty = {ids, 0};
    assert_int_equal(move(&bench, "missing", IDS(1), true), KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(move(&bench, "t", empty, true), KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(move(&bench, "t", IDS(1, 9), true), KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(move(&bench, "t", IDS(3, 3), true), KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(move(&bench, "t", IDS(3), false), KAFKA_ERROR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(move(&bench, "t", NOBODY, true), KAFKA_ERROR_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(move(&bench, "t", IDS(1, 2), false), KAFKA_ERROR_NONE);
    assert_int_equal(bench_state(&bench, "t").partition_epoch, 8);
    bench_deinit(&bench);
}

static void a_partition_moves_when_its_new_replicas_are_in_sync(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    assert_int_equal(move(&bench, "t", IDS(4, 2, 3), true), KAFKA_ERROR_NONE);
    struct partition_state now = bench_state(&bench, "t");
    assert_ids(now.replicas, IDS(4, 2, 3, 1));
    assert_ids(now.adding, IDS(3, 4));
    assert_ids(now.removing, IDS(1));
    assert_int_equal(now.leader, 1);
    assert_int_equal(now.leader_epoch, 5);
    assert_true(uuid_equal(now.directories[0], uuid_of_halves(50, 4)));
    assert_int_equal(bench_propose(&bench, "t", IDS(1, 2, 4)), KAFKA_ERROR_NONE);
    assert_ids(bench_state(&bench, "t").adding, IDS(3, 4));
    assert_int_equal(bench_propose(&bench, "t", IDS(1, 2, 4, 3)), KAFKA_ERROR_NEW_LEADER_ELECTED);
    now = bench_state(&bench, "t");
    assert_ids(now.replicas, IDS(4, 2, 3));
    assert_ids(now.isr, IDS(2, 4, 3));
    assert_int_equal(now.adding.count + now.removing.count, 0);
    assert_int_equal(now.leader, 4);
    assert_int_equal(now.leader_epoch, 6);
    bench_deinit(&bench);
}

static void order_and_removal_take_effect_at_once(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_add_topic(&bench, "t", IDS(1, 2, 3), IDS(1, 2, 3), 1);
    assert_int_equal(move(&bench, "t", IDS(3, 2, 1), false), KAFKA_ERROR_NONE);
    assert_ids(bench_state(&bench, "t").replicas, IDS(3, 2, 1));
    assert_int_equal(bench_state(&bench, "t").leader, 1);
    assert_int_equal(bench_state(&bench, "t").leader_epoch, 5);
    assert_int_equal(move(&bench, "t", IDS(3, 1), true), KAFKA_ERROR_NONE);
    struct partition_state now = bench_state(&bench, "t");
    assert_ids(now.replicas, IDS(3, 1));
    assert_ids(now.isr, IDS(1, 3));
    assert_int_equal(now.removing.count, 0);
    /* The leader stays, but the one that left must not follow on. */
    assert_int_equal(now.leader, 1);
    assert_int_equal(now.leader_epoch, 6);
    bench_deinit(&bench);
}

static void a_second_move_is_taken_against_all_replicas(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    assert_int_equal(move(&bench, "t", IDS(3, 4), true), KAFKA_ERROR_NONE);
    assert_ids(bench_state(&bench, "t").replicas, IDS(3, 4, 1, 2));
    assert_int_equal(move(&bench, "t", IDS(5, 4, 1), false),
                     KAFKA_ERROR_INVALID_REPLICATION_FACTOR);
    assert_int_equal(move(&bench, "t", IDS(5, 4), false), KAFKA_ERROR_NONE);
    struct partition_state now = bench_state(&bench, "t");
    assert_ids(now.replicas, IDS(5, 4, 1, 2, 3));
    assert_ids(now.adding, IDS(5));
    assert_ids(now.removing, IDS(1, 2, 3));
    bench_deinit(&bench);
}

static void a_move_is_taken_back(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    assert_int_equal(move(&bench, "t", IDS(3, 4), true), KAFKA_ERROR_NONE);
    assert_int_equal(bench_propose(&bench, "t", IDS(1, 2, 3)), KAFKA_ERROR_NONE);
    assert_int_equal(move(&bench, "t", NOBODY, true), KAFKA_ERROR_NONE);
    struct partition_state now = bench_state(&bench, "t");
    assert_ids(now.replicas, IDS(1, 2));
    assert_ids(now.isr, IDS(1, 2));
    assert_int_equal(now.adding.count + now.removing.count, 0);
    assert_int_equal(now.leader, 1);
    assert_int_equal(now.leader_epoch, 6);
    bench_deinit(&bench);
}

static void the_way_back_may_need_an_unclean_election(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    assert_int_equal(move(&bench, "t", IDS(3, 4), true), KAFKA_ERROR_NONE);
    struct image_draft draft;
    bench_edit(&bench, &draft);
    struct partition_state now = bench_state(&bench, "t");
    now.isr = IDS(3);
    now.leader = 3;
    const struct image_topic *topic = image_topic_by_name(bench.image, VIEW_LITERAL("t"));
    assert_true(draft_set_partition(&draft, topic->id, 0, &now));
    bench_adopt(&bench, &draft);
    assert_int_equal(move(&bench, "t", NOBODY, true), KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT);
    bench_edit(&bench, &draft);
    draft_set_config(&draft, CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("t"),
                     VIEW_LITERAL("unclean.leader.election.enable"), VIEW_LITERAL("true"));
    bench_adopt(&bench, &draft);
    assert_int_equal(move(&bench, "t", NOBODY, true), KAFKA_ERROR_NONE);
    now = bench_state(&bench, "t");
    assert_ids(now.replicas, IDS(1, 2));
    assert_ids(now.isr, IDS(1));
    assert_int_equal(now.leader, 1);
    bench_deinit(&bench);
}

static void moves_are_listed(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_add_topic(&bench, "moving", IDS(1, 2), IDS(1, 2), 1);
    bench_add_topic(&bench, "still", IDS(1, 2), IDS(1, 2), 1);
    assert_int_equal(move(&bench, "moving", IDS(2, 3), true), KAFKA_ERROR_NONE);
    int32_t indexes[] = {0, 7, 0};
    struct list_partition_reassignments_request_list_partition_reassignments_topics asked[] = {
        {VIEW_LITERAL("moving"), indexes, 2},
        {VIEW_LITERAL("still"), indexes, 1},
        {VIEW_LITERAL("missing"), indexes, 1},
    };
    struct list_partition_reassignments_request requests[2];
    list_partition_reassignments_request_init(&requests[0]);
    list_partition_reassignments_request_init(&requests[1]);
    requests[1].topics = asked;
    requests[1].topics_count = 3;
    for (size_t i = 0; i < 2; i++) {
        struct list_partition_reassignments_response response;
        struct decision decision;
        bench_decide(&bench, &decision);
        decide_list_partition_reassignments(&decision, &requests[i], &response);
        assert_int_equal(decision.records.count, 0);
        assert_int_equal(response.topics_count, 1);
        assert_true(view_equal(response.topics[0].name, VIEW_LITERAL("moving")));
        assert_int_equal(response.topics[0].partitions_count, 1);
        struct node_list replicas = {response.topics[0].partitions[0].replicas,
                                     (uint32_t)response.topics[0].partitions[0].replicas_count};
        assert_ids(replicas, IDS(2, 3, 1));
        assert_int_equal(response.topics[0].partitions[0].adding_replicas[0], 3);
        assert_int_equal(response.topics[0].partitions[0].removing_replicas[0], 1);
    }
    bench_deinit(&bench);
}

/* ---- Brokers that are forgotten -------------------------------------------------------------- */

static enum kafka_error forget(struct decision_bench *bench, int32_t id)
{
    struct unregister_broker_request request = {id};
    struct unregister_broker_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_unregister_broker(&decision, &request, &response);
    bench_commit(bench, &decision);
    return (enum kafka_error)response.error_code;
}

static void a_forgotten_broker_leaves_its_places(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_set_feature(&bench, "eligible.leader.replicas.version", 1);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    bench_add_topic(&bench, "alone", IDS(1, 2), IDS(1), 1);
    assert_int_equal(forget(&bench, 9), KAFKA_ERROR_BROKER_ID_NOT_REGISTERED);
    assert_int_equal(forget(&bench, 1), KAFKA_ERROR_NONE);
    assert_null(image_broker(bench.image, 1));
    assert_ids(bench_state(&bench, "t").replicas, IDS(1, 2));
    assert_ids(bench_state(&bench, "t").isr, IDS(2));
    assert_int_equal(bench_state(&bench, "t").leader, 2);
    assert_int_equal(bench_state(&bench, "alone").leader, -1);
    assert_int_equal(bench_state(&bench, "alone").eligible.count, 0);
    for (int32_t id = 3; id <= 5; id++)
        assert_int_equal(forget(&bench, id), KAFKA_ERROR_NONE);
    assert_int_equal(forget(&bench, 2), KAFKA_ERROR_INVALID_REQUEST);
    bench_deinit(&bench);
}

/* ---- Directories ----------------------------------------------------------------------------- */

static void replicas_are_assigned_to_directories(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    struct uuid topic = bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    struct uuid other = bench_add_topic(&bench, "other", IDS(2, 3), IDS(2), 2);
    struct uuid online = uuid_of_halves(50, 1), dead = uuid_of_halves(50, 99);
    assert_int_equal(bench_assign(&bench, 1, 7, topic, 0, online), KAFKA_ERROR_STALE_BROKER_EPOCH);
    assert_int_equal(bench_assign(&bench, 1, 101, uuid_of_halves(1, 1), 0, online),
                     KAFKA_ERROR_UNKNOWN_TOPIC_ID);
    assert_int_equal(bench_assign(&bench, 1, 101, topic, 3, online),
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(bench_assign(&bench, 1, 101, other, 0, online),
                     KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(bench_assign(&bench, 1, 101, topic, 0, online), KAFKA_ERROR_NONE);
    assert_true(uuid_equal(bench_state(&bench, "t").directories[0], online));
    assert_true(uuid_is_zero(bench_state(&bench, "t").directories[1]));
    assert_int_equal(bench_state(&bench, "t").partition_epoch, 9);
    assert_int_equal(bench_assign(&bench, 1, 101, topic, 0, online), KAFKA_ERROR_NONE);
    assert_int_equal(bench_state(&bench, "t").partition_epoch, 9);
    assert_int_equal(bench_state(&bench, "t").leader, 1);
    assert_int_equal(bench_assign(&bench, 1, 101, topic, 0, dead), KAFKA_ERROR_NONE);
    assert_true(uuid_equal(bench_state(&bench, "t").directories[0], dead));
    assert_int_equal(bench_state(&bench, "t").leader, 2);
    assert_ids(bench_state(&bench, "t").isr, IDS(2));
    bench_set_feature(&bench, "metadata.version", 16);
    assert_int_equal(bench_assign(&bench, 1, 101, topic, 0, online),
                     KAFKA_ERROR_UNSUPPORTED_VERSION);
    bench_deinit(&bench);
}

static void nobody_leads_from_a_lost_directory(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    struct uuid topic = bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 2);
    assert_int_equal(bench_assign(&bench, 1, 101, topic, 0, uuid_of_halves(0, 2)),
                     KAFKA_ERROR_NONE);
    assert_ids(bench_state(&bench, "t").isr, IDS(2));
    bench_deinit(&bench);
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

static void leadership_goes_back_to_preferred_replicas(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_set_broker(&bench, 4, true);
    bench_add_topic(&bench, "back", IDS(1, 2), IDS(2, 1), 2);
    bench_add_topic(&bench, "behind", IDS(1, 2), IDS(2), 2);
    bench_add_topic(&bench, "fenced", IDS(4, 2), IDS(4, 2), 2);
    bench_add_topic(&bench, "fine", IDS(1, 2), IDS(1, 2), 1);
    struct decision decision;
    bench_decide(&bench, &decision);
    assert_false(decide_preferred_leaders(&decision));
    assert_int_equal(decision.records.count, 1);
    bench_commit(&bench, &decision);
    assert_int_equal(bench_state(&bench, "back").leader, 1);
    bench_deinit(&bench);
}

static void unclean_leaders_are_elected_where_that_is_allowed(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    bench_set_broker(&bench, 4, true);
    bench_add_topic(&bench, "allowed", IDS(4, 2), IDS(4), -1);
    bench_add_topic(&bench, "denied", IDS(4, 2), IDS(4), -1);
    struct image_draft draft;
    bench_edit(&bench, &draft);
    draft_set_config(&draft, CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("allowed"),
                     VIEW_LITERAL("unclean.leader.election.enable"), VIEW_LITERAL("true"));
    bench_adopt(&bench, &draft);
    struct decision decision;
    bench_decide(&bench, &decision);
    assert_false(decide_unclean_leaders(&decision));
    assert_int_equal(decision.records.count, 1);
    bench_commit(&bench, &decision);
    assert_int_equal(bench_state(&bench, "allowed").leader, 2);
    assert_int_equal(bench_state(&bench, "allowed").recovery, IMAGE_RECOVERING);
    assert_int_equal(bench_state(&bench, "denied").leader, -1);
    bench_deinit(&bench);
}

static void a_full_sweep_asks_for_another(void **state)
{
    (void)state;
    struct decision_bench bench;
    start(&bench);
    struct uuid topic = bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 2);
    struct image_draft draft;
    bench_edit(&bench, &draft);
    struct partition_state partition = bench_state(&bench, "t");
    for (int32_t i = 1; i < LEADER_SWEEP_MAX + 5; i++)
        assert_true(draft_set_partition(&draft, topic, i, &partition));
    bench_adopt(&bench, &draft);
    for (int pass = 0; pass < 2; pass++) {
        struct decision decision;
        bench_decide(&bench, &decision);
        assert_int_equal(decide_preferred_leaders(&decision), pass == 0);
        assert_int_equal(decision.records.count, pass == 0 ? LEADER_SWEEP_MAX : 5);
        bench_commit(&bench, &decision);
    }
    bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reassignments_are_checked),
        cmocka_unit_test(a_partition_moves_when_its_new_replicas_are_in_sync),
        cmocka_unit_test(order_and_removal_take_effect_at_once),
        cmocka_unit_test(a_second_move_is_taken_against_all_replicas),
        cmocka_unit_test(a_move_is_taken_back),
        cmocka_unit_test(the_way_back_may_need_an_unclean_election),
        cmocka_unit_test(moves_are_listed),
        cmocka_unit_test(a_forgotten_broker_leaves_its_places),
        cmocka_unit_test(replicas_are_assigned_to_directories),
        cmocka_unit_test(nobody_leads_from_a_lost_directory),
        cmocka_unit_test(leadership_goes_back_to_preferred_replicas),
        cmocka_unit_test(unclean_leaders_are_elected_where_that_is_allowed),
        cmocka_unit_test(a_full_sweep_asks_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
