/* A shard's boot, and which shard owns what. */
#include "broker/shard.h"

#include "base/hash.h"
#include "broker/dispatch.h"
#include "broker/request.h"

enum { STALL_MS = 30 * 1000 };

unsigned shard_of_partition(const struct broker *broker, struct uuid topic_id, int32_t partition)
{
    uint64_t hash = uuid_most(topic_id) ^ uuid_least(topic_id);
    return 1 + (unsigned)((hash + (uint32_t)partition) % broker->shard_count);
}

void shard_boot(struct shard *shard, struct broker *broker, struct loop *loop)
{
    const struct broker_settings *settings = &broker->config->settings;
    *shard = (struct shard){.broker = broker, .loop = loop};
    loop->owner = shard;
    uint64_t memory = broker->request_memory / broker->shard_count;
    struct connections_options options = {
        .frame_size_limit = (uint32_t)settings->socket_request_max_bytes,
        .frame_memory = memory / 2,
        .answer_memory = memory / 2,
        .idle_ms =
            settings->connections_max_idle_ms > 0 ? (uint64_t)settings->connections_max_idle_ms : 0,
        .stall_ms = STALL_MS,
        .request_size = sizeof(struct request),
    };
    connections_init(&shard->connections, loop, &dispatch_handler, &options, shard);
}
