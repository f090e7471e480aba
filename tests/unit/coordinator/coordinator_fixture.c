/* See the header. The log is the one of tests/unit/log/log_fixture.h, led by a replica. */
#include "tests/unit/coordinator/coordinator_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cluster/metadata/draft.h"
#include "protocol/batch_reader.h"

#define SEGMENT_FILE FIXTURE_DIRECTORY "/00000000000000000000.log"

/* ---- Life ---- */

void coordinator_fixture_init(struct coordinator_fixture *fixture,
                              const struct coordinator_kind *kind)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->kind = kind;
    fixture_init(&fixture->log);
    heap_init_plain(&fixture->heap);
    heap_init_plain(&fixture->other_heap);
    const struct replica_host_options host_options = {
        .loop = memory_node_loop(&fixture->log.node, 1),
        .heap = &fixture->other_heap,
        .node_id = 1,
    };
    replica_host_init(&fixture->replica_host, &host_options, 1);
    arena_init(&fixture->arena, &fixture->other_heap, MEMORY_STATE, 0);
    struct config_report report = {0};
    const struct server_config_input input = {.file_name = VIEW_NULL, .file_text = VIEW_NULL};
    assert_true(server_config_build(&fixture->config, &input, &report, &fixture->arena));
    fixture->log.topic.cleanup_compact = true;
    fixture->log.topic.cleanup_delete = false;
    fixture->log.forgets_checkpoints = true;
    log_config_of_topic(&fixture->log.config, &fixture->log.topic);
    fixture->image = image_create_empty(&fixture->other_heap, VIEW_LITERAL("cluster"));
    struct image_draft draft;
    draft_begin(&draft, fixture->image);
    const struct image_node node = {.id = 1, .rack = VIEW_NULL};
    draft_set_broker(&draft, &node);
    image_release(fixture->image);
    fixture->image = draft_finish(&draft, NULL);
    fixture_create(&fixture->log);
    assert_non_null(fixture->log.log);
    coordinator_host_init(&fixture->host, memory_node_loop(&fixture->log.node, 1), &fixture->heap,
                          &fixture->log.shard, &fixture->config);
}

/* The replica takes the log and leads with the next epoch. */
static void lead(struct coordinator_fixture *fixture)
{
    fixture->replica = replica_create(&fixture->replica_host, fixture->kind->topic, UUID_ONE, 0,
                                      &fixture->log.topic);
    fixture->leader_epoch++;
    replica_attach(fixture->replica, fixture->log.log);
    replica_lead_alone(fixture->replica, fixture->leader_epoch, fixture->leader_epoch);
}

static void load(struct coordinator_fixture *fixture)
{
    fixture->coordinator = coordinator_create(&(struct coordinator_options){
        .host = &fixture->host,
        .kind = fixture->kind,
        .replica = fixture->replica,
        .image = fixture->image,
        .codec = (enum compression_codec)fixture->config.settings.offsets_topic_compression_codec});
    coordinator_fixture_run(fixture);
}

void coordinator_fixture_start(struct coordinator_fixture *fixture)
{
    lead(fixture);
    memory_node_run(&fixture->log.node);
    load(fixture);
}

