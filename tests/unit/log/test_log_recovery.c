/*
 * Starts after every kind of stop. The reference is always the same: whole batches that were
 * durable are there, torn ones are not, and a second start finds nothing more to do.
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

#define FIRST_LOG   FIXTURE_DIRECTORY "/00000000000000000000.log"
#define FIRST_INDEX FIXTURE_DIRECTORY "/00000000000000000000.index"
#define FIRST_TIMES FIXTURE_DIRECTORY "/00000000000000000000.timeindex"

/* Starts unclean with this content of the first log. */
static void restart_with(struct log_fixture *fixture, const uint8_t *data, size_t size,
                         int64_t recovery_point)
{
    if (fixture->log)
        fixture_drop(fixture);
    memory_node_put_file(&fixture->node, FIRST_LOG, view_of(data, size));
    fixture->recovery_point = recovery_point;
    fixture->clean = false;
    fixture_open(fixture);
}

/* The offset behind the last whole batch of the first `size` bytes. */
static int64_t end_of(const uint8_t *data, size_t size)
{
    struct view rest = view_of(data, size);
    struct view batch;
    int64_t end = 0;
    while (batch_next(&rest, &batch) == BATCH_OK)
        end = batch_last_offset(batch.data) + 1;
    return end;
}

static void a_tail_torn_at_any_byte_is_cut_to_whole_batches(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 6; i++)
        fixture_write(fixture, i % 3 + 1, 5);
    struct fixture_bytes log = fixture_copy(fixture, FIRST_LOG);
    for (size_t size = 0; size <= log.size; size++) {
        restart_with(fixture, log.data, size, 0);
        assert_int_equal(fixture->open_status, LOG_OPEN_OK);
        assert_int_equal(partition_log_end_offset(fixture->log), end_of(log.data, size));
        assert_int_equal(fixture_scan(fixture, 200), end_of(log.data, size));
    }
    free(log.data);
}

static void a_flipped_byte_cuts_there_when_it_is_behind_the_recovery_point(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 4; i++)
        fixture_write(fixture, 2, 5);
    struct fixture_bytes log = fixture_copy(fixture, FIRST_LOG);
    size_t batch_size = log.size / 4;
    /* In the third batch; the leader epoch (-1 here) is covered by no check against the past. */
    for (size_t i = 2 * batch_size; i < 3 * batch_size; i++) {
        size_t in_batch = i - 2 * batch_size;
        if (in_batch >= 12 && in_batch < 16)
            continue;
        log.data[i] ^= 0x40;
        restart_with(fixture, log.data, log.size, 4);
        assert_int_equal(fixture->open_status, LOG_OPEN_OK);
        assert_int_equal(partition_log_end_offset(fixture->log), 4);
        assert_true(fixture->cut_bytes > 0);
        fixture_drop(fixture);
        /* Below it nothing is cut: either the structure shows it, or nobody looks. */
        restart_with(fixture, log.data, log.size, 5);
        if (in_batch < 12 || in_batch == 16)
            assert_int_equal(fixture->open_status, LOG_OPEN_CORRUPT);
        if (fixture->open_status == LOG_OPEN_CORRUPT) {
            assert_null(fixture->log);
            assert_true(fixture->message[0] != 0);
        } else {
            assert_int_equal(partition_log_end_offset(fixture->log), 8);
        }
        assert_int_equal(memory_node_file(&fixture->node, FIRST_LOG).size, log.size);
        log.data[i] ^= 0x40;
    }
    free(log.data);
}

static void a_zero_tail_is_cut(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 4; i++)
        fixture_write(fixture, 2, 5);
    struct fixture_bytes log = fixture_copy(fixture, FIRST_LOG);
    uint8_t *padded = calloc(1, log.size + 8192);
    memcpy(padded, log.data, log.size);
    restart_with(fixture, padded, log.size + 8192, 0);
    assert_int_equal(partition_log_end_offset(fixture->log), 8);
    assert_int_equal(fixture->cut_bytes, 8192);
    assert_int_equal(fixture_write(fixture, 2, 5), 8);
    free(log.data);
    free(padded);
}

