/*
 * A load is a row of phases; each step does one bounded piece of the current one.
 *
 *   listing    segments and their sizes; leader epochs
 *   indexes    per trusted segment: transaction index; of the last one: index tails and log end.
 *              A missing or damaged index makes its segment, and all behind it, not trusted
 *   snapshot   the newest producer snapshot at or below where reading begins
 *   replaying  headers of trusted segments behind the snapshot
 *   scanning   every batch of the segments that are not trusted: checks, indexes, epochs, producers
 *   ending     log start, epochs against the ends
 *
 * Listing, indexes and scanning have files of their own (log_listing.c, log_trust.c, log_rescan.c).
 */
#include "log/log_recovery.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "log/partition_log_internal.h"
#include "log/producer_snapshot.h"
#include "protocol/batch.h"
#include "runtime/test_point.h"

void log_load_init(struct log_load *load)
{
    leader_epochs_init(&load->epochs);
    producer_state_init(&load->producers, load->heap, load->producer_options);
    load->status = LOG_OPEN_OK;
}

bool log_load_fail(struct log_load *load, enum log_open_status status, const char *format, ...)
{
    load->status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(load->message, sizeof(load->message), format, arguments);
    va_end(arguments);
    load->phase = LOG_LOAD_FINISHED;
    return false;
}

bool log_load_check(struct log_load *load, enum storage_status status, const char *what)
{
    if (status == STORAGE_OK)
        return true;
    return log_load_fail(load, LOG_OPEN_IO, "%s in %s: %s", what, load->directory,
                         storage_status_text(status));
}

const char *log_load_path(struct log_load *load, int64_t base_offset, const char *suffix)
{
    bool fits = log_path_of_offset(&load->path, load->directory, base_offset, suffix);
    klamm_assert(fits);
    return load->path.text;
}

bool log_load_remove_file(struct log_load *load, int64_t base_offset, const char *suffix)
{
    enum storage_status status = storage_run_path(load->storage, STORAGE_UNLINK,
                                                  log_load_path(load, base_offset, suffix), NULL);
    return status == STORAGE_NOT_FOUND || log_load_check(load, status, "removing a file");
}

bool log_load_drop_segments(struct log_load *load, uint32_t from)
{
    load->was_scanned = true;
    for (uint32_t i = load->segment_count; i > from; i--) {
        struct segment *segment = &load->segments[i - 1];
        int64_t base_offset = segment->base_offset;
        if (!log_load_remove_file(load, base_offset, SEGMENT_INDEX_SUFFIX) ||
            !log_load_remove_file(load, base_offset, SEGMENT_TIME_INDEX_SUFFIX) ||
            !log_load_remove_file(load, base_offset, TRANSACTION_INDEX_SUFFIX) ||
            !log_load_remove_file(load, base_offset, PRODUCER_SNAPSHOT_SUFFIX) ||
            !log_load_remove_file(load, base_offset, SEGMENT_LOG_SUFFIX))
            return false;
        load->cut_bytes += segment->size;
        segment_deinit(segment, load->heap);
        load->segment_count--;
    }
    /* Should they come back, they would follow what is appended in their place. */
    return log_load_check(
        load, storage_run_path(load->storage, STORAGE_SYNC_DIRECTORY, load->directory, NULL),
        "removing segments");
}

/* ---- Listing --------------------------------------------------------------------------------- */

/* An empty segment at the log start, when there is none. */
static void add_empty_segment(struct log_load *load)
{
    struct segment *segment = &load->segments[0];
    segment_init(segment, load->log_start);
    segment->is_directory_unsynced = true;
    load->sizes[0] = (struct log_load_sizes){-1, -1, -1, false};
    load->segment_count = 1;
}

static void step_listing(struct log_load *load)
{
    if (!log_load_list(load))
        return;
    bool valid = true;
    enum storage_status status =
        leader_epochs_load(load->storage, load->directory, &load->epochs, load->heap, &valid);
    if (!log_load_check(load, status, "reading leader epochs"))
        return;
    if (load->segment_count == 0)
        add_empty_segment(load);
    load->scan_place = load->segment_count;
    load->place = 0;
    load->phase = LOG_LOAD_INDEXES;
}

