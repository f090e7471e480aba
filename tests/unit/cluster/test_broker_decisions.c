/* Brokers that register, send heartbeats, lose directories and leave. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cluster/controller/broker_heartbeat.h"
#include "cluster/controller/broker_registration.h"
#include "tests/unit/cluster/decision_requests.h"

/* ---- Registration ---------------------------------------------------------------------------- */

static struct broker_registration_request registration(int32_t id, struct uuid *directory)
{
    static struct broker_registration_request_feature feature;
    feature = (struct broker_registration_request_feature){VIEW_LITERAL("metadata.version"), 7, 29};
    struct broker_registration_request request;
    broker_registration_request_init(&request);
    request.broker_id = id;
    request.cluster_id = VIEW_LITERAL("cluster");
    request.incarnation_id = uuid_of_halves(61, 7);
    request.features = &feature;
    request.features_count = 1;
    request.log_dirs = directory;
    request.log_dirs_count = 1;
    return request;
}

static struct broker_registration_response enroll(struct decision_bench *bench,
                                                  const struct broker_registration_request *request,
                                                  bool has_session)
{
    struct broker_registration_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_broker_registration(&decision, request, 4, has_session, &response);
    bench_commit(bench, &decision);
    return response;
}

static void registrations_are_checked(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct uuid own = uuid_of_halves(50, 9);
    struct uuid foreign = uuid_of_halves(50, 1);
    struct uuid reserved = uuid_of_halves(0, 2);
    struct broker_registration_request request = registration(9, &own);
    request.cluster_id = VIEW_LITERAL("other");
    assert_int_equal(enroll(&bench, &request, false).error_code,
                     KAFKA_ERROR_INCONSISTENT_CLUSTER_ID);
    request = registration(9, &foreign);
    assert_int_equal(enroll(&bench, &request, false).error_code, KAFKA_ERROR_INVALID_REGISTRATION);
    request = registration(9, &reserved);
    assert_int_equal(enroll(&bench, &request, false).error_code, KAFKA_ERROR_INVALID_REGISTRATION);
    request = registration(9, &own);
    request.log_dirs_count = 0;
    assert_int_equal(enroll(&bench, &request, false).error_code, KAFKA_ERROR_INVALID_REGISTRATION);
    request = registration(9, &own);
    request.features[0].max_supported_version = 28;
    assert_int_equal(enroll(&bench, &request, false).error_code, KAFKA_ERROR_UNSUPPORTED_VERSION);
    request = registration(1, &foreign);
    assert_int_equal(enroll(&bench, &request, true).error_code,
                     KAFKA_ERROR_DUPLICATE_BROKER_REGISTRATION);
    struct uuid first = uuid_of_halves(50, 1);
    request = registration(1, &first);
    request.previous_broker_epoch = image_broker(bench.image, 1)->epoch; /* a clean stop */
    assert_int_equal(enroll(&bench, &request, true).error_code, KAFKA_ERROR_NONE);
    request = registration(9, &own);
    int64_t next_offset = bench.next_offset;
    struct broker_registration_response response = enroll(&bench, &request, false);
    assert_int_equal(response.error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.broker_epoch, next_offset);
    assert_true(image_broker(bench.image, 9)->fenced);
    bench_deinit(&bench);
}

static void the_same_incarnation_keeps_its_epoch(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct uuid directory = uuid_of_halves(50, 1);
    struct broker_registration_request request = registration(1, &directory);
    request.incarnation_id = uuid_of_halves(60, 1);
    assert_int_equal(enroll(&bench, &request, true).broker_epoch, 101);
    assert_false(image_broker(bench.image, 1)->fenced);
    bench_deinit(&bench);
}

static void a_new_incarnation_leaves_its_places_first(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "t", IDS(1, 2), IDS(1, 2), 1);
    struct uuid directory = uuid_of_halves(50, 1);
    struct broker_registration_request request = registration(1, &directory);
    int64_t epoch = bench.next_offset;
    assert_int_equal(enroll(&bench, &request, false).broker_epoch, epoch);
    assert_int_equal(bench_partition(&bench, "t")->leader, 2);
    assert_int_equal(image_broker(bench.image, 1)->register_offset, epoch + 1);
    bench_deinit(&bench);
}

