/*
 * Lengths come in two forms: plain (int16 for strings, int32 otherwise, -1 is null) and compact
 * (unsigned varint, one more than the length, 0 is null). Everything else follows from read_length
 * and write_length.
 *
 * Null compact lengths (one byte) and empty ones (one byte) are equally long, as are plain ones, so
 * sizes need not tell them apart.
 */
#include "protocol/message_codec.h"

#include "base/assert.h"

void *message_empty_array(void)
{
    static const uint64_t place[2] = {0, 0};
    return (void *)(uintptr_t)place;
}

struct length {
    bool null;
    size_t size;
};

/* Reads a length and refuses null where it is not allowed. */
static bool read_length(struct reader *in, bool compact, bool nullable, bool is_short,
                        struct length *out)
{
    int64_t value;
    if (compact)
        value = (int64_t)read_uvarint(in) - 1;
    else
        value = is_short ? read_i16(in) : read_i32(in);
    if (in->failed || value < -1 || (value == -1 && !nullable)) {
        in->failed = true;
        return false;
    }
    *out = (struct length){value == -1, value == -1 ? 0 : (size_t)value};
    return true;
}

/* Takes the bytes that follow a length. */
static bool read_sized(struct reader *in, const struct length *length, struct view *out)
{
    if (length->null) {
        *out = VIEW_NULL;
        return true;
    }
    const uint8_t *data = reader_take(in, length->size);
    if (!data)
        return false;
    *out = view_of(data, length->size);
    return true;
}

bool message_read_string(struct reader *in, bool compact, bool nullable, struct view *out)
{
    struct length length;
    if (!read_length(in, compact, nullable, true, &length))
        return false;
    if (length.size > MESSAGE_STRING_SIZE_MAX) {
        in->failed = true;
        return false;
    }
    return read_sized(in, &length, out);
}

bool message_read_bytes(struct reader *in, bool compact, bool nullable, struct view *out)
{
    struct length length;
    return read_length(in, compact, nullable, false, &length) && read_sized(in, &length, out);
}

bool message_read_records(struct reader *in, bool compact, bool nullable, struct records_field *out)
{
    *out = RECORDS_NULL;
    return message_read_bytes(in, compact, nullable, &out->memory);
}

bool message_read_presence(struct reader *in, bool nullable, bool *present)
{
    *present = true;
    if (!nullable)
        return true;
    int8_t mark = read_i8(in);
    if (in->failed)
        return false;
    *present = mark >= 0;
    return true;
}

bool message_read_array(struct reader *in, struct arena *arena, const struct array_form *form,
                        void **items, size_t *count)
{
    *items = NULL;
    *count = 0;
    struct length length;
    if (!read_length(in, form->compact, form->nullable, false, &length))
        return false;
    if (length.null)
        return true;
    if (length.size > reader_left(in) / form->encoded_size_min) {
        in->failed = true;
        return false;
    }
    *items =
        length.size == 0 ? message_empty_array() : arena_get(arena, length.size * form->item_size);
    *count = length.size;
    return *items != NULL;
}

/* Reads the count of an array of fixed-width numbers, takes its memory, and gives its bytes. */
static const uint8_t *read_numbers(struct reader *in, struct arena *arena,
                                   const struct array_form *form, void **items, size_t *count,
                                   bool *failed)
{
    *failed = !message_read_array(in, arena, form, items, count);
    if (*failed || *count == 0)
        return NULL;
    return reader_take(in, *count * form->encoded_size_min);
}

#define READ_NUMBERS(suffix, type, width, load)                                                    \
    bool message_read_array_##suffix(struct reader *in, struct arena *arena, bool compact,         \
                                     bool nullable, type **items, size_t *count)                   \
    {                                                                                              \
        const struct array_form form = {compact, nullable, sizeof(type), width};                   \
        void *memory;                                                                              \
        bool failed;                                                                               \
        const uint8_t *from = read_numbers(in, arena, &form, &memory, count, &failed);             \
        *items = memory;                                                                           \
        if (!from)                                                                                 \
            return !failed;                                                                        \
        for (size_t i = 0; i < *count; i++)                                                        \
            (*items)[i] = load(from + i * (width));                                                \
        return true;                                                                               \
    }

static int8_t load_i8(const uint8_t *from)
{
    return (int8_t)*from;
}

READ_NUMBERS(i8, int8_t, 1, load_i8)
READ_NUMBERS(i16, int16_t, 2, load_i16)
READ_NUMBERS(i32, int32_t, 4, load_i32)
READ_NUMBERS(i64, int64_t, 8, load_i64)
READ_NUMBERS(uuid, struct uuid, UUID_SIZE, load_uuid)

bool message_read_array_string(struct reader *in, struct arena *arena, bool compact, bool nullable,
                               struct view **items, size_t *count)
{
    const struct array_form form = {compact, nullable, sizeof(struct view), compact ? 1 : 2};
    void *memory;
    bool taken = message_read_array(in, arena, &form, &memory, count);
    *items = memory;
    if (!taken)
        return false;
    for (size_t i = 0; i < *count; i++)
        if (!message_read_string(in, compact, false, &(*items)[i]))
            return false;
    return true;
}

