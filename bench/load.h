/*
 * What every load has: connections, memory, the report, the time at which it is over. A load embeds
 * it as `base` and goes through it in the order of the functions below.
 */
#ifndef KLAMM_BENCH_LOAD_H
#define KLAMM_BENCH_LOAD_H

#include "bench/report.h"
#include "bench/requests.h"

enum { BENCH_TURN_NS = 10000000 };

struct bench_load {
    const struct bench_options *options;
    struct bench_pool pool;
    struct arena arena;   /* what lives as long as the load */
    struct arena scratch; /* an answer; reset by whoever has read it */
    struct bench_report report;
    uint64_t end_ns; /* --seconds after the start */
};

/* Connects. */
void bench_load_open(struct bench_load *load, const struct bench_options *options);
/* Everything is prepared: answers go to `answered` from now on (pool.owner is `owner`), the clock
 * and the report start. */
void bench_load_start(struct bench_load *load, bench_answered *answered, void *owner);
/* The time between two requests of one connection that makes --rate of all; 0 without a rate. */
uint64_t bench_load_interval_ns(const struct bench_load *load);
/* One turn of the connections, and the progress line. */
void bench_load_turn(struct bench_load *load, uint64_t timeout_ns);
/* Ends the program when `what` is still unanswered a minute after the end. */
void bench_load_check_late(const struct bench_load *load, uint64_t now_ns, const char *what);
/* Turns until nothing is unanswered. */
void bench_load_drain(struct bench_load *load, const char *what);
/* Prints the report. */
void bench_load_finish(struct bench_load *load);
void bench_load_close(struct bench_load *load);

#endif
