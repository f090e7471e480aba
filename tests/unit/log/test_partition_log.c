/* Appending, reading, rolling and closing a log on a disk in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/log/log_fixture.h"

static void a_new_partition_is_durable_and_empty(void **state)
{
    struct log_fixture *fixture = *state;
    assert_int_equal(partition_log_end_offset(fixture->log), 0);
    assert_true(
        memory_node_durable_file(&fixture->node, FIXTURE_DIRECTORY "/partition.metadata").size > 0);
    assert_false(view_is_null(
        memory_node_durable_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000000.log")));
}

static void appends_get_offsets_in_order_and_are_read_back(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 300; i++)
        assert_int_equal(fixture_write(fixture, 3, 100), i * 3);
    assert_int_equal(fixture->written_end, 900);
    assert_int_equal(partition_log_end_offset(fixture->log), 900);
    assert_int_equal(fixture_scan(fixture, 1), 900);
    assert_int_equal(fixture_scan(fixture, 1000), 900);
    assert_int_equal(fixture_scan(fixture, 1 << 20), 900);
}

static void sync_durability_moves_the_durable_end_without_being_asked(void **state)
{
    struct log_fixture *fixture = *state;
    fixture_write(fixture, 3, 100);
    assert_int_equal(fixture->durable_end, 3);
    assert_int_equal(partition_log_durable_end(fixture->log), 3);
}

static void appends_of_one_turn_are_one_write(void **state)
{
    struct log_fixture *fixture = *state;
    struct fixture_append appends[5];
    struct batch_options options = fixture_options();
    fixture_write(fixture, 1, 1);
    uint64_t calls = fixture->node.append_calls;
    for (size_t i = 0; i < 5; i++) {
        fixture_batch(fixture, &appends[i], &options, 2, 10, 5);
        assert_int_equal(partition_log_append(fixture->log, &appends[i].append), LOG_APPEND_QUEUED);
        assert_int_equal(appends[i].append.base_offset, 1 + 2 * i);
    }
    assert_int_equal(partition_log_written_end(fixture->log), 1);
    assert_int_equal(partition_log_end_offset(fixture->log), 11);
    partition_log_check(fixture->log);
    memory_node_run(&fixture->node);
    assert_int_equal(fixture->node.append_calls, calls + 1);
    assert_int_equal(partition_log_written_end(fixture->log), 11);
    for (size_t i = 0; i < 5; i++)
        fixture_append_free(fixture, &appends[i]);
}

static void reads_end_at_batch_boundaries_and_obey_limits(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 100; i++)
        fixture_write(fixture, 10, 10);
    struct view file =
        memory_node_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000000.log");
    uint32_t batch_size = (uint32_t)(file.size / 100);
    struct log_slice slice;
    struct log_read read = {.offset = 15, .max_bytes = 3 * batch_size + 1};
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_int_equal(slice.position, batch_size);
    assert_int_equal(slice.size, 3 * batch_size);
    assert_int_equal(slice.next_offset, 40);
    log_slice_release(&slice);
    read.max_bytes = batch_size - 1;
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_int_equal(slice.size, 0);
    read.min_one = true;
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_int_equal(slice.size, batch_size);
    assert_int_equal(slice.next_offset, 20);
    log_slice_release(&slice);
    read.offset = 1000;
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_int_equal(slice.size, 0);
    read.offset = 1001;
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OUT_OF_RANGE);
}

static void reads_stop_at_the_high_watermark(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 50; i++)
        fixture_write(fixture, 10, 10);
    assert_int_equal(partition_log_set_high_watermark(fixture->log, 200), 200);
    struct log_slice slice;
    struct log_read read = {.offset = 5, .max_bytes = 1 << 20, .bound = LOG_READ_HIGH_WATERMARK};
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_int_equal(slice.next_offset, 200);
    log_slice_release(&slice);
    read.offset = 200;
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_int_equal(slice.size, 0);
    /* In the middle of a batch: the whole batch stays hidden. */
    partition_log_set_high_watermark(fixture->log, 205);
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
    assert_int_equal(slice.size, 0);
}

