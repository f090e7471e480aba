/*
 * Streams over TCP: adopting, connecting, reading, closing. Listening is in listener_posix.c,
 * writing in stream_write.c.
 *
 * Events are level-triggered: a short read stops reading for this turn, and the kernel says again
 * what is left. A stream whose owner takes nothing keeps its read event until the kernel reports
 * bytes once more; only then it is taken out, so a short pause costs no system call.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "runtime/posix/listener_posix.h"
#include "runtime/posix/posix_stream.h"
#include "runtime/posix/socket_address.h"

enum { READS_PER_TURN = 16, FLUSH_BYTES = 1024 * 1024 };

static const uint64_t linger_ns = UINT64_C(10) * 1000000000;

static struct posix_stream *stream_of(const struct stream *stream)
{
    return stream->seam;
}

/* ---- Life ---- */

static void on_readable(evutil_socket_t descriptor, short what, void *argument)
{
    (void)descriptor;
    (void)what;
    struct posix_stream *stream = argument;
    if (stream->paused) {
        event_del(&stream->read_event);
        return;
    }
    stream->readable = true;
    ready_mark(stream->transport, &stream->ready);
}

static void on_writable(evutil_socket_t descriptor, short what, void *argument)
{
    (void)descriptor;
    (void)what;
    struct posix_stream *stream = argument;
    stream->blocked = false;
    if (stream->connecting)
        ready_mark(stream->transport, &stream->ready);
    else if (!list_is_linked(&stream->unsent_link))
        list_push_back(&stream->transport->unsent, &stream->unsent_link);
}

static void on_linger_end(struct timer *timer)
{
    struct posix_stream *stream = container_of(timer, struct posix_stream, linger);
    posix_stream_finish_sends(stream, TRANSPORT_CLOSED);
    if (!stream->buried)
        posix_stream_bury(stream, true);
}

static struct posix_stream *stream_create(struct posix_transport *transport, struct stream *owner)
{
    struct posix_stream *stream =
        heap_get_zeroed(&transport->at->heap, MEMORY_CONNECTION, sizeof(*stream));
    if (!stream)
        return NULL;
    stream->ready.kind = READY_STREAM;
    list_link_init(&stream->ready.link);
    list_link_init(&stream->unsent_link);
    list_push_back(&transport->streams, &stream->all_link);
    stream->transport = transport;
    stream->owner = owner;
    stream->descriptor = -1;
    stream->last = &stream->first;
    timer_init(&stream->linger, on_linger_end);
    owner->seam = stream;
    return stream;
}

/* Gives the stream its socket; failures to set options are no reason to refuse a connection. */
static void stream_take_descriptor(struct posix_stream *stream, int descriptor)
{
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    struct event_base *base = stream->transport->at->base;
    stream->descriptor = descriptor;
    event_assign(&stream->read_event, base, descriptor, EV_READ | EV_PERSIST, on_readable, stream);
    event_assign(&stream->write_event, base, descriptor, EV_WRITE, on_writable, stream);
}

