/* Addresses for clients. */
#include "broker/endpoint.h"

#include "broker/client.h"

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

bool endpoint_for_client(struct request *request, const struct image_node *node,
                         struct endpoint *endpoint)
{
    const struct connection *connection = request->base.connection;
    if (!connection)
        return false;
    const struct client *client = connection->context;
    const struct server_config *config = request->front->broker->config;
    if (node->id == config->node_id && config->advertised_count == 0) {
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
