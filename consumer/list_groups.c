/* ListGroups, of one coordinator: all groups, or those of given states and types. */
#include "protocol/messages/list_groups.h"

#include "base/text.h"
#include "consumer/call_memory.h"
#include "consumer/classic_group.h"
#include "consumer/consumer_classic.h"
#include "consumer/group_requests.h"

static bool passes(const struct view *filter, size_t count, struct view value)
{
    for (size_t i = 0; i < count; i++)
        if (text_equal_any_case(filter[i], value))
            return true;
    return count == 0;
}

static void describe(const struct group *group, struct list_groups_response_listed_group *out)
{
    list_groups_response_listed_group_init(out);
    out->group_id = group->id;
    out->group_type = VIEW_LITERAL("classic");
    switch (group->type) {
    case GROUP_SIMPLE:
        out->group_state = classic_state_name(CLASSIC_EMPTY);
        break;
    case GROUP_CLASSIC:
        out->group_state = classic_state_name(group->classic->state);
        if (group->classic->protocol_type.data)
            out->protocol_type = owned_view(group->classic->protocol_type);
        break;
    case GROUP_CONSUMER:
        out->group_state = consumer_classic_state_name(group);
        out->group_type = VIEW_LITERAL("consumer");
        out->protocol_type = VIEW_LITERAL("consumer");
        break;
    }
}

void list_groups(struct groups *groups, struct coordinator_call *call)
{
    const struct list_groups_request *message = call->request;
    struct list_groups_response *response = call->response;
    response->groups = call_get(call, map_count(&groups->by_id), sizeof(*response->groups));
    map_for_each(entry, &groups->by_id)
    {
        struct list_groups_response_listed_group *out = &response->groups[response->groups_count];
        describe(entry->value, out);
        if (!passes(message->states_filter, message->states_filter_count, out->group_state) ||
            !passes(message->types_filter, message->types_filter_count, out->group_type))
            continue;
        out->group_id = call_copy(call, out->group_id);
        out->protocol_type = call_copy(call, out->protocol_type);
        response->groups_count++;
    }
    coordinator_answer(groups->coordinator, call);
}
