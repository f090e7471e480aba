/*
 * The variable-length integers of base/bytes.h: seven bits a byte, low group first. A fifth (tenth)
 * byte may carry only the bits that are left of the width; anything more is malformed, so that one
 * number has no second, longer meaning that another decoder would read differently.
 */
#include "base/bytes.h"

uint32_t read_uvarint_slow(struct reader *reader)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        const uint8_t *p = reader_take(reader, 1);
        if (!p)
            return 0;
        if (shift == 28 && *p > 0x0f)
            break;
        value |= (uint32_t)(*p & 0x7f) << shift;
        if (!(*p & 0x80))
            return value;
    }
    reader->failed = true;
    return 0;
}

uint64_t read_uvarlong_slow(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t *p = reader_take(reader, 1);
        if (!p)
            return 0;
        if (shift == 63 && *p > 0x01)
            break;
        value |= (uint64_t)(*p & 0x7f) << shift;
        if (!(*p & 0x80))
            return value;
    }
    reader->failed = true;
    return 0;
}

void write_uvarint(struct writer *writer, uint32_t value)
{
    write_uvarlong(writer, value);
}

void write_uvarlong(struct writer *writer, uint64_t value)
{
    uint8_t *p = writer_reserve(writer, uvarlong_size(value));
    if (!p)
        return;
    while (value > 0x7f) {
        *p++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *p = (uint8_t)value;
}

size_t uvarint_size(uint32_t value)
{
    return uvarlong_size(value);
}

size_t uvarlong_size(uint64_t value)
{
    size_t size = 1;
    while (value > 0x7f) {
        value >>= 7;
        size++;
    }
    return size;
}
