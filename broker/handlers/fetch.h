/*
 * A Fetch under way: what the connection's loop (fetch.c) and the owning loops (fetch_part.c)
 * share.
 *
 * Every partition that is asked for is an item; the items of one shard are one part. A part reads
 * on its owner; when it finds less than it is asked to wait for, it stays there and watches its
 * replicas. Home recalls it when the deadline passes, the connection is gone, or other parts have
 * brought enough.
 *
 * Invariants:
 *  1. Slices (and their leases) belong to the loop of the part. Home reads them while the part is
 *     home and gives them back by returning the part.
 *  2. is_here, watching, warming and what lies under them are touched by the owner only.
 */
#ifndef KLAMM_BROKER_HANDLERS_FETCH_H
#define KLAMM_BROKER_HANDLERS_FETCH_H

#include "broker/request.h"
#include "protocol/messages/fetch.h"
#include "replication/fetch_session.h"
#include "replication/replica_table.h"

struct fetch_part;

struct fetch_item {
    struct fetch_part *part;                   /* NULL: refused at home */
    struct fetch_item *next;                   /* of the same part */
    struct fetch_partition *session_partition; /* home; NULL without session */
    struct view topic;                         /* as asked for */
    struct uuid asked_id;                      /* as asked for; zero with names */
    struct uuid topic_id;
    int32_t partition;
    int32_t leader_epoch;
    int32_t last_fetched_epoch;
    int32_t max_bytes;
    int64_t fetch_offset;
    int64_t follower_log_start; /* of a follower that asks; -1 */
    /* Filled by the owner. */
    struct replica_watch watch;
    bool is_noted; /* the follower's position, once for the whole request */
    struct log_warm warm;
    enum kafka_error error;
    int64_t high_watermark;
    int64_t last_stable_offset;
    int64_t log_start_offset;
    struct fetch_response_epoch_end_offset diverging;
    int32_t read_replica; /* where the consumer should read instead; -1: here */
    struct log_slice slice;
};

struct fetch_part {
    struct part part;
    struct message recall;
    bool recall_is_out; /* home: the recall is not back yet */
    /* Asked by home. */
    struct fetch_item *first;
    struct fetch_item **last;
    uint32_t max_bytes;
    uint64_t wanted_bytes; /* come home with at least this much, */
    bool may_wait;         /* or at once when false */
    bool read_committed;
    int16_t version;
    int32_t replica_id;   /* of a follower; below zero: a consumer */
    int64_t broker_epoch; /* of the follower's broker; -1: it does not say */
    struct view rack;     /* of a consumer that is to read in its rack; empty: it is not */
    struct view listener; /* where it came in; the config's */
    /* Found by the owner. */
    uint64_t found_bytes;
    bool has_news; /* an error, a divergence, a better replica: answer at once */
    /* The owner's. */
    struct loop *at;
    struct deferred again;
    bool is_here;
    bool is_watching;
    unsigned warming;
    unsigned warm_rounds;
};

/* In place of all this, on a controller listener. */
void fetch_metadata_split(struct request *request);

/* The row's `part` and `release`. */
void fetch_part_run(struct part *base, struct loop *at);
void fetch_part_release(struct part *base, struct loop *at);
/* At home: asks for the part, which then comes home soon. */
void fetch_part_recall(struct fetch_part *part);
/* At home: whether the part holds anything of its owner. */
bool fetch_part_holds(const struct fetch_part *part);

#endif
