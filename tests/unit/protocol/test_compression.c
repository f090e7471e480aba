/*
 * Every codec: round trips at sizes around the block sizes, limits one byte apart, every cut,
 * flipped bytes, bombs, and refused memory. Then what each codec's framing must take and must not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <xxhash.h>

#include "base/random.h"
#include "protocol/compression.h"

enum { INPUT_SIZE_MAX = 300 * 1024 };

static uint8_t input_bytes[INPUT_SIZE_MAX];

/* Text-like bytes with stretches of noise, so that blocks of both kinds occur. */
static void fill_input(uint64_t seed)
{
    struct random_stream random;
    random_init(&random, seed, 0);
    for (size_t i = 0; i < INPUT_SIZE_MAX; i++) {
        bool noise = i / 20000 % 4 == 3;
        input_bytes[i] =
            noise ? (uint8_t)random_u64(&random) : (uint8_t)("abcabcab"[i % 8] + i / 997 % 3);
    }
}

static const enum compression_codec codecs[] = {
    COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_SNAPPY, COMPRESSION_LZ4, COMPRESSION_ZSTD};
enum { CODECS = sizeof(codecs) / sizeof(codecs[0]) };

static void compress(enum compression_codec codec, int level, struct view input,
                     struct buffer *output)
{
    buffer_clear(output);
    assert_int_equal(compression_compress(codec, level, input, output), COMPRESSION_OK);
}

static void expect_round_trip(enum compression_codec codec, int level, size_t size)
{
    struct heap heap;
    struct buffer packed, plain;
    heap_init_plain(&heap);
    buffer_init(&packed, &heap, MEMORY_SCRATCH, 0);
    buffer_init(&plain, &heap, MEMORY_SCRATCH, 0);
    struct view input = view_of(input_bytes, size);
    compress(codec, level, input, &packed);
    assert_true(buffer_append(&plain, "before", 6));
    assert_int_equal(compression_decompress(codec, buffer_view(&packed), size, &plain),
                     COMPRESSION_OK);
    assert_int_equal(plain.size, size + 6);
    assert_memory_equal(plain.data, "before", 6);
    assert_memory_equal(plain.data + 6, input_bytes, size);
    if (size > 0) {
        assert_int_equal(compression_decompress(codec, buffer_view(&packed), size - 1, &plain),
                         COMPRESSION_TOO_LARGE);
        assert_int_equal(plain.size, size + 6);
    }
    buffer_deinit(&packed);
    buffer_deinit(&plain);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
}

static void every_codec_gives_back_what_it_got(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        0,     1,     2,     15,    16,    17,     100,    4096,   32767,         32768,
        32769, 65535, 65536, 65537, 98304, 131072, 131073, 200000, INPUT_SIZE_MAX};
    fill_input(1);
    for (size_t codec = 0; codec < CODECS; codec++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            expect_round_trip(codecs[codec], compression_level_default(codecs[codec]), sizes[i]);
    }
}

static void every_level_gives_back_what_it_got(void **state)
{
    (void)state;
    fill_input(2);
    for (int level = -1; level <= 9; level++) {
        assert_int_equal(compression_level_is_valid(COMPRESSION_GZIP, level), level != 0);
        if (level != 0)
            expect_round_trip(COMPRESSION_GZIP, level, 20000);
    }
    for (int level = 1; level <= 17; level++)
        expect_round_trip(COMPRESSION_LZ4, level, 65537);
    static const int zstd_levels[] = {-131072, -5, -1, 0, 1, 3, 7, 22};
    for (size_t i = 0; i < sizeof(zstd_levels) / sizeof(zstd_levels[0]); i++)
        expect_round_trip(COMPRESSION_ZSTD, zstd_levels[i], 70000);
    assert_false(compression_level_is_valid(COMPRESSION_GZIP, 10));
    assert_false(compression_level_is_valid(COMPRESSION_GZIP, -2));
    assert_false(compression_level_is_valid(COMPRESSION_LZ4, 0));
    assert_false(compression_level_is_valid(COMPRESSION_LZ4, 18));
    assert_false(compression_level_is_valid(COMPRESSION_ZSTD, 23));
    assert_false(compression_level_is_valid(COMPRESSION_ZSTD, -131073));
    assert_true(compression_level_is_valid(COMPRESSION_SNAPPY, 99));
}

