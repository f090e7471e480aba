/*
 * The transaction coordinator of one partition of __transaction_state (KIP-98, KIP-360, KIP-890): a
 * kind of coordinator (coordinator/coordinator.h).
 *
 * A handler looks at the transaction, computes the one record that follows, and appends it; replay
 * makes it the state. What Kafka calls a pending transition does not exist here: the state is the
 * log's end, and answers leave when it is committed. A decided transaction waits until its PREPARE
 * record is committed, then has its markers written (marker_writer.h), then gets its COMPLETE record
 * (completion.c).
 *
 * Invariants:
 *  1. Every transaction in state ONGOING is in `ongoing`, every one in a PREPARE state in `prepared`;
 *     no other is in a list.
 *  2. Markers are sent for a transaction only after its PREPARE record is committed.
 *  3. A COMPLETE record is appended only when every partition has its marker or exists no more.
 */
#ifndef KLAMM_TRANSACTION_TRANSACTIONS_H
#define KLAMM_TRANSACTION_TRANSACTIONS_H

#include "base/map.h"
#include "coordinator/coordinator.h"
#include "protocol/messages/init_producer_id.h"
#include "transaction/marker_writer.h"
#include "transaction/producer_ids.h"
#include "transaction/transaction.h"

#define TRANSACTION_TOPIC VIEW_LITERAL("__transaction_state")
#define TRANSACTION_FEATURE VIEW_LITERAL("transaction.version")

enum { TRANSACTION_VERSION_2 = 2 };

struct transactions {
    struct coordinator *coordinator;
    struct heap *heap;
    struct loop *loop;
    struct producer_ids *producer_ids; /* of the loop */
    struct marker_writer *markers;     /* of the loop */
    struct map by_id;                  /* transactional id to struct transaction */
    struct list ongoing;               /* transaction.link */
    struct list prepared;              /* transaction.link */
    struct list calls;                 /* coordinator_call.link: parked for a producer id */
    struct producer_id_wait id_wait;
    struct timer timeout_sweep; /* while anything is ongoing */
    struct timer expiry_sweep;  /* while there is any id */
    struct timer retry;         /* COMPLETE records that could not be appended */
    bool is_loaded;
};

/* The kind, but for `create`, which is the broker's: transactions_create with what its loop has. */
#define TRANSACTIONS_KIND                                                                          \
    .name = "transaction", .topic = {(const uint8_t *)"__transaction_state", 19},                  \
    .destroy = transactions_destroy, .replay = transactions_replay,                                \
    .loaded = transactions_loaded, .unload = transactions_unload

struct transactions *transactions_create(struct coordinator *coordinator,
                                         struct producer_ids *producer_ids,
                                         struct marker_writer *markers);
void transactions_destroy(void *state);
enum coordinator_replay transactions_replay(void *state, const struct coordinator_record *record);
void transactions_loaded(void *state);
void transactions_unload(void *state, enum kafka_error error);

/* ---- Requests: each ends the call, at once or later ---- */

/*
 * What is wrong with an InitProducerId before any coordinator is asked; also for requests without a
 * transactional id. NONE: go on.
 */
enum kafka_error init_producer_id_check(const struct init_producer_id_request *request,
                                        const struct server_config *config);

/* init_producer_id_request, init_producer_id_response; checked as above. */
void transactions_init_producer_id(struct transactions *transactions,
                                   struct coordinator_call *call);
/*
 * One transaction of the request: add_partitions_to_txn_request_add_partitions_to_txn_transaction
 * and add_partitions_to_txn_response_add_partitions_to_txn_result, also below version 4.
 */
void transactions_add_partitions(struct transactions *transactions, struct coordinator_call *call);
/* add_offsets_to_txn_request and _response. */
void transactions_add_offsets(struct transactions *transactions, struct coordinator_call *call);
/* end_txn_request and _response. */
void transactions_end(struct transactions *transactions, struct coordinator_call *call);
/* One transactional id: a view, and describe_transactions_response_transaction_state. */
void transactions_describe(struct transactions *transactions, struct coordinator_call *call);
/* list_transactions_request (the pattern aside) and _response, without unknown states. */
void transactions_list(struct transactions *transactions, struct coordinator_call *call);

/* ---- For the files of this folder ---- */

struct transaction *transactions_find(const struct transactions *transactions, struct view id);
/* The finalized transaction.version. */
int16_t transactions_version(const struct transactions *transactions);
/* Appends the record of a transaction and replays it; the value's update time is now. */
enum kafka_error transactions_append(struct transactions *transactions, struct view id,
                                     struct transaction_log_value *value);
/* The call goes on with `again` when there are producer ids; else it fails. */
void transactions_park_for_id(struct transactions *transactions, struct coordinator_call *call,
                              void (*again)(struct transactions *transactions,
                                            struct coordinator_call *call));

/* completion.c */

/* How an ONGOING transaction (or, for an abort, one of any resting state) is decided. */
struct transaction_decision {
    bool commit;
    int16_t client_version;   /* 2 and above: the epoch rises */
    bool is_fence;            /* not asked for by the producer: the epoch rises in any version */
    int64_t next_producer_id; /* for an exhausted epoch, else TRANSACTION_NO_PRODUCER_ID */
};
/* Appends PREPARE and sees to the rest. */
enum kafka_error transaction_decide(struct transaction *transaction,
                                    const struct transaction_decision *decision);
/* A PREPARE that was found when loading. */
void transaction_go_on(struct transaction *transaction);
/* The timer `retry`. */
void transactions_retry(struct timer *timer);
/*
 * The call goes on with `again` when the transaction, which is in a PREPARE state, is COMPLETE, or
 * after add.partitions.to.txn.retry.backoff.max.ms. False, and nothing done: it has waited before,
 * the answer is CONCURRENT_TRANSACTIONS. Kafka's coordinator gives that answer at once, and clients
 * ask again after 20 to 500 ms; mostly the end is a few milliseconds away.
 */
bool transaction_wait(struct transaction *transaction, struct coordinator_call *call,
                      void (*again)(struct transactions *transactions,
                                    struct coordinator_call *call));
/* Ends all who wait. */
void transaction_fail_waiting(struct transaction *transaction, enum kafka_error error);

/* timeouts.c */

/* Aborts a transaction on behalf of the coordinator, under a higher epoch. */
enum kafka_error transaction_fence(struct transaction *transaction);
void transactions_sweep_timeouts(struct timer *timer);
void transactions_sweep_expired(struct timer *timer);
/* Sets the timers that have work. */
void transactions_arm(struct transactions *transactions);
/* An ONGOING transaction begins its timeout. */
void transaction_start_timeout(struct transaction *transaction);

#endif
