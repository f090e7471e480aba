/* ConsumerGroupHeartbeat: a member of a consumer group joins, lives, leaves
 * (consumer/consumer_group_heartbeat.c). */
#include "protocol/messages/consumer_group_heartbeat.h"

#include "broker/consumer_protocol.h"
#include "broker/coordinator_part.h"
#include "consumer/consumer_groups.h"

API_CODEC(consumer_group_heartbeat);

static void respond_error(struct request *request, enum kafka_error error)
{
    struct consumer_group_heartbeat_response response;
    consumer_group_heartbeat_response_init(&response);
    response.error_code = (int16_t)error;
    request_respond(request, &response);
}

static void consumer_group_heartbeat_split(struct request *request)
{
    const struct consumer_group_heartbeat_request *message =
        REQUEST_MESSAGE(consumer_group_heartbeat, request);
    if (!consumer_protocol_is_served(request)) {
        respond_error(request, KAFKA_ERROR_UNSUPPORTED_VERSION);
        return;
    }
    struct consumer_group_heartbeat_response *response = request_get(request, 1, sizeof(*response));
    consumer_group_heartbeat_response_init(response);
    coordinator_ask(request, COORDINATOR_GROUPS, message->group_id, response);
}

static void consumer_group_heartbeat_at(void *groups, struct coordinator_call *call)
{
    consumer_group_heartbeat(groups, call);
}

static void consumer_group_heartbeat_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, consumer_group_heartbeat_at);
}

static void consumer_group_heartbeat_join(struct request *request)
{
    enum kafka_error error = coordinator_asked(request);
    if (error != KAFKA_ERROR_NONE) {
        respond_error(request, error);
        return;
    }
    struct consumer_group_heartbeat_response response =
        *(const struct consumer_group_heartbeat_response *)coordinator_asked_response(request);
    request_respond(request, &response);
}

const struct api_row api_row_consumer_group_heartbeat = {
    API_ROW(consumer_group_heartbeat, API_KEY_CONSUMER_GROUP_HEARTBEAT),
    .route = API_ROUTE_PARTITION,
    .split = consumer_group_heartbeat_split,
    .part = consumer_group_heartbeat_part,
    .join = consumer_group_heartbeat_join,
};
