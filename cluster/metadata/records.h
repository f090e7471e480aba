/*
 * Metadata records as bytes: the frame around each record, and lists of records to append.
 *
 * A record's value is: frame version (uvarint, 1), record type (uvarint), record version (uvarint),
 * then the message. The key is null. A list is what a decision wants appended, in order; it becomes
 * one batch, so that it is committed whole or not at all.
 *
 * Invariants:
 *  1. Every record in a list is completely encoded, in the version that the finalized
 *     metadata.version allows (metadata_record_version).
 *  2. The bytes lie in the list's arena.
 */
#ifndef KLAMM_CLUSTER_METADATA_RECORDS_H
#define KLAMM_CLUSTER_METADATA_RECORDS_H

#include "base/arena.h"
#include "base/bytes.h"
#include "protocol/batch_builder.h"
#include "protocol/record_types.h"

enum { METADATA_FRAME_VERSION = 1, METADATA_BATCH_SIZE_MAX = 8 * 1024 * 1024 };

struct metadata_frame {
    uint32_t type; /* enum metadata_record_type, or a number that we do not know */
    int16_t version;
};

/* Reads the frame; `in` stands behind it then. False when it is malformed. */
bool metadata_frame_read(struct reader *in, struct metadata_frame *frame);

struct metadata_records {
    struct arena *arena;
    struct view *values;
    size_t count;
    size_t capacity;
    size_t size; /* bytes of all values */
};

void metadata_records_init(struct metadata_records *records, struct arena *arena);
/*
 * Appends a record; `message` is the generated struct of `type`. False when the arena refuses, or
 * the message cannot be said in that version; the list is unchanged then.
 */
bool metadata_records_add(struct metadata_records *records, enum metadata_record_type type,
                          int16_t version, const void *message);
/* Appends a value that is encoded already; copied. */
bool metadata_records_add_value(struct metadata_records *records, struct view value);
/* The version to write a record in while metadata.version is `level`. */
int16_t metadata_record_version(enum metadata_record_type type, int16_t level);
/* Takes back everything behind the first `count` records. */
void metadata_records_cut(struct metadata_records *records, size_t count);

/*
 * One batch of all records in [from, to). Borrowed from the builder, which must have been
 * initialised; its options are set here. False when it would be too large or memory is refused.
 */
bool metadata_records_build(const struct metadata_records *records, size_t from, size_t to,
                            struct batch_builder *builder, int64_t base_offset,
                            int32_t leader_epoch, int64_t timestamp_ms, struct view *batch);

#endif
