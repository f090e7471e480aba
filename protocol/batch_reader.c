/* A cursor over the batch's own bytes, or over what they unfold to. */
#include "protocol/batch_reader.h"

#include "base/assert.h"

void batch_reader_init(struct batch_reader *reader, struct heap *heap)
{
    *reader = (struct batch_reader){0};
    buffer_init(&reader->plain, heap, MEMORY_SCRATCH, 0);
}

void batch_reader_deinit(struct batch_reader *reader)
{
    buffer_deinit(&reader->plain);
}

enum compression_result batch_reader_open(struct batch_reader *reader, struct view batch,
                                          size_t limit)
{
    klamm_assert(batch.size >= BATCH_HEADER_SIZE);
    struct view records = batch_records(batch);
    int32_t count = batch_record_count(batch.data);
    reader->batch = batch;
    record_cursor_init(&reader->cursor, VIEW_NULL, 0);
    if (batch_is_compressed(batch.data)) {
        buffer_clear(&reader->plain);
        enum compression_result result = compression_decompress(
            (enum compression_codec)batch_codec(batch.data), records, limit, &reader->plain);
        if (result != COMPRESSION_OK)
            return result;
        records = buffer_view(&reader->plain);
    }
    record_cursor_init(&reader->cursor, records, count);
    return COMPRESSION_OK;
}

enum record_status batch_reader_next(struct batch_reader *reader,
                                     struct batch_reader_record *record)
{
    enum record_status status = record_cursor_next(&reader->cursor, &record->record);
    if (status != RECORD_OK)
        return status;
    const uint8_t *batch = reader->batch.data;
    record->offset =
        (int64_t)((uint64_t)batch_base_offset(batch) + (uint64_t)record->record.offset_delta);
    record->timestamp_ms = batch_record_timestamp(batch, record->record.timestamp_delta);
    return RECORD_OK;
}
