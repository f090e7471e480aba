/* Buckets cover every value once, and percentiles are right within one sixteenth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/histogram.h"
#include "base/random.h"

static void every_value_has_one_bucket(void **state)
{
    (void)state;
    uint64_t start = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        uint64_t end = histogram_bucket_end(bucket);
        assert_true(end >= start);
        assert_int_equal(histogram_bucket_of(start), bucket);
        assert_int_equal(histogram_bucket_of(end), bucket);
        assert_true(end - start <= start / 16);
        start = end + 1;
    }
    assert_int_equal(start, 0); /* the last bucket ends at 2^64 - 1 */
}

static void percentiles_are_close(void **state)
{
    (void)state;
    struct heap heap;
    struct histogram histogram;
    heap_init_plain(&heap);
    histogram_init(&histogram, &heap);
    assert_int_equal(histogram_percentile(&histogram, 0.5), 0);
    for (uint64_t i = 1; i <= 100000; i++)
        histogram_record(&histogram, i);
    static const double fractions[] = {0.01, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof(fractions) / sizeof(fractions[0]); i++) {
        double exact = fractions[i] * 100000;
        double got = (double)histogram_percentile(&histogram, fractions[i]);
        assert_true(got >= exact - 1 && got <= exact * 17 / 16 + 1);
    }
    assert_int_equal(histogram_percentile(&histogram, 1), 100000);
    assert_int_equal(histogram_percentile(&histogram, 0), 1);
    assert_int_equal(histogram.minimum, 1);
    assert_true(histogram_mean(&histogram) == 50000.5);
    assert_int_equal(histogram_count_up_to(&histogram, 15), 15);
    assert_int_equal(histogram_count_up_to(&histogram, 100000), 100000);
    histogram_deinit(&histogram);
    assert_int_equal(heap.used[MEMORY_STATE], 0);
}

static void merging_adds_up(void **state)
{
    (void)state;
    struct heap heap;
    struct histogram a, b, both;
    struct random_stream random;
    heap_init_plain(&heap);
    random_init(&random, 1, 1);
    histogram_init(&a, &heap);
    histogram_init(&b, &heap);
    histogram_init(&both, &heap);
    histogram_merge(&a, &b);
    assert_null(a.buckets);
    for (int i = 0; i < 1000; i++) {
        uint64_t value = random_u64(&random) >> random_below(&random, 64);
        histogram_record(i % 3 ? &a : &b, value);
        histogram_record(&both, value);
    }
    histogram_merge(&a, &b);
    assert_int_equal(a.count, both.count);
    assert_int_equal(a.sum, both.sum);
    assert_int_equal(a.minimum, both.minimum);
    assert_int_equal(a.maximum, both.maximum);
    assert_memory_equal(a.buckets, both.buckets, HISTOGRAM_BUCKETS * sizeof(uint64_t));
    histogram_reset(&a);
    assert_int_equal(histogram_percentile(&a, 0.5), 0);
    histogram_deinit(&a);
    histogram_deinit(&b);
    histogram_deinit(&both);
}

static void the_sum_does_not_wrap(void **state)
{
    (void)state;
    struct heap heap;
    struct histogram histogram;
    heap_init_plain(&heap);
    histogram_init(&histogram, &heap);
    histogram_record_many(&histogram, UINT64_MAX, 3);
    assert_int_equal(histogram.sum, UINT64_MAX);
    assert_int_equal(histogram.count, 3);
    assert_int_equal(histogram_percentile(&histogram, 0.5), UINT64_MAX);
    histogram_deinit(&histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_has_one_bucket),
        cmocka_unit_test(percentiles_are_close),
        cmocka_unit_test(merging_adds_up),
        cmocka_unit_test(the_sum_does_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
