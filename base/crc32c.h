/*
 * CRC-32C (Castagnoli), the checksum of record batches and of Klamm's own files.
 *
 * Invariants:
 *  1. crc32c(crc32c(0, a), b) equals crc32c(0, a followed by b): the seed is a finished checksum.
 *  2. Both implementations give the same answer for every input.
 */
#ifndef KLAMM_BASE_CRC32C_H
#define KLAMM_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * The checksum of `size` bytes behind bytes whose checksum is `seed` (0 at the start). Runs at
 * memory speed through ISA-L where the build found it, else through crc32c_portable.
 */
uint32_t crc32c(uint32_t seed, const void *data, size_t size);
/* The same in plain C, one byte at a time; public so that a test can hold both side by side. */
uint32_t crc32c_portable(uint32_t seed, const void *data, size_t size);

#endif
