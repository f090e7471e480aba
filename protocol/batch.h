/*
 * Record batches (magic 2): the header of 61 bytes, its checks, the patches that a leader makes in
 * place, and the arithmetic of sequence numbers.
 *
 *  offset size field                  order: big-endian throughout
 *       0    8 base offset            from clients 0; the leader assigns. Not under the CRC
 *       8    4 batch length           bytes behind this field, at least 49. Not under the CRC
 *      12    4 partition leader epoch the leader stamps. Not under the CRC
 *      16    1 magic                  2. Not under the CRC
 *      17    4 CRC                    CRC-32C of byte 21 to the end
 *      21    2 attributes             bits: 0-2 codec, 3 append time, 4 transactional, 5 control,
 *                                     6 delete horizon
 *      23    4 last offset delta      last offset = base offset + this; survives compaction
 *      27    8 base timestamp         ms; the delete horizon when bit 6 is set
 *      35    8 max timestamp          ms; with bit 3 the time of every record
 *      43    8 producer id            -1: none
 *      51    2 producer epoch         -1: none
 *      53    4 base sequence          -1: none
 *      57    4 record count           fewer than last offset delta + 1 after compaction
 *      61      records                compressed as one piece when a codec is set
 *
 * Functions that take `const uint8_t *batch` rely on at least BATCH_HEADER_SIZE readable bytes;
 * those that need the whole batch take a view.
 */
#ifndef KLAMM_PROTOCOL_BATCH_H
#define KLAMM_PROTOCOL_BATCH_H

#include <assert.h>

#include "base/bytes.h"

enum {
    BATCH_PREFIX_SIZE = 12,       /* base offset and length: what the length does not count */
    BATCH_HEADER_SIZE = 61,       /* everything before the records */
    BATCH_CRC_START = 21,         /* first byte under the CRC */
    BATCH_LENGTH_MIN = 49,        /* batch length of an empty batch */
    BATCH_MAGIC = 2,              /* the only format written and accepted */
    BATCH_LEGACY_LENGTH_MIN = 14, /* smallest length of the formats before */
};

enum {
    BATCH_ATTRIBUTE_CODEC_MASK = 0x07,
    BATCH_ATTRIBUTE_APPEND_TIME = 0x08,
    BATCH_ATTRIBUTE_TRANSACTIONAL = 0x10,
    BATCH_ATTRIBUTE_CONTROL = 0x20,
    BATCH_ATTRIBUTE_DELETE_HORIZON = 0x40,
};

#define BATCH_NO_TIMESTAMP      ((int64_t)-1)
#define BATCH_NO_PRODUCER_ID    ((int64_t)-1)
#define BATCH_NO_PRODUCER_EPOCH ((int16_t)-1)
#define BATCH_NO_SEQUENCE       ((int32_t)-1)
#define BATCH_NO_LEADER_EPOCH   ((int32_t)-1)

/* The bytes as they lie, so that every offset is checked at compile time. */
struct batch_layout {
    uint8_t base_offset[8];
    uint8_t batch_length[4];
    uint8_t leader_epoch[4];
    uint8_t magic[1];
    uint8_t crc[4];
    uint8_t attributes[2];
    uint8_t last_offset_delta[4];
    uint8_t base_timestamp[8];
    uint8_t max_timestamp[8];
    uint8_t producer_id[8];
    uint8_t producer_epoch[2];
    uint8_t base_sequence[4];
    uint8_t record_count[4];
};

static_assert(sizeof(struct batch_layout) == BATCH_HEADER_SIZE, "61 bytes");
static_assert(offsetof(struct batch_layout, batch_length) == 8, "format");
static_assert(offsetof(struct batch_layout, leader_epoch) == BATCH_PREFIX_SIZE, "format");
static_assert(offsetof(struct batch_layout, magic) == 16, "format");
static_assert(offsetof(struct batch_layout, crc) == 17, "format");
static_assert(offsetof(struct batch_layout, attributes) == BATCH_CRC_START, "format");
static_assert(offsetof(struct batch_layout, last_offset_delta) == 23, "format");
static_assert(offsetof(struct batch_layout, base_timestamp) == 27, "format");
static_assert(offsetof(struct batch_layout, max_timestamp) == 35, "format");
static_assert(offsetof(struct batch_layout, producer_id) == 43, "format");
static_assert(offsetof(struct batch_layout, producer_epoch) == 51, "format");
static_assert(offsetof(struct batch_layout, base_sequence) == 53, "format");
static_assert(offsetof(struct batch_layout, record_count) == 57, "format");

