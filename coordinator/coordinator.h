/*
 * A coordinator: a state machine on one partition of an internal topic, on the loop that owns that
 * partition. Groups, transactions and share state are kinds of coordinators.
 *
 * A kind keeps its state in memory and in the log. A handler reads the state, computes records and a
 * response, appends the records (coordinator_append) and answers (coordinator_answer). The records
 * change the state through the kind's one `replay` function, the same live and on load. An answer
 * leaves when everything appended before it is committed, so nobody ever sees state that could be
 * lost; that holds for answers to reads too.
 *
 * What is refused at once (coordinator_append returns an error) has changed nothing. What fails
 * after it was accepted cannot be taken out of the state again: the coordinator then fails every
 * answer that waits, drops its state and loads it from the log anew. Soft state (timers, parked
 * calls) goes with it; clients are told to ask again and do.
 *
 * Everything runs on the loop of the partition. Nothing here blocks.
 *
 * Invariants:
 *  1. The state equals the replay of the log up to the log end (loading aside).
 *  2. Waits are in rising order of required_offset; each ends exactly once.
 *  3. A kind's functions are called between `create` and `destroy` of the state only, handlers
 *     only while the coordinator is ACTIVE.
 */
#ifndef KLAMM_COORDINATOR_COORDINATOR_H
#define KLAMM_COORDINATOR_COORDINATOR_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/list.h"
#include "cluster/metadata/image.h"
#include "config/server_config.h"
#include "protocol/batch.h"
#include "protocol/errors.h"
#include "runtime/loop.h"

struct coordinator;
struct replica;

enum coordinator_state {
    COORDINATOR_LOADING, /* requests: COORDINATOR_LOAD_IN_PROGRESS */
    COORDINATOR_ACTIVE,
    COORDINATOR_FAILED, /* the log cannot be read or replayed; requests: NOT_COORDINATOR */
    COORDINATOR_CLOSED  /* resigned or deleted; requests: NOT_COORDINATOR */
};

/* ---- What a kind is ------------------------------------------------------------------------- */

/* One record of the log, for replay. The views are valid during the call only. */
struct coordinator_record {
    int16_t type;     /* the first two bytes of the key */
    struct view key;  /* behind the type */
    struct view value; /* null: a tombstone */
    int64_t offset;
    int64_t timestamp_ms;
    int64_t producer_id; /* of a transactional batch, else BATCH_NO_PRODUCER_ID */
    int16_t producer_epoch;
};

/* The end of a transaction that wrote into this partition. */
struct coordinator_marker {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch; /* of the transaction coordinator */
    int16_t transaction_version;
    bool commit;
    int64_t offset; /* set by replay; ignored by coordinator_append_marker */
};

enum coordinator_replay {
    COORDINATOR_REPLAY_OK,
    COORDINATOR_REPLAY_UNKNOWN, /* a record type of a newer version: said once, skipped */
    COORDINATOR_REPLAY_DAMAGED  /* a value that does not decode: the load fails */
};

struct coordinator_kind {
    const char *name; /* for log lines: "group", "transaction" */
    struct view topic;
    /* The empty state of one partition; never NULL. */
    void *(*create)(struct coordinator *coordinator);
    /* Frees the state; clears its timers. No call is parked in it any more. */
    void (*destroy)(void *state);
    /* Applies one record, live or on load. */
    enum coordinator_replay (*replay)(void *state, const struct coordinator_record *record);
    /* Applies a transaction marker, live or on load (may be NULL). */
    void (*replay_marker)(void *state, const struct coordinator_marker *marker);
    /* The load is complete, the image is set: arm timers, clean up. May append. */
    void (*loaded)(void *state);
    /* The coordinator ends or reloads: end every parked call with `error` (coordinator_fail). */
    void (*unload)(void *state, enum kafka_error error);
    /* A new image is shown (coordinator_image); `delta` tells what changed. May be NULL. */
    void (*metadata)(void *state, const struct image_delta *delta);
};

/* ---- Who waits ------------------------------------------------------------------------------ */

/* Somebody who waits until what was appended so far is committed; embedded. */
struct coordinator_wait {
    struct list link;
    int64_t required_offset;
    /* error is NONE when it is committed, else what to answer (already mapped, see below). */
    void (*done)(struct coordinator_wait *wait, enum kafka_error error);
};

/* Who asks. Borrowed; lives as long as the call. */
struct coordinator_client {
    struct view id;   /* client.id, may be null */
    struct view host; /* as Kafka writes it: "/127.0.0.1" */
};

