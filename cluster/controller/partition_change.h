/*
 * The one place that computes PartitionChangeRecords: elections, in-sync sets, eligible leaders.
 *
 * Whoever wants a partition changed fills a plan (target in-sync set, who may lead, which kind of
 * election) and gets the record that says what differs, or none: as Kafka's PartitionChangeBuilder
 * does, so that controllers of both kinds decide alike.
 *
 * Invariants:
 *  1. An elected leader is acceptable, and in the in-sync set that the record leaves behind.
 *  2. Without eligible leader replicas the last in-sync member is kept although it is offline.
 *  3. Nothing differs, nothing is written.
 *  4. A reassignment is completed by the change that makes every replica that stays in sync.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_PARTITION_CHANGE_H
#define KLAMM_CLUSTER_CONTROLLER_PARTITION_CHANGE_H

#include "cluster/controller/decision.h"

enum election_mode { ELECTION_ONLINE, ELECTION_PREFERRED, ELECTION_UNCLEAN };

enum { BROKER_NONE = -1 };

struct partition_plan {
    const struct image_topic *topic;
    int32_t index;
    const struct image_partition *partition;
    struct node_list target_isr;      /* data NULL with count 0: nobody */
    struct node_list target_replicas; /* those of a reassignment that ends among them */
    struct node_list target_adding;
    struct node_list target_removing;
    /* Parallel to the replicas as they are, when a directory changes; NULL: none does. */
    const struct uuid *directories;
    enum election_mode election;
    int32_t broker_active;        /* counts as active whatever the image says; BROKER_NONE */
    int32_t broker_inactive;      /* counts as gone; BROKER_NONE */
    int32_t broker_unclean;       /* lost what it had not flushed; BROKER_NONE */
    enum image_recovery recovery; /* wanted leader recovery state */
    bool is_recovery_given;
    int32_t min_isr;
};

/* A plan that changes nothing yet; its election is the kind that the topic allows. */
void partition_plan_init(struct partition_plan *plan, struct decision *decision,
                         const struct image_topic *topic, int32_t index);
/* What the partition will be; the lists lie in the decision's arena. */
struct partition_outcome {
    bool is_changed;
    int32_t leader;
    int32_t leader_epoch;
    int32_t partition_epoch;
    enum image_recovery recovery;
    struct node_list isr;
    struct node_list replicas;
};
/* Appends the record, if any. */
void partition_plan_apply(struct decision *decision, const struct partition_plan *plan,
                          struct partition_outcome *outcome);
/*
 * Whether the directory of a broker's replica is among those given, or says nothing (unassigned and
 * the like).
 */
bool partition_directory_is_among(const struct image_partition *partition, int32_t broker_id,
                                  const struct uuid *directories, size_t directory_count);
/* Whether a broker's directory works, or nothing is known against it. */
bool partition_directory_is_online(const struct image_node *broker, struct uuid directory);

#endif
