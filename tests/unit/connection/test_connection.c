/*
 * Connections with the test as their peer and their handler. The handler keeps every request; the
 * test answers by number, so order and overlap are visible.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "memory_stream.h"

enum { REQUESTS_MAX = 256, API_PRODUCE = 0, API_FETCH = 1, API_METADATA = 3 };

struct fixture {
    struct memory_transport transport;
    struct connections connections;
    struct connection_request *requests[REQUESTS_MAX]; /* NULL once answered */
    unsigned started;
    unsigned abandoned;
    unsigned hurried;
    unsigned ended;
    unsigned closed;
    bool stopped;
};

static struct fixture *fixture_of(const struct connections *connections)
{
    return connections->context;
}

static void on_request(struct connection_request *request)
{
    struct fixture *fixture = fixture_of(request->owner);
    assert_true(fixture->started < REQUESTS_MAX);
    fixture->requests[fixture->started++] = request;
}

static void on_abandoned(struct connection_request *request)
{
    fixture_of(request->owner)->abandoned++;
}

static void on_hurry(struct connection_request *request)
{
    fixture_of(request->owner)->hurried++;
}

static void on_ended(struct connection_request *request)
{
    fixture_of(request->owner)->ended++;
}

static void on_closed(struct connection *connection)
{
    fixture_of(connection->owner)->closed++;
}

static void on_stopped(struct connections *connections)
{
    fixture_of(connections)->stopped = true;
}

static const struct connection_handler handler = {on_request, on_abandoned, on_hurry, on_ended,
                                                  on_closed};

static const struct connections_options standard = {
    .frame_size_limit = 1024 * 1024,
    .frame_memory = 8 * 1024 * 1024,
    .answer_memory = 8 * 1024 * 1024,
    .idle_ms = 60 * 1000,
    .stall_ms = 10 * 1000,
    .request_size = sizeof(struct connection_request),
};

static struct fixture *fixture_create(const struct connections_options *options)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    memory_transport_init(&fixture->transport);
    connections_init(&fixture->connections, &fixture->transport.loop, &handler, options, fixture);
    return fixture;
}

static struct connection *open_pipe(struct fixture *fixture, unsigned index)
{
    struct accepted_stream accepted = memory_transport_accept(index);
    return connections_adopt(&fixture->connections, &accepted, NULL);
}

/* An answer of `size` bytes behind the frame size, each `fill`. */
static void answer(struct fixture *fixture, unsigned number, size_t size, uint8_t fill)
{
    struct answer *given = answer_create(&fixture->transport.heap, 4 + size, 1);
    memset(given->bytes, fill, 4 + size);
    answer_add_memory(given, given->bytes, 4 + size);
    struct connection_request *request = fixture->requests[number];
    fixture->requests[number] = NULL;
    connection_answer(request, given);
}

static void turn(struct fixture *fixture)
{
    memory_turn(&fixture->transport, 1);
}

/* Ends everything and checks that nothing is left. */
static void fixture_destroy(struct fixture *fixture)
{
    fixture->transport.hold_sends = false;
    connections_close_all(&fixture->connections, CONNECTION_CLOSE_STOPPING);
    for (unsigned i = 0; i < fixture->started; i++)
        if (fixture->requests[i])
            connection_answer(fixture->requests[i], NULL);
    turn(fixture);
    turn(fixture);
    assert_int_equal(fixture->ended, fixture->started);
    assert_int_equal(fixture->connections.count, 0);
    connections_deinit(&fixture->connections);
    for (int i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(fixture->transport.heap.used[i], 0);
    memory_transport_deinit(&fixture->transport);
    free(fixture);
}

/* Writes a frame: header with null client id, then `body` bytes. Returns its size. */
static size_t put_frame(uint8_t *out, int16_t api_key, int32_t correlation_id, uint32_t body)
{
    store_u32(out, 10 + body);
    store_u16(out + 4, (uint16_t)api_key);
    store_u16(out + 6, 7);
    store_u32(out + 8, (uint32_t)correlation_id);
    store_u16(out + 12, 0xffff);
    memset(out + 14, (int)(correlation_id & 0xff), body);
    return 14 + body;
}

static size_t put_frames(uint8_t *out, int16_t api_key, unsigned count, uint32_t body)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += put_frame(out + size, api_key, (int32_t)i, body);
    return size;
}

/* ---- Claims ---- */

