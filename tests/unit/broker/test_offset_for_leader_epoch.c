/* OffsetForLeaderEpoch against a whole broker. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/offset_for_leader_epoch.h"

BROKER_FIXTURE_CALL(offset_for_leader_epoch, API_KEY_OFFSET_FOR_LEADER_EPOCH)

static struct offset_for_leader_epoch_response_epoch_end_offset ask(struct broker_fixture *fixture,
                                                                    int16_t version,
                                                                    int32_t partition,
                                                                    int32_t current, int32_t epoch)
{
    struct offset_for_leader_epoch_request_offset_for_leader_partition asked = {partition, current,
                                                                                epoch};
    struct offset_for_leader_epoch_request_offset_for_leader_topic topic = {VIEW_LITERAL("topic"),
                                                                            &asked, 1};
    struct offset_for_leader_epoch_request request;
    struct offset_for_leader_epoch_response response;
    offset_for_leader_epoch_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    call_offset_for_leader_epoch(fixture, version, &request, &response);
    return response.topics[0].partitions[0];
}

static void an_epoch_ends_where_the_log_says(void **state)
{
    (void)state;
    static const struct {
        int32_t partition, current, asked;
        int16_t error;
        int32_t epoch;
        int64_t end;
    } cases[] = {
        {0, -1, 0, KAFKA_ERROR_NONE, 0, 3},
        {0, 0, 0, KAFKA_ERROR_NONE, 0, 3},
        {0, -1, 1, KAFKA_ERROR_NONE, -1, -1},
        {0, -1, -1, KAFKA_ERROR_NONE, -1, -1},
        {0, -1, -2, KAFKA_ERROR_NONE, -2, 0},
        {0, 1, 0, KAFKA_ERROR_UNKNOWN_LEADER_EPOCH, -1, -1},
        {1, -1, 0, KAFKA_ERROR_NONE, 0, 0},
        {2, -1, 0, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION, -1, -1},
    };
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "topic", 2, NULL, NULL);
    broker_fixture_produce(&fixture, "topic", 0, 3, 1000);
    for (int16_t version = 2; version <= 4; version++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct offset_for_leader_epoch_response_epoch_end_offset found =
                ask(&fixture, version, cases[i].partition, cases[i].current, cases[i].asked);
            assert_int_equal(found.error_code, cases[i].error);
            assert_int_equal(found.partition, cases[i].partition);
            assert_int_equal(found.leader_epoch, cases[i].epoch);
            assert_int_equal(found.end_offset, cases[i].end);
        }
    }
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_epoch_ends_where_the_log_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
