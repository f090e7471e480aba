/* AssignReplicasToDirs (73): a broker says in which directories its replicas lie (KIP-858). */
#ifndef KLAMM_CLUSTER_CONTROLLER_ASSIGN_REPLICAS_TO_DIRS_H
#define KLAMM_CLUSTER_CONTROLLER_ASSIGN_REPLICAS_TO_DIRS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/assign_replicas_to_dirs.h"

/*
 * A replica in a directory that does not work leaves its in-sync set and leadership. Errors for the
 * request: UNSUPPORTED_VERSION (metadata.version below 17), STALE_BROKER_EPOCH; per partition:
 * UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER (no replica there),
 * INVALID_REQUEST (named twice).
 */
void decide_assign_replicas_to_dirs(struct decision *decision,
                                    const struct assign_replicas_to_dirs_request *request,
                                    struct assign_replicas_to_dirs_response *response);

#endif
