/*
 * Producer state of one partition: idempotence, fencing, open transactions, verification guards.
 *
 * Two phases. producer_state_check looks at a batch and changes nothing but verification entries;
 * producer_state_apply records a batch that got its offsets. Apply may run before the write: what
 * was applied at or above an offset can be taken back with producer_state_undo until
 * producer_state_settle says that everything below an offset is in the log. So several batches of
 * one producer pass through one turn, each checked against those before it.
 *
 * Relies on: batches are applied in offset order; the caller fills struct producer_batch from a
 * validated batch header (and from the control record of a marker).
 *
 * Invariants:
 *  1. A producer remembers at most PRODUCER_BATCHES batches, all of its current epoch.
 *  2. Open transactions are listed in order of their first offset, each first offset once.
 *  3. A completed transaction stays listed until the high watermark passed its marker.
 *  4. undo(from) restores exactly the state before the first apply at or above `from`, except that
 *     cleared verification entries stay cleared (the client then verifies again) and that evicted
 *     producers stay evicted.
 *  5. Producers with an open transaction or with unsettled batches are never evicted or expired.
 */
#ifndef KLAMM_LOG_PRODUCER_STATE_H
#define KLAMM_LOG_PRODUCER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/memory.h"
#include "log/producer_verifications.h"
#include "protocol/errors.h"

enum { PRODUCER_BATCHES = 5 };

enum { PRODUCER_EPOCH_NONE = -1, PRODUCER_SEQUENCE_NONE = -1 };

/* Who appends; decides which checks apply (reference: KIP-98, KIP-890). */
enum producer_origin {
    PRODUCER_ORIGIN_CLIENT,      /* all checks */
    PRODUCER_ORIGIN_COORDINATOR, /* epochs, no sequences, no duplicates */
    PRODUCER_ORIGIN_REPLICATION, /* none: the leader decided already; also recovery */
};

enum producer_marker { PRODUCER_MARKER_NONE, PRODUCER_MARKER_ABORT, PRODUCER_MARKER_COMMIT };

/* What producer state needs to know of one batch with producer_id >= 0. */
struct producer_batch {
    int64_t producer_id;
    int64_t first_offset; /* apply only */
    int64_t last_offset;  /* apply only */
    int64_t timestamp_ms; /* largest of the batch; for a marker that of its record */
    int32_t first_sequence;
    int32_t last_sequence;
    int32_t coordinator_epoch; /* markers only */
    int16_t producer_epoch;
    bool is_transactional;
    bool is_control;             /* a control batch without marker is ignored (compacted away) */
    enum producer_marker marker; /* only with is_control */
    int16_t
        transaction_version; /* markers from a coordinator: 2 asks for the stricter epoch rule */
};

/* The cached place of a batch that was appended before. */
struct producer_duplicate {
    int64_t first_offset;
    int64_t last_offset;
    int64_t timestamp_ms;
    bool is_settled; /* false: its write is not finished, so its fate is not known yet */
};

/* A transaction that a marker ended; only non-empty ones are reported. */
struct producer_completed {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;        /* offset of the marker */
    int64_t last_stable_offset; /* at that moment; for the transaction index */
    bool is_aborted;
};

struct producer_state_options {
    int64_t expiration_ms;        /* producer.id.expiration.ms */
    uint32_t producer_count_max;  /* per partition; 0: no limit */
    bool is_verification_enabled; /* transaction.partition.verification.enable */
};

struct producer;
struct producer_undo;

struct producer_state {
    struct heap *heap;
    const struct producer_state_options *options; /* borrowed; may be pointed elsewhere any time */
    struct producer **buckets;                    /* bucket_count, a power of two, or NULL */
    uint32_t bucket_count;
    uint32_t producer_count;
    uint64_t evicted_count;   /* counter */
    struct list recent;       /* struct producer, least recently used first */
    struct list open;         /* struct producer with an open transaction, by first offset */
    struct list unreplicated; /* completed, marker not below the high watermark, by first offset */
    struct producer_verifications verifications;
    struct producer_undo *undo; /* undo_capacity, used from undo_first to undo_end */
    uint32_t undo_first;
    uint32_t undo_end;
    uint32_t undo_capacity;
};

