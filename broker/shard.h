/*
 * A data shard: one loop with its connections, partitions and the metadata image that it shows.
 *
 * Invariants:
 *  1. Everything here is touched on the shard's loop only.
 *  2. `image` is the version that the shard shows; pointers into it are kept within a turn only.
 */
#ifndef KLAMM_BROKER_SHARD_H
#define KLAMM_BROKER_SHARD_H

#include "broker/broker.h"
#include "broker/front.h"
#include "broker/peer_channels.h"
#include "broker/verifications.h"
#include "cluster/metadata/image.h"
#include "connection/connections.h"
#include "coordinator/coordinators.h"
#include "log/cleaner.h"
#include "log/directory_shard.h"
#include "log/log_shard.h"
#include "log/producer_state.h"
#include "replication/fetch_session.h"
#include "replication/fetchers.h"
#include "replication/replica_table.h"
#include "runtime/loop.h"
#include "transaction/marker_writer.h"
#include "transaction/producer_ids.h"

struct request;
struct shard_stop;

/* Counters of the broker's own work; plain values, summed on scrape. */
struct shard_counters {
    uint64_t fetched_size;         /* bytes of records answered to Fetch */
    uint64_t fetched_by_reference; /* of these, in ranges that are sent without a copy */
};

struct shard {
    struct broker *broker;
    struct loop *loop;
    struct front front;
    struct log_shard logs;
    struct producer_state_options producers;
    struct directory_shard *directories; /* [broker->directories->count]; NULL before attaching */
    uint64_t unopened; /* directories (a bit each, by place) with a log that could not be opened */
    struct replica_host replica_host;
    struct cleaner cleaner; /* once the directories are attached */
    struct replica_table replicas;
    struct fetchers fetchers; /* of those that follow */
    struct throttle throttle; /* leader.replication.throttled.rate: what followers are sent */
    struct coordinators coordinators;
    struct fetch_sessions sessions;
    struct producer_ids producer_ids;
    struct marker_writer markers;       /* of the transaction coordinators */
    struct verifications verifications; /* of partitions that ask them */
    struct peer_channels peers;         /* to other brokers, for these two */
    const struct image *image;          /* NULL before the first version */
    bool was_registered;                /* an image showed the registration of this process */
    struct list updates;                /* images to be applied, the first one being worked on */
    unsigned opening;                   /* logs being opened */
    unsigned removing;                  /* logs being dropped until their directories are renamed */
    struct timer maintenance;
    struct timer lag_check; /* of followers; regular */
    struct shard_counters counters;
    struct shard_stop *stop; /* the orderly stop under way, or NULL */
};

/* The shard of a loop (not of the control loop). */
static inline struct shard *shard_of(const struct loop *loop)
{
    return loop->owner;
}

/* The loop that owns a partition, from 1: by its id and number, so the same in every life. */
unsigned shard_of_partition(const struct broker *broker, struct uuid topic_id, int32_t partition);

/* On the shard's loop, at boot. */
void shard_boot(struct shard *shard, struct broker *broker, struct loop *loop);

#endif
