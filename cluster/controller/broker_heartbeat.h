/* BrokerHeartbeat (63): fencing, unfencing, controlled shutdown. */
#ifndef KLAMM_CLUSTER_CONTROLLER_BROKER_HEARTBEAT_H
#define KLAMM_CLUSTER_CONTROLLER_BROKER_HEARTBEAT_H

#include "cluster/controller/decision.h"
#include "protocol/messages/broker_heartbeat.h"

/*
 * A heartbeat that names failed directories and asks for a transition may have to ask for that
 * again. A broker that was fenced on its way out stays fenced: only a new incarnation comes back.
 *
 * Error: STALE_BROKER_EPOCH for an unknown broker or another epoch. `others_offset` is the lowest
 * metadata offset that the other active brokers have reported, INT64_MAX when there are none, and
 * `shutdown_offset` where this broker's controlled shutdown began, -1 when it did not.
 */
void decide_broker_heartbeat(struct decision *decision,
                             const struct broker_heartbeat_request *request, int64_t others_offset,
                             int64_t shutdown_offset, struct broker_heartbeat_response *response);
/* The same as fencing by a silent session: leaves in-sync sets and leadership, then is fenced. */
void decide_fence_broker(struct decision *decision, const struct image_node *broker);

#endif
