/*
 * In-sync sets that replicas of a shard propose, to the control loop, on to the active controller
 * (cluster/isr_sender.h), and home with the answer.
 *
 * Invariant: a proposal that left comes home once; at the end of the node it comes home
 * unattempted.
 */
#ifndef KLAMM_BROKER_ISR_CARRIER_H
#define KLAMM_BROKER_ISR_CARRIER_H

#include "replication/replica.h"

/* For replica_events.propose; `owner` is the struct shard. */
void isr_carrier_propose(void *owner, struct replica *replica, struct isr_proposal *proposal);

#endif
