/*
 * Random lives of a coordinator against a model: writes, reads, lost and refused appends, other
 * writers, failovers and power cuts, with commits held back for a while.
 *
 * Claims: an answered write survives everything; an answered read gave a value that was never taken
 * back afterwards; whoever asks is told exactly once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/random.h"
#include "tests/unit/coordinator/coordinator_fixture.h"
#include "tests/unit/coordinator/note_kind.h"

enum { LIVES = 60, STEPS = 250, NOTES = 5, ASKS_MAX = 64 };

/* Texts rise with time, so "not older than" is a comparison. */
struct ask {
    struct fixture_call call;
    struct note_request request;
    int64_t response;
    int64_t floor; /* of its note when it was asked */
    bool is_counted;
};

static struct {
    struct coordinator_fixture fixture;
    struct random_stream random;
    struct ask asks[ASKS_MAX];
    uint32_t ask_count;
    int64_t next_text;
    int64_t floor[NOTES];   /* what was answered: the state may never be older */
    int64_t written[NOTES]; /* the newest that was ever tried */
    bool is_held;
    uint64_t answered;
    uint64_t failed;
} life;

static uint32_t draw(uint32_t bound)
{
    return (uint32_t)random_below(&life.random, bound);
}

/* What was answered since the last look raises the floor; then the state must be above it. */
static void check(void)
{
    for (uint32_t i = 0; i < life.ask_count; i++) {
        struct ask *ask = &life.asks[i];
        if (ask->call.told == 0 || ask->is_counted)
            continue;
        ask->is_counted = true;
        if (ask->call.call.error != KAFKA_ERROR_NONE) {
            life.failed++;
            continue;
        }
        life.answered++;
        assert_true(ask->response >= ask->floor);
        if (ask->response > life.floor[ask->request.number])
            life.floor[ask->request.number] = ask->response;
    }
    if (coordinator_state(life.fixture.coordinator) != COORDINATOR_ACTIVE)
        return;
    const struct notes *notes = coordinator_fixture_state(&life.fixture);
    for (int32_t i = 0; i < NOTES; i++) {
        assert_true(notes->texts[i] >= life.floor[i]);
        assert_true(notes->texts[i] <= life.written[i]);
    }
}

static void begin_ask(bool writes)
{
    if (life.ask_count == ASKS_MAX ||
        coordinator_state(life.fixture.coordinator) != COORDINATOR_ACTIVE)
        return;
    struct ask *ask = &life.asks[life.ask_count++];
    ask->request = (struct note_request){(int32_t)draw(NOTES), writes ? life.next_text++ : -1};
    ask->response = -2;
    ask->floor = life.floor[ask->request.number];
    ask->is_counted = false;
    if (writes)
        life.written[ask->request.number] = ask->request.text;
    fixture_call_init(&life.fixture, &ask->call, 0, &ask->request, &ask->response);
    note_handle(coordinator_fixture_state(&life.fixture), &ask->call.call);
}

/* Commits what is held; everybody has been told then. */
static void settle(void)
{
    life.is_held = false;
    coordinator_fixture_commit(&life.fixture);
    coordinator_fixture_advance(&life.fixture, 50);
    check();
    for (uint32_t i = 0; i < life.ask_count; i++) {
        assert_int_equal(life.asks[i].call.told, 1);
        fixture_call_deinit(&life.asks[i].call);
    }
    life.ask_count = 0;
}

static void write_elsewhere(void)
{
    struct arena arena;
    int32_t number = (int32_t)draw(NOTES);
    int64_t text = life.next_text++;
    struct batch_options options = fixture_options();
    if (life.is_held || life.fixture.is_refusing)
        return;
    arena_init(&arena, &life.fixture.other_heap, MEMORY_SCRATCH, 0);
    life.written[number] = text;
    coordinator_fixture_write(&life.fixture, &options, note_key(&arena, number),
                              note_value(&arena, text));
    arena_deinit(&arena);
}

static void step(void)
{
    switch (draw(14)) {
    case 0:
        life.is_held = true;
        coordinator_fixture_hold(&life.fixture);
        break;
    case 1:
        settle();
        break;
    case 2:
        coordinator_fixture_refuse(&life.fixture, true);
        begin_ask(true);
        coordinator_fixture_refuse(&life.fixture, false);
        break;
    case 3:
        settle();
        coordinator_fixture_lose_next(&life.fixture);
        begin_ask(true);
        begin_ask(false);
        coordinator_fixture_run(&life.fixture);
        life.fixture.log.node.failure[STORAGE_WRITE].status = STORAGE_OK;
        settle();
        coordinator_fixture_advance(&life.fixture, 40000);
        break;
    case 4:
        settle();
        coordinator_fixture_reload(&life.fixture);
        break;
    case 5:
        coordinator_fixture_crash(&life.fixture);
        life.is_held = false;
        settle();
        break;
    case 6:
        settle();
        write_elsewhere();
        break;
    case 7:
        coordinator_fixture_advance(&life.fixture, draw(4000));
        break;
    default:
        begin_ask(draw(3) > 0);
        if (draw(2))
            coordinator_fixture_run(&life.fixture);
        break;
    }
    check();
}

static void live(uint64_t seed)
{
    memset(&life, 0, sizeof(life));
    *note_counts() = (struct note_kind_counts){0};
    random_init(&life.random, seed, 0);
    life.next_text = 1;
    for (size_t i = 0; i < NOTES; i++)
        life.floor[i] = life.written[i] = -1;
    coordinator_fixture_init(&life.fixture, &note_kind);
    coordinator_fixture_start(&life.fixture);
    for (unsigned i = 0; i < STEPS; i++)
        step();
    settle();
    coordinator_fixture_deinit(&life.fixture);
    assert_int_equal(note_counts()->created, note_counts()->destroyed);
    assert_true(life.answered > 0);
}

static void answered_writes_survive_random_lives(void **state)
{
    (void)state;
    uint64_t failed = 0;
    for (uint64_t seed = 1; seed <= LIVES; seed++) {
        live(seed);
        failed += life.failed;
    }
    assert_true(failed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answered_writes_survive_random_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
