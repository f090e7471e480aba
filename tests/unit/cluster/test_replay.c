/*
 * Replay of every record type, refusals, transactions, and the way back: an image written as
 * records and replayed is the same image.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cluster/metadata/image_records.h"
#include "cluster/metadata/loader.h"
#include "protocol/messages/abort_transaction_record.h"
#include "protocol/messages/access_control_entry_record.h"
#include "protocol/messages/begin_transaction_record.h"
#include "protocol/messages/broker_registration_change_record.h"
#include "protocol/messages/clear_elr_record.h"
#include "protocol/messages/client_quota_record.h"
#include "protocol/messages/config_record.h"
#include "protocol/messages/delegation_token_record.h"
#include "protocol/messages/end_transaction_record.h"
#include "protocol/messages/feature_level_record.h"
#include "protocol/messages/fence_broker_record.h"
#include "protocol/messages/no_op_record.h"
#include "protocol/messages/partition_change_record.h"
#include "protocol/messages/partition_record.h"
#include "protocol/messages/producer_ids_record.h"
#include "protocol/messages/register_broker_record.h"
#include "protocol/messages/register_controller_record.h"
#include "protocol/messages/remove_access_control_entry_record.h"
#include "protocol/messages/remove_delegation_token_record.h"
#include "protocol/messages/remove_topic_record.h"
#include "protocol/messages/remove_user_scram_credential_record.h"
#include "protocol/messages/topic_record.h"
#include "protocol/messages/unfence_broker_record.h"
#include "protocol/messages/unregister_broker_record.h"
#include "protocol/messages/user_scram_credential_record.h"
#include "protocol/messages/zk_migration_state_record.h"

static const struct uuid topic_id = {{1, 2, 3}};
static const struct uuid other_id = {{9, 9}};

/* A draft that records are replayed into one by one. */
struct bench {
    struct heap heap;
    struct arena arena;
    struct image_draft draft;
    char problem[192];
};

static void bench_start(struct bench *bench)
{
    heap_init_plain(&bench->heap);
    arena_init(&bench->arena, &bench->heap, MEMORY_SCRATCH, 0);
    const struct image *empty = image_create_empty(&bench->heap, VIEW_LITERAL("c"));
    draft_begin(&bench->draft, empty);
    image_release(empty);
}

