/*
 * A client of a cluster: one connection to each broker, made when it is needed, and who leads which
 * partition of the one topic, as the brokers' Metadata answers say. What producers, consumers and
 * operators of the cluster scenario are built on.
 *
 * Invariants:
 *  1. What a client knows of a partition never goes back: an answer with an older leader epoch is
 *     not believed.
 *  2. `broken` is told once per connection; everything under way on it is then of unknown outcome.
 */
#ifndef KLAMM_TESTS_SIM_CLUSTER_CLIENT_H
#define KLAMM_TESTS_SIM_CLUSTER_CLIENT_H

#include "base/random.h"
#include "tests/sim/history.h"
#include "tests/sim/kafka_client.h"

enum { CLUSTER_NODES_MAX = 7, CLUSTER_PORT = 9092 };

struct cluster_client;

struct cluster_client_events {
    void (*answered)(struct cluster_client *client, int32_t node, enum kafka_api api, void *context,
                     struct reader *body);
    void (*broken)(struct cluster_client *client, int32_t node);
    /* Leaders or connections have changed: it may be worth a new try. May be NULL. */
    void (*changed)(struct cluster_client *client);
};

/* What is told to a client, and what it tells. Outlives its node. */
struct cluster_client_options {
    uint32_t brokers;         /* bit per node number that is a broker */
    uint64_t answer_limit_ns; /* patience with a connection */
};

struct cluster_connection {
    struct kafka_client client;
    struct cluster_client *owner;
    int32_t node;
    struct timer reconnect;
    char host[16];
};

struct cluster_leader {
    int32_t node; /* -1: none, or not known */
    int32_t epoch;
    uint32_t replicas; /* bit per node number */
};

struct cluster_client {
    const struct cluster_client_events *events;
    struct loop *loop;
    struct cluster_client_options options;
    struct random_stream random;
    struct cluster_connection connections[CLUSTER_NODES_MAX];
    struct cluster_leader leaders[HISTORY_PARTITIONS];
    bool is_asking; /* Metadata is under way */
    struct timer refresh;
};

void cluster_client_init(struct cluster_client *client, struct loop *loop,
                         const struct cluster_client_events *events,
                         const struct cluster_client_options *options);
/* The connection to a node, when it can be used now; else NULL, and it is being made. */
struct kafka_client *cluster_client_to(struct cluster_client *client, int32_t node);
/* The same for the leader of a partition; asks for Metadata when none is known. */
struct kafka_client *cluster_client_to_leader(struct cluster_client *client, int32_t partition);
/* A node drawn from the brokers. */
int32_t cluster_client_any(struct cluster_client *client);
/* What is known may be old: asks for Metadata soon. */
void cluster_client_refresh(struct cluster_client *client);
/* Drops the connection; `broken` is not told. */
void cluster_client_drop(struct cluster_client *client, int32_t node);

/* The kinds of clients of the cluster scenario; role: struct cluster_role. */
struct cluster_role;
void cluster_producer_boot(struct loop *loop, void *role);
void cluster_consumer_boot(struct loop *loop, void *role);
void cluster_operator_boot(struct loop *loop, void *role);

extern const char cluster_topic[];

#endif
