/*
 * What a follower checks in records that its leader sent, before they go into its log: whole
 * batches of the one format, intact, in order behind what it has, from epochs that can be true.
 *
 * Pure: reads the bytes, keeps nothing. Records are not decoded; the leader has validated them, and
 * the checksum says that they are what it stored.
 *
 * Invariant: what is found reaches as far as the batches are good and a log takes them in one
 * append; part of a batch at the end (a leader may send one) is left out.
 */
#ifndef KLAMM_REPLICATION_FOLLOWER_RECORDS_H
#define KLAMM_REPLICATION_FOLLOWER_RECORDS_H

#include "protocol/batch.h"

struct follower_records_bounds {
    int64_t next_offset;    /* the log end: no batch begins below it */
    int32_t last_epoch;     /* of the log: epochs never fall; -1 */
    int32_t leader_epoch;   /* as it was asked for: no batch is from a later one */
    bool may_begin_earlier; /* the log is empty: the first batch may straddle its start */
};

struct follower_records {
    struct view batches;
    int64_t first_offset;
    int64_t offset; /* that the result is about, when it is not OK */
};

enum follower_records_result {
    FOLLOWER_RECORDS_OK,      /* at least one batch */
    FOLLOWER_RECORDS_NONE,    /* not even one whole batch */
    FOLLOWER_RECORDS_FORMAT,  /* the first batch is not one */
    FOLLOWER_RECORDS_CORRUPT, /* its checksum is wrong */
    FOLLOWER_RECORDS_ORDER,   /* it does not lie behind the log end */
    FOLLOWER_RECORDS_EPOCH,   /* its epoch is earlier than the log's or later than the leader's */
};

const char *follower_records_text(enum follower_records_result result);

/* Only the first batch decides the result; a bad one behind it ends what is found. */
enum follower_records_result follower_records_check(struct view field,
                                                    const struct follower_records_bounds *bounds,
                                                    struct follower_records *found);

#endif
