/*
 * ListTransactions: the transactional ids that this node coordinates (KIP-664, KIP-994). Every
 * coordinator filters by state, producer id and duration; the pattern of ids is matched here.
 */
#include "protocol/messages/list_transactions.h"

#include "broker/coordinator_part.h"
#include "broker/shard.h"
#include "consumer/topic_regex.h"
#include "transaction/transactions.h"

API_CODEC(list_transactions);

/* request->context is the compiled pattern from split to join, or NULL. */
static void list_transactions_split(struct request *request)
{
    const struct list_transactions_request *message = REQUEST_MESSAGE(list_transactions, request);
    struct view pattern = message->transactional_id_pattern;
    if (pattern.size > 0) {
        const char *fault;
        request->context =
            topic_regex_compile(request_loop(request)->heap, pattern, &fault);
        if (!request->context) {
            struct list_transactions_response response;
            list_transactions_response_init(&response);
            response.error_code = KAFKA_ERROR_INVALID_REGULAR_EXPRESSION;
            request_respond(request, &response);
            return;
        }
    }
    coordinator_ask_every(request, COORDINATOR_TRANSACTIONS,
                          sizeof(struct list_transactions_response));
}

static void list(void *state, struct coordinator_call *call)
{
    transactions_list(state, call);
}

static void list_transactions_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, list);
}

static void fill_unknown_states(struct request *request,
                                struct list_transactions_response *response)
{
    const struct list_transactions_request *message = REQUEST_MESSAGE(list_transactions, request);
    response->unknown_state_filters = request_get(request, message->state_filters_count,
                                                  sizeof(*response->unknown_state_filters));
    for (size_t i = 0; i < message->state_filters_count; i++) {
        if (!transaction_status_is_known(message->state_filters[i]))
            response->unknown_state_filters[response->unknown_state_filters_count++] =
                message->state_filters[i];
    }
}

/* The items that coordinators gave; one that loads fails the whole list, as in Kafka. */
static enum kafka_error collect(struct request *request,
                                struct list_transactions_response *response)
{
    const struct topic_regex *pattern = request->context;
    size_t count = 0;
    const struct coordinator_item *item = NULL;
    while ((item = coordinator_every_next(request, item))) {
        const struct list_transactions_response *some = item->call.response;
        if (item->call.error == KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS)
            return KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS;
        if (item->call.error == KAFKA_ERROR_NONE)
            count += some->transaction_states_count;
    }
    response->transaction_states =
        request_get(request, count, sizeof(*response->transaction_states));
    while ((item = coordinator_every_next(request, item))) {
        const struct list_transactions_response *some = item->call.response;
        if (item->call.error != KAFKA_ERROR_NONE)
            continue;
        for (size_t i = 0; i < some->transaction_states_count; i++) {
            const struct list_transactions_response_transaction_state *one =
                &some->transaction_states[i];
            if (!pattern || topic_regex_matches(pattern, one->transactional_id))
                response->transaction_states[response->transaction_states_count++] = *one;
        }
    }
    return KAFKA_ERROR_NONE;
}

static void list_transactions_join(struct request *request)
{
    struct list_transactions_response response;
    list_transactions_response_init(&response);
    fill_unknown_states(request, &response);
    enum kafka_error error = collect(request, &response);
    if (error != KAFKA_ERROR_NONE) {
        list_transactions_response_init(&response);
        response.error_code = (int16_t)error;
    }
    if (request->context)
        topic_regex_free(request->context);
    request->context = NULL;
    request_respond(request, &response);
}

const struct api_row api_row_list_transactions = {
    API_ROW(list_transactions, API_KEY_LIST_TRANSACTIONS),
    .route = API_ROUTE_EVERY_SHARD,
    .split = list_transactions_split,
    .part = list_transactions_part,
    .join = list_transactions_join,
};