static void equal_input_gives_equal_output(void **state)
{
    (void)state;
    struct heap heap;
    struct buffer first, second;
    heap_init_plain(&heap);
    buffer_init(&first, &heap, MEMORY_SCRATCH, 0);
    buffer_init(&second, &heap, MEMORY_SCRATCH, 0);
    fill_input(3);
    for (size_t i = 0; i < CODECS; i++) {
        int level = compression_level_default(codecs[i]);
        compress(codecs[i], level, view_of(input_bytes, 100000), &first);
        compress(codecs[i], level, view_of(input_bytes, 100000), &second);
        assert_true(view_equal(buffer_view(&first), buffer_view(&second)));
    }
    buffer_deinit(&first);
    buffer_deinit(&second);
}

/* Cut or changed input is refused or gives something, but never reads or writes outside. */
static void damage_never_goes_unbounded(void **state)
{
    (void)state;
    enum { SIZE = 3000, LIMIT = 10000 };
    struct heap heap;
    struct buffer packed, plain;
    struct random_stream random;
    heap_init_plain(&heap);
    random_init(&random, 4, 0);
    buffer_init(&packed, &heap, MEMORY_SCRATCH, 0);
    buffer_init(&plain, &heap, MEMORY_SCRATCH, 0);
    fill_input(4);
    for (size_t i = 1; i < CODECS; i++) {
        compress(codecs[i], compression_level_default(codecs[i]), view_of(input_bytes, SIZE),
                 &packed);
        for (size_t cut = 0; cut < packed.size; cut++) {
            /* Its own block, so that a sanitizer sees the end. */
            uint8_t *part = heap_get(&heap, MEMORY_SCRATCH, cut + 1);
            memcpy(part, packed.data, cut);
            buffer_clear(&plain);
            enum compression_result result =
                compression_decompress(codecs[i], view_of(part, cut), LIMIT, &plain);
            /* The stream of snappy has no end mark: behind its header nothing may follow. */
            bool whole = codecs[i] == COMPRESSION_SNAPPY && cut == 16;
            assert_int_equal(result == COMPRESSION_OK, whole);
            assert_int_equal(plain.size, 0);
            heap_put(&heap, MEMORY_SCRATCH, part, cut + 1);
        }
        for (int change = 0; change < 3000; change++) {
            size_t at = (size_t)random_below(&random, packed.size);
            uint8_t old = packed.data[at];
            packed.data[at] = (uint8_t)random_u64(&random);
            buffer_clear(&plain);
            enum compression_result result =
                compression_decompress(codecs[i], buffer_view(&packed), LIMIT, &plain);
            assert_true(plain.size <= LIMIT);
            assert_true(result == COMPRESSION_OK || plain.size == 0);
            packed.data[at] = old;
        }
    }
    buffer_deinit(&packed);
    buffer_deinit(&plain);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
}

/* Zeros that unfold a hundred times or more: refused at the limit, with memory of the limit's
 * order. */
static void bombs_are_refused_before_they_go_off(void **state)
{
    (void)state;
    enum { SIZE = 64 * 1024 * 1024, LIMIT = 1024 * 1024, WORKING_MEMORY = 8 * 1024 * 1024 };
    struct heap heap, small_heap;
    struct buffer packed, plain;
    heap_init_plain(&heap);
    heap_init_plain(&small_heap);
    small_heap.limit[MEMORY_SCRATCH] = LIMIT + WORKING_MEMORY;
    buffer_init(&packed, &heap, MEMORY_SCRATCH, 0);
    uint8_t *zeros = heap_get_zeroed(&heap, MEMORY_SCRATCH, SIZE);
    for (size_t i = 1; i < CODECS; i++) {
        compress(codecs[i],
                 codecs[i] == COMPRESSION_GZIP ? 1 : compression_level_default(codecs[i]),
                 view_of(zeros, SIZE), &packed);
        assert_true(packed.size < SIZE / 20);
        buffer_init(&plain, &small_heap, MEMORY_SCRATCH, 0);
        assert_int_equal(compression_decompress(codecs[i], buffer_view(&packed), LIMIT, &plain),
                         COMPRESSION_TOO_LARGE);
        buffer_deinit(&plain);
        assert_int_equal(small_heap.used[MEMORY_SCRATCH], 0);
    }
    heap_put(&heap, MEMORY_SCRATCH, zeros, SIZE);
    buffer_deinit(&packed);
}

