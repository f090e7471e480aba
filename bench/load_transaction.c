/*
 * Transactions: each connection is a transactional producer that writes one batch to each of
 * --batches partitions and commits, over and over. Latency runs from the first request of a
 * transaction to the answer of EndTxn.
 *
 *     version 1: AddPartitionsToTxn -> Produce -> EndTxn
 *     version 2: Produce -> EndTxn (KIP-890: partitions are added on the way, each end brings a new
 *                epoch, in which sequence numbers start again)
 *
 * CONCURRENT_TRANSACTIONS (the one before still ends) asks again, as every client does.
 */
#include "bench/loads.h"

#include <stdio.h>

#include "bench/coordinator_requests.h"
#include "bench/report.h"
#include "bench/template.h"
#include "protocol/batch.h"
#include "protocol/errors.h"
#include "protocol/messages/add_partitions_to_txn.h"
#include "protocol/messages/end_txn.h"
#include "protocol/messages/produce.h"

enum {
    ADD_VERSION = 2,
    END_VERSION_1 = 2,
    END_VERSION_2 = 5,
    PRODUCE_VERSION_1 = BENCH_PRODUCE_VERSION,
    PRODUCE_VERSION_2 = 12
};

struct transactional_producer {
    char id[128];
    struct bench_producer_id producer;
    int32_t first_partition;
    uint8_t **batches; /* [options.batches] */
    size_t *sizes;
    int32_t *sequences;
    struct arena arena; /* of the request under way */
    struct request_template template;
    uint64_t begun_ns;
};

struct transaction_load {
    const struct bench_options *options;
    struct bench_pool pool;
    struct arena arena;
    struct arena scratch;
    struct transactional_producer *producers;
    struct bench_report report;
    uint64_t retries;
    uint64_t end_ns;
};

static bool is_newer(const struct transaction_load *load)
{
    return load->options->transaction_version == 2;
}

static void send(struct transaction_load *load, unsigned index)
{
    bench_client_send(&load->pool.clients[index], &load->producers[index].template, bench_now_ns());
    bench_client_flush(&load->pool.clients[index]);
}

static void add_partitions(struct transaction_load *load, unsigned index)
{
    struct transactional_producer *producer = &load->producers[index];
    unsigned count = load->options->batches;
    arena_reset(&producer->arena);
    struct add_partitions_to_txn_request request;
    add_partitions_to_txn_request_init(&request);
    request.v3_and_below_transactional_id = view_of_string(producer->id);
    request.v3_and_below_producer_id = producer->producer.id;
    request.v3_and_below_producer_epoch = producer->producer.epoch;
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic topic = {
        .name = view_of_string(load->options->topic)};
    topic.partitions = arena_get_array(&producer->arena, count, sizeof(int32_t));
    topic.partitions_count = count;
    for (unsigned i = 0; i < count; i++)
        topic.partitions[i] = (producer->first_partition + (int32_t)i) % load->options->partitions;
    request.v3_and_below_topics = &topic;
    request.v3_and_below_topics_count = 1;
    BENCH_TEMPLATE(add_partitions_to_txn_request, API_KEY_ADD_PARTITIONS_TO_TXN, &request,
                   ADD_VERSION, &producer->arena, &producer->template);
    send(load, index);
}

static void produce(struct transaction_load *load, unsigned index)
{
    struct transactional_producer *producer = &load->producers[index];
    unsigned count = load->options->batches;
    int16_t version = is_newer(load) ? PRODUCE_VERSION_2 : PRODUCE_VERSION_1;
    arena_reset(&producer->arena);
    struct produce_request request;
    produce_request_init(&request);
    request.transactional_id = view_of_string(producer->id);
    request.acks = -1;
    request.timeout_ms = 30000;
    struct produce_request_topic_produce_data topic = {.name =
                                                           view_of_string(load->options->topic)};
    topic.partition_data = arena_get_array(&producer->arena, count, sizeof(*topic.partition_data));
    topic.partition_data_count = count;
    for (unsigned i = 0; i < count; i++) {
        struct bench_stamp stamp = {.producer_id = producer->producer.id,
                                    .producer_epoch = producer->producer.epoch,
                                    .base_sequence = producer->sequences[i],
                                    .transactional = true};
        bench_batch_stamp(producer->batches[i], producer->sizes[i], &stamp);
        topic.partition_data[i].index =
            (producer->first_partition + (int32_t)i) % load->options->partitions;
        topic.partition_data[i].records =
            (struct records_field){.memory = view_of(producer->batches[i], producer->sizes[i])};
    }
    request.topic_data = &topic;
    request.topic_data_count = 1;
    BENCH_TEMPLATE(produce_request, API_KEY_PRODUCE, &request, version, &producer->arena,
                   &producer->template);
    send(load, index);
}

