/*
 * Whole property files: what they become, and the one line that each mistake gets.
 */
#include "config/server_config.h"

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

static bool build(const char *text, const char *override, struct server_config *config,
                  struct config_report *report)
{
    struct view overrides[] = {view_of_string(override)};
    struct server_config_input input = {
        .file_name = VIEW_LITERAL("server.properties"),
        .file_text = view_of_string(text),
        .overrides = overrides,
        .override_count = override ? 1 : 0,
    };
    return server_config_build(config, &input, report, &arena);
}

static void assert_view(struct view have, const char *want)
{
    assert_true(view_equal(have, view_of_string(want)));
}

static void nothing_given_is_one_node_on_localhost(void **state)
{
    (void)state;
    struct server_config config;
    struct config_report report;
    assert_true(build(NULL, NULL, &config, &report));
    assert_int_equal(report.count, 0);
    assert_false(config.has_file);
    assert_int_equal(config.node_id, 1);
    assert_true(config.is_broker && config.is_controller);
    assert_int_equal(config.listener_count, 1);
    assert_view(config.listeners[0].name, "PLAINTEXT");
    assert_view(config.listeners[0].host, "localhost");
    assert_int_equal(config.listeners[0].port, 9092);
    assert_int_equal(config.advertised_count, 0);
    assert_int_equal(config.voter_count, 0);
    assert_int_equal(config.log_dirs.count, 1);
    assert_view(config.log_dirs.items[0], "./klamm-data");
    assert_view(config.metadata_log_dir, "./klamm-data");
    assert_view(config.inter_broker_listener_name, "PLAINTEXT");
    assert_true(config.settings.auto_create_topics_enable);
    assert_int_equal(config.settings.socket_request_max_bytes, 104857600);
    assert_int_equal(config.settings.klamm_flush_bytes, 64 << 20);
    assert_int_equal(config.settings.offsets_topic_replication_factor, 3);
    assert_false(server_config_is_set(&config, "offsets.topic.replication.factor"));
    assert_int_equal(config.topic_defaults.durability, TOPIC_DURABILITY_SYNC);
}

static void a_file_for_a_combined_kafka_node_works(void **state)
{
    (void)state;
    struct server_config config;
    struct config_report report;
    assert_true(build("process.roles=broker,controller\n"
                      "node.id=7\n"
                      "controller.quorum.bootstrap.servers=localhost:9093\n"
                      "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
                      "inter.broker.listener.name=PLAINTEXT\n"
                      "advertised.listeners=PLAINTEXT://kafka.example:9092,"
                      "CONTROLLER://kafka.example:9093\n"
                      "controller.listener.names=CONTROLLER\n"
                      "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n"
                      "num.network.threads=3\n"
                      "log.dirs=/a, /b\n"
                      "metadata.log.dir=/c\n"
                      "num.partitions=4\n"
                      "log.retention.hours=1\n",
                      NULL, &config, &report));
    assert_int_equal(config.node_id, 7);
    assert_int_equal(config.listener_count, 2);
    assert_false(config.listeners[0].is_controller);
    assert_true(config.listeners[1].is_controller);
    assert_view(config.listeners[0].host, "");
    assert_int_equal(config.advertised_count, 2);
    assert_view(config.advertised[0].host, "kafka.example");
    assert_int_equal(config.log_dirs.count, 2);
    assert_view(config.log_dirs.items[1], "/b");
    assert_view(config.metadata_log_dir, "/c");
    assert_int_equal(config.settings.num_partitions, 4);
    assert_int_equal(config.topic_defaults.retention_ms, 3600000);
    assert_int_equal(report.error_count, 0);
    assert_int_equal(report.count, 1);
    assert_int_equal(report.messages[0].severity, CONFIG_NOTICE);
}

static void voters_are_read(void **state)
{
    (void)state;
    struct server_config config;
    struct config_report report;
    assert_true(build("process.roles=controller\nnode.id=2\nlisteners=CTL://[::1]:9093\n"
                      "controller.listener.names=ctl\n"
                      "controller.quorum.voters=1@h1:9093,2@[::1]:9093\n",
                      NULL, &config, &report));
    assert_false(config.is_broker);
    assert_int_equal(config.voter_count, 2);
    assert_int_equal(config.voters[0].id, 1);
    assert_view(config.voters[0].host, "h1");
    assert_view(config.voters[1].host, "::1");
    assert_int_equal(config.voters[1].port, 9093);
}

