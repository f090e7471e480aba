/* Every step runs the node until nothing is left to do, so a test reads as a list of calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/log/log_fixture.h"

static void told_written(void *owner, int64_t written_end)
{
    ((struct log_fixture *)owner)->written_end = written_end;
}

static void told_durable(void *owner, int64_t durable_end)
{
    ((struct log_fixture *)owner)->durable_end = durable_end;
}

static void told_failed(void *owner, enum storage_status status, int64_t written_end)
{
    struct log_fixture *fixture = owner;
    fixture->failure = status;
    fixture->failure_count++;
    assert_int_equal(written_end, partition_log_written_end(fixture->log));
}

static const struct partition_log_events events = {told_written, told_durable, told_failed};

static void start_loop(struct log_fixture *fixture)
{
    struct loop *loop = memory_node_loop(&fixture->node, 1);
    log_shard_init(&fixture->shard, loop, &(struct log_shard_options){.open_files_limit = 4});
    directory_shard_init(&fixture->directory, loop, 0, "/logs", NULL, NULL, NULL, NULL);
}

void fixture_init(struct log_fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    memory_node_init(&fixture->node);
    heap_init_plain(&fixture->heap);
    memory_node_make_directory(&fixture->node, "/logs");
    fixture->node.wall_ms = 1700000000000;
    fixture->producers = (struct producer_state_options){.expiration_ms = 86400000};
    struct arena arena;
    arena_init(&arena, &fixture->heap, MEMORY_SCRATCH, 0);
    topic_config_default(&fixture->topic, &arena);
    arena_deinit(&arena);
    log_config_of_topic(&fixture->config, &fixture->topic);
    start_loop(fixture);
}

static void directory_stopped(struct directory_shard *directory)
{
    (void)directory;
}

void fixture_deinit(struct log_fixture *fixture)
{
    if (fixture->log)
        fixture_drop(fixture);
    directory_shard_stop(&fixture->directory, directory_stopped);
    memory_node_run(&fixture->node);
    fixture->shard.open_files_limit = 0;
    log_shard_deinit(&fixture->shard);
    memory_node_deinit(&fixture->node);
}

static void opened(struct log_open_job *job)
{
    *(bool *)job->context = true;
}

static void open_log(struct log_fixture *fixture, bool create)
{
    bool is_done = false;
    struct log_open_job job = {
        .create = create,
        .opened = opened,
        .context = &is_done,
        .options = {.shard = &fixture->shard,
                    .directory = FIXTURE_DIRECTORY,
                    .topic = VIEW_LITERAL("topic"),
                    .topic_id = UUID_ONE,
                    .config = fixture->config,
                    .producers = &fixture->producers,
                    .committer = &fixture->directory.committer,
                    .events = &events,
                    .owner = fixture,
                    .clean = fixture->clean,
                    .is_checkpointed = fixture->is_checkpointed,
                    .cleaner_offset = fixture->cleaner_offset,
                    .recovery_point = fixture->recovery_point,
                    .log_start_offset = fixture->log_start,
                    .high_watermark = fixture->high_watermark},
    };
    partition_log_open(&job);
    memory_node_run(&fixture->node);
    assert_true(is_done);
    fixture->open_status = job.status;
    fixture->log = job.log;
    fixture->scanned_bytes = job.scanned_bytes;
    fixture->cut_bytes = job.cut_bytes;
    memcpy(fixture->message, job.message, sizeof(fixture->message));
    if (job.log)
        partition_log_check(job.log);
}

void fixture_create(struct log_fixture *fixture)
{
    open_log(fixture, true);
}

void fixture_open(struct log_fixture *fixture)
{
    open_log(fixture, false);
}

struct close_result {
    struct log_fixture *fixture;
    bool is_done;
};

static void closed(struct log_close *close, bool clean)
{
    struct close_result *result = close->context;
    struct log_fixture *fixture = result->fixture;
    result->is_done = true;
    fixture->closed_clean = clean;
    fixture->clean = clean;
    fixture->recovery_point = close->recovery_point;
    fixture->log_start = close->log_start_offset;
    fixture->high_watermark = close->high_watermark;
    fixture->log = NULL;
}

static void end_log(struct log_fixture *fixture, bool is_drop)
{
    struct close_result result = {.fixture = fixture};
    struct log_close close = {.closed = closed, .context = &result};
    if (is_drop)
        partition_log_drop(fixture->log, &close);
    else
        partition_log_close(fixture->log, &close);
    assert_false(result.is_done);
    memory_node_run(&fixture->node);
    assert_true(result.is_done);
}

void fixture_close(struct log_fixture *fixture)
{
    end_log(fixture, false);
}

void fixture_drop(struct log_fixture *fixture)
{
    end_log(fixture, true);
    fixture->clean = false;
}

void fixture_crash(struct log_fixture *fixture)
{
    int64_t recovery_point = partition_log_recovery_point(fixture->log);
    fixture_drop(fixture); /* writes and syncs nothing */
    memory_node_crash(&fixture->node);
    fixture->recovery_point = recovery_point;
    if (fixture->forgets_checkpoints) {
        fixture->recovery_point = 0;
        fixture->log_start = 0;
        fixture->high_watermark = 0;
    }
    fixture_open(fixture);
}

