/* Markers have a fixed size, so they are laid down in place, without a builder or memory. */
#include "protocol/control_record.h"

#include "base/assert.h"

enum { KEY_VERSION = 0, MARKER_VERSION = 0 };

void control_record_write_key(uint8_t key[CONTROL_RECORD_KEY_SIZE], enum control_record_type type)
{
    klamm_assert(type >= 0);
    store_u16(key, KEY_VERSION);
    store_u16(key + 2, (uint16_t)type);
}

bool control_record_read_key(struct view key, enum control_record_type *type)
{
    if (key.size < CONTROL_RECORD_KEY_SIZE || load_i16(key.data) < 0)
        return false;
    int16_t number = load_i16(key.data + 2);
    bool known = number >= 0 && number < CONTROL_RECORD_TYPES;
    *type = known ? (enum control_record_type)number : CONTROL_RECORD_UNKNOWN;
    return true;
}

/* Writes the value of COMMIT and ABORT. */
static void write_marker(uint8_t value[CONTROL_RECORD_MARKER_SIZE], int32_t coordinator_epoch)
{
    store_u16(value, MARKER_VERSION);
    store_u32(value + 2, (uint32_t)coordinator_epoch);
}

bool control_record_read_marker(struct view value, int32_t *coordinator_epoch)
{
    if (value.size < CONTROL_RECORD_MARKER_SIZE || load_i16(value.data) < 0)
        return false;
    *coordinator_epoch = load_i32(value.data + 2);
    return true;
}

size_t control_record_build_marker(uint8_t *batch, const struct control_marker *marker)
{
    uint8_t key[CONTROL_RECORD_KEY_SIZE];
    uint8_t value[CONTROL_RECORD_MARKER_SIZE];
    control_record_write_key(key, marker->commit ? CONTROL_RECORD_COMMIT : CONTROL_RECORD_ABORT);
    write_marker(value, marker->coordinator_epoch);
    struct record record = {.key = view_of(key, sizeof(key)),
                            .value = view_of(value, sizeof(value))};
    struct writer writer = writer_of(batch, CONTROL_RECORD_MARKER_BATCH_SIZE);
    (void)writer_reserve(&writer, BATCH_HEADER_SIZE);
    record_write(&writer, &record);
    klamm_assert(!writer.failed);
    klamm_assert(writer.size == CONTROL_RECORD_MARKER_BATCH_SIZE);
    struct batch_header header = {
        .batch_length = CONTROL_RECORD_MARKER_BATCH_SIZE - BATCH_PREFIX_SIZE,
        .leader_epoch = BATCH_NO_LEADER_EPOCH,
        .magic = BATCH_MAGIC,
        .attributes = BATCH_ATTRIBUTE_TRANSACTIONAL | BATCH_ATTRIBUTE_CONTROL,
        .base_timestamp = marker->timestamp_ms,
        .max_timestamp = marker->timestamp_ms,
        .producer_id = marker->producer_id,
        .producer_epoch = marker->producer_epoch,
        .base_sequence = BATCH_NO_SEQUENCE,
        .record_count = 1,
    };
    batch_header_write(batch, &header);
    batch_crc_update(batch, writer.size);
    return writer.size;
}

bool control_record_parse_marker(struct view batch, struct control_marker *marker)
{
    if (batch.size < BATCH_HEADER_SIZE || !batch_is_control(batch.data) ||
        batch_is_compressed(batch.data))
        return false;
    struct record_cursor cursor;
    struct record record;
    enum control_record_type type;
    record_cursor_init(&cursor, batch_records(batch), batch_record_count(batch.data));
    if (record_cursor_next(&cursor, &record) != RECORD_OK)
        return false;
    if (!control_record_read_key(record.key, &type) ||
        (type != CONTROL_RECORD_COMMIT && type != CONTROL_RECORD_ABORT))
        return false;
    int32_t coordinator_epoch;
    if (!control_record_read_marker(record.value, &coordinator_epoch))
        return false;
    *marker = (struct control_marker){
        .commit = type == CONTROL_RECORD_COMMIT,
        .producer_id = batch_producer_id(batch.data),
        .producer_epoch = batch_producer_epoch(batch.data),
        .coordinator_epoch = coordinator_epoch,
        .timestamp_ms = batch_record_timestamp(batch.data, record.timestamp_delta),
    };
    return true;
}

bool control_record_append(struct batch_builder *builder, enum control_record_type type,
                           int64_t timestamp_ms, struct view value)
{
    uint8_t key[CONTROL_RECORD_KEY_SIZE];
    klamm_assert(builder->options.control);
    control_record_write_key(key, type);
    struct batch_record record = {
        .timestamp_ms = timestamp_ms, .key = view_of(key, sizeof(key)), .value = value};
    return batch_builder_append(builder, &record);
}
