/* Elections, in-sync sets, features, producer ids, registration and heartbeats. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "cluster/controller/allocate_producer_ids.h"
#include "cluster/controller/alter_configs.h"
#include "cluster/controller/alter_partition.h"
#include "cluster/controller/broker_departure.h"
#include "cluster/controller/broker_heartbeat.h"
#include "cluster/controller/broker_registration.h"
#include "cluster/controller/elect_leaders.h"
#include "cluster/controller/partition_change.h"
#include "cluster/controller/update_features.h"
#include "tests/unit/cluster/decision_bench.h"

static int32_t one_two[] = {1, 2};
static int32_t one_two_three[] = {1, 2, 3};
static int32_t two[] = {2};
static int32_t three[] = {3};

#define LIST(array) ((struct node_list){(array), sizeof(array) / sizeof((array)[0])})

/* ---- ElectLeaders ---------------------------------------------------------------------------- */

static enum kafka_error elect(struct decision_bench *bench, const char *topic, int32_t partition,
                              int8_t type)
{
    struct elect_leaders_request_topic_partitions asked = {view_of_string(topic), &partition, 1};
    struct elect_leaders_request request;
    elect_leaders_request_init(&request);
    request.election_type = type;
    request.topic_partitions = &asked;
    request.topic_partitions_count = 1;
    struct elect_leaders_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_elect_leaders(&decision, &request, &response);
    bench_commit(bench, &decision);
    if (response.error_code != KAFKA_ERROR_NONE)
        return (enum kafka_error)response.error_code;
    return (enum kafka_error)response.replica_election_results[0].partition_result[0].error_code;
}

