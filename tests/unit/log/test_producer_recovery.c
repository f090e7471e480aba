/* What a log knows of producers and aborted transactions after every kind of stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/log/log_fixture.h"

static void expect_producer(struct log_fixture *fixture, int64_t id, int32_t sequence)
{
    struct producer_info info;
    assert_true(producer_state_find(partition_log_producers(fixture->log), id, &info));
    assert_int_equal(info.last_sequence, sequence);
}

static void deleted_segments_leave_a_snapshot_of_their_producers(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 3; i++) {
        partition_log_roll(fixture->log);
        /* The seal of the first segment finds no space, and is made up for without a snapshot. */
        if (i == 1)
            memory_node_fail(&fixture->node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
        fixture_write_producer(fixture, 5 + i, 0, false);
        fixture_maintain(fixture);
    }
    partition_log_set_high_watermark(fixture->log, 3);
    partition_log_advance_start(fixture->log, 1);
    fixture_maintain(fixture);
    assert_int_equal(partition_log_segment_count(fixture->log), 3);
    fixture_crash(fixture);
    expect_producer(fixture, 5, 0);
    partition_log_set_high_watermark(fixture->log, 3);
    partition_log_advance_start(fixture->log, 2);
    fixture_maintain(fixture);
    assert_int_equal(partition_log_segment_count(fixture->log), 1);
    fixture_crash(fixture);
    expect_producer(fixture, 5, 0);
    expect_producer(fixture, 6, 0);
}

static void recovery_makes_the_snapshots_of_segments_that_it_scans(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 3; i++) {
        partition_log_roll(fixture->log);
        fixture_write_producer(fixture, 5, i, false);
    }
    struct fixture_bytes snapshot =
        fixture_copy(fixture, FIXTURE_DIRECTORY "/00000000000000000002.snapshot");
    assert_true(snapshot.size > 10);
    struct job_context context = memory_node_context(&fixture->node);
    storage_run_path(context.storage, STORAGE_UNLINK,
                     FIXTURE_DIRECTORY "/00000000000000000001.snapshot", NULL);
    memory_node_put_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000002.snapshot",
                         VIEW_LITERAL("torn"));
    fixture_drop(fixture);
    fixture->recovery_point = 0;
    fixture_open(fixture);
    assert_true(
        memory_node_exists(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000001.snapshot"));
    struct view again = memory_node_durable_file(&fixture->node, FIXTURE_DIRECTORY
                                                 "/00000000000000000002.snapshot");
    assert_int_equal(again.size, snapshot.size);
    assert_memory_equal(again.data, snapshot.data, snapshot.size);
    free(snapshot.data);
}

static void producers_and_aborted_transactions_survive_any_stop(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 3; i++)
        fixture_write_producer(fixture, 5, i, false);
    fixture_write_producer(fixture, 6, 0, true); /* offset 3 */
    fixture_write_marker(fixture, 6, false);     /* offset 4 */
    fixture_write_producer(fixture, 8, 0, true); /* offset 5, stays open */
    partition_log_set_high_watermark(fixture->log, 6);
    for (int pass = 0; pass < 4; pass++) {
        struct producer_info info;
        assert_int_equal(partition_log_last_stable_offset(fixture->log), 5);
        assert_true(producer_state_find(partition_log_producers(fixture->log), 5, &info));
        assert_int_equal(info.last_sequence, 2);
        struct arena arena;
        arena_init(&arena, &fixture->heap, MEMORY_SCRATCH, 0);
        struct log_slice slice;
        struct log_read read = {
            .offset = 0, .max_bytes = 1 << 20, .bound = LOG_READ_LAST_STABLE, .arena = &arena};
        assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
        assert_int_equal(slice.aborted_count, 1);
        assert_int_equal(slice.aborted[0].producer_id, 6);
        assert_int_equal(slice.aborted[0].first_offset, 3);
        log_slice_release(&slice);
        arena_deinit(&arena);
        if (pass % 2 == 0) {
            fixture_close(fixture);
            fixture_open(fixture);
            assert_int_equal(fixture->scanned_bytes, 0);
        } else {
            fixture_crash(fixture);
        }
        partition_log_set_high_watermark(fixture->log, 6);
    }
}

static void snapshots_of_earlier_stops_do_not_pile_up(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 5; i++) {
        fixture_write(fixture, 1, 100);
        fixture_close(fixture);
        fixture_open(fixture);
    }
    struct job_context context = memory_node_context(&fixture->node);
    struct storage_listing *listing;
    unsigned count = 0;
    assert_int_equal(storage_run_list(context.storage, FIXTURE_DIRECTORY, context.heap, &listing),
                     STORAGE_OK);
    for (size_t i = 0; i < listing->count; i++)
        count += strstr(listing->entries[i].name, ".snapshot") != NULL;
    storage_listing_release(listing);
    assert_int_equal(count, 1);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(deleted_segments_leave_a_snapshot_of_their_producers),
        CLAIM(recovery_makes_the_snapshots_of_segments_that_it_scans),
        CLAIM(producers_and_aborted_transactions_survive_any_stop),
        CLAIM(snapshots_of_earlier_stops_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
