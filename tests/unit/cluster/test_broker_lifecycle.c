/*
 * A broker's life against a pretended controller: every call is for this node itself and waits in
 * `test.asked` until the test answers it. The shards of the node show an image when the test says
 * so.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/broker_lifecycle.h"
#include "cluster/metadata/draft.h"
#include "protocol/api_keys.h"
#include "tests/unit/log/memory_node.h"

enum { OWN = 1, OTHER = 2, MS = 1000000, UPDATES = 64 };

static struct {
    struct memory_node node;
    struct heap heap;
    struct arena arena;
    struct server_config config;
    struct publisher publisher;
    struct controller_channel channel;
    struct broker_lifecycle life;
    struct broker_registration_request registration;
    struct controller_call *asked; /* waits for its answer, or NULL */
    int32_t controller_id;
    bool holds; /* the shards show nothing new */
    struct image_update *held[UPDATES];
    unsigned held_count;
    int prepared, unfenced, left;
    char failure[128];
} test;

/* ---- The owner ---- */

static void on_prepare(void *owner)
{
    (void)owner;
    test.prepared++;
}

static void on_unfenced(void *owner)
{
    (void)owner;
    test.unfenced++;
}

static void on_left(void *owner)
{
    (void)owner;
    test.left++;
}

static void on_failed(void *owner, const char *text)
{
    (void)owner;
    snprintf(test.failure, sizeof(test.failure), "%s", text);
}

static const struct broker_lifecycle_events events = {on_prepare, on_unfenced, on_left, on_failed};

/* ---- The shards ---- */

static void apply(struct image_update *update, struct loop *shard)
{
    (void)shard;
    if (!test.holds) {
        image_update_shown(update);
        return;
    }
    assert_true(test.held_count < UPDATES);
    test.held[test.held_count++] = update;
}

static void show_held(void)
{
    test.holds = false;
    for (unsigned i = 0; i < test.held_count; i++)
        image_update_shown(test.held[i]);
    test.held_count = 0;
    memory_node_run(&test.node);
}

/* ---- The controller ---- */

static bool leader(void *self, struct controller_address *address)
{
    (void)self;
    *address = (struct controller_address){OWN, 1, VIEW_LITERAL("one"), 9093};
    return true;
}

static void local(void *self, struct controller_call *call)
{
    (void)self;
    assert_null(test.asked);
    test.asked = call;
}

/* The metadata says so from now on; the broker OWN is registered with `epoch` (-1: it is not). */
static void publish(int64_t epoch, bool fenced, bool has_other)
{
    struct image_draft draft;
    draft_begin(&draft, test.publisher.current);
    struct image_node node = {.id = OWN,
                              .epoch = epoch,
                              .incarnation = test.life.registration.incarnation_id,
                              .fenced = fenced};
    if (epoch >= 0)
        draft_set_broker(&draft, &node);
    node = (struct image_node){.id = OTHER, .epoch = 3};
    if (has_other)
        draft_set_broker(&draft, &node);
    draft_set_position(&draft, test.publisher.current->offset + 10, 1, 0);
    draft_set_leadership(&draft, test.controller_id, 1, 0);
    struct image_delta *delta;
    const struct image *image = draft_finish(&draft, &delta);
    publisher_publish(&test.publisher, image, delta);
    memory_node_run(&test.node);
}

static void answer(const void *response)
{
    assert_non_null(test.asked);
    struct controller_call *call = test.asked;
    test.asked = NULL;
    controller_call_answered(call, response);
    memory_node_run(&test.node);
}

static const struct broker_registration_request *asked_registration(void)
{
    assert_non_null(test.asked);
    assert_int_equal(test.asked->api->api_key, API_KEY_BROKER_REGISTRATION);
    return test.asked->message;
}

static const struct broker_heartbeat_request *asked_heartbeat(void)
{
    assert_non_null(test.asked);
    assert_int_equal(test.asked->api->api_key, API_KEY_BROKER_HEARTBEAT);
    return test.asked->message;
}

static void answer_registration(enum kafka_error error, int64_t epoch)
{
    asked_registration();
    struct broker_registration_response response = {.error_code = (int16_t)error,
                                                    .broker_epoch = epoch};
    answer(&response);
}

