/*
 * Produce load. Each connection owns a few templates with batches of different sizes for different
 * partitions. Open loop: a connection's k-th request is due at start + k * interval, is sent when
 * it is due whatever came before (up to its in-flight limit; what waits there counts as latency),
 * and its latency runs from when it was due. Closed loop: in-flight requests are kept full.
 */
#include "bench/loads.h"

#include <stdio.h>

#include "bench/coordinator_requests.h"
#include "bench/floors.h"
#include "bench/load.h"
#include "bench/requests.h"
#include "protocol/batch.h"

enum { TEMPLATES = 8, FLOOR_BYTES = 1 << 30 };

struct producer {
    struct request_template templates[TEMPLATES];
    int32_t partitions[TEMPLATES]; /* idempotent: where the template goes */
    int32_t *sequences;            /* idempotent: next one, by partition */
    struct bench_producer_id id;
    unsigned next;
    uint64_t due_ns;
};

struct produce_load {
    struct bench_load base;
    struct producer *producers;
    uint64_t interval_ns;
    uint64_t queued_bytes;
    uint64_t queued;
};

static void produce_answered(struct bench_client *client, const struct bench_send *send,
                             const uint8_t *body, size_t size, uint64_t now_ns)
{
    struct produce_load *load = client->pool->owner;
    if (body)
        bench_check_produce(&load->base.scratch, body, size);
    load->base.report.bytes += send->template->payload;
    report_request(&load->base.report, send->intended_ns, now_ns);
}

static void make_producers(struct produce_load *load)
{
    const struct bench_options *options = load->base.options;
    load->producers =
        arena_get_array(&load->base.arena, options->connections, sizeof(struct producer));
    for (unsigned i = 0; i < options->connections; i++) {
        struct random_stream random;
        random_init(&random, 1, i);
        if (options->idempotent) {
            load->producers[i].id = bench_init_producer(&load->base.pool, NULL);
            load->producers[i].sequences =
                arena_get_array(&load->base.arena, (size_t)options->partitions, sizeof(int32_t));
        }
        for (unsigned t = 0; t < TEMPLATES; t++) {
            int32_t first = (int32_t)random_below(&random, (uint64_t)options->partitions);
            load->producers[i].partitions[t] = first;
            bench_produce_template(&load->base.arena, options, &random, first, options->batches,
                                   &load->producers[i].templates[t]);
        }
    }
}

/* The next sequence number of the partition. A template is sent again when it was answered. */
static void stamp(struct producer *producer, unsigned place)
{
    const struct request_template *template = &producer->templates[place];
    uint8_t *batch = template->bytes + template->size - template->payload;
    int32_t *sequence = &producer->sequences[producer->partitions[place]];
    struct bench_stamp stamp = {.producer_id = producer->id.id,
                                .producer_epoch = producer->id.epoch,
                                .base_sequence = *sequence};
    bench_batch_stamp(batch, template->payload, &stamp);
    *sequence += batch_record_count(batch);
}

static bool enough(const struct produce_load *load, uint64_t now_ns)
{
    const struct bench_options *options = load->base.options;
    return now_ns >= load->base.end_ns ||
           (options->bytes > 0 && load->queued_bytes >= options->bytes) ||
           (options->requests > 0 && load->queued >= options->requests);
}

static void send_due(struct produce_load *load, unsigned index, uint64_t now_ns)
{
    struct producer *producer = &load->producers[index];
    struct bench_client *client = &load->base.pool.clients[index];
    bool queued = false;
    while (bench_client_open_sends(client) < load->base.options->in_flight &&
           !enough(load, now_ns) && (load->interval_ns == 0 || producer->due_ns <= now_ns)) {
        unsigned place = producer->next++ % TEMPLATES;
        const struct request_template *template = &producer->templates[place];
        if (load->base.options->idempotent)
            stamp(producer, place);
        uint64_t intended_ns = load->interval_ns ? producer->due_ns : now_ns;
        if (!bench_client_send(client, template, intended_ns))
            break;
        load->queued_bytes += template->payload;
        load->queued++;
        producer->due_ns += load->interval_ns;
        queued = true;
    }
    if (queued)
        bench_client_flush(client);
}

static uint64_t pause_ns(const struct produce_load *load, uint64_t now_ns)
{
    uint64_t next_ns = now_ns + BENCH_TURN_NS;
    if (load->interval_ns == 0)
        return BENCH_TURN_NS;
    for (unsigned i = 0; i < load->base.options->connections; i++)
        if (load->producers[i].due_ns < next_ns &&
            bench_client_open_sends(&load->base.pool.clients[i]) < load->base.options->in_flight)
            next_ns = load->producers[i].due_ns;
    return next_ns > now_ns ? next_ns - now_ns : 0;
}

static void run(struct produce_load *load)
{
    const struct bench_options *options = load->base.options;
    uint64_t start_ns = load->base.report.start_ns;
    load->interval_ns = bench_load_interval_ns(&load->base);
    for (unsigned i = 0; i < options->connections; i++)
        load->producers[i].due_ns = start_ns + load->interval_ns * i / options->connections;
    for (;;) {
        uint64_t now_ns = bench_now_ns();
        if (enough(load, now_ns) && bench_pool_is_idle(&load->base.pool))
            return;
        bench_load_check_late(&load->base, now_ns, "requests");
        for (unsigned i = 0; i < options->connections; i++)
            send_due(load, i, now_ns);
        bench_load_turn(&load->base, pause_ns(load, bench_now_ns()));
    }
}

void load_produce(const struct bench_options *options)
{
    struct produce_load load = {0};
    bench_load_open(&load.base, options);
    bench_create_topic(&load.base.pool, options);
    load.base.pool.expects_answers = options->acks != 0;
    make_producers(&load);
    if (options->broker_pid) {
        load.base.report.floor_name = "floor_receive_s_per_gib";
        load.base.report.floor_s_per_gib = floor_receive_s_per_gib(options->directory, FLOOR_BYTES);
    }
    bench_load_start(&load.base, produce_answered, &load);
    run(&load);
    bench_load_finish(&load.base);
    bench_load_close(&load.base);
}
