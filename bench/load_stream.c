/*
 * Producers that write at a rate and, with --commit-ms, commit what they wrote every so often
 * (KIP-890, version 2). Without --commit-ms the same requests go out idempotent only, so that two
 * runs differ in the transactions and in nothing else.
 *
 *     sending <-> alone (a partition that is new in the transaction)
 *     sending -> (commit due) draining -> ending -> sending ...
 *
 * Open loop: a request is due at a fixed time also while its producer ends a transaction, and its
 * latency runs from then. The first request of a transaction to a partition goes alone, because it
 * may be refused: the transaction before still ends, or another partition is being added. Then it
 * is sent again, and nothing may have overtaken it.
 */
#include "bench/loads.h"

#include <stdio.h>
#include <string.h>

#include "bench/coordinator_requests.h"
#include "bench/report.h"
#include "bench/template.h"
#include "protocol/batch.h"
#include "protocol/errors.h"
#include "protocol/messages/end_txn.h"
#include "protocol/messages/produce.h"

enum { TEMPLATES = 8, PRODUCE_VERSION = 12, END_VERSION = 5 };

enum stream_state { STREAM_SENDING, STREAM_ALONE, STREAM_DRAINING, STREAM_ENDING };

struct stream_request {
    struct request_template template;
    uint8_t *batch; /* inside the template */
    int32_t partition;
};

struct stream {
    char id[128];
    struct bench_producer_id producer;
    enum stream_state state;
    struct stream_request requests[TEMPLATES];
    unsigned next;
    int32_t *sequences; /* next one, by partition; a transaction begins with 0 */
    bool is_open;       /* something was sent since the last end */
    uint64_t due_ns;
    uint64_t commit_due_ns;
    struct arena arena; /* of the EndTxn under way */
    struct request_template end;
};

struct stream_load {
    const struct bench_options *options;
    struct bench_pool pool;
    struct arena arena;
    struct arena scratch;
    struct stream *streams;
    struct bench_report report;
    uint64_t interval_ns;
    uint64_t commit_ns; /* 0: no transactions */
    uint64_t commits;
    uint64_t retries;
    uint64_t end_ns;
};

/* ---- Requests ---- */

static void make_request(struct stream_load *load, struct stream *stream,
                         struct random_stream *random, struct stream_request *out)
{
    const struct bench_options *options = load->options;
    size_t size;
    uint8_t *batch = bench_batch_make(&load->arena, options, random, &size);
    struct produce_request request;
    produce_request_init(&request);
    request.transactional_id = load->commit_ns ? view_of_string(stream->id) : view_of(NULL, 0);
    request.acks = -1;
    request.timeout_ms = 30000;
    out->partition = (int32_t)random_below(random, (uint64_t)options->partitions);
    struct produce_request_partition_produce_data partition = {
        .index = out->partition, .records = {.memory = view_of(batch, size)}};
    struct produce_request_topic_produce_data topic = {.name = view_of_string(options->topic),
                                                       .partition_data = &partition,
                                                       .partition_data_count = 1};
    request.topic_data = &topic;
    request.topic_data_count = 1;
    BENCH_TEMPLATE(produce_request, API_KEY_PRODUCE, &request, PRODUCE_VERSION, &load->arena,
                   &out->template);
    out->template.payload = size;
    /* Behind the batch are the tags of the partition, of the topic and of the request. */
    out->batch = out->template.bytes + out->template.size - size - 3;
    if (memcmp(out->batch, batch, size) != 0)
        bench_fail("the batch is not where it should be");
}

static void stamp(const struct stream_load *load, struct stream *stream,
                  struct stream_request *request)
{
    int32_t *sequence = &stream->sequences[request->partition];
    struct bench_stamp stamp = {.producer_id = stream->producer.id,
                                .producer_epoch = stream->producer.epoch,
                                .base_sequence = *sequence,
                                .transactional = load->commit_ns != 0};
    bench_batch_stamp(request->batch, request->template.payload, &stamp);
    *sequence += batch_record_count(request->batch);
}

static void end_transaction(struct stream_load *load, unsigned index, uint64_t now_ns)
{
    struct stream *stream = &load->streams[index];
    arena_reset(&stream->arena);
    struct end_txn_request request;
    end_txn_request_init(&request);
    request.transactional_id = view_of_string(stream->id);
    request.producer_id = stream->producer.id;
    request.producer_epoch = stream->producer.epoch;
    request.committed = true;
    BENCH_TEMPLATE(end_txn_request, API_KEY_END_TXN, &request, END_VERSION, &stream->arena,
                   &stream->end);
    stream->state = STREAM_ENDING;
    bench_client_send(&load->pool.clients[index], &stream->end, now_ns);
    bench_client_flush(&load->pool.clients[index]);
}

