/*
 * A request of a shard to a broker by its node id. Where that is this node it is a request to
 * itself (local_request.h), else it takes the channel of its purpose (peer_channels.h); whoever
 * asks sees no difference.
 *
 * Invariants:
 *  1. `answered` is called once, with the response, or with NULL where it got lost; then `ended`
 *     once, when the memory may go. Perhaps both inside peer_request_send.
 *  2. What got lost may have been carried out.
 */
#ifndef KLAMM_BROKER_PEER_REQUEST_H
#define KLAMM_BROKER_PEER_REQUEST_H

#include "broker/local_request.h"
#include "broker/peer_channels.h"

/* Embedded by whoever asks. */
struct peer_request {
    enum peer_purpose purpose;
    const struct channel_call *call; /* of an API that this node serves, too */
    const void *message;             /* the request struct; stays until `ended` */
    int16_t version_min;             /* that another node may answer in */
    int16_t version_max;             /* this node's own */
    void (*answered)(struct peer_request *request, const void *response);
    void (*ended)(struct peer_request *request);
    /* Private: the one or the other. */
    struct local_request local;
    struct channel_request remote;
};

void peer_request_send(struct peer_request *request, struct shard *shard, int32_t node_id);

#endif
