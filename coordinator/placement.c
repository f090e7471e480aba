/* Decodes code point by code point; one beyond 16 bits is a pair of units. */
#include "coordinator/placement.h"

#include "base/assert.h"

enum { REPLACEMENT = 0xfffd };

static bool is_between(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

/* What a first byte asks for: bytes that follow, and the range of the first of them. */
struct utf8_form {
    uint8_t more;
    uint8_t low;
    uint8_t high;
};

static bool form_of(uint8_t first, struct utf8_form *form)
{
    *form = (struct utf8_form){.more = 1, .low = 0x80, .high = 0xbf};
    if (is_between(first, 0xc2, 0xdf))
        return true;
    form->more = 2;
    if (first == 0xe0)
        form->low = 0xa0;
    if (first == 0xed)
        form->high = 0x9f; /* what follows would be half of a pair */
    if (is_between(first, 0xe0, 0xef))
        return true;
    form->more = 3;
    if (first == 0xf0)
        form->low = 0x90;
    if (first == 0xf4)
        form->high = 0x8f;
    return is_between(first, 0xf0, 0xf4);
}

/* The next code point; `reader` is not at its end. */
static uint32_t next_code_point(struct reader *reader)
{
    uint8_t first = read_u8(reader);
    if (first < 0x80)
        return first;
    struct utf8_form form;
    if (!form_of(first, &form))
        return REPLACEMENT;
    uint32_t point = first & (0x3fu >> form.more);
    for (unsigned i = 0; i < form.more; i++) {
        uint8_t low = i == 0 ? form.low : 0x80;
        uint8_t high = i == 0 ? form.high : 0xbf;
        if (reader_left(reader) == 0 || !is_between(*reader->next, low, high))
            return REPLACEMENT;
        point = point << 6 | (read_u8(reader) & 0x3fu);
    }
    return point;
}

int32_t placement_hash(struct view key)
{
    struct reader reader = reader_of(key);
    uint32_t hash = 0;
    while (reader_left(&reader) > 0) {
        uint32_t point = next_code_point(&reader);
        if (point >= 0x10000) {
            hash = 31 * hash + (0xd800 + ((point - 0x10000) >> 10));
            point = 0xdc00 + ((point - 0x10000) & 0x3ff);
        }
        hash = 31 * hash + point;
    }
    return (int32_t)hash;
}

int32_t placement_partition(struct view key, int32_t partition_count)
{
    klamm_assert(partition_count > 0);
    int32_t hash = placement_hash(key);
    if (hash == INT32_MIN) /* has no absolute value; Kafka takes 0 */
        return 0;
    return (hash < 0 ? -hash : hash) % partition_count;
}
