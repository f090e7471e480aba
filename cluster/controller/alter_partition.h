/* AlterPartition (56): a leader proposes another in-sync set (KIP-497, KIP-841, KIP-903). */
#ifndef KLAMM_CLUSTER_CONTROLLER_ALTER_PARTITION_H
#define KLAMM_CLUSTER_CONTROLLER_ALTER_PARTITION_H

#include "cluster/controller/decision.h"
#include "protocol/messages/alter_partition.h"

/*
 * Each partition succeeds or fails by itself, with the first of these that applies:
 * UNKNOWN_TOPIC_OR_PARTITION (or by id); NOT_CONTROLLER where the sender knows more than this
 * controller; FENCED_LEADER_EPOCH; INVALID_REQUEST from who does not lead; INVALID_UPDATE_VERSION;
 * INVALID_REQUEST for a set that cannot be; INELIGIBLE_REPLICA.
 */
void decide_alter_partition(struct decision *decision,
                            const struct alter_partition_request *request, int16_t version,
                            struct alter_partition_response *response);

#endif
