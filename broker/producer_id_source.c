/* A block is asked for by a request of the shard to itself, which the controller decides. */
#include "broker/producer_id_source.h"

#include "broker/api_table.h"
#include "broker/local_request.h"
#include "broker/shard.h"
#include "protocol/messages/allocate_producer_ids.h"

struct block_request {
    struct local_request local;
    struct allocate_producer_ids_request message;
};

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
    int32_t node_id = shard->broker->config->node_id;
    const struct image_node *node = shard->image ? image_broker(shard->image, node_id) : NULL;
    request->message.broker_id = node_id;
    request->message.broker_epoch = node ? node->epoch : -1;
    request->local.answered = answered;
    request->local.ended = ended;
    request->local.context = shard;
    local_request_start(&request->local, &shard->front, api_row_find(API_KEY_ALLOCATE_PRODUCER_IDS),
                        0, &request->message);
}

void producer_id_source_init(struct shard *shard)
{
    producer_ids_init(&shard->producer_ids, ask);
}
