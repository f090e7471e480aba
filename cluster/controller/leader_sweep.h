/*
 * Elections that nobody asked for: leadership goes back to preferred replicas, and partitions
 * without a leader get one that may have lost records where the topic allows it.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_LEADER_SWEEP_H
#define KLAMM_CLUSTER_CONTROLLER_LEADER_SWEEP_H

#include "cluster/controller/decision.h"

enum { LEADER_SWEEP_MAX = 1000 }; /* elections of one pass, as in Kafka */

/* Both: true when the pass was full, so that another one should follow at once. */
bool decide_preferred_leaders(struct decision *decision);
bool decide_unclean_leaders(struct decision *decision);

#endif
