/* Calls to a controller that comes, goes, moves and turns out to be this node. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/controller_channel.h"
#include "tests/unit/cluster/fake_channel.h"
#include "tests/unit/log/memory_node.h"

enum { OWN = 1, MS = 1000000, CALLS = 4 };

/* The answer of the pretended API: its error and which call it is for. */
struct answer {
    int16_t error;
    int number;
};

struct asked {
    struct controller_call call;
    int ended;
    int order; /* in which the calls ended, from 1 */
    enum channel_status status;
    int number;   /* of the answer */
    int here;     /* how often it was handed back to be decided here */
    bool resigns; /* then: the node is the controller no more, and the call is sent anew */
};

static struct {
    struct memory_node node;
    struct controller_channel channel;
    struct controller_address leader;
    bool has_leader;
    struct controller_call *local[CALLS];
    unsigned local_count;
    struct asked asked[CALLS];
    int ended;
} test;

static const struct channel_call pretended = {.api_key = 63};

static enum kafka_error error_of(const void *response)
{
    return (enum kafka_error)((const struct answer *)response)->error;
}

static bool leader(void *self, struct controller_address *address)
{
    (void)self;
    *address = test.leader;
    return test.has_leader;
}

static void local(void *self, struct controller_call *call)
{
    (void)self;
    test.local[test.local_count++] = call;
}

static void done(struct controller_call *call, enum channel_status status, const void *response)
{
    struct asked *asked = container_of(call, struct asked, call);
    asked->ended++;
    asked->order = ++test.ended;
    asked->status = status;
    asked->number = response ? ((const struct answer *)response)->number : -1;
}

static void lead(int32_t node, int32_t epoch, const char *host, uint16_t port)
{
    test.has_leader = true;
    test.leader = (struct controller_address){node, epoch, view_of_string(host), port};
}

static void run(void)
{
    memory_node_run(&test.node);
}

static int start(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    fake_channels_reset();
    memory_node_init(&test.node);
    struct controller_channel_options options = {
        .loop = memory_node_loop(&test.node, 0),
        .node_id = OWN,
        .client_id = VIEW_LITERAL("klamm"),
        .host = {leader, local, NULL},
    };
    controller_channel_init(&test.channel, &options);
    return 0;
}

static int end(void **state)
{
    (void)state;
    controller_channel_close(&test.channel);
    memory_node_deinit(&test.node);
    return 0;
}

static void ask(unsigned index, uint64_t timeout_ms)
{
    struct asked *asked = &test.asked[index];
    asked->call = (struct controller_call){
        .api = &pretended,
        .message = asked,
        .version_min = 1,
        .version_max = 3,
        .timeout_ns = timeout_ms * MS,
        .error_of = error_of,
        .done = done,
    };
    controller_channel_send(&test.channel, &asked->call);
    assert_int_equal(asked->ended, 0);
}

static void answer(enum channel_status status, int16_t error, int number)
{
    struct answer content = {error, number};
    fake_channel_answer(fake_channel_at(0), status, status == CHANNEL_OK ? &content : NULL);
    run();
}

static void assert_ended(unsigned index, enum channel_status status, int number)
{
    assert_int_equal(test.asked[index].ended, 1);
    assert_int_equal(test.asked[index].status, status);
    assert_int_equal(test.asked[index].number, number);
}

static void a_call_goes_to_the_controller_and_ends_with_its_answer(void **state)
{
    (void)state;
    lead(2, 5, "two", 9093);
    ask(0, 0);
    run();
    assert_string_equal(fake_channel_at(0)->host, "two");
    assert_int_equal(fake_channel_at(0)->port, 9093);
    answer(CHANNEL_OK, KAFKA_ERROR_NONE, 7);
    assert_ended(0, CHANNEL_OK, 7);
    assert_int_equal(test.asked[0].call.version, 3);
}

static void one_call_at_a_time_in_order(void **state)
{
    (void)state;
    lead(2, 5, "two", 9093);
    for (unsigned i = 0; i < 3; i++)
        ask(i, 0);
    run();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fake_channel_at(0)->request_count, 1);
        assert_ptr_equal(fake_channel_at(0)->requests[0]->message, &test.asked[i]);
        answer(CHANNEL_OK, KAFKA_ERROR_NONE, (int)i);
        assert_int_equal(test.asked[i].order, i + 1);
    }
}

