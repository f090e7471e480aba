/*
 * Producers and consumers of the node scenario. Each is a simulated node of one loop, so it has its
 * own connection, clock and pace; what it learns goes into the history.
 */
#ifndef KLAMM_TESTS_SIM_NODE_CLIENTS_H
#define KLAMM_TESTS_SIM_NODE_CLIENTS_H

#include "tests/sim/history.h"

enum { CLIENT_PORT = 9092, PENDING_MAX = 5 };

/* What a client is, and what the scenario wants of it now. Outlives the client's node. */
struct client_role {
    struct history *history;
    unsigned number;  /* of the client */
    const char *host; /* of the broker */
    bool is_producer; /* else a consumer */
    bool is_rude;     /* or neither: sends nonsense */
    bool is_idempotent;
    int16_t acks;             /* 1 or -1 */
    bool pauses;              /* the producer sends nothing new */
    uint64_t pace_ns;         /* between sends, at most */
    const unsigned *restarts; /* starts of the broker so far */
    /* Told by the client. */
    unsigned pending;                      /* batches not acknowledged yet */
    uint64_t acknowledged;                 /* records */
    uint64_t read;                         /* records */
    uint64_t retries;                      /* batches sent again */
    uint64_t abandoned;                    /* batches of unknown outcome */
    int64_t positions[HISTORY_PARTITIONS]; /* where a consumer reads next */
};

/* The boot function of a client's node; its argument is the role. */
void client_boot(struct loop *loop, void *role);

extern const char client_topic[];

#endif
