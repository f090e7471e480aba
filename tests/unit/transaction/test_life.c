/*
 * What happens to transactions beyond single requests: markers, failover in every state, lost
 * appends, timeouts, expiry, listing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/transaction/transaction_fixture.h"

#include "protocol/messages/describe_transactions.h"
#include "protocol/messages/list_transactions.h"

#define NOBODY ((struct producer){-1, -1})

static enum transaction_status status_of(const char *id)
{
    return transaction_named(id)->status;
}

/* A transaction of "t" with partitions 0 and 3 of "data"; epoch 0. */
static struct producer begin_transaction(void)
{
    struct producer producer = new_producer("t");
    assert_int_equal(add_partition("t", 3, producer, "data", 3), KAFKA_ERROR_NONE);
    assert_int_equal(add_partition("t", 3, producer, "data", 0), KAFKA_ERROR_NONE);
    return producer;
}

static const struct write_txn_markers_request_writable_txn_marker *marker_in_the_air(void)
{
    assert_int_equal(fixture.send_count, 1);
    assert_int_equal(fixture.sends[0]->request.markers_count, 1);
    return &fixture.sends[0]->request.markers[0];
}

/* ---- Markers ---- */

static void markers_go_to_every_partition(void **state)
{
    (void)state;
    transaction_fixture_begin();
    fixture.holds_markers = true;
    struct producer producer = begin_transaction();
    assert_int_equal(end_transaction("t", 4, producer, true, NULL), KAFKA_ERROR_NONE);
    const struct write_txn_markers_request_writable_txn_marker *marker = marker_in_the_air();
    assert_int_equal(fixture.sends[0]->node, 1);
    assert_int_equal(marker->producer_id, producer.id);
    assert_int_equal(marker->producer_epoch, 0);
    assert_true(marker->transaction_result);
    assert_int_equal(marker->coordinator_epoch, 1);
    assert_int_equal(marker->transaction_version, 0);
    assert_int_equal(marker->topics_count, 1);
    assert_int_equal(marker->topics[0].partition_indexes_count, 2);
    assert_int_equal(marker->topics[0].partition_indexes[0], 0);
    assert_int_equal(marker->topics[0].partition_indexes[1], 3);
    assert_int_equal(status_of("t"), TRANSACTION_PREPARE_COMMIT);
    transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_COMMIT);
    assert_int_equal(transaction_named("t")->topic_count, 0);
    transaction_fixture_end();
}

static void markers_wait_for_the_decision_to_be_committed(void **state)
{
    (void)state;
    transaction_fixture_begin();
    struct producer producer = begin_transaction();
    coordinator_fixture_hold(&fixture.base);
    struct end_txn_request request;
    end_txn_request_init(&request);
    request.transactional_id = VIEW_LITERAL("t");
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    request.committed = true;
    struct end_txn_response response;
    end_txn_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&fixture.base, &call, 4, &request, &response);
    transactions_end(transactions(), &call.call);
    transaction_fixture_run();
    assert_int_equal(call.told, 0);
    assert_int_equal(fixture.sent_count, 0);
    coordinator_fixture_commit(&fixture.base);
    transaction_fixture_run();
    assert_int_equal(call.told, 1);
    assert_int_equal(fixture.sent_count, 1);
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_COMMIT);
    fixture_call_deinit(&call);
    transaction_fixture_end();
}

static void markers_that_are_refused_or_lost_are_sent_again(void **state)
{
    (void)state;
    static const int errors[] = {
        -1,
        KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
        KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER,
        KAFKA_ERROR_REQUEST_TIMED_OUT,
        KAFKA_ERROR_NOT_ENOUGH_REPLICAS,
        KAFKA_ERROR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KAFKA_ERROR_KAFKA_STORAGE_ERROR,
        KAFKA_ERROR_CORRUPT_MESSAGE,
    };
    transaction_fixture_begin();
    fixture.holds_markers = true;
    struct producer producer = begin_transaction();
    assert_int_equal(end_transaction("t", 4, producer, false, NULL), KAFKA_ERROR_NONE);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        assert_int_equal(marker_in_the_air()->topics[0].partition_indexes_count, 2);
        transaction_fixture_answer_markers(errors[i]);
        assert_int_equal(fixture.send_count, 0); /* not at once */
        assert_int_equal(status_of("t"), TRANSACTION_PREPARE_ABORT);
        coordinator_fixture_advance(&fixture.base, 1000);
    }
    transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_ABORT);
    transaction_fixture_end();
}