static void a_clean_restart_keeps_what_nobody_else_could_lead(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "alone", IDS(1, 2), IDS(1), 1);
    bench_add_topic(&bench, "only", IDS(1), IDS(1), 1);
    bench_add_topic(&bench, "shared", IDS(1, 2), IDS(1, 2), 1);
    struct uuid directory = uuid_of_halves(50, 1);
    struct broker_registration_request request = registration(1, &directory);
    request.previous_broker_epoch = 101;
    enroll(&bench, &request, false);
    assert_int_equal(bench_partition(&bench, "alone")->leader, 1);
    assert_int_equal(bench_partition(&bench, "alone")->leader_epoch, 5);
    assert_int_equal(bench_partition(&bench, "shared")->leader, 2);
    /* So does a crash where nobody, no follower either, saw what was not on stable storage. */
    request.incarnation_id = uuid_of_halves(61, 9);
    request.previous_broker_epoch = -1;
    enroll(&bench, &request, false);
    assert_int_equal(bench_partition(&bench, "alone")->leader_epoch, 6);
    assert_int_equal(bench_partition(&bench, "only")->leader, 1);
    assert_int_equal(bench_partition(&bench, "only")->leader_epoch, 5);
    /* Else the epoch tells that a tail may be missing. */
    bench_set_cache(&bench);
    request.incarnation_id = uuid_of_halves(61, 8);
    request.previous_broker_epoch = -1;
    enroll(&bench, &request, false);
    assert_int_equal(bench_partition(&bench, "only")->leader, -1);
    assert_int_equal(bench_partition(&bench, "only")->leader_epoch, 6);
    bench_deinit(&bench);
}

/* ---- Heartbeats ------------------------------------------------------------------------------ */

struct beat {
    int64_t epoch;
    int64_t offset;
    bool want_fence;
    bool want_shut_down;
};

static struct broker_heartbeat_response heartbeat(struct decision_bench *bench, int32_t id,
                                                  struct beat beat, int64_t others_offset,
                                                  int64_t shutdown_offset)
{
    struct broker_heartbeat_request request;
    broker_heartbeat_request_init(&request);
    request.broker_id = id;
    request.broker_epoch = beat.epoch;
    request.current_metadata_offset = beat.offset;
    request.want_fence = beat.want_fence;
    request.want_shut_down = beat.want_shut_down;
    struct broker_heartbeat_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_broker_heartbeat(&decision, &request, others_offset, shutdown_offset, &response);
    bench_commit(bench, &decision);
    return response;
}

static void heartbeats_fence_and_unfence(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "dead", IDS(3), IDS(3), -1);
    bench_add_topic(&bench, "led", IDS(1, 2), IDS(1, 2), 1);
    assert_int_equal(heartbeat(&bench, 9, (struct beat){1, 0, false, false}, 0, -1).error_code,
                     KAFKA_ERROR_STALE_BROKER_EPOCH);
    assert_int_equal(heartbeat(&bench, 3, (struct beat){102, 0, false, false}, 0, -1).error_code,
                     KAFKA_ERROR_STALE_BROKER_EPOCH);
    struct broker_heartbeat_response response =
        heartbeat(&bench, 3, (struct beat){103, 102, false, false}, 0, -1);
    assert_false(response.is_caught_up);
    assert_true(response.is_fenced);
    response = heartbeat(&bench, 3, (struct beat){103, 103, true, false}, 0, -1);
    assert_true(response.is_fenced);
    response = heartbeat(&bench, 3, (struct beat){103, 103, false, false}, 0, -1);
    assert_false(response.is_fenced);
    assert_int_equal(bench_partition(&bench, "dead")->leader, 3);
    response = heartbeat(&bench, 1, (struct beat){101, 500, true, false}, 0, -1);
    assert_true(response.is_fenced);
    assert_int_equal(bench_partition(&bench, "led")->leader, 2);
    assert_true(image_broker(bench.image, 1)->fenced);
    response = heartbeat(&bench, 1, (struct beat){101, 500, false, true}, 0, -1);
    assert_true(response.should_shut_down);
    bench_deinit(&bench);
}

