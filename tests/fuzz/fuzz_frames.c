/*
 * Bytes on two connections that share a loop and its memory for frames. The first eight bytes seed
 * how the bytes are cut, when requests are answered, when sends finish and when peers go; the rest
 * is what both peers send.
 *
 * Every request is the next frame of its peer, whole; answers leave in order; Produce overlaps only
 * with Produce, at most 32; everything ends, and all memory comes home.
 */
#include "tests/fuzz/fuzz.h"

#include "base/assert.h"
#include "base/random.h"
#include "connection/connections.h"
#include "tests/unit/log/memory_node.h"

enum {
    PREFIX_SIZE = 8,
    PEERS = 2,
    TURNS_MAX = 100000,
    FRAME_SIZE_LIMIT = 20000,
    MS = 1000000,
    API_KEY_PRODUCE = 0,
};

struct scenario;

struct peer {
    struct scenario *scenario;
    struct stream *stream; /* NULL: not open */
    struct stream_send *first_send, **last_send;
    struct view input; /* not yet received */
    struct view next;  /* from where the next frame is expected */
    bool reading;
    uint64_t requests;
    uint64_t sent; /* number of the last answer + 1 */
};

struct scenario {
    struct random_stream random;
    struct loop *loop;
    struct connections connections;
    struct peer peers[PEERS];
    struct list pending; /* struct request */
};

struct request {
    struct connection_request request;
    struct list link;
    struct peer *peer; /* NULL: its connection is gone */
    uint64_t number;
    bool produce;
};

/* ---- The transport --------------------------------------------------------------------------- */

static enum transport_status adopt(void *self, struct stream *stream,
                                   const struct accepted_stream *accepted)
{
    struct peer *peer = &((struct scenario *)self)->peers[accepted->handle];
    stream->seam = peer;
    peer->stream = stream;
    peer->reading = true;
    return TRANSPORT_OK;
}

static void finish_sends(struct peer *peer, enum transport_status status)
{
    while (peer->first_send) {
        struct stream_send *send = peer->first_send;
        peer->first_send = send->next;
        if (!peer->first_send)
            peer->last_send = &peer->first_send;
        for (size_t i = 0; status == TRANSPORT_OK && i < send->slice_count; i++)
            send->sent_size += send->slices[i].size;
        send->done(send, status);
    }
}

static void start_send(void *self, struct stream *stream, struct stream_send *send)
{
    struct peer *peer = stream->seam;
    (void)self;
    uint64_t number = load_u64(send->slices[0].data);
    klamm_assert(peer->stream == stream);
    klamm_assert(number >= peer->sent);
    peer->sent = number + 1;
    send->next = NULL;
    *peer->last_send = send;
    peer->last_send = &send->next;
}

static void set_reading(void *self, struct stream *stream, bool on)
{
    (void)self;
    ((struct peer *)stream->seam)->reading = on;
}

static void close_stream(void *self, struct stream *stream, bool reset)
{
    struct peer *peer = stream->seam;
    (void)self;
    peer->stream = NULL;
    if (reset)
        finish_sends(peer, TRANSPORT_CLOSED);
}

static const struct transport_ops transport_ops = {
    .adopt = adopt, .send = start_send, .set_reading = set_reading, .close = close_stream};

/* ---- The handler ----------------------------------------------------------------------------- */

static void check_overlap(const struct scenario *scenario, const struct request *request)
{
    unsigned before = 0;
    list_for_each(link, &scenario->pending)
    {
        const struct request *other = container_of(link, struct request, link);
        if (other->peer != request->peer)
            continue;
        klamm_assert(request->produce && other->produce);
        before++;
    }
    klamm_assert(before < CONNECTION_PRODUCE_OVERLAP);
}

