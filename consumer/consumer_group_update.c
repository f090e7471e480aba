#include "consumer/consumer_group_update.h"

#include "consumer/consumer_group_reconcile.h"
#include "consumer/consumer_group_records.h"
#include "consumer/consumer_group_regex.h"
#include "consumer/consumer_group_subscription.h"
#include "consumer/consumer_group_target.h"
#include "consumer/consumer_group_timers.h"
#include "consumer/topic_regex.h"
#include "runtime/test_point.h"

/* One update on its way. */
struct updating {
    struct groups *groups;
    struct view group_id;
    const struct consumer_group *consumer;
    struct member_update *update;
    struct arena *arena;
    struct consumer_records batch;
    struct member_progress progress; /* before the last step */
    const struct partition_set *target;
    bool names_changed;
    bool regex_changed;
    bool must_bump;
    int32_t epoch;
    int32_t assignment_epoch;
    bool versions_compared;
    bool target_made;
};

/* The members that go with this update: the one as it was, where there was one. */
static struct subscription_change change_of(struct updating *updating)
{
    struct member_update *update = updating->update;
    return (struct subscription_change){.leaving = &update->member,
                                        .leaving_count = update->member ? 1 : 0,
                                        .joining_id = update->member_id,
                                        .joining = &update->metadata};
}

static void begin_from(struct updating *updating)
{
    const struct consumer_member *member = updating->update->member;
    updating->progress = CONSUMER_PROGRESS_NEW;
    updating->target = &partition_set_empty;
    if (!member)
        return;
    updating->progress = member->progress;
    updating->target = member->target;
    if (updating->update->replaces) {
        updating->progress.epoch = MEMBER_EPOCH_JOIN;
        updating->progress.previous_epoch = 0;
    }
}

/* The place of a static member goes to another one, with all that it has. */
static void replace(struct updating *updating)
{
    struct member_update *update = updating->update;
    if (!update->replaces)
        return;
    put_removed_member(&updating->batch, update->member->id);
    put_member(&updating->batch, update->member_id, update->member->metadata);
    put_target(&updating->batch, update->member_id, update->member->target);
    put_progress(&updating->batch, update->member_id, &updating->progress);
}

static void compare_metadata(struct updating *updating)
{
    struct member_update *update = updating->update;
    member_metadata before;
    if (update->member)
        before = *update->member->metadata;
    else
        member_metadata_default(&before);
    if (!update->member || !member_metadata_equal(&before, &update->metadata))
        put_member(&updating->batch, update->member_id, &update->metadata);
    updating->names_changed = !member_metadata_names_equal(&before, &update->metadata);
    /* Null and empty are told apart here, as the records do. */
    updating->regex_changed =
        !view_equal(before.subscribed_topic_regex, update->metadata.subscribed_topic_regex);
}

/*
 * A pattern that nobody has yet is checked; it is resolved later, and the epoch rises then. One
 * that is resolved already, or none any more, changes the assignment now.
 */
static enum kafka_error compare_regex(struct updating *updating)
{
    struct member_update *update = updating->update;
    if (!updating->regex_changed)
        return KAFKA_ERROR_NONE;
    struct subscription_change change = change_of(updating);
    struct view *lost;
    size_t lost_count;
    if (!group_subscription_lost_patterns(updating->consumer, &change, updating->arena, &lost,
                                          &lost_count))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    for (size_t i = 0; i < lost_count; i++)
        put_regex_tombstone(&updating->batch, lost[i]);
    struct view pattern = member_metadata_regex(&update->metadata);
    if (view_is_null(pattern)) {
        updating->must_bump |= update->member && update->member->regex;
        return KAFKA_ERROR_NONE;
    }
    const struct consumer_regex *known = consumer_group_find_regex(updating->consumer, pattern);
    if (known && known->subscribers > 0) {
        updating->must_bump |= known->resolved;
        return KAFKA_ERROR_NONE;
    }
    update->message = topic_regex_check(updating->groups->heap, pattern);
    return update->message ? KAFKA_ERROR_INVALID_REGULAR_EXPRESSION : KAFKA_ERROR_NONE;
}

