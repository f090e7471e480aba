/*
 * Transactions against a whole broker of two shards: what clients of both protocol versions see,
 * what hanging and late requests meet, and what is left after a power cut.
 */
#include "tests/unit/broker/broker_fixture.h"

#include "protocol/batch.h"
#include "protocol/batch_builder.h"
#include "protocol/messages/add_offsets_to_txn.h"
#include "protocol/messages/add_partitions_to_txn.h"
#include "protocol/messages/describe_producers.h"
#include "protocol/messages/describe_transactions.h"
#include "protocol/messages/end_txn.h"
#include "protocol/messages/fetch.h"
#include "protocol/messages/find_coordinator.h"
#include "protocol/messages/init_producer_id.h"
#include "protocol/messages/list_offsets.h"
#include "protocol/messages/list_transactions.h"
#include "protocol/messages/offset_fetch.h"
#include "protocol/messages/produce.h"
#include "protocol/messages/txn_offset_commit.h"
#include "protocol/messages/write_txn_markers.h"

BROKER_FIXTURE_CALL(add_offsets_to_txn, API_KEY_ADD_OFFSETS_TO_TXN)
BROKER_FIXTURE_CALL(add_partitions_to_txn, API_KEY_ADD_PARTITIONS_TO_TXN)
BROKER_FIXTURE_CALL(describe_producers, API_KEY_DESCRIBE_PRODUCERS)
BROKER_FIXTURE_CALL(describe_transactions, API_KEY_DESCRIBE_TRANSACTIONS)
BROKER_FIXTURE_CALL(end_txn, API_KEY_END_TXN)
BROKER_FIXTURE_CALL(fetch, API_KEY_FETCH)
BROKER_FIXTURE_CALL(find_coordinator, API_KEY_FIND_COORDINATOR)
BROKER_FIXTURE_CALL(init_producer_id, API_KEY_INIT_PRODUCER_ID)
BROKER_FIXTURE_CALL(list_offsets, API_KEY_LIST_OFFSETS)
BROKER_FIXTURE_CALL(list_transactions, API_KEY_LIST_TRANSACTIONS)
BROKER_FIXTURE_CALL(offset_fetch, API_KEY_OFFSET_FETCH)
BROKER_FIXTURE_CALL(produce, API_KEY_PRODUCE)
BROKER_FIXTURE_CALL(txn_offset_commit, API_KEY_TXN_OFFSET_COMMIT)
BROKER_FIXTURE_CALL(write_txn_markers, API_KEY_WRITE_TXN_MARKERS)

static struct broker_fixture fixture;

struct producer {
    int64_t id;
    int16_t epoch;
    int32_t sequence[4]; /* next, by partition */
};

enum { RETRIES = 1000, OLD = 9, NEW = 12 }; /* Produce versions of the two protocols */

/* ---- Requests ---- */

static int16_t find_coordinator(int8_t type, const char *key)
{
    struct find_coordinator_request request;
    struct find_coordinator_response response;
    find_coordinator_request_init(&request);
    request.key_type = type;
    request.key = view_of_string(key);
    call_find_coordinator(&fixture, 3, &request, &response);
    return response.error_code;
}

/* Until the coordinator is there: its topic is made on first use, then it loads. */
static void await_coordinator(int8_t type, const char *key)
{
    for (int i = 0; i < RETRIES; i++) {
        if (find_coordinator(type, key) == KAFKA_ERROR_NONE)
            return;
    }
    fail_msg("no coordinator of %s", key);
}