static void take_request(struct connection_request *arrived)
{
    struct request *request = (struct request *)(void *)arrived;
    struct peer *peer = arrived->connection->context;
    struct scenario *scenario = peer->scenario;
    klamm_assert(peer->next.size >= 4);
    klamm_assert(load_u32(peer->next.data) == arrived->frame_size);
    klamm_assert(peer->next.size - 4 >= arrived->frame_size);
    klamm_assert(memcmp(peer->next.data + 4, arrived->frame, arrived->frame_size) == 0);
    peer->next = view_of(peer->next.data + 4 + arrived->frame_size,
                         peer->next.size - 4 - arrived->frame_size);
    klamm_assert(arrived->client_id.size <= arrived->frame_size);
    klamm_assert(arrived->body.size <= arrived->frame_size);
    request->peer = peer;
    request->number = peer->requests++;
    request->produce = arrived->api_key == API_KEY_PRODUCE;
    check_overlap(scenario, request);
    list_push_back(&scenario->pending, &request->link);
}

static void abandon_request(struct connection_request *arrived)
{
    ((struct request *)(void *)arrived)->peer = NULL;
}

static void end_request(struct connection_request *arrived)
{
    klamm_assert(!list_is_linked(&((struct request *)(void *)arrived)->link));
}

static void forget_connection(struct connection *connection)
{
    (void)connection;
}

static const struct connection_handler handler = {
    .request = take_request,
    .abandoned = abandon_request,
    .ended = end_request,
    .closed = forget_connection,
};

/* Answers one pending request, not always the oldest; now and then without an answer. */
static void answer_one(struct scenario *scenario)
{
    struct list *link = scenario->pending.next;
    while (link->next != &scenario->pending && random_chance(&scenario->random, 1, 3))
        link = link->next;
    struct request *request = container_of(link, struct request, link);
    struct answer *answer = NULL;
    list_remove(link);
    if (random_chance(&scenario->random, 5, 6)) {
        answer = answer_create(scenario->loop->heap, sizeof(uint64_t), 1);
        store_u64(answer->bytes, request->number);
        answer_add_memory(answer, answer->bytes, sizeof(uint64_t));
    }
    if (request->peer && random_chance(&scenario->random, 1, 20))
        connection_mute(request->request.connection, 5);
    connection_answer(&request->request, answer);
}

/* ---- Turns ----------------------------------------------------------------------------------- */

static void close_peer(struct peer *peer)
{
    struct stream *stream = peer->stream;
    finish_sends(peer, TRANSPORT_CLOSED);
    if (peer->stream != stream)
        return;
    peer->stream = NULL;
    stream->events->closed(stream, TRANSPORT_CLOSED);
}

static void receive_some(struct scenario *scenario, struct peer *peer)
{
    uint8_t *place;
    if (!peer->stream || !peer->reading)
        return;
    size_t size = (size_t)random_below(&scenario->random, 2 + peer->input.size);
    if (random_chance(&scenario->random, 1, 2))
        size = (size_t)random_below(&scenario->random, 8);
    size = size < peer->input.size ? size : peer->input.size;
    if (size == 0)
        return;
    size_t capacity = peer->stream->events->space(peer->stream, &place);
    if (capacity == 0) {
        peer->reading = false;
        return;
    }
    size = size < capacity ? size : capacity;
    memcpy(place, peer->input.data, size);
    peer->input = view_of(peer->input.data + size, peer->input.size - size);
    peer->stream->events->received(peer->stream, size);
}

