/* SyncGroup: assignments of a classic group (consumer/sync_group.c). */
#include "protocol/messages/sync_group.h"

#include "broker/coordinator_part.h"
#include "consumer/group_requests.h"

API_CODEC(sync_group);

static void sync_group_split(struct request *request)
{
    const struct sync_group_request *message = REQUEST_MESSAGE(sync_group, request);
    struct sync_group_response *response = request_get(request, 1, sizeof(*response));
    sync_group_response_init(response);
    coordinator_ask(request, COORDINATOR_GROUPS, message->group_id, response);
}

static void sync_group_at(void *groups, struct coordinator_call *call)
{
    sync_group(groups, call);
}

static void sync_group_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, sync_group_at);
}

static void sync_group_join(struct request *request)
{
    enum kafka_error error = coordinator_asked(request);
    struct sync_group_response response;
    sync_group_response_init(&response);
    if (error == KAFKA_ERROR_NONE)
        response = *(const struct sync_group_response *)coordinator_asked_response(request);
    else
        response.error_code = (int16_t)error;
    request_respond(request, &response);
}

const struct api_row api_row_sync_group = {
    API_ROW(sync_group, API_KEY_SYNC_GROUP),
    .route = API_ROUTE_PARTITION,
    .split = sync_group_split,
    .part = sync_group_part,
    .join = sync_group_join,
    .abandon = coordinator_items_abandon,
};
