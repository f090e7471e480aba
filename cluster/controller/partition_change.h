/*
 * The one place that computes PartitionChangeRecords: elections, in-sync sets, eligible leaders.
 *
 * Whoever wants a partition changed fills a plan (target in-sync set, who may lead, which kind of
 * election) and gets the record that says what differs, or none. The algorithm is that of the
 * replication notes 1.9 and 1.10.
 *
 * Invariants:
 *  1. An elected leader is acceptable, and in the in-sync set that the record leaves behind.
 *  2. Without eligible leader replicas the last in-sync member is kept although it is offline.
 *  3. Nothing differs, nothing is written.
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
    struct node_list target_isr; /* data NULL with count 0: nobody */
    enum election_mode election;
    int32_t broker_active;        /* counts as active whatever the image says; BROKER_NONE */
    int32_t broker_inactive;      /* counts as gone; BROKER_NONE */
    int32_t broker_unclean;       /* lost what it had not flushed; BROKER_NONE */
    enum image_recovery recovery; /* wanted leader recovery state */
    bool is_recovery_given;
    int32_t min_isr;
};

/* A plan that changes nothing yet. */
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
};
/* Appends the record, if any. */
void partition_plan_apply(struct decision *decision, const struct partition_plan *plan,
                          struct partition_outcome *outcome);
/* Whether a replica may lead under the plan. */
bool partition_plan_accepts(const struct decision *decision, const struct partition_plan *plan,
                            int32_t broker_id);

/*
 * What happens to all partitions when a broker goes (removed from in-sync sets, leaders moved) or
 * comes (leaderless partitions that it can lead get it as leader).
 */
enum broker_removal {
    BROKER_REMOVAL_GONE,        /* fenced, or on its way out */
    BROKER_REMOVAL_UNCLEAN,     /* a new incarnation that may have lost what was not flushed */
    BROKER_REMOVAL_CLEAN,       /* a new incarnation after a clean stop */
    BROKER_REMOVAL_DIRECTORIES, /* only what lies in directories that failed */
};
struct broker_departure {
    int32_t broker_id;
    enum broker_removal removal;
    const struct uuid *directories; /* CLEAN, DIRECTORIES: those that work */
    size_t directory_count;
};
/*
 * CLEAN leaves partitions alone of which the broker is the only in-sync replica and the leader:
 * nothing was lost, and nobody else could lead. So an orderly restart of a lone node writes nothing
 * for its partitions, and their leader epochs stay. UNCLEAN does the same where the topic's
 * durability is `sync`: nobody was ever shown or acknowledged what was not on stable storage.
 */
void partition_changes_for_removed(struct decision *decision,
                                   const struct broker_departure *departure);
void partition_changes_for_added(struct decision *decision, int32_t broker_id);
/* Partitions that the broker leads. */
uint32_t partition_count_led_by(const struct image *image, int32_t broker_id);

#endif
