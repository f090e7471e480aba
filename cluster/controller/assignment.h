/* Replica lists of new partitions: checks of those that a client gives, and their records. */
#ifndef KLAMM_CLUSTER_CONTROLLER_ASSIGNMENT_H
#define KLAMM_CLUSTER_CONTROLLER_ASSIGNMENT_H

#include "cluster/controller/decision.h"
#include "cluster/controller/refusal.h"

/*
 * Checks one list of a manual assignment: known brokers, none twice, `replication_factor` of them
 * (-1: any number but none).
 */
struct refusal assignment_check(struct decision *decision, struct node_list replicas,
                                int32_t replication_factor);
/* Where a new replica on a broker lies: its only directory, or unassigned (it decides itself). */
struct uuid assignment_directory(const struct image *image, int32_t broker_id);
/*
 * Appends the PartitionRecord of a new partition: in sync are the active replicas, the first of
 * them leads. False when none is active; nothing is appended then.
 */
bool assignment_add_partition(struct decision *decision, struct uuid topic_id, int32_t index,
                              struct node_list replicas);

#endif