static void segments_roll_by_size_and_keep_their_side_files(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.segment_bytes = 20000;
    partition_log_set_config(fixture->log, &fixture->config);
    for (int32_t i = 0; i < 100; i++)
        fixture_write(fixture, 1, 1000);
    assert_int_equal(partition_log_segment_count(fixture->log), 6);
    assert_int_equal(fixture_scan(fixture, 5000), 100);
    int64_t base = fixture->log->segments[1]->base_offset;
    char path[128];
    snprintf(path, sizeof(path), FIXTURE_DIRECTORY "/%020d.snapshot", (int)base);
    assert_int_equal(memory_node_durable_file(&fixture->node, path).size, 10);
    struct view index =
        memory_node_durable_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000000.index");
    assert_int_equal(index.size % 8, 0);
    assert_int_equal(index.size / 8, 4);
    assert_int_equal(partition_log_recovery_point(fixture->log), 100);
}

static void segments_roll_by_age_and_on_demand(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.segment_ms = 1000;
    partition_log_set_config(fixture->log, &fixture->config);
    fixture_write(fixture, 1, 10);
    memory_node_advance(&fixture->node, UINT64_C(900000000));
    fixture_write(fixture, 1, 10);
    assert_int_equal(partition_log_segment_count(fixture->log), 1);
    memory_node_advance(&fixture->node, UINT64_C(200000000));
    fixture_write(fixture, 1, 10);
    assert_int_equal(partition_log_segment_count(fixture->log), 2);
    partition_log_roll(fixture->log);
    fixture_write(fixture, 1, 10);
    assert_int_equal(partition_log_segment_count(fixture->log), 3);
}

