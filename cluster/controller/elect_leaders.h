/* ElectLeaders (43): preferred (type 0) or unclean (type 1) elections on request. */
#ifndef KLAMM_CLUSTER_CONTROLLER_ELECT_LEADERS_H
#define KLAMM_CLUSTER_CONTROLLER_ELECT_LEADERS_H

#include "cluster/controller/decision.h"
#include "protocol/messages/elect_leaders.h"

/*
 * A result per partition that was asked for; with no list all partitions, of which those that need
 * no election are left out. Errors: ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE,
 * ELIGIBLE_LEADERS_NOT_AVAILABLE, UNKNOWN_TOPIC_OR_PARTITION; for an unknown type INVALID_REQUEST.
 */
void decide_elect_leaders(struct decision *decision, const struct elect_leaders_request *request,
                          struct elect_leaders_response *response);

#endif
