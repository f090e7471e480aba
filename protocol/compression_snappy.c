/*
 * Snappy has no frame of its own. Two are in use among Kafka's clients: one raw block over all
 * records, and the xerial stream: magic 82 "SNAPPY" 0, int32 version, int32 compatible version,
 * then pairs of int32 size and raw block. Both are read; the stream is written, in blocks of 32 KiB
 * of input, as Java does.
 *
 * A stream of nothing is only its header, which no raw block of 16 bytes can look like.
 *
 * A raw block begins with its decompressed size, so the limit is checked before memory is taken. No
 * element of two bytes or more gives more than 64, so a size beyond that ratio is a lie.
 */
#include <snappy-c.h>

#include "protocol/compression_internal.h"

enum { XERIAL_HEADER_SIZE = 16, XERIAL_BLOCK_SIZE = 32 * 1024, ELEMENT_OUTPUT_MAX = 64 };

static const uint8_t xerial_header[XERIAL_HEADER_SIZE] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                          0,    0,   0,   1,   0,   0,   0,   1};
enum { XERIAL_MAGIC_SIZE = 8 };

/* Decompresses one raw block to the end of the output; `*left` is what the limit still grants. */
static enum compression_result block_decompress(struct view block, size_t *left,
                                                struct buffer *output)
{
    size_t size;
    const char *bytes = (const char *)block.data;
    if (block.size == 0 || snappy_uncompressed_length(bytes, block.size, &size) != SNAPPY_OK)
        return COMPRESSION_CORRUPT;
    if (size / ELEMENT_OUTPUT_MAX > block.size)
        return COMPRESSION_CORRUPT;
    if (size > *left)
        return COMPRESSION_TOO_LARGE;
    if (!buffer_reserve(output, size))
        return compression_refused(output, size);
    if (snappy_uncompress(bytes, block.size, (char *)buffer_end(output), &size) != SNAPPY_OK)
        return COMPRESSION_CORRUPT;
    output->size += size;
    *left -= size;
    return COMPRESSION_OK;
}

enum compression_result compression_snappy_decompress(struct view input, size_t limit,
                                                      struct buffer *output)
{
    bool xerial = input.size >= XERIAL_HEADER_SIZE &&
                  memcmp(input.data, xerial_header, XERIAL_MAGIC_SIZE) == 0;
    if (!xerial)
        return block_decompress(input, &limit, output);
    struct reader reader = reader_of(input);
    (void)reader_take(&reader, XERIAL_HEADER_SIZE);
    while (reader_left(&reader) > 0) {
        uint32_t size = read_u32(&reader);
        const uint8_t *block = reader_take(&reader, size);
        if (!block)
            return COMPRESSION_CORRUPT;
        enum compression_result result = block_decompress(view_of(block, size), &limit, output);
        if (result != COMPRESSION_OK)
            return result;
    }
    return COMPRESSION_OK;
}

enum compression_result compression_snappy_compress(struct view input, struct buffer *output)
{
    if (!buffer_append(output, xerial_header, XERIAL_HEADER_SIZE))
        return compression_refused(output, XERIAL_HEADER_SIZE);
    for (size_t place = 0; place < input.size; place += XERIAL_BLOCK_SIZE) {
        size_t left = input.size - place;
        size_t size = left < XERIAL_BLOCK_SIZE ? left : XERIAL_BLOCK_SIZE;
        size_t written = snappy_max_compressed_length(size);
        if (!buffer_reserve(output, 4 + written))
            return compression_refused(output, 4 + written);
        uint8_t *to = buffer_end(output);
        if (snappy_compress((const char *)input.data + place, size, (char *)to + 4, &written) !=
            SNAPPY_OK)
            return COMPRESSION_OUT_OF_MEMORY;
        store_u32(to, (uint32_t)written);
        output->size += 4 + written;
    }
    return COMPRESSION_OK;
}
