/* What waits for the controller, one request at a time: its order, its pauses, its end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/outbox.h"
#include "tests/unit/cluster/asked_controller.h"

enum { MS = 1000000, ITEMS = 6, REQUEST_ITEMS = 3, PAUSE_MS = 50 };

/* The pretended API: a request is which items it has, an answer which of them are done. */
struct request {
    unsigned count;
    const struct outbox_item *items[REQUEST_ITEMS];
};

struct answer {
    int16_t error;
    unsigned done_count; /* of the first ones asked for */
};

static struct {
    struct asked_controller controller;
    struct outbox outbox;
    struct outbox_item items[ITEMS];
    int done[ITEMS];
    int dropped[ITEMS];
    struct request request;
    int hopeless; /* answers */
} test;

static const struct channel_call pretended = {.api_key = 63};

static enum kafka_error error_of(const void *response)
{
    return (enum kafka_error)((const struct answer *)response)->error;
}

static void ask(struct outbox *outbox)
{
    arena_reset(&outbox->arena);
    test.request = (struct request){0};
    while (!list_is_empty(&outbox->queued) && test.request.count < REQUEST_ITEMS)
        test.request.items[test.request.count++] = outbox_take(outbox);
    outbox_send(outbox, &test.request);
}

static uint64_t answered(struct outbox *outbox, const void *response, bool is_hopeless)
{
    const struct answer *answer = response;
    test.hopeless += is_hopeless;
    for (unsigned i = 0; answer && i < answer->done_count; i++) {
        struct outbox_item *item = container_of(outbox->sent.next, struct outbox_item, link);
        assert_true(item->is_sent);
        test.done[item - test.items]++;
        outbox_remove(outbox, item);
    }
    return PAUSE_MS * MS;
}

static void drop(struct outbox *outbox, struct outbox_item *item)
{
    test.dropped[item - test.items]++;
    outbox_remove(outbox, item);
}

static const struct outbox_kind kind = {
    .api = &pretended,
    .not_yet = "it is not so yet",
    .error_of = error_of,
    .ask = ask,
    .answered = answered,
    .drop = drop,
};

static int init(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    asked_controller_init(&test.controller);
    outbox_init(&test.outbox, &kind, test.controller.loop, &test.controller.channel);
    return 0;
}

static int deinit(void **state)
{
    (void)state;
    controller_channel_close(&test.controller.channel);
    outbox_close(&test.outbox);
    asked_controller_deinit(&test.controller);
    return 0;
}

static void run(void)
{
    memory_node_run(&test.controller.node);
}

static bool add(unsigned index, int32_t partition)
{
    bool ok = outbox_add(&test.outbox, &test.items[index], uuid_of_halves(9, 1), partition);
    assert_null(test.controller.asked);
    return ok;
}

static void answer(int16_t error, unsigned done_count)
{
    assert_non_null(test.controller.asked);
    asked_controller_answer(&test.controller, &(struct answer){error, done_count});
}

static void assert_asked(unsigned count, unsigned first)
{
    assert_non_null(test.controller.asked);
    assert_int_equal(test.request.count, count);
    assert_ptr_equal(test.request.items[0], &test.items[first]);
}

static void one_request_is_in_flight_and_the_oldest_go_first(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REQUEST_ITEMS + 1; i++)
        assert_true(add(i, (int32_t)i));
    run();
    assert_asked(REQUEST_ITEMS, 0);
    answer(0, REQUEST_ITEMS);
    assert_asked(1, REQUEST_ITEMS); /* all of the first were done: no pause */
    answer(0, 1);
    assert_null(test.controller.asked);
    for (unsigned i = 0; i < REQUEST_ITEMS + 1; i++)
        assert_int_equal(test.done[i], 1);
    assert_int_equal(map_count(&test.outbox.by_partition), 0);
}

static void what_is_not_done_goes_again_after_a_pause_and_before_what_came_since(void **state)
{
    (void)state;
    assert_true(add(0, 0));
    assert_true(add(1, 1));
    run();
    assert_true(outbox_add(&test.outbox, &test.items[2], uuid_of_halves(9, 2), 0));
    run();
    answer(0, 1);
    assert_false(test.items[1].is_sent);
    memory_node_advance(&test.controller.node, (PAUSE_MS - 1) * MS);
    assert_null(test.controller.asked);
    memory_node_advance(&test.controller.node, 2 * MS);
    assert_asked(2, 1);
    assert_ptr_equal(test.request.items[1], &test.items[2]);
    answer(0, 2);
    assert_int_equal(test.done[0] + test.done[1] + test.done[2], 3);
}

static void a_partition_has_one_item(void **state)
{
    (void)state;
    assert_true(add(0, 7));
    assert_ptr_equal(outbox_find(&test.outbox, uuid_of_halves(9, 1), 7), &test.items[0]);
    assert_null(outbox_find(&test.outbox, uuid_of_halves(9, 2), 7));
    assert_false(add(1, 7));
    outbox_refuse(&test.outbox, &test.items[1]);
    assert_int_equal(test.dropped[1], 0); /* not inside the call */
    run();
    assert_int_equal(test.dropped[1], 1);
    assert_asked(1, 0);
    assert_ptr_equal(outbox_find(&test.outbox, uuid_of_halves(9, 1), 7), &test.items[0]);
    answer(0, 1);
    assert_true(add(2, 7));
    run();
    answer(0, 1);
}

static void each_kind_of_failure_is_logged_once(void **state)
{
    (void)state;
    char *line = test.controller.node.last_line;
    assert_true(add(0, 0));
    run();
    static const struct {
        int16_t error;
        bool is_logged;
    } answers[] = {
        {KAFKA_ERROR_STALE_BROKER_EPOCH, true},           {KAFKA_ERROR_STALE_BROKER_EPOCH, false},
        {KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED, true}, {KAFKA_ERROR_NONE, false},
        {KAFKA_ERROR_CLUSTER_AUTHORIZATION_FAILED, true},
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        line[0] = 0;
        answer(answers[i].error, 0);
        assert_int_equal(strstr(line, "it is not so yet: ") != NULL, answers[i].is_logged);
        memory_node_advance(&test.controller.node, (PAUSE_MS + 1) * MS);
    }
    assert_int_equal(test.hopeless, 0);
    answer(0, 1);
}

static void the_end_drops_all_but_what_runs_on_this_node(void **state)
{
    (void)state;
    assert_true(add(0, 0));
    run();
    assert_true(outbox_add(&test.outbox, &test.items[1], uuid_of_halves(9, 1), 1));
    controller_channel_close(&test.controller.channel);
    outbox_close(&test.outbox);
    assert_int_equal(test.dropped[1], 1);
    assert_false(outbox_add(&test.outbox, &test.items[2], uuid_of_halves(9, 1), 2));
    outbox_refuse(&test.outbox, &test.items[2]);
    run();
    assert_int_equal(test.dropped[2], 1);
    assert_int_equal(test.dropped[0], 0);
    answer(KAFKA_ERROR_NOT_COORDINATOR, 0);
    assert_int_equal(test.dropped[0], 1);
    assert_false(timer_is_set(&test.outbox.retry));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, init, deinit)
    const struct CMUnitTest tests[] = {
        TEST(one_request_is_in_flight_and_the_oldest_go_first),
        TEST(what_is_not_done_goes_again_after_a_pause_and_before_what_came_since),
        TEST(a_partition_has_one_item),
        TEST(each_kind_of_failure_is_logged_once),
        TEST(the_end_drops_all_but_what_runs_on_this_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
