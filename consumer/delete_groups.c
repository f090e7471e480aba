/* DeleteGroups, for one group: only a group without members can go; its offsets go first. */
#include "protocol/messages/delete_groups.h"

#include "base/assert.h"
#include "consumer/classic_group.h"
#include "consumer/classic_record.h"
#include "consumer/consumer_classic.h"
#include "consumer/group_requests.h"

static bool has_members(const struct group *group)
{
    switch (group->type) {
    case GROUP_SIMPLE:
        return false;
    case GROUP_CLASSIC:
        return group->classic->state != CLASSIC_EMPTY;
    case GROUP_CONSUMER:
        return !consumer_classic_is_empty(group);
    }
    klamm_unreachable("type of a group");
}

/* The group's offsets, in as many batches as they need, and with the last ones the group. */
static enum kafka_error delete_all(struct groups *groups, struct group *group)
{
    struct coordinator_records records;
    coordinator_records_begin(&records, groups->coordinator);
    while (!group_offsets_put_tombstones(&records, group)) {
        enum kafka_error error = coordinator_append(&records);
        if (error != KAFKA_ERROR_NONE)
            return error;
        coordinator_records_begin(&records, groups->coordinator);
    }
    if (group->type == GROUP_CONSUMER)
        consumer_classic_put_tombstones(&records, group);
    else
        classic_record_put_tombstone(&records, group->id);
    return coordinator_append(&records);
}

void delete_group(struct groups *groups, struct coordinator_call *call)
{
    const struct view *id = call->request;
    struct delete_groups_response_deletable_group_result *response = call->response;
    struct group *group = groups_find(groups, *id);
    enum kafka_error error;
    if (!group)
        error = KAFKA_ERROR_GROUP_ID_NOT_FOUND;
    else if (has_members(group))
        error = KAFKA_ERROR_NON_EMPTY_GROUP;
    else
        error = delete_all(groups, group);
    response->group_id = *id;
    response->error_code = (int16_t)error;
    coordinator_answer(groups->coordinator, call);
}
