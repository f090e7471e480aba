/*
 * OffsetFetch, for one group: what is committed. A group that does not exist has committed nothing,
 * which is no error. A partition with an offset in an open transaction is UNSTABLE_OFFSET_COMMIT
 * for whoever asks for stable offsets (KIP-447): it asks again when the transaction has ended.
 */
#include "protocol/messages/offset_fetch.h"

#include "consumer/call_memory.h"
#include "consumer/consumer_classic.h"
#include "consumer/group_requests.h"

static void answer_partition(const struct group *group, const struct topic_offsets *offsets,
                             struct coordinator_call *call, struct uuid id,
                             struct offset_fetch_response_partitions *out)
{
    const struct offset_question *question = call->request;
    out->committed_offset = -1;
    out->metadata = VIEW_LITERAL("");
    if (question->require_stable &&
        topic_offsets_are_pending(group, offsets, out->partition_index)) {
        out->error_code = KAFKA_ERROR_UNSTABLE_OFFSET_COMMIT;
        return;
    }
    const struct committed_offset *committed = topic_offsets_find(offsets, out->partition_index);
    if (!committed || committed_offset_is_foreign(offsets, committed, id))
        return;
    out->committed_offset = committed->offset;
    out->committed_leader_epoch = committed->leader_epoch;
    out->metadata = call_copy(call, committed_offset_metadata(committed));
}

static struct offset_fetch_response_partitions *
begin_topic(struct coordinator_call *call, struct offset_fetch_response_topics *out,
            struct view name, size_t count)
{
    offset_fetch_response_topics_init(out);
    out->name = name;
    out->partitions_count = count;
    out->partitions = call_get(call, count, sizeof(*out->partitions));
    return out->partitions;
}

static void answer_topics(const struct group *group, struct coordinator_call *call)
{
    const struct offset_question *question = call->request;
    struct offset_fetch_response_group *response = call->response;
    response->topics_count = question->topic_count;
    response->topics = call_get(call, question->topic_count, sizeof(*response->topics));
    for (size_t i = 0; i < question->topic_count; i++) {
        const struct offset_question_topic *topic = &question->topics[i];
        const struct topic_offsets *offsets =
            group ? group_offsets_topic(group, topic->name) : NULL;
        struct offset_fetch_response_partitions *out =
            begin_topic(call, &response->topics[i], topic->name, topic->partition_count);
        response->topics[i].topic_id = topic->id;
        for (size_t j = 0; j < topic->partition_count; j++) {
            offset_fetch_response_partitions_init(&out[j]);
            out[j].partition_index = topic->partitions[j];
            answer_partition(group, offsets, call, topic->id, &out[j]);
        }
    }
}

/* Topics with pending offsets only are left out, as Kafka does. */
static void answer_all(const struct group *group, struct coordinator_call *call)
{
    struct offset_fetch_response_group *response = call->response;
    size_t topic_count = group ? map_count(&group->offsets.topics) : 0;
    response->topics = call_get(call, topic_count, sizeof(*response->topics));
    if (!group)
        return;
    map_for_each(entry, &group->offsets.topics)
    {
        const struct topic_offsets *offsets = entry->value;
        if (offsets->count == 0)
            continue;
        struct view name = call_copy(call, offsets->topic->name);
        struct offset_fetch_response_partitions *out =
            begin_topic(call, &response->topics[response->topics_count++], name, offsets->count);
        for (uint32_t i = 0; i < offsets->count; i++) {
            offset_fetch_response_partitions_init(&out[i]);
            out[i].partition_index = offsets->list[i].partition;
            answer_partition(group, offsets, call, UUID_ZERO, &out[i]);
        }
    }
}

static enum kafka_error validate(const struct group *group, const struct offset_question *question)
{
    if (!group || group->type != GROUP_CONSUMER)
        return KAFKA_ERROR_NONE;
    return consumer_classic_validate_fetch(group, question->member_id, question->member_epoch);
}

void offset_fetch(struct groups *groups, struct coordinator_call *call)
{
    const struct offset_question *question = call->request;
    struct offset_fetch_response_group *response = call->response;
    const struct group *group = groups_find(groups, question->group_id);
    response->group_id = question->group_id;
    response->error_code = (int16_t)validate(group, question);
    if (response->error_code == KAFKA_ERROR_NONE && question->all_topics)
        answer_all(group, call);
    else if (response->error_code == KAFKA_ERROR_NONE)
        answer_topics(group, call);
    coordinator_answer(groups->coordinator, call);
}
