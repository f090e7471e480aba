/* CreateTopics, CreatePartitions, DeleteTopics: every error, and what success leaves behind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/controller/create_partitions.h"
#include "cluster/controller/create_topics.h"
#include "cluster/controller/delete_topics.h"
#include "tests/unit/cluster/decision_bench.h"

typedef struct create_topics_request_creatable_topic creatable_topic;

static int32_t first_two[] = {1, 2};
static int32_t only_one[] = {1};

static void add_topic(struct decision_bench *bench, const char *name)
{
    bench_add_topic(bench, name, (struct node_list){first_two, 2}, (struct node_list){first_two, 2},
                    1);
}

static creatable_topic topic_of(const char *name, int32_t partitions, int16_t factor)
{
    creatable_topic topic;
    create_topics_request_creatable_topic_init(&topic);
    topic.name = view_of_string(name);
    topic.num_partitions = partitions;
    topic.replication_factor = factor;
    return topic;
}

static struct create_topics_response create(struct decision_bench *bench, creatable_topic *topics,
                                            size_t count, bool validate_only)
{
    struct create_topics_request request;
    create_topics_request_init(&request);
    request.topics = topics;
    request.topics_count = count;
    request.validate_only = validate_only;
    struct create_topics_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_create_topics(&decision, &request, &response);
    for (size_t i = 0; i < response.topics_count; i++) {
        bool is_refused = response.topics[i].error_code != KAFKA_ERROR_NONE;
        assert_int_equal(is_refused, !view_is_null(response.topics[i].error_message));
        assert_int_equal(is_refused, response.topics[i].num_partitions == -1);
    }
    bench_commit(bench, &decision);
    return response;
}

static enum kafka_error create_one(struct decision_bench *bench, creatable_topic topic)
{
    struct create_topics_response response = create(bench, &topic, 1, false);
    enum kafka_error error = (enum kafka_error)response.topics[0].error_code;
    bool exists = image_topic_by_name(bench->image, topic.name) != NULL;
    if (error != KAFKA_ERROR_TOPIC_ALREADY_EXISTS)
        assert_int_equal(exists, error == KAFKA_ERROR_NONE);
    return error;
}

static void counts_and_names_are_checked(void **state)
{
    (void)state;
    char longest[251];
    memset(longest, 'x', 250);
    longest[249] = '\0';
    char too_long[252];
    memset(too_long, 'x', 250);
    too_long[250] = '\0';
    const struct {
        const char *name;
        int32_t partitions;
        int16_t factor;
        enum kafka_error error;
    } cases[] = {
        {"plain", 3, 1, KAFKA_ERROR_NONE},
        {"both", 3, 2, KAFKA_ERROR_NONE},
        {"all", 1, 3, KAFKA_ERROR_NONE},
        {"defaults", -1, -1, KAFKA_ERROR_NONE},
        {longest, 1, 1, KAFKA_ERROR_NONE},
        {"plain", 3, 1, KAFKA_ERROR_TOPIC_ALREADY_EXISTS},
        {"", 1, 1, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION},
        {".", 1, 1, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION},
        {"..", 1, 1, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION},
        {"a/b", 1, 1, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION},
        {"a b", 1, 1, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION},
        {"caf\xc3\xa9", 1, 1, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION},
        {too_long, 1, 1, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION},
        {"zero", 0, 1, KAFKA_ERROR_INVALID_PARTITIONS},
        {"minus", -2, 1, KAFKA_ERROR_INVALID_PARTITIONS},
        {"factor-zero", 1, 0, KAFKA_ERROR_INVALID_REPLICATION_FACTOR},
        {"factor-minus", 1, -2, KAFKA_ERROR_INVALID_REPLICATION_FACTOR},
        {"factor-four", 1, 4, KAFKA_ERROR_INVALID_REPLICATION_FACTOR},
        {"large", 10001, 1, KAFKA_ERROR_POLICY_VIOLATION},
        {"largest", INT32_MAX, 1, KAFKA_ERROR_POLICY_VIOLATION},
        {"__cluster_metadata", 1, 1, KAFKA_ERROR_INVALID_REQUEST},
    };
    struct decision_bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum kafka_error error =
            create_one(&bench, topic_of(cases[i].name, cases[i].partitions, cases[i].factor));
        if (error != cases[i].error)
            fail_msg("%s: %s", cases[i].name, kafka_error_name(error));
    }
    bench_deinit(&bench);
}

static void names_that_differ_in_dots_collide(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    add_topic(&bench, "a.b_c");
    assert_int_equal(create_one(&bench, topic_of("a_b.c", 1, 1)),
                     KAFKA_ERROR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create_one(&bench, topic_of("a.b_d", 1, 1)), KAFKA_ERROR_NONE);
    assert_int_equal(create_one(&bench, topic_of("a-b_c", 1, 1)), KAFKA_ERROR_NONE);
    /* More special characters than spellings are tried for. */
    add_topic(&bench, "q_w_e_r_t_z_u_i_o_p_a");
    assert_int_equal(create_one(&bench, topic_of("q_w_e_r_t_z_u_i_o_p.a", 1, 1)),
                     KAFKA_ERROR_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create_one(&bench, topic_of("q_w_e_r_t_z_u_i_o_p.b", 1, 1)), KAFKA_ERROR_NONE);
    creatable_topic siblings[] = {topic_of("x.y", 1, 1), topic_of("x_y", 1, 1)};
    struct create_topics_response response = create(&bench, siblings, 2, false);
    assert_int_equal(response.topics[0].error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.topics[1].error_code, KAFKA_ERROR_INVALID_TOPIC_EXCEPTION);
    bench_deinit(&bench);
}

