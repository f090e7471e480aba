/*
 * Logs as compaction, crashes and other versions leave them: what loads, and to what. And
 * ConsumerGroupDescribe of the result.
 */
#include "consumer/consumer_group_records.h"
#include "consumer/groups.h"
#include "tests/unit/consumer/consumer_bench.h"

/* A batch for group "g" at the end of the log, replayed live. */
static struct consumer_records begin(struct consumer_bench *bench)
{
    struct consumer_records batch;
    consumer_records_begin(&batch, coordinator_fixture_state(&bench->fixture), VIEW_LITERAL("g"),
                           &bench->fixture.arena);
    return batch;
}

static void end(struct consumer_bench *bench, struct consumer_records *batch)
{
    assert_int_equal(coordinator_append(&batch->records), KAFKA_ERROR_NONE);
    coordinator_fixture_run(&bench->fixture);
}

static const struct partition_set *set_of(struct consumer_bench *bench, unsigned bits)
{
    struct partition_set_builder builder;
    partition_set_builder_init(&builder, &bench->fixture.arena);
    for (int32_t p = 0; p < 8; p++) {
        if (bits >> p & 1)
            partition_set_add(&builder, bench->topics[0].id, p);
    }
    return partition_set_finish(&builder);
}

static struct member_progress progress_of(struct consumer_bench *bench, int32_t epoch,
                                          unsigned assigned)
{
    return (struct member_progress){epoch, epoch - 1, MEMBER_STABLE, set_of(bench, assigned),
                                    &partition_set_empty};
}

static void tombstones_of_what_is_not_there_are_nothing(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct consumer_records batch = begin(&bench);
    put_removed_member(&batch, VIEW_LITERAL("a"));
    put_target_epoch_tombstone(&batch);
    put_regex_tombstone(&batch, VIEW_LITERAL("x"));
    put_partition_metadata_tombstone(&batch);
    put_group_epoch_tombstone(&batch);
    end(&bench, &batch);
    assert_null(bench_group(&bench));
    consumer_bench_deinit(&bench);
}

static void a_removed_group_leaves_nothing(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 4);
    struct bench_member a = {.id = "a", .topics = {"t"}, .regex = "x.*"};
    struct bench_member b = {.id = "b", .instance = "i", .topics = {"t"}};
    bench_join(&bench, &a);
    bench_join(&bench, &b);
    struct consumer_records batch = begin(&bench);
    put_removed_group(&batch, bench_group(&bench));
    end(&bench, &batch);
    struct groups *groups = coordinator_fixture_state(&bench.fixture);
    assert_null(groups_find(groups, VIEW_LITERAL("g")));
    consumer_bench_deinit(&bench);
}

/* KAFKA-19862: the record in which the first owner gave up was compacted away. */
static void of_two_owners_the_newer_one_has_the_partition(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 2; order++) {
        struct consumer_bench bench;
        consumer_bench_init(&bench);
        consumer_bench_topic(&bench, "t", 2);
        struct member_progress old = progress_of(&bench, 3, 1);
        struct member_progress new = progress_of(&bench, 5, 1);
        struct consumer_records batch = begin(&bench);
        put_group_epoch(&batch, 5, 0);
        put_target_epoch(&batch, 5);
        put_progress(&batch, order ? VIEW_LITERAL("new") : VIEW_LITERAL("old"),
                     order ? &new : &old);
        put_progress(&batch, order ? VIEW_LITERAL("old") : VIEW_LITERAL("new"),
                     order ? &old : &new);
        end(&bench, &batch);
        struct uuid topic = bench.topics[0].id;
        assert_int_equal(consumer_group_partition_epoch(bench_group(&bench), topic, 0), 5);
        /* The old owner's last record takes nothing from the new one. */
        batch = begin(&bench);
        put_progress_tombstone(&batch, VIEW_LITERAL("old"));
        put_member_tombstone(&batch, VIEW_LITERAL("old"));
        end(&bench, &batch);
        assert_int_equal(consumer_group_partition_epoch(bench_group(&bench), topic, 0), 5);
        assert_int_equal(bench_group(&bench)->member_count, 1);
        consumer_bench_deinit(&bench);
    }
}

