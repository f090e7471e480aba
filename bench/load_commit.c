/*
 * Offset commits: each connection commits for a group of its own, the same number of partitions in
 * every request. Closed loop; a group's coordinator is wherever its id hashes to.
 */
#include "bench/loads.h"

#include <stdio.h>

#include "bench/coordinator_requests.h"
#include "bench/load.h"

struct commit_load {
    struct bench_load base;
    struct request_template *templates; /* per connection */
};

static void commit_answered(struct bench_client *client, const struct bench_send *send,
                            const uint8_t *body, size_t size, uint64_t now_ns)
{
    struct commit_load *load = client->pool->owner;
    bench_check_commit(&load->base.scratch, body, size);
    report_request(&load->base.report, send->intended_ns, now_ns);
    if (now_ns >= load->base.end_ns)
        return;
    bench_client_ask(client, send->template, now_ns);
}

static void prepare(struct commit_load *load)
{
    const struct bench_options *options = load->base.options;
    load->templates =
        arena_get_array(&load->base.arena, options->connections, sizeof(*load->templates));
    for (unsigned i = 0; i < options->connections; i++) {
        char *group = arena_get(&load->base.arena, 128);
        snprintf(group, 128, "%s-%u", options->group, i);
        bench_await_coordinator(&load->base.pool, group, BENCH_KEY_GROUP);
        bench_commit_template(&load->base.arena, group, options->topic, (int32_t)options->batches,
                              1000, &load->templates[i]);
    }
}

static void run(struct commit_load *load)
{
    const struct bench_options *options = load->base.options;
    uint64_t now_ns = bench_now_ns();
    for (unsigned i = 0; i < options->connections; i++) {
        for (unsigned k = 0; k < options->in_flight; k++)
            bench_client_ask(&load->base.pool.clients[i], &load->templates[i], now_ns);
    }
    bench_load_drain(&load->base, "commits");
}

void load_commit(const struct bench_options *options)
{
    struct commit_load load = {0};
    bench_load_open(&load.base, options);
    bench_create_topic(&load.base.pool, options);
    prepare(&load);
    bench_load_start(&load.base, commit_answered, &load);
    run(&load);
    report_add(&load.base.report, "partitions_per_s",
               (double)load.base.report.requests * options->batches /
                   ((double)(bench_now_ns() - load.base.report.start_ns) / 1e9),
               "/s");
    bench_load_finish(&load.base);
    bench_load_close(&load.base);
}
