/*
 * DescribeGroups, for one group of the classic protocol. What is not there is "Dead"; since version
 * 6 that is an error too (KIP-1043). What members subscribe to is shown while it is settled.
 */
#include "protocol/messages/describe_groups.h"

#include "base/text.h"
#include "consumer/call_memory.h"
#include "consumer/classic_group.h"
#include "consumer/group_requests.h"

enum { NOT_FOUND_SINCE_VERSION = 6 };

static void describe_absent(const struct group *group, struct coordinator_call *call)
{
    struct describe_groups_response_described_group *response = call->response;
    response->group_state = VIEW_LITERAL("Dead");
    if (call->version < NOT_FOUND_SINCE_VERSION)
        return;
    response->error_code = KAFKA_ERROR_GROUP_ID_NOT_FOUND;
    size_t capacity = response->group_id.size + 64;
    struct text_builder text;
    text_builder_init(&text, call_get(call, capacity, 1), capacity);
    text_append_string(&text, "Group ");
    text_append(&text, response->group_id);
    text_append_string(&text, group ? " is not a classic group." : " not found.");
    response->error_message = text_builder_view(&text);
}

static void describe_members(const struct classic_group *classic, struct coordinator_call *call)
{
    struct describe_groups_response_described_group *response = call->response;
    response->members_count = classic_group_size(classic);
    response->members = call_get(call, response->members_count, sizeof(*response->members));
    struct describe_groups_response_described_group_member *out = response->members;
    list_for_each(link, &classic->members)
    {
        const struct classic_member *member = container_of(link, struct classic_member, link);
        describe_groups_response_described_group_member_init(out);
        out->member_id = call_copy(call, classic_member_id(member));
        out->group_instance_id = call_copy(call, owned_view(member->instance_id));
        out->client_id = call_copy(call, owned_view(member->client_id));
        out->client_host = call_copy(call, owned_view(member->client_host));
        out->member_assignment = call_copy(call, owned_view(member->assignment));
        if (classic->state == CLASSIC_STABLE)
            out->member_metadata =
                call_copy(call, classic_member_metadata(member, owned_view(classic->protocol)));
        out++;
    }
}

void describe_group(struct groups *groups, struct coordinator_call *call)
{
    const struct view *id = call->request;
    struct describe_groups_response_described_group *response = call->response;
    const struct group *group = groups_find(groups, *id);
    response->group_id = *id;
    if (!group || group->type == GROUP_CONSUMER) {
        describe_absent(group, call);
    } else if (group->type == GROUP_SIMPLE) {
        response->group_state = classic_state_name(CLASSIC_EMPTY);
    } else {
        const struct classic_group *classic = group->classic;
        response->group_state = classic_state_name(classic->state);
        if (classic->protocol_type.data)
            response->protocol_type = call_copy(call, owned_view(classic->protocol_type));
        if (classic->state == CLASSIC_STABLE)
            response->protocol_data = call_copy(call, owned_view(classic->protocol));
        describe_members(classic, call);
    }
    coordinator_answer(groups->coordinator, call);
}
