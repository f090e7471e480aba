/* Sessions of Fetch (KIP-227) against a whole broker of two shards: what which answer mentions. */
#include "tests/unit/broker/broker_fixture.h"

#include "broker/shard.h"
#include "protocol/messages/delete_topics.h"
#include "protocol/messages/fetch.h"

BROKER_FIXTURE_CALL(fetch, API_KEY_FETCH)
BROKER_FIXTURE_CALL(delete_topics, API_KEY_DELETE_TOPICS)

enum { PARTITIONS = 8, TOPICS = 2, VERSION = 12 };

/* What the client of the session knows; everything is asked for by name. */
static struct {
    struct broker_fixture broker;
    int32_t id;
    int32_t epoch;
    int32_t max_bytes;
    struct fetch_response response;
} test;

static const char *const names[TOPICS] = {"one", "two"};

static void start(void)
{
    memset(&test, 0, sizeof(test));
    broker_fixture_init(&test.broker, NULL, 0);
    for (unsigned i = 0; i < TOPICS; i++)
        broker_fixture_create_topic(&test.broker, names[i], PARTITIONS, NULL, NULL);
    test.max_bytes = 1 << 20;
}

static void stop(void)
{
    broker_fixture_deinit(&test.broker);
}

static void fill_header(struct fetch_request *request, int32_t max_wait_ms)
{
    request->replica_id = -1;
    request->session_id = test.id;
    request->session_epoch = test.epoch++;
    request->max_bytes = test.max_bytes;
    request->max_wait_ms = max_wait_ms;
    request->min_bytes = 1;
}

static void send(struct fetch_request *request)
{
    fill_header(request, 0);
    call_fetch(&test.broker, VERSION, request, &test.response);
    assert_int_equal(test.response.error_code, KAFKA_ERROR_NONE);
    test.id = test.response.session_id;
    assert_int_not_equal(test.id, 0);
}

/* Names partitions of one topic. */
static void ask(unsigned topic, int32_t first, int32_t count, int64_t offset)
{
    struct fetch_request request;
    struct fetch_request_fetch_partition partitions[PARTITIONS];
    struct fetch_request_fetch_topic one;
    fetch_request_init(&request);
    fetch_request_fetch_topic_init(&one);
    for (int32_t i = 0; i < count; i++) {
        fetch_request_fetch_partition_init(&partitions[i]);
        partitions[i].partition = first + i;
        partitions[i].fetch_offset = offset;
        partitions[i].partition_max_bytes = 1 << 20;
    }
    one.topic = view_of_string(names[topic]);
    one.partitions = partitions;
    one.partitions_count = (size_t)count;
    request.topics = &one;
    request.topics_count = 1;
    send(&request);
}

static void ask_nothing_new(void)
{
    struct fetch_request request;
    fetch_request_init(&request);
    send(&request);
}

static void forget(unsigned topic, int32_t partition)
{
    struct fetch_request request;
    struct fetch_request_forgotten_topic forgotten = {
        .topic = view_of_string(names[topic]), .partitions = &partition, .partitions_count = 1};
    fetch_request_init(&request);
    request.forgotten_topics_data = &forgotten;
    request.forgotten_topics_data_count = 1;
    send(&request);
}

/* What the last answer says of a partition; NULL: nothing. No topic may be there twice. */
static const struct fetch_response_partition_data *answered(unsigned topic, int32_t partition)
{
    const struct fetch_response_partition_data *found = NULL;
    unsigned entries = 0;
    for (size_t i = 0; i < test.response.responses_count; i++) {
        const struct fetch_response_fetchable_topic_response *one = &test.response.responses[i];
        if (!view_equal(one->topic, view_of_string(names[topic])))
            continue;
        entries++;
        for (size_t j = 0; j < one->partitions_count; j++)
            if (one->partitions[j].partition_index == partition)
                found = &one->partitions[j];
    }
    assert_true(entries <= 1);
    return found;
}

