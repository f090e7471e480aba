/* ListPartitionReassignments (46): which partitions are moving. */
#ifndef KLAMM_CLUSTER_CONTROLLER_LIST_REASSIGNMENTS_H
#define KLAMM_CLUSTER_CONTROLLER_LIST_REASSIGNMENTS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/list_partition_reassignments.h"

/* Those of the request, or all; what does not exist or does not move is left out. No records. */
void decide_list_partition_reassignments(struct decision *decision,
                                         const struct list_partition_reassignments_request *request,
                                         struct list_partition_reassignments_response *response);

#endif
