/* See the header. A map of numbers, so that channels are walked in the order of their making. */
#include "broker/peer_channels.h"

#include "base/assert.h"
#include "broker/shard.h"

enum { IN_FLIGHT_MAX = 16 };

static const uint64_t NS_PER_MS = 1000000;

static uint64_t key_of(int32_t node_id, enum peer_purpose purpose)
{
    return (uint64_t)(uint32_t)node_id * PEER_PURPOSES + purpose;
}

static const struct image_endpoint *endpoint_of(const struct peer_channels *peers,
                                                const struct image *image, int32_t node_id)
{
    const struct image_node *node = image ? image_broker(image, node_id) : NULL;
    if (!node || node->fenced)
        return NULL;
    return image_node_endpoint(node, peers->shard->broker->config->inter_broker_listener_name);
}

void peer_channels_init(struct peer_channels *peers, struct shard *shard)
{
    struct loop *loop = shard->loop;
    *peers = (struct peer_channels){.shard = shard};
    map_init(&peers->channels, loop->heap, MEMORY_STATE, loop->seed);
}

static struct channel *create(struct peer_channels *peers, const struct image_endpoint *endpoint)
{
    const struct broker_settings *settings = &peers->shard->broker->config->settings;
    struct channel_options options = {
        .loop = peers->shard->loop,
        .host = endpoint->host,
        .port = endpoint->port,
        .client_id = VIEW_LITERAL("klamm"),
        .in_flight_max = IN_FLIGHT_MAX,
        .request_timeout_ns = (uint64_t)settings->request_timeout_ms * NS_PER_MS,
    };
    return channel_create(&options);
}

struct channel *peer_channels_get(struct peer_channels *peers, int32_t node_id,
                                  enum peer_purpose purpose)
{
    const struct image_endpoint *endpoint = endpoint_of(peers, peers->shard->image, node_id);
    if (!endpoint || peers->is_closed)
        return NULL;
    struct map_entry *entry = map_add_number(&peers->channels, key_of(node_id, purpose), NULL);
    klamm_assert(entry != NULL);
    if (!entry->value)
        entry->value = create(peers, endpoint);
    return entry->value;
}

/* The entry goes first: what ends inside may ask for a channel again. */
static void close_entry(struct peer_channels *peers, struct map_entry *entry)
{
    struct channel *channel = entry->value;
    map_remove_entry(&peers->channels, entry);
    channel_close(channel);
}

void peer_channels_show(struct peer_channels *peers, const struct image *image)
{
    /* Closing one may make others, so the walk begins anew. */
    struct map_entry *entry = map_first(&peers->channels);
    while (entry) {
        int32_t node_id = (int32_t)(entry->key_number / PEER_PURPOSES);
        const struct image_endpoint *endpoint = endpoint_of(peers, image, node_id);
        if (!endpoint) {
            close_entry(peers, entry);
            entry = map_first(&peers->channels);
            continue;
        }
        channel_set_address(entry->value, endpoint->host, endpoint->port);
        entry = map_next(&peers->channels, entry);
    }
}

void peer_channels_close(struct peer_channels *peers)
{
    peers->is_closed = true;
    for (struct map_entry *entry; (entry = map_first(&peers->channels)) != NULL;)
        close_entry(peers, entry);
    map_deinit(&peers->channels);
}
