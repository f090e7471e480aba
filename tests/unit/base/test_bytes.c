/* Variable-length integers at their bounds, cursors at their ends, growing buffers, arenas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"

static void varints_round_trip_at_every_width(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        for (int64_t near = -1; near <= 1; near++) {
            int64_t value = (int64_t)(((uint64_t)1 << bit) + (uint64_t)near);
            for (int sign = 0; sign < 2; sign++, value = (int64_t)(0 - (uint64_t)value)) {
                uint8_t bytes[10];
                struct writer writer = writer_of(bytes, sizeof(bytes));
                write_varlong(&writer, value);
                assert_false(writer.failed);
                assert_int_equal(writer.size, varlong_size(value));
                struct reader reader = reader_of(view_of(bytes, writer.size));
                assert_int_equal(read_varlong(&reader), value);
                assert_int_equal(reader_left(&reader), 0);
                int32_t narrow = (int32_t)value;
                writer = writer_of(bytes, sizeof(bytes));
                write_varint(&writer, narrow);
                assert_int_equal(writer.size, varint_size(narrow));
                reader = reader_of(view_of(bytes, writer.size));
                assert_int_equal(read_varint(&reader), narrow);
                assert_false(reader.failed);
            }
        }
    }
}

static void long_or_cut_varints_fail(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool fits32, fits64;
    } cases[] = {
        {"\xff\xff\xff\xff\x0f", 5, true, true},
        {"\xff\xff\xff\xff\x1f", 5, false, true},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, false, true},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, false, false},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, false, false},
        {"\x80", 1, false, false},
        {"", 0, false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reader reader = reader_of(view_of(cases[i].bytes, cases[i].size));
        (void)read_uvarint(&reader);
        assert_int_equal(!reader.failed, cases[i].fits32);
        reader = reader_of(view_of(cases[i].bytes, cases[i].size));
        (void)read_uvarlong(&reader);
        assert_int_equal(!reader.failed, cases[i].fits64);
    }
}

static void a_failed_cursor_stays_failed(void **state)
{
    (void)state;
    uint8_t bytes[4] = {0, 0, 1, 2};
    struct reader reader = reader_of(view_of(bytes, 4));
    assert_int_equal(read_u16(&reader), 0);
    assert_int_equal(read_u32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(read_u16(&reader), 0);
    assert_int_equal(reader_left(&reader), 2);
    struct writer writer = writer_of(bytes, 3);
    write_u32(&writer, 9);
    write_u8(&writer, 9);
    assert_true(writer.failed);
    assert_int_equal(writer.size, 0);
    assert_int_equal(bytes[0], 0);
}

static void null_is_not_empty(void **state)
{
    (void)state;
    assert_true(view_equal(VIEW_NULL, VIEW_NULL));
    assert_false(view_equal(VIEW_NULL, VIEW_LITERAL("")));
    assert_true(view_equal(VIEW_LITERAL(""), VIEW_LITERAL("")));
    assert_int_equal(view_compare(VIEW_NULL, VIEW_LITERAL("")), 0);
    assert_true(view_compare(VIEW_LITERAL("a"), VIEW_LITERAL("ab")) < 0);
    assert_true(view_compare(VIEW_LITERAL("\xff"), VIEW_LITERAL("a")) > 0);
}

static void a_buffer_grows_to_its_limit(void **state)
{
    (void)state;
    struct heap heap;
    struct buffer buffer;
    heap_init_plain(&heap);
    buffer_init(&buffer, &heap, MEMORY_SCRATCH, 1000);
    for (int i = 0; i < 1000; i++) {
        uint8_t byte = (uint8_t)i;
        assert_true(buffer_append(&buffer, &byte, 1));
    }
    assert_false(buffer_append(&buffer, "x", 1));
    assert_int_equal(buffer.size, 1000);
    assert_true(buffer.capacity <= 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buffer.data[i], i & 0xff);
    assert_false(buffer_reserve(&buffer, SIZE_MAX));
    buffer_deinit(&buffer);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
}

static void an_arena_gives_aligned_blocks_within_its_limit(void **state)
{
    (void)state;
    struct heap heap;
    struct arena arena;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 200000);
    for (size_t size = 0; size < 300; size++) {
        uint8_t *block = arena_get(&arena, size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        memset(block, (int)size, size);
    }
    assert_null(arena_get(&arena, 200000));
    assert_null(arena_get(&arena, SIZE_MAX));
    assert_null(arena_get_array(&arena, SIZE_MAX / 2, 4));
    assert_true(heap.used[MEMORY_SCRATCH] <= 200000);
    uint64_t *zeros = arena_must_get(&arena, 3, sizeof(*zeros));
    assert_int_equal(zeros[0] | zeros[1] | zeros[2], 0);
    assert_non_null(arena_must_get(&arena, 0, sizeof(*zeros)));
    arena_reset(&arena);
    assert_non_null(arena_get(&arena, 1000));
    arena_deinit(&arena);
    assert_int_equal(heap.used[MEMORY_SCRATCH], 0);
    assert_int_equal(arena.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_round_trip_at_every_width),
        cmocka_unit_test(long_or_cut_varints_fail),
        cmocka_unit_test(a_failed_cursor_stays_failed),
        cmocka_unit_test(null_is_not_empty),
        cmocka_unit_test(a_buffer_grows_to_its_limit),
        cmocka_unit_test(an_arena_gives_aligned_blocks_within_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
