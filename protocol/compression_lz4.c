/*
 * LZ4 frames, written and read here over the library's block functions: the library's own frame
 * layer takes its memory from the C library, accepts linked blocks, which Java consumers refuse,
 * and dictionaries, which no Kafka client knows.
 *
 *  frame   magic 04 22 4d 18 (little-endian 0x184d2204)
 *          FLG: bits 7-6 version 01, 5 blocks independent, 4 block checksum, 3 content size,
 *               2 content checksum, 1 reserved, 0 dictionary id
 *          BD:  bits 6-4 largest block (4: 64 KiB to 7: 4 MiB), others reserved
 *          content size u64 when its flag is set; header checksum u8, from xxh32 over FLG and on
 *          blocks: u32 size (top bit: stored as is), bytes, u32 xxh32 when its flag is set
 *          u32 0: end; u32 content checksum when its flag is set
 *
 * Read strictly as a Java consumer does: version 01, independent blocks, header and block checksums
 * verified, content size and content checksum skipped. One frame, nothing behind it.
 */
#include <lz4.h>
#include <lz4hc.h>
#include <xxhash.h>

#include "base/assert.h"
#include "protocol/compression_internal.h"

enum {
    FLAG_VERSION_MASK = 0xc0,
    FLAG_VERSION_1 = 0x40,
    FLAG_INDEPENDENT = 0x20,
    FLAG_BLOCK_CHECKSUM = 0x10,
    FLAG_CONTENT_SIZE = 0x08,
    FLAG_CONTENT_CHECKSUM = 0x04,
    FLAG_RESERVED = 0x02,
    FLAG_DICTIONARY = 0x01,
    DESCRIPTOR_64_KIB = 0x40,
    BLOCK_SIZE = 64 * 1024,
};

static const uint32_t frame_magic = 0x184d2204;
static const uint32_t block_stored = 0x80000000;

static uint32_t read_u32_little(struct reader *reader)
{
    return __builtin_bswap32(read_u32(reader));
}

struct frame {
    uint8_t flags;
    size_t block_size_max;
};

/* The second byte of the checksum over a descriptor. */
static uint8_t header_checksum(const uint8_t *descriptor, size_t size)
{
    return (uint8_t)(XXH32(descriptor, size, 0) >> 8);
}

static bool read_frame_header(struct reader *reader, struct frame *frame)
{
    if (read_u32_little(reader) != frame_magic)
        return false;
    const uint8_t *descriptor = reader->next;
    frame->flags = read_u8(reader);
    uint8_t sizes = read_u8(reader);
    if (frame->flags & FLAG_CONTENT_SIZE)
        (void)read_u64(reader);
    size_t descriptor_size = (size_t)(reader->next - descriptor);
    uint8_t checksum = read_u8(reader);
    if (reader->failed || checksum != header_checksum(descriptor, descriptor_size))
        return false;
    unsigned size_class = sizes >> 4;
    if ((frame->flags & FLAG_VERSION_MASK) != FLAG_VERSION_1 ||
        !(frame->flags & FLAG_INDEPENDENT) || (frame->flags & (FLAG_RESERVED | FLAG_DICTIONARY)) ||
        (sizes & 0x0f) || size_class < 4 || size_class > 7)
        return false;
    frame->block_size_max = (size_t)1 << (8 + 2 * size_class);
    return true;
}

/* One block to the end of the output; `*left` is what the limit still grants. */
static enum compression_result read_block(struct reader *reader, const struct frame *frame,
                                          uint32_t size_field, size_t *left, struct buffer *output)
{
    size_t size = size_field & ~block_stored;
    const uint8_t *block = size <= frame->block_size_max ? reader_take(reader, size) : NULL;
    if (!block)
        return COMPRESSION_CORRUPT;
    if (frame->flags & FLAG_BLOCK_CHECKSUM && read_u32_little(reader) != XXH32(block, size, 0))
        return COMPRESSION_CORRUPT;
    if (size_field & block_stored) {
        if (size > *left)
            return COMPRESSION_TOO_LARGE;
        if (!buffer_append(output, block, size))
            return compression_refused(output, size);
        *left -= size;
        return COMPRESSION_OK;
    }
    /* With less room than a block may need, a failure is taken for lack of room. */
    size_t room = frame->block_size_max < *left ? frame->block_size_max : *left;
    if (!buffer_reserve(output, room))
        return compression_refused(output, room);
    int written =
        LZ4_decompress_safe((const char *)block, (char *)buffer_end(output), (int)size, (int)room);
    if (written < 0)
        return room < frame->block_size_max ? COMPRESSION_TOO_LARGE : COMPRESSION_CORRUPT;
    output->size += (size_t)written;
    *left -= (size_t)written;
    return COMPRESSION_OK;
}

