/*
 * Changes and what they are refused with. The codes are those that Kafka 4.2 gave to the same
 * requests; the texts are ours.
 */
#include "config/alter.h"

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

struct single {
    enum config_scope scope;
    bool cluster_default;
    int8_t operation;
    const char *name;
    const char *value; /* NULL: null */
    enum config_refusal refusal;
};

static void alter_one(const struct single *single, const struct config_set *existing,
                      struct config_altered *altered)
{
    static struct config_change change;
    change = (struct config_change){view_of_string(single->name), single->operation,
                                    view_of_string(single->value)};
    struct config_alter_request request = {
        .scope = single->scope,
        .cluster_default = single->cluster_default,
        .existing = *existing,
        .changes = &change,
        .change_count = 1,
    };
    if (single->scope == CONFIG_SCOPE_BROKER && !single->cluster_default)
        request.layers.dynamic_broker = existing;
    config_alter_incremental(&request, altered, &arena);
}

static void single_changes_are_judged_as_kafka_does(void **state)
{
    (void)state;
    const enum config_scope topic = CONFIG_SCOPE_TOPIC;
    const enum config_scope broker = CONFIG_SCOPE_BROKER;
    const enum config_scope group = CONFIG_SCOPE_GROUP;
    const enum config_scope metrics = CONFIG_SCOPE_CLIENT_METRICS;
    const struct single cases[] = {
        {topic, false, CONFIG_SET, "retention.ms", " 7 ", CONFIG_ACCEPTED},
        {topic, false, CONFIG_SET, "no.such", "7", CONFIG_INVALID_CONFIG},
        {topic, false, CONFIG_DELETE, "no.such", NULL, CONFIG_ACCEPTED},
        {topic, false, CONFIG_SET, "retention.ms", "-7", CONFIG_INVALID_CONFIG},
        {topic, false, CONFIG_SET, "retention.ms", NULL, CONFIG_INVALID_REQUEST},
        {topic, false, 7, "retention.ms", "7", CONFIG_INVALID_REQUEST},
        {topic, false, -1, "retention.ms", "7", CONFIG_INVALID_REQUEST},
        {topic, false, CONFIG_APPEND, "retention.ms", "7", CONFIG_INVALID_CONFIG},
        {topic, false, CONFIG_SUBTRACT, "retention.ms", "7", CONFIG_INVALID_CONFIG},
        {topic, false, CONFIG_APPEND, "no.such", "7", CONFIG_INVALID_CONFIG},
        {topic, false, CONFIG_APPEND, "cleanup.policy", "compact", CONFIG_ACCEPTED},
        {topic, false, CONFIG_APPEND, "cleanup.policy", "bogus", CONFIG_INVALID_CONFIG},
        {topic, false, CONFIG_SUBTRACT, "cleanup.policy", "delete", CONFIG_ACCEPTED},
        {topic, false, CONFIG_SET, "message.format.version", "3.0", CONFIG_INVALID_CONFIG},
        {topic, false, CONFIG_SET, "remote.storage.enable", "true", CONFIG_INVALID_CONFIG},
        {topic, false, CONFIG_SET, "remote.log.copy.disable", "true", CONFIG_ACCEPTED},
        {topic, false, CONFIG_SET, "internal.segment.bytes", "1000", CONFIG_ACCEPTED},
        {broker, true, CONFIG_SET, "log.retention.ms", "7000", CONFIG_ACCEPTED},
        {broker, true, CONFIG_SET, "log.retention.hours", "7", CONFIG_INVALID_REQUEST},
        {broker, false, CONFIG_SET, "num.partitions", "7", CONFIG_INVALID_REQUEST},
        {broker, false, CONFIG_SET, "no.such", "7", CONFIG_ACCEPTED},
        {broker, true, CONFIG_SET, "no.such", "7", CONFIG_ACCEPTED},
        {broker, false, CONFIG_SET, "log.segment.bytes", "7", CONFIG_INVALID_REQUEST},
        {broker, false, CONFIG_SET, "leader.replication.throttled.rate", "7", CONFIG_ACCEPTED},
        {broker, false, CONFIG_APPEND, "log.cleanup.policy", "compact", CONFIG_ACCEPTED},
        {broker, false, CONFIG_APPEND, "log.segment.bytes", "1", CONFIG_INVALID_CONFIG},
        {broker, false, CONFIG_DELETE, "log.retention.hours", NULL, CONFIG_ACCEPTED},
        {broker, true, CONFIG_SET, "listeners", "PLAINTEXT://:1", CONFIG_INVALID_REQUEST},
        {broker, true, CONFIG_SET, "ssl.keystore.password", "x", CONFIG_INVALID_REQUEST},
        {broker, false, CONFIG_SET, "ssl.keystore.password", "x", CONFIG_INVALID_REQUEST},
        {broker, false, CONFIG_SET, "listener.name.a.ssl.keystore.type", "PEM", CONFIG_ACCEPTED},
        {broker, true, CONFIG_SET, "listener.name.a.ssl.keystore.type", "PEM",
         CONFIG_INVALID_REQUEST},
        {broker, false, CONFIG_SET, "num.io.threads", "100", CONFIG_INVALID_REQUEST},
        {broker, false, CONFIG_SET, "num.io.threads", "3", CONFIG_INVALID_REQUEST},
        {broker, false, CONFIG_SET, "num.io.threads", "16", CONFIG_ACCEPTED},
        {broker, true, CONFIG_SET, "max.connections", "9", CONFIG_ACCEPTED},
        {broker, false, CONFIG_SET, "listener.name.a.max.connections", "9", CONFIG_ACCEPTED},
        {broker, true, CONFIG_SET, "klamm.durability", "cache", CONFIG_ACCEPTED},
        {broker, false, CONFIG_SET, "klamm.shards", "2", CONFIG_INVALID_REQUEST},
        {group, false, CONFIG_SET, "consumer.session.timeout.ms", "50000", CONFIG_ACCEPTED},
        {group, false, CONFIG_SET, "consumer.session.timeout.ms", "5", CONFIG_INVALID_CONFIG},
        {group, false, CONFIG_SET, "consumer.session.timeout.ms", "60001", CONFIG_INVALID_CONFIG},
        {group, false, CONFIG_SET, "consumer.heartbeat.interval.ms", "15000", CONFIG_ACCEPTED},
        {group, false, CONFIG_SET, "no.such", "5", CONFIG_INVALID_CONFIG},
        {group, false, CONFIG_SET, "streams.num.standby.replicas", "5", CONFIG_INVALID_CONFIG},
        {group, false, CONFIG_SET, "share.auto.offset.reset", "by_duration:P1D", CONFIG_ACCEPTED},
        {metrics, false, CONFIG_SET, "interval.ms", "5000", CONFIG_ACCEPTED},
        {metrics, false, CONFIG_SET, "interval.ms", "5", CONFIG_INVALID_REQUEST},
        {metrics, false, CONFIG_SET, "match", "bogus", CONFIG_INVALID_CONFIG},
        {metrics, false, CONFIG_SET, "match", "client_id=a.*", CONFIG_ACCEPTED},
        {metrics, false, CONFIG_SET, "no.such", "5", CONFIG_INVALID_REQUEST},
        {metrics, false, CONFIG_SET, "metrics", "*", CONFIG_ACCEPTED},
    };
    struct config_set none = CONFIG_SET_EMPTY;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_altered altered;
        alter_one(&cases[i], &none, &altered);
        if (altered.refusal != cases[i].refusal)
            fail_msg("%s: refusal %d (%.*s)", cases[i].name, (int)altered.refusal,
                     (int)altered.message.size, (const char *)altered.message.data);
        assert_int_equal(view_is_null(altered.message), altered.refusal == CONFIG_ACCEPTED);
        if (altered.refusal != CONFIG_ACCEPTED)
            assert_int_equal(altered.entry_count, 0);
    }
}