static void a_topic_named_twice_is_refused_and_answered_once(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    creatable_topic topics[] = {topic_of("a", 1, 1), topic_of("b", 1, 1), topic_of("a", 2, 1)};
    struct create_topics_response response = create(&bench, topics, 3, false);
    assert_int_equal(response.topics_count, 2);
    assert_int_equal(response.topics[0].error_code, KAFKA_ERROR_INVALID_REQUEST);
    assert_true(view_equal(response.topics[1].name, VIEW_LITERAL("b")));
    assert_int_equal(response.topics[1].error_code, KAFKA_ERROR_NONE);
    assert_null(image_topic_by_name(bench.image, VIEW_LITERAL("a")));
    bench_deinit(&bench);
}

static void assignments_are_checked(void **state)
{
    (void)state;
    int32_t unknown[] = {9};
    int32_t twice[] = {1, 1};
    int32_t fenced[] = {3};
    int32_t mixed[] = {3, 2};
    const struct {
        int32_t *first, *second;
        size_t first_count, second_count;
        int32_t second_index;
        int32_t partitions;
        enum kafka_error error;
    } cases[] = {
        {first_two, first_two, 2, 2, 1, -1, KAFKA_ERROR_NONE},
        {mixed, first_two, 2, 2, 1, -1, KAFKA_ERROR_NONE},
        {first_two, first_two, 2, 2, 1, 2, KAFKA_ERROR_INVALID_REQUEST},
        {first_two, first_two, 2, 2, 0, -1, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT},
        {first_two, first_two, 2, 2, 2, -1, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT},
        {first_two, only_one, 2, 1, 1, -1, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT},
        {first_two, unknown, 2, 1, 1, -1, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT},
        {first_two, twice, 2, 2, 1, -1, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT},
        {first_two, twice, 2, 0, 1, -1, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT},
        {only_one, fenced, 1, 1, 1, -1, KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT},
    };
    struct decision_bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct create_topics_request_creatable_replica_assignment assignments[] = {
            {0, cases[i].first, cases[i].first_count},
            {cases[i].second_index, cases[i].second, cases[i].second_count}};
        char name[16];
        snprintf(name, sizeof(name), "t%zu", i);
        creatable_topic topic = topic_of(name, cases[i].partitions, -1);
        topic.assignments = assignments;
        topic.assignments_count = 2;
        enum kafka_error error = create_one(&bench, topic);
        if (error != cases[i].error)
            fail_msg("case %zu: %s", i, kafka_error_name(error));
    }
    /* Only active replicas are in sync, and the first of them leads. */
    const struct image_partition *partition = bench_partition(&bench, "t1");
    assert_int_equal(partition->leader, 2);
    assert_int_equal(partition->isr_count, 1);
    assert_int_equal(partition->replica_count, 2);
    bench_deinit(&bench);
}

