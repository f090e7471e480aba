/*
 * AddPartitionsToTxn: partitions join transactions, or are asked for (KIP-98, KIP-890). Clients send
 * one transaction, up to version 3; the leaders of partitions send many.
 *
 * A transaction with partitions that do not exist is not changed at all: they are told so, and the
 * others that they were not attempted.
 */
#include "protocol/messages/add_partitions_to_txn.h"

#include "broker/coordinator_part.h"
#include "broker/shard.h"
#include "transaction/transactions.h"

API_CODEC(add_partitions_to_txn);

enum { BROKER_SINCE_VERSION = 4 };

typedef struct add_partitions_to_txn_request_add_partitions_to_txn_transaction add_request;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_result add_result;
typedef struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result topic_result;

struct add_item {
    struct coordinator_item item;
    const add_request *request;
    add_result result;
};

struct add_context {
    struct coordinator_items items;
    struct add_item *list; /* in the order of the request */
    size_t count;
};

/* The result with one error for every partition; NOT_ATTEMPTED where a topic is missing. */
static void fill_error(struct request *request, struct add_item *item, enum kafka_error error)
{
    const add_request *asked = item->request;
    add_result *result = &item->result;
    result->transactional_id = asked->transactional_id;
    result->topic_results_count = asked->topics_count;
    result->topic_results =
        request_get(request, asked->topics_count, sizeof(*result->topic_results));
    for (size_t i = 0; i < asked->topics_count; i++) {
        topic_result *out = &result->topic_results[i];
        out->name = asked->topics[i].name;
        out->results_by_partition_count = asked->topics[i].partitions_count;
        out->results_by_partition = request_get(request, out->results_by_partition_count,
                                                sizeof(*out->results_by_partition));
        for (size_t j = 0; j < out->results_by_partition_count; j++) {
            int32_t partition = asked->topics[i].partitions[j];
            bool is_missing = error == KAFKA_ERROR_OPERATION_NOT_ATTEMPTED &&
                              !image_partition_by_name(request->shard->image, out->name, partition);
            out->results_by_partition[j].partition_index = partition;
            out->results_by_partition[j].partition_error_code =
                is_missing ? KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION : (int16_t)error;
        }
    }
}

static bool all_exist(const struct request *request, const add_request *asked)
{
    for (size_t i = 0; i < asked->topics_count; i++)
        for (size_t j = 0; j < asked->topics[i].partitions_count; j++)
            if (!image_partition_by_name(request->shard->image, asked->topics[i].name,
                                         asked->topics[i].partitions[j]))
                return false;
    return true;
}

static void place(struct request *request, struct add_context *context, struct add_item *item)
{
    const add_request *asked = item->request;
    if (!all_exist(request, asked))
        item->item.call.error = KAFKA_ERROR_OPERATION_NOT_ATTEMPTED;
    else if (asked->transactional_id.size == 0)
        item->item.call.error = KAFKA_ERROR_INVALID_REQUEST;
    else
        coordinator_items_place(request, &context->items, &item->item, COORDINATOR_TRANSACTIONS,
                                asked->transactional_id, asked, &item->result);
}

/* The form of clients as one of the transactions of the other form. */
static add_request *as_transaction(struct request *request)
{
    const struct add_partitions_to_txn_request *message =
        REQUEST_MESSAGE(add_partitions_to_txn, request);
    add_request *transaction = request_get(request, 1, sizeof(*transaction));
    transaction->transactional_id = message->v3_and_below_transactional_id;
    transaction->producer_id = message->v3_and_below_producer_id;
    transaction->producer_epoch = message->v3_and_below_producer_epoch;
    transaction->topics = message->v3_and_below_topics;
    transaction->topics_count = message->v3_and_below_topics_count;
    return transaction;
}

static void add_partitions_to_txn_split(struct request *request)
{
    const struct add_partitions_to_txn_request *message =
        REQUEST_MESSAGE(add_partitions_to_txn, request);
    struct add_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    bool is_from_broker = request_version(request) >= BROKER_SINCE_VERSION;
    const add_request *transactions =
        is_from_broker ? message->transactions : as_transaction(request);
    context->count = is_from_broker ? message->transactions_count : 1;
    context->list = request_get(request, context->count, sizeof(*context->list));
    for (size_t i = 0; i < context->count; i++) {
        context->list[i].request = &transactions[i];
        place(request, context, &context->list[i]);
    }
    coordinator_items_post(request, &context->items);
}

static void add_partitions(void *state, struct coordinator_call *call)
{
    transactions_add_partitions(state, call);
}

static void add_partitions_to_txn_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, add_partitions);
}

static void add_partitions_to_txn_join(struct request *request)
{
    struct add_context *context = request->context;
    struct add_partitions_to_txn_response response;
    add_partitions_to_txn_response_init(&response);
    for (size_t i = 0; i < context->count; i++) {
        struct add_item *item = &context->list[i];
        enum kafka_error error = coordinator_item_answer(&item->item);
        if (error != KAFKA_ERROR_NONE)
            fill_error(request, item, error);
    }
    if (request_version(request) < BROKER_SINCE_VERSION) {
        response.results_by_topic_v3_and_below = context->list[0].result.topic_results;
        response.results_by_topic_v3_and_below_count = context->list[0].result.topic_results_count;
    } else {
        response.results_by_transaction_count = context->count;
        response.results_by_transaction =
            request_get(request, context->count, sizeof(*response.results_by_transaction));
        for (size_t i = 0; i < context->count; i++)
            response.results_by_transaction[i] = context->list[i].result;
    }
    request_respond(request, &response);
}

const struct api_row api_row_add_partitions_to_txn = {
    API_ROW(add_partitions_to_txn, API_KEY_ADD_PARTITIONS_TO_TXN),
    .route = API_ROUTE_PARTITION,
    .split = add_partitions_to_txn_split,
    .part = add_partitions_to_txn_part,
    .join = add_partitions_to_txn_join,
};
