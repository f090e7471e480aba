/*
 * Coordinators as their kinds and their callers see them: what is answered when, and what is left
 * after a failure. Loading from odd logs is in test_coordinator_load.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/coordinator/coordinator_fixture.h"
#include "tests/unit/coordinator/note_kind.h"

static struct coordinator_fixture test;

static void begin(void)
{
    *note_counts() = (struct note_kind_counts){0};
    coordinator_fixture_init(&test, &note_kind);
    coordinator_fixture_start(&test);
}

static void end(void)
{
    coordinator_fixture_deinit(&test);
    assert_int_equal(note_counts()->created, note_counts()->destroyed);
}

static struct notes *notes(void)
{
    return coordinator_fixture_state(&test);
}

/* A call with its own request and response. */
struct ask {
    struct fixture_call call;
    struct note_request request;
    int64_t response;
};

static void ask(struct ask *ask, int32_t number, int64_t text)
{
    ask->request = (struct note_request){number, text};
    ask->response = -2;
    fixture_call_init(&test, &ask->call, 0, &ask->request, &ask->response);
    note_handle(notes(), &ask->call.call);
}

static void assert_told(struct ask *ask, enum kafka_error error)
{
    assert_int_equal(ask->call.told, 1);
    assert_int_equal(ask->call.call.error, error);
    fixture_call_deinit(&ask->call);
}

static void state_changes_at_once_and_the_answer_waits_for_commit(void **state)
{
    (void)state;
    begin();
    coordinator_fixture_hold(&test);
    struct ask first;
    ask(&first, 7, 70);
    assert_int_equal(notes()->texts[7], 70);
    coordinator_fixture_run(&test);
    assert_int_equal(first.call.told, 0);
    coordinator_fixture_commit(&test);
    assert_told(&first, KAFKA_ERROR_NONE);
    assert_int_equal(first.response, 70);
    assert_int_equal(coordinator_end_offset(test.coordinator), 1);
    end();
}

static void an_answer_to_a_read_waits_for_what_it_saw(void **state)
{
    (void)state;
    begin();
    struct ask early, write, late;
    ask(&early, 7, -1);
    assert_told(&early, KAFKA_ERROR_NONE); /* nothing is open: at once */
    assert_int_equal(early.response, -1);
    coordinator_fixture_hold(&test);
    ask(&write, 7, 70);
    ask(&late, 7, -1);
    coordinator_fixture_run(&test);
    assert_int_equal(late.call.told, 0);
    coordinator_fixture_commit(&test);
    assert_told(&write, KAFKA_ERROR_NONE);
    assert_told(&late, KAFKA_ERROR_NONE);
    assert_int_equal(late.response, 70);
    end();
}

static void a_refused_append_changes_nothing(void **state)
{
    (void)state;
    begin();
    coordinator_fixture_refuse(&test, true);
    struct ask refused, after;
    ask(&refused, 3, 30);
    assert_told(&refused, KAFKA_ERROR_NOT_COORDINATOR);
    assert_int_equal(notes()->texts[3], -1);
    coordinator_fixture_refuse(&test, false);
    ask(&after, 3, 31);
    coordinator_fixture_run(&test);
    assert_told(&after, KAFKA_ERROR_NONE);
    assert_int_equal(note_counts()->created, 1);
    assert_int_equal(test.host.counters.refused_appends, 1);
    end();
}

