/* Rates over windows of one second, as quotas measure them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rate.h"

static void a_steady_stream_has_its_rate(void **state)
{
    (void)state;
    struct rate_meter meter;
    rate_init(&meter, 11, 1000);
    for (int64_t now = 0; now < 60000; now += 10)
        rate_record(&meter, now, 50);
    double rate = rate_per_second(&meter, 60000);
    assert_true(rate > 4900 && rate < 5100);
}

static void a_first_burst_is_spread_over_the_row(void **state)
{
    (void)state;
    struct rate_meter meter;
    rate_init(&meter, 11, 1000);
    rate_record(&meter, 5000, 1000);
    assert_true(rate_per_second(&meter, 5000) == 100);
}

static void an_idle_meter_falls_to_zero(void **state)
{
    (void)state;
    struct rate_meter meter;
    rate_init(&meter, 3, 1000);
    rate_record(&meter, 0, 1000);
    assert_true(rate_per_second(&meter, 2999) > 0);
    assert_true(rate_per_second(&meter, 3000) == 0);
    rate_record(&meter, 100000, 10);
    assert_true(rate_per_second(&meter, 100000) == 5);
}

static void time_that_runs_backwards_is_ignored(void **state)
{
    (void)state;
    struct rate_meter meter;
    rate_init(&meter, 2, 1000);
    rate_record(&meter, 10000, 10);
    rate_record(&meter, 3, 10);
    assert_true(rate_per_second(&meter, 3) == 20);
}

static void the_pause_is_the_excess_over_the_bound(void **state)
{
    (void)state;
    struct rate_meter meter;
    rate_init(&meter, 11, 1000);
    rate_record(&meter, 0, 2000); /* 200 a second over 10 s */
    assert_int_equal(rate_throttle_ms(&meter, 0, 200), 0);
    assert_int_equal(rate_throttle_ms(&meter, 0, 100), 10000);
    assert_int_equal(rate_throttle_ms(&meter, 0, 160), 2500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_stream_has_its_rate),
        cmocka_unit_test(a_first_burst_is_spread_over_the_row),
        cmocka_unit_test(an_idle_meter_falls_to_zero),
        cmocka_unit_test(time_that_runs_backwards_is_ignored),
        cmocka_unit_test(the_pause_is_the_excess_over_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