static void elections_answer_as_the_partition_stands(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "preferred", LIST(one_two), LIST(one_two), 1);
    bench_add_topic(&bench, "other", LIST(one_two), LIST(one_two), 2);
    bench_add_topic(&bench, "behind", LIST(one_two), LIST(two), 2);
    bench_add_topic(&bench, "dead", LIST(three), LIST(three), -1);
    bench_add_topic(&bench, "stale", LIST(one_two_three), LIST(three), -1);
    assert_int_equal(elect(&bench, "preferred", 0, 0), KAFKA_ERROR_ELECTION_NOT_NEEDED);
    assert_int_equal(elect(&bench, "other", 0, 0), KAFKA_ERROR_NONE);
    assert_int_equal(bench_partition(&bench, "other")->leader, 1);
    assert_int_equal(bench_partition(&bench, "other")->leader_epoch, 6);
    assert_int_equal(elect(&bench, "behind", 0, 0), KAFKA_ERROR_PREFERRED_LEADER_NOT_AVAILABLE);
    assert_int_equal(bench_partition(&bench, "behind")->leader, 2);
    assert_int_equal(elect(&bench, "nowhere", 0, 0), KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(elect(&bench, "other", 7, 0), KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(elect(&bench, "other", 0, 5), KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(elect(&bench, "other", 0, 1), KAFKA_ERROR_ELECTION_NOT_NEEDED);
    assert_int_equal(elect(&bench, "dead", 0, 1), KAFKA_ERROR_ELIGIBLE_LEADERS_NOT_AVAILABLE);
    assert_int_equal(elect(&bench, "stale", 0, 1), KAFKA_ERROR_NONE);
    const struct image_partition *stale = bench_partition(&bench, "stale");
    assert_int_equal(stale->leader, 1);
    assert_int_equal(stale->isr_count, 1);
    assert_int_equal(stale->recovery, IMAGE_RECOVERING);
    bench_deinit(&bench);
}

static void electing_everything_names_only_what_changed(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "fine", LIST(one_two), LIST(one_two), 1);
    bench_add_topic(&bench, "other", LIST(one_two), LIST(one_two), 2);
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
    bench_add_topic(&bench, "shared", LIST(one_two), LIST(one_two), 1);
    bench_add_topic(&bench, "alone", LIST(one_two), (struct node_list){one_two, 1}, 1);
    bench_add_topic(&bench, "elsewhere", LIST(two), LIST(two), 2);
    struct decision decision;
    bench_decide(&bench, &decision);
    partition_changes_for_removed(
        &decision, &(struct broker_departure){.broker_id = 1, .removal = BROKER_REMOVAL_UNCLEAN});
    bench_commit(&bench, &decision);
    assert_int_equal(bench_partition(&bench, "shared")->leader, 2);
    assert_int_equal(bench_partition(&bench, "shared")->isr_count, 1);
    /* The last member is kept, or nobody could ever lead again without loss. */
    assert_int_equal(bench_partition(&bench, "alone")->leader, -1);
    assert_int_equal(bench_partition(&bench, "alone")->isr_count, 1);
    assert_int_equal(bench_partition(&bench, "elsewhere")->partition_epoch, 8);
    bench_decide(&bench, &decision);
    partition_changes_for_added(&decision, 1);
    bench_commit(&bench, &decision);
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
    bench_add_topic(&bench, "alone", LIST(one_two), (struct node_list){one_two, 1}, 1);
    bench_add_topic(&bench, "only", (struct node_list){one_two, 1}, (struct node_list){one_two, 1},
                    1);
    int32_t epoch = bench_partition(&bench, "only")->leader_epoch;
    struct decision decision;
    bench_decide(&bench, &decision);
    partition_changes_for_removed(
        &decision, &(struct broker_departure){.broker_id = 1, .removal = BROKER_REMOVAL_UNCLEAN});
    bench_commit(&bench, &decision);
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
    bench_add_topic(&bench, "t", LIST(one_two), (struct node_list){one_two, 1}, 1);
    struct decision decision;
    bench_decide(&bench, &decision);
    partition_changes_for_removed(
        &decision, &(struct broker_departure){.broker_id = 1, .removal = BROKER_REMOVAL_GONE});
    bench_commit(&bench, &decision);
    struct partition_state left = image_partition_state(bench_partition(&bench, "t"));
    assert_int_equal(left.leader, -1);
    assert_int_equal(left.isr.count, 0);
    assert_int_equal(left.eligible.count, 1);
    assert_int_equal(left.eligible.ids[0], 1);
    bench_decide(&bench, &decision);
    partition_changes_for_added(&decision, 1);
    bench_commit(&bench, &decision);
    left = image_partition_state(bench_partition(&bench, "t"));
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
    bench_add_topic(&bench, "t", LIST(one_two), (struct node_list){one_two, 1}, 1);
    struct decision decision;
    bench_decide(&bench, &decision);
    partition_changes_for_removed(
        &decision, &(struct broker_departure){.broker_id = 1, .removal = BROKER_REMOVAL_UNCLEAN});
    bench_commit(&bench, &decision);
    struct partition_state left = image_partition_state(bench_partition(&bench, "t"));
    assert_int_equal(left.eligible.count, 0);
    assert_int_equal(left.last_known.count, 1);
    bench_decide(&bench, &decision);
    partition_changes_for_added(&decision, 1);
    bench_commit(&bench, &decision);
    left = image_partition_state(bench_partition(&bench, "t"));
    assert_int_equal(left.leader, 1);
    assert_int_equal(left.recovery, IMAGE_RECOVERING);
    assert_int_equal(left.last_known.count, 0);
    bench_deinit(&bench);
}

/* ---- Registration ---------------------------------------------------------------------------- */

static struct broker_registration_request registration(int32_t id, struct uuid *directory)
{
    static struct broker_registration_request_feature feature;
    feature = (struct broker_registration_request_feature){VIEW_LITERAL("metadata.version"), 7, 29};
    struct broker_registration_request request;
    broker_registration_request_init(&request);
    request.broker_id = id;
    request.cluster_id = VIEW_LITERAL("cluster");
    request.incarnation_id = uuid_of_halves(61, 7);
    request.features = &feature;
    request.features_count = 1;
    request.log_dirs = directory;
    request.log_dirs_count = 1;
    return request;
}

static struct broker_registration_response enroll(struct decision_bench *bench,
                                                  const struct broker_registration_request *request,
                                                  bool has_session)
{
    struct broker_registration_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_broker_registration(&decision, request, 4, has_session, &response);
    bench_commit(bench, &decision);
    return response;
}

static void registrations_are_checked(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct uuid own = uuid_of_halves(50, 9);
    struct uuid foreign = uuid_of_halves(50, 1);
    struct uuid reserved = uuid_of_halves(0, 2);
    struct broker_registration_request request = registration(9, &own);
    request.cluster_id = VIEW_LITERAL("other");
    assert_int_equal(enroll(&bench, &request, false).error_code,
                     KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
    request = registration(9, &foreign);
    assert_int_equal(enroll(&bench, &request, false).error_code, KAFKA_ERROR_INVALID_REGISTRATION);
    request = registration(9, &reserved);
    assert_int_equal(enroll(&bench, &request, false).error_code, KAFKA_ERROR_INVALID_REGISTRATION);
    request = registration(9, &own);
    request.log_dirs_count = 0;
    assert_int_equal(enroll(&bench, &request, false).error_code, KAFKA_ERROR_INVALID_REGISTRATION);
    request = registration(9, &own);
    request.features[0].max_supported_version = 28;
    assert_int_equal(enroll(&bench, &request, false).error_code, KAFKA_ERROR_UNSUPPORTED_VERSION);
    request = registration(1, &foreign);
    assert_int_equal(enroll(&bench, &request, true).error_code,
                     KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION);
    struct uuid first = uuid_of_halves(50, 1);
    request = registration(1, &first);
    request.previous_broker_epoch = image_broker(bench.image, 1)->epoch; /* a clean stop */
    assert_int_equal(enroll(&bench, &request, true).error_code, KAFKA_ERROR_NONE);
    request = registration(9, &own);
    int64_t next_offset = bench.next_offset;
    struct broker_registration_response response = enroll(&bench, &request, false);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.broker_epoch, next_offset);
    assert_true(image_broker(bench.image, 9)->fenced);
    bench_deinit(&bench);
}

static void the_same_incarnation_keeps_its_epoch(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct uuid directory = uuid_of_halves(50, 1);
    struct broker_registration_request request = registration(1, &directory);
    request.incarnation_id = uuid_of_halves(60, 1);
    assert_int_equal(enroll(&bench, &request, true).broker_epoch, 101);
    assert_false(image_broker(bench.image, 1)->fenced);
    bench_deinit(&bench);
}

static void a_new_incarnation_leaves_its_places_first(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "t", LIST(one_two), LIST(one_two), 1);
    struct uuid directory = uuid_of_halves(50, 1);
    struct broker_registration_request request = registration(1, &directory);
    int64_t epoch = bench.next_offset;
    assert_int_equal(enroll(&bench, &request, false).broker_epoch, epoch);
    assert_int_equal(bench_partition(&bench, "t")->leader, 2);
    assert_int_equal(image_broker(bench.image, 1)->register_offset, epoch + 1);
    bench_deinit(&bench);
}

