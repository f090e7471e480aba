/*
 * AddOffsetsToTxn: the partition of __consumer_offsets that holds a group's offsets joins the
 * transaction, before TxnOffsetCommit (transaction version 1; version 2 adds it by itself).
 */
#include "transaction/joining.h"

#include "coordinator/placement.h"
#include "protocol/messages/add_offsets_to_txn.h"

enum { FENCED_SINCE_VERSION = 2 };

static enum kafka_error add(const struct transactions *transactions,
                            struct transaction *transaction, struct view group_id)
{
    const struct image_topic *topic = image_topic_by_name(
        coordinator_image(transactions->coordinator), VIEW_LITERAL("__consumer_offsets"));
    if (!topic)
        return KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE;
    struct joining joining;
    joining_begin(&joining, transaction);
    joining_add(&joining, topic->name,
                placement_partition(group_id, (int32_t)topic->partition_count));
    return joining_end(&joining, 0);
}

void transactions_add_offsets(struct transactions *transactions, struct coordinator_call *call)
{
    const struct add_offsets_to_txn_request *request = call->request;
    struct add_offsets_to_txn_response *response = call->response;
    const struct joiner joiner = {request->transactional_id, request->producer_id,
                                  request->producer_epoch};
    struct transaction *transaction;
    enum kafka_error error = joining_check(transactions, &joiner, &transaction);
    if (error == KAFKA_ERROR_CONCURRENT_TRANSACTIONS &&
        transaction_wait(transaction, call, transactions_add_offsets))
        return;
    if (error == KAFKA_ERROR_NONE)
        error = add(transactions, transaction, request->group_id);
    if (error == KAFKA_ERROR_PRODUCER_FENCED && call->version < FENCED_SINCE_VERSION)
        error = KAFKA_ERROR_INVALID_PRODUCER_EPOCH;
    response->error_code = (int16_t)error;
    coordinator_answer(transactions->coordinator, call);
}
