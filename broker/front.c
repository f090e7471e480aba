/* The limits of a front's connections. */
#include "broker/front.h"

#include "broker/dispatch.h"
#include "broker/request.h"

enum { STALL_MS = 30 * 1000 };

void front_init(struct front *front, const struct broker *broker, struct shard *shard,
                struct loop *loop, const struct image *const *image, uint64_t memory)
{
    const struct broker_settings *settings = &broker->config->settings;
    *front = (struct front){.broker = broker, .shard = shard, .image = image};
    struct connections_options options = {
        .frame_size_limit = (uint32_t)settings->socket_request_max_bytes,
        .frame_memory = memory / 2,
        .answer_memory = memory / 2,
        .idle_ms =
            settings->connections_max_idle_ms > 0 ? (uint64_t)settings->connections_max_idle_ms : 0,
        .stall_ms = STALL_MS,
        .request_size = sizeof(struct request),
    };
    connections_init(&front->connections, loop, &dispatch_handler, &options, front);
}
