/* Transactions as operators see and end them, against a whole broker. */
#include "tests/unit/broker/transaction_client.h"

#include "protocol/messages/describe_producers.h"
#include "protocol/messages/list_transactions.h"
#include "protocol/messages/write_txn_markers.h"

BROKER_FIXTURE_CALL(describe_producers, API_KEY_DESCRIBE_PRODUCERS)
BROKER_FIXTURE_CALL(list_transactions, API_KEY_LIST_TRANSACTIONS)
BROKER_FIXTURE_CALL(write_txn_markers, API_KEY_WRITE_TXN_MARKERS)

static int16_t write_marker(const struct producer *producer, const char *topic_name,
                            int32_t partition, int32_t coordinator_epoch)
{
    struct write_txn_markers_request_writable_txn_marker_topic topic = {
        .name = view_of_string(topic_name),
        .partition_indexes = &partition,
        .partition_indexes_count = 1};
    struct write_txn_markers_request_writable_txn_marker marker = {
        .producer_id = producer->id,
        .producer_epoch = producer->epoch,
        .coordinator_epoch = coordinator_epoch,
        .topics = &topic,
        .topics_count = 1,
    };
    struct write_txn_markers_request request;
    struct write_txn_markers_response response;
    write_txn_markers_request_init(&request);
    request.markers = &marker;
    request.markers_count = 1;
    call_write_txn_markers(&broker, 1, &request, &response);
    assert_int_equal(response.markers_count, 1);
    assert_int_equal(response.markers[0].producer_id, producer->id);
    return response.markers[0].topics[0].partitions[0].error_code;
}

static void a_hanging_transaction_can_be_aborted(void **state)
{
    (void)state;
    static const char *const settings[] = {"transaction.partition.verification.enable=false"};
    struct producer producer = {4711, 3, {0}};
    start_broker(settings, 1);
    /* Nobody asks, so a transaction begins that no coordinator knows. */
    produce("nobody", &producer, 0, OLD_PROTOCOL);
    assert_int_equal(fetch_all(0, true).last_stable_offset, 0);
    int32_t partition = 0;
    struct describe_producers_request_topic_request topic = {.name = VIEW_LITERAL("data"),
                                                             .partition_indexes = &partition,
                                                             .partition_indexes_count = 1};
    struct describe_producers_request request = {.topics = &topic, .topics_count = 1};
    struct describe_producers_response response;
    call_describe_producers(&broker, 0, &request, &response);
    const struct describe_producers_response_producer_state *found =
        response.topics[0].partitions[0].active_producers;
    assert_int_equal(response.topics[0].partitions[0].active_producers_count, 1);
    assert_int_equal(found->producer_id, 4711);
    assert_int_equal(found->producer_epoch, 3);
    assert_int_equal(found->coordinator_epoch, -1);
    assert_int_equal(found->current_txn_start_offset, 0);
    /* As the tool does: coordinator epoch 0 where none is known. */
    struct producer older = {4711, 2, {0}};
    assert_int_equal(write_marker(&older, "data", 0, 0), KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(write_marker(&producer, "nothing", 0, 0),
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(write_marker(&producer, "data", 0, 0), KAFKA_ERROR_NONE);
    struct seen seen = fetch_all(0, true);
    assert_int_equal(seen.last_stable_offset, 4);
    assert_int_equal(seen.aborted, 1);
    /* Again is harmless, and an older coordinator has nothing to say. */
    assert_int_equal(write_marker(&producer, "data", 0, 5), KAFKA_ERROR_NONE);
    assert_int_equal(write_marker(&producer, "data", 0, 4),
                     KAFKA_ERROR_TRANSACTION_COORDINATOR_FENCED);
    assert_int_equal(fetch_all(0, true).aborted, 1);
    broker_fixture_deinit(&broker);
}

static size_t list(const char *state_filter, size_t *unknown)
{
    struct view states[] = {VIEW_NULL};
    struct list_transactions_request request;
    struct list_transactions_response response;
    list_transactions_request_init(&request);
    if (state_filter) {
        states[0] = view_of_string(state_filter);
        request.state_filters = states;
        request.state_filters_count = 1;
    }
    call_list_transactions(&broker, 1, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    *unknown = response.unknown_state_filters_count;
    return response.transaction_states_count;
}

static void transactions_of_all_shards_are_listed(void **state)
{
    (void)state;
    static const char *const ids[] = {"a", "b", "c", "d", "e"};
    struct producer producer;
    size_t unknown;
    start_broker(NULL, 0);
    for (int i = 0; i < 5; i++)
        begin_producer(ids[i], &producer);
    add_partitions("e", &producer, 0);
    assert_int_equal(list(NULL, &unknown), 5);
    assert_int_equal(list("Ongoing", &unknown), 1);
    assert_int_equal(unknown, 0);
    assert_int_equal(list("Dead", &unknown), 0);
    assert_int_equal(unknown, 0);
    assert_int_equal(list("Undead", &unknown), 0);
    assert_int_equal(unknown, 1);
    broker_fixture_deinit(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hanging_transaction_can_be_aborted),
        cmocka_unit_test(transactions_of_all_shards_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
