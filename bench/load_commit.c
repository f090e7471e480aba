/*
 * Offset commits: each connection commits for a group of its own, the same number of partitions in
 * every request. Closed loop; a group's coordinator is wherever its id hashes to.
 */
#include "bench/loads.h"

#include <stdio.h>

#include "bench/coordinator_requests.h"
#include "bench/report.h"

struct commit_load {
    const struct bench_options *options;
    struct bench_pool pool;
    struct arena arena;
    struct arena scratch;
    struct request_template *templates; /* per connection */
    struct bench_report report;
    uint64_t end_ns;
};

static void commit_answered(struct bench_client *client, const struct bench_send *send,
                            const uint8_t *body, size_t size, uint64_t now_ns)
{
    struct commit_load *load = client->pool->owner;
    bench_check_commit(&load->scratch, body, size);
    load->report.requests++;
    histogram_record(&load->report.latency_us, (now_ns - send->intended_ns) / 1000);
    if (now_ns >= load->end_ns)
        return;
    bench_client_send(client, send->template, now_ns);
    bench_client_flush(client);
}

static bool is_idle(const struct commit_load *load)
{
    for (unsigned i = 0; i < load->options->connections; i++)
        if (bench_client_open_sends(&load->pool.clients[i]) > 0)
            return false;
    return true;
}

static void prepare(struct commit_load *load)
{
    const struct bench_options *options = load->options;
    load->templates = arena_get_array(&load->arena, options->connections, sizeof(*load->templates));
    for (unsigned i = 0; i < options->connections; i++) {
        char *group = arena_get(&load->arena, 128);
        snprintf(group, 128, "%s-%u", options->group, i);
        bench_await_coordinator(&load->pool, group, BENCH_KEY_GROUP);
        bench_commit_template(&load->arena, group, options->topic, (int32_t)options->batches, 1000,
                              &load->templates[i]);
    }
}

static void run(struct commit_load *load)
{
    const struct bench_options *options = load->options;
    load->end_ns = load->report.start_ns + (uint64_t)(options->seconds * 1e9);
    uint64_t now_ns = bench_now_ns();
    for (unsigned i = 0; i < options->connections; i++) {
        for (unsigned k = 0; k < options->in_flight; k++)
            bench_client_send(&load->pool.clients[i], &load->templates[i], now_ns);
        bench_client_flush(&load->pool.clients[i]);
    }
    while (!is_idle(load)) {
        bench_pool_turn(&load->pool, 10000000);
        report_progress(&load->report, bench_now_ns());
        if (bench_now_ns() > load->end_ns + 60000000000u)
            bench_fail("commits are still unanswered a minute after the end");
    }
}

void load_commit(const struct bench_options *options)
{
    struct commit_load load = {.options = options};
    bench_open(&load.pool, options);
    bench_create_topic(&load.pool, options);
    arena_init(&load.arena, &load.pool.heap, MEMORY_STATE, 0);
    arena_init(&load.scratch, &load.pool.heap, MEMORY_SCRATCH, 0);
    prepare(&load);
    load.pool.owner = &load;
    load.pool.answered = commit_answered;
    report_start(&load.report, options, &load.pool.heap);
    run(&load);
    report_add(&load.report, "partitions_per_s",
               (double)load.report.requests * options->batches /
                   ((double)(bench_now_ns() - load.report.start_ns) / 1e9),
               "/s");
    report_finish(&load.report);
    report_deinit(&load.report);
    arena_deinit(&load.scratch);
    arena_deinit(&load.arena);
    bench_pool_close(&load.pool);
}
