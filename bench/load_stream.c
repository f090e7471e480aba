/*
 * Producers that write at a rate and, with --commit-ms or --commit-requests, commit what they wrote
 * every so often (KIP-890, version 2). Without these the same requests go out idempotent only, so
 * that two runs differ in the transactions and in nothing else. --requests and --commit-requests
 * fix the work by count, whatever a turn of the clock brings.
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

#include <string.h>

#include "bench/coordinator_requests.h"
#include "bench/load.h"
#include "bench/template.h"
#include "protocol/batch.h"
#include "protocol/errors.h"
#include "protocol/messages/produce.h"

enum { TEMPLATES = 8, PRODUCE_VERSION = 12, END_VERSION = 5 };

enum stream_state { STREAM_SENDING, STREAM_ALONE, STREAM_DRAINING, STREAM_ENDING };

struct stream_request {
    struct request_template template;
    uint8_t *batch; /* inside the template */
    int32_t partition;
};

struct stream {
    struct bench_transactional identity; /* without transactions: no transactional id */
    enum stream_state state;
    struct stream_request requests[TEMPLATES];
    unsigned next;
    int32_t *sequences;     /* next one, by partition; a transaction begins with 0 */
    uint64_t open_requests; /* sent since the last end */
    uint64_t left;          /* to be sent until the run is over, if its time is not over before */
    uint64_t due_ns;
    uint64_t commit_due_ns;
    struct arena arena; /* of the EndTxn under way */
    struct request_template end;
};

struct stream_load {
    struct bench_load base;
    struct stream *streams;
    bool transactional;
    uint64_t interval_ns;
    uint64_t commit_ns; /* 0: commits by count, or none */
    uint64_t commits;
    uint64_t retries;
};

/* ---- Requests ---- */

static void make_request(struct stream_load *load, struct stream *stream,
                         struct random_stream *random, struct stream_request *out)
{
    const struct bench_options *options = load->base.options;
    struct bench_batch batch = {.partition =
                                    (int32_t)random_below(random, (uint64_t)options->partitions)};
    batch.bytes = bench_batch_make(&load->base.arena, options, random, &batch.size);
    bench_encode_produce(&load->base.arena, options->topic,
                         load->transactional ? stream->identity.id : NULL, -1, PRODUCE_VERSION,
                         &batch, 1, &out->template);
    out->partition = batch.partition;
    /* Behind the batch are the tags of the partition, of the topic and of the request. */
    out->batch = out->template.bytes + out->template.size - batch.size - 3;
    if (memcmp(out->batch, batch.bytes, batch.size) != 0)
        bench_fail("the batch is not where it should be");
}

static void stamp(const struct stream_load *load, struct stream *stream,
                  struct stream_request *request)
{
    int32_t *sequence = &stream->sequences[request->partition];
    struct bench_stamp stamp = {.producer_id = stream->identity.producer.id,
                                .producer_epoch = stream->identity.producer.epoch,
                                .base_sequence = *sequence,
                                .transactional = load->transactional};
    bench_batch_stamp(request->batch, request->template.payload, &stamp);
    *sequence += batch_record_count(request->batch);
}

static void end_transaction(struct stream_load *load, unsigned index, uint64_t now_ns)
{
    struct stream *stream = &load->streams[index];
    arena_reset(&stream->arena);
    bench_end_template(&stream->arena, &stream->identity, END_VERSION, &stream->end);
    stream->state = STREAM_ENDING;
    bench_client_ask(&load->base.pool.clients[index], &stream->end, now_ns);
}

/* ---- What is due ---- */

static bool adds_partition(const struct stream_load *load, const struct stream *stream)
{
    return load->transactional &&
           stream->sequences[stream->requests[stream->next % TEMPLATES].partition] == 0;
}

static bool has_sent_all(const struct stream_load *load, const struct stream *stream,
                         uint64_t now_ns)
{
    return stream->left == 0 || now_ns >= load->base.end_ns;
}

static bool has_open_transaction(const struct stream_load *load, const struct stream *stream)
{
    return load->transactional && stream->open_requests > 0;
}

static bool is_full(const struct stream_load *load, const struct stream *stream)
{
    uint64_t most = load->base.options->commit_requests;
    return most > 0 && stream->open_requests >= most;
}

static bool is_commit_due(const struct stream_load *load, const struct stream *stream,
                          uint64_t now_ns)
{
    return has_open_transaction(load, stream) &&
           (has_sent_all(load, stream, now_ns) || is_full(load, stream) ||
            (load->commit_ns > 0 && now_ns >= stream->commit_due_ns));
}

static bool may_send(const struct stream_load *load, unsigned index)
{
    const struct stream *stream = &load->streams[index];
    uint64_t open = bench_client_open_sends(&load->base.pool.clients[index]);
    return stream->state == STREAM_SENDING && stream->left > 0 && !is_full(load, stream) &&
           open < (adds_partition(load, stream) ? 1 : load->base.options->in_flight);
}

static void send_due(struct stream_load *load, unsigned index, uint64_t now_ns)
{
    struct stream *stream = &load->streams[index];
    struct bench_client *client = &load->base.pool.clients[index];
    if (stream->state == STREAM_SENDING && is_commit_due(load, stream, now_ns))
        stream->state = STREAM_DRAINING;
    if (stream->state == STREAM_DRAINING && bench_client_open_sends(client) == 0)
        end_transaction(load, index, now_ns);
    bool queued = false;
    while (!has_sent_all(load, stream, now_ns) && stream->due_ns <= now_ns &&
           may_send(load, index)) {
        if (adds_partition(load, stream))
            stream->state = STREAM_ALONE;
        struct stream_request *request = &stream->requests[stream->next++ % TEMPLATES];
        stamp(load, stream, request);
        bench_client_send(client, &request->template, stream->due_ns);
        stream->open_requests++;
        stream->left--;
        stream->due_ns += load->interval_ns;
        queued = true;
    }
    if (queued)
        bench_client_flush(client);
}

