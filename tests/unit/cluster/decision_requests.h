/*
 * Requests that the tests of several decisions make: asked on a bench, their records replayed, and
 * the one error that the answer has for what was asked. A refusal has made no records.
 */
#ifndef KLAMM_TESTS_UNIT_CLUSTER_DECISION_REQUESTS_H
#define KLAMM_TESTS_UNIT_CLUSTER_DECISION_REQUESTS_H

#include "cluster/controller/broker_departure.h"
#include "protocol/messages/alter_partition.h"
#include "tests/unit/cluster/decision_bench.h"

#define IDS(...)                                                                                   \
    ((struct node_list){(int32_t[]){__VA_ARGS__},                                                  \
                        sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)})
#define NOBODY ((struct node_list){NULL, 0})

struct feature_level {
    const char *feature;
    int16_t level;
};

/* How the partition 0 of a topic stands. */
struct partition_state bench_state(const struct decision_bench *bench, const char *topic);
/* What a broker that goes leaves behind, and what one that comes gets. */
void bench_broker_leaves(struct decision_bench *bench, const struct broker_departure *departure);
void bench_broker_comes(struct decision_bench *bench, int32_t id);
/* ElectLeaders for one partition; type 0: preferred, 1: unclean. */
enum kafka_error bench_elect(struct decision_bench *bench, const char *topic, int32_t partition,
                             int8_t type);
/* AlterPartition for one partition, as a broker with its epoch. */
enum kafka_error
bench_alter_partition(struct decision_bench *bench, int32_t broker_id, int64_t broker_epoch,
                      struct uuid topic,
                      const struct alter_partition_request_partition_data *partition);
/* AlterPartition as the leader of a topic's partition 0 would ask now; any epoch of the members. */
enum kafka_error bench_propose(struct decision_bench *bench, const char *topic,
                               struct node_list isr);
/* AssignReplicasToDirs for one replica of the broker; epoch 0: the right one. */
enum kafka_error bench_assign(struct decision_bench *bench, int32_t broker_id, int64_t broker_epoch,
                              struct uuid topic, int32_t partition, struct uuid directory);
/* UpdateFeatures, at most two levels; *record_count (NULL: not wanted) gets how many it made. */
enum kafka_error bench_update_features(struct decision_bench *bench,
                                       const struct feature_level *levels, size_t count,
                                       int8_t upgrade_type, size_t *record_count);
/* IncrementalAlterConfigs for one setting; operation 0: set, 1: delete (`value` is NULL). */
enum kafka_error bench_alter_config(struct decision_bench *bench, enum config_resource_type type,
                                    const char *resource, const char *name, int8_t operation,
                                    const char *value);

#endif
