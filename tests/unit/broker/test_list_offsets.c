/* ListOffsets against a whole broker: positions, times, errors, versions. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/list_offsets.h"

BROKER_FIXTURE_CALL(list_offsets, API_KEY_LIST_OFFSETS)

typedef struct list_offsets_request_list_offsets_partition asked_partition;
typedef struct list_offsets_response_list_offsets_partition_response found_partition;

/* Asks for partitions of one topic; the answer's only topic. */
static struct list_offsets_response_list_offsets_topic_response
ask(struct broker_fixture *fixture, int16_t version, const char *name, asked_partition *partitions,
    size_t count)
{
    struct list_offsets_request_list_offsets_topic topic = {view_of_string(name), partitions,
                                                            count};
    struct list_offsets_request request;
    struct list_offsets_response response;
    list_offsets_request_init(&request);
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    call_list_offsets(fixture, version, &request, &response);
    assert_int_equal(response.topics_count, 1);
    return response.topics[0];
}

static found_partition ask_one(struct broker_fixture *fixture, int16_t version, int32_t partition,
                               int64_t timestamp)
{
    asked_partition asked = {partition, -1, timestamp};
    return ask(fixture, version, "topic", &asked, 1).partitions[0];
}

static void start(struct broker_fixture *fixture)
{
    broker_fixture_init(fixture, NULL, 0);
    broker_fixture_create_topic(fixture, "topic", 2, NULL, NULL);
}

static void each_position_has_a_first_version(void **state)
{
    (void)state;
    static const struct {
        int64_t asked;
        int16_t since;
        int64_t offset;
    } cases[] = {{-1, 1, 3},   {-2, 1, 0},  {-3, 7, 2}, {-4, 8, 0},   {-5, 9, -1},
                 {-6, 11, -1}, {-7, 99, 0}, {0, 1, 0},  {1002, 1, 2}, {1003, 1, -1}};
    struct broker_fixture fixture;
    start(&fixture);
    broker_fixture_produce(&fixture, "topic", 0, 3, 1000);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int16_t version = 1; version <= 11; version++) {
            found_partition found = ask_one(&fixture, version, 0, cases[i].asked);
            bool served = version >= cases[i].since;
            assert_int_equal(found.error_code,
                             served ? KAFKA_ERROR_NONE : KAFKA_ERROR_UNSUPPORTED_VERSION);
            assert_int_equal(found.offset, served ? cases[i].offset : -1);
            bool has_epoch = version >= 4 && found.offset >= 0;
            assert_int_equal(found.leader_epoch, has_epoch ? 0 : -1);
        }
    }
    broker_fixture_deinit(&fixture);
}

static void a_time_finds_the_first_offset_not_before_it(void **state)
{
    (void)state;
    static const struct {
        int64_t asked, offset, timestamp;
    } cases[] = {{0, 0, 5000},    {5001, 1, 5001}, {5002, 4, 9000},
                 {9001, 5, 9001}, {9002, -1, -1},  {INT64_MAX, -1, -1}};
    struct broker_fixture fixture;
    start(&fixture);
    broker_fixture_produce(&fixture, "topic", 1, 2, 5000); /* 5000, 5001 */
    broker_fixture_produce(&fixture, "topic", 1, 2, 1000); /* older ones behind */
    broker_fixture_produce(&fixture, "topic", 1, 2, 9000);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        found_partition found = ask_one(&fixture, 7, 1, cases[i].asked);
        assert_int_equal(found.error_code, KAFKA_ERROR_NONE);
        assert_int_equal(found.offset, cases[i].offset);
        assert_int_equal(found.timestamp, cases[i].timestamp);
    }
    assert_int_equal(ask_one(&fixture, 7, 1, -3).offset, 5);
    assert_int_equal(ask_one(&fixture, 7, 0, -3).offset, -1); /* an empty partition */
    broker_fixture_deinit(&fixture);
}

static void a_partition_named_twice_is_refused_once(void **state)
{
    (void)state;
    asked_partition asked[] = {{0, -1, -1}, {1, -1, -1}, {0, -1, -2}};
    struct broker_fixture fixture;
    start(&fixture);
    struct list_offsets_response_list_offsets_topic_response topic =
        ask(&fixture, 7, "topic", asked, 3);
    assert_int_equal(topic.partitions_count, 2);
    assert_int_equal(topic.partitions[0].partition_index, 0);
    assert_int_equal(topic.partitions[0].error_code, KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(topic.partitions[1].error_code, KAFKA_ERROR_NONE);
    assert_int_equal(topic.partitions[1].offset, 0);
    broker_fixture_deinit(&fixture);
}

static void each_partition_has_its_own_error(void **state)
{
    (void)state;
    asked_partition asked[] = {{0, 5, -1}, {1, 0, -1}, {2, -1, -1}, {-1, -1, -1}};
    struct broker_fixture fixture;
    start(&fixture);
    struct list_offsets_response_list_offsets_topic_response topic =
        ask(&fixture, 11, "topic", asked, 4);
    assert_int_equal(topic.partitions[0].error_code, KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(topic.partitions[1].error_code, KAFKA_ERROR_NONE);
    assert_int_equal(topic.partitions[2].error_code, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(topic.partitions[3].error_code, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    topic = ask(&fixture, 11, "nobody", asked, 1);
    assert_int_equal(topic.partitions[0].error_code, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_position_has_a_first_version),
        cmocka_unit_test(a_time_finds_the_first_offset_not_before_it),
        cmocka_unit_test(a_partition_named_twice_is_refused_once),
        cmocka_unit_test(each_partition_has_its_own_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
