/* CreateTopics: decided by the controller, answered when every shard shows the topics. */
#include "protocol/messages/create_topics.h"

#include "broker/controller_part.h"
#include "cluster/controller/create_topics.h"

API_CODEC(create_topics);

static void create_topics_split(struct request *request)
{
    controller_part_post_until(request, request->message, sizeof(struct create_topics_response),
                               REQUEST_MESSAGE(create_topics, request)->timeout_ms);
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_create_topics(decision, message, response);
}

static void create_topics_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

/* Every topic gets the error. */
static void refuse_all(struct request *request, enum kafka_error error)
{
    const struct create_topics_request *message = REQUEST_MESSAGE(create_topics, request);
    struct create_topics_response response;
    create_topics_response_init(&response);
    response.topics = request_get(request, message->topics_count, sizeof(*response.topics));
    response.topics_count = message->topics_count;
    for (size_t i = 0; i < message->topics_count; i++) {
        create_topics_response_creatable_topic_result_init(&response.topics[i]);
        response.topics[i].name = message->topics[i].name;
        response.topics[i].error_code = (int16_t)error;
        response.topics[i].error_message = view_of_string(kafka_error_text(error));
    }
    request_respond(request, &response);
}

static void create_topics_join(struct request *request)
{
    enum kafka_error error;
    const struct create_topics_response *response = controller_part_response(request, &error);
    if (response)
        request_respond(request, response);
    else
        refuse_all(request, error);
}

const struct api_row api_row_create_topics = {
    API_ROW(create_topics, API_KEY_CREATE_TOPICS),
    .route = API_ROUTE_CONTROLLER,
    .split = create_topics_split,
    .part = create_topics_part,
    .join = create_topics_join,
    .arrived = controller_part_arrived,
    .release = controller_part_release,
};
