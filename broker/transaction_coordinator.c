/*
 * Markers for partitions of this node are a request of the shard to itself; other nodes are asked
 * over a channel. What got lost is looked up and sent anew, perhaps to another leader: a second
 * marker of the same transaction changes nothing.
 */
#include "broker/transaction_coordinator.h"

#include "broker/local_request.h"
#include "broker/shard.h"
#include "protocol/api_keys.h"
#include "transaction/transactions.h"

enum { WRITE_TXN_MARKERS_VERSION = 2 };

CHANNEL_CALL(write_txn_markers, API_KEY_WRITE_TXN_MARKERS);

extern const struct api_row api_row_write_txn_markers;

static void *create(struct coordinator *coordinator)
{
    struct shard *shard = shard_of(coordinator_loop(coordinator));
    return transactions_create(coordinator, &shard->producer_ids, &shard->markers);
}

const struct coordinator_kind transactions_kind = {TRANSACTIONS_KIND, .create = create};

/* ---- Markers ---- */

/* One request, on one of both ways. */
struct marker_request {
    struct local_request local;
    struct channel_request remote;
    struct marker_send *send;
    struct shard *shard;
};

static void free_request(struct marker_request *request)
{
    heap_put(request->shard->loop->heap, MEMORY_SCRATCH, request, sizeof(*request));
}

static void answered(struct local_request *local, const void *response)
{
    struct marker_request *request = container_of(local, struct marker_request, local);
    struct marker_send *send = request->send;
    send->answered(send, response);
}

static void ended(struct local_request *local)
{
    free_request(container_of(local, struct marker_request, local));
}

static void remote_done(struct channel_request *remote, enum channel_status status,
                        const void *response)
{
    (void)status; /* without a response the markers are sent anew */
    struct marker_request *request = container_of(remote, struct marker_request, remote);
    struct marker_send *send = request->send;
    send->answered(send, response);
    free_request(request);
}

static void send_remote(struct shard *shard, struct marker_request *request)
{
    struct marker_send *send = request->send;
    struct channel *channel = peer_channels_get(&shard->peers, send->node, PEER_MARKERS);
    if (!channel) {
        send->answered(send, NULL);
        free_request(request);
        return;
    }
    request->remote = (struct channel_request){
        .call = &write_txn_markers_call,
        .message = &send->request,
        .version_min = WRITE_TXN_MARKERS_REQUEST_VERSION_MIN,
        .version_max = WRITE_TXN_MARKERS_VERSION,
        .done = remote_done,
    };
    channel_send(channel, &request->remote);
}

static void send_markers(void *self, struct marker_send *send)
{
    struct shard *shard = self;
    struct marker_request *request =
        heap_must_get(shard->loop->heap, MEMORY_SCRATCH, sizeof(*request));
    request->send = send;
    request->shard = shard;
    if (send->node != shard->broker->config->node_id) {
        send_remote(shard, request);
        return;
    }
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
