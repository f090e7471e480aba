/*
 * The scheduler: one queue of events by virtual time, with ties broken by a draw. Node code runs
 * inside sim_enter; when the node dies in the middle of a call, control jumps back there and the
 * node's memory is dropped as a whole, so nothing on its stack needs to unwind.
 */
#include "tests/sim/sim_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"

/* The simulator that runs on this thread, for klamm_halt, which has no argument. */
static struct sim *current;

enum stream_number { STREAM_SCENARIO, STREAM_SCHEDULE, STREAM_NODES };

void *sim_get(struct sim *sim, size_t size)
{
    return heap_must_get(&sim->heap, MEMORY_STATE, size);
}

void sim_put(struct sim *sim, void *block, size_t size)
{
    heap_put(&sim->heap, MEMORY_STATE, block, size);
}

struct sim *sim_create(uint64_t seed)
{
    struct heap heap;
    heap_init_plain(&heap);
    struct sim *sim = heap_must_get(&heap, MEMORY_STATE, sizeof(*sim));
    sim->heap = heap;
    sim->seed = seed;
    sim->hash = seed;
    sim->now_ns = 1000000000;
    priority_queue_init(&sim->queue, &sim->heap, MEMORY_STATE);
    random_init(&sim->random, seed, STREAM_SCENARIO);
    random_init(&sim->schedule, seed, STREAM_SCHEDULE);
    list_init(&sim->links);
    current = sim;
    return sim;
}

static void event_free(struct sim *sim, struct sim_event *event)
{
    if (event->data)
        sim_put(sim, event->data, event->size);
    sim_put(sim, event, sizeof(*event));
}

void sim_destroy(struct sim *sim)
{
    for (unsigned i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i]->running)
            sim_node_end(sim->nodes[i]);
    }
    for (struct priority_node *node; (node = priority_queue_pop(&sim->queue)) != NULL;) {
        struct sim_event *event = container_of(node, struct sim_event, queued);
        if (event->dropped)
            event->dropped(event);
        event_free(sim, event);
    }
    sim_transport_destroy(sim);
    for (unsigned i = 0; i < sim->node_count; i++) {
        sim_disk_destroy(sim->nodes[i]->disk);
        sim_put(sim, sim->nodes[i], sizeof(*sim->nodes[i]));
    }
    priority_queue_deinit(&sim->queue);
    bool failed = sim->failure[0] != '\0'; /* then what was under way is lost */
    if (current == sim)
        current = NULL;
    struct heap heap = sim->heap;
    heap_put(&heap, MEMORY_STATE, sim, sizeof(*sim));
    klamm_assert(failed || heap.used[MEMORY_STATE] == 0);
}

static void node_line(void *self, enum log_level level, const char *text)
{
    struct sim_node *node = self;
    fprintf(stderr, "%12.6f node-%u %d %s\n", (double)node->sim->now_ns / 1e9, node->number,
            (int)level, text);
}

unsigned sim_add_node(struct sim *sim, const struct sim_node_spec *spec)
{
    klamm_assert(sim->node_count < 64);
    klamm_assert(spec->loops >= 1 && spec->loops <= LOOP_COUNT_MAX);
    struct sim_node *node = sim_get(sim, sizeof(*node));
    node->sim = sim;
    node->number = sim->node_count;
    node->spec = *spec;
    node->exit_status = -1;
    node->diagnostics =
        (struct diagnostics){node_line, node, spec->chatty ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR + 1};
    random_init(&node->random, sim->seed, STREAM_NODES + node->number);
    list_init(&node->blocks);
    list_init(&node->listeners);
    list_init(&node->ends);
    node->disk = sim_disk_create(node);
    sim->nodes[sim->node_count++] = node;
    return node->number;
}

struct sim_faults *sim_node_faults(struct sim *sim, unsigned node)
{
    return &sim->nodes[node]->faults;
}

/* ---- Events ---- */

