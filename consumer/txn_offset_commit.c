/*
 * TxnOffsetCommit: offsets that become visible when their transaction commits. The records carry
 * the producer; replay keeps them pending until the marker (group_offsets.h). Whether the producer
 * may write in this transaction was asked before; the log checks its epoch.
 */
#include "protocol/messages/txn_offset_commit.h"

#include "consumer/call_memory.h"
#include "consumer/group_requests.h"
#include "consumer/offset_commit.h"

static void fill(struct groups *groups, struct coordinator_call *call,
                 struct coordinator_records *records)
{
    const struct txn_offset_commit_request *message = call->request;
    struct txn_offset_commit_response *response = call->response;
    response->topics_count = message->topics_count;
    response->topics = call_get(call, message->topics_count, sizeof(*response->topics));
    for (size_t i = 0; i < message->topics_count; i++) {
        const struct txn_offset_commit_request_topic *topic = &message->topics[i];
        struct txn_offset_commit_response_topic *out = &response->topics[i];
        txn_offset_commit_response_topic_init(out);
        out->name = topic->name;
        out->partitions_count = topic->partitions_count;
        out->partitions = call_get(call, topic->partitions_count, sizeof(*out->partitions));
        for (size_t j = 0; j < topic->partitions_count; j++) {
            const struct txn_offset_commit_request_partition *partition = &topic->partitions[j];
            struct commit_entry entry = {.topic = topic->name,
                                         .partition = partition->partition_index,
                                         .offset = partition->committed_offset,
                                         .leader_epoch = partition->committed_leader_epoch,
                                         .metadata = partition->committed_metadata};
            txn_offset_commit_response_partition_init(&out->partitions[j]);
            out->partitions[j].partition_index = entry.partition;
            out->partitions[j].error_code =
                (int16_t)commit_put(records, groups, message->group_id, &entry, -1);
        }
    }
}

void txn_offset_commit(struct groups *groups, struct coordinator_call *call,
                       uint64_t verification_guard)
{
    const struct txn_offset_commit_request *message = call->request;
    struct commit_claim claim = {.group_id = message->group_id,
                                 .member_id = message->member_id,
                                 .instance_id = message->group_instance_id,
                                 .generation = message->generation_id,
                                 .version = call->version,
                                 .is_transactional = true};
    enum kafka_error error = commit_validate(groups, &claim);
    if (error == KAFKA_ERROR_STALE_MEMBER_EPOCH)
        error = KAFKA_ERROR_ILLEGAL_GENERATION;
    if (error == KAFKA_ERROR_NONE) {
        struct coordinator_records records;
        coordinator_records_begin(&records, groups->coordinator);
        fill(groups, call, &records);
        error = coordinator_append_transactional(&records, message->producer_id,
                                                 message->producer_epoch, verification_guard);
    }
    if (error == KAFKA_ERROR_NONE)
        coordinator_answer(groups->coordinator, call);
    else
        coordinator_fail(call, error);
}
