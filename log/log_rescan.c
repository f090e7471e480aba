/*
 * The scanning phase of a load: every batch of the segments that are not trusted. Good batches make
 * indexes, epochs and producers again; at the first bad one the log is cut, or the load fails when
 * it lies below the recovery point. Below that point headers are enough, so the cost follows what
 * came after it.
 */
#include <stdio.h>

#include "log/log_recovery.h"
#include "log/producer_snapshot.h"
#include "protocol/batch.h"
#include "runtime/test_point.h"

enum { INDEX_TAIL_KEPT_MAX = 64 };

/*
 * Whether compaction may have taken what was behind this offset. It rewrites only what lies below
 * the recovery point of the checkpoint file; without one nothing can be said.
 */
static bool may_be_compacted(const struct log_load *load, int64_t offset)
{
    return load->is_compacted && (!load->is_checkpointed || offset <= load->cleaner_offset);
}

/* What was appended last goes on from segment to segment without a hole, except by compaction. */
static bool is_contiguous(const struct log_load *load)
{
    return !load->clean && load->log_end >= load->recovery_point &&
           !may_be_compacted(load, load->log_end);
}

/*
 * Whether a gap from the log end to this offset, inside a segment, cannot be true: in what was
 * appended last, or across the recovery point, which is the end of a batch. Older gaps may be from
 * a time when the topic was compacted. Where it is compacted now, a follower appends the leader's
 * gaps; nothing can be missing there, because the batches lie one behind the other.
 */
static bool is_bad_gap(const struct log_load *load, int64_t base_offset)
{
    if (base_offset == load->log_end || load->is_compacted || load->clean)
        return false;
    return is_contiguous(load) || base_offset > load->recovery_point;
}

/* What the CRC does not cover, and the CRC. NULL: the batch is good. */
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
        log_load_apply_producer(load, segment, batch);
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

/* As while it is appended to: the few entries of the last segment are in memory. */
static bool is_kept_in_memory(const struct log_load *load, const struct segment *segment)
{
    return load->place + 1 == load->segment_count && segment->aborted.count == 0 &&
           load->sizes[load->place].aborted < 0 && segment->index.tail_count <= INDEX_TAIL_KEPT_MAX;
}

/* A file never holds entries of which the segment does not know. Should they come back, the next
 * start scans again. */
static bool remove_indexes(struct log_load *load, const struct segment *segment)
{
    const struct log_load_sizes *sizes = &load->sizes[load->place];
    return (sizes->index <= 0 ||
            log_load_remove_file(load, segment->base_offset, SEGMENT_INDEX_SUFFIX)) &&
           (sizes->times <= 0 ||
            log_load_remove_file(load, segment->base_offset, SEGMENT_TIME_INDEX_SUFFIX));
}

/* Writes the indexes that the scan made. On a full device they stay in memory for now. */
static bool store_indexes(struct log_load *load, struct segment *segment)
{
    if (is_kept_in_memory(load, segment))
        return remove_indexes(load, segment);
    load->is_directory_changed = true;
    segment_seal_entries(segment, load->heap);
    size_t capacity = (size_t)segment->index.tail_count * OFFSET_INDEX_ENTRY_SIZE +
                      (size_t)segment->times.tail_count * TIME_INDEX_ENTRY_SIZE +
                      (size_t)segment->aborted.count * TRANSACTION_INDEX_ENTRY_SIZE + 1;
    if (segment->aborted.count == 0 &&
        !log_load_remove_file(load, segment->base_offset, TRANSACTION_INDEX_SUFFIX))
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
    /*
     * What was read behind the recovery point may be in memory only: it is trusted from here on, so
     * it must be durable.
     */
    if (fault || load->clean || load->log_end != load->recovery_point)
        load->is_directory_changed = true;
    if (status == STORAGE_OK && load->is_directory_changed)
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

/*
 * The producers at the segment's base, so that the segments before it may be deleted one day. The
 * seal that should have written them may have been cut short. On a full device there is none.
 */
static bool store_snapshot(struct log_load *load, struct segment *segment)
{
    load->is_directory_changed = true;
    size_t size = producer_snapshot_file_size(&load->producers);
    uint8_t *data = heap_must_get(load->heap, MEMORY_SCRATCH, size);
    producer_snapshot_file_encode(&load->producers, data);
    enum storage_status status = producer_snapshot_write(load->storage, load->directory,
                                                         segment->base_offset, view_of(data, size));
    heap_put(load->heap, MEMORY_SCRATCH, data, size);
    segment->has_snapshot = status == STORAGE_OK;
    return status == STORAGE_NO_SPACE ||
           log_load_check(load, status, "writing a producer snapshot");
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
    if (load->place > load->scan_place && !store_snapshot(load, segment))
        return false;
    if (!log_load_open_scan(load, segment))
        return false;
    reset_segment(load, segment);
    return true;
}

void log_load_step_scanning(struct log_load *load)
{
    if (load->place == load->segment_count) {
        load->phase = LOG_LOAD_ENDING;
        return;
    }
    struct segment *segment = &load->segments[load->place];
    if (!begin_segment(load, segment))
        return;
    unsigned budget = LOG_LOAD_PIECES_PER_STEP;
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