static void a_node_knows_how_it_stands_to_the_quorum(void **state)
{
    (void)state;
    static const char both[] = "process.roles=broker,controller\nnode.id=1\n"
                               "controller.listener.names=CTL\n";
    static const struct {
        const char *listeners;
        const char *rest;
        enum config_quorum want;
    } rows[] = {
        {"PLAINTEXT://:9092,CTL://:9093", "", CONFIG_QUORUM_ALONE},
        {"PLAINTEXT://:9092,CTL://:9093", "controller.quorum.voters=1@h:9093\n",
         CONFIG_QUORUM_ALONE},
        {"PLAINTEXT://:9092,CTL://:9093", "controller.quorum.voters=1@h:9093,2@i:9093\n",
         CONFIG_QUORUM_VOTER},
        {"PLAINTEXT://:9092,CTL://:9093", "controller.quorum.bootstrap.servers=localhost:9093\n",
         CONFIG_QUORUM_ALONE},
        {"PLAINTEXT://:9092,CTL://0.0.0.0:9093",
         "controller.quorum.bootstrap.servers=127.0.0.1:9093\n", CONFIG_QUORUM_ALONE},
        {"PLAINTEXT://:9092,CTL://h:9093", "controller.quorum.bootstrap.servers=h:9093\n",
         CONFIG_QUORUM_ALONE},
        {"PLAINTEXT://:9092,CTL://:9093",
         "controller.quorum.bootstrap.servers=h:9999\n"
         "advertised.listeners=PLAINTEXT://h:9092,CTL://h:9999\n",
         CONFIG_QUORUM_ALONE},
        {"PLAINTEXT://:9092,CTL://h:9093", "controller.quorum.bootstrap.servers=localhost:9093\n",
         CONFIG_QUORUM_DYNAMIC},
        {"PLAINTEXT://:9092,CTL://:9093", "controller.quorum.bootstrap.servers=localhost:9094\n",
         CONFIG_QUORUM_DYNAMIC},
        {"PLAINTEXT://:9092,CTL://:9093",
         "controller.quorum.bootstrap.servers=localhost:9093,other:9093\n", CONFIG_QUORUM_DYNAMIC},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct server_config config;
        struct config_report report;
        char text[1024];
        snprintf(text, sizeof(text), "%slisteners=%s\n%s", both, rows[i].listeners, rows[i].rest);
        assert_true(build(text, NULL, &config, &report));
        assert_int_equal(server_config_quorum(&config), rows[i].want);
    }
    struct server_config config;
    struct config_report report;
    assert_true(build("process.roles=broker\nnode.id=4\nlisteners=PLAINTEXT://:9092\n"
                      "controller.listener.names=CTL\ncontroller.quorum.voters=1@h:9093\n",
                      NULL, &config, &report));
    assert_int_equal(server_config_quorum(&config), CONFIG_QUORUM_OBSERVER);
}

static void others_are_told_what_is_advertised(void **state)
{
    (void)state;
    struct server_config config;
    struct config_report report;
    assert_true(build("process.roles=broker,controller\nnode.id=1\n"
                      "listeners=PLAINTEXT://:9092,CTL://:9093\n"
                      "advertised.listeners=PLAINTEXT://h:19092\n"
                      "controller.listener.names=CTL\n",
                      NULL, &config, &report));
    assert_int_equal(server_config_endpoint(&config, VIEW_LITERAL("PLAINTEXT"))->port, 19092);
    assert_int_equal(server_config_controller_endpoint(&config)->port, 9093);
    assert_null(server_config_endpoint(&config, VIEW_LITERAL("OTHER")));
}

static void an_override_wins_over_the_file_and_over_nothing(void **state)
{
    (void)state;
    struct server_config config;
    struct config_report report;
    assert_true(build("num.partitions=2\nnum.partitions=3\n", NULL, &config, &report));
    assert_int_equal(config.settings.num_partitions, 3);
    assert_true(build("num.partitions=2\n", "num.partitions=5", &config, &report));
    assert_int_equal(config.settings.num_partitions, 5);
    assert_true(build(NULL, "listeners=PLAINTEXT://127.0.0.1:0", &config, &report));
    assert_int_equal(config.listener_count, 1);
    assert_int_equal(config.listeners[0].port, 0);
    assert_view(config.log_dirs.items[0], "./klamm-data");
}

