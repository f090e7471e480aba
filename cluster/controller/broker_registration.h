/* BrokerRegistration (62): a broker's new incarnation, or news of the present one. */
#ifndef KLAMM_CLUSTER_CONTROLLER_BROKER_REGISTRATION_H
#define KLAMM_CLUSTER_CONTROLLER_BROKER_REGISTRATION_H

#include "cluster/controller/decision.h"
#include "protocol/messages/broker_registration.h"

/*
 * Errors: INCONSISTENT_CLUSTER_ID, INVALID_REGISTRATION (directories), UNSUPPORTED_VERSION (a
 * finalized feature level is outside the broker's ranges), DUPLICATE_BROKER_REGISTRATION when
 * `has_session`: another incarnation is alive, unless the new one proves that it was stopped
 * cleanly (Kafka waits for the end of the session then, too); BROKER_ID_NOT_REGISTERED for one of a
 * ZooKeeper cluster.
 */
void decide_broker_registration(struct decision *decision,
                                const struct broker_registration_request *request, int16_t version,
                                bool has_session, struct broker_registration_response *response);

#endif