/* ---- Producers of what is trusted ------------------------------------------------------------ */

static void begin_scanning(struct log_load *load)
{
    load->place = load->scan_place;
    load->phase = load->place < load->segment_count ? LOG_LOAD_SCANNING : LOG_LOAD_ENDING;
}

static void step_snapshot(struct log_load *load, int64_t now_ms)
{
    if (load->clean && load->last_snapshot_offset == load->log_end &&
        load->last_snapshot_size == PRODUCER_SNAPSHOT_HEADER_SIZE) {
        begin_scanning(load); /* no producers: most partitions of most nodes */
        return;
    }
    if (load->last_snapshot_offset < 0 && load->log_end == load->segments[0].base_offset) {
        begin_scanning(load); /* nothing to load, nothing to replay */
        return;
    }
    int64_t offset = -1;
    enum storage_status status = STORAGE_OK;
    /* With none that is old enough there is no need to look for one. */
    if (load->first_snapshot_offset >= 0 && load->first_snapshot_offset <= load->log_end)
        status = producer_snapshot_load(load->storage, load->directory, load->log_end, now_ms,
                                        load->heap, &load->producers, &offset);
    if (!log_load_check(load, status, "reading producer snapshots"))
        return;
    if (offset >= load->log_end) {
        begin_scanning(load);
        return;
    }
    /* Replay begins in the segment that holds the snapshot's offset. */
    load->place = 0;
    while (load->place + 1 < load->scan_place &&
           load->segments[load->place + 1].base_offset <= offset)
        load->place++;
    load->scan.position = 0;
    load->phase = LOG_LOAD_REPLAYING;
}

void log_load_apply_producer(struct log_load *load, struct segment *segment, struct view batch)
{
    struct producer_batch producer;
    struct producer_completed completed;
    partition_log_producer_batch(batch, &producer);
    /* Below the recovery point nothing is checked before this: rot must not become state. */
    if (producer.last_offset < producer.first_offset || producer.last_offset == INT64_MAX)
        return;
    bool ended = producer_state_apply(&load->producers, &producer, &completed);
    producer_state_settle(&load->producers, producer.last_offset + 1);
    if (!ended || !completed.is_aborted || !segment)
        return;
    struct aborted_transaction aborted = {.producer_id = completed.producer_id,
                                          .first_offset = completed.first_offset,
                                          .last_offset = completed.last_offset,
                                          .last_stable_offset = completed.last_stable_offset};
    transaction_index_append(&segment->aborted, load->heap, &aborted);
}

/* Opens the log of the segment at work; false ends the step. */
bool log_load_open_scan(struct log_load *load, const struct segment *segment)
{
    if (load->scan.file)
        return true;
    enum storage_status status = log_scan_open(
        &load->scan, load->storage, load->heap,
        log_load_path(load, segment->base_offset, SEGMENT_LOG_SUFFIX), 0, segment->size);
    return log_load_check(load, status, "opening a log");
}

static void step_replaying(struct log_load *load)
{
    if (load->place >= load->scan_place || load->segments[load->place].size == 0) {
        load->place++;
        if (load->place >= load->scan_place)
            begin_scanning(load);
        return;
    }
    struct segment *segment = &load->segments[load->place];
    if (!log_load_open_scan(load, segment))
        return;
    load->scan.skims = true;
    unsigned budget = LOG_LOAD_PIECES_PER_STEP;
    struct view batch;
    enum log_scan_result result;
    while ((result = log_scan_next(&load->scan, load->storage, &budget, &batch)) ==
           LOG_SCAN_BATCH) {
        if (batch_has_producer_id(batch.data))
            log_load_apply_producer(load, NULL, batch);
    }
    if (result == LOG_SCAN_PAUSE)
        return;
    log_scan_close(&load->scan, load->storage);
    if (result == LOG_SCAN_FAILED) {
        log_load_check(load, STORAGE_IO, "reading a log");
    } else if (result == LOG_SCAN_BAD) {
        log_load_fail(load, LOG_OPEN_CORRUPT, "%s: damaged batch below the recovery point",
                      log_load_path(load, segment->base_offset, SEGMENT_LOG_SUFFIX));
    } else {
        load->place++;
    }
}

