/*
 * A stream is accepted here and posted to its loop in a client struct; the loop's front adopts it
 * and posts the struct back when the connection has ended.
 */
#include "broker/listeners.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/text.h"
#include "broker/control.h"
#include "broker/shard.h"

/* More than Kafka's 50: a thousand clients that come back at once must not wait for resends. */
enum { LISTEN_BACKLOG_DEFAULT = 4096 };

static const uint64_t WARNING_INTERVAL_NS = UINT64_C(1000000000);

void listeners_init(struct listeners *listeners, struct loop *loop, const struct broker *broker)
{
    const struct broker_settings *settings = &broker->config->settings;
    *listeners = (struct listeners){
        .loop = loop,
        .broker = broker,
    };
    listeners_set_limits(listeners, settings);
    map_init(&listeners->by_address, loop->heap, MEMORY_CONNECTION, loop->seed);
    size_t count = broker->config->listener_count;
    listeners->sockets =
        heap_must_get(loop->heap, MEMORY_STATE, (count ? count : 1) * sizeof(*listeners->sockets));
}

/* Reads "host:count, ..."; what is not that is left out. */
static void set_exceptions(struct listeners *listeners, struct view text)
{
    size_t most = 1;
    for (size_t i = 0; i < text.size; i++)
        most += text.data[i] == ',';
    size_t size = most * sizeof(*listeners->exceptions);
    heap_put(listeners->loop->heap, MEMORY_STATE, listeners->exceptions,
             listeners->exceptions_size);
    listeners->exceptions = heap_must_get(listeners->loop->heap, MEMORY_STATE, size);
    listeners->exceptions_size = size;
    listeners->exception_count = 0;
    for (struct view part; text_split(&text, ',', &part);) {
        struct listener_exception *exception = &listeners->exceptions[listeners->exception_count];
        part = text_trim(part);
        size_t colon = part.size;
        while (colon > 0 && part.data[colon - 1] != ':')
            colon--;
        int64_t limit;
        if (colon > 0 &&
            text_parse_i64(view_of(part.data + colon, part.size - colon), 0, INT32_MAX, &limit) &&
            text_to_string(text_trim(view_of(part.data, colon - 1)), exception->host,
                           sizeof(exception->host))) {
            exception->limit = (uint32_t)limit;
            listeners->exception_count++;
        }
    }
}

void listeners_set_limits(struct listeners *listeners, const struct broker_settings *settings)
{
    listeners->connection_limit = (uint32_t)settings->max_connections;
    listeners->address_limit = (uint32_t)settings->max_connections_per_ip;
    set_exceptions(listeners, settings->max_connections_per_ip_overrides);
}

/* The limit of connections from one address. */
static uint32_t limit_of(const struct listeners *listeners, const struct address *peer)
{
    char text[ADDRESS_TEXT_SIZE];
    if (listeners->exception_count == 0)
        return listeners->address_limit;
    struct view host = view_of_string(address_format(peer, text, sizeof(text)));
    while (host.size > 0 && host.data[host.size - 1] != ':')
        host.size--;
    host.size -= host.size > 0;
    for (size_t i = 0; i < listeners->exception_count; i++) {
        if (view_equal(host, view_of_string(listeners->exceptions[i].host)))
            return listeners->exceptions[i].limit;
    }
    return listeners->address_limit;
}

/* One line a second at most: whoever is refused tries again at once. */
static void warn_refused(struct listeners *listeners, const struct accepted_stream *accepted,
                         const char *limit)
{
    uint64_t now = listeners->loop->now_ns;
    if (listeners->last_warning_ns && now - listeners->last_warning_ns < WARNING_INTERVAL_NS)
        return;
    listeners->last_warning_ns = now;
    char peer[ADDRESS_TEXT_SIZE];
    log_warn(listeners->loop->diagnostics, "connection refused: peer=%s reason=\"%s\"",
             address_format(&accepted->peer, peer, sizeof(peer)), limit);
}

static struct listener_address *count_address(struct listeners *listeners,
                                              const struct address *peer)
{
    uint8_t key[17] = {peer->family};
    memcpy(key + 1, peer->bytes, sizeof(peer->bytes));
    struct listener_address *entry = map_get(&listeners->by_address, view_of(key, sizeof(key)));
    if (!entry) {
        entry = heap_must_get(listeners->loop->heap, MEMORY_CONNECTION, sizeof(*entry));
        memcpy(entry->key, key, sizeof(key));
        bool added = map_put(&listeners->by_address, view_of(entry->key, sizeof(key)), entry);
        klamm_assert(added);
    }
    entry->count++;
    return entry;
}

static void uncount_address(struct listeners *listeners, struct listener_address *entry)
{
    if (--entry->count > 0)
        return;
    map_remove(&listeners->by_address, view_of(entry->key, sizeof(entry->key)));
    heap_put(listeners->loop->heap, MEMORY_CONNECTION, entry, sizeof(*entry));
}