static void later_segments_go_with_a_torn_one(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.segment_bytes = 1000;
    partition_log_set_config(fixture->log, &fixture->config);
    for (int32_t i = 0; i < 20; i++)
        fixture_write(fixture, 1, 200);
    assert_true(partition_log_segment_count(fixture->log) >= 5);
    struct fixture_bytes log = fixture_copy(fixture, FIRST_LOG);
    restart_with(fixture, log.data, log.size - 1, 0);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(partition_log_segment_count(fixture->log), 1);
    assert_int_equal(partition_log_end_offset(fixture->log), end_of(log.data, log.size - 1));
    /* Cut at a batch boundary, the gap to the next segment says the same. */
    free(log.data);
}

static void a_segment_that_follows_its_torn_predecessor_stays(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 3; i++)
        fixture_write(fixture, 1, 200);
    partition_log_roll(fixture->log);
    for (int32_t i = 0; i < 3; i++)
        fixture_write(fixture, 1, 200);
    /* What a write without space left, and its cut did not take away before the power went. */
    struct fixture_bytes log = fixture_copy(fixture, FIRST_LOG);
    uint8_t *longer = calloc(1, log.size + 39);
    memcpy(longer, log.data, log.size);
    memcpy(longer + log.size, log.data, 39);
    for (int64_t recovery_point = 0; recovery_point < 3; recovery_point++) {
        restart_with(fixture, longer, log.size + 39, recovery_point);
        assert_int_equal(fixture->open_status, LOG_OPEN_OK);
        assert_int_equal(fixture->cut_bytes, 39);
        assert_int_equal(partition_log_segment_count(fixture->log), 2);
        assert_int_equal(fixture_scan(fixture, 1000), 6);
    }
    free(log.data);
    free(longer);
}

static void a_segment_that_lost_whole_batches_takes_later_ones_along(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.segment_bytes = 1000;
    partition_log_set_config(fixture->log, &fixture->config);
    for (int32_t i = 0; i < 20; i++)
        fixture_write(fixture, 1, 200);
    struct fixture_bytes log = fixture_copy(fixture, FIRST_LOG);
    struct view rest = view_of(log.data, log.size);
    struct view batch;
    assert_int_equal(batch_next(&rest, &batch), BATCH_OK);
    restart_with(fixture, log.data, batch.size, 0);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(partition_log_end_offset(fixture->log), 1);
    assert_int_equal(partition_log_segment_count(fixture->log), 1);
    free(log.data);
}

static void indexes_made_again_equal_those_written_while_appending(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 200; i++)
        fixture_write_at(fixture, 1, 300 + (size_t)i, 1700000000000 + (i * 7919) % 1000);
    fixture_close(fixture);
    struct fixture_bytes index = fixture_copy(fixture, FIRST_INDEX);
    struct fixture_bytes times = fixture_copy(fixture, FIRST_TIMES);
    assert_true(index.size > 50);
    assert_true(times.size >= 12);
    fixture->clean = false;
    fixture->recovery_point = 0;
    memory_node_put_file(&fixture->node, FIRST_INDEX, VIEW_LITERAL("garbage that is not an index"));
    fixture_open(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    fixture_close(fixture); /* what is short stays in memory until then */
    struct view rebuilt = memory_node_durable_file(&fixture->node, FIRST_INDEX);
    assert_int_equal(rebuilt.size, index.size);
    assert_memory_equal(rebuilt.data, index.data, index.size);
    rebuilt = memory_node_durable_file(&fixture->node, FIRST_TIMES);
    assert_int_equal(rebuilt.size, times.size);
    assert_memory_equal(rebuilt.data, times.data, times.size);
    fixture_open(fixture);
    free(index.data);
    free(times.data);
}

static void entries_of_before_a_crash_are_gone_when_the_log_is_cut(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 40; i++)
        fixture_write(fixture, 1, 500);
    fixture_close(fixture);
    fixture->clean = false;
    fixture_open(fixture); /* the entries are in memory now, and in a file too */
    assert_int_equal(fixture_truncate(fixture, 3), STORAGE_OK);
    for (int32_t i = 0; i < 30; i++)
        fixture_write(fixture, 1, 700);
    assert_int_equal(fixture_scan(fixture, 1000), 33);
    assert_int_equal(fixture_truncate(fixture, 31), STORAGE_OK);
    assert_int_equal(fixture_scan(fixture, 1000), 31);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture_scan(fixture, 1000), 31);
}

