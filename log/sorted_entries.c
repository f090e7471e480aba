/*
 * Bisection twice: over an array, and over a file with one small read a probe. The file is in the
 * page cache when its segment is read at all, and readers in sequence do not search (log_shard.h
 * remembers their places). Keeping a summary of every file in memory was the alternative; it would
 * cost every idle partition.
 */
#include "log/sorted_entries.h"

#include <string.h>

#include "base/assert.h"

enum { TAIL_CAPACITY_FIRST = 4 };

void *sorted_entries_reserve(const struct sorted_entry_kind *kind, struct heap *heap, void *tail,
                             uint32_t count, uint32_t *capacity)
{
    klamm_assert(count <= *capacity);
    if (count < *capacity)
        return tail;
    uint32_t grown_capacity = *capacity ? *capacity * 2 : TAIL_CAPACITY_FIRST;
    void *grown = heap_must_get(heap, MEMORY_STATE, (size_t)grown_capacity * kind->size);
    if (count)
        memcpy(grown, tail, (size_t)count * kind->size);
    heap_put(heap, MEMORY_STATE, tail, (size_t)*capacity * kind->size);
    *capacity = grown_capacity;
    return grown;
}

void *sorted_entries_drop(const struct sorted_entry_kind *kind, struct heap *heap, void *tail,
                          uint32_t stored, uint32_t *count, uint32_t *capacity)
{
    klamm_assert(stored <= *count);
    *count -= stored;
    if (*count == 0) {
        heap_put(heap, MEMORY_STATE, tail, (size_t)*capacity * kind->size);
        *capacity = 0;
        return NULL;
    }
    memmove(tail, (uint8_t *)tail + (size_t)stored * kind->size, (size_t)*count * kind->size);
    return tail;
}

uint32_t sorted_entries_up_to(const struct sorted_entry_kind *kind, const void *entries,
                              uint32_t count, int64_t key)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (kind->key((const uint8_t *)entries + (size_t)middle * kind->size) <= key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum storage_status entry_at(const struct sorted_entry_kind *kind,
                                    const struct file_reader *reader, uint32_t place, uint8_t *data)
{
    return file_reader_read(reader, (uint64_t)place * kind->file_size, data, kind->file_size);
}

enum storage_status sorted_entries_floor_in_file(const struct sorted_entry_kind *kind,
                                                 const struct file_reader *reader, uint32_t count,
                                                 int64_t key, bool *found, uint8_t *data)
{
    uint32_t low = 0;
    uint32_t high = count;
    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint8_t probe[SORTED_ENTRY_FILE_SIZE_MAX];
        enum storage_status status = entry_at(kind, reader, middle, probe);
        if (status != STORAGE_OK)
            return status;
        if (kind->key_in_file(probe) <= key) {
            low = middle + 1;
            memcpy(data, probe, kind->file_size);
            *found = true;
        } else {
            high = middle;
        }
    }
    return STORAGE_OK;
}

enum storage_status sorted_entries_end(const struct sorted_entry_kind *kind,
                                       const struct file_reader *reader, uint64_t file_size,
                                       uint32_t *count, uint8_t *last, uint8_t *before, bool *valid)
{
    *valid = file_size <= INT32_MAX;
    *count = *valid ? (uint32_t)(file_size / kind->file_size) : 0;
    for (; *count > 0; --*count) {
        enum storage_status status = entry_at(kind, reader, *count - 1, last);
        if (status != STORAGE_OK)
            return status;
        if (!kind->is_padding(last, *count - 1))
            break;
    }
    return *count > 1 ? entry_at(kind, reader, *count - 2, before) : STORAGE_OK;
}
