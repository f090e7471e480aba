/*
 * A client without manners: frames that end early, sizes that lie, bytes that mean nothing, true
 * headers with nonsense behind them, connections that are dropped at once. The broker may refuse
 * and hang up as it likes; it must go on serving the others.
 */
#include "tests/sim/node_producer.h"

#include <string.h>

static const uint64_t pause_ns = 50000000;

struct rude {
    struct loop *loop;
    struct client_role *role;
    struct random_stream random;
    struct stream stream;
    bool is_open;
    struct timer timer;
    struct stream_send send;
    struct slice slice;
    bool is_sending;
    uint8_t bytes[2048];
    uint8_t answer[512];
};

/* Starts with a plausible header, so that it gets past the first look. */
static size_t make_frame(struct rude *rude)
{
    struct random_stream *random = &rude->random;
    size_t size = 4 + random_below(random, sizeof(rude->bytes) - 4);
    random_fill(random, rude->bytes, size);
    struct writer writer = writer_of(rude->bytes, size < 20 ? 0 : size);
    int32_t told = (int32_t)size - 4;
    if (random_chance(random, 1, 4))
        told += (int32_t)random_between(random, -4, 1000);
    if (random_chance(random, 1, 20))
        told = (int32_t)random_u64(random);
    write_i32(&writer, told);
    write_i16(&writer, (int16_t)random_below(random, 90));
    write_i16(&writer, (int16_t)random_below(random, 18));
    write_i32(&writer, (int32_t)random_u64(random));
    if (random_chance(random, 1, 2)) {
        write_i16(&writer, 4);
        write_bytes(&writer, "rude", 4);
    }
    /* Small numbers and zeros are read as counts and lengths more often than noise is. */
    for (size_t i = writer.size; i < size; i++) {
        if (random_chance(random, 1, 2))
            rude->bytes[i] = (uint8_t)random_below(random, 4);
    }
    return random_chance(random, 1, 4) ? random_below(random, size) : size;
}

static void close_soon(struct rude *rude)
{
    if (rude->is_open)
        stream_close(rude->loop->transport, &rude->stream, true);
    rude->is_open = false;
    loop_set_timer(rude->loop, &rude->timer, random_below(&rude->random, pause_ns));
}

static void send_done(struct stream_send *send, enum transport_status status)
{
    struct rude *rude = container_of(send, struct rude, send);
    (void)status;
    rude->is_sending = false;
}

static void send_frame(struct rude *rude)
{
    size_t size = make_frame(rude);
    rude->slice = (struct slice){.kind = SLICE_MEMORY, .data = rude->bytes, .size = size};
    rude->send = (struct stream_send){.slices = &rude->slice, .slice_count = 1, .done = send_done};
    rude->is_sending = true;
    stream_send(rude->loop->transport, &rude->stream, &rude->send);
}

static size_t space(struct stream *stream, uint8_t **place)
{
    struct rude *rude = container_of(stream, struct rude, stream);
    *place = rude->answer;
    return random_chance(&rude->random, 1, 50) ? 0 : sizeof(rude->answer);
}

static void received(struct stream *stream, size_t size)
{
    (void)stream;
    (void)size;
}

static void connected(struct stream *stream)
{
    struct rude *rude = container_of(stream, struct rude, stream);
    if (!rude->is_sending)
        send_frame(rude);
}

static void closed(struct stream *stream, enum transport_status why)
{
    struct rude *rude = container_of(stream, struct rude, stream);
    (void)why;
    rude->is_open = false;
}

static const struct stream_events events = {
    .space = space, .received = received, .connected = connected, .closed = closed};

static void on_timer(struct timer *timer)
{
    struct rude *rude = container_of(timer, struct rude, timer);
    if (rude->is_open && !rude->is_sending && random_chance(&rude->random, 2, 3)) {
        send_frame(rude);
    } else if (rude->is_open) {
        close_soon(rude);
        return;
    } else if (!rude->role->pauses) {
        rude->stream = (struct stream){.events = &events};
        rude->is_open = transport_connect(rude->loop->transport, &rude->stream, rude->role->host,
                                          CLIENT_PORT) == TRANSPORT_OK;
    }
    loop_set_timer(rude->loop, &rude->timer, random_below(&rude->random, pause_ns));
}

void rude_start(struct loop *loop, struct client_role *role)
{
    struct rude *rude = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*rude));
    rude->loop = loop;
    rude->role = role;
    random_init(&rude->random, loop_random_seed(loop, 1), 0);
    timer_init(&rude->timer, on_timer);
    loop_set_timer(loop, &rude->timer, 0);
}
