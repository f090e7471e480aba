/*
 * The bytes behind a batch header, and the keys and values of control records. The first two bytes
 * are the record count. What the cursor gives is written again and read again, equal.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/seed_batch.h"

#include "base/assert.h"
#include "protocol/control_record.h"

enum { PREFIX_SIZE = 2 };

static void check_written_again(const struct record *record, struct heap *heap)
{
    struct record_cursor cursor;
    struct record copy;
    size_t size = record_size(record);
    uint8_t *bytes = heap_get(heap, MEMORY_SCRATCH, size);
    struct writer writer = writer_of(bytes, size);
    record_write(&writer, record);
    klamm_assert(!writer.failed);
    klamm_assert(writer.size == size);
    record_cursor_init(&cursor, view_of(bytes, size), 1);
    klamm_assert(record_cursor_next(&cursor, &copy) == RECORD_OK);
    klamm_assert(copy.attributes == record->attributes);
    klamm_assert(copy.timestamp_delta == record->timestamp_delta);
    klamm_assert(copy.offset_delta == record->offset_delta);
    klamm_assert(copy.header_count == record->header_count);
    klamm_assert(view_equal(copy.key, record->key));
    klamm_assert(view_equal(copy.value, record->value));
    klamm_assert(view_equal(copy.headers, record->headers));
    klamm_assert(record_cursor_next(&cursor, &copy) == RECORD_END);
    heap_put(heap, MEMORY_SCRATCH, bytes, size);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct heap heap;
    struct record_cursor cursor;
    struct record record;
    if (size < PREFIX_SIZE)
        return;
    heap_init_plain(&heap);
    struct view bytes = view_of(data + PREFIX_SIZE, size - PREFIX_SIZE);
    record_cursor_init(&cursor, bytes, load_i16(data));
    while (record_cursor_next(&cursor, &record) == RECORD_OK) {
        enum control_record_type type;
        int32_t epoch;
        check_written_again(&record, &heap);
        (void)control_record_read_key(record.key, &type);
        (void)control_record_read_marker(record.value, &epoch);
    }
    klamm_assert(heap.used[MEMORY_SCRATCH] == 0);
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    /* Behind an uncompressed batch's header; the others leave a malformed start, which is fine. */
    uint8_t batch[4096];
    size_t size = seed_batch_write(number, batch, sizeof(batch));
    if (size < BATCH_HEADER_SIZE || PREFIX_SIZE + size - BATCH_HEADER_SIZE > capacity)
        return 0;
    store_u16(data, (uint16_t)batch_record_count(batch));
    memcpy(data + PREFIX_SIZE, batch + BATCH_HEADER_SIZE, size - BATCH_HEADER_SIZE);
    return PREFIX_SIZE + size - BATCH_HEADER_SIZE;
}
