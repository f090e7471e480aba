/*
 * The field of a message that holds record batches.
 *
 * Decoding sets `memory` to the bytes in the frame. For encoding there are two forms: `memory`, and
 * `external`, bytes that somebody else owns (a file range, a list of ranges) and that the encoder
 * never touches: it writes the length, and notes a splice where they belong
 * (protocol/message_writer.h).
 *
 * Invariants:
 *  1. `external` and a non-null `memory` are not set together.
 *  2. Both NULL is the null field.
 */
#ifndef KLAMM_PROTOCOL_RECORDS_FIELD_H
#define KLAMM_PROTOCOL_RECORDS_FIELD_H

#include "base/bytes.h"

struct records_field {
    struct view memory;
    const void *external;   /* owner's handle, not read here; NULL: none */
    uint32_t external_size; /* bytes */
};

#define RECORDS_NULL ((struct records_field){{NULL, 0}, NULL, 0})

static inline bool records_is_null(const struct records_field *field)
{
    return field->memory.data == NULL && field->external == NULL;
}

/* Bytes of the records in either form. */
static inline size_t records_size(const struct records_field *field)
{
    return field->external ? field->external_size : field->memory.size;
}

#endif
