/*
 * A load is a row of phases; each step does one bounded piece of the current one.
 *
 *   listing    segments and their sizes; leader epochs
 *   indexes    per trusted segment: transaction index; of the last one: index tails and log end.
 *              A missing or damaged index makes its segment, and all behind it, not trusted
 *   snapshot   the newest producer snapshot at or below where reading begins
 *   replaying  headers of trusted segments behind the snapshot
 *   scanning   every batch of the segments that are not trusted: checks, indexes, epochs,
 * producers; below the recovery point by headers alone, so the cost follows what came after it
 *   ending     log start, epochs against the ends
 */
#include "log/log_recovery.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "log/partition_log_internal.h"
#include "log/producer_snapshot.h"
#include "protocol/batch.h"
#include "runtime/test_point.h"

enum { PIECES_PER_STEP = 1, SEGMENTS_PER_STEP = 32 };

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

static bool remove_file(struct log_load *load, int64_t base_offset, const char *suffix)
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
        if (!remove_file(load, base_offset, SEGMENT_INDEX_SUFFIX) ||
            !remove_file(load, base_offset, SEGMENT_TIME_INDEX_SUFFIX) ||
            !remove_file(load, base_offset, TRANSACTION_INDEX_SUFFIX) ||
            !remove_file(load, base_offset, PRODUCER_SNAPSHOT_SUFFIX) ||
            !remove_file(load, base_offset, SEGMENT_LOG_SUFFIX))
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

/* ---- Indexes --------------------------------------------------------------------------------- */

/* From this segment on nothing is trusted. */
static void distrust_from(struct log_load *load, uint32_t place)
{
    if (place < load->scan_place)
        load->scan_place = place;
}

/* An index that claims more batches than the log has room for is padding or rot. */
static bool is_size_plausible(const struct segment *segment, int64_t size, size_t entry_size)
{
    return (uint64_t)size / entry_size <= segment->size / BATCH_HEADER_SIZE + 1;
}

static bool load_aborted(struct log_load *load, struct segment *segment, uint32_t place)
{
    if (load->sizes[place].aborted <= 0)
        return true;
    bool valid = true;
    enum storage_status status = transaction_index_load(
        load->storage, log_load_path(load, segment->base_offset, TRANSACTION_INDEX_SUFFIX),
        segment->base_offset, &segment->aborted, load->heap, &valid);
    if (!valid)
        distrust_from(load, place);
    return log_load_check(load, status, "reading a transaction index");
}

/* Opens an index and lets `inspect` look; a file that cannot be opened is an error. */
struct inspection {
    uint32_t offset_count;
    struct offset_entry offset_last;
    uint32_t time_count;
    struct time_entry time_last;
    bool valid;
};

static bool inspect_offsets(struct log_load *load, const struct segment *segment,
                            struct inspection *found)
{
    struct file_reader reader = {.storage = load->storage, .blocking = true};
    uint64_t size = 0;
    enum storage_status status = storage_run_open(
        load->storage, log_load_path(load, segment->base_offset, SEGMENT_INDEX_SUFFIX),
        STORAGE_FLAG_READ, &reader.file, &size);
    if (!log_load_check(load, status, "opening an index"))
        return false;
    status = offset_index_inspect(&reader, size, segment->size, &found->offset_count,
                                  &found->offset_last, &found->valid);
    storage_run_close(load->storage, reader.file);
    return log_load_check(load, status, "reading an index");
}

static bool inspect_times(struct log_load *load, const struct segment *segment,
                          struct inspection *found)
{
    struct file_reader reader = {.storage = load->storage, .blocking = true};
    uint64_t size = 0;
    enum storage_status status = storage_run_open(
        load->storage, log_load_path(load, segment->base_offset, SEGMENT_TIME_INDEX_SUFFIX),
        STORAGE_FLAG_READ, &reader.file, &size);
    if (!log_load_check(load, status, "opening a time index"))
        return false;
    bool valid = true;
    status =
        time_index_inspect(&reader, size, INT32_MAX, &found->time_count, &found->time_last, &valid);
    found->valid = found->valid && valid;
    storage_run_close(load->storage, reader.file);
    return log_load_check(load, status, "reading a time index");
}