static void settings_are_checked_stored_and_echoed(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    struct create_topics_request_creatable_topic_config config = {VIEW_LITERAL("retention.ms"),
                                                                  VIEW_LITERAL("777")};
    creatable_topic topic = topic_of("t", 1, 1);
    topic.configs = &config;
    topic.configs_count = 1;
    struct create_topics_response response = create(&bench, &topic, 1, false);
    assert_int_equal(response.topics[0].error_code, KAFKA_ERROR_NONE);
    assert_true(response.topics[0].configs_count > 20);
    bool is_echoed = false;
    for (size_t i = 0; i < response.topics[0].configs_count; i++)
        is_echoed |= view_equal(response.topics[0].configs[i].name, config.name) &&
                     view_equal(response.topics[0].configs[i].value, config.value) &&
                     response.topics[0].configs[i].config_source == 1;
    assert_true(is_echoed);
    const struct image_config *stored =
        image_config(bench.image, CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("t"));
    assert_true(view_equal(image_config_value(stored, config.name), config.value));
    const struct create_topics_request_creatable_topic_config bad[] = {
        {VIEW_LITERAL("no.such.key"), VIEW_LITERAL("1")},
        {VIEW_LITERAL("retention.ms"), VIEW_LITERAL("many")},
        {VIEW_LITERAL("retention.ms"), VIEW_NULL},
    };
    for (size_t i = 0; i < 3; i++) {
        config = bad[i];
        topic.name = VIEW_LITERAL("refused");
        assert_int_equal(create_one(&bench, topic), KAFKA_ERROR_INVALID_CONFIG);
    }
    bench_deinit(&bench);
}

static void validating_writes_nothing(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    creatable_topic topics[] = {topic_of("a", 3, 1), topic_of("b", 0, 1)};
    struct create_topics_response response = create(&bench, topics, 2, true);
    assert_int_equal(response.topics[0].error_code, KAFKA_ERROR_NONE);
    assert_int_equal(response.topics[0].num_partitions, 3);
    assert_int_equal(response.topics[1].error_code, KAFKA_ERROR_INVALID_PARTITIONS);
    assert_int_equal(bench.image->topics_by_name.count, 0);
    bench_deinit(&bench);
}

static void nobody_leads_while_every_broker_is_fenced(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_broker(&bench, 1, true);
    bench_set_broker(&bench, 2, true);
    assert_int_equal(create_one(&bench, topic_of("t", 1, 1)),
                     KAFKA_ERROR_INVALID_REPLICATION_FACTOR);
    bench_deinit(&bench);
}

static void leaders_are_spread_over_the_brokers(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    bench_set_broker(&bench, 3, false);
    assert_int_equal(create_one(&bench, topic_of("t", 300, 2)), KAFKA_ERROR_NONE);
    const struct image_topic *topic = image_topic_by_name(bench.image, VIEW_LITERAL("t"));
    int led[4] = {0};
    int held[4] = {0};
    for (int32_t i = 0; i < 300; i++) {
        const struct image_partition *partition = image_topic_partition(topic, i);
        struct node_list replicas = image_partition_replicas(partition);
        assert_int_not_equal(replicas.ids[0], replicas.ids[1]);
        led[partition->leader]++;
        held[replicas.ids[0]]++;
        held[replicas.ids[1]]++;
    }
    for (int id = 1; id <= 3; id++) {
        assert_in_range(led[id], 95, 105);
        assert_in_range(held[id], 180, 220);
    }
    bench_deinit(&bench);
}

/* ---- Racks ----------------------------------------------------------------------------------- */

/* Brokers 1 to `count`; broker n is in rack ('a' + n modulo `racks`). */
static void set_racks(struct decision_bench *bench, int32_t count, int32_t racks)
{
    static const char *const names[] = {"a", "b", "c"};
    for (int32_t id = 1; id <= count; id++) {
        bench_set_broker(bench, id, false);
        bench_set_rack(bench, id, names[id % racks]);
    }
}

static struct node_list replicas_of(const struct decision_bench *bench, const char *name, int32_t i)
{
    const struct image_topic *topic = image_topic_by_name(bench->image, view_of_string(name));
    return image_partition_replicas(image_topic_partition(topic, i));
}

/* In how many of the racks that set_racks made the replicas are. */
static int racks_used(struct node_list replicas, int32_t racks)
{
    unsigned used = 0;
    for (uint32_t i = 0; i < replicas.count; i++)
        used |= 1U << replicas.ids[i] % racks;
    return __builtin_popcount(used);
}

