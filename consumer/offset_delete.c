/* OffsetDelete: takes committed offsets of partitions that no member reads away (KIP-496). */
#include "protocol/messages/offset_delete.h"

#include "consumer/call_memory.h"
#include "consumer/classic_subscription.h"
#include "consumer/consumer_classic.h"
#include "consumer/group_requests.h"

struct deletion {
    const struct group *group;
    struct classic_subscription subscription; /* of a classic group with members */
    bool has_subscription;
    struct coordinator_records records;
};

static enum kafka_error check(const struct group *group)
{
    if (!group)
        return KAFKA_ERROR_GROUP_ID_NOT_FOUND;
    if (group->type == GROUP_CLASSIC && group->classic->state != CLASSIC_EMPTY &&
        !classic_group_has_consumers(group->classic))
        return KAFKA_ERROR_NON_EMPTY_GROUP;
    return KAFKA_ERROR_NONE;
}

static bool is_subscribed(const struct deletion *deletion, struct view topic)
{
    if (deletion->group->type == GROUP_CONSUMER)
        return consumer_classic_subscribes(deletion->group, topic);
    return deletion->has_subscription && classic_subscription_has(&deletion->subscription, topic);
}

static enum kafka_error delete_one(struct deletion *deletion, struct view topic, int32_t partition)
{
    if (is_subscribed(deletion, topic))
        return KAFKA_ERROR_GROUP_SUBSCRIBED_TO_TOPIC;
    const struct topic_offsets *offsets = group_offsets_topic(deletion->group, topic);
    if (topic_offsets_find(offsets, partition) ||
        topic_offsets_are_pending(deletion->group, offsets, partition))
        group_offsets_put_tombstone(&deletion->records, deletion->group->id, topic, partition);
    return KAFKA_ERROR_NONE;
}

static void delete_all(struct deletion *deletion, struct coordinator_call *call)
{
    const struct offset_delete_request *message = call->request;
    struct offset_delete_response *response = call->response;
    response->topics_count = message->topics_count;
    response->topics = call_get(call, message->topics_count, sizeof(*response->topics));
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct offset_delete_request_topic *topic = &message->topics[i];
        struct offset_delete_response_topic *out = &response->topics[i];
        offset_delete_response_topic_init(out);
        out->name = topic->name;
        out->partitions_count = topic->partitions_count;
        out->partitions = call_get(call, topic->partitions_count, sizeof(*out->partitions));
        for (size_t j = 0; j < topic->partitions_count; j++) {
            int32_t partition = topic->partitions[j].partition_index;
            offset_delete_response_partition_init(&out->partitions[j]);
            out->partitions[j].partition_index = partition;
            out->partitions[j].error_code = (int16_t)delete_one(deletion, topic->name, partition);
        }
    }
}

void offset_delete(struct groups *groups, struct coordinator_call *call)
{
    const struct offset_delete_request *message = call->request;
    struct offset_delete_response *response = call->response;
    struct deletion deletion = {.group = groups_find(groups, message->group_id)};
    enum kafka_error error =
        message->group_id.size == 0 ? KAFKA_ERROR_INVALID_GROUP_ID : check(deletion.group);
    if (error == KAFKA_ERROR_NONE) {
        const struct group *group = deletion.group;
        deletion.has_subscription =
            group->type == GROUP_CLASSIC && group->classic->state != CLASSIC_EMPTY;
        if (deletion.has_subscription)
            classic_subscription_init(&deletion.subscription, group->classic);
        coordinator_records_begin(&deletion.records, groups->coordinator);
        delete_all(&deletion, call);
        if (deletion.has_subscription)
            classic_subscription_deinit(&deletion.subscription);
        error = coordinator_append(&deletion.records);
    }
    if (error != KAFKA_ERROR_NONE) {
        response->error_code = (int16_t)error;
        response->topics_count = 0;
    }
    coordinator_answer(groups->coordinator, call);
}
