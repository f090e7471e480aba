/* Requests of clients that another broker hands in, as the active controller sees them. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/create_topics.h"
#include "protocol/messages/envelope.h"
#include "protocol/messages/metadata.h"
#include "protocol/messages/request_header.h"

BROKER_FIXTURE_CALL(envelope, API_KEY_ENVELOPE)
BROKER_FIXTURE_CALL(metadata, API_KEY_METADATA)

enum { CLIENT_PORT = 9092, CONTROLLER_PORT = 9093, CORRELATION_ID = 77 };

static void start(struct broker_fixture *fixture)
{
    const char *const settings[] = {
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
        "controller.listener.names=CONTROLLER",
    };
    broker_fixture_init(fixture, settings, sizeof(settings) / sizeof(*settings));
    broker_fixture_use_port(fixture, CONTROLLER_PORT);
}

/* Header and body as a client sends them, without the frame's size. */
static struct view client_request(struct broker_fixture *fixture, int16_t key, int16_t version,
                                  struct view body)
{
    struct request_header header = {key, version, CORRELATION_ID, VIEW_LITERAL("somebody")};
    int16_t header_version = api_info_request_header_version(api_info_find(key), version);
    size_t size = request_header_size(&header, header_version) + body.size;
    struct message_writer out = message_writer_of(broker_fixture_get(fixture, size, 1), size);
    request_header_encode(&header, &out, header_version);
    write_bytes(&out.bytes, body.data, body.size);
    assert_false(message_writer_failed(&out));
    return view_of(out.bytes.data, out.bytes.size);
}

static struct view create_topic(struct broker_fixture *fixture, int16_t version, const char *name)
{
    struct create_topics_request request;
    struct create_topics_request_creatable_topic topic;
    create_topics_request_init(&request);
    create_topics_request_creatable_topic_init(&topic);
    topic.name = view_of_string(name);
    topic.num_partitions = 3;
    topic.replication_factor = 1;
    request.topics = &topic;
    request.topics_count = 1;
    size_t size = create_topics_request_size(&request, version);
    struct message_writer out = message_writer_of(broker_fixture_get(fixture, size, 1), size);
    create_topics_request_encode(&request, &out, version);
    struct view body = view_of(out.bytes.data, out.bytes.size);
    return client_request(fixture, API_KEY_CREATE_TOPICS, version, body);
}

static struct envelope_response hand_in(struct broker_fixture *fixture, struct view data)
{
    struct envelope_request request;
    struct envelope_response response;
    envelope_request_init(&request);
    request.request_data = data;
    request.request_principal = VIEW_LITERAL("\0\0\5User\12ANONYMOUS\0\0");
    request.client_host_address = VIEW_LITERAL("\12\0\0\1");
    call_envelope(fixture, 0, &request, &response);
    return response;
}

static void assert_created(struct broker_fixture *fixture, struct view answer, int16_t version,
                           enum kafka_error error)
{
    struct create_topics_response response;
    struct reader reader = reader_of(answer);
    assert_int_equal(read_i32(&reader), CORRELATION_ID);
    if (api_info_response_header_version(api_info_find(API_KEY_CREATE_TOPICS), version) > 0)
        assert_int_equal(read_u8(&reader), 0);
    assert_true(create_topics_response_decode(&response, &reader, version, &fixture->arena));
    assert_int_equal(reader_left(&reader), 0);
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].error_code, error);
}

static void what_is_inside_is_carried_out_in_its_own_version(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int16_t version;
        enum kafka_error error;
    } rows[] = {
        {"old", 2, KAFKA_ERROR_NONE},
        {"new", 7, KAFKA_ERROR_NONE},
        {"new", 5, KAFKA_ERROR_TOPIC_ALREADY_EXISTS},
    };
    struct broker_fixture fixture;
    start(&fixture);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct view data = create_topic(&fixture, rows[i].version, rows[i].name);
        struct envelope_response response = hand_in(&fixture, data);
        assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
        assert_created(&fixture, response.response_data, rows[i].version, rows[i].error);
    }
    broker_fixture_use_port(&fixture, CLIENT_PORT);
    struct metadata_request request;
    struct metadata_response response;
    metadata_request_init(&request);
    request.topics = NULL;
    call_metadata(&fixture, 12, &request, &response);
    assert_int_equal(response.topics_count, 2);
    broker_fixture_deinit(&fixture);
}

static void what_may_not_be_inside_is_refused(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    struct view topic = create_topic(&fixture, 7, "topic");
    const struct {
        struct view data;
        enum kafka_error error;
    } rows[] = {
        {VIEW_LITERAL(""), KAFKA_ERROR_INVALID_REQUEST},
        {VIEW_LITERAL("\0\23\0"), KAFKA_ERROR_INVALID_REQUEST},
        {view_of(topic.data, topic.size - 3), KAFKA_ERROR_INVALID_REQUEST},
        {client_request(&fixture, API_KEY_PRODUCE, 9, VIEW_LITERAL("")),
         KAFKA_ERROR_INVALID_REQUEST},
        {client_request(&fixture, API_KEY_METADATA, 12, VIEW_LITERAL("\0\0\0\0")),
         KAFKA_ERROR_INVALID_REQUEST},
        {client_request(&fixture, API_KEY_ENVELOPE, 0, VIEW_LITERAL("\1\0\1\0")),
         KAFKA_ERROR_INVALID_REQUEST},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct envelope_response response = hand_in(&fixture, rows[i].data);
        assert_int_equal(response.error_code, rows[i].error);
        assert_true(view_is_null(response.response_data));
    }
    uint8_t *copy = broker_fixture_get(&fixture, topic.size, 1);
    memcpy(copy, topic.data, topic.size);
    store_u16(copy + 2, 99); /* a version of the future */
    struct envelope_response response = hand_in(&fixture, view_of(copy, topic.size));
    assert_int_equal(response.error_code, KAFKA_ERROR_UNSUPPORTED_VERSION);
    broker_fixture_deinit(&fixture);
}

/* The broker that handed it in is gone before the answer: it is carried out all the same. */
static void what_was_handed_in_outlives_its_connection(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    struct envelope_request request;
    envelope_request_init(&request);
    request.request_data = create_topic(&fixture, 7, "topic");
    size_t size = envelope_request_size(&request, 0);
    struct message_writer out = message_writer_of(broker_fixture_get(&fixture, size, 1), size);
    envelope_request_encode(&request, &out, 0);
    broker_fixture_send(&fixture, API_KEY_ENVELOPE, 0, view_of(out.bytes.data, out.bytes.size));
    broker_fixture_hang_up(&fixture);
    broker_fixture_use_port(&fixture, CONTROLLER_PORT);
    struct envelope_response response = hand_in(&fixture, create_topic(&fixture, 7, "topic"));
    assert_created(&fixture, response.response_data, 7, KAFKA_ERROR_TOPIC_ALREADY_EXISTS);
    broker_fixture_begin_stop(&fixture);
    assert_int_equal(broker_fixture_await_stop(&fixture), 0);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_inside_is_carried_out_in_its_own_version),
        cmocka_unit_test(what_may_not_be_inside_is_refused),
        cmocka_unit_test(what_was_handed_in_outlives_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
