/*
 * Timers: one hierarchical timing wheel per loop, the same code in production and in simulation.
 *
 * Invariants:
 *  1. A timer never fires before its due time, and may fire any time later.
 *  2. Timers that are due in the same tick (1 ms) have no order among each other.
 *  3. Setting and clearing are O(1); the link is inside the timer, nothing is allocated.
 */
#ifndef KLAMM_RUNTIME_TIMER_H
#define KLAMM_RUNTIME_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct timer {
    struct list link;
    uint64_t due_ns;
    void (*fire)(struct timer *timer);
};

enum { TIMER_LEVELS = 8, TIMER_SLOTS = 64 }; /* 2^48 ms: more than 64 bits of ns */

struct timer_wheel {
    uint64_t tick; /* ms of monotonic time already handled */
    struct list slots[TIMER_LEVELS][TIMER_SLOTS];
    uint64_t occupied[TIMER_LEVELS]; /* bit per slot that may hold a timer */
    uint64_t fired;                  /* timers since init */
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns);
void timer_init(struct timer *timer, void (*fire)(struct timer *timer));
bool timer_is_set(const struct timer *timer);
/* Sets or moves the timer. */
void timer_wheel_set(struct timer_wheel *wheel, struct timer *timer, uint64_t due_ns);
void timer_clear(struct timer *timer);
/* Fires everything due at now_ns; a fired timer is cleared first and may set itself again. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ns);
/*
 * When to advance next: later than now, less than a tick behind the next due time; earlier only
 * where many timers lie close together in the distance. UINT64_MAX when no timer is set.
 */
uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel);

#endif
