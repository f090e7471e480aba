/*
 * InitProducerId: an id for an idempotent producer (KIP-98, KIP-360).
 */
#include "protocol/messages/init_producer_id.h"

#include "broker/request.h"
#include "broker/shard.h"

API_CODEC(init_producer_id);

static void init_producer_id_split(struct request *request)
{
    const struct init_producer_id_request *message = REQUEST_MESSAGE(init_producer_id, request);
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    response.error_code = message->transactional_id.data && message->transactional_id.size == 0
                              ? KAFKA_ERROR_INVALID_REQUEST
                              : KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE;
    request_respond(request, &response);
}

const struct api_row api_row_init_producer_id = {
    API_ROW(init_producer_id, API_KEY_INIT_PRODUCER_ID),
    .route = API_ROUTE_CONTROL,
    .split = init_producer_id_split,
};
