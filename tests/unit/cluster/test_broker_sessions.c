/* Who is alive, who is silent, who may leave; and the fences that an active controller sets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "cluster/controller/broker_sessions.h"
#include "cluster/controller/controller_registration.h"
#include "tests/unit/cluster/controller_fixture.h"
#include "tests/unit/cluster/decision_bench.h"

enum { TIMEOUT = 1000, OWN = 1 };

/* Brokers 1 (own) and 2 active, 3 fenced. */
static void claim(struct broker_sessions *sessions, struct decision_bench *bench, uint64_t now)
{
    broker_sessions_init(sessions, &bench->heap, TIMEOUT, OWN);
    broker_sessions_claim(sessions, bench->image, now);
    broker_sessions_check(sessions, bench->image);
}

/* Changes a broker and lets the sessions follow. */
static void set_broker(struct broker_sessions *sessions, struct decision_bench *bench, int32_t id,
                       bool fenced, uint64_t now)
{
    bench_set_broker(bench, id, fenced);
    broker_sessions_follow(sessions, bench->image, id, now);
    broker_sessions_check(sessions, bench->image);
}

static void a_new_controller_grants_full_sessions(void **state)
{
    (void)state;
    struct decision_bench bench;
    struct broker_sessions sessions;
    bench_init(&bench);
    claim(&sessions, &bench, 5000);
    assert_null(broker_sessions_expired(&sessions, 5000 + TIMEOUT));
    assert_int_equal(broker_sessions_next_ns(&sessions), 5000 + TIMEOUT + 1);
    assert_int_equal(broker_sessions_expired(&sessions, 5000 + TIMEOUT + 1)->id, 2);
    broker_sessions_renounce(&sessions);
    assert_int_equal(broker_sessions_next_ns(&sessions), UINT64_MAX);
    bench_deinit(&bench);
}

static void the_longest_silent_broker_expires_first(void **state)
{
    (void)state;
    struct decision_bench bench;
    struct broker_sessions sessions;
    bench_init(&bench);
    claim(&sessions, &bench, 0);
    set_broker(&sessions, &bench, 3, false, 100);
    set_broker(&sessions, &bench, 4, false, 200);
    broker_sessions_touch(&sessions, 2, 102, 7, 300);
    assert_int_equal(broker_sessions_expired(&sessions, 2000)->id, 3);
    /* Another epoch is another incarnation: it says nothing about this one. */
    broker_sessions_touch(&sessions, 3, 99, 7, 400);
    assert_int_equal(broker_sessions_expired(&sessions, 2000)->id, 3);
    broker_sessions_touch(&sessions, 3, 103, 7, 400);
    assert_int_equal(broker_sessions_expired(&sessions, 2000)->id, 4);
    set_broker(&sessions, &bench, 4, true, 500);
    assert_int_equal(broker_sessions_expired(&sessions, 2000)->id, 2);
    broker_sessions_renounce(&sessions);
    bench_deinit(&bench);
}

static void only_a_living_broker_keeps_its_place(void **state)
{
    (void)state;
    struct decision_bench bench;
    struct broker_sessions sessions;
    bench_init(&bench);
    claim(&sessions, &bench, 0);
    const struct image *image = bench.image;
    assert_true(broker_sessions_is_alive(&sessions, image, 2, TIMEOUT));
    assert_false(broker_sessions_is_alive(&sessions, image, 2, TIMEOUT + 1));
    assert_false(broker_sessions_is_alive(&sessions, image, 3, 0)); /* fenced */
    assert_false(broker_sessions_is_alive(&sessions, image, 9, 0));
    assert_true(broker_sessions_is_alive(&sessions, image, OWN, 100 * TIMEOUT));
    /* Own registrations replace the own session; those of others that claim its id do not. */
    struct broker_registration_request request;
    broker_registration_request_init(&request);
    request.broker_id = OWN;
    request.cluster_id = VIEW_LITERAL("cluster");
    request.incarnation_id = uuid_of_halves(61, 7);
    struct uuid directory = uuid_of_halves(50, 1);
    request.log_dirs = &directory;
    request.log_dirs_count = 1;
    struct broker_registration_request_feature feature = {VIEW_LITERAL("metadata.version"), 7, 29};
    request.features = &feature;
    request.features_count = 1;
    for (int own = 0; own < 2; own++) {
        struct broker_registration_response response;
        struct decision decision;
        bench_decide(&bench, &decision);
        decision.version = 4;
        broker_sessions_register(&sessions, &decision, &request, own == 1, 10, &response);
        assert_int_equal(response.error_code,
                         own ? KAFKA_ERROR_NONE : KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION);
    }
    broker_sessions_renounce(&sessions);
    bench_deinit(&bench);
}