static void a_missing_or_padded_index_is_made_again_after_a_clean_stop(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 100; i++)
        fixture_write(fixture, 1, 500);
    fixture_close(fixture);
    struct fixture_bytes index = fixture_copy(fixture, FIRST_INDEX);
    uint8_t *padded = calloc(1, index.size + 4096);
    memcpy(padded, index.data, index.size);
    struct job_context context = memory_node_context(&fixture->node);
    storage_run_path(context.storage, STORAGE_UNLINK, FIRST_INDEX, NULL);
    fixture_open(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_true(fixture->scanned_bytes > 0);
    assert_int_equal(partition_log_end_offset(fixture->log), 100);
    fixture_close(fixture);
    assert_memory_equal(memory_node_file(&fixture->node, FIRST_INDEX).data, index.data, index.size);
    memory_node_put_file(&fixture->node, FIRST_INDEX, view_of(padded, index.size + 4096));
    fixture_open(fixture);
    assert_int_equal(partition_log_end_offset(fixture->log), 100);
    assert_int_equal(fixture->log->segments[0]->index.stored_count, index.size / 8);
    assert_int_equal(fixture_scan(fixture, 600), 100);
    free(index.data);
    free(padded);
}

static void recovery_is_the_same_a_second_time(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 50; i++)
        fixture_write(fixture, 1, 500);
    struct fixture_bytes log = fixture_copy(fixture, FIRST_LOG);
    restart_with(fixture, log.data, log.size - 10, 0);
    struct fixture_bytes once = fixture_copy(fixture, FIRST_LOG);
    fixture_crash(fixture);
    fixture->recovery_point = 0;
    assert_int_equal(fixture->cut_bytes, 0);
    struct fixture_bytes twice = fixture_copy(fixture, FIRST_LOG);
    assert_int_equal(once.size, twice.size);
    assert_memory_equal(once.data, twice.data, once.size);
    free(log.data);
    free(once.data);
    free(twice.data);
}

static void half_finished_replacements_are_resolved(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 10; i++)
        fixture_write(fixture, 1, 50);
    struct fixture_bytes log = fixture_copy(fixture, FIRST_LOG);
    fixture_close(fixture);
    memory_node_put_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000005.log.deleted",
                         VIEW_LITERAL("x"));
    memory_node_put_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000000.log.swap",
                         view_of(log.data, log.size));
    memory_node_put_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000000.index.swap",
                         VIEW_LITERAL(""));
    memory_node_put_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000012.log.cleaned",
                         VIEW_LITERAL("x"));
    memory_node_put_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000013.log.swap",
                         VIEW_LITERAL("x"));
    fixture_open(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(partition_log_end_offset(fixture->log), 10);
    assert_int_equal(partition_log_segment_count(fixture->log), 1);
    static const char *const gone[] = {
        "/00000000000000000005.log.deleted", "/00000000000000000000.log.swap",
        "/00000000000000000012.log.cleaned", "/00000000000000000013.log.swap"};
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), FIXTURE_DIRECTORY "%s", gone[i]);
        assert_false(memory_node_exists(&fixture->node, path));
    }
    assert_int_equal(fixture_scan(fixture, 1000), 10);
    free(log.data);
}

static void a_log_that_ends_below_its_start_begins_empty_there(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 10; i++)
        fixture_write(fixture, 1, 50);
    fixture_close(fixture);
    fixture->log_start = 25;
    fixture_open(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(partition_log_start_offset(fixture->log), 25);
    assert_int_equal(partition_log_end_offset(fixture->log), 25);
    assert_false(memory_node_exists(&fixture->node, FIRST_LOG));
    assert_int_equal(fixture_write(fixture, 1, 50), 25);
    assert_int_equal(fixture_scan(fixture, 1000), 26);
}

static void a_log_that_began_empty_again_is_found_there_after_a_crash(void **state)
{
    struct log_fixture *fixture = *state;
    fixture_write(fixture, 10, 50);
    fixture_close(fixture);
    fixture->log_start = 25;
    fixture_open(fixture);
    /* The checkpoint does not name a log start where a segment begins. */
    fixture_drop(fixture);
    memory_node_crash(&fixture->node);
    fixture->log_start = 0;
    fixture_open(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(partition_log_start_offset(fixture->log), 25);
    assert_int_equal(partition_log_end_offset(fixture->log), 25);
}

static void write_in_epoch(struct log_fixture *fixture, int32_t leader_epoch)
{
    struct fixture_append append;
    struct batch_options options = fixture_options();
    fixture_batch(fixture, &append, &options, 2, 50, fixture->node.wall_ms);
    append.append.origin = LOG_APPEND_CLIENT;
    append.append.leader_epoch = leader_epoch;
    assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_QUEUED);
    memory_node_run(&fixture->node);
    fixture_append_free(fixture, &append);
}