void posix_stream_bury(struct posix_stream *stream, bool reset)
{
    klamm_assert(!stream->buried);
    stream->buried = true;
    timer_clear(&stream->linger);
    posix_stream_forget_warm(stream);
    list_remove(&stream->ready.link);
    list_remove(&stream->unsent_link);
    list_remove(&stream->all_link);
    list_push_back(&stream->transport->graveyard, &stream->all_link);
    if (stream->descriptor < 0)
        return;
    event_del(&stream->read_event);
    event_del(&stream->write_event);
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(stream->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    close(stream->descriptor);
    stream->descriptor = -1;
}

/* Frees what was buried in this turn. */
static void graveyard_clear(struct posix_transport *transport)
{
    for (struct list *link; (link = list_pop_front(&transport->graveyard)) != NULL;)
        heap_put(&transport->at->heap, MEMORY_CONNECTION,
                 container_of(link, struct posix_stream, all_link), sizeof(struct posix_stream));
}

/* Tells the owner that the stream has ended; nothing of it remains afterwards. */
static void stream_end(struct posix_stream *stream, enum transport_status why)
{
    struct stream *owner = stream->owner;
    stream->failure = why;
    posix_stream_finish_sends(stream, TRANSPORT_CLOSED);
    if (stream->buried) /* a `done` closed it */
        return;
    posix_stream_bury(stream, why != TRANSPORT_CLOSED);
    if (owner) {
        owner->seam = NULL;
        owner->events->closed(owner, why);
    }
}

/* ---- The network phase ---- */

static void stream_read(struct posix_stream *stream)
{
    struct node_loop_counters *counters = &stream->transport->at->counters;
    struct stream *owner = stream->owner;
    for (int i = 0; i < READS_PER_TURN && !stream->paused; i++) {
        uint8_t *place = NULL;
        size_t capacity = owner->events->space(owner, &place);
        if (stream->buried || !stream->owner)
            return;
        if (capacity == 0) {
            stream->paused = true;
            return;
        }
        ssize_t result = recv(stream->descriptor, place, capacity, MSG_DONTWAIT);
        if (result < 0 && errno == EINTR)
            continue;
        if (result < 0 && errno == EAGAIN)
            return;
        if (result <= 0) {
            stream_end(stream, result == 0 ? TRANSPORT_CLOSED : transport_status_of(errno));
            return;
        }
        counters->receives++;
        counters->received_size += (uint64_t)result;
        owner->events->received(owner, (size_t)result);
        if (stream->buried || !stream->owner || (size_t)result < capacity)
            return;
    }
}

static void stream_connected(struct posix_stream *stream)
{
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(stream->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        stream_end(stream, transport_status_of(error));
        return;
    }
    stream->connecting = false;
    socket_addresses(stream->descriptor, &stream->owner->local, &stream->owner->peer);
    event_add(&stream->read_event, NULL);
    if (stream->first && !list_is_linked(&stream->unsent_link))
        list_push_back(&stream->transport->unsent, &stream->unsent_link);
    stream->owner->events->connected(stream->owner);
}

static void stream_network(struct posix_stream *stream)
{
    bool readable = stream->readable;
    stream->readable = false;
    if (stream->failure != TRANSPORT_OK)
        stream_end(stream, stream->failure);
    else if (stream->connecting)
        stream_connected(stream);
    else if (readable && stream->owner)
        stream_read(stream);
}

void transport_posix_network(struct posix_transport *transport)
{
    struct list now;
    list_init(&now);
    list_splice_back(&now, &transport->ready);
    for (struct list *link; (link = list_pop_front(&now)) != NULL;) {
        struct ready *ready = container_of(link, struct ready, link);
        if (ready->kind == READY_LISTENER)
            posix_listener_accept(ready);
        else
            stream_network(container_of(ready, struct posix_stream, ready));
    }
}

static uint64_t sent_bytes(const struct posix_transport *transport)
{
    const struct node_loop_counters *counters = &transport->at->counters;
    return counters->sent_size + counters->sendfile_size;
}

/* A few busy streams get several rounds in one turn: a turn of its own costs more than a round. */
void transport_posix_flush(struct posix_transport *transport)
{
    uint64_t start = sent_bytes(transport);
    do {
        struct list now;
        list_init(&now);
        list_splice_back(&now, &transport->unsent);
        for (struct list *link; (link = list_pop_front(&now)) != NULL;)
            posix_stream_write(container_of(link, struct posix_stream, unsent_link));
    } while (!list_is_empty(&transport->unsent) && sent_bytes(transport) - start < FLUSH_BYTES);
    graveyard_clear(transport);
}

bool transport_posix_is_busy(const struct posix_transport *transport)
{
    return !list_is_empty(&transport->ready) || !list_is_empty(&transport->unsent);
}

/* ---- Operations ---- */

static enum transport_status posix_adopt(void *self, struct stream *owner,
                                         const struct accepted_stream *accepted)
{
    struct posix_transport *transport = self;
    int descriptor = (int)accepted->handle;
    struct posix_stream *stream = stream_create(transport, owner);
    if (!stream) {
        close(descriptor);
        return TRANSPORT_LIMIT;
    }
    owner->local = accepted->local;
    owner->peer = accepted->peer;
    stream_take_descriptor(stream, descriptor);
    event_add(&stream->read_event, NULL);
    return TRANSPORT_OK;
}

static void posix_drop(void *self, const struct accepted_stream *accepted)
{
    (void)self;
    close((int)accepted->handle);
}

/* Starts connecting to a known address; the outcome comes in the network phase. */
static void stream_connect(struct posix_stream *stream, const struct sockaddr *address,
                           socklen_t size)
{
    int descriptor =
        socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (descriptor >= 0)
        stream_take_descriptor(stream, descriptor);
    if (descriptor < 0 || (connect(descriptor, address, size) < 0 && errno != EINPROGRESS)) {
        stream->failure = transport_status_of(errno);
        ready_mark(stream->transport, &stream->ready);
        return;
    }
    event_add(&stream->write_event, NULL);
}

/* A name on its way through the resolver's pool. The stream may be closed meanwhile. */
struct resolution {
    struct task task;
    struct posix_stream *stream; /* looked at on the loop only */
    struct posix_transport *transport;
    struct sockaddr_storage address;
    socklen_t size; /* of the address; 0: not found */
    char host[256];
    char port[8];
};

static void resolution_done(struct task *task)
{
    struct resolution *resolution = container_of(task, struct resolution, task);
    struct posix_transport *transport = resolution->transport;
    bool alive = false;
    list_for_each(link, &transport->streams)
    {
        struct posix_stream *stream = container_of(link, struct posix_stream, all_link);
        alive = alive || stream->resolution == resolution;
    }
    if (alive)
        resolution->stream->resolution = NULL;
    if (alive && resolution->size > 0) {
        stream_connect(resolution->stream, (const struct sockaddr *)&resolution->address,
                       resolution->size);
    } else if (alive) {
        resolution->stream->failure = TRANSPORT_BAD_ADDRESS;
        ready_mark(transport, &resolution->stream->ready);
    }
    heap_put(&transport->at->heap, MEMORY_CONNECTION, resolution, sizeof(*resolution));
}

static void resolve(struct task *task)
{
    struct resolution *resolution = container_of(task, struct resolution, task);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    int error = getaddrinfo(resolution->host, resolution->port, &hints, &found);
    /* This name means the loopback also where no hosts file says so (RFC 6761, 6.3). */
    if (error != 0 && strcmp(resolution->host, "localhost") == 0)
        error = getaddrinfo("127.0.0.1", resolution->port, &hints, &found);
    if (error == 0) {
        memcpy(&resolution->address, found->ai_addr, found->ai_addrlen);
        resolution->size = found->ai_addrlen;
        freeaddrinfo(found);
    }
    task->run = resolution_done;
    posix_loop_complete(resolution->transport->at, task);
}

static enum transport_status posix_connect(void *self, struct stream *owner, const char *host,
                                           uint16_t port)
{
    struct posix_transport *transport = self;
    struct posix_stream *stream = stream_create(transport, owner);
    if (!stream)
        return TRANSPORT_LIMIT;
    stream->connecting = true;
    struct sockaddr_storage address;
    socklen_t size;
    if (socket_address_parse(host, port, &address, &size)) {
        stream_connect(stream, (const struct sockaddr *)&address, size);
        return TRANSPORT_OK;
    }
    struct resolution *resolution = NULL;
    if (strlen(host) < sizeof(resolution->host))
        resolution = heap_get_zeroed(&transport->at->heap, MEMORY_CONNECTION, sizeof(*resolution));
    if (!resolution) {
        posix_stream_bury(stream, false);
        owner->seam = NULL;
        return TRANSPORT_BAD_ADDRESS;
    }
    stream->resolution = resolution;
    *resolution =
        (struct resolution){.task = {.run = resolve}, .stream = stream, .transport = transport};
    snprintf(resolution->host, sizeof(resolution->host), "%s", host);
    snprintf(resolution->port, sizeof(resolution->port), "%u", port);
    worker_pool_add(&transport->at->node->name_pool, &resolution->task);
    return TRANSPORT_OK;
}

static void posix_send(void *self, struct stream *owner, struct stream_send *send)
{
    struct posix_transport *transport = self;
    struct posix_stream *stream = stream_of(owner);
    klamm_assert(stream != NULL);
    send->next = NULL;
    send->sent_size = 0;
    send->sent_file_size = 0;
    *stream->last = send;
    stream->last = &send->next;
    if (!stream->connecting && !stream->blocked && !list_is_linked(&stream->unsent_link))
        list_push_back(&transport->unsent, &stream->unsent_link);
}

static void posix_set_reading(void *self, struct stream *owner, bool on)
{
    (void)self;
    struct posix_stream *stream = stream_of(owner);
    klamm_assert(stream != NULL);
    stream->paused = !on;
    if (on && !stream->connecting && !event_pending(&stream->read_event, EV_READ, NULL))
        event_add(&stream->read_event, NULL);
}

static void posix_close(void *self, struct stream *owner, bool reset)
{
    struct posix_transport *transport = self;
    struct posix_stream *stream = stream_of(owner);
    if (!stream)
        return;
    stream->owner = NULL;
    owner->seam = NULL;
    stream->paused = true;
    if (reset || stream->connecting || stream->failure != TRANSPORT_OK) {
        posix_stream_bury(stream, reset);
        posix_stream_finish_sends(stream, TRANSPORT_CLOSED);
    } else if (stream->first) {
        loop_set_timer(&transport->at->loop, &stream->linger, linger_ns);
    } else {
        posix_stream_bury(stream, false);
    }
}

static const struct transport_ops posix_ops = {posix_listener_listen, posix_listener_unlisten,
                                               posix_adopt,           posix_drop,
                                               posix_connect,         posix_send,
                                               posix_set_reading,     posix_close};

struct transport transport_posix_init(struct posix_transport *transport, struct posix_loop *at)
{
    *transport = (struct posix_transport){.at = at};
    list_init(&transport->ready);
    list_init(&transport->unsent);
    list_init(&transport->streams);
    list_init(&transport->listeners);
    list_init(&transport->graveyard);
    return (struct transport){&posix_ops, transport};
}

void transport_posix_deinit(struct posix_transport *transport)
{
    posix_listeners_close(transport);
    while (!list_is_empty(&transport->streams))
        posix_stream_bury(container_of(transport->streams.next, struct posix_stream, all_link),
                          false);
    graveyard_clear(transport);
    if (transport->copy)
        heap_put(&transport->at->heap, MEMORY_STATE, transport->copy, COPY_SIZE);
}
