/* Which address of a node a client is told: that of the listener through which it came in. */
#ifndef KLAMM_BROKER_ENDPOINT_H
#define KLAMM_BROKER_ENDPOINT_H

#include "broker/request.h"
#include "cluster/metadata/image.h"

struct endpoint {
    struct view host; /* in the request's arena or in the image */
    int32_t port;
};

/*
 * The address of `node` for this request's client. For the own node without advertised.listeners it
 * is the address at which the client reached us. False: the node has no such listener, or the
 * connection is gone.
 */
bool endpoint_for_client(struct request *request, const struct image_node *node,
                         struct endpoint *endpoint);

#endif
