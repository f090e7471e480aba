/* Proposals of in-sync sets against a controller that the test plays by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/isr_sender.h"
#include "tests/unit/cluster/asked_controller.h"

enum { OWN = ASKED_NODE_ID, MS = 1000000, CHANGES = 6 };

struct proposed {
    struct isr_change change;
    struct isr_member members[2];
    int ended;
    int32_t new_partition_epoch; /* of the answered state; -1: none */
};

static struct {
    struct asked_controller controller;
    struct isr_sender sender;
    struct proposed proposed[CHANGES];
} test;

static int init(void **state)
{
    (void)state;
    memset(&test, 0, sizeof(test));
    asked_controller_init(&test.controller);
    struct isr_sender_options options = {.loop = test.controller.loop,
                                         .channel = &test.controller.channel,
                                         .broker_id = OWN,
                                         .broker_epoch = asked_controller_broker_epoch,
                                         .self = &test.controller};
    isr_sender_init(&test.sender, &options);
    return 0;
}

static int deinit(void **state)
{
    (void)state;
    controller_channel_close(&test.controller.channel);
    isr_sender_close(&test.sender);
    asked_controller_deinit(&test.controller);
    return 0;
}

static void done(struct isr_change *change)
{
    struct proposed *proposed = container_of(change, struct proposed, change);
    proposed->ended++;
    proposed->new_partition_epoch = change->state ? change->state->partition_epoch : -1;
}

/* The `topic`-th topic; the change is the `index`-th of the test. */
static void propose(unsigned index, unsigned topic, int32_t partition)
{
    struct proposed *proposed = &test.proposed[index];
    proposed->members[0] = (struct isr_member){OWN, 40};
    proposed->members[1] = (struct isr_member){2, 50 + (int64_t)index};
    proposed->change = (struct isr_change){
        .topic_id = uuid_of_halves(9, topic),
        .partition = partition,
        .leader_epoch = 3,
        .partition_epoch = 7,
        .members = proposed->members,
        .member_count = 2,
        .done = done,
    };
    isr_sender_add(&test.sender, &proposed->change);
    assert_int_equal(proposed->ended, 0);
}

static void run(void)
{
    memory_node_run(&test.controller.node);
}

static const struct alter_partition_request *asked(void)
{
    return asked_controller_message(&test.controller);
}

static size_t asked_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < asked()->topics_count; i++)
        count += asked()->topics[i].partitions_count;
    return count;
}

/* One error for every partition that was asked for, or for the whole request. */
static void answer(enum kafka_error error, bool is_whole)
{
    const struct alter_partition_request *request = asked();
    struct alter_partition_response response = {0};
    struct alter_partition_response_topic_data topics[CHANGES] = {0};
    struct alter_partition_response_partition_data partitions[CHANGES][CHANGES] = {0};
    response.error_code = is_whole ? (int16_t)error : 0;
    response.topics = topics;
    response.topics_count = is_whole ? 0 : request->topics_count;
    for (size_t i = 0; i < response.topics_count; i++) {
        topics[i].topic_id = request->topics[i].topic_id;
        topics[i].partitions = partitions[i];
        topics[i].partitions_count = request->topics[i].partitions_count;
        for (size_t k = 0; k < topics[i].partitions_count; k++) {
            partitions[i][k].partition_index = request->topics[i].partitions[k].partition_index;
            partitions[i][k].partition_epoch = request->topics[i].partitions[k].partition_epoch + 1;
            partitions[i][k].error_code = (int16_t)error;
        }
    }
    asked_controller_answer(&test.controller, &response);
}

static void assert_ended(unsigned index, enum kafka_error error)
{
    assert_int_equal(test.proposed[index].ended, 1);
    assert_int_equal(test.proposed[index].change.error, error);
}

static void proposals_of_one_turn_are_one_request_by_topic(void **state)
{
    (void)state;
    propose(0, 1, 0);
    propose(1, 2, 5);
    propose(2, 1, 3);
    run();
    assert_int_equal(asked()->broker_id, OWN);
    assert_int_equal(asked()->broker_epoch, 40);
    assert_int_equal(asked()->topics_count, 2);
    assert_int_equal(asked()->topics[0].partitions_count, 2);
    const struct alter_partition_request_partition_data *last = &asked()->topics[0].partitions[1];
    assert_int_equal(last->partition_index, 3);
    assert_int_equal(last->leader_epoch, 3);
    assert_int_equal(last->partition_epoch, 7);
    assert_int_equal(last->new_isr_with_epochs_count, 2);
    assert_int_equal(last->new_isr_with_epochs[1].broker_id, 2);
    assert_int_equal(last->new_isr_with_epochs[1].broker_epoch, 52);
    answer(KAFKA_ERROR_NONE, false);
    for (unsigned i = 0; i < 3; i++) {
        assert_ended(i, KAFKA_ERROR_NONE);
        assert_int_equal(test.proposed[i].new_partition_epoch, 8);
    }
}

