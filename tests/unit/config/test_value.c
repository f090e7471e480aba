/*
 * Values against a recording of what Kafka makes of each text, and the texts of refusals.
 */
#include "config/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

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

static enum config_scope scope_of(struct view name)
{
    static const char *const names[] = {"broker", "topic", "group", "client_metrics"};
    for (size_t i = 0; i < CONFIG_SCOPES; i++) {
        if (view_equal(name, view_of_string(names[i])))
            return (enum config_scope)i;
    }
    fail_msg("unknown scope");
    return CONFIG_SCOPE_BROKER;
}

/* Texts that we take differently from Kafka on purpose. */
static const struct {
    const char *text;
    const char *why;
} differences[] = {
    {"NaN", "a setting that is not a number means nothing anywhere"},
    {"Infinity", "the same; a large number says what is meant"},
    {"1e400", "the same: Java rounds it to infinity"},
    {"1d", "a suffix of Java's literals"},
};

static bool is_difference(struct view key, struct view text)
{
    /* Kafka checks the selectors of client metrics later; here the rule is part of the value. */
    if (view_equal(key, VIEW_LITERAL("match")))
        return true;
    for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
        if (view_equal(text, view_of_string(differences[i].text)))
            return true;
    }
    return false;
}

/* What we make of a text: the canonical form, or null when it is refused. */
static struct view canonical(const struct config_definition *row, struct view text)
{
    struct config_value value;
    struct view error;
    if (!config_value_parse(row, text, &value, &error, &arena)) {
        assert_false(view_is_null(error));
        return VIEW_NULL;
    }
    return config_value_format(&value, &arena);
}

static void values_are_taken_and_shown_as_kafka_does(void **state)
{
    (void)state;
    struct arena file;
    arena_init(&file, &heap, MEMORY_SCRATCH, 0);
    struct golden golden = golden_open("values.tsv", &file);
    struct golden_line line;
    size_t wrong = 0;
    size_t lines = 0;
    while (golden_next(&golden, &line)) {
        const struct config_definition *row = config_find(scope_of(line.fields[0]), line.fields[1]);
        struct view text = golden_unquote(line.fields[2]);
        struct view want = golden_unquote(line.fields[3]);
        assert_non_null(row);
        lines++;
        struct view have = canonical(row, text);
        if (!view_equal(want, have) && !is_difference(row->name, text)) {
            print_error("%.*s = '%.*s': have '%.*s', Kafka has '%.*s'\n", (int)row->name.size,
                        (const char *)row->name.data, (int)text.size, (const char *)text.data,
                        (int)have.size, (const char *)have.data, (int)want.size,
                        (const char *)want.data);
            wrong++;
        }
        arena_reset(&arena);
    }
    arena_deinit(&file);
    assert_int_equal(wrong, 0);
    assert_true(lines > 1500);
}

static void what_is_shown_is_taken_again_unchanged(void **state)
{
    (void)state;
    struct arena file;
    arena_init(&file, &heap, MEMORY_SCRATCH, 0);
    struct golden golden = golden_open("values.tsv", &file);
    struct golden_line line;
    while (golden_next(&golden, &line)) {
        const struct config_definition *row = config_find(scope_of(line.fields[0]), line.fields[1]);
        struct view once = canonical(row, golden_unquote(line.fields[2]));
        if (!view_is_null(once))
            assert_true(view_equal(canonical(row, once), once));
        arena_reset(&arena);
    }
    arena_deinit(&file);
}