static size_t count_answered(void)
{
    size_t count = 0;
    for (size_t i = 0; i < test.response.responses_count; i++)
        count += test.response.responses[i].partitions_count;
    return count;
}

static void assert_given(unsigned topic, int32_t partition)
{
    const struct fetch_response_partition_data *data = answered(topic, partition);
    assert_non_null(data);
    assert_int_equal(data->error_code, KAFKA_ERROR_NONE);
    assert_true(data->records.memory.size > 0);
}

/* Both topics are in the session, and nothing is left to be said. */
static void begin_session(void)
{
    ask(0, 0, PARTITIONS, 0);
    assert_int_equal(count_answered(), PARTITIONS);
    ask(1, 0, PARTITIONS, 0);
    assert_int_equal(count_answered(), PARTITIONS);
    ask_nothing_new();
    assert_int_equal(count_answered(), 0);
}

static void only_what_moved_is_answered(void **state)
{
    (void)state;
    start();
    begin_session();
    broker_fixture_produce(&test.broker, "one", 3, 2, 1000);
    broker_fixture_produce(&test.broker, "two", 4, 2, 1000);
    ask_nothing_new();
    assert_int_equal(count_answered(), 2);
    assert_given(0, 3);
    assert_given(1, 4);
    assert_int_equal(answered(0, 3)->high_watermark, 2);
    /* What was not taken comes again, what was taken does not. */
    ask(0, 3, 1, 2);
    assert_int_equal(count_answered(), 1);
    assert_given(1, 4);
    ask(1, 4, 1, 2);
    assert_int_equal(count_answered(), 0);
    stop();
}

static void the_partitions_of_a_topic_stand_together(void **state)
{
    (void)state;
    start();
    begin_session();
    for (int32_t i = PARTITIONS - 1; i >= 0; i--)
        for (unsigned topic = 0; topic < TOPICS; topic++)
            broker_fixture_produce(&test.broker, names[topic], i, 1, 1000);
    ask_nothing_new();
    assert_int_equal(test.response.responses_count, TOPICS);
    for (unsigned topic = 0; topic < TOPICS; topic++)
        for (int32_t i = 0; i < PARTITIONS; i++)
            assert_given(topic, i);
    stop();
}

static void an_answer_with_room_for_one_serves_all_in_turn(void **state)
{
    (void)state;
    start();
    begin_session();
    for (int32_t i = 0; i < PARTITIONS; i++)
        broker_fixture_produce(&test.broker, "one", i, 1, 1000);
    test.max_bytes = 1;
    unsigned given[PARTITIONS] = {0};
    for (int32_t i = 0; i < 4 * PARTITIONS; i++) { /* never moving on: it goes round */
        ask_nothing_new();
        for (int32_t j = 0; j < PARTITIONS; j++)
            given[j] += answered(0, j) && answered(0, j)->records.memory.size > 0;
    }
    for (int32_t j = 0; j < PARTITIONS; j++)
        assert_in_range(given[j], 2, PARTITIONS);
    stop();
}

static void what_is_forgotten_is_not_answered(void **state)
{
    (void)state;
    start();
    begin_session();
    forget(0, 3);
    broker_fixture_produce(&test.broker, "one", 3, 2, 1000);
    broker_fixture_produce(&test.broker, "one", 4, 2, 1000);
    ask_nothing_new();
    assert_int_equal(count_answered(), 1);
    assert_given(0, 4);
    ask(0, 3, 1, 0);
    assert_given(0, 3);
    stop();
}

static void delete_topic(const char *name)
{
    struct delete_topics_request_delete_topic_state doomed;
    struct delete_topics_request request;
    struct delete_topics_response response;
    delete_topics_request_init(&request);
    delete_topics_request_delete_topic_state_init(&doomed);
    doomed.name = view_of_string(name);
    request.topics = &doomed;
    request.topics_count = 1;
    request.timeout_ms = 10000;
    call_delete_topics(&test.broker, 6, &request, &response);
    assert_int_equal(response.responses[0].error_code, KAFKA_ERROR_NONE);
}

