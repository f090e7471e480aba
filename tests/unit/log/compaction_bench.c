/* See the header. */
#include "tests/unit/log/compaction_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log/compaction_pass.h"

int bench_setup(void **state)
{
    struct log_fixture *fixture = calloc(1, sizeof(*fixture));
    fixture_init(fixture);
    fixture->config.cleanup_compact = true;
    fixture->config.cleanup_delete = false;
    fixture->config.segment_bytes = 2000;
    fixture->config.min_cleanable_ratio = 0;
    fixture->config.file_delete_delay_ms = 1000;
    fixture_create(fixture);
    assert_non_null(fixture->log);
    *state = fixture;
    return 0;
}

int bench_teardown(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void append_done(struct log_append *append)
{
    *(bool *)append->context = true;
}

static void append_bytes(struct log_fixture *fixture, struct view batch,
                         enum log_append_origin origin)
{
    bool is_done = false;
    uint8_t *data = malloc(batch.size);
    memcpy(data, batch.data, batch.size);
    struct log_append append = {.data = data,
                                .size = batch.size,
                                .origin = origin,
                                .done = append_done,
                                .context = &is_done};
    assert_int_equal(partition_log_append(fixture->log, &append), LOG_APPEND_QUEUED);
    memory_node_run(&fixture->node);
    assert_true(is_done);
    assert_int_equal(append.error, KAFKA_ERROR_NONE);
    free(data);
    partition_log_set_high_watermark(fixture->log, partition_log_written_end(fixture->log));
}

/* One record "k<number>" of about 100 bytes; a negative number writes a tombstone. */
void bench_put_from(struct log_fixture *fixture, struct batch_options options, int number,
                    enum log_append_origin origin)
{
    struct batch_builder builder;
    struct view batch;
    char key[16], value[100] = {0};
    size_t size = (size_t)snprintf(key, sizeof(key), "k%d", abs(number));
    struct batch_record record = {.timestamp_ms = fixture->node.wall_ms,
                                  .key = view_of(key, size),
                                  .value = number < 0 ? VIEW_NULL : view_of(value, sizeof(value))};
    batch_builder_init(&builder, &fixture->heap, 0, &options);
    assert_true(batch_builder_append(&builder, &record));
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    append_bytes(fixture, batch, origin);
    batch_builder_deinit(&builder);
}

void bench_put_with(struct log_fixture *fixture, struct batch_options options, int number)
{
    bench_put_from(fixture, options, number, LOG_APPEND_CLIENT);
}

void bench_put(struct log_fixture *fixture, int number)
{
    bench_put_with(fixture, BATCH_OPTIONS_DEFAULT, number);
}

/* `count` records over BENCH_KEYS keys; the last segment is left behind. */
void bench_fill(struct log_fixture *fixture, int count)
{
    for (int i = 0; i < count; i++)
        bench_put(fixture, i % BENCH_KEYS);
    partition_log_roll(fixture->log);
    bench_put(fixture, 0);
}

void bench_put_marker(struct log_fixture *fixture, int64_t producer_id, bool commit)
{
    uint8_t bytes[CONTROL_RECORD_MARKER_BATCH_SIZE];
    struct control_marker marker = {.commit = commit,
                                    .producer_id = producer_id,
                                    .coordinator_epoch = 1,
                                    .timestamp_ms = fixture->node.wall_ms};
    size_t size = control_record_build_marker(bytes, &marker);
    append_bytes(fixture, view_of(bytes, size), LOG_APPEND_COORDINATOR);
}

/* ---- Compacting ------------------------------------------------------------------------------ */

/* From now on all segments fit into one. */
void bench_allow_large_segments(struct log_fixture *fixture)
{
    fixture->config.segment_bytes = 1 << 20;
    partition_log_set_config(fixture->log, &fixture->config);
}

static void compacted(void *context, const struct compaction_report *report)
{
    struct bench_outcome *outcome = context;
    assert_false(outcome->is_done);
    outcome->is_done = true;
    outcome->report = *report;
}

const struct compaction_options bench_generous = {.upper_offset = INT64_MAX,
                                                  .map_size_max = 1 << 20,
                                                  .map_load_factor = 0.9,
                                                  .time_percent = 100};

bool bench_start(struct log_fixture *fixture, const struct compaction_options *options,
                 struct bench_outcome *outcome)
{
    *outcome = (struct bench_outcome){0};
    return partition_log_compact(fixture->log, options, compacted, outcome);
}

struct compaction_report bench_compact(struct log_fixture *fixture)
{
    struct bench_outcome outcome;
    assert_true(bench_start(fixture, &bench_generous, &outcome));
    memory_node_run(&fixture->node);
    assert_true(outcome.is_done);
    partition_log_check(fixture->log);
    return outcome.report;
}

/* Records of one key that a scan of the whole log finds; and checks offsets on the way. */
int bench_count_records(struct log_fixture *fixture, int number)
{
    int64_t offset = partition_log_start_offset(fixture->log), last = -1;
    char key[16];
    int count = 0;
    size_t size = (size_t)snprintf(key, sizeof(key), "k%d", number);
    for (;;) {
        struct log_read read = {
            .offset = offset, .max_bytes = 700, .min_one = true, .bound = LOG_READ_LOG_END};
        struct log_slice slice;
        assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
        if (slice.size == 0)
            return count;
        uint8_t *data = malloc(slice.size);
        assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, data, slice.size), LOG_READ_OK);
        struct view rest = view_of(data, slice.size), batch;
        struct batch_reader reader;
        struct batch_reader_record record;
        batch_reader_init(&reader, &fixture->heap);
        while (batch_next(&rest, &batch) == BATCH_OK) {
            assert_null(compaction_open_batch(&reader, batch));
            while (batch_reader_next(&reader, &record) == RECORD_OK) {
                assert_true(record.offset > last);
                last = record.offset;
                count += view_equal(record.record.key, view_of(key, size));
            }
        }
        batch_reader_deinit(&reader);
        offset = slice.next_offset;
        free(data);
        log_slice_release(&slice);
    }
}
