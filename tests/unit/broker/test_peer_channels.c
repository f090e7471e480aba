/* Channels to other brokers as the image names them, without a network. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "broker/peer_channels.h"
#include "broker/peer_request.h"
#include "broker/shard.h"
#include "cluster/metadata/draft.h"
#include "tests/unit/cluster/fake_channel.h"
#include "tests/unit/log/memory_node.h"

enum { OTHER = 2 };

static struct {
    struct memory_node node;
    struct server_config config;
    struct broker broker;
    struct shard shard;
    struct channel_request requests[2];
    int ended;
    enum channel_status status;
    struct peer_request peer;
    const void *response; /* of `peer` */
    int answered;
} test;

/* The shard shows the broker OTHER at this port from now on (0: it is not registered). */
static void show(uint16_t port, bool fenced)
{
    struct image_endpoint endpoints[] = {
        {VIEW_LITERAL("CLIENTS"), VIEW_LITERAL("outside"), 1, 0},
        {VIEW_LITERAL("INTERNAL"), VIEW_LITERAL("inside"), port, 0},
    };
    struct image_node node = {
        .id = OTHER, .epoch = 3, .endpoints = endpoints, .endpoint_count = 2, .fenced = fenced};
    struct image_draft draft;
    draft_begin(&draft, test.shard.image);
    if (port > 0)
        draft_set_broker(&draft, &node);
    else
        draft_remove_broker(&draft, OTHER);
    const struct image *image = draft_finish(&draft, NULL);
    image_release(test.shard.image);
    test.shard.image = image;
    peer_channels_show(&test.shard.peers, image);
}

static void done(struct channel_request *request, enum channel_status status, const void *response)
{
    (void)request;
    (void)response;
    test.ended++;
    test.status = status;
}

static int init(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    fake_channels_reset();
    memory_node_init(&test.node);
    test.config.node_id = 1;
    test.config.inter_broker_listener_name = VIEW_LITERAL("INTERNAL");
    test.config.settings.request_timeout_ms = 30000;
    test.broker.config = &test.config;
    test.shard.broker = &test.broker;
    test.shard.loop = memory_node_loop(&test.node, 1);
    test.shard.image = image_create_empty(test.shard.loop->heap, VIEW_LITERAL("cluster"));
    peer_channels_init(&test.shard.peers, &test.shard);
    test.requests[0].done = done;
    test.requests[1].done = done;
    return 0;
}

static int deinit(void **state)
{
    (void)state;
    peer_channels_close(&test.shard.peers);
    image_release(test.shard.image);
    memory_node_deinit(&test.node);
    return 0;
}

static struct channel *get(enum peer_purpose purpose)
{
    return peer_channels_get(&test.shard.peers, OTHER, purpose);
}

static void each_purpose_has_one_channel_on_the_inter_broker_listener(void **state)
{
    (void)state;
    show(19, false);
    struct channel *markers = get(PEER_MARKERS);
    assert_string_equal(markers->host, "inside");
    assert_int_equal(markers->port, 19);
    assert_ptr_equal(get(PEER_MARKERS), markers);
    assert_ptr_not_equal(get(PEER_VERIFICATIONS), markers);
}

static void brokers_that_are_unknown_or_fenced_have_none(void **state)
{
    (void)state;
    assert_null(get(PEER_MARKERS));
    show(19, true);
    assert_null(get(PEER_MARKERS));
    show(19, false);
    assert_non_null(get(PEER_MARKERS));
}

static void a_broker_that_moves_is_followed(void **state)
{
    (void)state;
    show(19, false);
    struct channel *channel = get(PEER_MARKERS);
    show(20, false);
    assert_ptr_equal(get(PEER_MARKERS), channel);
    assert_int_equal(channel->port, 20);
}

static void what_is_under_way_to_a_fenced_broker_ends(void **state)
{
    (void)state;
    show(19, false);
    channel_send(get(PEER_MARKERS), &test.requests[0]);
    channel_send(get(PEER_VERIFICATIONS), &test.requests[1]);
    show(19, true);
    assert_int_equal(test.ended, 2);
    assert_int_equal(test.status, CHANNEL_CLOSED);
    show(19, false);
    assert_true(get(PEER_MARKERS)->is_open);
}

static void after_the_close_there_are_none(void **state)
{
    (void)state;
    show(19, false);
    channel_send(get(PEER_MARKERS), &test.requests[0]);
    peer_channels_close(&test.shard.peers);
    assert_int_equal(test.ended, 1);
    assert_null(get(PEER_MARKERS));
}

static void peer_answered(struct peer_request *request, const void *response)
{
    assert_ptr_equal(request, &test.peer);
    assert_int_equal(test.ended, 0);
    test.answered++;
    test.response = response;
}

static void peer_ended(struct peer_request *request)
{
    assert_ptr_equal(request, &test.peer);
    assert_int_equal(test.answered, 1);
    test.ended++;
}

static void ask_other(void)
{
    test.peer = (struct peer_request){
        .purpose = PEER_VERIFICATIONS,
        .version_min = 4,
        .version_max = 5,
        .answered = peer_answered,
        .ended = peer_ended,
    };
    peer_request_send(&test.peer, &test.shard, OTHER);
}

static void a_request_goes_over_the_channel_of_its_purpose(void **state)
{
    (void)state;
    static const int response;
    show(19, false);
    struct channel *channel = get(PEER_VERIFICATIONS);
    ask_other();
    assert_int_equal(channel->request_count, 1);
    assert_int_equal(channel->requests[0]->version_min, 4);
    assert_int_equal(channel->requests[0]->version_max, 5);
    assert_int_equal(test.answered, 0);
    fake_channel_answer(channel, CHANNEL_OK, &response);
    assert_ptr_equal(test.response, &response);
    assert_int_equal(test.ended, 1);
}

static void a_request_that_gets_lost_is_answered_without_a_response(void **state)
{
    (void)state;
    ask_other(); /* there is no such broker */
    assert_null(test.response);
    assert_int_equal(test.ended, 1);
    test.answered = 0;
    test.ended = 0;
    show(19, false);
    ask_other();
    assert_int_equal(test.answered, 0);
    show(19, true);
    assert_null(test.response);
    assert_int_equal(test.ended, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, init, deinit)
    const struct CMUnitTest tests[] = {
        TEST(each_purpose_has_one_channel_on_the_inter_broker_listener),
        TEST(brokers_that_are_unknown_or_fenced_have_none),
        TEST(a_broker_that_moves_is_followed),
        TEST(what_is_under_way_to_a_fenced_broker_ends),
        TEST(after_the_close_there_are_none),
        TEST(a_request_goes_over_the_channel_of_its_purpose),
        TEST(a_request_that_gets_lost_is_answered_without_a_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
