/*
 * What all replicas of one loop share, and what they ask of the loop's owner.
 *
 * Invariant: it outlives its replicas; `configs` holds one copy for every replica whose settings
 * are the same.
 */
#ifndef KLAMM_REPLICATION_REPLICA_HOST_H
#define KLAMM_REPLICATION_REPLICA_HOST_H

#include "replication/shared_config.h"
#include "runtime/loop.h"

struct replica_host {
    struct loop *loop; /* the clock */
    struct heap *heap;
    int32_t node_id; /* this broker's */
    struct shared_configs configs;
};

void replica_host_init(struct replica_host *host, struct loop *loop, struct heap *heap,
                       int32_t node_id, uint64_t seed);
/* No replica is left. */
void replica_host_deinit(struct replica_host *host);

#endif