static void broker_id_stands_for_node_id(void **state)
{
    (void)state;
    struct server_config config;
    struct config_report report;
    assert_true(build("broker.id=9\n", NULL, &config, &report));
    assert_int_equal(config.node_id, 9);
    assert_true(server_config_is_set(&config, "node.id"));
}

static void each_mistake_gets_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        const char *override;
        const char *line; /* the first error */
    } cases[] = {
        {"\n\nnum.partitions=zero\n", NULL,
         "server.properties:3: num.partitions = zero: must be a whole number of at least 1"},
        {"a=\\u00", NULL, "server.properties:1: \\u must be followed by four hexadecimal digits"},
        {NULL, "num.partitions", "--override num.partitions: must be key=value"},
        {NULL, "num.partitions=0",
         "--override: num.partitions = 0: must be a whole number of at least 1"},
        {"listeners=PLAINTEXT://a:1,PLAINTEXT://b:2", NULL,
         "listeners: the name PLAINTEXT is there twice; each listener needs its own"},
        {"listeners=PLAINTEXT://a:1,X://b:1\n"
         "listener.security.protocol.map=X:PLAINTEXT,PLAINTEXT:PLAINTEXT",
         NULL, "listeners: PLAINTEXT and X have the same port 1; each needs its own"},
        {"listeners=9092", NULL,
         "listeners = 9092: must be NAME://host:port entries separated by commas"},
        {"listeners=PLAINTEXT://a:99999", NULL,
         "listeners = PLAINTEXT://a:99999: must be NAME://host:port entries separated by commas"},
        {"listeners=EXT://a:1", NULL,
         "listeners = EXT://a:1: listener.security.protocol.map must give EXT one of PLAINTEXT, "
         "SSL, SASL_PLAINTEXT, SASL_SSL"},
        {"listeners=SSL://a:1\nsecurity.inter.broker.protocol=SSL", NULL,
         "listeners: SSL asks for SSL, which is not offered yet; use PLAINTEXT"},
        {"advertised.listeners=PLAINTEXT://0.0.0.0:9092", NULL,
         "advertised.listeners: PLAINTEXT names no address that clients could reach; give a host "
         "name or leave the key out"},
        {"advertised.listeners=SSL://h:9092", NULL,
         "advertised.listeners: SSL is not among listeners"},
        {"inter.broker.listener.name=NO", NULL,
         "inter.broker.listener.name = NO: must be a name in listeners that is not in "
         "controller.listener.names"},
        {"node.id=1\nbroker.id=2", NULL,
         "node.id = 1 and broker.id = 2: must be the same when both are set"},
        {"process.roles=broker\ncontroller.quorum.voters=1@h:1", NULL,
         "node.id must be set where a quorum is named"},
        {"process.roles=broker\nnode.id=1\ncontroller.listener.names=C\n"
         "controller.quorum.voters=1@h:1",
         NULL,
         "controller.quorum.voters: node.id 1 is a voter, so process.roles must have controller"},
        {"process.roles=broker\nnode.id=1\ncontroller.listener.names=C", NULL,
         "controller.quorum.voters or controller.quorum.bootstrap.servers must be set on a node "
         "without the controller role"},
        {"process.roles=broker\nnode.id=1\ncontroller.quorum.voters=2@h:1", NULL,
         "controller.listener.names must be set unless one node is broker and controller"},
        {"process.roles=client", NULL,
         "server.properties:1: process.roles = client: each must be one of broker,controller"},
        {"replica.fetch.wait.max.ms=40000", NULL,
         "replica.fetch.wait.max.ms = 40000: must not be larger than replica.lag.time.max.ms "
         "(30000)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct server_config config;
        struct config_report report;
        char line[1024] = "no error";
        assert_false(build(cases[i].file, cases[i].override, &config, &report));
        for (size_t j = report.count; j-- > 0;) {
            if (report.messages[j].severity == CONFIG_ERROR)
                snprintf(line, sizeof(line), "%.*s", (int)report.messages[j].text.size,
                         (const char *)report.messages[j].text.data);
        }
        assert_string_equal(line, cases[i].line);
    }
}

