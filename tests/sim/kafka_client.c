/* One frame is read at a time; a request's memory is its own block until the send is done. */
#include "tests/sim/kafka_client.h"

#include <string.h>

enum { ANSWER_MAX = 8 * 1024 * 1024 };

static const uint64_t usual_limit_ns = UINT64_C(40) * 1000000000;

struct kafka_request {
    struct list link;
    struct kafka_client *client;
    enum kafka_api api;
    int32_t correlation;
    void *context;
    bool is_sent, is_answered, is_flexible;
    struct stream_send send;
    struct slice slice;
    size_t size;
    uint8_t bytes[];
};

static void request_release(struct kafka_request *request)
{
    if (!request->is_sent || !request->is_answered)
        return;
    heap_put(request->client->loop->heap, MEMORY_FRAME, request, sizeof(*request) + request->size);
}

static void answer_request(struct kafka_request *request)
{
    list_remove(&request->link);
    request->is_answered = true;
}

static void forget_connection(struct kafka_client *client)
{
    client->is_open = client->is_usable = false;
    timer_clear(&client->limit);
    if (client->frame)
        heap_put(client->loop->heap, MEMORY_FRAME, client->frame, client->frame_size);
    client->frame = NULL;
    client->head_have = 0;
    while (!list_is_empty(&client->sent)) {
        struct kafka_request *request = container_of(client->sent.next, struct kafka_request, link);
        answer_request(request);
        request_release(request);
    }
}

void kafka_client_drop(struct kafka_client *client)
{
    if (!client->is_open)
        return;
    stream_close(client->loop->transport, &client->stream, true);
    forget_connection(client);
}

static void on_limit(struct timer *timer)
{
    struct kafka_client *client = container_of(timer, struct kafka_client, limit);
    kafka_client_drop(client);
    client->events->broken(client);
}

static void watch_answers(struct kafka_client *client)
{
    if (list_is_empty(&client->sent))
        timer_clear(&client->limit);
    else
        loop_set_timer(client->loop, &client->limit, client->answer_limit_ns);
}

static size_t space(struct stream *stream, uint8_t **place)
{
    struct kafka_client *client = container_of(stream, struct kafka_client, stream);
    if (!client->frame) {
        *place = client->head + client->head_have;
        return sizeof(client->head) - client->head_have;
    }
    *place = client->frame + client->frame_have;
    return client->frame_size - client->frame_have;
}

static void take_frame(struct kafka_client *client)
{
    uint8_t *frame = client->frame;
    size_t size = client->frame_size;
    client->frame = NULL;
    client->head_have = 0;
    struct reader body = reader_of(view_of(frame, size));
    int32_t correlation = read_i32(&body);
    struct sim *sim = sim_of(client->loop);
    sim_require(sim, !list_is_empty(&client->sent), "an answer that nobody asked for");
    struct kafka_request *request = container_of(client->sent.next, struct kafka_request, link);
    sim_require(sim, correlation == request->correlation, "answer %d instead of %d", correlation,
                request->correlation);
    answer_request(request);
    watch_answers(client);
    if (request->is_flexible)
        kafka_skip_tags(&body);
    client->events->answered(client, request->api, request->context, &body);
    request_release(request);
    heap_put(client->loop->heap, MEMORY_FRAME, frame, size);
}

static void received(struct stream *stream, size_t size)
{
    struct kafka_client *client = container_of(stream, struct kafka_client, stream);
    if (client->frame) {
        client->frame_have += size;
        if (client->frame_have == client->frame_size)
            take_frame(client);
        return;
    }
    client->head_have += size;
    if (client->head_have < sizeof(client->head))
        return;
    client->frame_size = load_u32(client->head);
    client->frame_have = 0;
    sim_require(sim_of(client->loop), client->frame_size >= 4 && client->frame_size <= ANSWER_MAX,
                "an answer of %zu bytes", client->frame_size);
    client->frame = heap_get(client->loop->heap, MEMORY_FRAME, client->frame_size);
}

static void connected(struct stream *stream)
{
    struct kafka_client *client = container_of(stream, struct kafka_client, stream);
    client->is_usable = true;
    watch_answers(client);
    client->events->connected(client);
}

static void closed(struct stream *stream, enum transport_status why)
{
    struct kafka_client *client = container_of(stream, struct kafka_client, stream);
    (void)why;
    forget_connection(client);
    client->events->broken(client);
}

static const struct stream_events stream_events = {
    .space = space, .received = received, .connected = connected, .closed = closed};

void kafka_client_init(struct kafka_client *client, struct loop *loop,
                       const struct kafka_client_events *events, const char *host, uint16_t port)
{
    *client = (struct kafka_client){.events = events,
                                    .loop = loop,
                                    .host = host,
                                    .port = port,
                                    .answer_limit_ns = usual_limit_ns};
    list_init(&client->sent);
    timer_init(&client->limit, on_limit);
}

void kafka_client_connect(struct kafka_client *client)
{
    client->is_open = true;
    client->stream = (struct stream){.events = &stream_events};
    sim_require(sim_of(client->loop),
                transport_connect(client->loop->transport, &client->stream, client->host,
                                  client->port) == TRANSPORT_OK,
                "a connection is not started");
    loop_set_timer(client->loop, &client->limit, client->answer_limit_ns);
}

static void send_done(struct stream_send *send, enum transport_status status)
{
    struct kafka_request *request = container_of(send, struct kafka_request, send);
    (void)status;
    request->is_sent = true;
    request_release(request);
}

static void send_request(struct kafka_client *client, enum kafka_api api, int16_t version,
                         const struct writer *body, void *context, bool is_flexible)
{
    static const char client_id[] = "sim";
    size_t size = 4 + 2 + 2 + 4 + 2 + strlen(client_id) + is_flexible + body->size;
    sim_require(sim_of(client->loop), !body->failed, "a request of API %d is too large", (int)api);
    struct kafka_request *request =
        heap_get(client->loop->heap, MEMORY_FRAME, sizeof(*request) + size);
    *request = (struct kafka_request){.client = client,
                                      .api = api,
                                      .correlation = client->next_correlation++,
                                      .context = context,
                                      .is_flexible = is_flexible,
                                      .size = size};
    struct writer writer = writer_of(request->bytes, size);
    write_i32(&writer, (int32_t)size - 4);
    write_i16(&writer, (int16_t)api);
    write_i16(&writer, version);
    write_i32(&writer, request->correlation);
    kafka_write_string(&writer, client_id);
    if (is_flexible)
        write_u8(&writer, 0); /* no tags */
    write_bytes(&writer, body->data, body->size);
    request->slice = (struct slice){.kind = SLICE_MEMORY, .data = request->bytes, .size = size};
    request->send =
        (struct stream_send){.slices = &request->slice, .slice_count = 1, .done = send_done};
    list_push_back(&client->sent, &request->link);
    watch_answers(client);
    stream_send(client->loop->transport, &client->stream, &request->send);
}

void kafka_client_send(struct kafka_client *client, enum kafka_api api, int16_t version,
                       const struct writer *body, void *context)
{
    send_request(client, api, version, body, context, false);
}

void kafka_client_send_flexible(struct kafka_client *client, enum kafka_api api, int16_t version,
                                const struct writer *body, void *context)
{
    send_request(client, api, version, body, context, true);
}
