/* The coordinators of a loop: which replicas have one, and what requests find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "coordinator/coordinators.h"
#include "tests/unit/coordinator/coordinator_fixture.h"
#include "tests/unit/coordinator/note_kind.h"

static struct coordinator_fixture test;
static struct coordinators coordinators;

/* The fixture's replica leads; nobody coordinates it yet. */
static void begin(void)
{
    *note_counts() = (struct note_kind_counts){0};
    coordinator_fixture_init(&test, &note_kind);
    coordinator_fixture_start(&test);
    coordinator_fixture_resign(&test);
    note_counts()->unloaded = 0;
    coordinators_init(&coordinators, memory_node_loop(&test.log.node, 1), &test.heap,
                      &test.log.shard, &test.config);
    coordinators_serve(&coordinators, COORDINATOR_GROUPS, &note_kind, COMPRESSION_NONE);
}

static void end(void)
{
    coordinators_stop(&coordinators);
    coordinators_deinit(&coordinators);
    coordinator_fixture_deinit(&test);
    assert_int_equal(note_counts()->created, note_counts()->destroyed);
}

static enum kafka_error find(enum coordinator_slot slot, int32_t partition)
{
    struct coordinator *coordinator;
    enum kafka_error error = coordinators_find(&coordinators, slot, partition, &coordinator);
    assert_int_equal(coordinator == NULL, error != KAFKA_ERROR_NONE);
    return error;
}

static void a_led_partition_has_a_coordinator_while_it_is_led(void **state)
{
    (void)state;
    begin();
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_NOT_COORDINATOR);
    coordinators_show(&coordinators, test.image, NULL);
    coordinators_lead(&coordinators, test.replica);
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS);
    memory_node_run(&test.log.node);
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_NONE);
    assert_int_equal(find(COORDINATOR_GROUPS, 1), KAFKA_ERROR_NOT_COORDINATOR);
    assert_int_equal(find(COORDINATOR_TRANSACTIONS, 0), KAFKA_ERROR_NOT_COORDINATOR);
    coordinators_lead(&coordinators, test.replica); /* the same epoch: nothing happens */
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_NONE);
    coordinators_leave(&coordinators, test.replica);
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_NOT_COORDINATOR);
    assert_int_equal(coordinators_count(&coordinators, COORDINATOR_GROUPS), 0);
    coordinators_leave(&coordinators, test.replica);
    end();
}

static void a_failed_replica_has_none_that_answers(void **state)
{
    (void)state;
    begin();
    coordinators_show(&coordinators, test.image, NULL);
    coordinators_lead(&coordinators, test.replica);
    memory_node_run(&test.log.node);
    replica_fail(test.replica);
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_NOT_COORDINATOR);
    coordinators_lead(&coordinators, test.replica);
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_NOT_COORDINATOR);
    end();
}

static void it_serves_when_an_image_is_shown(void **state)
{
    (void)state;
    begin();
    coordinators_lead(&coordinators, test.replica);
    memory_node_run(&test.log.node);
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS);
    coordinators_show(&coordinators, test.image, NULL);
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_NONE);
    end();
}

static void other_topics_have_none(void **state)
{
    (void)state;
    begin();
    struct replica *other =
        replica_create(&test.replica_host, VIEW_LITERAL("other"), UUID_ONE, 0, &test.log.topic);
    coordinators_lead(&coordinators, other);
    coordinators_leave(&coordinators, other);
    assert_int_equal(coordinators_count(&coordinators, COORDINATOR_GROUPS), 0);
    replica_destroy(other);
    end();
}

static void a_topic_of_the_same_name_takes_over(void **state)
{
    (void)state;
    begin();
    struct replica *old = test.replica;
    coordinators_show(&coordinators, test.image, NULL);
    coordinators_lead(&coordinators, old);
    memory_node_run(&test.log.node);
    struct partition_log *log = replica_detach(old, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    test.replica =
        replica_create(&test.replica_host, note_kind.topic, (struct uuid){{9}}, 0, &test.log.topic);
    replica_attach(test.replica, log);
    replica_lead_alone(test.replica, 5, 5);
    coordinators_lead(&coordinators, test.replica);
    memory_node_run(&test.log.node);
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_NONE);
    assert_int_equal(coordinators_count(&coordinators, COORDINATOR_GROUPS), 1);
    coordinators_leave(&coordinators, old); /* the old one's end says nothing about the new one */
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_NONE);
    replica_destroy(old);
    end();
}

static void after_the_stop_nothing_comes_any_more(void **state)
{
    (void)state;
    begin();
    coordinators_show(&coordinators, test.image, NULL);
    coordinators_lead(&coordinators, test.replica);
    memory_node_run(&test.log.node);
    coordinators_stop(&coordinators);
    assert_int_equal(find(COORDINATOR_GROUPS, 0), KAFKA_ERROR_NOT_COORDINATOR);
    assert_int_equal(note_counts()->unloaded, 1);
    coordinators_lead(&coordinators, test.replica);
    assert_int_equal(coordinators_count(&coordinators, COORDINATOR_GROUPS), 0);
    coordinators_show(&coordinators, test.image, NULL);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_led_partition_has_a_coordinator_while_it_is_led),
        cmocka_unit_test(a_failed_replica_has_none_that_answers),
        cmocka_unit_test(it_serves_when_an_image_is_shown),
        cmocka_unit_test(other_topics_have_none),
        cmocka_unit_test(a_topic_of_the_same_name_takes_over),
        cmocka_unit_test(after_the_stop_nothing_comes_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
