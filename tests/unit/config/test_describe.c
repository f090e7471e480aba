/*
 * The same settings as in the recording, asked of config_describe, line by line; then the options
 * of the request.
 */
#include "config/describe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/text.h"
#include "tests/unit/config/golden.h"

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

#define ENTRY(key, text)                                                                           \
    {                                                                                              \
        VIEW_LITERAL(key), VIEW_LITERAL(text)                                                      \
    }
#define SET(name, entries)                                                                         \
    struct config_set name;                                                                        \
    assert_true(config_set_build(&name, entries, sizeof(entries) / sizeof(entries[0]), &arena))

/* What stood in server.properties, and what was altered, when the recording was made. */
struct recorded {
    struct config_set file;
    struct config_set cluster;
    struct config_set broker;
    struct config_set topic;
    struct config_set group;
    struct config_set metrics;
};

static void set_up(struct recorded *recorded)
{
    const struct config_entry file[] = {
        ENTRY("process.roles", "broker,controller"),
        ENTRY("node.id", "1"),
        ENTRY("broker.id", "1"),
        ENTRY("controller.quorum.voters", "1@127.0.0.1:39193"),
        ENTRY("listeners", "PLAINTEXT://127.0.0.1:39192,CONTROLLER://127.0.0.1:39193"),
        ENTRY("controller.listener.names", "CONTROLLER"),
        ENTRY("log.dirs", "/data"),
        ENTRY("log.retention.hours", "24"),
        ENTRY("log.roll.ms", "3600000"),
        ENTRY("my.own.key", "abc"),
        ENTRY("ssl.key.password", "secret"),
        ENTRY("num.partitions", "3"),
        ENTRY("offsets.topic.replication.factor", "1"),
        ENTRY("share.coordinator.state.topic.replication.factor", "1"),
        ENTRY("transaction.state.log.replication.factor", "1"),
    };
    const struct config_entry cluster[] = {
        ENTRY("log.retention.ms", "7000"),
        ENTRY("log.flush.interval.ms", "5"),
        ENTRY("max.connections", "9"),
        ENTRY("min.insync.replicas", "1"),
        ENTRY("no.such", "7"),
    };
    const struct config_entry broker[] = {
        ENTRY("log.segment.bytes", " 2097152 "),
        ENTRY("leader.replication.throttled.rate", "7"),
        ENTRY("log.cleanup.policy", "compact"),
        ENTRY("listener.name.plaintext.ssl.keystore.type", "PEM"),
        ENTRY("listener.name.plaintext.max.connections", "900"),
    };
    const struct config_entry topic[] = {
        ENTRY("retention.ms", "5000"),
        ENTRY("cleanup.policy", "delete,compact"),
        ENTRY("min.compaction.lag.ms", "9000"),
        ENTRY("remote.log.copy.disable", "true"),
        ENTRY("segment.ms", " 77 "),
        ENTRY("internal.segment.bytes", "1000"),
        ENTRY("leader.replication.throttled.replicas", "0:1,0:2,0:3"),
        ENTRY("local.retention.ms", "999999999"),
    };
    const struct config_entry group[] = {
        ENTRY("consumer.session.timeout.ms", "50000"),
        ENTRY("consumer.heartbeat.interval.ms", "15000"),
    };
    const struct config_entry metrics[] = {
        ENTRY("interval.ms", "5000"),
        ENTRY("match", "client_id=a.*"),
        ENTRY("metrics", "*"),
    };
    SET(file_set, file);
    SET(cluster_set, cluster);
    SET(broker_set, broker);
    SET(topic_set, topic);
    SET(group_set, group);
    SET(metrics_set, metrics);
    *recorded =
        (struct recorded){file_set, cluster_set, broker_set, topic_set, group_set, metrics_set};
}

