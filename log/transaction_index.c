/*
 * How it works: an array in memory, because aborts are few and reads of committed data ask on every
 * fetch. Last offsets are increasing, so a fetch starts by bisection; it stops early at the first
 * entry whose last stable offset is at or above the upper bound, because every transaction that
 * was open there, and so could overlap, was aborted later and stands behind it.
 */
#include "log/transaction_index.h"

#include <assert.h>

#include "log/file_content.h"

enum { ENTRIES_CAPACITY_FIRST = 4, TRANSACTION_INDEX_FILE_SIZE_MAX = 1024 * 1024 * 1024 };

static_assert(TRANSACTION_INDEX_ENTRY_SIZE == 2 + 4 * 8, "the layout of an entry");

void transaction_index_init(struct transaction_index *index)
{
    *index = (struct transaction_index){.last_offset_max = -1};
}

void transaction_index_deinit(struct transaction_index *index, struct heap *heap)
{
    heap_put(heap, MEMORY_STATE, index->entries, index->capacity * sizeof(*index->entries));
    transaction_index_init(index);
}

static void reserve(struct transaction_index *index, struct heap *heap, uint32_t count)
{
    if (count <= index->capacity)
        return;
    uint32_t capacity = index->capacity ? index->capacity : ENTRIES_CAPACITY_FIRST;
    while (capacity < count)
        capacity *= 2;
    struct aborted_transaction *entries =
        heap_must_get(heap, MEMORY_STATE, capacity * sizeof(*entries));
    if (index->count > 0)
        memcpy(entries, index->entries, index->count * sizeof(*entries));
    heap_put(heap, MEMORY_STATE, index->entries, index->capacity * sizeof(*entries));
    index->entries = entries;
    index->capacity = capacity;
}

bool transaction_index_append(struct transaction_index *index, struct heap *heap,
                              const struct aborted_transaction *entry)
{
    if (entry->last_offset <= index->last_offset_max)
        return false;
    reserve(index, heap, index->count + 1);
    index->entries[index->count++] = *entry;
    index->last_offset_max = entry->last_offset;
    return true;
}

/* The first entry whose last offset is at or above `offset`. */
static uint32_t lower_bound(const struct transaction_index *index, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = index->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->entries[middle].last_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void transaction_index_truncate(struct transaction_index *index, int64_t offset)
{
    index->count = lower_bound(index, offset);
    if (index->written_count > index->count)
        index->written_count = index->count;
    index->last_offset_max = index->count > 0 ? index->entries[index->count - 1].last_offset : -1;
}

bool transaction_index_collect(
    const struct transaction_index *index, int64_t fetch_offset, int64_t upper_offset,
    void (*found)(void *context, const struct aborted_transaction *entry), void *context)
{
    for (uint32_t i = lower_bound(index, fetch_offset); i < index->count; i++) {
        const struct aborted_transaction *entry = &index->entries[i];
        if (entry->first_offset < upper_offset)
            found(context, entry);
        if (entry->last_stable_offset >= upper_offset)
            return true;
    }
    return false;
}

void transaction_index_encode(const struct transaction_index *index, uint32_t from, uint8_t *data)
{
    for (uint32_t i = from; i < index->count; i++) {
        const struct aborted_transaction *entry = &index->entries[i];
        store_u16(data, 0);
        store_u64(data + 2, (uint64_t)entry->producer_id);
        store_u64(data + 10, (uint64_t)entry->first_offset);
        store_u64(data + 18, (uint64_t)entry->last_offset);
        store_u64(data + 26, (uint64_t)entry->last_stable_offset);
        data += TRANSACTION_INDEX_ENTRY_SIZE;
    }
}

static bool decode_entry(struct reader *reader, int64_t base_offset,
                         struct aborted_transaction *entry)
{
    int16_t version = read_i16(reader);
    entry->producer_id = read_i64(reader);
    entry->first_offset = read_i64(reader);
    entry->last_offset = read_i64(reader);
    entry->last_stable_offset = read_i64(reader);
    return version == 0 && entry->producer_id >= 0 && entry->first_offset >= 0 &&
           entry->last_offset >= base_offset && entry->last_offset >= entry->first_offset &&
           entry->last_stable_offset >= 0;
}

bool transaction_index_decode(struct transaction_index *index, struct heap *heap, struct view bytes,
                              int64_t base_offset)
{
    if (bytes.size % TRANSACTION_INDEX_ENTRY_SIZE != 0 ||
        bytes.size > TRANSACTION_INDEX_FILE_SIZE_MAX)
        return false;
    struct reader reader = reader_of(bytes);
    uint32_t count = (uint32_t)(bytes.size / TRANSACTION_INDEX_ENTRY_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        struct aborted_transaction entry;
        if (!decode_entry(&reader, base_offset, &entry) ||
            !transaction_index_append(index, heap, &entry)) {
            transaction_index_deinit(index, heap);
            return false;
        }
    }
    index->written_count = index->count;
    return true;
}

enum storage_status transaction_index_load(struct storage storage, const char *path,
                                           int64_t base_offset, struct transaction_index *index,
                                           struct heap *heap, bool *valid)
{
    struct file_content content;
    *valid = true;
    enum storage_status status =
        file_content_read(storage, path, heap, TRANSACTION_INDEX_FILE_SIZE_MAX, &content);
    if (status == STORAGE_NOT_FOUND)
        return STORAGE_OK;
    if (status != STORAGE_OK)
        return status;
    *valid = transaction_index_decode(index, heap, file_content_view(&content), base_offset);
    file_content_release(&content);
    return STORAGE_OK;
}
