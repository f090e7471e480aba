/*
 * Fetch sessions (KIP-227): the partitions that a fetcher asks for again and again, so that
 * requests and answers carry only what changed.
 *
 * A session belongs to its connection and ends with it. A loop holds a bounded number of them; when
 * it is full and no session has been unused long enough, a new one is refused (session id 0, the
 * client goes on with full requests).
 *
 * What a session asks of a partition is known twice: here, on the connection's loop, as the client
 * said it, and as an interest (fetch_interest.h) on the loop that owns the partition. A request
 * takes there what is due: what it names, and what was not found before. The memory of an interest
 * is its owner's; a session that ends sends a message to each loop, and is freed when all are back.
 *
 * Invariants:
 *  1. A partition without an interest is in `due`.
 *  2. A session uses topic ids for all its partitions, or names for all.
 *  3. epoch is the one that the next request must carry.
 *  4. A session with a request under way (is_busy) is neither evicted nor freed.
 */
#ifndef KLAMM_REPLICATION_FETCH_SESSION_H
#define KLAMM_REPLICATION_FETCH_SESSION_H

#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"
#include "protocol/errors.h"
#include "protocol/messages/fetch.h"
#include "replication/fetch_interest.h"

enum { FETCH_SESSION_EPOCH_INITIAL = 0, FETCH_SESSION_EPOCH_FINAL = -1 };

/* Epochs run 1, 2, ... INT32_MAX, 1, ... on both sides. */
static inline int32_t fetch_session_next_epoch(int32_t epoch)
{
    return epoch == INT32_MAX ? 1 : epoch + 1;
}

struct fetch_partition {
    struct list link;     /* fetch_session.partitions, or fetch_session.dropped */
    struct list due_link; /* fetch_session.due */
    struct fetch_ask ask;
    unsigned target; /* the loop of ask.interest */
    size_t key_size;
    size_t held_size;
    uint8_t key[]; /* partition, then topic id or name */
};

/* The interests of a session on one loop, and the message that ends them. */
struct fetch_seat {
    struct message message;
    struct fetch_session *session;
    struct fetch_interests *interests; /* made by the owner with the first part; NULL: none */
};

struct fetch_session {
    struct list link; /* fetch_sessions.sessions */
    struct fetch_sessions *owner;
    struct fetch_session **place; /* the connection's pointer to it; NULL: it has ended */
    int32_t id;
    int32_t epoch;
    bool uses_ids;
    bool is_busy;
    uint64_t created_ns;
    uint64_t used_ns;
    uint64_t image_version; /* by which its partitions were found */
    struct map by_key;      /* key -> struct fetch_partition */
    struct list partitions; /* fetch_partition.link */
    struct list due;        /* fetch_partition.due_link: to be taken to their owners */
    struct list dropped;    /* fetch_partition.link: forgotten, with an interest that has to go */
    unsigned first;         /* the loop whose partitions are answered first */
    unsigned seats_out;
    unsigned seat_count;
    struct fetch_seat seats[]; /* by loop index */
};

/* The sessions of a loop. */
struct fetch_sessions {
    struct loop *loop;
    struct list sessions; /* least recently used first */
    uint32_t count;
    uint32_t limit;  /* this loop's share of max.incremental.fetch.session.cache.slots */
    uint32_t ending; /* ended, and not freed yet */
    uint64_t created;
    uint64_t evicted;
    void (*ended)(struct fetch_sessions *sessions); /* fetch_sessions_await */
};

void fetch_sessions_init(struct fetch_sessions *sessions, struct loop *loop, uint32_t limit);
/* Nothing is ending. */
void fetch_sessions_deinit(struct fetch_sessions *sessions);
/* No connection is left: `ended` runs when all sessions are freed, inside this call if they are. */
void fetch_sessions_await(struct fetch_sessions *sessions,
                          void (*ended)(struct fetch_sessions *sessions));

/* What a request means for the sessions. */
enum fetch_session_kind {
    FETCH_SESSION_NONE,        /* full answer, session id 0 */
    FETCH_SESSION_NEW,         /* full answer under a new session id */
    FETCH_SESSION_INCREMENTAL, /* only what changed */
};

/*
 * Applies a request to the session that *place points to (the connection's; NULL: none), and tells
 * what follows. With NEW and INCREMENTAL *place holds the session, which is busy until
 * fetch_session_end. Errors: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH,
 * FETCH_SESSION_TOPIC_ID_ERROR; the session is untouched then. `random` makes the id of a new one.
 */
enum kafka_error fetch_session_begin(struct fetch_sessions *sessions, struct fetch_session **place,
                                     const struct fetch_request *request, bool uses_ids,
                                     uint64_t random, enum fetch_session_kind *kind);
/* The request that fetch_session_begin let in is over; the session may be gone afterwards. */
void fetch_session_end(struct fetch_session *session);
/* Its connection's pointer becomes NULL; it goes at once, or with the end of the request. */
void fetch_session_close(struct fetch_session *session);

/* Partitions have to be found anew in this version of the image, if it is another one. */
void fetch_session_show(struct fetch_session *session, uint64_t image_version);
/* Frees a partition of `dropped`; its interest is on the way to its end. */
void fetch_session_free_dropped(struct fetch_session *session, struct fetch_partition *partition);

#endif
