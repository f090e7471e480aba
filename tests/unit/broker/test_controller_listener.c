/* What comes in on a controller listener: which APIs, served on the control loop, until the end. */
#include "tests/unit/broker/broker_fixture.h"

#include "broker/shard.h"
#include "protocol/messages/api_versions.h"
#include "protocol/messages/describe_cluster.h"
#include "protocol/messages/describe_configs.h"
#include "protocol/messages/describe_quorum.h"
#include "protocol/messages/metadata.h"

BROKER_FIXTURE_CALL(api_versions, API_KEY_API_VERSIONS)
BROKER_FIXTURE_CALL(describe_cluster, API_KEY_DESCRIBE_CLUSTER)
BROKER_FIXTURE_CALL(describe_configs, API_KEY_DESCRIBE_CONFIGS)
BROKER_FIXTURE_CALL(describe_quorum, API_KEY_DESCRIBE_QUORUM)
BROKER_FIXTURE_CALL(metadata, API_KEY_METADATA)

enum { CLIENT_PORT = 9092, CONTROLLER_PORT = 9093 };

static void start_with(struct broker_fixture *fixture, const char *setting)
{
    const char *const settings[] = {
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
        "controller.listener.names=CONTROLLER",
        setting,
    };
    broker_fixture_init(fixture, settings, sizeof(settings) / sizeof(*settings));
    broker_fixture_use_port(fixture, CONTROLLER_PORT);
}

static void start(struct broker_fixture *fixture)
{
    start_with(fixture, "klamm.shards=2");
}

static bool lists(const struct api_versions_response *response, int16_t key)
{
    for (size_t i = 0; i < response->api_keys_count; i++)
        if (response->api_keys[i].api_key == key)
            return true;
    return false;
}

static void each_kind_of_listener_lists_its_own_apis(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    struct api_versions_request request;
    struct api_versions_response response;
    api_versions_request_init(&request);
    call_api_versions(&fixture, 0, &request, &response);
    assert_true(lists(&response, API_KEY_DESCRIBE_QUORUM));
    assert_true(lists(&response, API_KEY_CREATE_TOPICS));
    assert_false(lists(&response, API_KEY_PRODUCE));
    assert_false(lists(&response, API_KEY_METADATA));
    for (size_t i = 0; i < response.api_keys_count; i++)
        assert_true(api_info_find(response.api_keys[i].api_key)->is_controller_listener);
    broker_fixture_use_port(&fixture, CLIENT_PORT);
    call_api_versions(&fixture, 0, &request, &response);
    assert_true(lists(&response, API_KEY_PRODUCE));
    assert_true(lists(&response, API_KEY_DESCRIBE_QUORUM));
    assert_false(lists(&response, API_KEY_ALLOCATE_PRODUCER_IDS));
    broker_fixture_deinit(&fixture);
}

static void an_api_of_the_other_kind_closes_the_connection(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    struct view answer =
        broker_fixture_exchange(&fixture, API_KEY_METADATA, 0, VIEW_LITERAL("\0\0\0\0"));
    assert_true(view_is_null(answer));
    broker_fixture_use_port(&fixture, CLIENT_PORT);
    struct metadata_request request;
    struct metadata_response response;
    metadata_request_init(&request);
    request.topics = NULL;
    call_metadata(&fixture, 1, &request, &response);
    answer = broker_fixture_exchange(&fixture, API_KEY_ALLOCATE_PRODUCER_IDS, 0,
                                     VIEW_LITERAL("\0\0\0\1\0\0\0\0\0\0\0\0\0"));
    assert_true(view_is_null(answer));
    broker_fixture_deinit(&fixture);
}

