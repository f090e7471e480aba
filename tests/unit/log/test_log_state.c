/* What a clean stop keeps of a log (log/log_state.h) and of a directory (log/state_file.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "log/log_directory.h"
#include "log/log_state.h"
#include "log/partition_metadata.h"
#include "log/state_file.h"
#include "tests/unit/log/log_fixture.h"

/* ---- One log --------------------------------------------------------------------------------- */

/* What the committer remembers of the log that was closed last. */
static struct view kept_state(const struct log_fixture *fixture)
{
    const struct commit_remembered *remembered = container_of(
        fixture->directory.committer.remembered.previous, struct commit_remembered, link);
    return view_of(remembered->topic + remembered->topic_size, remembered->state_size);
}

static struct view copy_of_state(const struct log_fixture *fixture, uint8_t *data, size_t capacity)
{
    struct view state = kept_state(fixture);
    assert_true(state.size > 0 && state.size <= capacity);
    memcpy(data, state.data, state.size);
    return view_of(data, state.size);
}

static struct partition_log *open_known(struct log_fixture *fixture, struct view state)
{
    struct partition_log_options options = {
        .shard = &fixture->shard,
        .directory = FIXTURE_DIRECTORY,
        .topic = VIEW_LITERAL("topic"),
        .topic_id = UUID_ONE,
        .config = fixture->config,
        .producers = &fixture->producers,
        .committer = &fixture->directory.committer,
        .owner = fixture,
        .clean = fixture->clean,
        .recovery_point = fixture->recovery_point,
        .log_start_offset = fixture->log_start,
        .high_watermark = fixture->high_watermark,
    };
    return partition_log_open_known(&options, state);
}

/* Appends one batch of an idempotent producer. */
static void write_idempotent(struct log_fixture *fixture, int64_t producer_id, int32_t sequence)
{
    struct batch_options options = fixture_options();
    struct fixture_append append = {0};
    options.producer_id = producer_id;
    options.producer_epoch = 0;
    options.base_sequence = sequence;
    fixture_batch(fixture, &append, &options, 1, 10, 1700000000000);
    assert_int_equal(partition_log_append(fixture->log, &append.append), LOG_APPEND_QUEUED);
    memory_node_run(&fixture->node);
    assert_int_equal(append.append.error, KAFKA_ERROR_NONE);
    fixture_append_free(fixture, &append);
}

/* Some segments, two epochs, three producers. */
static void fill(struct log_fixture *fixture)
{
    fixture->config.segment_bytes = 4000;
    fixture->config.index_interval_bytes = 100;
    fixture_create(fixture);
    partition_log_begin_epoch(fixture->log, 3);
    for (int i = 0; i < 40; i++)
        fixture_write_at(fixture, 2, 100, 1700000000000 + i);
    partition_log_begin_epoch(fixture->log, 5);
    for (int64_t producer = 1; producer <= 3; producer++)
        write_idempotent(fixture, producer, 0);
}

static void expect_same_segment(const struct segment *a, const struct segment *b)
{
    assert_int_equal(a->base_offset, b->base_offset);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->is_sealed, b->is_sealed);
    assert_int_equal(a->has_snapshot, b->has_snapshot);
    assert_int_equal(a->index.stored_count, b->index.stored_count);
    assert_int_equal(a->times.stored_count, b->times.stored_count);
    if (a->is_sealed)
        return;
    assert_int_equal(a->bytes_since_index, b->bytes_since_index);
    assert_int_equal(a->max_timestamp, b->max_timestamp);
    assert_int_equal(a->max_timestamp_offset, b->max_timestamp_offset);
    assert_int_equal(a->index.last.relative_offset, b->index.last.relative_offset);
    assert_int_equal(a->times.last.timestamp, b->times.last.timestamp);
}

static void expect_same_log(const struct partition_log *a, const struct partition_log *b)
{
    assert_int_equal(a->log_start, b->log_start);
    assert_int_equal(a->high_watermark, b->high_watermark);
    assert_int_equal(a->written_end, b->written_end);
    assert_int_equal(a->segment_count, b->segment_count);
    for (uint32_t i = 0; i < a->segment_count; i++)
        expect_same_segment(a->segments[i], b->segments[i]);
    assert_int_equal(a->epochs.count, b->epochs.count);
    for (uint32_t i = 0; i < a->epochs.count; i++) {
        assert_int_equal(a->epochs.entries[i].epoch, b->epochs.entries[i].epoch);
        assert_int_equal(a->epochs.entries[i].start_offset, b->epochs.entries[i].start_offset);
    }
    assert_int_equal(a->producers.producer_count, b->producers.producer_count);
}

