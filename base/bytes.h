/*
 * Byte views and cursors: borrowed ranges, bounded big-endian readers and writers.
 *
 * Invariants:
 *  1. A view never owns. `data == NULL` means "null" (absent); an empty view has `data != NULL`.
 *  2. A reader never reads past `end`. After the first failed read `failed` stays true, every later
 *     read returns zero or null, and the cursor does not move any more; callers may therefore check
 *     once at the end of a group of reads.
 *  3. A writer never writes past its capacity; overflow sets `failed` in the same sticky way.
 */
#ifndef KLAMM_BASE_BYTES_H
#define KLAMM_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed range of bytes or of UTF-8 text (not terminated by NUL). */
struct view {
    const uint8_t *data; /* NULL: null, which is not the same as empty */
    size_t size;         /* bytes; 0 when data is NULL */
};

#define VIEW_NULL ((struct view){NULL, 0})
/* A view of a string literal. */
#define VIEW_LITERAL(text) ((struct view){(const uint8_t *)(text), sizeof(text) - 1})

static inline struct view view_of(const void *data, size_t size)
{
    return (struct view){(const uint8_t *)data, size};
}

/* A view of a NUL-terminated string; NULL gives the null view. */
static inline struct view view_of_string(const char *text)
{
    return text ? view_of(text, strlen(text)) : VIEW_NULL;
}

static inline bool view_is_null(struct view view)
{
    return view.data == NULL;
}

