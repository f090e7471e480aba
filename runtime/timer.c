/*
 * Eight levels of 64 slots. A timer sits on the level of the highest group of six bits in which its
 * due tick differs from the current tick, in the slot that this group names. So all timers of a
 * level are due before those of the next one, and the next tick at which something happens is the
 * first occupied slot behind the current position on the lowest level that has one. When the clock
 * reaches a slot of a higher level, its timers are placed again, further down.
 *
 * Who asks when to advance next is told the due time itself, not when its slot is reached: a wheel
 * with a few long timers then wakes nobody for moving them down. Advancing enters every slot that
 * was passed meanwhile.
 *
 * Advancing first collects what is due and then fires it, so a timer that sets itself again never
 * fires twice in one advance.
 */
#include "runtime/timer.h"

#include "base/assert.h"

enum { TICK_NS = 1000000, SLOT_BITS = 6, TIMERS_LOOKED_AT = 32 };

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns)
{
    wheel->tick = now_ns / TICK_NS;
    wheel->fired = 0;
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned slot = 0; slot < TIMER_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    }
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
    list_link_init(&timer->link);
    timer->due_ns = 0;
    timer->fire = fire;
}

bool timer_is_set(const struct timer *timer)
{
    return list_is_linked(&timer->link);
}

/* The first tick at whose start the due time has passed. */
static uint64_t due_tick(const struct timer *timer)
{
    return timer->due_ns / TICK_NS + (timer->due_ns % TICK_NS != 0);
}

static void place(struct timer_wheel *wheel, struct timer *timer, uint64_t tick)
{
    uint64_t difference = tick ^ wheel->tick;
    unsigned level = difference ? (63u - (unsigned)__builtin_clzll(difference)) / SLOT_BITS : 0;
    unsigned slot = (tick >> level * SLOT_BITS) % TIMER_SLOTS;
    klamm_assert(level < TIMER_LEVELS);
    list_push_back(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= UINT64_C(1) << slot;
}

void timer_wheel_set(struct timer_wheel *wheel, struct timer *timer, uint64_t due_ns)
{
    klamm_assert(timer->fire != NULL);
    list_remove(&timer->link);
    timer->due_ns = due_ns;
    uint64_t tick = due_tick(timer);
    place(wheel, timer, tick > wheel->tick ? tick : wheel->tick + 1);
}

void timer_clear(struct timer *timer)
{
    list_remove(&timer->link);
}

/* The first tick behind the current one with an occupied slot, and that slot; or UINT64_MAX. */
static uint64_t next_slot(const struct timer_wheel *wheel, const struct list **found)
{
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        unsigned shift = level * SLOT_BITS;
        unsigned position = (wheel->tick >> shift) % TIMER_SLOTS;
        uint64_t behind = position == TIMER_SLOTS - 1 ? 0 : UINT64_MAX << (position + 1);
        uint64_t occupied = wheel->occupied[level] & behind;
        for (; occupied != 0; occupied &= occupied - 1) {
            unsigned slot = (unsigned)__builtin_ctzll(occupied);
            if (list_is_empty(&wheel->slots[level][slot]))
                continue;
            uint64_t group = wheel->tick >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
            *found = &wheel->slots[level][slot];
            return group + ((uint64_t)slot << shift);
        }
    }
    return UINT64_MAX;
}

/* Steps onto `tick`, where a slot is reached, and moves what is due there to `due`. */
static void enter_tick(struct timer_wheel *wheel, uint64_t tick, struct list *due)
{
    wheel->tick = tick;
    for (unsigned level = TIMER_LEVELS - 1; level > 0; level--) {
        unsigned shift = level * SLOT_BITS;
        if (tick & ((UINT64_C(1) << shift) - 1))
            continue;
        unsigned slot = (tick >> shift) % TIMER_SLOTS;
        if (!(wheel->occupied[level] & UINT64_C(1) << slot))
            continue;
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        struct list moved;
        list_init(&moved);
        list_splice_back(&moved, &wheel->slots[level][slot]);
        for (struct list *link; (link = list_pop_front(&moved)) != NULL;) {
            struct timer *timer = container_of(link, struct timer, link);
            uint64_t at = due_tick(timer);
            place(wheel, timer, at > tick ? at : tick);
        }
    }
    unsigned slot = tick % TIMER_SLOTS;
    wheel->occupied[0] &= ~(UINT64_C(1) << slot);
    list_splice_back(due, &wheel->slots[0][slot]);
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_ns)
{
    uint64_t target = now_ns / TICK_NS;
    if (target <= wheel->tick)
        return;
    struct list due;
    list_init(&due);
    const struct list *slot;
    for (uint64_t tick; (tick = next_slot(wheel, &slot)) <= target;)
        enter_tick(wheel, tick, &due);
    wheel->tick = target;
    for (struct list *link; (link = list_pop_front(&due)) != NULL;) {
        struct timer *timer = container_of(link, struct timer, link);
        wheel->fired++;
        timer->fire(timer);
    }
}

/* The smallest due tick of a slot, or `start` where looking at all its timers would take long. */
static uint64_t first_due(const struct list *slot, uint64_t start)
{
    uint64_t first = UINT64_MAX;
    unsigned looked_at = 0;
    list_for_each(link, slot)
    {
        if (looked_at++ == TIMERS_LOOKED_AT)
            return start;
        uint64_t tick = due_tick(container_of(link, struct timer, link));
        first = tick < first ? tick : first;
    }
    return first > start ? first : start;
}

uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel)
{
    const struct list *slot = NULL;
    uint64_t tick = next_slot(wheel, &slot);
    if (slot)
        tick = first_due(slot, tick);
    return tick > UINT64_MAX / TICK_NS ? UINT64_MAX : tick * TICK_NS;
}
