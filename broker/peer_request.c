/* See the header. */
#include "broker/peer_request.h"

#include "base/assert.h"
#include "broker/api_table.h"
#include "broker/shard.h"

/* ---- This node ---- */

static void local_answered(struct local_request *local, const void *response)
{
    struct peer_request *request = container_of(local, struct peer_request, local);
    request->answered(request, response);
}

static void local_ended(struct local_request *local)
{
    struct peer_request *request = container_of(local, struct peer_request, local);
    request->ended(request);
}

static void send_local(struct peer_request *request, struct shard *shard)
{
    const struct api_row *row = api_row_find(request->call->api_key);
    klamm_assert(row != NULL);
    request->local.answered = local_answered;
    request->local.ended = local_ended;
    local_request_start(&request->local, &shard->front, row, request->version_max,
                        request->message);
}

/* ---- Another one ---- */

static void remote_done(struct channel_request *remote, enum channel_status status,
                        const void *response)
{
    (void)status; /* whatever it was, there is no response */
    struct peer_request *request = container_of(remote, struct peer_request, remote);
    request->answered(request, response);
    request->ended(request);
}

void peer_request_send(struct peer_request *request, struct shard *shard, int32_t node_id)
{
    if (node_id == shard->broker->config->node_id) {
        send_local(request, shard);
        return;
    }
    struct channel *channel = peer_channels_get(&shard->peers, node_id, request->purpose);
    request->remote = (struct channel_request){
        .call = request->call,
        .message = request->message,
        .version_min = request->version_min,
        .version_max = request->version_max,
        .done = remote_done,
    };
    if (channel)
        channel_send(channel, &request->remote);
    else
        remote_done(&request->remote, CHANNEL_DISCONNECTED, NULL);
}
