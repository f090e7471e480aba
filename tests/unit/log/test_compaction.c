/* Compacting a log on a disk in memory: what is read before, meanwhile and afterwards, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log/compaction_pass.h"
#include "tests/unit/log/compaction_bench.h"

static void of_every_key_the_last_record_stays(void **state)
{
    struct log_fixture *fixture = *state;
    bench_fill(fixture, 100);
    uint64_t before = partition_log_size(fixture->log);
    assert_int_equal(bench_count_records(fixture, 3), 10);
    struct compaction_report report = bench_compact(fixture);
    assert_int_equal(report.status, COMPACTION_OK);
    assert_int_equal(report.end_offset, 100);
    assert_true(partition_log_size(fixture->log) < before / 5);
    assert_int_equal(report.bytes_before - report.bytes_after,
                     before - partition_log_size(fixture->log));
    assert_int_equal(bench_count_records(fixture, 3), 1);
    assert_int_equal(bench_count_records(fixture, 0), 2); /* one in the active segment */
    assert_int_equal(partition_log_end_offset(fixture->log), 101);
    assert_int_equal(partition_log_first_dirty(fixture->log), 100);
    assert_false(bench_start(fixture, &bench_generous, &(struct bench_outcome){0}));
}

/* Retention does not go behind a segment that has none. */
static void new_segments_know_their_producer_snapshots(void **state)
{
    struct log_fixture *fixture = *state;
    bench_fill(fixture, 100);
    bench_compact(fixture);
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
    bench_fill(fixture, 100);
    bench_compact(fixture);
    fixture_close(fixture);
    assert_true(fixture->closed_clean);
    fixture_open(fixture);
    assert_non_null(fixture->log);
    assert_int_equal(bench_count_records(fixture, 3), 1);
    fixture->clean = false;
    fixture_crash(fixture);
    assert_non_null(fixture->log);
    assert_int_equal(partition_log_end_offset(fixture->log), 101);
    assert_int_equal(bench_count_records(fixture, 3), 1);
}

static void old_files_go_after_the_delay(void **state)
{
    struct log_fixture *fixture = *state;
    bench_fill(fixture, 100);
    bench_compact(fixture);
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
    bench_fill(fixture, 100);
    struct log_read read = {.offset = 0, .max_bytes = 1000, .bound = LOG_READ_LOG_END};
    struct log_slice slice;
    uint8_t before[1000], after[1000];
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, before, slice.size), LOG_READ_OK);
    bench_compact(fixture);
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
        bench_put(fixture, i % BENCH_KEYS);
    }
    int64_t last_ms = fixture->node.wall_ms;
    partition_log_roll(fixture->log);
    bench_put(fixture, 99);
    struct bench_outcome outcome;
    assert_true(bench_start(fixture, &bench_generous, &outcome));
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
    bench_put(fixture, 5);
    bench_put(fixture, -5);
    bench_fill(fixture, 5);
    bench_compact(fixture);
    assert_int_equal(bench_count_records(fixture, 5), 1);
    fixture->node.wall_ms += 1001;
    bench_fill(fixture, 5);
    bench_compact(fixture);
    assert_int_equal(bench_count_records(fixture, 5), 0);
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
    bench_put(fixture, 77);
    bench_put_with(fixture, options, 77);
    bench_put_marker(fixture, 7, false);
    bench_fill(fixture, 30);
    bench_compact(fixture);
    assert_int_equal(bench_count_records(fixture, 77), 1);
    assert_int_equal(fixture->log->segments[0]->aborted.count, 1);
    /* As the last of its producer the batch stayed, empty; now there is a later one. */
    options.base_sequence = 1;
    bench_put_with(fixture, options, 78);
    bench_put_marker(fixture, 7, true);
    int64_t last = partition_log_end_offset(fixture->log) - 2;
    bench_fill(fixture, 30);
    bench_compact(fixture);
    assert_int_equal(fixture->log->segments[0]->aborted.count, 1);
    bench_fill(fixture, 30);
    bench_compact(fixture); /* the marker gets its time */
    assert_int_equal(fixture->log->segments[0]->aborted.count, 0);
    fixture->node.wall_ms += 1001;
    bench_fill(fixture, 30);
    bench_compact(fixture);
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
    bench_fill(fixture, 30);
    int64_t open = partition_log_end_offset(fixture->log);
    bench_put_with(fixture, options, 3);
    bench_fill(fixture, 60);
    struct compaction_report report = bench_compact(fixture);
    assert_true(report.end_offset <= open);
    assert_int_equal(bench_count_records(fixture, 3), 1 + 1 + 6);
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
    bench_fill(fixture, 100);
    assert_true(survey(fixture).is_due);
    assert_int_equal(survey(fixture).upper_offset, 100);
    bench_compact(fixture);
    assert_int_equal(survey(fixture).dirty_bytes, 0);
    bench_fill(fixture, 3);
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
    bench_fill(fixture, 50);
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
    bench_put(fixture, 1);
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
    bench_fill(fixture, 50);
    fixture->config.cleanup_compact = false;
    partition_log_set_config(fixture->log, &fixture->config);
    assert_false(compaction_survey(fixture->log, &need));
    assert_false(bench_start(fixture, &bench_generous, &(struct bench_outcome){0}));
}

/* More than there may be open files: what is known of the first must outlast those behind it. */
static void a_read_goes_over_many_segments_that_became_empty(void **state)
{
    struct log_fixture *fixture = *state;
    bench_put(fixture, 1);
    for (int i = 0; i < 400; i++)
        bench_put(fixture, 0);
    partition_log_roll(fixture->log);
    bench_put(fixture, 2);
    bench_compact(fixture);
    unsigned empty = 0;
    for (int32_t i = 0; i < partition_log_segment_count(fixture->log); i++)
        empty += fixture->log->segments[i]->size == 0;
    assert_true(empty > fixture->shard.open_files_limit);
    assert_int_equal(bench_count_records(fixture, 0), 1);
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
    struct compaction_options options = bench_generous;
    struct bench_outcome outcome;
    options.map_size_max = 0; /* the smallest map there is: 14 keys */
    for (int i = 0; i < 200; i++)
        bench_put(fixture, i % 50);
    partition_log_roll(fixture->log);
    bench_put(fixture, 0);
    int passes = 0;
    int64_t end = 0;
    while (bench_start(fixture, &options, &outcome)) {
        memory_node_run(&fixture->node);
        assert_int_equal(outcome.report.status, COMPACTION_OK);
        assert_true(outcome.report.end_offset > end);
        end = outcome.report.end_offset;
        passes++;
    }
    assert_int_equal(end, 200);
    assert_true(passes > 10);
    for (int i = 1; i < 50; i++)
        assert_int_equal(bench_count_records(fixture, i), 1);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