struct tag_reader tag_reader_of(struct reader *in)
{
    return (struct tag_reader){.in = in, .left = read_uvarint(in)};
}

bool tag_reader_next(struct tag_reader *tags)
{
    struct reader *in = tags->in;
    if (tags->left == 0 || in->failed)
        return false;
    uint32_t tag = read_uvarint(in);
    uint32_t size = read_uvarint(in);
    const uint8_t *data = reader_take(in, size);
    if (!data || (tags->started && tag <= tags->tag)) {
        in->failed = true;
        return false;
    }
    tags->left--;
    tags->tag = tag;
    tags->started = true;
    tags->field = reader_of(view_of(data, size));
    return true;
}

bool message_skip_tags_slow(struct reader *in)
{
    struct tag_reader tags = tag_reader_of(in);
    while (tag_reader_next(&tags))
        continue;
    return !in->failed;
}

/* Writes a length; `null` where it is not allowed becomes zero. */
static void write_length(struct writer *out, bool compact, bool null, bool is_short, size_t size)
{
    size_t size_max = is_short ? MESSAGE_STRING_SIZE_MAX : INT32_MAX;
    if (size > size_max) {
        out->failed = true;
        return;
    }
    if (compact)
        write_uvarint(out, null ? 0 : (uint32_t)size + 1);
    else if (is_short)
        write_i16(out, null ? -1 : (int16_t)size);
    else
        write_i32(out, null ? -1 : (int32_t)size);
}

void message_write_string(struct writer *out, bool compact, bool nullable, struct view value)
{
    write_length(out, compact, nullable && view_is_null(value), true, value.size);
    write_view(out, value);
}

void message_write_bytes(struct writer *out, bool compact, bool nullable, struct view value)
{
    write_length(out, compact, nullable && view_is_null(value), false, value.size);
    write_view(out, value);
}

void message_write_records(struct message_writer *out, bool compact, bool nullable,
                           const struct records_field *field)
{
    if (!field->external) {
        message_write_bytes(&out->bytes, compact, nullable, field->memory);
        return;
    }
    klamm_assert(view_is_null(field->memory)); /* records_field 1 */
    write_length(&out->bytes, compact, false, false, field->external_size);
    if (out->splice_count == out->splice_capacity)
        out->bytes.failed = true;
    if (out->bytes.failed)
        return;
    out->splices[out->splice_count++] =
        (struct splice){out->bytes.size, field->external, field->external_size};
    out->external_size += field->external_size;
}

void message_write_presence(struct writer *out, bool nullable, bool present)
{
    if (nullable)
        write_i8(out, present ? 1 : -1);
    else if (!present)
        out->failed = true;
}

void message_write_count(struct writer *out, bool compact, bool nullable, const void *items,
                         size_t count)
{
    klamm_assert(items || count == 0);
    write_length(out, compact, nullable && !items, false, count);
}

#define WRITE_NUMBERS(suffix, type, width, store)                                                  \
    void message_write_array_##suffix(struct writer *out, bool compact, bool nullable,             \
                                      const type *items, size_t count)                             \
    {                                                                                              \
        message_write_count(out, compact, nullable, items, count);                                 \
        uint8_t *to = writer_reserve(out, count * (width));                                        \
        for (size_t i = 0; to && i < count; i++)                                                   \
            store(to + i * (width), items[i]);                                                     \
    }

static void store_i8(uint8_t *to, int8_t value)
{
    *to = (uint8_t)value;
}

static void store_i16(uint8_t *to, int16_t value)
{
    store_u16(to, (uint16_t)value);
}

static void store_i32(uint8_t *to, int32_t value)
{
    store_u32(to, (uint32_t)value);
}

static void store_i64(uint8_t *to, int64_t value)
{
    store_u64(to, (uint64_t)value);
}

WRITE_NUMBERS(i8, int8_t, 1, store_i8)
WRITE_NUMBERS(i16, int16_t, 2, store_i16)
WRITE_NUMBERS(i32, int32_t, 4, store_i32)
WRITE_NUMBERS(i64, int64_t, 8, store_i64)
WRITE_NUMBERS(uuid, struct uuid, UUID_SIZE, store_uuid)

void message_write_array_string(struct writer *out, bool compact, bool nullable,
                                const struct view *items, size_t count)
{
    message_write_count(out, compact, nullable, items, count);
    for (size_t i = 0; i < count; i++)
        message_write_string(out, compact, false, items[i]);
}

void message_write_tag(struct writer *out, uint32_t tag, size_t size)
{
    if (size > INT32_MAX)
        out->failed = true;
    write_uvarint(out, tag);
    write_uvarint(out, (uint32_t)size);
}

size_t message_records_size(bool compact, const struct records_field *field)
{
    return message_count_size(compact, records_size(field)) + field->memory.size;
}

size_t message_array_string_size(bool compact, const struct view *items, size_t count)
{
    size_t size = message_count_size(compact, count);
    for (size_t i = 0; i < count; i++)
        size += message_string_size(compact, items[i]);
    return size;
}
