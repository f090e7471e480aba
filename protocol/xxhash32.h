/*
 * XXH32, the checksum inside LZ4 frames (the block library does not export its own).
 */
#ifndef KLAMM_PROTOCOL_XXHASH32_H
#define KLAMM_PROTOCOL_XXHASH32_H

#include "base/bytes.h"

/* The 32-bit hash of a range of bytes. */
uint32_t xxhash32(uint32_t seed, struct view bytes);

#endif