static void run_turn(struct scenario *scenario, uint64_t turn)
{
    struct loop *loop = scenario->loop;
    loop_turn_begin(loop, loop->now_ns + MS + random_below(&scenario->random, 20) * MS,
                    loop->wall_ms + 1);
    for (size_t i = 0; i < PEERS; i++) {
        struct peer *peer = &scenario->peers[i];
        receive_some(scenario, peer);
        bool done = peer->input.size == 0 && list_is_empty(&scenario->pending);
        if (peer->stream && (done ? random_chance(&scenario->random, 1, 4)
                                  : random_chance(&scenario->random, 1, 400)))
            close_peer(peer);
    }
    uint64_t answers = random_below(&scenario->random, 6);
    while (answers-- > 0 && !list_is_empty(&scenario->pending))
        answer_one(scenario);
    if (turn == 2000)
        connections_close_all(&scenario->connections, CONNECTION_CLOSE_STOPPING);
    loop_turn_timers(loop);
    for (size_t i = 0; i < PEERS; i++) {
        if (random_chance(&scenario->random, 1, 2))
            finish_sends(&scenario->peers[i], TRANSPORT_OK);
    }
    loop_turn_end(loop);
}

static bool all_is_quiet(const struct scenario *scenario)
{
    for (size_t i = 0; i < PEERS; i++) {
        if (scenario->peers[i].stream || scenario->peers[i].first_send)
            return false;
    }
    return list_is_empty(&scenario->pending) && scenario->connections.count == 0;
}

static void start_scenario(struct scenario *scenario, struct view input)
{
    struct connections_options options = {
        .frame_size_limit = FRAME_SIZE_LIMIT,
        .frame_memory = random_chance(&scenario->random, 1, 2) ? 0 : 3000,
        .answer_memory = random_chance(&scenario->random, 1, 2) ? 0 : 500,
        .idle_ms = random_chance(&scenario->random, 1, 2) ? 0 : 300,
        .stall_ms = 200,
        .request_size = sizeof(struct request),
    };
    scenario->loop->heap->limit[MEMORY_FRAME] = options.frame_memory;
    list_init(&scenario->pending);
    connections_init(&scenario->connections, scenario->loop, &handler, &options, scenario);
    for (size_t i = 0; i < PEERS; i++) {
        struct peer *peer = &scenario->peers[i];
        *peer = (struct peer){.scenario = scenario, .input = input, .next = input};
        peer->last_send = &peer->first_send;
        struct accepted_stream accepted = {.handle = i};
        klamm_assert(connections_adopt(&scenario->connections, &accepted, peer));
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct memory_node node;
    struct scenario scenario = {0};
    if (size < PREFIX_SIZE)
        return;
    memory_node_init(&node);
    scenario.loop = memory_node_loop(&node, 1);
    scenario.loop->transport = (struct transport){&transport_ops, &scenario};
    random_init(&scenario.random, load_u64(data), 0);
    start_scenario(&scenario, view_of(data + PREFIX_SIZE, size - PREFIX_SIZE));
    uint64_t turn = 0;
    while (!all_is_quiet(&scenario)) {
        run_turn(&scenario, turn++);
        klamm_assert(turn < TURNS_MAX);
    }
    struct heap *heap = scenario.loop->heap;
    connections_deinit(&scenario.connections);
    for (int i = 0; i < MEMORY_CLASSES; i++)
        klamm_assert(heap->used[i] == 0);
    memory_node_deinit(&node);
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    struct random_stream random;
    struct writer writer = writer_of(data, capacity);
    random_init(&random, 81, number);
    write_u64(&writer, random_u64(&random));
    for (uint64_t i = random_below(&random, 50); i > 0; i--) {
        uint32_t body = (uint32_t)random_below(&random, random_chance(&random, 1, 15) ? 6000 : 40);
        int16_t client = (int16_t)random_between(&random, -1, 3);
        write_u32(&writer, 10 + (uint32_t)(client > 0 ? client : 0) + body);
        write_i16(&writer, random_chance(&random, 2, 3) ? API_KEY_PRODUCE : 3);
        write_i16(&writer, 9);
        write_i32(&writer, (int32_t)i);
        write_i16(&writer, client);
        write_view(&writer, view_of("abc", client > 0 ? (size_t)client : 0));
        uint8_t *place = writer_reserve(&writer, body);
        if (place)
            random_fill(&random, place, body);
    }
    return writer.failed ? 0 : writer.size;
}