uint64_t sim_delay(struct random_stream *random, uint64_t low_ns, uint64_t high_ns)
{
    uint64_t high = low_ns;
    while (high < high_ns && random_chance(random, 2, 3))
        high = high * 2 + 1;
    if (high > high_ns)
        high = high_ns;
    return high <= low_ns ? low_ns : low_ns + random_below(random, high - low_ns + 1);
}

struct sim_event *sim_schedule(struct sim *sim, struct sim_node *node, uint64_t delay_ns,
                               void (*run)(struct sim_event *event))
{
    struct sim_event *event = sim_get(sim, sizeof(*event));
    event->run = run;
    event->sim = sim;
    event->node = node;
    event->incarnation = node ? node->incarnation : 0;
    /* Time in the high bits, the drawn tie-break in the low ones: 2^55 ns are more than a year. */
    uint64_t at = sim->now_ns + delay_ns;
    klamm_assert(at < UINT64_C(1) << 55);
    int64_t key = (int64_t)(at << 8 | random_below(&sim->schedule, 256));
    klamm_assert(priority_queue_push(&sim->queue, &event->queued, key));
    return event;
}

void sim_fold(struct sim *sim, uint64_t value)
{
    sim->hash = hash_u64(sim->hash, value);
}

void sim_fold_bytes(struct sim *sim, const void *data, size_t size)
{
    sim_fold(sim, hash_bytes(sim->hash, view_of(data, size)) + size);
}

void sim_note(struct sim *sim, const void *data, size_t size)
{
    sim_fold_bytes(sim, data, size);
}

static uint64_t event_time(const struct priority_node *node)
{
    return (uint64_t)node->key >> 8;
}

bool sim_step(struct sim *sim)
{
    struct priority_node *node = priority_queue_pop(&sim->queue);
    if (!node)
        return false;
    struct sim_event *event = container_of(node, struct sim_event, queued);
    klamm_assert(event_time(node) >= sim->now_ns);
    sim->now_ns = event_time(node);
    bool alive =
        !event->node || (event->node->running && event->incarnation == event->node->incarnation);
    if (!alive && event->dropped)
        event->dropped(event);
    if (alive) {
        sim->events++;
        sim_fold(sim, sim->now_ns);
        sim_fold(sim, event->node ? event->node->number : UINT64_MAX);
        unsigned number = event->node ? event->node->number : UINT32_MAX;
        event->run(event);
        if (sim->watch && number != UINT32_MAX)
            sim->watch(sim->watch_context, number);
    }
    event_free(sim, event);
    return true;
}

void sim_run_until(struct sim *sim, uint64_t time_ns)
{
    for (const struct priority_node *node;
         (node = priority_queue_peek(&sim->queue)) != NULL && event_time(node) <= time_ns;)
        sim_step(sim);
    if (sim->now_ns < time_ns)
        sim->now_ns = time_ns;
}

bool sim_run_to(struct sim *sim, bool (*reached)(void *context), void *context, uint64_t limit_ns)
{
    while (!reached(context)) {
        const struct priority_node *node = priority_queue_peek(&sim->queue);
        if (!node || event_time(node) > limit_ns)
            return false;
        sim_step(sim);
    }
    return true;
}

struct after {
    void (*run)(struct sim *sim, void *context);
    void *context;
};

static void run_after(struct sim_event *event)
{
    struct after *after = event->data;
    after->run(event->sim, after->context);
}

void sim_after(struct sim *sim, uint64_t delay_ns, void (*run)(struct sim *sim, void *context),
               void *context)
{
    struct sim_event *event = sim_schedule(sim, NULL, delay_ns, run_after);
    struct after *after = sim_get(sim, sizeof(*after));
    *after = (struct after){run, context};
    event->data = after;
    event->size = sizeof(*after);
}

/* ---- Node code, crashes ---- */

