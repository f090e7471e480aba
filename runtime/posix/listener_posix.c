/*
 * Listening on all addresses of a name. "localhost" means both loopback addresses and "" all
 * addresses of both families; each is a socket of its own family, and one family that the machine
 * does not have is no error. Port 0: the first socket gets a port, the others must get the same,
 * and if one cannot the whole is tried again.
 *
 * Out of descriptors: the sockets are left alone for a while, so that the loop does not spin, and
 * the log says so at most once a second.
 */
#include "runtime/posix/listener_posix.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "runtime/posix/socket_address.h"

enum { SOCKETS_MAX = 8, ACCEPTS_PER_TURN = 64, PORT_TRIES = 64 };

static const uint64_t limit_pause_ns = UINT64_C(100) * 1000000;
static const uint64_t limit_log_ns = UINT64_C(1000) * 1000000;

struct posix_listener;

struct listening {
    struct ready ready;
    struct posix_listener *listener;
    int descriptor;
    struct event event;
};

struct posix_listener {
    struct list all_link;
    struct posix_transport *transport;
    struct listener *owner;
    struct listening sockets[SOCKETS_MAX];
    unsigned count;
    struct timer pause; /* set while accepting rests */
};

/* Where to listen. */
struct target {
    struct sockaddr_storage address;
    socklen_t size;
};

static void set_port(struct target *target, uint16_t port)
{
    if (target->address.ss_family == AF_INET)
        ((struct sockaddr_in *)&target->address)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)&target->address)->sin6_port = htons(port);
}

static unsigned add_target(struct target *targets, unsigned count, const char *numeric)
{
    bool parsed = socket_address_parse(numeric, 0, &targets[count].address, &targets[count].size);
    klamm_assert(parsed);
    return count + 1;
}

/* Fills targets (SOCKETS_MAX); 0 when the name means nothing. */
static unsigned find_targets(const char *host, struct target *targets)
{
    if (host[0] == '\0')
        return add_target(targets, add_target(targets, 0, "0.0.0.0"), "::");
    if (strcmp(host, "localhost") == 0)
        return add_target(targets, add_target(targets, 0, "127.0.0.1"), "::1");
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return 0;
    unsigned count = 0;
    for (const struct addrinfo *one = found; one && count < SOCKETS_MAX; one = one->ai_next) {
        if (one->ai_family != AF_INET && one->ai_family != AF_INET6)
            continue;
        memcpy(&targets[count].address, one->ai_addr, one->ai_addrlen);
        targets[count++].size = one->ai_addrlen;
    }
    freeaddrinfo(found);
    return count;
}

/* A listening socket, or -1 with errno. */
static int open_socket(const struct target *target, int backlog)
{
    int descriptor =
        socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (descriptor < 0)
        return -1;
    int on = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (target->address.ss_family == AF_INET6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(descriptor, (const struct sockaddr *)&target->address, target->size) < 0 ||
        listen(descriptor, backlog) < 0) {
        int error = errno;
        close(descriptor);
        errno = error;
        return -1;
    }
    return descriptor;
}

static void close_sockets(struct posix_listener *listener)
{
    for (unsigned i = 0; i < listener->count; i++)
        close(listener->sockets[i].descriptor);
    listener->count = 0;
}

/* Opens a socket per target, all on one port. 0, or the errno that ended it. */
static int open_sockets(struct posix_listener *listener, struct target *targets, unsigned count,
                        uint16_t port, int backlog)
{
    int missing = 0;
    for (unsigned i = 0; i < count; i++) {
        set_port(&targets[i], port);
        int descriptor = open_socket(&targets[i], backlog);
        if (descriptor < 0 && count > 1 && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT)) {
            missing = errno;
            continue;
        }
        if (descriptor < 0) {
            int error = errno;
            close_sockets(listener);
            return error;
        }
        listener->sockets[listener->count++].descriptor = descriptor;
        struct address local;
        socket_addresses(descriptor, &local, NULL);
        port = local.port;
    }
    return listener->count > 0 ? 0 : missing;
}