static void a_request_is_the_same_however_it_is_cut(void **state)
{
    (void)state;
    static const uint8_t client[] = "me";
    uint8_t bytes[64];
    store_u32(bytes, 8 + 2 + 2 + 5);
    store_u16(bytes + 4, 3);
    store_u16(bytes + 6, 12);
    store_u32(bytes + 8, 77);
    store_u16(bytes + 12, 2);
    memcpy(bytes + 14, client, 2);
    memcpy(bytes + 16, "BODY!", 5);
    for (size_t cut = 0; cut <= 21; cut++) {
        struct fixture *fixture = fixture_create(&standard);
        open_pipe(fixture, 0);
        peer_send(&fixture->transport, 0, bytes, cut);
        peer_send(&fixture->transport, 0, bytes + cut, 21 - cut);
        assert_int_equal(fixture->started, 1);
        const struct connection_request *request = fixture->requests[0];
        assert_int_equal(request->api_key, 3);
        assert_int_equal(request->api_version, 12);
        assert_int_equal(request->correlation_id, 77);
        assert_true(view_equal(request->client_id, view_of(client, 2)));
        assert_true(view_equal(request->body, VIEW_LITERAL("BODY!")));
        fixture_destroy(fixture);
    }
}

static void a_large_frame_arrives_whole(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    open_pipe(fixture, 0);
    uint8_t *bytes = malloc(700 * 1024 + 64);
    size_t size = put_frame(bytes, API_FETCH, 9, 700 * 1024);
    peer_send(&fixture->transport, 0, bytes, size);
    assert_int_equal(fixture->started, 1);
    assert_int_equal(fixture->requests[0]->body.size, 700 * 1024);
    assert_memory_equal(fixture->requests[0]->body.data, bytes + 14, 700 * 1024);
    fixture_destroy(fixture);
    free(bytes);
}

/* Bytes that the connection would take now. */
static size_t space_of(const struct fixture *fixture)
{
    struct stream *stream = fixture->transport.pipes[0].stream;
    uint8_t *place;
    return stream->events->space(stream, &place);
}

static void large_frames_in_a_row_are_read_into_place(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    open_pipe(fixture, 0);
    uint32_t bodies[] = {300 * 1024, 200 * 1024, 100, 40};
    uint8_t *bytes = malloc(510 * 1024);
    size_t size = 0;
    for (int i = 0; i < 4; i++)
        size += put_frame(bytes + size, API_PRODUCE, i, bodies[i]);
    assert_int_equal(space_of(fixture), CONNECTION_READ_SIZE);
    peer_send(&fixture->transport, 0, bytes, 14 + bodies[0]);
    assert_int_equal(space_of(fixture), 4096); /* all but these need no copy */
    peer_send(&fixture->transport, 0, bytes + 14 + bodies[0], size - 14 - bodies[0]);
    assert_int_equal(space_of(fixture), CONNECTION_READ_SIZE);
    assert_int_equal(fixture->started, 4);
    const uint8_t *at = bytes;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fixture->requests[i]->body.size, bodies[i]);
        assert_memory_equal(fixture->requests[i]->body.data, at + 14, bodies[i]);
        at += 14 + bodies[i];
    }
    fixture_destroy(fixture);
    free(bytes);
}

static void bad_sizes_and_headers_close_with_one_line(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[16];
        size_t size;
        enum connection_close_reason reason;
    } cases[] = {
        {{0xff, 0xff, 0xff, 0xff}, 4, CONNECTION_CLOSE_FRAME_SIZE},
        {{0x80, 0, 0, 0}, 4, CONNECTION_CLOSE_FRAME_SIZE},
        {{0x00, 0x10, 0, 1}, 4, CONNECTION_CLOSE_FRAME_SIZE},
        {{0, 0, 0, 0}, 4, CONNECTION_CLOSE_FRAME_SIZE},
        {{0, 0, 0, 1, 0}, 5, CONNECTION_CLOSE_MALFORMED},
        {{0, 0, 0, 9, 0, 3, 0, 1, 0, 0, 0, 1, 0}, 13, CONNECTION_CLOSE_MALFORMED},
        /* client id of 5 bytes, none there; and of size -2 */
        {{0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 1, 0, 5}, 14, CONNECTION_CLOSE_MALFORMED},
        {{0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xfe}, 14, CONNECTION_CLOSE_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *fixture = fixture_create(&standard);
        open_pipe(fixture, 0);
        peer_send(&fixture->transport, 0, cases[i].bytes, cases[i].size);
        assert_int_equal(fixture->started, 0);
        assert_int_equal(fixture->closed, 1);
        assert_true(fixture->transport.pipes[0].closed);
        assert_int_equal(fixture->connections.counters.closed[cases[i].reason], 1);
        assert_int_equal(fixture->transport.lines, 1);
        fixture_destroy(fixture);
    }
}