static void bench_end(struct bench *bench)
{
    draft_drop(&bench->draft);
    arena_deinit(&bench->arena);
    for (size_t i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(bench->heap.used[i], 0);
}

static bool apply_value(struct bench *bench, struct view value)
{
    struct replay replay = {.draft = &bench->draft, .arena = &bench->arena, .offset = 77};
    enum replay_mark mark;
    bool ok = replay_record(&replay, value, &mark);
    memcpy(bench->problem, replay.problem, sizeof(bench->problem));
    return ok;
}

static bool apply(struct bench *bench, enum metadata_record_type type, int16_t version,
                  const void *message)
{
    struct metadata_records records;
    metadata_records_init(&records, &bench->arena);
    assert_true(metadata_records_add(&records, type, version, message));
    return apply_value(bench, records.values[0]);
}

static const struct image *now(const struct bench *bench)
{
    return bench->draft.next;
}

static void add_topic(struct bench *bench)
{
    struct topic_record record = {VIEW_LITERAL("t"), topic_id};
    assert_true(apply(bench, METADATA_RECORD_TOPIC, 0, &record));
}

static void add_partition(struct bench *bench, int32_t index)
{
    int32_t replicas[] = {1, 2, 3};
    int32_t isr[] = {1, 2};
    int32_t eligible[] = {3};
    struct uuid directories[] = {{{1}}, {{2}}, {{3}}};
    struct partition_record record;
    partition_record_init(&record);
    record.partition_id = index;
    record.topic_id = topic_id;
    record.replicas = replicas;
    record.replicas_count = 3;
    record.isr = isr;
    record.isr_count = 2;
    record.leader = 1;
    record.leader_epoch = 4;
    record.partition_epoch = 6;
    record.directories = directories;
    record.directories_count = 3;
    record.eligible_leader_replicas = eligible;
    record.eligible_leader_replicas_count = 1;
    assert_true(apply(bench, METADATA_RECORD_PARTITION, 2, &record));
}

static void add_broker(struct bench *bench, int32_t id, int64_t epoch)
{
    struct register_broker_record_broker_endpoint endpoint = {VIEW_LITERAL("PLAINTEXT"),
                                                              VIEW_LITERAL("host"), 9092, 0};
    struct register_broker_record_broker_feature feature = {VIEW_LITERAL("metadata.version"), 7,
                                                            29};
    struct uuid directory = {{8}};
    struct register_broker_record record;
    register_broker_record_init(&record);
    record.broker_id = id;
    record.broker_epoch = epoch;
    record.incarnation_id = other_id;
    record.end_points = &endpoint;
    record.end_points_count = 1;
    record.features = &feature;
    record.features_count = 1;
    record.rack = VIEW_LITERAL("r");
    record.log_dirs = &directory;
    record.log_dirs_count = 1;
    assert_true(apply(bench, METADATA_RECORD_REGISTER_BROKER, 3, &record));
}

static const struct image_partition *partition_now(const struct bench *bench, int32_t index)
{
    return image_topic_partition(image_topic_by_id(now(bench), topic_id), index);
}

static void topics_and_partitions_appear_and_go(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    add_topic(&bench);
    add_partition(&bench, 0);
    const struct image_partition *partition = partition_now(&bench, 0);
    assert_int_equal(partition->leader, 1);
    assert_int_equal(partition->leader_epoch, 4);
    assert_int_equal(partition->partition_epoch, 6);
    assert_int_equal(image_partition_directory(partition, 2).bytes[0], 3);
    assert_int_equal(image_partition_state(partition).eligible.ids[0], 3);
    struct topic_record again = {VIEW_LITERAL("t"), other_id};
    assert_false(apply(&bench, METADATA_RECORD_TOPIC, 0, &again));
    struct remove_topic_record remove = {topic_id};
    assert_true(apply(&bench, METADATA_RECORD_REMOVE_TOPIC, 0, &remove));
    assert_null(image_topic_by_name(now(&bench), VIEW_LITERAL("t")));
    assert_int_equal(now(&bench)->partition_count, 0);
    assert_false(apply(&bench, METADATA_RECORD_REMOVE_TOPIC, 0, &remove));
    bench_end(&bench);
}

static void a_change_keeps_what_it_does_not_name(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    add_topic(&bench);
    add_partition(&bench, 0);
    struct partition_change_record record;
    partition_change_record_init(&record);
    record.partition_id = 0;
    record.topic_id = topic_id;
    int32_t isr[] = {2};
    record.isr = isr;
    record.isr_count = 1;
    assert_true(apply(&bench, METADATA_RECORD_PARTITION_CHANGE, 2, &record));
    const struct image_partition *partition = partition_now(&bench, 0);
    assert_int_equal(partition->isr_count, 1);
    assert_int_equal(partition->leader, 1);
    assert_int_equal(partition->leader_epoch, 4);
    assert_int_equal(partition->partition_epoch, 7);
    assert_int_equal(partition->eligible_count, 1);
    /* Naming the same leader again is an election: the leader epoch rises. */
    partition_change_record_init(&record);
    record.partition_id = 0;
    record.topic_id = topic_id;
    record.leader = 1;
    assert_true(apply(&bench, METADATA_RECORD_PARTITION_CHANGE, 2, &record));
    assert_int_equal(partition_now(&bench, 0)->leader_epoch, 5);
    /* An empty list is a value. */
    partition_change_record_init(&record);
    record.partition_id = 0;
    record.topic_id = topic_id;
    record.eligible_leader_replicas = isr;
    record.eligible_leader_replicas_count = 0;
    assert_true(apply(&bench, METADATA_RECORD_PARTITION_CHANGE, 2, &record));
    assert_int_equal(partition_now(&bench, 0)->eligible_count, 0);
    record.partition_id = 5;
    assert_false(apply(&bench, METADATA_RECORD_PARTITION_CHANGE, 2, &record));
    bench_end(&bench);
}

static void clearing_eligible_leaders_reaches_one_topic_or_all(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    add_topic(&bench);
    add_partition(&bench, 0);
    struct clear_elr_record record = {VIEW_LITERAL("other")};
    assert_true(apply(&bench, METADATA_RECORD_CLEAR_ELR, 0, &record));
    assert_int_equal(partition_now(&bench, 0)->eligible_count, 1);
    record.topic_name = VIEW_LITERAL("t");
    assert_true(apply(&bench, METADATA_RECORD_CLEAR_ELR, 0, &record));
    assert_int_equal(partition_now(&bench, 0)->eligible_count, 0);
    bench_end(&bench);
}

static void brokers_register_fence_and_leave(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    add_broker(&bench, 1, 50);
    const struct image_node *node = image_broker(now(&bench), 1);
    assert_true(node->fenced);
    assert_int_equal(node->register_offset, 77);
    assert_non_null(image_node_endpoint(node, VIEW_LITERAL("PLAINTEXT")));
    struct broker_registration_change_record change;
    broker_registration_change_record_init(&change);
    change.broker_id = 1;
    change.broker_epoch = 49;
    change.fenced = -1;
    assert_false(apply(&bench, METADATA_RECORD_BROKER_REGISTRATION_CHANGE, 0, &change));
    change.broker_epoch = 50;
    assert_true(apply(&bench, METADATA_RECORD_BROKER_REGISTRATION_CHANGE, 0, &change));
    assert_true(image_broker_is_active(now(&bench), 1));
    change.fenced = 0;
    change.in_controlled_shutdown = 1;
    assert_true(apply(&bench, METADATA_RECORD_BROKER_REGISTRATION_CHANGE, 1, &change));
    assert_false(image_broker_is_active(now(&bench), 1));
    change.fenced = 2;
    assert_false(apply(&bench, METADATA_RECORD_BROKER_REGISTRATION_CHANGE, 1, &change));
    struct fence_broker_record fence = {1, 50};
    assert_true(apply(&bench, METADATA_RECORD_FENCE_BROKER, 0, &fence));
    assert_true(image_broker(now(&bench), 1)->fenced);
    struct unfence_broker_record unfence = {1, 50};
    assert_true(apply(&bench, METADATA_RECORD_UNFENCE_BROKER, 0, &unfence));
    assert_false(image_broker(now(&bench), 1)->fenced);
    struct unregister_broker_record leave = {1, 51};
    assert_false(apply(&bench, METADATA_RECORD_UNREGISTER_BROKER, 0, &leave));
    leave.broker_epoch = 50;
    assert_true(apply(&bench, METADATA_RECORD_UNREGISTER_BROKER, 0, &leave));
    assert_null(image_broker(now(&bench), 1));
    bench_end(&bench);
}

/* One record of every kind that stays in an image. */
static void fill(struct bench *bench)
{
    struct feature_level_record level = {VIEW_LITERAL("metadata.version"), 29};
    assert_true(apply(bench, METADATA_RECORD_FEATURE_LEVEL, 0, &level));
    level = (struct feature_level_record){VIEW_LITERAL("group.version"), 1};
    assert_true(apply(bench, METADATA_RECORD_FEATURE_LEVEL, 0, &level));
    add_topic(bench);
    for (int32_t i = 0; i < 130; i++)
        add_partition(bench, i);
    add_broker(bench, 1, 50);
    struct register_controller_record controller;
    register_controller_record_init(&controller);
    controller.controller_id = 3;
    controller.incarnation_id = other_id;
    assert_true(apply(bench, METADATA_RECORD_REGISTER_CONTROLLER, 0, &controller));
    struct config_record config = {CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("t"),
                                   VIEW_LITERAL("retention.ms"), VIEW_LITERAL("5")};
    assert_true(apply(bench, METADATA_RECORD_CONFIG, 0, &config));
    struct client_quota_record_entity_data entity[] = {{VIEW_LITERAL("user"), VIEW_LITERAL("bob")},
                                                       {VIEW_LITERAL("client-id"), VIEW_NULL}};
    struct client_quota_record quota = {entity, 2, VIEW_LITERAL("producer_byte_rate"), 10.5, false};
    assert_true(apply(bench, METADATA_RECORD_CLIENT_QUOTA, 0, &quota));
    struct producer_ids_record ids = {1, 50, 3000};
    assert_true(apply(bench, METADATA_RECORD_PRODUCER_IDS, 0, &ids));
    struct access_control_entry_record acl = {
        .id = other_id,
        .resource_type = 2,
        .resource_name = VIEW_LITERAL("t"),
        .pattern_type = 3,
        .principal = VIEW_LITERAL("User:bob"),
        .host = VIEW_LITERAL("*"),
        .operation = 3,
        .permission_type = 3,
    };
    assert_true(apply(bench, METADATA_RECORD_ACCESS_CONTROL_ENTRY, 0, &acl));
    struct user_scram_credential_record scram = {
        .name = VIEW_LITERAL("bob"),
        .mechanism = 1,
        .salt = VIEW_LITERAL("s"),
        .stored_key = VIEW_LITERAL("k"),
        .server_key = VIEW_LITERAL("v"),
        .iterations = 4096,
    };
    assert_true(apply(bench, METADATA_RECORD_USER_SCRAM_CREDENTIAL, 0, &scram));
    struct view renewers[] = {VIEW_LITERAL("User:a"), VIEW_LITERAL("User:b")};
    struct delegation_token_record token = {
        .owner = VIEW_LITERAL("User:o"),
        .requester = VIEW_LITERAL("User:r"),
        .renewers = renewers,
        .renewers_count = 2,
        .issue_timestamp = 1,
        .max_timestamp = 2,
        .expiration_timestamp = 3,
        .token_id = VIEW_LITERAL("id"),
    };
    assert_true(apply(bench, METADATA_RECORD_DELEGATION_TOKEN, 0, &token));
    struct zk_migration_state_record migration = {0};
    assert_true(apply(bench, METADATA_RECORD_ZK_MIGRATION_STATE, 0, &migration));
    struct no_op_record nothing = {0};
    assert_true(apply(bench, METADATA_RECORD_NO_OP, 0, &nothing));
}

static void what_was_stored_can_be_removed(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    fill(&bench);
    assert_int_equal(now(&bench)->quotas.count, 1);
    assert_int_equal(now(&bench)->controllers.count, 1);
    struct client_quota_record_entity_data entity[] = {{VIEW_LITERAL("client-id"), VIEW_NULL},
                                                       {VIEW_LITERAL("user"), VIEW_LITERAL("bob")}};
    struct client_quota_record quota = {entity, 2, VIEW_LITERAL("producer_byte_rate"), 0, true};
    assert_true(apply(&bench, METADATA_RECORD_CLIENT_QUOTA, 0, &quota));
    assert_int_equal(now(&bench)->quotas.count, 0);
    struct config_record config = {CONFIG_RESOURCE_TOPIC, VIEW_LITERAL("t"),
                                   VIEW_LITERAL("retention.ms"), VIEW_NULL};
    assert_true(apply(&bench, METADATA_RECORD_CONFIG, 0, &config));
    assert_int_equal(now(&bench)->configs.count, 0);
    struct remove_access_control_entry_record acl = {other_id};
    assert_true(apply(&bench, METADATA_RECORD_REMOVE_ACCESS_CONTROL_ENTRY, 0, &acl));
    assert_false(apply(&bench, METADATA_RECORD_REMOVE_ACCESS_CONTROL_ENTRY, 0, &acl));
    struct remove_user_scram_credential_record scram = {VIEW_LITERAL("bob"), 1};
    assert_true(apply(&bench, METADATA_RECORD_REMOVE_USER_SCRAM_CREDENTIAL, 0, &scram));
    assert_false(apply(&bench, METADATA_RECORD_REMOVE_USER_SCRAM_CREDENTIAL, 0, &scram));
    struct remove_delegation_token_record token = {VIEW_LITERAL("id")};
    assert_true(apply(&bench, METADATA_RECORD_REMOVE_DELEGATION_TOKEN, 0, &token));
    assert_false(apply(&bench, METADATA_RECORD_REMOVE_DELEGATION_TOKEN, 0, &token));
    struct feature_level_record level = {VIEW_LITERAL("group.version"), 0};
    assert_true(apply(&bench, METADATA_RECORD_FEATURE_LEVEL, 0, &level));
    assert_int_equal(image_feature_level(now(&bench), VIEW_LITERAL("group.version")), 0);
    struct producer_ids_record back = {1, 50, 2000};
    assert_false(apply(&bench, METADATA_RECORD_PRODUCER_IDS, 0, &back));
    bench_end(&bench);
}

static void malformed_records_are_refused_and_change_nothing(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench);
    fill(&bench);
    static const uint8_t values[][6] = {
        {2, 2, 0},       /* frame version */
        {1, 99, 0},      /* type */
        {1, 6, 0},       /* a number that is no type */
        {1, 2, 1},       /* version above the newest */
        {1, 20, 0, 0, 0} /* bytes left over */
    };
    static const size_t sizes[] = {3, 3, 3, 3, 5};
    for (size_t i = 0; i < 5; i++)
        assert_false(apply_value(&bench, view_of(values[i], sizes[i])));
    assert_false(apply_value(&bench, VIEW_NULL));
    /* Every truncation of a good record. */
    struct metadata_records records;
    metadata_records_init(&records, &bench.arena);
    struct topic_record topic = {VIEW_LITERAL("another"), other_id};
    assert_true(metadata_records_add(&records, METADATA_RECORD_TOPIC, 0, &topic));
    for (size_t size = 0; size < records.values[0].size; size++)
        assert_false(apply_value(&bench, view_of(records.values[0].data, size)));
    assert_null(image_topic_by_name(now(&bench), VIEW_LITERAL("another")));
    bench_end(&bench);
}

