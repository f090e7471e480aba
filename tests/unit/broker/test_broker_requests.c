/* What brokers and controllers of a cluster ask the active controller, over its listener. */
#include "tests/unit/broker/broker_fixture.h"

#include "cluster/controller/features.h"
#include "protocol/messages/allocate_producer_ids.h"
#include "protocol/messages/alter_partition.h"
#include "protocol/messages/broker_heartbeat.h"
#include "protocol/messages/broker_registration.h"
#include "protocol/messages/controller_registration.h"
#include "protocol/messages/describe_cluster.h"

BROKER_FIXTURE_CALL(allocate_producer_ids, API_KEY_ALLOCATE_PRODUCER_IDS)
BROKER_FIXTURE_CALL(alter_partition, API_KEY_ALTER_PARTITION)
BROKER_FIXTURE_CALL(broker_heartbeat, API_KEY_BROKER_HEARTBEAT)
BROKER_FIXTURE_CALL(broker_registration, API_KEY_BROKER_REGISTRATION)
BROKER_FIXTURE_CALL(controller_registration, API_KEY_CONTROLLER_REGISTRATION)
BROKER_FIXTURE_CALL(describe_cluster, API_KEY_DESCRIBE_CLUSTER)

enum { CLIENT_PORT = 9092, CONTROLLER_PORT = 9093, OTHER = 77 };

static void start(struct broker_fixture *fixture)
{
    static const char *const settings[] = {
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
        "controller.listener.names=CONTROLLER",
        "klamm.shards=2",
    };
    broker_fixture_init(fixture, settings, sizeof(settings) / sizeof(*settings));
    broker_fixture_use_port(fixture, CONTROLLER_PORT);
}

/* The cluster as clients see it; the answer is valid until the next call. */
static struct describe_cluster_response cluster(struct broker_fixture *fixture)
{
    struct describe_cluster_request request;
    struct describe_cluster_response response;
    describe_cluster_request_init(&request);
    broker_fixture_use_port(fixture, CLIENT_PORT);
    call_describe_cluster(fixture, 1, &request, &response);
    broker_fixture_use_port(fixture, CONTROLLER_PORT);
    return response;
}

/* Registers another broker; the response. */
static struct broker_registration_response enroll(struct broker_fixture *fixture,
                                                  uint64_t incarnation)
{
    struct view cluster_id = cluster(fixture).cluster_id;
    struct broker_registration_request_listener listener = {VIEW_LITERAL("PLAINTEXT"),
                                                            VIEW_LITERAL("elsewhere"), 9092, 0};
    struct broker_registration_request_feature features[CONTROLLER_FEATURE_COUNT];
    for (size_t i = 0; i < CONTROLLER_FEATURE_COUNT; i++) {
        const struct controller_feature *feature = controller_feature_at(i);
        features[i] = (struct broker_registration_request_feature){feature->name, feature->minimum,
                                                                   feature->maximum};
    }
    struct uuid directory = uuid_of_halves(7000, 1);
    struct broker_registration_request request;
    struct broker_registration_response response;
    broker_registration_request_init(&request);
    request.broker_id = OTHER;
    request.cluster_id = cluster_id;
    request.incarnation_id = uuid_of_halves(8000, incarnation);
    request.listeners = &listener;
    request.listeners_count = 1;
    request.features = features;
    request.features_count = CONTROLLER_FEATURE_COUNT;
    request.log_dirs = &directory;
    request.log_dirs_count = 1;
    call_broker_registration(fixture, 4, &request, &response);
    return response;
}

static struct broker_heartbeat_response beat(struct broker_fixture *fixture, int64_t epoch,
                                             int64_t offset, bool want_shut_down)
{
    struct broker_heartbeat_request request;
    struct broker_heartbeat_response response;
    broker_heartbeat_request_init(&request);
    request.broker_id = OTHER;
    request.broker_epoch = epoch;
    request.current_metadata_offset = offset;
    request.want_shut_down = want_shut_down;
    call_broker_heartbeat(fixture, 1, &request, &response);
    return response;
}

static void a_broker_joins_and_leaves(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    struct broker_registration_response registered = enroll(&fixture, 1);
    assert_int_equal(registered.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(cluster(&fixture).brokers_count, 1);
    int64_t epoch = registered.broker_epoch;
    assert_int_equal(beat(&fixture, epoch + 1, epoch, false).error_code,
                     KAFKA_ERROR_STALE_BROKER_EPOCH);
    assert_false(beat(&fixture, epoch, epoch - 1, false).is_caught_up);
    assert_false(beat(&fixture, epoch, epoch, false).is_fenced);
    assert_int_equal(cluster(&fixture).brokers_count, 2);
    assert_int_equal(enroll(&fixture, 2).error_code, KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION);
    assert_true(beat(&fixture, epoch, epoch, true).should_shut_down);
    assert_int_equal(cluster(&fixture).brokers_count, 1);
    /* It went in order, so its next incarnation need not wait. */
    assert_int_equal(enroll(&fixture, 2).error_code, KAFKA_ERROR_NONE);
    broker_fixture_deinit(&fixture);
}

static void blocks_of_producer_ids_are_given_to_registered_brokers(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    struct allocate_producer_ids_request request = {OTHER, 1};
    struct allocate_producer_ids_response response;
    call_allocate_producer_ids(&fixture, 0, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_BROKER_ID_NOT_REGISTERED);
    request.broker_epoch = enroll(&fixture, 1).broker_epoch;
    call_allocate_producer_ids(&fixture, 0, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    int64_t start_id = response.producer_id_start;
    call_allocate_producer_ids(&fixture, 0, &request, &response);
    assert_int_equal(response.producer_id_start, start_id + response.producer_id_len);
    broker_fixture_deinit(&fixture);
}

static void proposals_of_a_stale_broker_are_refused_as_a_whole(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    int64_t epoch = enroll(&fixture, 1).broker_epoch;
    struct alter_partition_request_broker_state member = {OTHER, epoch};
    struct alter_partition_request_partition_data partition = {.new_isr_with_epochs = &member,
                                                               .new_isr_with_epochs_count = 1};
    struct alter_partition_request_topic_data topic = {uuid_of_halves(1, 2), &partition, 1};
    struct alter_partition_request request = {
        .broker_id = OTHER, .broker_epoch = epoch + 1, .topics = &topic, .topics_count = 1};
    struct alter_partition_response response;
    call_alter_partition(&fixture, 3, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_STALE_BROKER_EPOCH);
    request.broker_epoch = epoch;
    call_alter_partition(&fixture, 3, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.topics[0].partitions[0].error_code, KAFKA_ERROR_UNKNOWN_TOPIC_ID);
    broker_fixture_deinit(&fixture);
}

static void controllers_say_what_they_support(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    start(&fixture);
    struct controller_registration_request request;
    struct controller_registration_response response;
    controller_registration_request_init(&request);
    request.controller_id = OTHER;
    call_controller_registration(&fixture, 0, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_UNSUPPORTED_VERSION);
    assert_false(view_is_null(response.error_message));
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broker_joins_and_leaves),
        cmocka_unit_test(blocks_of_producer_ids_are_given_to_registered_brokers),
        cmocka_unit_test(proposals_of_a_stale_broker_are_refused_as_a_whole),
        cmocka_unit_test(controllers_say_what_they_support),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
