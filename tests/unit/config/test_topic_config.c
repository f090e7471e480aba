/*
 * Which layer a topic's value comes from, and which sets of overrides are refused.
 */
#include "config/topic_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct heap heap;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static struct config_set set_of(const char *name, const char *value)
{
    struct config_set set;
    struct config_entry entry = {view_of_string(name), view_of_string(value)};
    assert_true(config_set_build(&set, &entry, 1, &arena));
    return set;
}

static void defaults_are_kafkas(void **state)
{
    (void)state;
    struct topic_config config;
    topic_config_default(&config, &arena);
    assert_true(config.cleanup_delete);
    assert_false(config.cleanup_compact);
    assert_int_equal(config.compression_type, TOPIC_COMPRESSION_PRODUCER);
    assert_int_equal(config.compression_gzip_level, -1);
    assert_int_equal(config.delete_retention_ms, 86400000);
    assert_true(config.flush_messages == INT64_MAX && config.flush_ms == INT64_MAX);
    assert_int_equal(config.max_message_bytes, 1048588);
    assert_int_equal(config.message_timestamp_after_max_ms, 3600000);
    assert_true(config.min_cleanable_dirty_ratio == 0.5);
    assert_int_equal(config.min_insync_replicas, 1);
    assert_int_equal(config.retention_ms, 604800000);
    assert_int_equal(config.retention_bytes, -1);
    assert_int_equal(config.segment_bytes, 1073741824);
    assert_int_equal(config.segment_index_bytes, 10485760);
    assert_int_equal(config.segment_ms, 604800000);
    assert_int_equal(config.segment_jitter_ms, 0);
    assert_false(config.unclean_leader_election_enable);
    assert_int_equal(config.durability, TOPIC_DURABILITY_SYNC);
}

static void the_most_specific_layer_wins(void **state)
{
    (void)state;
    struct config_set topic = set_of("retention.ms", "1");
    struct config_set broker = set_of("log.retention.ms", "2");
    struct config_set cluster = set_of("log.retention.ms", "3");
    struct config_set file = set_of("log.retention.ms", "4");
    struct config_layers layers = {&topic, &broker, &cluster, &file};
    struct topic_config config;
    topic_config_resolve(&config, &layers, &arena);
    assert_int_equal(config.retention_ms, 1);
    layers.topic = NULL;
    topic_config_resolve(&config, &layers, &arena);
    assert_int_equal(config.retention_ms, 2);
    layers.dynamic_broker = NULL;
    topic_config_resolve(&config, &layers, &arena);
    assert_int_equal(config.retention_ms, 3);
    layers.dynamic_cluster = NULL;
    topic_config_resolve(&config, &layers, &arena);
    assert_int_equal(config.retention_ms, 4);
}