static void failed_directories_take_their_partitions_along(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct uuid directories[] = {uuid_of_halves(50, 1), uuid_of_halves(50, 77)};
    struct uuid id = bench_add_topic(&bench, "kept", IDS(1, 2), IDS(1, 2), 1);
    struct uuid other = bench_add_topic(&bench, "lost", IDS(1, 2), IDS(1, 2), 1);
    struct image_draft draft;
    bench_edit(&bench, &draft);
    struct image_node broker = *image_broker(bench.image, 1);
    broker.directories = directories;
    broker.directory_count = 2;
    draft_set_broker(&draft, &broker);
    struct uuid placed[2] = {directories[0], uuid_of_halves(50, 2)};
    struct partition_state partition = bench_state(&bench, "kept");
    partition.directories = placed;
    draft_set_partition(&draft, id, 0, &partition);
    placed[0] = directories[1];
    draft_set_partition(&draft, other, 0, &partition);
    bench_adopt(&bench, &draft);
    struct broker_heartbeat_request request;
    broker_heartbeat_request_init(&request);
    request.broker_id = 1;
    request.broker_epoch = 101;
    request.current_metadata_offset = 500;
    request.offline_log_dirs = &directories[1];
    request.offline_log_dirs_count = 1;
    for (int round = 0; round < 2; round++) {
        struct broker_heartbeat_response response;
        struct decision decision;
        bench_decide(&bench, &decision);
        decide_broker_heartbeat(&decision, &request, 0, -1, &response);
        /* Said twice, done once. */
        assert_int_equal(decision.records.count, round == 0 ? 2 : 0);
        bench_commit(&bench, &decision);
        assert_false(response.is_fenced);
    }
    assert_int_equal(bench_partition(&bench, "kept")->leader, 1);
    assert_int_equal(bench_partition(&bench, "lost")->leader, 2);
    assert_int_equal(bench_partition(&bench, "lost")->isr_count, 1);
    assert_int_equal(image_broker(bench.image, 1)->directory_count, 1);
    bench_deinit(&bench);
}

static void a_broker_leaves_in_order(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "led", IDS(1, 2), IDS(1, 2), 1);
    bench_add_topic(&bench, "kept", IDS(1, 2), IDS(1, 2), 2);
    struct beat leaving = {101, 500, false, true};
    struct broker_heartbeat_response response = heartbeat(&bench, 1, leaving, 0, -1);
    assert_false(response.should_shut_down);
    assert_false(response.is_fenced);
    assert_true(image_broker(bench.image, 1)->in_controlled_shutdown);
    assert_false(image_broker(bench.image, 1)->fenced);
    assert_int_equal(bench_partition(&bench, "led")->leader, 2);
    assert_int_equal(bench_partition(&bench, "led")->isr_count, 1);
    assert_int_equal(bench_partition(&bench, "kept")->isr_count, 1);
    /* Not before every other broker has seen the leaders move. */
    assert_false(heartbeat(&bench, 1, leaving, 900, 1000).should_shut_down);
    response = heartbeat(&bench, 1, leaving, 1000, 1000);
    assert_true(response.should_shut_down);
    assert_true(response.is_fenced);
    assert_true(image_broker(bench.image, 1)->fenced);
    bench_deinit(&bench);
}

static void a_broker_that_leads_nothing_leaves_its_in_sync_sets_and_goes(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_add_topic(&bench, "followed", IDS(1, 2), IDS(1, 2), 2);
    struct broker_heartbeat_response response =
        heartbeat(&bench, 1, (struct beat){101, 500, false, true}, 0, -1);
    assert_true(response.should_shut_down);
    assert_true(image_broker(bench.image, 1)->fenced);
    assert_int_equal(bench_partition(&bench, "followed")->isr_count, 1);
    assert_int_equal(bench_partition(&bench, "followed")->leader, 2);
    assert_int_equal(bench_partition(&bench, "followed")->leader_epoch, 5);
    bench_deinit(&bench);
}

static void the_last_active_broker_goes_as_it_is(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_broker(&bench, 1, true);
    bench_add_topic(&bench, "led", IDS(1, 2), IDS(2), 2);
    int64_t next_offset = bench.next_offset;
    assert_true(heartbeat(&bench, 2, (struct beat){102, 500, false, true}, 0, -1).should_shut_down);
    assert_int_equal(bench.next_offset, next_offset);
    assert_int_equal(bench_partition(&bench, "led")->leader, 2);
    bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registrations_are_checked),
        cmocka_unit_test(the_same_incarnation_keeps_its_epoch),
        cmocka_unit_test(a_new_incarnation_leaves_its_places_first),
        cmocka_unit_test(a_clean_restart_keeps_what_nobody_else_could_lead),
        cmocka_unit_test(heartbeats_fence_and_unfence),
        cmocka_unit_test(failed_directories_take_their_partitions_along),
        cmocka_unit_test(a_broker_leaves_in_order),
        cmocka_unit_test(a_broker_that_leads_nothing_leaves_its_in_sync_sets_and_goes),
        cmocka_unit_test(the_last_active_broker_goes_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
