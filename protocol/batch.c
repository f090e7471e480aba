/*
 * Nothing here allocates or keeps state. A length field is believed only after it was compared with
 * the smallest and largest value that make sense, so a torn or rotten header cannot send a reader
 * far away.
 */
#include "protocol/batch.h"

#include "base/assert.h"
#include "base/crc32c.h"

void batch_header_read(const uint8_t *batch, struct batch_header *header)
{
    *header = (struct batch_header){
        .base_offset = batch_base_offset(batch),
        .batch_length = batch_length(batch),
        .leader_epoch = batch_leader_epoch(batch),
        .magic = batch_magic(batch),
        .crc = batch_crc(batch),
        .attributes = batch_attributes(batch),
        .last_offset_delta = batch_last_offset_delta(batch),
        .base_timestamp = batch_base_timestamp(batch),
        .max_timestamp = batch_max_timestamp(batch),
        .producer_id = batch_producer_id(batch),
        .producer_epoch = batch_producer_epoch(batch),
        .base_sequence = batch_base_sequence(batch),
        .record_count = batch_record_count(batch),
    };
}

void batch_header_write(uint8_t *batch, const struct batch_header *header)
{
    store_u64(BATCH_FIELD(batch, base_offset), (uint64_t)header->base_offset);
    store_u32(BATCH_FIELD(batch, batch_length), (uint32_t)header->batch_length);
    store_u32(BATCH_FIELD(batch, leader_epoch), (uint32_t)header->leader_epoch);
    *BATCH_FIELD(batch, magic) = (uint8_t)header->magic;
    store_u32(BATCH_FIELD(batch, crc), header->crc);
    store_u16(BATCH_FIELD(batch, attributes), header->attributes);
    store_u32(BATCH_FIELD(batch, last_offset_delta), (uint32_t)header->last_offset_delta);
    store_u64(BATCH_FIELD(batch, base_timestamp), (uint64_t)header->base_timestamp);
    store_u64(BATCH_FIELD(batch, max_timestamp), (uint64_t)header->max_timestamp);
    store_u64(BATCH_FIELD(batch, producer_id), (uint64_t)header->producer_id);
    store_u16(BATCH_FIELD(batch, producer_epoch), (uint16_t)header->producer_epoch);
    store_u32(BATCH_FIELD(batch, base_sequence), (uint32_t)header->base_sequence);
    store_u32(BATCH_FIELD(batch, record_count), (uint32_t)header->record_count);
}

enum batch_parse_result batch_parse_header(struct view bytes, size_t *size)
{
    *size = BATCH_PREFIX_SIZE;
    if (bytes.size < BATCH_PREFIX_SIZE)
        return BATCH_NEED_MORE;
    int32_t length = batch_length(bytes.data);
    if (length < BATCH_LEGACY_LENGTH_MIN || length > INT32_MAX - BATCH_PREFIX_SIZE)
        return BATCH_BAD_LENGTH;
    *size = offsetof(struct batch_layout, crc);
    if (bytes.size < *size)
        return BATCH_NEED_MORE;
    if (batch_magic(bytes.data) != BATCH_MAGIC)
        return BATCH_BAD_MAGIC;
    if (length < BATCH_LENGTH_MIN)
        return BATCH_BAD_LENGTH;
    *size = BATCH_HEADER_SIZE;
    if (bytes.size < BATCH_HEADER_SIZE)
        return BATCH_NEED_MORE;
    *size = batch_size(bytes.data);
    return BATCH_OK;
}

enum batch_parse_result batch_parse(struct view bytes, size_t *size)
{
    enum batch_parse_result result = batch_parse_header(bytes, size);
    if (result == BATCH_OK && bytes.size < *size)
        return BATCH_NEED_MORE;
    return result;
}

enum batch_parse_result batch_next(struct view *rest, struct view *batch)
{
    size_t size;
    enum batch_parse_result result = batch_parse(*rest, &size);
    if (result != BATCH_OK)
        return result;
    *batch = view_of(rest->data, size);
    *rest = view_of(rest->data + size, rest->size - size);
    return BATCH_OK;
}

static uint32_t crc_of(const uint8_t *batch, size_t size)
{
    return crc32c(0, batch + BATCH_CRC_START, size - BATCH_CRC_START);
}

bool batch_crc_is_valid(struct view batch)
{
    return batch.size >= BATCH_HEADER_SIZE &&
           batch_crc(batch.data) == crc_of(batch.data, batch.size);
}

void batch_crc_update(uint8_t *batch, size_t size)
{
    klamm_assert(size >= BATCH_HEADER_SIZE);
    store_u32(BATCH_FIELD(batch, crc), crc_of(batch, size));
}

void batch_set_append_time(uint8_t *batch, size_t size, int64_t append_time_ms)
{
    uint16_t attributes = batch_attributes(batch) | BATCH_ATTRIBUTE_APPEND_TIME;
    store_u16(BATCH_FIELD(batch, attributes), attributes);
    store_u64(BATCH_FIELD(batch, max_timestamp), (uint64_t)append_time_ms);
    batch_crc_update(batch, size);
}

void batch_set_max_timestamp(uint8_t *batch, size_t size, int64_t max_timestamp_ms)
{
    uint16_t attributes = batch_attributes(batch) & (uint16_t)~BATCH_ATTRIBUTE_APPEND_TIME;
    store_u16(BATCH_FIELD(batch, attributes), attributes);
    store_u64(BATCH_FIELD(batch, max_timestamp), (uint64_t)max_timestamp_ms);
    batch_crc_update(batch, size);
}
