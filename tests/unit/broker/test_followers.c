/*
 * A broker as the leader of partitions that another broker follows: the test plays the follower and
 * the clients. The other broker is in another rack; the partition is of both.
 */
#include "tests/unit/broker/broker_fixture.h"

#include "cluster/controller/features.h"
#include "protocol/messages/broker_heartbeat.h"
#include "protocol/messages/broker_registration.h"
#include "protocol/messages/create_topics.h"
#include "protocol/messages/delete_records.h"
#include "protocol/messages/describe_cluster.h"
#include "protocol/messages/describe_producers.h"
#include "protocol/messages/describe_topic_partitions.h"
#include "protocol/messages/fetch.h"
#include "protocol/messages/incremental_alter_configs.h"
#include "protocol/messages/metadata.h"

BROKER_FIXTURE_CALL(broker_heartbeat, API_KEY_BROKER_HEARTBEAT)
BROKER_FIXTURE_CALL(broker_registration, API_KEY_BROKER_REGISTRATION)
BROKER_FIXTURE_CALL(create_topics, API_KEY_CREATE_TOPICS)
BROKER_FIXTURE_CALL(describe_cluster, API_KEY_DESCRIBE_CLUSTER)
BROKER_FIXTURE_CALL(describe_producers, API_KEY_DESCRIBE_PRODUCERS)
BROKER_FIXTURE_CALL(describe_topic_partitions, API_KEY_DESCRIBE_TOPIC_PARTITIONS)
BROKER_FIXTURE_CALL(fetch, API_KEY_FETCH)
BROKER_FIXTURE_CALL(incremental_alter_configs, API_KEY_INCREMENTAL_ALTER_CONFIGS)
BROKER_FIXTURE_CALL(metadata, API_KEY_METADATA)

enum { CLIENT_PORT = 9092, CONTROLLER_PORT = 9093, OTHER = 77 };

static struct {
    struct broker_fixture broker; /* with the client that is also the follower */
    int64_t other_epoch;
} test; /* one test at a time */

static const uint64_t session_ns = UINT64_C(12) * 1000000000;

/* ---- The other broker ---- */

