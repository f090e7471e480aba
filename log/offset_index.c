/*
 * Appends go to the tail; a background write moves the front of the tail into the file. A search
 * looks at the tail first (the newest entries, where most readers are) and then bisects the file
 * with one small read a probe: the file is in the page cache when its segment is read at all, and
 * readers in sequence do not search (log_shard.h remembers their places). Keeping a summary of
 * every file in memory was the alternative; it would cost every idle partition.
 */
#include "log/offset_index.h"

#include "base/assert.h"
#include "base/bytes.h"

_Static_assert(sizeof(struct offset_entry) == OFFSET_INDEX_ENTRY_SIZE, "entry size");

enum { TAIL_FIRST_CAPACITY = 8 };

void offset_index_deinit(struct offset_index *index, struct heap *heap)
{
    heap_put(heap, MEMORY_STATE, index->tail, index->tail_capacity * sizeof(*index->tail));
    *index = (struct offset_index){0};
}

static void tail_grow(struct offset_index *index, struct heap *heap)
{
    uint32_t capacity = index->tail_capacity ? index->tail_capacity * 2 : TAIL_FIRST_CAPACITY;
    struct offset_entry *tail = heap_must_get(heap, MEMORY_STATE, capacity * sizeof(*tail));
    if (index->tail_count)
        memcpy(tail, index->tail, index->tail_count * sizeof(*tail));
    heap_put(heap, MEMORY_STATE, index->tail, index->tail_capacity * sizeof(*tail));
    index->tail = tail;
    index->tail_capacity = capacity;
}

void offset_index_append(struct offset_index *index, struct heap *heap, struct offset_entry entry)
{
    if (offset_index_count(index) > 0 && index->last_known) {
        klamm_assert(entry.relative_offset > index->last.relative_offset);
        klamm_assert(entry.position > index->last.position);
    }
    if (index->tail_count == index->tail_capacity)
        tail_grow(index, heap);
    index->tail[index->tail_count++] = entry;
    index->last = entry;
    index->last_known = true;
}

/* What an entry is compared by: both fields increase together. */
enum order { BY_OFFSET, BY_POSITION };

static uint32_t entry_key(const struct offset_entry *entry, enum order order)
{
    return order == BY_OFFSET ? entry->relative_offset : entry->position;
}

static bool floor_in_tail(const struct offset_index *index, enum order order, uint32_t key,
                          struct offset_entry *entry)
{
    uint32_t low = 0;
    uint32_t high = index->tail_count; /* the answer is the entry before `low` at the end */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entry_key(&index->tail[middle], order) <= key)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *entry = index->tail[low - 1];
    return true;
}

bool offset_index_floor_in_tail(const struct offset_index *index, uint32_t relative_offset,
                                struct offset_entry *entry)
{
    return floor_in_tail(index, BY_OFFSET, relative_offset, entry);
}

bool offset_index_floor_position_in_tail(const struct offset_index *index, uint32_t position,
                                         struct offset_entry *entry)
{
    return floor_in_tail(index, BY_POSITION, position, entry);
}

static enum storage_status entry_at(const struct file_reader *reader, uint32_t place,
                                    struct offset_entry *entry)
{
    uint8_t data[OFFSET_INDEX_ENTRY_SIZE];
    enum storage_status status = file_reader_read(reader, (uint64_t)place * OFFSET_INDEX_ENTRY_SIZE,
                                                  data, OFFSET_INDEX_ENTRY_SIZE);
    if (status == STORAGE_OK)
        *entry = offset_index_decode(data);
    return status;
}

static enum storage_status floor_in_file(const struct file_reader *reader, uint32_t count,
                                         enum order order, uint32_t key, bool *found,
                                         struct offset_entry *entry)
{
    uint32_t low = 0;
    uint32_t high = count;
    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct offset_entry probe;
        enum storage_status status = entry_at(reader, middle, &probe);
        if (status != STORAGE_OK)
            return status;
        if (entry_key(&probe, order) <= key) {
            low = middle + 1;
            *entry = probe;
            *found = true;
        } else {
            high = middle;
        }
    }
    return STORAGE_OK;
}

enum storage_status offset_index_floor_in_file(const struct file_reader *reader, uint32_t count,
                                               uint32_t relative_offset, bool *found,
                                               struct offset_entry *entry)
{
    return floor_in_file(reader, count, BY_OFFSET, relative_offset, found, entry);
}

enum storage_status offset_index_floor_position_in_file(const struct file_reader *reader,
                                                        uint32_t count, uint32_t position,
                                                        bool *found, struct offset_entry *entry)
{
    return floor_in_file(reader, count, BY_POSITION, position, found, entry);
}

void offset_index_encode(const struct offset_entry *entries, uint32_t count, uint8_t *data)
{
    for (uint32_t i = 0; i < count; i++, data += OFFSET_INDEX_ENTRY_SIZE) {
        store_u32(data, entries[i].relative_offset);
        store_u32(data + 4, entries[i].position);
    }
}

struct offset_entry offset_index_decode(const uint8_t data[OFFSET_INDEX_ENTRY_SIZE])
{
    return (struct offset_entry){load_u32(data), load_u32(data + 4)};
}

void offset_index_stored(struct offset_index *index, struct heap *heap, uint32_t count)
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

enum storage_status offset_index_inspect(const struct file_reader *reader, uint64_t file_size,
                                         uint64_t log_size, uint32_t *count,
                                         struct offset_entry *last, bool *valid)
{
    *valid = file_size <= INT32_MAX;
    *count = *valid ? (uint32_t)(file_size / OFFSET_INDEX_ENTRY_SIZE) : 0;
    while (*count > 0) {
        enum storage_status status = entry_at(reader, *count - 1, last);
        if (status != STORAGE_OK)
            return status;
        if (!offset_index_is_padding(*last, *count - 1))
            break;
        --*count;
    }
    if (*count == 0)
        return STORAGE_OK;
    *valid = last->position < log_size && last->position <= INT32_MAX &&
             last->relative_offset <= INT32_MAX;
    if (*count == 1 || !*valid)
        return STORAGE_OK;
    struct offset_entry before;
    enum storage_status status = entry_at(reader, *count - 2, &before);
    if (status == STORAGE_OK)
        *valid = before.relative_offset < last->relative_offset && before.position < last->position;
    return status;
}
