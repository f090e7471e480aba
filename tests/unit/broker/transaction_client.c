/* Each call is one request of one API; those that may find a coordinator loading ask again. */
#include "tests/unit/broker/transaction_client.h"

#include "protocol/batch.h"
#include "protocol/batch_builder.h"
#include "protocol/messages/add_partitions_to_txn.h"
#include "protocol/messages/describe_transactions.h"
#include "protocol/messages/end_txn.h"
#include "protocol/messages/fetch.h"
#include "protocol/messages/find_coordinator.h"
#include "protocol/messages/init_producer_id.h"
#include "protocol/messages/list_offsets.h"

BROKER_FIXTURE_CALL(add_partitions_to_txn, API_KEY_ADD_PARTITIONS_TO_TXN)
BROKER_FIXTURE_CALL(describe_transactions, API_KEY_DESCRIBE_TRANSACTIONS)
BROKER_FIXTURE_CALL(end_txn, API_KEY_END_TXN)
BROKER_FIXTURE_CALL(fetch, API_KEY_FETCH)
BROKER_FIXTURE_CALL(find_coordinator, API_KEY_FIND_COORDINATOR)
BROKER_FIXTURE_CALL(init_producer_id, API_KEY_INIT_PRODUCER_ID)
BROKER_FIXTURE_CALL(list_offsets, API_KEY_LIST_OFFSETS)

struct broker_fixture broker;

enum { ATTEMPTS_MAX = 1000 };

static int16_t find_coordinator(int8_t type, const char *key)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key_type = type;
    request.key = view_of_string(key);
    call_find_coordinator(&broker, 3, &request, &response);
    return response.error_code;
}

void await_coordinator(int8_t type, const char *key)
{
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        if (find_coordinator(type, key) == KAFKA_ERROR_NONE)
            return;
    }
    fail_msg("no coordinator of %s", key);
}

static int16_t init_producer(const char *id, struct producer *producer)
{
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        struct init_producer_id_request request;
        struct init_producer_id_response response;
        init_producer_id_request_init(&request);
        request.transactional_id = view_of_string(id);
        request.transaction_timeout_ms = 60000;
        call_init_producer_id(&broker, 4, &request, &response);
        if (response.error_code == KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS ||
            response.error_code == KAFKA_ERROR_NOT_COORDINATOR ||
            response.error_code == KAFKA_ERROR_CONCURRENT_TRANSACTIONS)
            continue;
        *producer = (struct producer){response.producer_id, response.producer_epoch, {0}};
        return response.error_code;
    }
    fail_msg("no producer id for %s", id);
    return -1;
}

void begin_producer(const char *id, struct producer *producer)
{
    await_coordinator(1, id);
    assert_int_equal(init_producer(id, producer), KAFKA_ERROR_NONE);
}

void add_two_partitions(const char *id, const struct producer *producer, int32_t first,
                        int16_t errors[2])
{
    int32_t partitions[] = {first, first + 1};
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic topic = {
        .name = VIEW_LITERAL("data"), .partitions = partitions, .partitions_count = 2};
    struct add_partitions_to_txn_request request;
    struct add_partitions_to_txn_response response;
    add_partitions_to_txn_request_init(&request);
    request.v3_and_below_transactional_id = view_of_string(id);
    request.v3_and_below_producer_id = producer->id;
    request.v3_and_below_producer_epoch = producer->epoch;
    request.v3_and_below_topics = &topic;
    request.v3_and_below_topics_count = 1;
    call_add_partitions_to_txn(&broker, 3, &request, &response);
    assert_int_equal(response.results_by_topic_v3_and_below_count, 1);
    assert_int_equal(response.results_by_topic_v3_and_below[0].results_by_partition_count, 2);
    for (int i = 0; i < 2; i++)
        errors[i] =
            response.results_by_topic_v3_and_below[0].results_by_partition[i].partition_error_code;
}

void add_partitions(const char *id, const struct producer *producer, int32_t first)
{
    int16_t errors[2];
    add_two_partitions(id, producer, first, errors);
    assert_int_equal(errors[0], KAFKA_ERROR_NONE);
    assert_int_equal(errors[1], KAFKA_ERROR_NONE);
}

int16_t produce_once(const char *id, struct producer *producer, int32_t partition, int16_t version,
                     int32_t sequence)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.transactional = id != NULL;
    options.producer_id = producer->id;
    options.producer_epoch = producer->epoch;
    options.base_sequence = sequence;
    struct batch_builder builder;
    batch_builder_init(&builder, &broker.heap, 0, &options);
    for (int i = 0; i < 3; i++) {
        struct batch_record record = {.timestamp_ms = 1000, .value = VIEW_LITERAL("value")};
        assert_true(batch_builder_append(&builder, &record));
    }
    struct fixture_batch batch = {"data", partition, VIEW_NULL, id};
    assert_int_equal(batch_builder_finish(&builder, &batch.bytes), COMPRESSION_OK);
    int16_t error = broker_fixture_send_batch(&broker, version, &batch).error_code;
    batch_builder_deinit(&builder);
    return error;
}