static int16_t init_producer(const char *id, struct producer *producer)
{
    for (int i = 0; i < RETRIES; i++) {
        struct init_producer_id_request request;
        struct init_producer_id_response response;
        init_producer_id_request_init(&request);
        request.transactional_id = view_of_string(id);
        request.transaction_timeout_ms = 60000;
        call_init_producer_id(&fixture, 4, &request, &response);
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

static void begin(const char *id, struct producer *producer)
{
    await_coordinator(1, id);
    assert_int_equal(init_producer(id, producer), KAFKA_ERROR_NONE);
}

/* The errors of partitions `first` and `first` + 1 of "data". */
static void add_two(const char *id, const struct producer *producer, int32_t first,
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
    call_add_partitions_to_txn(&fixture, 3, &request, &response);
    assert_int_equal(response.results_by_topic_v3_and_below_count, 1);
    assert_int_equal(response.results_by_topic_v3_and_below[0].results_by_partition_count, 2);
    for (int i = 0; i < 2; i++)
        errors[i] = response.results_by_topic_v3_and_below[0]
                        .results_by_partition[i]
                        .partition_error_code;
}

static void add(const char *id, const struct producer *producer, int32_t first)
{
    int16_t errors[2];
    add_two(id, producer, first, errors);
    assert_int_equal(errors[0], KAFKA_ERROR_NONE);
    assert_int_equal(errors[1], KAFKA_ERROR_NONE);
}

/* One batch of three records. */
static int16_t produce_once(const char *id, struct producer *producer, int32_t partition,
                            int16_t version, int32_t sequence)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.transactional = id != NULL;
    options.producer_id = producer->id;
    options.producer_epoch = producer->epoch;
    options.base_sequence = sequence;
    struct batch_builder builder;
    batch_builder_init(&builder, &fixture.heap, 0, &options);
    for (int i = 0; i < 3; i++) {
        struct batch_record record = {.timestamp_ms = 1000, .value = VIEW_LITERAL("value")};
        assert_true(batch_builder_append(&builder, &record));
    }
    struct view batch;
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    struct produce_request_partition_produce_data data;
    struct produce_request_topic_produce_data topic;
    struct produce_request request;
    struct produce_response response;
    produce_request_init(&request);
    produce_request_topic_produce_data_init(&topic);
    produce_request_partition_produce_data_init(&data);
    data.index = partition;
    data.records.memory = batch;
    topic.name = VIEW_LITERAL("data");
    topic.partition_data = &data;
    topic.partition_data_count = 1;
    request.transactional_id = id ? view_of_string(id) : VIEW_NULL;
    request.acks = -1;
    request.timeout_ms = 5000;
    request.topic_data = &topic;
    request.topic_data_count = 1;
    call_produce(&fixture, version, &request, &response);
    batch_builder_deinit(&builder);
    return response.responses[0].partition_responses[0].error_code;
}

static void produce(const char *id, struct producer *producer, int32_t partition, int16_t version)
{
    assert_int_equal(
        produce_once(id, producer, partition, version, producer->sequence[partition]),
        KAFKA_ERROR_NONE);
    producer->sequence[partition] += 3;
}

/* Version 5 takes over what the answer says. */
static int16_t end(const char *id, struct producer *producer, bool commit, int16_t version)
{
    struct end_txn_request request;
    struct end_txn_response response;
    end_txn_request_init(&request);
    request.transactional_id = view_of_string(id);
    request.producer_id = producer->id;
    request.producer_epoch = producer->epoch;
    request.committed = commit;
    call_end_txn(&fixture, version, &request, &response);
    if (version >= 5 && response.error_code == KAFKA_ERROR_NONE)
        *producer = (struct producer){response.producer_id, response.producer_epoch, {0}};
    return response.error_code;
}

struct seen {
    int64_t last_stable_offset;
    int64_t high_watermark;
    size_t aborted;
    int64_t first_aborted_offset;
    int64_t records; /* whatever the aborted list says */
};

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
    call_fetch(&fixture, 12, &request, &response);
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

static struct seen fetch(int32_t partition, bool committed)
{
    int64_t offset = 0;
    struct seen seen = fetch_from(partition, committed, &offset);
    while (offset < (committed ? seen.last_stable_offset : seen.high_watermark))
        seen.records += fetch_from(partition, committed, &offset).records;
    return seen;
}

static int64_t latest_offset(int32_t partition, bool committed)
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
    call_list_offsets(&fixture, 5, &request, &response);
    assert_int_equal(response.topics[0].partitions[0].error_code, KAFKA_ERROR_NONE);
    return response.topics[0].partitions[0].offset;
}