/* One heartbeat, committed, followed. */
static struct broker_heartbeat_response beat(struct broker_sessions *sessions,
                                             struct decision_bench *bench, int32_t id,
                                             int64_t offset, bool want_shut_down)
{
    struct broker_heartbeat_request request;
    broker_heartbeat_request_init(&request);
    request.broker_id = id;
    request.broker_epoch = 100 + id;
    request.current_metadata_offset = offset;
    request.want_shut_down = want_shut_down;
    struct broker_heartbeat_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    broker_sessions_heartbeat(sessions, &decision, &request, 50, &response);
    bench_commit(bench, &decision);
    broker_sessions_follow(sessions, bench->image, id, 50);
    broker_sessions_check(sessions, bench->image);
    return response;
}

static void a_leaving_broker_waits_until_the_others_have_seen_it(void **state)
{
    (void)state;
    int32_t two_three[] = {2, 3};
    struct decision_bench bench;
    struct broker_sessions sessions;
    bench_init(&bench);
    claim(&sessions, &bench, 0);
    struct broker_heartbeat_response response = beat(&sessions, &bench, 3, 500, false);
    assert_false(response.is_fenced);
    bench_add_topic(&bench, "led", (struct node_list){two_three, 2},
                    (struct node_list){two_three, 2}, 2);
    assert_false(beat(&sessions, &bench, 2, 500, true).should_shut_down);
    int64_t last = bench.next_offset - 1;
    assert_int_equal(broker_session_find(&sessions, 2)->shutdown_offset, last);
    assert_int_equal(bench_partition(&bench, "led")->leader, 3);
    beat(&sessions, &bench, 3, last - 1, false);
    assert_false(beat(&sessions, &bench, 2, last, true).should_shut_down);
    /* A new controller does not know where it began, and waits for all that it has. */
    broker_sessions_claim(&sessions, bench.image, 50);
    beat(&sessions, &bench, 3, last, false);
    assert_true(beat(&sessions, &bench, 2, last, true).should_shut_down);
    assert_true(image_broker(bench.image, 2)->fenced);
    broker_sessions_renounce(&sessions);
    bench_deinit(&bench);
}

/* ---- With a controller ----------------------------------------------------------------------- */

