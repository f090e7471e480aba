/* Works like offset_index.c; the one difference is that entries without news are left out. */
#include "log/time_index.h"

#include "base/assert.h"
#include "base/bytes.h"

enum { TAIL_FIRST_CAPACITY = 4 };

void time_index_deinit(struct time_index *index, struct heap *heap)
{
    heap_put(heap, MEMORY_STATE, index->tail, index->tail_capacity * sizeof(*index->tail));
    *index = (struct time_index){0};
}

static void tail_grow(struct time_index *index, struct heap *heap)
{
    uint32_t capacity = index->tail_capacity ? index->tail_capacity * 2 : TAIL_FIRST_CAPACITY;
    struct time_entry *tail = heap_must_get(heap, MEMORY_STATE, capacity * sizeof(*tail));
    if (index->tail_count)
        memcpy(tail, index->tail, index->tail_count * sizeof(*tail));
    heap_put(heap, MEMORY_STATE, index->tail, index->tail_capacity * sizeof(*tail));
    index->tail = tail;
    index->tail_capacity = capacity;
}

void time_index_append(struct time_index *index, struct heap *heap, struct time_entry entry)
{
    if (time_index_count(index) > 0 && index->last_known) {
        if (entry.timestamp <= index->last.timestamp)
            return;
        klamm_assert(entry.relative_offset >= index->last.relative_offset);
    }
    if (index->tail_count == index->tail_capacity)
        tail_grow(index, heap);
    index->tail[index->tail_count++] = entry;
    index->last = entry;
    index->last_known = true;
}

bool time_index_floor_in_tail(const struct time_index *index, int64_t timestamp,
                              struct time_entry *entry)
{
    uint32_t low = 0;
    uint32_t high = index->tail_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->tail[middle].timestamp <= timestamp)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *entry = index->tail[low - 1];
    return true;
}

static enum storage_status entry_at(const struct file_reader *reader, uint32_t place,
                                    struct time_entry *entry)
{
    uint8_t data[TIME_INDEX_ENTRY_SIZE];
    enum storage_status status = file_reader_read(reader, (uint64_t)place * TIME_INDEX_ENTRY_SIZE,
                                                  data, TIME_INDEX_ENTRY_SIZE);
    if (status == STORAGE_OK)
        *entry = time_index_decode(data);
    return status;
}

enum storage_status time_index_floor_in_file(const struct file_reader *reader, uint32_t count,
                                             int64_t timestamp, bool *found,
                                             struct time_entry *entry)
{
    uint32_t low = 0;
    uint32_t high = count;
    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct time_entry probe;
        enum storage_status status = entry_at(reader, middle, &probe);
        if (status != STORAGE_OK)
            return status;
        if (probe.timestamp <= timestamp) {
            low = middle + 1;
            *entry = probe;
            *found = true;
        } else {
            high = middle;
        }
    }
    return STORAGE_OK;
}

void time_index_encode(const struct time_entry *entries, uint32_t count, uint8_t *data)
{
    for (uint32_t i = 0; i < count; i++, data += TIME_INDEX_ENTRY_SIZE) {
        store_u64(data, (uint64_t)entries[i].timestamp);
        store_u32(data + 8, entries[i].relative_offset);
    }
}

struct time_entry time_index_decode(const uint8_t data[TIME_INDEX_ENTRY_SIZE])
{
    return (struct time_entry){load_i64(data), load_u32(data + 8)};
}

void time_index_stored(struct time_index *index, struct heap *heap, uint32_t count)
{
    klamm_assert(count <= index->tail_count);
    index->stored_count += count;
    index->tail_count -= count;
    if (index->tail_count == 0) {
        heap_put(heap, MEMORY_STATE, index->tail, index->tail_capacity * sizeof(*index->tail));
        index->tail = NULL;
        index->tail_capacity = 0;
    } else {
        memmove(index->tail, index->tail + count, index->tail_count * sizeof(*index->tail));
    }
}

enum storage_status time_index_inspect(const struct file_reader *reader, uint64_t file_size,
                                       uint32_t last_relative_offset, uint32_t *count,
                                       struct time_entry *last, bool *valid)
{
    *valid = file_size <= INT32_MAX;
    *count = *valid ? (uint32_t)(file_size / TIME_INDEX_ENTRY_SIZE) : 0;
    while (*count > 0) {
        enum storage_status status = entry_at(reader, *count - 1, last);
        if (status != STORAGE_OK)
            return status;
        /* Padding is all zero; a real entry of time 0 and offset 0 says no more than none. */
        if (last->timestamp != 0 || last->relative_offset != 0)
            break;
        --*count;
    }
    if (*count == 0)
        return STORAGE_OK;
    *valid = last->timestamp >= 0 && last->relative_offset <= last_relative_offset;
    if (*count == 1 || !*valid)
        return STORAGE_OK;
    struct time_entry before;
    enum storage_status status = entry_at(reader, *count - 2, &before);
    if (status == STORAGE_OK)
        *valid =
            before.timestamp < last->timestamp && before.relative_offset <= last->relative_offset;
    return status;
}
