/*
 * As the specification of xxHash says: four lanes over stripes of 16 bytes, folded, then the rest
 * in words and bytes, then the avalanche. Words are little-endian.
 */
#include "protocol/xxhash32.h"

static const uint32_t prime1 = 0x9e3779b1;
static const uint32_t prime2 = 0x85ebca77;
static const uint32_t prime3 = 0xc2b2ae3d;
static const uint32_t prime4 = 0x27d4eb2f;
static const uint32_t prime5 = 0x165667b1;

enum { STRIPE_SIZE = 16 };

static uint32_t rotate_left(uint32_t value, unsigned count)
{
    return value << count | value >> (32 - count);
}

static uint32_t load_little(const uint8_t *from)
{
    return __builtin_bswap32(load_u32(from));
}

static uint32_t lane_round(uint32_t lane, const uint8_t *word)
{
    return rotate_left(lane + load_little(word) * prime2, 13) * prime1;
}

uint32_t xxhash32(uint32_t seed, struct view bytes)
{
    const uint8_t *p = bytes.data;
    size_t left = bytes.size;
    uint32_t hash = seed + prime5;
    if (left >= STRIPE_SIZE) {
        uint32_t lanes[4] = {seed + prime1 + prime2, seed + prime2, seed, seed - prime1};
        for (; left >= STRIPE_SIZE; left -= STRIPE_SIZE, p += STRIPE_SIZE) {
            for (int i = 0; i < 4; i++)
                lanes[i] = lane_round(lanes[i], p + 4 * i);
        }
        hash = rotate_left(lanes[0], 1) + rotate_left(lanes[1], 7) + rotate_left(lanes[2], 12) +
               rotate_left(lanes[3], 18);
    }
    hash += (uint32_t)bytes.size;
    for (; left >= 4; left -= 4, p += 4)
        hash = rotate_left(hash + load_little(p) * prime3, 17) * prime4;
    for (; left > 0; left--, p++)
        hash = rotate_left(hash + *p * prime5, 11) * prime1;
    hash = (hash ^ hash >> 15) * prime2;
    hash = (hash ^ hash >> 13) * prime3;
    return hash ^ hash >> 16;
}