/* Fails the n-th allocation until all succeed. */
static void refused_memory_is_an_answer(void **state)
{
    (void)state;
    struct heap heap, tight_heap;
    struct buffer packed, output;
    heap_init_plain(&heap);
    buffer_init(&packed, &heap, MEMORY_SCRATCH, 0);
    fill_input(5);
    for (size_t i = 0; i < CODECS; i++) {
        int level = compression_level_default(codecs[i]);
        struct view input = view_of(input_bytes, 50000);
        compress(codecs[i], level, input, &packed);
        bool decompressed = false, compressed = false;
        for (uint64_t limit = 1; !decompressed || !compressed; limit += limit / 8 + 1000) {
            assert_true(limit < 100000000);
            heap_init_plain(&tight_heap);
            tight_heap.limit[MEMORY_SCRATCH] = limit;
            buffer_init(&output, &tight_heap, MEMORY_SCRATCH, 0);
            enum compression_result result =
                compression_decompress(codecs[i], buffer_view(&packed), 50000, &output);
            assert_true(result == COMPRESSION_OK || result == COMPRESSION_OUT_OF_MEMORY);
            decompressed = result == COMPRESSION_OK;
            buffer_deinit(&output);
            assert_int_equal(tight_heap.used[MEMORY_SCRATCH], 0);
            result = compression_compress(codecs[i], level, input, &output);
            assert_true(result == COMPRESSION_OK || result == COMPRESSION_OUT_OF_MEMORY);
            compressed = result == COMPRESSION_OK;
            buffer_deinit(&output);
            assert_int_equal(tight_heap.used[MEMORY_SCRATCH], 0);
        }
    }
    buffer_deinit(&packed);
}

static void compressing_stops_at_the_outputs_limit(void **state)
{
    (void)state;
    struct heap heap;
    struct buffer output;
    struct random_stream random;
    heap_init_plain(&heap);
    random_init(&random, 6, 0);
    random_fill(&random, input_bytes, 100000);
    for (size_t i = 0; i < CODECS; i++) {
        buffer_init(&output, &heap, MEMORY_SCRATCH, 50000);
        assert_int_equal(compression_compress(codecs[i], compression_level_default(codecs[i]),
                                              view_of(input_bytes, 100000), &output),
                         COMPRESSION_TOO_LARGE);
        assert_int_equal(output.size, 0);
        buffer_deinit(&output);
    }
}

static void gzip_takes_several_members_and_nothing_else(void **state)
{
    (void)state;
    struct heap heap;
    struct buffer packed, plain;
    heap_init_plain(&heap);
    buffer_init(&packed, &heap, MEMORY_SCRATCH, 0);
    buffer_init(&plain, &heap, MEMORY_SCRATCH, 0);
    assert_int_equal(compression_compress(COMPRESSION_GZIP, -1, VIEW_LITERAL("one "), &packed), 0);
    assert_int_equal(compression_compress(COMPRESSION_GZIP, -1, VIEW_LITERAL("two"), &packed), 0);
    assert_int_equal(compression_decompress(COMPRESSION_GZIP, buffer_view(&packed), 7, &plain), 0);
    assert_true(view_equal(buffer_view(&plain), VIEW_LITERAL("one two")));
    assert_int_equal(compression_decompress(COMPRESSION_GZIP, buffer_view(&packed), 6, &plain),
                     COMPRESSION_TOO_LARGE);
    assert_true(buffer_append(&packed, "rest", 4));
    assert_int_equal(compression_decompress(COMPRESSION_GZIP, buffer_view(&packed), 100, &plain),
                     COMPRESSION_CORRUPT);
    buffer_deinit(&packed);
    buffer_deinit(&plain);
}

