/* DescribeLogDirs against a whole broker with one or two log directories. */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/messages/describe_log_dirs.h"

BROKER_FIXTURE_CALL(describe_log_dirs, API_KEY_DESCRIBE_LOG_DIRS)

/* With `count` 0 all partitions are asked for. */
static struct describe_log_dirs_response ask(struct broker_fixture *fixture, int16_t version,
                                             const char *name, int32_t *partitions, size_t count)
{
    struct describe_log_dirs_request_describable_log_dir_topic topic = {view_of_string(name),
                                                                        partitions, count};
    struct describe_log_dirs_request request;
    struct describe_log_dirs_response response;
    describe_log_dirs_request_init(&request);
    request.topics = count ? &topic : NULL;
    request.topics_count = count > 0;
    call_describe_log_dirs(fixture, version, &request, &response);
    return response;
}

static void all_partitions_of_all_topics_are_listed_once(void **state)
{
    (void)state;
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "one", 5, NULL, NULL);
    broker_fixture_create_topic(&fixture, "two", 3, NULL, NULL);
    for (int16_t version = 1; version <= 4; version++) {
        struct describe_log_dirs_response response = ask(&fixture, version, "", NULL, 0);
        assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
        assert_int_equal(response.results_count, 1);
        assert_true(view_equal(response.results[0].log_dir, VIEW_LITERAL("/data")));
        assert_int_equal(response.results[0].topics_count, 2);
        for (size_t i = 0; i < 2; i++) {
            bool is_one = view_equal(response.results[0].topics[i].name, VIEW_LITERAL("one"));
            size_t count = response.results[0].topics[i].partitions_count;
            assert_int_equal(count, is_one ? 5 : 3);
            for (size_t j = 0; j < count; j++)
                assert_int_equal(response.results[0].topics[i].partitions[j].partition_index, j);
        }
        assert_int_equal(response.results[0].total_bytes > 0, version >= 4);
        assert_int_equal(response.results[0].usable_bytes > 0, version >= 4);
    }
    broker_fixture_deinit(&fixture);
}

static void what_is_not_here_is_left_out(void **state)
{
    (void)state;
    int32_t asked[] = {1, 1, 0, 9, -1, 1};
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, NULL, 0);
    broker_fixture_create_topic(&fixture, "topic", 3, NULL, NULL);
    broker_fixture_produce(&fixture, "topic", 1, 2, 1000);
    struct describe_log_dirs_response response = ask(&fixture, 4, "topic", asked, 6);
    assert_int_equal(response.results[0].topics_count, 1);
    assert_int_equal(response.results[0].topics[0].partitions_count, 2);
    assert_int_equal(response.results[0].topics[0].partitions[0].partition_size, 0);
    assert_true(response.results[0].topics[0].partitions[1].partition_size > 61);
    assert_int_equal(response.results[0].topics[0].partitions[1].offset_lag, 0);
    assert_false(response.results[0].topics[0].partitions[1].is_future_key);
    response = ask(&fixture, 4, "nobody", asked, 6);
    assert_int_equal(response.results_count, 1);
    assert_int_equal(response.results[0].topics_count, 0);
    broker_fixture_deinit(&fixture);
}

static void every_directory_is_told_with_its_own(void **state)
{
    (void)state;
    static const char *const settings[] = {"log.dirs=/data,/data2"};
    struct broker_fixture fixture;
    broker_fixture_init(&fixture, settings, 1);
    broker_fixture_create_topic(&fixture, "topic", 4, NULL, NULL);
    struct describe_log_dirs_response response = ask(&fixture, 4, "", NULL, 0);
    assert_int_equal(response.results_count, 2);
    assert_true(view_equal(response.results[0].log_dir, VIEW_LITERAL("/data")));
    assert_true(view_equal(response.results[1].log_dir, VIEW_LITERAL("/data2")));
    size_t partitions = 0;
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < response.results[i].topics_count; j++)
            partitions += response.results[i].topics[j].partitions_count;
    }
    assert_int_equal(partitions, 4);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_partitions_of_all_topics_are_listed_once),
        cmocka_unit_test(what_is_not_here_is_left_out),
        cmocka_unit_test(every_directory_is_told_with_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
