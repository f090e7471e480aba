/* Works like offset_index.c; the one difference is that entries without news are left out. */
#include "log/time_index.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "log/sorted_entries.h"

_Static_assert(TIME_INDEX_ENTRY_SIZE <= (int)SORTED_ENTRY_FILE_SIZE_MAX, "entry size");

static int64_t timestamp_of(const void *entry)
{
    return ((const struct time_entry *)entry)->timestamp;
}

static int64_t timestamp_in_file(const uint8_t *data)
{
    return time_index_decode(data).timestamp;
}

/* Padding is all zero; a real entry of time 0 and offset 0 says no more than none. */
static bool is_padding(const uint8_t *data, uint32_t place)
{
    struct time_entry entry = time_index_decode(data);
    (void)place;
    return entry.timestamp == 0 && entry.relative_offset == 0;
}

static const struct sorted_entry_kind by_timestamp = {
    sizeof(struct time_entry), TIME_INDEX_ENTRY_SIZE, timestamp_of, timestamp_in_file, is_padding};

void time_index_deinit(struct time_index *index, struct heap *heap)
{
    heap_put(heap, MEMORY_STATE, index->tail, index->tail_capacity * sizeof(*index->tail));
    *index = (struct time_index){0};
}

void time_index_append(struct time_index *index, struct heap *heap, struct time_entry entry)
{
    if (time_index_count(index) > 0 && index->last_known) {
        if (entry.timestamp <= index->last.timestamp)
            return;
        klamm_assert(entry.relative_offset >= index->last.relative_offset);
    }
    index->tail = sorted_entries_reserve(&by_timestamp, heap, index->tail, index->tail_count,
                                         &index->tail_capacity);
    index->tail[index->tail_count++] = entry;
    index->last = entry;
    index->last_known = true;
}

bool time_index_floor_in_tail(const struct time_index *index, int64_t timestamp,
                              struct time_entry *entry)
{
    uint32_t count = sorted_entries_up_to(&by_timestamp, index->tail, index->tail_count, timestamp);
    if (count > 0)
        *entry = index->tail[count - 1];
    return count > 0;
}

enum storage_status time_index_floor_in_file(const struct file_reader *reader, uint32_t count,
                                             int64_t timestamp, bool *found,
                                             struct time_entry *entry)
{
    uint8_t data[TIME_INDEX_ENTRY_SIZE];
    enum storage_status status =
        sorted_entries_floor_in_file(&by_timestamp, reader, count, timestamp, found, data);
    if (status == STORAGE_OK && *found)
        *entry = time_index_decode(data);
    return status;
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
    index->stored_count += count;
    index->tail = sorted_entries_drop(&by_timestamp, heap, index->tail, count, &index->tail_count,
                                      &index->tail_capacity);
}

enum storage_status time_index_inspect(const struct file_reader *reader, uint64_t file_size,
                                       uint32_t last_relative_offset, uint32_t *count,
                                       struct time_entry *last, bool *valid)
{
    uint8_t last_data[TIME_INDEX_ENTRY_SIZE];
    uint8_t before_data[TIME_INDEX_ENTRY_SIZE];
    enum storage_status status =
        sorted_entries_end(&by_timestamp, reader, file_size, count, last_data, before_data, valid);
    if (status != STORAGE_OK || *count == 0)
        return status;
    *last = time_index_decode(last_data);
    *valid = last->timestamp >= 0 && last->relative_offset <= last_relative_offset;
    if (*count == 1)
        return STORAGE_OK;
    struct time_entry before = time_index_decode(before_data);
    *valid = *valid && before.timestamp < last->timestamp &&
             before.relative_offset <= last->relative_offset;
    return STORAGE_OK;
}
