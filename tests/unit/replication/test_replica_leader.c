/* A leader with followers: the single rules. Histories are in test_replica_leader_model.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/replication/leader_fixture.h"

static struct leader_fixture test;

#define LEAD(replicas, isr)                                                                        \
    leader_fixture_lead(&test, replicas, sizeof(replicas) / sizeof(int32_t), isr,                  \
                        sizeof(isr) / sizeof(int32_t))

static const int32_t all[] = {1, 2, 3};
static const int32_t two[] = {1, 2};
static const int32_t alone[] = {1};

static void all_of_the_set_have_what_is_committed(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, all);
    struct waiter waiter, one;
    assert_false(leader_fixture_append(&test, &waiter, -1));
    assert_false(leader_fixture_append(&test, &one, 1));
    leader_fixture_run(&test);
    assert_int_equal(one.told, 1);
    leader_fixture_fetch(&test, 2, 4);
    assert_int_equal(replica_high_watermark(test.replica), 0);
    leader_fixture_fetch(&test, 3, 1);
    assert_int_equal(replica_high_watermark(test.replica), 1);
    assert_int_equal(waiter.told, 0);
    leader_fixture_fetch(&test, 3, 2);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    assert_int_equal(waiter.told, 1);
    assert_int_equal(waiter.append.error, KAFKA_ERROR_NONE);
    leader_fixture_release(&test, &waiter), leader_fixture_release(&test, &one);
    leader_fixture_deinit(&test);
}

static void in_sync_mode_the_leader_counts_what_is_durable(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_SYNC, 1);
    LEAD(two, two);
    struct waiter first, second;
    assert_false(leader_fixture_append(&test, &first, -1));
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 2);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    test.log.node.hold = true;
    assert_false(leader_fixture_append(&test, &second, -1));
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 4); /* the follower was faster than the leader's disk */
    assert_int_equal(replica_high_watermark(test.replica), 2);
    test.log.node.hold = false;
    while (memory_node_held(&test.log.node) > 0) {
        memory_node_complete(&test.log.node, 0);
        memory_node_run(&test.log.node);
    }
    leader_fixture_run(&test);
    assert_int_equal(replica_high_watermark(test.replica), 4);
    assert_int_equal(second.told, 1);
    leader_fixture_release(&test, &first), leader_fixture_release(&test, &second);
    leader_fixture_deinit(&test);
}

static void nobody_is_told_inside_a_fetch(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(two, two);
    struct waiter waiter;
    assert_false(leader_fixture_append(&test, &waiter, -1));
    leader_fixture_run(&test);
    const struct replica_fetch fetch = {.replica_id = 2, .broker_epoch = -1, .fetch_offset = 2};
    replica_fetched(test.replica, &fetch);
    assert_int_equal(waiter.told, 0);
    leader_fixture_run(&test);
    assert_int_equal(waiter.told, 1);
    leader_fixture_release(&test, &waiter);
    leader_fixture_deinit(&test);
}

static void too_few_in_sync_refuse_before_and_stop_the_high_watermark(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 2);
    LEAD(all, alone);
    struct waiter waiter;
    assert_true(leader_fixture_append(&test, &waiter, -1));
    assert_int_equal(waiter.append.error, KAFKA_ERROR_NOT_ENOUGH_REPLICAS);
    assert_int_equal(partition_log_end_offset(test.log.log), 0);
    leader_fixture_release(&test, &waiter);
    assert_false(leader_fixture_append(&test, &waiter, 1));
    leader_fixture_run(&test);
    assert_int_equal(waiter.told, 1);
    assert_int_equal(replica_high_watermark(test.replica), 0); /* nobody may read it (KIP-966) */
    leader_fixture_fetch(&test, 2, 2);
    assert_true(leader_fixture_proposes(&test, two, 2));
    assert_int_equal(replica_high_watermark(test.replica), 0); /* only proposed */
    leader_fixture_answer(&test, KAFKA_ERROR_NONE, two, 2);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    leader_fixture_release(&test, &waiter);
    leader_fixture_deinit(&test);
}

