/* The line of requests of a channel: order, versions, connecting, deadlines, its end. */
#include "channel_fixture.h"

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
        answer_versions(fixture, 0, rows[i].asked, header.correlation_id, 0, all_versions,
                        ALL_VERSIONS);
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
            answer_versions(fixture, 0, 0, header.correlation_id, errors[i], all_versions, 0);
            header = take_request(fixture, 0, NULL);
        }
        answer_versions(fixture, 0, header.request_api_version, header.correlation_id, errors[i],
                        all_versions, 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_connects_asks_for_versions_and_is_answered),
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
        cmocka_unit_test(a_request_taken_back_is_never_told),
        cmocka_unit_test(the_answer_to_a_request_taken_back_is_still_due),
        cmocka_unit_test(one_that_ended_can_take_another_back),
        cmocka_unit_test(a_request_can_be_sent_again_inside_done),
        cmocka_unit_test(another_address_serves_those_in_line),
        cmocka_unit_test(the_address_can_change_inside_done),
        cmocka_unit_test(closing_ends_everything_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
