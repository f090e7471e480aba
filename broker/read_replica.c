/* The order among those that fit is Kafka's: end offset, then time of being caught up, then id. */
#include "broker/read_replica.h"

static bool has_offset(const struct remote_replica *remote, int64_t offset)
{
    return remote->is_in_sync && remote->end_offset >= offset && remote->log_start_offset <= offset;
}

static bool is_near(const struct image *image, int32_t broker_id,
                    const struct read_replica_question *question)
{
    const struct image_node *node = image_broker(image, broker_id);
    return node && !node->fenced && view_equal(node->rack, question->rack) &&
           image_node_endpoint(node, question->listener);
}

static bool is_better(const struct remote_replica *remote, const struct remote_replica *best)
{
    if (remote->end_offset != best->end_offset)
        return remote->end_offset > best->end_offset;
    int64_t caught_up_ns = in_sync_last_caught_up_ns(remote);
    int64_t best_ns = in_sync_last_caught_up_ns(best);
    if (caught_up_ns != best_ns)
        return caught_up_ns > best_ns;
    return remote->id > best->id;
}

int32_t read_replica_choose(const struct image *image, const struct replica *replica,
                            const struct read_replica_question *question)
{
    const struct in_sync *in_sync = replica_in_sync(replica);
    if (!in_sync || is_near(image, replica->host->node_id, question))
        return -1;
    const struct remote_replica *best = NULL;
    for (uint32_t i = 0; i < in_sync->count; i++) {
        const struct remote_replica *remote = &in_sync->remotes[i];
        if (has_offset(remote, question->fetch_offset) && is_near(image, remote->id, question) &&
            (!best || is_better(remote, best)))
            best = remote;
    }
    return best ? best->id : -1;
}

bool read_replica_is_rack_aware(struct view selector)
{
    return view_equal(selector,
                      VIEW_LITERAL("org.apache.kafka.common.replica.RackAwareReplicaSelector"));
}
