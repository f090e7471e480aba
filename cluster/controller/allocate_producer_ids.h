/* AllocateProducerIds (67): a block of ids that nobody else gets. */
#ifndef KLAMM_CLUSTER_CONTROLLER_ALLOCATE_PRODUCER_IDS_H
#define KLAMM_CLUSTER_CONTROLLER_ALLOCATE_PRODUCER_IDS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/allocate_producer_ids.h"

enum { PRODUCER_ID_BLOCK_SIZE = 1000 };

/* Errors: BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH, UNKNOWN_SERVER_ERROR (ids used up). */
void decide_allocate_producer_ids(struct decision *decision,
                                  const struct allocate_producer_ids_request *request,
                                  struct allocate_producer_ids_response *response);

#endif
