/*
 * InitProducerId: an id for an idempotent producer (KIP-98, KIP-360).
 *
 * Ids come from the shard's block, so that only one request in a thousand meets the controller. The
 * request that finds the block used up asks for the next one; those that come meanwhile wait in
 * line and take theirs when it is there. Without a transactional id a producer always gets a fresh
 * id in epoch 0, whatever it had before.
 *
 * There is no transaction coordinator yet: sound requests with a transactional id are told that it
 * is not available.
 */
#include "protocol/messages/init_producer_id.h"

#include "broker/controller_part.h"
#include "broker/shard.h"
#include "cluster/controller/allocate_producer_ids.h"

API_CODEC(init_producer_id);

enum { NO_PRODUCER_ID = -1, NO_PRODUCER_EPOCH = -1 };

struct init_context {
    struct request *next; /* in line behind this one */
};

static void answer_error(struct request *request, enum kafka_error error)
{
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    response.error_code = (int16_t)error;
    response.producer_id = NO_PRODUCER_ID;
    response.producer_epoch = NO_PRODUCER_EPOCH;
    request_respond(request, &response);
}

static void answer_id(struct request *request, struct producer_ids *ids)
{
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    response.producer_id = ids->next++;
    request_respond(request, &response);
}

/* ---- The block ---- */

static void ask_for_block(struct request *request, struct producer_ids *ids)
{
    struct allocate_producer_ids_request *asked = request_get(request, 1, sizeof(*asked));
    allocate_producer_ids_request_init(asked);
    asked->broker_id = request->shard->broker->config->node_id;
    ids->asking = request;
    controller_part_post(request, asked, sizeof(struct allocate_producer_ids_response));
}

/* The epoch of this node's registration is what the controller just saw. */
static void decide(struct decision *decision, const void *message, void *response)
{
    struct allocate_producer_ids_request asked =
        *(const struct allocate_producer_ids_request *)message;
    const struct image_node *node = image_broker(decision->image, asked.broker_id);
    if (node)
        asked.broker_epoch = node->epoch;
    decide_allocate_producer_ids(decision, &asked, response);
}

static void init_producer_id_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

static struct request *next_in_line(struct producer_ids *ids)
{
    struct request *request = ids->waiting;
    if (!request)
        return NULL;
    struct init_context *context = request->context;
    ids->waiting = context->next;
    if (!ids->waiting)
        ids->last_waiting = NULL;
    return request;
}

static void wait_in_line(struct request *request, struct producer_ids *ids)
{
    request->context = request_get(request, 1, sizeof(struct init_context));
    if (ids->last_waiting)
        ((struct init_context *)ids->last_waiting->context)->next = request;
    else
        ids->waiting = request;
    ids->last_waiting = request;
}

/* The block is here, or there is none: then everybody in line is told to ask again. */
static void init_producer_id_join(struct request *request)
{
    struct producer_ids *ids = &request->shard->producer_ids;
    const struct controller_part *part = controller_part_of(request);
    const struct allocate_producer_ids_response *block = part->response;
    bool is_given = part->error == KAFKA_ERROR_NONE && block->error_code == KAFKA_ERROR_NONE;
    ids->asking = NULL;
    if (is_given) {
        ids->next = block->producer_id_start;
        ids->end = block->producer_id_start + block->producer_id_len;
    }
    for (; request; request = next_in_line(ids)) {
        if (ids->next < ids->end) {
            answer_id(request, ids);
        } else if (is_given) {
            ask_for_block(request, ids);
            return;
        } else {
            answer_error(request, KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS);
        }
    }
}

/* ---- The request ---- */

static enum kafka_error check(const struct request *request)
{
    const struct init_producer_id_request *message = REQUEST_MESSAGE(init_producer_id, request);
    bool has_id = message->producer_id != NO_PRODUCER_ID;
    bool has_epoch = message->producer_epoch != NO_PRODUCER_EPOCH;
    if (has_id != has_epoch)
        return KAFKA_ERROR_INVALID_REQUEST;
    if (view_is_null(message->transactional_id))
        return KAFKA_ERROR_NONE;
    if (message->transactional_id.size == 0)
        return KAFKA_ERROR_INVALID_REQUEST;
    int32_t timeout_max_ms = request->shard->broker->config->settings.transaction_max_timeout_ms;
    if (message->transaction_timeout_ms <= 0 || message->transaction_timeout_ms > timeout_max_ms)
        return KAFKA_ERROR_INVALID_TRANSACTION_TIMEOUT;
    return KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE;
}

static void init_producer_id_split(struct request *request)
{
    struct producer_ids *ids = &request->shard->producer_ids;
    enum kafka_error error = check(request);
    if (error != KAFKA_ERROR_NONE)
        answer_error(request, error);
    else if (ids->asking)
        wait_in_line(request, ids);
    else if (ids->next < ids->end)
        answer_id(request, ids);
    else
        ask_for_block(request, ids);
}

const struct api_row api_row_init_producer_id = {
    API_ROW(init_producer_id, API_KEY_INIT_PRODUCER_ID),
    .route = API_ROUTE_CONTROLLER,
    .split = init_producer_id_split,
    .part = init_producer_id_part,
    .join = init_producer_id_join,
    .release = controller_part_release,
};
