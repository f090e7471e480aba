/* What AlterClientQuotas decides: which entities and keys there are, and what is written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "cluster/controller/alter_client_quotas.h"
#include "tests/unit/cluster/decision_bench.h"

typedef struct alter_client_quotas_request_entity_data part;
typedef struct alter_client_quotas_request_op_data op;
typedef struct alter_client_quotas_request_entry_data entry;

static part part_of(const char *type, const char *name)
{
    return (part){view_of_string(type), name ? view_of_string(name) : VIEW_NULL};
}

static op set(const char *key, double value)
{
    return (op){view_of_string(key), value, false};
}

static op removal(const char *key)
{
    return (op){view_of_string(key), 0, true};
}

/* Decides and commits; the errors in `errors`. Returns how many records were written. */
static size_t alter(struct decision_bench *bench, entry *entries, size_t count, bool validate_only,
                    enum kafka_error *errors)
{
    struct alter_client_quotas_request request;
    struct alter_client_quotas_response response;
    struct decision decision;
    alter_client_quotas_request_init(&request);
    request.entries = entries;
    request.entries_count = count;
    request.validate_only = validate_only;
    bench_decide(bench, &decision);
    decide_alter_client_quotas(&decision, &request, &response);
    bench_commit(bench, &decision);
    assert_int_equal(response.entries_count, count);
    for (size_t i = 0; i < count; i++) {
        errors[i] = (enum kafka_error)response.entries[i].error_code;
        assert_int_equal(view_is_null(response.entries[i].error_message), errors[i] == 0);
        assert_int_equal(response.entries[i].entity_count, entries[i].entity_count);
        for (size_t k = 0; k < entries[i].entity_count; k++) {
            assert_true(view_equal(response.entries[i].entity[k].entity_type,
                                   entries[i].entity[k].entity_type));
            assert_int_equal(view_is_null(response.entries[i].entity[k].entity_name),
                             view_is_null(entries[i].entity[k].entity_name));
        }
    }
    return decision.records.count;
}

/* The same for one entry; a refusal must write nothing. */
static enum kafka_error alter_one(struct decision_bench *bench, part *parts, size_t part_count,
                                  op *ops, size_t op_count, size_t *written)
{
    entry one = {parts, part_count, ops, op_count};
    enum kafka_error error;
    *written = alter(bench, &one, 1, false, &error);
    if (error != KAFKA_ERROR_NONE)
        assert_int_equal(*written, 0);
    return error;
}

static const struct image_quota *only_quota(const struct decision_bench *bench)
{
    assert_int_equal(bench->image->quotas.count, 1);
    struct image_walk walk;
    image_walk_start(&bench->image->quotas, &walk);
    return image_walk_next_quota(&walk);
}

static void a_quota_is_set_changed_and_removed(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    size_t written;
    part user[] = {part_of("user", "alice")};
    op first[] = {set("producer_byte_rate", 1000), set("request_percentage", 12.5)};
    assert_int_equal(alter_one(&bench, user, 1, first, 2, &written), KAFKA_ERROR_NONE);
    assert_int_equal(written, 2);
    const struct image_quota *quota = only_quota(&bench);
    assert_int_equal(quota->value_count, 2);
    assert_true(view_equal(quota->values[0].key, VIEW_LITERAL("producer_byte_rate")));
    assert_true(quota->values[0].value > 999.5 && quota->values[0].value < 1000.5);

    /* What is so already is not written again. */
    op second[] = {set("producer_byte_rate", 2000), set("request_percentage", 12.5),
                   removal("consumer_byte_rate")};
    assert_int_equal(alter_one(&bench, user, 1, second, 3, &written), KAFKA_ERROR_NONE);
    assert_int_equal(written, 1);
    quota = only_quota(&bench);
    assert_true(quota->values[0].value > 1999.5 && quota->values[0].value < 2000.5);

    op third[] = {removal("producer_byte_rate"), removal("request_percentage")};
    assert_int_equal(alter_one(&bench, user, 1, third, 2, &written), KAFKA_ERROR_NONE);
    assert_int_equal(written, 2);
    assert_int_equal(bench.image->quotas.count, 0);
    bench_deinit(&bench);
}

static void the_order_of_parts_does_not_matter_but_the_default_does(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    size_t written;
    part one_way[] = {part_of("user", "alice"), part_of("client-id", "c")};
    part other_way[] = {part_of("client-id", "c"), part_of("user", "alice")};
    part default_client[] = {part_of("client-id", NULL), part_of("user", "alice")};
    op rate[] = {set("consumer_byte_rate", 7)};
    assert_int_equal(alter_one(&bench, one_way, 2, rate, 1, &written), KAFKA_ERROR_NONE);
    assert_int_equal(written, 1);
    assert_int_equal(alter_one(&bench, other_way, 2, rate, 1, &written), KAFKA_ERROR_NONE);
    assert_int_equal(written, 0);
    assert_int_equal(bench.image->quotas.count, 1);
    assert_int_equal(alter_one(&bench, default_client, 2, rate, 1, &written), KAFKA_ERROR_NONE);
    assert_int_equal(written, 1);
    assert_int_equal(bench.image->quotas.count, 2);
    bench_deinit(&bench);
}