static void without_a_controller_a_call_waits_for_one(void **state)
{
    (void)state;
    ask(0, 0);
    memory_node_advance(&test.node, UINT64_C(60000) * MS);
    assert_int_equal(test.asked[0].ended, 0);
    lead(3, 6, "three", 1);
    controller_channel_leader_changed(&test.channel);
    run();
    answer(CHANNEL_OK, KAFKA_ERROR_NONE, 1);
    assert_ended(0, CHANNEL_OK, 1);
}

static void not_controller_is_no_answer(void **state)
{
    (void)state;
    lead(2, 5, "two", 9093);
    ask(0, 0);
    run();
    answer(CHANNEL_OK, KAFKA_ERROR_NOT_CONTROLLER, 1);
    assert_int_equal(test.asked[0].ended, 0);
    assert_int_equal(fake_channel_at(0)->request_count, 0);
    memory_node_advance(&test.node, 60 * MS);
    assert_int_equal(fake_channel_at(0)->request_count, 1);
    answer(CHANNEL_OK, KAFKA_ERROR_NOT_CONTROLLER, 1);
    lead(3, 6, "three", 9094);
    controller_channel_leader_changed(&test.channel);
    run();
    assert_string_equal(fake_channel_at(0)->host, "three");
    answer(CHANNEL_OK, KAFKA_ERROR_NONE, 2);
    assert_ended(0, CHANNEL_OK, 2);
}

static void a_lost_call_is_repeated_until_its_time_is_over(void **state)
{
    (void)state;
    lead(2, 5, "two", 9093);
    ask(0, 500);
    ask(1, 0);
    run();
    while (!test.asked[0].ended) {
        if (fake_channel_at(0)->request_count > 0)
            answer(CHANNEL_DISCONNECTED, 0, 0);
        memory_node_advance(&test.node, 20 * MS);
    }
    assert_ended(0, CHANNEL_TIMED_OUT, -1);
    assert_true(fake_channel_at(0)->sent_count > 3);
    memory_node_advance(&test.node, 60 * MS);
    assert_ptr_equal(fake_channel_at(0)->requests[0]->message, &test.asked[1]);
    answer(CHANNEL_OK, KAFKA_ERROR_NONE, 3);
    assert_ended(1, CHANNEL_OK, 3);
}

static void a_silent_controller_is_left_when_another_one_gets_known(void **state)
{
    (void)state;
    lead(2, 5, "two", 9093);
    ask(0, 0);
    ask(1, 0);
    run();
    lead(3, 6, "three", 9094);
    controller_channel_leader_changed(&test.channel);
    run();
    assert_string_equal(fake_channel_at(0)->host, "three");
    answer(CHANNEL_OK, KAFKA_ERROR_NONE, 1);
    answer(CHANNEL_OK, KAFKA_ERROR_NONE, 2);
    assert_ended(0, CHANNEL_OK, 1);
    assert_ended(1, CHANNEL_OK, 2);
    assert_int_equal(test.asked[0].order, 1);
}

static void a_silent_controller_costs_no_more_than_the_time_of_the_call(void **state)
{
    (void)state;
    lead(2, 5, "two", 9093);
    ask(0, 300);
    run();
    memory_node_advance(&test.node, 299 * MS);
    assert_int_equal(test.asked[0].ended, 0);
    memory_node_advance(&test.node, 2 * MS);
    assert_ended(0, CHANNEL_TIMED_OUT, -1);
    assert_int_equal(fake_channel_at(0)->request_count, 0);
}

static void the_own_controller_is_asked_without_a_connection(void **state)
{
    (void)state;
    lead(OWN, 5, "one", 9093);
    ask(0, 100);
    ask(1, 100);
    run();
    assert_int_equal(test.local_count, 1);
    memory_node_advance(&test.node, 200 * MS); /* what runs here is not cut short */
    assert_int_equal(test.asked[0].ended, 0);
    assert_ended(1, CHANNEL_TIMED_OUT, -1);
    struct answer fine = {KAFKA_ERROR_NONE, 4};
    controller_call_answered(test.local[0], &fine);
    assert_ended(0, CHANNEL_OK, 4);
}

