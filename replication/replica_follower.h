/*
 * What following does to a replica besides appending: the leader's high watermark and log start.
 *
 * The high watermark of a follower is the leader's as far as the own log goes (in `sync`: as far as
 * it is durable). It never moves down here, although a new leader may say less than the one before:
 * what was committed stays committed, and only truncation takes it back.
 */
#ifndef KLAMM_REPLICATION_REPLICA_FOLLOWER_H
#define KLAMM_REPLICATION_REPLICA_FOLLOWER_H

#include "replication/replica.h"

/* -1 for what is not known. Tells the watches when something moved. */
void replica_follower_advance(struct replica *replica, int64_t leader_high_watermark,
                              int64_t leader_log_start);

#endif
