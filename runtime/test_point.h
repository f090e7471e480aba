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
    /* log/ */
    BUG_LOG_DURABLE_BEFORE_SYNC,      /* the durable end moves up without a sync */
    BUG_LOG_DURABLE_OF_NOW,           /* a sync that ends covers what was written during it */
    BUG_LOG_IGNORE_FAILED_SYNC,       /* a failed sync counts as done */
    BUG_LOG_SKIP_DIRECTORY_SYNC,      /* a new segment's name is not synced */
    BUG_LOG_SKIP_CRC_ON_RECOVERY,     /* recovery trusts batch headers alone */
    BUG_LOG_SKIP_TAIL_CUT,            /* recovery leaves what lies behind the last good batch */
    BUG_LOG_TRUNCATE_KEEPS_BATCH,     /* truncation leaves the batch that holds the offset */
    BUG_LOG_TRUNCATE_KEEPS_EPOCHS,    /* truncation leaves leader epochs behind the cut */
    BUG_LOG_RECOVERY_POINT_EARLY,     /* the recovery point moves up to the written end */
    BUG_LOG_KEEP_PRODUCERS_ON_CUT,    /* truncation leaves producer state as it is */
    BUG_LOG_RETENTION_TAKES_ACTIVE,   /* retention deletes one segment too many */
    BUG_LOG_INDEX_NEXT_BATCH,         /* offset index entries point one batch too far */
    BUG_LOG_NO_SPACE_KEEPS_TAIL,      /* a failed append is not rolled back */
    BUG_LOG_ACKNOWLEDGE_BEFORE_WRITE, /* `done` of an append runs before the write is done */
    /* broker/, replication/ */
    BUG_ACKNOWLEDGE_BEFORE_DURABLE, /* acks=all is answered at the written end */
    BUG_SEQUENCE_NOT_CHECKED,       /* a retried batch is appended again */
    BUG_READ_ABOVE_WATERMARK,       /* consumers read up to the log end */
    BUG_COUNT
};

static_assert(BUG_COUNT <= 64, "one word holds them");

/* Whether the point is on for this loop; constant false in the shipped build. */
static inline bool test_point(const struct loop *loop, enum test_point point)
{
#ifdef KLAMM_TEST_POINTS
    return loop->test_points >> point & 1;
#else
    (void)loop;
    (void)point;
    return false;
#endif
}

#endif