static void a_clean_close_is_opened_without_a_scan(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.segment_bytes = 20000;
    partition_log_set_config(fixture->log, &fixture->config);
    for (int32_t i = 0; i < 50; i++)
        fixture_write(fixture, 2, 1000);
    partition_log_set_high_watermark(fixture->log, 90);
    fixture_close(fixture);
    assert_true(fixture->closed_clean);
    assert_int_equal(fixture->recovery_point, 100);
    assert_true(
        memory_node_exists(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000100.snapshot"));
    memory_node_crash(&fixture->node);
    fixture_open(fixture);
    assert_non_null(fixture->log);
    assert_int_equal(fixture->scanned_bytes, 0);
    assert_int_equal(partition_log_end_offset(fixture->log), 100);
    assert_int_equal(partition_log_high_watermark(fixture->log), 90);
    assert_int_equal(fixture_scan(fixture, 3000), 100);
    assert_int_equal(fixture_write(fixture, 2, 1000), 100);
    assert_int_equal(fixture_scan(fixture, 3000), 102);
}

static void an_idle_log_takes_two_kibibytes(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 50; i++)
        fixture_write(fixture, 2, 1000);
    fixture_close(fixture);
    const struct heap *heap = fixture->shard.heap;
    uint64_t before = heap->used[MEMORY_STATE] + heap->used[MEMORY_SCRATCH];
    fixture_open(fixture);
    assert_int_equal(partition_log_end_offset(fixture->log), 100);
    uint64_t after = heap->used[MEMORY_STATE] + heap->used[MEMORY_SCRATCH];
    assert_in_range(after - before, 1, 2048);
}

static void slow_writes_keep_their_order_and_end_before_a_close(void **state)
{
    struct log_fixture *fixture = *state;
    struct fixture_append appends[6];
    struct batch_options options = fixture_options();
    fixture_write(fixture, 1, 1);
    fixture->node.slow = true;
    fixture->node.hold = true;
    for (size_t i = 0; i < 6; i++) {
        fixture_batch(fixture, &appends[i], &options, 2, 10, 5);
        assert_int_equal(partition_log_append(fixture->log, &appends[i].append), LOG_APPEND_QUEUED);
        if (i == 2) /* the first three are being written, the others wait */
            memory_node_run(&fixture->node);
    }
    memory_node_run(&fixture->node);
    assert_int_equal(partition_log_written_end(fixture->log), 1);
    assert_int_equal(memory_node_held(&fixture->node), 1);
    memory_node_complete(&fixture->node, 0);
    memory_node_run(&fixture->node);
    assert_int_equal(partition_log_written_end(fixture->log), 7);
    partition_log_check(fixture->log);
    fixture->node.hold = false;
    fixture_close(fixture);
    assert_true(fixture->closed_clean);
    assert_int_equal(fixture->recovery_point, 13);
    fixture->node.slow = false;
    fixture_open(fixture);
    assert_int_equal(fixture_scan(fixture, 1000), 13);
    for (size_t i = 0; i < 6; i++)
        fixture_append_free(fixture, &appends[i]);
}

static void dropping_ends_what_waits_with_an_error(void **state)
{
    struct log_fixture *fixture = *state;
    struct fixture_append append;
    struct batch_options options = fixture_options();
    fixture_write(fixture, 1, 1);
    fixture_batch(fixture, &append, &options, 2, 10, 5);
    assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_QUEUED);
    fixture_drop(fixture);
    assert_int_equal(append.append.error, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    fixture_append_free(fixture, &append);
}

static void a_crash_loses_only_what_was_not_durable(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.segment_bytes = 20000;
    fixture->config.durability = TOPIC_DURABILITY_CACHE;
    partition_log_set_config(fixture->log, &fixture->config);
    for (int32_t i = 0; i < 30; i++)
        fixture_write(fixture, 2, 1000);
    partition_log_flush(fixture->log);
    memory_node_run(&fixture->node);
    assert_int_equal(partition_log_durable_end(fixture->log), 60);
    for (int32_t i = 0; i < 30; i++)
        fixture_write(fixture, 2, 1000);
    fixture_crash(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_in_range(partition_log_end_offset(fixture->log), 60, 120);
    assert_int_equal(fixture_scan(fixture, 100000), partition_log_end_offset(fixture->log));
    int64_t end = partition_log_end_offset(fixture->log);
    assert_int_equal(fixture_write(fixture, 2, 1000), end);
}

static void no_space_rolls_everything_back_and_recovers(void **state)
{
    struct log_fixture *fixture = *state;
    struct fixture_append appends[3];
    struct batch_options options = fixture_options();
    options.producer_id = 7;
    options.producer_epoch = 0;
    assert_int_equal(fixture_write(fixture, 5, 100), 0);
    memory_node_fail(&fixture->node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
    for (size_t i = 0; i < 3; i++) {
        options.base_sequence = (int32_t)i;
        fixture_batch(fixture, &appends[i], &options, 1, 10, 5);
        assert_int_equal(partition_log_append(fixture->log, &appends[i].append), LOG_APPEND_QUEUED);
    }
    memory_node_run(&fixture->node);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(appends[i].append.error, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    assert_int_equal(fixture->failure, STORAGE_NO_SPACE);
    assert_true(partition_log_is_out_of_space(fixture->log));
    assert_int_equal(partition_log_end_offset(fixture->log), 5);
    assert_true(producer_state_is_empty(partition_log_producers(fixture->log)));
    partition_log_check(fixture->log);
    assert_int_equal(fixture_write(fixture, 1, 1), -KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    memory_node_advance(&fixture->node, UINT64_C(2000000000));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(partition_log_append(fixture->log, &appends[i].append), LOG_APPEND_QUEUED);
        assert_int_equal(appends[i].append.base_offset, 5 + i);
    }
    memory_node_run(&fixture->node);
    assert_int_equal(fixture_scan(fixture, 1000), 8);
    for (size_t i = 0; i < 3; i++)
        fixture_append_free(fixture, &appends[i]);
}

static void the_cut_of_a_failed_write_is_durable_before_the_next_one(void **state)
{
    struct log_fixture *fixture = *state;
    assert_int_equal(fixture_write(fixture, 1, 100), 0);
    struct storage_file *file = fixture->log->segments[0]->file->log;
    uint8_t noise[50] = {1};
    struct job_context context = memory_node_context(&fixture->node);
    uint64_t size = storage_size(context.storage, file);
    memory_node_fail(&fixture->node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
    struct fixture_append append;
    struct batch_options options = fixture_options();
    fixture_batch(fixture, &append, &options, 1, 10, 5);
    assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_QUEUED);
    /* The failing write leaves a part behind, and somebody's sync makes it durable. */
    fixture->node.failure[STORAGE_WRITE].after = 1;
    storage_run_write(context.storage, file, size, noise, sizeof(noise));
    storage_run_sync(context.storage, file);
    fixture->node.failure[STORAGE_WRITE].after = 0;
    memory_node_run(&fixture->node);
    assert_int_equal(append.append.error, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    assert_int_equal(
        memory_node_durable_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000000.log")
            .size,
        size);
    fixture_append_free(fixture, &append);
}

static void a_device_error_fails_the_log_and_its_appends(void **state)
{
    struct log_fixture *fixture = *state;
    assert_int_equal(fixture_write(fixture, 5, 100), 0);
    memory_node_fail(&fixture->node, STORAGE_WRITE, 0, STORAGE_IO);
    assert_int_equal(fixture_write(fixture, 5, 100), -KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    assert_true(partition_log_is_failed(fixture->log));
    assert_int_equal(fixture->failure, STORAGE_IO);
    assert_int_equal(fixture_write(fixture, 5, 100), -KAFKA_ERROR_KAFKA_STORAGE_ERROR);
}

static void a_retried_batch_is_answered_with_its_first_offsets(void **state)
{
    struct log_fixture *fixture = *state;
    struct batch_options options = fixture_options();
    options.producer_id = 7;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    struct fixture_append first;
    struct fixture_append retry;
    fixture_write(fixture, 2, 1);
    fixture_batch(fixture, &first, &options, 3, 10, 5);
    fixture_batch(fixture, &retry, &options, 3, 10, 5);
    assert_int_equal(partition_log_append(fixture->log, &first.append), LOG_APPEND_QUEUED);
    assert_int_equal(partition_log_append(fixture->log, &retry.append), LOG_APPEND_DUPLICATE);
    assert_int_equal(retry.append.base_offset, 2);
    assert_int_equal(retry.append.last_offset, 4);
    memory_node_run(&fixture->node);
    assert_int_equal(partition_log_end_offset(fixture->log), 5);
    fixture_append_free(fixture, &first);
    fixture_append_free(fixture, &retry);
    /* A gap in the sequence is refused and changes nothing. */
    options.base_sequence = 9;
    fixture_batch(fixture, &first, &options, 3, 10, 5);
    assert_int_equal(partition_log_append(fixture->log, &first.append), LOG_APPEND_REFUSED);
    assert_int_equal(first.append.error, KAFKA_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(partition_log_end_offset(fixture->log), 5);
    fixture_append_free(fixture, &first);
}

static void replication_keeps_offsets_and_refuses_to_go_back(void **state)
{
    struct log_fixture *fixture = *state;
    struct batch_options options = fixture_options();
    options.base_offset = 7;
    options.leader_epoch = 3;
    struct fixture_append append;
    fixture_batch(fixture, &append, &options, 2, 10, 5);
    append.append.origin = LOG_APPEND_REPLICATION;
    assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_QUEUED);
    memory_node_run(&fixture->node);
    assert_int_equal(partition_log_end_offset(fixture->log), 9);
    assert_int_equal(partition_log_latest_epoch(fixture->log), 3);
    assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_REFUSED);
    assert_int_equal(append.append.error, KAFKA_ERROR_OFFSET_OUT_OF_RANGE);
    fixture_append_free(fixture, &append);
    assert_int_equal(fixture_scan(fixture, 100), 9);
}

/* Appends one batch of `count` records at an offset of the leader's choice. */
static void replicate(struct log_fixture *fixture, int64_t offset, int32_t count)
{
    struct batch_options options = fixture_options();
    options.base_offset = offset;
    struct fixture_append append;
    fixture_batch(fixture, &append, &options, count, 100, 5);
    append.append.origin = LOG_APPEND_REPLICATION;
    assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_QUEUED);
    memory_node_run(&fixture->node);
    assert_int_equal(append.append.error, KAFKA_ERROR_NONE);
    fixture_append_free(fixture, &append);
    partition_log_check(fixture->log);
}

static void reads_go_over_gaps_inside_and_between_segments(void **state)
{
    struct log_fixture *fixture = *state;
    static const int64_t offsets[] = {3, 10, 20, 21, 50, 80, 81, 100};
    for (size_t i = 0; i < 8; i++) {
        if (i == 2 || i == 5)
            partition_log_roll(fixture->log);
        replicate(fixture, offsets[i], 1);
    }
    assert_int_equal(partition_log_segment_count(fixture->log), 3);
    /* Each begins where the one before ends, where its producers are known too. */
    assert_int_equal(fixture->log->segments[1]->base_offset, 11);
    assert_int_equal(fixture->log->segments[2]->base_offset, 51);
    assert_true(fixture->log->segments[2]->has_snapshot);
    for (int64_t offset = 0; offset <= 100; offset++) {
        struct log_read read = {.offset = offset, .max_bytes = 1, .min_one = true};
        struct log_slice slice;
        size_t expected = 0;
        while (offsets[expected] < offset)
            expected++;
        assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
        uint8_t header[BATCH_HEADER_SIZE];
        assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, header, sizeof(header)),
                         LOG_READ_OK);
        assert_int_equal(batch_base_offset(header), offsets[expected]);
        log_slice_release(&slice);
    }
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(partition_log_end_offset(fixture->log), 101);
    assert_int_equal(fixture_scan(fixture, 1), 101);
}

static void a_gap_too_wide_for_a_segment_lies_between_two(void **state)
{
    struct log_fixture *fixture = *state;
    const int64_t far = INT64_C(5) << 31;
    replicate(fixture, 0, 1);
    replicate(fixture, far, 1);
    assert_int_equal(fixture->log->segments[1]->base_offset, far);
    replicate(fixture, 2 * far, 1);
    assert_int_equal(partition_log_segment_count(fixture->log), 3);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(partition_log_end_offset(fixture->log), 2 * far + 1);
}

static void a_full_index_begins_a_new_segment(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.index_interval_bytes = 0;
    fixture->config.segment_index_bytes = 5 * 8; /* five offset entries, three time entries */
    partition_log_set_config(fixture->log, &fixture->config);
    for (int32_t i = 0; i < 20; i++)
        fixture_write(fixture, 1, 10);
    /* The first batch of a segment has no entry; offset entries fill at six batches. */
    assert_int_equal(fixture->log->segments[1]->base_offset, 6);
    assert_int_equal(fixture_scan(fixture, 200), 20);
}

static void index_tails_move_to_their_files_while_the_segment_is_active(void **state)
{
    struct log_fixture *fixture = *state;
    enum { COUNT = 5000 };
    fixture->config.index_interval_bytes = 0;
    partition_log_set_config(fixture->log, &fixture->config);
    for (int32_t i = 0; i < COUNT; i++)
        fixture_write_at(fixture, 1, 0, 1700000000000 + i);
    const struct segment *active = fixture->log->segments[0];
    assert_in_range(active->index.stored_count, 2000, COUNT);
    assert_in_range(active->index.tail_count, 1, 3000);
    assert_int_equal(offset_index_count(&active->index), COUNT - 1);
    fixture->log->generation = log_shard_new_generation(&fixture->shard); /* nothing is known */
    for (int64_t offset = 0; offset < COUNT; offset += 37) {
        struct log_read read = {.offset = offset, .max_bytes = 200, .min_one = true};
        struct log_slice slice;
        assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OK);
        uint8_t header[BATCH_HEADER_SIZE];
        assert_int_equal(log_slice_copy(&fixture->shard, &slice, 0, header, sizeof(header)),
                         LOG_READ_OK);
        assert_int_equal(batch_base_offset(header), offset);
        assert_true(slice.size <= 200);
        log_slice_release(&slice);
    }
    fixture_close(fixture);
    assert_int_equal(
        memory_node_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000000.index").size,
        (COUNT - 1) * 8);
}

static void offsets_too_far_from_the_base_begin_a_new_segment(void **state)
{
    struct log_fixture *fixture = *state;
    replicate(fixture, 5, 1);
    replicate(fixture, INT32_MAX, 1);
    assert_int_equal(partition_log_segment_count(fixture->log), 1);
    replicate(fixture, (int64_t)INT32_MAX + 1, 1);
    assert_int_equal(partition_log_segment_count(fixture->log), 2);
    assert_int_equal(partition_log_active_segment_base(fixture->log), (int64_t)INT32_MAX + 1);
    replicate(fixture, INT64_C(1) << 40, 2);
    assert_int_equal(partition_log_active_segment_base(fixture->log), INT64_C(1) << 40);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(partition_log_end_offset(fixture->log), (INT64_C(1) << 40) + 2);
}

static void more_than_a_segment_holds_is_refused_from_clients_only(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.segment_bytes = 1000;
    partition_log_set_config(fixture->log, &fixture->config);
    assert_int_equal(fixture_write(fixture, 1, 2000), -KAFKA_ERROR_RECORD_LIST_TOO_LARGE);
    assert_int_equal(partition_log_end_offset(fixture->log), 0);
    replicate(fixture, 0, 30);
    assert_int_equal(partition_log_end_offset(fixture->log), 30);
}

static void garbage_is_refused_and_changes_nothing(void **state)
{
    struct log_fixture *fixture = *state;
    struct fixture_append append;
    struct batch_options options = fixture_options();
    fixture_batch(fixture, &append, &options, 2, 10, 5);
    static const struct {
        size_t at;
        uint8_t value;
        enum kafka_error error;
    } cases[] = {
        {8, 0x7f, KAFKA_ERROR_CORRUPT_MESSAGE},  /* longer than what is there: nothing whole */
        {8, 0xff, KAFKA_ERROR_CORRUPT_MESSAGE},  /* negative length */
        {16, 1, KAFKA_ERROR_CORRUPT_MESSAGE},    /* magic */
        {23, 0x80, KAFKA_ERROR_CORRUPT_MESSAGE}, /* negative last offset delta */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t old = append.data[cases[i].at];
        append.data[cases[i].at] = cases[i].value;
        assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_REFUSED);
        assert_int_equal(append.append.error, cases[i].error);
        append.data[cases[i].at] = old;
    }
    append.append.size = 0;
    assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_REFUSED);
    assert_int_equal(partition_log_end_offset(fixture->log), 0);
    fixture_append_free(fixture, &append);
    partition_log_check(fixture->log);
}

