/*
 * Universally unique ids as Kafka uses them: topic ids, directory ids, incarnation ids.
 *
 * Invariants:
 *  1. The bytes are in wire order, most significant half first; all zero means "none".
 *  2. The text form is URL-safe base64 without padding, always UUID_TEXT_SIZE characters. Only the
 *     canonical text is accepted: the four bits that 22 characters carry beyond 128 must be zero.
 */
#ifndef KLAMM_BASE_UUID_H
#define KLAMM_BASE_UUID_H

#include "base/bytes.h"

enum { UUID_SIZE = 16, UUID_TEXT_SIZE = 22 };

struct uuid {
    uint8_t bytes[UUID_SIZE];
};

#define UUID_ZERO ((struct uuid){{0}})

/* Kafka's reserved ids. */
#define UUID_ONE      ((struct uuid){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}})
#define UUID_METADATA UUID_ONE /* topic id of __cluster_metadata */

static inline bool uuid_is_zero(struct uuid id)
{
    return memcmp(id.bytes, UUID_ZERO.bytes, UUID_SIZE) == 0;
}

static inline bool uuid_equal(struct uuid a, struct uuid b)
{
    return memcmp(a.bytes, b.bytes, UUID_SIZE) == 0;
}

/* Unsigned byte order. */
static inline int uuid_compare(struct uuid a, struct uuid b)
{
    return memcmp(a.bytes, b.bytes, UUID_SIZE);
}

/* The id of two big-endian halves, and the halves (random ids, hashing). */
static inline struct uuid uuid_of_halves(uint64_t most, uint64_t least)
{
    struct uuid id;
    store_u64(id.bytes, most);
    store_u64(id.bytes + 8, least);
    return id;
}

static inline uint64_t uuid_most(struct uuid id)
{
    return load_u64(id.bytes);
}

static inline uint64_t uuid_least(struct uuid id)
{
    return load_u64(id.bytes + 8);
}

/*
 * A version 4 id (RFC 9562) from two random words. Its text may begin with '-'; Kafka draws again
 * then, and so should the caller (uuid_text_begins_with_dash), because such ids confuse command
 * lines.
 */
struct uuid uuid_of_random(uint64_t most, uint64_t least);
bool uuid_text_begins_with_dash(struct uuid id);

/* Writes UUID_TEXT_SIZE characters and a NUL. */
void uuid_format(struct uuid id, char text[UUID_TEXT_SIZE + 1]);
/* Reads the text form; false, and *id zero, when it is not canonical. */
bool uuid_parse(struct view text, struct uuid *id);

#endif