static void a_lost_append_fails_who_waits_and_loads_anew(void **state)
{
    (void)state;
    begin();
    struct ask kept, lost, read;
    struct fixture_call parked;
    ask(&kept, 1, 10);
    coordinator_fixture_run(&test);
    assert_told(&kept, KAFKA_ERROR_NONE);
    fixture_call_init(&test, &parked, 0, NULL, NULL);
    note_park(notes(), &parked.call);
    coordinator_fixture_lose_next(&test);
    ask(&lost, 1, 11);
    ask(&read, 1, -1);
    assert_int_equal(read.response, 11);
    coordinator_fixture_run(&test);
    assert_told(&lost, KAFKA_ERROR_NOT_COORDINATOR);
    assert_told(&read, KAFKA_ERROR_NOT_COORDINATOR); /* it saw what is not true any more */
    assert_int_equal(parked.told, 1);
    assert_int_equal(parked.call.error, KAFKA_ERROR_NOT_COORDINATOR);
    fixture_call_deinit(&parked);
    assert_int_equal(notes()->texts[1], 10);
    assert_int_equal(note_counts()->created, 2);
    assert_int_equal(note_counts()->unloaded, 1);
    assert_int_equal(test.host.counters.reloads, 1);
    struct ask again;
    ask(&again, 1, 12);
    coordinator_fixture_run(&test);
    assert_told(&again, KAFKA_ERROR_NONE);
    end();
}

static void a_device_that_stays_full_is_not_tried_all_the_time(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 2; i++) {
        coordinator_fixture_lose_next(&test);
        assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NONE);
        coordinator_fixture_run(&test);
    }
    assert_int_equal(test.host.counters.reloads, 2);
    assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NOT_COORDINATOR);
    coordinator_fixture_advance(&test, 3900);
    assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NOT_COORDINATOR);
    coordinator_fixture_advance(&test, 200);
    assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&test);
    coordinator_fixture_lose_next(&test); /* there was a commit: the first failure again */
    assert_int_equal(note_write(notes(), 1, 1, 11), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&test);
    assert_int_equal(note_write(notes(), 1, 1, 11), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&test);
    end();
}

static void what_was_answered_survives_a_crash_and_what_was_not_may_go(void **state)
{
    (void)state;
    begin();
    struct ask answered, open;
    ask(&answered, 1, 10);
    coordinator_fixture_run(&test);
    assert_told(&answered, KAFKA_ERROR_NONE);
    coordinator_fixture_hold(&test);
    ask(&open, 2, 20);
    coordinator_fixture_run(&test);
    coordinator_fixture_crash(&test);
    assert_told(&open, KAFKA_ERROR_NOT_COORDINATOR);
    assert_int_equal(notes()->texts[1], 10);
    assert_int_equal(notes()->texts[2], -1);
    assert_int_equal(coordinator_epoch(test.coordinator), 2);
    end();
}

static void resigning_tells_everybody(void **state)
{
    (void)state;
    begin();
    coordinator_fixture_hold(&test);
    struct ask open;
    struct fixture_call parked;
    ask(&open, 2, 20);
    fixture_call_init(&test, &parked, 0, NULL, NULL);
    note_park(notes(), &parked.call);
    coordinator_fixture_run(&test);
    coordinator_fixture_resign(&test);
    assert_told(&open, KAFKA_ERROR_NOT_COORDINATOR);
    assert_int_equal(parked.told, 1);
    assert_int_equal(parked.call.error, KAFKA_ERROR_NOT_COORDINATOR);
    fixture_call_deinit(&parked);
    assert_int_equal(note_counts()->unloaded, 1);
    coordinator_fixture_commit(&test);
    coordinator_fixture_reload(&test);
    assert_int_equal(notes()->texts[2], 20); /* it was in the log after all */
    end();
}

static void a_replica_that_fails_ends_its_coordinator(void **state)
{
    (void)state;
    begin();
    coordinator_fixture_hold(&test);
    struct ask open;
    ask(&open, 2, 20);
    coordinator_fixture_run(&test);
    replica_fail(test.replica);
    assert_told(&open, KAFKA_ERROR_NOT_COORDINATOR);
    assert_int_equal(coordinator_state(test.coordinator), COORDINATOR_FAILED);
    assert_null(coordinator_kind_state(test.coordinator));
    end();
}

