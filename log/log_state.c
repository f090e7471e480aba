/* Everything read is checked, because whoever wrote it may have been another build. */
#include "log/log_state.h"

#include "base/assert.h"
#include "log/producer_snapshot.h"

enum segment_flag {
    SEGMENT_OFFSET_KNOWN = 1, /* the last offset index entry follows */
    SEGMENT_TIME_KNOWN = 2,   /* the last time index entry follows */
    SEGMENT_HAS_SNAPSHOT = 4, /* the producers at its base are in a file */
};

/* The longest form of each part: varints of 10 and 5 bytes. */
enum { HEAD_SIZE_MAX = 1 + 10 + 3 * 5, EPOCH_SIZE_MAX = 5 + 10, SEGMENT_SIZE_MAX_ENCODED = 128 };

/* ---- Writing --------------------------------------------------------------------------------- */

static bool is_complete(const struct segment *segment)
{
    return segment->index.tail_count == 0 && segment->times.tail_count == 0 &&
           segment->aborted.count == 0 && !segment->needs_side_files;
}

size_t log_state_size_max(const struct partition_log *log)
{
    const struct producer_state *producers = &log->producers;
    if (log->segment_count > LOG_STATE_SEGMENTS_MAX || log->epochs.count > LOG_STATE_EPOCHS_MAX ||
        producers->producer_count > LOG_STATE_PRODUCERS_MAX ||
        producers->undo_first != producers->undo_end || !list_is_empty(&log->deletions))
        return 0;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        if (!is_complete(log->segments[i]))
            return 0;
    }
    return HEAD_SIZE_MAX + (size_t)log->epochs.count * EPOCH_SIZE_MAX +
           (size_t)log->segment_count * SEGMENT_SIZE_MAX_ENCODED +
           producer_snapshot_file_size(producers);
}

static void write_segment(struct writer *writer, const struct segment *segment)
{
    write_varlong(writer, segment->base_offset);
    write_uvarint(writer, segment->size);
    write_uvarint(writer, segment->bytes_since_index);
    write_varlong(writer, segment->max_timestamp);
    write_varlong(writer, segment->max_timestamp_offset - segment->base_offset);
    write_varlong(writer, segment->first_append_ms);
    write_varlong(writer, segment->last_append_ms);
    write_uvarint(writer, segment->index.stored_count);
    write_uvarint(writer, segment->times.stored_count);
    write_u8(writer, (uint8_t)((segment->index.last_known ? SEGMENT_OFFSET_KNOWN : 0) |
                               (segment->times.last_known ? SEGMENT_TIME_KNOWN : 0) |
                               (segment->has_snapshot ? SEGMENT_HAS_SNAPSHOT : 0)));
    if (segment->index.last_known) {
        write_uvarint(writer, segment->index.last.relative_offset);
        write_uvarint(writer, segment->index.last.position);
    }
    if (segment->times.last_known) {
        write_varlong(writer, segment->times.last.timestamp);
        write_uvarint(writer, segment->times.last.relative_offset);
    }
}