static void a_log_opened_by_its_state_is_the_one_that_its_files_hold(void **state)
{
    (void)state;
    struct log_fixture fixture;
    uint8_t data[4096];
    fixture_init(&fixture);
    fill(&fixture);
    fixture_close(&fixture);
    struct view kept = copy_of_state(&fixture, data, sizeof(data));
    fixture_open(&fixture); /* from the files, as a second one to compare with */
    struct partition_log *from_files = fixture.log;
    assert_true(from_files->segment_count > 2);
    assert_true(from_files->segments[1]->has_snapshot);
    assert_int_equal(from_files->producers.producer_count, 3);
    uint64_t calls = fixture.node.calls[STORAGE_OPEN] + fixture.node.calls[STORAGE_LIST] +
                     fixture.node.calls[STORAGE_STAT];
    struct partition_log *known = open_known(&fixture, kept);
    assert_non_null(known);
    assert_int_equal(calls, fixture.node.calls[STORAGE_OPEN] + fixture.node.calls[STORAGE_LIST] +
                                fixture.node.calls[STORAGE_STAT]);
    partition_log_check(known);
    expect_same_log(known, from_files);
    fixture_drop(&fixture);
    fixture.log = known;
    assert_int_equal(fixture_scan(&fixture, 1000), 83);
    /* It goes on where it was. */
    assert_int_equal(fixture_write(&fixture, 1, 10), 83);
    write_idempotent(&fixture, 2, 1);
    fixture_close(&fixture);
    assert_true(fixture.closed_clean);
    fixture_open(&fixture);
    assert_int_equal(fixture_scan(&fixture, 1000), 85);
    fixture_deinit(&fixture);
}

static void an_untouched_log_keeps_the_same_state(void **state)
{
    (void)state;
    struct log_fixture fixture;
    uint8_t data[4096];
    fixture_init(&fixture);
    fill(&fixture);
    fixture_close(&fixture);
    struct view kept = copy_of_state(&fixture, data, sizeof(data));
    fixture.log = open_known(&fixture, kept);
    assert_non_null(fixture.log);
    partition_log_begin_epoch(fixture.log, 9); /* has no records, so no file knows of it */
    fixture_close(&fixture);
    assert_true(view_equal(kept_state(&fixture), kept));
    fixture_deinit(&fixture);
}

static void damaged_state_is_refused_or_harmless(void **state)
{
    (void)state;
    struct log_fixture fixture;
    uint8_t data[4096], changed[4096];
    fixture_init(&fixture);
    fill(&fixture);
    fixture_close(&fixture);
    struct view kept = copy_of_state(&fixture, data, sizeof(data));
    for (size_t size = 0; size < kept.size; size++)
        assert_null(open_known(&fixture, view_of(data, size)));
    for (size_t at = 0; at < kept.size; at++) {
        memcpy(changed, data, kept.size);
        changed[at] ^= 0x41;
        fixture.log = open_known(&fixture, view_of(changed, kept.size));
        if (fixture.log) {
            partition_log_check(fixture.log);
            fixture_drop(&fixture);
            fixture.clean = true;
        }
    }
    fixture.log_start = 1000; /* a checkpoint that does not go with it */
    assert_null(open_known(&fixture, kept));
    fixture.log_start = 0;
    fixture.clean = false;
    assert_null(open_known(&fixture, kept));
    fixture_deinit(&fixture);
}

static void logs_with_much_to_tell_are_not_kept(void **state)
{
    (void)state;
    struct log_fixture fixture;
    fixture_init(&fixture);
    fixture_create(&fixture);
    for (int64_t producer = 0; producer <= LOG_STATE_PRODUCERS_MAX; producer++)
        write_idempotent(&fixture, producer, 0);
    fixture_close(&fixture);
    assert_true(fixture.closed_clean);
    assert_int_equal(kept_state(&fixture).size, 0);
    fixture_deinit(&fixture);
}

static unsigned count_files(struct log_fixture *fixture, const char *suffix)
{
    struct job_context context = memory_node_context(&fixture->node);
    struct storage_listing *listing;
    unsigned count = 0;
    assert_int_equal(storage_run_list(context.storage, FIXTURE_DIRECTORY, &fixture->heap, &listing),
                     STORAGE_OK);
    for (size_t i = 0; i < listing->count; i++) {
        const char *found = strstr(listing->entries[i].name, suffix);
        count += found && strcmp(found, suffix) == 0;
    }
    storage_listing_release(listing);
    return count;
}