static void a_newer_coordinator_or_producer_ends_the_work(void **state)
{
    (void)state;
    static const int errors[] = {KAFKA_ERROR_TRANSACTION_COORDINATOR_FENCED,
                                 KAFKA_ERROR_INVALID_PRODUCER_EPOCH};
    for (size_t i = 0; i < 2; i++) {
        transaction_fixture_begin();
        fixture.holds_markers = true;
        struct producer producer = begin_transaction();
        assert_int_equal(end_transaction("t", 4, producer, true, NULL), KAFKA_ERROR_NONE);
        transaction_fixture_answer_markers(errors[i]);
        coordinator_fixture_advance(&fixture.base, 60000);
        assert_int_equal(fixture.send_count, 0);
        assert_int_equal(status_of("t"), TRANSACTION_PREPARE_COMMIT);
        transaction_fixture_end();
    }
}

static void formats_without_markers_count_as_done(void **state)
{
    (void)state;
    transaction_fixture_begin();
    fixture.holds_markers = true;
    struct producer producer = begin_transaction();
    assert_int_equal(end_transaction("t", 4, producer, true, NULL), KAFKA_ERROR_NONE);
    transaction_fixture_answer_markers(KAFKA_ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT);
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_COMMIT);
    transaction_fixture_end();
}

static void partitions_that_exist_no_more_need_no_marker(void **state)
{
    (void)state;
    transaction_fixture_begin();
    fixture.holds_markers = true;
    coordinator_fixture_set_topic(&fixture.base, "short", 1);
    struct producer producer = begin_transaction();
    assert_int_equal(add_partition("t", 3, producer, "short", 0), KAFKA_ERROR_NONE);
    /* Before the end ... */
    coordinator_fixture_delete_topic(&fixture.base, "short");
    assert_int_equal(end_transaction("t", 4, producer, true, NULL), KAFKA_ERROR_NONE);
    assert_int_equal(marker_in_the_air()->topics_count, 1);
    /* ... and while its markers are under way. */
    coordinator_fixture_delete_topic(&fixture.base, "data");
    transaction_fixture_answer_markers(KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    coordinator_fixture_advance(&fixture.base, 1000);
    assert_int_equal(fixture.send_count, 0);
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_COMMIT);
    assert_int_equal(fixture.markers.counters.dropped, 3);
    transaction_fixture_end();
}

static void markers_of_many_transactions_share_requests(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    transaction_fixture_begin();
    fixture.holds_markers = true;
    char ids[COUNT][16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof(ids[i]), "t%d", i);
        struct producer producer = new_producer(ids[i]);
        assert_int_equal(add_partition(ids[i], 3, producer, "data", i % 4), KAFKA_ERROR_NONE);
        assert_int_equal(end_transaction(ids[i], 4, producer, i % 2, NULL), KAFKA_ERROR_NONE);
    }
    /* One is in the air, the others queue behind it. */
    assert_int_equal(fixture.sent_count, 1);
    transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
    assert_int_equal(fixture.sent_count, 2);
    assert_int_equal(fixture.sends[0]->request.markers_count, COUNT - 1);
    transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(status_of(ids[i]),
                         i % 2 ? TRANSACTION_COMPLETE_COMMIT : TRANSACTION_COMPLETE_ABORT);
    transaction_fixture_end();
}