/* A trusted segment in the middle: counts from the sizes, the rest when someone needs it. */
static void take_sealed(struct log_load *load, struct segment *segment, uint32_t place)
{
    const struct log_load_sizes *sizes = &load->sizes[place];
    segment->is_sealed = true;
    if (segment->size > 0 &&
        (sizes->index < 0 || !is_size_plausible(segment, sizes->index, OFFSET_INDEX_ENTRY_SIZE) ||
         !is_size_plausible(segment, sizes->times, TIME_INDEX_ENTRY_SIZE)))
        distrust_from(load, place);
    segment->index.stored_count =
        (uint32_t)(sizes->index > 0 ? sizes->index : 0) / OFFSET_INDEX_ENTRY_SIZE;
    segment->times.stored_count =
        (uint32_t)(sizes->times > 0 ? sizes->times : 0) / TIME_INDEX_ENTRY_SIZE;
    segment->max_timestamp =
        segment->times.stored_count > 0 ? SEGMENT_TIMESTAMP_UNKNOWN : SEGMENT_TIMESTAMP_NONE;
}

/* Whether the last entries speak of batches that are there: appending relies on their order. */
static bool is_index_true(const struct log_load *load, const struct segment *segment,
                          const struct inspection *found)
{
    int64_t last = load->log_end - 1 - segment->base_offset; /* relative */
    if (last < 0 || last > INT32_MAX)
        return false;
    return (found->offset_count == 0 || found->offset_last.relative_offset <= last) &&
           (found->time_count == 0 || found->time_last.relative_offset <= last);
}

/*
 * The end of the log and what appending needs: headers behind the last index entry. The first
 * batch's time starts the roll clock, unless it lies in the future of the file's own time.
 */
static bool find_end(struct log_load *load, struct segment *segment, uint32_t place,
                     const struct inspection *found)
{
    struct file_reader reader = {.storage = load->storage, .blocking = true};
    uint64_t size = 0;
    enum storage_status status = storage_run_open(
        load->storage, log_load_path(load, segment->base_offset, SEGMENT_LOG_SUFFIX),
        STORAGE_FLAG_READ, &reader.file, &size);
    if (!log_load_check(load, status, "opening a log"))
        return false;
    struct segment_place batch;
    enum log_read_status read = segment_batch_at(&reader, 0, segment->size, &batch);
    if (read == LOG_READ_OK) {
        segment->first_append_ms = segment->last_append_ms;
        if (batch.max_timestamp >= 0 && batch.max_timestamp < segment->first_append_ms)
            segment->first_append_ms = batch.max_timestamp;
    }
    uint32_t position = found->offset_count ? found->offset_last.position : 0;
    load->log_end = segment->base_offset;
    if (read == LOG_READ_OK) {
        struct segment_place largest = batch;
        read = segment_walk_to_end(&reader, position, segment->size, &batch, &largest);
        load->log_end = batch.last_offset + 1;
        if (largest.max_timestamp > segment->max_timestamp) {
            segment->max_timestamp = largest.max_timestamp;
            segment->max_timestamp_offset = largest.last_offset;
        }
    }
    storage_run_close(load->storage, reader.file);
    if (read != LOG_READ_OK || !is_index_true(load, segment, found))
        distrust_from(load, place);
    segment->bytes_since_index =
        segment->size - (found->offset_count ? found->offset_last.position : 0);
    return true;
}

