/*
 * What the codecs and protocol/compression.c agree on; no other file includes this.
 *
 * Each codec appends to `output` and may leave half-written bytes behind on failure: the caller
 * cuts them off. Inputs to compress are at most 2^31 - 1 bytes.
 */
#ifndef KLAMM_PROTOCOL_COMPRESSION_INTERNAL_H
#define KLAMM_PROTOCOL_COMPRESSION_INTERNAL_H

#include "protocol/compression.h"

/* Why buffer_reserve refused `more` bytes: TOO_LARGE for its own limit, else OUT_OF_MEMORY. */
enum compression_result compression_refused(const struct buffer *output, size_t more);

/*
 * Memory for libraries that give blocks back without their size: the size stands before the block.
 * Opaque is the `struct heap`; NULL when refused.
 */
void *compression_block_get(struct heap *heap, size_t size);
void compression_block_put(struct heap *heap, void *block);

/* One pair a codec; contracts as in protocol/compression.h. */
enum compression_result compression_gzip_decompress(struct view input, size_t limit,
                                                    struct buffer *output);
enum compression_result compression_gzip_compress(int level, struct view input,
                                                  struct buffer *output);
enum compression_result compression_snappy_decompress(struct view input, size_t limit,
                                                      struct buffer *output);
enum compression_result compression_snappy_compress(struct view input, struct buffer *output);
enum compression_result compression_lz4_decompress(struct view input, size_t limit,
                                                   struct buffer *output);
enum compression_result compression_lz4_compress(int level, struct view input,
                                                 struct buffer *output);
enum compression_result compression_zstd_decompress(struct view input, size_t limit,
                                                    struct buffer *output);
enum compression_result compression_zstd_compress(int level, struct view input,
                                                  struct buffer *output);

#endif
