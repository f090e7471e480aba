/*
 * The wheel against a model: a plain array of timers with due times. Random sets, moves, clears and
 * advances of very different lengths; after each advance exactly the timers whose due tick has been
 * reached must have fired, none before its due time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/timer.h"

enum { TIMERS = 200, MS = 1000000 };

struct model_timer {
    struct timer timer;
    bool set;
    bool fired;
};

static void model_fire(struct timer *timer)
{
    struct model_timer *model = container_of(timer, struct model_timer, timer);
    assert_true(model->set);
    assert_false(timer_is_set(timer));
    model->fired = true;
    model->set = false;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Between 0 and about 2^bits, spread over the orders of magnitude. */
static uint64_t random_span(uint64_t *state, unsigned bits)
{
    return next_random(state) >> (64 - 1 - next_random(state) % bits);
}

static void run_model(uint64_t seed)
{
    static struct model_timer timers[TIMERS];
    static struct timer_wheel wheel;
    uint64_t random = seed * 2654435761u + 88172645463325252u;
    uint64_t now = random_span(&random, 50);
    timer_wheel_init(&wheel, now);
    for (size_t i = 0; i < TIMERS; i++) {
        timer_init(&timers[i].timer, model_fire);
        timers[i].set = timers[i].fired = false;
    }
    for (int step = 0; step < 2000; step++) {
        struct model_timer *chosen = &timers[next_random(&random) % TIMERS];
        unsigned action = next_random(&random) % 8;
        if (action < 4) {
            timer_wheel_set(&wheel, &chosen->timer, now + random_span(&random, 48));
            chosen->set = true;
        } else if (action == 4) {
            timer_clear(&chosen->timer);
            chosen->set = false;
        } else {
            uint64_t next = timer_wheel_next_ns(&wheel);
            uint64_t target = now + random_span(&random, 42);
            if (action == 5 && next != UINT64_MAX)
                target = next;
            assert_true(next > now / MS * MS);
            timer_wheel_advance(&wheel, target);
            for (size_t i = 0; i < TIMERS; i++) {
                bool due = timers[i].timer.due_ns <= target / MS * MS;
                if (timers[i].set && due) /* set into a tick that is over: the next one fires it */
                    assert_true(target / MS == now / MS);
                if (timers[i].set)
                    assert_true(next < timers[i].timer.due_ns + MS || next <= now + 2 * MS);
                if (timers[i].fired)
                    assert_true(due);
                timers[i].fired = false;
            }
            now = target;
        }
    }
}

static void wheel_agrees_with_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++)
        run_model(seed);
}

struct repeating {
    struct timer timer;
    struct timer_wheel *wheel;
    uint64_t due;
    int count;
};

static void repeat_fire(struct timer *timer)
{
    struct repeating *repeating = container_of(timer, struct repeating, timer);
    repeating->count++;
    timer_wheel_set(repeating->wheel, timer, repeating->due);
}

static void a_far_timer_is_waited_for_at_once(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    struct model_timer near = {.set = true}, far = {.set = true};
    timer_wheel_init(&wheel, UINT64_C(63000000));
    timer_init(&near.timer, model_fire);
    timer_init(&far.timer, model_fire);
    timer_wheel_set(&wheel, &far.timer, UINT64_C(600123000000));
    assert_int_equal(timer_wheel_next_ns(&wheel), UINT64_C(600123000000));
    timer_wheel_set(&wheel, &near.timer, UINT64_C(7001000000));
    assert_int_equal(timer_wheel_next_ns(&wheel), UINT64_C(7001000000));
    timer_wheel_advance(
        &wheel, UINT64_C(6999000000)); /* passes slots of upper levels without reaching it */
    assert_int_equal(timer_wheel_next_ns(&wheel), UINT64_C(7001000000));
    assert_false(near.fired);
    timer_wheel_advance(&wheel, UINT64_C(7001000000));
    assert_true(near.fired);
    assert_int_equal(timer_wheel_next_ns(&wheel), UINT64_C(600123000000));
    timer_clear(&far.timer);
}

static void timer_set_in_the_past_while_firing_waits_for_the_next_advance(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    timer_wheel_init(&wheel, 0);
    struct repeating repeating = {.wheel = &wheel, .due = 1};
    timer_init(&repeating.timer, repeat_fire);
    timer_wheel_set(&wheel, &repeating.timer, 1);
    timer_wheel_advance(&wheel, 100 * (uint64_t)MS);
    assert_int_equal(repeating.count, 1);
    timer_wheel_advance(&wheel, 101 * (uint64_t)MS);
    assert_int_equal(repeating.count, 2);
    assert_int_equal(wheel.fired, 2);
}

static struct timer *to_clear;

static void clear_other(struct timer *timer)
{
    (void)timer;
    timer_clear(to_clear);
}

static void clearing_a_due_timer_from_a_callback_stops_it(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    timer_wheel_init(&wheel, 0);
    struct timer first;
    struct model_timer second = {.set = false};
    timer_init(&first, clear_other);
    timer_init(&second.timer, model_fire);
    to_clear = &second.timer;
    timer_wheel_set(&wheel, &first, 1 * MS);
    timer_wheel_set(&wheel, &second.timer, 2 * MS);
    timer_wheel_advance(&wheel, 10 * MS);
    assert_false(second.fired);
    assert_int_equal(timer_wheel_next_ns(&wheel), UINT64_MAX);
}

static void farthest_time_is_held_and_not_fired(void **state)
{
    (void)state;
    struct timer_wheel wheel;
    timer_wheel_init(&wheel, 12345 * (uint64_t)MS);
    struct model_timer timer = {.set = true};
    timer_init(&timer.timer, model_fire);
    timer_wheel_set(&wheel, &timer.timer, UINT64_MAX);
    timer_wheel_advance(&wheel, UINT64_MAX - 2 * (uint64_t)MS);
    assert_false(timer.fired);
    assert_true(timer_is_set(&timer.timer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wheel_agrees_with_model),
        cmocka_unit_test(a_far_timer_is_waited_for_at_once),
        cmocka_unit_test(timer_set_in_the_past_while_firing_waits_for_the_next_advance),
        cmocka_unit_test(clearing_a_due_timer_from_a_callback_stops_it),
        cmocka_unit_test(farthest_time_is_held_and_not_fired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