/* The new topic has another id, and its partitions may belong to other shards. */
static void a_name_finds_the_topic_that_has_it_now(void **state)
{
    (void)state;
    start();
    begin_session();
    delete_topic("one");
    ask_nothing_new();
    assert_int_equal(count_answered(), PARTITIONS);
    for (int32_t i = 0; i < PARTITIONS; i++)
        assert_int_equal(answered(0, i)->error_code, KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    broker_fixture_create_topic(&test.broker, "one", PARTITIONS, NULL, NULL);
    ask_nothing_new();
    assert_int_equal(count_answered(), PARTITIONS); /* no errors any more, which is news */
    for (int32_t i = 0; i < PARTITIONS; i++) {
        assert_int_equal(answered(0, i)->error_code, KAFKA_ERROR_NONE);
        broker_fixture_produce(&test.broker, "one", i, 1, 1000);
    }
    ask_nothing_new();
    for (int32_t i = 0; i < PARTITIONS; i++)
        assert_given(0, i);
    stop();
}

/* Asks for nothing new and is left waiting. */
static void begin_to_wait(void)
{
    struct fetch_request request;
    fetch_request_init(&request);
    fill_header(&request, 30000);
    size_t size = fetch_request_size(&request, VERSION);
    struct message_writer out = message_writer_of(broker_fixture_get(&test.broker, size, 1), size);
    fetch_request_encode(&request, &out, VERSION);
    broker_fixture_send(&test.broker, API_KEY_FETCH, VERSION,
                        view_of(out.bytes.data, out.bytes.size));
    assert_int_equal(test.broker.state, FIXTURE_SENT);
}

static void a_request_that_waits_is_woken(void **state)
{
    (void)state;
    start();
    begin_session();
    struct broker_fixture producer;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        uint64_t before_ns = sim_now_ns(test.broker.sim);
        begin_to_wait();
        broker_fixture_add_client(&producer, &test.broker);
        broker_fixture_produce(&producer, "two", i, 1, 1000);
        struct view answer = broker_fixture_await(&test.broker);
        broker_fixture_drop_client(&producer);
        assert_false(view_is_null(answer));
        assert_true(sim_now_ns(test.broker.sim) - before_ns < UINT64_C(5000000000));
        struct reader reader = reader_of(answer);
        assert_true(fetch_response_decode(&test.response, &reader, VERSION, &test.broker.arena));
        assert_given(1, i);
        ask(1, i, 1, 1);
    }
    stop();
}

/* The connection goes while the parts wait on both shards. */
static void a_broken_connection_leaves_nothing_behind(void **state)
{
    (void)state;
    start();
    begin_session();
    struct broker_fixture other;
    broker_fixture_add_client(&other, &test.broker);
    begin_to_wait();
    broker_fixture_hang_up(&test.broker);
    for (int32_t i = 0; i < PARTITIONS; i++)
        broker_fixture_produce(&other, "one", i, 1, 1000);
    for (unsigned i = 1; i <= FIXTURE_SHARDS; i++) {
        assert_int_equal(broker_fixture_shard(&test.broker, i)->sessions.count, 0);
        assert_int_equal(broker_fixture_shard(&test.broker, i)->sessions.ending, 0);
    }
    broker_fixture_drop_client(&other);
    stop();
}

static void a_stop_ends_sessions_first(void **state)
{
    (void)state;
    start();
    begin_session();
    broker_fixture_begin_stop(&test.broker);
    assert_int_equal(broker_fixture_await_stop(&test.broker), 0);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_moved_is_answered),
        cmocka_unit_test(the_partitions_of_a_topic_stand_together),
        cmocka_unit_test(an_answer_with_room_for_one_serves_all_in_turn),
        cmocka_unit_test(what_is_forgotten_is_not_answered),
        cmocka_unit_test(a_name_finds_the_topic_that_has_it_now),
        cmocka_unit_test(a_request_that_waits_is_woken),
        cmocka_unit_test(a_broken_connection_leaves_nothing_behind),
        cmocka_unit_test(a_stop_ends_sessions_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
