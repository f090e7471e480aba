/* Elections, in-sync sets, features, producer ids, settings. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "cluster/controller/allocate_producer_ids.h"
#include "cluster/controller/alter_partition.h"
#include "cluster/controller/elect_leaders.h"
#include "tests/unit/cluster/decision_requests.h"

/* ---- ElectLeaders ---------------------------------------------------------------------------- */

static void elections_answer_as_the_partition_stands(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "preferred", IDS(1, 2), IDS(1, 2), 1);
    bench_add_topic(&bench, "other", IDS(1, 2), IDS(1, 2), 2);
    bench_add_topic(&bench, "behind", IDS(1, 2), IDS(2), 2);
    bench_add_topic(&bench, "dead", IDS(3), IDS(3), -1);
    bench_add_topic(&bench, "stale", IDS(1, 2, 3), IDS(3), -1);
    assert_int_equal(bench_elect(&bench, "preferred", 0, 0), KAFKA_ERROR_ELECTION_NOT_NEEDED);
    assert_int_equal(bench_elect(&bench, "other", 0, 0), KAFKA_ERROR_NONE);
    assert_int_equal(bench_partition(&bench, "other")->leader, 1);
    assert_int_equal(bench_partition(&bench, "other")->leader_epoch, 6);
    assert_int_equal(bench_elect(&bench, "behind", 0, 0),
                     KAFKA_ERROR_PREFERRED_LEADER_NOT_AVAILABLE);
    assert_int_equal(bench_partition(&bench, "behind")->leader, 2);
    assert_int_equal(bench_elect(&bench, "nowhere", 0, 0), KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(bench_elect(&bench, "other", 7, 0), KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(bench_elect(&bench, "other", 0, 5), KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(bench_elect(&bench, "other", 0, 1), KAFKA_ERROR_ELECTION_NOT_NEEDED);
    assert_int_equal(bench_elect(&bench, "dead", 0, 1), KAFKA_ERROR_ELIGIBLE_LEADERS_NOT_AVAILABLE);
    assert_int_equal(bench_elect(&bench, "stale", 0, 1), KAFKA_ERROR_NONE);
    const struct image_partition *stale = bench_partition(&bench, "stale");
    assert_int_equal(stale->leader, 1);
    assert_int_equal(stale->isr_count, 1);
    assert_int_equal(stale->recovery, IMAGE_RECOVERING);
    bench_deinit(&bench);
}

static void a_partition_that_is_named_twice_is_elected_once(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "other", IDS(1, 2), IDS(1, 2), 2);
    int32_t indexes[] = {0, 0};
    struct elect_leaders_request_topic_partitions asked[] = {
        {VIEW_LITERAL("other"), indexes, 2},
        {VIEW_LITERAL("other"), indexes, 1},
    };
    struct elect_leaders_request request;
    elect_leaders_request_init(&request);
    request.topic_partitions = asked;
    request.topic_partitions_count = 2;
    struct elect_leaders_response response;
    struct decision decision;
    bench_decide(&bench, &decision);
    decide_elect_leaders(&decision, &request, &response);
    assert_int_equal(decision.records.count, 1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            response.replica_election_results[i / 2].partition_result[i % 2].error_code,
            KAFKA_ERROR_NONE);
    bench_commit(&bench, &decision);
    assert_int_equal(bench_partition(&bench, "other")->leader, 1);
    assert_int_equal(bench_partition(&bench, "other")->leader_epoch, 6);
    bench_deinit(&bench);
}

static void electing_everything_names_only_what_changed(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "fine", IDS(1, 2), IDS(1, 2), 1);
    bench_add_topic(&bench, "other", IDS(1, 2), IDS(1, 2), 2);
    struct elect_leaders_request request;
    elect_leaders_request_init(&request);
    request.topic_partitions = NULL;
    struct elect_leaders_response response;
    struct decision decision;
    bench_decide(&bench, &decision);
    decide_elect_leaders(&decision, &request, &response);
    assert_int_equal(response.replica_election_results_count, 1);
    assert_true(view_equal(response.replica_election_results[0].topic, VIEW_LITERAL("other")));
    bench_commit(&bench, &decision);
    bench_deinit(&bench);
}

/* ---- Brokers that come and go ---------------------------------------------------------------- */