static void a_clean_restart_keeps_what_nobody_else_could_lead(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "alone", LIST(one_two), (struct node_list){one_two, 1}, 1);
    bench_add_topic(&bench, "only", (struct node_list){one_two, 1}, (struct node_list){one_two, 1},
                    1);
    bench_add_topic(&bench, "shared", LIST(one_two), LIST(one_two), 1);
    struct uuid directory = uuid_of_halves(50, 1);
    struct broker_registration_request request = registration(1, &directory);
    request.previous_broker_epoch = 101;
    enroll(&bench, &request, false);
    assert_int_equal(bench_partition(&bench, "alone")->leader, 1);
    assert_int_equal(bench_partition(&bench, "alone")->leader_epoch, 5);
    assert_int_equal(bench_partition(&bench, "shared")->leader, 2);
    /* So does a crash where nobody, no follower either, saw what was not on stable storage. */
    request.incarnation_id = uuid_of_halves(61, 9);
    request.previous_broker_epoch = -1;
    enroll(&bench, &request, false);
    assert_int_equal(bench_partition(&bench, "alone")->leader_epoch, 6);
    assert_int_equal(bench_partition(&bench, "only")->leader, 1);
    assert_int_equal(bench_partition(&bench, "only")->leader_epoch, 5);
    /* Else the epoch tells that a tail may be missing. */
    bench_set_cache(&bench);
    request.incarnation_id = uuid_of_halves(61, 8);
    request.previous_broker_epoch = -1;
    enroll(&bench, &request, false);
    assert_int_equal(bench_partition(&bench, "only")->leader, -1);
    assert_int_equal(bench_partition(&bench, "only")->leader_epoch, 6);
    bench_deinit(&bench);
}

