/* Transactions against a whole broker: both protocols, and what must not be written. */
#include "tests/unit/broker/transaction_client.h"

/* ---- The two protocols ---- */

static void commits_and_aborts_of_the_older_protocol(void **state)
{
    (void)state;
    struct producer producer;
    start_broker(NULL, 0);
    begin_producer("t", &producer);
    add_partitions("t", &producer, 0);
    produce("t", &producer, 0, OLD_PROTOCOL);
    produce("t", &producer, 1, OLD_PROTOCOL);
    assert_string_equal(state_of("t"), "Ongoing");
    assert_int_equal(fetch_all(0, true).records, 0);
    assert_int_equal(fetch_all(0, false).records, 3);
    assert_int_equal(latest_offset(0, true), 0);
    assert_int_equal(latest_offset(0, false), 3);
    assert_int_equal(end_transaction("t", &producer, true, 4), KAFKA_ERROR_NONE);
    await_state("t", "CompleteCommit");
    for (int32_t partition = 0; partition < 2; partition++) {
        struct seen seen = fetch_all(partition, true);
        assert_int_equal(seen.records, 3);
        assert_int_equal(seen.last_stable_offset, 4);
        assert_int_equal(seen.high_watermark, 4);
        assert_int_equal(seen.aborted, 0);
    }
    /* The next one, with the same epoch and going-on sequences. */
    add_partitions("t", &producer, 0);
    produce("t", &producer, 0, OLD_PROTOCOL);
    assert_int_equal(end_transaction("t", &producer, false, 4), KAFKA_ERROR_NONE);
    await_state("t", "CompleteAbort");
    struct seen seen = fetch_all(0, true);
    assert_int_equal(seen.aborted, 1);
    assert_int_equal(seen.first_aborted_offset, 4);
    assert_int_equal(seen.last_stable_offset, 8);
    assert_int_equal(latest_offset(0, true), 8);
    /* Partition 1 was added, but nothing was written: a marker alone, no aborted range. */
    seen = fetch_all(1, true);
    assert_int_equal(seen.aborted, 0);
    assert_int_equal(seen.high_watermark, 5);
    assert_int_equal(end_transaction("t", &producer, false, 4), KAFKA_ERROR_NONE);
    assert_int_equal(end_transaction("t", &producer, true, 4), KAFKA_ERROR_INVALID_TXN_STATE);
    broker_fixture_deinit(&broker);
}

