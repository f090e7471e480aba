/*
 * Where encoders write: memory, and a list of the places where bytes that are not in that memory
 * belong.
 *
 * A message goes out as bytes[0, splices[0].position), external bytes of splices[0],
 * bytes[splices[0].position, splices[1].position), and so on.
 *
 * Invariants:
 *  1. Splices are in rising order of position; each lies inside the bytes written.
 *  2. external_size is the sum of the sizes of all splices.
 *  3. Failure is sticky: memory too small, no free splice, or a value that the version cannot
 *     carry. What was written before is worthless then.
 */
#ifndef KLAMM_PROTOCOL_MESSAGE_WRITER_H
#define KLAMM_PROTOCOL_MESSAGE_WRITER_H

#include "base/bytes.h"

struct splice {
    size_t position;      /* in the bytes: the external bytes come before the byte at position */
    const void *external; /* as in struct records_field */
    uint32_t size;        /* bytes */
};

struct message_writer {
    struct writer bytes;
    struct splice *splices; /* caller's array; NULL when no message has external bytes */
    size_t splice_count;
    size_t splice_capacity;
    uint64_t external_size; /* bytes of all splices */
};

/* A writer of `size` bytes at `data` that has no room for splices. */
static inline struct message_writer message_writer_of(void *data, size_t size)
{
    return (struct message_writer){.bytes = writer_of(data, size)};
}

/* A writer that notes at most `capacity` splices. */
static inline struct message_writer
message_writer_with_splices(void *data, size_t size, struct splice *splices, size_t capacity)
{
    return (struct message_writer){
        .bytes = writer_of(data, size), .splices = splices, .splice_capacity = capacity};
}

static inline bool message_writer_failed(const struct message_writer *writer)
{
    return writer->bytes.failed;
}

#endif
