/* A plain list: brokers of a cluster, looked through once per Fetch of theirs. */
#include "cluster/quorum/followers.h"

#include "cluster/quorum/metadata_log_internal.h"
#include "cluster/quorum/quorum_internal.h"

static const uint64_t SILENCE_NS = UINT64_C(300000000000);

static void drop(struct metadata_log *log, struct quorum_follower *follower)
{
    list_remove(&follower->link);
    log->follower_count--;
    heap_put(log->loop->heap, MEMORY_STATE, follower, sizeof(*follower));
}

void followers_forget_silent(struct metadata_log *log)
{
    list_for_each_safe(link, after, &log->followers)
    {
        struct quorum_follower *follower = container_of(link, struct quorum_follower, link);
        if (log->loop->now_ns - follower->fetch_ns > SILENCE_NS &&
            !quorum_voter_of(&log->quorum, follower->node))
            drop(log, follower);
    }
}

const struct quorum_follower *followers_find(const struct metadata_log *log,
                                             struct quorum_node node)
{
    /* A node may have come back with another directory: then the old one is silent. */
    const struct quorum_follower *newest = NULL;
    list_for_each(link, &log->followers)
    {
        struct quorum_follower *follower = container_of(link, struct quorum_follower, link);
        if (quorum_same_node(follower->node, node) &&
            (!newest || follower->fetch_ns > newest->fetch_ns))
            newest = follower;
    }
    return newest;
}

static struct quorum_follower *need(struct metadata_log *log, struct quorum_node node)
{
    list_for_each(link, &log->followers)
    {
        struct quorum_follower *follower = container_of(link, struct quorum_follower, link);
        if (quorum_same_node(follower->node, node))
            return follower;
    }
    followers_forget_silent(log);
    if (log->follower_count == QUORUM_FOLLOWERS_MAX)
        return NULL;
    struct quorum_follower *follower =
        heap_must_get(log->loop->heap, MEMORY_STATE, sizeof(*follower));
    *follower = (struct quorum_follower){
        .node = node, .offset = -1, .fetch_ms = -1, .caught_up_ms = -1, .seen_end = -1};
    list_push_back(&log->followers, &follower->link);
    log->follower_count++;
    return follower;
}

void followers_fetched(struct metadata_log *log, struct quorum_node node, int64_t offset)
{
    struct quorum_follower *follower = need(log, node);
    if (!follower)
        return;
    int64_t end = log->quorum.log_end;
    if (offset >= end)
        follower->caught_up_ms = log->loop->wall_ms;
    else if (follower->seen_end >= 0 && offset >= follower->seen_end)
        follower->caught_up_ms = follower->fetch_ms;
    follower->node = node;
    follower->offset = offset > follower->offset ? offset : follower->offset;
    follower->fetch_ms = log->loop->wall_ms;
    follower->fetch_ns = log->loop->now_ns;
    follower->seen_end = end;
}

void followers_clear(struct metadata_log *log)
{
    list_for_each_safe(link, after, &log->followers)
        drop(log, container_of(link, struct quorum_follower, link));
}