static void replicas_are_in_different_racks(void **state)
{
    (void)state;
    static const int16_t factors[] = {2, 3, 4};
    struct decision_bench bench;
    bench_init(&bench);
    set_racks(&bench, 6, 3);
    for (size_t k = 0; k < sizeof(factors) / sizeof(*factors); k++) {
        char name[8];
        snprintf(name, sizeof(name), "t%d", factors[k]);
        assert_int_equal(create_one(&bench, topic_of(name, 300, factors[k])), KAFKA_ERROR_NONE);
        int led[7] = {0};
        for (int32_t i = 0; i < 300; i++) {
            struct node_list replicas = replicas_of(&bench, name, i);
            assert_int_equal(replicas.count, factors[k]);
            assert_int_equal(racks_used(replicas, 3), factors[k] < 3 ? factors[k] : 3);
            led[replicas.ids[0]]++;
        }
        for (int id = 1; id <= 6; id++)
            assert_in_range(led[id], 40, 60);
    }
    bench_deinit(&bench);
}

/* As Kafka: the rack counts for more than being alive, except for who leads. */
static void a_rack_is_used_although_its_brokers_are_fenced(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    set_racks(&bench, 4, 2);
    bench_set_broker(&bench, 1, true);
    bench_set_broker(&bench, 3, true);
    bench_set_rack(&bench, 1, "b");
    bench_set_rack(&bench, 3, "b");
    assert_int_equal(create_one(&bench, topic_of("t", 50, 2)), KAFKA_ERROR_NONE);
    for (int32_t i = 0; i < 50; i++) {
        struct node_list replicas = replicas_of(&bench, "t", i);
        assert_int_equal(racks_used(replicas, 2), 2);
        assert_int_equal(replicas.ids[0] % 2, 0);
    }
    bench_deinit(&bench);
}

/* A rack with one broker of five cannot have a replica of everything twice. */
static void racks_of_different_sizes_are_filled(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    set_racks(&bench, 5, 1);
    bench_set_rack(&bench, 5, "b");
    assert_int_equal(create_one(&bench, topic_of("t", 100, 5)), KAFKA_ERROR_NONE);
    assert_int_equal(create_one(&bench, topic_of("two", 100, 2)), KAFKA_ERROR_NONE);
    for (int32_t i = 0; i < 100; i++) {
        struct node_list all = replicas_of(&bench, "t", i);
        unsigned seen = 0;
        for (uint32_t k = 0; k < all.count; k++)
            seen |= 1U << all.ids[k];
        assert_int_equal(seen, 0x3e); /* each broker once */
        assert_true(node_list_contains(replicas_of(&bench, "two", i), 5));
    }
    bench_deinit(&bench);
}

/* ---- CreatePartitions ------------------------------------------------------------------------ */

static enum kafka_error extend(struct decision_bench *bench, const char *name, int32_t count,
                               struct create_partitions_request_create_partitions_assignment *lists,
                               size_t list_count)
{
    struct create_partitions_request_create_partitions_topic topic = {view_of_string(name), count,
                                                                      lists, list_count};
    struct create_partitions_request request;
    create_partitions_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    struct create_partitions_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_create_partitions(&decision, &request, &response);
    bench_commit(bench, &decision);
    return (enum kafka_error)response.results[0].error_code;
}

