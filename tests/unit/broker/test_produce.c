/* Produce against a whole broker: how refused and repeated batches are answered. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/batch_builder.h"

typedef struct produce_response_partition_produce_response answer;

/* A batch of two records in the fixture's arena; its bytes may be changed. */
static struct view make_batch(struct broker_fixture *fixture, const struct batch_options *options)
{
    struct batch_builder builder;
    batch_builder_init(&builder, &fixture->heap, 0, options);
    for (int i = 0; i < 2; i++) {
        struct batch_record record = {.timestamp_ms = 5000 + i, .value = VIEW_LITERAL("value")};
        assert_true(batch_builder_append(&builder, &record));
    }
    struct view built;
    assert_int_equal(batch_builder_finish(&builder, &built), COMPRESSION_OK);
    struct view batch = arena_copy(&fixture->arena, built);
    batch_builder_deinit(&builder);
    return batch;
}

static answer send(struct broker_fixture *fixture, int32_t partition, struct view batch,
                   const char *transactional_id)
{
    const struct fixture_batch sent = {"topic", partition, batch, transactional_id};
    return broker_fixture_send_batch(fixture, 8, &sent);
}

static uint8_t *bytes_of(struct view batch)
{
    return (uint8_t *)(uintptr_t)batch.data;
}

static void start(struct broker_fixture *fixture)
{
    broker_fixture_init(fixture, NULL, 0);
    broker_fixture_create_topic(fixture, "topic", 2, NULL, NULL);
}

static void errors_inside_a_batch_come_with_the_log_start(void **state)
{
    (void)state;
    struct batch_options plain = BATCH_OPTIONS_DEFAULT;
    struct broker_fixture fixture;
    start(&fixture);
    struct view base_offset = make_batch(&fixture, &plain);
    store_u64(bytes_of(base_offset), 5);
    struct view broken = make_batch(&fixture, &plain);
    bytes_of(broken)[broken.size - 1] ^= 1;
    struct view old = make_batch(&fixture, &plain);
    bytes_of(old)[16] = 1;
    struct view unknown = make_batch(&fixture, &plain);
    bytes_of(unknown)[16] = 3;
    const struct {
        int32_t partition;
        struct view batch;
        int16_t error;
        int64_t log_start;
    } cases[] = {
        {0, make_batch(&fixture, &plain), KAFKA_ERROR_NONE, 0},
        {0, base_offset, KAFKA_ERROR_INVALID_RECORD, 0},
        {0, broken, KAFKA_ERROR_CORRUPT_MESSAGE, -1},
        {0, old, KAFKA_ERROR_INVALID_RECORD, -1},
        {0, unknown, KAFKA_ERROR_CORRUPT_MESSAGE, -1},
        {0, view_of(broken.data, 40), KAFKA_ERROR_INVALID_RECORD, -1},
        {7, make_batch(&fixture, &plain), KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION, -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        answer found = send(&fixture, cases[i].partition, cases[i].batch, NULL);
        assert_int_equal(found.error_code, cases[i].error);
        assert_int_equal(found.log_start_offset, cases[i].log_start);
        assert_int_equal(found.base_offset, cases[i].error == KAFKA_ERROR_NONE ? 0 : -1);
    }
    broker_fixture_deinit(&fixture);
}

static void a_repeated_batch_has_the_offset_and_time_of_the_first(void **state)
{
    (void)state;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct broker_fixture fixture;
    start(&fixture);
    options.producer_id = 9;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    answer first = send(&fixture, 1, make_batch(&fixture, &options), NULL);
    answer again = send(&fixture, 1, make_batch(&fixture, &options), NULL);
    assert_int_equal(first.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(first.log_append_time_ms, -1);
    assert_int_equal(again.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(again.base_offset, first.base_offset);
    assert_int_equal(again.log_append_time_ms, 5001);
    options.base_sequence = 7;
    answer gap = send(&fixture, 1, make_batch(&fixture, &options), NULL);
    assert_int_equal(gap.error_code, KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(gap.log_start_offset, 0);
    broker_fixture_deinit(&fixture);
}

static void transactional_records_need_a_transactional_id(void **state)
{
    (void)state;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct broker_fixture fixture;
    start(&fixture);
    options.transactional = true;
    options.producer_id = 9;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    struct view batch = make_batch(&fixture, &options);
    assert_int_equal(send(&fixture, 0, batch, NULL).error_code,
                     KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    /* There is no transaction coordinator that could be asked: what every client repeats. */
    assert_int_equal(send(&fixture, 0, batch, "t").error_code, KAFKA_ERROR_NOT_ENOUGH_REPLICAS);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_inside_a_batch_come_with_the_log_start),
        cmocka_unit_test(a_repeated_batch_has_the_offset_and_time_of_the_first),
        cmocka_unit_test(transactional_records_need_a_transactional_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
