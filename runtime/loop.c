/*
 * The parts of a loop that are the same on every host: posting with a backlog behind full rings,
 * deferred work, timers, counters. The host drives the phases:
 *
 *   loop_turn_begin; completions and loop_deliver; loop_turn_timers; network bytes; loop_turn_end;
 *   sends; then it may sleep until loop_next_turn_ns.
 */
#include "runtime/loop.h"

#include "base/assert.h"

/* How soon a full ring is tried again when nothing else wakes the loop. */
enum { BACKLOG_RETRY_NS = 100000 };

void loop_init(struct loop *loop, unsigned index, unsigned count, struct heap *heap,
               struct storage storage, struct transport transport, struct host host,
               const struct diagnostics *diagnostics)
{
    klamm_assert(count <= LOOP_COUNT_MAX);
    klamm_assert(index < count);
    *loop = (struct loop){.index = index,
                          .count = count,
                          .heap = heap,
                          .storage = storage,
                          .transport = transport,
                          .host = host,
                          .diagnostics = diagnostics};
    timer_wheel_init(&loop->timers, 0);
    list_init(&loop->deferred);
    for (unsigned to = 0; to < LOOP_COUNT_MAX; to++)
        loop->backlog[to].last = &loop->backlog[to].first;
    host.ops->entropy(host.self, &loop->seed, sizeof(loop->seed));
}

static void backlog_push(struct loop *loop, unsigned to, struct message *message)
{
    message->next = NULL;
    *loop->backlog[to].last = message;
    loop->backlog[to].last = &message->next;
}

void loop_post(struct loop *loop, unsigned to, struct message *message)
{
    klamm_assert(to < loop->count);
    klamm_assert(message->deliver != NULL);
    message->from = (uint16_t)loop->index;
    loop->counters.messages_posted++;
    if (loop->backlog[to].first || !loop->host.ops->post(loop->host.self, to, message))
        backlog_push(loop, to, message);
}

/* Moves what fits from the backlogs into the rings, in order. */
static void backlog_flush(struct loop *loop)
{
    for (unsigned to = 0; to < loop->count; to++) {
        while (loop->backlog[to].first) {
            struct message *message = loop->backlog[to].first;
            struct message *after = message->next; /* the ring owns the link after a post */
            if (!loop->host.ops->post(loop->host.self, to, message))
                break;
            loop->backlog[to].first = after;
        }
        if (!loop->backlog[to].first)
            loop->backlog[to].last = &loop->backlog[to].first;
    }
}

void deferred_init(struct deferred *deferred, void (*run)(struct deferred *deferred))
{
    list_link_init(&deferred->link);
    deferred->run = run;
}

void loop_defer(struct loop *loop, struct deferred *deferred)
{
    if (!list_is_linked(&deferred->link))
        list_push_back(&loop->deferred, &deferred->link);
}

void loop_set_timer(struct loop *loop, struct timer *timer, uint64_t delay_ns)
{
    uint64_t left = UINT64_MAX - loop->now_ns;
    timer_wheel_set(&loop->timers, timer, delay_ns > left ? UINT64_MAX : loop->now_ns + delay_ns);
}

void loop_start_job(struct loop *loop, struct job *job)
{
    klamm_assert(job->step != NULL);
    klamm_assert(job->done != NULL);
    klamm_assert(job->job_class < JOB_CLASSES);
    job->loop = loop;
    atomic_store_explicit(&job->cancelled, false, memory_order_relaxed);
    loop->counters.jobs_started++;
    loop->host.ops->start_job(loop->host.self, job);
}

uint64_t loop_random_seed(const struct loop *loop, uint64_t purpose)
{
    /* The finalizer of splitmix64 over both: near inputs give unrelated streams. */
    uint64_t mixed = loop->seed + (purpose + 1) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

void loop_entropy(struct loop *loop, void *data, size_t size)
{
    loop->host.ops->entropy(loop->host.self, data, size);
}

void loop_turn_begin(struct loop *loop, uint64_t now_ns, int64_t wall_ms)
{
    klamm_assert(now_ns >= loop->now_ns);
    loop->now_ns = now_ns;
    loop->wall_ms = wall_ms;
    loop->counters.turns++;
}

void loop_deliver(struct loop *loop, struct message *message)
{
    loop->counters.messages_delivered++;
    message->deliver(message, loop);
}

void loop_turn_timers(struct loop *loop)
{
    timer_wheel_advance(&loop->timers, loop->now_ns);
    loop->counters.timers_fired = loop->timers.fired;
}

void loop_turn_end(struct loop *loop)
{
    struct list now;
    list_init(&now);
    list_splice_back(&now, &loop->deferred);
    for (struct list *link; (link = list_pop_front(&now)) != NULL;) {
        struct deferred *deferred = container_of(link, struct deferred, link);
        deferred->run(deferred);
    }
    backlog_flush(loop);
}

uint64_t loop_next_turn_ns(const struct loop *loop)
{
    if (!list_is_empty(&loop->deferred))
        return loop->now_ns;
    uint64_t next = timer_wheel_next_ns(&loop->timers);
    for (unsigned to = 0; to < loop->count; to++) {
        if (loop->backlog[to].first && next > loop->now_ns + BACKLOG_RETRY_NS)
            next = loop->now_ns + BACKLOG_RETRY_NS;
    }
    return next;
}
