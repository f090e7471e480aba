/*
 * A read, all from memory or not at all:
 *
 *   1. the segment that may hold the offset, and the position of the batch that does: remembered
 *      from the last range or append that ended there, else from the index and a walk over headers;
 *   2. where the visible part of this segment ends: its size, or the position of the bound;
 *   3. the last batch boundary within max_bytes.
 *
 * What is found is remembered, so a reader in sequence and the high watermark behind an append
 * never search. Whenever a byte is not in memory or a file not open, the answer is NEEDS_IO, and
 * partition_log_warm does the same search in a job, blocking, and remembers the place.
 */
#include "base/assert.h"
#include "log/partition_log_internal.h"
#include "log/log_search.h"
#include "runtime/test_point.h"

/* ---- Searching on the loop ------------------------------------------------------------------- */

/* What a search of one segment needs; false: a file must be opened first. */
static bool search_of(struct partition_log *log, struct segment *segment, int64_t offset,
                      struct log_search *search)
{
    struct segment_file *file = segment_file_of(log->shard, segment);
    segment_file_check_index(file, segment->index.stored_count);
    *search = (struct log_search){.storage = log->shard->loop->storage,
                                  .log = file->log,
                                  .index = file->index,
                                  .base_offset = segment->base_offset,
                                  .size = segment->size,
                                  .stored_count = segment->index.stored_count};
    struct offset_entry entry;
    if (offset_index_floor_in_tail(&segment->index, log_search_relative(search, offset), &entry)) {
        search->floor_position = entry.position;
        search->stored_count = 0;
    }
    return file->log && (file->index || search->stored_count == 0);
}

/* The first batch boundary at or behind `offset` in this segment; its size when there is none. */
static enum log_read_status position_of(struct partition_log *log, struct segment *segment,
                                        int64_t offset, uint32_t *position)
{
    int64_t base_offset;
    if (offset <= segment->base_offset) {
        *position = 0;
        return LOG_READ_OK;
    }
    if (log_shard_recall(log->shard, log->generation, offset, &base_offset, position) &&
        base_offset == segment->base_offset)
        return LOG_READ_OK;
    struct log_search search;
    if (segment->size == 0) {
        *position = 0;
        return LOG_READ_OK;
    }
    if (!search_of(log, segment, offset, &search))
        return LOG_READ_NEEDS_IO;
    enum log_read_status status = log_search_position(&search, offset, position);
    if (status == LOG_READ_OK)
        log_shard_remember(log->shard, log->generation, offset, segment->base_offset, *position);
    return status;
}

/* The last boundary at or below position + max_bytes, at least one batch when `min_one`. */
static enum log_read_status limit_range(struct partition_log *log, struct segment *segment,
                                        const struct log_read *read, uint32_t position,
                                        uint32_t *end, int64_t *next_offset)
{
    struct log_search search;
    if (!search_of(log, segment, segment->base_offset, &search))
        return LOG_READ_NEEDS_IO;
    struct offset_entry entry;
    uint32_t limit = position + read->max_bytes;
    search.stored_count = segment->index.stored_count;
    search.floor_position = position;
    if (offset_index_floor_position_in_tail(&segment->index, limit, &entry)) {
        search.stored_count = 0;
        if (entry.position > position)
            search.floor_position = entry.position;
    }
    if (search.stored_count > 0 && !search.index)
        return LOG_READ_NEEDS_IO;
    return log_search_limit(&search, position, limit, *end, read->min_one, end, next_offset);
}

/* ---- Reading --------------------------------------------------------------------------------- */

int64_t partition_log_bound(const struct partition_log *log, enum log_read_bound bound)
{
    if (test_point(log->shard->loop, BUG_LOG_READ_ABOVE_WATERMARK))
        bound = LOG_READ_LOG_END;
    switch (bound) {
    case LOG_READ_LOG_END:
        return log->written_end;
    case LOG_READ_HIGH_WATERMARK:
        return log->high_watermark;
    case LOG_READ_LAST_STABLE:
        return partition_log_last_stable_offset(log);
    }
    klamm_unreachable("read bound");
}

struct aborted_collector {
    struct arena *arena;
    struct log_slice *slice;
    uint32_t capacity;
    bool refused;
};