static void a_removed_broker_leaves_leadership_and_in_sync_sets(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_cache(&bench);
    bench_add_topic(&bench, "shared", IDS(1, 2), IDS(1, 2), 1);
    bench_add_topic(&bench, "alone", IDS(1, 2), IDS(1), 1);
    bench_add_topic(&bench, "elsewhere", IDS(2), IDS(2), 2);
    bench_broker_leaves(
        &bench, &(struct broker_departure){.broker_id = 1, .removal = BROKER_REMOVAL_UNCLEAN});
    assert_int_equal(bench_partition(&bench, "shared")->leader, 2);
    assert_int_equal(bench_partition(&bench, "shared")->isr_count, 1);
    /* The last member is kept, or nobody could ever lead again without loss. */
    assert_int_equal(bench_partition(&bench, "alone")->leader, -1);
    assert_int_equal(bench_partition(&bench, "alone")->isr_count, 1);
    assert_int_equal(bench_partition(&bench, "elsewhere")->partition_epoch, 8);
    bench_broker_comes(&bench, 1);
    assert_int_equal(bench_partition(&bench, "alone")->leader, 1);
    assert_int_equal(bench_partition(&bench, "alone")->leader_epoch, 7);
    assert_int_equal(bench_partition(&bench, "shared")->leader, 2);
    bench_deinit(&bench);
}

static void a_leader_alone_in_sync_comes_back_as_it_was_when_nobody_followed_it(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "alone", IDS(1, 2), IDS(1), 1);
    bench_add_topic(&bench, "only", IDS(1), IDS(1), 1);
    int32_t epoch = bench_partition(&bench, "only")->leader_epoch;
    bench_broker_leaves(
        &bench, &(struct broker_departure){.broker_id = 1, .removal = BROKER_REMOVAL_UNCLEAN});
    /* Its follower may have fetched what it lost, so its next records need another epoch. */
    assert_int_equal(bench_partition(&bench, "alone")->leader, -1);
    assert_int_equal(bench_partition(&bench, "alone")->leader_epoch, epoch + 1);
    assert_int_equal(bench_partition(&bench, "only")->leader, 1);
    assert_int_equal(bench_partition(&bench, "only")->leader_epoch, epoch);
    bench_deinit(&bench);
}

static void eligible_leaders_are_remembered_below_the_minimum(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_feature(&bench, "eligible.leader.replicas.version", 1);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1), 1);
    bench_broker_leaves(&bench,
                        &(struct broker_departure){.broker_id = 1, .removal = BROKER_REMOVAL_GONE});
    struct partition_state left = bench_state(&bench, "t");
    assert_int_equal(left.leader, -1);
    assert_int_equal(left.isr.count, 0);
    assert_int_equal(left.eligible.count, 1);
    assert_int_equal(left.eligible.ids[0], 1);
    bench_broker_comes(&bench, 1);
    left = bench_state(&bench, "t");
    assert_int_equal(left.leader, 1);
    assert_int_equal(left.isr.count, 1);
    assert_int_equal(left.eligible.count, 0);
    assert_int_equal(left.recovery, IMAGE_RECOVERED);
    bench_deinit(&bench);
}

static void an_unclean_restart_loses_eligibility_and_is_remembered_as_last(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_cache(&bench);
    bench_set_feature(&bench, "eligible.leader.replicas.version", 1);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1), 1);
    bench_broker_leaves(
        &bench, &(struct broker_departure){.broker_id = 1, .removal = BROKER_REMOVAL_UNCLEAN});
    struct partition_state left = bench_state(&bench, "t");
    assert_int_equal(left.eligible.count, 0);
    assert_int_equal(left.last_known.count, 1);
    bench_broker_comes(&bench, 1);
    left = bench_state(&bench, "t");
    assert_int_equal(left.leader, 1);
    assert_int_equal(left.recovery, IMAGE_RECOVERING);
    assert_int_equal(left.last_known.count, 0);
    bench_deinit(&bench);
}

/* ---- AlterPartition -------------------------------------------------------------------------- */

struct proposal {
    int32_t broker;
    int64_t broker_epoch;
    int32_t leader_epoch;
    int32_t partition_epoch;
    int32_t isr[3];
    int64_t isr_epochs[3];
    size_t isr_count;
    int8_t recovery;
};

static enum kafka_error propose(struct decision_bench *bench, struct uuid topic,
                                const struct proposal *proposal)
{
    struct alter_partition_request_broker_state members[3];
    for (size_t i = 0; i < proposal->isr_count; i++)
        members[i] = (struct alter_partition_request_broker_state){proposal->isr[i],
                                                                   proposal->isr_epochs[i]};
    struct alter_partition_request_partition_data partition = {
        .leader_epoch = proposal->leader_epoch,
        .new_isr_with_epochs = members,
        .new_isr_with_epochs_count = proposal->isr_count,
        .leader_recovery_state = proposal->recovery,
        .partition_epoch = proposal->partition_epoch,
    };
    return bench_alter_partition(bench, proposal->broker, proposal->broker_epoch, topic,
                                 &partition);
}

