/* Cutting a log back, in part and wholly, and power cuts in the middle of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/log/log_fixture.h"

static void full_truncation_done(struct log_change *change)
{
    assert_int_equal(change->status, STORAGE_OK);
}

static void a_full_truncation_may_go_up_and_survives_a_crash(void **state)
{
    struct log_fixture *fixture = *state;
    struct log_change change = {.done = full_truncation_done};
    for (int32_t i = 0; i < 10; i++)
        fixture_write(fixture, 1, 100);
    partition_log_truncate_fully(fixture->log, 500, &change);
    memory_node_run(&fixture->node);
    assert_int_equal(change.status, STORAGE_OK);
    assert_int_equal(partition_log_start_offset(fixture->log), 500);
    assert_int_equal(partition_log_end_offset(fixture->log), 500);
    fixture->forgets_checkpoints = true;
    fixture_crash(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(partition_log_end_offset(fixture->log), 500);
    assert_int_equal(fixture_write(fixture, 1, 100), 500);
}

static void truncation_cuts_whole_batches_and_goes_on(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.segment_bytes = 20000;
    partition_log_set_config(fixture->log, &fixture->config);
    for (int32_t i = 0; i < 50; i++)
        fixture_write(fixture, 2, 1000);
    static const struct {
        int64_t offset, end;
    } cuts[] = {{99, 98}, {90, 90}, {51, 50}, {33, 32}, {1, 0}};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        assert_int_equal(fixture_truncate(fixture, cuts[i].offset), STORAGE_OK);
        assert_int_equal(partition_log_end_offset(fixture->log), cuts[i].end);
        assert_int_equal(fixture_scan(fixture, 3000), cuts[i].end);
        assert_int_equal(fixture_write(fixture, 1, 10), cuts[i].end);
        assert_int_equal(partition_log_durable_end(fixture->log), cuts[i].end + 1);
    }
}

/* Every offset can be read, in batches of two records. */
static void assert_no_hole(struct log_fixture *fixture)
{
    int64_t end = partition_log_end_offset(fixture->log);
    for (int64_t offset = 0; offset < end; offset += 2) {
        struct log_read read = {
            .offset = offset, .max_bytes = 1, .min_one = true, .bound = LOG_READ_LOG_END};
        struct log_slice slice;
        assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
        assert_int_equal(slice.next_offset, offset + 2);
        log_slice_release(&slice);
    }
}

static void a_truncation_that_a_power_cut_ends_leaves_no_hole(void **state)
{
    (void)state;
    bool was_cut = false;
    for (int after = 0; !was_cut; after++) {
        struct log_fixture *fixture = calloc(1, sizeof(*fixture));
        fixture_init(fixture);
        fixture_create(fixture);
        for (int i = 0; i < 9; i++) {
            if (i % 3 == 0)
                partition_log_roll(fixture->log);
            fixture_write(fixture, 2, 50);
        }
        int64_t recovery_point = partition_log_recovery_point(fixture->log);
        assert_int_equal(recovery_point, 18);
        memory_node_fail(&fixture->node, STORAGE_SYNC_DIRECTORY, after, STORAGE_IO);
        was_cut = fixture_truncate(fixture, 2) == STORAGE_OK;
        fixture->node.failure[STORAGE_SYNC_DIRECTORY].status = STORAGE_OK;
        /* The checkpoint does not know of the cut yet. */
        fixture_drop(fixture);
        memory_node_crash(&fixture->node);
        fixture->recovery_point = recovery_point;
        fixture_open(fixture);
        assert_int_equal(fixture->open_status, LOG_OPEN_OK);
        assert_no_hole(fixture);
        assert_true(!was_cut || partition_log_end_offset(fixture->log) == 2);
        fixture_deinit(fixture);
        free(fixture);
    }
}

/* A directory that writes checkpoints when it is told to. */
static struct commit_checkpoint_wait *waiting;

static void take_wish(struct committer *committer, struct commit_checkpoint_wait *wait,
                      void *context)
{
    (void)committer;
    (void)context;
    waiting = wait;
}

static void count_change(struct log_change *change)
{
    ++*(int *)change->context;
}