static void end_transaction(struct transaction_load *load, unsigned index)
{
    struct transactional_producer *producer = &load->producers[index];
    int16_t version = is_newer(load) ? END_VERSION_2 : END_VERSION_1;
    arena_reset(&producer->arena);
    struct end_txn_request request;
    end_txn_request_init(&request);
    request.transactional_id = view_of_string(producer->id);
    request.producer_id = producer->producer.id;
    request.producer_epoch = producer->producer.epoch;
    request.committed = true;
    BENCH_TEMPLATE(end_txn_request, API_KEY_END_TXN, &request, version, &producer->arena,
                   &producer->template);
    send(load, index);
}

static void begin(struct transaction_load *load, unsigned index, uint64_t now_ns)
{
    if (now_ns >= load->end_ns)
        return;
    load->producers[index].begun_ns = now_ns;
    if (is_newer(load))
        produce(load, index);
    else
        add_partitions(load, index);
}

/* True when the answer says "not yet" and the request was sent again. */
static bool is_repeated(struct transaction_load *load, unsigned index, int16_t code,
                        const char *what)
{
    enum kafka_error error = (enum kafka_error)code;
    if (error == KAFKA_ERROR_NONE)
        return false;
    if (error != KAFKA_ERROR_CONCURRENT_TRANSACTIONS && error != KAFKA_ERROR_NOT_ENOUGH_REPLICAS)
        bench_fail("%s: %s", what, kafka_error_name(error));
    load->retries++;
    send(load, index);
    return true;
}

static void added(struct transaction_load *load, unsigned index, const uint8_t *body, size_t size)
{
    struct add_partitions_to_txn_response response;
    BENCH_DECODE(add_partitions_to_txn_response, API_KEY_ADD_PARTITIONS_TO_TXN, ADD_VERSION, body,
                 size, &response, &load->scratch);
    int16_t code = 0;
    for (size_t t = 0; t < response.results_by_topic_v3_and_below_count; t++)
        for (size_t p = 0; p < response.results_by_topic_v3_and_below[t].results_by_partition_count;
             p++)
            if (code == 0)
                code = response.results_by_topic_v3_and_below[t]
                           .results_by_partition[p]
                           .partition_error_code;
    if (!is_repeated(load, index, code, "add partitions"))
        produce(load, index);
}

static void produced(struct transaction_load *load, unsigned index, int16_t version,
                     const uint8_t *body, size_t size)
{
    struct transactional_producer *producer = &load->producers[index];
    struct produce_response response;
    BENCH_DECODE(produce_response, API_KEY_PRODUCE, version, body, size, &response, &load->scratch);
    for (size_t t = 0; t < response.responses_count; t++)
        for (size_t p = 0; p < response.responses[t].partition_responses_count; p++)
            if (is_repeated(load, index, response.responses[t].partition_responses[p].error_code,
                            "produce"))
                return;
    for (unsigned i = 0; i < load->options->batches; i++) {
        producer->sequences[i] += batch_record_count(producer->batches[i]);
        load->report.bytes += producer->sizes[i];
    }
    end_transaction(load, index);
}

