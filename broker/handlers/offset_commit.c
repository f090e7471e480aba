/*
 * OffsetCommit: where a group has got to (consumer/offset_commit.c). Topics and partitions that do
 * not exist are answered here, each for itself; the group's coordinator is asked about the others,
 * by name and id. Its error for the whole request is that of every partition it was asked about.
 */
#include "protocol/messages/offset_commit.h"

#include "broker/coordinator_part.h"
#include "broker/shard.h"
#include "broker/topic_lookup.h"
#include "broker/topic_split.h"
#include "consumer/group_requests.h"

API_CODEC(offset_commit);

enum { TOPIC_ID_SINCE_VERSION = 10 };

struct commit_context {
    struct coordinator_items items;
    struct coordinator_item item;
    struct offset_commit_request asked;
    struct offset_commit_response answer;
    struct topic_split split; /* of the request */
};

/* Notes what is wrong with the topic's partitions and adds the others to what is asked. */
static void ask_topic(struct request *request, struct offset_commit_request *asked,
                      const struct offset_commit_request_topic *topic, int16_t *errors)
{
    bool by_id = request_version(request) >= TOPIC_ID_SINCE_VERSION;
    struct offset_commit_request_topic *out = &asked->topics[asked->topics_count];
    *out = *topic;
    out->partitions = request_get(request, topic->partitions_count, sizeof(*out->partitions));
    out->partitions_count = 0;
    for (size_t i = 0; i < topic->partitions_count; i++) {
        const struct image_topic *found;
        errors[i] =
            (int16_t)topic_lookup(request->shard->image, by_id, topic->topic_id, topic->name,
                                  topic->partitions[i].partition_index, &found);
        if (errors[i] != KAFKA_ERROR_NONE)
            continue;
        /* The image may go while the coordinator is asked. */
        if (out->partitions_count == 0)
            out->name = arena_copy(&request->arena, found->name);
        out->partitions[out->partitions_count++] = topic->partitions[i];
    }
    if (out->partitions_count > 0)
        asked->topics_count++;
}

static void offset_commit_join(struct request *request);

static void offset_commit_split(struct request *request)
{
    const struct offset_commit_request *message = REQUEST_MESSAGE(offset_commit, request);
    struct commit_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    context->asked = *message;
    context->asked.topics =
        request_get(request, message->topics_count, sizeof(*context->asked.topics));
    context->asked.topics_count = 0;
    topic_split_init(&context->split, &request->arena, message->topics_count);
    for (size_t i = 0; i < message->topics_count; i++)
        ask_topic(request, &context->asked, &message->topics[i],
                  topic_split_add(&context->split, message->topics[i].partitions_count));
    offset_commit_response_init(&context->answer);
    if (context->asked.topics_count == 0) {
        offset_commit_join(request);
        return;
    }
    coordinator_items_place(request, &context->items, &context->item, COORDINATOR_GROUPS,
                            message->group_id, &context->asked, &context->answer);
    coordinator_items_post(request, &context->items);
}

static void offset_commit_at(void *groups, struct coordinator_call *call)
{
    offset_commit(groups, call);
}

static void offset_commit_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, offset_commit_at);
}

/* ---- The answer ---- */

/* The topic of the answer for one of the request, added when it is not there yet. */
static struct offset_commit_response_topic *
topic_of(struct request *request, struct offset_commit_response *response,
         struct offset_commit_response_topic **known,
         const struct offset_commit_request_topic *topic)
{
    if (*known)
        return *known;
    *known = &response->topics[response->topics_count++];
    offset_commit_response_topic_init(*known);
    (*known)->name = topic->name;
    (*known)->topic_id = topic->topic_id;
    (*known)->partitions =
        request_get(request, topic->partitions_count, sizeof(*(*known)->partitions));
    return *known;
}

static void add_partition(struct offset_commit_response_topic *topic, int32_t partition,
                          int16_t error)
{
    struct offset_commit_response_partition *out = &topic->partitions[topic->partitions_count++];
    offset_commit_response_partition_init(out);
    out->partition_index = partition;
    out->error_code = error;
}

/* What was refused here comes first, as in Kafka, then what the coordinator was asked. */
static void fill(struct request *request, struct offset_commit_response *response)
{
    const struct offset_commit_request *message = REQUEST_MESSAGE(offset_commit, request);
    const struct commit_context *context = request->context;
    struct offset_commit_response_topic **known =
        request_get(request, message->topics_count, sizeof(struct offset_commit_response_topic *));
    response->topics = request_get(request, message->topics_count, sizeof(*response->topics));
    enum kafka_error whole = context->asked.topics_count == 0
                                 ? KAFKA_ERROR_NONE
                                 : coordinator_item_answer(&context->item);
    struct topic_walk at = topic_walk_of(&context->split, TOPIC_WALK_REFUSED_FIRST);
    while (topic_walk_next(&at)) {
        const struct offset_commit_request_topic *topic = &message->topics[at.topic];
        int16_t error = (int16_t)(at.error != KAFKA_ERROR_NONE ? at.error : whole);
        if (error == KAFKA_ERROR_NONE)
            error =
                context->answer.topics[at.asked_topic].partitions[at.asked_partition].error_code;
        add_partition(topic_of(request, response, &known[at.topic], topic),
                      topic->partitions[at.partition].partition_index, error);
    }
}

static void offset_commit_join(struct request *request)
{
    struct offset_commit_response response;
    offset_commit_response_init(&response);
    fill(request, &response);
    request_respond(request, &response);
}

const struct api_row api_row_offset_commit = {
    API_ROW(offset_commit, API_KEY_OFFSET_COMMIT),
    .route = API_ROUTE_PARTITION,
    .split = offset_commit_split,
    .part = offset_commit_part,
    .join = offset_commit_join,
};
