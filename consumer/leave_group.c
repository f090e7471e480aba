/*
 * LeaveGroup: members go, each for itself; the others rebalance.
 *
 * An entry without a member id names a static member by its instance id: an administrator takes it
 * out. Members that were given an id and never joined can leave too.
 */
#include "protocol/messages/leave_group.h"

#include "consumer/call_memory.h"
#include "consumer/classic_group.h"
#include "consumer/classic_rebalance.h"
#include "consumer/consumer_classic.h"
#include "consumer/group_requests.h"

static enum kafka_error leave(struct classic_group *classic,
                              const struct leave_group_request_member_identity *identity)
{
    if (identity->member_id.size > 0 && classic_pending_remove(classic, identity->member_id))
        return KAFKA_ERROR_NONE;
    struct classic_member *member = NULL;
    enum kafka_error error = KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    if (identity->member_id.size > 0)
        error = classic_member_validate(classic, identity->member_id, identity->group_instance_id,
                                        &member);
    else if (!view_is_null(identity->group_instance_id))
        member = classic_member_by_instance(classic, identity->group_instance_id);
    if (!member)
        return error;
    classic_member_remove(member);
    return KAFKA_ERROR_NONE;
}

void leave_group(struct groups *groups, struct coordinator_call *call)
{
    const struct leave_group_request *message = call->request;
    struct leave_group_response *response = call->response;
    if (message->group_id.size == 0) {
        response->error_code = KAFKA_ERROR_INVALID_GROUP_ID;
        coordinator_answer(groups->coordinator, call);
        return;
    }
    struct group *group = groups_find(groups, message->group_id);
    if (group && group->type == GROUP_CONSUMER) {
        consumer_classic_leave(group, call);
        return;
    }
    bool has_left = false;
    response->members_count = message->members_count;
    response->members = call_get(call, message->members_count, sizeof(*response->members));
    for (size_t i = 0; i < message->members_count; i++) {
        struct leave_group_response_member_response *out = &response->members[i];
        leave_group_response_member_response_init(out);
        out->member_id = message->members[i].member_id;
        out->group_instance_id = message->members[i].group_instance_id;
        enum kafka_error error = group && group->type == GROUP_CLASSIC
                                     ? leave(group->classic, &message->members[i])
                                     : KAFKA_ERROR_UNKNOWN_MEMBER_ID;
        out->error_code = (int16_t)error;
        has_left |= error == KAFKA_ERROR_NONE;
    }
    if (has_left && group->classic->state != CLASSIC_EMPTY)
        classic_prepare_or_complete(group->classic);
    coordinator_answer(groups->coordinator, call);
}
