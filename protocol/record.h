/*
 * Records inside a batch (format v2): reading and writing the bytes behind the batch header, once
 * they are decompressed.
 *
 * A record is: length VARINT of what follows; attributes int8; timestamp delta VARLONG; offset
 * delta VARINT; key length VARINT (-1 null) and key; value likewise; header count VARINT; per
 * header key length VARINT (>= 0) and key, value length VARINT (-1 null) and value.
 *
 * Invariants:
 *  1. A record that the cursor gives was checked whole: its fields end exactly at its length, and
 * its headers are well formed, so walking them cannot fail.
 *  2. The cursor ends only when exactly `count` records used exactly all bytes.
 *  3. Views in a record borrow the bytes given to the cursor.
 */
#ifndef KLAMM_PROTOCOL_RECORD_H
#define KLAMM_PROTOCOL_RECORD_H

#include "base/bytes.h"

struct record_header {
    struct view key; /* never null */
    struct view value;
};

struct record {
    int64_t timestamp_delta; /* ms, to the batch's base timestamp */
    int32_t offset_delta;    /* to the batch's base offset */
    int32_t header_count;
    struct view key;
    struct view value;
    struct view headers; /* the encoded headers, without their count */
    /* For writing: header_count headers that are not encoded yet; NULL: `headers` has them. */
    const struct record_header *header_list;
    int8_t attributes; /* 0 in every version so far; other values are kept, not refused */
};

enum record_status {
    RECORD_OK,
    RECORD_END,      /* all records read, no byte left */
    RECORD_MALFORMED /* a field out of bounds, bytes left over, or too few for the count */
};

struct record_cursor {
    struct reader reader;
    int32_t left; /* records still to come */
    bool malformed;
};

/* Starts at the first of `count` records in decompressed bytes. A negative count is malformed. */
void record_cursor_init(struct record_cursor *cursor, struct view records, int32_t count);
/* The next record. After END or MALFORMED the answer stays the same. */
enum record_status record_cursor_next(struct record_cursor *cursor, struct record *record);

/* Walks the headers of a record that a cursor gave: start with reader_of(record->headers). */
bool record_header_next(struct reader *reader, struct record_header *header);

/* Encoded bytes of a record, its length field included; above 2^31 - 1 when it cannot be written.
 */
size_t record_size(const struct record *record);
/* Writes a record; fails the writer when it does not fit. */
void record_write(struct writer *writer, const struct record *record);

#endif