static void the_control_loop_serves_it_and_counts_it_apart(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    struct describe_quorum_request_partition_data partition = {0};
    struct describe_quorum_request_topic_data topic = {VIEW_LITERAL("__cluster_metadata"),
                                                       &partition, 1};
    struct describe_quorum_request request = {&topic, 1};
    struct describe_quorum_response response;
    call_describe_quorum(&fixture, 2, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.topics[0].partitions[0].leader_id, FIXTURE_NODE_ID);
    unsigned with_shards = 0;
    for (unsigned i = 1; i <= FIXTURE_SHARDS; i++)
        with_shards += broker_fixture_shard(&fixture, i)->front.connections.count;
    assert_int_equal(with_shards, 0);
    broker_fixture_deinit(&fixture);
}

static void topics_are_created_through_it(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    broker_fixture_create_topic(&fixture, "topic", 3, "retention.ms", "5000");
    struct view key = VIEW_LITERAL("retention.ms");
    struct describe_configs_request_describe_configs_resource resource = {
        .resource_type = 2,
        .resource_name = VIEW_LITERAL("topic"),
        .configuration_keys = &key,
        .configuration_keys_count = 1};
    struct describe_configs_request configs;
    struct describe_configs_response described;
    describe_configs_request_init(&configs);
    configs.resources = &resource;
    configs.resources_count = 1;
    call_describe_configs(&fixture, 4, &configs, &described);
    assert_int_equal(described.results[0].error_code, KAFKA_ERROR_NONE);
    assert_true(view_equal(described.results[0].configs[0].value, VIEW_LITERAL("5000")));
    broker_fixture_use_port(&fixture, CLIENT_PORT);
    assert_int_equal(broker_fixture_produce(&fixture, "topic", 2, 1, 0), 0);
    broker_fixture_deinit(&fixture);
}

static void the_cluster_is_described_by_kind_of_listener(void **state)
{
    (void)state;
    enum { BROKERS = 1, CONTROLLERS = 2 };
    static const struct {
        uint16_t port;
        int8_t type;
        enum kafka_error error;
    } rows[] = {
        {CONTROLLER_PORT, CONTROLLERS, KAFKA_ERROR_NONE},
        {CONTROLLER_PORT, BROKERS, KAFKA_ERROR_MISMATCHED_ENDPOINT_TYPE},
        {CONTROLLER_PORT, 7, KAFKA_ERROR_UNSUPPORTED_ENDPOINT_TYPE},
        {CLIENT_PORT, BROKERS, KAFKA_ERROR_NONE},
        {CLIENT_PORT, CONTROLLERS, KAFKA_ERROR_MISMATCHED_ENDPOINT_TYPE},
    };
    struct broker_fixture fixture;
    start(&fixture);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct describe_cluster_request request;
        struct describe_cluster_response response;
        describe_cluster_request_init(&request);
        request.endpoint_type = rows[i].type;
        broker_fixture_use_port(&fixture, rows[i].port);
        call_describe_cluster(&fixture, 1, &request, &response);
        assert_int_equal(response.error_code, rows[i].error);
        if (rows[i].error == KAFKA_ERROR_NONE)
            assert_int_equal(response.controller_id, FIXTURE_NODE_ID);
    }
    broker_fixture_deinit(&fixture);
}

static void clients_do_not_keep_controllers_out(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start_with(&fixture, "max.connections=0");
    struct api_versions_request request;
    struct api_versions_response response;
    api_versions_request_init(&request);
    call_api_versions(&fixture, 0, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    broker_fixture_deinit(&fixture);
}

static void a_node_with_it_stops_in_order(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    broker_fixture_create_topic(&fixture, "topic", 1, NULL, NULL);
    broker_fixture_begin_stop(&fixture);
    assert_int_equal(broker_fixture_await_stop(&fixture), 0);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_listener_lists_its_own_apis),
        cmocka_unit_test(an_api_of_the_other_kind_closes_the_connection),
        cmocka_unit_test(the_control_loop_serves_it_and_counts_it_apart),
        cmocka_unit_test(topics_are_created_through_it),
        cmocka_unit_test(the_cluster_is_described_by_kind_of_listener),
        cmocka_unit_test(clients_do_not_keep_controllers_out),
        cmocka_unit_test(a_node_with_it_stops_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
