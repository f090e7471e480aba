/*
 * Clients of the transaction scenario, each a simulated node of one loop:
 *
 *  - a producer writes transactions of a few values into some partitions and commits or aborts;
 *  - a copier reads partition 0 and writes its values into the copy, offsets in the transaction;
 *  - a reader reads everything at read_committed, over and over, or once from the start.
 *
 * Two clients may share a transactional id: each fences the other in turn.
 *
 * Invariants:
 *  1. One request is under way at a time, the one of `step`, at the leader or coordinator that it
 *     is for (cluster_client.h); after a broken connection it is sent again as it was.
 *  2. A commit is sent only when every value of the transaction was acknowledged.
 */
#ifndef KLAMM_TESTS_SIM_TRANSACTION_CLIENT_H
#define KLAMM_TESTS_SIM_TRANSACTION_CLIENT_H

#include "tests/sim/cluster_client.h"
#include "tests/sim/transaction_history.h"

enum transaction_role_kind { TRANSACTION_PRODUCER, TRANSACTION_COPIER, TRANSACTION_READER };

struct transaction_role {
    struct transaction_history *history;
    struct cluster_client_options links;
    enum transaction_role_kind kind;
    unsigned client;
    unsigned id;        /* number of the transactional id */
    bool is_newer;      /* version 2 of the transaction protocol (KIP-890) */
    bool pauses;        /* begins no more transactions, crashes no more */
    bool is_retired;    /* is gone for good, whatever it had begun */
    bool notes;         /* reader: the last one, from the start */
    int32_t timeout_ms; /* of transactions */
    uint64_t pace_ns;
    /* Told by the client. */
    bool is_idle;                              /* between transactions */
    int64_t positions[TRANSACTION_PARTITIONS]; /* reader, copier (of partition 0) */
    /* The stable offset that it was told last, by the leader of which epoch. */
    int64_t stable[TRANSACTION_PARTITIONS];
    int32_t stable_epoch[TRANSACTION_PARTITIONS];
    uint64_t rounds; /* reader: how often it found every partition read to the end */
};

void transaction_client_boot(struct loop *loop, void *role);

/* Topic name and partition of a partition's number. */
const char *transaction_topic(int32_t number);
static inline int32_t transaction_partition(int32_t number)
{
    return number == TRANSACTION_COPY ? 0 : number;
}

/* The reading side, shared by reader and copier: one Fetch at read_committed. */
void transaction_write_fetch(struct writer *body, int32_t number, int64_t offset, int32_t max_bytes,
                             int32_t wait_ms);
struct transaction_fetch {
    const struct cluster_client *client;
    const struct cluster_witness *witness; /* of the request */
    int16_t error;
    bool is_leaders; /* no error, and the leader's answer */
    int64_t next_offset;
    void (*value)(void *context, int64_t offset, uint64_t value);
    void *context;
};
/* Hands the committed values at or behind `offset` out and checks T7. */
void transaction_read_fetch(struct transaction_role *role, int32_t number, int64_t offset,
                            struct reader *body, struct transaction_fetch *fetch);
/* Whether the error of a fetch passes: it is tried again. */
bool transaction_fetch_is_passing(int16_t error);

void transaction_producer_start(struct loop *loop, struct transaction_role *role);
void transaction_reader_start(struct loop *loop, struct transaction_role *role);

#endif