/* Registers a broker at the fixture's controller, and unfences it; its epoch. */
static int64_t join(struct fixture *fixture, int32_t id)
{
    struct controller *controller = &fixture->controller;
    struct broker_registration_request request = fixture->registration;
    struct uuid directory = uuid_of_halves(90, (uint64_t)id);
    const struct image_node *own = image_broker(controller->head, fixture->config.node_id);
    struct broker_registration_request_feature features[16];
    assert_true(own->feature_count <= 16);
    for (uint32_t i = 0; i < own->feature_count; i++)
        features[i] = (struct broker_registration_request_feature){
            own->features[i].name, own->features[i].minimum, own->features[i].maximum};
    request.broker_id = id;
    request.incarnation_id = uuid_of_halves(91, (uint64_t)id);
    request.log_dirs = &directory;
    request.features = features;
    request.features_count = own->feature_count;
    struct broker_registration_response registered;
    struct decision decision;
    fixture_decide(fixture, &decision);
    decision.version = 4;
    uint64_t now = controller->loop->now_ns;
    broker_sessions_register(&controller->duties.sessions, &decision, &request, false, now,
                             &registered);
    assert_int_equal(registered.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(fixture_commit(fixture, &decision), KAFKA_ERROR_NONE);
    struct broker_heartbeat_request heartbeat;
    broker_heartbeat_request_init(&heartbeat);
    heartbeat.broker_id = id;
    heartbeat.broker_epoch = registered.broker_epoch;
    heartbeat.current_metadata_offset = controller->head->offset;
    struct broker_heartbeat_response response;
    fixture_decide(fixture, &decision);
    broker_sessions_heartbeat(&controller->duties.sessions, &decision, &heartbeat, now, &response);
    assert_false(response.is_fenced);
    assert_int_equal(fixture_commit(fixture, &decision), KAFKA_ERROR_NONE);
    return registered.broker_epoch;
}

static void silent_brokers_are_fenced_one_after_the_other(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_start(&fixture);
    assert_true(fixture.is_ready);
    join(&fixture, 7);
    join(&fixture, 8);
    assert_false(image_broker(fixture_image(&fixture), 7)->fenced);
    broker_sessions_check(&fixture.controller.duties.sessions, fixture.controller.head);
    uint64_t timeout =
        (uint64_t)fixture.config.settings.broker_session_timeout_ms * UINT64_C(1000000);
    memory_node_advance(&fixture.node, timeout / 2);
    assert_false(image_broker(fixture_image(&fixture), 7)->fenced);
    memory_node_advance(&fixture.node, timeout);
    assert_true(image_broker(fixture_image(&fixture), 7)->fenced);
    memory_node_advance(&fixture.node, 2000000);
    assert_true(image_broker(fixture_image(&fixture), 8)->fenced);
    /* The node's own broker lives as long as the controller. */
    assert_false(image_broker(fixture_image(&fixture), fixture.config.node_id)->fenced);
    broker_sessions_check(&fixture.controller.duties.sessions, fixture.controller.head);
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void controllers_register_what_they_support(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct controller_registration_request_listener listener = {VIEW_LITERAL("CONTROLLER"),
                                                                VIEW_LITERAL("localhost"), 9093, 0};
    struct controller_registration_request_feature feature = {VIEW_LITERAL("metadata.version"), 7,
                                                              29};
    struct controller_registration_request request = {
        .controller_id = 5,
        .incarnation_id = uuid_of_halves(4, 4),
        .listeners = &listener,
        .listeners_count = 1,
        .features = &feature,
        .features_count = 1,
    };
    const struct {
        int16_t metadata_version;
        int16_t maximum;
        enum kafka_error error;
        size_t records;
    } cases[] = {
        {14, 29, KAFKA_ERROR_UNSUPPORTED_VERSION, 0},
        {29, 28, KAFKA_ERROR_UNSUPPORTED_VERSION, 0},
        {29, 29, KAFKA_ERROR_NONE, 1},
        {29, 29, KAFKA_ERROR_NONE, 0}, /* again */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bench_set_feature(&bench, "metadata.version", cases[i].metadata_version);
        feature.max_supported_version = cases[i].maximum;
        struct controller_registration_response response;
        struct decision decision;
        bench_decide(&bench, &decision);
        decide_controller_registration(&decision, &request, &response);
        assert_int_equal(response.error_code, cases[i].error);
        assert_int_equal(decision.records.count, cases[i].records);
        bench_commit(&bench, &decision);
    }
    assert_int_equal(image_controller(bench.image, 5)->endpoints[0].port, 9093);
    bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_controller_grants_full_sessions),
        cmocka_unit_test(the_longest_silent_broker_expires_first),
        cmocka_unit_test(only_a_living_broker_keeps_its_place),
        cmocka_unit_test(a_leaving_broker_waits_until_the_others_have_seen_it),
        cmocka_unit_test(silent_brokers_are_fenced_one_after_the_other),
        cmocka_unit_test(controllers_register_what_they_support),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