static void unknown_and_idle_keys_are_said_but_do_not_stop(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        enum config_severity severity;
        const char *line;
    } cases[] = {
        {"log.retention.hour=1", CONFIG_WARNING,
         "server.properties:1: log.retention.hour is not a known setting; did you mean "
         "log.retention.hours?"},
        {"confluent.license.topic=1", CONFIG_WARNING,
         "server.properties:1: confluent.license.topic is not a known setting"},
        {"num.io.threads=8", CONFIG_NOTICE,
         "server.properties:1: num.io.threads has no effect here: work runs on shards and their "
         "workers, see klamm.shards"},
        {"leader.replication.throttled.rate=8", CONFIG_WARNING,
         "server.properties:1: leader.replication.throttled.rate can only be set while the broker "
         "runs and is ignored here"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct server_config config;
        struct config_report report;
        char line[1024];
        assert_true(build(cases[i].file, NULL, &config, &report));
        assert_int_equal(report.count, 1);
        assert_int_equal(report.messages[0].severity, cases[i].severity);
        snprintf(line, sizeof(line), "%.*s", (int)report.messages[0].text.size,
                 (const char *)report.messages[0].text.data);
        assert_string_equal(line, cases[i].line);
    }
}

static void every_mistake_is_reported_at_once(void **state)
{
    (void)state;
    struct server_config config;
    struct config_report report;
    char text[4096];
    size_t size = 0;
    for (int i = 0; i < 40; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "num.partitions\\u00%02x=1\n",
                                 'A' + i % 26);
    snprintf(text + size, sizeof(text) - size, "num.partitions=x\nnum.io.threads=y\n");
    assert_false(build(text, NULL, &config, &report));
    assert_int_equal(report.error_count, 2);
}

static void dynamic_entries_give_new_settings(void **state)
{
    (void)state;
    struct config_entry entries[] = {{VIEW_LITERAL("max.connections"), VIEW_LITERAL("5")},
                                     {VIEW_LITERAL("klamm.flush.bytes"), VIEW_LITERAL("bad")}};
    struct config_set cluster;
    struct broker_settings settings;
    assert_true(config_set_build(&cluster, entries, 2, &arena));
    struct config_layers layers = {.dynamic_cluster = &cluster};
    broker_settings_resolve(&settings, &layers, &arena);
    assert_int_equal(settings.max_connections, 5);
    assert_int_equal(settings.klamm_flush_bytes, 64 << 20);
}

static void prefixed_names_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *key; /* NULL: unknown */
        size_t prefix_size;
    } cases[] = {
        {"max.connections", "max.connections", 0},
        {"listener.name.ext.max.connections", "max.connections", 18},
        {"listener.name.ext.plain.sasl.jaas.config", "sasl.jaas.config", 24},
        {"listener.name.ext.no.such", NULL, 0},
        {"listener.name.", NULL, 0},
        {"no.such", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t prefix_size = 99;
        const struct config_definition *row =
            config_find_prefixed(view_of_string(cases[i].name), &prefix_size);
        assert_int_equal(row != NULL, cases[i].key != NULL);
        assert_int_equal(prefix_size, cases[i].prefix_size);
        if (row)
            assert_view(row->name, cases[i].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_is_one_node_on_localhost),
        cmocka_unit_test(a_file_for_a_combined_kafka_node_works),
        cmocka_unit_test(voters_are_read),
        cmocka_unit_test(a_node_knows_how_it_stands_to_the_quorum),
        cmocka_unit_test(others_are_told_what_is_advertised),
        cmocka_unit_test(an_override_wins_over_the_file_and_over_nothing),
        cmocka_unit_test(broker_id_stands_for_node_id),
        cmocka_unit_test(each_mistake_gets_one_line),
        cmocka_unit_test(unknown_and_idle_keys_are_said_but_do_not_stop),
        cmocka_unit_test(every_mistake_is_reported_at_once),
        cmocka_unit_test(dynamic_entries_give_new_settings),
        cmocka_unit_test(prefixed_names_are_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
