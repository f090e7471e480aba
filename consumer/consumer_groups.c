/*
 * What can change an assignment raises `topics_version`: topics that come or go, their partitions,
 * the brokers that hold them, the racks of brokers. Leaders and in-sync sets do not.
 */
#include "consumer/consumer_groups.h"

#include "base/assert.h"
#include "consumer/consumer_group.h"
#include "consumer/consumer_group_timers.h"

void consumer_groups_init(struct consumer_groups *shared)
{
    *shared = (struct consumer_groups){.topics_version = 1, .topics_created_offset = -1};
    list_init(&shared->parked);
    deferred_init(&shared->assign, consumer_group_heartbeats_assign);
}

void consumer_groups_unload(struct groups *groups, enum kafka_error error)
{
    for (struct list *link; (link = list_pop_front(&groups->consumer.parked)) != NULL;)
        coordinator_fail(container_of(link, struct coordinator_call, link), error);
}

void consumer_groups_deinit(struct consumer_groups *shared)
{
    klamm_assert(list_is_empty(&shared->parked));
    list_remove(&shared->assign.link);
}

/* Whether replicas moved: the racks of a partition may be others then. */
static bool replicas_changed(const struct image_topic_change *change)
{
    uint32_t cursor = 0;
    struct image_partition_change partition;
    while (image_topic_change_next(change, &cursor, &partition)) {
        if (!partition.before || !partition.after)
            return true;
        struct node_list before = image_partition_replicas(partition.before);
        struct node_list after = image_partition_replicas(partition.after);
        if (before.count != after.count ||
            memcmp(before.ids, after.ids, before.count * sizeof(*before.ids)) != 0)
            return true;
    }
    return false;
}

static bool racks_changed(const struct image_delta *delta)
{
    for (uint32_t i = 0; i < delta->broker_count; i++) {
        const struct image_node_change *change = &delta->brokers[i];
        if (!change->before || !change->after ||
            !view_equal(change->before->rack, change->after->rack))
            return true;
    }
    return false;
}

void consumer_groups_metadata(struct groups *groups, const struct image_delta *delta)
{
    bool created = groups->consumer.topics_created_offset < 0;
    bool changed = racks_changed(delta);
    for (uint32_t i = 0; i < delta->topic_count; i++) {
        const struct image_topic_change *topic = &delta->topics[i];
        created |= !topic->before;
        changed |= !topic->before || !topic->after || replicas_changed(topic);
    }
    if (changed)
        groups->consumer.topics_version++;
    if (created)
        groups->consumer.topics_created_offset = delta->after->offset;
}

void consumer_groups_loaded(struct groups *groups)
{
    const struct image *image = coordinator_image(groups->coordinator);
    groups->consumer.topics_created_offset = image->offset;
    map_for_each(entry, &groups->by_id)
    {
        const struct group *group = entry->value;
        if (group->type != GROUP_CONSUMER)
            continue;
        map_for_each(place, &group->consumer->members)
        {
            struct consumer_member *member = place->value;
            if (!member->listed)
                continue;
            consumer_member_touch(member);
            consumer_member_watch_revocation(member);
        }
    }
}