static void lists_grow_and_shrink_from_what_is_stored_or_the_default(void **state)
{
    (void)state;
    static const struct {
        const char *stored; /* NULL: not set */
        int8_t operation;
        const char *items;
        const char *result; /* NULL: nothing to write */
    } cases[] = {
        {NULL, CONFIG_APPEND, "compact", "delete,compact"},
        {NULL, CONFIG_APPEND, "delete", "delete"},
        {"delete", CONFIG_APPEND, "delete", NULL},
        {"compact", CONFIG_APPEND, "delete", "compact,delete"},
        {"compact", CONFIG_APPEND, " delete , compact ", "compact,delete"},
        {"compact,delete", CONFIG_SUBTRACT, "compact", "delete"},
        {"compact,delete", CONFIG_SUBTRACT, "delete,compact", ""},
        {"compact", CONFIG_SUBTRACT, "delete", NULL},
        {NULL, CONFIG_SUBTRACT, "delete", ""},
        {"", CONFIG_APPEND, "compact", "compact"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_entry entry = {VIEW_LITERAL("cleanup.policy"),
                                     view_of_string(cases[i].stored)};
        struct config_set existing;
        struct config_altered altered;
        assert_true(config_set_build(&existing, &entry, 1, &arena));
        struct single single = {CONFIG_SCOPE_TOPIC, false,          cases[i].operation,
                                "cleanup.policy",   cases[i].items, CONFIG_ACCEPTED};
        alter_one(&single, &existing, &altered);
        assert_int_equal(altered.refusal, CONFIG_ACCEPTED);
        assert_int_equal(altered.entry_count, cases[i].result != NULL);
        if (cases[i].result)
            assert_true(view_equal(altered.entries[0].value, view_of_string(cases[i].result)));
    }
}

static void a_change_gives_entries_and_the_set_after_it(void **state)
{
    (void)state;
    struct config_entry stored[] = {
        {VIEW_LITERAL("retention.ms"), VIEW_LITERAL("5")},
        {VIEW_LITERAL("segment.ms"), VIEW_LITERAL("6")},
    };
    struct config_change changes[] = {
        {VIEW_LITERAL("segment.ms"), CONFIG_DELETE, VIEW_NULL},
        {VIEW_LITERAL("retention.ms"), CONFIG_SET, VIEW_LITERAL("5")},
        {VIEW_LITERAL("flush.ms"), CONFIG_SET, VIEW_LITERAL("9")},
        {VIEW_LITERAL("preallocate"), CONFIG_DELETE, VIEW_NULL},
    };
    struct config_alter_request request = {
        .scope = CONFIG_SCOPE_TOPIC, .changes = changes, .change_count = 4};
    struct config_altered altered;
    assert_true(config_set_build(&request.existing, stored, 2, &arena));
    config_alter_incremental(&request, &altered, &arena);
    assert_int_equal(altered.refusal, CONFIG_ACCEPTED);
    assert_int_equal(altered.entry_count, 2);
    assert_true(view_equal(altered.entries[0].name, VIEW_LITERAL("flush.ms")));
    assert_true(view_equal(altered.entries[1].name, VIEW_LITERAL("segment.ms")));
    assert_true(view_is_null(altered.entries[1].value));
    assert_int_equal(altered.result.count, 2);
    assert_true(
        view_equal(config_set_get(&altered.result, VIEW_LITERAL("flush.ms")), VIEW_LITERAL("9")));
}

static void replacing_removes_what_is_not_named(void **state)
{
    (void)state;
    struct config_entry stored[] = {
        {VIEW_LITERAL("retention.ms"), VIEW_LITERAL("5")},
        {VIEW_LITERAL("segment.ms"), VIEW_LITERAL("6")},
    };
    struct config_change change = {VIEW_LITERAL("flush.ms"), CONFIG_SET, VIEW_LITERAL("9")};
    struct config_alter_request request = {
        .scope = CONFIG_SCOPE_TOPIC, .changes = &change, .change_count = 1};
    struct config_altered altered;
    assert_true(config_set_build(&request.existing, stored, 2, &arena));
    config_alter_replace(&request, &altered, &arena);
    assert_int_equal(altered.refusal, CONFIG_ACCEPTED);
    assert_int_equal(altered.entry_count, 3);
    assert_int_equal(altered.result.count, 1);
    request.change_count = 0;
    config_alter_replace(&request, &altered, &arena);
    assert_int_equal(altered.entry_count, 2);
    assert_int_equal(altered.result.count, 0);
}

static void a_key_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    struct config_change changes[] = {
        {VIEW_LITERAL("flush.ms"), CONFIG_SET, VIEW_LITERAL("9")},
        {VIEW_LITERAL("flush.ms"), CONFIG_DELETE, VIEW_NULL},
    };
    struct config_alter_request request = {
        .scope = CONFIG_SCOPE_TOPIC, .changes = changes, .change_count = 2};
    struct config_altered altered;
    config_alter_incremental(&request, &altered, &arena);
    assert_int_equal(altered.refusal, CONFIG_INVALID_REQUEST);
    config_alter_replace(&request, &altered, &arena);
    assert_int_equal(altered.refusal, CONFIG_INVALID_REQUEST);
}

