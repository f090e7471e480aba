/* Offsets that take effect with a transaction, against a whole broker. */
#include "tests/unit/broker/transaction_client.h"

#include "protocol/messages/add_offsets_to_txn.h"
#include "protocol/messages/offset_fetch.h"
#include "protocol/messages/txn_offset_commit.h"

BROKER_FIXTURE_CALL(add_offsets_to_txn, API_KEY_ADD_OFFSETS_TO_TXN)
BROKER_FIXTURE_CALL(offset_fetch, API_KEY_OFFSET_FETCH)
BROKER_FIXTURE_CALL(txn_offset_commit, API_KEY_TXN_OFFSET_COMMIT)

static int16_t add_offsets(const char *id, const struct producer *producer)
{
    struct add_offsets_to_txn_request request;
    struct add_offsets_to_txn_response response;
    add_offsets_to_txn_request_init(&request);
    request.transactional_id = view_of_string(id);
    request.producer_id = producer->id;
    request.producer_epoch = producer->epoch;
    request.group_id = VIEW_LITERAL("group");
    call_add_offsets_to_txn(&broker, 3, &request, &response);
    return response.error_code;
}

static int16_t commit_offset(const char *id, const struct producer *producer, int64_t offset,
                             int16_t version)
{
    struct txn_offset_commit_request_partition partitions[2];
    struct txn_offset_commit_request_topic topic;
    struct txn_offset_commit_request request;
    struct txn_offset_commit_response response;
    txn_offset_commit_request_init(&request);
    txn_offset_commit_request_topic_init(&topic);
    txn_offset_commit_request_partition_init(&partitions[0]);
    txn_offset_commit_request_partition_init(&partitions[1]);
    partitions[0].partition_index = 99;
    partitions[1].partition_index = 2;
    partitions[1].committed_offset = offset;
    topic.name = VIEW_LITERAL("data");
    topic.partitions = partitions;
    topic.partitions_count = 2;
    request.transactional_id = view_of_string(id);
    request.group_id = VIEW_LITERAL("group");
    request.producer_id = producer->id;
    request.producer_epoch = producer->epoch;
    request.topics = &topic;
    request.topics_count = 1;
    call_txn_offset_commit(&broker, version, &request, &response);
    assert_int_equal(response.topics[0].partitions_count, 2);
    assert_int_equal(response.topics[0].partitions[0].partition_index, 99);
    assert_int_equal(response.topics[0].partitions[0].error_code,
                     KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(response.topics[0].partitions[1].partition_index, 2);
    return response.topics[0].partitions[1].error_code;
}

/* The committed offset, or the negative error. */
static int64_t committed_offset(bool require_stable)
{
    int32_t partition = 2;
    struct offset_fetch_request_topic topic;
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    offset_fetch_request_init(&request);
    offset_fetch_request_topic_init(&topic);
    topic.name = VIEW_LITERAL("data");
    topic.partition_indexes = &partition;
    topic.partition_indexes_count = 1;
    request.group_id = VIEW_LITERAL("group");
    request.topics = &topic;
    request.topics_count = 1;
    request.require_stable = require_stable;
    call_offset_fetch(&broker, 7, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    int16_t error = response.topics[0].partitions[0].error_code;
    return error != KAFKA_ERROR_NONE ? -error : response.topics[0].partitions[0].committed_offset;
}

static void offsets_go_with_their_transaction(void **state)
{
    (void)state;
    struct producer producer;
    start_broker(NULL, 0);
    await_coordinator(0, "group");
    begin_producer("t", &producer);
    /* The older protocol: the group's partition is added first. */
    assert_int_equal(commit_offset("t", &producer, 5, 3), KAFKA_ERROR_INVALID_TXN_STATE);
    assert_int_equal(commit_offset("t", &producer, 5, 4), KAFKA_ERROR_TRANSACTION_ABORTABLE);
    assert_int_equal(add_offsets("t", &producer), KAFKA_ERROR_NONE);
    assert_int_equal(commit_offset("t", &producer, 5, 3), KAFKA_ERROR_NONE);
    assert_int_equal(committed_offset(false), -1);
    assert_int_equal(committed_offset(true), -KAFKA_ERROR_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(end_transaction("t", &producer, true, 4), KAFKA_ERROR_NONE);
    await_state("t", "CompleteCommit");
    assert_int_equal(committed_offset(true), 5);
    /* The newer one adds it itself. */
    begin_producer("u", &producer);
    assert_int_equal(commit_offset("u", &producer, 9, 5), KAFKA_ERROR_NONE);
    assert_int_equal(committed_offset(true), -KAFKA_ERROR_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(end_transaction("u", &producer, false, 5), KAFKA_ERROR_NONE);
    await_state("u", "CompleteAbort");
    assert_int_equal(committed_offset(true), 5);
    assert_int_equal(commit_offset("u", &producer, 9, 5), KAFKA_ERROR_NONE);
    assert_int_equal(end_transaction("u", &producer, true, 5), KAFKA_ERROR_NONE);
    await_state("u", "CompleteCommit");
    assert_int_equal(committed_offset(true), 9);
    /* Late, of the last transaction's epoch. */
    struct producer late = {producer.id, (int16_t)(producer.epoch - 1), {0}};
    assert_int_equal(commit_offset("u", &late, 1, 5), KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    broker_fixture_deinit(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_go_with_their_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