/* Nothing is allocated before the first producer. */
void producer_state_init(struct producer_state *state, struct heap *heap,
                         const struct producer_state_options *options);
void producer_state_deinit(struct producer_state *state);
/* Forgets everything (truncation and full reset reload from a snapshot afterwards). */
void producer_state_clear(struct producer_state *state);
/* Copies producers and transactions, with all cached batches, into an initialised empty state on
 * another heap: from a recovery job to its shard. `from` must be settled. */
void producer_state_copy(struct producer_state *to, const struct producer_state *from);

/*
 * Checks a batch. KAFKA_ERROR_NONE: append and apply it. KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER: it
 * is a retry; *duplicate tells where it already is, the answer is success under the same acks rule
 * and nothing is written. Others are answers: INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER,
 * INVALID_TXN_STATE, TRANSACTION_COORDINATOR_FENCED. PRODUCER_ORIGIN_REPLICATION is never refused.
 * `guard`: what the request was given by producer_state_begin_verification, 0 for none.
 */
enum kafka_error producer_state_check(const struct producer_state *state,
                                      const struct producer_batch *batch,
                                      enum producer_origin origin, uint64_t guard,
                                      struct producer_duplicate *duplicate);
/*
 * Records a batch. true, and *completed filled, when it ends a transaction that had data: then an
 * abort needs a transaction index entry. Batches with a negative producer id are ignored.
 */
bool producer_state_apply(struct producer_state *state, const struct producer_batch *batch,
                          struct producer_completed *completed);
/* Everything below `offset` is in the log: it can no longer be undone. */
void producer_state_settle(struct producer_state *state, int64_t offset);
/* Takes back every apply with first_offset >= `offset` that is not settled. */
void producer_state_undo(struct producer_state *state, int64_t offset);

/*
 * KIP-890: the guard for the first transactional batch of a producer. 0: none is needed, a
 * transaction of this epoch is open here. Else the coordinator must confirm the partition before
 * the append is made with this guard. supports_epoch_bump: the request is of transaction version 2.
 */
uint64_t producer_state_begin_verification(struct producer_state *state, int64_t producer_id,
                                           int16_t producer_epoch, int32_t first_sequence,
                                           bool supports_epoch_bump, int64_t now_ms);

/* Forgets completed transactions whose marker is below the high watermark. */
void producer_state_advance_high_watermark(struct producer_state *state, int64_t high_watermark);
/* Forgets completed transactions that end below the log start offset; producers stay. */
void producer_state_advance_log_start(struct producer_state *state, int64_t log_start_offset);
/* Smallest first offset of open or not yet replicated transactions, or -1. */
int64_t producer_state_first_unstable_offset(const struct producer_state *state);
/* Drops producers and verification entries that are older than expiration_ms; returns how many. */
uint32_t producer_state_expire(struct producer_state *state, int64_t now_ms);
bool producer_state_is_empty(const struct producer_state *state);

/* One producer as snapshots and DescribeProducers see it. */
struct producer_info {
    int64_t producer_id;
    int64_t last_offset;              /* of its last data batch, -1 when none is known */
    int64_t timestamp_ms;             /* of its last batch or marker */
    int64_t transaction_first_offset; /* -1 when none is open */
    int32_t last_sequence;            /* -1 when none */
    int32_t offset_delta;             /* last minus base offset of its last data batch */
    int32_t coordinator_epoch;        /* -1 when none */
    int16_t producer_epoch;
};

/* Walks all producers, least recently used first: start with NULL, ends with NULL. */
const struct producer *producer_state_next(const struct producer_state *state,
                                           const struct producer *after);
struct producer_info producer_describe(const struct producer *producer);
/* Adds one producer from a snapshot; false when the id is there already or a field is invalid. */
bool producer_state_restore(struct producer_state *state, const struct producer_info *info);
/* What is known of a producer: its last batch stays in a compacted log. false: nothing. */
bool producer_state_find(const struct producer_state *state, int64_t producer_id,
                         struct producer_info *info);

/* Asserts the invariants; for tests and simulation. */
void producer_state_assert(const struct producer_state *state);

#endif
