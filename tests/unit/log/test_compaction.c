/* Compacting a log on a disk in memory: what is read before, meanwhile and afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log/compaction_pass.h"
#include "tests/unit/log/log_fixture.h"

enum { KEYS = 10 };

struct outcome {
    bool is_done;
    struct compaction_report report;
};

static int setup(void **state)
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

static int teardown(void **state)
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
static void put_from(struct log_fixture *fixture, struct batch_options options, int number,
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

static void put_with(struct log_fixture *fixture, struct batch_options options, int number)
{
    put_from(fixture, options, number, LOG_APPEND_CLIENT);
}

static void put(struct log_fixture *fixture, int number)
{
    put_with(fixture, BATCH_OPTIONS_DEFAULT, number);
}

/* `count` records over KEYS keys; the last segment is left behind. */
static void fill(struct log_fixture *fixture, int count)
{
    for (int i = 0; i < count; i++)
        put(fixture, i % KEYS);
    partition_log_roll(fixture->log);
    put(fixture, 0);
}

static void put_marker(struct log_fixture *fixture, int64_t producer_id, bool commit)
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
static void allow_large_segments(struct log_fixture *fixture)
{
    fixture->config.segment_bytes = 1 << 20;
    partition_log_set_config(fixture->log, &fixture->config);
}

static void compacted(void *context, const struct compaction_report *report)
{
    struct outcome *outcome = context;
    assert_false(outcome->is_done);
    outcome->is_done = true;
    outcome->report = *report;
}

static const struct compaction_options generous = {.upper_offset = INT64_MAX,
                                                   .map_size_max = 1 << 20,
                                                   .map_load_factor = 0.9,
                                                   .time_percent = 100};

static bool start(struct log_fixture *fixture, const struct compaction_options *options,
                  struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    return partition_log_compact(fixture->log, options, compacted, outcome);
}

static struct compaction_report compact(struct log_fixture *fixture)
{
    struct outcome outcome;
    assert_true(start(fixture, &generous, &outcome));
    memory_node_run(&fixture->node);
    assert_true(outcome.is_done);
    partition_log_check(fixture->log);
    return outcome.report;
}

/* Records of one key that a scan of the whole log finds; and checks offsets on the way. */
static int count_records(struct log_fixture *fixture, int number)
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

static void of_every_key_the_last_record_stays(void **state)
{
    struct log_fixture *fixture = *state;
    fill(fixture, 100);
    uint64_t before = partition_log_size(fixture->log);
    assert_int_equal(count_records(fixture, 3), 10);
    struct compaction_report report = compact(fixture);
    assert_int_equal(report.status, COMPACTION_OK);
    assert_int_equal(report.end_offset, 100);
    assert_true(partition_log_size(fixture->log) < before / 5);
    assert_int_equal(report.bytes_before - report.bytes_after,
                     before - partition_log_size(fixture->log));
    assert_int_equal(count_records(fixture, 3), 1);
    assert_int_equal(count_records(fixture, 0), 2); /* one in the active segment */
    assert_int_equal(partition_log_end_offset(fixture->log), 101);
    assert_int_equal(partition_log_first_dirty(fixture->log), 100);
    assert_false(start(fixture, &generous, &(struct outcome){0}));
}

/* Retention does not go behind a segment that has none. */
static void new_segments_know_their_producer_snapshots(void **state)
{
    struct log_fixture *fixture = *state;
    fill(fixture, 100);
    compact(fixture);
    assert_true(fixture->log->segment_count > 2);
    for (uint32_t i = 1; i < fixture->log->segment_count; i++) {
        char path[64];
        const struct segment *segment = fixture->log->segments[i];
        snprintf(path, sizeof(path), FIXTURE_DIRECTORY "/%020lld.snapshot",
                 (long long)segment->base_offset);
        assert_true(segment->has_snapshot);
        assert_true(memory_node_file(&fixture->node, path).size > 0);
    }
}

