/*
 * What the simulator does to nodes from outside: cut and slow directions of the network, pauses,
 * clocks, disks. Two nodes: one counts aloud every ten milliseconds, the other one notes what it
 * hears.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "tests/sim/sim.h"

static const uint64_t second_ns = UINT64_C(1000000000);
static const uint64_t ms = UINT64_C(1000000);

enum { SPEAKER, HEARER, PORT = 9000, HISTORY = 4096 };

/* Outlives the nodes. */
struct record {
    uint32_t said;  /* numbers, by the speaker */
    uint32_t heard; /* numbers in order, by the hearer */
    uint64_t heard_at[HISTORY];
    uint32_t ticks;      /* of both timers */
    uint64_t speaker_ns; /* its monotonic clock */
    int64_t speaker_ms;  /* its wall clock */
    bool is_connected;
    unsigned closed;
    enum transport_status why;
};

struct peer {
    struct record *record;
    struct loop *loop;
    struct timer timer;
    struct listener listener;
    struct stream stream;
    struct stream_send send;
    struct slice slice;
    uint8_t bytes[4];
    size_t have;
    bool is_sending;
};

/* ---- The speaker ---- */

static void sent(struct stream_send *send, enum transport_status status)
{
    (void)status;
    container_of(send, struct peer, send)->is_sending = false;
}

static void speak(struct timer *timer)
{
    struct peer *peer = container_of(timer, struct peer, timer);
    struct record *record = peer->record;
    record->ticks++;
    record->speaker_ns = peer->loop->now_ns;
    record->speaker_ms = peer->loop->wall_ms;
    loop_set_timer(peer->loop, &peer->timer, 10 * ms);
    if (!record->is_connected || peer->is_sending)
        return;
    store_u32(peer->bytes, ++record->said);
    peer->slice = (struct slice){.kind = SLICE_MEMORY, .data = peer->bytes, .size = 4};
    peer->send = (struct stream_send){.slices = &peer->slice, .slice_count = 1, .done = sent};
    peer->is_sending = true;
    stream_send(peer->loop->transport, &peer->stream, &peer->send);
}

static void speaker_connected(struct stream *stream)
{
    container_of(stream, struct peer, stream)->record->is_connected = true;
}

static size_t space(struct stream *stream, uint8_t **place)
{
    struct peer *peer = container_of(stream, struct peer, stream);
    *place = peer->bytes + peer->have;
    return sizeof(peer->bytes) - peer->have;
}

static void received(struct stream *stream, size_t size)
{
    struct peer *peer = container_of(stream, struct peer, stream);
    struct record *record = peer->record;
    peer->have += size;
    if (peer->have < sizeof(peer->bytes))
        return;
    peer->have = 0;
    assert_int_equal(load_u32(peer->bytes), record->heard + 1); /* none is lost, none overtakes */
    assert_true(record->heard < HISTORY);
    record->heard_at[record->heard++] = peer->loop->now_ns;
}

static void closed(struct stream *stream, enum transport_status why)
{
    struct peer *peer = container_of(stream, struct peer, stream);
    peer->record->closed++;
    peer->record->why = why;
}

static const struct stream_events events = {space, received, speaker_connected, closed};

static void accepted(struct listener *listener, const struct accepted_stream *stream)
{
    struct peer *peer = container_of(listener, struct peer, listener);
    peer->stream.events = &events;
    assert_int_equal(transport_adopt(peer->loop->transport, &peer->stream, stream), TRANSPORT_OK);
}

static const struct listener_events listener_events = {accepted};

static void boot(struct loop *loop, void *argument)
{
    struct peer *peer = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*peer));
    peer->record = argument;
    peer->loop = loop;
    timer_init(&peer->timer, speak);
    if (sim_node_of(loop) == HEARER) {
        peer->listener.events = &listener_events;
        assert_int_equal(transport_listen(loop->transport, &peer->listener, "", PORT, 8),
                         TRANSPORT_OK);
        return;
    }
    peer->stream.events = &events;
    assert_int_equal(transport_connect(loop->transport, &peer->stream, "node-1", PORT),
                     TRANSPORT_OK);
    speak(&peer->timer);
}

static struct sim *make(uint64_t seed, struct record *record)
{
    struct sim *sim = sim_create(seed);
    for (int i = 0; i < 2; i++)
        sim_add_node(sim, &(struct sim_node_spec){.loops = 1, .boot = boot, .argument = record});
    sim_start(sim, HEARER);
    sim_run_until(sim, sim_now_ns(sim) + second_ns);
    return sim;
}