static void collect_aborted(void *context, const struct aborted_transaction *entry)
{
    struct aborted_collector *collector = context;
    struct log_slice *slice = collector->slice;
    if (collector->refused)
        return;
    if (slice->aborted_count == collector->capacity) {
        uint32_t capacity = collector->capacity ? collector->capacity * 2 : 8;
        struct log_aborted_transaction *grown =
            arena_get_array(collector->arena, capacity, sizeof(*grown));
        if (!grown) {
            collector->refused = true;
            return;
        }
        if (slice->aborted_count)
            memcpy(grown, slice->aborted, slice->aborted_count * sizeof(*grown));
        slice->aborted = grown;
        collector->capacity = capacity;
    }
    slice->aborted[slice->aborted_count++] =
        (struct log_aborted_transaction){entry->producer_id, entry->first_offset};
}

/* The aborted transactions that overlap [offset, upper), from the slice's segment on. */
static bool list_aborted(const struct partition_log *log, const struct log_read *read,
                         uint32_t place, int64_t upper, struct log_slice *slice)
{
    struct aborted_collector collector = {.arena = read->arena, .slice = slice};
    for (uint32_t i = place; i < log->segment_count; i++) {
        const struct transaction_index *index = &log->segments[i]->aborted;
        if (index->count == 0)
            continue;
        if (transaction_index_collect(index, read->offset, upper, collect_aborted, &collector))
            break;
    }
    return !collector.refused;
}

/* The slice of one segment; *is_gap: the offset lies behind its last batch. */
static enum log_read_status read_segment(struct partition_log *log, const struct log_read *read,
                                         uint32_t place, int64_t bound, struct log_slice *slice,
                                         bool *is_gap)
{
    struct segment *segment = log->segments[place];
    uint32_t position;
    enum log_read_status status = position_of(log, segment, read->offset, &position);
    if (status != LOG_READ_OK)
        return status;
    uint32_t end = segment->size;
    int64_t next_offset = partition_log_segment_end(log, place);
    if (bound < next_offset) {
        next_offset = bound;
        status = position_of(log, segment, bound, &end);
        if (status != LOG_READ_OK)
            return status;
    }
    *is_gap = position == segment->size;
    if (position >= end)
        return LOG_READ_OK;
    if (end - position > read->max_bytes) {
        status = limit_range(log, segment, read, position, &end, &next_offset);
        if (status != LOG_READ_OK || end == position)
            return status;
        log_shard_remember(log->shard, log->generation, next_offset, segment->base_offset, end);
    }
    struct segment_file *file = segment_file_of(log->shard, segment);
    if (!file->log)
        return LOG_READ_NEEDS_IO;
    if (read->bound == LOG_READ_LAST_STABLE &&
        !test_point(log->shard->loop, BUG_TXN_HIDE_ABORTED) &&
        !list_aborted(log, read, place, next_offset, slice))
        return LOG_READ_FAILED;
    segment_file_acquire(file);
    slice->lease = file;
    slice->file = file->log;
    slice->position = position;
    slice->size = end - position;
    slice->next_offset = next_offset;
    slice->by_reference = slice->size >= LOG_COPY_LIMIT && next_offset <= log->high_watermark;
    return LOG_READ_OK;
}

enum log_read_status partition_log_read(struct partition_log *log, const struct log_read *read,
                                        struct log_slice *slice)
{
    *slice = (struct log_slice){.next_offset = -1};
    log->shard->counters.reads++;
    if (read->offset < log->log_start || read->offset > log->log_end)
        return LOG_READ_OUT_OF_RANGE;
    int64_t bound = partition_log_bound(log, read->bound);
    if (read->offset >= bound)
        return LOG_READ_OK;
    uint32_t place = partition_log_segment_at(log, read->offset);
    for (; place < log->segment_count && log->segments[place]->base_offset < bound; place++) {
        bool is_gap = false;
        enum log_read_status status = read_segment(log, read, place, bound, slice, &is_gap);
        if (status == LOG_READ_NEEDS_IO)
            log->shard->counters.cold_reads++;
        if (status != LOG_READ_OK || !is_gap)
            return status;
    }
    return LOG_READ_OK;
}

enum log_read_status log_slice_copy(struct log_shard *shard, const struct log_slice *slice,
                                    uint32_t at, void *data, uint32_t size)
{
    klamm_assert(at <= slice->size);
    klamm_assert(size <= slice->size - at);
    enum storage_status status =
        storage_read_now(shard->loop->storage, slice->file, slice->position + at, data, size);
    if (status == STORAGE_OK)
        return LOG_READ_OK;
    return status == STORAGE_NOT_RESIDENT ? LOG_READ_NEEDS_IO : LOG_READ_FAILED;
}

void log_slice_release(struct log_slice *slice)
{
    if (slice->lease)
        segment_file_release(slice->lease);
    slice->lease = NULL;
}
