/*
 * One followed replica: what is fetched into it next, and everything that keeps it from fetching.
 *
 * Owns the way of records from an answer into the log, the cutting of what the leader does not
 * have, and the waiting after errors. The fetcher (replication/fetcher.h) asks for it while it is
 * READY; the replica (replication/replica.h) tells what happens to the log.
 *
 *                         records                     written, in `sync` durable
 *            +---- READY -----------> SETTLING -------------------------------> READY
 *            |       |  ^                 ^
 *            |       |  | timer           | the log ends where it should
 *   failed   |       v  |                 |
 *   FAILED <-+   DELAYED     CUTTING -----+
 *
 * LOST, when what it asked for is not in the leader's log: asks where that log ends and begins.
 *
 * Invariants:
 *  1. READY: fetch_offset is the log end, and all below it is on this node as the topic's
 *     durability demands; last_fetched_epoch is the newest epoch of the log.
 *  2. At most one append and at most one cut are under way, and none of them while READY, DELAYED
 *     or LOST.
 *  3. The bytes of an append lie in `frame`, which is held until the log has let go of them.
 */
#ifndef KLAMM_REPLICATION_FOLLOWER_H
#define KLAMM_REPLICATION_FOLLOWER_H

#include "protocol/messages/fetch.h"
#include "replication/fetchers.h"

struct fetch_frame;
struct fetcher;

enum follower_state {
    FOLLOWER_SETTLING, /* something in the log is not written (in `sync`: durable) yet */
    FOLLOWER_READY,
    FOLLOWER_DELAYED, /* after an error, or throttled, until the timer */
    FOLLOWER_LOST,    /* what it asked for is not in the leader's log */
    FOLLOWER_CUTTING, /* the log is being truncated */
    FOLLOWER_FAILED,  /* until the next leader epoch; for good when the log has failed */
    FOLLOWER_ENDING   /* unfollowed, with an append or a cut under way */
};

/*
 * What the leader knows of it by the fetch session; in_session: it is asked for implicitly.
 * is_stale: the session has told something that was not taken, and will not repeat it.
 */
struct follower_told {
    bool in_session;
    bool is_stale;
    int32_t leader_epoch;
    int32_t last_fetched_epoch;
    int64_t fetch_offset;
    int64_t log_start_offset;
};

struct follower {
    struct list link;       /* of its fetcher's followers, or of fetchers.followers */
    struct list queue_link; /* fetcher.changed or fetcher.unready */
    struct list lost_link;  /* fetcher.lost */
    struct replica *replica;
    struct fetchers *fetchers;
    struct fetcher *fetcher; /* NULL: the leader is unknown */
    int32_t leader_id;
    int32_t leader_epoch; /* the replica's, when it was last followed */
    enum follower_state state;
    bool is_throttled; /* listed in follower.replication.throttled.replicas */
    bool asks_start;   /* LOST: the leader's log end is known, its start is asked for */
    bool is_appending;
    bool is_cutting;
    bool has_failed_log;
    int32_t last_fetched_epoch; /* -1: none */
    int64_t fetch_offset;
    struct follower_told told;
    uint32_t answered;    /* number of the last Fetch whose answer named it */
    uint32_t lost_number; /* number of the last ListOffsets that asks about it, unanswered */
    int32_t lost_epoch;   /* the leader epoch at which it asks */
    uint32_t backoff_ms;
    int64_t leader_high_watermark; /* as last heard; -1 */
    int64_t leader_log_start;      /* as last heard; -1 */
    struct timer timer;
    struct fetch_frame *frame; /* of the append under way or to come */
    struct view records;       /* CUTTING: to be appended afterwards; null: nothing */
    struct log_append append;
    struct log_change change;
    struct follower_stop *stop; /* ENDING */
    struct deferred deferred;   /* ENDING: telling `stop` */
};

/* A follower of a replica that has a log; linked nowhere. */
struct follower *follower_create(struct fetchers *fetchers, struct replica *replica);
/* Nothing is under way any more, and it is in no fetcher. */
void follower_destroy(struct follower *follower);
/* Begins to follow a leader, or another one; it is in its fetcher already. */
void follower_begin(struct follower *follower);
/* Settings were changed: it may be throttled now, or wait for another end. */
void follower_reconfigure(struct follower *follower);
/* Whether the log is in use: then follower_end tells `stop` (NULL: nobody) later, and it is gone.
 */
bool follower_is_busy(const struct follower *follower);
void follower_end(struct follower *follower, struct follower_stop *stop);

/*
 * The leader's answer for it: an error, a divergence, records. `frame` is where the records lie; it
 * is held (fetch_frame_hold) when they are appended.
 */
void follower_take(struct follower *follower, const struct fetch_response_partition_data *answer,
                   struct fetch_frame *frame);
/* The leader answers an error, to a fetch or when asked for its offsets. */
void follower_refuse(struct follower *follower, enum kafka_error error);
/* LOST: where the leader's log ends, and (asks_start) where it begins. */
void follower_found_end(struct follower *follower, int64_t leader_end);
void follower_found_start(struct follower *follower, int64_t leader_start);

/* Called by the replica: the written or durable end has moved; the log has failed. */
void follower_log_moved(struct follower *follower);
void follower_log_failed(struct follower *follower);

#endif
