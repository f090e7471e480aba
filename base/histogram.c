/*
 * The bucket of a value is its exponent and the four bits behind its highest bit, which together
 * are one number that grows with the value; so bucket ends come from the same bits the other way
 * round.
 */
#include "base/histogram.h"

#include <string.h>

#include "base/assert.h"

enum { SUB_COUNT = 1 << HISTOGRAM_SUB_BITS };

unsigned histogram_bucket_of(uint64_t value)
{
    if (value < SUB_COUNT)
        return (unsigned)value;
    unsigned highest = 63 - (unsigned)__builtin_clzll(value);
    unsigned shift = highest - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (unsigned)(value >> shift);
}

uint64_t histogram_bucket_end(unsigned bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t leading = SUB_COUNT + (bucket & (SUB_COUNT - 1));
    return (leading << shift) + (((uint64_t)1 << shift) - 1);
}

void histogram_init(struct histogram *histogram, struct heap *heap)
{
    *histogram = (struct histogram){.heap = heap};
}

static const size_t buckets_size = HISTOGRAM_BUCKETS * sizeof(uint64_t);

void histogram_deinit(struct histogram *histogram)
{
    heap_put(histogram->heap, MEMORY_STATE, histogram->buckets, buckets_size);
    histogram_init(histogram, histogram->heap);
}

void histogram_reset(struct histogram *histogram)
{
    if (histogram->buckets)
        memset(histogram->buckets, 0, buckets_size);
    histogram->count = 0;
    histogram->sum = 0;
    histogram->minimum = 0;
    histogram->maximum = 0;
}

static void buckets_acquire(struct histogram *histogram)
{
    if (!histogram->buckets)
        histogram->buckets = heap_must_get(histogram->heap, MEMORY_STATE, buckets_size);
}

static void totals_add(struct histogram *histogram, uint64_t count, uint64_t sum, uint64_t minimum,
                       uint64_t maximum)
{
    if (histogram->count == 0 || minimum < histogram->minimum)
        histogram->minimum = minimum;
    if (maximum > histogram->maximum)
        histogram->maximum = maximum;
    histogram->count += count;
    histogram->sum = histogram->sum > UINT64_MAX - sum ? UINT64_MAX : histogram->sum + sum;
}

void histogram_record_many(struct histogram *histogram, uint64_t value, uint64_t times)
{
    if (times == 0)
        return;
    buckets_acquire(histogram);
    histogram->buckets[histogram_bucket_of(value)] += times;
    uint64_t sum = value > UINT64_MAX / times ? UINT64_MAX : value * times;
    totals_add(histogram, times, sum, value, value);
}

void histogram_record(struct histogram *histogram, uint64_t value)
{
    histogram_record_many(histogram, value, 1);
}

void histogram_merge(struct histogram *histogram, const struct histogram *from)
{
    if (from->count == 0)
        return;
    buckets_acquire(histogram);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] += from->buckets[i];
    totals_add(histogram, from->count, from->sum, from->minimum, from->maximum);
}

uint64_t histogram_percentile(const struct histogram *histogram, double fraction)
{
    if (histogram->count == 0)
        return 0;
    double wanted = fraction * (double)histogram->count;
    uint64_t below = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += histogram->buckets[i];
        if (below > 0 && (double)below >= wanted) {
            uint64_t end = histogram_bucket_end(i);
            return end < histogram->maximum ? end : histogram->maximum;
        }
    }
    return histogram->maximum;
}

uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t value)
{
    if (value >= histogram->maximum)
        return histogram->count;
    uint64_t count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && histogram_bucket_end(i) <= value; i++)
        count += histogram->buckets[i];
    return count;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count ? (double)histogram->sum / (double)histogram->count : 0;
}
