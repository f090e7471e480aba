/*
 * Life of a channel: the line of requests, connecting, deadlines, the end of a connection.
 *
 * A request stands in `waiting`, then in the ring of flights, then (unless its answer came, which
 * is told at once) in `ended`. Calls from outside never run `done`: what they end is told in the
 * deferred phase. Callbacks of stream and timers end in channel_settle, which tells the ended,
 * sends from the line, and connects when somebody stands in line.
 *
 *     IDLE --request--> CONNECTING --connected--> NEGOTIATING --versions--> READY
 *       ^                   |                         |                       |
 *       +---- RESTING <-----+------- failed ----------+-------- ended --------+
 *
 * Reading and decoding are in channel_read.c. Memory of both directions is scratch: the classes of
 * frames and answers carry the limits of clients' connections, which must not wait for what other
 * nodes send.
 */
#include "connection/channel.h"

#include "base/assert.h"
#include "base/hash.h"
#include "connection/channel_internal.h"
#include "protocol/api_info.h"
#include "protocol/messages/request_header.h"

static const uint64_t NS_PER_MS = 1000000;

enum { FRAME_SIZE_BYTES = 4, JITTER_PERCENT = 20 };

/* A request on its way out: struct, then the framed bytes. Outlives the channel if need be. */
struct outgoing {
    struct stream_send send;
    struct slice slice;
    struct heap *heap;
    size_t held_size;
};

const char *channel_status_text(enum channel_status status)
{
    switch (status) {
    case CHANNEL_OK:
        return "ok";
    case CHANNEL_DISCONNECTED:
        return "disconnected";
    case CHANNEL_TIMED_OUT:
        return "timed out";
    case CHANNEL_UNSUPPORTED:
        return "unsupported version";
    case CHANNEL_MALFORMED:
        return "malformed answer";
    case CHANNEL_CLOSED:
        return "closed";
    }
    klamm_unreachable("channel status");
}

/* ---- Sending ---- */

static void outgoing_sent(struct stream_send *send, enum transport_status status)
{
    (void)status;
    struct outgoing *outgoing = container_of(send, struct outgoing, send);
    heap_put(outgoing->heap, MEMORY_SCRATCH, outgoing, outgoing->held_size);
}

bool channel_write(struct channel *channel, const struct channel_call *call, const void *message,
                   int16_t version, int32_t correlation_id)
{
    struct loop *loop = channel->options.loop;
    int16_t header_version = api_info_request_header_version(api_info_find(call->api_key), version);
    struct request_header header;
    request_header_init(&header);
    header.request_api_key = call->api_key;
    header.request_api_version = version;
    header.correlation_id = correlation_id;
    header.client_id = channel->options.client_id;
    size_t size = FRAME_SIZE_BYTES + request_header_size(&header, header_version) +
                  call->size(message, version);
    size_t held = sizeof(struct outgoing) + size;
    struct outgoing *outgoing = heap_must_get(loop->heap, MEMORY_SCRATCH, held);
    uint8_t *bytes = (uint8_t *)(outgoing + 1);
    store_u32(bytes, (uint32_t)(size - FRAME_SIZE_BYTES));
    struct message_writer out =
        message_writer_of(bytes + FRAME_SIZE_BYTES, size - FRAME_SIZE_BYTES);
    request_header_encode(&header, &out, header_version);
    call->encode(message, &out, version);
    if (message_writer_failed(&out)) {
        heap_put(loop->heap, MEMORY_SCRATCH, outgoing, held);
        return false;
    }
    klamm_assert(out.bytes.size == size - FRAME_SIZE_BYTES);
    *outgoing = (struct outgoing){
        .send = {.slices = &outgoing->slice, .slice_count = 1, .done = outgoing_sent},
        .slice = {.kind = SLICE_MEMORY, .data = bytes, .size = size},
        .heap = loop->heap,
        .held_size = held,
    };
    stream_send(loop->transport, &channel->stream, &outgoing->send);
    return true;
}

int32_t channel_take_correlation_id(struct channel *channel)
{
    int32_t taken = channel->next_correlation_id;
    channel->next_correlation_id = taken == INT32_MAX ? 0 : taken + 1;
    return taken;
}

/* The highest version that both sides can do, or -1. */
static int16_t common_version(const struct channel *channel, const struct channel_request *request)
{
    const struct api_info *info = api_info_find(request->call->api_key);
    klamm_assert(info != NULL);
    struct channel_version_range peer = channel_versions_of(channel, info->key);
    int16_t low = peer.min > request->version_min ? peer.min : request->version_min;
    int16_t high = peer.max < request->version_max ? peer.max : request->version_max;
    if (low < info->version_min)
        low = info->version_min;
    if (high > info->version_max)
        high = info->version_max;
    return low <= high ? high : -1;
}

