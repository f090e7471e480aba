/* Topics as clients see them come and go: first use, deletion, the same name again, power cuts. */
#include "tests/unit/broker/broker_fixture.h"

#include "broker/shard.h"
#include "protocol/messages/delete_topics.h"
#include "protocol/messages/list_offsets.h"
#include "protocol/messages/metadata.h"

BROKER_FIXTURE_CALL(metadata, API_KEY_METADATA)
BROKER_FIXTURE_CALL(delete_topics, API_KEY_DELETE_TOPICS)

static struct metadata_response_topic look(struct broker_fixture *fixture, const char *name,
                                           bool may_create)
{
    struct metadata_request_topic topic;
    struct metadata_request request;
    struct metadata_response response;
    metadata_request_init(&request);
    metadata_request_topic_init(&topic);
    topic.name = view_of_string(name);
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = may_create;
    call_metadata(fixture, 12, &request, &response);
    assert_int_equal(response.topics_count, 1);
    return response.topics[0];
}

static void delete_topic(struct broker_fixture *fixture, const char *name)
{
    struct delete_topics_request_delete_topic_state topic;
    struct delete_topics_request request;
    struct delete_topics_response response;
    delete_topics_request_init(&request);
    delete_topics_request_delete_topic_state_init(&topic);
    topic.name = view_of_string(name);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 5000;
    call_delete_topics(fixture, 6, &request, &response);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].error_code, KAFKA_ERROR_NONE);
}

