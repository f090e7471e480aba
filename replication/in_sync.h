/*
 * What a leader knows about the other replicas of its partition, and the in-sync set that follows
 * from it.
 *
 * Plain state and functions on it: no log, no clock, no messages. The leader (replica.h) feeds it
 * with fetches, time and answers, and acts on what it returns. It exists only for partitions that
 * have other replicas.
 *
 *                 a replica has caught up
 *      COMMITTED ------------------------> EXPANDING --+
 *          |  ^                                        |  the controller answers, or metadata
 *          |  +----------------------------------------+  with a newer partition epoch comes
 *          +-- some are too late ---------> SHRINKING -+
 *
 * Only the controller commits. The *maximal* set holds everybody who may be in the in-sync set as
 * the controller sees it: while expanding also those that are proposed, while shrinking still those
 * whose removal is proposed. The high watermark and acks=all go by the maximal set, the minimum
 * before an append and the gate of the high watermark by the committed one.
 *
 * Invariants (in_sync_assert):
 *  1. The leader is in the committed set and is not among the others.
 *  2. While a proposal is pending there is no other one, and something is changing.
 *  3. A replica that is changing is outside the committed set while expanding, inside it while
 *     shrinking.
 */
#ifndef KLAMM_REPLICATION_IN_SYNC_H
#define KLAMM_REPLICATION_IN_SYNC_H

#include "cluster/metadata/image.h"
#include "replication/isr_proposal.h"
#include "runtime/test_points.h"

#define IN_SYNC_NEVER INT64_MIN /* a time that is too long ago for every limit */

/* What the metadata says about a broker now. */
struct replica_broker {
    int64_t epoch;  /* -1: not registered */
    bool is_alive;  /* registered, not fenced */
    bool is_active; /* alive and not leaving: may be in an in-sync set (KIP-841) */
};

struct remote_replica {
    int32_t id;
    bool is_in_sync;          /* in the committed set */
    bool is_changing;         /* part of the pending proposal */
    int64_t end_offset;       /* it has everything below; -1: unknown */
    int64_t log_start_offset; /* -1: unknown */
    int64_t broker_epoch;     /* of its last fetch; -1: none */
    int64_t fetched_at_end;   /* the leader's end at its last fetch */
    /* Without the rest; ask in_sync_last_fetch_ns and in_sync_last_caught_up_ns. */
    int64_t last_fetch_ns;
    int64_t last_caught_up_ns;
    /*
     * It rests at the leader's end: the time of its last fetch that asked for this partition
     * without naming it, and so from where the one before did (KIP-227). NULL: it does not.
     */
    const int64_t *rest_clock_ns;
};

enum in_sync_state { IN_SYNC_COMMITTED, IN_SYNC_EXPANDING, IN_SYNC_SHRINKING };

struct in_sync {
    enum in_sync_state state;
    uint64_t proposal;        /* the number of the pending one */
    uint32_t committed_count; /* of the committed set, with the leader */
    uint32_t count;
    struct remote_replica *remotes; /* in the order of the assignment, without the leader */
};

/* Numbers of the leader that several rules compare with. */
struct in_sync_leader {
    int64_t end_offset; /* what a follower can fetch up to */
    int64_t local_end;  /* what the leader counts as its own */
    int64_t high_watermark;
    int64_t epoch_start_offset; /* the end when this leader epoch began */
    int64_t now_ns;
    int64_t lag_max_ns;             /* replica.lag.time.max.ms */
    struct test_points test_points; /* of the loop (runtime/test_point.h) */
};

/* How the metadata of brokers is asked for. */
struct in_sync_brokers {
    struct replica_broker (*find)(void *owner, int32_t broker_id);
    void *owner;
};