static void on_acceptable(evutil_socket_t descriptor, short what, void *argument)
{
    (void)descriptor;
    (void)what;
    struct listening *listening = argument;
    ready_mark(listening->listener->transport, &listening->ready);
}

static void on_pause_end(struct timer *timer)
{
    struct posix_listener *listener = container_of(timer, struct posix_listener, pause);
    for (unsigned i = 0; i < listener->count; i++)
        event_add(&listener->sockets[i].event, NULL);
}

static void pause_accepting(struct posix_listener *listener)
{
    struct posix_transport *transport = listener->transport;
    struct loop *loop = &transport->at->loop;
    for (unsigned i = 0; i < listener->count; i++)
        event_del(&listener->sockets[i].event);
    loop_set_timer(loop, &listener->pause, limit_pause_ns);
    if (loop->now_ns - transport->limit_logged_ns < limit_log_ns)
        return;
    transport->limit_logged_ns = loop->now_ns;
    log_warn(loop->diagnostics, "no file descriptor left for a new connection: accepting rests");
}

static void start_events(struct posix_listener *listener)
{
    for (unsigned i = 0; i < listener->count; i++) {
        struct listening *listening = &listener->sockets[i];
        listening->listener = listener;
        listening->ready.kind = READY_LISTENER;
        list_link_init(&listening->ready.link);
        event_assign(&listening->event, listener->transport->at->base, listening->descriptor,
                     EV_READ | EV_PERSIST, on_acceptable, listening);
        event_add(&listening->event, NULL);
    }
}

enum transport_status posix_listener_listen(void *self, struct listener *owner, const char *host,
                                            uint16_t port, int backlog)
{
    struct posix_transport *transport = self;
    struct target targets[SOCKETS_MAX];
    unsigned count = find_targets(host, targets);
    if (count == 0)
        return TRANSPORT_BAD_ADDRESS;
    struct posix_listener *listener =
        heap_must_get(&transport->at->heap, MEMORY_STATE, sizeof(*listener));
    listener->transport = transport;
    listener->owner = owner;
    timer_init(&listener->pause, on_pause_end);
    int error = EADDRINUSE;
    for (int i = 0; i < (port == 0 ? PORT_TRIES : 1) && error == EADDRINUSE; i++)
        error = open_sockets(listener, targets, count, port, backlog);
    if (error != 0) {
        heap_put(&transport->at->heap, MEMORY_STATE, listener, sizeof(*listener));
        return transport_status_of(error);
    }
    socket_addresses(listener->sockets[0].descriptor, &owner->local, NULL);
    start_events(listener);
    list_push_back(&transport->listeners, &listener->all_link);
    owner->seam = listener;
    return TRANSPORT_OK;
}

static void listener_close(struct posix_listener *listener)
{
    for (unsigned i = 0; i < listener->count; i++) {
        event_del(&listener->sockets[i].event);
        list_remove(&listener->sockets[i].ready.link);
    }
    close_sockets(listener);
    timer_clear(&listener->pause);
    list_remove(&listener->all_link);
    heap_put(&listener->transport->at->heap, MEMORY_STATE, listener, sizeof(*listener));
}

void posix_listener_unlisten(void *self, struct listener *owner)
{
    (void)self;
    struct posix_listener *listener = owner->seam;
    owner->seam = NULL;
    if (listener)
        listener_close(listener);
}

void posix_listeners_close(struct posix_transport *transport)
{
    while (!list_is_empty(&transport->listeners))
        listener_close(container_of(transport->listeners.next, struct posix_listener, all_link));
}

void posix_listener_accept(struct ready *ready)
{
    struct listening *listening = container_of(ready, struct listening, ready);
    struct posix_listener *listener = listening->listener;
    struct listener *owner = listener->owner;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof(peer);
        int descriptor = accept4(listening->descriptor, (struct sockaddr *)&peer, &size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(listener);
            else if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return;
        }
        struct accepted_stream accepted = {.handle = (uint64_t)descriptor,
                                           .peer = socket_address_of(&peer)};
        socket_addresses(descriptor, &accepted.local, NULL);
        listener->transport->at->counters.accepted++;
        owner->events->accepted(owner, &accepted);
        if (owner->seam != listener) /* it stopped listening */
            return;
    }
}
