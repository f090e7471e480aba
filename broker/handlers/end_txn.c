/* EndTxn: a producer commits or aborts its transaction (KIP-98, KIP-890). */
#include "protocol/messages/end_txn.h"

#include "broker/coordinator_part.h"
#include "transaction/transactions.h"

API_CODEC(end_txn);

static void end_txn_split(struct request *request)
{
    const struct end_txn_request *message = REQUEST_MESSAGE(end_txn, request);
    struct end_txn_response *response = request_get(request, 1, sizeof(*response));
    end_txn_response_init(response);
    if (message->transactional_id.size == 0) {
        response->error_code = KAFKA_ERROR_INVALID_REQUEST;
        request_respond(request, response);
        return;
    }
    coordinator_ask(request, COORDINATOR_TRANSACTIONS, message->transactional_id, response);
}

static void end(void *state, struct coordinator_call *call)
{
    transactions_end(state, call);
}

static void end_txn_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, end);
}

static void end_txn_join(struct request *request)
{
    enum kafka_error error = coordinator_asked(request);
    struct end_txn_response failed;
    end_txn_response_init(&failed);
    failed.error_code = (int16_t)error;
    request_respond(request,
                    error == KAFKA_ERROR_NONE ? coordinator_asked_response(request) : &failed);
}

const struct api_row api_row_end_txn = {
    API_ROW(end_txn, API_KEY_END_TXN), .route = API_ROUTE_PARTITION, .split = end_txn_split,
    .part = end_txn_part,              .join = end_txn_join,
};
