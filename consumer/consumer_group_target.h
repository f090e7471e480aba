/*
 * The target of a group: what its assignor says for the members as they will be after a change.
 */
#ifndef KLAMM_CONSUMER_CONSUMER_GROUP_TARGET_H
#define KLAMM_CONSUMER_CONSUMER_GROUP_TARGET_H

#include "consumer/consumer_group_records.h"
#include "consumer/consumer_group_subscription.h"

/*
 * Computes the target for `epoch` and writes the records of members whose target changed, and of
 * the epoch. `joining_target` is what the joining member was meant to own so far. The result is the
 * joining member's new target, in the arena; NULL when memory was refused.
 */
const struct partition_set *consumer_group_compute_target(
    struct consumer_records *batch, const struct group_subscription *subscription,
    const struct subscription_change *change, const struct partition_set *joining_target,
    int32_t epoch, struct arena *arena);

/*
 * The target of the group as it is, for the epoch that it has; appended as one batch. Nothing
 * changes on an error.
 */
enum kafka_error consumer_group_make_target(struct consumer_group *consumer, struct arena *arena);

/* The assignor that most members ask for, else the node's default. */
enum assignor consumer_group_assignor(const struct consumer_group *consumer,
                                      const struct subscription_change *change);

#endif