static enum kafka_error compute_target(struct updating *updating,
                                       const struct group_subscription *subscription)
{
    struct subscription_change change = change_of(updating);
    updating->target =
        consumer_group_compute_target(&updating->batch, subscription, &change, updating->target,
                                      updating->epoch, updating->arena);
    updating->assignment_epoch = updating->epoch;
    updating->target_made = true;
    return updating->target ? KAFKA_ERROR_NONE : KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
}

static uint64_t turn_of(const struct groups *groups)
{
    return coordinator_loop(groups->coordinator)->counters.turns;
}

/* Steps 2 and 3. */
static enum kafka_error assign(struct updating *updating)
{
    const struct consumer_group *consumer = updating->consumer;
    updating->epoch = consumer->epoch;
    updating->assignment_epoch = consumer->assignment_epoch;
    updating->must_bump |= updating->names_changed || consumer->epoch == 0;
    updating->versions_compared =
        updating->must_bump ||
        consumer->checked_version != updating->groups->consumer.topics_version;
    if (!updating->versions_compared && updating->epoch <= updating->assignment_epoch)
        return KAFKA_ERROR_NONE;
    struct subscription_change change = change_of(updating);
    struct group_subscription subscription;
    if (!group_subscription_compute(consumer, &change, updating->arena, &subscription))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    if (updating->versions_compared) {
        if (updating->must_bump || subscription.hash != consumer->metadata_hash) {
            updating->epoch++;
            put_group_epoch(&updating->batch, updating->epoch, subscription.hash);
        }
        if (consumer->has_partition_metadata)
            put_partition_metadata_tombstone(&updating->batch);
    }
    if (updating->epoch <= updating->assignment_epoch)
        return KAFKA_ERROR_NONE;
    updating->update->waits =
        updating->update->may_wait && consumer->target_turn == turn_of(updating->groups);
    return updating->update->waits ? KAFKA_ERROR_NONE : compute_target(updating, &subscription);
}

