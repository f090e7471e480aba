/* CreatePartitions (37): more partitions for topics that exist. */
#ifndef KLAMM_CLUSTER_CONTROLLER_CREATE_PARTITIONS_H
#define KLAMM_CLUSTER_CONTROLLER_CREATE_PARTITIONS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/create_partitions.h"

/*
 * One result per topic. Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS (not more than now),
 * INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR, INVALID_REQUEST (named twice),
 * POLICY_VIOLATION (more than 10,000 new ones, then for all).
 */
void decide_create_partitions(struct decision *decision,
                              const struct create_partitions_request *request,
                              struct create_partitions_response *response);

#endif
