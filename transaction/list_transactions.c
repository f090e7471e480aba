/* ListTransactions: the ids of one partition that pass the filters of states, producer ids and
   duration (KIP-664, KIP-994). */
#include "transaction/transactions.h"

#include "protocol/messages/list_transactions.h"

/* A set bit per status that is asked for; all when no state is named. */
static unsigned wanted_statuses(const struct list_transactions_request *request)
{
    if (request->state_filters_count == 0)
        return ~0u;
    unsigned wanted = 0;
    for (size_t i = 0; i < request->state_filters_count; i++) {
        enum transaction_status status = transaction_status_of_name(request->state_filters[i]);
        if (status < TRANSACTION_STATUS_COUNT)
            wanted |= 1u << status;
    }
    return wanted;
}

static bool names_producer(const struct list_transactions_request *request, int64_t producer_id)
{
    for (size_t i = 0; i < request->producer_id_filters_count; i++) {
        if (request->producer_id_filters[i] == producer_id)
            return true;
    }
    return request->producer_id_filters_count == 0;
}

static bool is_long_enough(const struct list_transactions_request *request,
                           const struct transaction *transaction, int64_t now_ms)
{
    return request->duration_filter < 0 ||
           now_ms - transaction->started_ms > request->duration_filter;
}

void transactions_list(struct transactions *transactions, struct coordinator_call *call)
{
    const struct list_transactions_request *request = call->request;
    struct list_transactions_response *response = call->response;
    unsigned wanted = wanted_statuses(request);
    response->transaction_states = arena_must_get(call->arena, map_count(&transactions->by_id),
                                                  sizeof(*response->transaction_states));
    map_for_each(entry, &transactions->by_id)
    {
        const struct transaction *transaction = entry->value;
        if (!(wanted & (1u << transaction->status)) ||
            !names_producer(request, transaction->producer_id) ||
            !is_long_enough(request, transaction, transactions->loop->wall_ms))
            continue;
        struct list_transactions_response_transaction_state *out =
            &response->transaction_states[response->transaction_states_count++];
        out->transactional_id = arena_copy(call->arena, transaction->id);
        out->producer_id = transaction->producer_id;
        out->transaction_state = view_of_string(transaction_status_name(transaction->status));
    }
    coordinator_answer(transactions->coordinator, call);
}