void produce(const char *id, struct producer *producer, int32_t partition, int16_t version)
{
    assert_int_equal(produce_once(id, producer, partition, version, producer->sequence[partition]),
                     KAFKA_ERROR_NONE);
    producer->sequence[partition] += 3;
}

int16_t end_transaction(const char *id, struct producer *producer, bool commit, int16_t version)
{
    struct end_txn_request request;
    struct end_txn_response response;
    end_txn_request_init(&request);
    request.transactional_id = view_of_string(id);
    request.producer_id = producer->id;
    request.producer_epoch = producer->epoch;
    request.committed = commit;
    call_end_txn(&broker, version, &request, &response);
    if (version >= 5 && response.error_code == KAFKA_ERROR_NONE)
        *producer = (struct producer){response.producer_id, response.producer_epoch, {0}};
    return response.error_code;
}

/* One answer, which ends with its segment; `*offset` moves behind what it has. */
static struct seen fetch_from(int32_t partition, bool committed, int64_t *offset)
{
    struct fetch_request_fetch_partition asked;
    struct fetch_request_fetch_topic topic;
    struct fetch_request request;
    struct fetch_response response;
    fetch_request_init(&request);
    fetch_request_fetch_topic_init(&topic);
    fetch_request_fetch_partition_init(&asked);
    asked.partition = partition;
    asked.fetch_offset = *offset;
    asked.partition_max_bytes = 1 << 20;
    topic.topic = VIEW_LITERAL("data");
    topic.partitions = &asked;
    topic.partitions_count = 1;
    request.replica_id = -1;
    request.max_bytes = 1 << 20;
    request.session_epoch = -1;
    request.isolation_level = committed;
    request.topics = &topic;
    request.topics_count = 1;
    call_fetch(&broker, 12, &request, &response);
    const struct fetch_response_partition_data *data = &response.responses[0].partitions[0];
    assert_int_equal(data->error_code, KAFKA_ERROR_NONE);
    struct seen seen = {data->last_stable_offset, data->high_watermark,
                        data->aborted_transactions_count, -1, 0};
    if (seen.aborted > 0)
        seen.first_aborted_offset = data->aborted_transactions[0].first_offset;
    struct view rest = data->records.memory, batch;
    while (batch_next(&rest, &batch) == BATCH_OK) {
        if (!batch_is_control(batch.data))
            seen.records += batch_record_count(batch.data);
        *offset = batch_last_offset(batch.data) + 1;
    }
    return seen;
}

struct seen fetch_all(int32_t partition, bool committed)
{
    int64_t offset = 0;
    struct seen seen = fetch_from(partition, committed, &offset);
    while (offset < (committed ? seen.last_stable_offset : seen.high_watermark))
        seen.records += fetch_from(partition, committed, &offset).records;
    return seen;
}

int64_t latest_offset(int32_t partition, bool committed)
{
    struct list_offsets_request_list_offsets_partition asked;
    struct list_offsets_request_list_offsets_topic topic;
    struct list_offsets_request request;
    struct list_offsets_response response;
    list_offsets_request_init(&request);
    list_offsets_request_list_offsets_topic_init(&topic);
    list_offsets_request_list_offsets_partition_init(&asked);
    asked.partition_index = partition;
    asked.timestamp = -1;
    topic.name = VIEW_LITERAL("data");
    topic.partitions = &asked;
    topic.partitions_count = 1;
    request.replica_id = -1;
    request.isolation_level = committed;
    request.topics = &topic;
    request.topics_count = 1;
    call_list_offsets(&broker, 5, &request, &response);
    assert_int_equal(response.topics[0].partitions[0].error_code, KAFKA_ERROR_NONE);
    return response.topics[0].partitions[0].offset;
}

const char *state_of(const char *id)
{
    struct view ids[] = {view_of_string(id)};
    struct describe_transactions_request request;
    struct describe_transactions_response response;
    describe_transactions_request_init(&request);
    request.transactional_ids = ids;
    request.transactional_ids_count = 1;
    call_describe_transactions(&broker, 0, &request, &response);
    assert_int_equal(response.transaction_states_count, 1);
    if (response.transaction_states[0].error_code != KAFKA_ERROR_NONE)
        return kafka_error_name(response.transaction_states[0].error_code);
    struct view name = response.transaction_states[0].transaction_state;
    char *text = broker_fixture_get(&broker, name.size + 1, 1);
    memcpy(text, name.data, name.size);
    return text;
}

void await_state(const char *id, const char *wanted)
{
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        if (strcmp(state_of(id), wanted) == 0)
            return;
    }
    fail_msg("%s is %s, not %s", id, state_of(id), wanted);
}

void start_broker(const char *const *settings, size_t count)
{
    broker_fixture_init(&broker, settings, count);
    broker_fixture_create_topic(&broker, "data", 4, NULL, NULL);
}
