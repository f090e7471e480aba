/* JoinGroup: a member comes to a classic group (consumer/join_group.c). */
#include "protocol/messages/join_group.h"

#include "broker/coordinator_part.h"
#include "consumer/group_requests.h"

API_CODEC(join_group);

static void join_group_split(struct request *request)
{
    const struct join_group_request *message = REQUEST_MESSAGE(join_group, request);
    struct join_group_response *response = request_get(request, 1, sizeof(*response));
    join_group_response_init(response);
    coordinator_ask(request, COORDINATOR_GROUPS, message->group_id, response);
}

static void join_group_at(void *groups, struct coordinator_call *call)
{
    join_group(groups, call);
}

static void join_group_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, join_group_at);
}

enum { NULL_PROTOCOL_SINCE_VERSION = 7 };

static void join_group_join(struct request *request)
{
    enum kafka_error error = coordinator_asked(request);
    struct join_group_response response;
    join_group_response_init(&response);
    response.protocol_name = VIEW_NULL;
    if (error == KAFKA_ERROR_NONE)
        response = *(const struct join_group_response *)coordinator_asked_response(request);
    else
        response.error_code = (int16_t)error;
    if (request_version(request) < NULL_PROTOCOL_SINCE_VERSION &&
        view_is_null(response.protocol_name))
        response.protocol_name = VIEW_LITERAL("");
    request_respond(request, &response);
}

const struct api_row api_row_join_group = {
    API_ROW(join_group, API_KEY_JOIN_GROUP),
    .route = API_ROUTE_PARTITION,
    .split = join_group_split,
    .part = join_group_part,
    .join = join_group_join,
    .abandon = coordinator_items_abandon,
};
