/* Offset and time indexes: bytes, searches against linear ones, files that are padded or wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "log/offset_index.h"
#include "log/time_index.h"
#include "tests/unit/log/memory_node.h"

#define PATH "/index"

static int setup(void **state)
{
    struct memory_node *node = calloc(1, sizeof(*node));
    memory_node_init(node);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    memory_node_deinit(*state);
    free(*state);
    return 0;
}

static struct file_reader open_with(struct memory_node *node, const void *data, size_t size)
{
    struct file_reader reader = {.storage = memory_node_storage(node), .blocking = true};
    uint64_t file_size;
    memory_node_put_file(node, PATH, view_of(data, size));
    assert_int_equal(
        storage_run_open(reader.storage, PATH, STORAGE_FLAG_READ, &reader.file, &file_size),
        STORAGE_OK);
    return reader;
}

static void entries_have_kafka_s_bytes(void **state)
{
    (void)state;
    static const uint8_t offset_bytes[] = {0, 0, 1, 2, 0x7f, 0xff, 0xff, 0xff};
    static const uint8_t time_bytes[] = {0, 0, 1, 0x9a, 0x9e, 0, 0, 1, 0, 0, 0, 5};
    uint8_t data[TIME_INDEX_ENTRY_SIZE];
    struct offset_entry offset = {0x102, INT32_MAX};
    offset_index_encode(&offset, 1, data);
    assert_memory_equal(data, offset_bytes, sizeof(offset_bytes));
    assert_int_equal(offset_index_decode(data).position, INT32_MAX);
    struct time_entry time = {INT64_C(0x19a9e000001), 5};
    time_index_encode(&time, 1, data);
    assert_memory_equal(data, time_bytes, sizeof(time_bytes));
    assert_int_equal(time_index_decode(data).timestamp, time.timestamp);
}

enum { ENTRIES = 500 };

/* The tail in memory and the same entries in a file must answer alike. */
static void searches_agree_with_a_linear_one(void **state)
{
    struct memory_node *node = *state;
    struct heap heap;
    heap_init_plain(&heap);
    struct random_stream random;
    random_init(&random, 3, 0);
    struct offset_index index = {0};
    struct offset_entry entries[ENTRIES];
    uint8_t data[ENTRIES * OFFSET_INDEX_ENTRY_SIZE];
    uint32_t offset = 0;
    uint32_t position = 0;
    for (uint32_t i = 0; i < ENTRIES; i++) {
        offset += 1 + (uint32_t)random_below(&random, 9);
        position += 61 + (uint32_t)random_below(&random, 5000);
        entries[i] = (struct offset_entry){offset, position};
        offset_index_append(&index, &heap, entries[i]);
    }
    offset_index_encode(index.tail, ENTRIES, data);
    struct file_reader reader = open_with(node, data, sizeof(data));
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t wanted_offset = (uint32_t)random_below(&random, offset + 10);
        uint32_t wanted_position = (uint32_t)random_below(&random, position + 10);
        int by_offset = -1;
        int by_position = -1;
        for (int place = 0; place < ENTRIES; place++) {
            if (entries[place].relative_offset <= wanted_offset)
                by_offset = place;
            if (entries[place].position <= wanted_position)
                by_position = place;
        }
        struct offset_entry entry;
        bool found;
        assert_int_equal(offset_index_floor_in_tail(&index, wanted_offset, &entry), by_offset >= 0);
        if (by_offset >= 0)
            assert_int_equal(entry.position, entries[by_offset].position);
        assert_int_equal(
            offset_index_floor_in_file(&reader, ENTRIES, wanted_offset, &found, &entry),
            STORAGE_OK);
        assert_int_equal(found, by_offset >= 0);
        if (found)
            assert_int_equal(entry.position, entries[by_offset].position);
        assert_int_equal(offset_index_floor_position_in_tail(&index, wanted_position, &entry),
                         by_position >= 0);
        if (by_position >= 0)
            assert_int_equal(entry.relative_offset, entries[by_position].relative_offset);
        assert_int_equal(
            offset_index_floor_position_in_file(&reader, ENTRIES, wanted_position, &found, &entry),
            STORAGE_OK);
        if (found)
            assert_int_equal(entry.relative_offset, entries[by_position].relative_offset);
    }
    storage_run_close(reader.storage, reader.file);
    offset_index_deinit(&index, &heap);
}