static void finer_units_win_and_coarser_ones_are_converted(void **state)
{
    (void)state;
    static const struct {
        const char *entries[3][2];
        int64_t retention_ms;
    } cases[] = {
        {{{"log.retention.hours", "2"}}, 7200000},
        {{{"log.retention.hours", "2"}, {"log.retention.minutes", "3"}}, 180000},
        {{{"log.retention.hours", "2"}, {"log.retention.minutes", "3"}, {"log.retention.ms", "4"}},
         4},
        {{{"log.retention.hours", "-1"}}, -1},
        {{{"log.retention.minutes", "-1"}}, -1},
        {{{"log.retention.hours", "2147483647"}}, INT64_C(7730941129200000)},
        {{{"log.retention.ms", "not a number"}, {"log.retention.hours", "1"}}, 3600000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_entry entries[3];
        size_t count = 0;
        struct config_set file;
        for (; count < 3 && cases[i].entries[count][0]; count++)
            entries[count] = (struct config_entry){view_of_string(cases[i].entries[count][0]),
                                                   view_of_string(cases[i].entries[count][1])};
        assert_true(config_set_build(&file, entries, count, &arena));
        struct config_layers layers = {.file = &file};
        struct topic_config config;
        topic_config_resolve(&config, &layers, &arena);
        assert_int_equal(config.retention_ms, cases[i].retention_ms);
    }
}

static void choices_become_enums(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum topic_compression compression;
    } cases[] = {
        {"uncompressed", TOPIC_COMPRESSION_NONE}, {"gzip", TOPIC_COMPRESSION_GZIP},
        {"snappy", TOPIC_COMPRESSION_SNAPPY},     {"lz4", TOPIC_COMPRESSION_LZ4},
        {"zstd", TOPIC_COMPRESSION_ZSTD},         {"producer", TOPIC_COMPRESSION_PRODUCER},
    };
    struct topic_config config;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_set topic = set_of("compression.type", cases[i].text);
        struct config_layers layers = {.topic = &topic};
        topic_config_resolve(&config, &layers, &arena);
        assert_int_equal(config.compression_type, cases[i].compression);
    }
    struct config_set append_time = set_of("message.timestamp.type", "LogAppendTime");
    struct config_layers layers = {.topic = &append_time};
    topic_config_resolve(&config, &layers, &arena);
    assert_int_equal(config.message_timestamp_type, TOPIC_TIMESTAMP_LOG_APPEND);
    struct config_set both = set_of("cleanup.policy", "compact,delete");
    layers.topic = &both;
    topic_config_resolve(&config, &layers, &arena);
    assert_true(config.cleanup_delete && config.cleanup_compact);
    struct config_set none = set_of("cleanup.policy", "");
    layers.topic = &none;
    topic_config_resolve(&config, &layers, &arena);
    assert_false(config.cleanup_delete || config.cleanup_compact);
}

static void one_message_a_flush_means_sync(void **state)
{
    (void)state;
    struct config_set file = set_of("klamm.durability", "cache");
    struct config_set flush = set_of("flush.messages", "1");
    struct config_set own = set_of("klamm.durability", "sync");
    struct config_layers layers = {.file = &file};
    struct topic_config config;
    topic_config_resolve(&config, &layers, &arena);
    assert_int_equal(config.durability, TOPIC_DURABILITY_CACHE);
    layers.topic = &flush;
    topic_config_resolve(&config, &layers, &arena);
    assert_int_equal(config.durability, TOPIC_DURABILITY_SYNC);
    layers.topic = &own;
    topic_config_resolve(&config, &layers, &arena);
    assert_int_equal(config.durability, TOPIC_DURABILITY_SYNC);
}

static void overrides_on_a_resolved_base_equal_a_full_resolution(void **state)
{
    (void)state;
    static const char *const overrides[][2] = {
        {"retention.ms", "5"},
        {"cleanup.policy", "compact"},
        {"flush.messages", "1000"},
        {"flush.messages", "1"},
        {"klamm.durability", "sync"},
        {"klamm.durability", "cache"},
        {"compression.type", "lz4"},
        {"segment.bytes", "2000000"},
        {"internal.segment.bytes", "9"},
        {"retention.ms", "bad"},
        {"no.such", "1"},
        {"preallocate", "true"},
        {"min.cleanable.dirty.ratio", "0.1"},
        {"message.timestamp.type", "LogAppendTime"},
        {"leader.replication.throttled.replicas", "0:1"},
    };
    static const char *const bases[][2] = {{"log.flush.interval.messages", "1"},
                                           {"klamm.durability", "cache"},
                                           {"log.roll.hours", "1"}};
    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        struct config_set file = set_of(bases[i][0], bases[i][1]);
        struct config_layers layers = {.file = &file};
        struct topic_config base;
        topic_config_resolve(&base, &layers, &arena);
        for (size_t j = 0; j < sizeof(overrides) / sizeof(overrides[0]); j++) {
            struct config_set topic = set_of(overrides[j][0], overrides[j][1]);
            struct topic_config whole;
            struct topic_config quick;
            layers.topic = &topic;
            topic_config_resolve(&whole, &layers, &arena);
            topic_config_override(&quick, &base, &topic, &arena);
            layers.topic = NULL;
            assert_int_equal(whole.cleanup_delete, quick.cleanup_delete);
            assert_int_equal(whole.cleanup_compact, quick.cleanup_compact);
            assert_int_equal(whole.compression_type, quick.compression_type);
            assert_int_equal(whole.flush_messages, quick.flush_messages);
            assert_int_equal(whole.message_timestamp_type, quick.message_timestamp_type);
            assert_true(whole.min_cleanable_dirty_ratio == quick.min_cleanable_dirty_ratio);
            assert_int_equal(whole.preallocate, quick.preallocate);
            assert_int_equal(whole.retention_ms, quick.retention_ms);
            assert_int_equal(whole.segment_bytes, quick.segment_bytes);
            assert_int_equal(whole.segment_ms, quick.segment_ms);
            assert_int_equal(whole.durability, quick.durability);
            assert_true(
                view_equal(whole.leader_throttled_replicas, quick.leader_throttled_replicas));
        }
    }
}

