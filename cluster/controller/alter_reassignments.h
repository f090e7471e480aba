/* AlterPartitionReassignments (45): partitions move to other brokers (KIP-455, KIP-860). */
#ifndef KLAMM_CLUSTER_CONTROLLER_ALTER_REASSIGNMENTS_H
#define KLAMM_CLUSTER_CONTROLLER_ALTER_REASSIGNMENTS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/alter_partition_reassignments.h"

/*
 * One result per partition of the request, in its order. A list of replicas begins a reassignment
 * or changes the one under way; no list takes it back. Errors: UNKNOWN_TOPIC_OR_PARTITION,
 * INVALID_REPLICA_ASSIGNMENT (unknown broker, named twice, nobody; a way back that would need an
 * unclean election), INVALID_REPLICATION_FACTOR (another count where the request does not allow
 * it), NO_REASSIGNMENT_IN_PROGRESS, INVALID_REQUEST (partition named twice).
 */
void decide_alter_partition_reassignments(
    struct decision *decision, const struct alter_partition_reassignments_request *request,
    struct alter_partition_reassignments_response *response);

#endif
