/* DescribeProducers against a whole broker. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/describe_producers.h"

BROKER_FIXTURE_CALL(describe_producers, API_KEY_DESCRIBE_PRODUCERS)

static struct describe_producers_response_partition_response
ask(struct broker_fixture *fixture, const char *name, int32_t partition)
{
    struct describe_producers_request_topic_request topic = {view_of_string(name), &partition, 1};
    struct describe_producers_request request;
    struct describe_producers_response response;
    describe_producers_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    call_describe_producers(fixture, 0, &request, &response);
    assert_true(view_equal(response.topics[0].name, view_of_string(name)));
    return response.topics[0].partitions[0];
}

static void producers_are_told_with_what_they_wrote_last(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "topic", 2, NULL, NULL);
    broker_fixture_produce_as(&fixture, "topic", 0, 3, 77, 0);
    broker_fixture_produce_as(&fixture, "topic", 0, 2, 88, 0);
    broker_fixture_produce_as(&fixture, "topic", 0, 2, 88, 2);
    struct describe_producers_response_partition_response found = ask(&fixture, "topic", 0);
    assert_int_equal(found.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(found.active_producers_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct describe_producers_response_producer_state *producer =
            &found.active_producers[i];
        bool first = producer->producer_id == 77;
        assert_int_equal(producer->producer_id, first ? 77 : 88);
        assert_int_equal(producer->producer_epoch, 0);
        assert_int_equal(producer->last_sequence, first ? 2 : 3);
        assert_int_equal(producer->last_timestamp, first ? 1002 : 1001);
        assert_int_equal(producer->coordinator_epoch, -1);
        assert_int_equal(producer->current_txn_start_offset, -1);
    }
    assert_int_equal(ask(&fixture, "topic", 1).active_producers_count, 0);
    broker_fixture_deinit(&fixture);
}

static void only_faults_of_the_topic_are_explained(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int32_t partition;
        int16_t error;
        bool has_message;
    } cases[] = {
        {"topic", 7, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION, false},
        {"nobody", 0, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION, true},
        {"bad name", 0, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION, true},
        {"", 0, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION, true},
    };
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "topic", 1, NULL, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct describe_producers_response_partition_response found =
            ask(&fixture, cases[i].name, cases[i].partition);
        assert_int_equal(found.error_code, cases[i].error);
        assert_int_equal(!view_is_null(found.error_message), cases[i].has_message);
    }
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(producers_are_told_with_what_they_wrote_last),
        cmocka_unit_test(only_faults_of_the_topic_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
