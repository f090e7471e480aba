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

#include <string.h>

#include "bench/coordinator_requests.h"
#include "bench/load.h"
#include "bench/template.h"
#include "protocol/batch.h"
#include "protocol/errors.h"
#include "protocol/messages/add_partitions_to_txn.h"
#include "protocol/messages/produce.h"

enum {
    ADD_VERSION = 2,
    END_VERSION_1 = 2,
    END_VERSION_2 = 5,
    PRODUCE_VERSION_1 = BENCH_PRODUCE_VERSION,
    PRODUCE_VERSION_2 = 12
};

struct transactional_producer {
    struct bench_transactional identity;
    struct bench_batch *batches; /* [options.batches] */
    int32_t *sequences;          /* by batch */
    struct arena arena;          /* of the request under way */
    struct request_template template;
    uint64_t begun_ns;
};

struct transaction_load {
    struct bench_load base;
    struct transactional_producer *producers;
    uint64_t retries;
};

static bool is_newer(const struct transaction_load *load)
{
    return load->base.options->transaction_version == 2;
}

static void send(struct transaction_load *load, unsigned index)
{
    bench_client_ask(&load->base.pool.clients[index], &load->producers[index].template,
                     bench_now_ns());
}

static void add_partitions(struct transaction_load *load, unsigned index)
{
    struct transactional_producer *producer = &load->producers[index];
    unsigned count = load->base.options->batches;
    arena_reset(&producer->arena);
    struct add_partitions_to_txn_request request;
    add_partitions_to_txn_request_init(&request);
    request.v3_and_below_transactional_id = view_of_string(producer->identity.id);
    request.v3_and_below_producer_id = producer->identity.producer.id;
    request.v3_and_below_producer_epoch = producer->identity.producer.epoch;
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic topic = {
        .name = view_of_string(load->base.options->topic)};
    topic.partitions = arena_get_array(&producer->arena, count, sizeof(int32_t));
    topic.partitions_count = count;
    for (unsigned i = 0; i < count; i++)
        topic.partitions[i] = producer->batches[i].partition;
    request.v3_and_below_topics = &topic;
    request.v3_and_below_topics_count = 1;
    BENCH_TEMPLATE(add_partitions_to_txn_request, API_KEY_ADD_PARTITIONS_TO_TXN, &request,
                   ADD_VERSION, &producer->arena, &producer->template);
    send(load, index);
}

static void produce(struct transaction_load *load, unsigned index)
{
    struct transactional_producer *producer = &load->producers[index];
    unsigned count = load->base.options->batches;
    int16_t version = is_newer(load) ? PRODUCE_VERSION_2 : PRODUCE_VERSION_1;
    arena_reset(&producer->arena);
    for (unsigned i = 0; i < count; i++) {
        struct bench_stamp stamp = {.producer_id = producer->identity.producer.id,
                                    .producer_epoch = producer->identity.producer.epoch,
                                    .base_sequence = producer->sequences[i],
                                    .transactional = true};
        bench_batch_stamp(producer->batches[i].bytes, producer->batches[i].size, &stamp);
    }
    bench_encode_produce(&producer->arena, load->base.options->topic, producer->identity.id, -1,
                         version, producer->batches, count, &producer->template);
    send(load, index);
}

static void end_transaction(struct transaction_load *load, unsigned index)
{
    struct transactional_producer *producer = &load->producers[index];
    int16_t version = is_newer(load) ? END_VERSION_2 : END_VERSION_1;
    arena_reset(&producer->arena);
    bench_end_template(&producer->arena, &producer->identity, version, &producer->template);
    send(load, index);
}

static void begin(struct transaction_load *load, unsigned index, uint64_t now_ns)
{
    if (now_ns >= load->base.end_ns)
        return;
    load->producers[index].begun_ns = now_ns;
    if (is_newer(load))
        produce(load, index);
    else
        add_partitions(load, index);
}

/* True when the answer says "not yet" and the request was sent again. */
static bool is_repeated(struct transaction_load *load, unsigned index, enum kafka_error error,
                        const char *what)
{
    if (error == KAFKA_ERROR_NONE)
        return false;
    if (!bench_is_early(error))
        bench_fail("%s: %s", what, kafka_error_name(error));
    load->retries++;
    send(load, index);
    return true;
}