/* The trusted last segment. */
static bool take_active(struct log_load *load, struct segment *segment, uint32_t place)
{
    load->log_end = segment->base_offset;
    if (segment->size == 0)
        return true;
    const struct log_load_sizes *sizes = &load->sizes[place];
    if (sizes->index < 0) {
        distrust_from(load, place);
        return true;
    }
    struct inspection found = {.valid = true};
    if (sizes->index > 0 && !inspect_offsets(load, segment, &found))
        return false;
    if (sizes->times > 0 && !inspect_times(load, segment, &found))
        return false;
    if (!found.valid) {
        distrust_from(load, place);
        return true;
    }
    segment->index.stored_count = found.offset_count;
    segment->index.last = found.offset_last;
    segment->index.last_known = found.offset_count > 0;
    segment->times.stored_count = found.time_count;
    segment->times.last = found.time_last;
    segment->times.last_known = found.time_count > 0;
    if (found.time_count > 0) {
        segment->max_timestamp = found.time_last.timestamp;
        segment->max_timestamp_offset = segment->base_offset + found.time_last.relative_offset;
    }
    return find_end(load, segment, place, &found);
}

/* Whether the checkpoints make this segment one to be scanned. */
static bool is_behind_recovery_point(const struct log_load *load, uint32_t place)
{
    /* A segment without a file was added here: creation was cut short before its first file. */
    if (load->clean || load->segments[place].is_directory_unsynced)
        return false;
    return place + 1 == load->segment_count ||
           load->segments[place + 1].base_offset > load->recovery_point;
}

static void end_indexes(struct log_load *load)
{
    load->phase = LOG_LOAD_SNAPSHOT;
    if (load->scan_place < load->segment_count) {
        int64_t base_offset = load->segments[load->scan_place].base_offset;
        leader_epochs_truncate_end(&load->epochs, base_offset);
        load->log_end = base_offset;
    }
}

