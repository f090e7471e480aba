/*
 * How far a group is behind, asked of the whole node: what its coordinator has committed, and what
 * the logs of these partitions have, on whichever shards they are (consumer/group_lag.h). One query
 * for admin pages and metrics; clients cannot send it.
 *
 *     query->done = told;
 *     group_lag_query_start(query, shard, group_id);
 *     ... told(query, error): query->lag is filled when error is NONE ...
 *     group_lag_query_end(query);
 *
 * Only the node that coordinates the group can tell (NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS
 * else; COORDINATOR_NOT_AVAILABLE on a shard that shows no metadata yet), and of partitions that
 * other nodes lead it knows no log: they are counted as unknown.
 *
 * Invariants:
 *  1. Everything runs on the loop of the shard that asks, but for the parts of the two requests
 *     that the query is made of. `done` is called once, perhaps inside group_lag_query_start.
 *  2. What the lag points to lies in the query's arena.
 */
#ifndef KLAMM_BROKER_GROUP_LAG_QUERY_H
#define KLAMM_BROKER_GROUP_LAG_QUERY_H

#include "broker/local_request.h"
#include "consumer/group_lag.h"

struct group_lag_query {
    void (*done)(struct group_lag_query *query, enum kafka_error error);
    void *context; /* the caller's */
    /* Good from `done` until group_lag_query_end. */
    struct group_lag lag;
    /* Private. */
    struct shard *shard;
    struct view group_id;
    struct arena arena;
    struct local_request local; /* to the coordinator, then to the logs */
    enum kafka_error error;
};

/* `group_id` lives until `done`. */
void group_lag_query_start(struct group_lag_query *query, struct shard *shard,
                           struct view group_id);
/* Gives the memory back; once, behind `done`. */
void group_lag_query_end(struct group_lag_query *query);

#endif
