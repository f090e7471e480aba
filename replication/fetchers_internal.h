/* What followers and fetchers ask of the whole; for the files of this folder and tests. */
#ifndef KLAMM_REPLICATION_FETCHERS_INTERNAL_H
#define KLAMM_REPLICATION_FETCHERS_INTERNAL_H

#include "replication/fetchers.h"

/* Whether follower.replication.throttled.replicas lists the replica on this node. */
bool fetchers_is_throttled(const struct fetchers *fetchers, const struct replica *replica);
/* How long throttled partitions wait now; 0: the rate is not exceeded. */
uint64_t fetchers_throttle_ms(struct fetchers *fetchers);
/* Records were appended. */
void fetchers_count_bytes(struct fetchers *fetchers, size_t size, bool is_throttled);
/* A follower that was ending is destroyed. */
void fetchers_follower_gone(struct fetchers *fetchers);

#endif