static void it_survives_a_clean_stop_and_a_power_cut(void **state)
{
    struct log_fixture *fixture = *state;
    fill(fixture, 100);
    compact(fixture);
    fixture_close(fixture);
    assert_true(fixture->closed_clean);
    fixture_open(fixture);
    assert_non_null(fixture->log);
    assert_int_equal(count_records(fixture, 3), 1);
    fixture->clean = false;
    fixture_crash(fixture);
    assert_non_null(fixture->log);
    assert_int_equal(partition_log_end_offset(fixture->log), 101);
    assert_int_equal(count_records(fixture, 3), 1);
}

static void old_files_go_after_the_delay(void **state)
{
    struct log_fixture *fixture = *state;
    fill(fixture, 100);
    compact(fixture);
    assert_true(
        memory_node_exists(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000000.log.deleted"));
    memory_node_advance(&fixture->node, UINT64_C(1001000000));
    for (struct memory_name *name = fixture->node.names; name; name = name->next)
        if (name->current)
            assert_null(strstr(name->path, ".deleted"));
    assert_true(memory_node_exists(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000000.log"));
}

static void a_reader_with_a_lease_keeps_the_old_bytes(void **state)
{
    struct log_fixture *fixture = *state;
    fill(fixture, 100);
    struct log_read read = {.offset = 0, .max_bytes = 1000, .bound = LOG_READ_LOG_END};
    struct log_slice slice;
    uint8_t before[1000], after[1000];
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, before, slice.size), LOG_READ_OK);
    compact(fixture);
    memory_node_advance(&fixture->node, UINT64_C(2000000000));
    assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, after, slice.size), LOG_READ_OK);
    assert_memory_equal(before, after, slice.size);
    log_slice_release(&slice);
}

static void looked_up(struct log_lookup *lookup)
{
    *(bool *)lookup->context = true;
}

static void a_lookup_that_is_overtaken_begins_anew(void **state)
{
    struct log_fixture *fixture = *state;
    for (int i = 0; i < 100; i++) {
        fixture->node.wall_ms += 10;
        put(fixture, i % KEYS);
    }
    int64_t last_ms = fixture->node.wall_ms;
    partition_log_roll(fixture->log);
    put(fixture, 99);
    struct outcome outcome;
    assert_true(start(fixture, &generous, &outcome));
    bool found = false;
    struct log_lookup lookup = {.kind = LOG_LOOKUP_TIMESTAMP,
                                .timestamp = last_ms - 990,
                                .found = looked_up,
                                .context = &found};
    partition_log_lookup(fixture->log, &lookup);
    memory_node_run(&fixture->node);
    assert_true(outcome.is_done);
    assert_true(found);
    assert_int_equal(lookup.status, LOG_READ_OK);
    assert_true(lookup.found_timestamp >= lookup.timestamp);
    /* Before it is the first record, and in the end the first of the last ten. */
    assert_in_range(lookup.offset, 0, 90);
    found = false;
    partition_log_lookup(fixture->log, &lookup);
    memory_node_run(&fixture->node);
    assert_int_equal(lookup.offset, 90);
}

static void tombstones_go_in_a_later_pass(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.delete_retention_ms = 1000;
    partition_log_set_config(fixture->log, &fixture->config);
    put(fixture, 5);
    put(fixture, -5);
    fill(fixture, 5);
    compact(fixture);
    assert_int_equal(count_records(fixture, 5), 1);
    fixture->node.wall_ms += 1001;
    fill(fixture, 5);
    compact(fixture);
    assert_int_equal(count_records(fixture, 5), 0);
}

