/* DeleteGroups: takes groups without members away, each at its coordinator. */
#include "protocol/messages/delete_groups.h"

#include "base/assert.h"
#include "base/map.h"
#include "broker/coordinator_part.h"
#include "consumer/group_requests.h"

API_CODEC(delete_groups);

struct deleted {
    struct view group_id;
    struct coordinator_item item;
    struct delete_groups_response_deletable_group_result answer;
};

struct delete_context {
    struct coordinator_items items;
    struct deleted *list; /* each group once, as Kafka answers */
    size_t count;
};

static void delete_groups_split(struct request *request)
{
    const struct delete_groups_request *message = REQUEST_MESSAGE(delete_groups, request);
    struct delete_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    context->list = request_get(request, message->groups_names_count, sizeof(*context->list));
    struct loop *loop = request_loop(request);
    struct map names;
    map_init(&names, loop->heap, MEMORY_SCRATCH, loop->seed);
    for (size_t i = 0; i < message->groups_names_count; i++) {
        bool is_first;
        struct map_entry *entry = map_add(&names, message->groups_names[i], &is_first);
        klamm_assert(entry);
        if (!is_first)
            continue;
        struct deleted *deleted = &context->list[context->count++];
        deleted->group_id = message->groups_names[i];
        delete_groups_response_deletable_group_result_init(&deleted->answer);
        coordinator_items_place(request, &context->items, &deleted->item, COORDINATOR_GROUPS,
                                deleted->group_id, &deleted->group_id, &deleted->answer);
    }
    map_deinit(&names);
    coordinator_items_post(request, &context->items);
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
    const struct delete_context *context = request->context;
    struct delete_groups_response response;
    delete_groups_response_init(&response);
    response.results_count = context->count;
    response.results = request_get(request, response.results_count, sizeof(*response.results));
    for (size_t i = 0; i < context->count; i++) {
        struct delete_groups_response_deletable_group_result *out = &response.results[i];
        enum kafka_error error = coordinator_item_answer(&context->list[i].item);
        delete_groups_response_deletable_group_result_init(out);
        out->group_id = context->list[i].group_id;
        out->error_code =
            error == KAFKA_ERROR_NONE ? context->list[i].answer.error_code : (int16_t)error;
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
