/*
 * Lookups by time and reads at every offset, compared with a plain list of what was written; over
 * several segments, before and after a restart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "tests/unit/log/log_fixture.h"

enum { RECORDS_MAX = 4000, FIRST_MS = 1000 };

struct model {
    struct log_fixture fixture;
    int64_t timestamps[RECORDS_MAX]; /* by offset */
    int64_t batch_base[RECORDS_MAX]; /* by offset */
    int64_t batch_next[RECORDS_MAX];
    int64_t count;
    struct random_stream random;
};

static int setup(void **state)
{
    struct model *model = calloc(1, sizeof(*model));
    fixture_init(&model->fixture);
    model->fixture.config.segment_bytes = 30000;
    fixture_create(&model->fixture);
    random_init(&model->random, 42, 0);
    *state = model;
    return 0;
}

static int teardown(void **state)
{
    struct model *model = *state;
    fixture_deinit(&model->fixture);
    free(model);
    return 0;
}

static int64_t draw(struct model *model, int64_t bound)
{
    return (int64_t)random_below(&model->random, (uint64_t)bound);
}

/* One batch of up to 5 records whose timestamps wander; codecs differ. */
static void write_batch(struct model *model)
{
    struct log_fixture *fixture = &model->fixture;
    struct batch_options options = fixture_options();
    options.codec = draw(model, 3) == 0 ? COMPRESSION_LZ4 : COMPRESSION_NONE;
    options.level = compression_level_default(options.codec);
    struct batch_builder builder;
    batch_builder_init(&builder, &fixture->heap, 0, &options);
    int32_t count = 1 + (int32_t)draw(model, 5);
    int64_t base = model->count;
    uint8_t value[700] = {0};
    for (int32_t i = 0; i < count; i++) {
        int64_t timestamp = FIRST_MS + model->count + draw(model, 60) - 30;
        model->timestamps[model->count] = timestamp;
        model->batch_base[model->count] = base;
        model->batch_next[model->count++] = base + count;
        struct batch_record record = {.timestamp_ms = timestamp,
                                      .value = view_of(value, (size_t)draw(model, 700))};
        assert_true(batch_builder_append(&builder, &record));
    }
    struct view batch;
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    uint8_t *data = malloc(batch.size);
    memcpy(data, batch.data, batch.size);
    struct log_append append = {.data = data, .size = batch.size, .origin = LOG_APPEND_CLIENT};
    assert_int_equal(partition_log_append(fixture->log, &append), LOG_APPEND_QUEUED);
    assert_int_equal(append.base_offset, base);
    memory_node_run(&fixture->node);
    free(data);
    batch_builder_deinit(&builder);
}

static void fill(struct model *model, int64_t count)
{
    while (model->count < count)
        write_batch(model);
    partition_log_set_high_watermark(model->fixture.log, model->count);
}

static void found(struct log_lookup *lookup)
{
    *(bool *)lookup->context = true;
}

static struct log_lookup look_up(struct model *model, enum log_lookup_kind kind, int64_t timestamp)
{
    bool is_done = false;
    struct log_lookup lookup = {
        .kind = kind, .timestamp = timestamp, .found = found, .context = &is_done};
    partition_log_lookup(model->fixture.log, &lookup);
    assert_false(is_done);
    memory_node_run(&model->fixture.node);
    assert_true(is_done);
    assert_int_equal(lookup.status, LOG_READ_OK);
    return lookup;
}

static void check_timestamps(struct model *model)
{
    int64_t start = partition_log_start_offset(model->fixture.log);
    int64_t largest = -1;
    for (int64_t i = start; i < model->count; i++) {
        if (largest < 0 || model->timestamps[i] > model->timestamps[largest])
            largest = i;
    }
    for (int64_t target = FIRST_MS - 40; target < FIRST_MS + model->count + 40; target += 7) {
        int64_t expected = -1;
        for (int64_t i = start; i < model->count && expected < 0; i++) {
            if (model->timestamps[i] >= target)
                expected = i;
        }
        struct log_lookup lookup = look_up(model, LOG_LOOKUP_TIMESTAMP, target);
        assert_int_equal(lookup.offset, expected);
        if (expected >= 0)
            assert_int_equal(lookup.found_timestamp, model->timestamps[expected]);
    }
    assert_int_equal(look_up(model, LOG_LOOKUP_MAX_TIMESTAMP, 0).offset, largest);
    /* Nothing lies below the smallest timestamp that a client can ask for. */
    assert_int_equal(look_up(model, LOG_LOOKUP_TIMESTAMP, INT64_MIN).offset,
                     start < model->count ? start : -1);
}

