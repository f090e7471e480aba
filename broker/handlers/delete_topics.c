/* DeleteTopics: decided by the controller, answered when no shard shows the topics any more. */
#include "protocol/messages/delete_topics.h"

#include "broker/controller_part.h"
#include "cluster/controller/delete_topics.h"

API_CODEC(delete_topics);

static void delete_topics_split(struct request *request)
{
    controller_part_post_until(request, request->message, sizeof(struct delete_topics_response),
                               REQUEST_MESSAGE(delete_topics, request)->timeout_ms);
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_delete_topics(decision, message, decision->version, response);
}

static void delete_topics_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

/* Every topic gets the error. */
static void refuse_all(struct request *request, enum kafka_error error)
{
    const struct delete_topics_request *message = REQUEST_MESSAGE(delete_topics, request);
    bool has_entries = request_version(request) >= 6;
    size_t count = has_entries ? message->topics_count : message->topic_names_count;
    struct delete_topics_response response;
    delete_topics_response_init(&response);
    response.responses = request_get(request, count, sizeof(*response.responses));
    response.responses_count = count;
    for (size_t i = 0; i < count; i++) {
        delete_topics_response_deletable_topic_result_init(&response.responses[i]);
        response.responses[i].name =
            has_entries ? message->topics[i].name : message->topic_names[i];
        if (has_entries)
            response.responses[i].topic_id = message->topics[i].topic_id;
        response.responses[i].error_code = (int16_t)error;
        response.responses[i].error_message = view_of_string(kafka_error_text(error));
    }
    request_respond(request, &response);
}

static void delete_topics_join(struct request *request)
{
    enum kafka_error error;
    const struct delete_topics_response *response = controller_part_response(request, &error);
    if (response)
        request_respond(request, response);
    else
        refuse_all(request, error);
}

const struct api_row api_row_delete_topics = {
    API_ROW(delete_topics, API_KEY_DELETE_TOPICS),
    .route = API_ROUTE_CONTROLLER,
    .split = delete_topics_split,
    .part = delete_topics_part,
    .join = delete_topics_join,
    .arrived = controller_part_arrived,
    .release = controller_part_release,
};