bool sim_enter(struct sim_node *node, void (*run)(void *argument), void *argument)
{
    struct sim *sim = node->sim;
    klamm_assert(sim->inside == NULL);
    sim->inside = node;
    if (_setjmp(sim->crash_jump) == 0) {
        run(argument);
        sim->inside = NULL;
        return true;
    }
    sim->inside = NULL;
    sim_node_end(node);
    if (node->crash_is_power_cut)
        sim_disk_power_cut(node->disk);
    else
        sim_disk_process_crash(node->disk);
    return false;
}

_Noreturn void sim_die(struct sim_node *node)
{
    klamm_assert(node->sim->inside == node);
    longjmp(node->sim->crash_jump, 1);
}

void *sim_node_get(struct sim_node *node, size_t size)
{
    struct block *block = malloc(sizeof(*block) + size);
    if (!block)
        sim_fail(node->sim, "the machine is out of memory");
    list_push_back(&node->blocks, &block->link);
    block->size = size;
    node->held_bytes += size;
    /* Fresh memory holds something else in every run, so that reading it shows. */
    uint64_t pattern = hash_u64(node->sim->seed, node->held_bytes ^ node->incarnation);
    memset(block + 1, (int)(pattern & 0xff), size);
    return block + 1;
}

void sim_node_end(struct sim_node *node)
{
    node->running = false;
    node->incarnation++;
    node->crash_call = 0;
    node->ending = false;
    node->stop_wanted = false;
    node->paused_until_ns = 0;
    sim_transport_node_ended(node);
    while (!list_is_empty(&node->blocks)) {
        struct block *block = container_of(list_pop_front(&node->blocks), struct block, link);
        free(block);
    }
    node->held_bytes = 0;
    node->loops = NULL;
}

void sim_start(struct sim *sim, unsigned number)
{
    struct sim_node *node = sim->nodes[number];
    klamm_assert(!node->running);
    node->running = true;
    node->incarnation++;
    sim_loops_boot(node);
}

static void end_from_outside(struct sim_node *node, bool power_cut)
{
    if (node->running && node->sim->inside == node) {
        node->crash_is_power_cut = power_cut;
        sim_die(node);
    }
    if (node->running) {
        sim_node_end(node);
        if (!power_cut)
            sim_disk_process_crash(node->disk);
    }
    if (power_cut)
        sim_disk_power_cut(node->disk);
}

void sim_crash(struct sim *sim, unsigned node)
{
    end_from_outside(sim->nodes[node], false);
}

void sim_power_cut(struct sim *sim, unsigned node)
{
    end_from_outside(sim->nodes[node], true);
}

void sim_stop(struct sim *sim, unsigned number)
{
    struct sim_node *node = sim->nodes[number];
    if (!node->running || !node->spec.stop_requested)
        return;
    node->stop_wanted = true;
    sim_wake(&node->loops[0]);
}

void sim_node_stop(struct loop *loop, int status)
{
    struct sim_node *node = sim_loop_of(loop)->node;
    node->exit_status = status;
    node->ending = true;
}

void sim_pause(struct sim *sim, unsigned number, uint64_t duration_ns)
{
    struct sim_node *node = sim->nodes[number];
    if (node->running)
        node->paused_until_ns = sim->now_ns + duration_ns;
}

void sim_resume(struct sim *sim, unsigned number)
{
    struct sim_node *node = sim->nodes[number];
    if (!sim_is_paused(sim, number))
        return;
    node->paused_until_ns = 0;
    for (unsigned i = 0; i < node->spec.loops; i++)
        sim_wake(&node->loops[i]);
}

bool sim_is_paused(const struct sim *sim, unsigned node)
{
    return sim->nodes[node]->paused_until_ns > sim->now_ns;
}

/* ---- Clocks ---- */

enum { MILLION = 1000000 };

/* `ns` of a clock with one rate, in a clock with another one. */
static uint64_t scaled(uint64_t ns, int64_t rate, int64_t other_rate)
{
    uint64_t from = (uint64_t)(MILLION + other_rate), to = (uint64_t)(MILLION + rate);
    return ns / from * to + ns % from * to / from;
}

