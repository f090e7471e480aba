/*
 * The cursor reads a record's length first and then gives its fields a reader of exactly that many
 * bytes; a field that lies about its size runs out there instead of in the next record.
 */
#include "protocol/record.h"

#include "base/assert.h"

void record_cursor_init(struct record_cursor *cursor, struct view records, int32_t count)
{
    *cursor =
        (struct record_cursor){.reader = reader_of(records), .left = count, .malformed = count < 0};
}

/* A length and as many bytes; -1 is null where `nullable`. */
static struct view read_field(struct reader *reader, bool nullable)
{
    int32_t size = read_varint(reader);
    if (size < 0) {
        if (size != -1 || !nullable)
            reader->failed = true;
        return VIEW_NULL;
    }
    const uint8_t *data = reader_take(reader, (size_t)size);
    return data ? view_of(data, (size_t)size) : VIEW_NULL;
}

bool record_header_next(struct reader *reader, struct record_header *header)
{
    if (reader->failed || reader_left(reader) == 0)
        return false;
    header->key = read_field(reader, false);
    header->value = read_field(reader, true);
    return !reader->failed;
}

/* The fields of one record, which must use up the reader. */
static bool read_record(struct reader *reader, struct record *record)
{
    record->attributes = read_i8(reader);
    record->timestamp_delta = read_varlong(reader);
    record->offset_delta = read_varint(reader);
    record->key = read_field(reader, true);
    record->value = read_field(reader, true);
    record->header_count = read_varint(reader);
    if (reader->failed || record->header_count < 0)
        return false;
    record->headers = view_of(reader->next, reader_left(reader));
    record->header_list = NULL;
    for (int32_t i = 0; i < record->header_count; i++) {
        struct record_header header;
        if (!record_header_next(reader, &header))
            return false;
    }
    return reader_left(reader) == 0;
}

enum record_status record_cursor_next(struct record_cursor *cursor, struct record *record)
{
    if (cursor->malformed)
        return RECORD_MALFORMED;
    cursor->malformed = true; /* until this step has gone well */
    if (cursor->left == 0) {
        if (reader_left(&cursor->reader) != 0)
            return RECORD_MALFORMED;
        cursor->malformed = false;
        return RECORD_END;
    }
    int32_t size = read_varint(&cursor->reader);
    if (size < 0)
        return RECORD_MALFORMED;
    const uint8_t *data = reader_take(&cursor->reader, (size_t)size);
    if (!data)
        return RECORD_MALFORMED;
    struct reader fields = reader_of(view_of(data, (size_t)size));
    if (!read_record(&fields, record))
        return RECORD_MALFORMED;
    cursor->left--;
    cursor->malformed = false;
    return RECORD_OK;
}

static size_t field_size(struct view field)
{
    if (view_is_null(field))
        return varint_size(-1);
    return varint_size((int32_t)field.size) + field.size;
}

static void write_field(struct writer *writer, struct view field)
{
    write_varint(writer, view_is_null(field) ? -1 : (int32_t)field.size);
    write_view(writer, field);
}

/* What no valid record reaches, small enough to be added to. */
static const size_t size_impossible = SIZE_MAX / 4;

static size_t headers_size(const struct record *record)
{
    if (!record->header_list)
        return record->headers.size;
    size_t size = 0;
    for (int32_t i = 0; i < record->header_count; i++) {
        const struct record_header *header = &record->header_list[i];
        klamm_assert(!view_is_null(header->key));
        if (header->key.size > INT32_MAX || header->value.size > INT32_MAX)
            return size_impossible;
        size += field_size(header->key) + field_size(header->value);
    }
    return size;
}

/* Bytes behind the length field. */
static size_t body_size(const struct record *record)
{
    size_t headers = headers_size(record);
    if (record->key.size > INT32_MAX || record->value.size > INT32_MAX || headers > INT32_MAX)
        return size_impossible;
    return 1 + varlong_size(record->timestamp_delta) + varint_size(record->offset_delta) +
           field_size(record->key) + field_size(record->value) + varint_size(record->header_count) +
           headers;
}

size_t record_size(const struct record *record)
{
    size_t size = body_size(record);
    return size > INT32_MAX ? size_impossible : varint_size((int32_t)size) + size;
}

void record_write(struct writer *writer, const struct record *record)
{
    size_t size = body_size(record);
    if (size > INT32_MAX) {
        writer->failed = true;
        return;
    }
    write_varint(writer, (int32_t)size);
    write_i8(writer, record->attributes);
    write_varlong(writer, record->timestamp_delta);
    write_varint(writer, record->offset_delta);
    write_field(writer, record->key);
    write_field(writer, record->value);
    write_varint(writer, record->header_count);
    if (!record->header_list) {
        write_view(writer, record->headers);
        return;
    }
    for (int32_t i = 0; i < record->header_count; i++) {
        write_field(writer, record->header_list[i].key);
        write_field(writer, record->header_list[i].value);
    }
}