void channel_end_request(struct channel *channel, struct channel_request *request,
                         enum channel_status status)
{
    request->status = status;
    request->is_sent = false;
    list_push_back(&channel->ended, &request->link);
}

static void send_first(struct channel *channel)
{
    struct channel_request *request =
        container_of(list_pop_front(&channel->waiting), struct channel_request, link);
    int16_t version = common_version(channel, request);
    int32_t correlation_id = channel_take_correlation_id(channel);
    if (version < 0 ||
        !channel_write(channel, request->call, request->message, version, correlation_id)) {
        channel_end_request(channel, request, CHANNEL_UNSUPPORTED);
        return;
    }
    request->message_version = version;
    request->is_sent = true;
    uint32_t place =
        (channel->flight_first + channel->flight_count++) % channel->options.in_flight_max;
    channel->flights[place] = (struct channel_flight){
        .request = request,
        .deadline_ns = request->deadline_ns,
        .correlation_id = correlation_id,
    };
}

static void send_waiting(struct channel *channel)
{
    while (channel->state == CHANNEL_READY && !list_is_empty(&channel->waiting) &&
           channel->flight_count < channel->options.in_flight_max)
        send_first(channel);
}

/* ---- Connecting ---- */

/* Everything of the connection goes; requests that were on it end. */
static void drop_connection(struct channel *channel)
{
    struct loop *loop = channel->options.loop;
    if (channel->stream_open) {
        channel->stream_open = false;
        stream_close(loop->transport, &channel->stream, channel->flight_count > 0);
    }
    timer_clear(&channel->timer);
    channel->connection_count++;
    channel->state = CHANNEL_IDLE;
    channel->out_of_memory = false;
    channel_drop_input(channel);
    while (channel->flight_count > 0) {
        struct channel_request *request = channel->flights[channel->flight_first].request;
        channel->flight_first = (channel->flight_first + 1) % channel->options.in_flight_max;
        channel->flight_count--;
        if (request)
            channel_end_request(channel, request, CHANNEL_DISCONNECTED);
    }
}

static void end_waiting(struct channel *channel, enum channel_status status)
{
    for (struct list *link; (link = list_pop_front(&channel->waiting)) != NULL;)
        channel_end_request(channel, container_of(link, struct channel_request, link), status);
}

/* A fifth more or less, so that nodes that lost the same peer do not come back together. */
static uint64_t with_jitter(struct channel *channel, uint64_t delay_ns)
{
    uint64_t part = delay_ns / 100 * JITTER_PERCENT;
    return delay_ns - part + random_below(&channel->random, 2 * part + 1);
}

void channel_connection_over(struct channel *channel, const char *why)
{
    struct loop *loop = channel->options.loop;
    bool was_ready = channel->state == CHANNEL_READY;
    drop_connection(channel);
    channel->not_before_ns = loop->now_ns + with_jitter(channel, channel->backoff_ns);
    if (was_ready)
        return;
    uint64_t doubled = 2 * channel->backoff_ns;
    channel->backoff_ns =
        doubled < channel->options.backoff_max_ns ? doubled : channel->options.backoff_max_ns;
    end_waiting(channel, CHANNEL_DISCONNECTED);
    if (!channel->told_failure)
        log_info(loop->diagnostics, "node not reached: address=%s:%u reason=\"%s\"", channel->host,
                 channel->options.port, why);
    channel->told_failure = true;
}

static void connect_now(struct channel *channel)
{
    struct loop *loop = channel->options.loop;
    channel->state = CHANNEL_CONNECTING;
    channel->stream.events = &channel_stream_events;
    enum transport_status status =
        transport_connect(loop->transport, &channel->stream, channel->host, channel->options.port);
    if (status != TRANSPORT_OK) {
        channel_connection_over(channel, transport_status_text(status));
        return;
    }
    channel->stream_open = true;
    loop_set_timer(loop, &channel->timer, channel->options.connect_timeout_ns);
}

/* Connects, or waits until it may, when somebody stands in line. */
static void connect_if_wanted(struct channel *channel)
{
    struct loop *loop = channel->options.loop;
    if (channel->state != CHANNEL_IDLE || list_is_empty(&channel->waiting))
        return;
    if (channel->not_before_ns <= loop->now_ns) {
        connect_now(channel);
        return;
    }
    channel->state = CHANNEL_RESTING;
    loop_set_timer(loop, &channel->timer, channel->not_before_ns - loop->now_ns);
}

void channel_ready(struct channel *channel)
{
    timer_clear(&channel->timer);
    channel->state = CHANNEL_READY;
    channel->backoff_ns = channel->options.backoff_ns;
    if (channel->told_failure)
        log_info(channel->options.loop->diagnostics, "node reached again: address=%s:%u",
                 channel->host, channel->options.port);
    channel->told_failure = false;
}

