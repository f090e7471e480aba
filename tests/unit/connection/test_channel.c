/*
 * Channels with the test as the other node: it takes connections, reads what was sent from the
 * pipe, and answers when and how it likes. What each request ended with is written down in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "connection/channel.h"
#include "memory_stream.h"
#include "protocol/api_info.h"
#include "protocol/errors.h"
#include "protocol/messages/api_versions.h"
#include "protocol/messages/heartbeat.h"
#include "protocol/messages/metadata.h"
#include "protocol/messages/request_header.h"

CHANNEL_CALL(heartbeat, API_KEY_HEARTBEAT);
CHANNEL_CALL(metadata, API_KEY_METADATA);

enum { ASKS_MAX = 16, TOLD_MAX = 64, SCRATCH_SIZE = 24 * 1024 * 1024, VERSIONS_MAX = 4 };

struct fixture;

struct ask {
    struct channel_request request;
    struct fixture *fixture;
    struct heartbeat_request heartbeat;
    struct metadata_request metadata;
    unsigned times;           /* `done` was called */
    enum channel_status last; /* what it was told */
    int error;                /* of the answer; -1: none */
    bool again;               /* sends itself once more inside `done` */
    struct ask *cancels;      /* taken back inside `done` */
    uint16_t moves_to;        /* another port inside `done`; 0: none */
    bool keeps;
    struct channel_frame kept;
    const struct heartbeat_response *response; /* inside the kept frame */
};

struct fixture {
    struct memory_transport transport;
    struct channel *channel;
    struct ask asks[ASKS_MAX];
    struct ask *told[TOLD_MAX]; /* in the order of `done` */
    unsigned told_count;
    bool in_call;            /* inside a call of the channel: `done` must not run */
    size_t taken[PIPES_MAX]; /* bytes of pipes[i].sent that were looked at */
    uint8_t *scratch;
};

static void send_ask(struct fixture *fixture, unsigned number);

static void ask_done(struct channel_request *request, enum channel_status status,
                     const void *response)
{
    struct ask *ask = request->context;
    struct fixture *fixture = ask->fixture;
    assert_false(fixture->in_call);
    assert_true((status == CHANNEL_OK) == (response != NULL));
    assert_true(fixture->told_count < TOLD_MAX);
    fixture->told[fixture->told_count++] = ask;
    ask->times++;
    ask->last = status;
    ask->error = -1;
    if (response && request->call == &heartbeat_call) {
        ask->response = response;
        ask->error = ask->response->error_code;
    }
    if (ask->keeps && status == CHANNEL_OK)
        channel_keep_frame(request, &ask->kept);
    if (ask->cancels)
        channel_cancel(&ask->cancels->request);
    if (ask->moves_to)
        channel_set_address(fixture->channel, VIEW_LITERAL("elsewhere"), ask->moves_to);
    if (ask->again) {
        ask->again = false;
        channel_send(fixture->channel, request);
    }
}

static struct channel_options standard(void)
{
    return (struct channel_options){
        .host = VIEW_LITERAL("other"),
        .port = 9093,
        .client_id = VIEW_LITERAL("node-1"),
        .request_timeout_ns = UINT64_C(2000) * 1000000,
        .connect_timeout_ns = UINT64_C(1000) * 1000000,
        .backoff_ns = UINT64_C(100) * 1000000,
        .backoff_max_ns = UINT64_C(400) * 1000000,
    };
}

static struct fixture *fixture_create(struct channel_options options)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    memory_transport_init(&fixture->transport);
    options.loop = &fixture->transport.loop;
    fixture->channel = channel_create(&options);
    fixture->scratch = malloc(SCRATCH_SIZE);
    for (unsigned i = 0; i < ASKS_MAX; i++) {
        struct ask *ask = &fixture->asks[i];
        ask->fixture = fixture;
        heartbeat_request_init(&ask->heartbeat);
        ask->heartbeat.group_id = VIEW_LITERAL("group");
        ask->heartbeat.member_id = VIEW_LITERAL("member");
        ask->heartbeat.generation_id = (int32_t)i;
        metadata_request_init(&ask->metadata);
        ask->request = (struct channel_request){
            .call = &heartbeat_call,
            .message = &ask->heartbeat,
            .version_max = 4,
            .done = ask_done,
            .context = ask,
        };
    }
    return fixture;
}