static void a_refusal_names_key_value_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        enum config_scope scope;
        const char *key;
        const char *text;
        const char *error;
    } cases[] = {
        {CONFIG_SCOPE_TOPIC, "retention.ms", " -2 ",
         "retention.ms = -2: must be a whole number of at least -1"},
        {CONFIG_SCOPE_TOPIC, "retention.bytes", "1k",
         "retention.bytes = 1k: must be a whole number of at most 64 bits"},
        {CONFIG_SCOPE_TOPIC, "compression.lz4.level", "18",
         "compression.lz4.level = 18: must be a whole number from 1 to 17"},
        {CONFIG_SCOPE_TOPIC, "compression.gzip.level", "0",
         "compression.gzip.level = 0: must be a whole number from 1 to 9, or -1"},
        {CONFIG_SCOPE_TOPIC, "min.cleanable.dirty.ratio", "2",
         "min.cleanable.dirty.ratio = 2: must be a number from 0.0 to 1.0"},
        {CONFIG_SCOPE_TOPIC, "cleanup.policy", "keep",
         "cleanup.policy = keep: each must be one of compact,delete"},
        {CONFIG_SCOPE_TOPIC, "cleanup.policy", "delete,delete",
         "cleanup.policy = delete,delete: must not name an element twice"},
        {CONFIG_SCOPE_TOPIC, "preallocate", "yes", "preallocate = yes: must be true or false"},
        {CONFIG_SCOPE_TOPIC, "klamm.durability", "Sync",
         "klamm.durability = Sync: must be one of sync,cache"},
        {CONFIG_SCOPE_BROKER, "controller.quorum.voters", "1@host",
         "controller.quorum.voters = 1@host: must be id@host:port entries separated by commas"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_value value;
        struct view error = VIEW_NULL;
        const struct config_definition *row =
            config_find(cases[i].scope, view_of_string(cases[i].key));
        assert_false(
            config_value_parse(row, view_of_string(cases[i].text), &value, &error, &arena));
        char text[512];
        snprintf(text, sizeof(text), "%.*s", (int)error.size, (const char *)error.data);
        assert_string_equal(text, cases[i].error);
    }
}

static void a_long_value_is_cut_in_its_refusal(void **state)
{
    (void)state;
    char text[5000];
    struct config_value value;
    struct view error;
    memset(text, 'x', sizeof(text));
    assert_false(config_value_parse(config_find(CONFIG_SCOPE_TOPIC, VIEW_LITERAL("cleanup.policy")),
                                    view_of(text, sizeof(text)), &value, &error, &arena));
    assert_in_range(error.size, 200, 400);
}

static void durations_are_read_as_iso_8601(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } cases[] = {
        {"PT1H", 3600000},
        {"P1D", 86400000},
        {"P1DT2H3M4.5S", 93784500},
        {"pt0s", 0},
        {"PT0.0019S", 1},
        {"PT1.S", 1000},
        {"P", -1},
        {"PT", -1},
        {"P1DT", -1},
        {"1D", -1},
        {"P1W", -1},
        {"P1Y", -1},
        {"PT1S2M", -1},
        {"PT-1S", -1},
        {"PT1", -1},
        {"PT1.5H", -1},
        {"", -1},
        {"PT1SX", -1},
        {"PT9223372036854775807S", -1},
        {"P106751991168D", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t have = -1;
        bool read = config_read_duration(view_of_string(cases[i].text), &have);
        assert_int_equal(read, cases[i].want >= 0);
        if (read)
            assert_int_equal(have, cases[i].want);
    }
}

static void endpoints_are_read_with_and_without_brackets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        int32_t port;
    } cases[] = {
        {"localhost:9092", "localhost", 9092},
        {":9092", "", 9092},
        {"[::1]:1", "::1", 1},
        {"[]:1", "", 1},
        {"::1:9092", NULL, 0},
        {"host", NULL, 0},
        {"host:", NULL, 0},
        {"host:65536", NULL, 0},
        {"host:-1", NULL, 0},
        {"a b:1", NULL, 0},
        {"http://h:1", NULL, 0},
        {"", NULL, 0},
        {"h:65535", "h", 65535},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct view host;
        int32_t port;
        bool read = config_read_endpoint(view_of_string(cases[i].text), &host, &port);
        assert_int_equal(read, cases[i].host != NULL);
        if (read) {
            assert_true(view_equal(host, view_of_string(cases[i].host)));
            assert_int_equal(port, cases[i].port);
        }
    }
}

static void a_refusing_arena_never_crashes_parsing(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 4096; limit += 97) {
        struct arena tight;
        struct config_value value;
        struct view error = VIEW_NULL;
        arena_init(&tight, &heap, MEMORY_SCRATCH, limit);
        (void)config_value_parse(config_find(CONFIG_SCOPE_TOPIC, VIEW_LITERAL("cleanup.policy")),
                                 VIEW_LITERAL("delete,compact,x"), &value, &error, &tight);
        arena_deinit(&tight);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_taken_and_shown_as_kafka_does),
        cmocka_unit_test(what_is_shown_is_taken_again_unchanged),
        cmocka_unit_test(a_refusal_names_key_value_and_what_is_allowed),
        cmocka_unit_test(a_long_value_is_cut_in_its_refusal),
        cmocka_unit_test(durations_are_read_as_iso_8601),
        cmocka_unit_test(endpoints_are_read_with_and_without_brackets),
        cmocka_unit_test(a_refusing_arena_never_crashes_parsing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
