/*
 * OffsetFetch: what groups have committed (consumer/offset_fetch.c). Since version 8 a request asks
 * for several groups, each at its coordinator; before, for one, and the answer has another shape.
 * Since version 10 topics are named by id (KIP-848); ids that nobody knows are answered here.
 */
#include "protocol/messages/offset_fetch.h"

#include "broker/coordinator_part.h"
#include "broker/shard.h"
#include "consumer/group_requests.h"

API_CODEC(offset_fetch);

enum { GROUPS_SINCE_VERSION = 8, TOPIC_ID_SINCE_VERSION = 10, GROUP_ERROR_SINCE_VERSION = 2 };

/* One group of the request. */
struct fetch_group {
    struct coordinator_item item;
    struct offset_question question;
    struct offset_fetch_response_group answer;
    const struct offset_fetch_request_topics *unknown; /* of these ids; in the request's order */
    size_t unknown_count;
};

struct fetch_context {
    struct coordinator_items items;
    struct fetch_group *groups;
    size_t group_count;
};

static bool is_by_id(const struct request *request)
{
    return request_version(request) >= TOPIC_ID_SINCE_VERSION;
}

/* ---- Asking ---- */

/* Fills a topic of the question; false when its id is not known. */
static bool ask_topic(struct request *request, struct offset_question_topic *out,
                      const struct offset_fetch_request_topics *topic)
{
    const struct image_topic *found =
        is_by_id(request) ? image_topic_by_id(request->shard->image, topic->topic_id) : NULL;
    if (!found && is_by_id(request))
        return false;
    /* The image may go while the coordinator is asked. */
    out->name = found ? arena_copy(&request->arena, found->name) : topic->name;
    out->id = found ? found->id : UUID_ZERO;
    out->partitions = topic->partition_indexes;
    out->partition_count = topic->partition_indexes_count;
    return true;
}

static void ask_group(struct request *request, struct fetch_group *group,
                      const struct offset_fetch_request_group *asked)
{
    struct fetch_context *context = request->context;
    struct offset_question_topic *topics =
        request_get(request, asked->topics_count, sizeof(*topics));
    struct offset_fetch_request_topics *unknown =
        request_get(request, asked->topics_count, sizeof(*unknown));
    group->question.group_id = asked->group_id;
    group->question.member_id = asked->member_id;
    group->question.member_epoch = asked->member_epoch;
    group->question.all_topics = !asked->topics;
    group->question.require_stable = REQUEST_MESSAGE(offset_fetch, request)->require_stable;
    group->question.topics = topics;
    group->unknown = unknown;
    for (size_t i = 0; i < asked->topics_count; i++) {
        if (ask_topic(request, &topics[group->question.topic_count], &asked->topics[i]))
            group->question.topic_count++;
        else
            unknown[group->unknown_count++] = asked->topics[i];
    }
    offset_fetch_response_group_init(&group->answer);
    coordinator_items_place(request, &context->items, &group->item, COORDINATOR_GROUPS,
                            asked->group_id, &group->question, &group->answer);
}

/* The group of a request before version 8, in the later form. */
static void group_of_old(struct request *request, struct offset_fetch_request_group *out)
{
    const struct offset_fetch_request *message = REQUEST_MESSAGE(offset_fetch, request);
    offset_fetch_request_group_init(out);
    out->group_id = message->group_id;
    out->topics_count = message->topics_count;
    out->topics =
        message->topics ? request_get(request, message->topics_count, sizeof(*out->topics)) : NULL;
    for (size_t i = 0; i < message->topics_count; i++) {
        offset_fetch_request_topics_init(&out->topics[i]);
        out->topics[i].name = message->topics[i].name;
        out->topics[i].partition_indexes = message->topics[i].partition_indexes;
        out->topics[i].partition_indexes_count = message->topics[i].partition_indexes_count;
    }
}

static void offset_fetch_split(struct request *request)
{
    const struct offset_fetch_request *message = REQUEST_MESSAGE(offset_fetch, request);
    bool has_groups = request_version(request) >= GROUPS_SINCE_VERSION;
    struct fetch_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    context->group_count = has_groups ? message->groups_count : 1;
    context->groups = request_get(request, context->group_count, sizeof(*context->groups));
    if (has_groups) {
        for (size_t i = 0; i < context->group_count; i++)
            ask_group(request, &context->groups[i], &message->groups[i]);
    } else {
        struct offset_fetch_request_group group;
        group_of_old(request, &group);
        ask_group(request, &context->groups[0], &group);
    }
    coordinator_items_post(request, &context->items);
}

static void offset_fetch_at(void *groups, struct coordinator_call *call)
{
    offset_fetch(groups, call);
}

static void offset_fetch_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, offset_fetch_at);
}

/* ---- Answering ---- */

static void add_failed_topic(struct request *request, struct offset_fetch_response_topics *out,
                             struct view name, struct uuid id, const int32_t *partitions,
                             size_t count, enum kafka_error error)
{
    offset_fetch_response_topics_init(out);
    out->name = name;
    out->topic_id = id;
    out->partitions_count = count;
    out->partitions = request_get(request, count, sizeof(*out->partitions));
    for (size_t i = 0; i < count; i++) {
        struct offset_fetch_response_partitions *partition = &out->partitions[i];
        offset_fetch_response_partitions_init(partition);
        partition->partition_index = partitions[i];
        partition->committed_offset = -1;
        partition->metadata = VIEW_LITERAL("");
        partition->error_code = (int16_t)error;
    }
}

