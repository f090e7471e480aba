/*
 * DescribeCluster: the brokers and the controller, from the image that is shown here; on a
 * controller listener the controllers instead.
 */
#include "protocol/messages/describe_cluster.h"

#include "broker/authorized_operations.h"
#include "broker/endpoint.h"
#include "broker/request.h"

API_CODEC(describe_cluster);

enum { ENDPOINT_BROKERS = 1, ENDPOINT_CONTROLLERS = 2 };

static void list_brokers(struct request *request, struct describe_cluster_response *response)
{
    const struct describe_cluster_request *message = REQUEST_MESSAGE(describe_cluster, request);
    const struct image *image = request_image(request);
    response->brokers = request_get(request, image->brokers.count, sizeof(*response->brokers));
    struct image_walk walk;
    image_walk_start(&image->brokers, &walk);
    for (const struct image_node *node = image_walk_next_node(&walk); node;
         node = image_walk_next_node(&walk)) {
        struct endpoint endpoint;
        bool is_wanted = !node->fenced || message->include_fenced_brokers;
        if (!is_wanted || !endpoint_for_client(request, node, &endpoint))
            continue;
        response->brokers[response->brokers_count++] =
            (struct describe_cluster_response_describe_cluster_broker){
                .broker_id = node->id,
                .host = endpoint.host,
                .port = endpoint.port,
                .rack = node->rack,
                .is_fenced = node->fenced,
            };
    }
}

/* Controllers by the addresses that they have registered (KIP-919). */
static void list_controllers(struct request *request, struct describe_cluster_response *response)
{
    const struct image *image = request_image(request);
    response->brokers = request_get(request, image->controllers.count, sizeof(*response->brokers));
    struct image_walk walk;
    image_walk_start(&image->controllers, &walk);
    for (const struct image_node *node = image_walk_next_node(&walk); node;
         node = image_walk_next_node(&walk)) {
        struct endpoint endpoint;
        if (endpoint_for_client(request, node, &endpoint))
            response->brokers[response->brokers_count++] =
                (struct describe_cluster_response_describe_cluster_broker){
                    .broker_id = node->id,
                    .host = endpoint.host,
                    .port = endpoint.port,
                    .rack = VIEW_NULL,
                };
    }
}

static void refuse(struct request *request, enum kafka_error error)
{
    struct describe_cluster_response response;
    describe_cluster_response_init(&response);
    response.error_code = (int16_t)error;
    response.error_message = view_of_string(kafka_error_text(error));
    request_respond(request, &response);
}

static void describe_cluster_split(struct request *request)
{
    const struct describe_cluster_request *message = REQUEST_MESSAGE(describe_cluster, request);
    bool at_controller = front_is_controllers(request->front);
    int8_t served = at_controller ? ENDPOINT_CONTROLLERS : ENDPOINT_BROKERS;
    if (message->endpoint_type != served) {
        bool is_known = message->endpoint_type == ENDPOINT_BROKERS ||
                        message->endpoint_type == ENDPOINT_CONTROLLERS;
        refuse(request, is_known ? KAFKA_ERROR_MISMATCHED_ENDPOINT_TYPE
                                 : KAFKA_ERROR_UNSUPPORTED_ENDPOINT_TYPE);
        return;
    }
    struct describe_cluster_response response;
    describe_cluster_response_init(&response);
    response.endpoint_type = message->endpoint_type;
    response.cluster_id = request_image(request)->cluster_id;
    response.controller_id =
        at_controller ? request_image(request)->controller_id : endpoint_controller_id(request);
    if (message->include_cluster_authorized_operations)
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    if (at_controller)
        list_controllers(request, &response);
    else
        list_brokers(request, &response);
    request_respond(request, &response);
}

const struct api_row api_row_describe_cluster = {
    API_ROW(describe_cluster, API_KEY_DESCRIBE_CLUSTER),
    .route = API_ROUTE_HERE,
    .split = describe_cluster_split,
};
