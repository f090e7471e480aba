/* Nothing here is on the path of a request: a load sends and reads answers by itself. */
#include "bench/load.h"

void bench_load_open(struct bench_load *load, const struct bench_options *options)
{
    load->options = options;
    bench_open(&load->pool, options);
    arena_init(&load->arena, &load->pool.heap, MEMORY_STATE, 0);
    arena_init(&load->scratch, &load->pool.heap, MEMORY_SCRATCH, 0);
}

void bench_load_start(struct bench_load *load, bench_answered *answered, void *owner)
{
    load->pool.answered = answered;
    load->pool.owner = owner;
    report_start(&load->report, load->options, &load->pool.heap);
    load->end_ns = load->report.start_ns + (uint64_t)(load->options->seconds * 1e9);
}

uint64_t bench_load_interval_ns(const struct bench_load *load)
{
    const struct bench_options *options = load->options;
    return options->rate > 0 ? (uint64_t)(1e9 * options->connections / options->rate) : 0;
}

void bench_load_turn(struct bench_load *load, uint64_t timeout_ns)
{
    bench_pool_turn(&load->pool, timeout_ns);
    report_progress(&load->report, bench_now_ns());
}

void bench_load_check_late(const struct bench_load *load, uint64_t now_ns, const char *what)
{
    if (now_ns > load->end_ns + 60000000000u)
        bench_fail("%s are still unanswered a minute after the end", what);
}

void bench_load_drain(struct bench_load *load, const char *what)
{
    while (!bench_pool_is_idle(&load->pool)) {
        bench_load_turn(load, BENCH_TURN_NS);
        bench_load_check_late(load, bench_now_ns(), what);
    }
}

void bench_load_finish(struct bench_load *load)
{
    report_finish(&load->report);
    report_deinit(&load->report);
}

void bench_load_close(struct bench_load *load)
{
    arena_deinit(&load->scratch);
    arena_deinit(&load->arena);
    bench_pool_close(&load->pool);
}
