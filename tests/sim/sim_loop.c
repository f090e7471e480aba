/*
 * Loops of a simulated node. Whatever arrives for a loop schedules a turn of it shortly afterwards
 * (one at a time); a turn takes all that has arrived, or now and then only a drawn part of it.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "tests/sim/sim_internal.h"

enum {
    MAILBOX_CAPACITY = 16, /* small, so that full rings happen */
    TURN_DELAY_MIN_NS = 1000,
    TURN_DELAY_MAX_NS = 200000,
    MESSAGE_DELAY_MAX_NS = 100000,
    STEP_DELAY_MIN_NS = 2000,
    STEP_DELAY_MAX_NS = 500000
};

struct sim_loop *sim_loop_of(const struct loop *loop)
{
    return loop->host.self;
}

/* ---- Memory ---- */

static void *node_heap_get(struct heap *heap, size_t size)
{
    return sim_node_get(heap->backend, size);
}

static void node_heap_put(struct heap *heap, void *memory, size_t size)
{
    struct sim_node *node = heap->backend;
    struct block *block = (struct block *)memory - 1;
    if (block->size != size)
        sim_fail(node->sim, "a block of %zu bytes was put back as %zu", block->size, size);
    node->held_bytes -= size;
    list_remove(&block->link);
    memset(block, 0xdd, sizeof(*block) + size);
    free(block);
}

void sim_heap_init(struct sim_node *node, struct heap *heap)
{
    *heap = (struct heap){.get = node_heap_get, .put = node_heap_put, .backend = node};
}

/* ---- Arrivals ---- */

void sim_arrive(struct sim_loop *at, struct arrival_queue *queue,
                void (*run)(struct sim_loop *at, void *subject), void *subject)
{
    struct arrival *arrival = sim_node_get(at->node, sizeof(*arrival));
    *arrival = (struct arrival){.run = run, .subject = subject};
    *queue->last = arrival;
    queue->last = &arrival->next;
    queue->count++;
    sim_wake(at);
}

static bool run_arrival(struct sim_loop *at, struct arrival_queue *queue)
{
    struct arrival *arrival = queue->first;
    if (!arrival)
        return false;
    queue->first = arrival->next;
    if (!queue->first)
        queue->last = &queue->first;
    queue->count--;
    struct arrival copy = *arrival;
    at->heap.put(&at->heap, arrival, sizeof(*arrival));
    copy.run(at, copy.subject);
    return true;
}

/* How many of `count` arrivals this turn takes: mostly all, at least one. */
static size_t drawn_count(struct sim_loop *at, size_t count)
{
    if (count < 2 || random_chance(&at->node->random, 3, 4))
        return count;
    return 1 + random_below(&at->node->random, count);
}

/* ---- Turns ---- */

static void turn_phases(void *argument)
{
    struct sim_loop *at = argument;
    struct sim_node *node = at->node;
    loop_turn_begin(&at->loop, sim_clock_ns(node), sim_clock_wall_ms(node));
    if (!at->booted) {
        at->booted = true;
        node->spec.boot(&at->loop, node->spec.argument);
    }
    for (size_t left = drawn_count(at, at->completed.count); left > 0; left--)
        run_arrival(at, &at->completed);
    if (at->loop.index == 0 && node->stop_wanted) {
        node->stop_wanted = false;
        node->spec.stop_requested(&at->loop);
    }
    for (unsigned from = 0; from < at->loop.count; from++) {
        for (size_t left = drawn_count(at, at->inbox[from].count); left > 0; left--)
            run_arrival(at, &at->inbox[from]);
    }
    loop_turn_timers(&at->loop);
    sim_transport_network(at);
    loop_turn_end(&at->loop);
    sim_transport_flush(at);
}

static bool has_arrivals(const struct sim_loop *at)
{
    if (at->completed.count > 0 || !list_is_empty(&at->ready) || !list_is_empty(&at->unsent))
        return true;
    for (unsigned from = 0; from < at->loop.count; from++) {
        if (at->inbox[from].count > 0)
            return true;
    }
    return at->loop.index == 0 && at->node->stop_wanted;
}

static void schedule_turn(struct sim_loop *at, uint64_t delay_ns);

static void run_turn(struct sim_event *event)
{
    struct sim_loop *at = event->at;
    struct sim_node *node = event->node;
    at->turn = NULL;
    uint64_t now = node->sim->now_ns;
    if (node->paused_until_ns > now) {
        schedule_turn(at, node->paused_until_ns - now);
        return;
    }
    if (!sim_enter(node, turn_phases, at))
        return;
    if (node->ending) {
        sim_node_end(node);
        sim_disk_process_crash(node->disk); /* the end of a process releases its locks */
        return;
    }
    uint64_t next = loop_next_turn_ns(&at->loop);
    if (has_arrivals(at))
        sim_wake(at);
    else if (next != UINT64_MAX)
        schedule_turn(at, sim_clock_wait_ns(node, next));
}