/* The records of an image, as one list. */
static void dump(const struct image *image, struct metadata_records *records, struct arena *arena)
{
    metadata_records_init(records, arena);
    struct image_records_walk walk;
    image_records_start(image, &walk);
    bool failed;
    while (image_records_next(&walk, records, records->count + 7, &failed))
        assert_false(failed);
    assert_false(failed);
}

static void an_image_written_as_records_reads_back_the_same(void **state)
{
    (void)state;
    struct bench first;
    struct bench second;
    bench_start(&first);
    bench_start(&second);
    fill(&first);
    struct metadata_records written;
    struct metadata_records rewritten;
    dump(now(&first), &written, &first.arena);
    for (size_t i = 0; i < written.count; i++)
        assert_true(apply_value(&second, written.values[i]));
    dump(now(&second), &rewritten, &second.arena);
    assert_int_equal(written.count, rewritten.count);
    assert_true(written.count > 140);
    for (size_t i = 0; i < written.count; i++)
        assert_true(view_equal(written.values[i], rewritten.values[i]));
    bench_end(&first);
    bench_end(&second);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

struct log_bench {
    struct heap heap;
    struct arena arena;
    struct metadata_loader loader;
    struct batch_builder builder;
};

static void log_start(struct log_bench *bench)
{
    heap_init_plain(&bench->heap);
    arena_init(&bench->arena, &bench->heap, MEMORY_SCRATCH, 0);
    loader_init(&bench->loader, image_create_empty(&bench->heap, VIEW_LITERAL("c")));
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    batch_builder_init(&bench->builder, &bench->heap, 0, &options);
}

static bool log_apply(struct log_bench *bench, enum metadata_record_type type, const void *message)
{
    struct metadata_records records;
    metadata_records_init(&records, &bench->arena);
    assert_true(metadata_records_add(&records, type, 0, message));
    struct view batch;
    assert_true(metadata_records_build(&records, 0, 1, &bench->builder, bench->loader.next_offset,
                                       1, 1000, &batch));
    return loader_apply(&bench->loader, batch, false);
}

static bool shows(struct log_bench *bench, const char *topic)
{
    const struct image *image = loader_image(&bench->loader);
    bool found = image_topic_by_name(image, view_of_string(topic)) != NULL;
    image_release(image);
    return found;
}

static void log_end(struct log_bench *bench)
{
    loader_deinit(&bench->loader);
    batch_builder_deinit(&bench->builder);
    arena_deinit(&bench->arena);
    for (size_t i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(bench->heap.used[i], 0);
}

static void an_open_transaction_is_not_shown(void **state)
{
    (void)state;
    struct log_bench bench;
    log_start(&bench);
    struct topic_record before = {VIEW_LITERAL("before"), {{1}}};
    struct topic_record inside = {VIEW_LITERAL("inside"), {{2}}};
    struct begin_transaction_record begin = {VIEW_LITERAL("x")};
    struct end_transaction_record end;
    end_transaction_record_init(&end);
    assert_true(log_apply(&bench, METADATA_RECORD_TOPIC, &before));
    assert_true(log_apply(&bench, METADATA_RECORD_BEGIN_TRANSACTION, &begin));
    assert_true(log_apply(&bench, METADATA_RECORD_TOPIC, &inside));
    assert_true(shows(&bench, "before"));
    assert_false(shows(&bench, "inside"));
    assert_true(log_apply(&bench, METADATA_RECORD_END_TRANSACTION, &end));
    assert_true(shows(&bench, "inside"));
    assert_int_equal(bench.loader.next_offset, 4);
    log_end(&bench);
}

static void an_aborted_transaction_leaves_no_trace(void **state)
{
    (void)state;
    struct log_bench bench;
    log_start(&bench);
    struct topic_record before = {VIEW_LITERAL("before"), {{1}}};
    struct topic_record inside = {VIEW_LITERAL("inside"), {{2}}};
    struct begin_transaction_record begin = {VIEW_NULL};
    struct abort_transaction_record stop = {VIEW_LITERAL("why")};
    assert_true(log_apply(&bench, METADATA_RECORD_TOPIC, &before));
    assert_true(log_apply(&bench, METADATA_RECORD_BEGIN_TRANSACTION, &begin));
    assert_true(log_apply(&bench, METADATA_RECORD_TOPIC, &inside));
    assert_true(log_apply(&bench, METADATA_RECORD_ABORT_TRANSACTION, &stop));
    assert_true(shows(&bench, "before"));
    assert_false(shows(&bench, "inside"));
    assert_true(log_apply(&bench, METADATA_RECORD_TOPIC, &inside));
    assert_false(log_apply(&bench, METADATA_RECORD_ABORT_TRANSACTION, &stop));
    log_end(&bench);
}

static void a_gap_or_a_rotten_batch_is_refused(void **state)
{
    (void)state;
    struct log_bench bench;
    log_start(&bench);
    struct topic_record topic = {VIEW_LITERAL("t"), {{1}}};
    struct metadata_records records;
    metadata_records_init(&records, &bench.arena);
    metadata_records_add(&records, METADATA_RECORD_TOPIC, 0, &topic);
    struct view batch;
    assert_true(metadata_records_build(&records, 0, 1, &bench.builder, 5, 1, 0, &batch));
    assert_false(loader_apply(&bench.loader, batch, false));
    assert_true(metadata_records_build(&records, 0, 1, &bench.builder, 0, 1, 0, &batch));
    uint8_t rotten[256];
    memcpy(rotten, batch.data, batch.size);
    rotten[batch.size - 3] ^= 1;
    assert_false(loader_apply(&bench.loader, view_of(rotten, batch.size), false));
    assert_true(loader_apply(&bench.loader, batch, false));
    log_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_and_partitions_appear_and_go),
        cmocka_unit_test(a_change_keeps_what_it_does_not_name),
        cmocka_unit_test(clearing_eligible_leaders_reaches_one_topic_or_all),
        cmocka_unit_test(brokers_register_fence_and_leave),
        cmocka_unit_test(what_was_stored_can_be_removed),
        cmocka_unit_test(malformed_records_are_refused_and_change_nothing),
        cmocka_unit_test(an_image_written_as_records_reads_back_the_same),
        cmocka_unit_test(an_open_transaction_is_not_shown),
        cmocka_unit_test(an_aborted_transaction_leaves_no_trace),
        cmocka_unit_test(a_gap_or_a_rotten_batch_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