static void entities_are_checked(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    static const struct {
        const char *types[2];
        const char *names[2];
        size_t count;
        bool is_fine;
    } cases[] = {
        {{"user"}, {NULL}, 1, true},
        {{"client-id"}, {"c"}, 1, true},
        {{"user", "client-id"}, {NULL, NULL}, 2, true},
        {{NULL}, {NULL}, 0, false},
        {{"group"}, {"g"}, 1, false},
        {{"user"}, {""}, 1, false},
        {{"user", "user"}, {"a", "b"}, 2, false},
        {{"user", "ip"}, {"a", "127.0.0.1"}, 2, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        part parts[2];
        op ops[] = {set("producer_byte_rate", 10)};
        size_t written;
        for (size_t k = 0; k < cases[i].count; k++)
            parts[k] = part_of(cases[i].types[k], cases[i].names[k]);
        assert_int_equal(alter_one(&bench, parts, cases[i].count, ops, 1, &written),
                         cases[i].is_fine ? KAFKA_ERROR_NONE : KAFKA_ERROR_INVALID_REQUEST);
    }
    bench_deinit(&bench);
}

static void addresses_are_checked(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    static const struct {
        const char *name;
        bool is_fine;
    } cases[] = {
        {NULL, true},      {"127.0.0.1", true},   {"255.255.255.255", true},
        {"::1", true},     {"fe80::2:a", true},   {"1.2.3.999", false},
        {"1.2.3", false},  {"1.2.3.4.5", false},  {"1.2.3.", false},
        {".1.2.3", false}, {"1..2.3", false},     {"host!", false},
        {"1:2", false},    {"1.2.3.0004", false}, {"", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        part parts[] = {part_of("ip", cases[i].name)};
        op ops[] = {set("connection_creation_rate", (double)(i + 1))};
        size_t written;
        assert_int_equal(alter_one(&bench, parts, 1, ops, 1, &written),
                         cases[i].is_fine ? KAFKA_ERROR_NONE : KAFKA_ERROR_INVALID_REQUEST);
    }
    bench_deinit(&bench);
}

static void keys_and_values_are_checked(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    double zero = 0;
    const struct {
        const char *type;
        const char *key;
        double value;
        bool is_fine;
    } cases[] = {
        {"user", "controller_mutation_rate", 2.5, true},
        {"user", "request_percentage", 0.5, true},
        {"user", "producer_byte_rate", 1e15, true},
        {"user", "producer_byte_rate", 1.5, false},
        {"user", "producer_byte_rate", 1e30, false},
        {"user", "producer_byte_rate", zero / zero, false},
        {"user", "producer_byte_rate", 0, false},
        {"user", "producer_byte_rate", -1, false},
        {"user", "no_such_rate", 1, false},
        {"user", "connection_creation_rate", 1, false},
        {"ip", "producer_byte_rate", 1, false},
        {"ip", "connection_creation_rate", 2147483647.0, true},
        {"ip", "connection_creation_rate", 2147483648.0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        part parts[] = {part_of(cases[i].type, NULL)};
        op ops[] = {set(cases[i].key, cases[i].value)};
        size_t written;
        assert_int_equal(alter_one(&bench, parts, 1, ops, 1, &written),
                         cases[i].is_fine ? KAFKA_ERROR_NONE : KAFKA_ERROR_INVALID_REQUEST);
    }
    part user[] = {part_of("user", "alice")};
    op twice[] = {set("producer_byte_rate", 1), set("producer_byte_rate", 2)};
    size_t written;
    assert_int_equal(alter_one(&bench, user, 1, twice, 2, &written), KAFKA_ERROR_INVALID_REQUEST);
    bench_deinit(&bench);
}

static void each_entry_is_taken_whole_or_not_at_all(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    part first[] = {part_of("user", "first")}, second[] = {part_of("user", "second")};
    op good[] = {set("producer_byte_rate", 1)};
    op half[] = {set("producer_byte_rate", 1), set("no_such_rate", 1)};
    entry entries[] = {{first, 1, good, 1}, {second, 1, half, 2}, {first, 1, good, 1}};
    enum kafka_error errors[3];
    assert_int_equal(alter(&bench, entries, 3, true, errors), 0);
    assert_int_equal(bench.image->quotas.count, 0);
    assert_int_equal(errors[1], KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(alter(&bench, entries, 3, false, errors), 1);
    assert_int_equal(errors[0], KAFKA_ERROR_NONE);
    assert_int_equal(errors[1], KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(errors[2], KAFKA_ERROR_INVALID_REQUEST); /* the entity is named twice */
    assert_true(view_equal(only_quota(&bench)->parts[0].name, VIEW_LITERAL("first")));
    assert_int_equal(alter(&bench, entries, 0, false, errors), 0);
    bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quota_is_set_changed_and_removed),
        cmocka_unit_test(the_order_of_parts_does_not_matter_but_the_default_does),
        cmocka_unit_test(entities_are_checked),
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(keys_and_values_are_checked),
        cmocka_unit_test(each_entry_is_taken_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
