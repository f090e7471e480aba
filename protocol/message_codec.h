/*
 * What the generated codecs are made of: lengths, strings, arrays, tagged sections.
 *
 * Not for handlers; they use the functions that the headers in protocol/messages/ declare. Every
 * read function returns false when the input is malformed or the arena refuses, and the caller
 * gives up at once then.
 *
 * Invariants:
 *  1. No memory is taken for an array before its count is bounded by the bytes left, divided by the
 *     fewest bytes that one element takes in that version.
 *  2. Views point into the input; nothing but arrays and nullable structs is allocated.
 *  3. An empty array has a non-NULL pointer, a null one NULL.
 *  4. A null that the version cannot express is written as empty (strings, bytes, arrays); a struct
 *     that must be there and is not makes the encode fail.
 */
#ifndef KLAMM_PROTOCOL_MESSAGE_CODEC_H
#define KLAMM_PROTOCOL_MESSAGE_CODEC_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/uuid.h"
#include "protocol/message_writer.h"
#include "protocol/records_field.h"

enum { MESSAGE_STRING_SIZE_MAX = 32767 };

/* Fixed-width values that base/bytes.h does not have. */
static inline struct uuid load_uuid(const uint8_t *from)
{
    struct uuid id;
    memcpy(id.bytes, from, UUID_SIZE);
    return id;
}

static inline void store_uuid(uint8_t *to, struct uuid id)
{
    memcpy(to, id.bytes, UUID_SIZE);
}

static inline double load_f64(const uint8_t *from)
{
    uint64_t bits = load_u64(from);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline void store_f64(uint8_t *to, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    store_u64(to, bits);
}

/* The pointer of every empty array that was not decoded; never read or written through. */
void *message_empty_array(void);

/* Reading. `compact`: lengths are varints plus one; `nullable`: null is allowed. */
bool message_read_string(struct reader *in, bool compact, bool nullable, struct view *out);
bool message_read_bytes(struct reader *in, bool compact, bool nullable, struct view *out);
bool message_read_records(struct reader *in, bool compact, bool nullable,
                          struct records_field *out);
/* The byte in front of a struct that can be null; where it cannot, there is none. */
bool message_read_presence(struct reader *in, bool nullable, bool *present);

struct array_form {
    bool compact;
    bool nullable;
    size_t item_size;        /* bytes in memory */
    size_t encoded_size_min; /* bytes on the wire; at least 1 */
};

/* Reads the count and takes memory for the items, which the caller fills. */
bool message_read_array(struct reader *in, struct arena *arena, const struct array_form *form,
                        void **items, size_t *count);

bool message_read_array_i8(struct reader *in, struct arena *arena, bool compact, bool nullable,
                           int8_t **items, size_t *count);
bool message_read_array_i16(struct reader *in, struct arena *arena, bool compact, bool nullable,
                            int16_t **items, size_t *count);
bool message_read_array_i32(struct reader *in, struct arena *arena, bool compact, bool nullable,
                            int32_t **items, size_t *count);
bool message_read_array_i64(struct reader *in, struct arena *arena, bool compact, bool nullable,
                            int64_t **items, size_t *count);
bool message_read_array_uuid(struct reader *in, struct arena *arena, bool compact, bool nullable,
                             struct uuid **items, size_t *count);
bool message_read_array_string(struct reader *in, struct arena *arena, bool compact, bool nullable,
                               struct view **items, size_t *count);

/* Walks a tagged section; `field` holds the bytes of the current tag. */
struct tag_reader {
    struct reader *in;
    uint32_t left; /* tags still to come */
    uint32_t tag;
    bool started;
    struct reader field;
};

/* Reads the number of tags; a failure shows at the first tag_reader_next. */
struct tag_reader tag_reader_of(struct reader *in);
/* False at the end, or with in->failed when tags do not rise or do not fit. */
bool tag_reader_next(struct tag_reader *tags);

bool message_skip_tags_slow(struct reader *in);

/* Skips a tagged section of which no tag is known; nearly always it is one zero byte. */
static inline bool message_skip_tags(struct reader *in)
{
    if (in->next < in->end && *in->next == 0 && !in->failed) {
        in->next++;
        return true;
    }
    return message_skip_tags_slow(in);
}

/* Writing. Failure is noted in the writer. */
void message_write_string(struct writer *out, bool compact, bool nullable, struct view value);
void message_write_bytes(struct writer *out, bool compact, bool nullable, struct view value);
/* The length, then the bytes or a splice. */
void message_write_records(struct message_writer *out, bool compact, bool nullable,
                           const struct records_field *field);
void message_write_presence(struct writer *out, bool nullable, bool present);
/* `items` only tells null from empty. */
void message_write_count(struct writer *out, bool compact, bool nullable, const void *items,
                         size_t count);
void message_write_array_i8(struct writer *out, bool compact, bool nullable, const int8_t *items,
                            size_t count);
void message_write_array_i16(struct writer *out, bool compact, bool nullable, const int16_t *items,
                             size_t count);
void message_write_array_i32(struct writer *out, bool compact, bool nullable, const int32_t *items,
                             size_t count);
void message_write_array_i64(struct writer *out, bool compact, bool nullable, const int64_t *items,
                             size_t count);
void message_write_array_uuid(struct writer *out, bool compact, bool nullable,
                              const struct uuid *items, size_t count);
void message_write_array_string(struct writer *out, bool compact, bool nullable,
                                const struct view *items, size_t count);
/* Tag and size, ahead of the tag's bytes. */
void message_write_tag(struct writer *out, uint32_t tag, size_t size);

/* Sizes in bytes; null takes what empty takes. External records count with their length only. */
static inline size_t message_count_size(bool compact, size_t count)
{
    return compact ? uvarint_size((uint32_t)count + 1) : 4;
}

static inline size_t message_string_size(bool compact, struct view value)
{
    return (compact ? uvarint_size((uint32_t)value.size + 1) : 2) + value.size;
}

static inline size_t message_bytes_size(bool compact, struct view value)
{
    return message_count_size(compact, value.size) + value.size;
}

size_t message_records_size(bool compact, const struct records_field *field);
size_t message_array_string_size(bool compact, const struct view *items, size_t count);

static inline size_t message_tag_size(uint32_t tag, size_t size)
{
    return uvarint_size(tag) + uvarint_size((uint32_t)size) + size;
}

#endif