static void idle_files_are_closed_beyond_the_limit_and_opened_again(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 20; i++) {
        partition_log_roll(fixture->log);
        fixture_write(fixture, 1, 100);
    }
    assert_int_equal(partition_log_segment_count(fixture->log), 20);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(fixture_scan(fixture, 1), 20);
        size_t open = 0;
        for (uint32_t i = 0; i < fixture->log->segment_count; i++)
            open += fixture->log->segments[i]->file && fixture->log->segments[i]->file->log;
        assert_in_range(open, 1, fixture->shard.open_files_limit);
    }
}

static void the_log_start_moves_up_to_the_watermark_only(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 10; i++)
        fixture_write(fixture, 1, 10);
    partition_log_set_high_watermark(fixture->log, 6);
    assert_false(partition_log_advance_start(fixture->log, 7));
    assert_true(partition_log_advance_start(fixture->log, 4));
    assert_int_equal(partition_log_start_offset(fixture->log), 4);
    struct log_slice slice;
    struct log_read read = {.offset = 3, .max_bytes = 100, .min_one = true};
    assert_int_equal(fixture_read(fixture, &read, &slice), LOG_READ_OUT_OF_RANGE);
    partition_log_check(fixture->log);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_new_partition_is_durable_and_empty),
        CLAIM(appends_get_offsets_in_order_and_are_read_back),
        CLAIM(sync_durability_moves_the_durable_end_without_being_asked),
        CLAIM(appends_of_one_turn_are_one_write),
        CLAIM(reads_end_at_batch_boundaries_and_obey_limits),
        CLAIM(reads_stop_at_the_high_watermark),
        CLAIM(segments_roll_by_size_and_keep_their_side_files),
        CLAIM(segments_roll_by_age_and_on_demand),
        CLAIM(a_clean_close_is_opened_without_a_scan),
        CLAIM(an_idle_log_takes_two_kibibytes),
        CLAIM(slow_writes_keep_their_order_and_end_before_a_close),
        CLAIM(dropping_ends_what_waits_with_an_error),
        CLAIM(a_crash_loses_only_what_was_not_durable),
        CLAIM(no_space_rolls_everything_back_and_recovers),
        CLAIM(the_cut_of_a_failed_write_is_durable_before_the_next_one),
        CLAIM(a_device_error_fails_the_log_and_its_appends),
        CLAIM(a_retried_batch_is_answered_with_its_first_offsets),
        CLAIM(replication_keeps_offsets_and_refuses_to_go_back),
        CLAIM(reads_go_over_gaps_inside_and_between_segments),
        CLAIM(a_gap_too_wide_for_a_segment_lies_between_two),
        CLAIM(a_full_index_begins_a_new_segment),
        CLAIM(index_tails_move_to_their_files_while_the_segment_is_active),
        CLAIM(offsets_too_far_from_the_base_begin_a_new_segment),
        CLAIM(more_than_a_segment_holds_is_refused_from_clients_only),
        CLAIM(garbage_is_refused_and_changes_nothing),
        CLAIM(idle_files_are_closed_beyond_the_limit_and_opened_again),
        CLAIM(the_log_start_moves_up_to_the_watermark_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
