/*
 * ListGroups: the groups of every coordinator of this node. One that is loading fails the whole
 * request, so that nobody takes a part of the groups for all of them.
 */
#include "protocol/messages/list_groups.h"

#include "broker/coordinator_part.h"
#include "consumer/group_requests.h"

API_CODEC(list_groups);

static void list_groups_split(struct request *request)
{
    coordinator_ask_every(request, COORDINATOR_GROUPS, sizeof(struct list_groups_response));
}

static void list_groups_at(void *groups, struct coordinator_call *call)
{
    list_groups(groups, call);
}

static void list_groups_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, list_groups_at);
}

static size_t count_groups(const struct request *request, enum kafka_error *error)
{
    size_t count = 0;
    const struct coordinator_item *item = NULL;
    *error = KAFKA_ERROR_NONE;
    while ((item = coordinator_every_next(request, item))) {
        const struct list_groups_response *answer = item->call.response;
        if (item->call.error == KAFKA_ERROR_NONE)
            count += answer->groups_count;
        else if (item->call.error != KAFKA_ERROR_NOT_COORDINATOR)
            *error = item->call.error;
    }
    return count;
}

static void list_groups_join(struct request *request)
{
    struct list_groups_response response;
    list_groups_response_init(&response);
    enum kafka_error error;
    size_t count = count_groups(request, &error);
    response.error_code = (int16_t)error;
    response.groups = request_get(request, count, sizeof(*response.groups));
    const struct coordinator_item *item = NULL;
    while (error == KAFKA_ERROR_NONE && (item = coordinator_every_next(request, item))) {
        const struct list_groups_response *answer = item->call.response;
        if (item->call.error != KAFKA_ERROR_NONE)
            continue;
        for (size_t i = 0; i < answer->groups_count; i++)
            response.groups[response.groups_count++] = answer->groups[i];
    }
    request_respond(request, &response);
}

const struct api_row api_row_list_groups = {
    API_ROW(list_groups, API_KEY_LIST_GROUPS),
    .route = API_ROUTE_EVERY_SHARD,
    .split = list_groups_split,
    .part = list_groups_part,
    .join = list_groups_join,
};
