/* DeleteGroups: takes groups without members away, each at its coordinator. */
#include "protocol/messages/delete_groups.h"

#include "broker/coordinator_part.h"
#include "consumer/group_requests.h"

API_CODEC(delete_groups);

struct deleted {
    struct coordinator_item item;
    struct delete_groups_response_deletable_group_result answer;
};

static void delete_groups_split(struct request *request)
{
    const struct delete_groups_request *message = REQUEST_MESSAGE(delete_groups, request);
    struct coordinator_items *items = request_get(request, 1, sizeof(*items));
    struct deleted *list = request_get(request, message->groups_names_count, sizeof(*list));
    request->context = list;
    for (size_t i = 0; i < message->groups_names_count; i++) {
        delete_groups_response_deletable_group_result_init(&list[i].answer);
        coordinator_items_place(request, items, &list[i].item, COORDINATOR_GROUPS,
                                message->groups_names[i], &message->groups_names[i],
                                &list[i].answer);
    }
    coordinator_items_post(request, items);
}

static void delete_groups_at(void *groups, struct coordinator_call *call)
{
    delete_group(groups, call);
}

static void delete_groups_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, delete_groups_at);
}

static void delete_groups_join(struct request *request)
{
    const struct delete_groups_request *message = REQUEST_MESSAGE(delete_groups, request);
    const struct deleted *list = request->context;
    struct delete_groups_response response;
    delete_groups_response_init(&response);
    response.results_count = message->groups_names_count;
    response.results = request_get(request, response.results_count, sizeof(*response.results));
    for (size_t i = 0; i < message->groups_names_count; i++) {
        struct delete_groups_response_deletable_group_result *out = &response.results[i];
        enum kafka_error error = coordinator_item_answer(&list[i].item);
        delete_groups_response_deletable_group_result_init(out);
        out->group_id = message->groups_names[i];
        out->error_code = error == KAFKA_ERROR_NONE ? list[i].answer.error_code : (int16_t)error;
    }
    request_respond(request, &response);
}

const struct api_row api_row_delete_groups = {
    API_ROW(delete_groups, API_KEY_DELETE_GROUPS),
    .route = API_ROUTE_PARTITION,
    .split = delete_groups_split,
    .part = delete_groups_part,
    .join = delete_groups_join,
};