/* ---- Heartbeats ------------------------------------------------------------------------------ */

struct beat {
    int64_t epoch;
    int64_t offset;
    bool want_fence;
    bool want_shut_down;
};

static struct broker_heartbeat_response heartbeat(struct decision_bench *bench, int32_t id,
                                                  struct beat beat, int64_t others_offset,
                                                  int64_t shutdown_offset)
{
    struct broker_heartbeat_request request;
    broker_heartbeat_request_init(&request);
    request.broker_id = id;
    request.broker_epoch = beat.epoch;
    request.current_metadata_offset = beat.offset;
    request.want_fence = beat.want_fence;
    request.want_shut_down = beat.want_shut_down;
    struct broker_heartbeat_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_broker_heartbeat(&decision, &request, others_offset, shutdown_offset, &response);
    bench_commit(bench, &decision);
    return response;
}

static void heartbeats_fence_and_unfence(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "dead", LIST(three), LIST(three), -1);
    bench_add_topic(&bench, "led", LIST(one_two), LIST(one_two), 1);
    assert_int_equal(heartbeat(&bench, 9, (struct beat){1, 0, false, false}, 0, -1).error_code,
                     KAFKA_ERROR_STALE_BROKER_EPOCH);
    assert_int_equal(heartbeat(&bench, 3, (struct beat){102, 0, false, false}, 0, -1).error_code,
                     KAFKA_ERROR_STALE_BROKER_EPOCH);
    struct broker_heartbeat_response response =
        heartbeat(&bench, 3, (struct beat){103, 102, false, false}, 0, -1);
    assert_false(response.is_caught_up);
    assert_true(response.is_fenced);
    response = heartbeat(&bench, 3, (struct beat){103, 103, true, false}, 0, -1);
    assert_true(response.is_fenced);
    response = heartbeat(&bench, 3, (struct beat){103, 103, false, false}, 0, -1);
    assert_false(response.is_fenced);
    assert_int_equal(bench_partition(&bench, "dead")->leader, 3);
    response = heartbeat(&bench, 1, (struct beat){101, 500, true, false}, 0, -1);
    assert_true(response.is_fenced);
    assert_int_equal(bench_partition(&bench, "led")->leader, 2);
    assert_true(image_broker(bench.image, 1)->fenced);
    response = heartbeat(&bench, 1, (struct beat){101, 500, false, true}, 0, -1);
    assert_true(response.should_shut_down);
    bench_deinit(&bench);
}

static void failed_directories_take_their_partitions_along(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct uuid directories[] = {uuid_of_halves(50, 1), uuid_of_halves(50, 77)};
    struct uuid id = bench_add_topic(&bench, "kept", LIST(one_two), LIST(one_two), 1);
    struct uuid other = bench_add_topic(&bench, "lost", LIST(one_two), LIST(one_two), 1);
    struct image_draft draft;
    bench_edit(&bench, &draft);
    struct image_node broker = *image_broker(bench.image, 1);
    broker.directories = directories;
    broker.directory_count = 2;
    draft_set_broker(&draft, &broker);
    struct uuid placed[2] = {directories[0], uuid_of_halves(50, 2)};
    struct partition_state partition = image_partition_state(bench_partition(&bench, "kept"));
    partition.directories = placed;
    draft_set_partition(&draft, id, 0, &partition);
    placed[0] = directories[1];
    draft_set_partition(&draft, other, 0, &partition);
    bench_adopt(&bench, &draft);
    struct broker_heartbeat_request request;
    broker_heartbeat_request_init(&request);
    request.broker_id = 1;
    request.broker_epoch = 101;
    request.current_metadata_offset = 500;
    request.offline_log_dirs = &directories[1];
    request.offline_log_dirs_count = 1;
    for (int round = 0; round < 2; round++) {
        struct broker_heartbeat_response response;
        struct decision decision;
        bench_decide(&bench, &decision);
        decide_broker_heartbeat(&decision, &request, 0, -1, &response);
        /* Said twice, done once. */
        assert_int_equal(decision.records.count, round == 0 ? 2 : 0);
        bench_commit(&bench, &decision);
        assert_false(response.is_fenced);
    }
    assert_int_equal(bench_partition(&bench, "kept")->leader, 1);
    assert_int_equal(bench_partition(&bench, "lost")->leader, 2);
    assert_int_equal(bench_partition(&bench, "lost")->isr_count, 1);
    assert_int_equal(image_broker(bench.image, 1)->directory_count, 1);
    bench_deinit(&bench);
}

