/* Windows older than the row are dropped when time is looked at, so an idle meter costs nothing. */
#include "base/rate.h"

#include "base/assert.h"

void rate_init(struct rate_meter *meter, uint32_t window_count, int64_t window_ms)
{
    klamm_assert(window_count >= 2);
    klamm_assert(window_count <= RATE_WINDOWS_MAX);
    klamm_assert(window_ms > 0);
    *meter = (struct rate_meter){.window_ms = window_ms, .window_count = window_count};
}

static uint32_t oldest_index(const struct rate_meter *meter)
{
    return (meter->current + meter->window_count - (meter->used - 1)) % meter->window_count;
}

/* Moves the meter's clock and drops what fell out of the row; returns the time to use. */
static int64_t advance(struct rate_meter *meter, int64_t now_ms)
{
    if (meter->used > 0 && now_ms < meter->latest_ms)
        now_ms = meter->latest_ms;
    meter->latest_ms = now_ms;
    int64_t row_ms = meter->window_ms * meter->window_count;
    while (meter->used > 0 && now_ms - meter->windows[oldest_index(meter)].start_ms >= row_ms)
        meter->used--;
    return now_ms;
}

void rate_record(struct rate_meter *meter, int64_t now_ms, double value)
{
    now_ms = advance(meter, now_ms);
    if (meter->used == 0 || now_ms - meter->windows[meter->current].start_ms >= meter->window_ms) {
        meter->current = (meter->current + 1) % meter->window_count;
        if (meter->used < meter->window_count)
            meter->used++;
        meter->windows[meter->current].start_ms = now_ms;
        meter->windows[meter->current].value = 0;
    }
    meter->windows[meter->current].value += value;
}

/* The time that the recorded values stand for; the meter has been advanced to now_ms. */
static int64_t measured_ms(const struct rate_meter *meter, int64_t now_ms)
{
    int64_t elapsed_ms =
        meter->used > 0 ? now_ms - meter->windows[oldest_index(meter)].start_ms : 0;
    int64_t full_windows = elapsed_ms / meter->window_ms;
    int64_t least = (int64_t)meter->window_count - 1;
    if (full_windows < least)
        elapsed_ms += (least - full_windows) * meter->window_ms;
    return elapsed_ms;
}

double rate_per_second(struct rate_meter *meter, int64_t now_ms)
{
    now_ms = advance(meter, now_ms);
    double total = 0;
    for (uint32_t i = 0; i < meter->used; i++)
        total +=
            meter->windows[(meter->current + meter->window_count - i) % meter->window_count].value;
    return total * 1000 / (double)measured_ms(meter, now_ms);
}

int64_t rate_throttle_ms(struct rate_meter *meter, int64_t now_ms, double bound_per_second)
{
    klamm_assert(bound_per_second > 0);
    double rate = rate_per_second(meter, now_ms);
    if (rate <= bound_per_second)
        return 0;
    double window_ms = (double)measured_ms(meter, meter->latest_ms);
    double pause_ms = (rate - bound_per_second) / bound_per_second * window_ms;
    return pause_ms < 1e15 ? (int64_t)(pause_ms + 0.5) : (int64_t)1e15;
}