/* Ends everything and checks that nothing is left. */
static void fixture_destroy(struct fixture *fixture)
{
    if (fixture->channel)
        channel_close(fixture->channel);
    for (unsigned i = 0; i < ASKS_MAX; i++)
        channel_release_frame(&fixture->asks[i].kept);
    for (unsigned i = 0; i < PIPES_MAX; i++)
        if (fixture->transport.pipes[i].first)
            release_sends(&fixture->transport, i);
    assert_int_equal(timer_wheel_next_ns(&fixture->transport.loop.timers), UINT64_MAX);
    assert_true(list_is_empty(&fixture->transport.loop.deferred));
    for (int i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(fixture->transport.heap.used[i], 0);
    memory_transport_deinit(&fixture->transport);
    free(fixture->scratch);
    free(fixture);
}

static void send_ask(struct fixture *fixture, unsigned number)
{
    fixture->in_call = true;
    channel_send(fixture->channel, &fixture->asks[number].request);
    fixture->in_call = false;
}

static void turn(struct fixture *fixture, uint64_t milliseconds)
{
    memory_turn(&fixture->transport, milliseconds);
}

/* What the other node reads next on a pipe; its body is left in *body. */
static struct request_header take_request(struct fixture *fixture, unsigned index,
                                          struct reader *body)
{
    release_sends(&fixture->transport, index);
    const struct pipe *pipe = &fixture->transport.pipes[index];
    size_t left = pipe->sent_size - fixture->taken[index];
    assert_true(left >= 4);
    const uint8_t *bytes = pipe->sent + fixture->taken[index];
    uint32_t size = load_u32(bytes);
    assert_true(left - 4 >= size);
    fixture->taken[index] += 4 + size;
    struct reader in = reader_of(view_of(bytes + 4, size));
    int16_t key = load_i16(bytes + 4);
    int16_t version = load_i16(bytes + 6);
    struct request_header header;
    assert_true(request_header_decode(
        &header, &in, api_info_request_header_version(api_info_find(key), version), NULL));
    if (body)
        *body = in;
    return header;
}

static bool nothing_sent(struct fixture *fixture, unsigned index)
{
    release_sends(&fixture->transport, index);
    return fixture->transport.pipes[index].sent_size == fixture->taken[index];
}

/* A framed answer in the scratch memory; returns its size. */
static size_t put_answer(struct fixture *fixture, const struct channel_call *call, int16_t version,
                         int32_t correlation_id, const void *response, size_t offset)
{
    uint8_t *bytes = fixture->scratch + offset;
    struct message_writer out = message_writer_of(bytes + 4, SCRATCH_SIZE - offset - 4);
    write_i32(&out.bytes, correlation_id);
    if (api_info_response_header_version(api_info_find(call->api_key), version) >= 1)
        write_u8(&out.bytes, 0);
    if (call == &heartbeat_call)
        heartbeat_response_encode(response, &out, version);
    else if (call == &metadata_call)
        metadata_response_encode(response, &out, version);
    else
        api_versions_response_encode(response, &out, version);
    assert_false(message_writer_failed(&out));
    store_u32(bytes, (uint32_t)out.bytes.size);
    return 4 + out.bytes.size;
}

static const struct channel_call versions_call = {.api_key = API_KEY_API_VERSIONS};

static size_t put_heartbeat(struct fixture *fixture, int16_t version, int32_t correlation_id,
                            int16_t error, size_t offset)
{
    struct heartbeat_response response;
    heartbeat_response_init(&response);
    response.error_code = error;
    return put_answer(fixture, &heartbeat_call, version, correlation_id, &response, offset);
}

static void answer_versions(struct fixture *fixture, unsigned index, int16_t version,
                            int32_t correlation_id, int16_t error,
                            const struct api_versions_response_api_version *list, size_t count)
{
    struct api_versions_response_api_version copy[VERSIONS_MAX];
    memcpy(copy, list, count * sizeof(*list));
    struct api_versions_response response;
    api_versions_response_init(&response);
    response.error_code = error;
    response.api_keys = copy;
    response.api_keys_count = count;
    size_t size = put_answer(fixture, &versions_call, version, correlation_id, &response, 0);
    peer_send(&fixture->transport, index, fixture->scratch, size);
}

static const struct api_versions_response_api_version full[] = {
    {API_KEY_METADATA, 0, 13}, {API_KEY_HEARTBEAT, 0, 4}, {API_KEY_API_VERSIONS, 0, 4}};

/* Takes connection `index` and tells the versions in `list`. */
static void accept_with(struct fixture *fixture, unsigned index,
                        const struct api_versions_response_api_version *list, size_t count)
{
    peer_accept(&fixture->transport, index);
    struct request_header header = take_request(fixture, index, NULL);
    assert_int_equal(header.request_api_key, API_KEY_API_VERSIONS);
    answer_versions(fixture, index, header.request_api_version, header.correlation_id, 0, list,
                    count);
}

static void accept_whole(struct fixture *fixture, unsigned index)
{
    accept_with(fixture, index, full, 3);
    assert_true(channel_is_connected(fixture->channel));
}

/* Takes a heartbeat and answers it with `error`. */
static void serve(struct fixture *fixture, unsigned index, int16_t error)
{
    struct request_header header = take_request(fixture, index, NULL);
    assert_int_equal(header.request_api_key, API_KEY_HEARTBEAT);
    size_t size =
        put_heartbeat(fixture, header.request_api_version, header.correlation_id, error, 0);
    peer_send(&fixture->transport, index, fixture->scratch, size);
}

static void expect(const struct fixture *fixture, unsigned number, unsigned times,
                   enum channel_status status)
{
    const struct ask *ask = &fixture->asks[number];
    assert_int_equal(ask->times, times);
    if (times > 0)
        assert_int_equal(ask->last, status);
}

/* ---- Claims ---- */

static void a_request_connects_asks_for_versions_and_is_answered(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    assert_int_equal(fixture->transport.connects, 0);
    send_ask(fixture, 3);
    assert_int_equal(fixture->transport.connects, 1);
    assert_int_equal(fixture->transport.pipes[0].port, 9093);
    assert_false(channel_is_connected(fixture->channel));
    accept_whole(fixture, 0);
    struct reader body;
    struct request_header header = take_request(fixture, 0, &body);
    assert_int_equal(header.request_api_key, API_KEY_HEARTBEAT);
    assert_int_equal(header.request_api_version, 4);
    assert_true(view_equal(header.client_id, VIEW_LITERAL("node-1")));
    struct heartbeat_request sent;
    assert_true(heartbeat_request_decode(&sent, &body, 4, NULL));
    assert_int_equal(sent.generation_id, 3);
    assert_int_equal(reader_left(&body), 0);
    expect(fixture, 3, 0, CHANNEL_OK);
    size_t size = put_heartbeat(fixture, 4, header.correlation_id, 27, 0);
    peer_send(&fixture->transport, 0, fixture->scratch, size);
    expect(fixture, 3, 1, CHANNEL_OK);
    assert_int_equal(fixture->asks[3].error, 27);
    assert_int_equal(fixture->asks[3].request.message_version, 4);
    /* The next one needs no connection of its own and no turn. */
    send_ask(fixture, 4);
    serve(fixture, 0, 5);
    expect(fixture, 4, 1, CHANNEL_OK);
    assert_int_equal(fixture->transport.connects, 1);
    fixture_destroy(fixture);
}

static void an_answer_is_the_same_however_it_is_cut(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    send_ask(fixture, 0);
    accept_whole(fixture, 0);
    size_t size = 20;
    for (size_t cut = 0; cut <= size; cut++) {
        if (cut > 0)
            send_ask(fixture, 0);
        struct request_header header = take_request(fixture, 0, NULL);
        size = put_heartbeat(fixture, 4, header.correlation_id, (int16_t)cut, 0);
        peer_send(&fixture->transport, 0, fixture->scratch, cut < size ? cut : size);
        if (cut < size)
            peer_send(&fixture->transport, 0, fixture->scratch + cut, size - cut);
        expect(fixture, 0, (unsigned)cut + 1, CHANNEL_OK);
        assert_int_equal(fixture->asks[0].error, cut);
    }
    fixture_destroy(fixture);
}

static void requests_leave_in_order_and_no_more_than_allowed(void **state)
{
    (void)state;
    struct channel_options options = standard();
    options.in_flight_max = 3;
    struct fixture *fixture = fixture_create(options);
    for (unsigned i = 0; i < 5; i++)
        send_ask(fixture, i);
    accept_whole(fixture, 0);
    int32_t ids[5];
    size_t size = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct reader body;
        struct heartbeat_request sent;
        ids[i] = take_request(fixture, 0, &body).correlation_id;
        assert_true(heartbeat_request_decode(&sent, &body, 4, NULL));
        assert_int_equal(sent.generation_id, i);
        size += put_heartbeat(fixture, 4, ids[i], (int16_t)(i + 1), size);
    }
    assert_true(nothing_sent(fixture, 0));
    /* All three answers at once, and half of nothing behind them. */
    peer_send(&fixture->transport, 0, fixture->scratch, size);
    for (unsigned i = 0; i < 3; i++) {
        assert_ptr_equal(fixture->told[i], &fixture->asks[i]);
        assert_int_equal(fixture->asks[i].error, i + 1);
    }
    serve(fixture, 0, 0);
    serve(fixture, 0, 0);
    assert_int_equal(fixture->told_count, 5);
    fixture_destroy(fixture);
}

