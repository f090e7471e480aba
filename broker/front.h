/*
 * A front: what serving a request needs to know of the loop that has the connection.
 *
 * Every data shard has one, for clients and brokers. The control loop has one for the listeners in
 * controller.listener.names: the quorum and the controller are served on their own loop, and client
 * load never stands before them.
 *
 * Invariants:
 *  1. Everything here is touched on its loop only.
 *  2. A front serves the APIs that the schemas give its kind of listener, and only these.
 */
#ifndef KLAMM_BROKER_FRONT_H
#define KLAMM_BROKER_FRONT_H

#include "broker/broker.h"
#include "cluster/metadata/image.h"
#include "connection/connections.h"
#include "protocol/api_info.h"

struct shard;

/* Plain values, summed on scrape. */
struct front_counters {
    uint64_t requests[128];     /* by API key */
    uint64_t local_requests;    /* of this node to itself */
    uint64_t refused_requests;  /* unknown API or version, malformed */
    uint64_t trailing_requests; /* had bytes left behind the body */
};

struct front {
    const struct broker *broker;
    struct shard *shard; /* NULL on the control loop */
    struct connections connections;
    /* Where the image is found that requests see here; NULL before the first one. */
    const struct image *const *image;
    struct front_counters counters;
};

/*
 * `image` is a place that lives as long as the front. `memory`: bytes of frames and unsent answers
 * together.
 */
void front_init(struct front *front, const struct broker *broker, struct shard *shard,
                struct loop *loop, const struct image *const *image, uint64_t memory);

static inline bool front_is_controllers(const struct front *front)
{
    return !front->shard;
}

/* Whether requests of this API may come in here. */
static inline bool front_serves(const struct front *front, const struct api_info *info)
{
    return front_is_controllers(front) ? info->is_controller_listener : info->is_broker_listener;
}

static inline struct front *front_of(const struct connections *connections)
{
    return connections->context;
}

#endif