/* The header in host order. */
struct batch_header {
    int64_t base_offset;
    int32_t batch_length; /* bytes, total size - 12 */
    int32_t leader_epoch;
    int8_t magic;
    uint32_t crc;
    uint16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp; /* ms */
    int64_t max_timestamp;  /* ms */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t record_count;
};

/* Reads and writes the whole header; no checks. */
void batch_header_read(const uint8_t *batch, struct batch_header *header);
void batch_header_write(uint8_t *batch, const struct batch_header *header);

/* Single fields of the bytes as they lie. */
#define BATCH_FIELD(batch, field) ((batch) + offsetof(struct batch_layout, field))

static inline int64_t batch_base_offset(const uint8_t *batch)
{
    return load_i64(BATCH_FIELD(batch, base_offset));
}

static inline int32_t batch_length(const uint8_t *batch)
{
    return load_i32(BATCH_FIELD(batch, batch_length));
}

static inline int32_t batch_leader_epoch(const uint8_t *batch)
{
    return load_i32(BATCH_FIELD(batch, leader_epoch));
}

static inline int8_t batch_magic(const uint8_t *batch)
{
    return (int8_t)*BATCH_FIELD(batch, magic);
}

static inline uint32_t batch_crc(const uint8_t *batch)
{
    return load_u32(BATCH_FIELD(batch, crc));
}

static inline uint16_t batch_attributes(const uint8_t *batch)
{
    return load_u16(BATCH_FIELD(batch, attributes));
}

static inline int32_t batch_last_offset_delta(const uint8_t *batch)
{
    return load_i32(BATCH_FIELD(batch, last_offset_delta));
}

static inline int64_t batch_base_timestamp(const uint8_t *batch)
{
    return load_i64(BATCH_FIELD(batch, base_timestamp));
}

static inline int64_t batch_max_timestamp(const uint8_t *batch)
{
    return load_i64(BATCH_FIELD(batch, max_timestamp));
}

static inline int64_t batch_producer_id(const uint8_t *batch)
{
    return load_i64(BATCH_FIELD(batch, producer_id));
}

static inline int16_t batch_producer_epoch(const uint8_t *batch)
{
    return load_i16(BATCH_FIELD(batch, producer_epoch));
}

static inline int32_t batch_base_sequence(const uint8_t *batch)
{
    return load_i32(BATCH_FIELD(batch, base_sequence));
}

static inline int32_t batch_record_count(const uint8_t *batch)
{
    return load_i32(BATCH_FIELD(batch, record_count));
}

/* Derived values. */
static inline size_t batch_size(const uint8_t *batch)
{
    return (size_t)(int64_t)batch_length(batch) + BATCH_PREFIX_SIZE;
}

static inline int64_t batch_last_offset(const uint8_t *batch)
{
    return (int64_t)((uint64_t)batch_base_offset(batch) + (uint64_t)batch_last_offset_delta(batch));
}

/* The codec number, 0 to 7; above COMPRESSION_ZSTD it is unknown. */
static inline unsigned batch_codec(const uint8_t *batch)
{
    return batch_attributes(batch) & BATCH_ATTRIBUTE_CODEC_MASK;
}

static inline bool batch_is_compressed(const uint8_t *batch)
{
    return batch_codec(batch) != 0;
}

static inline bool batch_is_append_time(const uint8_t *batch)
{
    return batch_attributes(batch) & BATCH_ATTRIBUTE_APPEND_TIME;
}

static inline bool batch_is_transactional(const uint8_t *batch)
{
    return batch_attributes(batch) & BATCH_ATTRIBUTE_TRANSACTIONAL;
}

