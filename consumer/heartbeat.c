/* Heartbeat: a member is alive, and hears whether it is to join again. */
#include "protocol/messages/heartbeat.h"

#include "consumer/classic_group.h"
#include "consumer/consumer_classic.h"
#include "consumer/group_requests.h"

static enum kafka_error beat(struct classic_group *classic, const struct heartbeat_request *message)
{
    struct classic_member *member;
    enum kafka_error error =
        classic_member_validate(classic, message->member_id, message->group_instance_id, &member);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (message->generation_id != classic->generation)
        return KAFKA_ERROR_ILLEGAL_GENERATION;
    classic_member_touch(member);
    return classic->state == CLASSIC_PREPARING ? KAFKA_ERROR_REBALANCE_IN_PROGRESS
                                               : KAFKA_ERROR_NONE;
}

void heartbeat(struct groups *groups, struct coordinator_call *call)
{
    const struct heartbeat_request *message = call->request;
    struct heartbeat_response *response = call->response;
    const struct group *group = groups_find(groups, message->group_id);
    if (group && group->type == GROUP_CONSUMER) {
        consumer_classic_heartbeat(groups_find(groups, message->group_id), call);
        return;
    }
    if (message->group_id.size == 0)
        response->error_code = KAFKA_ERROR_INVALID_GROUP_ID;
    else if (!group || group->type != GROUP_CLASSIC)
        response->error_code = KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    else
        response->error_code = (int16_t)beat(group->classic, message);
    coordinator_answer(groups->coordinator, call);
}