static bool names_contain(const member_metadata *metadata, struct view name)
{
    size_t low = 0;
    size_t high = metadata->subscribed_topic_names_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = view_compare(metadata->subscribed_topic_names[middle], name);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool is_subscribed(const void *context, struct uuid id)
{
    const struct updating *updating = context;
    const struct image *image = coordinator_image(updating->groups->coordinator);
    const struct image_topic *topic = image_topic_by_id(image, id);
    if (!topic)
        return false;
    const member_metadata *metadata = &updating->update->metadata;
    if (names_contain(metadata, topic->name))
        return true;
    const struct consumer_regex *regex =
        consumer_group_find_regex(updating->consumer, member_metadata_regex(metadata));
    for (uint32_t i = 0; regex && i < regex->topic_count; i++) {
        if (view_equal(regex->topics[i]->name, topic->name))
            return true;
    }
    return false;
}

static bool is_free(const void *context, struct uuid topic, int32_t partition)
{
    const struct updating *updating = context;
    const struct groups *groups = updating->consumer->groups;
    return consumer_group_partition_epoch(updating->consumer, topic, partition) ==
               PARTITION_EPOCH_FREE ||
           test_point(coordinator_loop(groups->coordinator), BUG_CONSUMER_IGNORE_OWNERS);
}

/* Step 4. */
static enum kafka_error reconcile(struct updating *updating)
{
    struct member_update *update = updating->update;
    bool changed = update->subscription_changed;
    if (!changed && member_progress_is_at(&updating->progress, updating->assignment_epoch))
        return KAFKA_ERROR_NONE;
    struct reconcile_input input = {.progress = updating->progress,
                                    .target_epoch = updating->assignment_epoch,
                                    .target = updating->target,
                                    .owned = update->owned,
                                    .subscription_changed = changed,
                                    .is_subscribed = is_subscribed,
                                    .is_free = is_free,
                                    .context = updating};
    struct member_progress next;
    switch (consumer_group_reconcile(&input, updating->arena, &next)) {
    case RECONCILE_DONE:
        break;
    case RECONCILE_FENCED:
        update->message = "The member is in an unknown state; it must give up its partitions and "
                          "join again.";
        return KAFKA_ERROR_FENCED_MEMBER_EPOCH;
    case RECONCILE_NO_MEMORY:
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    }
    if (member_progress_equal(&next, &updating->progress))
        return KAFKA_ERROR_NONE;
    update->assignment_changed = !partition_set_equal(next.assigned, updating->progress.assigned);
    updating->progress = next;
    put_progress(&updating->batch, update->member_id, &next);
    return KAFKA_ERROR_NONE;
}

static enum kafka_error compute(struct updating *updating)
{
    replace(updating);
    compare_metadata(updating);
    updating->update->subscription_changed = updating->names_changed || updating->regex_changed;
    enum kafka_error error = compare_regex(updating);
    if (error == KAFKA_ERROR_NONE)
        error = assign(updating);
    if (error == KAFKA_ERROR_NONE && !updating->update->waits)
        error = reconcile(updating);
    return error;
}

/* The group has the records: what is soft follows. */
static void settle(struct updating *updating, struct group *group, bool changed)
{
    struct member_update *update = updating->update;
    struct consumer_group *consumer = group->consumer;
    update->updated = consumer_group_find_member(consumer, update->member_id);
    if (updating->versions_compared)
        consumer->checked_version = updating->groups->consumer.topics_version;
    if (updating->target_made)
        consumer->target_turn = turn_of(updating->groups);
    if (changed)
        consumer_member_watch_revocation(update->updated);
    consumer_group_refresh_regexes(consumer);
}

enum kafka_error consumer_group_update_member(struct groups *groups, struct view id,
                                              struct group *group, struct member_update *update,
                                              struct arena *arena)
{
    struct consumer_group none;
    struct updating updating = {.groups = groups,
                                .group_id = id,
                                .consumer = group ? group->consumer : NULL,
                                .update = update,
                                .arena = arena};
    if (!updating.consumer) {
        consumer_group_init(&none, groups, NULL);
        updating.consumer = &none;
    }
    begin_from(&updating);
    consumer_records_begin(&updating.batch, groups, id, arena);
    enum kafka_error error = compute(&updating);
    if (error != KAFKA_ERROR_NONE) {
        coordinator_records_drop(&updating.batch.records);
        return error;
    }
    struct member_progress before = updating.progress;
    bool progressed = !update->member || update->replaces ||
                      !member_progress_equal(&before, &update->member->progress);
    error = coordinator_append(&updating.batch.records);
    if (error != KAFKA_ERROR_NONE)
        return error;
    settle(&updating, groups_find(groups, id), progressed);
    return KAFKA_ERROR_NONE;
}

enum kafka_error consumer_group_finish_update(struct member_update *update, struct arena *arena)
{
    struct consumer_group *consumer = update->member->group;
    struct updating updating = {.groups = consumer->groups,
                                .group_id = consumer->group->id,
                                .consumer = consumer,
                                .update = update,
                                .arena = arena};
    enum kafka_error error = KAFKA_ERROR_NONE;
    if (consumer->epoch > consumer->assignment_epoch) {
        error = consumer_group_make_target(consumer, arena);
        updating.target_made = true;
    }
    if (error != KAFKA_ERROR_NONE)
        return error;
    update->metadata = *update->member->metadata;
    updating.assignment_epoch = consumer->assignment_epoch;
    begin_from(&updating);
    consumer_records_begin(&updating.batch, consumer->groups, updating.group_id, arena);
    error = reconcile(&updating);
    if (error != KAFKA_ERROR_NONE) {
        coordinator_records_drop(&updating.batch.records);
        return error;
    }
    bool progressed = !member_progress_equal(&updating.progress, &update->member->progress);
    error = coordinator_append(&updating.batch.records);
    if (error == KAFKA_ERROR_NONE)
        settle(&updating, consumer->group, progressed);
    return error;
}