static void a_completion_that_cannot_be_written_is_tried_again(void **state)
{
    (void)state;
    transaction_fixture_begin();
    fixture.holds_markers = true;
    struct producer producer = begin_transaction();
    assert_int_equal(end_transaction("t", 4, producer, true, NULL), KAFKA_ERROR_NONE);
    coordinator_fixture_refuse(&fixture.base, true);
    transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
    coordinator_fixture_advance(&fixture.base, 1000);
    assert_int_equal(status_of("t"), TRANSACTION_PREPARE_COMMIT);
    coordinator_fixture_refuse(&fixture.base, false);
    coordinator_fixture_advance(&fixture.base, 1000);
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_COMMIT);
    transaction_fixture_end();
}

/* ---- Failover ---- */

static void every_state_survives_a_failover(void **state)
{
    (void)state;
    for (unsigned status = 0; status < TRANSACTION_STATUS_COUNT; status++) {
        transaction_fixture_begin();
        fixture.holds_markers = true;
        load_state(status, 3);
        transaction_fixture_run();
        const struct transaction *transaction = transaction_named("t");
        assert_int_equal(transaction->status, status);
        assert_int_equal(transaction->producer_id, 1000);
        assert_int_equal(transaction->previous_producer_id, 900);
        assert_int_equal(transaction->producer_epoch, 3);
        assert_int_equal(transaction->last_epoch, -1);
        assert_int_equal(transaction->timeout_ms, 60000);
        bool is_decided =
            status == TRANSACTION_PREPARE_COMMIT || status == TRANSACTION_PREPARE_ABORT;
        if (is_decided) {
            const struct write_txn_markers_request_writable_txn_marker *marker =
                marker_in_the_air();
            assert_int_equal(marker->transaction_result, status == TRANSACTION_PREPARE_COMMIT);
            assert_int_equal(marker->coordinator_epoch,
                             coordinator_epoch(fixture.base.coordinator));
            transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
            assert_int_equal(status_of("t"), status == TRANSACTION_PREPARE_COMMIT
                                                 ? TRANSACTION_COMPLETE_COMMIT
                                                 : TRANSACTION_COMPLETE_ABORT);
        } else {
            assert_int_equal(fixture.sent_count, 0);
        }
        transaction_fixture_end();
    }
}

static void a_successor_sends_the_markers_under_its_epoch(void **state)
{
    (void)state;
    transaction_fixture_begin();
    fixture.holds_markers = true;
    struct producer producer = begin_transaction();
    assert_int_equal(end_transaction("t", 4, producer, true, NULL), KAFKA_ERROR_NONE);
    assert_int_equal(marker_in_the_air()->coordinator_epoch, 1);
    transaction_fixture_reload();
    transaction_fixture_run();
    /* The old request is still in the air; its answer means nothing any more. */
    assert_int_equal(fixture.send_count, 1);
    transaction_fixture_answer_markers(KAFKA_ERROR_TRANSACTION_COORDINATOR_FENCED);
    assert_int_equal(status_of("t"), TRANSACTION_PREPARE_COMMIT);
    assert_int_equal(marker_in_the_air()->coordinator_epoch, 2);
    assert_int_equal(marker_in_the_air()->topics[0].partition_indexes_count, 2);
    transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_COMMIT);
    transaction_fixture_end();
}

static void a_decision_that_was_not_committed_did_not_happen(void **state)
{
    (void)state;
    transaction_fixture_begin();
    struct producer producer = begin_transaction();
    coordinator_fixture_hold(&fixture.base);
    struct end_txn_request request;
    end_txn_request_init(&request);
    request.transactional_id = VIEW_LITERAL("t");
    request.producer_id = producer.id;
    request.producer_epoch = producer.epoch;
    request.committed = true;
    struct end_txn_response response;
    end_txn_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&fixture.base, &call, 5, &request, &response);
    transactions_end(transactions(), &call.call);
    coordinator_fixture_crash(&fixture.base);
    assert_int_equal(call.told, 1);
    assert_int_equal(call.call.error, KAFKA_ERROR_NOT_COORDINATOR);
    fixture_call_deinit(&call);
    assert_int_equal(fixture.sent_count, 0);
    assert_int_equal(status_of("t"), TRANSACTION_ONGOING);
    assert_int_equal(transaction_named("t")->producer_epoch, 0);
    assert_int_equal(end_transaction("t", 5, producer, false, NULL), KAFKA_ERROR_NONE);
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_ABORT);
    transaction_fixture_end();
}