static void what_comes_meanwhile_waits_for_the_next_request(void **state)
{
    (void)state;
    propose(0, 1, 0);
    run();
    propose(1, 1, 1);
    propose(2, 1, 2);
    run();
    assert_int_equal(asked_count(), 1);
    answer(KAFKA_ERROR_NONE, false);
    assert_int_equal(asked_count(), 2);
    answer(KAFKA_ERROR_NONE, false);
    assert_ended(2, KAFKA_ERROR_NONE);
}

static void a_second_proposal_for_a_partition_is_not_attempted(void **state)
{
    (void)state;
    propose(0, 1, 0);
    propose(1, 1, 0);
    run();
    assert_ended(1, KAFKA_ERROR_OPERATION_NOT_ATTEMPTED);
    assert_int_equal(asked_count(), 1);
    answer(KAFKA_ERROR_NONE, false);
    assert_ended(0, KAFKA_ERROR_NONE);
    propose(2, 1, 0);
    run();
    assert_int_equal(asked_count(), 1);
    answer(KAFKA_ERROR_NONE, false);
    assert_ended(2, KAFKA_ERROR_NONE);
}

static void definite_errors_end_a_proposal(void **state)
{
    (void)state;
    static const enum kafka_error errors[] = {
        KAFKA_ERROR_INELIGIBLE_REPLICA,     KAFKA_ERROR_OPERATION_NOT_ATTEMPTED,
        KAFKA_ERROR_INVALID_UPDATE_VERSION, KAFKA_ERROR_FENCED_LEADER_EPOCH,
        KAFKA_ERROR_NEW_LEADER_ELECTED,     KAFKA_ERROR_UNKNOWN_TOPIC_ID,
    };
    for (unsigned i = 0; i < CHANGES; i++) {
        propose(i, 1, 0);
        run();
        answer(errors[i], false);
        assert_ended(i, errors[i]);
        assert_int_equal(test.proposed[i].new_partition_epoch, -1);
    }
}

static void a_refused_request_is_repeated_with_the_newest_epoch(void **state)
{
    (void)state;
    propose(0, 1, 0);
    run();
    answer(KAFKA_ERROR_STALE_BROKER_EPOCH, true);
    assert_null(test.controller.asked);
    propose(1, 2, 0);
    run();
    assert_null(test.controller.asked); /* the pause holds for all */
    test.controller.broker_epoch = 90;
    memory_node_advance(&test.controller.node, 51 * MS);
    assert_int_equal(asked()->broker_epoch, 90);
    assert_int_equal(asked_count(), 2);
    assert_true(uuid_equal(asked()->topics[0].topic_id, test.proposed[0].change.topic_id));
    answer(KAFKA_ERROR_NONE, false);
    assert_ended(0, KAFKA_ERROR_NONE);
    assert_ended(1, KAFKA_ERROR_NONE);
}

static void other_errors_and_missing_answers_are_asked_again(void **state)
{
    (void)state;
    propose(0, 1, 0);
    propose(1, 2, 0);
    run();
    answer(KAFKA_ERROR_NOT_CONTROLLER, false); /* of the partition: that one lags behind us */
    assert_int_equal(test.proposed[0].ended, 0);
    memory_node_advance(&test.controller.node, 51 * MS);
    assert_int_equal(asked_count(), 2);
    answer(KAFKA_ERROR_NONE, true); /* good, and empty */
    memory_node_advance(&test.controller.node, 51 * MS);
    assert_int_equal(asked_count(), 2);
    answer(KAFKA_ERROR_NONE, false);
    assert_ended(0, KAFKA_ERROR_NONE);
    assert_ended(1, KAFKA_ERROR_NONE);
}

static void an_end_of_the_node_ends_every_proposal(void **state)
{
    (void)state;
    propose(0, 1, 0);
    run();
    propose(1, 2, 0);
    run();
    controller_channel_close(&test.controller.channel);
    isr_sender_close(&test.sender);
    run();
    assert_ended(1, KAFKA_ERROR_OPERATION_NOT_ATTEMPTED);
    assert_int_equal(test.proposed[0].ended, 0); /* runs on this node */
    propose(2, 3, 0);
    run();
    assert_ended(2, KAFKA_ERROR_OPERATION_NOT_ATTEMPTED);
    answer(KAFKA_ERROR_NONE, false);
    assert_ended(0, KAFKA_ERROR_NONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, init, deinit)
    const struct CMUnitTest tests[] = {
        TEST(proposals_of_one_turn_are_one_request_by_topic),
        TEST(what_comes_meanwhile_waits_for_the_next_request),
        TEST(a_second_proposal_for_a_partition_is_not_attempted),
        TEST(definite_errors_end_a_proposal),
        TEST(a_refused_request_is_repeated_with_the_newest_epoch),
        TEST(other_errors_and_missing_answers_are_asked_again),
        TEST(an_end_of_the_node_ends_every_proposal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