static void a_broker_leaves_in_order(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "led", LIST(one_two), LIST(one_two), 1);
    bench_add_topic(&bench, "kept", LIST(one_two), LIST(one_two), 2);
    struct beat leaving = {101, 500, false, true};
    struct broker_heartbeat_response response = heartbeat(&bench, 1, leaving, 0, -1);
    assert_false(response.should_shut_down);
    assert_false(response.is_fenced);
    assert_true(image_broker(bench.image, 1)->in_controlled_shutdown);
    assert_false(image_broker(bench.image, 1)->fenced);
    assert_int_equal(bench_partition(&bench, "led")->leader, 2);
    assert_int_equal(bench_partition(&bench, "led")->isr_count, 1);
    assert_int_equal(bench_partition(&bench, "kept")->isr_count, 1);
    /* Not before every other broker has seen the leaders move. */
    assert_false(heartbeat(&bench, 1, leaving, 900, 1000).should_shut_down);
    response = heartbeat(&bench, 1, leaving, 1000, 1000);
    assert_true(response.should_shut_down);
    assert_true(response.is_fenced);
    assert_true(image_broker(bench.image, 1)->fenced);
    bench_deinit(&bench);
}

static void a_broker_that_leads_nothing_leaves_its_in_sync_sets_and_goes(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "followed", LIST(one_two), LIST(one_two), 2);
    struct broker_heartbeat_response response =
        heartbeat(&bench, 1, (struct beat){101, 500, false, true}, 0, -1);
    assert_true(response.should_shut_down);
    assert_true(image_broker(bench.image, 1)->fenced);
    assert_int_equal(bench_partition(&bench, "followed")->isr_count, 1);
    assert_int_equal(bench_partition(&bench, "followed")->leader, 2);
    assert_int_equal(bench_partition(&bench, "followed")->leader_epoch, 5);
    bench_deinit(&bench);
}

static void the_last_active_broker_goes_as_it_is(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_broker(&bench, 1, true);
    bench_add_topic(&bench, "led", LIST(one_two), LIST(two), 2);
    int64_t next_offset = bench.next_offset;
    assert_true(heartbeat(&bench, 2, (struct beat){102, 500, false, true}, 0, -1).should_shut_down);
    assert_int_equal(bench.next_offset, next_offset);
    assert_int_equal(bench_partition(&bench, "led")->leader, 2);
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
    struct alter_partition_request_topic_data data = {topic, &partition, 1};
    struct alter_partition_request request;
    alter_partition_request_init(&request);
    request.broker_id = proposal->broker;
    request.broker_epoch = proposal->broker_epoch;
    request.topics = &data;
    request.topics_count = 1;
    struct alter_partition_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_alter_partition(&decision, &request, 3, &response);
    bench_commit(bench, &decision);
    if (response.error_code != KAFKA_ERROR_NONE)
        return (enum kafka_error)response.error_code;
    return (enum kafka_error)response.topics[0].partitions[0].error_code;
}

