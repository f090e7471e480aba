/*
 * LeaveGroup: members leave a classic group (consumer/leave_group.c). Before version 3 a request
 * names one member, and its error is that of the request.
 */
#include "protocol/messages/leave_group.h"

#include "broker/coordinator_part.h"
#include "consumer/group_requests.h"

API_CODEC(leave_group);

enum { LIST_SINCE_VERSION = 3 };

struct leave_context {
    struct coordinator_items items;
    struct coordinator_item item;
    struct leave_group_request asked;
    struct leave_group_request_member_identity member;
    struct leave_group_response response;
};

static void leave_group_split(struct request *request)
{
    const struct leave_group_request *message = REQUEST_MESSAGE(leave_group, request);
    struct leave_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    context->asked = *message;
    if (request_version(request) < LIST_SINCE_VERSION) {
        leave_group_request_member_identity_init(&context->member);
        context->member.member_id = message->member_id;
        context->asked.members = &context->member;
        context->asked.members_count = 1;
    }
    leave_group_response_init(&context->response);
    coordinator_items_place(request, &context->items, &context->item, COORDINATOR_GROUPS,
                            message->group_id, &context->asked, &context->response);
    coordinator_items_post(request, &context->items);
}

static void leave_group_at(void *groups, struct coordinator_call *call)
{
    leave_group(groups, call);
}

static void leave_group_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, leave_group_at);
}

static void leave_group_join(struct request *request)
{
    const struct leave_context *context = request->context;
    enum kafka_error error = coordinator_item_answer(&context->item);
    struct leave_group_response response;
    leave_group_response_init(&response);
    if (error == KAFKA_ERROR_NONE)
        response = context->response;
    else
        response.error_code = (int16_t)error;
    if (request_version(request) < LIST_SINCE_VERSION && response.members_count > 0) {
        if (response.error_code == KAFKA_ERROR_NONE)
            response.error_code = response.members[0].error_code;
        response.members_count = 0;
    }
    request_respond(request, &response);
}

const struct api_row api_row_leave_group = {
    API_ROW(leave_group, API_KEY_LEAVE_GROUP),
    .route = API_ROUTE_PARTITION,
    .split = leave_group_split,
    .part = leave_group_part,
    .join = leave_group_join,
};