/* The request behind a resource of the recording. */
static struct config_describe_request request_for(const struct recorded *recorded,
                                                  struct view resource)
{
    struct config_describe_request request = {.with_synonyms = true};
    request.layers =
        (struct config_layers){NULL, &recorded->broker, &recorded->cluster, &recorded->file};
    if (view_equal(resource, VIEW_LITERAL("default"))) {
        request.cluster_default = true;
    } else if (view_equal(resource, VIEW_LITERAL("topic"))) {
        request.scope = CONFIG_SCOPE_TOPIC;
        request.layers.topic = &recorded->topic;
    } else if (text_starts_with(resource, VIEW_LITERAL("group"))) {
        request.scope = CONFIG_SCOPE_GROUP;
        request.layers.topic =
            view_equal(resource, VIEW_LITERAL("group")) ? &recorded->group : NULL;
    } else if (text_starts_with(resource, VIEW_LITERAL("metrics"))) {
        request.scope = CONFIG_SCOPE_CLIENT_METRICS;
        request.layers.topic =
            view_equal(resource, VIEW_LITERAL("metrics")) ? &recorded->metrics : NULL;
    }
    return request;
}

/* An entry in the recording's notation. */
static void print_entry(const struct config_described *entry, char *text, size_t size)
{
    struct text_builder builder;
    text_builder_init(&builder, text, size);
    if (view_is_null(entry->value))
        text_append_string(&builder, "null");
    else
        text_append_format(&builder, "'%.*s'", (int)entry->value.size,
                           (const char *)entry->value.data);
    text_append_format(&builder, "\t%d\t%s\t%s\t%s\t", (int)entry->source,
                       config_type_name(entry->type), entry->is_read_only ? "ro" : "rw",
                       entry->is_sensitive ? "secret" : "plain");
    for (size_t i = 0; i < entry->synonym_count; i++) {
        const struct config_described_synonym *synonym = &entry->synonyms[i];
        struct view value = view_is_null(synonym->value) ? VIEW_LITERAL("null") : synonym->value;
        text_append_format(&builder, "%s%.*s=%.*s@%d", i > 0 ? " " : "", (int)synonym->name.size,
                           (const char *)synonym->name.data, (int)value.size,
                           (const char *)value.data, (int)synonym->source);
    }
    assert_false(builder.truncated);
}

static void join_fields(const struct golden_line *line, char *text, size_t size)
{
    struct text_builder builder;
    text_builder_init(&builder, text, size);
    for (size_t i = 2; i < line->count; i++) {
        text_append_string(&builder, i > 2 ? "\t" : "");
        text_append(&builder, line->fields[i]);
    }
}

/* Entries that differ on purpose. */
static const struct {
    const char *resource;
    const char *key;
    const char *why;
} differences[] = {
    {"broker", "log.retention.hours",
     "Kafka forgets the file's value once a dynamic one of its synonyms is there"},
};

static bool is_difference(struct view resource, struct view key)
{
    for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
        if (view_equal(resource, view_of_string(differences[i].resource)) &&
            view_equal(key, view_of_string(differences[i].key)))
            return true;
    }
    return false;
}

static bool is_own(struct view name)
{
    return text_starts_with(name, VIEW_LITERAL("klamm."));
}

