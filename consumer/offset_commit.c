/*
 * OffsetCommit: a group's positions become records. All of a request's are one batch: they are
 * committed together or not at all, except those that are refused one by one.
 */
#include "consumer/offset_commit.h"

#include "base/text.h"
#include "consumer/call_memory.h"
#include "consumer/classic_group.h"
#include "consumer/consumer_classic.h"
#include "consumer/group_requests.h"
#include "protocol/messages/offset_commit.h"
#include "protocol/messages/offset_commit_key.h"
#include "protocol/messages/offset_commit_value.h"
#include "runtime/test_point.h"

COORDINATOR_RECORD(offset_commit, OFFSET_COMMIT)

enum { NOT_FOUND_SINCE_VERSION = 9, VALUE_VERSION = 4, VALUE_VERSION_WITH_EXPIRY = 1 };

static enum kafka_error validate_classic(struct classic_group *classic,
                                         const struct commit_claim *claim)
{
    bool is_empty = classic->state == CLASSIC_EMPTY;
    if (claim->generation < 0 && is_empty)
        return KAFKA_ERROR_NONE;
    struct classic_member *member = NULL;
    bool has_member =
        claim->generation >= 0 || claim->member_id.size > 0 || !view_is_null(claim->instance_id);
    if (has_member) {
        enum kafka_error error =
            classic_member_validate(classic, claim->member_id, claim->instance_id, &member);
        if (error != KAFKA_ERROR_NONE)
            return error;
        if (claim->generation != classic->generation)
            return KAFKA_ERROR_ILLEGAL_GENERATION;
    } else if (!claim->is_transactional && !is_empty) {
        return KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    }
    if (!claim->is_transactional && classic->state == CLASSIC_COMPLETING)
        return KAFKA_ERROR_REBALANCE_IN_PROGRESS;
    if (!claim->is_transactional && member)
        classic_member_touch(member);
    return KAFKA_ERROR_NONE;
}

enum kafka_error commit_validate(struct groups *groups, const struct commit_claim *claim)
{
    struct group *group = groups_find(groups, claim->group_id);
    if (!group && claim->generation < 0)
        return KAFKA_ERROR_NONE;
    if (!group)
        return claim->version >= NOT_FOUND_SINCE_VERSION && !claim->is_transactional
                   ? KAFKA_ERROR_GROUP_ID_NOT_FOUND
                   : KAFKA_ERROR_ILLEGAL_GENERATION;
    struct loop *loop = coordinator_loop(groups->coordinator);
    if (test_point(loop, group->type == GROUP_CONSUMER ? BUG_CONSUMER_COMMIT_UNCHECKED
                                                       : BUG_GROUP_COMMIT_UNCHECKED))
        return KAFKA_ERROR_NONE;
    switch (group->type) {
    case GROUP_CLASSIC:
        return validate_classic(group->classic, claim);
    case GROUP_CONSUMER:
        return consumer_classic_validate_commit(group, claim);
    case GROUP_SIMPLE:
        return claim->generation < 0 ? KAFKA_ERROR_NONE : KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    }
    klamm_unreachable("type of a group");
}

/* Kafka counts UTF-16 units, whatever the setting's name says. */
static size_t text_units(struct view text)
{
    size_t units = 0;
    for (size_t i = 0; i < text.size; i++)
        units += (text.data[i] & 0xc0) != 0x80 ? 1 + (text.data[i] >= 0xf0) : 0;
    return units;
}

enum kafka_error commit_put(struct coordinator_records *records, const struct groups *groups,
                            struct view group_id, const struct commit_entry *entry,
                            int64_t expire_ms)
{
    int32_t metadata_max = groups_settings(groups)->offset_metadata_max_bytes;
    if (text_units(entry->metadata) > (size_t)(metadata_max > 0 ? metadata_max : 0))
        return KAFKA_ERROR_OFFSET_METADATA_TOO_LARGE;
    struct offset_commit_key key = {
        .group = group_id, .topic = entry->topic, .partition = entry->partition};
    struct offset_commit_value value;
    offset_commit_value_init(&value);
    value.offset = entry->offset;
    value.leader_epoch = entry->leader_epoch;
    if (!view_is_null(entry->metadata))
        value.metadata = entry->metadata;
    value.commit_timestamp = coordinator_loop(groups->coordinator)->wall_ms;
    value.expire_timestamp = expire_ms;
    value.topic_id = entry->topic_id;
    int16_t version = expire_ms >= 0 ? VALUE_VERSION_WITH_EXPIRY : VALUE_VERSION;
    put_offset_commit(records, &key, &value, version);
    return KAFKA_ERROR_NONE;
}

/* When what is committed now expires by the wish of an old client; -1: it has none. Some clients
 * ask for as long as there is, others for a time that is over. */
static int64_t expiry_of(const struct groups *groups, int64_t retention_ms)
{
    int64_t now_ms = coordinator_loop(groups->coordinator)->wall_ms;
    if (retention_ms == -1)
        return -1;
    if (retention_ms > INT64_MAX - now_ms)
        return INT64_MAX;
    return retention_ms > -now_ms ? now_ms + retention_ms : 0;
}

static void fill(struct groups *groups, struct coordinator_call *call,
                 struct coordinator_records *records)
{
    const struct offset_commit_request *message = call->request;
    struct offset_commit_response *response = call->response;
    int64_t expire_ms = expiry_of(groups, message->retention_time_ms);
    response->topics_count = message->topics_count;
    response->topics = call_get(call, message->topics_count, sizeof(*response->topics));
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct offset_commit_request_topic *topic = &message->topics[i];
        struct offset_commit_response_topic *out = &response->topics[i];
        offset_commit_response_topic_init(out);
        out->name = topic->name;
        out->topic_id = topic->topic_id;
        out->partitions_count = topic->partitions_count;
        out->partitions = call_get(call, topic->partitions_count, sizeof(*out->partitions));
        for (size_t j = 0; j < topic->partitions_count; j++) {
            const struct offset_commit_request_partition *partition = &topic->partitions[j];
            struct commit_entry entry = {.topic = topic->name,
                                         .topic_id = topic->topic_id,
                                         .partition = partition->partition_index,
                                         .offset = partition->committed_offset,
                                         .leader_epoch = partition->committed_leader_epoch,
                                         .metadata = partition->committed_metadata};
            offset_commit_response_partition_init(&out->partitions[j]);
            out->partitions[j].partition_index = entry.partition;
            out->partitions[j].error_code =
                (int16_t)commit_put(records, groups, message->group_id, &entry, expire_ms);
        }
    }
}

void offset_commit(struct groups *groups, struct coordinator_call *call)
{
    const struct offset_commit_request *message = call->request;
    struct commit_claim claim = {.group_id = message->group_id,
                                 .member_id = message->member_id,
                                 .instance_id = message->group_instance_id,
                                 .generation = message->generation_id_or_member_epoch,
                                 .version = call->version};
    enum kafka_error error = commit_validate(groups, &claim);
    if (error == KAFKA_ERROR_NONE) {
        struct coordinator_records records;
        coordinator_records_begin(&records, groups->coordinator);
        fill(groups, call, &records);
        error = coordinator_append(&records);
    }
    if (error == KAFKA_ERROR_NONE)
        coordinator_answer(groups->coordinator, call);
    else
        coordinator_fail(call, error);
}
