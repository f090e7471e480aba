/* AlterPartition (56): a leader proposes another in-sync set (KIP-497, KIP-841, KIP-903). */
#ifndef KLAMM_CLUSTER_CONTROLLER_ALTER_PARTITION_H
#define KLAMM_CLUSTER_CONTROLLER_ALTER_PARTITION_H

#include "cluster/controller/decision.h"
#include "protocol/messages/alter_partition.h"

/* Errors per partition and their order: replication notes 1.9. */
void decide_alter_partition(struct decision *decision,
                            const struct alter_partition_request *request, int16_t version,
                            struct alter_partition_response *response);

#endif