static void an_answer_that_is_not_committed_in_time_fails_alone(void **state)
{
    (void)state;
    begin();
    coordinator_fixture_hold(&test);
    struct ask late, later;
    ask(&late, 1, 10);
    coordinator_fixture_advance(&test, 3000);
    ask(&later, 2, 20);
    coordinator_fixture_advance(&test, 2500);
    assert_told(&late, KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(later.call.told, 0);
    assert_int_equal(notes()->texts[1], 10);
    coordinator_fixture_commit(&test);
    assert_told(&later, KAFKA_ERROR_NONE);
    assert_int_equal(test.host.counters.timed_out_answers, 1);
    end();
}

static void waited(struct coordinator_wait *wait, enum kafka_error error)
{
    assert_int_equal(error, KAFKA_ERROR_NONE);
    wait->done = NULL;
}

static void a_plain_wait_has_no_limit(void **state)
{
    (void)state;
    begin();
    coordinator_fixture_hold(&test);
    assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NONE);
    struct coordinator_wait wait = {.done = waited};
    coordinator_await(test.coordinator, &wait);
    coordinator_fixture_advance(&test, 60000);
    assert_non_null(wait.done);
    coordinator_fixture_commit(&test);
    assert_null(wait.done);
    end();
}

static void a_batch_that_does_not_fit_is_refused_whole(void **state)
{
    (void)state;
    begin();
    struct topic_config config = *replica_config(test.replica);
    config.max_message_bytes = 1000;
    replica_set_config(test.replica, &config);
    struct coordinator_records records;
    coordinator_records_begin(&records, test.coordinator);
    size_t room = coordinator_records_room(&records);
    assert_true(room > 800 && room < 1000);
    coordinator_records_drop(&records);
    assert_int_equal(note_write(notes(), 0, 5, 1), KAFKA_ERROR_NONE);
    /* What cannot be cut may be larger than what clients may send, but must fit a segment. */
    assert_int_equal(note_write(notes(), 10, 100, 1), KAFKA_ERROR_NONE);
    config.segment_bytes = 1000;
    replica_set_config(test.replica, &config);
    assert_int_equal(note_write(notes(), 110, 100, 1), KAFKA_ERROR_UNKNOWN_SERVER_ERROR);
    assert_int_equal(notes()->texts[110], -1);
    assert_int_equal(coordinator_end_offset(test.coordinator), 105);
    coordinator_fixture_run(&test);
    end();
}

static void no_records_are_no_append(void **state)
{
    (void)state;
    begin();
    assert_int_equal(note_write(notes(), 0, 0, 1), KAFKA_ERROR_NONE);
    assert_int_equal(coordinator_end_offset(test.coordinator), 0);
    assert_int_equal(test.host.counters.appends, 0);
    end();
}

static void a_transaction_shows_with_its_marker(void **state)
{
    (void)state;
    begin();
    assert_int_equal(note_write_pending(notes(), 1, 10, 500, 0), KAFKA_ERROR_NONE);
    assert_int_equal(note_write_pending(notes(), 2, 20, 600, 0), KAFKA_ERROR_NONE);
    assert_int_equal(notes()->texts[1], -1);
    struct coordinator_marker marker = {
        .producer_id = 500, .producer_epoch = 0, .coordinator_epoch = 4, .commit = true};
    assert_int_equal(coordinator_append_marker(test.coordinator, &marker), KAFKA_ERROR_NONE);
    assert_int_equal(notes()->texts[1], 10);
    assert_int_equal(notes()->last_offset, 2);
    marker = (struct coordinator_marker){
        .producer_id = 600, .producer_epoch = 0, .coordinator_epoch = 4, .commit = false};
    assert_int_equal(coordinator_append_marker(test.coordinator, &marker), KAFKA_ERROR_NONE);
    marker.coordinator_epoch = 3;
    assert_int_equal(coordinator_append_marker(test.coordinator, &marker),
                     KAFKA_ERROR_TRANSACTION_COORDINATOR_FENCED);
    assert_int_equal(note_write_pending(notes(), 2, 20, 600, -1),
                     KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    coordinator_fixture_run(&test);
    coordinator_fixture_reload(&test);
    assert_int_equal(notes()->texts[1], 10);
    assert_int_equal(notes()->texts[2], -1);
    assert_int_equal(notes()->pending_count, 0);
    assert_int_equal(notes()->markers, 2);
    assert_int_equal(notes()->last_marker_epoch, 4);
    end();
}

static void a_log_that_others_moved_is_loaded_anew(void **state)
{
    (void)state;
    begin();
    assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&test);
    struct arena arena;
    arena_init(&arena, &test.other_heap, MEMORY_SCRATCH, 0);
    struct batch_options options = fixture_options();
    coordinator_fixture_write(&test, &options, note_key(&arena, 1), note_value(&arena, 11));
    arena_deinit(&arena);
    assert_int_equal(note_write(notes(), 2, 1, 20), KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS);
    coordinator_fixture_run(&test);
    assert_int_equal(notes()->texts[1], 11);
    assert_int_equal(note_write(notes(), 2, 1, 20), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&test);
    end();
}

