/* ElectLeaders: decided by the controller, answered when every shard shows the leaders. */
#include "protocol/messages/elect_leaders.h"

#include "broker/controller_part.h"
#include "cluster/controller/elect_leaders.h"

API_CODEC(elect_leaders);

static void elect_leaders_split(struct request *request)
{
    controller_part_post_until(request, request->message, sizeof(struct elect_leaders_response),
                               REQUEST_MESSAGE(elect_leaders, request)->timeout_ms);
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_elect_leaders(decision, message, response);
}

static void elect_leaders_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

/* Version 0 has no error for all: there every listed partition gets it. */
static void refuse_all(struct request *request, enum kafka_error error)
{
    const struct elect_leaders_request *message = REQUEST_MESSAGE(elect_leaders, request);
    struct elect_leaders_response response;
    elect_leaders_response_init(&response);
    if (request_version(request) >= 1)
        response.error_code = (int16_t)error;
    size_t count = message->topic_partitions ? message->topic_partitions_count : 0;
    response.replica_election_results =
        request_get(request, count, sizeof(*response.replica_election_results));
    response.replica_election_results_count = count;
    for (size_t i = 0; i < count; i++) {
        const struct elect_leaders_request_topic_partitions *asked = &message->topic_partitions[i];
        struct elect_leaders_response_replica_election_result *out =
            &response.replica_election_results[i];
        out->topic = asked->topic;
        out->partition_result =
            request_get(request, asked->partitions_count, sizeof(*out->partition_result));
        out->partition_result_count = asked->partitions_count;
        for (size_t k = 0; k < asked->partitions_count; k++)
            out->partition_result[k] = (struct elect_leaders_response_partition_result){
                asked->partitions[k], (int16_t)error, view_of_string(kafka_error_text(error))};
    }
    request_respond(request, &response);
}

static void elect_leaders_join(struct request *request)
{
    enum kafka_error error;
    const struct elect_leaders_response *response = controller_part_response(request, &error);
    if (response)
        request_respond(request, response);
    else
        refuse_all(request, error);
}

const struct api_row api_row_elect_leaders = {
    API_ROW(elect_leaders, API_KEY_ELECT_LEADERS),
    .route = API_ROUTE_CONTROLLER,
    .split = elect_leaders_split,
    .part = elect_leaders_part,
    .join = elect_leaders_join,
    .arrived = controller_part_arrived,
    .release = controller_part_release,
};