static void aborted_data_and_then_its_marker_go(void **state)
{
    struct log_fixture *fixture = *state;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    fixture->config.delete_retention_ms = 1000;
    partition_log_set_config(fixture->log, &fixture->config);
    options.transactional = true;
    options.producer_id = 7;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    put(fixture, 77);
    put_with(fixture, options, 77);
    put_marker(fixture, 7, false);
    fill(fixture, 30);
    compact(fixture);
    assert_int_equal(count_records(fixture, 77), 1);
    assert_int_equal(fixture->log->segments[0]->aborted.count, 1);
    /* As the last of its producer the batch stayed, empty; now there is a later one. */
    options.base_sequence = 1;
    put_with(fixture, options, 78);
    put_marker(fixture, 7, true);
    int64_t last = partition_log_end_offset(fixture->log) - 2;
    fill(fixture, 30);
    compact(fixture);
    assert_int_equal(fixture->log->segments[0]->aborted.count, 1);
    fill(fixture, 30);
    compact(fixture); /* the marker gets its time */
    assert_int_equal(fixture->log->segments[0]->aborted.count, 0);
    fixture->node.wall_ms += 1001;
    fill(fixture, 30);
    compact(fixture);
    struct producer_info info;
    assert_true(producer_state_find(&fixture->log->producers, 7, &info));
    fixture_close(fixture);
    fixture_open(fixture);
    assert_true(producer_state_find(&fixture->log->producers, 7, &info));
    assert_int_equal(info.last_offset, last);
}

static void what_is_not_decided_is_not_touched(void **state)
{
    struct log_fixture *fixture = *state;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.transactional = true;
    options.producer_id = 7;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    fill(fixture, 30);
    int64_t open = partition_log_end_offset(fixture->log);
    put_with(fixture, options, 3);
    fill(fixture, 60);
    struct compaction_report report = compact(fixture);
    assert_true(report.end_offset <= open);
    assert_int_equal(count_records(fixture, 3), 1 + 1 + 6);
}

/* ---- Which part, and when -------------------------------------------------------------------- */

static struct compaction_need survey(struct log_fixture *fixture)
{
    struct compaction_need need;
    assert_true(compaction_survey(fixture->log, &need));
    return need;
}

static void a_log_is_due_by_its_dirty_share_or_by_its_age(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.min_cleanable_ratio = 0.5;
    fixture->config.max_compaction_lag_ms = 60000;
    partition_log_set_config(fixture->log, &fixture->config);
    fill(fixture, 100);
    assert_true(survey(fixture).is_due);
    assert_int_equal(survey(fixture).upper_offset, 100);
    compact(fixture);
    assert_int_equal(survey(fixture).dirty_bytes, 0);
    fill(fixture, 3);
    struct compaction_need need = survey(fixture);
    assert_false(need.is_due);
    assert_true(need.ratio < 0.5);
    assert_true(need.dirty_bytes > 0);
    fixture->node.wall_ms += 60001;
    memory_node_advance(&fixture->node, 1);
    need = survey(fixture);
    assert_true(need.is_due);
    assert_int_equal(need.overdue_ms, 1);
}

static void young_records_wait(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.min_compaction_lag_ms = 5000;
    partition_log_set_config(fixture->log, &fixture->config);
    fill(fixture, 50);
    assert_false(survey(fixture).is_due);
    fixture->node.wall_ms += 5000;
    memory_node_advance(&fixture->node, 1);
    assert_true(survey(fixture).is_due);
}

static void an_idle_active_segment_is_left_behind_in_time(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.max_compaction_lag_ms = 5000;
    partition_log_set_config(fixture->log, &fixture->config);
    put(fixture, 1);
    fixture->node.wall_ms += 5001;
    memory_node_advance(&fixture->node, UINT64_C(6000000000));
    partition_log_maintain(fixture->log, false);
    memory_node_run(&fixture->node);
    assert_int_equal(partition_log_active_segment_base(fixture->log), 1);
    assert_true(survey(fixture).is_due);
}

static void other_policies_are_left_alone(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_need need;
    fill(fixture, 50);
    fixture->config.cleanup_compact = false;
    partition_log_set_config(fixture->log, &fixture->config);
    assert_false(compaction_survey(fixture->log, &need));
    assert_false(start(fixture, &generous, &(struct outcome){0}));
}

