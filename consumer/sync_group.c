/*
 * SyncGroup: the leader brings the assignments of the generation, the others fetch theirs.
 *
 * The leader's makes the group's record; replaying it makes the group STABLE, and all who wait are
 * answered when it is committed. When the log refuses it the generation is given up.
 */
#include "consumer/group_requests.h"

#include "consumer/call_memory.h"
#include "consumer/classic_group.h"
#include "consumer/classic_rebalance.h"
#include "consumer/classic_record.h"
#include "consumer/consumer_classic.h"
#include "protocol/messages/sync_group.h"

enum { PROTOCOL_SINCE_VERSION = 5 };

static bool differs(struct view said, struct owned known)
{
    return !view_is_null(said) && known.data && !view_equal(said, owned_view(known));
}

static enum kafka_error check(const struct classic_group *classic,
                              const struct sync_group_request *message,
                              struct classic_member **member)
{
    enum kafka_error error =
        classic_member_validate(classic, message->member_id, message->group_instance_id, member);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (message->generation_id != classic->generation)
        return KAFKA_ERROR_ILLEGAL_GENERATION;
    if (differs(message->protocol_type, classic->protocol_type) ||
        differs(message->protocol_name, classic->protocol))
        return KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL;
    if (classic->state == CLASSIC_PREPARING)
        return KAFKA_ERROR_REBALANCE_IN_PROGRESS;
    return KAFKA_ERROR_NONE;
}

/* Members that the leader forgot get an empty assignment. */
static void assign(struct classic_group *classic, const struct sync_group_request *message)
{
    list_for_each(link, &classic->members)
        classic_member_assign(container_of(link, struct classic_member, link), VIEW_LITERAL(""));
    for (size_t i = 0; i < message->assignments_count; i++) {
        struct classic_member *member =
            classic_member_find(classic, message->assignments[i].member_id);
        if (member)
            classic_member_assign(member, message->assignments[i].assignment);
    }
}

static void complete(struct classic_group *classic, const struct sync_group_request *message)
{
    assign(classic, message);
    enum kafka_error error = classic_record_write(classic);
    if (error != KAFKA_ERROR_NONE) {
        classic_drop_assignments(classic, error);
        classic_prepare_or_complete(classic);
        return;
    }
    klamm_assert(classic->state == CLASSIC_STABLE);
    classic->state_since_ms = coordinator_loop(classic->group->groups->coordinator)->wall_ms;
    classic_answer_syncs(classic);
    classic_group_check(classic);
}

static void answer_error(struct groups *groups, struct coordinator_call *call,
                         enum kafka_error error)
{
    struct sync_group_response *response = call->response;
    response->error_code = (int16_t)error;
    coordinator_answer(groups->coordinator, call);
}

void sync_group(struct groups *groups, struct coordinator_call *call)
{
    const struct sync_group_request *message = call->request;
    bool has_protocol =
        !view_is_null(message->protocol_type) && !view_is_null(message->protocol_name);
    if (call->version >= PROTOCOL_SINCE_VERSION && !has_protocol) {
        answer_error(groups, call, KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL);
        return;
    }
    if (message->group_id.size == 0) {
        answer_error(groups, call, KAFKA_ERROR_INVALID_GROUP_ID);
        return;
    }
    struct group *group = groups_find(groups, message->group_id);
    if (group && group->type == GROUP_CONSUMER) {
        consumer_classic_sync(group, call);
        return;
    }
    if (!group || group->type != GROUP_CLASSIC || group->classic->state == CLASSIC_EMPTY) {
        answer_error(groups, call, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
        return;
    }
    struct classic_group *classic = group->classic;
    struct classic_member *member;
    enum kafka_error error = check(classic, message, &member);
    if (error != KAFKA_ERROR_NONE) {
        answer_error(groups, call, error);
        return;
    }
    classic_sync_arrived(member);
    if (classic->state == CLASSIC_STABLE) {
        classic_answer_sync(member, call);
        classic_member_touch(member);
        return;
    }
    classic_member_park_sync(member, call);
    if (member == classic->leader)
        complete(classic, message);
}
