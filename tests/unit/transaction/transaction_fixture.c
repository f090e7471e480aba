/* Markers that are sent wait in `sends` until a test answers them, or it runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/transaction/transaction_fixture.h"

#include "protocol/messages/add_offsets_to_txn.h"
#include "protocol/messages/add_partitions_to_txn.h"
#include "protocol/messages/transaction_log_key.h"

struct transaction_fixture fixture;

static void *create(struct coordinator *coordinator)
{
    return transactions_create(coordinator, &fixture.ids, &fixture.markers);
}

static const struct coordinator_kind kind = {TRANSACTIONS_KIND, .create = create};

/* ---- Markers and ids ---- */

static void send(void *self, struct marker_send *marker_send)
{
    (void)self;
    assert_true(fixture.send_count < SENDS_MAX);
    fixture.sends[fixture.send_count++] = marker_send;
    fixture.sent_count++;
}

static const struct image *image(void *self)
{
    (void)self;
    return fixture.base.image;
}

static void ask(struct producer_ids *ids)
{
    (void)ids;
}

static void give_ids(void)
{
    while (fixture.gives_ids && fixture.ids.is_asking)
        producer_ids_given(&fixture.ids, fixture.ids.end ? fixture.ids.end : 5000, 10);
}

static void answer_one(struct marker_send *marker_send, int error)
{
    if (error < 0) {
        marker_send->answered(marker_send, NULL);
        return;
    }
    struct arena arena;
    arena_init(&arena, &fixture.base.other_heap, MEMORY_SCRATCH, 0);
    const struct write_txn_markers_request *request = &marker_send->request;
    struct write_txn_markers_response response;
    write_txn_markers_response_init(&response);
    response.markers_count = request->markers_count;
    response.markers = arena_get_array(&arena, response.markers_count, sizeof(*response.markers));
    for (size_t i = 0; i < response.markers_count; i++) {
        response.markers[i].producer_id = request->markers[i].producer_id;
        response.markers[i].topics_count = request->markers[i].topics_count;
        response.markers[i].topics = arena_get_array(&arena, response.markers[i].topics_count,
                                                     sizeof(*response.markers[i].topics));
        for (size_t j = 0; j < response.markers[i].topics_count; j++) {
            const struct write_txn_markers_request_writable_txn_marker_topic *from =
                &request->markers[i].topics[j];
            struct write_txn_markers_response_writable_txn_marker_topic_result *to =
                &response.markers[i].topics[j];
            to->name = from->name;
            to->partitions_count = from->partition_indexes_count;
            to->partitions = arena_get_array(&arena, to->partitions_count, sizeof(*to->partitions));
            for (size_t k = 0; k < to->partitions_count; k++) {
                to->partitions[k].partition_index = from->partition_indexes[k];
                to->partitions[k].error_code = (int16_t)error;
            }
        }
    }
    marker_send->answered(marker_send, &response);
    arena_deinit(&arena);
}

static void answer_all(int error)
{
    while (fixture.send_count > 0)
        answer_one(fixture.sends[--fixture.send_count], error);
}

void transaction_fixture_run(void)
{
    do {
        coordinator_fixture_run(&fixture.base);
        give_ids();
        if (!fixture.holds_markers)
            answer_all(KAFKA_ERROR_NONE);
        coordinator_fixture_run(&fixture.base);
    } while ((fixture.gives_ids && fixture.ids.is_asking) ||
             (!fixture.holds_markers && fixture.send_count > 0));
}

void transaction_fixture_answer_markers(int error)
{
    answer_all(error);
    coordinator_fixture_run(&fixture.base);
}

/* ---- Life ---- */