struct batch_options fixture_options(void)
{
    return BATCH_OPTIONS_DEFAULT;
}

void fixture_batch(struct log_fixture *fixture, struct fixture_append *append,
                   const struct batch_options *options, int32_t count, size_t value_size,
                   int64_t timestamp_ms)
{
    struct batch_builder builder;
    uint8_t *value = calloc(1, value_size + 1);
    batch_builder_init(&builder, &fixture->heap, 0, options);
    for (int32_t i = 0; i < count; i++) {
        value[0] = (uint8_t)i;
        struct batch_record record = {.timestamp_ms = timestamp_ms,
                                      .value = view_of(value, value_size)};
        assert_true(batch_builder_append(&builder, &record));
    }
    struct view batch;
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    memset(append, 0, sizeof(*append));
    append->size = batch.size;
    append->data = malloc(batch.size);
    memcpy(append->data, batch.data, batch.size);
    append->append.data = append->data;
    append->append.size = append->size;
    batch_builder_deinit(&builder);
    free(value);
}

void fixture_append_free(struct log_fixture *fixture, struct fixture_append *append)
{
    (void)fixture;
    free(append->data);
    append->data = NULL;
}

static void append_done(struct log_append *append)
{
    container_of(append, struct fixture_append, append)->is_done = true;
}

int64_t fixture_write_at(struct log_fixture *fixture, int32_t count, size_t value_size,
                         int64_t timestamp_ms)
{
    struct fixture_append append;
    struct batch_options options = fixture_options();
    fixture_batch(fixture, &append, &options, count, value_size, timestamp_ms);
    append.append.origin = LOG_APPEND_CLIENT;
    append.append.done = append_done;
    enum log_append_result result = partition_log_append(fixture->log, &append.append);
    memory_node_run(&fixture->node);
    int64_t base_offset = append.append.base_offset;
    if (result == LOG_APPEND_REFUSED || append.append.error != KAFKA_ERROR_NONE)
        base_offset = -(int64_t)append.append.error;
    if (result == LOG_APPEND_QUEUED)
        assert_true(append.is_done);
    fixture_append_free(fixture, &append);
    partition_log_check(fixture->log);
    return base_offset;
}

int64_t fixture_write(struct log_fixture *fixture, int32_t count, size_t value_size)
{
    return fixture_write_at(fixture, count, value_size, fixture->node.wall_ms);
}

static void warmed(struct log_warm *warm)
{
    *(bool *)warm->context = true;
}

