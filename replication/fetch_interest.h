/*
 * What fetches ask of partitions, on the loop that owns these. The interests of a session stay from
 * request to request, so a request costs what has happened and not what is asked for; those of a
 * request without a session live as long as the request.
 *
 * An interest is *due* when the next look may find something: it is new, asked for anew, its
 * replica has moved, or the last look found something. One that is not due is *settled*: there was
 * nothing to give and nothing to tell, and its replica will say when that changes. A follower that
 * is settled *rests*: its requests say on, without naming the partition, that it has everything;
 * the leader reads when from the clock of the interests (in_sync.h, rest_clock_ns).
 *
 * Owns which interests are due, and the watches on replicas. Leaves to others: reading
 * (broker/handlers/fetch_part.c), and what of a session is where (fetch_session.h).
 *
 * Invariants:
 *  1. An interest is due, or it watches its replica and was told all that this has to say.
 *  2. `replica` is valid while one of the watches is in a list.
 *  3. An interest rests only while it watches for data.
 */
#ifndef KLAMM_REPLICATION_FETCH_INTEREST_H
#define KLAMM_REPLICATION_FETCH_INTEREST_H

#include "base/list.h"
#include "base/uuid.h"
#include "protocol/messages/fetch.h"
#include "replication/replica.h"
#include "runtime/loop.h"

struct fetch_interest;

/*
 * One partition of a Fetch on the loop of its connection. The owner has it lent while a part of the
 * session, or of the request, is with it.
 */
struct fetch_ask {
    struct fetch_ask *next; /* of the same part */
    /* As the client says, for the answer. */
    struct view topic;     /* empty with ids */
    struct uuid topic_id;  /* zero with names */
    struct uuid placed_id; /* the topic's, when it was last found */
    int32_t partition;
    int32_t max_bytes;
    int32_t leader_epoch;       /* as the fetcher knows it, -1 */
    int32_t last_fetched_epoch; /* -1 */
    int64_t fetch_offset;
    int64_t log_start_offset;        /* a follower's own; -1 */
    struct fetch_interest *interest; /* the owner's; NULL: it has none */
    bool is_cut; /* the records that were found had no room in the last answer */
};

/* What a request says of a partition; `interest` and `placed_id` stay. */
void fetch_ask_fill(struct fetch_ask *ask, struct view topic, struct uuid topic_id,
                    const struct fetch_request_fetch_partition *asked);

struct fetch_interest {
    struct list link;     /* fetch_interests.all */
    struct list due_link; /* fetch_interests.due */
    struct fetch_interests *owner;
    struct fetch_ask *ask;      /* home's; lent like a part */
    struct replica_watch moved; /* there may be data, or another state */
    struct replica_watch news;  /* a follower's: there may be something to tell */
    struct replica *replica;    /* invariant 2 */
    struct uuid topic_id;
    int32_t partition;
    int32_t max_bytes;
    int32_t leader_epoch;
    int32_t last_fetched_epoch;
    int64_t fetch_offset;
    int64_t log_start_offset;
    /* What the client knows, and what it will know after the answer to this request; -1: nothing.
     */
    int64_t told_high_watermark;
    int64_t told_log_start;
    int64_t found_high_watermark;
    int64_t found_log_start;
    bool is_looked_at; /* since this request came */
    bool has_nothing;  /* looked at: nothing to give, and nothing has moved since */
    bool has_given;    /* looked at: records were found */
    bool is_resting;
};

/* What all interests of a request have in common; another value makes them all due. */
struct fetch_asker {
    int32_t replica_id;     /* of a follower; below zero: a consumer */
    int64_t broker_epoch;   /* of the follower's broker; -1: it does not say */
    uint64_t image_version; /* by which partitions were found and checked */
    int16_t version;        /* of Fetch */
    bool read_committed;
};

struct fetch_interests {
    struct loop *loop;
    struct list all;
    struct list due; /* in the order in which they are looked at */
    struct fetch_asker asker;
    int64_t asked_ns;       /* when the last request came: the clock of those that rest */
    struct deferred *waker; /* deferred when there may be data; NULL: nobody waits */
};

void fetch_interests_init(struct fetch_interests *interests, struct loop *loop);

/*
 * A request has come. What was found for the one before is what its client knows now; those that
 * were given records go behind the others, so none is starved.
 */
void fetch_interests_begin(struct fetch_interests *interests, const struct fetch_asker *asker);

/* Those of a session on one loop, from its heap; ended with all interests that are left. */
struct fetch_interests *fetch_interests_create(struct loop *loop);
void fetch_interests_destroy(struct fetch_interests *interests);
struct fetch_interest *fetch_interest_create(struct fetch_interests *interests,
                                             struct fetch_ask *ask);
void fetch_interest_destroy(struct fetch_interest *interest);

/* A new one, which asks for nothing yet; all of `interest` is overwritten. */
void fetch_interest_begin(struct fetch_interests *interests, struct fetch_interest *interest,
                          struct fetch_ask *ask);
/* Takes over what `ask` says now; it is due. */
void fetch_interest_ask(struct fetch_interest *interest);
/* Ends it; its memory is the caller's. */
void fetch_interest_end(struct fetch_interest *interest);

/* What a look has found. */
struct fetch_found {
    struct replica *replica; /* NULL: an error; it stays due */
    int64_t high_watermark;  /* -1 with an error */
    int64_t log_start;
    bool has_records;
    bool has_nothing; /* and will have nothing before the replica moves */
};

/*
 * It was looked at. True: the client does not know everything that was found. With `may_settle` an
 * interest that has nothing to give and nothing to tell is not due any more.
 */
bool fetch_interest_found(struct fetch_interest *interest, const struct fetch_found *found,
                          bool may_settle);

#endif
