/* Who commits offsets, and whether it may: what OffsetCommit and TxnOffsetCommit share. */
#ifndef KLAMM_CONSUMER_OFFSET_COMMIT_H
#define KLAMM_CONSUMER_OFFSET_COMMIT_H

#include "consumer/group.h"
#include "coordinator/coordinator.h"

/* What a committer says of itself. Borrowed. */
struct commit_claim {
    struct view group_id;
    struct view member_id;
    struct view instance_id; /* may be null */
    int32_t generation;      /* or member epoch; negative: none */
    int16_t version;
    bool is_transactional;
};

/* What is committed for one partition. Borrowed. */
struct commit_entry {
    struct view topic;
    struct uuid topic_id; /* zero: not known */
    int32_t partition;
    int64_t offset;
    int32_t leader_epoch;
    struct view metadata; /* may be null */
};

/*
 * Whether the claim may commit. Without a group, a claim without a generation makes a simple one by
 * its commit; others get GROUP_ID_NOT_FOUND (OffsetCommit v9) or ILLEGAL_GENERATION. A commit of a
 * classic member keeps its session alive.
 */
enum kafka_error commit_validate(struct groups *groups, const struct commit_claim *claim);
/* Adds the record, or returns OFFSET_METADATA_TOO_LARGE. `expire_ms` is -1 for none. */
enum kafka_error commit_put(struct coordinator_records *records, const struct groups *groups,
                            struct view group_id, const struct commit_entry *entry,
                            int64_t expire_ms);

#endif
