/* Addresses for clients. */
#include "broker/endpoint.h"

#include "broker/client.h"

enum { RESERVED_DIRECTORIES = 100 /* ids below this number have a meaning of their own */ };

/* The connection's local address without port and brackets; an IPv4 client sees an IPv4 address. */
static struct view local_host(struct request *request, const struct address *local)
{
    char text[ADDRESS_TEXT_SIZE];
    address_format(local, text, sizeof(text));
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] != ':')
        size--;
    struct view host = view_of(text, size > 0 ? size - 1 : 0);
    if (host.size > 2 && host.data[0] == '[')
        host = view_of(host.data + 1, host.size - 2);
    return arena_copy(&request->arena, host);
}

/* Whether the own node tells clients the address at which they came in. */
static bool is_told_as_seen(const struct request *request, const struct image_node *node)
{
    const struct server_config *config = request->front->broker->config;
    return node->id == config->node_id && config->advertised_count == 0;
}

bool endpoint_for_client(struct request *request, const struct image_node *node,
                         struct endpoint *endpoint)
{
    const struct connection *connection = request->base.connection;
    if (!connection)
        return false;
    const struct client *client = connection->context;
    if (is_told_as_seen(request, node)) {
        endpoint->host = local_host(request, &connection->stream.local);
        endpoint->port = connection->stream.local.port;
        return true;
    }
    const struct image_endpoint *found = image_node_endpoint(node, client->config->name);
    if (!found)
        return false;
    endpoint->host = found->host;
    endpoint->port = found->port;
    return true;
}

static bool has_listener(const struct request *request, const struct image_node *node)
{
    const struct connection *connection = request->base.connection;
    if (!connection)
        return false;
    const struct client *client = connection->context;
    return is_told_as_seen(request, node) ||
           image_node_endpoint(node, client->config->name) != NULL;
}

static bool is_alive(const struct request *request, const struct image_node *node)
{
    return node && !node->fenced && has_listener(request, node);
}

bool endpoint_is_alive(const struct request *request, int32_t node_id)
{
    return is_alive(request, image_broker(request_image(request), node_id));
}

enum kafka_error endpoint_leader_error(const struct request *request, int32_t leader_id)
{
    const struct image_node *node = image_broker(request_image(request), leader_id);
    if (is_alive(request, node))
        return KAFKA_ERROR_NONE;
    return node ? KAFKA_ERROR_LISTENER_NOT_FOUND : KAFKA_ERROR_LEADER_NOT_AVAILABLE;
}

/* Zero: not assigned; one: lost; both without a directory of that name. */
static bool is_in_offline_directory(const struct image_node *node, struct uuid directory)
{
    if (uuid_most(directory) == 0 && uuid_least(directory) < RESERVED_DIRECTORIES)
        return uuid_equal(directory, UUID_ONE);
    for (uint32_t i = 0; i < node->directory_count; i++)
        if (uuid_equal(node->directories[i], directory))
            return false;
    return node->directory_count > 0;
}

bool endpoint_replica_is_offline(const struct request *request,
                                 const struct image_partition *partition, uint32_t place)
{
    int32_t id = image_partition_replicas(partition).ids[place];
    const struct image_node *node = image_broker(request_image(request), id);
    return !is_alive(request, node) ||
           is_in_offline_directory(node, image_partition_directory(partition, place));
}

int32_t endpoint_controller_id(const struct request *request)
{
    const struct image *image = request_image(request);
    int32_t own = request->front->broker->config->node_id;
    if (endpoint_is_alive(request, image->controller_id))
        return image->controller_id;
    if (endpoint_is_alive(request, own))
        return own;
    struct image_walk walk;
    image_walk_start(&image->brokers, &walk);
    for (const struct image_node *node; (node = image_walk_next_node(&walk)) != NULL;)
        if (is_alive(request, node))
            return node->id;
    return -1;
}

void endpoint_list_add(struct endpoint_list *list, struct request *request, int32_t node_id)
{
    const struct image *image = request_image(request);
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].node_id == node_id)
            return;
    const struct image_node *node = image_broker(image, node_id);
    struct endpoint endpoint;
    if (!is_alive(request, node) || !endpoint_for_client(request, node, &endpoint))
        return;
    if (!list->entries)
        list->entries = request_get(request, image->brokers.count, sizeof(*list->entries));
    list->entries[list->count++] =
        (struct endpoint_entry){.node_id = node_id, .endpoint = endpoint, .rack = node->rack};
}

const struct image_partition *endpoint_list_add_leader(struct endpoint_list *list,
                                                       struct request *request,
                                                       struct uuid topic_id, int32_t partition)
{
    const struct image_topic *topic = image_topic_by_id(request_image(request), topic_id);
    const struct image_partition *found = topic ? image_topic_partition(topic, partition) : NULL;
    if (found)
        endpoint_list_add(list, request, found->leader);
    return found;
}
