/* AddOffsetsToTxn: the offsets of a group join a transaction (KIP-98). */
#include "protocol/messages/add_offsets_to_txn.h"

#include "broker/coordinator_part.h"
#include "transaction/transactions.h"

API_CODEC(add_offsets_to_txn);

static struct add_offsets_to_txn_response *new_response(struct request *request)
{
    struct add_offsets_to_txn_response *response = request_get(request, 1, sizeof(*response));
    add_offsets_to_txn_response_init(response);
    return response;
}

static void add_offsets_to_txn_split(struct request *request)
{
    const struct add_offsets_to_txn_request *message = REQUEST_MESSAGE(add_offsets_to_txn, request);
    struct add_offsets_to_txn_response *response = new_response(request);
    if (message->transactional_id.size == 0) {
        response->error_code = KAFKA_ERROR_INVALID_REQUEST;
        request_respond(request, response);
        return;
    }
    coordinator_ask(request, COORDINATOR_TRANSACTIONS, message->transactional_id, response);
}

static void add_offsets(void *state, struct coordinator_call *call)
{
    transactions_add_offsets(state, call);
}

static void add_offsets_to_txn_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, add_offsets);
}

static void add_offsets_to_txn_join(struct request *request)
{
    enum kafka_error error = coordinator_asked(request);
    struct add_offsets_to_txn_response failed;
    add_offsets_to_txn_response_init(&failed);
    failed.error_code = (int16_t)error;
    request_respond(request,
                    error == KAFKA_ERROR_NONE ? coordinator_asked_response(request) : &failed);
}

const struct api_row api_row_add_offsets_to_txn = {
    API_ROW(add_offsets_to_txn, API_KEY_ADD_OFFSETS_TO_TXN),
    .route = API_ROUTE_PARTITION,
    .split = add_offsets_to_txn_split,
    .part = add_offsets_to_txn_part,
    .join = add_offsets_to_txn_join,
};