enum in_sync_begin {
    IN_SYNC_NEW_LEADER, /* this broker did not lead before: nothing is known of the others */
    IN_SYNC_NEW_EPOCH,  /* it led before: where they are stays known, but not that they are near */
    IN_SYNC_NEW_STATE,  /* another assignment or in-sync set within the same leader epoch */
    IN_SYNC_SAME_STATE, /* the state that an answer told already; a newer proposal goes on */
};

/*
 * Fills `in_sync`, whose `remotes` has room for the others, from what the metadata says and from
 * what was known (`before`, NULL with IN_SYNC_NEW_LEADER).
 */
void in_sync_begin(struct in_sync *in_sync, const struct in_sync *before, enum in_sync_begin begin,
                   int32_t self, struct node_list replicas, struct node_list isr,
                   const struct in_sync_leader *leader);

/* NULL: not assigned. */
struct remote_replica *in_sync_find(struct in_sync *in_sync, int32_t broker_id);

struct replica_fetch {
    int32_t replica_id;
    int64_t broker_epoch;     /* -1: the version does not say */
    int64_t fetch_offset;     /* it has everything below */
    int64_t log_start_offset; /* its own; -1: the version does not say */
};

/*
 * A fetch that is answered with data or with nothing, but not with an error or a divergence;
 * `leader` as it was before the read. True: its end has moved.
 */
bool in_sync_fetched(struct remote_replica *remote, const struct replica_fetch *fetch,
                     const struct in_sync_leader *leader);

/* IN_SYNC_NEVER: not since this broker leads. */
int64_t in_sync_last_fetch_ns(const struct remote_replica *remote);
int64_t in_sync_last_caught_up_ns(const struct remote_replica *remote);
/* What the clock said is kept, and no longer looked at; right too for one that does not rest. */
void in_sync_end_rest(struct remote_replica *remote);

/* Whether a replica may be in the in-sync set, by what the metadata says about its broker. */
bool in_sync_is_eligible(const struct remote_replica *remote,
                         const struct in_sync_brokers *brokers);
uint32_t in_sync_maximal_count(const struct in_sync *in_sync);
/*
 * Whether somebody in the committed set has fetched since `since_ns`, or the leader is alone in it.
 * Otherwise another broker may lead by now, and this one has not heard of it.
 */
bool in_sync_is_followed(const struct in_sync *in_sync, int64_t since_ns);
/* min.insync.replicas, as far as there are replicas. */
uint32_t in_sync_minimum(const struct in_sync *in_sync, int32_t min_insync_replicas);

/*
 * Where the high watermark may be: everybody in the maximal set has everything below, and so has
 * everybody who is about to enter it. -1: the committed set is too small to commit anything.
 */
int64_t in_sync_high_watermark(const struct in_sync *in_sync, const struct in_sync_leader *leader,
                               int32_t min_insync_replicas, const struct in_sync_brokers *brokers);

/*
 * The smallest log start of the leader, whose own is given, and of the replicas whose brokers are
 * alive; -1 while one of these has not told its own (KIP-107).
 */
int64_t in_sync_low_watermark(const struct in_sync *in_sync, int64_t log_start_offset,
                              const struct in_sync_brokers *brokers);

/* A replica that has just fetched: whether it has to be proposed for the set; then it is EXPANDING.
 */
bool in_sync_expand(struct in_sync *in_sync, struct remote_replica *remote,
                    const struct in_sync_leader *leader, const struct in_sync_brokers *brokers);
/* Regularly: whether somebody has to be proposed for removal; then it is SHRINKING. */
bool in_sync_shrink(struct in_sync *in_sync, const struct in_sync_leader *leader);

/* The members of the pending proposal without the leader; returns how many were written. */
uint32_t in_sync_proposed(const struct in_sync *in_sync, struct in_sync_member *members);
/* The pending proposal was not carried out and never will be. */
void in_sync_withdraw(struct in_sync *in_sync);
/* The controller has committed this set. */
void in_sync_commit(struct in_sync *in_sync, int32_t self, struct node_list isr);

void in_sync_assert(const struct in_sync *in_sync);

#endif
