/*
 * What a transaction lives through, against a whole broker: power cuts, the end of its topic, and a
 * producer that falls silent.
 */
#include "tests/unit/broker/transaction_client.h"

#include "protocol/messages/delete_topics.h"
#include "protocol/messages/init_producer_id.h"

BROKER_FIXTURE_CALL(delete_topics, API_KEY_DELETE_TOPICS)
BROKER_FIXTURE_CALL(init_producer_id, API_KEY_INIT_PRODUCER_ID)

static void an_open_transaction_goes_on_after_a_power_cut(void **state)
{
    (void)state;
    struct producer producer;
    start_broker(NULL, 0);
    begin_producer("t", &producer);
    produce("t", &producer, 0, NEW_PROTOCOL);
    broker_fixture_restart(&broker);
    await_coordinator(1, "t");
    await_state("t", "Ongoing");
    assert_int_equal(fetch_all(0, true).last_stable_offset, 0);
    produce("t", &producer, 0, NEW_PROTOCOL);
    produce("t", &producer, 1, NEW_PROTOCOL);
    assert_int_equal(end_transaction("t", &producer, true, 5), KAFKA_ERROR_NONE);
    await_state("t", "CompleteCommit");
    assert_int_equal(fetch_all(0, true).records, 6);
    assert_int_equal(fetch_all(1, true).records, 3);
    broker_fixture_restart(&broker);
    await_coordinator(1, "t");
    await_state("t", "CompleteCommit");
    assert_int_equal(fetch_all(0, true).records, 6);
    assert_int_equal(fetch_all(0, true).last_stable_offset, 7);
    broker_fixture_deinit(&broker);
}

static void a_decision_holds_over_a_power_cut(void **state)
{
    (void)state;
    /* The answer has come, the markers perhaps not yet: whatever was written, it ends the same. */
    for (int commit = 0; commit <= 1; commit++) {
        struct producer producer;
        start_broker(NULL, 0);
        begin_producer("t", &producer);
        for (int32_t partition = 0; partition < 4; partition++)
            produce("t", &producer, partition, NEW_PROTOCOL);
        assert_int_equal(end_transaction("t", &producer, commit, 5), KAFKA_ERROR_NONE);
        broker_fixture_restart(&broker);
        await_coordinator(1, "t");
        await_state("t", commit ? "CompleteCommit" : "CompleteAbort");
        for (int32_t partition = 0; partition < 4; partition++) {
            struct seen seen = fetch_all(partition, true);
            assert_int_equal(seen.last_stable_offset, seen.high_watermark);
            assert_int_equal(seen.aborted, !commit);
        }
        produce("t", &producer, 0, NEW_PROTOCOL);
        assert_int_equal(end_transaction("t", &producer, true, 5), KAFKA_ERROR_NONE);
        broker_fixture_deinit(&broker);
    }
}

static void a_topic_may_go_in_the_middle_of_a_transaction(void **state)
{
    (void)state;
    struct producer producer;
    start_broker(NULL, 0);
    broker_fixture_create_topic(&broker, "other", 1, NULL, NULL);
    begin_producer("t", &producer);
    add_partitions("t", &producer, 0);
    produce("t", &producer, 0, OLD_PROTOCOL);
    struct view names[] = {VIEW_LITERAL("data")};
    struct delete_topics_request request;
    struct delete_topics_response response;
    delete_topics_request_init(&request);
    request.topic_names = names;
    request.topic_names_count = 1;
    request.timeout_ms = 10000;
    call_delete_topics(&broker, 5, &request, &response);
    assert_int_equal(response.responses[0].error_code, KAFKA_ERROR_NONE);
    assert_int_equal(end_transaction("t", &producer, true, 4), KAFKA_ERROR_NONE);
    await_state("t", "CompleteCommit");
    /* The next topic of the name has nothing of it. */
    broker_fixture_create_topic(&broker, "data", 4, NULL, NULL);
    assert_int_equal(fetch_all(0, true).high_watermark, 0);
    add_partitions("t", &producer, 0);
    produce_once("t", &producer, 0, OLD_PROTOCOL, 3);
    assert_int_equal(end_transaction("t", &producer, true, 4), KAFKA_ERROR_NONE);
    await_state("t", "CompleteCommit");
    assert_int_equal(fetch_all(0, true).records, 3);
    broker_fixture_deinit(&broker);
}

static void a_silent_producer_is_aborted_in_time(void **state)
{
    (void)state;
    static const char *const settings[] = {
        "transaction.abort.timed.out.transaction.cleanup.interval.ms=100"};
    struct init_producer_id_request request;
    struct init_producer_id_response response;
    struct producer producer;
    start_broker(settings, 1);
    begin_producer("t", &producer);
    init_producer_id_request_init(&request);
    request.transactional_id = VIEW_LITERAL("t");
    request.transaction_timeout_ms = 200;
    call_init_producer_id(&broker, 4, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    producer.epoch = response.producer_epoch;
    add_partitions("t", &producer, 0);
    produce("t", &producer, 0, OLD_PROTOCOL);
    assert_int_equal(fetch_all(0, true).last_stable_offset, 0);
    await_state("t", "CompleteAbort");
    assert_int_equal(fetch_all(0, true).last_stable_offset, 4);
    assert_int_equal(end_transaction("t", &producer, true, 4), KAFKA_ERROR_PRODUCER_FENCED);
    broker_fixture_deinit(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_transaction_goes_on_after_a_power_cut),
        cmocka_unit_test(a_decision_holds_over_a_power_cut),
        cmocka_unit_test(a_topic_may_go_in_the_middle_of_a_transaction),
        cmocka_unit_test(a_silent_producer_is_aborted_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