static void the_minimum_asks_for_no_more_than_there_are(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 3);
    LEAD(two, two);
    struct waiter waiter;
    assert_false(leader_fixture_append(&test, &waiter, -1));
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 2);
    assert_int_equal(waiter.told, 1);
    leader_fixture_release(&test, &waiter);
    leader_fixture_deinit(&test);
}

static void a_replica_that_reaches_the_end_enters_the_set(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    struct waiter first, second;
    leader_fixture_append(&test, &first, -1);
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 2);
    leader_fixture_fetch(&test, 3, 1);
    assert_null(test.proposal); /* below the high watermark */
    leader_fixture_fetch(&test, 3, 2);
    const int32_t grown[] = {1, 2, 3};
    assert_true(leader_fixture_proposes(&test, grown, 3));
    assert_int_equal(test.proposal->members[0].broker_epoch, 101);
    assert_int_equal(test.proposal->members[2].broker_epoch, 103);
    assert_int_equal(test.proposal->partition_epoch, 10);
    /* From the proposal on the newcomer counts, whatever the controller says in the end. */
    leader_fixture_append(&test, &second, -1);
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 4);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    leader_fixture_fetch(&test, 3, 4);
    assert_int_equal(test.proposals, 1);
    assert_int_equal(replica_high_watermark(test.replica), 4);
    leader_fixture_answer(&test, KAFKA_ERROR_NONE, all, 3);
    assert_int_equal(test.replica->partition_epoch, 11);
    assert_int_equal(test.replica->leadership->in_sync.committed_count, 3);
    assert_int_equal(test.host.counters.isr_expands, 1);
    leader_fixture_release(&test, &first), leader_fixture_release(&test, &second);
    leader_fixture_deinit(&test);
}

static void who_may_not_be_in_the_set_is_not_proposed(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    test.brokers[3].is_active = false; /* fenced, or leaving */
    leader_fixture_fetch(&test, 3, 0);
    assert_null(test.proposal);
    test.brokers[3].is_active = true;
    /* The metadata has not heard of its restart yet. */
    assert_int_equal(leader_fixture_fetch_at(&test, 3, 3, 200, 0), KAFKA_ERROR_NONE);
    assert_null(test.proposal);
    test.brokers[3].epoch = 200;
    leader_fixture_fetch(&test, 3, 0);
    assert_true(leader_fixture_proposes(&test, all, 3));
    leader_fixture_deinit(&test);
}

static void nobody_enters_before_the_epoch_of_the_leader_begins(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 2);
    LEAD(all, alone);
    struct waiter waiter;
    leader_fixture_append(&test, &waiter, 1);
    leader_fixture_run(&test);
    test.leader_epoch++, test.partition_epoch++;
    LEAD(all, alone); /* its high watermark is 0, and the epoch begins at 2 */
    leader_fixture_fetch(&test, 3, 1);
    assert_null(test.proposal);
    leader_fixture_fetch(&test, 3, 2);
    assert_non_null(test.proposal);
    leader_fixture_release(&test, &waiter);
    leader_fixture_deinit(&test);
}

static void who_is_late_for_too_long_leaves_the_set(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, all);
    struct waiter waiter;
    leader_fixture_append(&test, &waiter, -1);
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 2);
    leader_fixture_pass(&test, LAG_MAX_MS); /* members got a full limit when the leader began */
    assert_null(test.proposal);
    leader_fixture_pass(&test, 1);
    assert_true(leader_fixture_proposes(&test, two, 2));
    assert_int_equal(replica_high_watermark(test.replica), 0); /* not before it is committed */
    leader_fixture_answer(&test, KAFKA_ERROR_NONE, two, 2);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    assert_int_equal(waiter.told, 1);
    assert_int_equal(test.host.counters.isr_shrinks, 1);
    leader_fixture_release(&test, &waiter);
    leader_fixture_deinit(&test);
}