static void an_own_controller_that_resigns_hands_the_call_on(void **state)
{
    (void)state;
    lead(OWN, 5, "one", 9093);
    ask(0, 0);
    run();
    lead(2, 6, "two", 9094);
    controller_channel_leader_changed(&test.channel);
    run();
    struct answer refused = {KAFKA_ERROR_NOT_CONTROLLER, 0};
    controller_call_answered(test.local[0], &refused);
    memory_node_advance(&test.node, 60 * MS);
    answer(CHANNEL_OK, KAFKA_ERROR_NONE, 5);
    assert_ended(0, CHANNEL_OK, 5);
}

static void here(struct controller_call *call)
{
    struct asked *asked = container_of(call, struct asked, call);
    asked->here++;
    if (!asked->resigns)
        return;
    lead(2, 6, "two", 9094);
    controller_channel_send(&test.channel, call);
}

static void the_own_controller_hands_a_call_back_that_is_decided_here(void **state)
{
    (void)state;
    lead(OWN, 5, "one", 9093);
    ask(0, 0);
    ask(1, 0);
    test.asked[0].call.here = here;
    test.asked[1].call.here = here;
    run();
    assert_int_equal(test.asked[0].here, 1);
    assert_int_equal(test.asked[1].here, 1);
    memory_node_advance(&test.node, 200 * MS);
    assert_int_equal(test.local_count, 0);
    assert_int_equal(test.ended, 0);
}

static void one_that_resigns_while_it_decides_hands_the_call_on(void **state)
{
    (void)state;
    lead(OWN, 5, "one", 9093);
    ask(0, 0);
    test.asked[0].call.here = here;
    test.asked[0].resigns = true;
    run();
    assert_int_equal(test.asked[0].here, 1);
    answer(CHANNEL_OK, KAFKA_ERROR_NONE, 3);
    assert_ended(0, CHANNEL_OK, 3);
}

static void a_call_can_be_taken_back(void **state)
{
    (void)state;
    lead(2, 5, "two", 9093);
    for (unsigned i = 0; i < 3; i++)
        ask(i, 0);
    run();
    controller_channel_cancel(&test.asked[0].call);
    controller_channel_cancel(&test.asked[1].call);
    run();
    assert_ptr_equal(fake_channel_at(0)->requests[0]->message, &test.asked[2]);
    answer(CHANNEL_OK, KAFKA_ERROR_NONE, 1);
    assert_ended(2, CHANNEL_OK, 1);
    assert_int_equal(test.asked[0].ended + test.asked[1].ended, 0);
}

static void a_closed_channel_ends_every_call(void **state)
{
    (void)state;
    lead(2, 5, "two", 9093);
    ask(0, 0);
    ask(1, 0);
    run();
    controller_channel_close(&test.channel);
    assert_ended(0, CHANNEL_CLOSED, -1);
    assert_ended(1, CHANNEL_CLOSED, -1);
    assert_false(fake_channel_at(0)->is_open);
    ask(2, 0);
    run();
    assert_ended(2, CHANNEL_CLOSED, -1);
}

static void what_the_controller_does_not_speak_is_not_repeated(void **state)
{
    (void)state;
    lead(2, 5, "two", 9093);
    ask(0, 0);
    ask(1, 0);
    run();
    answer(CHANNEL_UNSUPPORTED, 0, 0);
    assert_ended(0, CHANNEL_UNSUPPORTED, -1);
    answer(CHANNEL_MALFORMED, 0, 0);
    assert_ended(1, CHANNEL_MALFORMED, -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        TEST(a_call_goes_to_the_controller_and_ends_with_its_answer),
        TEST(one_call_at_a_time_in_order),
        TEST(without_a_controller_a_call_waits_for_one),
        TEST(not_controller_is_no_answer),
        TEST(a_lost_call_is_repeated_until_its_time_is_over),
        TEST(a_silent_controller_is_left_when_another_one_gets_known),
        TEST(a_silent_controller_costs_no_more_than_the_time_of_the_call),
        TEST(the_own_controller_is_asked_without_a_connection),
        TEST(an_own_controller_that_resigns_hands_the_call_on),
        TEST(the_own_controller_hands_a_call_back_that_is_decided_here),
        TEST(one_that_resigns_while_it_decides_hands_the_call_on),
        TEST(a_call_can_be_taken_back),
        TEST(a_closed_channel_ends_every_call),
        TEST(what_the_controller_does_not_speak_is_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
