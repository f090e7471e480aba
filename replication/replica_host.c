/* The shared part of a loop's replicas. */
#include "replication/replica_host.h"

void replica_host_init(struct replica_host *host, struct loop *loop, struct heap *heap,
                       int32_t node_id, uint64_t seed)
{
    *host = (struct replica_host){.loop = loop, .heap = heap, .node_id = node_id};
    shared_configs_init(&host->configs, heap, seed);
}

void replica_host_deinit(struct replica_host *host)
{
    shared_configs_deinit(&host->configs);
}
