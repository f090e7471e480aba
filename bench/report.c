/*
 * Derived figures in one table (name, value, unit), so that the text and the JSON cannot differ.
 * CPU per GiB and per million requests are the broker's, from outside; ratios to a floor need one
 * measured in the same run.
 */
#include "bench/report.h"

#include <stdio.h>
#include <string.h>

#include "bench/client.h"

void report_start(struct bench_report *report, const struct bench_options *options,
                  struct heap *heap)
{
    report->options = options;
    histogram_init(&report->latency_us, heap);
    report->requests = report->bytes = 0;
    report->has_cost = broker_cost_read(options->broker_pid, &report->before);
    report->start_ns = bench_now_ns();
    report->next_progress_ns = report->start_ns + 1000000000u;
    report->progress_requests = report->progress_bytes = 0;
}

void report_deinit(struct bench_report *report)
{
    histogram_deinit(&report->latency_us);
}

void report_request(struct bench_report *report, uint64_t since_ns, uint64_t now_ns)
{
    report->requests++;
    histogram_record(&report->latency_us, (now_ns - since_ns) / 1000);
}

void report_progress(struct bench_report *report, uint64_t now_ns)
{
    if (report->options->quiet || now_ns < report->next_progress_ns)
        return;
    double span_s = (double)(now_ns - report->next_progress_ns) / 1e9 + 1;
    fprintf(stderr, "%6.0f s  %9.0f requests/s  %8.1f MiB/s  p99 %.2f ms\n",
            (double)(now_ns - report->start_ns) / 1e9,
            (double)(report->requests - report->progress_requests) / span_s,
            (double)(report->bytes - report->progress_bytes) / span_s / 1048576,
            (double)histogram_percentile(&report->latency_us, 0.99) / 1000);
    report->next_progress_ns = now_ns + 1000000000u;
    report->progress_requests = report->requests;
    report->progress_bytes = report->bytes;
}

enum { FIGURES_MAX = 32 };

struct figures {
    struct bench_figure rows[FIGURES_MAX];
    unsigned count;
};

static void add(struct figures *figures, const char *name, double value, const char *unit)
{
    if (figures->count < FIGURES_MAX)
        figures->rows[figures->count++] = (struct bench_figure){name, value, unit};
}

static double latency_ms(const struct bench_report *report, double fraction)
{
    return (double)histogram_percentile(&report->latency_us, fraction) / 1000;
}

static void add_cost(struct figures *figures, const struct bench_report *report)
{
    double cpu_s = report->after.user_s + report->after.system_s - report->before.user_s -
                   report->before.system_s;
    double gib = (double)report->bytes / 1073741824;
    add(figures, "broker_cpu_s", cpu_s, "s");
    if (report->bytes > 0)
        add(figures, "broker_cpu_s_per_gib", cpu_s / gib, "s/GiB");
    if (report->requests > 0) {
        add(figures, "broker_cpu_s_per_million", cpu_s / (double)report->requests * 1e6,
            "s/million requests");
        /* A thread that ended in between takes its sleeps out of the sum. */
        if (report->after.sleeps >= report->before.sleeps)
            add(figures, "broker_wakeups_per_request",
                (double)(report->after.sleeps - report->before.sleeps) / (double)report->requests,
                "");
    }
    add(figures, "broker_resident_mib", (double)report->after.resident_bytes / 1048576, "MiB");
    add(figures, "broker_anonymous_mib", (double)report->after.anonymous_bytes / 1048576, "MiB");
    if (report->floor_s_per_gib > 0 && report->bytes > report->requests * 32768) {
        add(figures, report->floor_name, report->floor_s_per_gib, "s/GiB");
        add(figures, "broker_cpu_to_floor", cpu_s / gib / report->floor_s_per_gib, "x");
    }
}

static void write_json(const struct bench_report *report, const struct figures *figures)
{
    FILE *file = fopen(report->options->json_path, "w");
    if (!file)
        bench_fail("%s cannot be written", report->options->json_path);
    fprintf(file, "{\n");
    for (unsigned i = 0; i < figures->count; i++)
        fprintf(file, "  \"%s\": %.6g%s\n", figures->rows[i].name, figures->rows[i].value,
                i + 1 < figures->count ? "," : "");
    fprintf(file, "}\n");
    fclose(file);
}

void report_add(struct bench_report *report, const char *name, double value, const char *unit)
{
    if (report->extra_count < BENCH_EXTRA_FIGURES)
        report->extra[report->extra_count++] = (struct bench_figure){name, value, unit};
}

void report_finish(struct bench_report *report)
{
    report->elapsed_s = (double)(bench_now_ns() - report->start_ns) / 1e9;
    if (report->has_cost)
        report->has_cost = broker_cost_read(report->options->broker_pid, &report->after);
    struct figures figures = {.count = 0};
    add(&figures, "elapsed_s", report->elapsed_s, "s");
    add(&figures, "requests", (double)report->requests, "");
    add(&figures, "requests_per_s", (double)report->requests / report->elapsed_s, "/s");
    add(&figures, "mib_per_s", (double)report->bytes / 1048576 / report->elapsed_s, "MiB/s");
    if (report->latency_us.count > 0) {
        add(&figures, "latency_p50_ms", latency_ms(report, 0.5), "ms");
        add(&figures, "latency_p99_ms", latency_ms(report, 0.99), "ms");
        add(&figures, "latency_p999_ms", latency_ms(report, 0.999), "ms");
        add(&figures, "latency_max_ms", (double)report->latency_us.maximum / 1000, "ms");
    }
    for (unsigned i = 0; i < report->extra_count; i++)
        add(&figures, report->extra[i].name, report->extra[i].value, report->extra[i].unit);
    if (report->has_cost)
        add_cost(&figures, report);
    for (unsigned i = 0; i < figures.count; i++)
        printf("%-28s %14.4g %s\n", figures.rows[i].name, figures.rows[i].value,
               figures.rows[i].unit);
    if (report->options->json_path)
        write_json(report, &figures);
}