/* ---- What is due ---- */

static bool adds_partition(const struct stream_load *load, const struct stream *stream)
{
    return load->commit_ns &&
           stream->sequences[stream->requests[stream->next % TEMPLATES].partition] == 0;
}

static bool may_send(const struct stream_load *load, unsigned index)
{
    const struct stream *stream = &load->streams[index];
    uint64_t open = bench_client_open_sends(&load->pool.clients[index]);
    return stream->state == STREAM_SENDING &&
           open < (adds_partition(load, stream) ? 1 : load->options->in_flight);
}

static void send_due(struct stream_load *load, unsigned index, uint64_t now_ns)
{
    struct stream *stream = &load->streams[index];
    struct bench_client *client = &load->pool.clients[index];
    bool is_over = now_ns >= load->end_ns;
    if (stream->is_open && stream->state == STREAM_SENDING &&
        (is_over || now_ns >= stream->commit_due_ns))
        stream->state = STREAM_DRAINING;
    if (stream->state == STREAM_DRAINING && bench_client_open_sends(client) == 0)
        end_transaction(load, index, now_ns);
    bool queued = false;
    while (!is_over && stream->due_ns <= now_ns && may_send(load, index)) {
        if (adds_partition(load, stream))
            stream->state = STREAM_ALONE;
        struct stream_request *request = &stream->requests[stream->next++ % TEMPLATES];
        stamp(load, stream, request);
        bench_client_send(client, &request->template, stream->due_ns);
        stream->is_open = load->commit_ns != 0;
        stream->due_ns += load->interval_ns;
        queued = true;
    }
    if (queued)
        bench_client_flush(client);
}

static uint64_t pause_ns(const struct stream_load *load, uint64_t now_ns)
{
    uint64_t next_ns = now_ns + 10000000;
    for (unsigned i = 0; i < load->options->connections; i++) {
        const struct stream *stream = &load->streams[i];
        if (may_send(load, i) && stream->due_ns < next_ns)
            next_ns = stream->due_ns;
        if (stream->is_open && stream->state == STREAM_SENDING && stream->commit_due_ns < next_ns)
            next_ns = stream->commit_due_ns;
    }
    return next_ns > now_ns ? next_ns - now_ns : 0;
}

/* ---- Answers ---- */

static void produced(struct stream_load *load, struct bench_client *client,
                     const struct bench_send *send, const uint8_t *body, size_t size,
                     uint64_t now_ns)
{
    struct stream *stream = &load->streams[client->index];
    struct produce_response response;
    BENCH_DECODE(produce_response, API_KEY_PRODUCE, PRODUCE_VERSION, body, size, &response,
                 &load->scratch);
    if (response.responses_count != 1 || response.responses[0].partition_responses_count != 1)
        bench_fail("an answer to Produce that does not fit");
    enum kafka_error error =
        (enum kafka_error)response.responses[0].partition_responses[0].error_code;
    if (stream->state == STREAM_ALONE && (error == KAFKA_ERROR_CONCURRENT_TRANSACTIONS ||
                                          error == KAFKA_ERROR_NOT_ENOUGH_REPLICAS)) {
        load->retries++;
        bench_client_send(client, send->template, send->intended_ns);
        bench_client_flush(client);
        return;
    }
    if (error != KAFKA_ERROR_NONE)
        bench_fail("produce: %s", kafka_error_name(error));
    if (stream->state == STREAM_ALONE)
        stream->state = STREAM_SENDING;
    load->report.requests++;
    load->report.bytes += send->template->payload;
    histogram_record(&load->report.latency_us, (now_ns - send->intended_ns) / 1000);
}