static void an_old_bad_value_does_not_block_its_repair(void **state)
{
    (void)state;
    struct config_entry stored[] = {
        {VIEW_LITERAL("gone.key"), VIEW_LITERAL("x")},
        {VIEW_LITERAL("retention.ms"), VIEW_LITERAL("bad")},
    };
    struct config_change change = {VIEW_LITERAL("flush.ms"), CONFIG_SET, VIEW_LITERAL("9")};
    struct config_alter_request request = {
        .scope = CONFIG_SCOPE_TOPIC, .changes = &change, .change_count = 1};
    struct config_altered altered;
    assert_true(config_set_build(&request.existing, stored, 2, &arena));
    config_alter_incremental(&request, &altered, &arena);
    assert_int_equal(altered.refusal, CONFIG_ACCEPTED);
}

static void a_broker_key_is_written_again_so_that_files_are_reloaded(void **state)
{
    (void)state;
    struct config_entry stored = {VIEW_LITERAL("log.retention.ms"), VIEW_LITERAL("9")};
    struct config_set existing;
    struct config_altered altered;
    assert_true(config_set_build(&existing, &stored, 1, &arena));
    struct single single = {CONFIG_SCOPE_BROKER, true, CONFIG_SET,
                            "log.retention.ms",  "9",  CONFIG_ACCEPTED};
    alter_one(&single, &existing, &altered);
    assert_int_equal(altered.entry_count, 1);
}