static void answers_leave_in_the_order_of_requests(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    open_pipe(fixture, 0);
    uint8_t bytes[256];
    size_t size = put_frames(bytes, API_PRODUCE, 3, 4);
    peer_send(&fixture->transport, 0, bytes, size);
    assert_int_equal(fixture->started, 3);
    answer(fixture, 2, 1, 'c');
    answer(fixture, 1, 1, 'b');
    turn(fixture);
    assert_int_equal(fixture->transport.pipes[0].sent_size, 0);
    answer(fixture, 0, 1, 'a');
    turn(fixture);
    static const uint8_t expected[] = {0, 0, 0, 1, 'a', 0, 0, 0, 1, 'b', 0, 0, 0, 1, 'c'};
    assert_int_equal(fixture->transport.pipes[0].sent_size, sizeof(expected));
    assert_memory_equal(fixture->transport.pipes[0].sent, expected, sizeof(expected));
    fixture_destroy(fixture);
}

static void produce_overlaps_with_produce_alone(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    open_pipe(fixture, 0);
    uint8_t bytes[4096];
    size_t size = put_frames(bytes, API_PRODUCE, 2, 4);
    size += put_frame(bytes + size, API_METADATA, 2, 4);
    size += put_frame(bytes + size, API_PRODUCE, 3, 4);
    peer_send(&fixture->transport, 0, bytes, size);
    assert_int_equal(fixture->started, 2);
    answer(fixture, 0, 1, 'a');
    turn(fixture);
    assert_int_equal(fixture->started, 2);
    answer(fixture, 1, 1, 'b');
    turn(fixture);
    assert_int_equal(fixture->started, 3);
    assert_int_equal(fixture->requests[2]->api_key, API_METADATA);
    answer(fixture, 2, 1, 'c');
    turn(fixture);
    assert_int_equal(fixture->started, 4);
    fixture_destroy(fixture);
}

static void at_most_32_produce_requests_overlap_and_16_start_in_a_turn(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    open_pipe(fixture, 0);
    uint8_t bytes[4096];
    size_t size = put_frames(bytes, API_PRODUCE, 50, 4);
    peer_send(&fixture->transport, 0, bytes, size);
    assert_int_equal(fixture->started, CONNECTION_TURN_FRAMES);
    for (int i = 0; i < 5; i++)
        turn(fixture);
    assert_int_equal(fixture->started, CONNECTION_PRODUCE_OVERLAP);
    answer(fixture, 0, 1, 'a');
    turn(fixture);
    assert_int_equal(fixture->started, CONNECTION_PRODUCE_OVERLAP + 1);
    fixture_destroy(fixture);
}

static void nothing_starts_while_a_mebibyte_is_unsent(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    open_pipe(fixture, 0);
    uint8_t bytes[256];
    size_t size = put_frames(bytes, API_METADATA, 2, 4);
    fixture->transport.hold_sends = true;
    peer_send(&fixture->transport, 0, bytes, size);
    assert_int_equal(fixture->started, 1);
    answer(fixture, 0, CONNECTION_UNSENT_LIMIT, 'a');
    turn(fixture);
    turn(fixture);
    assert_int_equal(fixture->started, 1);
    release_sends(&fixture->transport, 0);
    turn(fixture);
    assert_int_equal(fixture->started, 2);
    fixture_destroy(fixture);
}

static void a_muted_connection_starts_nothing_until_its_time_is_over(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    struct connection *connection = open_pipe(fixture, 0);
    uint8_t bytes[64];
    size_t size = put_frame(bytes, API_METADATA, 1, 4);
    connection_mute(connection, 100);
    peer_send(&fixture->transport, 0, bytes, size);
    memory_turn(&fixture->transport, 90);
    assert_int_equal(fixture->started, 0);
    memory_turn(&fixture->transport, 20);
    assert_int_equal(fixture->started, 1);
    fixture_destroy(fixture);
}