static void schedule_turn(struct sim_loop *at, uint64_t delay_ns)
{
    struct sim *sim = at->node->sim;
    uint64_t due = sim->now_ns + delay_ns;
    if (at->turn) {
        if ((uint64_t)at->turn->queued.key >> 8 <= due)
            return;
        priority_queue_remove(&sim->queue, &at->turn->queued);
        sim_put(sim, at->turn, sizeof(*at->turn));
    }
    at->turn = sim_schedule(sim, at->node, delay_ns, run_turn);
    at->turn->at = at;
}

void sim_wake(struct sim_loop *at)
{
    schedule_turn(at, sim_delay(&at->node->random, TURN_DELAY_MIN_NS, TURN_DELAY_MAX_NS));
}

/* ---- Mailboxes ---- */

static void deliver_message(struct sim_loop *at, void *subject)
{
    struct message *message = subject;
    at->in_flight[message->from]--;
    loop_deliver(&at->loop, message);
}

static void message_arrives(struct sim_event *event)
{
    struct message *message = event->subject;
    sim_arrive(event->at, &event->at->inbox[message->from], deliver_message, message);
}

static bool sim_post(void *self, unsigned to, struct message *message)
{
    struct sim_loop *from = self;
    struct sim_loop *at = &from->node->loops[to];
    unsigned sender = from->loop.index;
    if (at->in_flight[sender] == MAILBOX_CAPACITY)
        return false;
    at->in_flight[sender]++;
    struct sim *sim = from->node->sim;
    /* Strictly behind the message before it, because ties are broken by a draw. */
    uint64_t due = sim->now_ns + sim_delay(&from->node->random, 100, MESSAGE_DELAY_MAX_NS);
    if (due <= at->last_arrival_ns[sender])
        due = at->last_arrival_ns[sender] + 1;
    at->last_arrival_ns[sender] = due;
    struct sim_event *event = sim_schedule(sim, from->node, due - sim->now_ns, message_arrives);
    event->at = at;
    event->subject = message;
    return true;
}

/* ---- Jobs ---- */

static void run_job_done(struct sim_loop *at, void *subject)
{
    (void)at;
    struct job *job = subject;
    job->done(job);
}

struct job_run {
    struct job *job;
    struct sim_node *node;
    enum job_progress progress;
};

static void run_step(void *argument)
{
    struct job_run *run = argument;
    struct job_context context = {.storage = sim_storage_blocking(run->node),
                                  .heap = &run->job->heap,
                                  .now_ns = sim_clock_ns(run->node),
                                  .wall_ms = sim_clock_wall_ms(run->node),
                                  .diagnostics = &run->node->diagnostics};
    run->progress = run->job->step(run->job, &context);
}

static void job_arrives(struct sim_event *event)
{
    sim_arrive(event->at, &event->at->completed, run_job_done, event->subject);
}

static void schedule_step(struct sim_loop *at, struct job *job, uint64_t delay_ns,
                          void (*run)(struct sim_event *event))
{
    struct sim_event *event = sim_schedule(at->node->sim, at->node, delay_ns, run);
    event->at = at;
    event->subject = job;
}

static void job_step(struct sim_event *event)
{
    struct sim_node *node = event->node;
    uint64_t now = node->sim->now_ns;
    if (node->paused_until_ns > now) {
        schedule_step(event->at, event->subject, node->paused_until_ns - now, job_step);
        return;
    }
    struct job_run run = {event->subject, node, JOB_FINISHED};
    node->step_delay_ns = 0;
    if (!sim_enter(node, run_step, &run))
        return;
    uint64_t delay =
        node->step_delay_ns + sim_delay(&node->random, STEP_DELAY_MIN_NS, STEP_DELAY_MAX_NS);
    schedule_step(event->at, event->subject, delay,
                  run.progress == JOB_MORE ? job_step : job_arrives);
}

static void sim_start_job(void *self, struct job *job)
{
    struct sim_loop *at = self;
    sim_heap_init(at->node, &job->heap);
    schedule_step(at, job, sim_delay(&at->node->random, STEP_DELAY_MIN_NS, STEP_DELAY_MAX_NS),
                  job_step);
}

static void sim_entropy(void *self, void *data, size_t size)
{
    struct sim_loop *at = self;
    random_fill(&at->node->random, data, size);
}

static const struct host_ops ops = {sim_post, sim_start_job, sim_entropy};

void sim_loops_boot(struct sim_node *node)
{
    unsigned count = node->spec.loops;
    node->loops = sim_node_get(node, count * sizeof(struct sim_loop));
    memset(node->loops, 0, count * sizeof(struct sim_loop));
    for (unsigned i = 0; i < count; i++) {
        struct sim_loop *at = &node->loops[i];
        at->node = node;
        sim_heap_init(node, &at->heap);
        at->completed.last = &at->completed.first;
        for (unsigned from = 0; from < LOOP_COUNT_MAX; from++)
            at->inbox[from].last = &at->inbox[from].first;
        list_init(&at->ready);
        list_init(&at->unsent);
        loop_init(&at->loop, i, count, &at->heap, sim_storage(at), sim_transport(at),
                  (struct host){&ops, at}, &node->diagnostics);
        timer_wheel_init(&at->loop.timers, sim_clock_ns(node));
        at->loop.test_points = node->faults.test_points;
    }
    for (unsigned i = 0; i < count; i++)
        sim_wake(&node->loops[i]);
}