static void ended(struct transaction_load *load, unsigned index, int16_t version,
                  const uint8_t *body, size_t size, uint64_t now_ns)
{
    struct transactional_producer *producer = &load->producers[index];
    struct end_txn_response response;
    BENCH_DECODE(end_txn_response, API_KEY_END_TXN, version, body, size, &response, &load->scratch);
    if (is_repeated(load, index, response.error_code, "end of a transaction"))
        return;
    if (is_newer(load)) {
        producer->producer.id = response.producer_id;
        producer->producer.epoch = response.producer_epoch;
        for (unsigned i = 0; i < load->options->batches; i++)
            producer->sequences[i] = 0;
    }
    load->report.requests++;
    histogram_record(&load->report.latency_us, (now_ns - producer->begun_ns) / 1000);
    begin(load, index, now_ns);
}

static void transaction_answered(struct bench_client *client, const struct bench_send *send,
                                 const uint8_t *body, size_t size, uint64_t now_ns)
{
    struct transaction_load *load = client->pool->owner;
    int16_t version = send->template->version;
    if (send->template->api_key == API_KEY_ADD_PARTITIONS_TO_TXN)
        added(load, client->index, body, size);
    else if (send->template->api_key == API_KEY_PRODUCE)
        produced(load, client->index, version, body, size);
    else
        ended(load, client->index, version, body, size, now_ns);
    arena_reset(&load->scratch);
}

static void prepare(struct transaction_load *load)
{
    const struct bench_options *options = load->options;
    load->producers = arena_get_array(&load->arena, options->connections, sizeof(*load->producers));
    for (unsigned i = 0; i < options->connections; i++) {
        struct transactional_producer *producer = &load->producers[i];
        snprintf(producer->id, sizeof(producer->id), "%s-%u", options->group, i);
        bench_await_coordinator(&load->pool, producer->id, BENCH_KEY_TRANSACTION);
        producer->producer = bench_init_producer(&load->pool, producer->id);
        producer->first_partition = (int32_t)(i * options->batches % (unsigned)options->partitions);
        producer->batches =
            arena_get_array(&load->arena, options->batches, sizeof(*producer->batches));
        producer->sizes = arena_get_array(&load->arena, options->batches, sizeof(*producer->sizes));
        producer->sequences =
            arena_get_array(&load->arena, options->batches, sizeof(*producer->sequences));
        arena_init(&producer->arena, &load->pool.heap, MEMORY_SCRATCH, 0);
        struct random_stream random;
        random_init(&random, 1, i);
        for (unsigned b = 0; b < options->batches; b++)
            producer->batches[b] =
                bench_batch_make(&load->arena, options, &random, &producer->sizes[b]);
    }
}

static bool is_idle(const struct transaction_load *load)
{
    for (unsigned i = 0; i < load->options->connections; i++)
        if (bench_client_open_sends(&load->pool.clients[i]) > 0)
            return false;
    return true;
}

static void run(struct transaction_load *load)
{
    load->end_ns = load->report.start_ns + (uint64_t)(load->options->seconds * 1e9);
    for (unsigned i = 0; i < load->options->connections; i++)
        begin(load, i, bench_now_ns());
    while (!is_idle(load)) {
        bench_pool_turn(&load->pool, 10000000);
        report_progress(&load->report, bench_now_ns());
        if (bench_now_ns() > load->end_ns + 60000000000u)
            bench_fail("transactions are still open a minute after the end");
    }
}

void load_transaction(const struct bench_options *options)
{
    struct transaction_load load = {.options = options};
    bench_open(&load.pool, options);
    bench_create_topic(&load.pool, options);
    arena_init(&load.arena, &load.pool.heap, MEMORY_STATE, 0);
    arena_init(&load.scratch, &load.pool.heap, MEMORY_SCRATCH, 0);
    prepare(&load);
    load.pool.owner = &load;
    load.pool.answered = transaction_answered;
    report_start(&load.report, options, &load.pool.heap);
    run(&load);
    report_add(&load.report, "retries_per_transaction",
               load.report.requests ? (double)load.retries / (double)load.report.requests : 0, "");
    report_finish(&load.report);
    report_deinit(&load.report);
    for (unsigned i = 0; i < options->connections; i++)
        arena_deinit(&load.producers[i].arena);
    arena_deinit(&load.scratch);
    arena_deinit(&load.arena);
    bench_pool_close(&load.pool);
}