static void entries_are_described_as_kafka_does(void **state)
{
    (void)state;
    struct recorded recorded;
    set_up(&recorded);
    struct golden golden = golden_open("describe.tsv", &arena);
    struct golden_line line;
    struct view resource = VIEW_NULL;
    struct config_described_list list = {NULL, 0};
    size_t at = 0;
    size_t wrong = 0;
    while (golden_next(&golden, &line)) {
        char want[1024];
        char have[1024];
        if (!view_equal(resource, line.fields[0])) {
            while (at < list.count && is_own(list.items[at].name))
                at++;
            assert_int_equal(at, list.count);
            resource = line.fields[0];
            struct config_describe_request request = request_for(&recorded, resource);
            assert_true(config_describe(&request, &list, &arena));
            at = 0;
        }
        while (at < list.count && is_own(list.items[at].name))
            at++;
        assert_true(at < list.count);
        if (!view_equal(list.items[at].name, line.fields[1]))
            fail_msg("%.*s where Kafka has %.*s", (int)list.items[at].name.size,
                     (const char *)list.items[at].name.data, (int)line.fields[1].size,
                     (const char *)line.fields[1].data);
        join_fields(&line, want, sizeof(want));
        print_entry(&list.items[at++], have, sizeof(have));
        if (strcmp(want, have) != 0 && !is_difference(resource, line.fields[1])) {
            print_error("%.*s %.*s\n  have %s\n  want %s\n", (int)resource.size,
                        (const char *)resource.data, (int)line.fields[1].size,
                        (const char *)line.fields[1].data, have, want);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void wanted_keys_alone_are_answered_and_unknown_ones_left_out(void **state)
{
    (void)state;
    const struct view keys[] = {VIEW_LITERAL("retention.ms"), VIEW_LITERAL("no.such"),
                                VIEW_LITERAL("segment.bytes")};
    struct config_describe_request request = {
        .scope = CONFIG_SCOPE_TOPIC, .keys = keys, .key_count = 3};
    struct config_described_list list;
    assert_true(config_describe(&request, &list, &arena));
    assert_int_equal(list.count, 2);
    assert_true(view_equal(list.items[0].name, keys[0]));
    assert_true(view_equal(list.items[1].name, keys[2]));
}

static void synonyms_and_documentation_come_only_when_asked(void **state)
{
    (void)state;
    const struct view key = VIEW_LITERAL("retention.ms");
    struct config_describe_request request = {
        .scope = CONFIG_SCOPE_TOPIC, .keys = &key, .key_count = 1};
    struct config_described_list list;
    assert_true(config_describe(&request, &list, &arena));
    assert_int_equal(list.items[0].synonym_count, 0);
    assert_true(view_is_null(list.items[0].documentation));
    request.with_documentation = true;
    assert_true(config_describe(&request, &list, &arena));
    assert_true(list.items[0].documentation.size > 0);
}

static void a_file_value_shows_its_source_on_the_topic(void **state)
{
    (void)state;
    const struct config_entry file[] = {ENTRY("log.retention.ms", "60000"),
                                        ENTRY("klamm.durability", "cache")};
    SET(file_set, file);
    const struct view keys[] = {VIEW_LITERAL("retention.ms"), VIEW_LITERAL("klamm.durability")};
    struct config_describe_request request = {
        .scope = CONFIG_SCOPE_TOPIC, .keys = keys, .key_count = 2, .layers = {.file = &file_set}};
    struct config_described_list list;
    assert_true(config_describe(&request, &list, &arena));
    assert_int_equal(list.count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(list.items[i].source, CONFIG_SOURCE_FILE);
    assert_true(view_equal(list.items[0].value, VIEW_LITERAL("cache")));
    assert_true(view_equal(list.items[1].value, VIEW_LITERAL("60000")));
}

static void a_group_without_override_takes_the_brokers_value(void **state)
{
    (void)state;
    const struct config_entry file[] = {ENTRY("group.consumer.session.timeout.ms", "47000")};
    SET(file_set, file);
    const struct view key = VIEW_LITERAL("consumer.session.timeout.ms");
    struct config_describe_request request = {
        .scope = CONFIG_SCOPE_GROUP, .keys = &key, .key_count = 1, .layers = {.file = &file_set}};
    struct config_described_list list;
    assert_true(config_describe(&request, &list, &arena));
    assert_true(view_equal(list.items[0].value, VIEW_LITERAL("47000")));
    assert_int_equal(list.items[0].source, CONFIG_SOURCE_DEFAULT);
}

static void a_refusing_arena_gives_false(void **state)
{
    (void)state;
    struct arena tight;
    struct config_describe_request request = {.scope = CONFIG_SCOPE_TOPIC, .with_synonyms = true};
    struct config_described_list list;
    arena_init(&tight, &heap, MEMORY_SCRATCH, 600);
    assert_false(config_describe(&request, &list, &tight));
    arena_deinit(&tight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_described_as_kafka_does),
        cmocka_unit_test(wanted_keys_alone_are_answered_and_unknown_ones_left_out),
        cmocka_unit_test(synonyms_and_documentation_come_only_when_asked),
        cmocka_unit_test(a_file_value_shows_its_source_on_the_topic),
        cmocka_unit_test(a_group_without_override_takes_the_brokers_value),
        cmocka_unit_test(a_refusing_arena_gives_false),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