static void assert_epoch_of(struct log_fixture *fixture, int64_t offset, int32_t leader_epoch)
{
    const struct leader_epoch *found =
        leader_epochs_of_offset(partition_log_leader_epochs(fixture->log), offset);
    assert_non_null(found);
    assert_int_equal(found->epoch, leader_epoch);
}

static void epochs_found_in_sealed_segments_survive_a_second_crash(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t epoch = 1; epoch <= 4; epoch++) {
        partition_log_roll(fixture->log);
        write_in_epoch(fixture, epoch);
    }
    struct job_context context = memory_node_context(&fixture->node);
    storage_run_path(context.storage, STORAGE_UNLINK, FIXTURE_DIRECTORY "/" LEADER_EPOCHS_FILE_NAME,
                     NULL);
    fixture_drop(fixture);
    fixture->recovery_point = 0;
    fixture_open(fixture);
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t epoch = 1; epoch <= 4; epoch++)
            assert_epoch_of(fixture, 2 * epoch - 1, epoch);
        fixture_crash(fixture);
    }
    fixture_maintain(fixture);
    assert_int_equal(partition_log_recovery_point(fixture->log), 8);
    fixture_crash(fixture);
    for (int32_t epoch = 1; epoch <= 4; epoch++)
        assert_epoch_of(fixture, 2 * epoch - 1, epoch);
}

static void a_recovery_point_at_the_end_of_a_segment_is_older_than_its_seal(void **state)
{
    struct log_fixture *fixture = *state;
    for (int i = 0; i < 3; i++)
        write_in_epoch(fixture, 7);
    /* The cut makes the index; the checkpoint is written when the segment is still active. */
    assert_int_equal(fixture_truncate(fixture, 4), STORAGE_OK);
    int64_t recovery_point = partition_log_recovery_point(fixture->log);
    assert_int_equal(recovery_point, 4);
    partition_log_roll(fixture->log);
    memory_node_fail(&fixture->node, STORAGE_RENAME, 0, STORAGE_NO_SPACE);
    write_in_epoch(fixture, 7);
    assert_int_equal(partition_log_segment_count(fixture->log), 2);
    assert_true(view_is_null(
        memory_node_file(&fixture->node, FIXTURE_DIRECTORY "/" LEADER_EPOCHS_FILE_NAME)));
    fixture_drop(fixture);
    memory_node_crash(&fixture->node);
    fixture->recovery_point = recovery_point;
    fixture_open(fixture);
    assert_int_equal(partition_log_end_offset(fixture->log), 6);
    assert_epoch_of(fixture, 0, 7);
}

static void a_cut_keeps_the_recovery_point_before_a_segment_without_side_files(void **state)
{
    struct log_fixture *fixture = *state;
    write_in_epoch(fixture, 1);
    partition_log_roll(fixture->log);
    memory_node_fail(&fixture->node, STORAGE_RENAME, 0, STORAGE_NO_SPACE);
    write_in_epoch(fixture, 2);
    write_in_epoch(fixture, 2);
    assert_int_equal(partition_log_recovery_point(fixture->log), 1);
    assert_int_equal(fixture_truncate(fixture, 4), STORAGE_OK);
    assert_int_equal(partition_log_recovery_point(fixture->log), 1);
    fixture_crash(fixture);
    assert_int_equal(partition_log_end_offset(fixture->log), 4);
    assert_epoch_of(fixture, 0, 1);
    assert_epoch_of(fixture, 2, 2);
}

/* The two jobs that wait change places. */
static void swap_jobs(struct memory_node *node)
{
    struct job *first = node->first_job;
    struct job *second = first->next;
    assert_non_null(second);
    assert_null(second->next);
    node->first_job = second;
    second->next = first;
    first->next = NULL;
    node->last_job = &first->next;
}

