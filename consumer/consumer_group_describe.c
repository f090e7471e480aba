/* ConsumerGroupDescribe: one group of the request a call. */
#include "consumer/call_memory.h"
#include "consumer/consumer_group.h"
#include "consumer/consumer_group_target.h"
#include "consumer/consumer_groups.h"
#include "protocol/messages/consumer_group_describe.h"

static void describe_set(struct coordinator_call *call, const struct image *image,
                         const struct partition_set *set,
                         struct consumer_group_describe_response_assignment *out)
{
    out->topic_partitions = call_get(call, set->topic_count, sizeof(*out->topic_partitions));
    out->topic_partitions_count = 0;
    for (uint32_t t = 0; t < set->topic_count; t++) {
        const struct partition_set_topic *topic = &set->topics[t];
        const struct image_topic *known = image_topic_by_id(image, topic->id);
        if (!known)
            continue; /* deleted meanwhile */
        struct consumer_group_describe_response_topic_partitions *to =
            &out->topic_partitions[out->topic_partitions_count++];
        to->topic_id = topic->id;
        to->topic_name = call_copy(call, known->name);
        to->partitions = call_get(call, topic->count, sizeof(int32_t));
        memcpy(to->partitions, partition_set_of(set, topic), topic->count * sizeof(int32_t));
        to->partitions_count = topic->count;
    }
}

static void describe_member(struct coordinator_call *call, const struct consumer_member *member,
                            struct consumer_group_describe_response_member *out)
{
    const struct image *image = coordinator_image(member->group->groups->coordinator);
    const member_metadata *metadata = member->metadata;
    consumer_group_describe_response_member_init(out);
    out->member_id = call_copy(call, member->id);
    out->instance_id = call_copy(call, metadata->instance_id);
    out->rack_id = call_copy(call, metadata->rack_id);
    out->member_epoch = member->progress.epoch;
    out->client_id = call_copy(call, metadata->client_id);
    out->client_host = call_copy(call, metadata->client_host);
    size_t count = metadata->subscribed_topic_names_count;
    out->subscribed_topic_names = call_get(call, count, sizeof(struct view));
    out->subscribed_topic_names_count = count;
    for (size_t i = 0; i < count; i++)
        out->subscribed_topic_names[i] = call_copy(call, metadata->subscribed_topic_names[i]);
    out->subscribed_topic_regex = call_copy(call, metadata->subscribed_topic_regex);
    describe_set(call, image, member->progress.assigned, &out->assignment);
    describe_set(call, image, member->target, &out->target_assignment);
    out->member_type = consumer_member_is_classic(member) ? 0 : 1;
}

void consumer_group_describe(struct groups *groups, struct coordinator_call *call)
{
    const struct view *id = call->request;
    struct consumer_group_describe_response_described_group *out = call->response;
    out->group_id = *id;
    const struct group *group = groups_find(groups, *id);
    if (!group || group->type != GROUP_CONSUMER) {
        out->error_code = KAFKA_ERROR_GROUP_ID_NOT_FOUND;
        out->error_message = VIEW_LITERAL("There is no such consumer group.");
        coordinator_answer(groups->coordinator, call);
        return;
    }
    const struct consumer_group *consumer = group->consumer;
    struct subscription_change nothing = {.leaving_count = 0};
    out->group_state = consumer_group_state_name(consumer_group_state(consumer));
    out->group_epoch = consumer->epoch;
    out->assignment_epoch = consumer->assignment_epoch;
    out->assignor_name = assignor_name(consumer_group_assignor(consumer, &nothing));
    out->members = call_get(call, consumer->member_count, sizeof(*out->members));
    map_for_each(entry, &consumer->members)
    {
        const struct consumer_member *member = entry->value;
        if (member->listed)
            describe_member(call, member, &out->members[out->members_count++]);
    }
    coordinator_answer(groups->coordinator, call);
}