static void the_newer_protocol_adds_partitions_itself(void **state)
{
    (void)state;
    struct producer producer;
    start_broker(NULL, 0);
    begin_producer("t", &producer);
    for (int round = 0; round < 6; round++) {
        bool commit = round % 2 == 0;
        produce("t", &producer, 0, NEW_PROTOCOL);
        produce("t", &producer, 3, NEW_PROTOCOL);
        produce("t", &producer, 0, NEW_PROTOCOL);
        assert_int_equal(producer.epoch, round);
        struct producer before = producer;
        assert_int_equal(end_transaction("t", &producer, commit, 5), KAFKA_ERROR_NONE);
        assert_int_equal(producer.epoch, round + 1);
        /* The answer may have been lost: the retry gets the same. */
        struct producer again = before;
        await_state("t", commit ? "CompleteCommit" : "CompleteAbort");
        assert_int_equal(end_transaction("t", &again, commit, 5), KAFKA_ERROR_NONE);
        assert_int_equal(again.epoch, producer.epoch);
        /* What comes late is of an older epoch. */
        assert_int_equal(produce_once("t", &before, 0, NEW_PROTOCOL, before.sequence[0]),
                         KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    }
    struct seen seen = fetch_all(0, true);
    assert_int_equal(seen.records, 36);
    assert_int_equal(seen.aborted, 3);
    assert_int_equal(seen.last_stable_offset, 42);
    assert_int_equal(fetch_all(3, true).aborted, 3);
    broker_fixture_deinit(&broker);
}

static void transactions_of_many_producers_do_not_disturb_each_other(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    static const char *const ids[COUNT] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct producer producers[COUNT];
    start_broker(NULL, 0);
    for (int i = 0; i < COUNT; i++)
        begin_producer(ids[i], &producers[i]);
    for (int i = 0; i < COUNT; i++)
        produce(ids[i], &producers[i], 0, NEW_PROTOCOL);
    for (int i = COUNT - 1; i >= 0; i--) {
        assert_int_equal(fetch_all(0, true).last_stable_offset, 0);
        assert_int_equal(end_transaction(ids[i], &producers[i], i % 2, 5), KAFKA_ERROR_NONE);
        await_state(ids[i], i % 2 ? "CompleteCommit" : "CompleteAbort");
    }
    struct seen seen = fetch_all(0, true);
    assert_int_equal(seen.aborted, COUNT / 2);
    assert_int_equal(seen.last_stable_offset, COUNT * 4);
    broker_fixture_deinit(&broker);
}

/* ---- What must not be written ---- */

static void nothing_is_written_outside_a_transaction(void **state)
{
    (void)state;
    struct producer producer;
    start_broker(NULL, 0);
    begin_producer("t", &producer);
    /* Not added: what each version is told. */
    assert_int_equal(produce_once("t", &producer, 0, 9, 0), KAFKA_ERROR_INVALID_TXN_STATE);
    assert_int_equal(produce_once("t", &producer, 0, 11, 0), KAFKA_ERROR_TRANSACTION_ABORTABLE);
    add_partitions("t", &producer, 0);
    assert_int_equal(produce_once("t", &producer, 2, 11, 0), KAFKA_ERROR_TRANSACTION_ABORTABLE);
    /* Another id or epoch than the transaction's. */
    struct producer other = {producer.id + 1, 0, {0}};
    assert_int_equal(produce_once("t", &other, 0, 11, 0), KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    other = (struct producer){producer.id, 7, {0}};
    assert_int_equal(produce_once("t", &other, 0, 11, 0), KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(produce_once("unknown", &producer, 0, NEW_PROTOCOL, 0),
                     KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(latest_offset(0, false), 0);
    /* Late, after the end: the partition's leader asks again and is told. */
    produce("t", &producer, 0, OLD_PROTOCOL);
    assert_int_equal(end_transaction("t", &producer, true, 4), KAFKA_ERROR_NONE);
    await_state("t", "CompleteCommit");
    assert_int_equal(produce_once("t", &producer, 0, OLD_PROTOCOL, producer.sequence[0]),
                     KAFKA_ERROR_INVALID_TXN_STATE);
    assert_int_equal(fetch_all(0, true).last_stable_offset, 4);
    assert_int_equal(latest_offset(0, false), 4);
    broker_fixture_deinit(&broker);
}

static void a_fenced_producer_cannot_do_anything(void **state)
{
    (void)state;
    struct producer zombie, producer;
    start_broker(NULL, 0);
    begin_producer("t", &zombie);
    add_partitions("t", &zombie, 0);
    produce("t", &zombie, 0, OLD_PROTOCOL);
    begin_producer("t", &producer);
    assert_int_equal(producer.id, zombie.id);
    assert_true(producer.epoch > zombie.epoch);
    /* What it had written is aborted. */
    struct seen seen = fetch_all(0, true);
    assert_int_equal(seen.aborted, 1);
    assert_int_equal(seen.last_stable_offset, 4);
    assert_int_equal(produce_once("t", &zombie, 0, OLD_PROTOCOL, zombie.sequence[0]),
                     KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    assert_int_equal(produce_once("t", &zombie, 2, NEW_PROTOCOL, 0),
                     KAFKA_ERROR_INVALID_PRODUCER_EPOCH);
    int16_t errors[2];
    add_two_partitions("t", &zombie, 0, errors);
    assert_int_equal(errors[0], KAFKA_ERROR_PRODUCER_FENCED);
    assert_int_equal(end_transaction("t", &zombie, true, 4), KAFKA_ERROR_PRODUCER_FENCED);
    add_partitions("t", &producer, 0);
    produce("t", &producer, 0, OLD_PROTOCOL);
    assert_int_equal(end_transaction("t", &producer, true, 4), KAFKA_ERROR_NONE);
    broker_fixture_deinit(&broker);
}

static void partitions_that_do_not_exist_change_nothing(void **state)
{
    (void)state;
    struct producer producer;
    int16_t errors[2];
    start_broker(NULL, 0);
    begin_producer("t", &producer);
    add_two_partitions("t", &producer, 3, errors);
    assert_int_equal(errors[0], KAFKA_ERROR_OPERATION_NOT_ATTEMPTED);
    assert_int_equal(errors[1], KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_string_equal(state_of("t"), "Empty");
    assert_string_equal(state_of("other"), "TRANSACTIONAL_ID_NOT_FOUND");
    assert_string_equal(state_of(""), "INVALID_REQUEST");
    broker_fixture_deinit(&broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_and_aborts_of_the_older_protocol),
        cmocka_unit_test(the_newer_protocol_adds_partitions_itself),
        cmocka_unit_test(transactions_of_many_producers_do_not_disturb_each_other),
        cmocka_unit_test(nothing_is_written_outside_a_transaction),
        cmocka_unit_test(a_fenced_producer_cannot_do_anything),
        cmocka_unit_test(partitions_that_do_not_exist_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
