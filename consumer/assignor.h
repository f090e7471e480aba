/*
 * Assignors: who of a consumer group gets which partitions (KIP-848, server side).
 *
 * Pure functions of their input: members and topics come sorted, so equal groups get equal
 * assignments, whatever order they joined in. They use neither racks nor anything of the cluster
 * besides partition counts, as Kafka's.
 *
 *  range    every topic for itself in ranges, the same members first in each topic, so that topics
 *           with equal partition counts are co-partitioned; earlier targets do not matter.
 *  uniform  counts as even as can be, moving as few partitions as can be. Where all members
 *           subscribe to the same topics, counts differ by at most one and no fewer moves would do.
 *           Otherwise counts are evened topic by topic among the subscribers of a topic, up to 16
 *           rounds.
 *
 * Invariants of the result:
 *  1. Every partition of a topic that has a subscriber is in exactly one set, of a subscriber.
 *  2. Nothing else is in any set.
 */
#ifndef KLAMM_CONSUMER_ASSIGNOR_H
#define KLAMM_CONSUMER_ASSIGNOR_H

#include "consumer/partition_set.h"

enum assignor { ASSIGNOR_UNIFORM, ASSIGNOR_RANGE, ASSIGNOR_COUNT };

struct assignor_topic {
    struct uuid id;
    uint32_t partition_count;
};

struct assignor_member {
    struct view id;
    struct view instance_id; /* null: a dynamic member */
    const uint32_t *topics;  /* places in assignor_input.topics, rising */
    uint32_t topic_count;
    const struct partition_set *target; /* the previous one; never NULL */
};

struct assignor_input {
    const struct assignor_topic *topics; /* rising by id */
    uint32_t topic_count;
    const struct assignor_member *members; /* rising by id */
    uint32_t member_count;
};

/* The name in requests and settings; false for an unknown name. */
struct view assignor_name(enum assignor assignor);
bool assignor_find(struct view name, enum assignor *assignor);

/*
 * The new target of every member, in the order of the members, all in the arena. NULL when memory
 * was refused. 10,000 members on one topic take a few milliseconds.
 */
const struct partition_set **
assignor_assign(enum assignor assignor, const struct assignor_input *input, struct arena *arena);

/* ---- Between the assignors ------------------------------------------------------------------ */

#define ASSIGNOR_NOBODY UINT32_MAX

/* Partitions are numbered topic by topic; the assignors fill who owns each. */
struct assignor_work {
    const struct assignor_input *input;
    struct arena *arena;
    uint32_t *base;   /* [topic_count + 1]: number of the first partition of a topic */
    uint32_t *owners; /* [base[topic_count]]: place of a member, or ASSIGNOR_NOBODY */
    uint32_t *counts; /* [member_count]: partitions owned */
};

static inline void assignor_give(struct assignor_work *work, uint32_t partition, uint32_t member)
{
    work->owners[partition] = member;
    work->counts[member]++;
}

/* Whether every member subscribes to all topics. */
bool assignor_input_is_homogeneous(const struct assignor_input *input);
/* Lets members keep those partitions of their previous targets that they still subscribe to. */
void assignor_keep_targets(struct assignor_work *work);
/* Each false when memory was refused. */
bool assignor_range(struct assignor_work *work);
bool assignor_uniform(struct assignor_work *work);
bool assignor_balance(struct assignor_work *work); /* uniform, where subscriptions differ */

#endif