static void an_older_text_of_epochs_never_replaces_a_newer_one(void **state)
{
    struct log_fixture *fixture = *state;
    write_in_epoch(fixture, 1);
    partition_log_roll(fixture->log);
    memory_node_fail(&fixture->node, STORAGE_RENAME, 0, STORAGE_NO_SPACE);
    write_in_epoch(fixture, 2);
    /* A seal with the epochs 1 and 2, then, once 3 has come, that of the first segment again. */
    struct fixture_append append;
    struct batch_options options = fixture_options();
    fixture_batch(fixture, &append, &options, 2, 50, fixture->node.wall_ms);
    append.append.origin = LOG_APPEND_CLIENT;
    append.append.leader_epoch = 3;
    partition_log_roll(fixture->log);
    assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_QUEUED);
    partition_log_maintain(fixture->log, false);
    swap_jobs(&fixture->node);
    memory_node_run(&fixture->node);
    fixture_append_free(fixture, &append);
    partition_log_roll(fixture->log);
    write_in_epoch(fixture, 3);
    fixture_maintain(fixture);
    assert_int_equal(partition_log_recovery_point(fixture->log), 8);
    fixture_crash(fixture);
    for (int32_t epoch = 1; epoch <= 3; epoch++)
        assert_epoch_of(fixture, 2 * epoch - 1, epoch);
}

static void a_cut_makes_index_entries_again_that_found_no_space(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.index_interval_bytes = 1;
    partition_log_set_config(fixture->log, &fixture->config);
    for (int64_t i = 0; i < 9; i++) {
        if (i > 0 && i % 3 == 0)
            partition_log_roll(fixture->log);
        /* Of the second segment the offset index is written, the time index not. */
        if (i == 6)
            memory_node_fail(&fixture->node, STORAGE_WRITE, 1, STORAGE_NO_SPACE);
        fixture_write_at(fixture, 1, 50, 1000 + i);
    }
    assert_int_equal(partition_log_segment_count(fixture->log), 3);
    assert_int_equal(fixture_truncate(fixture, 8), STORAGE_OK);
    const struct segment *second = fixture->log->segments[1];
    assert_int_equal(second->base_offset, 3);
    assert_int_equal(second->max_timestamp, 1005);
    assert_int_equal(time_index_count(&second->times), 2);
    assert_int_equal(
        memory_node_file(&fixture->node, FIXTURE_DIRECTORY "/00000000000000000003.timeindex").size,
        2 * TIME_INDEX_ENTRY_SIZE);
}

static void a_segment_is_synced_before_it_is_deleted(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.durability = TOPIC_DURABILITY_CACHE;
    partition_log_set_config(fixture->log, &fixture->config);
    fixture_write(fixture, 2, 50);
    partition_log_roll(fixture->log);
    fixture_write(fixture, 2, 50);
    partition_log_set_high_watermark(fixture->log, 4);
    assert_true(partition_log_advance_start(fixture->log, 3));
    assert_int_equal(partition_log_durable_end(fixture->log), 0);
    partition_log_maintain(fixture->log, false);
    assert_int_equal(partition_log_segment_count(fixture->log), 2);
    memory_node_run(&fixture->node);
    assert_int_equal(partition_log_durable_end(fixture->log), 4);
    fixture_maintain(fixture);
    assert_int_equal(partition_log_segment_count(fixture->log), 1);
}

static void what_a_start_has_found_survives_a_power_cut(void **state)
{
    struct log_fixture *fixture = *state;
    fixture->config.durability = TOPIC_DURABILITY_CACHE;
    partition_log_set_config(fixture->log, &fixture->config);
    for (int32_t i = 0; i < 10; i++) {
        /* Whoever would have synced the directory by the way does not. */
        memory_node_fail(&fixture->node, STORAGE_SYNC_DIRECTORY, 0, STORAGE_NO_SPACE);
        partition_log_roll(fixture->log);
        fixture_write(fixture, 1, 100);
    }
    fixture->node.failure[STORAGE_SYNC_DIRECTORY].status = STORAGE_OK;
    /* The process dies, the page cache stays; the next process calls all of it durable. */
    fixture_drop(fixture);
    fixture->recovery_point = 0;
    fixture_open(fixture);
    assert_int_equal(partition_log_durable_end(fixture->log), 10);
    fixture_crash(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(partition_log_end_offset(fixture->log), 10);
}

static uint64_t sync_calls(const struct log_fixture *fixture)
{
    return fixture->node.calls[STORAGE_SYNC] + fixture->node.calls[STORAGE_SYNC_DIRECTORY];
}

static void a_start_syncs_nothing_of_a_log_that_was_durable(void **state)
{
    struct log_fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        uint64_t before = sync_calls(fixture);
        fixture_crash(fixture);
        assert_int_equal(fixture->open_status, LOG_OPEN_OK);
        assert_int_equal(sync_calls(fixture), before);
        assert_int_equal(partition_log_end_offset(fixture->log), i);
        assert_int_equal(fixture_write(fixture, 1, 100), i);
        partition_log_flush(fixture->log);
        memory_node_run(&fixture->node);
        assert_int_equal(partition_log_recovery_point(fixture->log), i + 1);
    }
    /* The indexes that stayed in memory are written when the log closes. */
    fixture_crash(fixture);
    fixture_close(fixture);
    assert_true(fixture->closed_clean);
    fixture_open(fixture);
    assert_int_equal(fixture_scan(fixture, 1000), 3);
}

