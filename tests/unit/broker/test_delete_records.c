/* DeleteRecords against a whole broker. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/delete_records.h"

BROKER_FIXTURE_CALL(delete_records, API_KEY_DELETE_RECORDS)

static struct delete_records_response_delete_records_partition_result
cut(struct broker_fixture *fixture, int16_t version, const char *name, int32_t partition,
    int64_t offset)
{
    struct delete_records_request_delete_records_partition asked = {partition, offset};
    struct delete_records_request_delete_records_topic topic = {view_of_string(name), &asked, 1};
    struct delete_records_request request;
    struct delete_records_response response;
    delete_records_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 1000;
    call_delete_records(fixture, version, &request, &response);
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].partitions_count, 1);
    return response.topics[0].partitions[0];
}

static void the_start_moves_up_to_the_high_watermark_and_never_back(void **state)
{
    (void)state;
    static const struct {
        int64_t offset;
        int16_t error;
        int64_t low_watermark;
    } steps[] = {
        {0, KAFKA_ERROR_NONE, 0},
        {2, KAFKA_ERROR_NONE, 2},
        {1, KAFKA_ERROR_NONE, 2},
        {5, KAFKA_ERROR_OFFSET_OUT_OF_RANGE, -1},
        {-2, KAFKA_ERROR_OFFSET_OUT_OF_RANGE, -1},
        {-1, KAFKA_ERROR_NONE, 4},
        {4, KAFKA_ERROR_NONE, 4},
    };
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "topic", 3, NULL, NULL);
    for (int16_t version = 0; version <= 2; version++) {
        broker_fixture_produce(&fixture, "topic", version, 4, 1000);
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            struct delete_records_response_delete_records_partition_result result =
                cut(&fixture, version, "topic", version, steps[i].offset);
            assert_int_equal(result.error_code, steps[i].error);
            assert_int_equal(result.low_watermark, steps[i].low_watermark);
        }
    }
    broker_fixture_deinit(&fixture);
}

static void what_must_not_be_cut_is_refused(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "topic", 1, NULL, NULL);
    broker_fixture_create_topic(&fixture, "compacted", 1, "cleanup.policy", "compact");
    broker_fixture_create_topic(&fixture, "__consumer_offsets", 1, NULL, NULL);
    assert_int_equal(cut(&fixture, 2, "compacted", 0, 0).error_code, KAFKA_ERROR_POLICY_VIOLATION);
    assert_int_equal(cut(&fixture, 2, "__consumer_offsets", 0, 0).error_code,
                     KAFKA_ERROR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(cut(&fixture, 2, "__consumer_offsets", 9, 0).error_code,
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(cut(&fixture, 2, "topic", 1, 0).error_code,
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(cut(&fixture, 2, "nobody", 0, 0).error_code,
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_start_moves_up_to_the_high_watermark_and_never_back),
        cmocka_unit_test(what_must_not_be_cut_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
