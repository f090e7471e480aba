/*
 * OffsetDelete: takes committed offsets away (consumer/offset_delete.c). Topics that do not exist
 * are answered here, the others by the group's coordinator; an error of the group stands for all.
 */
#include "protocol/messages/offset_delete.h"

#include "broker/coordinator_part.h"
#include "broker/shard.h"
#include "consumer/group_requests.h"

API_CODEC(offset_delete);

struct delete_context {
    struct coordinator_items items;
    struct coordinator_item item;
    struct offset_delete_request asked;
    bool *is_asked; /* per partition of the request, in order */
    struct offset_delete_response answer;
};

/* Partitions that exist are what the coordinator is asked about. */
static void ask_topic(struct request *request, struct offset_delete_request *asked,
                      const struct offset_delete_request_topic *topic, bool *is_asked)
{
    struct offset_delete_request_topic *out = &asked->topics[asked->topics_count];
    *out = *topic;
    out->partitions = request_get(request, topic->partitions_count, sizeof(*out->partitions));
    out->partitions_count = 0;
    for (size_t i = 0; i < topic->partitions_count; i++) {
        is_asked[i] = image_partition_by_name(request->shard->image, topic->name,
                                              topic->partitions[i].partition_index) != NULL;
        if (is_asked[i])
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
    size_t count = 0;
    for (size_t i = 0; i < message->topics_count; i++)
        count += message->topics[i].partitions_count;
    bool *is_asked = context->is_asked = request_get(request, count, sizeof(*is_asked));
    for (size_t i = 0; i < message->topics_count; i++) {
        ask_topic(request, &context->asked, &message->topics[i], is_asked);
        is_asked += message->topics[i].partitions_count;
    }
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

/* The coordinator's answers are in the order in which it was asked; what it was not asked about
 * does not exist. */
struct answer_cursor {
    const struct offset_delete_response *answer;
    size_t topic;
    size_t partition;
};

static int16_t next_error(struct answer_cursor *cursor)
{
    const struct offset_delete_response_topic *topic = &cursor->answer->topics[cursor->topic];
    int16_t error = topic->partitions[cursor->partition++].error_code;
    if (cursor->partition == topic->partitions_count) {
        cursor->partition = 0;
        cursor->topic++;
    }
    return error;
}

static void fill(struct request *request, const struct delete_context *context,
                 struct offset_delete_response *response)
{
    const struct offset_delete_request *message = REQUEST_MESSAGE(offset_delete, request);
    const bool *is_asked = context->is_asked;
    struct answer_cursor cursor = {.answer = &context->answer};
    response->topics_count = message->topics_count;
    response->topics = request_get(request, message->topics_count, sizeof(*response->topics));
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct offset_delete_request_topic *topic = &message->topics[i];
        struct offset_delete_response_topic *out = &response->topics[i];
        offset_delete_response_topic_init(out);
        out->name = topic->name;
        out->partitions_count = topic->partitions_count;
        out->partitions = request_get(request, topic->partitions_count, sizeof(*out->partitions));
        for (size_t j = 0; j < topic->partitions_count; j++) {
            offset_delete_response_partition_init(&out->partitions[j]);
            out->partitions[j].partition_index = topic->partitions[j].partition_index;
            out->partitions[j].error_code =
                *is_asked++ ? next_error(&cursor) : (int16_t)KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        }
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