static void answer_heartbeat(enum kafka_error error, bool is_fenced, bool should_shut_down)
{
    asked_heartbeat();
    struct broker_heartbeat_response response = {
        .error_code = (int16_t)error, .is_fenced = is_fenced, .should_shut_down = should_shut_down};
    answer(&response);
}

static void pass(uint64_t milliseconds)
{
    memory_node_advance(&test.node, milliseconds * MS);
}

/* ---- The node ---- */

static int init(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    memory_node_init(&test.node);
    heap_init_plain(&test.heap);
    arena_init(&test.arena, &test.heap, MEMORY_SCRATCH, 0);
    struct config_report report = {0};
    struct server_config_input input = {0};
    assert_true(server_config_build(&test.config, &input, &report, &test.arena));
    struct loop *loop = memory_node_loop(&test.node, 0);
    publisher_init(&test.publisher, loop, image_create_empty(loop->heap, VIEW_LITERAL("cluster")),
                   apply);
    struct controller_channel_options options = {.loop = loop,
                                                 .node_id = OWN,
                                                 .client_id = VIEW_LITERAL("klamm"),
                                                 .host = {leader, local, NULL}};
    controller_channel_init(&test.channel, &options);
    broker_registration_request_init(&test.registration);
    test.registration.broker_id = OWN;
    test.registration.incarnation_id = uuid_of_halves(5, 6);
    test.registration.cluster_id = VIEW_LITERAL("cluster");
    test.controller_id = OTHER;
    return 0;
}

static int deinit(void **state)
{
    (void)state;
    broker_lifecycle_stop(&test.life);
    controller_channel_close(&test.channel);
    publisher_deinit(&test.publisher);
    arena_deinit(&test.arena);
    memory_node_deinit(&test.node);
    return 0;
}

static struct broker_lifecycle_options life_options(void)
{
    return (struct broker_lifecycle_options){
        .loop = memory_node_loop(&test.node, 0),
        .channel = &test.channel,
        .publisher = &test.publisher,
        .config = &test.config,
        .registration = &test.registration,
        .events = &events,
    };
}

static void start(void)
{
    struct broker_lifecycle_options options = life_options();
    broker_lifecycle_start(&test.life, &options);
    memory_node_run(&test.node);
}

/* Registered with epoch 20, unfenced, serving; another broker is active too. */
static void start_running(void)
{
    start();
    answer_registration(KAFKA_ERROR_NONE, 20);
    publish(20, true, true);
    broker_lifecycle_serve(&test.life);
    memory_node_run(&test.node);
    answer_heartbeat(KAFKA_ERROR_NONE, false, false);
    publish(20, false, true);
    assert_int_equal(test.unfenced, 1);
}

/* ---- Tests ---- */

static void a_broker_is_unfenced_once_it_has_caught_up_and_serves(void **state)
{
    (void)state;
    start();
    assert_true(uuid_equal(asked_registration()->incarnation_id, uuid_of_halves(5, 6)));
    assert_int_equal(test.life.epoch, -1);
    assert_true(asked_registration()->features_count > 0);
    answer_registration(KAFKA_ERROR_NONE, 20);
    assert_int_equal(test.life.state, BROKER_CATCHING_UP);
    assert_int_equal(test.life.epoch, 20);
    test.holds = true;
    publish(20, true, false);
    assert_int_equal(test.prepared, 0); /* some logs are still being opened */
    show_held();
    assert_int_equal(test.prepared, 1);
    assert_null(test.asked);
    broker_lifecycle_serve(&test.life);
    memory_node_run(&test.node);
    assert_false(asked_heartbeat()->want_fence);
    assert_int_equal(asked_heartbeat()->broker_epoch, 20);
    assert_int_equal(asked_heartbeat()->current_metadata_offset, test.publisher.current->offset);
    answer_heartbeat(KAFKA_ERROR_NONE, false, false);
    assert_int_equal(test.unfenced, 0); /* not shown yet */
    publish(20, false, false);
    assert_int_equal(test.unfenced, 1);
    assert_int_equal(test.prepared, 1);
}

