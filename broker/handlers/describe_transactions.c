/* DescribeTransactions: transactional ids as their coordinators know them (KIP-664). */
#include "protocol/messages/describe_transactions.h"

#include "broker/coordinator_part.h"
#include "transaction/transactions.h"

API_CODEC(describe_transactions);

typedef struct describe_transactions_response_transaction_state description;

struct describe_item {
    struct coordinator_item item;
    description description;
};

struct describe_context {
    struct coordinator_items items;
    struct describe_item *list; /* in the order of the request */
};

static void describe_transactions_split(struct request *request)
{
    const struct describe_transactions_request *message =
        REQUEST_MESSAGE(describe_transactions, request);
    struct describe_context *context = request_get(request, 1, sizeof(*context));
    request->context = context;
    context->list = request_get(request, message->transactional_ids_count, sizeof(*context->list));
    for (size_t i = 0; i < message->transactional_ids_count; i++) {
        struct describe_item *item = &context->list[i];
        const struct view *id = &message->transactional_ids[i];
        describe_transactions_response_transaction_state_init(&item->description);
        if (id->size == 0)
            item->item.call.error = KAFKA_ERROR_INVALID_REQUEST;
        else
            coordinator_items_place(request, &context->items, &item->item,
                                    COORDINATOR_TRANSACTIONS, *id, id, &item->description);
    }
    coordinator_items_post(request, &context->items);
}

static void describe(void *state, struct coordinator_call *call)
{
    transactions_describe(state, call);
}

static void describe_transactions_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, describe);
}

static void describe_transactions_join(struct request *request)
{
    const struct describe_transactions_request *message =
        REQUEST_MESSAGE(describe_transactions, request);
    const struct describe_context *context = request->context;
    struct describe_transactions_response response;
    describe_transactions_response_init(&response);
    response.transaction_states_count = message->transactional_ids_count;
    response.transaction_states = request_get(request, response.transaction_states_count,
                                              sizeof(*response.transaction_states));
    for (size_t i = 0; i < response.transaction_states_count; i++) {
        description *out = &response.transaction_states[i];
        enum kafka_error error = coordinator_item_answer(&context->list[i].item);
        if (error == KAFKA_ERROR_NONE) {
            *out = context->list[i].description;
            continue;
        }
        describe_transactions_response_transaction_state_init(out);
        out->transactional_id = message->transactional_ids[i];
        out->error_code = (int16_t)error;
    }
    request_respond(request, &response);
}

const struct api_row api_row_describe_transactions = {
    API_ROW(describe_transactions, API_KEY_DESCRIBE_TRANSACTIONS),
    .route = API_ROUTE_PARTITION,
    .split = describe_transactions_split,
    .part = describe_transactions_part,
    .join = describe_transactions_join,
};
