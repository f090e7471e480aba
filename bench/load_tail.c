/*
 * Tail latency: connection 0 writes single records at a fixed rate, the others wait at the end of
 * every partition. Each record carries the time at which it was meant to be sent sixteen bytes
 * before the end of its value, so latency covers the way in, the commit and the way out.
 */
#include "bench/loads.h"

#include "base/crc32c.h"
#include "bench/load.h"
#include "bench/requests.h"
#include "protocol/batch.h"

struct tail_load {
    struct bench_load base;
    struct bench_assignment *assignments; /* per reading connection, index - 1 */
    struct request_template *fetches;
    struct arena *fetch_arenas;
    struct request_template *writes; /* one per queue place: each is patched before it is sent */
    uint64_t now_ns;
    uint64_t written;
};

/* Behind the value there is one byte, the count of headers (none). */
static uint8_t *value_place(const struct request_template *template)
{
    uint8_t *batch = template->bytes + template->size - template->payload;
    return batch + template->payload - 1 - 16;
}

static void note_batch(void *argument, const uint8_t *batch, size_t size)
{
    struct tail_load *load = argument;
    if (size < BATCH_HEADER_SIZE + 17)
        return;
    uint64_t intended_ns = load_u64(batch + size - 1 - 16);
    if (intended_ns < load->base.report.start_ns)
        return;
    load->base.report.bytes += size;
    report_request(&load->base.report, intended_ns, load->now_ns);
}

static void wait_for_more(struct tail_load *load, unsigned index)
{
    arena_reset(&load->fetch_arenas[index]);
    bench_fetch_template(&load->fetch_arenas[index], load->base.options, &load->assignments[index],
                         500, &load->fetches[index]);
    bench_client_ask(&load->base.pool.clients[index], &load->fetches[index], bench_now_ns());
}

static void tail_answered(struct bench_client *client, const struct bench_send *send,
                          const uint8_t *body, size_t size, uint64_t now_ns)
{
    (void)send;
    struct tail_load *load = client->pool->owner;
    load->now_ns = now_ns;
    if (client->index == 0) {
        bench_check_produce(&load->base.scratch, body, size);
        return;
    }
    bench_read_fetch(&load->base.scratch, body, size, &load->assignments[client->index], note_batch,
                     load);
    wait_for_more(load, client->index);
}

/* Puts the time into the value and mends the checksum. */
static void patch(struct request_template *template, uint64_t intended_ns)
{
    uint8_t *batch = template->bytes + template->size - template->payload;
    store_u64(value_place(template), intended_ns);
    uint32_t sum = crc32c(0, batch + BATCH_CRC_START, template->payload - BATCH_CRC_START);
    store_u32(BATCH_FIELD(batch, crc), sum);
}

static void prepare(struct tail_load *load)
{
    const struct bench_options *options = load->base.options;
    unsigned count = options->connections;
    load->assignments = arena_get_array(&load->base.arena, count, sizeof(*load->assignments));
    load->fetches = arena_get_array(&load->base.arena, count, sizeof(*load->fetches));
    load->fetch_arenas = arena_get_array(&load->base.arena, count, sizeof(*load->fetch_arenas));
    int64_t *ends =
        arena_get_array(&load->base.arena, (size_t)options->partitions, sizeof(int64_t));
    bench_end_offsets(&load->base.pool, options, ends);
    for (unsigned i = 1; i < count; i++) {
        struct bench_assignment *assignment = &load->assignments[i];
        arena_init(&load->fetch_arenas[i], &load->base.pool.heap, MEMORY_SCRATCH, 0);
        assignment->partitions =
            arena_get_array(&load->base.arena, (size_t)options->partitions, sizeof(int32_t));
        assignment->offsets =
            arena_get_array(&load->base.arena, (size_t)options->partitions, sizeof(int64_t));
        for (int32_t p = (int32_t)i - 1; p < options->partitions; p += (int32_t)count - 1) {
            assignment->offsets[assignment->count] = ends[p];
            assignment->partitions[assignment->count++] = p;
        }
    }
    load->writes = arena_get_array(&load->base.arena, options->in_flight, sizeof(*load->writes));
    struct random_stream random;
    random_init(&random, 1, 1);
    for (unsigned i = 0; i < options->in_flight; i++)
        bench_produce_template(&load->base.arena, options, &random,
                               (int32_t)i % options->partitions, 1, &load->writes[i]);
}

static void run(struct tail_load *load)
{
    const struct bench_options *options = load->base.options;
    struct bench_client *writer = &load->base.pool.clients[0];
    uint64_t interval_ns = (uint64_t)(1e9 / options->rate);
    uint64_t due_ns = load->base.report.start_ns + interval_ns;
    for (unsigned i = 1; i < options->connections; i++)
        wait_for_more(load, i);
    for (uint64_t now_ns = bench_now_ns(); now_ns < load->base.end_ns; now_ns = bench_now_ns()) {
        while (due_ns <= now_ns && bench_client_open_sends(writer) < options->in_flight) {
            struct request_template *template = &load->writes[load->written++ % options->in_flight];
            patch(template, due_ns);
            bench_client_send(writer, template, due_ns);
            due_ns += interval_ns;
        }
        bench_client_flush(writer);
        now_ns = bench_now_ns();
        bench_load_turn(&load->base, due_ns > now_ns ? due_ns - now_ns : 0);
    }
}

void load_tail(const struct bench_options *options)
{
    if (options->connections < 2 || options->rate <= 0 || options->records_max != 1 ||
        options->acks == 0)
        bench_fail("tail takes at least 2 connections, a rate, batches of one record and acks");
    struct tail_load load = {0};
    bench_load_open(&load.base, options);
    bench_create_topic(&load.base.pool, options);
    prepare(&load);
    bench_load_start(&load.base, tail_answered, &load);
    run(&load);
    bench_load_finish(&load.base);
    for (unsigned i = 1; i < options->connections; i++)
        arena_deinit(&load.fetch_arenas[i]);
    bench_load_close(&load.base);
}
