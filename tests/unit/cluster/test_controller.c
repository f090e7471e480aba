/* The controller of a sole voter on a disk in memory: start, write, stop, crash. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/cluster/controller_fixture.h"

static void start_ready(struct fixture *fixture)
{
    fixture_start(fixture);
    assert_string_equal(fixture->failure, "");
    assert_true(fixture->is_ready);
}

static void an_empty_directory_becomes_a_serving_node(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    start_ready(&fixture);
    const struct image *image = fixture_image(&fixture);
    const struct image_node *broker = image_broker(image, fixture.config.node_id);
    assert_non_null(broker);
    assert_false(broker->fenced);
    assert_int_equal(image_feature_level(image, VIEW_LITERAL("metadata.version")), 29);
    assert_int_equal(image->controller_id, fixture.config.node_id);
    assert_int_equal(image->controller_epoch, 1);
    assert_true(memory_node_exists(&fixture.node, "/data/bootstrap.checkpoint"));
    assert_true(memory_node_exists(
        &fixture.node, "/data/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"));
    fixture_stop(&fixture);
    assert_true(fixture.is_clean);
    fixture_deinit(&fixture);
}

static void a_created_topic_is_shown_and_survives_a_power_cut(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    start_ready(&fixture);
    assert_int_equal(fixture_create_topic(&fixture, "orders", 70), KAFKA_ERROR_NONE);
    const struct image_topic *topic =
        image_topic_by_name(fixture_image(&fixture), VIEW_LITERAL("orders"));
    assert_non_null(topic);
    struct uuid id = topic->id;
    assert_int_equal(topic->partition_count, 70);
    assert_int_equal(image_topic_partition(topic, 69)->leader, fixture.config.node_id);
    fixture_crash(&fixture);
    start_ready(&fixture);
    topic = image_topic_by_id(fixture_image(&fixture), id);
    assert_non_null(topic);
    assert_int_equal(topic->partition_count, 70);
    assert_int_equal(fixture_image(&fixture)->controller_epoch, 2);
    /* Nobody saw more than what was on stable storage, so the leader is the one it was. */
    assert_int_equal(image_topic_partition(topic, 69)->leader, fixture.config.node_id);
    assert_int_equal(image_topic_partition(topic, 69)->leader_epoch, 0);
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void ten_thousand_partitions_are_created_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    start_ready(&fixture);
    assert_int_equal(fixture_create_topic(&fixture, "wide", 10000), KAFKA_ERROR_NONE);
    assert_int_equal(fixture_create_topic(&fixture, "wider", 10001), KAFKA_ERROR_POLICY_VIOLATION);
    assert_int_equal(fixture_image(&fixture)->partition_count, 10000);
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void epochs_rise_over_every_restart(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    for (int32_t epoch = 1; epoch <= 5; epoch++) {
        start_ready(&fixture);
        assert_int_equal(fixture_image(&fixture)->controller_epoch, epoch);
        struct view text = memory_node_durable_file(
            &fixture.node, "/data/__cluster_metadata-0/" QUORUM_STATE_FILE_NAME);
        struct quorum_state found;
        assert_true(quorum_state_decode(text, &found));
        assert_int_equal(found.leader_epoch, epoch);
        if (epoch % 2)
            fixture_crash(&fixture);
        else
            fixture_stop(&fixture);
    }
    fixture_deinit(&fixture);
}

static void a_static_sole_voter_needs_no_voters_in_the_log(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture);
    struct voter_config voter = {fixture.config.node_id, VIEW_LITERAL("localhost"), 9093};
    fixture.config.voters = &voter;
    fixture.config.voter_count = 1;
    for (int round = 0; round < 2; round++) {
        start_ready(&fixture);
        assert_false(memory_node_exists(
            &fixture.node,
            "/data/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"));
        struct view text = memory_node_durable_file(
            &fixture.node, "/data/__cluster_metadata-0/" QUORUM_STATE_FILE_NAME);
        struct quorum_state found;
        assert_true(quorum_state_decode(text, &found));
        assert_int_equal(found.version, 0);
        assert_int_equal(found.voter_count, 1);
        assert_int_equal(fixture_image(&fixture)->kraft_version, 0);
        fixture_stop(&fixture);
    }
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_directory_becomes_a_serving_node),
        cmocka_unit_test(a_created_topic_is_shown_and_survives_a_power_cut),
        cmocka_unit_test(ten_thousand_partitions_are_created_at_once),
        cmocka_unit_test(epochs_rise_over_every_restart),
        cmocka_unit_test(a_static_sole_voter_needs_no_voters_in_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