static void a_lost_append_takes_nothing_else_along(void **state)
{
    (void)state;
    transaction_fixture_begin();
    fixture.holds_markers = true;
    struct producer producer = begin_transaction();
    assert_int_equal(end_transaction("t", 4, producer, true, NULL), KAFKA_ERROR_NONE);
    /* The markers are under way when an append of another id is lost. */
    coordinator_fixture_lose_next(&fixture.base);
    struct producer other;
    assert_int_not_equal(init_producer("u", 5, NOBODY, &other), KAFKA_ERROR_NONE);
    transaction_fixture_run();
    assert_null(transaction_named("u"));
    assert_int_equal(status_of("t"), TRANSACTION_PREPARE_COMMIT);
    fixture.holds_markers = false;
    coordinator_fixture_advance(&fixture.base, 1000);
    transaction_fixture_run();
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_COMMIT);
    transaction_fixture_end();
}

static void a_fence_that_is_refused_uses_up_no_epoch(void **state)
{
    (void)state;
    transaction_fixture_begin();
    fixture.holds_markers = true;
    begin_transaction();
    coordinator_fixture_refuse(&fixture.base, true);
    struct producer got;
    for (int i = 0; i < 40000; i++) {
        if (init_producer("t", 5, NOBODY, &got) != KAFKA_ERROR_NOT_COORDINATOR)
            fail_msg("attempt %d", i);
    }
    coordinator_fixture_refuse(&fixture.base, false);
    assert_int_equal(init_producer("t", 5, NOBODY, &got), KAFKA_ERROR_CONCURRENT_TRANSACTIONS);
    assert_int_equal(transaction_named("t")->producer_epoch, 1);
    transaction_fixture_end();
}

/* ---- Timeouts ---- */

static void a_silent_producer_is_aborted_after_its_timeout(void **state)
{
    (void)state;
    for (int16_t level = 0; level <= 2; level++) {
        transaction_fixture_begin_version(level);
        fixture.holds_markers = true;
        struct producer producer = begin_transaction();
        coordinator_fixture_advance(&fixture.base, 59000);
        assert_int_equal(status_of("t"), TRANSACTION_ONGOING);
        coordinator_fixture_advance(&fixture.base, 12000);
        assert_int_equal(status_of("t"), TRANSACTION_PREPARE_ABORT);
        assert_int_equal(marker_in_the_air()->producer_epoch, 1);
        assert_int_equal(marker_in_the_air()->transaction_version, level);
        transaction_fixture_answer_markers(KAFKA_ERROR_NONE);
        assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_ABORT);
        assert_int_equal(end_transaction("t", 4, producer, true, NULL),
                         KAFKA_ERROR_PRODUCER_FENCED);
        assert_int_equal(add_partition("t", 3, producer, "data", 0), KAFKA_ERROR_PRODUCER_FENCED);
        transaction_fixture_end();
    }
}

static void a_timeout_goes_on_after_a_failover(void **state)
{
    (void)state;
    transaction_fixture_begin();
    begin_transaction();
    coordinator_fixture_advance(&fixture.base, 40000);
    transaction_fixture_reload();
    coordinator_fixture_advance(&fixture.base, 10000);
    assert_int_equal(status_of("t"), TRANSACTION_ONGOING);
    coordinator_fixture_advance(&fixture.base, 21000);
    transaction_fixture_run();
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_ABORT);
    transaction_fixture_end();
}