static void a_target_may_come_before_its_member(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 2);
    struct consumer_records batch = begin(&bench);
    put_group_epoch(&batch, 2, 0);
    put_target(&batch, VIEW_LITERAL("a"), set_of(&bench, 3));
    put_target_epoch(&batch, 2);
    end(&bench, &batch);
    assert_null(bench_find(&bench, "a"));
    assert_int_equal(bench_group(&bench)->member_count, 0);
    assert_int_equal(consumer_group_state(bench_group(&bench)), CONSUMER_GROUP_EMPTY);
    struct member_progress progress = progress_of(&bench, 2, 3);
    batch = begin(&bench);
    put_progress(&batch, VIEW_LITERAL("a"), &progress);
    end(&bench, &batch);
    assert_int_equal(bench_find(&bench, "a")->target->partition_count, 2);
    consumer_bench_deinit(&bench);
}

static void an_unknown_state_is_fenced_unless_it_owns_nothing(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 2);
    struct bench_member a = {.id = "a", .topics = {"t"}};
    bench_join(&bench, &a);
    struct member_progress progress = progress_of(&bench, 1, 3);
    progress.state = (enum consumer_member_state)9;
    struct consumer_records batch = begin(&bench);
    put_progress(&batch, VIEW_LITERAL("a"), &progress);
    end(&bench, &batch);
    assert_int_equal(bench_find(&bench, "a")->progress.state, MEMBER_UNKNOWN);
    assert_int_equal(bench_beat(&bench, &a).error, KAFKA_ERROR_FENCED_MEMBER_EPOCH);
    assert_int_equal(bench_beat_owning(&bench, &a, 1).error, KAFKA_ERROR_FENCED_MEMBER_EPOCH);
    assert_int_equal(bench_beat_owning(&bench, &a, 0).error, KAFKA_ERROR_NONE);
    consumer_bench_deinit(&bench);
}

static void a_partition_metadata_record_gets_its_tombstone(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    struct bench_member a = {.id = "a", .topics = {"t"}};
    bench_join(&bench, &a);
    /* Type 4 as Kafka 4.0 wrote it: no topics. */
    static const uint8_t key[] = {0, 4, 0, 1, 'g'};
    static const uint8_t value[] = {0, 0, 1, 0};
    struct consumer_records batch = begin(&bench);
    coordinator_records_add(&batch.records, view_of(key, sizeof(key)),
                            view_of(value, sizeof(value)));
    end(&bench, &batch);
    assert_true(bench_group(&bench)->has_partition_metadata);
    bench_beat(&bench, &a); /* nothing is looked at */
    assert_int_equal(coordinator_fixture_count(&bench.fixture, 4), 1);
    consumer_bench_topic(&bench, "t", 1);
    bench_beat(&bench, &a);
    assert_int_equal(coordinator_fixture_count(&bench.fixture, 4), 2);
    assert_false(bench_group(&bench)->has_partition_metadata);
    consumer_bench_deinit(&bench);
}

static void damage_fails_the_load(void **state)
{
    (void)state;
    static const struct {
        uint8_t value[24];
        size_t size;
    } rows[] = {
        {{0, 0, 0, 0}, 4},          /* cut */
        {{0, 9, 0, 0, 0, 1, 0}, 7}, /* a version nobody knows */
        {{0}, 1},                   /* no version */
    };
    static const uint8_t key[] = {0, 3, 0, 1, 'g'};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct consumer_bench bench;
        consumer_bench_init(&bench);
        coordinator_fixture_resign(&bench.fixture);
        struct batch_options options = BATCH_OPTIONS_DEFAULT;
        coordinator_fixture_write(&bench.fixture, &options, view_of(key, sizeof(key)),
                                  view_of(rows[i].value, rows[i].size));
        coordinator_fixture_reload(&bench.fixture);
        assert_int_equal(coordinator_state(bench.fixture.coordinator), COORDINATOR_FAILED);
        coordinator_fixture_deinit(&bench.fixture);
    }
}