/* Same bytes; null and empty are different from each other. */
static inline bool view_equal(struct view a, struct view b)
{
    if (view_is_null(a) || view_is_null(b))
        return view_is_null(a) && view_is_null(b);
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Unsigned byte order; a prefix sorts first. Null sorts like empty. */
static inline int view_compare(struct view a, struct view b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

/* Big-endian loads and stores on unaligned memory. */
static inline uint16_t load_u16(const void *from)
{
    const uint8_t *p = from;
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t load_u32(const void *from)
{
    const uint8_t *p = from;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t load_u64(const void *from)
{
    return (uint64_t)load_u32(from) << 32 | load_u32((const uint8_t *)from + 4);
}

static inline int16_t load_i16(const void *from)
{
    return (int16_t)load_u16(from);
}

static inline int32_t load_i32(const void *from)
{
    return (int32_t)load_u32(from);
}

static inline int64_t load_i64(const void *from)
{
    return (int64_t)load_u64(from);
}

static inline void store_u16(void *to, uint16_t value)
{
    uint8_t *p = to;
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void store_u32(void *to, uint32_t value)
{
    uint8_t *p = to;
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

static inline void store_u64(void *to, uint64_t value)
{
    store_u32(to, (uint32_t)(value >> 32));
    store_u32((uint8_t *)to + 4, (uint32_t)value);
}

/* A bounded cursor over borrowed bytes. */
struct reader {
    const uint8_t *next;
    const uint8_t *end;
    bool failed;
};

static inline struct reader reader_of(struct view view)
{
    return (struct reader){view.data, view.data ? view.data + view.size : NULL, false};
}

static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->next);
}

/* The next `size` bytes, borrowed, or NULL (and failed) when fewer are left. */
static inline const uint8_t *reader_take(struct reader *reader, size_t size)
{
    if (reader->failed || reader_left(reader) < size) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *taken = reader->next;
    reader->next += size;
    return taken;
}

static inline uint8_t read_u8(struct reader *reader)
{
    const uint8_t *p = reader_take(reader, 1);
    return p ? *p : 0;
}

static inline int8_t read_i8(struct reader *reader)
{
    return (int8_t)read_u8(reader);
}

static inline uint16_t read_u16(struct reader *reader)
{
    const uint8_t *p = reader_take(reader, 2);
    return p ? load_u16(p) : 0;
}

static inline int16_t read_i16(struct reader *reader)
{
    return (int16_t)read_u16(reader);
}

static inline uint32_t read_u32(struct reader *reader)
{
    const uint8_t *p = reader_take(reader, 4);
    return p ? load_u32(p) : 0;
}

static inline int32_t read_i32(struct reader *reader)
{
    return (int32_t)read_u32(reader);
}

static inline uint64_t read_u64(struct reader *reader)
{
    const uint8_t *p = reader_take(reader, 8);
    return p ? load_u64(p) : 0;
}

static inline int64_t read_i64(struct reader *reader)
{
    return (int64_t)read_u64(reader);
}

/* The forms of read_uvarint and read_uvarlong for any size. */
uint32_t read_uvarint_slow(struct reader *reader);
uint64_t read_uvarlong_slow(struct reader *reader);

/* LEB128 of at most 5 / 10 bytes; more, or bits beyond the width, fail the reader. */
static inline uint32_t read_uvarint(struct reader *reader)
{
    /* Nearly all lengths and deltas have one byte. */
    if (!reader->failed && reader->next < reader->end && *reader->next < 0x80)
        return *reader->next++;
    return read_uvarint_slow(reader);
}

static inline uint64_t read_uvarlong(struct reader *reader)
{
    if (!reader->failed && reader->next < reader->end && *reader->next < 0x80)
        return *reader->next++;
    return read_uvarlong_slow(reader);
}

/* Zigzag forms, as record fields use them. */
static inline int32_t read_varint(struct reader *reader)
{
    uint32_t raw = read_uvarint(reader);
    return (int32_t)(raw >> 1) ^ -(int32_t)(raw & 1);
}

static inline int64_t read_varlong(struct reader *reader)
{
    uint64_t raw = read_uvarlong(reader);
    return (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
}

/* A bounded cursor over memory that the caller owns. */
struct writer {
    uint8_t *data;
    size_t capacity; /* bytes */
    size_t size;     /* bytes written so far */
    bool failed;
};

static inline struct writer writer_of(void *data, size_t capacity)
{
    return (struct writer){(uint8_t *)data, capacity, 0, false};
}

/* Reserves `size` bytes and returns their place, or NULL (and failed) when they do not fit. */
static inline uint8_t *writer_reserve(struct writer *writer, size_t size)
{
    if (writer->failed || writer->capacity - writer->size < size) {
        writer->failed = true;
        return NULL;
    }
    uint8_t *place = writer->data + writer->size;
    writer->size += size;
    return place;
}

static inline void write_u8(struct writer *writer, uint8_t value)
{
    uint8_t *p = writer_reserve(writer, 1);
    if (p)
        *p = value;
}

static inline void write_i8(struct writer *writer, int8_t value)
{
    write_u8(writer, (uint8_t)value);
}

static inline void write_u16(struct writer *writer, uint16_t value)
{
    uint8_t *p = writer_reserve(writer, 2);
    if (p)
        store_u16(p, value);
}

static inline void write_i16(struct writer *writer, int16_t value)
{
    write_u16(writer, (uint16_t)value);
}

static inline void write_u32(struct writer *writer, uint32_t value)
{
    uint8_t *p = writer_reserve(writer, 4);
    if (p)
        store_u32(p, value);
}

static inline void write_i32(struct writer *writer, int32_t value)
{
    write_u32(writer, (uint32_t)value);
}

static inline void write_u64(struct writer *writer, uint64_t value)
{
    uint8_t *p = writer_reserve(writer, 8);
    if (p)
        store_u64(p, value);
}

static inline void write_i64(struct writer *writer, int64_t value)
{
    write_u64(writer, (uint64_t)value);
}

static inline void write_bytes(struct writer *writer, const void *data, size_t size)
{
    uint8_t *p = writer_reserve(writer, size);
    if (p && size)
        memcpy(p, data, size);
}

static inline void write_view(struct writer *writer, struct view view)
{
    write_bytes(writer, view.data, view.size);
}

void write_uvarint(struct writer *writer, uint32_t value);
void write_uvarlong(struct writer *writer, uint64_t value);

static inline void write_varint(struct writer *writer, int32_t value)
{
    write_uvarint(writer, (uint32_t)value << 1 ^ (uint32_t)(value >> 31));
}

static inline void write_varlong(struct writer *writer, int64_t value)
{
    write_uvarlong(writer, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

/* Encoded bytes of each form: 1 to 5, 1 to 10. */
size_t uvarint_size(uint32_t value);
size_t uvarlong_size(uint64_t value);

static inline size_t varint_size(int32_t value)
{
    return uvarint_size((uint32_t)value << 1 ^ (uint32_t)(value >> 31));
}

static inline size_t varlong_size(int64_t value)
{
    return uvarlong_size((uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

#endif