static void state_timer_fired(struct timer *timer)
{
    struct channel *channel = container_of(timer, struct channel, timer);
    if (channel->state == CHANNEL_RESTING)
        channel->state = CHANNEL_IDLE;
    else
        channel_connection_over(channel, "no answer in time");
    channel_settle(channel);
}

/* ---- Ends of requests ---- */

static void tell(struct channel *channel, struct channel_request *request)
{
    request->channel = NULL;
    channel->in_done = true;
    request->done(request, request->status, NULL);
    channel->in_done = false;
}

/* What ends inside one of the calls is told in a later phase: no caller can spin here. */
static void tell_ended(struct channel *channel)
{
    struct list now;
    list_init(&now);
    list_splice_back(&now, &channel->ended);
    for (struct list *link; (link = list_pop_front(&now)) != NULL;)
        tell(channel, container_of(link, struct channel_request, link));
}

void channel_settle(struct channel *channel)
{
    tell_ended(channel);
    send_waiting(channel);
    connect_if_wanted(channel);
    if (!list_is_empty(&channel->ended))
        loop_defer(channel->options.loop, &channel->settle);
}

static void settle_deferred(struct deferred *deferred)
{
    struct channel *channel = container_of(deferred, struct channel, settle);
    if (channel->out_of_memory)
        channel_connection_over(channel, "no memory for an answer");
    channel_settle(channel);
}

static void watch_deadline(struct channel *channel, uint64_t deadline_ns)
{
    struct loop *loop = channel->options.loop;
    if (timer_is_set(&channel->deadline) && channel->deadline.due_ns <= deadline_ns)
        return;
    uint64_t now = loop->now_ns;
    loop_set_timer(loop, &channel->deadline, deadline_ns > now ? deadline_ns - now : 0);
}

/* Ends those in line whose time is over; the earliest deadline of the others, or UINT64_MAX. */
static uint64_t expire_waiting(struct channel *channel)
{
    uint64_t now = channel->options.loop->now_ns;
    uint64_t next = UINT64_MAX;
    list_for_each_safe(link, after, &channel->waiting)
    {
        struct channel_request *request = container_of(link, struct channel_request, link);
        if (request->deadline_ns <= now) {
            list_remove(link);
            channel_end_request(channel, request, CHANNEL_TIMED_OUT);
        } else if (request->deadline_ns < next) {
            next = request->deadline_ns;
        }
    }
    return next;
}

/* The same for those that are sent; *late: the connection has to go. */
static uint64_t expire_flights(struct channel *channel, bool *late)
{
    uint64_t now = channel->options.loop->now_ns;
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < channel->flight_count; i++) {
        uint32_t place = (channel->flight_first + i) % channel->options.in_flight_max;
        struct channel_flight *flight = &channel->flights[place];
        if (flight->deadline_ns > now) {
            next = flight->deadline_ns < next ? flight->deadline_ns : next;
            continue;
        }
        *late = true;
        if (flight->request)
            channel_end_request(channel, flight->request, CHANNEL_TIMED_OUT);
        flight->request = NULL;
    }
    return next;
}

static void deadline_fired(struct timer *timer)
{
    struct channel *channel = container_of(timer, struct channel, deadline);
    bool late = false;
    uint64_t sent = expire_flights(channel, &late);
    uint64_t waiting = expire_waiting(channel);
    if (late) {
        channel_connection_over(channel, "no answer in time");
        sent = UINT64_MAX;
    }
    uint64_t next = sent < waiting ? sent : waiting;
    if (next != UINT64_MAX)
        watch_deadline(channel, next);
    channel_settle(channel);
}

/* ---- Calls from outside ---- */

static void copy_host(struct channel *channel, struct view host)
{
    channel->host_size = host.size + 1;
    channel->host = heap_must_get(channel->options.loop->heap, MEMORY_CONNECTION, host.size + 1);
    if (host.size > 0)
        memcpy(channel->host, host.data, host.size);
    channel->options.host = view_of(channel->host, host.size);
}

static void free_host(struct channel *channel)
{
    heap_put(channel->options.loop->heap, MEMORY_CONNECTION, channel->host, channel->host_size);
}

static void set_defaults(struct channel_options *options)
{
    if (options->in_flight_max == 0)
        options->in_flight_max = 1;
    if (options->frame_size_limit == 0)
        options->frame_size_limit = 100 * 1024 * 1024;
    if (options->request_timeout_ns == 0)
        options->request_timeout_ns = 30000 * NS_PER_MS;
    if (options->connect_timeout_ns == 0)
        options->connect_timeout_ns = 10000 * NS_PER_MS;
    if (options->backoff_ns == 0)
        options->backoff_ns = 50 * NS_PER_MS;
    if (options->backoff_max_ns == 0)
        options->backoff_max_ns = 1000 * NS_PER_MS;
    if (options->backoff_max_ns < options->backoff_ns)
        options->backoff_max_ns = options->backoff_ns;
}

