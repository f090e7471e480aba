/*
 * Fetch sessions (KIP-227): the partitions that a fetcher asks for again and again, so that
 * requests and answers carry only what changed.
 *
 * A session belongs to its connection and is freed with it. A loop holds a bounded number of them;
 * when it is full and no session has been unused long enough, a new one is refused (session id 0,
 * the client goes on with full requests).
 *
 * Invariants:
 *  1. The partitions of a session are in the order in which they will be answered; one that was
 *     answered with data goes to the end, so none is starved.
 *  2. A session uses topic ids for all its partitions, or names for all.
 *  3. epoch is the one that the next request must carry.
 */
#ifndef KLAMM_REPLICATION_FETCH_SESSION_H
#define KLAMM_REPLICATION_FETCH_SESSION_H

#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"
#include "protocol/errors.h"
#include "protocol/messages/fetch.h"

enum { FETCH_SESSION_EPOCH_INITIAL = 0, FETCH_SESSION_EPOCH_FINAL = -1 };

/* Epochs run 1, 2, ... INT32_MAX, 1, ... on both sides. */
static inline int32_t fetch_session_next_epoch(int32_t epoch)
{
    return epoch == INT32_MAX ? 1 : epoch + 1;
}

/* A partition of a session, and what the client was last told about it. */
struct fetch_partition {
    struct list link;     /* fetch_session.partitions, in order of answering */
    struct uuid topic_id; /* zero: the session uses names */
    struct view topic;    /* in this block; empty with ids */
    int32_t partition;
    int32_t max_bytes;
    int32_t leader_epoch;       /* as the fetcher knows it, -1 */
    int32_t last_fetched_epoch; /* -1 */
    int64_t fetch_offset;
    int64_t log_start_offset;    /* a follower's own; -1 */
    int64_t told_high_watermark; /* -1: nothing told, so the next answer has it */
    int64_t told_log_start;
    size_t key_size;
    size_t held_size;
    uint8_t key[]; /* partition, then topic id or name */
};

struct fetch_session {
    struct list link; /* fetch_sessions.sessions */
    struct fetch_sessions *owner;
    int32_t id;
    int32_t epoch;
    bool uses_ids;
    bool is_busy; /* a request of it is under way: not evicted */
    uint64_t created_ns;
    uint64_t used_ns;
    struct map by_key;            /* key -> struct fetch_partition */
    struct list partitions;       /* fetch_partition.link */
    struct fetch_session **place; /* the connection's pointer to it */
};

/* The sessions of a loop. */
struct fetch_sessions {
    struct heap *heap;
    struct list sessions; /* least recently used first */
    uint32_t count;
    uint32_t limit; /* this loop's share of max.incremental.fetch.session.cache.slots */
    uint64_t seed;
    uint64_t created;
    uint64_t evicted;
};

void fetch_sessions_init(struct fetch_sessions *sessions, struct heap *heap, uint32_t limit,
                         uint64_t seed);
void fetch_sessions_deinit(struct fetch_sessions *sessions);

/* What a request means for the sessions. */
enum fetch_session_kind {
    FETCH_SESSION_NONE,        /* full answer, session id 0 */
    FETCH_SESSION_NEW,         /* full answer under a new session id */
    FETCH_SESSION_INCREMENTAL, /* only what changed */
};

/*
 * Applies a request to the session that *place points to (the connection's; NULL: none), and tells
 * what follows. With NEW and INCREMENTAL *place holds the session and its partitions are current.
 * Errors: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR;
 * the session is untouched then. `random` makes the id of a new one.
 */
enum kafka_error fetch_session_begin(struct fetch_sessions *sessions, struct fetch_session **place,
                                     const struct fetch_request *request, bool uses_ids,
                                     uint64_t now_ns, uint64_t random,
                                     enum fetch_session_kind *kind);
/* The request that fetch_session_begin let in is answered; the session may be NULL. */
void fetch_session_end(struct fetch_session *session);
/* Frees a session; its connection's pointer becomes NULL. */
void fetch_session_close(struct fetch_session *session);

/*
 * Whether an incremental answer has to mention the partition, given what is to be said about it;
 * notes what the client will know afterwards. `has_data`: records are sent, so the partition goes
 * to the end of the order.
 */
bool fetch_partition_tell(struct fetch_session *session, struct fetch_partition *partition,
                          enum kafka_error error, int64_t high_watermark, int64_t log_start,
                          bool has_data);

#endif