static void run_for(struct sim *sim, uint64_t time_ns)
{
    sim_run_until(sim, sim_now_ns(sim) + time_ns);
}

/* ---- The network ---- */

static void a_cut_direction_is_late_and_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct record record = {0};
        struct sim *sim = make(seed, &record);
        sim_start(sim, SPEAKER);
        run_for(sim, second_ns);
        assert_true(record.heard > 50);
        sim_cut(sim, SPEAKER, HEARER, true);
        run_for(sim, 10 * ms);
        uint32_t heard = record.heard, said = record.said;
        run_for(sim, 3 * second_ns);
        assert_int_equal(record.heard, heard);
        assert_true(record.said > said + 100); /* nobody told the speaker */
        sim_cut(sim, SPEAKER, HEARER, false);
        run_for(sim, second_ns);
        assert_true(record.heard + 10 > record.said);
        assert_int_equal(record.closed, 0);
        sim_destroy(sim);
    }
}

static void the_other_direction_of_a_cut_goes_on(void **state)
{
    (void)state;
    struct record record = {0};
    struct sim *sim = make(3, &record);
    sim_start(sim, SPEAKER);
    run_for(sim, second_ns);
    uint32_t heard = record.heard;
    sim_cut(sim, HEARER, SPEAKER, true);
    run_for(sim, second_ns);
    assert_true(record.heard > heard + 50);
    sim_destroy(sim);
}

static void connections_are_made_when_both_directions_work(void **state)
{
    (void)state;
    for (int direction = 0; direction < 2; direction++) {
        struct record record = {0};
        struct sim *sim = make(5, &record);
        sim_cut(sim, direction ? HEARER : SPEAKER, direction ? SPEAKER : HEARER, true);
        sim_start(sim, SPEAKER);
        run_for(sim, 5 * second_ns);
        assert_false(record.is_connected);
        assert_int_equal(record.closed, 0);
        sim_heal_network(sim);
        run_for(sim, 2 * second_ns);
        assert_true(record.is_connected && record.heard > 50);
        sim_destroy(sim);
    }
}

static void the_end_of_a_process_behind_a_cut_is_heard_when_it_heals(void **state)
{
    (void)state;
    struct record record = {0};
    struct sim *sim = make(6, &record);
    sim_start(sim, SPEAKER);
    run_for(sim, second_ns);
    sim_cut(sim, SPEAKER, HEARER, true);
    sim_crash(sim, SPEAKER);
    run_for(sim, 10 * second_ns);
    assert_int_equal(record.closed, 0);
    sim_heal_network(sim);
    run_for(sim, second_ns);
    assert_int_equal(record.closed, 1);
    assert_int_equal(record.why, TRANSPORT_RESET);
    sim_destroy(sim);
}

static void a_slow_direction_takes_longer(void **state)
{
    (void)state;
    struct record record = {0};
    struct sim *sim = make(7, &record);
    sim_start(sim, SPEAKER);
    run_for(sim, second_ns);
    sim_slow_down(sim, SPEAKER, HEARER, 5 * second_ns);
    run_for(sim, 20 * second_ns);
    uint32_t late = record.said - record.heard;
    assert_true(late > 10);
    sim_slow_down(sim, SPEAKER, HEARER, 0);
    run_for(sim, 10 * second_ns);
    assert_true(record.said - record.heard < 10);
    sim_destroy(sim);
}

/* ---- Processes and clocks ---- */

static void a_paused_node_does_nothing_and_then_hears_all(void **state)
{
    (void)state;
    struct record record = {0};
    struct sim *sim = make(8, &record);
    sim_start(sim, SPEAKER);
    run_for(sim, second_ns);
    sim_pause(sim, HEARER, 3 * second_ns);
    uint32_t heard = record.heard;
    run_for(sim, 2 * second_ns);
    assert_true(sim_is_paused(sim, HEARER));
    assert_int_equal(record.heard, heard);
    run_for(sim, 2 * second_ns);
    assert_true(record.heard + 10 > record.said);
    /* The speaker's timers are late, too, and nothing fires twice for it. */
    uint32_t ticks = record.ticks;
    sim_pause(sim, SPEAKER, 60 * second_ns);
    run_for(sim, 2 * second_ns);
    assert_int_equal(record.ticks, ticks);
    sim_resume(sim, SPEAKER);
    run_for(sim, second_ns);
    assert_in_range(record.ticks, ticks + 50, ticks + 110);
    sim_crash(sim, SPEAKER);
    assert_false(sim_is_paused(sim, SPEAKER));
    sim_destroy(sim);
}

