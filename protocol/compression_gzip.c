/*
 * RFC 1952 through zlib. Several members in a row are one stream, as gzip readers do; anything else
 * behind a member is refused. Output grows as it comes, never past the limit, so a bomb costs at
 * most the limit.
 */
#include <zlib.h>

#include "base/assert.h"
#include "protocol/compression_internal.h"

enum { GZIP_WINDOW_BITS = 15 + 16, MEMORY_LEVEL = 8, STEP_SIZE_MIN = 4096 };

static void *zlib_get(void *heap, uInt count, uInt size)
{
    return compression_block_get(heap, (size_t)count * size);
}

static void zlib_put(void *heap, void *block)
{
    compression_block_put(heap, block);
}

static z_stream stream_over(struct view input, struct heap *heap)
{
    return (z_stream){
        .next_in = (Bytef *)(uintptr_t)input.data, /* zlib only reads it */
        .avail_in = (uInt)input.size,
        .zalloc = zlib_get,
        .zfree = zlib_put,
        .opaque = heap,
    };
}

/* Room for the next piece: doubles what is there, at most one byte past the limit. */
static bool make_room(struct buffer *output, size_t produced, size_t limit)
{
    size_t step = produced < STEP_SIZE_MIN ? STEP_SIZE_MIN : produced;
    size_t left = limit - produced;
    return buffer_reserve(output, step < left ? step : left);
}

static enum compression_result inflate_all(z_stream *stream, size_t limit, struct buffer *output)
{
    size_t start = output->size;
    for (;;) {
        size_t produced = output->size - start;
        size_t room = buffer_room(output);
        if (room == 0 && produced < limit) {
            if (!make_room(output, produced, limit))
                return compression_refused(output, 1);
            room = buffer_room(output);
        }
        if (room > limit - produced)
            room = limit - produced;
        uint8_t spare; /* at the limit one more byte shows whether there is more */
        stream->next_out = room > 0 ? buffer_end(output) : &spare;
        stream->avail_out = room > 0 ? (uInt)room : 1;
        uInt offered = stream->avail_out;
        int result = inflate(stream, Z_NO_FLUSH);
        uInt written = offered - stream->avail_out;
        if (room > 0)
            output->size += written;
        else if (written > 0)
            return COMPRESSION_TOO_LARGE;
        if (result == Z_MEM_ERROR)
            return COMPRESSION_OUT_OF_MEMORY;
        if (result == Z_STREAM_END) {
            if (stream->avail_in == 0)
                return COMPRESSION_OK;
            (void)inflateReset(stream);
        } else if (result != Z_OK || (written == 0 && stream->avail_in == 0)) {
            return COMPRESSION_CORRUPT;
        }
    }
}

enum compression_result compression_gzip_decompress(struct view input, size_t limit,
                                                    struct buffer *output)
{
    if (input.size > INT32_MAX)
        return COMPRESSION_TOO_LARGE;
    if (limit > INT32_MAX)
        limit = INT32_MAX;
    z_stream stream = stream_over(input, output->heap);
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK)
        return COMPRESSION_OUT_OF_MEMORY;
    enum compression_result result = inflate_all(&stream, limit, output);
    (void)inflateEnd(&stream);
    return result;
}

enum compression_result compression_gzip_compress(int level, struct view input,
                                                  struct buffer *output)
{
    z_stream stream = stream_over(input, output->heap);
    if (deflateInit2(&stream, level, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return COMPRESSION_OUT_OF_MEMORY;
    size_t bound = deflateBound(&stream, (uLong)input.size);
    size_t most = output->limit ? output->limit - output->size : bound;
    if (most > bound)
        most = bound;
    if (!buffer_reserve(output, most)) {
        (void)deflateEnd(&stream);
        return compression_refused(output, most);
    }
    stream.next_out = buffer_end(output);
    stream.avail_out = (uInt)most;
    int result = deflate(&stream, Z_FINISH);
    output->size += most - stream.avail_out;
    (void)deflateEnd(&stream);
    return result == Z_STREAM_END ? COMPRESSION_OK : COMPRESSION_TOO_LARGE;
}