static void snappy_takes_raw_blocks_and_the_stream(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *bytes;
        size_t size;
        enum compression_result result;
        const char *text;
    } cases[] = {
        {"raw",
         "\x03\x08"
         "abc",
         5, COMPRESSION_OK, "abc"},
        {"raw, empty", "\0", 1, COMPRESSION_OK, ""},
        {"nothing", "", 0, COMPRESSION_CORRUPT, ""},
        {"raw, cut",
         "\x03\x08"
         "ab",
         4, COMPRESSION_CORRUPT, ""},
        {"raw, absurd size",
         "\xff\xff\xff\x7f\x08"
         "abc",
         8, COMPRESSION_CORRUPT, ""},
        {"stream",
         "\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\5\x03\x08"
         "abc"
         "\0\0\0\3\1\0"
         "d",
         32, COMPRESSION_OK, "abcd"},
        {"stream, other versions",
         "\x82SNAPPY\0\0\0\0\7\0\0\0\2\0\0\0\5\x03\x08"
         "abc",
         25, COMPRESSION_OK, "abc"},
        {"stream, cut size", "\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0", 19, COMPRESSION_CORRUPT, ""},
        {"stream, size too large",
         "\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\6\x03\x08"
         "abc",
         25, COMPRESSION_CORRUPT, ""},
        {"stream, negative size",
         "\x82SNAPPY\0\0\0\0\1\0\0\0\1\xff\xff\xff\xff\x03\x08"
         "abc",
         25, COMPRESSION_CORRUPT, ""},
    };
    struct heap heap;
    struct buffer plain;
    heap_init_plain(&heap);
    buffer_init(&plain, &heap, MEMORY_SCRATCH, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buffer_clear(&plain);
        enum compression_result result = compression_decompress(
            COMPRESSION_SNAPPY, view_of(cases[i].bytes, cases[i].size), 100, &plain);
        if (result != cases[i].result)
            fail_msg("%s", cases[i].name);
        assert_int_equal(plain.size, strlen(cases[i].text));
        assert_memory_equal(plain.data ? (void *)plain.data : "", cases[i].text, plain.size);
    }
    buffer_deinit(&plain);
}

/* A frame of one stored block "abc" with the flags and sizes asked for, its checksums right. */
static size_t lz4_frame(uint8_t *bytes, uint8_t flags, uint8_t sizes)
{
    uint8_t *p = bytes;
    memcpy(p, "\x04\x22\x4d\x18", 4);
    p[4] = flags;
    p[5] = sizes;
    p += 6;
    if (flags & 0x08) {
        memset(p, 0, 8);
        p += 8;
    }
    *p = (uint8_t)(XXH32(bytes + 4, (size_t)(p - bytes) - 4, 0) >> 8);
    p++;
    memcpy(p,
           "\3\0\0\x80"
           "abc",
           7);
    p += 7;
    if (flags & 0x10) {
        store_u32(p, __builtin_bswap32(XXH32("abc", 3, 0)));
        p += 4;
    }
    memset(p, 0, 4);
    p += 4;
    if (flags & 0x04) {
        memset(p, 0xee, 4); /* skipped unverified, as Java consumers do */
        p += 4;
    }
    return (size_t)(p - bytes);
}