static void an_older_registration_is_not_the_own_one(void **state)
{
    (void)state;
    start();
    publish(19, false, false);
    answer_registration(KAFKA_ERROR_NONE, 20);
    assert_int_equal(test.prepared, 0);
    publish(20, true, false);
    assert_int_equal(test.prepared, 1);
}

static void heartbeats_come_at_the_interval_and_keep_a_slow_start_alive(void **state)
{
    (void)state;
    start();
    answer_registration(KAFKA_ERROR_NONE, 20);
    for (int i = 0; i < 3; i++) {
        assert_null(test.asked);
        pass(1990);
        assert_null(test.asked);
        pass(20);
        assert_true(asked_heartbeat()->want_fence);
        answer_heartbeat(KAFKA_ERROR_NONE, true, false);
    }
}

static void a_refused_registration_is_repeated_less_and_less_often(void **state)
{
    (void)state;
    start();
    int tries = 0;
    for (int passed_ms = 0; passed_ms < 9000; passed_ms += 10) {
        if (test.asked) {
            tries++;
            answer_registration(KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION, -1);
        }
        pass(10);
    }
    assert_in_range(tries, 10, 13); /* 100, 200, 400, 800 ms, then every second */
    while (!test.asked)
        pass(100);
    answer_registration(KAFKA_ERROR_NONE, 30);
    assert_int_equal(test.life.state, BROKER_CATCHING_UP);
    assert_int_equal(test.life.epoch, 30);
    pass(60000);
    assert_string_equal(test.failure, "");
}

static void a_node_that_nobody_registers_ends(void **state)
{
    (void)state;
    start();
    pass(59900);
    assert_string_equal(test.failure, "");
    pass(200);
    assert_non_null(strstr(test.failure, "initial.broker.registration.timeout.ms"));
}

static void a_lost_registration_is_made_anew_by_the_same_incarnation(void **state)
{
    (void)state;
    start_running();
    struct uuid incarnation = test.life.registration.incarnation_id;
    pass(2010);
    answer_heartbeat(KAFKA_ERROR_STALE_BROKER_EPOCH, true, false);
    pass(10);
    assert_true(uuid_equal(asked_registration()->incarnation_id, incarnation));
    answer_registration(KAFKA_ERROR_NONE, 77);
    assert_int_equal(test.life.state, BROKER_CATCHING_UP);
    assert_int_equal(test.life.epoch, 77);
    publish(77, true, true);
    assert_int_equal(asked_heartbeat()->broker_epoch, 77);
    assert_false(asked_heartbeat()->want_fence);
    answer_heartbeat(KAFKA_ERROR_NONE, false, false);
    assert_int_equal(test.prepared, 1);
    assert_int_equal(test.life.state, BROKER_RUNNING);
}

static void a_failed_directory_is_reported_at_once_and_from_then_on(void **state)
{
    (void)state;
    start_running();
    struct uuid one = uuid_of_halves(1, 2), two = uuid_of_halves(3, 4);
    broker_lifecycle_fail_directory(&test.life, one);
    memory_node_run(&test.node);
    assert_int_equal(asked_heartbeat()->offline_log_dirs_count, 1);
    broker_lifecycle_fail_directory(&test.life, two); /* while that one is under way */
    answer_heartbeat(KAFKA_ERROR_NONE, false, false);
    pass(5);
    assert_int_equal(asked_heartbeat()->offline_log_dirs_count, 2);
    assert_true(uuid_equal(asked_heartbeat()->offline_log_dirs[1], two));
    answer_heartbeat(KAFKA_ERROR_NONE, false, false);
    pass(2010);
    assert_int_equal(asked_heartbeat()->offline_log_dirs_count, 2);
    answer_heartbeat(KAFKA_ERROR_NONE, false, false);
    pass(31000);
    assert_string_equal(test.failure, "");
}

static void a_failed_directory_that_nobody_hears_of_ends_the_node(void **state)
{
    (void)state;
    start_running();
    broker_lifecycle_fail_directory(&test.life, uuid_of_halves(1, 2));
    memory_node_run(&test.node);
    pass(30010);
    assert_non_null(strstr(test.failure, "log.dir.failure.timeout.ms"));
}

