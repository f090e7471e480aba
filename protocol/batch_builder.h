/*
 * Building batches: records in, the bytes of one batch out.
 *
 * Relies on protocol/batch.h, record.h, compression.h. Used for control records, coordinator and
 * metadata records, compaction, rebuilt client batches, tests and load generators.
 *
 * Invariants:
 *  1. What was finished is a valid batch: right length, count, timestamps and CRC.
 *  2. Base timestamp is the first record's (or the delete horizon), max timestamp the largest,
 * unless append time is set, which then is both the max timestamp and the time of every record.
 *  3. A refusal (memory, limit) leaves the builder as it was before the call.
 */
#ifndef KLAMM_PROTOCOL_BATCH_BUILDER_H
#define KLAMM_PROTOCOL_BATCH_BUILDER_H

#include "protocol/batch.h"
#include "protocol/compression.h"
#include "protocol/record.h"

struct batch_options {
    int64_t base_offset;
    int32_t leader_epoch;
    enum compression_codec codec;
    int level;
    bool append_time; /* stamp append_time_ms */
    bool transactional;
    bool control;
    bool delete_horizon; /* base timestamp is delete_horizon_ms, for compaction */
    int64_t append_time_ms;
    int64_t delete_horizon_ms;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
};

/* Plain data without producer, offset 0, no leader epoch, not compressed. */
#define BATCH_OPTIONS_DEFAULT                                                                      \
    ((struct batch_options){.leader_epoch = BATCH_NO_LEADER_EPOCH,                                 \
                            .producer_id = BATCH_NO_PRODUCER_ID,                                   \
                            .producer_epoch = BATCH_NO_PRODUCER_EPOCH,                             \
                            .base_sequence = BATCH_NO_SEQUENCE})

struct batch_record {
    int64_t timestamp_ms; /* BATCH_NO_TIMESTAMP: none */
    struct view key;
    struct view value;
    const struct record_header *headers;
    size_t header_count;
};

struct batch_builder {
    struct batch_options options;
    struct buffer plain;      /* a header's room, then the records */
    struct buffer compressed; /* the finished batch when a codec is set */
    int64_t base_timestamp;
    int64_t max_timestamp;
    int32_t record_count;
    int32_t last_offset_delta;
};

/* An empty batch. `limit` bounds the uncompressed batch in bytes (0: 2^31 - 1). */
void batch_builder_init(struct batch_builder *builder, struct heap *heap, size_t limit,
                        const struct batch_options *options);
/* Gives all memory back. */
void batch_builder_deinit(struct batch_builder *builder);
/* Starts another batch in the same memory. */
void batch_builder_reset(struct batch_builder *builder, const struct batch_options *options);
/* Appends at the next offset; false when the limit or the heap refuses. */
bool batch_builder_append(struct batch_builder *builder, const struct batch_record *record);
/*
 * Appends a record read from another batch as it is, attributes and headers included, with its
 * time. For compaction and rebuilding.
 */
bool batch_builder_append_raw(struct batch_builder *builder, int32_t offset_delta,
                              int64_t timestamp_ms, const struct record *record);
/* Sets the last offset delta beyond the last record's, as compaction keeps it. */
void batch_builder_set_last_offset_delta(struct batch_builder *builder, int32_t last_offset_delta);
/*
 * Writes header and CRC, compressing when asked. `*batch` borrows the builder's memory until reset
 * or deinit. An empty builder gives an empty batch (61 bytes). May be called again after more
 * appends and gives the batch with these.
 */
enum compression_result batch_builder_finish(struct batch_builder *builder, struct view *batch);
/* Bytes of the batch so far, not compressed. */
static inline size_t batch_builder_size(const struct batch_builder *builder)
{
    return builder->plain.size ? builder->plain.size : BATCH_HEADER_SIZE;
}

#endif
