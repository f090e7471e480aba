/*
 * Test points and planted bugs: places where a test build can make the program do something rare or
 * something wrong. The shipped build (without KLAMM_TEST_POINTS) compiles every point to false.
 *
 * Which points are on is a property of a loop, drawn by the simulator for each run; nothing is
 * global. A point is named here, with what it does, so that this list is the catalogue. A bug is a
 * mistake somebody could make; the simulator's own test is that it notices each of them.
 */
#ifndef KLAMM_RUNTIME_TEST_POINT_H
#define KLAMM_RUNTIME_TEST_POINT_H

#include <assert.h>

#include "runtime/loop.h"

enum test_point {
    BUG_NONE,
    BUG_LOG_DURABLE_BEFORE_SYNC,    /* the durable end is the written end */
    BUG_LOG_DURABLE_OF_NOW,         /* a sync that ends covers what was written during it */
    BUG_LOG_IGNORE_FAILED_SYNC,     /* a failed sync counts as done */
    BUG_LOG_SKIP_DIRECTORY_SYNC,    /* a new segment's name is not synced */
    BUG_LOG_RECOVERY_POINT_EARLY,   /* the checkpoint says the written end */
    BUG_LOG_SKIP_CRC_ON_RECOVERY,   /* recovery trusts batch headers */
    BUG_LOG_SKIP_TAIL_CUT,          /* recovery leaves what lies behind the last good batch */
    BUG_LOG_SKIP_BOOT_SYNC,         /* names, epochs of a dead process are not made durable */
    BUG_LOG_KEEP_CLEAN_MARKER,      /* the marker of a clean stop stays after the start */
    BUG_LOG_DELETE_WITHOUT_ORDER,   /* segments are deleted without syncs between them */
    BUG_LOG_NO_SPACE_KEEPS_TAIL,    /* what a failed append left is not cut */
    BUG_LOG_KEEP_FAILED_PRODUCERS,  /* producer state of failed appends stays */
    BUG_LOG_SEQUENCE_NOT_CHECKED,   /* a retried batch is appended again */
    BUG_LOG_READ_ABOVE_WATERMARK,   /* consumers read up to the written end */
    BUG_COORDINATOR_ANSWER_EARLY,   /* answers leave before their records are committed */
    BUG_COORDINATOR_LOAD_SHORT,     /* a load leaves out the last batch */
    BUG_GROUP_COMMIT_UNCHECKED,     /* commits of members that were removed count */
    BUG_GROUP_IMPATIENT,            /* a rebalance does not wait for members to rejoin */
    BUG_GROUP_NO_SESSIONS,          /* classic members that are silent stay */
    BUG_GROUP_OLD_OFFSET_WINS,      /* of two commits the first one stays, after a load */
    BUG_CONSUMER_IGNORE_OWNERS,     /* partitions are given before their owner gave them up */
    BUG_CONSUMER_NO_SESSIONS,       /* members of the consumer protocol that are silent stay */
    BUG_CONSUMER_COMMIT_UNCHECKED,  /* commits of epochs that are over count */
    BUG_TXN_MARKERS_EARLY,          /* markers are written before the decision is committed */
    BUG_TXN_EPOCH_UNCHECKED,        /* EndTxn takes any epoch */
    BUG_TXN_ABORT_COMMITS,          /* markers of aborted transactions say commit */
    BUG_TXN_FORGET_MARKER,          /* the last topic gets no markers */
    BUG_TXN_NO_RESUME,              /* decisions found at a load are not carried out */
    BUG_TXN_KEEP_EPOCH,             /* InitProducerId gives the epoch out again */
    BUG_TXN_READ_UNSTABLE,          /* read_committed reads up to the high watermark */
    BUG_TXN_HIDE_ABORTED,           /* aborted transactions are not listed for readers */
    BUG_TXN_OFFSETS_EARLY,          /* offsets of a transaction count before it ends */
    BUG_TXN_KEEP_LOST_GUARD,        /* a guard that a marker took is not asked for again */
    BUG_COMPACT_KEEP_OLDEST,        /* of two records of a key the older one stays */
    BUG_COMPACT_COUNT_ABORTED,      /* aborted data counts as the newest of its key */
    BUG_COMPACT_DROP_MARKERS_EARLY, /* a marker goes while data of its transaction is there */
    BUG_COMPACT_FORGET_PRODUCER,    /* the last batch of a producer goes with its records */
    BUG_COMPACT_SKIP_OUTPUT_SYNC,   /* what was written anew is not synced before it replaces */
    BUG_COMPACT_SWAP_WITHOUT_ORDER, /* files are renamed without syncs between the steps */
    BUG_COMPACT_KEEP_PLACES,        /* remembered places of replaced segments are used on */
    BUG_QUORUM_DOUBLE_VOTE,         /* a voter votes again in the same epoch */
    BUG_QUORUM_FORGET_VOTE,         /* a vote is answered without being written down */
    BUG_QUORUM_COUNT_UNFLUSHED,     /* the leader counts itself at its log end */
    BUG_QUORUM_COMMIT_OLD_EPOCH,    /* records of earlier epochs are committed by their holders */
    BUG_QUORUM_SHORT_LOG_WINS,      /* votes do not look at the candidate's log */
    BUG_QUORUM_LEAD_AGAIN,          /* who led an epoch leads it again after a restart */
    BUG_QUORUM_FETCH_UNFLUSHED,     /* voters ask for more before they have flushed */
    BUG_QUORUM_APPLY_UNCOMMITTED,   /* images hold what is not committed */
    BUG_QUORUM_NO_DIVERGENCE,       /* a follower's log is not compared by its last epoch */
    BUG_REPLICA_CUT_AT_WATERMARK,   /* followers of a new epoch cut at their high watermark */
    BUG_REPLICA_FETCH_EARLY,        /* followers ask for more before durability is kept */
    BUG_REPLICA_COUNT_DIVERGED,     /* a fetch that diverges says what the follower has */
    BUG_REPLICA_EPOCHS_UNCOMPARED,  /* divergence is looked for by the end of an epoch only */
    BUG_ISR_WATERMARK_COMMITTED,    /* the watermark goes by the committed in-sync set */
    BUG_ISR_IGNORE_MINIMUM,         /* the watermark moves with too few in sync */
    BUG_ISR_JOIN_EARLY,             /* in sync from the watermark on, not from the epoch's start */
    BUG_REPLICA_ACK_ALONE,          /* acks=all is answered when the leader has it */
    BUG_CONTROLLER_STALE_BROKER,    /* broker epochs of proposed members are not looked at */
    BUG_CONTROLLER_KEEP_IN_SYNC,    /* a new incarnation stays in the sets of the old one */
    BUG_REPLICA_END_TOLD_EARLY,     /* ends are told before what was shown is committed again */
    BUG_CONTROLLER_ELECT_ANYBODY,   /* who is not in sync is elected where nobody else can be */
    BUG_METADATA_KEEP_LEADER_EPOCH, /* a leader changes and its epoch does not */
    BUG_FETCH_WATERMARK_NO_NEWS,    /* fetch sessions leave out watermarks that moved */
    BUG_COORDINATOR_KEEP_ANSWERING, /* who leads no more goes on answering */
    BUG_COORDINATOR_KEEP_STATE,     /* who leads again goes on with the state of a former epoch */
    BUG_COORDINATOR_LOAD_COMMITTED, /* a load ends at the high watermark that is known by then */
    BUG_COORDINATOR_LEAVE_WELL,     /* who waits is told well when the partition is lost */
    BUG_TXN_MARKER_MOVED,           /* a marker that its partition's leader refused counts */
    BUG_COUNT
};

static_assert(BUG_COUNT <= 64 * TEST_POINT_WORDS, "the words hold them");

/* Switches one on. */
static inline void test_points_add(struct test_points *points, unsigned point)
{
    points->words[point / 64 % TEST_POINT_WORDS] |= UINT64_C(1) << point % 64;
}

/* The same where only the points of the loop are at hand, as in step functions. */
static inline bool test_point_in(struct test_points points, enum test_point point)
{
#ifdef KLAMM_TEST_POINTS
    return points.words[point / 64] >> point % 64 & 1;
#else
    (void)points;
    (void)point;
    return false;
#endif
}

/* Whether the point is on for this loop; constant false in the shipped build. */
static inline bool test_point(const struct loop *loop, enum test_point point)
{
    return test_point_in(loop->test_points, point);
}

#endif
