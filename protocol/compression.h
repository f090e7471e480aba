/*
 * The codecs of record batches: bytes in, bytes out, with a bound on what may come out.
 *
 * Framing is what Kafka's clients write and read: gzip with one or more members; snappy as one raw
 * block or in the xerial stream; LZ4 frames of independent blocks; zstd frames.
 *
 * Invariants:
 *  1. Decompression never produces, nor reserves, more than the caller's limit: a small batch that
 *     unfolds into gigabytes is refused with COMPRESSION_TOO_LARGE before the memory is taken.
 *  2. Equal input, codec and level give equal output; nothing is kept between calls, so that any
 *     thread may run a call on a heap of its own.
 *  3. Working memory comes from the output buffer's heap, except the hash table that snappy takes
 *     while it compresses (its interface offers no other way).
 */
#ifndef KLAMM_PROTOCOL_COMPRESSION_H
#define KLAMM_PROTOCOL_COMPRESSION_H

#include "base/buffer.h"

/* The values of bits 0 to 2 of a batch's attributes. */
enum compression_codec {
    COMPRESSION_NONE = 0,
    COMPRESSION_GZIP = 1,
    COMPRESSION_SNAPPY = 2,
    COMPRESSION_LZ4 = 3,
    COMPRESSION_ZSTD = 4,
    COMPRESSION_CODECS
};

enum compression_result {
    COMPRESSION_OK,
    COMPRESSION_CORRUPT,       /* not the codec's format, cut short, or followed by other bytes */
    COMPRESSION_TOO_LARGE,     /* more than the limit would come out */
    COMPRESSION_OUT_OF_MEMORY, /* the heap refused */
    COMPRESSION_UNKNOWN_CODEC
};

/*
 * Appends the decompressed `input` to `output`, at most `limit` bytes. On failure `output` holds
 * what it held before. Codec NONE copies.
 */
enum compression_result compression_decompress(enum compression_codec codec, struct view input,
                                               size_t limit, struct buffer *output);
/*
 * Appends `input`, compressed, to `output`. `level` must be valid for the codec
 * (compression_level_is_valid); codecs without levels take any. COMPRESSION_TOO_LARGE when the
 * output buffer's own limit is reached. Codec NONE copies.
 */
enum compression_result compression_compress(enum compression_codec codec, int level,
                                             struct view input, struct buffer *output);

/* Kafka's default level (KIP-390): gzip -1, lz4 9, zstd 3; 0 for codecs without levels. */
int compression_level_default(enum compression_codec codec);
/* gzip -1 and 1 to 9, lz4 1 to 17, zstd -131072 to 22; any for the others. */
bool compression_level_is_valid(enum compression_codec codec, int level);
/* `none`, `gzip`, `snappy`, `lz4`, `zstd`; "unknown" for other numbers. */
const char *compression_codec_name(unsigned codec);
/* The codec of a name in lower case (`uncompressed` is `none`); false when there is none. */
bool compression_codec_parse(struct view name, enum compression_codec *codec);

#endif
