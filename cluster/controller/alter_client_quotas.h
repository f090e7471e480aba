/*
 * AlterClientQuotas (49): quotas of users, client ids and addresses (KIP-546).
 *
 * They are stored for those who enforce them. Brokers of this build do not yet.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_ALTER_CLIENT_QUOTAS_H
#define KLAMM_CLUSTER_CONTROLLER_ALTER_CLIENT_QUOTAS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/alter_client_quotas.h"

/*
 * One result per entry, in its order; an entry is taken whole or not at all. Error: INVALID_REQUEST
 * (no entity, one of unknown kind or combination, unknown key or value out of range, something
 * named twice).
 */
void decide_alter_client_quotas(struct decision *decision,
                                const struct alter_client_quotas_request *request,
                                struct alter_client_quotas_response *response);

#endif