static void leave(struct coordinator_fixture *fixture)
{
    if (!fixture->replica)
        return;
    replica_detach(fixture->replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    memory_node_run(&fixture->log.node);
    replica_destroy(fixture->replica);
    fixture->replica = NULL;
}

static void release_hold(struct coordinator_fixture *fixture)
{
    fixture->log.node.hold = false;
    memory_node_run(&fixture->log.node);
}

void coordinator_fixture_deinit(struct coordinator_fixture *fixture)
{
    coordinator_fixture_resign(fixture);
    release_hold(fixture);
    leave(fixture);
    coordinator_host_deinit(&fixture->host);
    fixture_deinit(&fixture->log);
    replica_host_deinit(&fixture->replica_host);
    image_release(fixture->image);
    arena_deinit(&fixture->arena);
    for (unsigned i = 0; i < MEMORY_CLASSES; i++) {
        assert_int_equal(fixture->heap.used[i], 0);
        assert_int_equal(fixture->other_heap.used[i], 0);
    }
}

void *coordinator_fixture_state(struct coordinator_fixture *fixture)
{
    assert_non_null(fixture->coordinator);
    assert_int_equal(coordinator_state(fixture->coordinator), COORDINATOR_ACTIVE);
    return coordinator_kind_state(fixture->coordinator);
}

/* ---- Calls ---- */

static void told(struct coordinator_call *call)
{
    container_of(call, struct fixture_call, call)->told++;
}

void fixture_call_init(struct coordinator_fixture *fixture, struct fixture_call *call,
                       int16_t version, const void *request, void *response)
{
    coordinator_call_init(&call->call);
    arena_init(&call->arena, &fixture->other_heap, MEMORY_SCRATCH, 0);
    call->told = 0;
    call->call.arena = &call->arena;
    call->call.client.id = VIEW_LITERAL("client");
    call->call.client.host = VIEW_LITERAL("/127.0.0.1");
    call->call.version = version;
    call->call.request = request;
    call->call.response = response;
    call->call.done = told;
}

void fixture_call_deinit(struct fixture_call *call)
{
    assert_true(call->told <= 1);
    assert_false(list_is_linked(&call->call.link));
    assert_false(list_is_linked(&call->call.wait.link));
    arena_deinit(&call->arena);
}

/* ---- Time and the log ---- */

void coordinator_fixture_run(struct coordinator_fixture *fixture)
{
    memory_node_run(&fixture->log.node);
    if (fixture->log.log && !fixture->is_refusing)
        fixture->log.log->retry_at_ns = 0; /* a device that was full has room again */
    if (fixture->coordinator)
        coordinator_assert(fixture->coordinator);
}

void coordinator_fixture_advance(struct coordinator_fixture *fixture, int64_t ms)
{
    memory_node_advance(&fixture->log.node, (uint64_t)ms * 1000000);
    coordinator_fixture_run(fixture);
}

void coordinator_fixture_hold(struct coordinator_fixture *fixture)
{
    fixture->log.node.hold = true;
}

void coordinator_fixture_commit(struct coordinator_fixture *fixture)
{
    release_hold(fixture);
    coordinator_fixture_run(fixture);
}

void coordinator_fixture_refuse(struct coordinator_fixture *fixture, bool refuse)
{
    struct partition_log *log = fixture->log.log;
    fixture->is_refusing = refuse;
    log->state = refuse ? PARTITION_LOG_NO_SPACE : PARTITION_LOG_RUNNING;
    log->retry_at_ns = refuse ? UINT64_MAX : 0;
}

void coordinator_fixture_lose_next(struct coordinator_fixture *fixture)
{
    memory_node_fail(&fixture->log.node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
}

void coordinator_fixture_resign(struct coordinator_fixture *fixture)
{
    if (fixture->coordinator)
        coordinator_resign(fixture->coordinator);
    fixture->coordinator = NULL;
}

void coordinator_fixture_reload(struct coordinator_fixture *fixture)
{
    coordinator_fixture_resign(fixture);
    leave(fixture);
    lead(fixture);
    load(fixture);
}

/* The disk keeps what it had synced while the hold was on, whatever is synced on the way down. */
void coordinator_fixture_crash(struct coordinator_fixture *fixture)
{
    coordinator_fixture_resign(fixture);
    struct view durable = memory_node_durable_file(&fixture->log.node, SEGMENT_FILE);
    assert_false(view_is_null(durable));
    uint8_t *copy = malloc(durable.size + 1);
    memcpy(copy, durable.data, durable.size);
    release_hold(fixture);
    leave(fixture);
    fixture_drop(&fixture->log);
    memory_node_crash(&fixture->log.node);
    memory_node_put_file(&fixture->log.node, SEGMENT_FILE, view_of(copy, durable.size));
    free(copy);
    fixture->log.recovery_point = 0;
    fixture->log.log_start = 0;
    fixture->log.high_watermark = 0;
    fixture_open(&fixture->log);
    assert_non_null(fixture->log.log);
    lead(fixture);
    load(fixture);
}

/* ---- The image ---- */

static void show(struct coordinator_fixture *fixture, struct image_draft *draft)
{
    struct image_delta *delta;
    const struct image *before = fixture->image;
    draft_set_position(draft, before->offset + 1, 1, fixture->log.node.wall_ms);
    fixture->image = draft_finish(draft, &delta);
    if (fixture->coordinator)
        coordinator_set_image(fixture->coordinator, fixture->image, delta);
    image_delta_destroy(&fixture->other_heap, delta);
    image_release(before);
}

struct uuid coordinator_fixture_set_topic(struct coordinator_fixture *fixture, const char *name,
                                          int32_t partitions)
{
    const struct image_topic *topic = image_topic_by_name(fixture->image, view_of_string(name));
    struct uuid id = {{0x40}};
    struct image_draft draft;
    draft_begin(&draft, fixture->image);
    if (topic) {
        id = topic->id;
    } else {
        store_u32(id.bytes + 12, ++fixture->next_topic);
        assert_true(draft_add_topic(&draft, view_of_string(name), id));
    }
    int32_t node = 1;
    const struct partition_state state = {
        .leader = 1, .replicas = {&node, 1}, .isr = {&node, 1}, .directories = NULL};
    for (int32_t i = 0; i < partitions; i++)
        assert_true(draft_set_partition(&draft, id, i, &state));
    show(fixture, &draft);
    return id;
}

void coordinator_fixture_delete_topic(struct coordinator_fixture *fixture, const char *name)
{
    const struct image_topic *topic = image_topic_by_name(fixture->image, view_of_string(name));
    assert_non_null(topic);
    struct image_draft draft;
    draft_begin(&draft, fixture->image);
    assert_true(draft_remove_topic(&draft, topic->id));
    show(fixture, &draft);
}

void coordinator_fixture_set_setting(struct coordinator_fixture *fixture,
                                     enum config_resource_type type, const char *resource,
                                     const char *name, const char *value)
{
    struct image_draft draft;
    draft_begin(&draft, fixture->image);
    draft_set_config(&draft, (int8_t)type, view_of_string(resource), view_of_string(name),
                     view_of_string(value));
    show(fixture, &draft);
}

void coordinator_fixture_set_feature(struct coordinator_fixture *fixture, const char *name,
                                     int16_t level)
{
    struct image_draft draft;
    draft_begin(&draft, fixture->image);
    draft_set_feature(&draft, view_of_string(name), level);
    show(fixture, &draft);
}

/* ---- The log's records ---- */

void coordinator_fixture_write(struct coordinator_fixture *fixture,
                               const struct batch_options *options, struct view key,
                               struct view value)
{
    struct batch_builder builder;
    batch_builder_init(&builder, &fixture->other_heap, 0, options);
    const struct batch_record record = {
        .timestamp_ms = fixture->log.node.wall_ms, .key = key, .value = value};
    assert_true(batch_builder_append(&builder, &record));
    struct view batch;
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    struct log_append append = {.data = (uint8_t *)(uintptr_t)batch.data,
                                .size = batch.size,
                                .origin = LOG_APPEND_COORDINATOR,
                                .leader_epoch = fixture->leader_epoch};
    assert_int_equal(partition_log_append(fixture->log.log, &append), LOG_APPEND_QUEUED);
    memory_node_run(&fixture->log.node);
    assert_int_equal(append.error, KAFKA_ERROR_NONE);
    batch_builder_deinit(&builder);
}

static void visit_batch(struct coordinator_fixture *fixture, struct view batch,
                        void (*visit)(void *context, const struct coordinator_record *record),
                        void *context)
{
    if (batch_is_control(batch.data))
        return;
    struct batch_reader reader;
    struct batch_reader_record record;
    batch_reader_init(&reader, &fixture->other_heap);
    assert_int_equal(batch_reader_open(&reader, batch, 1u << 30), COMPRESSION_OK);
    while (batch_reader_next(&reader, &record) == RECORD_OK) {
        assert_true(record.record.key.size >= 2);
        const struct coordinator_record seen = {
            .type = load_i16(record.record.key.data),
            .key = view_of(record.record.key.data + 2, record.record.key.size - 2),
            .value = record.record.value,
            .offset = record.offset,
            .timestamp_ms = record.timestamp_ms,
            .producer_id = batch_producer_id(batch.data),
            .producer_epoch = batch_producer_epoch(batch.data),
        };
        visit(context, &seen);
    }
    batch_reader_deinit(&reader);
}

void coordinator_fixture_each(struct coordinator_fixture *fixture,
                              void (*visit)(void *context, const struct coordinator_record *record),
                              void *context)
{
    struct view rest = memory_node_file(&fixture->log.node, SEGMENT_FILE);
    struct view batch;
    while (batch_next(&rest, &batch) == BATCH_OK)
        visit_batch(fixture, batch, visit, context);
    assert_int_equal(rest.size, 0);
}

struct record_counter {
    int16_t type;
    uint32_t count;
};

static void count_record(void *context, const struct coordinator_record *record)
{
    struct record_counter *counter = context;
    counter->count += record->type == counter->type;
}

uint32_t coordinator_fixture_count(struct coordinator_fixture *fixture, int16_t type)
{
    struct record_counter counter = {.type = type};
    coordinator_fixture_each(fixture, count_record, &counter);
    return counter.count;
}
