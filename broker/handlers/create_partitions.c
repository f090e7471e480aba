/* CreatePartitions: decided by the controller, answered when every shard shows the partitions. */
#include "protocol/messages/create_partitions.h"

#include "broker/controller_part.h"
#include "cluster/controller/create_partitions.h"

API_CODEC(create_partitions);

static void create_partitions_split(struct request *request)
{
    controller_part_post_until(request, request->message, sizeof(struct create_partitions_response),
                               REQUEST_MESSAGE(create_partitions, request)->timeout_ms);
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_create_partitions(decision, message, response);
}

static void create_partitions_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

/* Every topic gets the error. */
static void refuse_all(struct request *request, enum kafka_error error)
{
    const struct create_partitions_request *message = REQUEST_MESSAGE(create_partitions, request);
    struct create_partitions_response response;
    create_partitions_response_init(&response);
    response.results = request_get(request, message->topics_count, sizeof(*response.results));
    response.results_count = message->topics_count;
    for (size_t i = 0; i < message->topics_count; i++)
        response.results[i] = (struct create_partitions_response_create_partitions_topic_result){
            message->topics[i].name, (int16_t)error, view_of_string(kafka_error_text(error))};
    request_respond(request, &response);
}

static void create_partitions_join(struct request *request)
{
    enum kafka_error error;
    const struct create_partitions_response *response = controller_part_response(request, &error);
    if (response)
        request_respond(request, response);
    else
        refuse_all(request, error);
}

const struct api_row api_row_create_partitions = {
    API_ROW(create_partitions, API_KEY_CREATE_PARTITIONS),
    .route = API_ROUTE_CONTROLLER,
    .split = create_partitions_split,
    .part = create_partitions_part,
    .join = create_partitions_join,
    .arrived = controller_part_arrived,
    .release = controller_part_release,
};
