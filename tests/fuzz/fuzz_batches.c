/*
 * A buffer of record batches, as it comes from a producer, a leader or a file: walked, checked,
 * decompressed and read. The first byte says whether lengths and checksums are put right first, as
 * few mutations would get past them otherwise.
 *
 * What can be read can be built again, and reads the same. Nothing unfolds beyond the limit.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/seed_batch.h"

#include "base/assert.h"
#include "protocol/control_record.h"

enum { PLAIN_SIZE_MAX = 256 * 1024 };

static void check_rebuilt(struct view batch, struct view plain, struct heap *heap)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct batch_builder builder;
    struct record_cursor cursor, again;
    struct record record, copy;
    struct view built;
    bool in_order = true;
    int32_t last_delta = -1;
    batch_builder_init(&builder, heap, 0, &options);
    record_cursor_init(&cursor, plain, batch_record_count(batch.data));
    while (in_order && record_cursor_next(&cursor, &record) == RECORD_OK) {
        in_order = record.offset_delta > last_delta;
        last_delta = record.offset_delta;
        int64_t timestamp_ms = batch_record_timestamp(batch.data, record.timestamp_delta);
        if (in_order)
            klamm_assert(batch_builder_append_raw(&builder, last_delta, timestamp_ms, &record));
    }
    klamm_assert(batch_builder_finish(&builder, &built) == COMPRESSION_OK);
    klamm_assert(batch_crc_is_valid(built));
    record_cursor_init(&cursor, plain, batch_record_count(batch.data));
    record_cursor_init(&again, batch_records(built), batch_record_count(built.data));
    while (in_order && record_cursor_next(&cursor, &record) == RECORD_OK) {
        klamm_assert(record_cursor_next(&again, &copy) == RECORD_OK);
        klamm_assert(view_equal(record.key, copy.key));
        klamm_assert(view_equal(record.value, copy.value));
        klamm_assert(view_equal(record.headers, copy.headers));
        klamm_assert(record.offset_delta == copy.offset_delta);
        klamm_assert(batch_record_timestamp(batch.data, record.timestamp_delta) ==
                     batch_record_timestamp(built.data, copy.timestamp_delta));
    }
    batch_builder_deinit(&builder);
}

static bool records_end_well(struct view batch, struct view plain)
{
    struct record_cursor cursor;
    struct record record;
    enum record_status status;
    record_cursor_init(&cursor, plain, batch_record_count(batch.data));
    while ((status = record_cursor_next(&cursor, &record)) == RECORD_OK) {
        struct reader reader = reader_of(record.headers);
        struct record_header header;
        int32_t count = 0;
        while (record_header_next(&reader, &header))
            count++;
        klamm_assert(count == record.header_count);
        klamm_assert(reader_left(&reader) == 0);
    }
    return status == RECORD_END;
}

static void check_batch(struct view batch, struct heap *heap)
{
    struct batch_header header;
    struct control_marker marker;
    struct buffer plain;
    uint8_t copy[BATCH_HEADER_SIZE];
    batch_header_read(batch.data, &header);
    batch_header_write(copy, &header);
    klamm_assert(memcmp(copy, batch.data, sizeof(copy)) == 0);
    (void)batch_crc_is_valid(batch);
    (void)batch_last_sequence(batch.data);
    (void)batch_last_offset(batch.data);
    (void)control_record_parse_marker(batch, &marker);
    buffer_init(&plain, heap, MEMORY_SCRATCH, 0);
    enum compression_result result =
        compression_decompress((enum compression_codec)batch_codec(batch.data),
                               batch_records(batch), PLAIN_SIZE_MAX, &plain);
    klamm_assert(plain.size <= PLAIN_SIZE_MAX);
    if (result == COMPRESSION_OK && records_end_well(batch, buffer_view(&plain)))
        check_rebuilt(batch, buffer_view(&plain), heap);
    buffer_deinit(&plain);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct heap heap;
    struct buffer bytes;
    struct view rest, batch;
    if (size == 0)
        return;
    heap_init_plain(&heap);
    buffer_init(&bytes, &heap, MEMORY_SCRATCH, 0);
    klamm_assert(buffer_append(&bytes, data + 1, size - 1));
    if (data[0] & 1)
        seed_batch_mend(bytes.data, bytes.size);
    rest = buffer_view(&bytes);
    size_t total = 0;
    while (batch_next(&rest, &batch) == BATCH_OK) {
        check_batch(batch, &heap);
        total += batch.size;
    }
    klamm_assert(total + rest.size == bytes.size);
    buffer_deinit(&bytes);
    klamm_assert(heap.used[MEMORY_SCRATCH] == 0);
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    data[0] = (uint8_t)(number % 4 != 0);
    size_t size = 1;
    for (uint64_t i = 0; i <= number % 3; i++)
        size += seed_batch_write(number * 3 + i, data + size, capacity - size);
    return size;
}
