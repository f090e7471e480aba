/* What a client of the cluster scenario is, what is wanted of it, and what it tells. */
#ifndef KLAMM_TESTS_SIM_CLUSTER_ROLE_H
#define KLAMM_TESTS_SIM_CLUSTER_ROLE_H

#include "tests/sim/cluster_client.h"

enum { CLUSTER_PENDING_MAX = 5 };

/* What all clients of one cluster share; outlives their nodes. */
struct cluster_clients {
    struct history *history;
    const unsigned *starts; /* of all brokers so far */
    const bool *is_held;    /* operators do nothing */
    unsigned identities;    /* given out: producers whose past is unknown go on under a new one */
    /* An answer to acks=all said so; NULL: nobody wants to know. */
    void (*acknowledged)(void *context, int32_t partition, int64_t last_offset);
    /* The epoch in which the node leads the partition, as seen from outside; -1: none. */
    int32_t (*leads)(void *context, int32_t node, int32_t partition);
    /* The node stops or has stopped lately: it answers what it must not say otherwise. */
    bool (*is_leaving)(void *context, int32_t node);
    void *context;
};

struct cluster_role {
    struct cluster_clients *shared;
    struct cluster_client_options client;
    unsigned number; /* of the client */
    /* Producers. */
    bool is_idempotent;
    int16_t acks; /* 1 or -1 */
    bool pauses;  /* sends nothing new */
    uint64_t pace_ns;
    /* Consumers. */
    bool reads_followers;
    /* Operators. */
    int16_t replication_factor; /* of the topic */
    bool is_unclean;            /* the topic's leaders may lack records */
    bool is_free;               /* does something now and then; else only makes the topic */
    bool elects;                /* mostly preferred leaders, as fast as it can */
    bool moves;                 /* leaders of coordinators too: preferred ones, and who that is */
    bool topic_exists;          /* told */
    uint64_t operations;        /* told: answered without error */
    uint64_t refusals;          /* told */
    /* Told by producers and consumers. */
    unsigned pending;                      /* batches not acknowledged yet */
    uint64_t acknowledged;                 /* records */
    uint64_t read;                         /* records */
    uint64_t retries;                      /* batches sent again */
    uint64_t abandoned;                    /* batches of unknown outcome */
    uint64_t listed;                       /* log ends that ListOffsets told */
    int64_t positions[HISTORY_PARTITIONS]; /* where a consumer reads next */
    unsigned cuts[HISTORY_PARTITIONS];     /* of the partition, that it knows of */
};

#endif