static void the_checkpoint_is_lowered_before_anything_is_cut(void **state)
{
    struct log_fixture *fixture = *state;
    for (int i = 0; i < 6; i++) {
        if (i == 3)
            partition_log_roll(fixture->log);
        fixture_write(fixture, 2, 50);
    }
    size_t size =
        memory_node_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000006.log").size;
    fixture->directory.committer.write_checkpoints = take_wish;
    for (int is_written = 0; is_written < 2; is_written++) {
        int done = 0;
        struct log_change change = {.done = count_change, .context = &done};
        partition_log_truncate(fixture->log, 9, &change);
        memory_node_run(&fixture->node);
        assert_int_equal(done, 0);
        /* The base of the segment: where in it the cut will be is not known yet. */
        assert_int_equal(partition_log_recovery_point(fixture->log), 6);
        assert_int_equal(
            memory_node_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000006.log").size,
            size);
        waiting->written(waiting, is_written);
        memory_node_run(&fixture->node);
        assert_int_equal(done, 1);
        assert_int_equal(change.status, is_written ? STORAGE_OK : STORAGE_NO_SPACE);
        int64_t end = is_written ? 8 : 12;
        assert_int_equal(partition_log_end_offset(fixture->log), end);
        assert_int_equal(partition_log_recovery_point(fixture->log), end);
        assert_int_equal(fixture_scan(fixture, 1000), end);
    }
    assert_int_equal(fixture_write(fixture, 2, 50), 8);
}

static void truncation_below_the_watermark_leaves_leased_bytes_alone(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 10; i++)
        fixture_write(fixture, 1, 10000);
    partition_log_set_high_watermark(fixture->log, 10);
    struct log_slice slice;
    struct log_read read = {.offset = 0, .max_bytes = 1 << 20};
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_true(slice.by_reference == false || slice.size >= LOG_COPY_LIMIT);
    uint8_t *before = malloc(slice.size);
    uint8_t *after = malloc(slice.size);
    assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, before, slice.size), LOG_READ_OK);
    assert_int_equal(fixture_truncate(fixture, 3), STORAGE_OK);
    assert_int_equal(partition_log_end_offset(fixture->log), 3);
    for (int32_t i = 0; i < 10; i++)
        fixture_write(fixture, 1, 10001);
    assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, after, slice.size), LOG_READ_OK);
    assert_memory_equal(before, after, slice.size);
    log_slice_release(&slice);
    free(before);
    free(after);
}

/* An aborted transaction of one record; returns the offset of its marker. */
static int64_t abort_one(struct log_fixture *fixture, bool rolls_between)
{
    fixture_write_producer(fixture, 5, 0, true);
    if (rolls_between)
        partition_log_roll(fixture->log);
    return fixture_write_marker(fixture, 5, false);
}

static void a_cut_takes_aborted_transactions_along(void **state)
{
    struct log_fixture *fixture = *state;
    int64_t marker = abort_one(fixture, true);
    fixture_write(fixture, 1, 10);
    fixture_close(fixture); /* they are in their file now */
    fixture_open(fixture);
    assert_int_equal(partition_log_active(fixture->log)->aborted.count, 1);
    /* Nothing stays in the segment, so nothing of it is scanned. */
    assert_int_equal(fixture_truncate(fixture, marker), STORAGE_OK);
    assert_int_equal(partition_log_active(fixture->log)->base_offset, marker);
    assert_int_equal(partition_log_active(fixture->log)->aborted.count, 0);
    assert_int_equal(producer_state_first_unstable_offset(&fixture->log->producers), 0);
}

static void a_cut_keeps_aborted_transactions_that_are_in_memory_only(void **state)
{
    struct log_fixture *fixture = *state;
    abort_one(fixture, false);
    partition_log_roll(fixture->log);
    memory_node_fail(&fixture->node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
    fixture_write(fixture, 1, 10);
    fixture_write(fixture, 1, 10);
    assert_true(fixture->log->segments[0]->needs_side_files);
    assert_int_equal(fixture_truncate(fixture, 3), STORAGE_OK);
    assert_int_equal(fixture->log->segment_count, 2);
    assert_int_equal(fixture->log->segments[0]->aborted.count, 1);
}

static void a_full_truncation_starts_anew(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 10; i++)
        fixture_write(fixture, 1, 100);
    assert_int_equal(fixture_truncate(fixture, 0), STORAGE_OK);
    assert_int_equal(partition_log_end_offset(fixture->log), 0);
    assert_int_equal(fixture_write(fixture, 1, 100), 0);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_full_truncation_may_go_up_and_survives_a_crash),
        CLAIM(truncation_cuts_whole_batches_and_goes_on),
        cmocka_unit_test(a_truncation_that_a_power_cut_ends_leaves_no_hole),
        CLAIM(the_checkpoint_is_lowered_before_anything_is_cut),
        CLAIM(truncation_below_the_watermark_leaves_leased_bytes_alone),
        CLAIM(a_cut_takes_aborted_transactions_along),
        CLAIM(a_cut_keeps_aborted_transactions_that_are_in_memory_only),
        CLAIM(a_full_truncation_starts_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