static void a_topic_is_made_on_first_use_and_is_in_the_same_answer(void **state)
{
    (void)state;
    static const char *const settings[] = {"num.partitions=3"};
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, settings, 1);
    assert_int_equal(look(&fixture, "first", false).error_code,
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    struct metadata_response_topic topic = look(&fixture, "first", true);
    assert_int_equal(topic.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(topic.partitions_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(topic.partitions[i].leader_id, FIXTURE_NODE_ID);
    assert_int_equal(broker_fixture_produce(&fixture, "first", 2, 5, 1000), 0);
    assert_int_equal(look(&fixture, "not a name", true).error_code,
                     KAFKA_ERROR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(look(&fixture, "__consumer_offsets", true).error_code,
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    broker_fixture_deinit(&fixture);
}

static void no_topic_is_made_where_that_is_switched_off(void **state)
{
    (void)state;
    static const char *const settings[] = {"auto.create.topics.enable=false"};
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, settings, 1);
    assert_int_equal(look(&fixture, "first", true).error_code,
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    broker_fixture_deinit(&fixture);
}

static void a_name_that_is_used_again_begins_empty(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    struct uuid before = UUID_ZERO;
    for (int round = 0; round < 5; round++) {
        broker_fixture_create_topic(&fixture, "again", 4, NULL, NULL);
        struct uuid id = look(&fixture, "again", false).topic_id;
        assert_false(uuid_equal(id, before));
        before = id;
        for (int32_t partition = 0; partition < 4; partition++) {
            assert_int_equal(broker_fixture_produce(&fixture, "again", partition, 3, 1000), 0);
            assert_int_equal(broker_fixture_produce(&fixture, "again", partition, 3, 1000), 3);
        }
        delete_topic(&fixture, "again");
        assert_int_equal(look(&fixture, "again", false).error_code,
                         KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    broker_fixture_deinit(&fixture);
}

static unsigned count_in_state(struct broker_fixture *fixture, enum replica_state state)
{
    unsigned count = 0;
    for (unsigned i = 1; i <= FIXTURE_SHARDS; i++) {
        list_for_each(link, &broker_fixture_shard(fixture, i)->replicas.replicas)
        {
            count += container_of(link, struct replica, link)->state == state;
        }
    }
    return count;
}

/* The broker as it is before it knows that it is registered: images are of an earlier process. */
static void nothing_is_led_before_the_own_registration_is_shown(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    struct broker *broker = broker_fixture_shard(&fixture, 1)->broker;
    struct uuid incarnation = broker->incarnation;
    broker->incarnation = uuid_of_halves(1, 2);
    for (unsigned i = 1; i <= FIXTURE_SHARDS; i++)
        broker_fixture_shard(&fixture, i)->was_registered = false;
    broker_fixture_create_topic(&fixture, "early", 5, NULL, NULL);
    assert_int_equal(count_in_state(&fixture, REPLICA_LEADING), 0);
    assert_int_equal(count_in_state(&fixture, REPLICA_FOLLOWING), 5);
    broker->incarnation = incarnation;
    broker_fixture_create_topic(&fixture, "late", 2, NULL, NULL);
    assert_int_equal(count_in_state(&fixture, REPLICA_LEADING), 7);
    for (int32_t partition = 0; partition < 5; partition++)
        assert_int_equal(broker_fixture_produce(&fixture, "early", partition, 3, 1000), 0);
    broker_fixture_deinit(&fixture);
}

static void what_was_acknowledged_and_what_was_deleted_survive_a_power_cut(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "kept", 2, NULL, NULL);
    broker_fixture_create_topic(&fixture, "gone", 2, NULL, NULL);
    for (int round = 0; round < 3; round++) {
        for (int32_t partition = 0; partition < 2; partition++)
            assert_int_equal(broker_fixture_produce(&fixture, "kept", partition, 10, 1000),
                             10 * round);
        broker_fixture_produce(&fixture, "gone", 0, 10, 1000);
        delete_topic(&fixture, "gone");
        broker_fixture_restart(&fixture);
        assert_int_equal(look(&fixture, "gone", false).error_code,
                         KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        broker_fixture_create_topic(&fixture, "gone", 2, NULL, NULL);
        assert_int_equal(broker_fixture_produce(&fixture, "gone", 0, 1, 1000), 0);
    }
    broker_fixture_deinit(&fixture);
}

/* Sends the question which record is the first of a time, and runs for a moment. */
static void send_time(struct broker_fixture *fixture, const char *name, int64_t timestamp_ms)
{
    struct list_offsets_request_list_offsets_partition partition = {0, -1, timestamp_ms};
    struct list_offsets_request_list_offsets_topic topic = {view_of_string(name), &partition, 1};
    struct list_offsets_request request;
    list_offsets_request_init(&request);
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    size_t size = list_offsets_request_size(&request, 1);
    struct message_writer out = message_writer_of(broker_fixture_get(fixture, size, 1), size);
    list_offsets_request_encode(&request, &out, 1);
    assert_false(message_writer_failed(&out));
    broker_fixture_send(fixture, API_KEY_LIST_OFFSETS, 1, view_of(out.bytes.data, out.bytes.size));
}

/* The log of a deleted topic stays until the device has answered who reads it. */
static void a_stop_waits_for_logs_of_deleted_topics(void **state)
{
    (void)state;
    /* Each answer of the device takes longer than the patience with connections: 10 to 2000 s. */
    enum { SLOW = 500000, LONGEST_S = 2000 };
    struct broker_fixture fixture, reader;
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "topic", 1, NULL, NULL);
    assert_int_equal(broker_fixture_produce(&fixture, "topic", 0, 10, 1000), 0);
    broker_fixture_add_client(&reader, &fixture);
    struct sim_faults *faults = sim_node_faults(fixture.sim, fixture.node);
    faults->read_miss = 1000000;
    faults->storage_slow = SLOW;
    send_time(&reader, "topic", 1005);
    *faults = (struct sim_faults){0};
    delete_topic(&fixture, "topic");
    broker_fixture_drop_client(&reader);
    broker_fixture_begin_stop(&fixture);
    sim_run_until(fixture.sim, sim_now_ns(fixture.sim) + UINT64_C(1000000000) * LONGEST_S);
    assert_int_equal(broker_fixture_await_stop(&fixture), 0);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_is_made_on_first_use_and_is_in_the_same_answer),
        cmocka_unit_test(no_topic_is_made_where_that_is_switched_off),
        cmocka_unit_test(a_name_that_is_used_again_begins_empty),
        cmocka_unit_test(nothing_is_led_before_the_own_registration_is_shown),
        cmocka_unit_test(what_was_acknowledged_and_what_was_deleted_survive_a_power_cut),
        cmocka_unit_test(a_stop_waits_for_logs_of_deleted_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