static void a_newer_leader_epoch_loads_anew(void **state)
{
    (void)state;
    begin();
    assert_int_equal(note_write(notes(), 1, 1, 10), KAFKA_ERROR_NONE);
    replica_lead_alone(test.replica, 1, 9);
    coordinator_lead(test.coordinator);
    assert_int_equal(coordinator_state(test.coordinator), COORDINATOR_ACTIVE);
    replica_lead_alone(test.replica, 5, 10);
    coordinator_lead(test.coordinator);
    assert_int_equal(coordinator_state(test.coordinator), COORDINATOR_LOADING);
    coordinator_fixture_run(&test); /* what was queued is written first */
    coordinator_fixture_advance(&test, 20);
    assert_int_equal(coordinator_epoch(test.coordinator), 5);
    assert_int_equal(notes()->texts[1], 10);
    end();
}

static void images_are_shown_to_the_kind(void **state)
{
    (void)state;
    begin();
    coordinator_fixture_set_topic(&test, "a", 3);
    coordinator_fixture_set_topic(&test, "a", 5);
    coordinator_fixture_set_setting(&test, CONFIG_RESOURCE_GROUP, "g", "k", "v");
    assert_int_equal(notes()->images, 3);
    const struct image *image = coordinator_image(test.coordinator);
    assert_int_equal(image_topic_by_name(image, VIEW_LITERAL("a"))->partition_count, 5);
    coordinator_fixture_delete_topic(&test, "a");
    image = coordinator_image(test.coordinator);
    assert_null(image_topic_by_name(image, VIEW_LITERAL("a")));
    end();
}

static void a_kind_may_write_when_it_is_loaded(void **state)
{
    (void)state;
    begin();
    note_counts()->write_when_loaded = 5;
    coordinator_fixture_reload(&test);
    assert_int_equal(notes()->texts[0], 5);
    struct ask read;
    ask(&read, 0, -1);
    coordinator_fixture_run(&test);
    assert_told(&read, KAFKA_ERROR_NONE);
    note_counts()->write_when_loaded = 0;
    assert_int_equal(coordinator_fixture_count(&test, 1), 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_changes_at_once_and_the_answer_waits_for_commit),
        cmocka_unit_test(an_answer_to_a_read_waits_for_what_it_saw),
        cmocka_unit_test(a_refused_append_changes_nothing),
        cmocka_unit_test(a_lost_append_fails_who_waits_and_loads_anew),
        cmocka_unit_test(a_device_that_stays_full_is_not_tried_all_the_time),
        cmocka_unit_test(what_was_answered_survives_a_crash_and_what_was_not_may_go),
        cmocka_unit_test(resigning_tells_everybody),
        cmocka_unit_test(a_replica_that_fails_ends_its_coordinator),
        cmocka_unit_test(an_answer_that_is_not_committed_in_time_fails_alone),
        cmocka_unit_test(a_plain_wait_has_no_limit),
        cmocka_unit_test(a_batch_that_does_not_fit_is_refused_whole),
        cmocka_unit_test(no_records_are_no_append),
        cmocka_unit_test(a_transaction_shows_with_its_marker),
        cmocka_unit_test(a_log_that_others_moved_is_loaded_anew),
        cmocka_unit_test(a_newer_leader_epoch_loads_anew),
        cmocka_unit_test(images_are_shown_to_the_kind),
        cmocka_unit_test(a_kind_may_write_when_it_is_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