static void added(struct transaction_load *load, unsigned index, const uint8_t *body, size_t size)
{
    struct add_partitions_to_txn_response response;
    BENCH_DECODE(add_partitions_to_txn_response, API_KEY_ADD_PARTITIONS_TO_TXN, ADD_VERSION, body,
                 size, &response, &load->base.scratch);
    int16_t code = 0;
    for (size_t t = 0; t < response.results_by_topic_v3_and_below_count; t++)
        for (size_t p = 0; p < response.results_by_topic_v3_and_below[t].results_by_partition_count;
             p++)
            if (code == 0)
                code = response.results_by_topic_v3_and_below[t]
                           .results_by_partition[p]
                           .partition_error_code;
    if (!is_repeated(load, index, (enum kafka_error)code, "add partitions"))
        produce(load, index);
}

static void produced(struct transaction_load *load, unsigned index, int16_t version,
                     const uint8_t *body, size_t size)
{
    struct transactional_producer *producer = &load->producers[index];
    struct produce_response response;
    BENCH_DECODE(produce_response, API_KEY_PRODUCE, version, body, size, &response,
                 &load->base.scratch);
    for (size_t t = 0; t < response.responses_count; t++)
        for (size_t p = 0; p < response.responses[t].partition_responses_count; p++)
            if (is_repeated(
                    load, index,
                    (enum kafka_error)response.responses[t].partition_responses[p].error_code,
                    "produce"))
                return;
    for (unsigned i = 0; i < load->base.options->batches; i++) {
        producer->sequences[i] += batch_record_count(producer->batches[i].bytes);
        load->base.report.bytes += producer->batches[i].size;
    }
    end_transaction(load, index);
}

static void ended(struct transaction_load *load, unsigned index, int16_t version,
                  const uint8_t *body, size_t size, uint64_t now_ns)
{
    struct transactional_producer *producer = &load->producers[index];
    enum kafka_error error =
        bench_read_end(&load->base.scratch, version, body, size, &producer->identity);
    if (is_repeated(load, index, error, "end of a transaction"))
        return;
    if (is_newer(load))
        memset(producer->sequences, 0, load->base.options->batches * sizeof(int32_t));
    report_request(&load->base.report, producer->begun_ns, now_ns);
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
    arena_reset(&load->base.scratch);
}

static void prepare(struct transaction_load *load)
{
    const struct bench_options *options = load->base.options;
    load->producers =
        arena_get_array(&load->base.arena, options->connections, sizeof(*load->producers));
    for (unsigned i = 0; i < options->connections; i++) {
        struct transactional_producer *producer = &load->producers[i];
        bench_init_transactional(&load->base.pool, options, i, &producer->identity);
        producer->batches =
            arena_get_array(&load->base.arena, options->batches, sizeof(*producer->batches));
        producer->sequences =
            arena_get_array(&load->base.arena, options->batches, sizeof(*producer->sequences));
        arena_init(&producer->arena, &load->base.pool.heap, MEMORY_SCRATCH, 0);
        struct random_stream random;
        random_init(&random, 1, i);
        for (unsigned b = 0; b < options->batches; b++) {
            struct bench_batch *batch = &producer->batches[b];
            batch->partition =
                (int32_t)((i * options->batches + b) % (unsigned)options->partitions);
            batch->bytes = bench_batch_make(&load->base.arena, options, &random, &batch->size);
        }
    }
}

static void run(struct transaction_load *load)
{
    for (unsigned i = 0; i < load->base.options->connections; i++)
        begin(load, i, bench_now_ns());
    bench_load_drain(&load->base, "transactions");
}

void load_transaction(const struct bench_options *options)
{
    struct transaction_load load = {0};
    bench_load_open(&load.base, options);
    bench_create_topic(&load.base.pool, options);
    prepare(&load);
    bench_load_start(&load.base, transaction_answered, &load);
    run(&load);
    report_add(&load.base.report, "retries_per_transaction",
               load.base.report.requests ? (double)load.retries / (double)load.base.report.requests
                                         : 0,
               "");
    bench_load_finish(&load.base);
    for (unsigned i = 0; i < options->connections; i++)
        arena_deinit(&load.producers[i].arena);
    bench_load_close(&load.base);
}
