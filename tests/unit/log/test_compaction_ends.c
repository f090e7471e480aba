/* Compactions that are slowed down, stopped, or lose the disk under them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log/compaction_pass.h"
#include "tests/unit/log/compaction_bench.h"

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
    struct bench_outcome outcome;
    bench_fill(fixture, 100);
    assert_true(bench_start(fixture, &bench_generous, &outcome));
    partition_log_stop_compaction(fixture->log);
    memory_node_run(&fixture->node);
    assert_int_equal(outcome.report.status, COMPACTION_STOPPED);
    assert_int_equal(partition_log_first_dirty(fixture->log), 0);
    assert_int_equal(bench_count_records(fixture, 3), 10);
    expect_no_leftovers(fixture);
    assert_int_equal(bench_compact(fixture).status, COMPACTION_OK);
}

static void closing_and_cutting_end_it(void **state)
{
    struct log_fixture *fixture = *state;
    struct bench_outcome outcome;
    bench_fill(fixture, 100);
    bench_put(fixture, 1);
    assert_true(bench_start(fixture, &bench_generous, &outcome));
    assert_int_equal(fixture_truncate(fixture, 101), STORAGE_OK);
    assert_true(outcome.is_done);
    assert_int_equal(partition_log_end_offset(fixture->log), 101);
    struct compaction_options slow = bench_generous;
    slow.bytes_per_second = 1000;
    assert_true(bench_start(fixture, &slow, &outcome));
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
    struct compaction_options slow = bench_generous;
    struct bench_outcome outcome;
    bench_fill(fixture, 2000);
    uint64_t size = partition_log_size(fixture->log);
    slow.bytes_per_second = size / 2;
    assert_true(bench_start(fixture, &slow, &outcome));
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
                           struct bench_outcome *outcome)
{
    assert_true(bench_start(fixture, options, outcome));
    memory_node_advance(&fixture->node, UINT64_C(1000000000));
}

static void it_rests_for_the_others(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_options polite = bench_generous;
    struct bench_outcome outcome;
    bench_fill(fixture, 100);
    polite.time_percent = 25;
    start_slow_run(fixture, &polite, &outcome);
    memory_node_advance(&fixture->node, UINT64_C(2900000000));
    assert_false(outcome.is_done); /* a second of work is a quarter of four */
    memory_node_advance(&fixture->node, UINT64_C(200000000));
    assert_true(outcome.is_done);
    assert_int_equal(outcome.report.status, COMPACTION_OK);
}

static void a_wish_to_stop_ends_a_rest(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_options polite = bench_generous;
    struct bench_outcome outcome;
    bench_fill(fixture, 100);
    polite.time_percent = 1;
    start_slow_run(fixture, &polite, &outcome);
    assert_false(outcome.is_done);
    partition_log_stop_compaction(fixture->log);
    memory_node_run(&fixture->node);
    assert_true(outcome.is_done);
    assert_int_equal(outcome.report.status, COMPACTION_STOPPED);
    expect_no_leftovers(fixture);
}

static void it_does_not_rest_when_it_is_late(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_options polite = bench_generous;
    struct bench_outcome outcome;
    bench_fill(fixture, 100);
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
    struct compaction_options polite = bench_generous;
    struct bench_outcome outcome;
    polite.time_percent = 25;
    bench_fill(fixture, 100);
    start_slow_run(fixture, &polite, &outcome);
    bench_fill(fixture, 60);
    memory_node_advance(&fixture->node, UINT64_C(4000000000));
    assert_true(outcome.is_done);
    start_slow_run(fixture, &polite, &outcome);
    assert_true(outcome.is_done);
    bench_fill(fixture, 40);
    start_slow_run(fixture, &polite, &outcome); /* it kept up the last time */
    assert_false(outcome.is_done);
    memory_node_advance(&fixture->node, UINT64_C(4000000000));
    assert_true(outcome.is_done);
}