static void enroll(void)
{
    struct describe_cluster_request question;
    struct describe_cluster_response cluster;
    describe_cluster_request_init(&question);
    call_describe_cluster(&test.broker, 1, &question, &cluster);
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
    request.rack = VIEW_LITERAL("far");
    request.cluster_id = cluster.cluster_id;
    request.incarnation_id = uuid_of_halves(8000, 1);
    request.listeners = &listener;
    request.listeners_count = 1;
    request.features = features;
    request.features_count = CONTROLLER_FEATURE_COUNT;
    request.log_dirs = &directory;
    request.log_dirs_count = 1;
    broker_fixture_use_port(&test.broker, CONTROLLER_PORT);
    call_broker_registration(&test.broker, 4, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    test.other_epoch = response.broker_epoch;
    broker_fixture_use_port(&test.broker, CLIENT_PORT);
}

/* From now on the other broker is alive, for the time of a session. */
static void beat(void)
{
    struct broker_heartbeat_request request;
    struct broker_heartbeat_response response;
    broker_heartbeat_request_init(&request);
    request.broker_id = OTHER;
    request.broker_epoch = test.other_epoch;
    request.current_metadata_offset = test.other_epoch + 1000;
    broker_fixture_use_port(&test.broker, CONTROLLER_PORT);
    call_broker_heartbeat(&test.broker, 1, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_false(response.is_fenced);
    broker_fixture_use_port(&test.broker, CLIENT_PORT);
}

static void create_topic(const char *name, int32_t *replicas, size_t replica_count)
{
    struct create_topics_request_creatable_replica_assignment assignment = {0, replicas,
                                                                            replica_count};
    struct create_topics_request_creatable_topic topic;
    struct create_topics_request request;
    struct create_topics_response response;
    create_topics_request_init(&request);
    create_topics_request_creatable_topic_init(&topic);
    topic.name = view_of_string(name);
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    topic.assignments = &assignment;
    topic.assignments_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    call_create_topics(&test.broker, 7, &request, &response);
    assert_int_equal(response.topics[0].error_code, KAFKA_ERROR_NONE);
}

/* The topic has four records, and the other broker, alive now, has none of them. */
static void start(void)
{
    static const char *const settings[] = {
        "listeners=PLAINTEXT://:9092,CONTROLLER://:9093",
        "controller.listener.names=CONTROLLER",
        "broker.rack=near",
        "replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector",
    };
    memset(&test, 0, sizeof(test));
    broker_fixture_init(&test.broker, settings, sizeof(settings) / sizeof(*settings));
    enroll();
    create_topic("topic", (int32_t[]){FIXTURE_NODE_ID, OTHER}, 2);
    broker_fixture_produce(&test.broker, "topic", 0, 2, 1000);
    broker_fixture_produce(&test.broker, "topic", 0, 2, 1000);
    beat();
}

/* A Fetch of the one partition; the answer is valid until the fixture ends. */
static struct fetch_response_partition_data fetch_as(struct broker_fixture *client,
                                                     int32_t replica_id, const char *rack,
                                                     int64_t offset, int64_t log_start)
{
    struct fetch_request_fetch_partition partition;
    struct fetch_request_fetch_topic topic;
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_init(&request);
    fetch_request_fetch_topic_init(&topic);
    fetch_request_fetch_partition_init(&partition);
    partition.fetch_offset = offset;
    partition.log_start_offset = log_start;
    partition.partition_max_bytes = 1 << 20;
    topic.topic = VIEW_LITERAL("topic");
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.replica_id = replica_id;
    request.rack_id = view_of_string(rack);
    request.max_bytes = 1 << 20;
    request.session_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    call_fetch(client, 12, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    return response.responses[0].partitions[0];
}

static struct fetch_response_partition_data follow(int64_t offset, int64_t log_start)
{
    struct fetch_response_partition_data data =
        fetch_as(&test.broker, OTHER, "", offset, log_start);
    assert_int_equal(data.error_code, KAFKA_ERROR_NONE);
    return data;
}

static struct metadata_response_partition described(const char *name)
{
    struct metadata_request_topic topic;
    struct metadata_request request;
    struct metadata_response response;
    metadata_request_init(&request);
    metadata_request_topic_init(&topic);
    topic.name = view_of_string(name);
    request.topics = &topic;
    request.topics_count = 1;
    call_metadata(&test.broker, 12, &request, &response);
    return response.topics[0].partitions[0];
}

static void join_in_sync(void)
{
    follow(4, 0);
    for (unsigned i = 0; described("topic").isr_nodes_count < 2; i++)
        assert_true(i < 100);
}

/* ---- DeleteRecords ---- */

static struct view deletion(int64_t offset, int32_t timeout_ms)
{
    struct delete_records_request_delete_records_partition partition = {0, offset};
    struct delete_records_request_delete_records_topic topic = {VIEW_LITERAL("topic"), &partition,
                                                                1};
    struct delete_records_request request;
    delete_records_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = timeout_ms;
    size_t size = delete_records_request_size(&request, 2);
    struct message_writer out = message_writer_of(broker_fixture_get(&test.broker, size, 1), size);
    delete_records_request_encode(&request, &out, 2);
    return view_of(out.bytes.data, out.bytes.size);
}

static void assert_deleted(struct broker_fixture *client, struct view answer,
                           enum kafka_error error, int64_t low_watermark)
{
    struct delete_records_response response;
    assert_false(view_is_null(answer));
    struct reader reader = reader_of(answer);
    assert_true(delete_records_response_decode(&response, &reader, 2, &client->arena));
    assert_int_equal(response.topics[0].partitions[0].error_code, error);
    assert_int_equal(response.topics[0].partitions[0].low_watermark, low_watermark);
}

static void deleting_waits_for_the_log_starts_of_the_others(void **state)
{
    (void)state;
    struct broker_fixture second;
    start();
    follow(4, 0);
    broker_fixture_add_client(&second, &test.broker);
    broker_fixture_send(&second, API_KEY_DELETE_RECORDS, 2, deletion(3, 5000));
    assert_int_equal(second.state, FIXTURE_SENT);
    assert_int_equal(follow(4, 0).log_start_offset, 3);
    follow(4, 2);
    assert_int_equal(second.state, FIXTURE_SENT);
    follow(4, 3);
    assert_deleted(&second, broker_fixture_await(&second), KAFKA_ERROR_NONE, 3);
    broker_fixture_drop_client(&second);
    broker_fixture_deinit(&test.broker);
}

static void deleting_times_out_where_a_follower_stays_behind(void **state)
{
    (void)state;
    start();
    follow(4, 0);
    uint64_t before_ns = sim_now_ns(test.broker.sim);
    struct view answer =
        broker_fixture_exchange(&test.broker, API_KEY_DELETE_RECORDS, 2, deletion(-1, 700));
    assert_deleted(&test.broker, answer, KAFKA_ERROR_REQUEST_TIMED_OUT, 0);
    assert_true(sim_now_ns(test.broker.sim) - before_ns >= 700 * UINT64_C(1000000));
    /* Here they are deleted all the same, and there as soon as it asks. */
    assert_int_equal(follow(4, 4).log_start_offset, 4);
    answer = broker_fixture_exchange(&test.broker, API_KEY_DELETE_RECORDS, 2, deletion(-1, 700));
    assert_deleted(&test.broker, answer, KAFKA_ERROR_NONE, 4);
    broker_fixture_deinit(&test.broker);
}

static void deleting_does_not_wait_for_who_is_fenced(void **state)
{
    (void)state;
    start();
    follow(4, 0);
    sim_run_until(test.broker.sim, sim_now_ns(test.broker.sim) + session_ns);
    struct view answer =
        broker_fixture_exchange(&test.broker, API_KEY_DELETE_RECORDS, 2, deletion(4, 700));
    assert_deleted(&test.broker, answer, KAFKA_ERROR_NONE, 4);
    broker_fixture_deinit(&test.broker);
}

/* The session ends while the request waits: the shrunken set is a reason to look again. */
static void deleting_goes_on_when_the_follower_is_fenced(void **state)
{
    (void)state;
    start();
    join_in_sync();
    struct view answer =
        broker_fixture_exchange(&test.broker, API_KEY_DELETE_RECORDS, 2, deletion(4, 30000));
    assert_deleted(&test.broker, answer, KAFKA_ERROR_NONE, 4);
    broker_fixture_deinit(&test.broker);
}

/* ---- Reading from followers ---- */

static void a_consumer_is_sent_to_the_replica_in_its_rack(void **state)
{
    (void)state;
    start();
    struct fetch_response_partition_data data = fetch_as(&test.broker, -1, "far", 0, -1);
    assert_int_equal(data.preferred_read_replica, -1); /* not in sync */
    assert_true(data.records.memory.size > 0);
    join_in_sync();
    data = fetch_as(&test.broker, -1, "far", 2, -1);
    assert_int_equal(data.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(data.preferred_read_replica, OTHER);
    assert_int_equal(data.records.memory.size, 0);
    assert_int_equal(data.high_watermark, 4);
    static const char *const elsewhere[] = {"near", "", "nowhere"};
    for (size_t i = 0; i < 3; i++) {
        data = fetch_as(&test.broker, -1, elsewhere[i], 2, -1);
        assert_int_equal(data.preferred_read_replica, -1);
        assert_true(data.records.memory.size > 0);
    }
    broker_fixture_deinit(&test.broker);
}

static void only_a_replica_that_has_the_offset_is_named(void **state)
{
    (void)state;
    start();
    join_in_sync();
    follow(4, 3); /* it has lost what was below */
    assert_int_equal(fetch_as(&test.broker, -1, "far", 2, -1).preferred_read_replica, -1);
    assert_int_equal(fetch_as(&test.broker, -1, "far", 3, -1).preferred_read_replica, OTHER);
    sim_run_until(test.broker.sim, sim_now_ns(test.broker.sim) + session_ns);
    assert_int_equal(fetch_as(&test.broker, -1, "far", 3, -1).preferred_read_replica, -1);
    broker_fixture_deinit(&test.broker);
}

/* ---- Throttles ---- */

static void set(int8_t type, const char *resource, const char *name, const char *value)
{
    struct incremental_alter_configs_request_alterable_config config = {
        .name = view_of_string(name), .value = view_of_string(value)};
    struct incremental_alter_configs_request_alter_configs_resource target = {
        .resource_type = type,
        .resource_name = view_of_string(resource),
        .configs = &config,
        .configs_count = 1,
    };
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_response response;
    incremental_alter_configs_request_init(&request);
    request.resources = &target;
    request.resources_count = 1;
    call_incremental_alter_configs(&test.broker, 1, &request, &response);
    assert_int_equal(response.responses[0].error_code, KAFKA_ERROR_NONE);
}

static void who_is_listed_and_not_in_sync_is_sent_so_much_a_second(void **state)
{
    (void)state;
    enum { TOPIC = 2, BROKER = 4 };
    start();
    set(BROKER, "", "leader.replication.throttled.rate", "2");
    assert_true(follow(0, 0).records.memory.size > 0); /* not listed */
    assert_true(follow(0, 0).records.memory.size > 0);
    set(TOPIC, "topic", "leader.replication.throttled.replicas", "0:77");
    assert_true(follow(0, 0).records.memory.size > 0); /* by the leader's id, not by its own */
    assert_true(follow(0, 0).records.memory.size > 0);
    set(TOPIC, "topic", "leader.replication.throttled.replicas", "3:1,0:1");
    assert_true(follow(0, 0).records.memory.size > 0); /* what passes is counted afterwards */
    assert_int_equal(follow(0, 0).records.memory.size, 0);
    assert_int_equal(follow(2, 0).records.memory.size, 0);
    assert_true(fetch_as(&test.broker, -1, "", 0, -1).records.memory.size > 0); /* a consumer */
    set(BROKER, "", "leader.replication.throttled.rate", "1000000");
    assert_true(follow(0, 0).records.memory.size > 0);
    set(BROKER, "", "leader.replication.throttled.rate", "2");
    assert_int_equal(follow(0, 0).records.memory.size, 0);
    join_in_sync();
    assert_true(follow(2, 0).records.memory.size > 0); /* in sync it never waits */
    broker_fixture_deinit(&test.broker);
}

/* ---- What clients are told ---- */

static struct describe_topic_partitions_response_partition described_in_full(const char *name)
{
    struct describe_topic_partitions_request_topic_request topic = {view_of_string(name)};
    struct describe_topic_partitions_request request;
    struct describe_topic_partitions_response response;
    describe_topic_partitions_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    call_describe_topic_partitions(&test.broker, 0, &request, &response);
    assert_int_equal(response.topics[0].error_code, KAFKA_ERROR_NONE);
    return response.topics[0].partitions[0];
}

static void a_fenced_broker_is_offline_and_leads_nothing(void **state)
{
    (void)state;
    start();
    create_topic("theirs", (int32_t[]){OTHER, FIXTURE_NODE_ID}, 2);
    join_in_sync();
    struct metadata_response_partition ours = described("topic");
    struct metadata_response_partition theirs = described("theirs");
    assert_int_equal(ours.leader_id, FIXTURE_NODE_ID);
    assert_int_equal(ours.replica_nodes_count, 2);
    assert_int_equal(ours.isr_nodes_count, 2);
    assert_int_equal(ours.offline_replicas_count, 0);
    assert_int_equal(theirs.leader_id, OTHER);
    assert_int_equal(theirs.error_code, KAFKA_ERROR_NONE);
    sim_run_until(test.broker.sim, sim_now_ns(test.broker.sim) + session_ns);
    ours = described("topic");
    assert_int_equal(ours.leader_id, FIXTURE_NODE_ID);
    assert_int_equal(ours.replica_nodes_count, 2);
    assert_int_equal(ours.isr_nodes_count, 1);
    assert_int_equal(ours.isr_nodes[0], FIXTURE_NODE_ID);
    assert_int_equal(ours.offline_replicas_count, 1);
    assert_int_equal(ours.offline_replicas[0], OTHER);
    theirs = described("theirs");
    assert_int_equal(theirs.leader_id, FIXTURE_NODE_ID); /* it was in the set, and took over */
    assert_int_equal(theirs.leader_epoch, 1);
    struct describe_topic_partitions_response_partition full = described_in_full("theirs");
    assert_int_equal(full.leader_id, FIXTURE_NODE_ID);
    assert_int_equal(full.isr_nodes_count, 1);
    assert_int_equal(full.offline_replicas_count, 1);
    assert_int_equal(full.offline_replicas[0], OTHER);
    broker_fixture_deinit(&test.broker);
}

/* Only the broker that is gone has the partition. */
static void without_an_electable_replica_there_is_no_leader(void **state)
{
    (void)state;
    start();
    create_topic("theirs", (int32_t[]){OTHER}, 1);
    assert_int_equal(described("theirs").leader_id, OTHER);
    sim_run_until(test.broker.sim, sim_now_ns(test.broker.sim) + session_ns);
    struct metadata_response_partition partition = described("theirs");
    assert_int_equal(partition.leader_id, -1);
    assert_int_equal(partition.leader_epoch, 1);
    assert_int_equal(partition.error_code, KAFKA_ERROR_LEADER_NOT_AVAILABLE);
    assert_int_equal(partition.offline_replicas_count, 1);
    struct describe_topic_partitions_response_partition full = described_in_full("theirs");
    assert_int_equal(full.leader_id, -1);
    assert_int_equal(full.error_code, KAFKA_ERROR_LEADER_NOT_AVAILABLE);
    assert_int_equal(full.offline_replicas_count, 1);
    /* With it comes its leadership. */
    beat();
    partition = described("theirs");
    assert_int_equal(partition.leader_id, OTHER);
    assert_int_equal(partition.leader_epoch, 2);
    assert_int_equal(partition.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(partition.offline_replicas_count, 0);
    broker_fixture_deinit(&test.broker);
}

static int16_t producers_error(const char *name)
{
    int32_t partition = 0;
    struct describe_producers_request_topic_request topic = {view_of_string(name), &partition, 1};
    struct describe_producers_request request;
    struct describe_producers_response response;
    describe_producers_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    call_describe_producers(&test.broker, 0, &request, &response);
    return response.topics[0].partitions[0].error_code;
}

/* kafka-transactions.sh find-hanging --broker-id asks a broker about all its partitions. */
static void producers_are_told_by_a_follower_too(void **state)
{
    (void)state;
    start();
    create_topic("followed", (int32_t[]){OTHER, FIXTURE_NODE_ID}, 2);
    create_topic("theirs", (int32_t[]){OTHER}, 1);
    assert_int_equal(described("followed").leader_id, OTHER);
    assert_int_equal(producers_error("topic"), KAFKA_ERROR_NONE);
    assert_int_equal(producers_error("followed"), KAFKA_ERROR_NONE);
    assert_int_equal(producers_error("theirs"), KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    broker_fixture_deinit(&test.broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deleting_waits_for_the_log_starts_of_the_others),
        cmocka_unit_test(deleting_times_out_where_a_follower_stays_behind),
        cmocka_unit_test(deleting_does_not_wait_for_who_is_fenced),
        cmocka_unit_test(deleting_goes_on_when_the_follower_is_fenced),
        cmocka_unit_test(a_consumer_is_sent_to_the_replica_in_its_rack),
        cmocka_unit_test(only_a_replica_that_has_the_offset_is_named),
        cmocka_unit_test(who_is_listed_and_not_in_sync_is_sent_so_much_a_second),
        cmocka_unit_test(a_fenced_broker_is_offline_and_leads_nothing),
        cmocka_unit_test(without_an_electable_replica_there_is_no_leader),
        cmocka_unit_test(producers_are_told_by_a_follower_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
