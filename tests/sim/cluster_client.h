/*
 * A client of a cluster, or of a single broker: one connection to each broker, made when it is
 * needed, and who leads which partition of its topics, as the brokers' Metadata answers say, and
 * who coordinates for it, as FindCoordinator says. What all clients of whole brokers are built on
 * that are not bound to one broker.
 *
 * Invariants:
 *  1. What a client knows of a partition never goes back: an answer with an older leader epoch is
 *     not believed. Of coordinators the last answer is believed; it names no epoch.
 *  2. `broken` is told once per connection; everything under way on it is then of unknown outcome.
 *
 * Who leads for a client need not lead any more: until a broker has heard of its successor it
 * answers on (reads, mostly: nothing of it is committed), as in Apache Kafka. The scenario sees
 * from outside who leads in truth; a witness says whether an answer was that of the leader, and
 * fails when it is a good one of a broker that knows that it leads no more.
 */
#ifndef KLAMM_TESTS_SIM_CLUSTER_CLIENT_H
#define KLAMM_TESTS_SIM_CLUSTER_CLIENT_H

#include "base/random.h"
#include "tests/sim/history.h"
#include "tests/sim/kafka_client.h"

enum { CLUSTER_NODES_MAX = 7, CLUSTER_PORT = 9092 };

/* What somebody leads: partitions of cluster_topic by number, then these. */
enum cluster_place {
    CLUSTER_SECOND = HISTORY_PARTITIONS, /* the first partition of the second topic */
    CLUSTER_GROUP,                       /* the group: its coordinator */
    CLUSTER_TRANSACTION,                 /* the transactional id: the same */
    CLUSTER_PLACES
};

struct cluster_client;

struct cluster_client_events {
    void (*answered)(struct cluster_client *client, int32_t node, enum kafka_api api, void *context,
                     struct reader *body);
    void (*broken)(struct cluster_client *client, int32_t node);
    /* Leaders or connections have changed: it may be worth a new try. May be NULL. */
    void (*changed)(struct cluster_client *client);
};

/* What is true of a broker and a partition, whatever the broker's clients believe. */
struct cluster_standing {
    enum {
        CLUSTER_DEPOSED,  /* it does not lead, and knows */
        CLUSTER_BELIEVES, /* it believes to, and another epoch has begun */
        CLUSTER_LEADS
    } state;
    int32_t epoch; /* that it knows of; -1: none */
};

/* What is told to a client, and what it tells. Outlives its node. */
struct cluster_client_options {
    uint32_t brokers;         /* bit per node number that is a broker */
    uint64_t answer_limit_ns; /* patience with a connection; 0: as kafka_client.h says */
    bool makes_topics;        /* asks for its topics so that they are made */
    const char *second_topic; /* besides cluster_topic; NULL: none */
    const char *group;        /* whose coordinators are asked for */
    const char *transactional_id;
    int32_t coordinator_partitions; /* of the topic of each kind of coordinators */
    /* NULL: there is one broker, which leads. */
    struct cluster_standing (*standing)(void *context, int32_t node, const char *topic,
                                        int32_t partition);
    void *context;
};

/* Who was asked, and what he was then. */
struct cluster_witness {
    int32_t place, node;
    struct cluster_standing standing;
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
    struct cluster_leader leaders[CLUSTER_PLACES];
    bool is_asking;  /* Metadata is under way */
    bool is_finding; /* FindCoordinator */
    struct timer refresh;
};

void cluster_client_init(struct cluster_client *client, struct loop *loop,
                         const struct cluster_client_events *events,
                         const struct cluster_client_options *options);
/* The connection to a node, when it can be used now; else NULL, and it is being made. */
struct kafka_client *cluster_client_to(struct cluster_client *client, int32_t node);
/*
 * The same for the leader of a place; asks for Metadata or for the coordinator when none is known.
 */
struct kafka_client *cluster_client_to_leader(struct cluster_client *client, int32_t place);
/* The leader has said that it is none, or did not answer: a coordinator is asked for anew. */
void cluster_client_forget(struct cluster_client *client, int32_t place);
/* Whether all partitions of its topics have been led. */
bool cluster_client_has_topics(const struct cluster_client *client);
/* For a request that goes to the leader of the place now. */
struct cluster_witness cluster_client_witness(const struct cluster_client *client, int32_t place);
/*
 * The request was answered well: whether by the leader, who was none other in between. A broker
 * that knew all the time that it does not lead must not have done that.
 */
bool cluster_client_is_leaders(const struct cluster_client *client,
                               const struct cluster_witness *witness);
/* A node drawn from the brokers. */
int32_t cluster_client_any(struct cluster_client *client);
/* What is known may be old: asks for Metadata soon. */
void cluster_client_refresh(struct cluster_client *client);
/* Drops the connection; `broken` is not told. */
void cluster_client_drop(struct cluster_client *client, int32_t node);
/* All of them. */
void cluster_client_drop_all(struct cluster_client *client);

/* The kinds of clients of the cluster scenario; role: struct cluster_role. */
struct cluster_role;
void cluster_producer_boot(struct loop *loop, void *role);
void cluster_consumer_boot(struct loop *loop, void *role);
void cluster_operator_boot(struct loop *loop, void *role);

extern const char cluster_topic[];

#endif