/* ---- Ending ---------------------------------------------------------------------------------- */

/* The log ends below its start (deleted records, then a crash): nothing of it may be read. */
static bool restart_empty(struct log_load *load)
{
    if (!log_load_drop_segments(load, 0))
        return false;
    producer_state_clear(&load->producers);
    leader_epochs_clear(&load->epochs);
    add_empty_segment(load);
    load->log_end = load->log_start;
    return true;
}

/*
 * The first file tells the next start where the log is when it is empty, unless the checkpoint of
 * the log start says the same.
 */
static bool make_first_file(struct log_load *load)
{
    struct segment *first = &load->segments[0];
    if (!first->is_directory_unsynced ||
        (load->sizes[0].has_log && first->base_offset == load->log_start))
        return true;
    enum storage_status status =
        partition_log_make_file(load->storage, load->directory, first->base_offset);
    if (status == STORAGE_OK)
        status = storage_run_path(load->storage, STORAGE_SYNC_DIRECTORY, load->directory, NULL);
    first->is_directory_unsynced = false;
    return log_load_check(load, status, "making the first file");
}

static void step_ending(struct log_load *load)
{
    if (load->log_end < load->log_start && !restart_empty(load))
        return;
    if (!make_first_file(load))
        return;
    if (load->log_start < load->segments[0].base_offset)
        load->log_start = load->segments[0].base_offset;
    /* Epochs that the scan of a sealed segment found are nowhere else: its seal is over. */
    if (load->epochs.is_dirty && load->scan_place < load->segment_count &&
        !test_point(load->loop, BUG_LOG_SKIP_BOOT_SYNC))
        load->segments[load->scan_place].needs_side_files = true;
    for (uint32_t i = 0; i < load->segment_count; i++) {
        struct segment *segment = &load->segments[i];
        segment->is_sealed = i + 1 < load->segment_count;
        segment->needs_side_files = segment->needs_side_files && segment->is_sealed;
    }
    leader_epochs_truncate_end(&load->epochs, load->log_end);
    leader_epochs_truncate_start(&load->epochs, load->log_start);
    /* Names that a dead process made may be in memory only; what is trusted from here on must stay.
     */
    if (load->is_directory_changed && !test_point(load->loop, BUG_LOG_SKIP_BOOT_SYNC) &&
        !log_load_check(
            load, storage_run_path(load->storage, STORAGE_SYNC_DIRECTORY, load->directory, NULL),
            "syncing the directory"))
        return;
    load->phase = LOG_LOAD_FINISHED;
}

enum job_progress log_load_step(struct log_load *load, const struct job_context *context)
{
    load->storage = context->storage;
    switch (load->phase) {
    case LOG_LOAD_LISTING:
        step_listing(load);
        break;
    case LOG_LOAD_INDEXES:
        log_load_step_indexes(load);
        break;
    case LOG_LOAD_SNAPSHOT:
        step_snapshot(load, context->wall_ms);
        break;
    case LOG_LOAD_REPLAYING:
        step_replaying(load);
        break;
    case LOG_LOAD_SCANNING:
        log_load_step_scanning(load);
        break;
    case LOG_LOAD_ENDING:
        step_ending(load);
        break;
    case LOG_LOAD_FINISHED:
        break;
    }
    return load->phase == LOG_LOAD_FINISHED ? JOB_FINISHED : JOB_MORE;
}

void log_load_deinit(struct log_load *load)
{
    for (uint32_t i = 0; i < load->segment_count; i++)
        segment_deinit(&load->segments[i], load->heap);
    heap_put(load->heap, MEMORY_SCRATCH, load->segments,
             load->segment_capacity * sizeof(*load->segments));
    heap_put(load->heap, MEMORY_SCRATCH, load->sizes,
             load->segment_capacity * sizeof(*load->sizes));
    leader_epochs_deinit(&load->epochs, load->heap);
    producer_state_deinit(&load->producers);
    log_scan_deinit(&load->scan);
    load->segments = NULL;
    load->sizes = NULL;
    load->segment_count = 0;
    load->segment_capacity = 0;
}