static void a_new_topics_settings_are_checked_whole(void **state)
{
    (void)state;
    struct config_entry good[] = {{VIEW_LITERAL("cleanup.policy"), VIEW_LITERAL("compact")}};
    struct config_entry bad[] = {{VIEW_LITERAL("min.compaction.lag.ms"), VIEW_LITERAL("9")},
                                 {VIEW_LITERAL("max.compaction.lag.ms"), VIEW_LITERAL("8")}};
    struct config_alter_request request = {.scope = CONFIG_SCOPE_TOPIC};
    struct config_altered altered;
    struct config_set set;
    assert_true(config_set_build(&set, good, 1, &arena));
    config_check(&request, &set, &altered, &arena);
    assert_int_equal(altered.refusal, CONFIG_ACCEPTED);
    assert_true(config_set_build(&set, bad, 2, &arena));
    config_check(&request, &set, &altered, &arena);
    assert_int_equal(altered.refusal, CONFIG_INVALID_CONFIG);
}

static void a_refusing_arena_is_an_answer(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 3000; limit += 61) {
        struct arena tight;
        struct config_change change = {VIEW_LITERAL("cleanup.policy"), CONFIG_APPEND,
                                       VIEW_LITERAL("compact")};
        struct config_alter_request request = {
            .scope = CONFIG_SCOPE_TOPIC, .changes = &change, .change_count = 1};
        struct config_altered altered;
        arena_init(&tight, &heap, MEMORY_SCRATCH, limit);
        config_alter_incremental(&request, &altered, &tight);
        if (altered.refusal == CONFIG_OUT_OF_MEMORY)
            assert_int_equal(altered.entry_count, 0);
        arena_deinit(&tight);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_changes_are_judged_as_kafka_does),
        cmocka_unit_test(lists_grow_and_shrink_from_what_is_stored_or_the_default),
        cmocka_unit_test(a_change_gives_entries_and_the_set_after_it),
        cmocka_unit_test(replacing_removes_what_is_not_named),
        cmocka_unit_test(a_key_that_is_there_twice_is_refused),
        cmocka_unit_test(an_old_bad_value_does_not_block_its_repair),
        cmocka_unit_test(a_broker_key_is_written_again_so_that_files_are_reloaded),
        cmocka_unit_test(a_new_topics_settings_are_checked_whole),
        cmocka_unit_test(a_refusing_arena_is_an_answer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