/* More than there may be open files: what is known of the first must outlast those behind it. */
static void a_read_goes_over_many_segments_that_became_empty(void **state)
{
    struct log_fixture *fixture = *state;
    put(fixture, 1);
    for (int i = 0; i < 400; i++)
        put(fixture, 0);
    partition_log_roll(fixture->log);
    put(fixture, 2);
    compact(fixture);
    unsigned empty = 0;
    for (int32_t i = 0; i < partition_log_segment_count(fixture->log); i++)
        empty += fixture->log->segments[i]->size == 0;
    assert_true(empty > fixture->shard.open_files_limit);
    assert_int_equal(count_records(fixture, 0), 1);
    struct log_read read = {
        .offset = 1, .max_bytes = 700, .min_one = true, .bound = LOG_READ_LOG_END};
    struct log_slice slice;
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_true(slice.size > 0);
    log_slice_release(&slice);
}

static void a_small_map_takes_several_passes(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_options options = generous;
    struct outcome outcome;
    options.map_size_max = 0; /* the smallest map there is: 14 keys */
    for (int i = 0; i < 200; i++)
        put(fixture, i % 50);
    partition_log_roll(fixture->log);
    put(fixture, 0);
    int passes = 0;
    int64_t end = 0;
    while (start(fixture, &options, &outcome)) {
        memory_node_run(&fixture->node);
        assert_int_equal(outcome.report.status, COMPACTION_OK);
        assert_true(outcome.report.end_offset > end);
        end = outcome.report.end_offset;
        passes++;
    }
    assert_int_equal(end, 200);
    assert_true(passes > 10);
    for (int i = 1; i < 50; i++)
        assert_int_equal(count_records(fixture, i), 1);
}