enum log_read_status fixture_read(struct log_fixture *fixture, const struct log_read *read,
                                  struct log_slice *slice)
{
    for (unsigned i = 0; i < 4; i++) {
        enum log_read_status status = partition_log_read(fixture->log, read, slice);
        if (status != LOG_READ_NEEDS_IO)
            return status;
        bool is_warm = false;
        struct log_warm warm = {.warmed = warmed, .context = &is_warm};
        partition_log_warm(fixture->log, read, &warm);
        memory_node_run(&fixture->node);
        assert_true(is_warm);
        if (warm.status != LOG_READ_OK)
            return warm.status;
    }
    fail_msg("a warmed read still needs the device");
    return LOG_READ_FAILED;
}

int64_t fixture_scan(struct log_fixture *fixture, uint32_t max_bytes)
{
    int64_t offset = partition_log_start_offset(fixture->log);
    for (;;) {
        struct log_read read = {
            .offset = offset, .max_bytes = max_bytes, .min_one = true, .bound = LOG_READ_LOG_END};
        struct log_slice slice;
        assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
        if (slice.size == 0)
            return offset;
        uint8_t *data = malloc(slice.size);
        assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, data, slice.size), LOG_READ_OK);
        struct view rest = view_of(data, slice.size);
        struct view batch;
        while (batch_next(&rest, &batch) == BATCH_OK) {
            assert_true(batch_crc_is_valid(batch));
            assert_true(batch_last_offset(batch.data) >= offset);
            offset = batch_last_offset(batch.data) + 1;
        }
        assert_int_equal(rest.size, 0);
        assert_true(slice.next_offset >= offset);
        offset = slice.next_offset;
        free(data);
        log_slice_release(&slice);
    }
}

static void changed(struct log_change *change)
{
    *(bool *)change->context = true;
}

enum storage_status fixture_truncate(struct log_fixture *fixture, int64_t offset)
{
    bool is_done = false;
    struct log_change change = {.done = changed, .context = &is_done};
    partition_log_truncate(fixture->log, offset, &change);
    assert_false(is_done);
    memory_node_run(&fixture->node);
    assert_true(is_done);
    if (change.status == STORAGE_OK)
        partition_log_check(fixture->log);
    return change.status;
}

int fixture_setup(void **state)
{
    struct log_fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_init(fixture);
    fixture_create(fixture);
    assert_non_null(fixture->log);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

void fixture_write_producer(struct log_fixture *fixture, int64_t id, int32_t sequence,
                            bool transactional)
{
    struct batch_options options = fixture_options();
    options.producer_id = id;
    options.producer_epoch = 1;
    options.base_sequence = sequence;
    options.transactional = transactional;
    struct fixture_append append;
    fixture_batch(fixture, &append, &options, 1, 10, fixture->node.wall_ms);
    append.append.origin = LOG_APPEND_CLIENT;
    assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_QUEUED);
    memory_node_run(&fixture->node);
    fixture_append_free(fixture, &append);
}

int64_t fixture_write_marker(struct log_fixture *fixture, int64_t id, bool commit)
{
    struct control_marker marker = {.commit = commit,
                                    .producer_id = id,
                                    .producer_epoch = 1,
                                    .coordinator_epoch = 3,
                                    .timestamp_ms = fixture->node.wall_ms};
    uint8_t batch[CONTROL_RECORD_MARKER_BATCH_SIZE];
    struct log_append append = {.data = batch, .origin = LOG_APPEND_COORDINATOR};
    append.size = control_record_build_marker(batch, &marker);
    assert_int_equal(partition_log_append(fixture->log, &append), LOG_APPEND_QUEUED);
    memory_node_run(&fixture->node);
    return append.base_offset;
}

void fixture_maintain(struct log_fixture *fixture)
{
    memory_node_advance(&fixture->node, UINT64_C(2000000000));
    partition_log_maintain(fixture->log, false);
    memory_node_run(&fixture->node);
}

struct fixture_bytes fixture_copy(struct log_fixture *fixture, const char *path)
{
    struct view view = memory_node_file(&fixture->node, path);
    struct fixture_bytes bytes = {malloc(view.size + 1), view.size};
    if (view.size)
        memcpy(bytes.data, view.data, view.size);
    return bytes;
}