static void proposals_are_checked_in_order(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct uuid topic = bench_add_topic(&bench, "t", IDS(1, 2, 3), IDS(1), 1);
    struct uuid unknown = uuid_of_halves(3, 3);
    const struct {
        struct proposal proposal;
        bool is_unknown;
        enum kafka_error error;
    } cases[] = {
        {{1, 99, 5, 8, {1, 2}, {-1, -1}, 2, 0}, false, KAFKA_ERROR_STALE_BROKER_EPOCH},
        {{1, 101, 5, 8, {1, 2}, {-1, -1}, 2, 0}, true, KAFKA_ERROR_UNKNOWN_TOPIC_ID},
        {{1, 101, 6, 8, {1, 2}, {-1, -1}, 2, 0}, false, KAFKA_ERROR_NOT_CONTROLLER},
        {{1, 101, 5, 9, {1, 2}, {-1, -1}, 2, 0}, false, KAFKA_ERROR_NOT_CONTROLLER},
        {{1, 101, 4, 8, {1, 2}, {-1, -1}, 2, 0}, false, KAFKA_ERROR_FENCED_LEADER_EPOCH},
        {{2, 102, 5, 8, {1, 2}, {-1, -1}, 2, 0}, false, KAFKA_ERROR_INVALID_REQUEST},
        {{1, 101, 5, 7, {1, 2}, {-1, -1}, 2, 0}, false, KAFKA_ERROR_INVALID_UPDATE_VERSION},
        {{1, 101, 5, 8, {2}, {-1}, 1, 0}, false, KAFKA_ERROR_INVALID_REQUEST},
        {{1, 101, 5, 8, {1, 1}, {-1, -1}, 2, 0}, false, KAFKA_ERROR_INVALID_REQUEST},
        {{1, 101, 5, 8, {1, 9}, {-1, -1}, 2, 0}, false, KAFKA_ERROR_INVALID_REQUEST},
        {{1, 101, 5, 8, {1, 2}, {-1, -1}, 2, 1}, false, KAFKA_ERROR_INVALID_REQUEST},
        {{1, 101, 5, 8, {1, 3}, {-1, -1}, 2, 0}, false, KAFKA_ERROR_INELIGIBLE_REPLICA},
        {{1, 101, 5, 8, {1, 2}, {-1, 55}, 2, 0}, false, KAFKA_ERROR_INELIGIBLE_REPLICA},
        {{1, 101, 5, 8, {1, 2}, {101, 102}, 2, 0}, false, KAFKA_ERROR_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum kafka_error error =
            propose(&bench, cases[i].is_unknown ? unknown : topic, &cases[i].proposal);
        if (error != cases[i].error)
            fail_msg("case %zu: %s", i, kafka_error_name(error));
    }
    const struct image_partition *partition = bench_partition(&bench, "t");
    assert_int_equal(partition->isr_count, 2);
    assert_int_equal(partition->partition_epoch, 9);
    assert_int_equal(partition->leader_epoch, 5);
    bench_deinit(&bench);
}

static void the_last_replica_in_sync_completes_a_reassignment(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_broker(&bench, 3, false);
    struct uuid topic = bench_add_topic(&bench, "t", IDS(1, 2, 3), IDS(1, 2), 1);
    struct image_draft draft;
    bench_edit(&bench, &draft);
    struct partition_state partition = bench_state(&bench, "t");
    partition.adding = IDS(3);
    partition.removing = IDS(1);
    draft_set_partition(&draft, topic, 0, &partition);
    bench_adopt(&bench, &draft);
    struct proposal proposal = {1, 101, 5, 8, {1, 2, 3}, {-1, -1, -1}, 3, 0};
    assert_int_equal(propose(&bench, topic, &proposal), KAFKA_ERROR_NEW_LEADER_ELECTED);
    partition = bench_state(&bench, "t");
    assert_int_equal(partition.leader, 2);
    assert_int_equal(partition.leader_epoch, 6);
    assert_int_equal(partition.partition_epoch, 9);
    assert_int_equal(partition.replicas.count, 2);
    assert_int_equal(partition.replicas.ids[1], 3);
    assert_int_equal(partition.isr.count, 2);
    assert_int_equal(partition.adding.count, 0);
    assert_int_equal(partition.removing.count, 0);
    bench_deinit(&bench);
}

static void one_partition_is_changed_once_per_request(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct uuid topic = bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    struct alter_partition_request_broker_state member = {1, -1};
    struct alter_partition_request_partition_data partition = {
        .leader_epoch = 5,
        .new_isr_with_epochs = &member,
        .new_isr_with_epochs_count = 1,
        .partition_epoch = 8,
    };
    struct alter_partition_request_topic_data data[] = {{topic, &partition, 1},
                                                        {topic, &partition, 1}};
    struct alter_partition_request request = {
        .broker_id = 1, .broker_epoch = 101, .topics = data, .topics_count = 2};
    struct alter_partition_response response;
    struct decision decision;
    bench_decide(&bench, &decision);
    decide_alter_partition(&decision, &request, 3, &response);
    assert_int_equal(response.topics[0].partitions[0].error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.topics[1].partitions[0].error_code, KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(decision.records.count, 1);
    bench_deinit(&bench);
}

static void unclean_elections_follow_the_settings(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_broker(&bench, 3, false);
    bench_add_topic(&bench, "t", IDS(1, 2, 3), IDS(1), 1);
    const char *const set[] = {"", "topic", "cluster"};
    for (size_t i = 0; i < 3; i++) {
        struct image_draft draft;
        bench_edit(&bench, &draft);
        if (i > 0)
            draft_set_config(&draft, i == 1 ? CONFIG_RESOURCE_TOPIC : CONFIG_RESOURCE_BROKER,
                             i == 1 ? VIEW_LITERAL("t") : VIEW_LITERAL(""),
                             VIEW_LITERAL("unclean.leader.election.enable"), VIEW_LITERAL("true"));
        const struct image *before = bench.image;
        image_acquire(before);
        bench_adopt(&bench, &draft);
        bench_broker_leaves(
            &bench, &(struct broker_departure){.broker_id = 1, .removal = BROKER_REMOVAL_GONE});
        const struct image_partition *partition = bench_partition(&bench, "t");
        if (partition->leader != (i == 0 ? -1 : 2))
            fail_msg("setting of '%s': leader %d", set[i], partition->leader);
        assert_int_equal(partition->recovery, i == 0 ? IMAGE_RECOVERED : IMAGE_RECOVERING);
        image_release(bench.image);
        bench.image = before;
    }
    bench_deinit(&bench);
}

/* ---- Features and producer ids --------------------------------------------------------------- */

static void feature_levels_move_within_what_all_support(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_feature(&bench, "metadata.version", 25);
    const struct {
        const char *name;
        int16_t level;
        int8_t type;
        enum kafka_error error;
    } cases[] = {
        {"no.such.feature", 1, 1, KAFKA_ERROR_INVALID_UPDATE_VERSION},
        {"share.version", 1, 1, KAFKA_ERROR_INVALID_UPDATE_VERSION},
        {"share.version", 0, 1, KAFKA_ERROR_NONE},
        {"metadata.version", 30, 1, KAFKA_ERROR_INVALID_UPDATE_VERSION},
        {"metadata.version", 0, 3, KAFKA_ERROR_INVALID_UPDATE_VERSION},
        {"metadata.version", -1, 1, KAFKA_ERROR_INVALID_UPDATE_VERSION},
        {"metadata.version", 28, 9, KAFKA_ERROR_INVALID_REQUEST},
        {"metadata.version", 28, 1, KAFKA_ERROR_NONE},
        {"metadata.version", 28, 1, KAFKA_ERROR_NONE},
        {"metadata.version", 27, 1, KAFKA_ERROR_INVALID_UPDATE_VERSION},
        {"metadata.version", 27, 2, KAFKA_ERROR_NONE},
        {"metadata.version", 14, 2, KAFKA_ERROR_INVALID_UPDATE_VERSION},
        {"group.version", 1, 1, KAFKA_ERROR_INVALID_UPDATE_VERSION},
        {"kraft.version", 1, 1, KAFKA_ERROR_INVALID_UPDATE_VERSION},
        {"kraft.version", 0, 1, KAFKA_ERROR_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct feature_level wanted = {cases[i].name, cases[i].level};
        enum kafka_error error = bench_update_features(&bench, &wanted, 1, cases[i].type, NULL);
        if (error != cases[i].error)
            fail_msg("case %zu: %s", i, kafka_error_name(error));
    }
    assert_int_equal(image_feature_level(bench.image, VIEW_LITERAL("metadata.version")), 27);
    bench_deinit(&bench);
}

/* As in Apache Kafka: the level is needed to raise kraft.version, and not to stay there. */
static void voters_in_the_log_hold_no_metadata_version(void **state)
{
    (void)state;
    struct decision_bench bench;
    struct image_draft draft;
    struct feature_level wanted = {"metadata.version", 20};
    bench_init(&bench);
    bench_edit(&bench, &draft);
    draft_set_feature(&draft, VIEW_LITERAL("metadata.version"), 21);
    draft_set_leadership(&draft, 1, 1, 1);
    bench_adopt(&bench, &draft);
    assert_int_equal(bench_update_features(&bench, &wanted, 1, 2, NULL), KAFKA_ERROR_NONE);
    assert_int_equal(image_feature_level(bench.image, VIEW_LITERAL("metadata.version")), 20);
    assert_int_equal(bench.image->kraft_version, 1);
    wanted = (struct feature_level){"kraft.version", 0};
    assert_int_equal(bench_update_features(&bench, &wanted, 1, 3, NULL),
                     KAFKA_ERROR_INVALID_UPDATE_VERSION);
    bench_deinit(&bench);
}

static void blocks_of_producer_ids_never_overlap(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct allocate_producer_ids_request request = {1, 101};
    int64_t next = 0;
    for (int i = 0; i < 5; i++) {
        struct allocate_producer_ids_response response;
        struct decision decision;
        bench_decide(&bench, &decision);
        decide_allocate_producer_ids(&decision, &request, &response);
        bench_commit(&bench, &decision);
        assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
        assert_int_equal(response.producer_id_start, next);
        next += response.producer_id_len;
    }
    const struct {
        struct allocate_producer_ids_request request;
        enum kafka_error error;
    } refused[] = {{{9, 101}, KAFKA_ERROR_BROKER_ID_NOT_REGISTERED},
                   {{1, 100}, KAFKA_ERROR_STALE_BROKER_EPOCH}};
    for (size_t i = 0; i < 2; i++) {
        struct allocate_producer_ids_response response;
        struct decision decision;
        bench_decide(&bench, &decision);
        decide_allocate_producer_ids(&decision, &refused[i].request, &response);
        assert_int_equal(response.error_code, refused[i].error);
        assert_int_equal(decision.records.count, 0);
    }
    bench_deinit(&bench);
}

/* ---- Configs --------------------------------------------------------------------------------- */

static enum kafka_error set_for_broker(struct decision_bench *bench, const char *id)
{
    return bench_alter_config(bench, CONFIG_RESOURCE_BROKER, id, "log.retention.ms", 0, "1000");
}

/* The request comes from whichever broker it was sent to; the controller is another node. */
static void settings_of_every_registered_broker_are_taken(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    assert_int_equal(set_for_broker(&bench, "1"), KAFKA_ERROR_NONE);
    assert_int_equal(set_for_broker(&bench, "2"), KAFKA_ERROR_NONE);
    assert_int_equal(set_for_broker(&bench, "3"), KAFKA_ERROR_NONE);
    assert_int_equal(set_for_broker(&bench, "77"), KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(set_for_broker(&bench, "two"), KAFKA_ERROR_INVALID_REQUEST);
    bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elections_answer_as_the_partition_stands),
        cmocka_unit_test(a_partition_that_is_named_twice_is_elected_once),
        cmocka_unit_test(electing_everything_names_only_what_changed),
        cmocka_unit_test(a_removed_broker_leaves_leadership_and_in_sync_sets),
        cmocka_unit_test(a_leader_alone_in_sync_comes_back_as_it_was_when_nobody_followed_it),
        cmocka_unit_test(eligible_leaders_are_remembered_below_the_minimum),
        cmocka_unit_test(an_unclean_restart_loses_eligibility_and_is_remembered_as_last),
        cmocka_unit_test(proposals_are_checked_in_order),
        cmocka_unit_test(the_last_replica_in_sync_completes_a_reassignment),
        cmocka_unit_test(one_partition_is_changed_once_per_request),
        cmocka_unit_test(unclean_elections_follow_the_settings),
        cmocka_unit_test(feature_levels_move_within_what_all_support),
        cmocka_unit_test(voters_in_the_log_hold_no_metadata_version),
        cmocka_unit_test(blocks_of_producer_ids_never_overlap),
        cmocka_unit_test(settings_of_every_registered_broker_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
