/* A shard's boot, its regular work, and which shard owns what. */
#include "broker/shard.h"

#include "base/hash.h"
#include "broker/coordinator_kinds.h"
#include "broker/producer_id_source.h"
#include "broker/shard_replicas.h"
#include "broker/transaction_coordinator.h"

enum { MAINTENANCE_MS = 5000 };

unsigned shard_of_partition(const struct broker *broker, struct uuid topic_id, int32_t partition)
{
    uint64_t hash = uuid_most(topic_id) ^ uuid_least(topic_id);
    return 1 + (unsigned)((hash + (uint32_t)partition) % broker->shard_count);
}

static void maintain(struct timer *timer)
{
    struct shard *shard = container_of(timer, struct shard, maintenance);
    list_for_each(link, &shard->replicas.replicas)
    {
        struct replica *replica = container_of(link, struct replica, link);
        if (replica->state == REPLICA_LEADING || replica->state == REPLICA_FOLLOWING)
            partition_log_maintain(replica->log, false);
    }
    loop_set_timer(shard->loop, &shard->maintenance, MAINTENANCE_MS * UINT64_C(1000000));
}

void shard_boot(struct shard *shard, struct broker *broker, struct loop *loop)
{
    const struct broker_settings *settings = &broker->config->settings;
    *shard = (struct shard){.broker = broker, .loop = loop};
    loop->owner = shard;
    front_init(&shard->front, broker, shard, loop, &shard->image,
               broker->request_memory / broker->shard_count);
    struct log_shard_options log_options = {.open_files_limit = broker->open_files_limit};
    log_shard_init(&shard->logs, loop, &log_options);
    shard->producers.expiration_ms = settings->producer_id_expiration_ms;
    shard->producers.is_verification_enabled = settings->transaction_partition_verification_enable;
    replica_table_init(&shard->replicas, loop->heap, loop->seed);
    shard_replicas_init(shard);
    coordinators_init(&shard->coordinators, loop, loop->heap, &shard->logs, broker->config);
    coordinator_kinds_serve(broker, &shard->coordinators);
    uint32_t slots = (uint32_t)settings->max_incremental_fetch_session_cache_slots;
    fetch_sessions_init(&shard->sessions, loop,
                        (slots + broker->shard_count - 1) / broker->shard_count);
    producer_id_source_init(shard);
    transaction_coordinator_init(shard);
    verifications_init(&shard->verifications, shard);
    peer_channels_init(&shard->peers, shard);
    list_init(&shard->updates);
    timer_init(&shard->maintenance, maintain);
    loop_set_timer(loop, &shard->maintenance, MAINTENANCE_MS * UINT64_C(1000000));
}
