/* See the header. */
#include "tests/unit/cluster/decision_requests.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cluster/controller/alter_configs.h"
#include "cluster/controller/alter_partition.h"
#include "cluster/controller/assign_replicas_to_dirs.h"
#include "cluster/controller/elect_leaders.h"
#include "cluster/controller/partition_change.h"
#include "cluster/controller/update_features.h"

enum { MEMBERS_MAX = 8, FEATURES_MAX = 2 };

struct partition_state bench_state(const struct decision_bench *bench, const char *topic)
{
    return image_partition_state(bench_partition(bench, topic));
}

static enum kafka_error commit(struct decision_bench *bench, const struct decision *decision,
                               int16_t error)
{
    if (error != KAFKA_ERROR_NONE)
        assert_int_equal(decision->records.count, 0);
    bench_commit(bench, decision);
    return (enum kafka_error)error;
}

void bench_broker_leaves(struct decision_bench *bench, const struct broker_departure *departure)
{
    struct decision decision;
    bench_decide(bench, &decision);
    partition_changes_for_removed(&decision, departure);
    bench_commit(bench, &decision);
}

void bench_broker_comes(struct decision_bench *bench, int32_t id)
{
    struct decision decision;
    bench_decide(bench, &decision);
    partition_changes_for_added(&decision, id);
    bench_commit(bench, &decision);
}

enum kafka_error bench_elect(struct decision_bench *bench, const char *topic, int32_t partition,
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
    int16_t error = response.error_code;
    if (error == KAFKA_ERROR_NONE)
        error = response.replica_election_results[0].partition_result[0].error_code;
    return commit(bench, &decision, error);
}

enum kafka_error
bench_alter_partition(struct decision_bench *bench, int32_t broker_id, int64_t broker_epoch,
                      struct uuid topic,
                      const struct alter_partition_request_partition_data *partition)
{
    struct alter_partition_request_partition_data asked = *partition;
    struct alter_partition_request_topic_data data = {topic, &asked, 1};
    struct alter_partition_request request;
    alter_partition_request_init(&request);
    request.broker_id = broker_id;
    request.broker_epoch = broker_epoch;
    request.topics = &data;
    request.topics_count = 1;
    struct alter_partition_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_alter_partition(&decision, &request, 3, &response);
    int16_t error = response.error_code;
    if (error == KAFKA_ERROR_NONE)
        error = response.topics[0].partitions[0].error_code;
    bench_commit(bench, &decision); /* NEW_LEADER_ELECTED has records */
    return (enum kafka_error)error;
}

enum kafka_error bench_propose(struct decision_bench *bench, const char *topic,
                               struct node_list isr)
{
    struct alter_partition_request_broker_state members[MEMBERS_MAX];
    struct partition_state state = bench_state(bench, topic);
    struct alter_partition_request_partition_data partition;
    assert_true(isr.count <= MEMBERS_MAX);
    for (uint32_t i = 0; i < isr.count; i++)
        members[i] = (struct alter_partition_request_broker_state){isr.ids[i], -1};
    alter_partition_request_partition_data_init(&partition);
    partition.leader_epoch = state.leader_epoch;
    partition.partition_epoch = state.partition_epoch;
    partition.new_isr_with_epochs = members;
    partition.new_isr_with_epochs_count = isr.count;
    return bench_alter_partition(bench, state.leader, 100 + state.leader,
                                 image_topic_by_name(bench->image, view_of_string(topic))->id,
                                 &partition);
}

enum kafka_error bench_assign(struct decision_bench *bench, int32_t broker_id, int64_t broker_epoch,
                              struct uuid topic, int32_t partition, struct uuid directory)
{
    struct assign_replicas_to_dirs_request_partition_data data = {partition};
    struct assign_replicas_to_dirs_request_topic_data of_topic = {topic, &data, 1};
    struct assign_replicas_to_dirs_request_directory_data asked = {directory, &of_topic, 1};
    struct assign_replicas_to_dirs_request request = {
        broker_id, broker_epoch == 0 ? 100 + broker_id : broker_epoch, &asked, 1};
    struct assign_replicas_to_dirs_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_assign_replicas_to_dirs(&decision, &request, &response);
    int16_t error = response.error_code;
    if (error == KAFKA_ERROR_NONE)
        error = response.directories[0].topics[0].partitions[0].error_code;
    return commit(bench, &decision, error);
}

enum kafka_error bench_update_features(struct decision_bench *bench,
                                       const struct feature_level *levels, size_t count,
                                       int8_t upgrade_type, size_t *record_count)
{
    struct update_features_request_feature_update_key keys[FEATURES_MAX];
    assert_true(count <= FEATURES_MAX);
    for (size_t i = 0; i < count; i++) {
        update_features_request_feature_update_key_init(&keys[i]);
        keys[i].feature = view_of_string(levels[i].feature);
        keys[i].max_version_level = levels[i].level;
        keys[i].upgrade_type = upgrade_type;
    }
    struct update_features_request request;
    update_features_request_init(&request);
    request.feature_updates = keys;
    request.feature_updates_count = count;
    struct update_features_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_update_features(&decision, &request, 2, &response);
    if (record_count)
        *record_count = decision.records.count;
    return commit(bench, &decision, response.error_code);
}

enum kafka_error bench_alter_config(struct decision_bench *bench, enum config_resource_type type,
                                    const char *resource, const char *name, int8_t operation,
                                    const char *value)
{
    struct incremental_alter_configs_request_alterable_config config = {
        view_of_string(name), operation, value ? view_of_string(value) : VIEW_NULL};
    struct incremental_alter_configs_request_alter_configs_resource asked = {
        (int8_t)type, view_of_string(resource), &config, 1};
    struct incremental_alter_configs_request request;
    incremental_alter_configs_request_init(&request);
    request.resources = &asked;
    request.resources_count = 1;
    struct incremental_alter_configs_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_incremental_alter_configs(&decision, &request, &response);
    return commit(bench, &decision, response.responses[0].error_code);
}
