/* DescribeTransactions: one transactional id as its coordinator knows it (KIP-664). */
#include "transaction/transactions.h"

#include "protocol/messages/describe_transactions.h"

typedef struct describe_transactions_response_transaction_state description;

static void fill_topics(const struct transaction *transaction, struct arena *arena,
                        description *out)
{
    out->topics_count = transaction->topic_count;
    out->topics = arena_must_get(arena, out->topics_count, sizeof(*out->topics));
    for (size_t i = 0; i < out->topics_count; i++) {
        const struct transaction_topic *topic = &transaction->topics[i];
        out->topics[i].topic = arena_copy(arena, topic->name);
        out->topics[i].partitions_count = topic->count;
        out->topics[i].partitions = arena_must_get(arena, topic->count, sizeof(int32_t));
        memcpy(out->topics[i].partitions, topic->partitions, topic->count * sizeof(int32_t));
    }
}

void transactions_describe(struct transactions *transactions, struct coordinator_call *call)
{
    const struct view *id = call->request;
    description *out = call->response;
    out->transactional_id = *id;
    const struct transaction *transaction = transactions_find(transactions, *id);
    if (id->size == 0) {
        out->error_code = KAFKA_ERROR_INVALID_REQUEST;
    } else if (!transaction) {
        out->error_code = KAFKA_ERROR_TRANSACTIONAL_ID_NOT_FOUND;
    } else {
        out->transaction_state = view_of_string(transaction_status_name(transaction->status));
        out->transaction_timeout_ms = transaction->timeout_ms;
        out->transaction_start_time_ms = transaction->started_ms;
        out->producer_id = transaction->producer_id;
        out->producer_epoch = transaction->producer_epoch;
        fill_topics(transaction, call->arena, out);
    }
    coordinator_answer(transactions->coordinator, call);
}