enum compression_result compression_lz4_decompress(struct view input, size_t limit,
                                                   struct buffer *output)
{
    struct reader reader = reader_of(input);
    struct frame frame;
    if (!read_frame_header(&reader, &frame))
        return COMPRESSION_CORRUPT;
    for (;;) {
        uint32_t size_field = read_u32_little(&reader);
        if (reader.failed)
            return COMPRESSION_CORRUPT;
        if (size_field == 0)
            break;
        enum compression_result result = read_block(&reader, &frame, size_field, &limit, output);
        if (result != COMPRESSION_OK)
            return result;
    }
    if (frame.flags & FLAG_CONTENT_CHECKSUM)
        (void)read_u32(&reader);
    return !reader.failed && reader_left(&reader) == 0 ? COMPRESSION_OK : COMPRESSION_CORRUPT;
}

/*
 * Kafka's default level 9 means the fast compressor; any other level is one of the slow one's,
 * which knows 12 and takes larger ones for that.
 */
static size_t state_size(bool fast)
{
    return (size_t)(fast ? LZ4_sizeofState() : LZ4_sizeofStateHC());
}

/* One block of at most 64 KiB with its size field. */
static bool write_block(void *state, bool fast, int level, struct view block, struct buffer *output)
{
    if (!buffer_reserve(output, 4 + block.size))
        return false;
    uint8_t *to = buffer_end(output);
    const char *from = (const char *)block.data;
    /* Capacity one below the input: what does not get smaller is stored. */
    int size = (int)block.size;
    int written =
        fast ? LZ4_compress_fast_extState(state, from, (char *)to + 4, size, size - 1, 1)
             : LZ4_compress_HC_extStateHC(state, from, (char *)to + 4, size, size - 1, level);
    uint32_t size_field = (uint32_t)written;
    if (written <= 0) {
        memcpy(to + 4, block.data, block.size);
        written = size;
        size_field = (uint32_t)size | block_stored;
    }
    store_u32(to, __builtin_bswap32(size_field));
    output->size += 4 + (size_t)written;
    return true;
}

static bool write_frame_start(struct buffer *output)
{
    uint8_t start[7];
    store_u32(start, __builtin_bswap32(frame_magic));
    start[4] = FLAG_VERSION_1 | FLAG_INDEPENDENT;
    start[5] = DESCRIPTOR_64_KIB;
    start[6] = header_checksum(start + 4, 2);
    return buffer_append(output, start, sizeof(start));
}

enum compression_result compression_lz4_compress(int level, struct view input,
                                                 struct buffer *output)
{
    bool fast = level == compression_level_default(COMPRESSION_LZ4);
    void *state = heap_get(output->heap, MEMORY_SCRATCH, state_size(fast));
    if (!state)
        return COMPRESSION_OUT_OF_MEMORY;
    bool written = write_frame_start(output);
    for (size_t place = 0; written && place < input.size; place += BLOCK_SIZE) {
        size_t left = input.size - place;
        struct view block = view_of(input.data + place, left < BLOCK_SIZE ? left : BLOCK_SIZE);
        written = write_block(state, fast, level, block, output);
    }
    static const uint8_t end_mark[4];
    written = written && buffer_append(output, end_mark, sizeof(end_mark));
    heap_put(output->heap, MEMORY_SCRATCH, state, state_size(fast));
    return written ? COMPRESSION_OK : compression_refused(output, 4 + BLOCK_SIZE);
}
