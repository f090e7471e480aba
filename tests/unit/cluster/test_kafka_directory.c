/* A directory that Kafka wrote, loaded by the controller (the files are described beside them). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/cluster/controller_fixture.h"

static void put(struct fixture *fixture, const char *from, const char *to)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", KAFKA_DIRECTORY, from);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    static uint8_t bytes[65536];
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_true(size > 0 && size < sizeof(bytes));
    memory_node_put_file(&fixture->node, to, view_of(bytes, size));
}

static void prepare(struct fixture *fixture, bool with_log)
{
    fixture_init(fixture);
    fixture->cluster_id = VIEW_LITERAL("AbCdEfGhIjKlMnOpQrStUw");
    assert_true(uuid_parse(VIEW_LITERAL("tjFdjJFgR5SZQ1LGdQD-gQ"), &fixture->directory_id));
    memory_node_make_directory(&fixture->node, "/data/__cluster_metadata-0");
    put(fixture, "bootstrap.checkpoint", "/data/bootstrap.checkpoint");
    put(fixture, "voters.checkpoint",
        "/data/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint");
    if (!with_log)
        return;
    put(fixture, "metadata.log", "/data/__cluster_metadata-0/00000000000000000000.log");
    put(fixture, "quorum-state", "/data/__cluster_metadata-0/quorum-state");
}

static void what_kafka_wrote_is_loaded(void **state)
{
    (void)state;
    struct fixture fixture;
    prepare(&fixture, true);
    fixture_start(&fixture);
    assert_string_equal(fixture.failure, "");
    assert_true(fixture.is_ready);
    const struct image *image = fixture_image(&fixture);
    assert_int_equal(image->controller_epoch, 2);
    assert_int_equal(image->topics_by_name.count, 2);
    const struct image_topic *beta = image_topic_by_name(image, VIEW_LITERAL("beta"));
    assert_int_equal(beta->partition_count, 70);
    /* Kafka's shutdown took the leader away; the new registration brings one back. */
    for (int32_t i = 0; i < 70; i++) {
        const struct image_partition *partition = image_topic_partition(beta, i);
        assert_int_equal(partition->leader, 1);
        assert_int_equal(partition->isr_count, 1);
        assert_int_equal(partition->eligible_count, 0);
    }
    const struct image_config *config =
        image_config(image, CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("alpha"));
    assert_int_equal(config->setting_count, 2);
    assert_true(
        view_equal(image_config_value(config, VIEW_LITERAL("retention.ms")), VIEW_LITERAL("1000")));
    assert_int_equal(image_feature_level(image, VIEW_LITERAL("metadata.version")), 29);
    assert_int_equal(image_feature_level(image, VIEW_LITERAL("transaction.version")), 2);
    assert_null(image_topic_by_name(image, VIEW_LITERAL("gone")));
    assert_int_equal(fixture_create_topic(&fixture, "ours", 2), KAFKA_ERROR_NONE);
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void a_directory_that_kafka_only_formatted_begins_with_its_features(void **state)
{
    (void)state;
    struct fixture fixture;
    prepare(&fixture, false);
    fixture_start(&fixture);
    assert_string_equal(fixture.failure, "");
    assert_true(fixture.is_ready);
    const struct image *image = fixture_image(&fixture);
    assert_int_equal(image_feature_level(image, VIEW_LITERAL("group.version")), 1);
    assert_int_equal(image_feature_level(image, VIEW_LITERAL("eligible.leader.replicas.version")),
                     1);
    const struct image_config *cluster =
        image_config(image, CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""));
    assert_true(view_equal(image_config_value(cluster, VIEW_LITERAL("min.insync.replicas")),
                           VIEW_LITERAL("1")));
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

static void voters_of_another_node_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    prepare(&fixture, true);
    fixture.directory_id.bytes[0] ^= 1;
    fixture_start(&fixture);
    assert_false(fixture.is_ready);
    assert_string_not_equal(fixture.failure, "");
    fixture_stop(&fixture);
    fixture_deinit(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_kafka_wrote_is_loaded),
        cmocka_unit_test(a_directory_that_kafka_only_formatted_begins_with_its_features),
        cmocka_unit_test(voters_of_another_node_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
