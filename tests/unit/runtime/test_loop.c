/* The portable half of a loop, over a host whose rings have a settable capacity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "runtime/loop.h"

enum { RING = 4 };

struct fake_host {
    struct message *ring[RING];
    unsigned used, capacity;
};

static bool fake_post(void *self, unsigned to, struct message *message)
{
    struct fake_host *host = self;
    assert_int_equal(to, 1);
    if (host->used == host->capacity)
        return false;
    host->ring[host->used++] = message;
    return true;
}

static void fake_start_job(void *self, struct job *job)
{
    (void)self;
    (void)job;
}

static void fake_entropy(void *self, void *data, size_t size)
{
    (void)self;
    memset(data, 7, size);
}

static const struct host_ops fake_ops = {fake_post, fake_start_job, fake_entropy};

static void set_up(struct loop *loop, struct fake_host *host)
{
    *host = (struct fake_host){.capacity = RING};
    loop_init(loop, 0, 2, NULL, (struct storage){0}, (struct transport){0},
              (struct host){&fake_ops, host}, NULL);
}

struct numbered {
    struct message message;
    int number;
};

static int delivered[8];
static size_t delivered_count;

static void record(struct message *message, struct loop *at)
{
    (void)at;
    delivered[delivered_count++] = container_of(message, struct numbered, message)->number;
}

static void messages_behind_a_full_ring_keep_their_order(void **state)
{
    (void)state;
    struct loop loop;
    struct fake_host host;
    set_up(&loop, &host);
    delivered_count = 0;
    host.capacity = 2;
    struct numbered messages[5];
    for (int i = 0; i < 5; i++) {
        messages[i] = (struct numbered){.message = {.deliver = record}, .number = i};
        loop_post(&loop, 1, &messages[i].message);
    }
    assert_int_equal(host.used, 2);
    assert_true(loop_next_turn_ns(&loop) < UINT64_MAX); /* it comes back to try again */
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < host.used; i++)
            loop_deliver(&loop, host.ring[i]);
        host.used = 0;
        loop_turn_end(&loop);
    }
    assert_int_equal(delivered_count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(delivered[i], i);
    assert_int_equal(loop_next_turn_ns(&loop), UINT64_MAX);
    assert_int_equal(loop.counters.messages_posted, 5);
}

struct chained {
    struct deferred deferred;
    struct loop *loop;
    int runs;
    bool again;
};

static void run_chained(struct deferred *deferred)
{
    struct chained *chained = container_of(deferred, struct chained, deferred);
    chained->runs++;
    if (chained->again)
        loop_defer(chained->loop, deferred);
    chained->again = false;
}

static void deferring_is_idempotent_and_from_the_phase_waits_a_turn(void **state)
{
    (void)state;
    struct loop loop;
    struct fake_host host;
    set_up(&loop, &host);
    struct chained chained = {.loop = &loop, .again = true};
    deferred_init(&chained.deferred, run_chained);
    loop_defer(&loop, &chained.deferred);
    loop_defer(&loop, &chained.deferred);
    assert_int_equal(loop_next_turn_ns(&loop), loop.now_ns);
    loop_turn_end(&loop);
    assert_int_equal(chained.runs, 1);
    assert_int_equal(loop_next_turn_ns(&loop), loop.now_ns);
    loop_turn_end(&loop);
    assert_int_equal(chained.runs, 2);
    assert_int_equal(loop_next_turn_ns(&loop), UINT64_MAX);
}

static void random_streams_differ_by_purpose_and_repeat(void **state)
{
    (void)state;
    struct loop loop;
    struct fake_host host;
    set_up(&loop, &host);
    assert_int_equal(loop_random_seed(&loop, 1), loop_random_seed(&loop, 1));
    assert_true(loop_random_seed(&loop, 1) != loop_random_seed(&loop, 2));
}

static void address_text_is_canonical(void **state)
{
    (void)state;
    const struct {
        struct address address;
        const char *text;
    } cases[] = {
        {{4, {127, 0, 0, 1}, 9092}, "127.0.0.1:9092"},
        {{6, {[15] = 1}, 9092}, "[::1]:9092"},
        {{6, {0}, 1}, "[::]:1"},
        {{6, {0x20, 0x01, 0x0d, 0xb8, [15] = 5}, 80}, "[2001:db8::5]:80"},
        {{6, {0x20, 0x01, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6}, 80},
         "[2001:0:1:2:3:4:5:6]:80"},
        {{6, {0, 1}, 80}, "[1::]:80"},
        {{0}, "none"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[ADDRESS_TEXT_SIZE];
        assert_string_equal(address_format(&cases[i].address, text, sizeof(text)), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_behind_a_full_ring_keep_their_order),
        cmocka_unit_test(deferring_is_idempotent_and_from_the_phase_waits_a_turn),
        cmocka_unit_test(random_streams_differ_by_purpose_and_repeat),
        cmocka_unit_test(address_text_is_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
