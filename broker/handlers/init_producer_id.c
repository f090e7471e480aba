/*
 * InitProducerId: an id for a producer (KIP-98, KIP-360).
 *
 * Without a transactional id a producer always gets a fresh id in epoch 0, whatever it had before;
 * it comes from the block of the connection's shard, so that only one request in a thousand meets
 * the controller. With one, the transaction coordinator of the transactional id decides.
 */
#include "protocol/messages/init_producer_id.h"

#include "base/assert.h"
#include "broker/coordinator_part.h"
#include "broker/shard.h"
#include "transaction/transactions.h"

API_CODEC(init_producer_id);

/* A request without transactional id that waits for the shard's next block. */
struct init_context {
    struct producer_id_wait wait;
    struct request *request;
};

static void answer_error(struct request *request, enum kafka_error error)
{
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    response.error_code = (int16_t)error;
    response.producer_id = TRANSACTION_NO_PRODUCER_ID;
    response.producer_epoch = TRANSACTION_NO_EPOCH;
    request_respond(request, &response);
}

/* ---- Without a transactional id ---- */

static bool answer_fresh_id(struct request *request)
{
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    if (!producer_ids_take(&request->shard->producer_ids, &response.producer_id))
        return false;
    request_respond(request, &response);
    return true;
}

static void ids_ready(struct producer_id_wait *wait, bool are_given)
{
    struct init_context *context = container_of(wait, struct init_context, wait);
    struct request *request = context->request;
    if (!are_given)
        answer_error(request, KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS);
    else if (!answer_fresh_id(request))
        producer_ids_await(&request->shard->producer_ids, wait);
}

static void begin_without_transactions(struct request *request)
{
    if (answer_fresh_id(request))
        return;
    struct init_context *context = request_get(request, 1, sizeof(*context));
    context->request = request;
    context->wait.ready = ids_ready;
    producer_ids_await(&request->shard->producer_ids, &context->wait);
}

/* ---- With a transactional id ---- */

static void init_producer_id_split(struct request *request)
{
    const struct init_producer_id_request *message = REQUEST_MESSAGE(init_producer_id, request);
    enum kafka_error error = init_producer_id_check(message, request->shard->broker->config);
    if (error != KAFKA_ERROR_NONE) {
        answer_error(request, error);
        return;
    }
    if (view_is_null(message->transactional_id)) {
        begin_without_transactions(request);
        return;
    }
    struct init_producer_id_response *response = request_get(request, 1, sizeof(*response));
    init_producer_id_response_init(response);
    coordinator_ask(request, COORDINATOR_TRANSACTIONS, message->transactional_id, response);
}

static void init_producer(void *state, struct coordinator_call *call)
{
    transactions_init_producer_id(state, call);
}

static void init_producer_id_part(struct part *part, struct loop *at)
{
    coordinator_part_run(part, at, init_producer);
}

static void init_producer_id_join(struct request *request)
{
    enum kafka_error error = coordinator_asked(request);
    if (error == KAFKA_ERROR_NONE)
        request_respond(request, coordinator_asked_response(request));
    else
        answer_error(request, error);
}

const struct api_row api_row_init_producer_id = {
    API_ROW(init_producer_id, API_KEY_INIT_PRODUCER_ID),
    .route = API_ROUTE_PARTITION,
    .split = init_producer_id_split,
    .part = init_producer_id_part,
    .join = init_producer_id_join,
};