static void proposals_are_checked_in_order(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct uuid topic =
        bench_add_topic(&bench, "t", LIST(one_two_three), (struct node_list){one_two, 1}, 1);
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
    struct uuid topic =
        bench_add_topic(&bench, "t", LIST(one_two_three), (struct node_list){one_two, 2}, 1);
    struct image_draft draft;
    bench_edit(&bench, &draft);
    struct partition_state partition = image_partition_state(bench_partition(&bench, "t"));
    partition.adding = LIST(three);
    partition.removing = (struct node_list){one_two, 1};
    draft_set_partition(&draft, topic, 0, &partition);
    bench_adopt(&bench, &draft);
    struct proposal proposal = {1, 101, 5, 8, {1, 2, 3}, {-1, -1, -1}, 3, 0};
    assert_int_equal(propose(&bench, topic, &proposal), KAFKA_ERROR_NEW_LEADER_ELECTED);
    partition = image_partition_state(bench_partition(&bench, "t"));
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
    struct uuid topic = bench_add_topic(&bench, "t", LIST(one_two), LIST(one_two), 1);
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
    bench_add_topic(&bench, "t", LIST(one_two_three), (struct node_list){one_two, 1}, 1);
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
        struct decision decision;
        bench_decide(&bench, &decision);
        partition_changes_for_removed(
            &decision, &(struct broker_departure){.broker_id = 1, .removal = BROKER_REMOVAL_GONE});
        bench_commit(&bench, &decision);
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

static enum kafka_error update(struct decision_bench *bench, const char *feature, int16_t level,
                               int8_t upgrade_type)
{
    struct update_features_request_feature_update_key key;
    update_features_request_feature_update_key_init(&key);
    key.feature = view_of_string(feature);
    key.max_version_level = level;
    key.upgrade_type = upgrade_type;
    struct update_features_request request;
    update_features_request_init(&request);
    request.feature_updates = &key;
    request.feature_updates_count = 1;
    struct update_features_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_update_features(&decision, &request, 2, &response);
    bench_commit(bench, &decision);
    return (enum kafka_error)response.error_code;
}

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
        enum kafka_error error = update(&bench, cases[i].name, cases[i].level, cases[i].type);
        if (error != cases[i].error)
            fail_msg("case %zu: %s", i, kafka_error_name(error));
    }
    assert_int_equal(image_feature_level(bench.image, VIEW_LITERAL("metadata.version")), 27);
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
    struct incremental_alter_configs_request_alterable_config config = {
        VIEW_LITERAL("log.retention.ms"), 0, VIEW_LITERAL("1000")};
    struct incremental_alter_configs_request_alter_configs_resource resource = {
        CONFIG_RESOURCE_BROKER, view_of_string(id), &config, 1};
    struct incremental_alter_configs_request request;
    incremental_alter_configs_request_init(&request);
    request.resources = &resource;
    request.resources_count = 1;
    struct incremental_alter_configs_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_incremental_alter_configs(&decision, &request, &response);
    bench_commit(bench, &decision);
    int16_t error = response.responses[0].error_code;
    assert_int_equal(decision.records.count, error == KAFKA_ERROR_NONE ? 1 : 0);
    return (enum kafka_error)error;
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
        cmocka_unit_test(electing_everything_names_only_what_changed),
        cmocka_unit_test(a_removed_broker_leaves_leadership_and_in_sync_sets),
        cmocka_unit_test(a_leader_alone_in_sync_comes_back_as_it_was_when_nobody_followed_it),
        cmocka_unit_test(eligible_leaders_are_remembered_below_the_minimum),
        cmocka_unit_test(an_unclean_restart_loses_eligibility_and_is_remembered_as_last),
        cmocka_unit_test(registrations_are_checked),
        cmocka_unit_test(the_same_incarnation_keeps_its_epoch),
        cmocka_unit_test(a_new_incarnation_leaves_its_places_first),
        cmocka_unit_test(a_clean_restart_keeps_what_nobody_else_could_lead),
        cmocka_unit_test(heartbeats_fence_and_unfence),
        cmocka_unit_test(failed_directories_take_their_partitions_along),
        cmocka_unit_test(a_broker_leaves_in_order),
        cmocka_unit_test(a_broker_that_leads_nothing_leaves_its_in_sync_sets_and_goes),
        cmocka_unit_test(the_last_active_broker_goes_as_it_is),
        cmocka_unit_test(proposals_are_checked_in_order),
        cmocka_unit_test(the_last_replica_in_sync_completes_a_reassignment),
        cmocka_unit_test(one_partition_is_changed_once_per_request),
        cmocka_unit_test(unclean_elections_follow_the_settings),
        cmocka_unit_test(feature_levels_move_within_what_all_support),
        cmocka_unit_test(blocks_of_producer_ids_never_overlap),
        cmocka_unit_test(settings_of_every_registered_broker_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