static uint64_t pause_ns(const struct stream_load *load, uint64_t now_ns)
{
    uint64_t next_ns = now_ns + BENCH_TURN_NS;
    for (unsigned i = 0; i < load->base.options->connections; i++) {
        const struct stream *stream = &load->streams[i];
        if (may_send(load, i) && stream->due_ns < next_ns)
            next_ns = stream->due_ns;
        if (load->commit_ns > 0 && stream->state == STREAM_SENDING &&
            has_open_transaction(load, stream) && stream->commit_due_ns < next_ns)
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
                 &load->base.scratch);
    if (response.responses_count != 1 || response.responses[0].partition_responses_count != 1)
        bench_fail("an answer to Produce that does not fit");
    enum kafka_error error =
        (enum kafka_error)response.responses[0].partition_responses[0].error_code;
    if (stream->state == STREAM_ALONE && bench_is_early(error)) {
        load->retries++;
        bench_client_ask(client, send->template, send->intended_ns);
        return;
    }
    if (error != KAFKA_ERROR_NONE)
        bench_fail("produce: %s", kafka_error_name(error));
    if (stream->state == STREAM_ALONE)
        stream->state = STREAM_SENDING;
    load->base.report.bytes += send->template->payload;
    report_request(&load->base.report, send->intended_ns, now_ns);
}

static void ended(struct stream_load *load, struct bench_client *client, const uint8_t *body,
                  size_t size, uint64_t now_ns)
{
    struct stream *stream = &load->streams[client->index];
    enum kafka_error error =
        bench_read_end(&load->base.scratch, END_VERSION, body, size, &stream->identity);
    if (bench_is_early(error)) {
        load->retries++;
        end_transaction(load, client->index, now_ns);
        return;
    }
    if (error != KAFKA_ERROR_NONE)
        bench_fail("end of a transaction: %s", kafka_error_name(error));
    memset(stream->sequences, 0, (size_t)load->base.options->partitions * sizeof(int32_t));
    stream->open_requests = 0;
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
    arena_reset(&load->base.scratch);
}

/* ---- The run ---- */

static void prepare(struct stream_load *load)
{
    const struct bench_options *options = load->base.options;
    load->streams =
        arena_get_array(&load->base.arena, options->connections, sizeof(*load->streams));
    for (unsigned i = 0; i < options->connections; i++) {
        struct stream *stream = &load->streams[i];
        if (load->transactional)
            bench_init_transactional(&load->base.pool, options, i, &stream->identity);
        else
            stream->identity.producer = bench_init_producer(&load->base.pool, NULL);
        stream->sequences =
            arena_get_array(&load->base.arena, (size_t)options->partitions, sizeof(int32_t));
        arena_init(&stream->arena, &load->base.pool.heap, MEMORY_SCRATCH, 0);
        struct random_stream random;
        random_init(&random, 1, i);
        for (unsigned t = 0; t < TEMPLATES; t++)
            make_request(load, stream, &random, &stream->requests[t]);
    }
}

static bool is_over(const struct stream_load *load, uint64_t now_ns)
{
    for (unsigned i = 0; i < load->base.options->connections; i++)
        if (!has_sent_all(load, &load->streams[i], now_ns) ||
            has_open_transaction(load, &load->streams[i]))
            return false;
    return bench_pool_is_idle(&load->base.pool);
}

/* The requests of one producer. */
static uint64_t share_of(const struct bench_options *options, unsigned index)
{
    if (options->requests == 0)
        return UINT64_MAX;
    return options->requests / options->connections +
           (index < options->requests % options->connections);
}

static void run(struct stream_load *load)
{
    const struct bench_options *options = load->base.options;
    uint64_t start_ns = load->base.report.start_ns;
    load->interval_ns = bench_load_interval_ns(&load->base);
    /* Neither requests nor commits of the producers fall together. */
    for (unsigned i = 0; i < options->connections; i++) {
        load->streams[i].left = share_of(options, i);
        load->streams[i].due_ns = start_ns + load->interval_ns * i / options->connections;
        load->streams[i].commit_due_ns =
            start_ns + load->commit_ns + load->commit_ns * i / options->connections;
    }
    for (uint64_t now_ns = start_ns; !is_over(load, now_ns); now_ns = bench_now_ns()) {
        bench_load_check_late(&load->base, now_ns, "requests");
        for (unsigned i = 0; i < options->connections; i++)
            send_due(load, i, now_ns);
        bench_load_turn(&load->base, pause_ns(load, bench_now_ns()));
    }
}

void load_stream(const struct bench_options *options)
{
    struct stream_load load = {
        .transactional = options->commit_ms > 0 || options->commit_requests > 0,
        .commit_ns = (uint64_t)(options->commit_ms * 1e6),
    };
    bench_load_open(&load.base, options);
    bench_create_topic(&load.base.pool, options);
    prepare(&load);
    bench_load_start(&load.base, stream_answered, &load);
    run(&load);
    report_add(&load.base.report, "commits", (double)load.commits, "");
    report_add(&load.base.report, "retries", (double)load.retries, "");
    bench_load_finish(&load.base);
    for (unsigned i = 0; i < options->connections; i++)
        arena_deinit(&load.streams[i].arena);
    bench_load_close(&load.base);
}
