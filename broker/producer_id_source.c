/*
 * A block is asked for by a request of the shard to itself that the controller decides. Its row is
 * not in the table of APIs: clients cannot send it to a broker.
 */
#include "broker/producer_id_source.h"

#include "broker/controller_part.h"
#include "broker/local_request.h"
#include "broker/shard.h"
#include "cluster/controller/allocate_producer_ids.h"

API_CODEC(allocate_producer_ids);

struct block_request {
    struct local_request local;
    struct allocate_producer_ids_request message;
};

/* ---- The row ---- */

static void allocate_producer_ids_split(struct request *request)
{
    controller_part_post(request, request->message, sizeof(struct allocate_producer_ids_response));
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

static void allocate_producer_ids_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

static void allocate_producer_ids_join(struct request *request)
{
    const struct controller_part *part = controller_part_of(request);
    struct allocate_producer_ids_response response;
    allocate_producer_ids_response_init(&response);
    response.error_code = (int16_t)part->error;
    request_respond(request, part->error == KAFKA_ERROR_NONE ? part->response : &response);
}

const struct api_row api_row_allocate_producer_ids = {
    API_ROW(allocate_producer_ids, API_KEY_ALLOCATE_PRODUCER_IDS),
    .route = API_ROUTE_CONTROLLER,
    .split = allocate_producer_ids_split,
    .part = allocate_producer_ids_part,
    .join = allocate_producer_ids_join,
    .release = controller_part_release,
};

/* ---- The source ---- */

static void answered(struct local_request *local, const void *response)
{
    struct shard *shard = local->context;
    const struct allocate_producer_ids_response *block = response;
    if (block && block->error_code == KAFKA_ERROR_NONE)
        producer_ids_given(&shard->producer_ids, block->producer_id_start, block->producer_id_len);
    else
        producer_ids_refused(&shard->producer_ids);
}

static void ended(struct local_request *local)
{
    struct shard *shard = local->context;
    struct block_request *request = container_of(local, struct block_request, local);
    heap_put(shard->loop->heap, MEMORY_SCRATCH, request, sizeof(*request));
}

static void ask(struct producer_ids *ids)
{
    struct shard *shard = container_of(ids, struct shard, producer_ids);
    struct block_request *request =
        heap_must_get(shard->loop->heap, MEMORY_SCRATCH, sizeof(*request));
    allocate_producer_ids_request_init(&request->message);
    request->message.broker_id = shard->broker->config->node_id;
    request->local.answered = answered;
    request->local.ended = ended;
    request->local.context = shard;
    local_request_start(&request->local, &shard->front, &api_row_allocate_producer_ids, 0,
                        &request->message);
}

void producer_id_source_init(struct shard *shard)
{
    producer_ids_init(&shard->producer_ids, ask);
}
