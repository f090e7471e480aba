/*
 * The switch between the codecs, one source file each (compression_<codec>.c), and what they share:
 * undoing a failed append to the output.
 */
#include "protocol/compression.h"

#include "base/assert.h"
#include "protocol/compression_internal.h"

static enum compression_result copy(struct view input, struct buffer *output)
{
    size_t most = output->limit ? output->limit - output->size : SIZE_MAX;
    if (input.size > most)
        return COMPRESSION_TOO_LARGE;
    return buffer_append(output, input.data, input.size) ? COMPRESSION_OK
                                                         : COMPRESSION_OUT_OF_MEMORY;
}

enum compression_result compression_refused(const struct buffer *output, size_t more)
{
    if (output->limit != 0 && more > output->limit - output->size)
        return COMPRESSION_TOO_LARGE;
    return COMPRESSION_OUT_OF_MEMORY;
}

static enum compression_result decompress(enum compression_codec codec, struct view input,
                                          size_t limit, struct buffer *output)
{
    switch (codec) {
    case COMPRESSION_NONE:
        return input.size > limit ? COMPRESSION_TOO_LARGE : copy(input, output);
    case COMPRESSION_GZIP:
        return compression_gzip_decompress(input, limit, output);
    case COMPRESSION_SNAPPY:
        return compression_snappy_decompress(input, limit, output);
    case COMPRESSION_LZ4:
        return compression_lz4_decompress(input, limit, output);
    case COMPRESSION_ZSTD:
        return compression_zstd_decompress(input, limit, output);
    case COMPRESSION_CODECS:
        break;
    }
    return COMPRESSION_UNKNOWN_CODEC;
}

enum compression_result compression_decompress(enum compression_codec codec, struct view input,
                                               size_t limit, struct buffer *output)
{
    size_t size_before = output->size;
    enum compression_result result = decompress(codec, input, limit, output);
    klamm_assert(output->size - size_before <= limit);
    if (result != COMPRESSION_OK)
        output->size = size_before;
    return result;
}

static enum compression_result compress(enum compression_codec codec, int level, struct view input,
                                        struct buffer *output)
{
    switch (codec) {
    case COMPRESSION_NONE:
        return copy(input, output);
    case COMPRESSION_GZIP:
        return compression_gzip_compress(level, input, output);
    case COMPRESSION_SNAPPY:
        return compression_snappy_compress(input, output);
    case COMPRESSION_LZ4:
        return compression_lz4_compress(level, input, output);
    case COMPRESSION_ZSTD:
        return compression_zstd_compress(level, input, output);
    case COMPRESSION_CODECS:
        break;
    }
    return COMPRESSION_UNKNOWN_CODEC;
}

enum compression_result compression_compress(enum compression_codec codec, int level,
                                             struct view input, struct buffer *output)
{
    if (codec < COMPRESSION_CODECS)
        klamm_assert(compression_level_is_valid(codec, level));
    if (input.size > INT32_MAX)
        return COMPRESSION_TOO_LARGE;
    size_t size_before = output->size;
    enum compression_result result = compress(codec, level, input, output);
    if (result != COMPRESSION_OK)
        output->size = size_before;
    return result;
}

int compression_level_default(enum compression_codec codec)
{
    switch (codec) {
    case COMPRESSION_GZIP:
        return -1;
    case COMPRESSION_LZ4:
        return 9;
    case COMPRESSION_ZSTD:
        return 3;
    case COMPRESSION_NONE:
    case COMPRESSION_SNAPPY:
    case COMPRESSION_CODECS:
        break;
    }
    return 0;
}

bool compression_level_is_valid(enum compression_codec codec, int level)
{
    switch (codec) {
    case COMPRESSION_GZIP:
        return level == -1 || (level >= 1 && level <= 9);
    case COMPRESSION_LZ4:
        return level >= 1 && level <= 17;
    case COMPRESSION_ZSTD:
        return level >= -131072 && level <= 22;
    case COMPRESSION_NONE:
    case COMPRESSION_SNAPPY:
    case COMPRESSION_CODECS:
        break;
    }
    return true;
}

static const char *const names[COMPRESSION_CODECS] = {"none", "gzip", "snappy", "lz4", "zstd"};

const char *compression_codec_name(unsigned codec)
{
    return codec < COMPRESSION_CODECS ? names[codec] : "unknown";
}

bool compression_codec_parse(struct view name, enum compression_codec *codec)
{
    if (view_equal(name, VIEW_LITERAL("uncompressed"))) {
        *codec = COMPRESSION_NONE;
        return true;
    }
    for (unsigned i = 0; i < COMPRESSION_CODECS; i++) {
        if (view_equal(name, view_of_string(names[i]))) {
            *codec = (enum compression_codec)i;
            return true;
        }
    }
    return false;
}
