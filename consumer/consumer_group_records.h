/*
 * The records of consumer groups as Kafka 4.2 writes them: types 3, 5 to 8 and 16, value version 0,
 * and the tombstones of these and of type 4, which newer groups have no more.
 *
 * A failure (memory, size) is noted in `records` and comes out of coordinator_append.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_RECORDS_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_RECORDS_H

#include "consumer/consumer_group.h"

/* A batch for one group. */
struct consumer_records {
    struct coordinator_records records;
    struct arena *arena; /* memory for what is encoded, until the batch ends */
    struct view group_id;
};

void consumer_records_begin(struct consumer_records *batch, struct groups *groups,
                            struct view group_id, struct arena *arena);

void put_group_epoch(struct consumer_records *batch, int32_t epoch, int64_t metadata_hash);
void put_group_epoch_tombstone(struct consumer_records *batch);
void put_partition_metadata_tombstone(struct consumer_records *batch);
void put_member(struct consumer_records *batch, struct view member_id,
                const member_metadata *metadata);
void put_member_tombstone(struct consumer_records *batch, struct view member_id);
void put_target_epoch(struct consumer_records *batch, int32_t epoch);
void put_target_epoch_tombstone(struct consumer_records *batch);
void put_target(struct consumer_records *batch, struct view member_id,
                const struct partition_set *target);
void put_target_tombstone(struct consumer_records *batch, struct view member_id);
void put_progress(struct consumer_records *batch, struct view member_id,
                  const struct member_progress *progress);
void put_progress_tombstone(struct consumer_records *batch, struct view member_id);
void put_regex(struct consumer_records *batch, struct view pattern, const struct view *topics,
               size_t topic_count, int64_t version, int64_t timestamp_ms);
void put_regex_tombstone(struct consumer_records *batch, struct view pattern);

/* A member in the order that replay relies on: progress, target, member. */
void put_removed_member(struct consumer_records *batch, struct view member_id);
/* A whole group in that order: progresses, targets, target epoch, members, patterns, partition
 * metadata, group epoch. */
void put_removed_group(struct consumer_records *batch, const struct consumer_group *consumer);

#endif