static void frames_wait_for_memory_in_order_and_one_may_borrow(void **state)
{
    (void)state;
    struct connections_options options = standard;
    options.frame_memory = 256 * 1024;
    struct fixture *fixture = fixture_create(&options);
    uint8_t *bytes = malloc(200 * 1024);
    size_t size = put_frame(bytes, API_METADATA, 1, 150 * 1024);
    for (unsigned i = 0; i < 4; i++) {
        open_pipe(fixture, i);
        peer_send(&fixture->transport, i, bytes, size);
    }
    /* The first fits, the second borrows; the others hold at most what fits beside the first. */
    assert_int_equal(fixture->started, 2);
    assert_true(fixture->connections.counters.memory_waits >= 2);
    assert_true(fixture->transport.heap.used[MEMORY_FRAME] < 512 * 1024);
    answer(fixture, 0, 1, 'a');
    answer(fixture, 1, 1, 'b');
    for (int i = 0; i < 4; i++)
        turn(fixture);
    assert_int_equal(fixture->started, 4);
    fixture_destroy(fixture);
    free(bytes);
}

static void who_stalls_with_memory_that_others_wait_for_is_closed(void **state)
{
    (void)state;
    struct connections_options options = standard;
    options.frame_memory = 64 * 1024;
    struct fixture *fixture = fixture_create(&options);
    uint8_t *bytes = malloc(200 * 1024);
    size_t size = put_frame(bytes, API_METADATA, 1, 150 * 1024);
    open_pipe(fixture, 0);
    open_pipe(fixture, 1);
    peer_send(&fixture->transport, 0, bytes, size - 1); /* borrows, and never ends its frame */
    peer_send(&fixture->transport, 1, bytes, size);
    assert_int_equal(fixture->started, 0);
    for (int i = 0; i < 13; i++)
        memory_turn(&fixture->transport, 1000);
    assert_int_equal(fixture->connections.counters.closed[CONNECTION_CLOSE_STALLED], 1);
    assert_int_equal(fixture->started, 1);
    fixture_destroy(fixture);
    free(bytes);
}

static void a_reader_that_never_reads_does_not_stop_the_others(void **state)
{
    (void)state;
    struct connections_options options = standard;
    options.answer_memory = 64 * 1024;
    struct fixture *fixture = fixture_create(&options);
    fixture->transport.hold_sends = true;
    uint8_t bytes[64];
    size_t size = put_frame(bytes, API_METADATA, 1, 4);
    open_pipe(fixture, 0);
    open_pipe(fixture, 1);
    peer_send(&fixture->transport, 0, bytes, size);
    answer(fixture, 0, 100 * 1024, 'a');
    peer_send(&fixture->transport, 1, bytes, size);
    assert_int_equal(fixture->started, 1);
    for (int i = 0; i < 13; i++)
        memory_turn(&fixture->transport, 1000);
    assert_int_equal(fixture->connections.counters.closed[CONNECTION_CLOSE_STALLED], 1);
    assert_int_equal(fixture->started, 2);
    fixture_destroy(fixture);
}

static void a_closed_connection_abandons_its_requests_and_drops_answers(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    open_pipe(fixture, 0);
    uint8_t bytes[128];
    size_t size = put_frames(bytes, API_PRODUCE, 2, 4);
    peer_send(&fixture->transport, 0, bytes, size);
    answer(fixture, 1, 1, 'b');
    peer_close(&fixture->transport, 0);
    assert_int_equal(fixture->abandoned, 1);
    assert_int_equal(fixture->closed, 1);
    assert_int_equal(fixture->ended, 1);
    connection_request_hold(fixture->requests[0]);
    struct connection_request *held = fixture->requests[0];
    answer(fixture, 0, 1, 'a');
    assert_int_equal(fixture->ended, 1);
    connection_request_release(held);
    assert_int_equal(fixture->ended, 2);
    assert_int_equal(fixture->transport.lines, 0);
    fixture_destroy(fixture);
}

static void what_was_answered_arrives_where_this_side_ends_the_connection(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    fixture->transport.hold_sends = true;
    for (unsigned reason = 0; reason < CONNECTION_CLOSE_REASONS; reason++) {
        struct connection *connection = open_pipe(fixture, reason);
        uint8_t bytes[64];
        peer_send(&fixture->transport, reason, bytes, put_frame(bytes, API_METADATA, 1, 4));
        turn(fixture);
        answer(fixture, reason, 10, 'a');
        connection_close(connection, reason, NULL);
        release_sends(&fixture->transport, reason);
        bool broken = reason == CONNECTION_CLOSE_PEER || reason == CONNECTION_CLOSE_STALLED ||
                      reason == CONNECTION_CLOSE_SHORT_FILE;
        assert_int_equal(fixture->transport.pipes[reason].sent_size, broken ? 0 : 14);
    }
    fixture_destroy(fixture);
}