/* All topics of a group, as ids: those that are known by now. */
static void find_ids(const struct request *request, struct offset_fetch_response_group *answer)
{
    size_t count = 0;
    for (size_t i = 0; i < answer->topics_count; i++) {
        const struct image_topic *topic =
            image_topic_by_name(request->shard->image, answer->topics[i].name);
        if (!topic)
            continue;
        answer->topics[count] = answer->topics[i];
        answer->topics[count++].topic_id = topic->id;
    }
    answer->topics_count = count;
}

static void add_unknown(struct request *request, const struct fetch_group *group,
                        struct offset_fetch_response_group *answer)
{
    size_t count = answer->topics_count + group->unknown_count;
    struct offset_fetch_response_topics *topics = request_get(request, count, sizeof(*topics));
    if (answer->topics_count > 0)
        memcpy(topics, answer->topics, answer->topics_count * sizeof(*topics));
    for (size_t i = 0; i < group->unknown_count; i++) {
        const struct offset_fetch_request_topics *topic = &group->unknown[i];
        add_failed_topic(request, &topics[answer->topics_count + i], VIEW_LITERAL(""),
                         topic->topic_id, topic->partition_indexes, topic->partition_indexes_count,
                         KAFKA_ERROR_UNKNOWN_TOPIC_ID);
    }
    answer->topics = topics;
    answer->topics_count = count;
}

static struct offset_fetch_response_group answer_of(struct request *request,
                                                    const struct fetch_group *group)
{
    struct offset_fetch_response_group answer;
    enum kafka_error error = coordinator_item_answer(&group->item);
    if (error == KAFKA_ERROR_NONE) {
        answer = group->answer;
    } else {
        offset_fetch_response_group_init(&answer);
        answer.error_code = (int16_t)error;
    }
    answer.group_id = group->question.group_id;
    if (answer.error_code != KAFKA_ERROR_NONE) {
        answer.topics_count = 0;
        return answer;
    }
    if (is_by_id(request) && group->question.all_topics)
        find_ids(request, &answer);
    if (group->unknown_count > 0)
        add_unknown(request, group, &answer);
    return answer;
}

/* Version 1 has no place for an error but the partitions. */
static void spread_error(struct request *request, const struct fetch_group *group,
                         struct offset_fetch_response_group *answer)
{
    const struct offset_question *question = &group->question;
    answer->topics_count = question->topic_count;
    answer->topics = request_get(request, question->topic_count, sizeof(*answer->topics));
    for (size_t i = 0; i < question->topic_count; i++)
        add_failed_topic(request, &answer->topics[i], question->topics[i].name, UUID_ZERO,
                         question->topics[i].partitions, question->topics[i].partition_count,
                         (enum kafka_error)answer->error_code);
}

static void answer_old(struct request *request, struct offset_fetch_response *response)
{
    const struct fetch_context *context = request->context;
    struct offset_fetch_response_group group = answer_of(request, &context->groups[0]);
    if (group.error_code != KAFKA_ERROR_NONE &&
        request_version(request) < GROUP_ERROR_SINCE_VERSION)
        spread_error(request, &context->groups[0], &group);
    response->error_code = group.error_code;
    response->topics_count = group.topics_count;
    response->topics = request_get(request, group.topics_count, sizeof(*response->topics));
    for (size_t i = 0; i < group.topics_count; i++) {
        const struct offset_fetch_response_topics *topic = &group.topics[i];
        struct offset_fetch_response_topic *out = &response->topics[i];
        offset_fetch_response_topic_init(out);
        out->name = topic->name;
        out->partitions_count = topic->partitions_count;
        out->partitions = request_get(request, topic->partitions_count, sizeof(*out->partitions));
        for (size_t j = 0; j < topic->partitions_count; j++) {
            offset_fetch_response_partition_init(&out->partitions[j]);
            out->partitions[j].partition_index = topic->partitions[j].partition_index;
            out->partitions[j].committed_offset = topic->partitions[j].committed_offset;
            out->partitions[j].committed_leader_epoch = topic->partitions[j].committed_leader_epoch;
            out->partitions[j].metadata = topic->partitions[j].metadata;
            out->partitions[j].error_code = topic->partitions[j].error_code;
        }
    }
}

static void offset_fetch_join(struct request *request)
{
    const struct fetch_context *context = request->context;
    struct offset_fetch_response response;
    offset_fetch_response_init(&response);
    if (request_version(request) < GROUPS_SINCE_VERSION) {
        answer_old(request, &response);
    } else {
        response.groups_count = context->group_count;
        response.groups = request_get(request, context->group_count, sizeof(*response.groups));
        for (size_t i = 0; i < context->group_count; i++)
            response.groups[i] = answer_of(request, &context->groups[i]);
    }
    request_respond(request, &response);
}

const struct api_row api_row_offset_fetch = {
    API_ROW(offset_fetch, API_KEY_OFFSET_FETCH),
    .route = API_ROUTE_PARTITION,
    .split = offset_fetch_split,
    .part = offset_fetch_part,
    .join = offset_fetch_join,
};