static void lz4_takes_what_java_consumers_take(void **state)
{
    (void)state;
    static const struct {
        uint8_t flags, sizes;
        bool taken;
    } cases[] = {
        {0x60, 0x40, true},  {0x60, 0x50, true},  {0x60, 0x70, true},  {0x68, 0x40, true},
        {0x64, 0x40, true},  {0x70, 0x40, true},  {0x7c, 0x40, true},  {0x40, 0x40, false},
        {0x62, 0x40, false}, {0x61, 0x40, false}, {0x20, 0x40, false}, {0xa0, 0x40, false},
        {0x60, 0x30, false}, {0x60, 0x41, false}, {0x60, 0xc0, false},
    };
    struct heap heap;
    struct buffer plain;
    uint8_t bytes[64];
    heap_init_plain(&heap);
    buffer_init(&plain, &heap, MEMORY_SCRATCH, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size = lz4_frame(bytes, cases[i].flags, cases[i].sizes);
        buffer_clear(&plain);
        assert_int_equal(compression_decompress(COMPRESSION_LZ4, view_of(bytes, size), 100, &plain),
                         cases[i].taken ? COMPRESSION_OK : COMPRESSION_CORRUPT);
        assert_int_equal(plain.size, cases[i].taken ? 3 : 0);
    }
    size_t size = lz4_frame(bytes, 0x70, 0x40);
    bytes[14] ^= 1; /* the block checksum */
    assert_int_equal(compression_decompress(COMPRESSION_LZ4, view_of(bytes, size), 100, &plain),
                     COMPRESSION_CORRUPT);
    size = lz4_frame(bytes, 0x60, 0x40);
    bytes[6] ^= 1; /* the header checksum */
    assert_int_equal(compression_decompress(COMPRESSION_LZ4, view_of(bytes, size), 100, &plain),
                     COMPRESSION_CORRUPT);
    size = lz4_frame(bytes, 0x60, 0x40);
    assert_int_equal(compression_decompress(COMPRESSION_LZ4, view_of(bytes, size + 1), 100, &plain),
                     COMPRESSION_CORRUPT);
    buffer_deinit(&plain);
}

static void lz4_is_written_in_javas_shape(void **state)
{
    (void)state;
    struct heap heap;
    struct buffer packed;
    heap_init_plain(&heap);
    buffer_init(&packed, &heap, MEMORY_SCRATCH, 0);
    compress(COMPRESSION_LZ4, 9, VIEW_LITERAL("a"), &packed);
    static const uint8_t expected[] = {0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0x01,
                                       0x00, 0x00, 0x80, 'a',  0x00, 0x00, 0x00, 0x00};
    assert_int_equal(packed.size, sizeof(expected));
    assert_memory_equal(packed.data, expected, sizeof(expected));
    buffer_deinit(&packed);
}

static void codecs_have_names(void **state)
{
    (void)state;
    enum compression_codec codec;
    for (unsigned i = 0; i < COMPRESSION_CODECS; i++) {
        assert_true(compression_codec_parse(view_of_string(compression_codec_name(i)), &codec));
        assert_int_equal(codec, i);
    }
    assert_true(compression_codec_parse(VIEW_LITERAL("uncompressed"), &codec));
    assert_int_equal(codec, COMPRESSION_NONE);
    assert_false(compression_codec_parse(VIEW_LITERAL("producer"), &codec));
    assert_string_equal(compression_codec_name(7), "unknown");
    struct heap heap;
    struct buffer output;
    heap_init_plain(&heap);
    buffer_init(&output, &heap, MEMORY_SCRATCH, 0);
    assert_int_equal(
        compression_decompress((enum compression_codec)5, VIEW_LITERAL("x"), 9, &output),
        COMPRESSION_UNKNOWN_CODEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_gives_back_what_it_got),
        cmocka_unit_test(every_level_gives_back_what_it_got),
        cmocka_unit_test(equal_input_gives_equal_output),
        cmocka_unit_test(damage_never_goes_unbounded),
        cmocka_unit_test(bombs_are_refused_before_they_go_off),
        cmocka_unit_test(refused_memory_is_an_answer),
        cmocka_unit_test(compressing_stops_at_the_outputs_limit),
        cmocka_unit_test(gzip_takes_several_members_and_nothing_else),
        cmocka_unit_test(snappy_takes_raw_blocks_and_the_stream),
        cmocka_unit_test(lz4_takes_what_java_consumers_take),
        cmocka_unit_test(lz4_is_written_in_javas_shape),
        cmocka_unit_test(codecs_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
