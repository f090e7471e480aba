/* Answers of a channel: cut anyhow, of all sizes, wrong ones, and their memory. */
#include "channel_fixture.h"

#include <stdlib.h>

CHANNEL_CALL(metadata, API_KEY_METADATA);

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
        size_t size = put_answer(fixture, API_KEY_METADATA, 12, id, &response, 0);
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
        cmocka_unit_test(an_answer_is_the_same_however_it_is_cut),
        cmocka_unit_test(answers_that_no_kafka_node_sends_end_the_connection),
        cmocka_unit_test(an_answer_that_decodes_to_far_too_much_is_malformed),
        cmocka_unit_test(large_answers_arrive_whole_and_leave_no_large_block),
        cmocka_unit_test(a_kept_frame_outlives_later_answers_and_the_channel),
        cmocka_unit_test(no_memory_for_an_answer_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
