/*
 * Eight bytes at a time are mixed in by a folded multiplication. The last, short word is padded
 * with zeros; the size goes in at the end, so that padding cannot make two keys alike.
 */
#include "base/hash.h"

uint64_t hash_bytes(uint64_t seed, struct view bytes)
{
    uint64_t hash = seed ^ 0x8ebc6af09c88c6e3u;
    const uint8_t *p = bytes.data;
    size_t left = bytes.size;
    while (left >= 8) {
        hash = hash_fold(hash ^ load_u64(p), 0x9e3779b97f4a7c15u);
        p += 8;
        left -= 8;
    }
    if (left > 0) {
        uint8_t padded[8] = {0};
        memcpy(padded, p, left);
        hash = hash_fold(hash ^ load_u64(padded), 0xbf58476d1ce4e5b9u);
    }
    return hash_fold(hash ^ bytes.size, 0x94d049bb133111ebu ^ seed);
}
