/*
 * Hashing of keys for maps and for spreading work: seeded, fast, the same on every machine.
 *
 * Not for secrets and not for anything on disk: the function may change between versions. Maps that
 * hold names chosen by clients take a seed drawn at start, so that collisions cannot be prepared.
 */
#ifndef KLAMM_BASE_HASH_H
#define KLAMM_BASE_HASH_H

#include <stdint.h>

#include "base/bytes.h"

__extension__ typedef unsigned __int128 hash_product;

/* Both halves of the 128-bit product of two words, folded into one. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    hash_product product = (hash_product)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * The hash of one integer. Different integers have different hashes under one seed; every bit of
 * the hash depends on every bit of the integer.
 */
static inline uint64_t hash_u64(uint64_t seed, uint64_t value)
{
    uint64_t hash = value ^ (seed + 0x9e3779b97f4a7c15u) * 0xd1b54a32d192ed03u;
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return hash ^ hash >> 31;
}

/* The hash of a range of bytes; null and empty hash alike. */
uint64_t hash_bytes(uint64_t seed, struct view bytes);

#endif
