/* Fetch against a whole broker of two shards: what one answer holds of several partitions. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/fetch.h"

BROKER_FIXTURE_CALL(fetch, API_KEY_FETCH)

enum { PARTITIONS = 8 };

/* Bytes of records found per partition, all asked for from offset 0 in order. */
static void ask(struct broker_fixture *fixture, int32_t max_bytes, int32_t partition_max_bytes,
                size_t sizes[PARTITIONS])
{
    struct fetch_request_fetch_partition partitions[PARTITIONS];
    struct fetch_request_fetch_topic topic;
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_init(&request);
    fetch_request_fetch_topic_init(&topic);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        fetch_request_fetch_partition_init(&partitions[i]);
        partitions[i].partition = i;
        partitions[i].partition_max_bytes = partition_max_bytes;
    }
    topic.topic = VIEW_LITERAL("topic");
    topic.partitions = partitions;
    topic.partitions_count = PARTITIONS;
    request.replica_id = -1;
    request.max_bytes = max_bytes;
    request.session_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    call_fetch(fixture, 12, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].partitions_count, PARTITIONS);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        assert_int_equal(response.responses[0].partitions[i].partition_index, i);
        assert_int_equal(response.responses[0].partitions[i].error_code, KAFKA_ERROR_NONE);
        sizes[i] = response.responses[0].partitions[i].records.memory.size;
    }
}

static void only_the_first_partition_passes_the_limits(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    size_t sizes[PARTITIONS];
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "topic", PARTITIONS, NULL, NULL);
    for (int32_t i = 1; i < PARTITIONS; i++) {
        broker_fixture_produce(&fixture, "topic", i, 2, 1000);
        broker_fixture_produce(&fixture, "topic", i, 2, 1000);
    }
    ask(&fixture, 1 << 20, 1 << 20, sizes);
    size_t size = sizes[1] / 2;
    assert_int_equal(sizes[0], 0);
    for (int32_t i = 1; i < PARTITIONS; i++)
        assert_int_equal(sizes[i], 2 * size);
    ask(&fixture, 1 << 20, (int32_t)size, sizes);
    for (int32_t i = 1; i < PARTITIONS; i++)
        assert_int_equal(sizes[i], size);
    static const struct {
        int32_t max_bytes, partition_max_bytes;
    } small[] = {{1 << 20, 0}, {1 << 20, 1}, {0, 1 << 20}, {1, 1 << 20}};
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
        ask(&fixture, small[i].max_bytes, small[i].partition_max_bytes, sizes);
        assert_int_equal(sizes[1], size);
        for (int32_t j = 2; j < PARTITIONS; j++)
            assert_int_equal(sizes[j], 0);
    }
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_first_partition_passes_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