static void a_jump_of_the_wall_clock_aborts_nothing(void **state)
{
    (void)state;
    transaction_fixture_begin();
    struct producer producer = begin_transaction();
    fixture.base.log.node.wall_ms += 3600000;
    coordinator_fixture_advance(&fixture.base, 20000);
    assert_int_equal(status_of("t"), TRANSACTION_ONGOING);
    fixture.base.log.node.wall_ms -= 7200000;
    coordinator_fixture_advance(&fixture.base, 20000);
    assert_int_equal(status_of("t"), TRANSACTION_ONGOING);
    assert_int_equal(end_transaction("t", 4, producer, true, NULL), KAFKA_ERROR_NONE);
    transaction_fixture_end();
}

static void a_timeout_that_cannot_be_written_comes_again(void **state)
{
    (void)state;
    transaction_fixture_begin();
    begin_transaction();
    coordinator_fixture_refuse(&fixture.base, true);
    coordinator_fixture_advance(&fixture.base, 80000);
    assert_int_equal(status_of("t"), TRANSACTION_ONGOING);
    coordinator_fixture_refuse(&fixture.base, false);
    coordinator_fixture_advance(&fixture.base, 11000);
    transaction_fixture_run();
    assert_int_equal(status_of("t"), TRANSACTION_COMPLETE_ABORT);
    transaction_fixture_end();
}

/* ---- Expiry ---- */

#define DAY_MS (24 * INT64_C(3600000))

static void unused_ids_are_forgotten(void **state)
{
    (void)state;
    for (unsigned status = 0; status < TRANSACTION_STATUS_COUNT; status++) {
        bool rests = status == TRANSACTION_EMPTY || status == TRANSACTION_COMPLETE_COMMIT ||
                     status == TRANSACTION_COMPLETE_ABORT;
        if (status == TRANSACTION_ONGOING)
            continue; /* its timeout comes first */
        transaction_fixture_begin();
        fixture.holds_markers = true;
        load_state(status, 3);
        transaction_fixture_run();
        for (int i = 0; i < 7 * 24 - 1; i++)
            coordinator_fixture_advance(&fixture.base, 3600000);
        assert_non_null(transaction_named("t"));
        coordinator_fixture_advance(&fixture.base, 3600000);
        coordinator_fixture_advance(&fixture.base, 3600000);
        if (rests) {
            assert_null(transaction_named("t"));
            assert_int_equal(coordinator_fixture_count(&fixture.base, 0), 2);
            transaction_fixture_reload();
            assert_null(transaction_named("t"));
            /* Nothing is left that could expire, so nothing wakes the node. */
            assert_false(timer_is_set(&transactions()->expiry_sweep));
        } else {
            assert_non_null(transaction_named("t"));
        }
        transaction_fixture_end();
    }
}

/* ---- Tools ---- */

static void transactions_can_be_described(void **state)
{
    (void)state;
    transaction_fixture_begin();
    struct producer producer = begin_transaction();
    assert_int_equal(add_offsets("t", 3, producer, "my-group"), KAFKA_ERROR_NONE);
    struct describe_transactions_response_transaction_state out;
    static const char *const ids[] = {"t", "unknown", ""};
    static const int16_t errors[] = {0, KAFKA_ERROR_TRANSACTIONAL_ID_NOT_FOUND,
                                     KAFKA_ERROR_INVALID_REQUEST};
    for (size_t i = 0; i < 3; i++) {
        describe_transactions_response_transaction_state_init(&out);
        struct view id = view_of_string(ids[i]);
        struct fixture_call call;
        fixture_call_init(&fixture.base, &call, 0, &id, &out);
        transactions_describe(transactions(), &call.call);
        transaction_fixture_run();
        assert_int_equal(call.told, 1);
        assert_int_equal(out.error_code, errors[i]);
        assert_true(view_equal(out.transactional_id, id));
        if (i == 0) {
            assert_true(view_equal(out.transaction_state, VIEW_LITERAL("Ongoing")));
            assert_int_equal(out.producer_id, producer.id);
            assert_int_equal(out.transaction_timeout_ms, 60000);
            assert_int_equal(out.topics_count, 2);
            assert_true(view_equal(out.topics[1].topic, VIEW_LITERAL("__consumer_offsets")));
            assert_int_equal(out.topics[1].partitions[0], 12);
        }
        fixture_call_deinit(&call);
    }
    transaction_fixture_end();
}

