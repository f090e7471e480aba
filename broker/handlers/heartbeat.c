/* Heartbeat: a member of a classic group is alive (consumer/heartbeat.c). */
#include "protocol/messages/heartbeat.h"

#include "broker/coordinator_part.h"
#include "consumer/group_requests.h"

API_CODEC(heartbeat);

static void heartbeat_split(struct request *request)
{
    const struct heartbeat_request *message = REQUEST_MESSAGE(heartbeat, request);
    struct heartbeat_response *response = request_get(request, 1, sizeof(*response));
    heartbeat_response_init(response);
    coordinator_ask(request, COORDINATOR_GROUPS, message->group_id, response);
}

static void heartbeat_at(void *groups, struct coordinator_call *call)
{
    heartbeat(groups, call);
}

static void heartbeat_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, heartbeat_at);
}

/* While the group is loaded its members are believed: they would rebalance for nothing. */
static void heartbeat_join(struct request *request)
{
    enum kafka_error error = coordinator_asked(request);
    struct heartbeat_response response;
    heartbeat_response_init(&response);
    if (error == KAFKA_ERROR_NONE)
        response = *(const struct heartbeat_response *)coordinator_asked_response(request);
    else if (error != KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS)
        response.error_code = (int16_t)error;
    request_respond(request, &response);
}

const struct api_row api_row_heartbeat = {
    API_ROW(heartbeat, API_KEY_HEARTBEAT),
    .route = API_ROUTE_PARTITION,
    .split = heartbeat_split,
    .part = heartbeat_part,
    .join = heartbeat_join,
};