struct channel *channel_create(const struct channel_options *options)
{
    struct loop *loop = options->loop;
    struct channel *channel = heap_must_get(loop->heap, MEMORY_CONNECTION, sizeof(*channel));
    channel->options = *options;
    set_defaults(&channel->options);
    klamm_assert(channel->options.in_flight_max <= CHANNEL_IN_FLIGHT_MAX);
    klamm_assert(channel->options.frame_size_limit <= INT32_MAX);
    channel->backoff_ns = channel->options.backoff_ns;
    copy_host(channel, options->host);
    channel->flights = heap_must_get(loop->heap, MEMORY_CONNECTION,
                                     channel->options.in_flight_max * sizeof(*channel->flights));
    channel->version_count = (size_t)api_info_at(api_info_count() - 1)->key + 1;
    channel->versions = heap_must_get(loop->heap, MEMORY_CONNECTION,
                                      channel->version_count * sizeof(*channel->versions));
    list_init(&channel->waiting);
    list_init(&channel->ended);
    deferred_init(&channel->settle, settle_deferred);
    timer_init(&channel->timer, state_timer_fired);
    timer_init(&channel->deadline, deadline_fired);
    random_init(&channel->random, loop_random_seed(loop, options->port),
                hash_bytes(0, channel->options.host));
    return channel;
}

/* For calls from outside: does what can be done at once, leaves what must be told for later. */
static void settle_outside(struct channel *channel)
{
    send_waiting(channel);
    connect_if_wanted(channel);
    if (!list_is_empty(&channel->ended))
        loop_defer(channel->options.loop, &channel->settle);
}

void channel_send(struct channel *channel, struct channel_request *request)
{
    klamm_assert(request->done != NULL);
    klamm_assert(request->version_min <= request->version_max);
    uint64_t timeout_ns =
        request->timeout_ns ? request->timeout_ns : channel->options.request_timeout_ns;
    uint64_t now = channel->options.loop->now_ns;
    request->channel = channel;
    request->frame = NULL;
    request->message_version = -1;
    request->is_sent = false;
    request->deadline_ns = timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
    list_link_init(&request->link);
    list_push_back(&channel->waiting, &request->link);
    watch_deadline(channel, request->deadline_ns);
    settle_outside(channel);
}

void channel_cancel(struct channel_request *request)
{
    struct channel *channel = request->channel;
    if (!channel)
        return;
    request->channel = NULL;
    if (!request->is_sent) {
        list_remove(&request->link);
        return;
    }
    for (uint32_t i = 0; i < channel->flight_count; i++) {
        uint32_t place = (channel->flight_first + i) % channel->options.in_flight_max;
        if (channel->flights[place].request == request)
            channel->flights[place].request = NULL;
    }
}

void channel_set_address(struct channel *channel, struct view host, uint16_t port)
{
    if (channel->options.port == port && view_equal(channel->options.host, host))
        return;
    drop_connection(channel);
    free_host(channel);
    copy_host(channel, host);
    channel->options.port = port;
    channel->backoff_ns = channel->options.backoff_ns;
    channel->not_before_ns = 0;
    channel->told_failure = false;
    settle_outside(channel);
}

bool channel_is_connected(const struct channel *channel)
{
    return channel->state == CHANNEL_READY;
}

void channel_close(struct channel *channel)
{
    klamm_assert(!channel->in_done);
    struct heap *heap = channel->options.loop->heap;
    end_waiting(channel, CHANNEL_CLOSED);
    for (uint32_t i = 0; i < channel->flight_count; i++) {
        uint32_t place = (channel->flight_first + i) % channel->options.in_flight_max;
        struct channel_flight *flight = &channel->flights[place];
        if (flight->request)
            channel_end_request(channel, flight->request, CHANNEL_CLOSED);
        flight->request = NULL;
    }
    drop_connection(channel);
    list_remove(&channel->settle.link);
    timer_clear(&channel->deadline);
    tell_ended(channel);
    klamm_assert(list_is_empty(&channel->ended));
    klamm_assert(list_is_empty(&channel->waiting));
    heap_put(heap, MEMORY_CONNECTION, channel->versions,
             channel->version_count * sizeof(*channel->versions));
    heap_put(heap, MEMORY_CONNECTION, channel->flights,
             channel->options.in_flight_max * sizeof(*channel->flights));
    free_host(channel);
    heap_put(heap, MEMORY_CONNECTION, channel, sizeof(*channel));
}
