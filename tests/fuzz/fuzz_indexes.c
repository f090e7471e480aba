/*
 * Offset and time indexes as files. Whatever lies there, looking stays inside the file: inspection
 * counts no more entries than it has, and searches in what was found valid give entries of it.
 *
 * The first four bytes are the size of the log (or the last offset) that entries must lie in.
 */
#include "tests/fuzz/fuzz.h"

#include "base/assert.h"
#include "base/random.h"
#include "log/offset_index.h"
#include "log/time_index.h"
#include "tests/unit/log/memory_node.h"

enum { PREFIX_SIZE = 4 };

static void check_offsets(const struct file_reader *reader, uint64_t size, uint32_t log_size)
{
    uint32_t count = 0;
    struct offset_entry last = {0}, found;
    bool valid = false, any;
    klamm_assert(offset_index_inspect(reader, size, log_size, &count, &last, &valid) == STORAGE_OK);
    if (!valid)
        return;
    klamm_assert((uint64_t)count * OFFSET_INDEX_ENTRY_SIZE <= size);
    klamm_assert(count == 0 || last.position < log_size);
    for (uint32_t target = 0; target < 4; target++) {
        uint32_t wanted = target * 1000;
        klamm_assert(offset_index_floor_in_file(reader, count, wanted, &any, &found) == STORAGE_OK);
        klamm_assert(!any || found.relative_offset <= wanted);
        klamm_assert(offset_index_floor_position_in_file(reader, count, wanted, &any, &found) ==
                     STORAGE_OK);
        klamm_assert(!any || found.position <= wanted);
    }
}

static void check_times(const struct file_reader *reader, uint64_t size, uint32_t last_offset)
{
    uint32_t count = 0;
    struct time_entry last = {0}, found;
    bool valid = false, any;
    klamm_assert(time_index_inspect(reader, size, last_offset, &count, &last, &valid) ==
                 STORAGE_OK);
    if (!valid)
        return;
    klamm_assert((uint64_t)count * TIME_INDEX_ENTRY_SIZE <= size);
    klamm_assert(count == 0 || last.relative_offset <= last_offset);
    for (int64_t wanted = 0; wanted < 4000; wanted += 999) {
        klamm_assert(time_index_floor_in_file(reader, count, wanted, &any, &found) == STORAGE_OK);
        klamm_assert(!any || found.timestamp <= wanted);
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct memory_node node;
    if (size < PREFIX_SIZE)
        return;
    memory_node_init(&node);
    memory_node_make_directory(&node, "/d");
    memory_node_put_file(&node, "/d/file", view_of(data + PREFIX_SIZE, size - PREFIX_SIZE));
    struct file_reader reader = {.storage = memory_node_storage(&node), .blocking = true};
    uint64_t file_size;
    klamm_assert(storage_run_open(reader.storage, "/d/file", STORAGE_FLAG_READ, &reader.file,
                                  &file_size) == STORAGE_OK);
    klamm_assert(file_size == size - PREFIX_SIZE);
    check_offsets(&reader, file_size, load_u32(data));
    check_times(&reader, file_size, load_u32(data) & INT32_MAX);
    klamm_assert(storage_run_close(reader.storage, reader.file) == STORAGE_OK);
    memory_node_deinit(&node);
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    struct random_stream random;
    struct writer writer = writer_of(data, capacity);
    random_init(&random, 61, number);
    write_u32(&writer, number % 2 ? 100000 : 3000);
    uint32_t offset = 0;
    for (uint64_t i = random_below(&random, 40); i > 0; i--) {
        offset += (uint32_t)random_between(&random, 1, 200);
        if (number % 2)
            write_u32(&writer, offset);
        else
            write_i64(&writer, (int64_t)offset);
        write_u32(&writer, number % 2 ? offset * 3 : offset / 2);
    }
    for (uint64_t i = random_below(&random, 3) * 12; i > 0; i--)
        write_u8(&writer, 0); /* padding of a writer that preallocates */
    return writer.failed ? 0 : writer.size;
}
