/*
 * The simulator itself: a node of two loops that says hello through mailboxes, timers, a file and a
 * power cut; a client and a server over streams; equal seeds, equal hashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/sim/sim.h"

static const uint64_t second_ns = UINT64_C(1000000000);

/* ---- Loop 0 asks, loop 1 writes and syncs, loop 0 hears ---- */

struct hello_record {
    unsigned heard;     /* lines that loop 0 knows to be durable */
    uint64_t recovered; /* bytes found at the last boot */
};

struct writer_state {
    struct message message;
    struct storage_request request;
    struct storage_file *file;
    struct loop *home;
    struct timer timer;
    struct hello_record *record;
    unsigned line;
    char text[16];
};

static void ask(struct writer_state *state);

static void heard(struct message *message, struct loop *at)
{
    struct writer_state *state = container_of(message, struct writer_state, message);
    state->record->heard = ++state->line;
    loop_set_timer(at, &state->timer, 1000000);
}

static void ask_again(struct timer *timer)
{
    ask(container_of(timer, struct writer_state, timer));
}

static void reply(struct writer_state *state)
{
    state->message.deliver = heard;
    loop_post(state->home, 0, &state->message);
}

static void synced(struct storage_request *request)
{
    struct writer_state *state = container_of(request, struct writer_state, request);
    if (request->status == STORAGE_OK)
        reply(state);
}

static void write_line(struct message *message, struct loop *at)
{
    struct writer_state *state = container_of(message, struct writer_state, message);
    state->home = at;
    int size = snprintf(state->text, sizeof(state->text), "%07u\n", state->line);
    struct storage_buffer buffer = {state->text, (size_t)size};
    if (storage_append(at->storage, state->file, &buffer, 1, NULL) != STORAGE_OK)
        return;
    state->request =
        (struct storage_request){.done = synced, .operation = STORAGE_SYNC, .file = state->file};
    storage_submit(at->storage, &state->request);
}

static void ask(struct writer_state *state)
{
    state->message.deliver = write_line;
    loop_post(state->home, 1, &state->message);
}

/* Opening is a chain of requests on loop 0: open, sync of the directory, then the first ask. */
static void directory_synced(struct storage_request *request)
{
    struct writer_state *state = container_of(request, struct writer_state, request);
    ask(state);
}

static void opened(struct storage_request *request)
{
    struct writer_state *state = container_of(request, struct writer_state, request);
    if (request->status != STORAGE_OK)
        return;
    state->file = request->file;
    state->record->recovered = request->result_size;
    *request = (struct storage_request){
        .done = directory_synced, .operation = STORAGE_SYNC_DIRECTORY, .path = "/"};
    storage_submit(state->home->storage, request);
}

static void hello_boot(struct loop *loop, void *argument)
{
    if (loop->index != 0)
        return;
    struct writer_state *state = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*state));
    state->home = loop;
    state->record = argument;
    timer_init(&state->timer, ask_again);
    state->request = (struct storage_request){.done = opened,
                                              .operation = STORAGE_OPEN,
                                              .path = "/lines",
                                              .flags = STORAGE_FLAG_READ | STORAGE_FLAG_WRITE |
                                                       STORAGE_FLAG_CREATE};
    storage_submit(loop->storage, &state->request);
}

static uint64_t run_hello(uint64_t seed, bool power_cut)
{
    struct hello_record record = {0};
    struct sim *sim = sim_create(seed);
    unsigned node = sim_add_node(
        sim, &(struct sim_node_spec){.loops = 2, .boot = hello_boot, .argument = &record});
    sim_start(sim, node);
    if (random_chance(sim_random(sim), 1, 2))
        sim_crash_at_storage_call(sim, node, 1 + random_below(sim_random(sim), 200), power_cut);
    sim_run_until(sim, 2 * second_ns);
    if (sim_is_running(sim, node)) {
        assert_true(record.heard > 10);
        if (power_cut)
            sim_power_cut(sim, node);
        else
            sim_crash(sim, node);
    }
    uint64_t size = 0;
    const uint8_t *data = sim_file(sim, node, "/lines", &size);
    assert_true(data != NULL || record.heard == 0);
    for (unsigned i = 0; i < record.heard; i++) {
        char line[16];
        snprintf(line, sizeof(line), "%07u\n", i);
        assert_true((i + 1) * strlen(line) <= size);
        assert_memory_equal(data + i * strlen(line), line, strlen(line));
    }
    sim_start(sim, node);
    sim_run_until(sim, sim_now_ns(sim) + second_ns);
    assert_true(record.recovered <= size || size == 0);
    uint64_t hash = sim_hash(sim);
    sim_destroy(sim);
    return hash;
}

static void acknowledged_lines_survive_crashes_and_power_cuts(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++)
        run_hello(seed, seed % 2);
}

static void equal_seeds_give_equal_hashes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        assert_int_equal(run_hello(seed, true), run_hello(seed, true));
    assert_true(run_hello(1, true) != run_hello(2, true));
}

/* ---- Without the sync of its directory a file is lost in some power cut ---- */

static void power_cuts_lose_what_was_not_synced(void **state)
{
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct hello_record record = {0};
        struct sim *sim = sim_create(seed);
        unsigned node = sim_add_node(
            sim, &(struct sim_node_spec){.loops = 2, .boot = hello_boot, .argument = &record});
        sim_start(sim, node);
        /* Right after the open, before the directory is synced. */
        sim_crash_at_storage_call(sim, node, 2, true);
        sim_run_until(sim, 2 * second_ns);
        uint64_t size;
        lost += sim_file(sim, node, "/lines", &size) == NULL;
        sim_destroy(sim);
    }
    assert_true(lost > 0);
    assert_true(lost < 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_lines_survive_crashes_and_power_cuts),
        cmocka_unit_test(equal_seeds_give_equal_hashes),
        cmocka_unit_test(power_cuts_lose_what_was_not_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