static void contradicting_overrides_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        bool allowed;
    } cases[] = {
        {"retention.ms", "5", true},
        {"min.compaction.lag.ms", "9000", true},
        {"min.compaction.lag.ms", "9223372036854775807", true},
        {"remote.storage.enable", "true", false},
        {"remote.storage.enable", "false", true},
    };
    struct config_layers none = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_set set = set_of(cases[i].name, cases[i].value);
        struct view error = VIEW_NULL;
        assert_int_equal(topic_config_check_together(&set, &none, &error, &arena),
                         cases[i].allowed);
        assert_int_equal(view_is_null(error), cases[i].allowed);
    }
    /* One key from the topic, the other from the file. */
    struct config_set minimum = set_of("min.compaction.lag.ms", "9000");
    struct config_set maximum = set_of("log.cleaner.max.compaction.lag.ms", "8000");
    struct config_layers layers = {.file = &maximum};
    struct view error = VIEW_NULL;
    assert_false(topic_config_check_together(&minimum, &layers, &error, &arena));
}

static void sets_sort_deduplicate_and_remove(void **state)
{
    (void)state;
    struct config_entry entries[] = {
        {VIEW_LITERAL("b"), VIEW_LITERAL("1")}, {VIEW_LITERAL("a"), VIEW_LITERAL("2")},
        {VIEW_LITERAL("b"), VIEW_LITERAL("3")}, {VIEW_LITERAL("c"), VIEW_LITERAL("4")},
        {VIEW_LITERAL("c"), VIEW_NULL},
    };
    struct config_set set;
    assert_true(config_set_build(&set, entries, 5, &arena));
    assert_int_equal(set.count, 2);
    assert_true(view_equal(config_set_get(&set, VIEW_LITERAL("a")), VIEW_LITERAL("2")));
    assert_true(view_equal(config_set_get(&set, VIEW_LITERAL("b")), VIEW_LITERAL("3")));
    assert_true(view_is_null(config_set_get(&set, VIEW_LITERAL("c"))));
    assert_true(view_is_null(config_set_get(NULL, VIEW_LITERAL("c"))));
    struct config_entry changes[] = {{VIEW_LITERAL("a"), VIEW_NULL},
                                     {VIEW_LITERAL("d"), VIEW_LITERAL("5")}};
    struct config_set after;
    assert_true(config_set_apply(&after, &set, changes, 2, &arena));
    assert_int_equal(after.count, 2);
    assert_true(view_equal(after.entries[0].name, VIEW_LITERAL("b")));
    assert_true(view_equal(after.entries[1].name, VIEW_LITERAL("d")));
    assert_int_equal(set.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_kafkas),
        cmocka_unit_test(the_most_specific_layer_wins),
        cmocka_unit_test(finer_units_win_and_coarser_ones_are_converted),
        cmocka_unit_test(choices_become_enums),
        cmocka_unit_test(one_message_a_flush_means_sync),
        cmocka_unit_test(overrides_on_a_resolved_base_equal_a_full_resolution),
        cmocka_unit_test(contradicting_overrides_are_refused),
        cmocka_unit_test(sets_sort_deduplicate_and_remove),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
