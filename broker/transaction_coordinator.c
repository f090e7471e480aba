/*
 * Markers for partitions of this node are a request of the shard to itself. Another node is reached
 * by a channel; until there are channels between brokers its markers wait, which a transaction
 * survives.
 */
#include "broker/transaction_coordinator.h"

#include "broker/local_request.h"
#include "broker/shard.h"
#include "transaction/transactions.h"

enum { WRITE_TXN_MARKERS_VERSION = 2 };

extern const struct api_row api_row_write_txn_markers;

static void *create(struct coordinator *coordinator)
{
    struct shard *shard = shard_of(coordinator_loop(coordinator));
    return transactions_create(coordinator, &shard->producer_ids, &shard->markers);
}

const struct coordinator_kind transactions_kind = {TRANSACTIONS_KIND, .create = create};

/* ---- Markers ---- */

struct marker_request {
    struct local_request local;
    struct marker_send *send;
    struct shard *shard;
};

static void answered(struct local_request *local, const void *response)
{
    struct marker_request *request = container_of(local, struct marker_request, local);
    struct marker_send *send = request->send;
    send->answered(send, response);
}

static void ended(struct local_request *local)
{
    struct marker_request *request = container_of(local, struct marker_request, local);
    heap_put(request->shard->loop->heap, MEMORY_SCRATCH, request, sizeof(*request));
}

static void send_markers(void *self, struct marker_send *send)
{
    struct shard *shard = self;
    if (send->node != shard->broker->config->node_id) {
        send->answered(send, NULL);
        return;
    }
    struct marker_request *request =
        heap_must_get(shard->loop->heap, MEMORY_SCRATCH, sizeof(*request));
    request->send = send;
    request->shard = shard;
    request->local.answered = answered;
    request->local.ended = ended;
    local_request_start(&request->local, &shard->front, &api_row_write_txn_markers,
                        WRITE_TXN_MARKERS_VERSION, &send->request);
}

static const struct image *image_of(void *self)
{
    const struct shard *shard = self;
    return shard->image;
}

void transaction_coordinator_init(struct shard *shard)
{
    const struct marker_host host = {.send = send_markers, .image = image_of, .self = shard};
    marker_writer_init(&shard->markers, shard->loop, &host);
}
