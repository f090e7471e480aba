/*
 * The indexes phase of a load: which segments may be trusted without reading them. A segment below
 * the recovery point is, unless an index is missing or cannot be true; the segments behind one that
 * is not trusted are not either. Of a sealed segment the sizes of its indexes are enough; of the
 * last one their tails are read, and the headers behind them, to find the end of the log.
 */
#include "log/log_recovery.h"
#include "protocol/batch.h"

enum { SEGMENTS_PER_STEP = 32 };

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
    /*
     * A recovery point right at the end of a segment may be from the time before its seal, when
     * the segment was the active one: it says nothing about indexes and epochs.
     */
    return place + 1 == load->segment_count ||
           load->segments[place + 1].base_offset >= load->recovery_point;
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

void log_load_step_indexes(struct log_load *load)
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
