/*
 * A coordinator: a state machine on one partition of an internal topic, on the loop that owns that
 * partition. Groups, transactions and share state are kinds of coordinators.
 *
 * A kind keeps its state in memory and in the log. A handler reads the state, computes records and
 * a response, appends the records (coordinator_append) and answers (coordinator_answer). The
 * records change the state through the kind's one `replay` function, the same live and on load. An
 * answer leaves when everything appended before it is committed, so nobody ever sees state that
 * could be lost; that holds for answers to reads too.
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
#include "protocol/message_writer.h"
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
    int16_t type;      /* the first two bytes of the key */
    struct view key;   /* behind the type */
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
    /* The load is complete, the image is set, the state ACTIVE: arm timers, clean up. May append.
     */
    void (*loaded)(void *state);
    /* The coordinator ends or reloads, `destroy` follows: end every parked call with `error`
     * (coordinator_fail). Appends are refused already. */
    void (*unload)(void *state, enum kafka_error error);
    /* A new image is shown (coordinator_image), while ACTIVE; `delta` tells what changed. NULL:
     * does not care. */
    void (*metadata)(void *state, const struct image_delta *delta);
};

/* ---- Who waits ------------------------------------------------------------------------------ */

/* Somebody who waits until what was appended so far is committed; embedded. */
struct coordinator_wait {
    struct list link;        /* private from here */
    int64_t required_offset; /* the high watermark that must be reached */
    uint64_t since_ns;
    /* The caller's from here. error is NONE when it is committed, else what to answer (already
     * mapped, see below). */
    void (*done)(struct coordinator_wait *wait, enum kafka_error error);
};

/* Who asks. Borrowed; lives as long as the call. */
struct coordinator_client {
    struct view id;   /* client.id, may be null */
    struct view host; /* as Kafka writes it: "/127.0.0.1" */
};

/*
 * One request (or one group's share of it) at a coordinator. The caller begins with
 * coordinator_call_init and fills the first part; the kind's handler fills `response` (its
 * generated struct) from `arena` and ends the call with coordinator_answer or coordinator_fail, in
 * the handler or later (a parked call). An answer that is not committed within
 * offsets.commit.timeout.ms ends with COORDINATOR_NOT_AVAILABLE; what was appended stays.
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
    /*
     * The kind's, while it keeps the call. `abandoned` may be NULL: nobody reads the answer any
     * more (the client's connection ended), but the call goes on until it ends in its own time. A
     * kind that cares sets it; inside it may end the call, not another one.
     */
    void *parked;
    struct list link;
    void (*abandoned)(struct coordinator_call *call);
};

/* Everything zero, `link` unlinked. */
static inline void coordinator_call_init(struct coordinator_call *call)
{
    *call = (struct coordinator_call){0};
    list_link_init(&call->wait.link);
    list_link_init(&call->link);
}

/* ---- Records -------------------------------------------------------------------------------- */

/* Records in the making: one batch. */
struct coordinator_records {
    struct coordinator *coordinator;
    struct coordinator_batch *batch; /* private */
    uint32_t count;
    enum kafka_error error; /* the first that went wrong; coordinator_append returns it */
};

void coordinator_records_begin(struct coordinator_records *records,
                               struct coordinator *coordinator);
/* `key` and `value` are whole encoded bytes (with type and version); a null value is a tombstone.
 */
void coordinator_records_add(struct coordinator_records *records, struct view key,
                             struct view value);
/* Gives the memory back without appending. */
void coordinator_records_drop(struct coordinator_records *records);

/* Bytes of keys and values that this batch takes at least beyond what it has: a sweep that may be
 * cut in pieces looks here before it adds. What does not fit fails with UNKNOWN_SERVER_ERROR. */
size_t coordinator_records_room(const struct coordinator_records *records);

