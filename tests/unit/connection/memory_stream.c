/* The memory transport: everything on the test's thread, in the order of a real turn. */
#include "memory_stream.h"

#include <stdlib.h>
#include <string.h>

static enum transport_status adopt(void *self, struct stream *stream,
                                   const struct accepted_stream *accepted)
{
    struct memory_transport *transport = self;
    struct pipe *pipe = &transport->pipes[accepted->handle];
    pipe->stream = stream;
    pipe->reading = true;
    pipe->last = &pipe->first;
    stream->seam = pipe;
    return TRANSPORT_OK;
}

static void drop(void *self, const struct accepted_stream *accepted)
{
    struct memory_transport *transport = self;
    transport->pipes[accepted->handle].closed = true;
}

static enum transport_status connect_stream(void *self, struct stream *stream, const char *host,
                                            uint16_t port)
{
    (void)host;
    struct memory_transport *transport = self;
    if (transport->connect_status != TRANSPORT_OK)
        return transport->connect_status;
    if (transport->connects == PIPES_MAX)
        return TRANSPORT_LIMIT;
    struct pipe *pipe = &transport->pipes[transport->connects++];
    pipe->stream = stream;
    pipe->connecting = true;
    pipe->last = &pipe->first;
    pipe->port = port;
    stream->seam = pipe;
    return TRANSPORT_OK;
}

static void send_one(void *self, struct stream *stream, struct stream_send *send)
{
    (void)self;
    struct pipe *pipe = stream->seam;
    send->next = NULL;
    *pipe->last = send;
    pipe->last = &send->next;
}

static void finish_sends(struct pipe *pipe, enum transport_status status)
{
    struct stream_send *send = pipe->first;
    pipe->first = NULL;
    pipe->last = &pipe->first;
    while (send) {
        struct stream_send *next = send->next;
        send->done(send, status);
        send = next;
    }
}

static void set_reading(void *self, struct stream *stream, bool on)
{
    (void)self;
    struct pipe *pipe = stream->seam;
    pipe->reading = on;
}

static void close_stream(void *self, struct stream *stream, bool reset)
{
    (void)self;
    struct pipe *pipe = stream->seam;
    pipe->closed = true;
    pipe->stream = NULL;
    if (reset)
        finish_sends(pipe, TRANSPORT_CLOSED);
}

static const struct transport_ops ops = {
    .adopt = adopt,
    .drop = drop,
    .connect = connect_stream,
    .send = send_one,
    .set_reading = set_reading,
    .close = close_stream,
};

static void count_line(void *self, enum log_level level, const char *text)
{
    (void)level;
    (void)text;
    struct memory_transport *transport = self;
    transport->lines++;
}

/* Entropy that is the same in every run. */
static void fill(void *self, void *data, size_t size)
{
    (void)self;
    memset(data, 7, size);
}

static const struct host_ops host = {.entropy = fill};

void memory_transport_init(struct memory_transport *transport)
{
    memset(transport, 0, sizeof(*transport));
    heap_init_plain(&transport->heap);
    transport->diagnostics =
        (struct diagnostics){.line = count_line, .self = transport, .threshold = LOG_LEVEL_WARN};
    loop_init(&transport->loop, 1, 2, &transport->heap, (struct storage){0},
              (struct transport){&ops, transport}, (struct host){&host, NULL},
              &transport->diagnostics);
    timer_wheel_init(&transport->loop.timers, 1000000);
    loop_turn_begin(&transport->loop, 1000000, 0);
}

void memory_transport_deinit(struct memory_transport *transport)
{
    for (unsigned i = 0; i < PIPES_MAX; i++)
        free(transport->pipes[i].sent);
}

struct accepted_stream memory_transport_accept(unsigned index)
{
    return (struct accepted_stream){.handle = index};
}

/* Gives as much of the peer's bytes as the stream takes. */
static void read_pipe(struct pipe *pipe)
{
    while (pipe->stream && pipe->reading && pipe->unread_size > 0) {
        uint8_t *place;
        size_t capacity = pipe->stream->events->space(pipe->stream, &place);
        if (capacity == 0) {
            pipe->reading = false;
            return;
        }
        size_t size = pipe->unread_size < capacity ? pipe->unread_size : capacity;
        memcpy(place, pipe->unread, size);
        pipe->unread += size;
        pipe->unread_size -= size;
        pipe->stream->events->received(pipe->stream, size);
    }
}

void peer_send(struct memory_transport *transport, unsigned index, const void *data, size_t size)
{
    struct pipe *pipe = &transport->pipes[index];
    pipe->unread = data;
    pipe->unread_size = size;
    read_pipe(pipe);
}

void peer_accept(struct memory_transport *transport, unsigned index)
{
    struct pipe *pipe = &transport->pipes[index];
    pipe->connecting = false;
    pipe->reading = true;
    pipe->stream->events->connected(pipe->stream);
}

void peer_fail(struct memory_transport *transport, unsigned index, enum transport_status why)
{
    struct pipe *pipe = &transport->pipes[index];
    struct stream *stream = pipe->stream;
    finish_sends(pipe, TRANSPORT_CLOSED);
    pipe->stream = NULL;
    if (stream)
        stream->events->closed(stream, why);
}

void peer_close(struct memory_transport *transport, unsigned index)
{
    peer_fail(transport, index, TRANSPORT_CLOSED);
}

void release_sends(struct memory_transport *transport, unsigned index)
{
    struct pipe *pipe = &transport->pipes[index];
    if (!pipe->sent)
        pipe->sent = malloc(PIPE_SIZE);
    for (struct stream_send *send = pipe->first; send; send = send->next) {
        for (size_t i = 0; i < send->slice_count; i++) {
            const struct slice *slice = &send->slices[i];
            if (slice->kind == SLICE_MEMORY)
                memcpy(pipe->sent + pipe->sent_size, slice->data, slice->size);
            pipe->sent_size += slice->size;
            send->sent_size += slice->size;
        }
    }
    finish_sends(pipe, TRANSPORT_OK);
}

void memory_turn(struct memory_transport *transport, uint64_t milliseconds)
{
    struct loop *loop = &transport->loop;
    loop_turn_begin(loop, loop->now_ns + milliseconds * 1000000, 0);
    for (unsigned i = 0; i < PIPES_MAX; i++) {
        if (!transport->hold_sends && transport->pipes[i].first && !transport->pipes[i].connecting)
            release_sends(transport, i);
        read_pipe(&transport->pipes[i]);
    }
    loop_turn_timers(loop);
    loop_turn_end(loop);
}