static inline bool batch_is_control(const uint8_t *batch)
{
    return batch_attributes(batch) & BATCH_ATTRIBUTE_CONTROL;
}

static inline bool batch_has_delete_horizon(const uint8_t *batch)
{
    return batch_attributes(batch) & BATCH_ATTRIBUTE_DELETE_HORIZON;
}

static inline bool batch_has_producer_id(const uint8_t *batch)
{
    return batch_producer_id(batch) >= 0;
}

/* The records as they lie (compressed when a codec is set), borrowed. */
static inline struct view batch_records(struct view batch)
{
    return view_of(batch.data + BATCH_HEADER_SIZE, batch.size - BATCH_HEADER_SIZE);
}

/* The time of a record: the batch's max timestamp with append time, else base + delta. */
static inline int64_t batch_record_timestamp(const uint8_t *batch, int64_t timestamp_delta)
{
    if (batch_is_append_time(batch))
        return batch_max_timestamp(batch);
    return (int64_t)((uint64_t)batch_base_timestamp(batch) + (uint64_t)timestamp_delta);
}

/*
 * Sequence numbers run from 0 to 2^31 - 1 and then start again at 0. `sequence` and `count` are not
 * negative.
 */
static inline int32_t batch_sequence_add(int32_t sequence, int32_t count)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)count) & INT32_MAX);
}

static inline int32_t batch_sequence_subtract(int32_t sequence, int32_t count)
{
    return (int32_t)(((uint32_t)sequence - (uint32_t)count) & INT32_MAX);
}

/* The last sequence of a batch; -1 when it has none. */
static inline int32_t batch_last_sequence(const uint8_t *batch)
{
    int32_t base_sequence = batch_base_sequence(batch);
    if (base_sequence < 0)
        return BATCH_NO_SEQUENCE;
    return batch_sequence_add(base_sequence, batch_last_offset_delta(batch));
}

enum batch_parse_result {
    BATCH_OK,
    BATCH_NEED_MORE,  /* the bytes end before the batch does */
    BATCH_BAD_LENGTH, /* the length field cannot be true */
    BATCH_BAD_MAGIC   /* an older or unknown format */
};

/*
 * Looks at the batch at the start of `bytes`. On OK `*size` is its size, and all of it is there. On
 * NEED_MORE `*size` is how many bytes are needed to decide further. Contents are not checked.
 */
enum batch_parse_result batch_parse(struct view bytes, size_t *size);
/* The same for a reader of headers: OK as soon as BATCH_HEADER_SIZE bytes are there. */
enum batch_parse_result batch_parse_header(struct view bytes, size_t *size);
/*
 * Takes the next whole batch off `*rest`. NEED_MORE with an empty rest is the clean end; on failure
 * the rest stays where it is.
 */
enum batch_parse_result batch_next(struct view *rest, struct view *batch);

/* Whether the CRC is that of the bytes; `batch` is a whole batch. */
bool batch_crc_is_valid(struct view batch);
/* Writes the CRC of the bytes as they are; `size` as batch_size. */
void batch_crc_update(uint8_t *batch, size_t size);

/* Patches outside the CRC. */
static inline void batch_set_base_offset(uint8_t *batch, int64_t base_offset)
{
    store_u64(BATCH_FIELD(batch, base_offset), (uint64_t)base_offset);
}

static inline void batch_set_leader_epoch(uint8_t *batch, int32_t leader_epoch)
{
    store_u32(BATCH_FIELD(batch, leader_epoch), (uint32_t)leader_epoch);
}

/*
 * Turns a batch into one with append time: attribute bit 3 and the max timestamp; updates the CRC.
 * Record deltas stay, readers ignore them.
 */
void batch_set_append_time(uint8_t *batch, size_t size, int64_t append_time_ms);
/* Corrects the max timestamp (create time) and updates the CRC; clears attribute bit 3. */
void batch_set_max_timestamp(uint8_t *batch, size_t size, int64_t max_timestamp_ms);

#endif