static void stored_entries_leave_the_tail(void **state)
{
    (void)state;
    struct heap heap;
    heap_init_plain(&heap);
    struct offset_index index = {0};
    for (uint32_t i = 1; i <= 20; i++)
        offset_index_append(&index, &heap, (struct offset_entry){i, i * 100});
    offset_index_stored(&index, &heap, 15);
    struct offset_entry entry;
    assert_int_equal(offset_index_count(&index), 20);
    assert_false(offset_index_floor_in_tail(&index, 15, &entry));
    assert_true(offset_index_floor_in_tail(&index, 16, &entry));
    offset_index_stored(&index, &heap, 5);
    assert_null(index.tail);
    assert_int_equal(index.last.relative_offset, 20);
    assert_int_equal(heap.used[MEMORY_STATE], 0);
}

static void a_time_index_takes_only_news(void **state)
{
    (void)state;
    struct heap heap;
    heap_init_plain(&heap);
    struct time_index index = {0};
    time_index_append(&index, &heap, (struct time_entry){100, 3});
    time_index_append(&index, &heap, (struct time_entry){100, 4});
    time_index_append(&index, &heap, (struct time_entry){90, 5});
    time_index_append(&index, &heap, (struct time_entry){110, 5});
    assert_int_equal(time_index_count(&index), 2);
    struct time_entry entry;
    assert_false(time_index_floor_in_tail(&index, 99, &entry));
    assert_true(time_index_floor_in_tail(&index, 109, &entry));
    assert_int_equal(entry.relative_offset, 3);
    time_index_deinit(&index, &heap);
}

static void padding_is_stripped_and_disorder_is_seen(void **state)
{
    struct memory_node *node = *state;
    static const struct {
        struct offset_entry entries[4];
        uint32_t count; /* real ones found */
        bool valid;
    } cases[] = {
        {{{4, 100}, {8, 200}, {9, 300}, {12, 400}}, 4, true},
        {{{4, 100}, {8, 200}, {0, 0}, {0, 0}}, 2, true},
        {{{0, 0}, {0, 0}, {0, 0}, {0, 0}}, 0, true},
        {{{0, 70}, {0, 0}, {0, 0}, {0, 0}}, 1, true}, /* offset 0 is real in the first place */
        {{{4, 100}, {8, 200}, {9, 300}, {9, 400}}, 4, false},   /* offsets do not increase */
        {{{4, 100}, {8, 200}, {9, 300}, {12, 300}}, 4, false},  /* positions do not */
        {{{4, 100}, {8, 200}, {9, 300}, {12, 1000}}, 4, false}, /* behind the log's end */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t data[4 * OFFSET_INDEX_ENTRY_SIZE + 3] = {0}; /* and a torn entry */
        offset_index_encode(cases[i].entries, 4, data);
        struct file_reader reader = open_with(node, data, sizeof(data));
        uint32_t count;
        struct offset_entry last;
        bool valid;
        assert_int_equal(offset_index_inspect(&reader, sizeof(data), 1000, &count, &last, &valid),
                         STORAGE_OK);
        assert_int_equal(count, cases[i].count);
        assert_int_equal(valid, cases[i].valid);
        storage_run_close(reader.storage, reader.file);
    }
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(entries_have_kafka_s_bytes),
        CLAIM(searches_agree_with_a_linear_one),
        CLAIM(stored_entries_leave_the_tail),
        CLAIM(a_time_index_takes_only_news),
        CLAIM(padding_is_stripped_and_disorder_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