static void the_name_of_an_empty_segment_is_durable_before_what_follows(void **state)
{
    struct log_fixture *fixture = *state;
    fixture_write(fixture, 1, 100);
    partition_log_flush(fixture->log);
    memory_node_run(&fixture->node);
    /* A new, empty segment, whose name is in memory only when the process dies. */
    assert_int_equal(fixture_truncate(fixture, 0), STORAGE_OK);
    fixture->recovery_point = 0;
    fixture_drop(fixture);
    uint64_t before = fixture->node.calls[STORAGE_SYNC_DIRECTORY];
    fixture_open(fixture);
    assert_int_equal(fixture->node.calls[STORAGE_SYNC_DIRECTORY], before);
    assert_int_equal(fixture_write(fixture, 1, 100), 0);
    partition_log_flush(fixture->log);
    memory_node_run(&fixture->node);
    assert_int_equal(fixture->node.calls[STORAGE_SYNC_DIRECTORY], before + 1);
    fixture_crash(fixture);
    assert_int_equal(partition_log_end_offset(fixture->log), 1);
    /* A clean stop without a write makes it durable too. */
    assert_int_equal(fixture_truncate(fixture, 0), STORAGE_OK);
    fixture->recovery_point = 0;
    fixture_drop(fixture);
    fixture_open(fixture);
    before = fixture->node.calls[STORAGE_SYNC_DIRECTORY];
    fixture_close(fixture);
    assert_true(fixture->closed_clean);
    assert_int_equal(fixture->node.calls[STORAGE_SYNC_DIRECTORY], before + 1);
    memory_node_fail(&fixture->node, STORAGE_SYNC_DIRECTORY, 0, STORAGE_IO);
    fixture->clean = false;
    fixture_open(fixture);
    fixture_close(fixture);
    assert_false(fixture->closed_clean);
    fixture_open(fixture);
}

static void what_the_recovery_point_covers_is_not_read_again(void **state)
{
    struct log_fixture *fixture = *state;
    for (int32_t i = 0; i < 20; i++)
        fixture_write(fixture, 1, 100000);
    struct fixture_bytes log = fixture_copy(fixture, FIRST_LOG);
    restart_with(fixture, log.data, log.size, 18);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_int_equal(partition_log_end_offset(fixture->log), 20);
    assert_in_range(fixture->scanned_bytes, 200000, 450000);
    assert_int_equal(fixture_scan(fixture, 1 << 20), 20);
    free(log.data);
}

/* Damages one file of the directory at random: flips, cuts, extends, or replaces by noise. */
static void damage(struct log_fixture *fixture, struct random_stream *random)
{
    struct job_context context = memory_node_context(&fixture->node);
    struct storage_listing *listing;
    assert_int_equal(storage_run_list(context.storage, FIXTURE_DIRECTORY, context.heap, &listing),
                     STORAGE_OK);
    const struct storage_entry *entry =
        &listing->entries[random_below(random, (uint64_t)listing->count)];
    char path[256];
    snprintf(path, sizeof(path), FIXTURE_DIRECTORY "/%s", entry->name);
    struct fixture_bytes bytes = fixture_copy(fixture, path);
    size_t capacity = bytes.size + 200;
    uint8_t *data = calloc(1, capacity);
    if (bytes.size)
        memcpy(data, bytes.data, bytes.size);
    size_t size = bytes.size;
    uint64_t kind = random_below(random, 4);
    if (kind == 0 && size > 0)
        data[random_below(random, size)] ^= (uint8_t)(1u << random_below(random, 8));
    else if (kind == 1 && size > 0)
        size = random_below(random, size);
    else if (kind == 2)
        size += random_below(random, 200);
    else if (size > 0)
        random_fill(random, data + random_below(random, size), 1 + random_below(random, 100));
    memory_node_put_file(&fixture->node, path, view_of(data, size));
    storage_listing_release(listing);
    free(bytes.data);
    free(data);
}

