/*
 * AddPartitionsToTxn: partitions join the transaction before data is written to them. Clients ask
 * for that themselves up to version 3. Since version 4 the leaders of the partitions ask, either
 * whether the client did (VerifyOnly, KIP-890 part 1) or for the client (part 2).
 */
#include "transaction/transactions.h"

#include "protocol/messages/add_partitions_to_txn.h"
#include "transaction/joining.h"

enum { FENCED_SINCE_VERSION = 2, BROKER_SINCE_VERSION = 4 };

typedef struct add_partitions_to_txn_request_add_partitions_to_txn_transaction add_request;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_result add_result;
typedef struct add_partitions_to_txn_request_add_partitions_to_txn_topic request_topic;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result topic_result;

/* The same error for all partitions; for VerifyOnly NONE turns into what each one deserves. */
static void answer(struct transactions *transactions, struct coordinator_call *call,
                   enum kafka_error error, const struct transaction *verified)
{
    const add_request *request = call->request;
    add_result *result = call->response;
    result->transactional_id = request->transactional_id;
    result->topic_results_count = request->topics_count;
    result->topic_results =
        arena_must_get(call->arena, request->topics_count, sizeof(*result->topic_results));
    for (size_t i = 0; i < request->topics_count; i++) {
        const request_topic *topic = &request->topics[i];
        topic_result *out = &result->topic_results[i];
        out->name = topic->name;
        out->results_by_partition_count = topic->partitions_count;
        out->results_by_partition = arena_must_get(call->arena, topic->partitions_count,
                                                   sizeof(*out->results_by_partition));
        for (size_t j = 0; j < topic->partitions_count; j++) {
            bool is_missing =
                verified && !transaction_has_partition(verified, topic->name, topic->partitions[j]);
            out->results_by_partition[j].partition_index = topic->partitions[j];
            out->results_by_partition[j].partition_error_code =
                is_missing ? KAFKA_ERROR_TRANSACTION_ABORTABLE : (int16_t)error;
        }
    }
    coordinator_answer(transactions->coordinator, call);
}

static void answer_error(struct transactions *transactions, struct coordinator_call *call,
                         enum kafka_error error)
{
    if (error == KAFKA_ERROR_PRODUCER_FENCED && call->version < FENCED_SINCE_VERSION)
        error = KAFKA_ERROR_INVALID_PRODUCER_EPOCH;
    answer(transactions, call, error, NULL);
}

static enum kafka_error add(struct transactions *transactions, struct transaction *transaction,
                            const add_request *request, int16_t client_version)
{
    struct joining joining;
    joining_begin(&joining, transaction);
    for (size_t i = 0; i < request->topics_count; i++)
        for (size_t j = 0; j < request->topics[i].partitions_count; j++)
            joining_add(&joining, request->topics[i].name, request->topics[i].partitions[j]);
    (void)transactions;
    return joining_end(&joining, client_version);
}

void transactions_add_partitions(struct transactions *transactions, struct coordinator_call *call)
{
    const add_request *request = call->request;
    const struct joiner joiner = {request->transactional_id, request->producer_id,
                                  request->producer_epoch};
    struct transaction *transaction;
    bool is_from_broker = call->version >= BROKER_SINCE_VERSION;
    enum kafka_error error = joining_check(transactions, &joiner, &transaction);
    if (error == KAFKA_ERROR_CONCURRENT_TRANSACTIONS && !request->verify_only &&
        transaction_wait(transaction, call, transactions_add_partitions))
        return;
    if (error != KAFKA_ERROR_NONE) {
        answer_error(transactions, call, error);
    } else if (request->verify_only) {
        answer(transactions, call, KAFKA_ERROR_NONE, transaction);
    } else {
        error = add(transactions, transaction, request, is_from_broker ? TRANSACTION_VERSION_2 : 0);
        answer_error(transactions, call, error);
    }
}