static void clocks_run_at_their_own_rate_and_never_back(void **state)
{
    (void)state;
    struct record record = {0};
    struct sim *sim = make(9, &record);
    sim_start(sim, SPEAKER);
    run_for(sim, second_ns);
    int64_t wall_ms = record.speaker_ms;
    sim_set_clock(sim, SPEAKER, 100000, -3600000); /* a tenth too fast, an hour behind */
    uint64_t own_ns = record.speaker_ns;
    uint32_t ticks = record.ticks;
    run_for(sim, 10 * second_ns);
    assert_in_range(record.speaker_ns - own_ns, 10900 * ms, 11100 * ms);
    assert_in_range(record.ticks - ticks, 1000, 1100);
    assert_in_range(wall_ms + 10000 - record.speaker_ms, 3590000, 3610000);
    sim_set_clock(sim, SPEAKER, -100000, 0);
    own_ns = record.speaker_ns;
    run_for(sim, 10 * second_ns);
    assert_in_range(record.speaker_ns - own_ns, 8900 * ms, 9100 * ms);
    sim_destroy(sim);
}

/* ---- Disks ---- */

static void disks_are_filled_wiped_and_swapped(void **state)
{
    (void)state;
    struct record record = {0};
    struct sim *sim = make(10, &record);
    sim_crash(sim, HEARER);
    sim_put_file(sim, SPEAKER, "/data/topic-0/one", "first", 5);
    sim_put_file(sim, SPEAKER, "/data/two", "second", 6);
    sim_put_file(sim, SPEAKER, "/data/two", "other", 5);
    sim_power_cut(sim, SPEAKER);
    uint64_t size = 0;
    assert_memory_equal(sim_file(sim, SPEAKER, "/data/topic-0/one", &size), "first", 5);
    assert_int_equal(size, 5);
    assert_memory_equal(sim_platter_file(sim, SPEAKER, "/data/two", &size), "other", 5);
    assert_int_equal(size, 5);
    assert_string_equal(sim_file_name(sim, SPEAKER, "/data", 0), "topic-0");
    assert_string_equal(sim_file_name(sim, SPEAKER, "/data", 1), "two");
    assert_null(sim_file_name(sim, SPEAKER, "/data", 2));
    sim_swap_disks(sim, SPEAKER, HEARER);
    assert_null(sim_file(sim, SPEAKER, "/data/two", &size));
    assert_non_null(sim_file(sim, HEARER, "/data/two", &size));
    sim_wipe_disk(sim, HEARER);
    assert_null(sim_file(sim, HEARER, "/data/two", &size));
    assert_null(sim_file_name(sim, HEARER, "/", 0));
    sim_destroy(sim);
}

/* ---- Repeating ---- */

static uint64_t run_trouble(uint64_t seed)
{
    struct record record = {0};
    struct sim *sim = make(seed, &record);
    sim_start(sim, SPEAKER);
    for (int i = 0; i < 20; i++) {
        struct random_stream *random = sim_random(sim);
        unsigned from = (unsigned)random_below(random, 2);
        sim_cut(sim, from, 1 - from, random_chance(random, 1, 2));
        sim_slow_down(sim, 1 - from, from, random_below(random, 100) * ms);
        sim_set_clock(sim, from, (int32_t)random_below(random, 20000) - 10000, 0);
        sim_pause(sim, from, random_below(random, 50) * ms);
        run_for(sim, random_below(random, 500) * ms);
    }
    uint64_t hash = sim_hash(sim);
    sim_destroy(sim);
    return hash;
}

static void equal_seeds_give_equal_hashes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        assert_int_equal(run_trouble(seed), run_trouble(seed));
    assert_true(run_trouble(1) != run_trouble(2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_direction_is_late_and_loses_nothing),
        cmocka_unit_test(the_other_direction_of_a_cut_goes_on),
        cmocka_unit_test(connections_are_made_when_both_directions_work),
        cmocka_unit_test(the_end_of_a_process_behind_a_cut_is_heard_when_it_heals),
        cmocka_unit_test(a_slow_direction_takes_longer),
        cmocka_unit_test(a_paused_node_does_nothing_and_then_hears_all),
        cmocka_unit_test(clocks_run_at_their_own_rate_and_never_back),
        cmocka_unit_test(disks_are_filled_wiped_and_swapped),
        cmocka_unit_test(equal_seeds_give_equal_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