static size_t list(struct list_transactions_request *request)
{
    struct list_transactions_response response;
    list_transactions_response_init(&response);
    struct fixture_call call;
    fixture_call_init(&fixture.base, &call, 1, request, &response);
    transactions_list(transactions(), &call.call);
    transaction_fixture_run();
    assert_int_equal(call.told, 1);
    size_t count = response.transaction_states_count;
    fixture_call_deinit(&call);
    return count;
}

static void transactions_can_be_listed(void **state)
{
    (void)state;
    transaction_fixture_begin();
    struct producer producer = begin_transaction();
    new_producer("idle");
    coordinator_fixture_advance(&fixture.base, 5000);
    struct list_transactions_request request;
    list_transactions_request_init(&request);
    assert_int_equal(list(&request), 2);
    struct view states[] = {VIEW_LITERAL("Ongoing"), VIEW_LITERAL("Nonsense")};
    request.state_filters = states;
    request.state_filters_count = 2;
    assert_int_equal(list(&request), 1);
    request.state_filters = &states[1];
    request.state_filters_count = 1;
    assert_int_equal(list(&request), 0);
    list_transactions_request_init(&request);
    int64_t ids[] = {producer.id, 12345};
    request.producer_id_filters = ids;
    request.producer_id_filters_count = 2;
    assert_int_equal(list(&request), 1);
    list_transactions_request_init(&request);
    request.state_filters = states;
    request.state_filters_count = 1;
    request.duration_filter = 4000;
    assert_int_equal(list(&request), 1);
    request.duration_filter = 6000;
    assert_int_equal(list(&request), 0);
    transaction_fixture_end();
}

static void names_of_states_are_known(void **state)
{
    (void)state;
    assert_true(transaction_status_is_known(VIEW_LITERAL("PrepareCommit")));
    assert_true(transaction_status_is_known(VIEW_LITERAL("Dead")));
    assert_true(transaction_status_is_known(VIEW_LITERAL("PrepareEpochFence")));
    assert_false(transaction_status_is_known(VIEW_LITERAL("ongoing")));
    assert_int_equal(transaction_status_of_name(VIEW_LITERAL("Dead")), TRANSACTION_STATUS_COUNT);
    for (unsigned i = 0; i < TRANSACTION_STATUS_COUNT; i++)
        assert_int_equal(transaction_status_of_name(view_of_string(transaction_status_name(i))),
                         i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markers_go_to_every_partition),
        cmocka_unit_test(markers_wait_for_the_decision_to_be_committed),
        cmocka_unit_test(markers_that_are_refused_or_lost_are_sent_again),
        cmocka_unit_test(a_newer_coordinator_or_producer_ends_the_work),
        cmocka_unit_test(formats_without_markers_count_as_done),
        cmocka_unit_test(partitions_that_exist_no_more_need_no_marker),
        cmocka_unit_test(markers_of_many_transactions_share_requests),
        cmocka_unit_test(a_completion_that_cannot_be_written_is_tried_again),
        cmocka_unit_test(every_state_survives_a_failover),
        cmocka_unit_test(a_successor_sends_the_markers_under_its_epoch),
        cmocka_unit_test(a_decision_that_was_not_committed_did_not_happen),
        cmocka_unit_test(a_lost_append_takes_nothing_else_along),
        cmocka_unit_test(a_fence_that_is_refused_uses_up_no_epoch),
        cmocka_unit_test(a_silent_producer_is_aborted_after_its_timeout),
        cmocka_unit_test(a_timeout_goes_on_after_a_failover),
        cmocka_unit_test(a_jump_of_the_wall_clock_aborts_nothing),
        cmocka_unit_test(a_timeout_that_cannot_be_written_comes_again),
        cmocka_unit_test(unused_ids_are_forgotten),
        cmocka_unit_test(transactions_can_be_described),
        cmocka_unit_test(transactions_can_be_listed),
        cmocka_unit_test(names_of_states_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
