/*
 * Markers are a request to the node that leads their partitions. What got lost is looked up and
 * sent anew, perhaps to another leader: a second marker of the same transaction changes nothing.
 */
#include "broker/transaction_coordinator.h"

#include "broker/peer_request.h"
#include "broker/shard.h"
#include "protocol/api_keys.h"
#include "transaction/transactions.h"

enum { WRITE_TXN_MARKERS_VERSION = 2 };

CHANNEL_CALL(write_txn_markers, API_KEY_WRITE_TXN_MARKERS);

static void *create(struct coordinator *coordinator)
{
    struct shard *shard = shard_of(coordinator_loop(coordinator));
    return transactions_create(coordinator, &shard->producer_ids, &shard->markers);
}

const struct coordinator_kind transactions_kind = {TRANSACTIONS_KIND, .create = create};

/* ---- Markers ---- */

struct marker_request {
    struct peer_request peer;
    struct marker_send *send;
    struct shard *shard;
};

/* The send may be used anew inside; without a response its markers are sent again. */
static void answered(struct peer_request *peer, const void *response)
{
    struct marker_send *send = container_of(peer, struct marker_request, peer)->send;
    send->answered(send, response);
}

static void ended(struct peer_request *peer)
{
    struct marker_request *request = container_of(peer, struct marker_request, peer);
    heap_put(request->shard->loop->heap, MEMORY_SCRATCH, request, sizeof(*request));
}

static void send_markers(void *self, struct marker_send *send)
{
    struct shard *shard = self;
    struct marker_request *request =
        heap_must_get(shard->loop->heap, MEMORY_SCRATCH, sizeof(*request));
    request->send = send;
    request->shard = shard;
    request->peer = (struct peer_request){
        .purpose = PEER_MARKERS,
        .call = &write_txn_markers_call,
        .message = &send->request,
        .version_min = WRITE_TXN_MARKERS_REQUEST_VERSION_MIN,
        .version_max = WRITE_TXN_MARKERS_VERSION,
        .answered = answered,
        .ended = ended,
    };
    peer_request_send(&request->peer, shard, send->node);
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
