/*
 * How far a group is behind: one query per group, for admin pages and metrics.
 *
 * Two steps, because the logs of a group's partitions are on other loops than its coordinator:
 *
 *     group_lag(groups, call)              at the coordinator: what is committed, and since when
 *     group_lag_measure(&lag, now, look)   at home: `look` tells what the caller learned of the
 * logs
 *
 * Lag in records counts what can be read and is not committed: from the committed offset, or from
 * the log start where that is above it, to the log end that consumers see. Lag in time is the age
 * of the first of these records.
 */
#ifndef KLAMM_CONSUMER_GROUP_LAG_H
#define KLAMM_CONSUMER_GROUP_LAG_H

#include "base/uuid.h"
#include "consumer/groups.h"

struct group_lag_partition {
    struct view topic;
    int32_t partition;
    int64_t committed_offset;
    int64_t commit_timestamp_ms;
    bool is_pending; /* an open transaction has another offset for it */
    /* After group_lag_measure; -1: not known. */
    int64_t log_end_offset;
    int64_t lag_records;
    int64_t lag_ms;
};

struct group_lag {
    struct view group_id;
    struct view state;   /* as ListGroups tells it; "Dead": there is no such group */
    struct view type;    /* "classic", "consumer" */
    int64_t progress_ms; /* when a commit last moved an offset (wall clock); -1: never */
    struct group_lag_partition *partitions; /* by topic, then partition */
    size_t partition_count;
    /* After group_lag_measure. */
    int64_t lag_records; /* of all partitions whose log is known */
    int64_t lag_ms;      /* the largest; -1: no partition's is known */
    int64_t idle_ms; /* since the last progress while there is lag, else 0; -1: never made any */
    size_t unknown_count; /* partitions whose log is not known */
};

/* What is known of a partition's log. */
struct group_lag_log {
    int64_t start_offset;
    int64_t end_offset;      /* the high watermark, or the last stable offset */
    int64_t first_unread_ms; /* time of the record at the committed offset; -1: not known */
};

/* False when nothing is known of the partition (it is gone, or led elsewhere). */
typedef bool (*group_lag_look)(void *context, const struct group_lag_partition *partition,
                               struct group_lag_log *log);

/* struct view (the group id), struct group_lag: a call as in group_requests.h. */
void group_lag(struct groups *groups, struct coordinator_call *call);
/* Fills what depends on the logs. */
void group_lag_measure(struct group_lag *lag, int64_t now_ms, group_lag_look look, void *context);

#endif