static void damage_marks_the_log_and_is_said_once(void **state)
{
    struct log_fixture *fixture = *state;
    struct compaction_need need;
    bench_fill(fixture, 100);
    struct memory_inode *inode = NULL;
    for (struct memory_name *name = fixture->node.names; name; name = name->next)
        if (name->current && strstr(name->path, "/00000000000000000000.log"))
            inode = name->current;
    assert_non_null(inode);
    inode->data[200] ^= 1;
    assert_int_equal(bench_compact(fixture).status, COMPACTION_UNCLEANABLE);
    assert_non_null(strstr(fixture->node.last_line, "cannot be compacted"));
    assert_non_null(strstr(fixture->node.last_line, "bad checksum at position"));
    assert_false(compaction_survey(fixture->log, &need));
    assert_false(partition_log_is_failed(fixture->log));
    bench_put(fixture, 1);
    expect_no_leftovers(fixture);
}

static void a_full_device_is_no_failure(void **state)
{
    struct log_fixture *fixture = *state;
    bench_fill(fixture, 100);
    bench_allow_large_segments(fixture);
    for (int after = 0; after < 2; after++) {
        memory_node_fail(&fixture->node, STORAGE_WRITE, after, STORAGE_NO_SPACE);
        assert_int_equal(bench_compact(fixture).status, COMPACTION_NO_SPACE);
        assert_false(partition_log_is_failed(fixture->log));
        assert_int_equal(bench_count_records(fixture, 3), 10);
        expect_no_leftovers(fixture);
    }
    assert_int_equal(bench_compact(fixture).status, COMPACTION_OK);
}

static void names_that_find_no_space_are_tried_again(void **state)
{
    struct log_fixture *fixture = *state;
    struct bench_outcome outcome;
    bench_fill(fixture, 100);
    bench_allow_large_segments(fixture);
    /* The first renames commit the new files; the next give the old ones their names. */
    memory_node_fail(&fixture->node, STORAGE_RENAME, 4, STORAGE_NO_SPACE);
    assert_true(bench_start(fixture, &bench_generous, &outcome));
    memory_node_run(&fixture->node);
    assert_false(outcome.is_done);
    assert_int_equal(bench_count_records(fixture, 3), 1); /* the new segments are read already */
    memory_node_advance(&fixture->node, UINT64_C(1000000001));
    assert_true(outcome.is_done);
    assert_int_equal(outcome.report.status, COMPACTION_OK);
    expect_no_leftovers(fixture);
}

static void a_device_error_fails_the_log(void **state)
{
    struct log_fixture *fixture = *state;
    bench_fill(fixture, 100);
    memory_node_fail(&fixture->node, STORAGE_SYNC, 0, STORAGE_IO);
    struct bench_outcome outcome;
    assert_true(bench_start(fixture, &bench_generous, &outcome));
    memory_node_run(&fixture->node);
    assert_int_equal(outcome.report.status, COMPACTION_FAILED);
    assert_true(partition_log_is_failed(fixture->log));
}

/* The end of the segment at `base` is lost, as by a power cut; `is_known`: there are checkpoints.
 */
static int64_t end_after_loss(int64_t cleaner_offset, bool is_known)
{
    void *state;
    bench_setup(&state);
    struct log_fixture *fixture = state;
    bench_fill(fixture, 40);
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
    bench_teardown(&state);
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
        bench_put_from(fixture, options, 1, LOG_APPEND_REPLICATION);
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
    assert_int_equal(bench_count_records(fixture, 1), 6);
}

/* The call fails, and with it the log; then the power goes. True: there was no such call. */
static bool lose_power_after(enum storage_operation operation, int after)
{
    void *state;
    struct bench_outcome outcome;
    bench_setup(&state);
    struct log_fixture *fixture = state;
    bench_fill(fixture, 60);
    memory_node_fail(&fixture->node, operation, after, STORAGE_IO);
    assert_true(bench_start(fixture, &bench_generous, &outcome));
    memory_node_run(&fixture->node);
    assert_true(outcome.is_done);
    bool failed = partition_log_is_failed(fixture->log);
    memory_node_fail(&fixture->node, operation, 0, STORAGE_OK);
    fixture_crash(fixture);
    assert_non_null(fixture->log);
    assert_int_equal(partition_log_end_offset(fixture->log), 61);
    for (int i = 0; i < BENCH_KEYS; i++)
        assert_true(bench_count_records(fixture, i) >= 1);
    expect_no_leftovers(fixture);
    bench_teardown(&state);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_wish_to_stop_changes_nothing_half),
        TEST(closing_and_cutting_end_it),
        TEST(the_rate_is_kept),
        TEST(it_rests_for_the_others),
        TEST(a_wish_to_stop_ends_a_rest),
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