/* On the control loop: the connection has ended, or was never adopted. */
static void client_home(struct message *message, struct loop *at)
{
    struct client *client = container_of(message, struct client, message);
    struct listeners *listeners = client->owner;
    listeners->per_loop[client->loop]--;
    if (client->counted) {
        listeners->total--;
        uncount_address(listeners, client->counted);
    }
    heap_put(at->heap, MEMORY_CONNECTION, client, sizeof(*client));
}

/* On the loop that serves it. */
static void client_arrived(struct message *message, struct loop *at)
{
    struct client *client = container_of(message, struct client, message);
    struct front *front = at->index == 0 ? &control_of(at)->front : &shard_of(at)->front;
    message->deliver = client_home;
    if (!connections_adopt(&front->connections, &client->accepted, client))
        loop_post(at, 0, message);
}

static unsigned choose_shard(const struct listeners *listeners)
{
    unsigned best = 1;
    for (unsigned i = 2; i <= listeners->broker->shard_count; i++)
        if (listeners->per_loop[i] < listeners->per_loop[best])
            best = i;
    return best;
}

/* Counts a client's connection; NULL when a limit is reached. */
static struct listener_address *admit(struct listeners *listeners,
                                      const struct accepted_stream *accepted)
{
    if (listeners->total >= listeners->connection_limit) {
        listeners->counters.refused_total++;
        warn_refused(listeners, accepted, "max.connections reached");
        return NULL;
    }
    struct listener_address *counted = count_address(listeners, &accepted->peer);
    if (counted->count > limit_of(listeners, &accepted->peer)) {
        listeners->counters.refused_by_address++;
        warn_refused(listeners, accepted, "max.connections.per.ip reached");
        uncount_address(listeners, counted);
        return NULL;
    }
    listeners->total++;
    return counted;
}

static void stream_accepted(struct listener *listener, const struct accepted_stream *accepted)
{
    struct listener_socket *socket = container_of(listener, struct listener_socket, listener);
    struct listeners *listeners = socket->owner;
    struct loop *loop = listeners->loop;
    bool is_controller = socket->config->is_controller;
    struct listener_address *counted = is_controller ? NULL : admit(listeners, accepted);
    listeners->counters.accepted++;
    if (!counted && !is_controller) {
        transport_drop(loop->transport, accepted);
        return;
    }
    struct client *client = heap_must_get(loop->heap, MEMORY_CONNECTION, sizeof(*client));
    client->message.deliver = client_arrived;
    client->accepted = *accepted;
    client->owner = listeners;
    client->config = socket->config;
    client->counted = counted;
    client->loop = is_controller ? 0 : choose_shard(listeners);
    listeners->per_loop[client->loop]++;
    loop_post(loop, client->loop, &client->message);
}

static const struct listener_events events = {.accepted = stream_accepted};

static int backlog_of(const struct server_config *config)
{
    return server_config_is_set(config, "socket.listen.backlog.size")
               ? config->settings.socket_listen_backlog_size
               : LISTEN_BACKLOG_DEFAULT;
}

static enum transport_status open_one(struct listeners *listeners, struct listener_socket *socket)
{
    const struct listener_config *wanted = socket->config;
    char host[256];
    socket->listener.events = &events;
    if (!text_to_string(wanted->host, host, sizeof(host)))
        return TRANSPORT_BAD_ADDRESS;
    return transport_listen(listeners->loop->transport, &socket->listener, host,
                            (uint16_t)wanted->port, backlog_of(listeners->broker->config));
}

bool listeners_open(struct listeners *listeners, enum listener_kind kind, char *message,
                    size_t capacity)
{
    const struct server_config *config = listeners->broker->config;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listener_config *wanted = &config->listeners[i];
        if (wanted->is_controller != (kind == LISTENER_CONTROLLERS))
            continue;
        struct listener_socket *socket = &listeners->sockets[listeners->socket_count];
        *socket = (struct listener_socket){.owner = listeners, .config = wanted};
        enum transport_status status = open_one(listeners, socket);
        if (status != TRANSPORT_OK) {
            snprintf(message, capacity, "cannot listen on %.*s://%.*s:%d: %s",
                     (int)wanted->name.size, (const char *)wanted->name.data,
                     (int)wanted->host.size, (const char *)wanted->host.data, wanted->port,
                     transport_status_text(status));
            listeners_close(listeners, kind);
            return false;
        }
        socket->is_open = true;
        listeners->socket_count++;
    }
    return true;
}

void listeners_close(struct listeners *listeners, enum listener_kind kind)
{
    for (size_t i = 0; i < listeners->socket_count; i++) {
        struct listener_socket *socket = &listeners->sockets[i];
        if (!socket->is_open || socket->config->is_controller != (kind == LISTENER_CONTROLLERS))
            continue;
        transport_unlisten(listeners->loop->transport, &socket->listener);
        socket->is_open = false;
    }
}
