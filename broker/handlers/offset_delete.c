/*
 * OffsetDelete: takes committed offsets away (consumer/offset_delete.c). Topics that do not exist
 * are answered here, the others by the group's coordinator; an error of the group stands for all.
 */
#include "protocol/messages/offset_delete.h"

#include "broker/coordinator_part.h"
#include "broker/shard.h"
#include "broker/topic_split.h"
#include "consumer/group_requests.h"

API_CODEC(offset_delete);

struct delete_context {
    struct coordinator_items items;
    struct coordinator_item item;
    struct offset_delete_request asked;
    struct topic_split split; /* of the request */
    struct offset_delete_response answer;
};

/* Partitions that exist are what the coordinator is asked about. */
static void ask_topic(struct request *request, struct offset_delete_request *asked,
                      const struct offset_delete_request_topic *topic, int16_t *errors)
{
    struct offset_delete_request_topic *out = &asked->topics[asked->topics_count];
    *out = *topic;
    out->partitions = request_get(request, topic->partitions_count, sizeof(*out->partitions));
    out->partitions_count = 0;
    for (size_t i = 0; i < topic->partitions_count; i++) {
        bool is_there = image_partition_by_name(request->shard->image, topic->name,
                                                topic->partitions[i].partition_index) != NULL;
        errors[i] = is_there ? KAFKA_ERROR_NONE : KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        if (is_there)
            out->partitions[out->partitions_count++] = topic->partitions[i];
    }
    if (out->partitions_count > 0)
        asked->topics_count++;
}

static void offset_delete_split(struct request *request)
{
    const struct offset_delete_request *message = REQUEST_MESSAGE(offset_delete, request);
    struct delete_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    context->asked = *message;
    context->asked.topics =
        request_get(request, message->topics_count, sizeof(*context->asked.topics));
    context->asked.topics_count = 0;
    topic_split_init(&context->split, &request->arena, message->topics_count);
    for (size_t i = 0; i < message->topics_count; i++)
        ask_topic(request, &context->asked, &message->topics[i],
                  topic_split_add(&context->split, message->topics[i].partitions_count));
    offset_delete_response_init(&context->answer);
    coordinator_items_place(request, &context->items, &context->item, COORDINATOR_GROUPS,
                            message->group_id, &context->asked, &context->answer);
    coordinator_items_post(request, &context->items);
}

static void offset_delete_at(void *groups, struct coordinator_call *call)
{
    offset_delete(groups, call);
}

static void offset_delete_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, offset_delete_at);
}

/* The topic of the answer for one of the request, added when it is not there yet. */
static struct offset_delete_response_topic *
topic_of(struct request *request, struct offset_delete_response *response,
         struct offset_delete_response_topic **known,
         const struct offset_delete_request_topic *topic)
{
    if (*known)
        return *known;
    *known = &response->topics[response->topics_count++];
    offset_delete_response_topic_init(*known);
    (*known)->name = topic->name;
    (*known)->partitions =
        request_get(request, topic->partitions_count, sizeof(*(*known)->partitions));
    return *known;
}

static void add_partition(struct offset_delete_response_topic *topic, int32_t partition,
                          int16_t error)
{
    struct offset_delete_response_partition *out = &topic->partitions[topic->partitions_count++];
    offset_delete_response_partition_init(out);
    out->partition_index = partition;
    out->error_code = error;
}

/* What does not exist comes first, as in Kafka, then what the coordinator was asked about. */
static void fill(struct request *request, const struct delete_context *context,
                 struct offset_delete_response *response)
{
    const struct offset_delete_request *message = REQUEST_MESSAGE(offset_delete, request);
    struct offset_delete_response_topic **known =
        request_get(request, message->topics_count, sizeof(struct offset_delete_response_topic *));
    response->topics = request_get(request, message->topics_count, sizeof(*response->topics));
    struct topic_walk at = topic_walk_of(&context->split, TOPIC_WALK_REFUSED_FIRST);
    while (topic_walk_next(&at)) {
        const struct offset_delete_request_topic *topic = &message->topics[at.topic];
        int16_t error = (int16_t)at.error;
        if (error == KAFKA_ERROR_NONE)
            error =
                context->answer.topics[at.asked_topic].partitions[at.asked_partition].error_code;
        add_partition(topic_of(request, response, &known[at.topic], topic),
                      topic->partitions[at.partition].partition_index, error);
    }
}

static void offset_delete_join(struct request *request)
{
    const struct delete_context *context = request->context;
    struct offset_delete_response response;
    offset_delete_response_init(&response);
    response.error_code = (int16_t)coordinator_item_answer(&context->item);
    if (response.error_code == KAFKA_ERROR_NONE)
        response.error_code = context->answer.error_code;
    if (response.error_code == KAFKA_ERROR_NONE)
        fill(request, context, &response);
    request_respond(request, &response);
}

const struct api_row api_row_offset_delete = {
    API_ROW(offset_delete, API_KEY_OFFSET_DELETE),
    .route = API_ROUTE_PARTITION,
    .split = offset_delete_split,
    .part = offset_delete_part,
    .join = offset_delete_join,
};
