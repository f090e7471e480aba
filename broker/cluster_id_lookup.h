/*
 * Which cluster does this node belong to? The first question of a node that is no voter and whose
 * directories are all empty: it asks the controllers of its quorum (DescribeCluster, KIP-919), one
 * after the other, until one answers. A node with a formatted directory asks nobody.
 *
 * Invariants:
 *  1. `done` is called once, on the loop, never inside a call of this module.
 *  2. A lookup waits as long as it takes: a cluster that comes up in any order comes up.
 */
#ifndef KLAMM_BROKER_CLUSTER_ID_LOOKUP_H
#define KLAMM_BROKER_CLUSTER_ID_LOOKUP_H

#include "config/server_config.h"
#include "connection/channel.h"
#include "log/meta_properties.h"
#include "protocol/messages/describe_cluster.h"
#include "runtime/job.h"

struct cluster_id_lookup {
    struct loop *loop;
    const struct server_config *config;
    const char *const *paths; /* of the log directories */
    size_t path_count;
    /* With cluster_id empty: a directory is formatted, or the lookup was stopped. */
    void (*done)(struct cluster_id_lookup *lookup);
    char cluster_id[META_CLUSTER_ID_MAX + 1];
    /* Private. */
    struct job job;
    bool is_formatted;
    bool is_looking; /* the job is at work */
    bool is_stopped;
    bool is_finished;
    size_t server;
    uint64_t said_ns; /* when somebody was told that this takes time; 0: never */
    struct channel *channel;
    struct channel_request request;
    struct describe_cluster_request message;
    struct timer retry;
    struct deferred finish;
};

/* The first members are filled; the struct stays where it is until `done`. */
void cluster_id_lookup_start(struct cluster_id_lookup *lookup);
/* `done` comes soon, unless it came already. */
void cluster_id_lookup_stop(struct cluster_id_lookup *lookup);

#endif