/* Reads at random offsets with random bounds and sizes; every slice is exactly whole batches. */
static void check_reads(struct model *model, int rounds)
{
    struct log_fixture *fixture = &model->fixture;
    int64_t start = partition_log_start_offset(fixture->log);
    for (int i = 0; i < rounds; i++) {
        int64_t watermark = start + draw(model, model->count - start + 1);
        partition_log_set_high_watermark(fixture->log, watermark);
        bool is_boundary = watermark == 0 || model->batch_next[watermark - 1] == watermark;
        int64_t offset = start + draw(model, model->count - start + 1);
        struct log_read read = {.offset = offset,
                                .max_bytes = (uint32_t)draw(model, 9000),
                                .min_one = draw(model, 2) == 0,
                                .bound = LOG_READ_HIGH_WATERMARK};
        struct log_slice slice;
        assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
        int64_t visible = 0; /* the end of the last batch wholly below the watermark */
        if (watermark > 0)
            visible = model->batch_next[watermark - 1] <= watermark
                          ? watermark
                          : model->batch_base[watermark - 1];
        if (offset >= visible) {
            assert_int_equal(slice.size, 0);
            continue;
        }
        if (slice.size == 0) {
            assert_false(read.min_one);
            continue;
        }
        uint8_t *data = malloc(slice.size);
        assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, data, slice.size), LOG_READ_OK);
        assert_int_equal(batch_base_offset(data), model->batch_base[offset]);
        struct view rest = view_of(data, slice.size);
        struct view batch = VIEW_NULL;
        size_t count = 0;
        while (batch_next(&rest, &batch) == BATCH_OK)
            count++;
        assert_int_equal(rest.size, 0);
        assert_true(slice.size <= read.max_bytes || (read.min_one && count == 1));
        if (is_boundary)
            assert_int_equal(batch_last_offset(batch.data) + 1, slice.next_offset);
        assert_true(slice.next_offset <= watermark);
        assert_true(batch_last_offset(batch.data) < visible);
        free(data);
        log_slice_release(&slice);
    }
}

static void lookups_and_reads_agree_with_the_list(void **state)
{
    struct model *model = *state;
    fill(model, 700);
    assert_true(partition_log_segment_count(model->fixture.log) > 4);
    check_timestamps(model);
    check_reads(model, 300);
}

static void the_same_after_a_clean_start(void **state)
{
    struct model *model = *state;
    fill(model, 600);
    fixture_close(&model->fixture);
    assert_true(model->fixture.closed_clean);
    fixture_open(&model->fixture);
    check_timestamps(model);
    check_reads(model, 200);
    fill(model, 700);
    check_timestamps(model);
}

static void the_same_after_a_crash_and_behind_a_log_start(void **state)
{
    struct model *model = *state;
    fill(model, 500);
    fixture_crash(&model->fixture);
    assert_int_equal(partition_log_end_offset(model->fixture.log), model->count);
    partition_log_set_high_watermark(model->fixture.log, model->count);
    assert_true(partition_log_advance_start(model->fixture.log, 123));
    check_timestamps(model);
    check_reads(model, 200);
}

static void an_empty_log_has_no_timestamps(void **state)
{
    struct model *model = *state;
    assert_int_equal(look_up(model, LOG_LOOKUP_TIMESTAMP, 0).offset, -1);
    assert_int_equal(look_up(model, LOG_LOOKUP_MAX_TIMESTAMP, 0).offset, -1);
}

/* ---- Retention ------------------------------------------------------------------------------- */

static void maintain(struct model *model, uint64_t delay_ns)
{
    for (int i = 0; i < 12; i++) {
        memory_node_advance(&model->fixture.node, delay_ns / 12);
        partition_log_maintain(model->fixture.log, false);
        memory_node_run(&model->fixture.node);
        partition_log_check(model->fixture.log);
    }
}

static unsigned count_files(struct model *model, const char *suffix)
{
    struct job_context context = memory_node_context(&model->fixture.node);
    struct storage_listing *listing;
    unsigned count = 0;
    assert_int_equal(storage_run_list(context.storage, FIXTURE_DIRECTORY, context.heap, &listing),
                     STORAGE_OK);
    for (size_t i = 0; i < listing->count; i++) {
        const char *name = listing->entries[i].name;
        size_t size = strlen(name);
        size_t suffix_size = strlen(suffix);
        count += size > suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
    }
    storage_listing_release(listing);
    return count;
}

static void size_retention_keeps_at_least_the_limit(void **state)
{
    struct model *model = *state;
    struct log_fixture *fixture = &model->fixture;
    fill(model, 700);
    fixture->config.retention_bytes = 70000;
    fixture->config.retention_ms = -1;
    partition_log_set_config(fixture->log, &fixture->config);
    maintain(model, UINT64_C(3000000000));
    assert_in_range(partition_log_size(fixture->log), 70000, 100000);
    assert_true(partition_log_start_offset(fixture->log) > 0);
    assert_int_equal(partition_log_start_offset(fixture->log),
                     fixture->log->segments[0]->base_offset);
    assert_true(count_files(model, ".log.deleted") > 0);
    maintain(model, UINT64_C(120000000000));
    assert_int_equal(count_files(model, ".deleted"), 0);
    assert_int_equal(count_files(model, ".log"), partition_log_segment_count(fixture->log));
    check_reads(model, 50);
}

