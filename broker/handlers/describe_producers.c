/*
 * DescribeProducers: the producers that partitions remember, for tools that look for hanging
 * transactions (KIP-664). Followers remember them too, and tell: a tool may ask one broker about
 * all that it holds.
 */
#include "protocol/messages/describe_producers.h"

#include "broker/handlers/partition_items.h"
#include "broker/shard.h"
#include "cluster/metadata/topic_name.h"

API_CODEC(describe_producers);

struct describe_item {
    struct partition_item item;
    const char *message; /* what is wrong with the topic, or NULL */
    struct describe_producers_response_producer_state *producers; /* in the part's arena */
    size_t producers_count;
};

struct describe_context {
    struct partition_items items;
    struct describe_item *list; /* in the order of the request */
};

static void fill_producer(const struct producer_info *info,
                          struct describe_producers_response_producer_state *out)
{
    describe_producers_response_producer_state_init(out);
    out->producer_id = info->producer_id;
    out->producer_epoch = info->producer_epoch;
    out->last_sequence = info->last_sequence;
    out->last_timestamp = info->timestamp_ms;
    out->coordinator_epoch = info->coordinator_epoch;
    out->current_txn_start_offset = info->transaction_first_offset;
}

static void list_producers(struct partition_item *base, struct replica *replica)
{
    struct describe_item *item = container_of(base, struct describe_item, item);
    const struct producer_state *state = partition_log_producers(replica->log);
    item->producers =
        arena_get_array(&base->part->part.arena, state->producer_count, sizeof(*item->producers));
    if (!item->producers) {
        base->error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
        partition_item_done(base);
        return;
    }
    for (const struct producer *producer = producer_state_next(state, NULL); producer;
         producer = producer_state_next(state, producer)) {
        struct producer_info info = producer_describe(producer);
        fill_producer(&info, &item->producers[item->producers_count++]);
    }
    partition_item_done(base);
}

static void describe_producers_part(struct part *part, struct loop *at)
{
    partition_part_run_any(part, at, list_producers);
}

static void describe_producers_split(struct request *request)
{
    const struct describe_producers_request *message = REQUEST_MESSAGE(describe_producers, request);
    struct describe_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    size_t count = 0;
    for (size_t i = 0; i < message->topics_count; i++)
        count += message->topics[i].partition_indexes_count;
    context->list = request_get(request, count, sizeof(*context->list));
    struct describe_item *item = context->list;
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct describe_producers_request_topic_request *topic = &message->topics[i];
        const char *fault = topic_name_fault(topic->name);
        bool is_known = image_topic_by_name(request->shard->image, topic->name) != NULL;
        for (size_t j = 0; j < topic->partition_indexes_count; j++, item++) {
            item->message = fault ? fault : is_known ? NULL : "there is no such topic";
            partition_items_place(request, &context->items, &item->item, topic->name,
                                  topic->partition_indexes[j], -1);
            if (fault)
                item->item.error = KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
        }
    }
    partition_items_post(request, &context->items);
}

static void fill_partition(const struct describe_item *item,
                           struct describe_producers_response_partition_response *out)
{
    describe_producers_response_partition_response_init(out);
    out->partition_index = item->item.partition;
    out->error_code = (int16_t)partition_item_answer(&item->item);
    if (item->message)
        out->error_message = view_of_string(item->message);
    if (out->error_code != KAFKA_ERROR_NONE)
        return;
    out->active_producers = item->producers;
    out->active_producers_count = item->producers_count;
}

static void describe_producers_join(struct request *request)
{
    const struct describe_producers_request *message = REQUEST_MESSAGE(describe_producers, request);
    const struct describe_context *context = request->context;
    struct describe_producers_response response;
    describe_producers_response_init(&response);
    response.topics_count = message->topics_count;
    response.topics = request_get(request, response.topics_count, sizeof(*response.topics));
    const struct describe_item *item = context->list;
    for (size_t i = 0; i < message->topics_count; i++) {
        struct describe_producers_response_topic_response *topic = &response.topics[i];
        describe_producers_response_topic_response_init(topic);
        topic->name = message->topics[i].name;
        topic->partitions_count = message->topics[i].partition_indexes_count;
        topic->partitions =
            request_get(request, topic->partitions_count, sizeof(*topic->partitions));
        for (size_t j = 0; j < topic->partitions_count; j++, item++)
            fill_partition(item, &topic->partitions[j]);
    }
    request_respond(request, &response);
}

const struct api_row api_row_describe_producers = {
    API_ROW(describe_producers, API_KEY_DESCRIBE_PRODUCERS),
    .route = API_ROUTE_PARTITION,
    .split = describe_producers_split,
    .part = describe_producers_part,
    .join = describe_producers_join,
};
