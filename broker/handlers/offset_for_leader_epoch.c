/*
 * OffsetForLeaderEpoch: where a leader epoch ends in the leader's log. Consumers and followers find
 * with it how far their own history agrees with the leader's (KIP-101, KIP-279, KIP-320).
 */
#include "protocol/messages/offset_for_leader_epoch.h"

#include "broker/handlers/partition_items.h"

API_CODEC(offset_for_leader_epoch);

struct epoch_item {
    struct partition_item item;
    int32_t asked_epoch;
    int32_t found_epoch;
    int64_t end_offset;
};

struct epoch_context {
    struct partition_items items;
    struct epoch_item *list; /* in the order of the request */
};

static void look_up(struct partition_item *base, struct replica *replica)
{
    struct epoch_item *item = container_of(base, struct epoch_item, item);
    partition_log_epoch_end(replica->log, item->asked_epoch, &item->found_epoch, &item->end_offset);
    partition_item_done(base);
}

static void offset_for_leader_epoch_part(struct part *part, struct loop *at)
{
    partition_part_run(part, at, look_up);
}

static void offset_for_leader_epoch_split(struct request *request)
{
    const struct offset_for_leader_epoch_request *message =
        REQUEST_MESSAGE(offset_for_leader_epoch, request);
    struct epoch_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    size_t count = 0;
    for (size_t i = 0; i < message->topics_count; i++)
        count += message->topics[i].partitions_count;
    context->list = request_get(request, count, sizeof(*context->list));
    struct epoch_item *item = context->list;
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct offset_for_leader_epoch_request_offset_for_leader_topic *topic =
            &message->topics[i];
        for (size_t j = 0; j < topic->partitions_count; j++, item++) {
            const struct offset_for_leader_epoch_request_offset_for_leader_partition *asked =
                &topic->partitions[j];
            item->asked_epoch = asked->leader_epoch;
            item->found_epoch = -1;
            item->end_offset = -1;
            partition_items_place(request, &context->items, &item->item, topic->topic,
                                  asked->partition, asked->current_leader_epoch);
        }
    }
    partition_items_post(request, &context->items);
}

static void offset_for_leader_epoch_join(struct request *request)
{
    const struct offset_for_leader_epoch_request *message =
        REQUEST_MESSAGE(offset_for_leader_epoch, request);
    const struct epoch_context *context = request->context;
    struct offset_for_leader_epoch_response response;
    offset_for_leader_epoch_response_init(&response);
    response.topics_count = message->topics_count;
    response.topics = request_get(request, response.topics_count, sizeof(*response.topics));
    const struct epoch_item *item = context->list;
    for (size_t i = 0; i < message->topics_count; i++) {
        struct offset_for_leader_epoch_response_offset_for_leader_topic_result *topic =
            &response.topics[i];
        offset_for_leader_epoch_response_offset_for_leader_topic_result_init(topic);
        topic->topic = message->topics[i].topic;
        topic->partitions_count = message->topics[i].partitions_count;
        topic->partitions =
            request_get(request, topic->partitions_count, sizeof(*topic->partitions));
        for (size_t j = 0; j < topic->partitions_count; j++, item++) {
            struct offset_for_leader_epoch_response_epoch_end_offset *out = &topic->partitions[j];
            offset_for_leader_epoch_response_epoch_end_offset_init(out);
            out->partition = item->item.partition;
            out->error_code = (int16_t)partition_item_answer(&item->item);
            if (out->error_code != KAFKA_ERROR_NONE)
                continue;
            out->leader_epoch = item->found_epoch;
            out->end_offset = item->end_offset;
        }
    }
    request_respond(request, &response);
}

const struct api_row api_row_offset_for_leader_epoch = {
    API_ROW(offset_for_leader_epoch, API_KEY_OFFSET_FOR_LEADER_EPOCH),
    .route = API_ROUTE_PARTITION,
    .split = offset_for_leader_epoch_split,
    .part = offset_for_leader_epoch_part,
    .join = offset_for_leader_epoch_join,
};
