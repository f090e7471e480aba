/*
 * Groups of the consumer protocol are not served by this build: their records are skipped as those
 * of a newer version are, so no group is of type GROUP_CONSUMER. The answers are those that Kafka
 * gives to a classic request at a group of a type that it does not fit.
 */
#include "consumer/consumer_classic.h"

#include "base/assert.h"
#include "consumer/groups.h"
#include "protocol/messages/heartbeat.h"
#include "protocol/messages/join_group.h"
#include "protocol/messages/leave_group.h"
#include "protocol/messages/sync_group.h"

void consumer_classic_join(struct group *group, struct coordinator_call *call)
{
    struct join_group_response *response = call->response;
    response->error_code = KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL;
    coordinator_answer(group->groups->coordinator, call);
}

void consumer_classic_sync(struct group *group, struct coordinator_call *call)
{
    struct sync_group_response *response = call->response;
    response->error_code = KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    coordinator_answer(group->groups->coordinator, call);
}

void consumer_classic_heartbeat(struct group *group, struct coordinator_call *call)
{
    struct heartbeat_response *response = call->response;
    response->error_code = KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    coordinator_answer(group->groups->coordinator, call);
}

void consumer_classic_leave(struct group *group, struct coordinator_call *call)
{
    struct leave_group_response *response = call->response;
    response->error_code = KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    coordinator_answer(group->groups->coordinator, call);
}

enum kafka_error consumer_classic_validate_commit(struct group *group,
                                                  const struct commit_claim *claim)
{
    (void)group;
    (void)claim;
    return KAFKA_ERROR_UNKNOWN_MEMBER_ID;
}

enum kafka_error consumer_classic_validate_fetch(const struct group *group, struct view member_id,
                                                 int32_t member_epoch)
{
    (void)group;
    bool has_member = !view_is_null(member_id) || member_epoch >= 0;
    return has_member ? KAFKA_ERROR_UNKNOWN_MEMBER_ID : KAFKA_ERROR_NONE;
}

bool consumer_classic_is_empty(const struct group *group)
{
    (void)group;
    return false;
}

bool consumer_classic_subscribes(const struct group *group, struct view topic)
{
    (void)group;
    (void)topic;
    return true;
}

struct view consumer_classic_state_name(const struct group *group)
{
    (void)group;
    return VIEW_LITERAL("Unknown");
}

void consumer_classic_put_tombstones(struct coordinator_records *records, const struct group *group)
{
    (void)records;
    (void)group;
}

enum coordinator_replay consumer_classic_replay(struct groups *groups,
                                                const struct coordinator_record *record)
{
    (void)groups;
    (void)record;
    return COORDINATOR_REPLAY_UNKNOWN;
}

void consumer_classic_displace(struct group *group)
{
    (void)group;
    klamm_unreachable("a consumer group");
}

void consumer_classic_loaded(struct group *group)
{
    (void)group;
}

void consumer_classic_unload(struct group *group, enum kafka_error error)
{
    (void)group;
    (void)error;
}

void consumer_classic_metadata(struct group *group, const struct image_delta *delta)
{
    (void)group;
    (void)delta;
}
