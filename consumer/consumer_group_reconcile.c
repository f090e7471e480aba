#include "consumer/consumer_group_reconcile.h"

#include "base/assert.h"

/* What is left to give up, taken from A and T by one walk over each. */
struct shares {
    struct partition_set_builder keep;
    struct partition_set_builder revoke;
    struct partition_set_builder with_free; /* keep and what of the target is free */
    bool unreleased;
};

static bool still_owns(const struct reconcile_input *input, const struct partition_set *revoking)
{
    return !input->owned || partition_set_intersects(input->owned, revoking);
}

static void share_out(const struct reconcile_input *input, struct shares *shares)
{
    const struct partition_set *assigned = input->progress.assigned;
    const struct partition_set *target = input->target;
    for (uint32_t t = 0; t < assigned->topic_count; t++) {
        const struct partition_set_topic *topic = &assigned->topics[t];
        const struct partition_set_topic *wanted = input->is_subscribed(input->context, topic->id)
                                                       ? partition_set_find_topic(target, topic->id)
                                                       : NULL;
        for (uint32_t i = 0; i < topic->count; i++) {
            int32_t partition = partition_set_of(assigned, topic)[i];
            if (wanted && partition_set_topic_contains(target, wanted, partition)) {
                partition_set_add(&shares->keep, topic->id, partition);
                partition_set_add(&shares->with_free, topic->id, partition);
            } else {
                partition_set_add(&shares->revoke, topic->id, partition);
            }
        }
    }
    for (uint32_t t = 0; t < target->topic_count; t++) {
        const struct partition_set_topic *topic = &target->topics[t];
        if (!input->is_subscribed(input->context, topic->id))
            continue;
        const struct partition_set_topic *held = partition_set_find_topic(assigned, topic->id);
        for (uint32_t i = 0; i < topic->count; i++) {
            int32_t partition = partition_set_of(target, topic)[i];
            if (held && partition_set_topic_contains(assigned, held, partition))
                continue;
            if (input->is_free(input->context, topic->id, partition) ||
                partition_set_contains(input->progress.revoking, topic->id, partition))
                partition_set_add(&shares->with_free, topic->id, partition);
            else
                shares->unreleased = true;
        }
    }
}

/* One step towards the target, from an epoch. */
static enum reconcile_outcome step(const struct reconcile_input *input, int32_t epoch,
                                   struct arena *arena, struct member_progress *next)
{
    struct shares shares = {.unreleased = false};
    partition_set_builder_init(&shares.keep, arena);
    partition_set_builder_init(&shares.revoke, arena);
    partition_set_builder_init(&shares.with_free, arena);
    share_out(input, &shares);
    const struct partition_set *keep = partition_set_finish(&shares.keep);
    const struct partition_set *revoke = partition_set_finish(&shares.revoke);
    const struct partition_set *with_free = partition_set_finish(&shares.with_free);
    if (!keep || !revoke || !with_free)
        return RECONCILE_NO_MEMORY;
    next->previous_epoch = input->progress.epoch;
    if (!partition_set_is_empty(revoke) && still_owns(input, revoke)) {
        next->epoch = epoch;
        next->state = MEMBER_UNREVOKED_PARTITIONS;
        next->assigned = keep;
        next->revoking = revoke;
        return RECONCILE_DONE;
    }
    next->epoch = input->target_epoch;
    next->state = shares.unreleased ? MEMBER_UNRELEASED_PARTITIONS : MEMBER_STABLE;
    next->assigned = with_free;
    next->revoking = &partition_set_empty;
    return RECONCILE_DONE;
}

/* Takes back topics that the member does not subscribe to any more; epochs stay. */
static enum reconcile_outcome trim(const struct reconcile_input *input, struct arena *arena,
                                   struct member_progress *next)
{
    const struct partition_set *assigned = input->progress.assigned;
    struct partition_set_builder keep;
    struct partition_set_builder revoke;
    partition_set_builder_init(&keep, arena);
    partition_set_builder_init(&revoke, arena);
    bool changed = false;
    for (uint32_t t = 0; t < assigned->topic_count; t++) {
        const struct partition_set_topic *topic = &assigned->topics[t];
        bool subscribed = input->is_subscribed(input->context, topic->id);
        changed |= !subscribed;
        partition_set_add_topic(subscribed ? &keep : &revoke, assigned, topic);
    }
    if (!changed)
        return RECONCILE_DONE;
    partition_set_add_all(&revoke, input->progress.revoking);
    const struct partition_set *kept = partition_set_finish(&keep);
    const struct partition_set *revoking = partition_set_finish(&revoke);
    if (!kept || !revoking)
        return RECONCILE_NO_MEMORY;
    next->assigned = kept;
    if (still_owns(input, revoking)) {
        next->state = MEMBER_UNREVOKED_PARTITIONS;
        next->revoking = revoking;
    }
    return RECONCILE_DONE;
}

enum reconcile_outcome consumer_group_reconcile(const struct reconcile_input *input,
                                                struct arena *arena, struct member_progress *next)
{
    const struct member_progress *progress = &input->progress;
    *next = *progress;
    switch (progress->state) {
    case MEMBER_STABLE:
        if (progress->epoch != input->target_epoch)
            return step(input, progress->epoch, arena, next);
        return input->subscription_changed ? trim(input, arena, next) : RECONCILE_DONE;
    case MEMBER_UNREVOKED_PARTITIONS:
        if (!still_owns(input, progress->revoking))
            return step(input, progress->epoch, arena, next);
        return input->subscription_changed ? trim(input, arena, next) : RECONCILE_DONE;
    case MEMBER_UNRELEASED_PARTITIONS:
        return step(input, progress->epoch, arena, next);
    case MEMBER_UNKNOWN:
        if (!input->owned || !partition_set_is_empty(input->owned))
            return RECONCILE_FENCED;
        return step(input, input->target_epoch, arena, next);
    }
    klamm_unreachable("no such state");
}