void transaction_fixture_begin_version(int16_t level)
{
    fixture = (struct transaction_fixture){.gives_ids = true};
    coordinator_fixture_init(&fixture.base, &kind);
    producer_ids_init(&fixture.ids, ask);
    struct marker_host host = {.send = send, .image = image};
    marker_writer_init(&fixture.markers, fixture.base.host.loop, &host);
    if (level > 0)
        coordinator_fixture_set_feature(&fixture.base, "transaction.version", level);
    coordinator_fixture_set_topic(&fixture.base, "data", 4);
    coordinator_fixture_set_topic(&fixture.base, "__consumer_offsets", 50);
    coordinator_fixture_start(&fixture.base);
}

void transaction_fixture_begin(void)
{
    transaction_fixture_begin_version(2);
}

void transaction_fixture_end(void)
{
    coordinator_fixture_resign(&fixture.base);
    answer_all(-1);
    coordinator_fixture_run(&fixture.base);
    marker_writer_deinit(&fixture.markers);
    coordinator_fixture_deinit(&fixture.base);
}

void transaction_fixture_reload(void)
{
    coordinator_fixture_reload(&fixture.base);
}

struct transactions *transactions(void)
{
    return coordinator_fixture_state(&fixture.base);
}

struct transaction *transaction_named(const char *id)
{
    return transactions_find(transactions(), view_of_string(id));
}

/* ---- Requests ---- */

/* Runs until the call is told; it may wait for the end of the transaction before. */
static void run_until_told(struct fixture_call *call)
{
    transaction_fixture_run();
    if (call->told == 0) {
        coordinator_fixture_advance(&fixture.base, 200);
        transaction_fixture_run();
    }
}

static enum kafka_error finish(struct fixture_call *call, int16_t error_code)
{
    run_until_told(call);
    assert_int_equal(call->told, 1);
    enum kafka_error error = call->call.error;
    fixture_call_deinit(call);
    return error != KAFKA_ERROR_NONE ? error : (enum kafka_error)error_code;
}

enum kafka_error init_producer(const char *id, int16_t version, struct producer expected,
                               struct producer *got)
{
    struct init_producer_id_request request;
    init_producer_id_request_init(&request);
    request.transactional_id = view_of_string(id);
    request.transaction_timeout_ms = 60000;
    request.producer_id = expected.id;
    request.producer_epoch = expected.epoch;
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&fixture.base, &call, version, &request, &response);
    transactions_init_producer_id(transactions(), &call.call);
    enum kafka_error error = finish(&call, KAFKA_ERROR_NONE);
    *got = (struct producer){-1, -1};
    if (error == KAFKA_ERROR_NONE)
        *got = (struct producer){response.producer_id, response.producer_epoch};
    return error;
}

struct producer new_producer(const char *id)
{
    struct producer got;
    assert_int_equal(init_producer(id, 5, (struct producer){-1, -1}, &got), KAFKA_ERROR_NONE);
    return got;
}

static enum kafka_error ask_partition(const char *id, int16_t version, struct producer producer,
                                      const char *topic_name, int32_t partition, bool verify)
{
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic topic = {
        .name = view_of_string(topic_name), .partitions = &partition, .partitions_count = 1};
    struct add_partitions_to_txn_request_add_partitions_to_txn_transaction request = {
        .transactional_id = view_of_string(id),
        .producer_id = producer.id,
        .producer_epoch = producer.epoch,
        .verify_only = verify,
        .topics = &topic,
        .topics_count = 1,
    };
    struct add_partitions_to_txn_response_add_partitions_to_txn_result response = {0};
    struct fixture_call call;
    fixture_call_init(&fixture.base, &call, version, &request, &response);
    transactions_add_partitions(transactions(), &call.call);
    run_until_told(&call);
    assert_int_equal(call.told, 1);
    enum kafka_error error = call.call.error;
    if (error == KAFKA_ERROR_NONE) {
        assert_int_equal(response.topic_results_count, 1);
        assert_int_equal(response.topic_results[0].results_by_partition_count, 1);
        assert_int_equal(response.topic_results[0].results_by_partition[0].partition_index,
                         partition);
        error = (enum kafka_error)response.topic_results[0]
                    .results_by_partition[0]
                    .partition_error_code;
    }
    fixture_call_deinit(&call);
    return error;
}

