/* A controller among others, registered with an active one that the test plays by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/enrolment.h"
#include "cluster/metadata/draft.h"
#include "protocol/api_keys.h"
#include "tests/unit/cluster/asked_controller.h"

enum { OWN = ASKED_NODE_ID, MS = 1000000, VERSION = 29, TOO_OLD = 14 };

static const struct uuid own_incarnation = {.bytes = {[15] = 1}};
static const struct uuid other_incarnation = {.bytes = {[15] = 2}};

static struct {
    struct asked_controller controller;
    struct publisher publisher;
    struct enrolment enrolment;
    int answers;
} test;

static void apply(struct image_update *update, struct loop *shard)
{
    (void)shard;
    image_update_shown(update);
}

/* The metadata from now on; a zero incarnation leaves the controllers as they are. */
static void publish(int16_t version, struct uuid incarnation)
{
    struct image_draft draft;
    struct image_node node = {.id = OWN, .incarnation = incarnation};
    draft_begin(&draft, test.publisher.current);
    draft_set_feature(&draft, VIEW_LITERAL("metadata.version"), version);
    if (!uuid_is_zero(incarnation))
        draft_set_controller(&draft, &node);
    draft_set_position(&draft, test.publisher.current->offset + 1, 1, 0);
    struct image_delta *delta;
    const struct image *image = draft_finish(&draft, &delta);
    publisher_publish(&test.publisher, image, delta);
    memory_node_run(&test.controller.node);
}

static void pass(uint64_t milliseconds)
{
    memory_node_advance(&test.controller.node, milliseconds * MS);
}

static const struct controller_registration_request *asked(void)
{
    const void *message = asked_controller_message(&test.controller);
    assert_int_equal(test.controller.asked->api->api_key, API_KEY_CONTROLLER_REGISTRATION);
    return message;
}

static void answer(enum kafka_error error)
{
    struct controller_registration_response response;
    controller_registration_response_init(&response);
    response.error_code = (int16_t)error;
    asked();
    test.answers++;
    asked_controller_answer(&test.controller, &response);
}

static int init(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    asked_controller_init(&test.controller);
    struct loop *loop = test.controller.loop;
    publisher_init(&test.publisher, loop, image_create_empty(loop->heap, VIEW_LITERAL("cluster")),
                   apply);
    struct enrolment_options options = {.loop = loop,
                                        .channel = &test.controller.channel,
                                        .publisher = &test.publisher,
                                        .controller_id = OWN,
                                        .incarnation = own_incarnation,
                                        .listener = VIEW_LITERAL("CONTROLLER"),
                                        .host = VIEW_LITERAL("here"),
                                        .port = 9093};
    enrolment_start(&test.enrolment, &options);
    memory_node_run(&test.controller.node);
    return 0;
}

static int deinit(void **state)
{
    (void)state;
    controller_channel_close(&test.controller.channel);
    enrolment_stop(&test.enrolment);
    memory_node_run(&test.controller.node);
    publisher_deinit(&test.publisher);
    asked_controller_deinit(&test.controller);
    return 0;
}

static void a_controller_that_nobody_knows_says_who_it_is(void **state)
{
    (void)state;
    publish(VERSION, UUID_ZERO);
    assert_null(test.controller.asked);
    pass(101);
    const struct controller_registration_request *request = asked();
    assert_int_equal(request->controller_id, OWN);
    assert_true(uuid_equal(request->incarnation_id, own_incarnation));
    assert_false(request->zk_migration_ready);
    assert_int_equal(request->listeners_count, 1);
    assert_true(view_equal(request->listeners[0].name, VIEW_LITERAL("CONTROLLER")));
    assert_true(view_equal(request->listeners[0].host, VIEW_LITERAL("here")));
    assert_int_equal(request->listeners[0].port, 9093);
    bool has_version = false;
    for (size_t i = 0; i < request->features_count; i++)
        has_version |= view_equal(request->features[i].name, VIEW_LITERAL("metadata.version")) &&
                       request->features[i].max_supported_version == METADATA_VERSION_MAXIMUM;
    assert_true(has_version);
    answer(KAFKA_ERROR_NONE);
    publish(VERSION, own_incarnation);
    pass(1000000);
    assert_null(test.controller.asked);
    assert_int_equal(test.answers, 1);
}

static void what_the_metadata_knows_is_not_told(void **state)
{
    (void)state;
    publish(VERSION, UUID_ZERO);
    publish(VERSION, own_incarnation); /* it became the active one and has done it by itself */
    pass(1000000);
    assert_null(test.controller.asked);
    assert_int_equal(test.answers, 0);
}

static void an_old_cluster_has_no_such_registrations(void **state)
{
    (void)state;
    publish(TOO_OLD, UUID_ZERO);
    pass(1000000);
    assert_null(test.controller.asked);
    publish(VERSION, UUID_ZERO);
    pass(101);
    answer(KAFKA_ERROR_NONE);
}

static void an_earlier_process_is_replaced(void **state)
{
    (void)state;
    publish(VERSION, other_incarnation);
    pass(101);
    answer(KAFKA_ERROR_NONE);
    publish(VERSION, own_incarnation);
    assert_int_equal(test.controller.node.last_line[0], 0);
}

static void refusals_are_repeated_after_pauses_that_grow(void **state)
{
    (void)state;
    publish(VERSION, UUID_ZERO);
    uint64_t pause_ms = 100;
    for (int i = 0; i < 14; i++) {
        pass(pause_ms - 1);
        assert_null(test.controller.asked);
        pass(2);
        answer(KAFKA_ERROR_UNSUPPORTED_VERSION);
        pause_ms = pause_ms < 60000 ? 2 * pause_ms : 120000;
    }
    assert_non_null(strstr(test.controller.node.last_line, "this controller is not registered"));
}

/* Two processes with one node id: each takes the place of the other, less and less often. */
static void a_quarrel_gets_rare(void **state)
{
    (void)state;
    publish(VERSION, UUID_ZERO);
    pass(101);
    for (int i = 0; i < 5; i++) {
        answer(KAFKA_ERROR_NONE);
        publish(VERSION, own_incarnation);
        publish(VERSION, other_incarnation);
        assert_non_null(strstr(test.controller.node.last_line, "another process has registered"));
        pass((200u << i) - 1);
        assert_null(test.controller.asked);
        pass(2);
    }
    answer(KAFKA_ERROR_NONE);
}

static void the_end_asks_nothing_more(void **state)
{
    (void)state;
    publish(VERSION, UUID_ZERO);
    pass(101);
    asked();
    controller_channel_close(&test.controller.channel);
    enrolment_stop(&test.enrolment);
    publish(VERSION, UUID_ZERO);
    answer(KAFKA_ERROR_NOT_CONTROLLER); /* it runs on this node */
    pass(1000000);
    assert_null(test.controller.asked);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, init, deinit)
    const struct CMUnitTest tests[] = {
        TEST(a_controller_that_nobody_knows_says_who_it_is),
        TEST(what_the_metadata_knows_is_not_told),
        TEST(an_old_cluster_has_no_such_registrations),
        TEST(an_earlier_process_is_replaced),
        TEST(refusals_are_repeated_after_pauses_that_grow),
        TEST(a_quarrel_gets_rare),
        TEST(the_end_asks_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
