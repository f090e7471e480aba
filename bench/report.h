/*
 * The figures of a run: printed for people, and as JSON for whoever compares runs.
 */
#ifndef KLAMM_BENCH_REPORT_H
#define KLAMM_BENCH_REPORT_H

#include "base/histogram.h"
#include "bench/broker_cost.h"
#include "bench/options.h"

/* A figure of one kind of load only. */
struct bench_figure {
    const char *name;
    double value;
    const char *unit;
};

enum { BENCH_EXTRA_FIGURES = 12 };

/* What is measured between report_start and report_finish. */
struct bench_report {
    const struct bench_options *options;
    uint64_t start_ns;
    double elapsed_s;
    uint64_t requests;
    uint64_t bytes; /* of record batches */
    struct histogram latency_us;
    bool has_cost;
    struct broker_cost before;
    struct broker_cost after;
    double floor_s_per_gib; /* CPU of the matching floor measured in this run; 0: none */
    const char *floor_name;
    struct bench_figure extra[BENCH_EXTRA_FIGURES];
    unsigned extra_count;
    uint64_t next_progress_ns;
    uint64_t progress_requests;
    uint64_t progress_bytes;
};

/* Reads the broker's cost and the clock. */
void report_start(struct bench_report *report, const struct bench_options *options,
                  struct heap *heap);
/* Counts a request that was due at `since_ns` and is answered. */
void report_request(struct bench_report *report, uint64_t since_ns, uint64_t now_ns);
/* Prints a line to standard error once a second. */
void report_progress(struct bench_report *report, uint64_t now_ns);
/* A figure that report_finish prints beside the common ones. */
void report_add(struct bench_report *report, const char *name, double value, const char *unit);
/* Reads clock and cost again, prints, and writes the JSON file when one is asked for. */
void report_finish(struct bench_report *report);
void report_deinit(struct bench_report *report);

#endif