static void step_indexes(struct log_load *load)
{
    for (unsigned i = 0; i < SEGMENTS_PER_STEP; i++) {
        uint32_t place = load->place;
        if (place == load->segment_count || place >= load->scan_place) {
            end_indexes(load);
            return;
        }
        struct segment *segment = &load->segments[place];
        if (is_behind_recovery_point(load, place)) {
            distrust_from(load, place);
            continue;
        }
        if (!load_aborted(load, segment, place))
            return;
        if (place + 1 < load->segment_count)
            take_sealed(load, segment, place);
        else if (!take_active(load, segment, place))
            return;
        load->place++;
    }
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
    enum storage_status status =
        producer_snapshot_load(load->storage, load->directory, load->log_end, now_ms, load->heap,
                               &load->producers, &offset);
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

static void apply_producer(struct log_load *load, struct segment *segment, struct view batch)
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
static bool open_scan(struct log_load *load, const struct segment *segment)
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
    if (!open_scan(load, segment))
        return;
    load->scan.skims = true;
    unsigned budget = PIECES_PER_STEP;
    struct view batch;
    enum log_scan_result result;
    while ((result = log_scan_next(&load->scan, load->storage, &budget, &batch)) ==
           LOG_SCAN_BATCH) {
        if (batch_has_producer_id(batch.data))
            apply_producer(load, NULL, batch);
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

/* ---- Scanning -------------------------------------------------------------------------------- */

/*
 * Whether compaction may have taken what was behind this offset. It rewrites only what lies below
 * the recovery point of the checkpoint file; without one nothing can be said.
 */
static bool may_be_compacted(const struct log_load *load, int64_t offset)
{
    return load->is_compacted && (!load->is_checkpointed || offset <= load->cleaner_offset);
}

/* Offsets have no gaps in what was appended last, unless compaction or a leader made them. */
static bool is_contiguous(const struct log_load *load)
{
    return !load->clean && load->log_end >= load->recovery_point &&
           !may_be_compacted(load, load->log_end);
}

/*
 * Whether a gap from the log end to this offset cannot be true: in what was appended last, or
 * across the recovery point, which is the end of a batch. Older gaps may be from a time when the
 * topic was compacted.
 */
static bool is_bad_gap(const struct log_load *load, int64_t base_offset)
{
    if (base_offset == load->log_end || may_be_compacted(load, base_offset) || load->clean)
        return false;
    return is_contiguous(load) || base_offset > load->recovery_point;
}

/* What the CRC does not cover, and the CRC (log.md 4.3). NULL: the batch is good. */
static const char *batch_fault(const struct log_load *load, const struct segment *segment,
                               struct view batch)
{
    const uint8_t *header = batch.data;
    if (batch.size == batch_size(header) && !batch_crc_is_valid(batch) &&
        !test_point(load->loop, BUG_LOG_SKIP_CRC_ON_RECOVERY))
        return "checksum";
    if (batch_last_offset_delta(header) < 0 || batch_record_count(header) < 0 ||
        batch_record_count(header) > (int64_t)batch_last_offset_delta(header) + 1)
        return "record count";
    if (batch_base_offset(header) < load->log_end ||
        !segment_holds_offset(segment, batch_last_offset(header)))
        return "offset";
    bool is_first = segment->size == 0 && load->log_end == segment->base_offset;
    if (!is_first && is_bad_gap(load, batch_base_offset(header)))
        return "gap in offsets";
    if (batch_leader_epoch(header) >= 0 &&
        batch_leader_epoch(header) < leader_epochs_latest(&load->epochs))
        return "leader epoch";
    return NULL;
}

static void take_batch(struct log_load *load, struct segment *segment, struct view batch)
{
    segment_add_batch(segment, load->heap, batch.data, load->index_interval_bytes);
    leader_epochs_assign(&load->epochs, load->heap, batch_leader_epoch(batch.data),
                         batch_base_offset(batch.data));
    if (batch_has_producer_id(batch.data))
        apply_producer(load, segment, batch);
    load->log_end = batch_last_offset(batch.data) + 1;
    load->scanned_bytes += batch.size;
    load->was_scanned = true;
}

/* Replaces an index file by the whole tail. */
static enum storage_status write_index(struct log_load *load, int64_t base_offset,
                                       const char *suffix, uint8_t *data, size_t size)
{
    struct storage_file *file;
    uint64_t old_size;
    enum storage_status status = storage_run_open(
        load->storage, log_load_path(load, base_offset, suffix),
        STORAGE_FLAG_READ | STORAGE_FLAG_WRITE | STORAGE_FLAG_CREATE, &file, &old_size);
    if (status != STORAGE_OK)
        return status;
    if (old_size > size)
        status = storage_run_truncate(load->storage, file, size);
    if (status == STORAGE_OK && size)
        status = storage_run_write(load->storage, file, 0, data, size);
    if (status == STORAGE_OK)
        status = storage_run_sync(load->storage, file);
    storage_run_close(load->storage, file);
    return status;
}

static enum storage_status write_indexes(struct log_load *load, const struct segment *segment,
                                         uint8_t *data)
{
    int64_t base_offset = segment->base_offset;
    offset_index_encode(segment->index.tail, segment->index.tail_count, data);
    enum storage_status status =
        write_index(load, base_offset, SEGMENT_INDEX_SUFFIX, data,
                    (size_t)segment->index.tail_count * OFFSET_INDEX_ENTRY_SIZE);
    if (status != STORAGE_OK)
        return status;
    time_index_encode(segment->times.tail, segment->times.tail_count, data);
    status = write_index(load, base_offset, SEGMENT_TIME_INDEX_SUFFIX, data,
                         (size_t)segment->times.tail_count * TIME_INDEX_ENTRY_SIZE);
    if (status != STORAGE_OK || segment->aborted.count == 0)
        return status;
    transaction_index_encode(&segment->aborted, 0, data);
    return write_index(load, base_offset, TRANSACTION_INDEX_SUFFIX, data,
                       (size_t)segment->aborted.count * TRANSACTION_INDEX_ENTRY_SIZE);
}

/* Writes the indexes that the scan made. On a full device they stay in memory for now. */
static bool store_indexes(struct log_load *load, struct segment *segment)
{
    segment_seal_entries(segment, load->heap);
    size_t capacity = (size_t)segment->index.tail_count * OFFSET_INDEX_ENTRY_SIZE +
                      (size_t)segment->times.tail_count * TIME_INDEX_ENTRY_SIZE +
                      (size_t)segment->aborted.count * TRANSACTION_INDEX_ENTRY_SIZE + 1;
    if (segment->aborted.count == 0 &&
        !remove_file(load, segment->base_offset, TRANSACTION_INDEX_SUFFIX))
        return false;
    uint8_t *data = heap_must_get(load->heap, MEMORY_SCRATCH, capacity);
    enum storage_status status = write_indexes(load, segment, data);
    heap_put(load->heap, MEMORY_SCRATCH, data, capacity);
    segment->needs_side_files = status == STORAGE_NO_SPACE;
    if (segment->needs_side_files)
        return true;
    offset_index_stored(&segment->index, load->heap, segment->index.tail_count);
    time_index_stored(&segment->times, load->heap, segment->times.tail_count);
    segment->aborted.written_count = segment->aborted.count;
    return log_load_check(load, status, "writing an index");
}

/* Starts a segment anew: nothing that its side files said counts. */
static void reset_segment(struct log_load *load, struct segment *segment)
{
    offset_index_deinit(&segment->index, load->heap);
    time_index_deinit(&segment->times, load->heap);
    transaction_index_deinit(&segment->aborted, load->heap);
    transaction_index_init(&segment->aborted);
    segment->size = 0;
    segment->bytes_since_index = 0;
    segment->max_timestamp = SEGMENT_TIMESTAMP_NONE;
    segment->max_timestamp_offset = segment->base_offset;
}

/*
 * Below which offset the fault lies at the latest. A good checksum under a smaller base offset than
 * the log end means that an earlier base offset, which no checksum covers, is the damaged one. But
 * no batch behind the first one has the segment's base offset or less: that is a header whose first
 * bytes were never written, at the end of a sector that a power cut took.
 */
static int64_t fault_offset(const struct log_load *load, const struct segment *segment,
                            struct view batch)
{
    bool is_good = batch.data && (batch.size < batch_size(batch.data) || batch_crc_is_valid(batch));
    if (is_good && batch_base_offset(batch.data) < load->log_end &&
        batch_base_offset(batch.data) > segment->base_offset)
        return batch_base_offset(batch.data);
    return load->log_end;
}

/*
 * Whether the next segment begins exactly where this one's good batches end: then what follows them
 * was never part of the log (a write that found no space), and nothing is missing in between.
 */
static bool is_leftover(const struct log_load *load)
{
    return load->place + 1 < load->segment_count &&
           load->segments[load->place + 1].base_offset == load->log_end;
}

/*
 * The scan of a segment ended at segment->size; `fault` says why when bytes are left, `offset`
 * where. Cuts, syncs, writes the indexes.
 */
static bool end_segment(struct log_load *load, struct segment *segment, const char *fault,
                        int64_t offset)
{
    uint64_t left = load->scan.size - segment->size;
    enum storage_status status = STORAGE_OK;
    if (fault) {
        if (!is_leftover(load) && (load->clean || offset < load->recovery_point))
            return log_load_fail(
                load, LOG_OPEN_CORRUPT,
                "%s: bad %s at position %u (offset %lld), below the recovery point",
                log_load_path(load, segment->base_offset, SEGMENT_LOG_SUFFIX), fault, segment->size,
                (long long)load->log_end);
        snprintf(load->message, sizeof(load->message),
                 "cut %llu bytes behind offset %lld: bad %s at position %u of segment %lld",
                 (unsigned long long)left, (long long)load->log_end, fault, segment->size,
                 (long long)segment->base_offset);
        load->cut_bytes += left;
        if (!test_point(load->loop, BUG_LOG_SKIP_TAIL_CUT))
            status = storage_run_truncate(load->storage, load->scan.file, segment->size);
    }
    /* What was read may be in memory only: it is trusted from here on, so it must be durable. */
    if (status == STORAGE_OK)
        status = storage_run_sync(load->storage, load->scan.file);
    log_scan_close(&load->scan, load->storage);
    return log_load_check(load, status, "cutting a log") && store_indexes(load, segment);
}

/* What the file times say about the roll clock, as in find_end. */
static void set_roll_clock(struct segment *segment, struct view batch)
{
    if (segment->size > 0)
        return;
    segment->first_append_ms = segment->last_append_ms;
    int64_t timestamp = batch_max_timestamp(batch.data);
    if (timestamp >= 0 && timestamp < segment->first_append_ms)
        segment->first_append_ms = timestamp;
}

/* Whether a segment whose predecessor ended early may stand. */
static bool is_lost_before(const struct log_load *load, const struct segment *segment)
{
    return segment->base_offset < load->log_end ||
           (is_contiguous(load) && load->place > 0 && segment->base_offset != load->log_end);
}

static bool begin_segment(struct log_load *load, struct segment *segment)
{
    if (load->scan.file)
        return true;
    if (load->place > load->scan_place && is_lost_before(load, segment)) {
        snprintf(load->message, sizeof(load->message),
                 "dropped segments from %lld: the one before ends at offset %lld",
                 (long long)segment->base_offset, (long long)load->log_end);
        log_load_drop_segments(load, load->place);
        return false;
    }
    if (segment->base_offset > load->log_end)
        load->log_end = segment->base_offset;
    if (!open_scan(load, segment))
        return false;
    reset_segment(load, segment);
    return true;
}

static void step_scanning(struct log_load *load)
{
    if (load->place == load->segment_count) {
        load->phase = LOG_LOAD_ENDING;
        return;
    }
    struct segment *segment = &load->segments[load->place];
    if (!begin_segment(load, segment))
        return;
    unsigned budget = PIECES_PER_STEP;
    struct view batch;
    struct view bad = VIEW_NULL;
    enum log_scan_result result;
    const char *fault = NULL;
    for (;;) {
        /* Below the recovery point the bytes are known to be durable: headers are enough. */
        load->scan.skims = load->clean || load->log_end < load->recovery_point;
        result = log_scan_next(&load->scan, load->storage, &budget, &batch);
        if (result != LOG_SCAN_BATCH)
            break;
        fault = batch_fault(load, segment, batch);
        if (fault) {
            bad = batch;
            break;
        }
        set_roll_clock(segment, batch);
        take_batch(load, segment, batch);
    }
    if (result == LOG_SCAN_PAUSE)
        return;
    if (result == LOG_SCAN_FAILED) {
        log_scan_close(&load->scan, load->storage);
        log_load_check(load, STORAGE_IO, "reading a log");
        return;
    }
    if (result == LOG_SCAN_BAD)
        fault = "length or format";
    if (!end_segment(load, segment, fault, fault_offset(load, segment, bad)))
        return;
    bool goes_on = !fault || is_leftover(load);
    load->place++;
    if (!goes_on)
        log_load_drop_segments(load, load->place);
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

static void step_ending(struct log_load *load)
{
    int64_t first = load->segments[0].base_offset;
    if (load->log_end < load->log_start && !restart_empty(load))
        return;
    if (load->log_start < first)
        load->log_start = first;
    for (uint32_t i = 0; i < load->segment_count; i++) {
        struct segment *segment = &load->segments[i];
        segment->is_sealed = i + 1 < load->segment_count;
        segment->needs_side_files = segment->needs_side_files && segment->is_sealed;
    }
    leader_epochs_truncate_end(&load->epochs, load->log_end);
    leader_epochs_truncate_start(&load->epochs, load->log_start);
    /* Names that a dead process made may be in memory only; what is trusted from here on must stay.
     */
    if (!load->clean && !test_point(load->loop, BUG_LOG_SKIP_BOOT_SYNC) &&
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
        step_indexes(load);
        break;
    case LOG_LOAD_SNAPSHOT:
        step_snapshot(load, context->wall_ms);
        break;
    case LOG_LOAD_REPLAYING:
        step_replaying(load);
        break;
    case LOG_LOAD_SCANNING:
        step_scanning(load);
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
