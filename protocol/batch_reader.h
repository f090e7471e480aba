/*
 * Reading the records of a batch whatever its codec: for loading coordinators and metadata,
 * compaction, and tools.
 *
 * Invariants:
 *  1. A batch that is not compressed is read in place, without a copy.
 *  2. Views in a record live until the next batch_reader_open or batch_reader_deinit, and for a
 * batch that is not compressed as long as its bytes.
 *  3. The memory for decompressed records is kept from batch to batch.
 */
#ifndef KLAMM_PROTOCOL_BATCH_READER_H
#define KLAMM_PROTOCOL_BATCH_READER_H

#include "protocol/batch.h"
#include "protocol/compression.h"
#include "protocol/record.h"

struct batch_reader {
    struct buffer plain;
    struct record_cursor cursor;
    struct view batch;
};

/* A record with what its batch says about it. */
struct batch_reader_record {
    struct record record;
    int64_t offset;
    int64_t timestamp_ms; /* BATCH_NO_TIMESTAMP: none */
};

/* Takes no memory yet; decompressed records come from `heap`. */
void batch_reader_init(struct batch_reader *reader, struct heap *heap);
void batch_reader_deinit(struct batch_reader *reader);
/*
 * Starts at the first record of a whole batch (its checksum is the caller's business). Records may
 * unfold to `limit` bytes. On failure the reader has no records.
 */
enum compression_result batch_reader_open(struct batch_reader *reader, struct view batch,
                                          size_t limit);
/* The next record; END and MALFORMED as record_cursor_next. */
enum record_status batch_reader_next(struct batch_reader *reader,
                                     struct batch_reader_record *record);

#endif
