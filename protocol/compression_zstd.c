/*
 * Zstandard through libzstd in one shot: decoding straight into the output needs no window buffer,
 * so a frame header that asks for a window of gigabytes costs nothing. Room comes from the bound
 * that the library computes from block headers (it is tight within one block), cut to the limit.
 *
 * The contexts' memory comes from our heap. That takes the part of the library's interface that is
 * called static-linking-only: it is exported by the shared library, and may change between its
 * versions, in which case this file does not compile; nothing else depends on it.
 */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "protocol/compression_internal.h"

static void *zstd_get(void *heap, size_t size)
{
    return compression_block_get(heap, size);
}

static void zstd_put(void *heap, void *block)
{
    compression_block_put(heap, block);
}

static ZSTD_customMem memory_of(struct heap *heap)
{
    return (ZSTD_customMem){.customAlloc = zstd_get, .customFree = zstd_put, .opaque = heap};
}

static enum compression_result result_of(size_t code)
{
    if (!ZSTD_isError(code))
        return COMPRESSION_OK;
    ZSTD_ErrorCode error = ZSTD_getErrorCode(code);
    if (error == ZSTD_error_dstSize_tooSmall)
        return COMPRESSION_TOO_LARGE;
    if (error == ZSTD_error_memory_allocation)
        return COMPRESSION_OUT_OF_MEMORY;
    return COMPRESSION_CORRUPT;
}

enum compression_result compression_zstd_decompress(struct view input, size_t limit,
                                                    struct buffer *output)
{
    unsigned long long bound = ZSTD_decompressBound(input.data, input.size);
    if (input.size == 0 || bound == ZSTD_CONTENTSIZE_ERROR)
        return COMPRESSION_CORRUPT;
    size_t room = bound < limit ? (size_t)bound : limit;
    if (!buffer_reserve(output, room))
        return compression_refused(output, room);
    ZSTD_DCtx *context = ZSTD_createDCtx_advanced(memory_of(output->heap));
    if (!context)
        return COMPRESSION_OUT_OF_MEMORY;
    size_t written = ZSTD_decompressDCtx(context, buffer_end(output), room, input.data, input.size);
    (void)ZSTD_freeDCtx(context);
    enum compression_result result = result_of(written);
    if (result == COMPRESSION_OK)
        output->size += written;
    /* With room for all that the blocks can hold, lack of room means that they lie. */
    if (result == COMPRESSION_TOO_LARGE && room == bound)
        return COMPRESSION_CORRUPT;
    return result;
}

enum compression_result compression_zstd_compress(int level, struct view input,
                                                  struct buffer *output)
{
    size_t room = ZSTD_compressBound(input.size);
    if (output->limit != 0 && room > output->limit - output->size)
        room = output->limit - output->size;
    if (!buffer_reserve(output, room))
        return compression_refused(output, room);
    ZSTD_CCtx *context = ZSTD_createCCtx_advanced(memory_of(output->heap));
    if (!context)
        return COMPRESSION_OUT_OF_MEMORY;
    size_t written = ZSTD_compressCCtx(context, buffer_end(output), room, input.data, input.size,
                                       level == 0 ? ZSTD_defaultCLevel() : level);
    (void)ZSTD_freeCCtx(context);
    enum compression_result result = result_of(written);
    if (result == COMPRESSION_OK)
        output->size += written;
    return result;
}
