/* UnregisterBroker (64): a broker that will not come back is forgotten. */
#ifndef KLAMM_CLUSTER_CONTROLLER_UNREGISTER_BROKER_H
#define KLAMM_CLUSTER_CONTROLLER_UNREGISTER_BROKER_H

#include "cluster/controller/decision.h"
#include "protocol/messages/unregister_broker.h"

/*
 * It leaves in-sync sets and eligible leaders; its replicas stay assigned to its id. Errors:
 * BROKER_ID_NOT_REGISTERED; INVALID_REQUEST for the last active broker.
 */
void decide_unregister_broker(struct decision *decision,
                              const struct unregister_broker_request *request,
                              struct unregister_broker_response *response);

#endif