/* ---- ConsumerGroupDescribe ---- */

static struct consumer_group_describe_response_described_group
describe(struct consumer_bench *bench, const char *id, struct fixture_call *call,
         struct view *request)
{
    static struct consumer_group_describe_response_described_group response;
    consumer_group_describe_response_described_group_init(&response);
    *request = view_of_string(id);
    fixture_call_init(&bench->fixture, call, 1, request, &response);
    consumer_group_describe(coordinator_fixture_state(&bench->fixture), &call->call);
    coordinator_fixture_run(&bench->fixture);
    assert_int_equal(call->told, 1);
    return response;
}

static void describe_tells_members_assignments_and_targets(void **state)
{
    (void)state;
    struct consumer_bench bench;
    consumer_bench_init(&bench);
    consumer_bench_topic(&bench, "t", 4);
    struct bench_member a = {.id = "a", .topics = {"t"}};
    struct bench_member b = {.id = "b", .instance = "i", .topics = {"t"}, .regex = "t.*"};
    bench_join(&bench, &a);
    bench_join(&bench, &b);
    struct fixture_call call;
    struct view request;
    struct consumer_group_describe_response_described_group told =
        describe(&bench, "g", &call, &request);
    assert_int_equal(told.error_code, 0);
    assert_true(view_equal(told.group_id, VIEW_LITERAL("g")));
    assert_true(view_equal(told.group_state, VIEW_LITERAL("Assigning")));
    assert_true(view_equal(told.assignor_name, VIEW_LITERAL("uniform")));
    assert_int_equal(told.group_epoch, 3); /* the pattern was resolved */
    assert_int_equal(told.assignment_epoch, 2);
    assert_int_equal(told.members_count, 2);
    const struct consumer_group_describe_response_member *first = &told.members[0];
    const struct consumer_group_describe_response_member *second = &told.members[1];
    assert_true(view_equal(first->member_id, VIEW_LITERAL("a")));
    assert_true(view_is_null(first->instance_id));
    assert_true(view_equal(first->client_id, VIEW_LITERAL("client")));
    assert_true(view_equal(first->client_host, VIEW_LITERAL("/127.0.0.1")));
    assert_int_equal(first->member_epoch, 1);
    assert_int_equal(first->member_type, 1);
    assert_int_equal(first->assignment.topic_partitions[0].partitions_count, 4);
    assert_int_equal(first->target_assignment.topic_partitions[0].partitions_count, 2);
    assert_true(view_equal(first->assignment.topic_partitions[0].topic_name, VIEW_LITERAL("t")));
    assert_true(view_equal(second->instance_id, VIEW_LITERAL("i")));
    assert_true(view_equal(second->subscribed_topic_regex, VIEW_LITERAL("t.*")));
    assert_true(view_equal(second->subscribed_topic_names[0], VIEW_LITERAL("t")));
    assert_int_equal(second->assignment.topic_partitions_count, 0);
    assert_int_equal(second->target_assignment.topic_partitions[0].partitions_count, 2);
    fixture_call_deinit(&call);
    told = describe(&bench, "other", &call, &request);
    assert_int_equal(told.error_code, KAFKA_ERROR_GROUP_ID_NOT_FOUND);
    fixture_call_deinit(&call);
    consumer_bench_deinit(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tombstones_of_what_is_not_there_are_nothing),
        cmocka_unit_test(a_removed_group_leaves_nothing),
        cmocka_unit_test(of_two_owners_the_newer_one_has_the_partition),
        cmocka_unit_test(a_target_may_come_before_its_member),
        cmocka_unit_test(an_unknown_state_is_fenced_unless_it_owns_nothing),
        cmocka_unit_test(a_partition_metadata_record_gets_its_tombstone),
        cmocka_unit_test(damage_fails_the_load),
        cmocka_unit_test(describe_tells_members_assignments_and_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