/* For COORDINATOR_RECORD: writers of a key and a value, and their end. */
struct message_writer coordinator_records_key(struct coordinator_records *records, int16_t type,
                                              size_t size);
struct message_writer coordinator_records_value(struct coordinator_records *records,
                                                int16_t version, size_t size);
/* `value` NULL: a tombstone. */
void coordinator_records_end(struct coordinator_records *records, const struct message_writer *key,
                             const struct message_writer *value);
/* The version in front of a value; false when it has none or another than min to max. */
bool coordinator_record_version(struct reader *value, int16_t min, int16_t max, int16_t *version);

/*
 * The generated codec of a record: COORDINATOR_RECORD(offset_commit, OFFSET_COMMIT) in a source
 * file that includes both generated headers defines
 *
 *   put_offset_commit(records, &key, &value, value_version)
 *   put_offset_commit_tombstone(records, &key)
 *   get_offset_commit_key(record, arena, &key)      false: it does not decode
 *   get_offset_commit_value(record, arena, &value)  the same; the value must not be null
 */
#define COORDINATOR_RECORD(name, NAME)                                                             \
    __attribute__((unused)) static void put_##name##_tombstone(                                    \
        struct coordinator_records *records, const struct name##_key *key)                         \
    {                                                                                              \
        struct message_writer key_writer = coordinator_records_key(                                \
            records, NAME##_KEY_TYPE, name##_key_size(key, NAME##_KEY_VERSION_MAX));               \
        name##_key_encode(key, &key_writer, NAME##_KEY_VERSION_MAX);                               \
        coordinator_records_end(records, &key_writer, NULL);                                       \
    }                                                                                              \
    __attribute__((unused)) static void put_##name(                                                \
        struct coordinator_records *records, const struct name##_key *key,                         \
        const struct name##_value *value, int16_t version)                                         \
    {                                                                                              \
        struct message_writer key_writer = coordinator_records_key(                                \
            records, NAME##_KEY_TYPE, name##_key_size(key, NAME##_KEY_VERSION_MAX));               \
        name##_key_encode(key, &key_writer, NAME##_KEY_VERSION_MAX);                               \
        struct message_writer value_writer =                                                       \
            coordinator_records_value(records, version, name##_value_size(value, version));        \
        name##_value_encode(value, &value_writer, version);                                        \
        coordinator_records_end(records, &key_writer, &value_writer);                              \
    }                                                                                              \
    __attribute__((unused)) static bool get_##name##_key(                                          \
        const struct coordinator_record *record, struct arena *arena, struct name##_key *key)      \
    {                                                                                              \
        struct reader reader = reader_of(record->key);                                             \
        return name##_key_decode(key, &reader, NAME##_KEY_VERSION_MAX, arena);                     \
    }                                                                                              \
    __attribute__((unused)) static bool get_##name##_value(                                        \
        const struct coordinator_record *record, struct arena *arena, struct name##_value *value)  \
    {                                                                                              \
        struct reader reader = reader_of(record->value);                                           \
        int16_t version;                                                                           \
        return coordinator_record_version(&reader, NAME##_VALUE_VERSION_MIN,                       \
                                          NAME##_VALUE_VERSION_MAX, &version) &&                   \
               name##_value_decode(value, &reader, version, arena);                                \
    }

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
/* Appends a marker and replays it. Errors are the log's own (TRANSACTION_COORDINATOR_FENCED ...).
 */
enum kafka_error coordinator_append_marker(struct coordinator *coordinator,
                                           const struct coordinator_marker *marker);

/* The response is ready: `done` runs when everything appended so far is committed. */
void coordinator_answer(struct coordinator *coordinator, struct coordinator_call *call);
/* Ends the call now with an error for the whole request. */
void coordinator_fail(struct coordinator_call *call, enum kafka_error error);
/*
 * `done` when everything appended so far is committed; perhaps inside the call. Without a time
 * limit: it ends with an error only when the coordinator loads anew or ends.
 */
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
