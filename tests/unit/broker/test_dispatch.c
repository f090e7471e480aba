/* Requests that nobody serves, and answers in every version of an API. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/api_versions.h"
#include "protocol/messages/describe_quorum.h"
#include "protocol/messages/metadata.h"

BROKER_FIXTURE_CALL(describe_quorum, API_KEY_DESCRIBE_QUORUM)
BROKER_FIXTURE_CALL(metadata, API_KEY_METADATA)

static void an_api_without_handler_closes_only_its_connection(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    for (int i = 0; i < 3; i++) {
        struct view answer =
            broker_fixture_exchange(&fixture, API_KEY_JOIN_GROUP, 0, VIEW_LITERAL("?"));
        assert_true(view_is_null(answer));
        broker_fixture_create_topic(&fixture, (const char *[]){"a", "b", "c"}[i], 1, NULL, NULL);
    }
    broker_fixture_deinit(&fixture);
}

static void a_request_that_unfolds_too_far_closes_only_its_connection(void **state)
{
    (void)state;
    enum { TOPICS = 3 * 1000 * 1000 };
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    size_t size = 4 + 2 * (size_t)TOPICS; /* names of no bytes: two each, 32 when decoded */
    uint8_t *body = broker_fixture_get(&fixture, size, 1);
    store_u32(body, TOPICS);
    struct view answer =
        broker_fixture_exchange(&fixture, API_KEY_METADATA, 0, view_of(body, size));
    assert_true(view_is_null(answer));
    broker_fixture_create_topic(&fixture, "a", 1, NULL, NULL);
    broker_fixture_deinit(&fixture);
}

static void versions_that_nobody_serves_are_answered_in_version_0(void **state)
{
    (void)state;
    static const int16_t versions[] = {99, INT16_MAX, -1, INT16_MIN};
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        struct view answer =
            broker_fixture_exchange(&fixture, API_KEY_API_VERSIONS, versions[i], VIEW_LITERAL(""));
        struct reader reader = reader_of(answer);
        struct api_versions_response response;
        assert_true(api_versions_response_decode(&response, &reader, 0, &fixture.arena));
        assert_int_equal(response.error_code, KAFKA_ERROR_UNSUPPORTED_VERSION);
        assert_int_equal(response.api_keys_count, 1);
        assert_int_equal(response.api_keys[0].api_key, API_KEY_API_VERSIONS);
    }
    broker_fixture_deinit(&fixture);
}

static void the_quorum_is_described_in_every_version(void **state)
{
    (void)state;
    struct describe_quorum_request_partition_data partition = {0};
    struct describe_quorum_request_topic_data topic = {VIEW_LITERAL("__cluster_metadata"),
                                                       &partition, 1};
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    for (int16_t version = 0; version <= 2; version++) {
        struct describe_quorum_request request = {&topic, 1};
        struct describe_quorum_response response;
        call_describe_quorum(&fixture, version, &request, &response);
        assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
        assert_int_equal(response.topics[0].partitions[0].leader_id, FIXTURE_NODE_ID);
        assert_int_equal(response.topics[0].partitions[0].current_voters_count, 1);
        assert_int_equal(response.nodes_count, version >= 2);
    }
    broker_fixture_deinit(&fixture);
}

/* Asks for one topic, by name, or by id when the name is NULL. */
static struct metadata_response ask(struct broker_fixture *fixture, int16_t version,
                                    const char *name, bool operations)
{
    struct metadata_request_topic topic;
    struct metadata_request request;
    struct metadata_response response;
    metadata_request_topic_init(&topic);
    metadata_request_init(&request);
    if (name)
        topic.name = view_of_string(name);
    else
        topic.topic_id.bytes[0] = 7;
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = version < 4;
    request.include_topic_authorized_operations = operations;
    call_metadata(fixture, version, &request, &response);
    return response;
}

static void metadata_names_what_is_known(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "topic", 2, NULL, NULL);
    for (int16_t version = 0; version <= 13; version++) {
        struct metadata_response response = ask(&fixture, version, "topic", version >= 8);
        assert_int_equal(response.topics[0].error_code, KAFKA_ERROR_NONE);
        assert_int_equal(response.topics[0].partitions_count, 2);
        assert_int_equal(response.topics[0].topic_authorized_operations,
                         version >= 8 ? 3576 : INT32_MIN);
        if (version < 10)
            continue;
        response = ask(&fixture, version, NULL, false);
        assert_int_equal(response.topics[0].error_code,
                         version < 12 ? KAFKA_ERROR_INVALID_REQUEST : KAFKA_ERROR_UNKNOWN_TOPIC_ID);
        assert_int_equal(view_is_null(response.topics[0].name), version >= 12);
        assert_int_equal(view_is_null(response.cluster_id), version < 12);
    }
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_api_without_handler_closes_only_its_connection),
        cmocka_unit_test(a_request_that_unfolds_too_far_closes_only_its_connection),
        cmocka_unit_test(versions_that_nobody_serves_are_answered_in_version_0),
        cmocka_unit_test(the_quorum_is_described_in_every_version),
        cmocka_unit_test(metadata_names_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
