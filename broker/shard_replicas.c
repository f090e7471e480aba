/* The newest image that the shard has heard of is asked, although it shows an older one. */
#include "broker/shard_replicas.h"

#include "broker/isr_carrier.h"
#include "broker/shard.h"
#include "broker/shard_metadata.h"

#define LAG_CHECK_NS_MIN UINT64_C(1000000)

static struct replica_broker find_broker(void *owner, int32_t broker_id)
{
    const struct image *image = shard_newest_image(owner);
    const struct image_node *node = image ? image_broker(image, broker_id) : NULL;
    if (!node)
        return (struct replica_broker){.epoch = -1, .is_active = false};
    return (struct replica_broker){
        .epoch = node->epoch,
        .is_alive = !node->fenced,
        .is_active = !node->fenced && !node->in_controlled_shutdown,
    };
}

static const struct replica_events shard_replica_events = {
    .broker = find_broker,
    .propose = isr_carrier_propose,
};

static void check_lag(struct timer *timer);

static void arm(struct shard *shard)
{
    uint64_t interval_ns = (uint64_t)shard->replica_host.lag_max_ns / 2;
    timer_init(&shard->lag_check, check_lag);
    loop_set_timer(shard->loop, &shard->lag_check,
                   interval_ns > LAG_CHECK_NS_MIN ? interval_ns : LAG_CHECK_NS_MIN);
}

static void check_lag(struct timer *timer)
{
    struct shard *shard = container_of(timer, struct shard, lag_check);
    replica_host_check_lag(&shard->replica_host);
    arm(shard);
}

void shard_replicas_init(struct shard *shard)
{
    const struct server_config *config = shard->broker->config;
    const struct replica_host_options options = {
        .loop = shard->loop,
        .heap = shard->loop->heap,
        .node_id = config->node_id,
        .lag_max_ms = config->settings.replica_lag_time_max_ms,
        .fetch_wait_max_ms = config->settings.replica_fetch_wait_max_ms,
        .events = &shard_replica_events,
        .owner = shard,
    };
    replica_host_init(&shard->replica_host, &options, shard->loop->seed);
    const struct broker_settings *settings = &config->settings;
    const struct fetchers_options fetching = {
        .loop = shard->loop,
        .replicas = &shard->replicas,
        .node_id = config->node_id,
        .listener = config->inter_broker_listener_name,
        .wait_max_ms = settings->replica_fetch_wait_max_ms,
        .min_bytes = settings->replica_fetch_min_bytes,
        .max_bytes = settings->replica_fetch_max_bytes,
        .response_max_bytes = settings->replica_fetch_response_max_bytes,
        .backoff_ms = settings->replica_fetch_backoff_ms,
        .socket_timeout_ms = settings->replica_socket_timeout_ms,
    };
    fetchers_init(&shard->fetchers, &fetching);
    throttle_init(&shard->throttle);
    arm(shard);
}
