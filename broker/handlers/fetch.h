/*
 * A Fetch under way: what the connection's loop (fetch.c, fetch_answer.c) and the owning loops
 * (fetch_part.c) share.
 *
 * What a request says of partitions of one shard goes there as one part: asks that are new or
 * changed, and interests that end. The part looks at the interests that are due
 * (replication/fetch_interest.h) and makes an item of each. When it finds less than it is asked to
 * wait for, it stays there until a replica moves. Home recalls it when the deadline passes, the
 * connection is gone, or other parts have brought enough.
 *
 * Invariants:
 *  1. Items, slices and their leases belong to the loop of the part. Home reads them while the part
 *     is home and gives them back by returning the part.
 *  2. is_here, warming and what lies under them are touched by the owner only. Asks and the seat
 *     are lent to the owner while the part is out.
 */
#ifndef KLAMM_BROKER_HANDLERS_FETCH_H
#define KLAMM_BROKER_HANDLERS_FETCH_H

#include "broker/request.h"
#include "protocol/messages/fetch.h"
#include "replication/fetch_session.h"
#include "replication/replica_table.h"

struct fetch_part;

/* What was found for one partition. */
struct fetch_item {
    struct fetch_item *next; /* of the same part, or refused at home */
    struct fetch_part *part; /* NULL: refused at home */
    struct fetch_ask *ask;   /* home's */
    struct log_warm warm;
    enum kafka_error error;
    int32_t max_bytes;
    int64_t high_watermark;
    int64_t last_stable_offset;
    int64_t log_start_offset;
    struct fetch_response_epoch_end_offset diverging;
    int32_t read_replica; /* where the consumer should read instead; -1: here */
    bool is_news;         /* the session's client does not know it yet */
    struct log_slice slice;
};

/* An interest that ends. */
struct fetch_drop {
    struct fetch_drop *next; /* of the same part */
    struct fetch_interest *interest;
};

/* A partition of a request without a session. */
struct fetch_single {
    struct fetch_ask ask;
    struct fetch_interest interest; /* the owner's while the part is out */
};

struct fetch_part {
    struct part part;
    struct message recall;
    bool recall_is_out; /* home: the recall is not back yet */
    /* Asked by home. */
    struct fetch_ask *asks;
    struct fetch_ask **last_ask;
    struct fetch_drop *drops;
    struct fetch_seat *seat; /* of the session; NULL: there is none */
    uint32_t max_bytes;
    uint64_t wanted_bytes; /* come home with at least this much, */
    bool may_wait;         /* or at once when false */
    bool is_full;          /* all partitions are answered, whether there is news or not */
    struct fetch_asker asker;
    struct view rack;     /* of a consumer that is to read in its rack; empty: it is not */
    struct view listener; /* where it came in; the config's */
    /* Found by the owner. */
    struct fetch_item *items;
    struct fetch_item **last_item;
    uint64_t found_bytes;
    bool has_news; /* an error, a divergence, a better replica: answer at once */
    /* The owner's. */
    struct loop *at;
    struct fetch_interests *interests;
    struct fetch_interests single; /* without a session */
    struct deferred again;
    bool is_here;
    bool is_noted; /* where a follower is was taken down, once for the whole request */
    unsigned warming;
    unsigned warm_rounds;
};

struct fetch_context {
    enum fetch_session_kind kind;
    struct fetch_session *session; /* busy until the answer is composed; NULL: there is none */
    struct fetch_single
        *singles; /* [single_count], without a session: in the order of the answer */
    size_t single_count;
    struct fetch_item *refused;               /* here, for want of the partition */
    struct fetch_part *parts[LOOP_COUNT_MAX]; /* by loop index */
    size_t part_count;
    bool may_wait;
    uint32_t max_bytes;
    uint64_t min_bytes;
    bool is_finishing; /* the parts were called home */
};

/* In place of all this, on a controller listener. */
void fetch_metadata_split(struct request *request);

/* fetch_answer.c: all parts are home, the connection lives: composes the answer and gives it. */
void fetch_answer(struct request *request);
/* Leases go back to their owners; memory of a part that holds nothing stays with the request. */
void fetch_return_parts(struct request *request);

/* The row's `part` and `release`. */
void fetch_part_run(struct part *base, struct loop *at);
void fetch_part_release(struct part *base, struct loop *at);
/* At home: asks for the part, which then comes home soon. */
void fetch_part_recall(struct fetch_part *part);

#endif
