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
#include "cluster/metadata/image.h"
#include "connection/connections.h"
#include "runtime/loop.h"

struct request;
struct shard_stop;

/* Counters of the broker's own work; plain values, summed on scrape. */
struct shard_counters {
    uint64_t requests[128];     /* by API key */
    uint64_t refused_requests;  /* unknown API or version, malformed */
    uint64_t trailing_requests; /* had bytes left behind the body */
};

struct shard {
    struct broker *broker;
    struct loop *loop;
    struct connections connections;
    const struct image *image; /* NULL before the first version */
    struct shard_counters counters;
    struct shard_stop *stop; /* the orderly stop under way, or NULL */
};

/* The shard of a loop (not of the control loop). */
static inline struct shard *shard_of(const struct loop *loop)
{
    return loop->owner;
}

/* The loop that owns a partition (DESIGN section 2). */
unsigned shard_of_partition(const struct broker *broker, struct uuid topic_id, int32_t partition);

/* On the shard's loop, at boot. */
void shard_boot(struct shard *shard, struct broker *broker, struct loop *loop);

#endif