static void files_that_wait_for_their_deletion_are_not_forgotten(void **state)
{
    (void)state;
    struct log_fixture fixture;
    fixture_init(&fixture);
    fill(&fixture);
    partition_log_set_high_watermark(fixture.log, partition_log_written_end(fixture.log));
    partition_log_advance_start(fixture.log, 60);
    partition_log_maintain(fixture.log, false);
    memory_node_run(&fixture.node);
    assert_true(count_files(&fixture, ".log.deleted") > 0);
    fixture_close(&fixture);
    assert_true(fixture.closed_clean);
    assert_int_equal(kept_state(&fixture).size, 0);
    fixture_open(&fixture);
    assert_int_equal(count_files(&fixture, ".deleted"), 0);
    fixture_close(&fixture);
    assert_true(kept_state(&fixture).size > 0);
    fixture_deinit(&fixture);
}

static void snapshots_of_earlier_stops_do_not_pile_up(void **state)
{
    (void)state;
    struct log_fixture fixture;
    uint8_t data[4096];
    fixture_init(&fixture);
    fill(&fixture);
    fixture_close(&fixture);
    unsigned count = count_files(&fixture, ".snapshot");
    for (int32_t i = 1; i <= 4; i++) {
        fixture.log = open_known(&fixture, copy_of_state(&fixture, data, sizeof(data)));
        assert_non_null(fixture.log);
        if (i % 2) /* a stop without a change keeps the one that there is */
            write_idempotent(&fixture, 1, (i + 1) / 2);
        fixture_close(&fixture);
        assert_int_equal(count_files(&fixture, ".snapshot"), count);
    }
    fixture_open(&fixture);
    assert_int_equal(fixture.log->producers.producer_count, 3);
    assert_int_equal(count_files(&fixture, ".snapshot"), count);
    fixture_deinit(&fixture);
}

/* ---- The file -------------------------------------------------------------------------------- */

enum { ENTRIES = 3 };

static void make_entries(struct state_file_entry entries[ENTRIES])
{
    const struct state_file_entry made[ENTRIES] = {
        {VIEW_LITERAL("a-0"), UUID_ONE, 1700000000123, 0, 0, VIEW_LITERAL("state of a")},
        {VIEW_LITERAL("b-0"), UUID_ONE, 0, 77, 4096, VIEW_NULL},
        {VIEW_LITERAL("b-01"), UUID_ONE, -5, INT64_MAX, UINT32_MAX, VIEW_LITERAL("x")},
    };
    memcpy(entries, made, sizeof(made));
}

static size_t count_entries(struct view bytes, int64_t epoch)
{
    struct state_file_walk walk;
    struct state_file_entry entry;
    size_t count = 0;
    if (!state_file_open(&walk, bytes, epoch))
        return 0;
    while (state_file_next(&walk, &entry))
        count++;
    return count;
}

static void a_state_file_reads_as_it_was_written(void **state)
{
    (void)state;
    uint8_t data[512];
    struct state_file_walk walk;
    struct state_file_entry entries[ENTRIES], entry;
    make_entries(entries);
    assert_true(state_file_size_max(entries, ENTRIES) <= sizeof(data));
    size_t size = state_file_encode(12, entries, ENTRIES, data, sizeof(data));
    assert_true(state_file_open(&walk, view_of(data, size), 12));
    for (size_t i = 0; i < ENTRIES; i++) {
        assert_true(state_file_next(&walk, &entry));
        assert_true(view_equal(entry.name, entries[i].name));
        assert_true(uuid_equal(entry.topic_id, entries[i].topic_id));
        assert_int_equal(entry.directory_modified_ms, entries[i].directory_modified_ms);
        assert_int_equal(entry.active_base_offset, entries[i].active_base_offset);
        assert_int_equal(entry.active_size, entries[i].active_size);
        assert_int_equal(entry.state.size, entries[i].state.size);
        assert_true(entry.state.size == 0 || view_equal(entry.state, entries[i].state));
    }
    assert_false(state_file_next(&walk, &entry));
}

static void a_state_file_of_another_stop_or_damaged_says_nothing(void **state)
{
    (void)state;
    uint8_t data[512];
    struct state_file_entry entries[ENTRIES];
    make_entries(entries);
    size_t size = state_file_encode(12, entries, ENTRIES, data, sizeof(data));
    assert_int_equal(count_entries(view_of(data, size), 12), ENTRIES);
    assert_int_equal(count_entries(view_of(data, size), 13), 0);
    assert_int_equal(count_entries(view_of(data, size), -1), 0);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(count_entries(view_of(data, cut), 12), 0);
    for (size_t at = 0; at < size; at++) {
        data[at] ^= 1;
        assert_int_equal(count_entries(view_of(data, size), 12), 0);
        data[at] ^= 1;
    }
    /* Names in another order: what is found up to there counts. */
    struct state_file_entry swapped[] = {entries[1], entries[0]};
    size = state_file_encode(12, swapped, 2, data, sizeof(data));
    assert_int_equal(count_entries(view_of(data, size), 12), 1);
}

