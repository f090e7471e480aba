/*
 * One transactional id as its coordinator knows it: what the newest record of the id says, and the
 * soft state of its running transaction (KIP-98, KIP-890).
 *
 *              AddPartitions            EndTxn, timeout, fence        all markers written
 *     EMPTY ----------------> ONGOING -------------------------> PREPARE_x ---------> COMPLETE_x
 *       ^                        ^                                                        |
 *       |                        +--------------------- AddPartitions --------------------+
 *       +---------------------------------------------- InitProducerId -------------------+
 *
 *  EMPTY, COMPLETE_COMMIT, COMPLETE_ABORT: no partition has data of this id that is undecided. The
 *      id may expire.
 *  ONGOING: every partition with data is in `topics`; the timeout runs from started_ms.
 *  PREPARE_COMMIT, PREPARE_ABORT: decided. When the record is committed the outcome never changes;
 *      markers go to every partition in `topics`, again and again until all have them.
 *
 * Kafka's states Dead and PrepareEpochFence are never in a log. An id dies with its tombstone, and
 * a fence is one move here (ONGOING to PREPARE_ABORT with a higher epoch).
 *
 * Invariants (transaction_assert):
 *  1. The epoch is 0 to INT16_MAX; INT16_MAX never belongs to a client.
 *  2. `topics` is empty unless ONGOING or PREPARE; each topic once, its partitions sorted, each
 * once.
 *  3. next_producer_id is set only in PREPARE states.
 *  4. ONGOING and PREPARE states have a start time.
 */
#ifndef KLAMM_TRANSACTION_TRANSACTION_H
#define KLAMM_TRANSACTION_TRANSACTION_H

#include "base/bytes.h"
#include "base/list.h"
#include "base/memory.h"
#include "coordinator/coordinator.h"
#include "protocol/messages/transaction_log_value.h"
#include "transaction/marker_writer.h"

/* The numbers are those of the records. */
enum transaction_status {
    TRANSACTION_EMPTY,
    TRANSACTION_ONGOING,
    TRANSACTION_PREPARE_COMMIT,
    TRANSACTION_PREPARE_ABORT,
    TRANSACTION_COMPLETE_COMMIT,
    TRANSACTION_COMPLETE_ABORT,
    TRANSACTION_STATUS_COUNT
};

enum {
    TRANSACTION_NO_PRODUCER_ID = -1,
    TRANSACTION_NO_EPOCH = -1,
    TRANSACTION_EPOCH_LAST = INT16_MAX - 1, /* the last one that a client may have */
    TRANSACTION_NO_TIME = -1
};

/* The partitions of one topic that take part. */
struct transaction_topic {
    struct view name;    /* owned */
    int32_t *partitions; /* rising */
    uint32_t count;
    uint32_t capacity;
};

struct transactions;

struct transaction {
    struct transactions *owner;
    struct view id; /* owned; in this block */
    size_t held_size;
    /* As in the newest record. */
    enum transaction_status status;
    int64_t producer_id;
    int64_t previous_producer_id;
    int64_t next_producer_id;
    int16_t producer_epoch;
    int16_t client_version; /* transaction.version of the client that moved it last */
    int32_t timeout_ms;
    int64_t updated_ms;
    int64_t started_ms;
    struct transaction_topic *topics;
    uint32_t topic_count;
    uint32_t topic_capacity;
    /* Soft. */
    int16_t last_epoch;   /* before the last bump, if its client still may ask again; else -1 */
    uint64_t deadline_ns; /* ONGOING: when it is aborted (monotonic) */
    struct list link;     /* transactions.ongoing or .prepared, or none */
    struct coordinator_wait prepared; /* until the PREPARE record is committed */
    bool is_awaiting;                 /* `prepared` is in use */
    struct marker_work markers;       /* while they are written */
    struct list waiting;              /* calls that go on when it is COMPLETE (transaction_wait) */
};

const char *transaction_status_name(enum transaction_status status);
/* The status of a name, or TRANSACTION_STATUS_COUNT. "Dead" and "PrepareEpochFence" are no status
   of this coordinator; transaction_status_is_known tells that they are names all the same. */
enum transaction_status transaction_status_of_name(struct view name);
bool transaction_status_is_known(struct view name);

static inline bool transaction_is_prepared(const struct transaction *transaction)
{
    return transaction->status == TRANSACTION_PREPARE_COMMIT ||
           transaction->status == TRANSACTION_PREPARE_ABORT;
}

/* No further epoch of this producer id may go to a client (KIP-360). */
static inline bool transaction_epoch_is_exhausted(const struct transaction *transaction)
{
    return transaction->producer_epoch >= TRANSACTION_EPOCH_LAST;
}

bool transaction_may_move(enum transaction_status from, enum transaction_status to);

/* A new one without a record yet. */
struct transaction *transaction_create(struct transactions *owner, struct heap *heap,
                                       struct view id);
void transaction_destroy(struct transaction *transaction, struct heap *heap);

bool transaction_has_partition(const struct transaction *transaction, struct view topic,
                               int32_t partition);

/* The record that says what is known now; the arrays are in the arena. */
void transaction_to_record(const struct transaction *transaction, struct arena *arena,
                           struct transaction_log_value *value);
/* Adds a partition to a record in the making whose arrays are in the arena; false: it was there. */
bool transaction_record_add(struct transaction_log_value *value, struct arena *arena,
                            struct view topic, int32_t partition);
/* Takes over a record. False, and nothing changed: it cannot be one (a damaged log). */
bool transaction_from_record(struct transaction *transaction, struct heap *heap,
                             const struct transaction_log_value *value);
/* Asserts that the record may follow what is known (reference section 5.2). */
void transaction_assert_follows(const struct transaction *transaction,
                                const struct transaction_log_value *value);
void transaction_assert(const struct transaction *transaction);

#endif
