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
/* Whether the client can be sent to a broker: it is there, unfenced, and has the listener. */
bool endpoint_is_alive(const struct request *request, int32_t node_id);
/*
 * What keeps the client from a partition's leader: NONE, LEADER_NOT_AVAILABLE, or
 * LISTENER_NOT_FOUND where the leader lives but not on this listener.
 */
enum kafka_error endpoint_leader_error(const struct request *request, int32_t leader_id);
/* Whether a replica counts as offline for this client: its broker is not alive, or its directory.
 */
bool endpoint_replica_is_offline(const struct request *request,
                                 const struct image_partition *partition, uint32_t place);
/*
 * The broker that clients are told to be the controller: the active one if it is an alive broker,
 * else any that is (it forwards); -1: none.
 */
int32_t endpoint_controller_id(const struct request *request);

/* Addresses of leaders that an answer names (KIP-951), each once. */
struct endpoint_list {
    struct endpoint_entry {
        int32_t node_id;
        struct endpoint endpoint;
        struct view rack;
    } * entries; /* in the request's arena */
    size_t count;
};

/* Adds a node that is not in the list, if the client can be sent there. */
void endpoint_list_add(struct endpoint_list *list, struct request *request, int32_t node_id);
/* The same for the leader of a partition; what the image says of it, or NULL: it has none such. */
const struct image_partition *endpoint_list_add_leader(struct endpoint_list *list,
                                                       struct request *request,
                                                       struct uuid topic_id, int32_t partition);

#endif