static void a_leaving_broker_asks_until_it_may_go(void **state)
{
    (void)state;
    start_running();
    broker_lifecycle_leave(&test.life);
    memory_node_run(&test.node);
    assert_true(asked_heartbeat()->want_shut_down);
    answer_heartbeat(KAFKA_ERROR_NONE, false, false);
    pass(55);
    assert_true(asked_heartbeat()->want_shut_down);
    answer_heartbeat(KAFKA_ERROR_NONE, false, false);
    assert_int_equal(test.left, 0);
    pass(105);
    answer_heartbeat(KAFKA_ERROR_NONE, false, true);
    assert_int_equal(test.left, 1);
    pass(10000);
    assert_null(test.asked);
    assert_int_equal(test.left, 1);
}

static void a_broker_that_is_alone_with_its_controller_leaves_at_once(void **state)
{
    (void)state;
    test.controller_id = OWN;
    start();
    answer_registration(KAFKA_ERROR_NONE, 20);
    publish(20, true, false);
    broker_lifecycle_serve(&test.life);
    memory_node_run(&test.node);
    answer_heartbeat(KAFKA_ERROR_NONE, false, false);
    publish(20, false, false);
    broker_lifecycle_leave(&test.life);
    assert_int_equal(test.left, 0); /* never inside the call */
    memory_node_run(&test.node);
    assert_int_equal(test.left, 1);
    assert_null(test.asked);
}

static void a_broker_that_never_served_leaves_at_once(void **state)
{
    (void)state;
    start();
    broker_lifecycle_leave(&test.life);
    memory_node_run(&test.node);
    assert_int_equal(test.left, 1);
    answer_registration(KAFKA_ERROR_NONE, 20); /* comes too late to mean anything */
    assert_int_equal(test.life.state, BROKER_LEFT);
    assert_int_equal(test.life.epoch, -1);
    pass(120000);
    assert_string_equal(test.failure, "");
}

static void a_broker_that_nobody_knows_any_more_leaves_at_once(void **state)
{
    (void)state;
    start_running();
    broker_lifecycle_leave(&test.life);
    memory_node_run(&test.node);
    answer_heartbeat(KAFKA_ERROR_STALE_BROKER_EPOCH, true, false);
    assert_int_equal(test.left, 1);
}

static void a_controlled_shutdown_does_not_last_for_ever(void **state)
{
    (void)state;
    start_running();
    broker_lifecycle_leave(&test.life);
    memory_node_run(&test.node);
    for (int i = 0; i < 301 && !test.left; i++) {
        if (test.asked)
            answer_heartbeat(KAFKA_ERROR_NONE, false, false);
        pass(1000);
    }
    assert_int_equal(test.left, 1);
}

static void a_node_that_registered_itself_goes_on_with_heartbeats(void **state)
{
    (void)state;
    struct broker_lifecycle_options options = life_options();
    broker_lifecycle_adopt(&test.life, &options, 4);
    publish(4, false, false);
    assert_int_equal(test.prepared + test.unfenced, 0);
    assert_null(test.asked);
    pass(2010);
    assert_int_equal(asked_heartbeat()->broker_epoch, 4);
    assert_false(asked_heartbeat()->want_fence);
    answer_heartbeat(KAFKA_ERROR_NONE, false, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, init, deinit)
    const struct CMUnitTest tests[] = {
        TEST(a_broker_is_unfenced_once_it_has_caught_up_and_serves),
        TEST(an_older_registration_is_not_the_own_one),
        TEST(heartbeats_come_at_the_interval_and_keep_a_slow_start_alive),
        TEST(a_refused_registration_is_repeated_less_and_less_often),
        TEST(a_node_that_nobody_registers_ends),
        TEST(a_lost_registration_is_made_anew_by_the_same_incarnation),
        TEST(a_failed_directory_is_reported_at_once_and_from_then_on),
        TEST(a_failed_directory_that_nobody_hears_of_ends_the_node),
        TEST(a_leaving_broker_asks_until_it_may_go),
        TEST(a_broker_that_is_alone_with_its_controller_leaves_at_once),
        TEST(a_broker_that_never_served_leaves_at_once),
        TEST(a_broker_that_nobody_knows_any_more_leaves_at_once),
        TEST(a_controlled_shutdown_does_not_last_for_ever),
        TEST(a_node_that_registered_itself_goes_on_with_heartbeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