static void the_highest_common_version_is_taken(void **state)
{
    (void)state;
    static const struct {
        int16_t peer_min, peer_max, own_min, own_max;
        int16_t taken; /* -1: none */
    } rows[] = {
        {0, 4, 0, 4, 4},  {0, 2, 0, 4, 2},  {0, 9, 0, 3, 3},  {1, 3, 3, 4, 3},
        {2, 4, 0, 1, -1}, {0, 2, 3, 4, -1}, {5, 9, 0, 9, -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct fixture *fixture = fixture_create(standard());
        struct channel_request *request = &fixture->asks[0].request;
        request->version_min = rows[i].own_min;
        request->version_max = rows[i].own_max;
        send_ask(fixture, 0);
        struct api_versions_response_api_version list = {API_KEY_HEARTBEAT, rows[i].peer_min,
                                                         rows[i].peer_max};
        accept_with(fixture, 0, &list, 1);
        if (rows[i].taken >= 0) {
            struct request_header header = take_request(fixture, 0, NULL);
            assert_int_equal(header.request_api_version, rows[i].taken);
            assert_int_equal(request->message_version, rows[i].taken);
        } else {
            turn(fixture, 1);
            expect(fixture, 0, 1, CHANNEL_UNSUPPORTED);
            assert_true(nothing_sent(fixture, 0));
        }
        fixture_destroy(fixture);
    }
}

static void what_the_peer_does_not_serve_is_told_in_a_later_phase(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    send_ask(fixture, 0);
    struct api_versions_response_api_version list[] = {{API_KEY_METADATA, 0, 13},
                                                       {API_KEY_HEARTBEAT, 0, 2}};
    accept_with(fixture, 0, list, 2);
    serve(fixture, 0, 0);
    /* Version 2 cannot carry an instance id. */
    fixture->asks[1].heartbeat.group_instance_id = VIEW_LITERAL("i");
    fixture->asks[1].again = true; /* also who repeats it does not spin */
    send_ask(fixture, 1);
    expect(fixture, 1, 0, CHANNEL_OK);
    turn(fixture, 1);
    expect(fixture, 1, 1, CHANNEL_UNSUPPORTED);
    turn(fixture, 1);
    expect(fixture, 1, 2, CHANNEL_UNSUPPORTED);
    assert_true(channel_is_connected(fixture->channel));
    send_ask(fixture, 2);
    serve(fixture, 0, 7);
    expect(fixture, 2, 1, CHANNEL_OK);
    fixture_destroy(fixture);
}

static void an_old_peer_is_asked_again_in_a_version_it_knows(void **state)
{
    (void)state;
    static const struct {
        bool tells;      /* its versions along with the refusal */
        int16_t highest; /* of ApiVersions */
        int16_t asked;
    } rows[] = {{true, 3, 3}, {true, 0, 0}, {false, 0, 0}, {true, 9, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct fixture *fixture = fixture_create(standard());
        send_ask(fixture, 0);
        peer_accept(&fixture->transport, 0);
        struct request_header header = take_request(fixture, 0, NULL);
        struct api_versions_response_api_version range = {API_KEY_API_VERSIONS, 0, rows[i].highest};
        answer_versions(fixture, 0, 0, header.correlation_id, KAFKA_ERROR_UNSUPPORTED_VERSION,
                        &range, rows[i].tells);
        assert_false(channel_is_connected(fixture->channel));
        header = take_request(fixture, 0, NULL);
        assert_int_equal(header.request_api_key, API_KEY_API_VERSIONS);
        assert_int_equal(header.request_api_version, rows[i].asked);
        answer_versions(fixture, 0, rows[i].asked, header.correlation_id, 0, full, 3);
        serve(fixture, 0, 0);
        expect(fixture, 0, 1, CHANNEL_OK);
        fixture_destroy(fixture);
    }
}

static void a_failed_negotiation_ends_those_in_line(void **state)
{
    (void)state;
    static const int16_t errors[] = {KAFKA_ERROR_UNSUPPORTED_VERSION,
                                     KAFKA_ERROR_UNKNOWN_SERVER_ERROR};
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct fixture *fixture = fixture_create(standard());
        send_ask(fixture, 0);
        peer_accept(&fixture->transport, 0);
        struct request_header header = take_request(fixture, 0, NULL);
        if (errors[i] == KAFKA_ERROR_UNSUPPORTED_VERSION) { /* even version 0 */
            answer_versions(fixture, 0, 0, header.correlation_id, errors[i], full, 0);
            header = take_request(fixture, 0, NULL);
        }
        answer_versions(fixture, 0, header.request_api_version, header.correlation_id, errors[i],
                        full, 0);
        expect(fixture, 0, 1, CHANNEL_DISCONNECTED);
        assert_true(fixture->transport.pipes[0].closed);
        fixture_destroy(fixture);
    }
}

static void failed_connects_back_off_and_end_those_in_line(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    static const uint64_t backoffs[] = {100, 200, 400, 400};
    for (unsigned i = 0; i < 4; i++) {
        send_ask(fixture, 0);
        send_ask(fixture, 1);
        if (i > 0) {
            assert_int_equal(fixture->transport.connects, i);
            turn(fixture, backoffs[i - 1] * 79 / 100);
            assert_int_equal(fixture->transport.connects, i);
            turn(fixture, backoffs[i - 1] * 42 / 100 + 1);
        }
        assert_int_equal(fixture->transport.connects, i + 1);
        peer_fail(&fixture->transport, i, TRANSPORT_REFUSED);
        expect(fixture, 0, i + 1, CHANNEL_DISCONNECTED);
        expect(fixture, 1, i + 1, CHANNEL_DISCONNECTED);
    }
    /* Nobody in line: nobody connects. */
    turn(fixture, 5000);
    assert_int_equal(fixture->transport.connects, 4);
    /* A good connection makes the next wait short again. */
    send_ask(fixture, 2);
    accept_whole(fixture, 4);
    serve(fixture, 4, 0);
    peer_close(&fixture->transport, 4);
    send_ask(fixture, 2);
    turn(fixture, 121);
    assert_int_equal(fixture->transport.connects, 6);
    fixture_destroy(fixture);
}

static void a_connect_that_fails_at_once_is_told_later(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    fixture->transport.connect_status = TRANSPORT_BAD_ADDRESS;
    send_ask(fixture, 0);
    expect(fixture, 0, 0, CHANNEL_OK);
    fixture->asks[0].again = true;
    turn(fixture, 1);
    expect(fixture, 0, 1, CHANNEL_DISCONNECTED);
    fixture->transport.connect_status = TRANSPORT_OK;
    turn(fixture, 121);
    accept_whole(fixture, 0);
    serve(fixture, 0, 0);
    expect(fixture, 0, 2, CHANNEL_OK);
    fixture_destroy(fixture);
}

static void a_peer_that_does_not_answer_the_connect_is_given_up(void **state)
{
    (void)state;
    for (int negotiating = 0; negotiating < 2; negotiating++) {
        struct fixture *fixture = fixture_create(standard());
        send_ask(fixture, 0);
        if (negotiating)
            peer_accept(&fixture->transport, 0);
        turn(fixture, 900);
        expect(fixture, 0, 0, CHANNEL_OK);
        turn(fixture, 101);
        expect(fixture, 0, 1, CHANNEL_DISCONNECTED);
        assert_true(fixture->transport.pipes[0].closed);
        fixture_destroy(fixture);
    }
}

static void a_late_answer_ends_the_connection(void **state)
{
    (void)state;
    struct channel_options options = standard();
    options.in_flight_max = 2;
    struct fixture *fixture = fixture_create(options);
    fixture->asks[1].request.timeout_ns = UINT64_C(500) * 1000000;
    for (unsigned i = 0; i < 3; i++)
        send_ask(fixture, i);
    accept_whole(fixture, 0);
    turn(fixture, 499);
    assert_int_equal(fixture->told_count, 0);
    turn(fixture, 2);
    expect(fixture, 1, 1, CHANNEL_TIMED_OUT);
    expect(fixture, 0, 1, CHANNEL_DISCONNECTED);
    assert_true(fixture->transport.pipes[0].closed);
    /* Who was not sent yet goes with the next connection. */
    expect(fixture, 2, 0, CHANNEL_OK);
    turn(fixture, 121);
    accept_whole(fixture, 1);
    serve(fixture, 1, 0);
    expect(fixture, 2, 1, CHANNEL_OK);
    fixture_destroy(fixture);
}

static void who_stands_in_line_too_long_times_out_alone(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    fixture->asks[1].request.timeout_ns = UINT64_C(300) * 1000000;
    fixture->asks[2].request.timeout_ns = UINT64_C(600) * 1000000;
    for (unsigned i = 0; i < 4; i++)
        send_ask(fixture, i);
    accept_whole(fixture, 0);
    turn(fixture, 301);
    expect(fixture, 1, 1, CHANNEL_TIMED_OUT);
    turn(fixture, 300);
    expect(fixture, 2, 1, CHANNEL_TIMED_OUT);
    expect(fixture, 0, 0, CHANNEL_OK);
    serve(fixture, 0, 0);
    serve(fixture, 0, 0);
    expect(fixture, 0, 1, CHANNEL_OK);
    expect(fixture, 3, 1, CHANNEL_OK);
    fixture_destroy(fixture);
}

static void answers_that_no_kafka_node_sends_end_the_connection(void **state)
{
    (void)state;
    enum { SIZE_SMALL, SIZE_LARGE, OTHER_ID, TRUNCATED, UNASKED, WAYS };
    for (int way = 0; way < WAYS; way++) {
        struct channel_options options = standard();
        options.in_flight_max = 2;
        options.frame_size_limit = 1000;
        struct fixture *fixture = fixture_create(options);
        send_ask(fixture, 0);
        send_ask(fixture, 1);
        accept_whole(fixture, 0);
        int32_t id = take_request(fixture, 0, NULL).correlation_id;
        size_t size = put_heartbeat(fixture, 4, way == OTHER_ID ? id + 1 : id, 0, 0);
        if (way == SIZE_SMALL)
            store_u32(fixture->scratch, 3);
        if (way == SIZE_LARGE)
            store_u32(fixture->scratch, 1001);
        if (way == TRUNCATED)
            store_u32(fixture->scratch, (uint32_t)(size -= 6) - 4);
        if (way == UNASKED) {
            size += put_heartbeat(fixture, 4, id + 1, 0, size);
            size += put_heartbeat(fixture, 4, id + 2, 0, size);
        }
        unsigned lines = fixture->transport.lines;
        peer_send(&fixture->transport, 0, fixture->scratch, size);
        assert_true(fixture->transport.pipes[0].closed);
        assert_int_equal(fixture->transport.lines, lines + 1);
        enum channel_status first = way == TRUNCATED ? CHANNEL_MALFORMED : CHANNEL_DISCONNECTED;
        expect(fixture, 0, 1, way == UNASKED ? CHANNEL_OK : first);
        expect(fixture, 1, 1, way == UNASKED ? CHANNEL_OK : CHANNEL_DISCONNECTED);
        fixture_destroy(fixture);
    }
}

static void an_answer_that_decodes_to_far_too_much_is_malformed(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    struct channel_request *request = &fixture->asks[0].request;
    request->call = &metadata_call;
    request->message = &fixture->asks[0].metadata;
    request->version_max = 0;
    send_ask(fixture, 0);
    accept_whole(fixture, 0);
    int32_t id = take_request(fixture, 0, NULL).correlation_id;
    /* Brokers of ten bytes each take several times that in memory: no more than is allowed. */
    uint32_t count = 300000;
    uint32_t size = 4 + 4 + count * 10 + 4;
    memset(fixture->scratch, 0, 4 + size);
    store_u32(fixture->scratch, size);
    store_u32(fixture->scratch + 4, (uint32_t)id);
    store_u32(fixture->scratch + 8, count);
    peer_send(&fixture->transport, 0, fixture->scratch, 4 + size);
    expect(fixture, 0, 1, CHANNEL_OK);
    /* Topics of eight bytes take ten times that: a large frame may not multiply without bound. */
    send_ask(fixture, 0);
    id = take_request(fixture, 0, NULL).correlation_id;
    count = 2500000;
    size = 4 + 4 + 4 + count * 8;
    memset(fixture->scratch, 0, 4 + size);
    store_u32(fixture->scratch, size);
    store_u32(fixture->scratch + 4, (uint32_t)id);
    store_u32(fixture->scratch + 12, count);
    peer_send(&fixture->transport, 0, fixture->scratch, 4 + size);
    expect(fixture, 0, 2, CHANNEL_MALFORMED);
    fixture_destroy(fixture);
}

static void large_answers_arrive_whole_and_leave_no_large_block(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    struct channel_request *request = &fixture->asks[0].request;
    request->call = &metadata_call;
    request->message = &fixture->asks[0].metadata;
    request->version_max = 12;
    send_ask(fixture, 0);
    accept_whole(fixture, 0);
    static const size_t names[] = {100, 4000, 5000, 30000, 300, 30000};
    for (unsigned i = 0; i < 6; i++) {
        if (i > 0)
            send_ask(fixture, 0);
        int32_t id = take_request(fixture, 0, NULL).correlation_id;
        enum { BROKERS = 50 };
        uint8_t *name = malloc(names[i]);
        memset(name, 'n', names[i]);
        struct metadata_response response;
        struct metadata_response_broker brokers[BROKERS];
        metadata_response_init(&response);
        for (int b = 0; b < BROKERS; b++)
            brokers[b] = (struct metadata_response_broker){.host = view_of(name, names[i])};
        response.brokers = brokers;
        response.brokers_count = BROKERS;
        size_t size = put_answer(fixture, &metadata_call, 12, id, &response, 0);
        /* In three pieces, so that the block has to grow on the way. */
        peer_send(&fixture->transport, 0, fixture->scratch, size / 3);
        assert_true(fixture->transport.heap.used[MEMORY_SCRATCH] <= 2 * (size / 3) + 128 * 1024);
        peer_send(&fixture->transport, 0, fixture->scratch + size / 3, size / 3);
        peer_send(&fixture->transport, 0, fixture->scratch + 2 * (size / 3), size - 2 * (size / 3));
        expect(fixture, 0, i + 1, CHANNEL_OK);
        assert_true(fixture->transport.heap.used[MEMORY_SCRATCH] <= 64 * 1024);
        free(name);
    }
    fixture_destroy(fixture);
}

static void a_request_taken_back_is_never_told(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    send_ask(fixture, 0);
    send_ask(fixture, 1);
    send_ask(fixture, 2);
    accept_whole(fixture, 0);
    channel_cancel(&fixture->asks[1].request); /* in line */
    channel_cancel(&fixture->asks[0].request); /* sent */
    channel_cancel(&fixture->asks[0].request); /* twice, as one who does not know */
    /* Its memory may be used at once, also for another request. */
    send_ask(fixture, 0);
    serve(fixture, 0, 1); /* dropped */
    serve(fixture, 0, 2);
    serve(fixture, 0, 3);
    expect(fixture, 1, 0, CHANNEL_OK);
    expect(fixture, 2, 1, CHANNEL_OK);
    assert_int_equal(fixture->asks[2].error, 2);
    expect(fixture, 0, 1, CHANNEL_OK);
    assert_int_equal(fixture->asks[0].error, 3);
    fixture_destroy(fixture);
}

static void the_answer_to_a_request_taken_back_is_still_due(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    send_ask(fixture, 0);
    accept_whole(fixture, 0);
    channel_cancel(&fixture->asks[0].request);
    send_ask(fixture, 1);
    turn(fixture, 1000);
    assert_false(fixture->transport.pipes[0].closed);
    turn(fixture, 1001);
    assert_true(fixture->transport.pipes[0].closed);
    assert_int_equal(fixture->asks[0].times, 0);
    fixture_destroy(fixture);
}

static void one_that_ended_can_take_another_back(void **state)
{
    (void)state;
    struct channel_options options = standard();
    options.in_flight_max = 3;
    struct fixture *fixture = fixture_create(options);
    for (unsigned i = 0; i < 3; i++)
        send_ask(fixture, i);
    accept_whole(fixture, 0);
    fixture->asks[0].cancels = &fixture->asks[1]; /* which has ended too, and is not told yet */
    peer_close(&fixture->transport, 0);
    expect(fixture, 0, 1, CHANNEL_DISCONNECTED);
    expect(fixture, 1, 0, CHANNEL_OK);
    expect(fixture, 2, 1, CHANNEL_DISCONNECTED);
    fixture_destroy(fixture);
}

static void a_request_can_be_sent_again_inside_done(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    fixture->asks[0].again = true;
    send_ask(fixture, 0);
    accept_whole(fixture, 0);
    serve(fixture, 0, 1);
    expect(fixture, 0, 1, CHANNEL_OK);
    fixture->asks[0].again = true;
    peer_close(&fixture->transport, 0);
    expect(fixture, 0, 2, CHANNEL_DISCONNECTED);
    turn(fixture, 121);
    accept_whole(fixture, 1);
    serve(fixture, 1, 1);
    expect(fixture, 0, 3, CHANNEL_OK);
    fixture_destroy(fixture);
}

static void a_kept_frame_outlives_later_answers_and_the_channel(void **state)
{
    (void)state;
    struct channel_options options = standard();
    options.in_flight_max = 2;
    struct fixture *fixture = fixture_create(options);
    fixture->asks[0].keeps = true;
    fixture->asks[0].again = true;
    send_ask(fixture, 0);
    send_ask(fixture, 1);
    accept_whole(fixture, 0);
    int32_t id = take_request(fixture, 0, NULL).correlation_id;
    size_t size = put_heartbeat(fixture, 4, id, 11, 0);
    size += put_heartbeat(fixture, 4, id + 1, 12, size);
    peer_send(&fixture->transport, 0, fixture->scratch, size);
    fixture->asks[0].keeps = false;
    const struct heartbeat_response *kept = fixture->asks[0].response;
    expect(fixture, 1, 1, CHANNEL_OK);
    assert_int_equal(fixture->asks[1].error, 12);
    take_request(fixture, 0, NULL);
    serve(fixture, 0, 13);
    expect(fixture, 0, 2, CHANNEL_OK);
    channel_close(fixture->channel);
    fixture->channel = NULL;
    assert_int_equal(kept->error_code, 11);
    fixture_destroy(fixture);
}

static void another_address_serves_those_in_line(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    send_ask(fixture, 0);
    send_ask(fixture, 1);
    accept_whole(fixture, 0);
    channel_set_address(fixture->channel, VIEW_LITERAL("other"), 9093); /* the same */
    assert_true(channel_is_connected(fixture->channel));
    fixture->in_call = true;
    channel_set_address(fixture->channel, VIEW_LITERAL("other"), 9094);
    fixture->in_call = false;
    assert_true(fixture->transport.pipes[0].closed);
    assert_int_equal(fixture->transport.pipes[1].port, 9094);
    turn(fixture, 1);
    expect(fixture, 0, 1, CHANNEL_DISCONNECTED);
    accept_whole(fixture, 1);
    serve(fixture, 1, 0);
    expect(fixture, 1, 1, CHANNEL_OK);
    /* While it rests, the new address is tried at once. */
    peer_close(&fixture->transport, 1);
    send_ask(fixture, 2);
    assert_int_equal(fixture->transport.connects, 2);
    channel_set_address(fixture->channel, VIEW_LITERAL("third"), 9094);
    assert_int_equal(fixture->transport.connects, 3);
    /* While it connects, too. */
    channel_set_address(fixture->channel, VIEW_LITERAL("fourth"), 9094);
    assert_true(fixture->transport.pipes[2].closed);
    accept_whole(fixture, 3);
    serve(fixture, 3, 0);
    expect(fixture, 2, 1, CHANNEL_OK);
    fixture_destroy(fixture);
}

static void the_address_can_change_inside_done(void **state)
{
    (void)state;
    struct channel_options options = standard();
    options.in_flight_max = 2;
    struct fixture *fixture = fixture_create(options);
    fixture->asks[0].moves_to = 9095;
    fixture->asks[0].again = true;
    send_ask(fixture, 0);
    send_ask(fixture, 1);
    accept_whole(fixture, 0);
    int32_t id = take_request(fixture, 0, NULL).correlation_id;
    size_t size = put_heartbeat(fixture, 4, id, 1, 0);
    size += put_heartbeat(fixture, 4, id + 1, 2, size); /* comes too late */
    peer_send(&fixture->transport, 0, fixture->scratch, size);
    expect(fixture, 0, 1, CHANNEL_OK);
    expect(fixture, 1, 1, CHANNEL_DISCONNECTED);
    assert_int_equal(fixture->transport.pipes[1].port, 9095);
    fixture->asks[0].moves_to = 0;
    accept_whole(fixture, 1);
    serve(fixture, 1, 3);
    expect(fixture, 0, 2, CHANNEL_OK);
    fixture_destroy(fixture);
}

static void closing_ends_everything_once(void **state)
{
    (void)state;
    enum { CONNECTING, NEGOTIATING, READY, RESTING, STAGES };
    for (int stage = 0; stage < STAGES; stage++) {
        struct fixture *fixture = fixture_create(standard());
        send_ask(fixture, 0);
        send_ask(fixture, 1);
        if (stage == NEGOTIATING)
            peer_accept(&fixture->transport, 0);
        if (stage == READY)
            accept_whole(fixture, 0);
        if (stage == RESTING) {
            peer_fail(&fixture->transport, 0, TRANSPORT_REFUSED);
            send_ask(fixture, 0);
            send_ask(fixture, 1);
        }
        channel_close(fixture->channel);
        fixture->channel = NULL;
        unsigned before = stage == RESTING;
        expect(fixture, 0, before + 1, CHANNEL_CLOSED);
        expect(fixture, 1, before + 1, CHANNEL_CLOSED);
        turn(fixture, 5000);
        assert_int_equal(fixture->told_count, 2 * (before + 1));
        fixture_destroy(fixture);
    }
}

static void no_memory_for_an_answer_ends_the_connection(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(standard());
    send_ask(fixture, 0);
    accept_whole(fixture, 0);
    int32_t id = take_request(fixture, 0, NULL).correlation_id;
    memset(fixture->scratch, 0, 100 * 1024);
    store_u32(fixture->scratch, 100 * 1024);
    store_u32(fixture->scratch + 4, (uint32_t)id);
    fixture->transport.heap.limit[MEMORY_SCRATCH] = 50 * 1024;
    peer_send(&fixture->transport, 0, fixture->scratch, 100 * 1024);
    turn(fixture, 1);
    expect(fixture, 0, 1, CHANNEL_DISCONNECTED);
    assert_true(fixture->transport.pipes[0].closed);
    fixture->transport.heap.limit[MEMORY_SCRATCH] = 0;
    fixture_destroy(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_connects_asks_for_versions_and_is_answered),
        cmocka_unit_test(an_answer_is_the_same_however_it_is_cut),
        cmocka_unit_test(requests_leave_in_order_and_no_more_than_allowed),
        cmocka_unit_test(the_highest_common_version_is_taken),
        cmocka_unit_test(what_the_peer_does_not_serve_is_told_in_a_later_phase),
        cmocka_unit_test(an_old_peer_is_asked_again_in_a_version_it_knows),
        cmocka_unit_test(a_failed_negotiation_ends_those_in_line),
        cmocka_unit_test(failed_connects_back_off_and_end_those_in_line),
        cmocka_unit_test(a_connect_that_fails_at_once_is_told_later),
        cmocka_unit_test(a_peer_that_does_not_answer_the_connect_is_given_up),
        cmocka_unit_test(a_late_answer_ends_the_connection),
        cmocka_unit_test(who_stands_in_line_too_long_times_out_alone),
        cmocka_unit_test(answers_that_no_kafka_node_sends_end_the_connection),
        cmocka_unit_test(an_answer_that_decodes_to_far_too_much_is_malformed),
        cmocka_unit_test(large_answers_arrive_whole_and_leave_no_large_block),
        cmocka_unit_test(a_request_taken_back_is_never_told),
        cmocka_unit_test(the_answer_to_a_request_taken_back_is_still_due),
        cmocka_unit_test(one_that_ended_can_take_another_back),
        cmocka_unit_test(a_request_can_be_sent_again_inside_done),
        cmocka_unit_test(a_kept_frame_outlives_later_answers_and_the_channel),
        cmocka_unit_test(another_address_serves_those_in_line),
        cmocka_unit_test(the_address_can_change_inside_done),
        cmocka_unit_test(closing_ends_everything_once),
        cmocka_unit_test(no_memory_for_an_answer_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
