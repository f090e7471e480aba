/*
 * Which partition of an internal topic a key belongs to: group ids in __consumer_offsets,
 * transactional ids in __transaction_state, "group:topicId:partition" in __share_group_state.
 *
 * The hash is that of Kafka's brokers, because the place of a key is part of the format: another
 * node of the cluster, and a directory that Kafka wrote, must agree with us.
 */
#ifndef KLAMM_COORDINATOR_PLACEMENT_H
#define KLAMM_COORDINATOR_PLACEMENT_H

#include "base/bytes.h"

/*
 * h = 31 * h + unit over the UTF-16 code units of the UTF-8 text `key`, in 32 bits that wrap. Bytes
 * that are no UTF-8 count as U+FFFD, one for each piece that a decoder would replace.
 */
int32_t placement_hash(struct view key);
/* The partition of 0 to partition_count - 1 (at least 1) that the key belongs to. */
int32_t placement_partition(struct view key, int32_t partition_count);

#endif