enum kafka_error add_partition(const char *id, int16_t version, struct producer producer,
                               const char *topic, int32_t partition)
{
    return ask_partition(id, version, producer, topic, partition, false);
}

enum kafka_error verify_partition(const char *id, struct producer producer, const char *topic,
                                  int32_t partition)
{
    return ask_partition(id, 5, producer, topic, partition, true);
}

enum kafka_error add_offsets(const char *id, int16_t version, struct producer producer,
                             const char *group)
{
    struct add_offsets_to_txn_request request;
    add_offsets_to_txn_request_init(&request);
    request.transactional_id = view_of_string(id);
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    request.group_id = view_of_string(group);
    struct add_offsets_to_txn_response response;
    add_offsets_to_txn_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&fixture.base, &call, version, &request, &response);
    transactions_add_offsets(transactions(), &call.call);
    run_until_told(&call);
    return finish(&call, response.error_code);
}

enum kafka_error end_transaction(const char *id, int16_t version, struct producer producer,
                                 bool commit, struct producer *got)
{
    struct end_txn_request request;
    end_txn_request_init(&request);
    request.transactional_id = view_of_string(id);
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    request.committed = commit;
    struct end_txn_response response;
    end_txn_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&fixture.base, &call, version, &request, &response);
    transactions_end(transactions(), &call.call);
    transaction_fixture_run();
    enum kafka_error error = finish(&call, response.error_code);
    if (got)
        *got = (struct producer){response.producer_id, response.producer_epoch};
    return error;
}

/* ---- States ---- */

static bool is_open(enum transaction_status status)
{
    return status == TRANSACTION_ONGOING || status == TRANSACTION_PREPARE_COMMIT ||
           status == TRANSACTION_PREPARE_ABORT;
}

static struct view with_version(struct arena *arena, int16_t version, size_t size,
                                struct message_writer *writer)
{
    uint8_t *bytes = arena_get(arena, size + 2);
    store_u16(bytes, (uint16_t)version);
    *writer = message_writer_of(bytes + 2, size);
    return view_of(bytes, size + 2);
}

void load_state(enum transaction_status status, int16_t epoch)
{
    struct arena arena;
    arena_init(&arena, &fixture.base.other_heap, MEMORY_SCRATCH, 0);
    int32_t partition = 1;
    struct transaction_log_value_partitions_schema topic = {
        .topic = VIEW_LITERAL("data"), .partition_ids = &partition, .partition_ids_count = 1};
    struct transaction_log_value value;
    transaction_log_value_init(&value);
    value.producer_id = 1000;
    value.previous_producer_id = 900;
    value.producer_epoch = epoch;
    value.transaction_timeout_ms = 60000;
    value.transaction_status = (int8_t)status;
    value.transaction_last_update_timestamp_ms = fixture.base.log.node.wall_ms;
    value.transaction_start_timestamp_ms =
        status == TRANSACTION_EMPTY ? -1 : fixture.base.log.node.wall_ms;
    value.client_transaction_version = 2;
    if (is_open(status)) {
        value.transaction_partitions = &topic;
        value.transaction_partitions_count = 1;
    }
    struct transaction_log_key key = {.transactional_id = VIEW_LITERAL("t")};
    struct message_writer writer;
    struct view key_bytes = with_version(&arena, 0, transaction_log_key_size(&key, 0), &writer);
    transaction_log_key_encode(&key, &writer, 0);
    struct view value_bytes =
        with_version(&arena, 1, transaction_log_value_size(&value, 1), &writer);
    transaction_log_value_encode(&value, &writer, 1);
    coordinator_fixture_resign(&fixture.base);
    struct batch_options options = fixture_options();
    coordinator_fixture_write(&fixture.base, &options, key_bytes, value_bytes);
    coordinator_fixture_reload(&fixture.base);
    arena_deinit(&arena);
}
