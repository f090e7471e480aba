/* Which nodes and addresses a client is told, in a cluster of which only one node is real. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/broker_heartbeat.h"
#include "protocol/messages/broker_registration.h"
#include "protocol/messages/describe_cluster.h"
#include "protocol/messages/fetch.h"
#include "protocol/messages/metadata.h"
#include "protocol/messages/produce.h"

BROKER_FIXTURE_CALL(broker_heartbeat, API_KEY_BROKER_HEARTBEAT)
BROKER_FIXTURE_CALL(broker_registration, API_KEY_BROKER_REGISTRATION)
BROKER_FIXTURE_CALL(describe_cluster, API_KEY_DESCRIBE_CLUSTER)
BROKER_FIXTURE_CALL(fetch, API_KEY_FETCH)
BROKER_FIXTURE_CALL(metadata, API_KEY_METADATA)
BROKER_FIXTURE_CALL(produce, API_KEY_PRODUCE)

enum { CLIENT_PORT = 9092, CONTROLLER_PORT = 9093, INTERNAL_PORT = 9094 };

static void start(struct broker_fixture *fixture)
{
    static const char *const settings[] = {
        "listeners=PLAINTEXT://:9092,INTERNAL://:9094,CONTROLLER://:9093",
        "controller.listener.names=CONTROLLER",
        "inter.broker.listener.name=INTERNAL",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,"
        "CONTROLLER:PLAINTEXT",
    };
    broker_fixture_init(fixture, settings, sizeof(settings) / sizeof(*settings));
}

/* A broker that says that it is there: one listener at port `id`. */
static void join(struct broker_fixture *fixture, int32_t id, const char *listener, bool unfence)
{
    struct metadata_request ask;
    struct metadata_response cluster;
    metadata_request_init(&ask);
    ask.topics = NULL;
    broker_fixture_use_port(fixture, CLIENT_PORT);
    call_metadata(fixture, 4, &ask, &cluster);
    struct broker_registration_request request;
    struct broker_registration_response response;
    struct broker_registration_request_listener endpoint;
    struct broker_registration_request_feature features[] = {
        {VIEW_LITERAL("eligible.leader.replicas.version"), 0, 1},
        {VIEW_LITERAL("group.version"), 0, 1},
        {VIEW_LITERAL("metadata.version"), 7, 29},
        {VIEW_LITERAL("transaction.version"), 0, 2},
    };
    struct uuid directory = {.bytes = {[3] = 1, [15] = (uint8_t)id}};
    broker_registration_request_init(&request);
    broker_registration_request_listener_init(&endpoint);
    endpoint.name = view_of_string(listener);
    endpoint.host = VIEW_LITERAL("elsewhere");
    endpoint.port = (uint16_t)id;
    request.broker_id = id;
    request.cluster_id = cluster.cluster_id;
    request.incarnation_id.bytes[0] = (uint8_t)id;
    request.listeners = &endpoint;
    request.listeners_count = 1;
    request.features = features;
    request.features_count = 4;
    request.log_dirs = &directory;
    request.log_dirs_count = 1;
    broker_fixture_use_port(fixture, CONTROLLER_PORT);
    call_broker_registration(fixture, BROKER_REGISTRATION_REQUEST_VERSION_MAX, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    if (!unfence)
        return;
    struct broker_heartbeat_request beat;
    struct broker_heartbeat_response beaten;
    broker_heartbeat_request_init(&beat);
    beat.broker_id = id;
    beat.broker_epoch = response.broker_epoch;
    beat.current_metadata_offset = INT32_MAX;
    call_broker_heartbeat(fixture, 1, &beat, &beaten);
    assert_int_equal(beaten.error_code, KAFKA_ERROR_NONE);
    assert_false(beaten.is_fenced);
}

static struct metadata_response ask(struct broker_fixture *fixture, uint16_t port)
{
    struct metadata_request request;
    struct metadata_response response;
    metadata_request_init(&request);
    request.topics = NULL;
    broker_fixture_use_port(fixture, port);
    call_metadata(fixture, 12, &request, &response);
    return response;
}

static const struct metadata_response_broker *find(const struct metadata_response *response,
                                                   int32_t id)
{
    for (size_t i = 0; i < response->brokers_count; i++)
        if (response->brokers[i].node_id == id)
            return &response->brokers[i];
    return NULL;
}

static void a_client_is_told_the_brokers_that_have_its_listener(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    join(&fixture, 2, "PLAINTEXT", true);
    join(&fixture, 3, "INTERNAL", true);
    join(&fixture, 4, "PLAINTEXT", false); /* fenced */
    struct metadata_response outside = ask(&fixture, CLIENT_PORT);
    assert_int_equal(outside.brokers_count, 2);
    assert_int_equal(find(&outside, FIXTURE_NODE_ID)->port, CLIENT_PORT);
    assert_int_equal(find(&outside, 2)->port, 2);
    assert_true(view_equal(find(&outside, 2)->host, VIEW_LITERAL("elsewhere")));
    assert_int_equal(outside.controller_id, FIXTURE_NODE_ID);
    struct metadata_response inside = ask(&fixture, INTERNAL_PORT);
    assert_int_equal(inside.brokers_count, 2);
    assert_int_equal(find(&inside, FIXTURE_NODE_ID)->port, INTERNAL_PORT);
    assert_int_equal(find(&inside, 3)->port, 3);
    broker_fixture_deinit(&fixture);
}

static void a_leader_without_the_listener_is_an_error_of_its_own(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    join(&fixture, 3, "INTERNAL", true);
    broker_fixture_use_port(&fixture, CLIENT_PORT);
    broker_fixture_create_topic(&fixture, "topic", 8, NULL, NULL);
    static const int16_t versions[] = {5, 6, 12};
    for (size_t v = 0; v < 3; v++) {
        struct metadata_request request;
        struct metadata_response outside;
        metadata_request_init(&request);
        request.topics = NULL;
        broker_fixture_use_port(&fixture, CLIENT_PORT);
        call_metadata(&fixture, versions[v], &request, &outside);
        struct metadata_response inside = ask(&fixture, INTERNAL_PORT);
        unsigned elsewhere = 0;
        assert_int_equal(outside.topics[0].partitions_count, 8);
        for (size_t i = 0; i < 8; i++) {
            const struct metadata_response_partition *out = &outside.topics[0].partitions[i];
            const struct metadata_response_partition *in = &inside.topics[0].partitions[i];
            assert_int_equal(in->error_code, KAFKA_ERROR_NONE);
            if (in->leader_id == FIXTURE_NODE_ID) {
                assert_int_equal(out->error_code, KAFKA_ERROR_NONE);
                continue;
            }
            elsewhere++;
            assert_int_equal(out->error_code, versions[v] < 6 ? KAFKA_ERROR_LEADER_NOT_AVAILABLE
                                                              : KAFKA_ERROR_LISTENER_NOT_FOUND);
            assert_int_equal(out->leader_id, -1);
            assert_int_equal(out->replica_nodes_count, 1);
            assert_int_equal(out->offline_replicas_count, 1);
        }
        assert_true(elsewhere > 0);
    }
    broker_fixture_deinit(&fixture);
}

/* A partition of "topic" that another broker leads. */
static int32_t led_by(struct broker_fixture *fixture, int32_t id, struct uuid *topic_id)
{
    struct metadata_response response = ask(fixture, CLIENT_PORT);
    for (size_t i = 0; i < response.topics[0].partitions_count; i++) {
        *topic_id = response.topics[0].topic_id;
        if (response.topics[0].partitions[i].leader_id == id)
            return response.topics[0].partitions[i].partition_index;
    }
    fail();
    return -1;
}

static void a_produce_that_came_to_the_wrong_broker_is_told_the_right_one(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    join(&fixture, 2, "PLAINTEXT", true);
    broker_fixture_use_port(&fixture, CLIENT_PORT);
    broker_fixture_create_topic(&fixture, "topic", 8, NULL, NULL);
    struct uuid topic_id;
    struct produce_request_partition_produce_data partition = {.index =
                                                                   led_by(&fixture, 2, &topic_id)};
    struct produce_request_topic_produce_data topic = {.name = VIEW_LITERAL("topic"),
                                                       .topic_id = topic_id,
                                                       .partition_data = &partition,
                                                       .partition_data_count = 1};
    for (int16_t version = 9; version <= PRODUCE_REQUEST_VERSION_MAX; version++) {
        struct produce_request request;
        struct produce_response response;
        produce_request_init(&request);
        request.acks = 1;
        request.timeout_ms = 1000;
        request.topic_data = &topic;
        request.topic_data_count = 1;
        topic.name = version >= 13 ? VIEW_LITERAL("") : VIEW_LITERAL("topic");
        topic.topic_id = version >= 13 ? topic_id : UUID_ZERO;
        call_produce(&fixture, version, &request, &response);
        const struct produce_response_partition_produce_response *out =
            &response.responses[0].partition_responses[0];
        assert_int_equal(out->error_code, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
        assert_int_equal(out->current_leader.leader_id, version >= 10 ? 2 : -1);
        assert_int_equal(response.node_endpoints_count, version >= 10);
        if (version >= 10) {
            assert_int_equal(response.node_endpoints[0].node_id, 2);
            assert_int_equal(response.node_endpoints[0].port, 2);
        }
    }
    broker_fixture_deinit(&fixture);
}

static void a_fetch_that_came_to_the_wrong_broker_is_told_the_right_one(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    join(&fixture, 2, "PLAINTEXT", true);
    broker_fixture_use_port(&fixture, CLIENT_PORT);
    broker_fixture_create_topic(&fixture, "topic", 8, NULL, NULL);
    for (int16_t version = 15; version <= 17; version++) {
        struct fetch_request request;
        struct fetch_response response;
        struct fetch_request_fetch_partition partition;
        struct fetch_request_fetch_topic topic = {.partitions = &partition, .partitions_count = 1};
        fetch_request_init(&request);
        fetch_request_fetch_partition_init(&partition);
        partition.partition = led_by(&fixture, 2, &topic.topic_id);
        partition.partition_max_bytes = 1000;
        request.topics = &topic;
        request.topics_count = 1;
        call_fetch(&fixture, version, &request, &response);
        const struct fetch_response_partition_data *out = &response.responses[0].partitions[0];
        assert_int_equal(out->error_code, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
        assert_int_equal(out->current_leader.leader_id, version >= 16 ? 2 : -1);
        assert_int_equal(response.node_endpoints_count, version >= 16);
        if (version >= 16)
            assert_int_equal(response.node_endpoints[0].port, 2);
    }
    broker_fixture_deinit(&fixture);
}

static void controllers_are_described_where_they_listen(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    struct describe_cluster_request request;
    struct describe_cluster_response response;
    describe_cluster_request_init(&request);
    request.endpoint_type = 2;
    broker_fixture_use_port(&fixture, CONTROLLER_PORT);
    call_describe_cluster(&fixture, 1, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.brokers_count, 1);
    assert_int_equal(response.brokers[0].broker_id, FIXTURE_NODE_ID);
    assert_int_equal(response.brokers[0].port, CONTROLLER_PORT);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_told_the_brokers_that_have_its_listener),
        cmocka_unit_test(a_leader_without_the_listener_is_an_error_of_its_own),
        cmocka_unit_test(a_produce_that_came_to_the_wrong_broker_is_told_the_right_one),
        cmocka_unit_test(a_fetch_that_came_to_the_wrong_broker_is_told_the_right_one),
        cmocka_unit_test(controllers_are_described_where_they_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
