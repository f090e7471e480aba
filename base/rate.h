/*
 * A rate over a sliding row of time windows, measured as Kafka measures quotas: what was recorded
 * in the windows that are still inside the row, divided by the time since the oldest of them began,
 * but never by less than all windows except the current one (so a burst after silence is not a huge
 * rate).
 *
 * Invariant: windows[] is a ring; window k holds the time [start_ms, start_ms + window_ms) of its
 * entry. Time never runs backwards; an earlier `now_ms` counts as the latest one seen.
 */
#ifndef KLAMM_BASE_RATE_H
#define KLAMM_BASE_RATE_H

#include <stdint.h>

enum { RATE_WINDOWS_MAX = 32 };

struct rate_meter {
    int64_t window_ms;
    uint32_t window_count;
    uint32_t current; /* ring index of the newest window */
    int64_t latest_ms;
    struct {
        int64_t start_ms;
        double value;
    } windows[RATE_WINDOWS_MAX];
    uint32_t used; /* windows in use, at most window_count */
};

/* An empty meter of `window_count` (2 to RATE_WINDOWS_MAX) windows of `window_ms` (> 0) each. */
void rate_init(struct rate_meter *meter, uint32_t window_count, int64_t window_ms);
/* Counts `value` at a time. */
void rate_record(struct rate_meter *meter, int64_t now_ms, double value);
/* Units per second now. */
double rate_per_second(struct rate_meter *meter, int64_t now_ms);
/*
 * How long the recorder should pause so that the rate falls to `bound_per_second` (> 0): the share
 * by which it is exceeded, times the time measured over. 0 when within bounds.
 */
int64_t rate_throttle_ms(struct rate_meter *meter, int64_t now_ms, double bound_per_second);

#endif