/* ---- A start --------------------------------------------------------------------------------- */

static const char *const paths[] = {"/data"};
static const struct uuid directory_id = {{3}};

static void ignore_done(struct job *job)
{
    (void)job;
}

static void run_boot(struct memory_node *node, struct log_boot_job *boot)
{
    *boot = (struct log_boot_job){.paths = paths,
                                  .path_count = 1,
                                  .metadata_path = paths[0],
                                  .node_id = 1,
                                  .new_cluster_id = VIEW_LITERAL("cluster-x"),
                                  .may_format = true,
                                  .new_directory_ids = &directory_id};
    log_boot_init(boot);
    boot->job.done = ignore_done;
    loop_start_job(memory_node_loop(node, 0), &boot->job);
    memory_node_run(node);
    assert_int_equal(boot->status, LOG_BOOT_OK);
}

static void end_boot(struct memory_node *node, struct log_boot_job *boot)
{
    storage_run_close(memory_node_storage(node), boot->found[0].lock);
    log_boot_release(boot);
    for (int i = 0; i < MEMORY_CLASSES; i++)
        assert_int_equal(boot->job.heap.used[i], 0);
}

/* A partition t-0 whose log file has three bytes, and a state file that knows it so. */
static void put_stop(struct memory_node *node, int64_t modified_ms, uint32_t size,
                     int64_t state_epoch, int64_t marker_epoch)
{
    uint8_t data[256];
    const struct state_file_entry entry = {
        VIEW_LITERAL("t-0"),          uuid_of_random(5, 5), modified_ms, 9, size,
        VIEW_LITERAL("what is known")};
    size_t written = state_file_encode(state_epoch, &entry, 1, data, sizeof(data));
    memory_node_put_file(node, "/data/" STATE_FILE_NAME, view_of(data, written));
    memory_node_put_file(node, "/data/t-0/00000000000000000009.log", VIEW_LITERAL("abc"));
    struct storage_request set = {
        .operation = STORAGE_SET_MODIFIED, .path = "/data/t-0", .modified_ms = 1234};
    assert_int_equal(storage_run(memory_node_storage(node), &set), STORAGE_OK);
    assert_int_equal(
        log_directory_write_clean_marker(memory_node_storage(node), "/data", marker_epoch),
        STORAGE_OK);
}

static void expect_known(struct memory_node *node, bool is_known)
{
    struct log_boot_job boot;
    run_boot(node, &boot);
    const struct log_directory_entry *entry = &boot.found[0].entries[0];
    assert_string_equal(entry->name, "t-0");
    assert_int_equal(entry->state.size > 0, is_known);
    struct uuid id = is_known ? uuid_of_random(5, 5) : UUID_ONE; /* of file or of directory */
    assert_true(uuid_equal(entry->topic_id, id));
    log_boot_forget_states(&boot);
    assert_int_equal(entry->state.size, 0);
    end_boot(node, &boot);
}

static void a_state_counts_only_with_its_marker_and_an_untouched_directory(void **state)
{
    (void)state;
    struct memory_node node;
    struct log_boot_job boot;
    memory_node_init(&node);
    run_boot(&node, &boot);
    end_boot(&node, &boot);
    memory_node_make_directory(&node, "/data/t-0");
    assert_int_equal(partition_metadata_write(memory_node_storage(&node), "/data/t-0", UUID_ONE),
                     STORAGE_OK);
    put_stop(&node, 1234, 3, 7, 7);
    expect_known(&node, true);
    expect_known(&node, false); /* the marker is gone */
    put_stop(&node, 1234, 3, 7, 8);
    expect_known(&node, false);
    put_stop(&node, 1234, 3, -1, -1);
    expect_known(&node, false);
    put_stop(&node, 1233, 3, 7, 7);
    expect_known(&node, false);
    put_stop(&node, 1234, 4, 7, 7);
    expect_known(&node, false);
    put_stop(&node, 1234, 3, 7, 7);
    expect_known(&node, true);
    memory_node_deinit(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_opened_by_its_state_is_the_one_that_its_files_hold),
        cmocka_unit_test(an_untouched_log_keeps_the_same_state),
        cmocka_unit_test(damaged_state_is_refused_or_harmless),
        cmocka_unit_test(logs_with_much_to_tell_are_not_kept),
        cmocka_unit_test(files_that_wait_for_their_deletion_are_not_forgotten),
        cmocka_unit_test(snapshots_of_earlier_stops_do_not_pile_up),
        cmocka_unit_test(a_state_file_reads_as_it_was_written),
        cmocka_unit_test(a_state_file_of_another_stop_or_damaged_says_nothing),
        cmocka_unit_test(a_state_counts_only_with_its_marker_and_an_untouched_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