/* Behind all the time, but each fetch has what was the end at the one before. */
static void who_keeps_up_with_a_busy_leader_stays(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(two, two);
    struct waiter waiters[20];
    for (unsigned i = 0; i < 20; i++) {
        leader_fixture_append(&test, &waiters[i], 1);
        leader_fixture_run(&test);
        leader_fixture_fetch(&test, 2, 2 * (int64_t)i);
        leader_fixture_pass(&test, LAG_MAX_MS / 2);
        assert_null(test.proposal);
    }
    leader_fixture_pass(&test, LAG_MAX_MS);
    assert_true(leader_fixture_proposes(&test, alone, 1));
    for (unsigned i = 0; i < 20; i++)
        leader_fixture_release(&test, &waiters[i]);
    leader_fixture_deinit(&test);
}

/* It has what was the end at its fetch before: so it was caught up then, and not now. */
static void who_reaches_an_old_end_was_caught_up_at_that_time(void **state)
{
    (void)state;
    enum { BETWEEN_MS = 600 };
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(two, two);
    struct waiter first, second;
    leader_fixture_append(&test, &first, 1);
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 0);
    leader_fixture_pass(&test, BETWEEN_MS);
    leader_fixture_append(&test, &second, 1);
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 2);
    leader_fixture_pass(&test, LAG_MAX_MS - BETWEEN_MS);
    assert_null(test.proposal);
    leader_fixture_pass(&test, 1);
    assert_true(leader_fixture_proposes(&test, alone, 1));
    leader_fixture_release(&test, &first), leader_fixture_release(&test, &second);
    leader_fixture_deinit(&test);
}

/* Who may enter the set with its next fetch must not find the high watermark above its end. */
static void who_is_about_to_enter_the_set_holds_the_high_watermark(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    struct waiter first, second, third;
    leader_fixture_fetch(&test, 3, 0);
    leader_fixture_answer(&test, KAFKA_ERROR_INELIGIBLE_REPLICA, NULL, 0);
    leader_fixture_append(&test, &first, -1);
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 2);
    assert_int_equal(replica_high_watermark(test.replica), 0);
    test.brokers[3].is_active = false; /* it cannot enter now */
    leader_fixture_append(&test, &second, -1);
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 4);
    assert_int_equal(replica_high_watermark(test.replica), 4);
    test.brokers[3].is_active = true;
    leader_fixture_append(&test, &third, -1);
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 6);
    assert_int_equal(replica_high_watermark(test.replica), 4);
    leader_fixture_pass(&test, LAG_MAX_MS + 1); /* it does not come any more */
    assert_int_equal(replica_high_watermark(test.replica), 6);
    assert_null(test.proposal);
    leader_fixture_release(&test, &first), leader_fixture_release(&test, &second),
        leader_fixture_release(&test, &third);
    leader_fixture_deinit(&test);
}

static void a_refusal_for_now_is_tried_again(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    leader_fixture_fetch(&test, 3, 0);
    leader_fixture_answer(&test, KAFKA_ERROR_INELIGIBLE_REPLICA, NULL, 0);
    assert_null(test.proposal);
    leader_fixture_fetch(&test, 3, 0);
    assert_non_null(test.proposal);
    leader_fixture_answer(&test, KAFKA_ERROR_UNKNOWN_SERVER_ERROR, NULL, 0);
    assert_true(leader_fixture_proposes(
        &test, all, 3)); /* who knows whether it was carried out: the same again */
    leader_fixture_deinit(&test);
}

static void an_overtaken_proposal_waits_for_the_metadata(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    struct waiter waiter;
    leader_fixture_fetch(&test, 3, 0);
    leader_fixture_answer(&test, KAFKA_ERROR_INVALID_UPDATE_VERSION, NULL, 0);
    leader_fixture_append(&test, &waiter, -1);
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 2);
    leader_fixture_fetch(&test, 3, 1);
    assert_null(test.proposal);
    assert_int_equal(replica_high_watermark(test.replica), 1); /* it may be a member by now */
    test.partition_epoch++;
    LEAD(all, two);
    assert_int_equal(test.replica->leadership->in_sync.state, IN_SYNC_COMMITTED);
    leader_fixture_fetch(&test, 3, 2);
    assert_true(leader_fixture_proposes(&test, all, 3));
    leader_fixture_release(&test, &waiter);
    leader_fixture_deinit(&test);
}