/* The state, copied into a text of the fixture's arena. */
static const char *state_of(const char *id)
{
    struct view ids[] = {view_of_string(id)};
    struct describe_transactions_request request;
    struct describe_transactions_response response;
    describe_transactions_request_init(&request);
    request.transactional_ids = ids;
    request.transactional_ids_count = 1;
    call_describe_transactions(&fixture, 0, &request, &response);
    assert_int_equal(response.transaction_states_count, 1);
    if (response.transaction_states[0].error_code != KAFKA_ERROR_NONE)
        return kafka_error_name(response.transaction_states[0].error_code);
    struct view name = response.transaction_states[0].transaction_state;
    char *text = broker_fixture_get(&fixture, name.size + 1, 1);
    memcpy(text, name.data, name.size);
    return text;
}

/* The end of a transaction is answered before its markers are written. */
static void await_state(const char *id, const char *wanted)
{
    for (int i = 0; i < RETRIES; i++) {
        if (strcmp(state_of(id), wanted) == 0)
            return;
    }
    fail_msg("%s is %s, not %s", id, state_of(id), wanted);
}

static void start(const char *const *settings, size_t count)
{
    broker_fixture_init(&fixture, settings, count);
    broker_fixture_create_topic(&fixture, "data", 4, NULL, NULL);
}

/* ---- The two protocols ---- */

static void commits_and_aborts_of_the_older_protocol(void **state)
{
    (void)state;
    struct producer producer;
    start(NULL, 0);
    begin("t", &producer);
    add("t", &producer, 0);
    produce("t", &producer, 0, OLD);
    produce("t", &producer, 1, OLD);
    assert_string_equal(state_of("t"), "Ongoing");
    assert_int_equal(fetch(0, true).records, 0);
    assert_int_equal(fetch(0, false).records, 3);
    assert_int_equal(latest_offset(0, true), 0);
    assert_int_equal(latest_offset(0, false), 3);
    assert_int_equal(end("t", &producer, true, 4), KAFKA_ERROR_NONE);
    await_state("t", "CompleteCommit");
    for (int32_t partition = 0; partition < 2; partition++) {
        struct seen seen = fetch(partition, true);
        assert_int_equal(seen.records, 3);
        assert_int_equal(seen.last_stable_offset, 4);
        assert_int_equal(seen.high_watermark, 4);
        assert_int_equal(seen.aborted, 0);
    }
    /* The next one, with the same epoch and going-on sequences. */
    add("t", &producer, 0);
    produce("t", &producer, 0, OLD);
    assert_int_equal(end("t", &producer, false, 4), KAFKA_ERROR_NONE);
    await_state("t", "CompleteAbort");
    struct seen seen = fetch(0, true);
    assert_int_equal(seen.aborted, 1);
    assert_int_equal(seen.first_aborted_offset, 4);
    assert_int_equal(seen.last_stable_offset, 8);
    assert_int_equal(latest_offset(0, true), 8);
    /* Partition 1 was added, but nothing was written: a marker alone, no aborted range. */
    seen = fetch(1, true);
    assert_int_equal(seen.aborted, 0);
    assert_int_equal(seen.high_watermark, 5);
    assert_int_equal(end("t", &producer, false, 4), KAFKA_ERROR_NONE);
    assert_int_equal(end("t", &producer, true, 4), KAFKA_ERROR_INVALID_TXN_STATE);
    broker_fixture_deinit(&fixture);
}