static void partitions_only_become_more(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    add_topic(&bench, "t");
    assert_int_equal(extend(&bench, "nowhere", 2, NULL, 0), KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(extend(&bench, "t", 1, NULL, 0), KAFKA_ERROR_INVALID_PARTITIONS);
    assert_int_equal(extend(&bench, "t", 0, NULL, 0), KAFKA_ERROR_INVALID_PARTITIONS);
    assert_int_equal(extend(&bench, "t", -1, NULL, 0), KAFKA_ERROR_INVALID_PARTITIONS);
    assert_int_equal(extend(&bench, "t", 20000, NULL, 0), KAFKA_ERROR_POLICY_VIOLATION);
    assert_int_equal(extend(&bench, "t", 4, NULL, 0), KAFKA_ERROR_NONE);
    const struct image_topic *topic = image_topic_by_name(bench.image, VIEW_LITERAL("t"));
    assert_int_equal(topic->partition_count, 4);
    assert_int_equal(image_topic_partition(topic, 3)->replica_count, 2);
    struct create_partitions_request_create_partitions_assignment good = {first_two, 2};
    struct create_partitions_request_create_partitions_assignment thin = {only_one, 1};
    assert_int_equal(extend(&bench, "t", 6, &good, 1), KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(extend(&bench, "t", 5, &thin, 1), KAFKA_ERROR_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(extend(&bench, "t", 5, &good, 1), KAFKA_ERROR_NONE);
    bench_deinit(&bench);
}

/* ---- DeleteTopics ---------------------------------------------------------------------------- */

static struct delete_topics_response
delete_topics(struct decision_bench *bench, struct delete_topics_request_delete_topic_state *topics,
              size_t count)
{
    struct delete_topics_request request;
    delete_topics_request_init(&request);
    request.topics = topics;
    request.topics_count = count;
    struct delete_topics_response response;
    struct decision decision;
    bench_decide(bench, &decision);
    decide_delete_topics(&decision, &request, 6, &response);
    bench_commit(bench, &decision);
    return response;
}

static void topics_are_deleted_by_name_or_id(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    add_topic(&bench, "a");
    add_topic(&bench, "b");
    add_topic(&bench, "c");
    struct uuid b = image_topic_by_name(bench.image, VIEW_LITERAL("b"))->id;
    struct uuid c = image_topic_by_name(bench.image, VIEW_LITERAL("c"))->id;
    struct delete_topics_request_delete_topic_state topics[] = {
        {VIEW_LITERAL("a"), UUID_ZERO},    {VIEW_NULL, b},         {VIEW_LITERAL("x"), UUID_ZERO},
        {VIEW_NULL, uuid_of_halves(1, 2)}, {VIEW_NULL, UUID_ZERO}, {VIEW_LITERAL("c"), c},
    };
    struct delete_topics_response response = delete_topics(&bench, topics, 6);
    const enum kafka_error expected[] = {KAFKA_ERROR_NONE,
                                         KAFKA_ERROR_NONE,
                                         KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                                         KAFKA_ERROR_UNKNOWN_TOPIC_ID,
                                         KAFKA_ERROR_INVALID_REQUEST,
                                         KAFKA_ERROR_INVALID_REQUEST};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(response.responses[i].error_code, expected[i]);
    assert_true(view_equal(response.responses[1].name, VIEW_LITERAL("b")));
    assert_int_equal(bench.image->topics_by_name.count, 1);
    /* Named twice, by name and by id: neither is done. */
    struct delete_topics_request_delete_topic_state twice[] = {{VIEW_LITERAL("c"), UUID_ZERO},
                                                               {VIEW_NULL, c}};
    response = delete_topics(&bench, twice, 2);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].error_code, KAFKA_ERROR_INVALID_REQUEST);
    assert_int_equal(bench.image->topics_by_name.count, 1);
    bench_deinit(&bench);
}

static void deletion_can_be_switched_off(void **state)
{
    (void)state;
    struct decision_bench bench;
    bench_init(&bench);
    add_topic(&bench, "a");
    bench.config.settings.delete_topic_enable = false;
    struct delete_topics_request_delete_topic_state topic = {VIEW_LITERAL("a"), UUID_ZERO};
    struct delete_topics_response response = delete_topics(&bench, &topic, 1);
    assert_int_equal(response.responses[0].error_code, KAFKA_ERROR_TOPIC_DELETION_DISABLED);
    assert_int_equal(bench.image->topics_by_name.count, 1);
    bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_and_names_are_checked),
        cmocka_unit_test(names_that_differ_in_dots_collide),
        cmocka_unit_test(a_topic_named_twice_is_refused_and_answered_once),
        cmocka_unit_test(assignments_are_checked),
        cmocka_unit_test(settings_are_checked_stored_and_echoed),
        cmocka_unit_test(validating_writes_nothing),
        cmocka_unit_test(nobody_leads_while_every_broker_is_fenced),
        cmocka_unit_test(leaders_are_spread_over_the_brokers),
        cmocka_unit_test(replicas_are_in_different_racks),
        cmocka_unit_test(a_rack_is_used_although_its_brokers_are_fenced),
        cmocka_unit_test(racks_of_different_sizes_are_filled),
        cmocka_unit_test(partitions_only_become_more),
        cmocka_unit_test(topics_are_deleted_by_name_or_id),
        cmocka_unit_test(deletion_can_be_switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