/*
 * One request (or one group's share of it) at a coordinator. The caller fills the first part; the
 * kind's handler fills `response` (its generated struct) from `arena` and ends the call with
 * coordinator_answer or coordinator_fail, in the handler or later (a parked call).
 */
struct coordinator_call {
    struct coordinator_wait wait; /* private */
    struct arena *arena;          /* memory for the response; lives until `done` */
    struct coordinator_client client;
    int16_t version;     /* of the request */
    const void *request; /* the decoded request struct; its views live until `done` */
    void *response;      /* the generated response struct, initialised */
    /* Called exactly once, perhaps inside coordinator_answer. error is NONE: see response. */
    void (*done)(struct coordinator_call *call);
    enum kafka_error error;
    void *parked;     /* the kind's, while it keeps the call */
    struct list link; /* the kind's, while it keeps the call */
};

/* ---- Records -------------------------------------------------------------------------------- */

/* Records in the making: one batch. */
struct coordinator_records {
    struct coordinator *coordinator;
    struct coordinator_batch *batch; /* private */
    uint32_t count;
    enum kafka_error error; /* the first that went wrong; coordinator_append returns it */
};

void coordinator_records_begin(struct coordinator_records *records, struct coordinator *coordinator);
/* `key` and `value` are whole encoded bytes (with type and version); a null value is a tombstone. */
void coordinator_records_add(struct coordinator_records *records, struct view key,
                             struct view value);
/* Gives the memory back without appending. */
void coordinator_records_drop(struct coordinator_records *records);

/*
 * The generated codec of a record: COORDINATOR_RECORD(offset_commit, OFFSET_COMMIT) in a source
 * file defines put_offset_commit(records, &key, &value, value_version) and
 * put_offset_commit_tombstone(records, &key).
 */
#define COORDINATOR_RECORD(name, NAME)                                                             \
    static inline void put_##name(struct coordinator_records *records,                             \
                                  const struct name##_key *key, const struct name##_value *value,  \
                                  int16_t version);                                                \
    static inline void put_##name##_tombstone(struct coordinator_records *records,                 \
                                              const struct name##_key *key);                       \
    COORDINATOR_RECORD_DEFINE(name, NAME)

/* ---- Acting --------------------------------------------------------------------------------- */

/*
 * Appends the records as one batch and replays them: when it returns NONE the state has them, and
 * answers given from now on wait for them. Otherwise nothing has changed, and the error is the one
 * to answer: append errors are mapped as Kafka's group and transaction coordinators map them
 * (3, 19, 20, 7 to COORDINATOR_NOT_AVAILABLE; 6, 56 to NOT_COORDINATOR; too large to
 * UNKNOWN_SERVER_ERROR). Always ends `records`. No records: NONE.
 */
enum kafka_error coordinator_append(struct coordinator_records *records);
/* The same as part of a transaction (TxnOffsetCommit). INVALID_PRODUCER_EPOCH and its like too. */
enum kafka_error coordinator_append_transactional(struct coordinator_records *records,
                                                  int64_t producer_id, int16_t producer_epoch,
                                                  uint64_t verification_guard);
/* Appends a marker and replays it. Errors are the log's own (TRANSACTION_COORDINATOR_FENCED ...). */
enum kafka_error coordinator_append_marker(struct coordinator *coordinator,
                                           const struct coordinator_marker *marker);

/* The response is ready: `done` runs when everything appended so far is committed. */
void coordinator_answer(struct coordinator *coordinator, struct coordinator_call *call);
/* Ends the call now with an error for the whole request. */
void coordinator_fail(struct coordinator_call *call, enum kafka_error error);
/* `done` when everything appended so far is committed; perhaps inside the call. */
void coordinator_await(struct coordinator *coordinator, struct coordinator_wait *wait);

/* ---- Looking -------------------------------------------------------------------------------- */

enum coordinator_state coordinator_state(const struct coordinator *coordinator);
void *coordinator_kind_state(const struct coordinator *coordinator);
struct loop *coordinator_loop(const struct coordinator *coordinator);
struct heap *coordinator_heap(const struct coordinator *coordinator);
/* The image that this loop shows; never NULL while ACTIVE. Pointers into it end with the turn. */
const struct image *coordinator_image(const struct coordinator *coordinator);
const struct server_config *coordinator_config(const struct coordinator *coordinator);
/* Partition index within the topic, and the leader epoch, which is the coordinator's epoch. */
int32_t coordinator_partition(const struct coordinator *coordinator);
int32_t coordinator_epoch(const struct coordinator *coordinator);
/* The offset that the next record gets. */
int64_t coordinator_end_offset(const struct coordinator *coordinator);

#endif