static void age_retention_empties_an_idle_log(void **state)
{
    struct model *model = *state;
    struct log_fixture *fixture = &model->fixture;
    fill(model, 200);
    fixture->config.retention_ms = 1000;
    partition_log_set_config(fixture->log, &fixture->config);
    partition_log_set_high_watermark(fixture->log, model->count);
    /* Record times are long past, so everything qualifies; what is not below the watermark stays.
     */
    maintain(model, UINT64_C(20000000000));
    assert_int_equal(partition_log_start_offset(fixture->log), model->count);
    assert_int_equal(partition_log_end_offset(fixture->log), model->count);
    assert_int_equal(partition_log_segment_count(fixture->log), 1);
    /* A power cut now, with checkpoints that know nothing yet, must not move the offsets back. */
    struct job_context context = memory_node_context(&fixture->node);
    maintain(model, UINT64_C(120000000000));
    storage_run_path(context.storage, STORAGE_SYNC_DIRECTORY, FIXTURE_DIRECTORY, NULL);
    fixture->forgets_checkpoints = true;
    fixture_crash(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(partition_log_end_offset(fixture->log), model->count);
    write_batch(model);
    assert_int_equal(partition_log_end_offset(fixture->log), model->count);
}

static void a_full_device_is_no_reason_to_keep_expired_data(void **state)
{
    struct model *model = *state;
    struct log_fixture *fixture = &model->fixture;
    fill(model, 200);
    fixture->config.retention_ms = 1000;
    partition_log_set_config(fixture->log, &fixture->config);
    memory_node_fail(&fixture->node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
    assert_int_equal(fixture_write(fixture, 1, 10), -KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    assert_true(partition_log_is_out_of_space(fixture->log));
    maintain(model, UINT64_C(20000000000));
    assert_int_equal(partition_log_start_offset(fixture->log), model->count);
    write_batch(model);
    assert_int_equal(partition_log_end_offset(fixture->log), model->count);
}

static void nothing_above_the_watermark_is_deleted(void **state)
{
    struct model *model = *state;
    struct log_fixture *fixture = &model->fixture;
    fill(model, 200);
    fixture->config.retention_ms = 1000;
    partition_log_set_config(fixture->log, &fixture->config);
    partition_log_set_high_watermark(fixture->log, 10);
    maintain(model, UINT64_C(20000000000));
    assert_int_equal(partition_log_start_offset(fixture->log), 0);
}

static void a_moved_log_start_releases_segments_soon(void **state)
{
    struct model *model = *state;
    struct log_fixture *fixture = &model->fixture;
    fixture->config.cleanup_delete = false;
    fixture->config.cleanup_compact = true;
    partition_log_set_config(fixture->log, &fixture->config);
    fill(model, 400);
    int32_t before = partition_log_segment_count(fixture->log);
    maintain(model, UINT64_C(3000000000));
    assert_int_equal(partition_log_segment_count(fixture->log), before);
    int64_t base = fixture->log->segments[2]->base_offset;
    assert_true(partition_log_advance_start(fixture->log, base));
    maintain(model, UINT64_C(3000000000));
    assert_int_equal(partition_log_segment_count(fixture->log), before - 2);
    assert_int_equal(fixture_scan(fixture, 5000), model->count);
}

static void a_deleted_segment_stays_readable_for_its_lease(void **state)
{
    struct model *model = *state;
    struct log_fixture *fixture = &model->fixture;
    fill(model, 400);
    struct log_slice slice;
    struct log_read read = {.offset = 0, .max_bytes = 1 << 20};
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_true(partition_log_advance_start(fixture->log, model->count));
    maintain(model, UINT64_C(200000000000));
    assert_int_equal(count_files(model, ".deleted"), 0);
    uint8_t header[BATCH_HEADER_SIZE];
    assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, header, sizeof(header)),
                     LOG_READ_OK);
    assert_int_equal(batch_base_offset(header), 0);
    log_slice_release(&slice);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(lookups_and_reads_agree_with_the_list),
        CLAIM(the_same_after_a_clean_start),
        CLAIM(the_same_after_a_crash_and_behind_a_log_start),
        CLAIM(an_empty_log_has_no_timestamps),
        CLAIM(size_retention_keeps_at_least_the_limit),
        CLAIM(age_retention_empties_an_idle_log),
        CLAIM(a_full_device_is_no_reason_to_keep_expired_data),
        CLAIM(nothing_above_the_watermark_is_deleted),
        CLAIM(a_moved_log_start_releases_segments_soon),
        CLAIM(a_deleted_segment_stays_readable_for_its_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
