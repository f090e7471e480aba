/*
 * Catch-up fetch: the partitions are dealt out over the connections; each asks for all of its own
 * from where it stands, one request at a time, until it reaches the end offsets of the start.
 */
#include "bench/loads.h"

#include "bench/floors.h"
#include "bench/load.h"
#include "bench/requests.h"

enum { FLOOR_BYTES = 1 << 30 };

struct reader_state {
    struct bench_assignment assignment;
    struct request_template template;
    struct arena arena;
    bool finished;
};

struct fetch_load {
    struct bench_load base;
    struct reader_state *readers;
    int64_t *ends;
    unsigned finished;
};

static bool at_end(const struct fetch_load *load, const struct bench_assignment *assignment)
{
    for (unsigned i = 0; i < assignment->count; i++)
        if (assignment->offsets[i] < load->ends[assignment->partitions[i]])
            return false;
    return true;
}

static void ask(struct fetch_load *load, unsigned index)
{
    struct reader_state *reader = &load->readers[index];
    if (at_end(load, &reader->assignment)) {
        if (!reader->finished)
            load->finished++;
        reader->finished = true;
        return;
    }
    arena_reset(&reader->arena);
    bench_fetch_template(&reader->arena, load->base.options, &reader->assignment, 500,
                         &reader->template);
    bench_client_ask(&load->base.pool.clients[index], &reader->template, bench_now_ns());
}

static void fetch_answered(struct bench_client *client, const struct bench_send *send,
                           const uint8_t *body, size_t size, uint64_t now_ns)
{
    struct fetch_load *load = client->pool->owner;
    load->base.report.bytes += bench_read_fetch(
        &load->base.scratch, body, size, &load->readers[client->index].assignment, NULL, NULL);
    report_request(&load->base.report, send->intended_ns, now_ns);
    ask(load, client->index);
}

static void deal_out(struct fetch_load *load)
{
    struct arena *arena = &load->base.arena;
    const struct bench_options *options = load->base.options;
    load->readers = arena_get_array(arena, options->connections, sizeof(struct reader_state));
    size_t most = (size_t)options->partitions / options->connections + 1;
    for (unsigned i = 0; i < options->connections; i++) {
        struct bench_assignment *assignment = &load->readers[i].assignment;
        assignment->partitions = arena_get_array(arena, most, sizeof(int32_t));
        assignment->offsets = arena_get_array(arena, most, sizeof(int64_t));
        arena_init(&load->readers[i].arena, arena->heap, MEMORY_SCRATCH, 0);
        for (int32_t p = (int32_t)i; p < options->partitions; p += (int32_t)options->connections)
            assignment->partitions[assignment->count++] = p;
    }
}

void load_fetch(const struct bench_options *options)
{
    struct fetch_load load = {0};
    bench_load_open(&load.base, options);
    load.ends = arena_get_array(&load.base.arena, (size_t)options->partitions, sizeof(int64_t));
    bench_end_offsets(&load.base.pool, options, load.ends);
    deal_out(&load);
    if (options->broker_pid) {
        load.base.report.floor_name = "floor_sendfile_s_per_gib";
        load.base.report.floor_s_per_gib =
            floor_sendfile_s_per_gib(options->directory, FLOOR_BYTES);
    }
    bench_load_start(&load.base, fetch_answered, &load);
    for (unsigned i = 0; i < options->connections; i++)
        ask(&load, i);
    while (load.finished < options->connections) {
        bench_pool_turn(&load.base.pool, 10000000);
        report_progress(&load.base.report, bench_now_ns());
    }
    bench_load_finish(&load.base);
    for (unsigned i = 0; i < options->connections; i++)
        arena_deinit(&load.readers[i].arena);
    arena_deinit(&load.base.scratch);
    bench_pool_close(&load.base.pool);
}
