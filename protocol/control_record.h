/*
 * Control records: the keys and the transaction markers that stand in batches with the control bit.
 *
 *  key    int16 version (0), int16 type
 *  value  of COMMIT and ABORT: int16 version (0), int32 coordinator epoch; of the others: a
 * generated message, handed through as bytes
 *
 * A reader takes newer versions, whose first fields stay the same, and ignores unknown types.
 */
#ifndef KLAMM_PROTOCOL_CONTROL_RECORD_H
#define KLAMM_PROTOCOL_CONTROL_RECORD_H

#include "protocol/batch_builder.h"

enum control_record_type {
    CONTROL_RECORD_UNKNOWN = -1,
    CONTROL_RECORD_ABORT = 0,
    CONTROL_RECORD_COMMIT = 1,
    CONTROL_RECORD_LEADER_CHANGE = 2,
    CONTROL_RECORD_SNAPSHOT_HEADER = 3,
    CONTROL_RECORD_SNAPSHOT_FOOTER = 4,
    CONTROL_RECORD_KRAFT_VERSION = 5,
    CONTROL_RECORD_KRAFT_VOTERS = 6,
    CONTROL_RECORD_TYPES
};

enum {
    CONTROL_RECORD_KEY_SIZE = 4,
    CONTROL_RECORD_MARKER_SIZE = 6,
    /* Bytes of the batch that control_record_build_marker makes: header, length byte, four fields
     * of one byte, key, value, header count. */
    CONTROL_RECORD_MARKER_BATCH_SIZE = BATCH_HEADER_SIZE + 1 + 5 + 4 + 6 + 1,
};

/* Writes the key of a type. */
void control_record_write_key(uint8_t key[CONTROL_RECORD_KEY_SIZE], enum control_record_type type);
/* The type of a key: UNKNOWN for types that are not in the list; false when it is malformed. */
bool control_record_read_key(struct view key, enum control_record_type *type);
/* Reads it; false when it is shorter than 6 bytes or its version is negative. */
bool control_record_read_marker(struct view value, int32_t *coordinator_epoch);

struct control_marker {
    bool commit; /* else abort */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch;
    int64_t timestamp_ms;
};

/*
 * Writes a whole batch (base offset 0, no leader epoch) with one transaction marker into
 * CONTROL_RECORD_MARKER_BATCH_SIZE bytes or more; returns its size.
 */
size_t control_record_build_marker(uint8_t *batch, const struct control_marker *marker);
/*
 * Reads the marker of a control batch. False when the batch holds another type, no record (it was
 * compacted away), or is malformed.
 */
bool control_record_parse_marker(struct view batch, struct control_marker *marker);
/* Appends a control record of any type with the bytes of its value. */
bool control_record_append(struct batch_builder *builder, enum control_record_type type,
                           int64_t timestamp_ms, struct view value);

#endif