/* Writes, reads, looks up: nothing that a damaged file says may stop the process. */
static void use(struct log_fixture *fixture)
{
    struct log_read read = {.max_bytes = 5000, .min_one = true, .bound = LOG_READ_LOG_END};
    int64_t end = partition_log_end_offset(fixture->log);
    int64_t start = partition_log_start_offset(fixture->log);
    for (int i = 0; i < 5; i++) {
        struct log_slice slice;
        read.offset = start + (end - start) / 5 * i;
        if (fixture_read(fixture, &read, &slice) == LOG_READ_OK)
            log_slice_release(&slice);
    }
    if (end < INT64_MAX / 2) {
        for (int i = 0; i < 12; i++)
            fixture_write(fixture, 1, 600);
    }
    partition_log_check(fixture->log);
}

static void damaged_files_never_stop_the_process(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        struct random_stream random;
        random_init(&random, seed, 0);
        struct log_fixture *fixture = calloc(1, sizeof(*fixture));
        fixture_init(fixture);
        fixture->config.segment_bytes = 6000;
        fixture->config.index_interval_bytes = 300;
        fixture_create(fixture);
        for (int32_t i = 0; i < 12; i++)
            fixture_write_producer(fixture, 5, i, false);
        fixture_write_producer(fixture, 6, 0, true);
        fixture_write_marker(fixture, 6, false);
        for (int i = 0; i < 20; i++)
            fixture_write(fixture, 2, 300);
        fixture_close(fixture);
        fixture->clean = random_below(&random, 2);
        fixture->recovery_point = (int64_t)random_below(&random, 60);
        for (uint64_t i = random_below(&random, 3); i < 3; i++)
            damage(fixture, &random);
        fixture_open(fixture);
        if (fixture->log) {
            use(fixture);
            fixture_close(fixture);
            fixture_open(fixture);
            if (fixture->log)
                use(fixture);
        }
        fixture_deinit(fixture);
        free(fixture);
    }
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_tail_torn_at_any_byte_is_cut_to_whole_batches),
        CLAIM(a_flipped_byte_cuts_there_when_it_is_behind_the_recovery_point),
        CLAIM(a_zero_tail_is_cut),
        CLAIM(what_a_start_has_found_survives_a_power_cut),
        CLAIM(a_start_syncs_nothing_of_a_log_that_was_durable),
        CLAIM(the_name_of_an_empty_segment_is_durable_before_what_follows),
        CLAIM(what_the_recovery_point_covers_is_not_read_again),
        CLAIM(later_segments_go_with_a_torn_one),
        CLAIM(a_segment_that_follows_its_torn_predecessor_stays),
        CLAIM(a_segment_that_lost_whole_batches_takes_later_ones_along),
        CLAIM(indexes_made_again_equal_those_written_while_appending),
        CLAIM(entries_of_before_a_crash_are_gone_when_the_log_is_cut),
        CLAIM(a_missing_or_padded_index_is_made_again_after_a_clean_stop),
        CLAIM(recovery_is_the_same_a_second_time),
        CLAIM(half_finished_replacements_are_resolved),
        CLAIM(a_log_that_ends_below_its_start_begins_empty_there),
        CLAIM(a_log_that_began_empty_again_is_found_there_after_a_crash),
        CLAIM(epochs_found_in_sealed_segments_survive_a_second_crash),
        CLAIM(a_recovery_point_at_the_end_of_a_segment_is_older_than_its_seal),
        CLAIM(a_cut_keeps_the_recovery_point_before_a_segment_without_side_files),
        CLAIM(an_older_text_of_epochs_never_replaces_a_newer_one),
        CLAIM(a_cut_makes_index_entries_again_that_found_no_space),
        CLAIM(a_segment_is_synced_before_it_is_deleted),
        cmocka_unit_test(damaged_files_never_stop_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
