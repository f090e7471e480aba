/*
 * A fetcher: keeps the replicas of one loop that follow one broker, in one durability mode, up to
 * date by Fetch requests with a session (KIP-227), one request in flight.
 *
 * A request says what changed since the one before: partitions whose fetch offset moved, that came
 * or went. So its cost follows what happens and not how many partitions are followed. The next
 * request leaves when everything of the last answer is written (in `sync`: durable), or after a
 * while without those partitions whose disk is slow; those are taken out of the session, because
 * what stays in it is asked for again.
 *
 * A leader holds a request for replica.fetch.wait.max.ms when it has no news, and takes nothing
 * else from that connection meanwhile. Followers that come to be READY then would lose that time,
 * which after a failover is the time that producers wait; so an express fetcher takes them, which
 * asks on a connection of its own and has its requests held only briefly, and gives them back as
 * soon as the main one is free.
 *
 * Memory: an answer is bounded by replica.fetch.response.max.bytes (and one batch), and its frame
 * is held until its records are written; with FETCHER_FRAMES_MAX frames held no request leaves.
 *
 * Invariants:
 *  1. `changed` holds the READY followers of which the leader knows something else or nothing;
 *     `unready` those in the session that are not READY; `lost` those that are LOST.
 *  2. `forgotten` holds the keys of partitions that are in the session at the leader but not here.
 *  3. settling is the number of its followers that are SETTLING, session_count of those in_session.
 *  4. An express fetcher has a main one, and that knows it; a request of the main one leaves only
 *     when it has no express fetcher.
 *  5. With session_epoch 0 nothing is in the session: the next request is a full one.
 */
#ifndef KLAMM_REPLICATION_FETCHER_H
#define KLAMM_REPLICATION_FETCHER_H

#include "base/map.h"
#include "connection/channel.h"
#include "protocol/messages/list_offsets.h"
#include "replication/fetchers.h"
#include "replication/follower.h"

enum {
    FETCHER_FRAMES_MAX = 2,
    FETCHER_SETTLE_MS_MAX = 500,
    FETCHER_EXPRESS_AFTER_MS = 10,  /* of a request under way */
    FETCHER_EXPRESS_WAIT_MS = 25,   /* that a leader may hold an express request */
    FETCHER_RETRY_MS_MIN = 20,      /* doubled up to replica.fetch.backoff.ms */
    FETCHER_LOST_COUNT_MAX = 10000, /* partitions in one ListOffsets */
};

/* The frame of an answer, shared by the appends that are written from it. */
struct fetch_frame {
    struct list link;        /* fetcher.frames */
    struct fetcher *fetcher; /* waits for room for another frame; NULL: it is gone */
    struct heap *heap;
    struct channel_request *request; /* whose answer it is; NULL: the frame is kept */
    struct channel_frame frame;
    uint32_t references;
};

/* A partition that the session still has and this node does not. */
struct forgotten_partition {
    uint8_t key[REPLICA_KEY_SIZE];
    struct uuid topic_id;
    int32_t partition;
};

enum fetcher_activity { FETCHER_IDLE, FETCHER_FETCHING, FETCHER_ASKING_OFFSETS };

struct fetcher {
    struct list link; /* fetchers.fetchers */
    struct fetchers *fetchers;
    int32_t leader_id;
    enum topic_durability durability;
    struct fetcher *main;    /* of an express one; else NULL */
    struct fetcher *express; /* or NULL */
    struct channel *channel; /* NULL: no address */
    uint8_t *host;           /* [host_size] */
    size_t host_size;
    uint16_t port;
    struct list followers; /* follower.link */
    uint32_t follower_count;
    struct list changed;
    struct list unready;
    struct list lost;
    struct map forgotten; /* replica key -> struct forgotten_partition */
    int32_t session_id;
    int32_t session_epoch;
    uint32_t session_count;
    uint32_t settling;
    struct list frames;
    enum fetcher_activity activity;
    bool has_waited;        /* FETCHER_SETTLE_MS_MAX are over */
    bool lost_news;         /* what a READY follower was told was not taken: a new session */
    bool is_full;           /* the request under way names everything */
    uint32_t number;        /* of the request under way */
    uint32_t retry_ms;      /* the last wait after a failed request; 0: it went well */
    uint64_t not_before_ns; /* no request leaves earlier */
    uint64_t sent_ns;       /* the request under way */
    struct channel_request request;
    struct fetch_request fetch;
    struct list_offsets_request list_offsets;
    struct arena arena; /* of the request */
    struct timer timer;
    struct deferred deferred;
};

/* One without an address or followers. */
struct fetcher *fetcher_create(struct fetchers *fetchers, int32_t leader_id,
                               enum topic_durability durability);
/* Not from inside an answer; its followers are gone. */
void fetcher_destroy(struct fetcher *fetcher);
/* The leader's address; the null view: unknown. */
void fetcher_set_address(struct fetcher *fetcher, struct view host, uint16_t port);
void fetcher_add(struct fetcher *fetcher, struct follower *follower);
void fetcher_remove(struct fetcher *fetcher, struct follower *follower);
/* The state of a follower has moved from `before`; or what the leader should know of it. */
void fetcher_note(struct fetcher *fetcher, struct follower *follower, enum follower_state before);
/* Looks in the deferred phase whether a request can leave. */
void fetcher_wake(struct fetcher *fetcher);

/* fetcher_request.c: fills fetcher->fetch from what changed. False: there is nothing to ask for. */
bool fetcher_build_request(struct fetcher *fetcher);
/* Nothing is in the session any more; the next request is a full one, and ends the old session. */
void fetcher_reset_session(struct fetcher *fetcher);
/* The session forgets a partition that is no longer here. */
void fetcher_forget(struct fetcher *fetcher, const struct replica *replica);

/* fetcher_answer.c: the channel's answer to it. */
void fetcher_fetch_done(struct channel_request *request, enum channel_status status,
                        const void *response);
/* fetcher_offsets.c: asks the leader for the offsets of those that are lost; true: asked. */
bool fetcher_ask_offsets(struct fetcher *fetcher);

/* The request under way has failed: the next one leaves after a while. */
void fetcher_fail(struct fetcher *fetcher);

/* Keeps the frame until the matching fetch_frame_release. */
void fetch_frame_hold(struct fetch_frame *frame);
void fetch_frame_release(struct fetch_frame *frame);

#endif
