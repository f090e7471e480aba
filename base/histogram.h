/*
 * A log-linear histogram of non-negative numbers (microseconds, bytes, counts): each power of two
 * is cut into 16 equal buckets, so a reported value is at most 1/16 above the recorded one.
 *
 * Invariants:
 *  1. count is the sum of all buckets; minimum, maximum, sum and count are exact.
 *  2. The buckets (8 KiB) are taken with the first record: an unused histogram is only its struct.
 */
#ifndef KLAMM_BASE_HISTOGRAM_H
#define KLAMM_BASE_HISTOGRAM_H

#include <stdint.h>

#include "base/memory.h"

struct histogram {
    struct heap *heap;
    uint64_t *buckets; /* [HISTOGRAM_BUCKETS], or NULL before the first record */
    uint64_t count;
    uint64_t sum; /* stays at its largest value instead of wrapping */
    uint64_t minimum;
    uint64_t maximum;
};

/* Values below 16 have a bucket each; then 16 for each of the 60 remaining powers of two. */
enum { HISTOGRAM_SUB_BITS = 4, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) << 4 };

/* An empty histogram. */
void histogram_init(struct histogram *histogram, struct heap *heap);
/* Gives the buckets back. */
void histogram_deinit(struct histogram *histogram);
/* Forgets every record. */
void histogram_reset(struct histogram *histogram);
/* Counts one value. */
void histogram_record(struct histogram *histogram, uint64_t value);
/* Counts one value `times` times. */
void histogram_record_many(struct histogram *histogram, uint64_t value, uint64_t times);
/* Adds all records of `from`. */
void histogram_merge(struct histogram *histogram, const struct histogram *from);
/*
 * The smallest bucket end that at least `fraction` (0 to 1) of the records do not exceed, never
 * above the true maximum; 0 when empty.
 */
uint64_t histogram_percentile(const struct histogram *histogram, double fraction);
/* Records whose bucket lies wholly at or below `value`, for cumulative exposition. */
uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t value);
/* The mean, 0 when empty. */
double histogram_mean(const struct histogram *histogram);
/* The bucket of a value, and the largest value of a bucket. */
unsigned histogram_bucket_of(uint64_t value);
uint64_t histogram_bucket_end(unsigned bucket);

#endif
