/*
 * Whoever goes leaves one batch of records: tombstones of the members, of the patterns that nobody
 * subscribes to then, and the next epoch of the group with the hash of what is still subscribed to.
 * A static member that pauses changes nothing but its own epoch: nobody is given what it owns.
 */
#include "consumer/consumer_group_leave.h"

#include "consumer/consumer_group_migrate.h"
#include "consumer/consumer_group_records.h"
#include "consumer/consumer_group_subscription.h"
#include "runtime/diagnostics.h"

static enum kafka_error remove_with(struct consumer_group *consumer,
                                    struct consumer_member *const *members, size_t count,
                                    struct arena *arena)
{
    struct subscription_change change = {.leaving = members, .leaving_count = count};
    struct group_subscription subscription;
    struct view *lost;
    size_t lost_count;
    if (!group_subscription_compute(consumer, &change, arena, &subscription) ||
        !group_subscription_lost_patterns(consumer, &change, arena, &lost, &lost_count))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    struct consumer_records batch;
    consumer_records_begin(&batch, consumer->groups, consumer->group->id, arena);
    for (size_t i = 0; i < count; i++)
        put_removed_member(&batch, members[i]->id);
    for (size_t i = 0; i < lost_count; i++)
        put_regex_tombstone(&batch, lost[i]);
    put_group_epoch(&batch, consumer->epoch + 1, subscription.hash);
    return coordinator_append(&batch.records);
}

enum kafka_error consumer_group_remove_members(struct consumer_group *consumer,
                                               struct consumer_member *const *members, size_t count)
{
    if (count == 0)
        return KAFKA_ERROR_NONE;
    if (consumer_group_can_downgrade_without(consumer, members, count))
        return consumer_group_downgrade(consumer, members, count);
    struct arena arena;
    arena_init(&arena, consumer->groups->heap, MEMORY_SCRATCH, 0);
    enum kafka_error error = remove_with(consumer, members, count, &arena);
    arena_deinit(&arena);
    return error;
}

enum kafka_error consumer_group_fence(struct consumer_member *member, const char *reason)
{
    struct consumer_group *consumer = member->group;
    struct view group = consumer->group->id;
    log_info(coordinator_loop(consumer->groups->coordinator)->diagnostics,
             "member fenced: group=%.*s member=%.*s epoch=%d reason=\"%s\"", (int)group.size,
             (const char *)group.data, (int)member->id.size, (const char *)member->id.data,
             (int)member->progress.epoch, reason);
    return consumer_group_remove_members(consumer, &member, 1);
}

enum kafka_error consumer_group_pause_member(struct consumer_member *member)
{
    struct consumer_group *consumer = member->group;
    struct member_progress progress = member->progress;
    progress.epoch = MEMBER_EPOCH_LEAVE_STATIC;
    progress.revoking = &partition_set_empty;
    struct arena arena;
    arena_init(&arena, consumer->groups->heap, MEMORY_SCRATCH, 0);
    struct consumer_records batch;
    consumer_records_begin(&batch, consumer->groups, consumer->group->id, &arena);
    put_progress(&batch, member->id, &progress);
    enum kafka_error error = coordinator_append(&batch.records);
    arena_deinit(&arena);
    return error;
}
