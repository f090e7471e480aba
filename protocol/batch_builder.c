/*
 * Records are written behind room for a header; finishing fills the header in, so an uncompressed
 * batch is built without a copy. With a codec the records are compressed into a second buffer
 * behind a header of its own.
 *
 * The base timestamp is fixed by the first record. When that one has no time (-1) the deltas of
 * later ones count from -1, which is what readers do, too.
 */
#include "protocol/batch_builder.h"

#include "base/assert.h"

enum { SIZE_LIMIT = INT32_MAX - BATCH_PREFIX_SIZE };

void batch_builder_init(struct batch_builder *builder, struct heap *heap, size_t limit,
                        const struct batch_options *options)
{
    if (limit == 0 || limit > SIZE_LIMIT)
        limit = SIZE_LIMIT;
    buffer_init(&builder->plain, heap, MEMORY_SCRATCH, limit);
    buffer_init(&builder->compressed, heap, MEMORY_SCRATCH, SIZE_LIMIT);
    batch_builder_reset(builder, options);
}

void batch_builder_deinit(struct batch_builder *builder)
{
    buffer_deinit(&builder->plain);
    buffer_deinit(&builder->compressed);
}

void batch_builder_reset(struct batch_builder *builder, const struct batch_options *options)
{
    builder->options = *options;
    buffer_clear(&builder->plain);
    buffer_clear(&builder->compressed);
    builder->base_timestamp =
        options->delete_horizon ? options->delete_horizon_ms : BATCH_NO_TIMESTAMP;
    builder->max_timestamp = BATCH_NO_TIMESTAMP;
    builder->record_count = 0;
    builder->last_offset_delta = -1;
}

/* The place for one more record, behind a header's room; NULL when refused. */
static uint8_t *reserve_record(struct batch_builder *builder, size_t size)
{
    size_t room = builder->plain.size == 0 ? BATCH_HEADER_SIZE : 0;
    if (size > SIZE_LIMIT || !buffer_reserve(&builder->plain, room + size))
        return NULL;
    builder->plain.size += room;
    return buffer_end(&builder->plain);
}

/* Notes a record of `size` bytes that was written at the reserved place. */
static void record_written(struct batch_builder *builder, size_t size, int32_t offset_delta,
                           int64_t timestamp_ms)
{
    if (builder->record_count == 0 && !builder->options.delete_horizon)
        builder->base_timestamp = timestamp_ms;
    if (timestamp_ms > builder->max_timestamp)
        builder->max_timestamp = timestamp_ms;
    builder->plain.size += size;
    builder->record_count++;
    builder->last_offset_delta = offset_delta;
}

static int64_t timestamp_delta(const struct batch_builder *builder, int64_t timestamp_ms)
{
    if (builder->record_count == 0 && !builder->options.delete_horizon)
        return 0;
    return (int64_t)((uint64_t)timestamp_ms - (uint64_t)builder->base_timestamp);
}

bool batch_builder_append_raw(struct batch_builder *builder, int32_t offset_delta,
                              int64_t timestamp_ms, const struct record *record)
{
    klamm_assert(offset_delta > builder->last_offset_delta);
    struct record adjusted = *record;
    adjusted.offset_delta = offset_delta;
    adjusted.timestamp_delta = timestamp_delta(builder, timestamp_ms);
    size_t size = record_size(&adjusted);
    uint8_t *place = reserve_record(builder, size);
    if (!place)
        return false;
    struct writer writer = writer_of(place, size);
    record_write(&writer, &adjusted);
    klamm_assert(!writer.failed);
    klamm_assert(writer.size == size);
    record_written(builder, size, offset_delta, timestamp_ms);
    return true;
}

bool batch_builder_append(struct batch_builder *builder, const struct batch_record *record)
{
    klamm_assert(record->header_count <= INT32_MAX);
    if (builder->last_offset_delta == INT32_MAX - 1)
        return false;
    struct record fields = {
        .header_count = (int32_t)record->header_count,
        .key = record->key,
        .value = record->value,
        .header_list = record->headers,
    };
    return batch_builder_append_raw(builder, builder->last_offset_delta + 1, record->timestamp_ms,
                                    &fields);
}

void batch_builder_set_last_offset_delta(struct batch_builder *builder, int32_t last_offset_delta)
{
    klamm_assert(last_offset_delta >= builder->last_offset_delta);
    builder->last_offset_delta = last_offset_delta;
}

static struct batch_header header_of(const struct batch_builder *builder, size_t size)
{
    const struct batch_options *options = &builder->options;
    unsigned attributes = options->codec;
    attributes |= options->append_time ? BATCH_ATTRIBUTE_APPEND_TIME : 0u;
    attributes |= options->transactional ? BATCH_ATTRIBUTE_TRANSACTIONAL : 0u;
    attributes |= options->control ? BATCH_ATTRIBUTE_CONTROL : 0u;
    attributes |= options->delete_horizon ? BATCH_ATTRIBUTE_DELETE_HORIZON : 0u;
    return (struct batch_header){
        .base_offset = options->base_offset,
        .batch_length = (int32_t)(size - BATCH_PREFIX_SIZE),
        .leader_epoch = options->leader_epoch,
        .magic = BATCH_MAGIC,
        .attributes = (uint16_t)attributes,
        .last_offset_delta = builder->last_offset_delta,
        .base_timestamp = builder->base_timestamp,
        .max_timestamp = options->append_time ? options->append_time_ms : builder->max_timestamp,
        .producer_id = options->producer_id,
        .producer_epoch = options->producer_epoch,
        .base_sequence = options->base_sequence,
        .record_count = builder->record_count,
    };
}

enum compression_result batch_builder_finish(struct batch_builder *builder, struct view *batch)
{
    if (builder->plain.size == 0) {
        if (!buffer_reserve(&builder->plain, BATCH_HEADER_SIZE))
            return COMPRESSION_OUT_OF_MEMORY;
        builder->plain.size = BATCH_HEADER_SIZE;
    }
    struct buffer *bytes = &builder->plain;
    if (builder->options.codec != COMPRESSION_NONE) {
        bytes = &builder->compressed;
        buffer_clear(bytes);
        if (!buffer_reserve(bytes, BATCH_HEADER_SIZE))
            return COMPRESSION_OUT_OF_MEMORY;
        bytes->size = BATCH_HEADER_SIZE;
        enum compression_result result =
            compression_compress(builder->options.codec, builder->options.level,
                                 batch_records(buffer_view(&builder->plain)), bytes);
        if (result != COMPRESSION_OK)
            return result;
    }
    struct batch_header header = header_of(builder, bytes->size);
    batch_header_write(bytes->data, &header);
    batch_crc_update(bytes->data, bytes->size);
    *batch = buffer_view(bytes);
    return COMPRESSION_OK;
}