/* The metadata of a change arrives after its answer; a newer proposal is not lost by that. */
static void late_metadata_of_a_known_state_keeps_the_proposal(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, alone);
    leader_fixture_fetch(&test, 2, 0);
    leader_fixture_answer(&test, KAFKA_ERROR_NONE, two, 2);
    leader_fixture_fetch(&test, 3, 0);
    assert_true(leader_fixture_proposes(&test, all, 3));
    LEAD(all, two);
    assert_int_equal(test.replica->leadership->in_sync.state, IN_SYNC_EXPANDING);
    leader_fixture_answer(&test, KAFKA_ERROR_NONE, all, 3);
    assert_int_equal(test.replica->leadership->in_sync.committed_count, 3);
    leader_fixture_deinit(&test);
}

static void a_late_answer_does_nothing(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    leader_fixture_fetch(&test, 3, 0);
    struct isr_proposal *late = test.proposal;
    test.proposal = NULL;
    test.partition_epoch++;
    LEAD(all, two);
    leader_fixture_fetch(&test, 3, 0);
    late->error = KAFKA_ERROR_INELIGIBLE_REPLICA;
    replica_isr_answered(test.replica, late);
    isr_proposal_destroy(&test.log.heap, late);
    assert_int_equal(test.replica->leadership->in_sync.state, IN_SYNC_EXPANDING);
    leader_fixture_deinit(&test);
}

