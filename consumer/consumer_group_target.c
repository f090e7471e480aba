/* Members go to the assignor in the order of their ids, so that the target depends on who they are
 * and not on when they came. */
#include "consumer/consumer_group_target.h"

/* One member as it will be. */
struct target_member {
    struct view id;
    const member_metadata *metadata;
    const struct consumer_member *member; /* NULL: the joining one */
};

static bool is_leaving(const struct consumer_member *member,
                       const struct subscription_change *change)
{
    for (size_t i = 0; i < change->leaving_count; i++) {
        if (change->leaving[i] == member)
            return true;
    }
    return false;
}

static void count_vote(const member_metadata *metadata, uint32_t *votes)
{
    enum assignor assignor;
    if (!view_is_null(metadata->server_assignor) &&
        assignor_find(metadata->server_assignor, &assignor))
        votes[assignor]++;
}

enum assignor consumer_group_assignor(const struct consumer_group *consumer,
                                      const struct subscription_change *change)
{
    uint32_t votes[ASSIGNOR_COUNT] = {0};
    map_for_each(entry, &consumer->members)
    {
        const struct consumer_member *member = entry->value;
        if (member->listed && !is_leaving(member, change))
            count_vote(member->metadata, votes);
    }
    if (change->joining)
        count_vote(change->joining, votes);
    /* The first of the configured ones wins a tie, and is the default. */
    const struct config_list *offered =
        &groups_settings(consumer->groups)->group_consumer_assignors;
    enum assignor best = ASSIGNOR_UNIFORM;
    bool found = false;
    for (size_t i = 0; i < offered->count; i++) {
        enum assignor assignor;
        if (assignor_find(offered->items[i], &assignor) &&
            (!found || votes[assignor] > votes[best])) {
            best = assignor;
            found = true;
        }
    }
    return best;
}

/* The members as they will be, rising by id. */
static struct target_member *gather(const struct consumer_group *consumer,
                                    const struct subscription_change *change, struct arena *arena,
                                    uint32_t *count)
{
    *count = 0;
    struct target_member *members =
        arena_get(arena, (consumer->member_count + 1u) * sizeof(*members));
    if (!members)
        return NULL;
    const struct target_member joining = {change->joining_id, change->joining, NULL};
    bool is_placed = !change->joining;
    for (uint32_t i = 0; i < consumer->member_count; i++) {
        const struct consumer_member *member = consumer->sorted[i];
        if (!is_placed && view_compare(joining.id, member->id) <= 0) {
            members[(*count)++] = joining;
            is_placed = true;
        }
        if (!is_leaving(member, change))
            members[(*count)++] = (struct target_member){member->id, member->metadata, member};
    }
    if (!is_placed)
        members[(*count)++] = joining;
    return members;
}

/* Whether two members of the group name the very same topics. */
static bool same_topics(const struct consumer_member *a, const struct consumer_member *b)
{
    size_t count = a->metadata->subscribed_topic_names_count;
    return a->regex == b->regex && count == b->metadata->subscribed_topic_names_count &&
           (count == 0 || memcmp(a->topics, b->topics, count * sizeof(*a->topics)) == 0);
}

static struct assignor_member *specify(const struct group_subscription *subscription,
                                       const struct target_member *members, uint32_t count,
                                       const struct partition_set *joining_target,
                                       struct arena *arena)
{
    struct assignor_member *specs = arena_get_array(arena, count, sizeof(*specs));
    if (!specs)
        return NULL;
    for (uint32_t m = 0; m < count; m++) {
        const struct target_member *member = &members[m];
        specs[m].id = member->id;
        specs[m].instance_id = member->metadata->instance_id;
        specs[m].target = member->member ? member->member->target : joining_target;
        if (m > 0 && member->member && members[m - 1].member &&
            same_topics(member->member, members[m - 1].member)) {
            specs[m].topics = specs[m - 1].topics;
            specs[m].topic_count = specs[m - 1].topic_count;
            continue;
        }
        specs[m].topics = group_subscription_places(subscription, member->metadata,
                                                    member->member ? member->member->topics : NULL,
                                                    arena, &specs[m].topic_count);
        if (!specs[m].topics)
            return NULL;
    }
    return specs;
}

const struct partition_set *consumer_group_compute_target(
    struct consumer_records *batch, const struct group_subscription *subscription,
    const struct subscription_change *change, const struct partition_set *joining_target,
    int32_t epoch, struct arena *arena)
{
    const struct consumer_group *consumer = subscription->consumer;
    struct assignor_input input = {.topics = subscription->topics,
                                   .topic_count = subscription->topic_count};
    struct target_member *members = gather(consumer, change, arena, &input.member_count);
    if (!members)
        return NULL;
    input.members = specify(subscription, members, input.member_count, joining_target, arena);
    if (!input.members)
        return NULL;
    const struct partition_set **targets =
        assignor_assign(consumer_group_assignor(consumer, change), &input, arena);
    if (!targets)
        return NULL;
    const struct partition_set *joining = &partition_set_empty;
    for (uint32_t m = 0; m < input.member_count; m++) {
        const struct consumer_member *known = members[m].member;
        if (!known) {
            joining = targets[m];
            known = map_get(&consumer->members, members[m].id);
        }
        if (!known || !known->has_target || !partition_set_equal(known->target, targets[m]))
            put_target(batch, members[m].id, targets[m]);
    }
    put_target_epoch(batch, epoch);
    return joining;
}

enum kafka_error consumer_group_make_target(struct consumer_group *consumer, struct arena *arena)
{
    struct subscription_change none = {.leaving_count = 0};
    struct group_subscription subscription;
    struct consumer_records batch;
    consumer_records_begin(&batch, consumer->groups, consumer->group->id, arena);
    if (!group_subscription_compute(consumer, &none, arena, &subscription) ||
        !consumer_group_compute_target(&batch, &subscription, &none, &partition_set_empty,
                                       consumer->epoch, arena)) {
        coordinator_records_drop(&batch.records);
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    }
    return coordinator_append(&batch.records);
}
