/* The shared part of a loop's replicas. */
#include "replication/replica_host.h"

#include "replication/replica_internal.h"

#define NS_PER_MS INT64_C(1000000)

static void look(struct deferred *deferred)
{
    struct replica_host *host = container_of(deferred, struct replica_host, look);
    for (struct list *link; (link = list_pop_front(&host->moved)) != NULL;)
        replica_leadership_look(container_of(link, struct replica_leadership, moved));
}

void replica_host_init(struct replica_host *host, const struct replica_host_options *options,
                       uint64_t seed)
{
    *host = (struct replica_host){
        .loop = options->loop,
        .heap = options->heap,
        .node_id = options->node_id,
        .lag_max_ns = options->lag_max_ms * NS_PER_MS,
        .silence_max_ns = 2 * options->fetch_wait_max_ms * NS_PER_MS,
        .events = options->events,
        .owner = options->owner,
    };
    shared_configs_init(&host->configs, options->heap, seed);
    list_init(&host->leaderships);
    list_init(&host->moved);
    deferred_init(&host->look, look);
}

void replica_host_deinit(struct replica_host *host)
{
    shared_configs_deinit(&host->configs);
}

void replica_host_check_lag(struct replica_host *host)
{
    list_for_each_safe(link, after, &host->leaderships)
    {
        replica_leadership_check_lag(container_of(link, struct replica_leadership, link));
    }
}