static void fetches_of_strangers_are_told_why(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(two, two);
    assert_int_equal(leader_fixture_fetch_at(&test, 3, 3, 103, 0),
                     KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(leader_fixture_fetch_at(&test, -1, 3, 103, 0),
                     KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(leader_fixture_fetch_at(&test, 2, 2, 102, 0), KAFKA_ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(leader_fixture_fetch_at(&test, 4, 2, 102, 0),
                     KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(leader_fixture_fetch_at(&test, 3, 2, 101, 0),
                     KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER); /* a ghost */
    assert_int_equal(leader_fixture_fetch_at(&test, 3, 2, -1, 0), KAFKA_ERROR_NONE);
    test.partition_epoch++;
    LEAD(alone, alone);
    assert_null(test.replica->leadership);
    assert_int_equal(leader_fixture_fetch_at(&test, 3, 2, 102, 0),
                     KAFKA_ERROR_UNKNOWN_LEADER_EPOCH);
    leader_fixture_deinit(&test);
}

static void ignored(struct replica_append *append)
{
    (void)append;
}

/* A batch of two records of an idempotent producer; acks=0. */
static enum kafka_error append_sequence(int32_t sequence)
{
    struct batch_options options = fixture_options();
    options.producer_id = 7, options.producer_epoch = 0, options.base_sequence = sequence;
    struct waiter waiter = {0};
    fixture_batch(&test.log, &waiter.source, &options, 2, 10, test.log.node.wall_ms);
    waiter.append.append.data = waiter.source.append.data;
    waiter.append.append.size = waiter.source.append.size;
    waiter.append.append.origin = LOG_APPEND_CLIENT;
    waiter.append.done = ignored;
    replica_append(test.replica, &waiter.append);
    leader_fixture_run(&test);
    leader_fixture_release(&test, &waiter);
    return waiter.append.error;
}

static void who_may_have_been_replaced_tells_no_producer_of_a_gap(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(all, two);
    assert_int_equal(append_sequence(0), KAFKA_ERROR_NONE);
    /* As after a restart with old metadata: who follows is not known yet. */
    assert_int_equal(append_sequence(5), KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    leader_fixture_fetch(&test, 2, 2);
    assert_int_equal(append_sequence(5), KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    leader_fixture_pass(&test, 2 * FETCH_WAIT_MAX_MS);
    assert_int_equal(append_sequence(5), KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    leader_fixture_pass(&test, 1);
    assert_int_equal(append_sequence(5), KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    test.leader_epoch++, test.partition_epoch++;
    LEAD(all, alone);
    assert_int_equal(append_sequence(5), KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    leader_fixture_deinit(&test);
}

static void fired(struct replica_watch *watch)
{
    (void)watch;
    test.fired++;
}

static void fetches_of_followers_wait_for_what_is_written(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_SYNC, 1);
    LEAD(two, two);
    struct waiter first, second;
    leader_fixture_append(&test, &first, -1); /* so that the file is open */
    leader_fixture_run(&test);
    struct replica_watch of_consumer = {.fired = fired}, of_follower = {.fired = fired};
    replica_watch(test.replica, &of_consumer);
    replica_watch_end(test.replica, &of_follower);
    test.log.node.hold = true;
    leader_fixture_append(&test, &second, -1);
    leader_fixture_run(&test);
    assert_int_equal(test.fired, 1);
    replica_watch_end(test.replica, &of_follower);
    test.leader_epoch++, test.partition_epoch++;
    LEAD(two, two);
    assert_int_equal(test.fired, 3); /* both named an epoch that is over */
    replica_watch_end(test.replica, &of_follower);
    test.partition_epoch++;
    LEAD(alone, alone);
    assert_int_equal(test.fired, 4);
    leader_fixture_release(&test, &first);
    leader_fixture_deinit(&test);
    leader_fixture_release(&test, &second);
}

static void a_restarted_follower_starts_from_nothing(void **state)
{
    (void)state;
    leader_fixture_init(&test, TOPIC_DURABILITY_CACHE, 1);
    LEAD(two, two);
    struct waiter waiter;
    leader_fixture_append(&test, &waiter, -1);
    leader_fixture_run(&test);
    leader_fixture_fetch(&test, 2, 2);
    assert_int_equal(replica_high_watermark(test.replica), 2);
    test.brokers[2].epoch = 300;
    leader_fixture_fetch(
        &test, 2,
        0); /* it has lost what it had: the high watermark stays, nothing new is committed */
    assert_int_equal(replica_high_watermark(test.replica), 2);
    struct waiter more;
    leader_fixture_append(&test, &more, -1);
    leader_fixture_run(&test);
    assert_int_equal(more.told, 0);
    leader_fixture_fetch(&test, 2, 4);
    assert_int_equal(more.told, 1);
    leader_fixture_release(&test, &waiter), leader_fixture_release(&test, &more);
    leader_fixture_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_the_set_have_what_is_committed),
        cmocka_unit_test(in_sync_mode_the_leader_counts_what_is_durable),
        cmocka_unit_test(nobody_is_told_inside_a_fetch),
        cmocka_unit_test(too_few_in_sync_refuse_before_and_stop_the_high_watermark),
        cmocka_unit_test(the_minimum_asks_for_no_more_than_there_are),
        cmocka_unit_test(a_replica_that_reaches_the_end_enters_the_set),
        cmocka_unit_test(who_may_not_be_in_the_set_is_not_proposed),
        cmocka_unit_test(nobody_enters_before_the_epoch_of_the_leader_begins),
        cmocka_unit_test(who_is_late_for_too_long_leaves_the_set),
        cmocka_unit_test(who_keeps_up_with_a_busy_leader_stays),
        cmocka_unit_test(who_reaches_an_old_end_was_caught_up_at_that_time),
        cmocka_unit_test(who_is_about_to_enter_the_set_holds_the_high_watermark),
        cmocka_unit_test(a_refusal_for_now_is_tried_again),
        cmocka_unit_test(an_overtaken_proposal_waits_for_the_metadata),
        cmocka_unit_test(late_metadata_of_a_known_state_keeps_the_proposal),
        cmocka_unit_test(a_late_answer_does_nothing),
        cmocka_unit_test(fetches_of_strangers_are_told_why),
        cmocka_unit_test(who_may_have_been_replaced_tells_no_producer_of_a_gap),
        cmocka_unit_test(fetches_of_followers_wait_for_what_is_written),
        cmocka_unit_test(a_restarted_follower_starts_from_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