static void groups_fill_segments_and_no_more(void **state)
{
    (void)state;
    struct compaction_source sources[5] = {
        {.base_offset = 0, .end_offset = 10, .size = 60, .offset_count = 1},
        {.base_offset = 10, .end_offset = 20, .size = 40, .offset_count = 1},
        {.base_offset = 20, .end_offset = 30, .size = 1, .offset_count = 1},
        {.base_offset = 30, .end_offset = INT64_C(3000000000), .size = 1, .offset_count = 1},
        {.base_offset = INT64_C(3000000000), .end_offset = INT64_C(3000000010), .size = 500},
    };
    struct compaction_plan plan = {
        .sources = sources, .source_count = 5, .segment_bytes = 100, .segment_index_bytes = 1000};
    assert_int_equal(compaction_next_group(&plan, 0, INT64_MAX).count, 2); /* bytes */
    assert_int_equal(compaction_next_group(&plan, 2, INT64_MAX).count, 1); /* offsets */
    assert_int_equal(compaction_next_group(&plan, 4, INT64_MAX).count, 1); /* alone too large */
    assert_int_equal(compaction_next_group(&plan, 5, INT64_MAX).count, 0);
    assert_int_equal(compaction_next_group(&plan, 0, 10).count, 1); /* the map's end */
    plan.segment_index_bytes = 8;
    assert_int_equal(compaction_next_group(&plan, 0, INT64_MAX).count, 1); /* index */
    sources[3].size = 0;
    plan.segment_index_bytes = 1000;
    assert_int_equal(compaction_next_group(&plan, 2, INT64_MAX).count, 2); /* nothing in it */
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void expect_no_leftovers(struct log_fixture *fixture)
{
    for (struct memory_name *name = fixture->node.names; name; name = name->next) {
        if (!name->current)
            continue;
        assert_null(strstr(name->path, ".cleaned"));
        assert_null(strstr(name->path, ".swap"));
    }
}

static void a_wish_to_stop_changes_nothing_half(void **state)
{
    struct log_fixture *fixture = *state;
    struct outcome outcome;
    fill(fixture, 100);
    assert_true(start(fixture, &generous, &outcome));
    partition_log_stop_compaction(fixture->log);
    memory_node_run(&fixture->node);
    assert_int_equal(outcome.report.status, COMPACTION_STOPPED);
    assert_int_equal(partition_log_first_dirty(fixture->log), 0);
    assert_int_equal(count_records(fixture, 3), 10);
    expect_no_leftovers(fixture);
    assert_int_equal(compact(fixture).status, COMPACTION_OK);
}

static void closing_and_cutting_end_it(void **state)
{
    struct log_fixture *fixture = *state;
    struct outcome outcome;
    fill(fixture, 100);
    put(fixture, 1);
    assert_true(start(fixture, &generous, &outcome));
    assert_int_equal(fixture_truncate(fixture, 101), STORAGE_OK);
    assert_true(outcome.is_done);
    assert_int_equal(partition_log_end_offset(fixture->log), 101);
    struct compaction_options slow = generous;
    slow.bytes_per_second = 1000;
    assert_true(start(fixture, &slow, &outcome));
    memory_node_run(&fixture->node);
    assert_false(outcome.is_done); /* it waits for its next bytes */
    fixture_close(fixture);
    assert_true(outcome.is_done);
    assert_true(fixture->closed_clean);
    expect_no_leftovers(fixture);
}

static void the_rate_is_kept(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_options slow = generous;
    struct outcome outcome;
    fill(fixture, 2000);
    uint64_t size = partition_log_size(fixture->log);
    slow.bytes_per_second = size / 2;
    assert_true(start(fixture, &slow, &outcome));
    memory_node_run(&fixture->node);
    memory_node_advance(&fixture->node, UINT64_C(3000000000));
    assert_false(outcome.is_done); /* mapping and copying read it twice: four seconds at least */
    for (int i = 0; i < 10 && !outcome.is_done; i++)
        memory_node_advance(&fixture->node, UINT64_C(1000000000));
    assert_true(outcome.is_done);
    assert_int_equal(outcome.report.status, COMPACTION_OK);
}

/* The clock moves by a second before the first run is over. */
static void start_slow_run(struct log_fixture *fixture, const struct compaction_options *options,
                           struct outcome *outcome)
{
    assert_true(start(fixture, options, outcome));
    memory_node_advance(&fixture->node, UINT64_C(1000000000));
}

static void it_rests_for_the_others(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_options polite = generous;
    struct outcome outcome;
    fill(fixture, 100);
    polite.time_percent = 25;
    start_slow_run(fixture, &polite, &outcome);
    memory_node_advance(&fixture->node, UINT64_C(2900000000));
    assert_false(outcome.is_done); /* a second of work is a quarter of four */
    memory_node_advance(&fixture->node, UINT64_C(200000000));
    assert_true(outcome.is_done);
    assert_int_equal(outcome.report.status, COMPACTION_OK);
}

static void it_does_not_rest_when_it_is_late(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_options polite = generous;
    struct outcome outcome;
    fill(fixture, 100);
    polite.time_percent = 1;
    fixture->config.max_compaction_lag_ms = 1;
    partition_log_set_config(fixture->log, &fixture->config);
    memory_node_advance(&fixture->node, UINT64_C(1000000000));
    start_slow_run(fixture, &polite, &outcome);
    assert_true(outcome.is_done);
}

static void it_does_not_rest_for_a_log_that_outgrows_it(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_options polite = generous;
    struct outcome outcome;
    polite.time_percent = 25;
    fill(fixture, 100);
    start_slow_run(fixture, &polite, &outcome);
    fill(fixture, 60);
    memory_node_advance(&fixture->node, UINT64_C(4000000000));
    assert_true(outcome.is_done);
    start_slow_run(fixture, &polite, &outcome);
    assert_true(outcome.is_done);
    fill(fixture, 40);
    start_slow_run(fixture, &polite, &outcome); /* it kept up the last time */
    assert_false(outcome.is_done);
    memory_node_advance(&fixture->node, UINT64_C(4000000000));
    assert_true(outcome.is_done);
}

static void damage_marks_the_log_and_is_said_once(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_need need;
    fill(fixture, 100);
    struct memory_inode *inode = NULL;
    for (struct memory_name *name = fixture->node.names; name; name = name->next)
        if (name->current && strstr(name->path, "/00000000000000000000.log"))
            inode = name->current;
    assert_non_null(inode);
    inode->data[200] ^= 1;
    assert_int_equal(compact(fixture).status, COMPACTION_UNCLEANABLE);
    assert_non_null(strstr(fixture->node.last_line, "cannot be compacted"));
    assert_non_null(strstr(fixture->node.last_line, "bad checksum at position"));
    assert_false(compaction_survey(fixture->log, &need));
    assert_false(partition_log_is_failed(fixture->log));
    put(fixture, 1);
    expect_no_leftovers(fixture);
}

static void a_full_device_is_no_failure(void **state)
{
    struct log_fixture *fixture = *state;
    fill(fixture, 100);
    allow_large_segments(fixture);
    for (int after = 0; after < 2; after++) {
        memory_node_fail(&fixture->node, STORAGE_WRITE, after, STORAGE_NO_SPACE);
        assert_int_equal(compact(fixture).status, COMPACTION_NO_SPACE);
        assert_false(partition_log_is_failed(fixture->log));
        assert_int_equal(count_records(fixture, 3), 10);
        expect_no_leftovers(fixture);
    }
    assert_int_equal(compact(fixture).status, COMPACTION_OK);
}

static void names_that_find_no_space_are_tried_again(void **state)
{
    struct log_fixture *fixture = *state;
    struct outcome outcome;
    fill(fixture, 100);
    allow_large_segments(fixture);
    /* The first renames commit the new files; the next give the old ones their names. */
    memory_node_fail(&fixture->node, STORAGE_RENAME, 4, STORAGE_NO_SPACE);
    assert_true(start(fixture, &generous, &outcome));
    memory_node_run(&fixture->node);
    assert_false(outcome.is_done);
    assert_int_equal(count_records(fixture, 3), 1); /* the new segments are read already */
    memory_node_advance(&fixture->node, UINT64_C(1000000001));
    assert_true(outcome.is_done);
    assert_int_equal(outcome.report.status, COMPACTION_OK);
    expect_no_leftovers(fixture);
}

static void a_device_error_fails_the_log(void **state)
{
    struct log_fixture *fixture = *state;
    fill(fixture, 100);
    memory_node_fail(&fixture->node, STORAGE_SYNC, 0, STORAGE_IO);
    struct outcome outcome;
    assert_true(start(fixture, &generous, &outcome));
    memory_node_run(&fixture->node);
    assert_int_equal(outcome.report.status, COMPACTION_FAILED);
    assert_true(partition_log_is_failed(fixture->log));
}

/* The end of the segment at `base` is lost, as by a power cut; `is_known`: there are checkpoints.
 */
static int64_t end_after_loss(int64_t cleaner_offset, bool is_known)
{
    void *state;
    setup(&state);
    struct log_fixture *fixture = state;
    fill(fixture, 40);
    char path[64];
    int64_t base = fixture->log->segments[1]->base_offset;
    snprintf(path, sizeof(path), FIXTURE_DIRECTORY "/%020lld.log", (long long)base);
    fixture_drop(fixture);
    struct view content = memory_node_file(&fixture->node, path);
    size_t size = batch_size(content.data); /* the first batch stays */
    uint8_t *copy = malloc(size);
    memcpy(copy, content.data, size);
    memory_node_put_file(&fixture->node, path, view_of(copy, size));
    free(copy);
    fixture->recovery_point = base;
    fixture->cleaner_offset = cleaner_offset;
    fixture->is_checkpointed = is_known;
    fixture_open(fixture);
    assert_non_null(fixture->log);
    int64_t end = partition_log_end_offset(fixture->log) - base;
    teardown(&state);
    return end;
}

static void a_hole_is_a_loss_above_what_can_have_been_compacted(void **state)
{
    (void)state;
    assert_int_equal(end_after_loss(-1, true), 1); /* cut, with everything behind it */
    assert_int_equal(end_after_loss(5, true), 1);
    assert_true(end_after_loss(41, true) > 20);  /* compaction took it */
    assert_true(end_after_loss(-1, false) > 20); /* nobody knows */
}

static void gaps_of_a_leader_are_no_loss(void **state)
{
    struct log_fixture *fixture = *state;
    static const int64_t offsets[] = {0, 1, 7, 12, 13, 20};
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        struct batch_options options = BATCH_OPTIONS_DEFAULT;
        options.base_offset = offsets[i];
        if (i == 3)
            partition_log_roll(fixture->log);
        put_from(fixture, options, 1, LOG_APPEND_REPLICATION);
    }
    /* The checkpoint was written when there was one record. */
    fixture_drop(fixture);
    fixture->recovery_point = 1;
    fixture->cleaner_offset = -1;
    fixture->is_checkpointed = true;
    fixture_open(fixture);
    assert_non_null(fixture->log);
    assert_int_equal(fixture->cut_bytes, 0);
    assert_int_equal(partition_log_segment_count(fixture->log), 2);
    assert_int_equal(partition_log_end_offset(fixture->log), 21);
    assert_int_equal(count_records(fixture, 1), 6);
}