static void the_newer_protocol_adds_partitions_itself(void **state)
{
    (void)state;
    struct producer producer;
    start(NULL, 0);
    begin("t", &producer);
    for (int round = 0; round < 6; round++) {
        bool commit = round % 2 == 0;
        produce("t", &producer, 0, NEW);
        produce("t", &producer, 3, NEW);
        produce("t", &producer, 0, NEW);
        assert_int_equal(producer.epoch, round);
        struct producer before = producer;
        assert_int_equal(end("t", &producer, commit, 5), KAFKA_ERROR_NONE);
        assert_int_equal(producer.epoch, round + 1);
        /* The answer may have been lost: the retry gets the same. */
        struct producer again = before;
        await_state("t", commit ? "CompleteCommit" : "CompleteAbort");
        assert_int_equal(end("t", &again, commit, 5), KAFKA_ERROR_NONE);
        assert_int_equal(again.epoch, producer.epoch);
        /* What comes late is of an older epoch. */
        assert_int_equal(produce_once("t", &before, 0, NEW, before.sequence[0]),
                         KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    }
    struct seen seen = fetch(0, true);
    assert_int_equal(seen.records, 36);
    assert_int_equal(seen.aborted, 3);
    assert_int_equal(seen.last_stable_offset, 42);
    assert_int_equal(fetch(3, true).aborted, 3);
    broker_fixture_deinit(&fixture);
}

static void transactions_of_many_producers_do_not_disturb_each_other(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    static const char *const ids[COUNT] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct producer producers[COUNT];
    start(NULL, 0);
    for (int i = 0; i < COUNT; i++)
        begin(ids[i], &producers[i]);
    for (int i = 0; i < COUNT; i++)
        produce(ids[i], &producers[i], 0, NEW);
    for (int i = COUNT - 1; i >= 0; i--) {
        assert_int_equal(fetch(0, true).last_stable_offset, 0);
        assert_int_equal(end(ids[i], &producers[i], i % 2, 5), KAFKA_ERROR_NONE);
        await_state(ids[i], i % 2 ? "CompleteCommit" : "CompleteAbort");
    }
    struct seen seen = fetch(0, true);
    assert_int_equal(seen.aborted, COUNT / 2);
    assert_int_equal(seen.last_stable_offset, COUNT * 4);
    broker_fixture_deinit(&fixture);
}

/* ---- What must not be written ---- */

static void nothing_is_written_outside_a_transaction(void **state)
{
    (void)state;
    struct producer producer;
    start(NULL, 0);
    begin("t", &producer);
    /* Not added: what each version is told. */
    assert_int_equal(produce_once("t", &producer, 0, 9, 0), KAFKA_ERROR_INVALID_TXN_STATE);
    assert_int_equal(produce_once("t", &producer, 0, 11, 0), KAFKA_ERROR_TRANSACTION_ABORTABLE);
    add("t", &producer, 0);
    assert_int_equal(produce_once("t", &producer, 2, 11, 0), KAFKA_ERROR_TRANSACTION_ABORTABLE);
    /* Another id or epoch than the transaction's. */
    struct producer other = {producer.id + 1, 0, {0}};
    assert_int_equal(produce_once("t", &other, 0, 11, 0),
                     KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    other = (struct producer){producer.id, 7, {0}};
    assert_int_equal(produce_once("t", &other, 0, 11, 0), KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(produce_once("unknown", &producer, 0, NEW, 0),
                     KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(latest_offset(0, false), 0);
    /* Late, after the end: the partition's leader asks again and is told. */
    produce("t", &producer, 0, OLD);
    assert_int_equal(end("t", &producer, true, 4), KAFKA_ERROR_NONE);
    await_state("t", "CompleteCommit");
    assert_int_equal(produce_once("t", &producer, 0, OLD, producer.sequence[0]),
                     KAFKA_ERROR_INVALID_TXN_STATE);
    assert_int_equal(fetch(0, true).last_stable_offset, 4);
    assert_int_equal(latest_offset(0, false), 4);
    broker_fixture_deinit(&fixture);
}

static void a_fenced_producer_cannot_do_anything(void **state)
{
    (void)state;
    struct producer zombie, producer;
    start(NULL, 0);
    begin("t", &zombie);
    add("t", &zombie, 0);
    produce("t", &zombie, 0, OLD);
    begin("t", &producer);
    assert_int_equal(producer.id, zombie.id);
    assert_true(producer.epoch > zombie.epoch);
    /* What it had written is aborted. */
    struct seen seen = fetch(0, true);
    assert_int_equal(seen.aborted, 1);
    assert_int_equal(seen.last_stable_offset, 4);
    assert_int_equal(produce_once("t", &zombie, 0, OLD, zombie.sequence[0]),
                     KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(produce_once("t", &zombie, 2, NEW, 0), KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    int16_t errors[2];
    add_two("t", &zombie, 0, errors);
    assert_int_equal(errors[0], KAFKA_ERROR_PRODUCER_FENCED);
    assert_int_equal(end("t", &zombie, true, 4), KAFKA_ERROR_PRODUCER_FENCED);
    add("t", &producer, 0);
    produce("t", &producer, 0, OLD);
    assert_int_equal(end("t", &producer, true, 4), KAFKA_ERROR_NONE);
    broker_fixture_deinit(&fixture);
}

static void partitions_that_do_not_exist_change_nothing(void **state)
{
    (void)state;
    struct producer producer;
    int16_t errors[2];
    start(NULL, 0);
    begin("t", &producer);
    add_two("t", &producer, 3, errors);
    assert_int_equal(errors[0], KAFKA_ERROR_OPERATION_NOT_ATTEMPTED);
    assert_int_equal(errors[1], KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_string_equal(state_of("t"), "Empty");
    assert_string_equal(state_of("other"), "TRANSACTIONAL_ID_NOT_FOUND");
    assert_string_equal(state_of(""), "INVALID_REQUEST");
    broker_fixture_deinit(&fixture);
}

/* ---- Offsets ---- */

static int16_t add_offsets(const char *id, const struct producer *producer)
{
    struct add_offsets_to_txn_request request;
    struct add_offsets_to_txn_response response;
    add_offsets_to_txn_request_init(&request);
    request.transactional_id = view_of_string(id);
    request.producer_id = producer->id;
    request.producer_epoch = producer->epoch;
    request.group_id = VIEW_LITERAL("group");
    call_add_offsets_to_txn(&fixture, 3, &request, &response);
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
    call_txn_offset_commit(&fixture, version, &request, &response);
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
    call_offset_fetch(&fixture, 7, &request, &response);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    int16_t error = response.topics[0].partitions[0].error_code;
    return error != KAFKA_ERROR_NONE ? -error : response.topics[0].partitions[0].committed_offset;
}

static void offsets_go_with_their_transaction(void **state)
{
    (void)state;
    struct producer producer;
    start(NULL, 0);
    await_coordinator(0, "group");
    begin("t", &producer);
    /* The older protocol: the group's partition is added first. */
    assert_int_equal(commit_offset("t", &producer, 5, 3), KAFKA_ERROR_INVALID_TXN_STATE);
    assert_int_equal(commit_offset("t", &producer, 5, 4), KAFKA_ERROR_TRANSACTION_ABORTABLE);
    assert_int_equal(add_offsets("t", &producer), KAFKA_ERROR_NONE);
    assert_int_equal(commit_offset("t", &producer, 5, 3), KAFKA_ERROR_NONE);
    assert_int_equal(committed_offset(false), -1);
    assert_int_equal(committed_offset(true), -KAFKA_ERROR_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(end("t", &producer, true, 4), KAFKA_ERROR_NONE);
    await_state("t", "CompleteCommit");
    assert_int_equal(committed_offset(true), 5);
    /* The newer one adds it itself. */
    begin("u", &producer);
    assert_int_equal(commit_offset("u", &producer, 9, 5), KAFKA_ERROR_NONE);
    assert_int_equal(committed_offset(true), -KAFKA_ERROR_UNSTABLE_OFFSET_COMMIT);
    assert_int_equal(end("u", &producer, false, 5), KAFKA_ERROR_NONE);
    await_state("u", "CompleteAbort");
    assert_int_equal(committed_offset(true), 5);
    assert_int_equal(commit_offset("u", &producer, 9, 5), KAFKA_ERROR_NONE);
    assert_int_equal(end("u", &producer, true, 5), KAFKA_ERROR_NONE);
    await_state("u", "CompleteCommit");
    assert_int_equal(committed_offset(true), 9);
    /* Late, of the last transaction's epoch. */
    struct producer late = {producer.id, (int16_t)(producer.epoch - 1), {0}};
    assert_int_equal(commit_offset("u", &late, 1, 5), KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    broker_fixture_deinit(&fixture);
}

/* ---- Operators ---- */

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
    call_write_txn_markers(&fixture, 1, &request, &response);
    assert_int_equal(response.markers_count, 1);
    assert_int_equal(response.markers[0].producer_id, producer->id);
    return response.markers[0].topics[0].partitions[0].error_code;
}

static void a_hanging_transaction_can_be_aborted(void **state)
{
    (void)state;
    static const char *const settings[] = {"transaction.partition.verification.enable=false"};
    struct producer producer = {4711, 3, {0}};
    start(settings, 1);
    /* Nobody asks, so a transaction begins that no coordinator knows. */
    produce("nobody", &producer, 0, OLD);
    assert_int_equal(fetch(0, true).last_stable_offset, 0);
    int32_t partition = 0;
    struct describe_producers_request_topic_request topic = {
        .name = VIEW_LITERAL("data"), .partition_indexes = &partition,
        .partition_indexes_count = 1};
    struct describe_producers_request request = {.topics = &topic, .topics_count = 1};
    struct describe_producers_response response;
    call_describe_producers(&fixture, 0, &request, &response);
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
    struct seen seen = fetch(0, true);
    assert_int_equal(seen.last_stable_offset, 4);
    assert_int_equal(seen.aborted, 1);
    /* Again is harmless, and an older coordinator has nothing to say. */
    assert_int_equal(write_marker(&producer, "data", 0, 5), KAFKA_ERROR_NONE);
    assert_int_equal(write_marker(&producer, "data", 0, 4),
                     KAFKA_ERROR_TRANSACTION_COORDINATOR_FENCED);
    assert_int_equal(fetch(0, true).aborted, 1);
    broker_fixture_deinit(&fixture);
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
    call_list_transactions(&fixture, 1, &request, &response);
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
    start(NULL, 0);
    for (int i = 0; i < 5; i++)
        begin(ids[i], &producer);
    add("e", &producer, 0);
    assert_int_equal(list(NULL, &unknown), 5);
    assert_int_equal(list("Ongoing", &unknown), 1);
    assert_int_equal(unknown, 0);
    assert_int_equal(list("Dead", &unknown), 0);
    assert_int_equal(unknown, 0);
    assert_int_equal(list("Undead", &unknown), 0);
    assert_int_equal(unknown, 1);
    broker_fixture_deinit(&fixture);
}

/* ---- Power cuts ---- */

static void an_open_transaction_goes_on_after_a_power_cut(void **state)
{
    (void)state;
    struct producer producer;
    start(NULL, 0);
    begin("t", &producer);
    produce("t", &producer, 0, NEW);
    broker_fixture_restart(&fixture);
    await_coordinator(1, "t");
    await_state("t", "Ongoing");
    assert_int_equal(fetch(0, true).last_stable_offset, 0);
    produce("t", &producer, 0, NEW);
    produce("t", &producer, 1, NEW);
    assert_int_equal(end("t", &producer, true, 5), KAFKA_ERROR_NONE);
    await_state("t", "CompleteCommit");
    assert_int_equal(fetch(0, true).records, 6);
    assert_int_equal(fetch(1, true).records, 3);
    broker_fixture_restart(&fixture);
    await_coordinator(1, "t");
    await_state("t", "CompleteCommit");
    assert_int_equal(fetch(0, true).records, 6);
    assert_int_equal(fetch(0, true).last_stable_offset, 7);
    broker_fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_and_aborts_of_the_older_protocol),
        cmocka_unit_test(the_newer_protocol_adds_partitions_itself),
        cmocka_unit_test(transactions_of_many_producers_do_not_disturb_each_other),
        cmocka_unit_test(nothing_is_written_outside_a_transaction),
        cmocka_unit_test(a_fenced_producer_cannot_do_anything),
        cmocka_unit_test(partitions_that_do_not_exist_change_nothing),
        cmocka_unit_test(offsets_go_with_their_transaction),
        cmocka_unit_test(a_hanging_transaction_can_be_aborted),
        cmocka_unit_test(transactions_of_all_shards_are_listed),
        cmocka_unit_test(an_open_transaction_goes_on_after_a_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
