/*
 * The real host: a node of one control loop and two shards that talks to itself over messages, jobs
 * and sockets on loopback. Every test is one node_run that ends by itself; nothing sleeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "runtime/posix/host.h"
#include "runtime/posix/node.h"

enum { SHARDS = 2 };

/* ---- Messages: a counter goes round through all loops many times ---- */

enum { ROUNDS = 2000 };

struct token {
    struct message message;
    unsigned hops;
};

static struct token token;

static void token_deliver(struct message *message, struct loop *at)
{
    struct token *own = container_of(message, struct token, message);
    if (++own->hops == ROUNDS) {
        node_stop(at, (int)(own->hops % 100));
        return;
    }
    loop_post(at, (at->index + 1) % at->count, message);
}

static void token_boot(struct loop *loop, void *argument)
{
    (void)argument;
    if (loop->index == 0) {
        token = (struct token){.message = {.deliver = token_deliver}};
        loop_post(loop, 1, &token.message);
    }
}

static int run(void (*boot)(struct loop *, void *), void *argument)
{
    const struct node_options options = {.shards = SHARDS,
                                         .diagnostics = host_diagnostics(LOG_LEVEL_WARN),
                                         .boot = boot,
                                         .argument = argument,
                                         .keep_signals = true};
    return node_run(&options);
}

static void messages_travel_between_loops(void **state)
{
    (void)state;
    assert_int_equal(run(token_boot, NULL), ROUNDS % 100);
    assert_int_equal(token.hops, ROUNDS);
}

/* ---- More messages than a ring holds arrive all and in order ---- */

enum { FLOOD = 5000 };

struct numbered {
    struct message message;
    unsigned number;
};

static struct numbered flood[FLOOD];
static unsigned flood_next;
static bool flood_in_order;

static void flood_deliver(struct message *message, struct loop *at)
{
    unsigned number = container_of(message, struct numbered, message)->number;
    flood_in_order = flood_in_order && number == flood_next++ && message->from == 0;
    if (flood_next == FLOOD)
        node_stop(at, 0);
}

static void flood_boot(struct loop *loop, void *argument)
{
    (void)argument;
    for (unsigned i = 0; loop->index == 0 && i < FLOOD; i++) {
        flood[i] = (struct numbered){.message = {.deliver = flood_deliver}, .number = i};
        loop_post(loop, 2, &flood[i].message);
    }
}

static void a_flood_behind_a_full_ring_keeps_its_order(void **state)
{
    (void)state;
    flood_next = 0;
    flood_in_order = true;
    assert_int_equal(run(flood_boot, NULL), 0);
    assert_true(flood_in_order);
    assert_int_equal(flood_next, FLOOD);
}

/* ---- Jobs and timers ---- */

struct counted_job {
    struct job job;
    unsigned steps;
    void *block;
    struct timer timer;
};

static struct counted_job counted;

static enum job_progress count_step(struct job *job, const struct job_context *context)
{
    struct counted_job *own = container_of(job, struct counted_job, job);
    if (own->steps == 0)
        own->block = heap_get(context->heap, MEMORY_SCRATCH, 100);
    return ++own->steps < 5 ? JOB_MORE : JOB_FINISHED;
}

static void stop_on_timer(struct timer *timer)
{
    struct counted_job *own = container_of(timer, struct counted_job, timer);
    assert_int_equal(own->steps, 5);
    node_stop(own->job.loop, 7);
}

static void count_done(struct job *job)
{
    struct counted_job *own = container_of(job, struct counted_job, job);
    heap_put(&job->heap, MEMORY_SCRATCH, own->block, 100);
    assert_int_equal(job->heap.used[MEMORY_SCRATCH], 0);
    timer_init(&own->timer, stop_on_timer);
    loop_set_timer(job->loop, &own->timer, 3000000);
}

static void job_boot(struct loop *loop, void *argument)
{
    (void)argument;
    if (loop->index != 1)
        return;
    counted = (struct counted_job){
        .job = {.step = count_step, .done = count_done, .job_class = JOB_BACKGROUND}};
    loop_start_job(loop, &counted.job);
}

static void a_job_runs_its_steps_and_comes_home(void **state)
{
    (void)state;
    assert_int_equal(run(job_boot, NULL), 7);
}

/* ---- Connecting where nobody listens, and by a name that cannot be ---- */

static struct stream lonely;
static enum transport_status lonely_end;

static void lonely_closed(struct stream *stream, enum transport_status why)
{
    (void)stream;
    lonely_end = why;
}

static struct loop *lonely_loop;

static void lonely_stop(struct stream *stream, enum transport_status why)
{
    lonely_closed(stream, why);
    node_stop(lonely_loop, 0);
}

static const struct stream_events lonely_events = {.closed = lonely_stop};

static void refused_boot(struct loop *loop, void *argument)
{
    static struct listener listener;
    static const struct listener_events nobody = {0};
    if (loop->index != 0)
        return;
    /* A port that was free a moment ago. */
    listener.events = &nobody;
    assert_int_equal(transport_listen(loop->transport, &listener, argument, 0, 1), TRANSPORT_OK);
    transport_unlisten(loop->transport, &listener);
    lonely = (struct stream){.events = &lonely_events};
    lonely_loop = loop;
    assert_int_equal(transport_connect(loop->transport, &lonely, argument, listener.local.port),
                     TRANSPORT_OK);
}

static void connecting_to_nobody_is_refused(void **state)
{
    (void)state;
    char by_address[] = "127.0.0.1", by_name[] = "localhost";
    assert_int_equal(run(refused_boot, by_address), 0);
    assert_int_equal(lonely_end, TRANSPORT_REFUSED);
    assert_int_equal(run(refused_boot, by_name), 0);
    assert_int_equal(lonely_end, TRANSPORT_REFUSED);
}

static void busy_boot(struct loop *loop, void *argument)
{
    (void)argument;
    static struct listener first, second;
    static const struct listener_events nobody = {0};
    if (loop->index != 0)
        return;
    first.events = second.events = &nobody;
    assert_int_equal(transport_listen(loop->transport, &first, "localhost", 0, 1), TRANSPORT_OK);
    assert_true(first.local.port != 0);
    assert_int_equal(transport_listen(loop->transport, &second, "127.0.0.1", first.local.port, 1),
                     TRANSPORT_IN_USE);
    assert_int_equal(transport_listen(loop->transport, &second, "no such host", 0, 1),
                     TRANSPORT_BAD_ADDRESS);
    assert_int_equal(transport_listen(loop->transport, &second, "192.0.2.1", 0, 1),
                     TRANSPORT_BAD_ADDRESS);
    node_stop(loop, 0);
}

static void listening_fails_with_the_reason(void **state)
{
    (void)state;
    assert_int_equal(run(busy_boot, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_travel_between_loops),
        cmocka_unit_test(a_flood_behind_a_full_ring_keeps_its_order),
        cmocka_unit_test(a_job_runs_its_steps_and_comes_home),
        cmocka_unit_test(connecting_to_nobody_is_refused),
        cmocka_unit_test(listening_fails_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