/* The call fails, and with it the log; then the power goes. True: there was no such call. */
static bool lose_power_after(enum storage_operation operation, int after)
{
    void *state;
    struct outcome outcome;
    setup(&state);
    struct log_fixture *fixture = state;
    fill(fixture, 60);
    memory_node_fail(&fixture->node, operation, after, STORAGE_IO);
    assert_true(start(fixture, &generous, &outcome));
    memory_node_run(&fixture->node);
    assert_true(outcome.is_done);
    bool failed = partition_log_is_failed(fixture->log);
    memory_node_fail(&fixture->node, operation, 0, STORAGE_OK);
    fixture_crash(fixture);
    assert_non_null(fixture->log);
    assert_int_equal(partition_log_end_offset(fixture->log), 61);
    for (int i = 0; i < KEYS; i++)
        assert_true(count_records(fixture, i) >= 1);
    expect_no_leftovers(fixture);
    teardown(&state);
    return !failed;
}

static void a_power_cut_at_any_rename_or_sync_keeps_every_key(void **state)
{
    static const enum storage_operation operations[] = {STORAGE_RENAME, STORAGE_SYNC_DIRECTORY,
                                                        STORAGE_SYNC, STORAGE_WRITE};
    (void)state;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        int after = 0;
        while (!lose_power_after(operations[i], after))
            after++;
        assert_true(after > 3);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(of_every_key_the_last_record_stays),
        TEST(new_segments_know_their_producer_snapshots),
        TEST(it_survives_a_clean_stop_and_a_power_cut),
        TEST(old_files_go_after_the_delay),
        TEST(a_reader_with_a_lease_keeps_the_old_bytes),
        TEST(a_lookup_that_is_overtaken_begins_anew),
        TEST(tombstones_go_in_a_later_pass),
        TEST(aborted_data_and_then_its_marker_go),
        TEST(what_is_not_decided_is_not_touched),
        TEST(a_log_is_due_by_its_dirty_share_or_by_its_age),
        TEST(young_records_wait),
        TEST(an_idle_active_segment_is_left_behind_in_time),
        TEST(other_policies_are_left_alone),
        TEST(a_read_goes_over_many_segments_that_became_empty),
        TEST(a_small_map_takes_several_passes),
        TEST(groups_fill_segments_and_no_more),
        TEST(a_wish_to_stop_changes_nothing_half),
        TEST(closing_and_cutting_end_it),
        TEST(the_rate_is_kept),
        TEST(it_rests_for_the_others),
        TEST(it_does_not_rest_when_it_is_late),
        TEST(it_does_not_rest_for_a_log_that_outgrows_it),
        TEST(damage_marks_the_log_and_is_said_once),
        TEST(a_full_device_is_no_failure),
        TEST(names_that_find_no_space_are_tried_again),
        TEST(a_device_error_fails_the_log),
        cmocka_unit_test(a_hole_is_a_loss_above_what_can_have_been_compacted),
        TEST(gaps_of_a_leader_are_no_loss),
        cmocka_unit_test(a_power_cut_at_any_rename_or_sync_keeps_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
