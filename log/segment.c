/*
 * Walking reads headers in windows: near a searched batch the headers lie close together, so one
 * read covers many; a large batch is stepped over without reading its records.
 */
#include "log/segment.h"

#include "base/assert.h"
#include "log/segment_file.h"
#include "protocol/batch.h"

enum { WALK_WINDOW_SIZE = 4096 };

void segment_init(struct segment *segment, int64_t base_offset)
{
    *segment = (struct segment){.base_offset = base_offset,
                                .max_timestamp = SEGMENT_TIMESTAMP_NONE,
                                .max_timestamp_offset = base_offset,
                                .first_append_ms = -1,
                                .last_append_ms = -1};
    transaction_index_init(&segment->aborted);
}

void segment_deinit(struct segment *segment, struct heap *heap)
{
    segment_file_doom(segment->file);
    segment->file = NULL;
    offset_index_deinit(&segment->index, heap);
    time_index_deinit(&segment->times, heap);
    transaction_index_deinit(&segment->aborted, heap);
}

static void add_time_entry(struct segment *segment, struct heap *heap)
{
    if (segment->max_timestamp < 0)
        return;
    struct time_entry entry = {segment->max_timestamp,
                               (uint32_t)(segment->max_timestamp_offset - segment->base_offset)};
    time_index_append(&segment->times, heap, entry);
}

void segment_add_batch(struct segment *segment, struct heap *heap, const uint8_t *batch,
                       int32_t index_interval_bytes)
{
    int64_t last_offset = batch_last_offset(batch);
    uint32_t size = (uint32_t)batch_size(batch);
    klamm_assert(segment_holds_offset(segment, last_offset));
    klamm_assert(size <= SEGMENT_SIZE_MAX - segment->size);
    int64_t max_timestamp = batch_max_timestamp(batch);
    if (max_timestamp > segment->max_timestamp) {
        segment->max_timestamp = max_timestamp;
        segment->max_timestamp_offset = last_offset;
    }
    if (segment->bytes_since_index > (uint32_t)index_interval_bytes) {
        struct offset_entry entry = {(uint32_t)(last_offset - segment->base_offset), segment->size};
        offset_index_append(&segment->index, heap, entry);
        add_time_entry(segment, heap);
        segment->bytes_since_index = 0;
    }
    segment->bytes_since_index += size;
    segment->size += size;
}

void segment_seal_entries(struct segment *segment, struct heap *heap)
{
    klamm_assert(segment->max_timestamp != SEGMENT_TIMESTAMP_UNKNOWN);
    add_time_entry(segment, heap);
}

/* Headers of a file, read in windows. */
struct walk {
    const struct file_reader *reader;
    uint32_t end; /* bytes of the file that may be looked at */
    uint32_t window_start;
    uint32_t window_size;
    uint8_t window[WALK_WINDOW_SIZE];
};

static enum log_read_status read_status(enum storage_status status)
{
    if (status == STORAGE_OK)
        return LOG_READ_OK;
    return status == STORAGE_NOT_RESIDENT ? LOG_READ_NEEDS_IO : LOG_READ_FAILED;
}

/* The batch at `position`; a header or length that cannot be true is damage. */
static enum log_read_status walk_batch(struct walk *walk, uint32_t position,
                                       struct segment_place *place)
{
    if (walk->end - position < BATCH_HEADER_SIZE)
        return LOG_READ_FAILED;
    bool inside = position >= walk->window_start &&
                  position - walk->window_start + BATCH_HEADER_SIZE <= walk->window_size;
    if (!inside) {
        uint32_t left = walk->end - position;
        walk->window_start = position;
        walk->window_size = left < WALK_WINDOW_SIZE ? left : WALK_WINDOW_SIZE;
        enum storage_status status =
            file_reader_read(walk->reader, position, walk->window, walk->window_size);
        if (status != STORAGE_OK) {
            walk->window_size = 0;
            return read_status(status);
        }
    }
    const uint8_t *batch = walk->window + (position - walk->window_start);
    int32_t length = batch_length(batch);
    if (length < BATCH_LENGTH_MIN || batch_magic(batch) != BATCH_MAGIC ||
        (uint32_t)length > walk->end - position - BATCH_PREFIX_SIZE)
        return LOG_READ_FAILED;
    *place = (struct segment_place){.position = position,
                                    .size = (uint32_t)batch_size(batch),
                                    .base_offset = batch_base_offset(batch),
                                    .last_offset = batch_last_offset(batch),
                                    .max_timestamp = batch_max_timestamp(batch)};
    return place->last_offset >= place->base_offset ? LOG_READ_OK : LOG_READ_FAILED;
}

enum log_read_status segment_walk_to_offset(const struct file_reader *reader, uint32_t position,
                                            uint32_t end, int64_t offset, bool *found,
                                            struct segment_place *place)
{
    struct walk walk = {.reader = reader, .end = end};
    *found = false;
    while (position < end) {
        enum log_read_status status = walk_batch(&walk, position, place);
        if (status != LOG_READ_OK)
            return status;
        if (place->last_offset >= offset) {
            *found = true;
            return LOG_READ_OK;
        }
        position += place->size;
    }
    return LOG_READ_OK;
}

enum log_read_status segment_walk_to_limit(const struct file_reader *reader, uint32_t position,
                                           uint32_t limit, uint32_t *reached, int64_t *next_offset)
{
    struct walk walk = {.reader = reader, .end = limit};
    *next_offset = -1;
    *reached = position;
    while (limit - *reached >= BATCH_HEADER_SIZE) {
        struct segment_place place;
        /* The length of the last batch reaches past the limit, which is no damage here. */
        enum log_read_status status = walk_batch(&walk, *reached, &place);
        if (status == LOG_READ_FAILED && walk.window_size > 0)
            return LOG_READ_OK;
        if (status != LOG_READ_OK)
            return status;
        *reached += place.size;
        *next_offset = place.last_offset + 1;
    }
    return LOG_READ_OK;
}

enum log_read_status segment_walk_to_end(const struct file_reader *reader, uint32_t position,
                                         uint32_t end, struct segment_place *last,
                                         struct segment_place *largest)
{
    struct walk walk = {.reader = reader, .end = end};
    bool is_first = true;
    while (position < end) {
        enum log_read_status status = walk_batch(&walk, position, last);
        if (status != LOG_READ_OK)
            return status;
        if (is_first || last->max_timestamp > largest->max_timestamp)
            *largest = *last;
        is_first = false;
        position += last->size;
    }
    return LOG_READ_OK;
}

enum log_read_status segment_batch_at(const struct file_reader *reader, uint32_t position,
                                      uint32_t end, struct segment_place *place)
{
    uint8_t header[BATCH_HEADER_SIZE];
    if (end - position < BATCH_HEADER_SIZE)
        return LOG_READ_FAILED;
    enum storage_status status = file_reader_read(reader, position, header, sizeof(header));
    if (status != STORAGE_OK)
        return read_status(status);
    int32_t length = batch_length(header);
    if (length < BATCH_LENGTH_MIN || batch_magic(header) != BATCH_MAGIC ||
        (uint32_t)length > end - position - BATCH_PREFIX_SIZE)
        return LOG_READ_FAILED;
    *place = (struct segment_place){.position = position,
                                    .size = (uint32_t)batch_size(header),
                                    .base_offset = batch_base_offset(header),
                                    .last_offset = batch_last_offset(header),
                                    .max_timestamp = batch_max_timestamp(header)};
    return place->last_offset >= place->base_offset ? LOG_READ_OK : LOG_READ_FAILED;
}