uint64_t sim_clock_ns(const struct sim_node *node)
{
    const struct sim_clock *clock = &node->clock;
    return clock->own_ns + scaled(node->sim->now_ns - clock->real_ns, clock->rate_ppm, 0);
}

int64_t sim_clock_wall_ms(const struct sim_node *node)
{
    return INT64_C(1700000000000) + (int64_t)(node->sim->now_ns / MILLION) + node->clock.wall_ms;
}

uint64_t sim_clock_wait_ns(const struct sim_node *node, uint64_t own_ns)
{
    uint64_t now = sim_clock_ns(node);
    if (own_ns <= now)
        return 1;
    /* Rounded up, so that the clock shows that time when the wait ends. */
    return scaled(own_ns - now, 0, node->clock.rate_ppm) + (node->clock.rate_ppm != 0);
}

void sim_set_clock(struct sim *sim, unsigned number, int32_t rate_ppm, int64_t wall_error_ms)
{
    klamm_assert(rate_ppm > -MILLION / 2 && rate_ppm < MILLION);
    struct sim_node *node = sim->nodes[number];
    node->clock = (struct sim_clock){.real_ns = sim->now_ns,
                                     .own_ns = sim_clock_ns(node),
                                     .rate_ppm = rate_ppm,
                                     .wall_ms = wall_error_ms};
}

void sim_watch(struct sim *sim, void (*watch)(void *context, unsigned node), void *context)
{
    sim->watch = watch;
    sim->watch_context = context;
}

bool sim_is_running(const struct sim *sim, unsigned node)
{
    return sim->nodes[node]->running;
}

int sim_exit_status(const struct sim *sim, unsigned node)
{
    return sim->nodes[node]->exit_status;
}

void sim_crash_at_storage_call(struct sim *sim, unsigned node, uint64_t calls, bool power_cut)
{
    sim->nodes[node]->crash_call = calls;
    sim->nodes[node]->crash_is_power_cut = power_cut;
}

uint64_t sim_now_ns(const struct sim *sim)
{
    return sim->now_ns;
}

uint64_t sim_seed(const struct sim *sim)
{
    return sim->seed;
}

uint64_t sim_hash(const struct sim *sim)
{
    return sim->hash;
}

uint64_t sim_event_count(const struct sim *sim)
{
    return sim->events;
}

struct random_stream *sim_random(struct sim *sim)
{
    return &sim->random;
}

unsigned sim_node_of(const struct loop *loop)
{
    return sim_loop_of(loop)->node->number;
}

struct sim *sim_of(const struct loop *loop)
{
    return sim_loop_of(loop)->node->sim;
}

uint64_t sim_node_memory(const struct sim *sim, unsigned node)
{
    return sim->nodes[node]->held_bytes;
}

/* ---- Failures ---- */

static _Noreturn void fail_with_text(struct sim *sim)
{
    if (sim->guarded) {
        sim->inside = NULL;
        longjmp(sim->fail_jump, 1);
    }
    fprintf(stderr, "seed %llu at %.6f s: %s\n", (unsigned long long)sim->seed,
            (double)sim->now_ns / 1e9, sim->failure);
    abort();
}

_Noreturn void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->failure, sizeof(sim->failure), format, arguments);
    va_end(arguments);
    fail_with_text(sim);
}

bool sim_guard(struct sim *sim, void (*body)(struct sim *sim, void *argument), void *argument)
{
    sim->guarded = true;
    bool passed = _setjmp(sim->fail_jump) == 0;
    if (passed)
        body(sim, argument);
    sim->guarded = false;
    return passed;
}

const char *sim_failure(const struct sim *sim)
{
    return sim->failure;
}

_Noreturn void klamm_halt(const char *file, int line, const char *text)
{
    if (current) {
        snprintf(current->failure, sizeof(current->failure), "halt in node-%d: %s:%d: %s",
                 current->inside ? (int)current->inside->number : -1, file, line, text);
        fail_with_text(current);
    }
    fprintf(stderr, "%s:%d: halt: %s\n", file, line, text);
    abort();
}
