/* DescribeGroups: state and members of classic groups, each at its coordinator. */
#include "protocol/messages/describe_groups.h"

#include "broker/authorized_operations.h"
#include "broker/coordinator_part.h"
#include "consumer/group_requests.h"

API_CODEC(describe_groups);

struct described {
    struct coordinator_item item;
    struct describe_groups_response_described_group answer;
};

static void describe_groups_split(struct request *request)
{
    const struct describe_groups_request *message = REQUEST_MESSAGE(describe_groups, request);
    struct coordinator_items *items = request_get(request, 1, sizeof(*items));
    struct described *list = request_get(request, message->groups_count, sizeof(*list));
    request->context = list;
    for (size_t i = 0; i < message->groups_count; i++) {
        describe_groups_response_described_group_init(&list[i].answer);
        coordinator_items_place(request, items, &list[i].item, COORDINATOR_GROUPS,
                                message->groups[i], &message->groups[i], &list[i].answer);
    }
    coordinator_items_post(request, items);
}

static void describe_groups_at(void *groups, struct coordinator_call *call)
{
    describe_group(groups, call);
}

static void describe_groups_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, describe_groups_at);
}

static void describe_groups_join(struct request *request)
{
    const struct describe_groups_request *message = REQUEST_MESSAGE(describe_groups, request);
    const struct described *list = request->context;
    struct describe_groups_response response;
    describe_groups_response_init(&response);
    response.groups_count = message->groups_count;
    response.groups = request_get(request, message->groups_count, sizeof(*response.groups));
    for (size_t i = 0; i < message->groups_count; i++) {
        struct describe_groups_response_described_group *out = &response.groups[i];
        enum kafka_error error = coordinator_item_answer(&list[i].item);
        describe_groups_response_described_group_init(out);
        if (error == KAFKA_ERROR_NONE)
            *out = list[i].answer;
        else
            out->error_code = (int16_t)error;
        out->group_id = message->groups[i];
        if (message->include_authorized_operations && out->error_code == KAFKA_ERROR_NONE)
            out->authorized_operations = GROUP_OPERATIONS;
    }
    request_respond(request, &response);
}

const struct api_row api_row_describe_groups = {
    API_ROW(describe_groups, API_KEY_DESCRIBE_GROUPS),
    .route = API_ROUTE_PARTITION,
    .split = describe_groups_split,
    .part = describe_groups_part,
    .join = describe_groups_join,
};
