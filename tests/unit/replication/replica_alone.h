/* The metadata of a partition with one replica, as tests say it. */
#ifndef KLAMM_TESTS_UNIT_REPLICATION_REPLICA_ALONE_H
#define KLAMM_TESTS_UNIT_REPLICATION_REPLICA_ALONE_H

#include "replication/replica.h"

/* Leads as the only replica. */
static inline void replica_lead_alone(struct replica *replica, int32_t leader_epoch,
                                      int32_t partition_epoch)
{
    const struct node_list self = {&replica->host->node_id, 1};
    const struct replica_assignment assignment = {
        .leader = replica->host->node_id,
        .leader_epoch = leader_epoch,
        .partition_epoch = partition_epoch,
        .replicas = self,
        .isr = self,
    };
    replica_lead(replica, &assignment);
}

#endif