static void idle_connections_are_closed_and_waiting_ones_are_not(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    open_pipe(fixture, 0);
    open_pipe(fixture, 1);
    uint8_t bytes[64];
    size_t size = put_frame(bytes, API_FETCH, 1, 4);
    peer_send(&fixture->transport, 1, bytes, size);
    memory_turn(&fixture->transport, 59 * 1000);
    assert_int_equal(fixture->closed, 0);
    memory_turn(&fixture->transport, 2 * 1000);
    memory_turn(&fixture->transport, 1000);
    assert_int_equal(fixture->connections.counters.closed[CONNECTION_CLOSE_IDLE], 1);
    assert_false(fixture->transport.pipes[1].closed);
    fixture_destroy(fixture);
}

static void a_name_is_stale_when_its_connection_is_gone(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    struct connection *first = open_pipe(fixture, 0);
    struct connection_name name = first->name;
    assert_ptr_equal(connections_find(&fixture->connections, name), first);
    peer_close(&fixture->transport, 0);
    turn(fixture);
    assert_null(connections_find(&fixture->connections, name));
    struct connection *second = open_pipe(fixture, 1);
    assert_int_equal(second->name.slot, name.slot);
    assert_null(connections_find(&fixture->connections, name));
    fixture_destroy(fixture);
}

static void a_stop_hurries_what_is_open_and_starts_nothing(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(&standard);
    open_pipe(fixture, 0);
    open_pipe(fixture, 1);
    uint8_t bytes[128];
    size_t size = put_frames(bytes, API_METADATA, 2, 4);
    peer_send(&fixture->transport, 0, bytes, size);
    connections_stop(&fixture->connections, on_stopped);
    assert_int_equal(fixture->hurried, 1);
    turn(fixture);
    assert_true(fixture->transport.pipes[1].closed);
    assert_false(fixture->stopped);
    answer(fixture, 0, 1, 'a');
    turn(fixture);
    turn(fixture);
    turn(fixture);
    assert_int_equal(fixture->started, 1);
    assert_int_equal(fixture->transport.pipes[0].sent_size, 5);
    assert_true(fixture->stopped);
    fixture_destroy(fixture);
}

static void bytes_of_any_kind_never_do_harm(void **state)
{
    (void)state;
    uint64_t word = 42;
    uint8_t bytes[512];
    for (int round = 0; round < 2000; round++) {
        struct fixture *fixture = fixture_create(&standard);
        open_pipe(fixture, 0);
        size_t size = put_frames(bytes, (int16_t)(round & 1), 8, 20);
        for (int change = 0; change < 4; change++) {
            word = word * UINT64_C(6364136223846793005) + 1442695040888963407u;
            bytes[(word >> 33) % size] = (uint8_t)(word >> 57);
        }
        peer_send(&fixture->transport, 0, bytes, size);
        for (unsigned i = 0; i < fixture->started; i++)
            answer(fixture, i, 8, 'x');
        turn(fixture);
        fixture_destroy(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_the_same_however_it_is_cut),
        cmocka_unit_test(a_large_frame_arrives_whole),
        cmocka_unit_test(large_frames_in_a_row_are_read_into_place),
        cmocka_unit_test(bad_sizes_and_headers_close_with_one_line),
        cmocka_unit_test(answers_leave_in_the_order_of_requests),
        cmocka_unit_test(produce_overlaps_with_produce_alone),
        cmocka_unit_test(at_most_32_produce_requests_overlap_and_16_start_in_a_turn),
        cmocka_unit_test(nothing_starts_while_a_mebibyte_is_unsent),
        cmocka_unit_test(a_muted_connection_starts_nothing_until_its_time_is_over),
        cmocka_unit_test(frames_wait_for_memory_in_order_and_one_may_borrow),
        cmocka_unit_test(who_stalls_with_memory_that_others_wait_for_is_closed),
        cmocka_unit_test(a_reader_that_never_reads_does_not_stop_the_others),
        cmocka_unit_test(a_closed_connection_abandons_its_requests_and_drops_answers),
        cmocka_unit_test(what_was_answered_arrives_where_this_side_ends_the_connection),
        cmocka_unit_test(idle_connections_are_closed_and_waiting_ones_are_not),
        cmocka_unit_test(a_name_is_stale_when_its_connection_is_gone),
        cmocka_unit_test(a_stop_hurries_what_is_open_and_starts_nothing),
        cmocka_unit_test(bytes_of_any_kind_never_do_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
