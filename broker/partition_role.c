/* One step: the end of following, if it was; then the new role. */
#include "broker/partition_role.h"

#include "base/assert.h"
#include "broker/partition_remove.h"
#include "runtime/test_point.h"

/* A role that has to wait. */
struct role_change {
    struct follower_stop stop;
    struct shard *shard;
    struct replica *replica;
    const struct image_partition *state;
    void (*taken)(void *context);
    void *context;
};

static void lead_or_remove(struct shard *shard, struct replica *replica,
                           const struct image_partition *state)
{
    if (!state) {
        partition_remove(shard, replica);
        return;
    }
    const struct replica_assignment assignment = replica_assignment_of(state);
    replica_lead(replica, &assignment);
    coordinators_lead(&shard->coordinators, replica);
}

static void follow(struct shard *shard, struct replica *replica,
                   const struct image_partition *state)
{
    const struct replica_assignment assignment = replica_assignment_of(state);
    if (!test_point(shard->loop, BUG_COORDINATOR_KEEP_ANSWERING) &&
        !test_point(shard->loop, BUG_COORDINATOR_KEEP_STATE))
        coordinators_leave(&shard->coordinators, replica);
    replica_follow(replica, &assignment);
    if (replica->state == REPLICA_FOLLOWING)
        fetchers_follow(&shard->fetchers, replica, state->leader);
}

static void following_stopped(struct follower_stop *stop)
{
    struct role_change *change = container_of(stop, struct role_change, stop);
    struct shard *shard = change->shard;
    void (*taken)(void *context) = change->taken;
    void *context = change->context;
    lead_or_remove(shard, change->replica, change->state);
    heap_put(shard->loop->heap, MEMORY_STATE, change, sizeof(*change));
    taken(context);
}

bool partition_role_take(struct shard *shard, struct replica *replica,
                         const struct image_partition *state, void (*taken)(void *context),
                         void *context)
{
    if (state && state->leader != shard->broker->config->node_id) {
        follow(shard, replica, state);
        return true;
    }
    if (state && !shard->was_registered)
        return true; /* led by whom it was meant for: an earlier process; see shard_metadata.c */
    struct role_change *change = NULL;
    if (replica->follower) {
        change = heap_must_get(shard->loop->heap, MEMORY_STATE, sizeof(*change));
        *change = (struct role_change){
            {.stopped = following_stopped}, shard, replica, state, taken, context};
        if (!fetchers_unfollow(&shard->fetchers, replica, &change->stop))
            return false;
        heap_put(shard->loop->heap, MEMORY_STATE, change, sizeof(*change));
    }
    lead_or_remove(shard, replica, state);
    return true;
}
