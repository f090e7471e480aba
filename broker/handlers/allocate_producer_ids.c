/* AllocateProducerIds: a block of producer ids for a broker, this one or another. */
#include "protocol/messages/allocate_producer_ids.h"

#include "broker/controller_part.h"
#include "cluster/controller/allocate_producer_ids.h"
#include "protocol/api_keys.h"

API_CODEC(allocate_producer_ids);
CHANNEL_CALL(allocate_producer_ids, API_KEY_ALLOCATE_PRODUCER_IDS);

static enum kafka_error error_of(const void *response)
{
    return (enum kafka_error)((const struct allocate_producer_ids_response *)response)->error_code;
}

static void allocate_producer_ids_split(struct request *request)
{
    static const struct controller_part_own own = {&allocate_producer_ids_call, error_of};
    controller_part_post_own(request, request->message,
                             sizeof(struct allocate_producer_ids_response), &own);
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_allocate_producer_ids(decision, message, response);
}

static void allocate_producer_ids_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

static void allocate_producer_ids_join(struct request *request)
{
    enum kafka_error error;
    const struct allocate_producer_ids_response *response =
        controller_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct allocate_producer_ids_response refused;
    allocate_producer_ids_response_init(&refused);
    refused.error_code = (int16_t)error;
    request_respond(request, &refused);
}

const struct api_row api_row_allocate_producer_ids = {
    API_ROW(allocate_producer_ids, API_KEY_ALLOCATE_PRODUCER_IDS),
    .route = API_ROUTE_CONTROLLER,
    .split = allocate_producer_ids_split,
    .part = allocate_producer_ids_part,
    .join = allocate_producer_ids_join,
    .release = controller_part_release,
};