static void ended(struct stream_load *load, struct bench_client *client, const uint8_t *body,
                  size_t size, uint64_t now_ns)
{
    struct stream *stream = &load->streams[client->index];
    struct end_txn_response response;
    BENCH_DECODE(end_txn_response, API_KEY_END_TXN, END_VERSION, body, size, &response,
                 &load->scratch);
    enum kafka_error error = (enum kafka_error)response.error_code;
    if (error == KAFKA_ERROR_CONCURRENT_TRANSACTIONS) {
        load->retries++;
        end_transaction(load, client->index, now_ns);
        return;
    }
    if (error != KAFKA_ERROR_NONE)
        bench_fail("end of a transaction: %s", kafka_error_name(error));
    stream->producer =
        (struct bench_producer_id){.id = response.producer_id, .epoch = response.producer_epoch};
    memset(stream->sequences, 0, (size_t)load->options->partitions * sizeof(int32_t));
    stream->is_open = false;
    stream->state = STREAM_SENDING;
    stream->commit_due_ns += load->commit_ns;
    load->commits++;
}

static void stream_answered(struct bench_client *client, const struct bench_send *send,
                            const uint8_t *body, size_t size, uint64_t now_ns)
{
    struct stream_load *load = client->pool->owner;
    if (send->template->api_key == API_KEY_PRODUCE)
        produced(load, client, send, body, size, now_ns);
    else
        ended(load, client, body, size, now_ns);
    arena_reset(&load->scratch);
}

/* ---- The run ---- */

static void prepare(struct stream_load *load)
{
    const struct bench_options *options = load->options;
    load->streams = arena_get_array(&load->arena, options->connections, sizeof(*load->streams));
    for (unsigned i = 0; i < options->connections; i++) {
        struct stream *stream = &load->streams[i];
        snprintf(stream->id, sizeof(stream->id), "%s-%u", options->group, i);
        if (load->commit_ns)
            bench_await_coordinator(&load->pool, stream->id, BENCH_KEY_TRANSACTION);
        stream->producer = bench_init_producer(&load->pool, load->commit_ns ? stream->id : NULL);
        stream->sequences =
            arena_get_array(&load->arena, (size_t)options->partitions, sizeof(int32_t));
        arena_init(&stream->arena, &load->pool.heap, MEMORY_SCRATCH, 0);
        struct random_stream random;
        random_init(&random, 1, i);
        for (unsigned t = 0; t < TEMPLATES; t++)
            make_request(load, stream, &random, &stream->requests[t]);
    }
}

static bool is_over(const struct stream_load *load, uint64_t now_ns)
{
    if (now_ns < load->end_ns)
        return false;
    for (unsigned i = 0; i < load->options->connections; i++)
        if (load->streams[i].is_open || bench_client_open_sends(&load->pool.clients[i]) > 0)
            return false;
    return true;
}

static void run(struct stream_load *load)
{
    const struct bench_options *options = load->options;
    uint64_t start_ns = load->report.start_ns;
    load->end_ns = start_ns + (uint64_t)(options->seconds * 1e9);
    load->interval_ns = (uint64_t)(1e9 * options->connections / options->rate);
    /* Neither requests nor commits of the producers fall together. */
    for (unsigned i = 0; i < options->connections; i++) {
        load->streams[i].due_ns = start_ns + load->interval_ns * i / options->connections;
        load->streams[i].commit_due_ns =
            start_ns + load->commit_ns + load->commit_ns * i / options->connections;
    }
    for (uint64_t now_ns = start_ns; !is_over(load, now_ns); now_ns = bench_now_ns()) {
        if (now_ns > load->end_ns + 60000000000u)
            bench_fail("requests are still unanswered a minute after the end");
        for (unsigned i = 0; i < options->connections; i++)
            send_due(load, i, now_ns);
        bench_pool_turn(&load->pool, pause_ns(load, bench_now_ns()));
        report_progress(&load->report, bench_now_ns());
    }
}

void load_stream(const struct bench_options *options)
{
    struct stream_load load = {.options = options,
                               .commit_ns = (uint64_t)(options->commit_ms * 1e6)};
    bench_open(&load.pool, options);
    bench_create_topic(&load.pool, options);
    arena_init(&load.arena, &load.pool.heap, MEMORY_STATE, 0);
    arena_init(&load.scratch, &load.pool.heap, MEMORY_SCRATCH, 0);
    prepare(&load);
    load.pool.owner = &load;
    load.pool.answered = stream_answered;
    report_start(&load.report, options, &load.pool.heap);
    run(&load);
    report_add(&load.report, "commits", (double)load.commits, "");
    report_add(&load.report, "retries", (double)load.retries, "");
    report_finish(&load.report);
    report_deinit(&load.report);
    for (unsigned i = 0; i < options->connections; i++)
        arena_deinit(&load.streams[i].arena);
    arena_deinit(&load.scratch);
    arena_deinit(&load.arena);
    bench_pool_close(&load.pool);
}
