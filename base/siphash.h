/*
 * SipHash-2-4 with 128 bits (Aumasson and Bernstein, 2012): a keyed hash for which nobody can
 * prepare collisions without the key. For deciding that two keys are the same without keeping them.
 *
 * The result depends on the key only; whoever keeps hashes in memory draws a key of its own.
 */
#ifndef KLAMM_BASE_SIPHASH_H
#define KLAMM_BASE_SIPHASH_H

#include <stdint.h>

#include "base/bytes.h"

struct siphash_key {
    uint64_t k0;
    uint64_t k1;
};

struct siphash {
    uint64_t low;  /* the first eight bytes of the result, little-endian */
    uint64_t high; /* the other eight */
};

/* The hash of a range of bytes; null and empty hash alike. */
struct siphash siphash_bytes(struct siphash_key key, struct view bytes);

#endif