size_t log_state_encode(const struct partition_log *log, uint8_t *data, size_t capacity)
{
    struct writer writer = writer_of(data, capacity);
    write_u8(&writer, LOG_STATE_VERSION);
    write_varlong(&writer, log->written_end);
    uint32_t epoch_count = log->epochs.count;
    /* An epoch that began and got no records is in no file either. */
    while (epoch_count > 0 && log->epochs.entries[epoch_count - 1].start_offset >= log->written_end)
        epoch_count--;
    write_uvarint(&writer, epoch_count);
    for (uint32_t i = 0; i < epoch_count; i++) {
        write_varint(&writer, log->epochs.entries[i].epoch);
        write_varlong(&writer, log->epochs.entries[i].start_offset);
    }
    write_uvarint(&writer, log->segment_count);
    for (uint32_t i = 0; i < log->segment_count; i++)
        write_segment(&writer, log->segments[i]);
    size_t snapshot_size =
        log->producers.producer_count > 0 ? producer_snapshot_file_size(&log->producers) : 0;
    write_uvarint(&writer, (uint32_t)snapshot_size);
    uint8_t *snapshot = writer_reserve(&writer, snapshot_size);
    if (snapshot && snapshot_size > 0)
        producer_snapshot_file_encode(&log->producers, snapshot);
    klamm_assert(!writer.failed);
    return writer.size;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool read_epochs(struct log_load *load, struct reader *reader)
{
    uint32_t count = read_uvarint(reader);
    if (reader->failed || count > LOG_STATE_EPOCHS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        int32_t epoch = read_varint(reader);
        int64_t start_offset = read_varlong(reader);
        if (reader->failed || start_offset < 0 || start_offset >= load->log_end ||
            !leader_epochs_assign(&load->epochs, load->heap, epoch, start_offset))
            return false;
    }
    load->epochs.is_dirty = false;
    return true;
}

static bool is_relative(const struct segment *segment, int64_t relative)
{
    return relative >= 0 && relative <= INT32_MAX && segment->base_offset <= INT64_MAX - relative;
}

static bool read_segment(struct reader *reader, struct segment *segment)
{
    segment_init(segment, read_varlong(reader));
    segment->size = read_uvarint(reader);
    segment->bytes_since_index = read_uvarint(reader);
    segment->max_timestamp = read_varlong(reader);
    int64_t largest = read_varlong(reader);
    segment->first_append_ms = read_varlong(reader);
    segment->last_append_ms = read_varlong(reader);
    segment->index.stored_count = read_uvarint(reader);
    segment->times.stored_count = read_uvarint(reader);
    uint8_t flags = read_u8(reader);
    segment->index.last_known = flags & SEGMENT_OFFSET_KNOWN;
    segment->times.last_known = flags & SEGMENT_TIME_KNOWN;
    segment->has_snapshot = flags & SEGMENT_HAS_SNAPSHOT;
    if (segment->index.last_known) {
        segment->index.last.relative_offset = read_uvarint(reader);
        segment->index.last.position = read_uvarint(reader);
    }
    if (segment->times.last_known) {
        segment->times.last.timestamp = read_varlong(reader);
        segment->times.last.relative_offset = read_uvarint(reader);
    }
    if (reader->failed || segment->base_offset < 0 || segment->size > SEGMENT_SIZE_MAX ||
        !is_relative(segment, largest))
        return false;
    segment->max_timestamp_offset = segment->base_offset + largest;
    return segment->bytes_since_index <= segment->size &&
           segment->index.last.relative_offset <= INT32_MAX &&
           segment->times.last.relative_offset <= INT32_MAX &&
           segment->index.stored_count <= SEGMENT_SIZE_MAX / OFFSET_INDEX_ENTRY_SIZE &&
           segment->times.stored_count <= SEGMENT_SIZE_MAX / TIME_INDEX_ENTRY_SIZE &&
           (segment->index.stored_count == 0 || segment->index.last.position < segment->size);
}

static bool read_segments(struct log_load *load, struct reader *reader)
{
    uint32_t count = read_uvarint(reader);
    if (reader->failed || count == 0 || count > LOG_STATE_SEGMENTS_MAX)
        return false;
    load->segment_capacity = count;
    load->segments = heap_must_get(load->heap, MEMORY_SCRATCH, count * sizeof(*load->segments));
    load->sizes = heap_must_get(load->heap, MEMORY_SCRATCH, count * sizeof(*load->sizes));
    for (uint32_t i = 0; i < count; i++) {
        struct segment *segment = &load->segments[i];
        if (!read_segment(reader, segment) ||
            (i > 0 && segment->base_offset <= load->segments[i - 1].base_offset))
            return false;
        segment->is_sealed = i + 1 < count;
        load->segment_count++;
    }
    return load->segments[count - 1].base_offset <= load->log_end;
}

static bool read_producers(struct log_load *load, struct reader *reader, int64_t now_ms)
{
    uint32_t size = read_uvarint(reader);
    const uint8_t *snapshot = reader_take(reader, size);
    return snapshot && (size == 0 || producer_snapshot_file_decode(view_of(snapshot, size),
                                                                   &load->producers, now_ms));
}

bool log_state_decode(struct log_load *load, struct view bytes, int64_t now_ms)
{
    struct reader reader = reader_of(bytes);
    if (read_u8(&reader) != LOG_STATE_VERSION)
        return false;
    load->log_end = read_varlong(&reader);
    if (reader.failed || load->log_end < 0 || !read_epochs(load, &reader) ||
        !read_segments(load, &reader) || !read_producers(load, &reader, now_ms) ||
        reader_left(&reader) != 0)
        return false;
    if (load->log_start > load->log_end)
        return false;
    if (load->log_start < load->segments[0].base_offset)
        load->log_start = load->segments[0].base_offset;
    leader_epochs_truncate_start(&load->epochs, load->log_start);
    load->scan_place = load->segment_count;
    load->phase = LOG_LOAD_FINISHED;
    return true;
}
