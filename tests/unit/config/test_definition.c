/*
 * The table against itself, and against what Kafka's own definitions say.
 */
#include "config/definition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/text.h"
#include "config/value.h"
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

/* Rows that differ from Kafka 4.2's on purpose: the field, and why. */
static const struct {
    const char *key;
    const char *field;
    const char *why;
} differences[] = {
    {"none", "none", "no difference so far"},
};

static bool is_difference(struct view key, const char *field)
{
    for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
        if (view_equal(key, view_of_string(differences[i].key)) &&
            strcmp(field, differences[i].field) == 0)
            return true;
    }
    return false;
}

static size_t compare_field(struct view key, const char *field, struct view want, struct view have)
{
    if (view_equal(want, have) || is_difference(key, field))
        return 0;
    print_error("%.*s: %s is '%.*s', Kafka has '%.*s'\n", (int)key.size, key.data, field,
                (int)have.size, (const char *)have.data, (int)want.size, (const char *)want.data);
    return 1;
}

/* Our default in the recording's words. */
static struct view known_default(const struct config_definition *row)
{
    if (row->required)
        return VIEW_LITERAL("<none>");
    return view_is_null(row->default_value) ? VIEW_LITERAL("<null>") : row->default_value;
}

static void every_setting_of_kafka_is_known_with_type_and_default(void **state)
{
    (void)state;
    static const char *const dynamic[] = {"read-only", "per-broker", "cluster"};
    struct golden golden = golden_open("definitions.tsv", &arena);
    struct golden_line line;
    size_t wrong = 0;
    size_t lines = 0;
    while (golden_next(&golden, &line)) {
        struct view key = line.fields[1];
        const struct config_definition *row = config_find(scope_of(line.fields[0]), key);
        lines++;
        if (!row) {
            print_error("%.*s is not known\n", (int)key.size, (const char *)key.data);
            wrong++;
            continue;
        }
        wrong +=
            compare_field(key, "type", line.fields[2], view_of_string(config_type_name(row->type)));
        wrong += compare_field(key, "default", line.fields[3], known_default(row));
        wrong +=
            compare_field(key, "dynamic", line.fields[4], view_of_string(dynamic[row->dynamic]));
        wrong += compare_field(key, "visibility", line.fields[5],
                               view_of_string(row->internal ? "internal" : "public"));
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(lines, 389);
}

static void rows_that_kafka_does_not_have_are_ours_or_unlisted(void **state)
{
    (void)state;
    for (size_t scope = 0; scope < CONFIG_SCOPES; scope++) {
        struct config_definitions all = config_all(scope);
        for (size_t i = 0; i < all.count; i++) {
            struct golden golden = golden_open("definitions.tsv", &arena);
            struct golden_line line;
            bool found = false;
            while (!found && golden_next(&golden, &line))
                found = scope_of(line.fields[0]) == scope &&
                        view_equal(line.fields[1], all.rows[i].name);
            bool own = text_starts_with(all.rows[i].name, VIEW_LITERAL("klamm."));
            assert_true(found != (own || all.rows[i].unlisted || all.rows[i].dynamic_only));
            arena_reset(&arena);
        }
    }
}

static void rows_are_sorted_and_found(void **state)
{
    (void)state;
    for (size_t scope = 0; scope < CONFIG_SCOPES; scope++) {
        struct config_definitions all = config_all(scope);
        assert_true(all.count > 0);
        for (size_t i = 0; i < all.count; i++) {
            if (i > 0)
                assert_true(view_compare(all.rows[i - 1].name, all.rows[i].name) < 0);
            assert_ptr_equal(config_find(scope, all.rows[i].name), &all.rows[i]);
            assert_int_equal(all.rows[i].scope, scope);
            assert_true(all.rows[i].documentation.size > 0);
        }
    }
    assert_null(config_find(CONFIG_SCOPE_TOPIC, VIEW_LITERAL("log.dirs")));
    assert_null(config_find(CONFIG_SCOPE_BROKER, VIEW_LITERAL("")));
}

static void every_default_keeps_its_own_rule_and_is_canonical(void **state)
{
    (void)state;
    for (size_t scope = 0; scope < CONFIG_SCOPES; scope++) {
        struct config_definitions all = config_all(scope);
        for (size_t i = 0; i < all.count; i++) {
            const struct config_definition *row = &all.rows[i];
            struct config_value value;
            struct view error;
            if (view_is_null(row->default_value))
                continue;
            if (!config_value_parse(row, row->default_value, &value, &error, &arena))
                fail_msg("%.*s", (int)error.size, (const char *)error.data);
            struct view text = config_value_format(&value, &arena);
            assert_int_equal(compare_field(row->name, "canonical", row->default_value, text), 0);
        }
    }
}

static void synonyms_are_broker_keys(void **state)
{
    (void)state;
    for (size_t scope = 0; scope < CONFIG_SCOPES; scope++) {
        struct config_definitions all = config_all(scope);
        for (size_t i = 0; i < all.count; i++) {
            for (size_t j = 0; j < all.rows[i].synonym_count; j++) {
                struct view name = all.rows[i].synonyms[j].name;
                assert_non_null(config_find(CONFIG_SCOPE_BROKER, name));
                assert_true(all.rows[i].synonyms[j].factor >= 1);
            }
        }
    }
}

static void a_misspelt_key_gets_its_nearest_name(void **state)
{
    (void)state;
    static const struct {
        const char *wrong;
        const char *right; /* NULL: nothing is near */
    } cases[] = {
        {"log.retention.hour", "log.retention.hours"},
        {"log.dirss", "log.dirs"},
        {"num.partition", "num.partitions"},
        {"advertized.listeners", "advertised.listeners"},
        {"auto.create.topic.enable", "auto.create.topics.enable"},
        {"zookeeper.connect", NULL},
        {"x", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct config_definition *row =
            config_nearest(CONFIG_SCOPE_BROKER, view_of_string(cases[i].wrong));
        if (!cases[i].right)
            assert_null(row);
        else
            assert_true(row && view_equal(row->name, view_of_string(cases[i].right)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_of_kafka_is_known_with_type_and_default),
        cmocka_unit_test(rows_that_kafka_does_not_have_are_ours_or_unlisted),
        cmocka_unit_test(rows_are_sorted_and_found),
        cmocka_unit_test(every_default_keeps_its_own_rule_and_is_canonical),
        cmocka_unit_test(synonyms_are_broker_keys),
        cmocka_unit_test(a_misspelt_key_gets_its_nearest_name),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
