/*
 * Appends go to the tail; a background write moves the front of the tail into the file. A search
 * looks at the tail first (the newest entries, where most readers are), then into the file. Both
 * fields of an entry increase together, so both are keys of the same order.
 */
#include "log/offset_index.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "log/sorted_entries.h"

_Static_assert(sizeof(struct offset_entry) == OFFSET_INDEX_ENTRY_SIZE, "entry size");
_Static_assert(OFFSET_INDEX_ENTRY_SIZE <= (int)SORTED_ENTRY_FILE_SIZE_MAX, "entry size");

static int64_t offset_of(const void *entry)
{
    return ((const struct offset_entry *)entry)->relative_offset;
}

static int64_t offset_in_file(const uint8_t *data)
{
    return offset_index_decode(data).relative_offset;
}

static int64_t position_of(const void *entry)
{
    return ((const struct offset_entry *)entry)->position;
}

static int64_t position_in_file(const uint8_t *data)
{
    return offset_index_decode(data).position;
}

static bool is_padding(const uint8_t *data, uint32_t place)
{
    return offset_index_is_padding(offset_index_decode(data), place);
}

static const struct sorted_entry_kind by_offset = {
    sizeof(struct offset_entry), OFFSET_INDEX_ENTRY_SIZE, offset_of, offset_in_file, is_padding};
static const struct sorted_entry_kind by_position = {sizeof(struct offset_entry),
                                                     OFFSET_INDEX_ENTRY_SIZE, position_of,
                                                     position_in_file, is_padding};

void offset_index_deinit(struct offset_index *index, struct heap *heap)
{
    heap_put(heap, MEMORY_STATE, index->tail, index->tail_capacity * sizeof(*index->tail));
    *index = (struct offset_index){0};
}

void offset_index_append(struct offset_index *index, struct heap *heap, struct offset_entry entry)
{
    if (offset_index_count(index) > 0 && index->last_known) {
        klamm_assert(entry.relative_offset > index->last.relative_offset);
        klamm_assert(entry.position > index->last.position);
    }
    index->tail = sorted_entries_reserve(&by_offset, heap, index->tail, index->tail_count,
                                         &index->tail_capacity);
    index->tail[index->tail_count++] = entry;
    index->last = entry;
    index->last_known = true;
}

static bool floor_in_tail(const struct sorted_entry_kind *kind, const struct offset_index *index,
                          uint32_t key, struct offset_entry *entry)
{
    uint32_t count = sorted_entries_up_to(kind, index->tail, index->tail_count, key);
    if (count > 0)
        *entry = index->tail[count - 1];
    return count > 0;
}

bool offset_index_floor_in_tail(const struct offset_index *index, uint32_t relative_offset,
                                struct offset_entry *entry)
{
    return floor_in_tail(&by_offset, index, relative_offset, entry);
}

bool offset_index_floor_position_in_tail(const struct offset_index *index, uint32_t position,
                                         struct offset_entry *entry)
{
    return floor_in_tail(&by_position, index, position, entry);
}

static enum storage_status floor_in_file(const struct sorted_entry_kind *kind,
                                         const struct file_reader *reader, uint32_t count,
                                         uint32_t key, bool *found, struct offset_entry *entry)
{
    uint8_t data[OFFSET_INDEX_ENTRY_SIZE];
    enum storage_status status =
        sorted_entries_floor_in_file(kind, reader, count, key, found, data);
    if (status == STORAGE_OK && *found)
        *entry = offset_index_decode(data);
    return status;
}

enum storage_status offset_index_floor_in_file(const struct file_reader *reader, uint32_t count,
                                               uint32_t relative_offset, bool *found,
                                               struct offset_entry *entry)
{
    return floor_in_file(&by_offset, reader, count, relative_offset, found, entry);
}

enum storage_status offset_index_floor_position_in_file(const struct file_reader *reader,
                                                        uint32_t count, uint32_t position,
                                                        bool *found, struct offset_entry *entry)
{
    return floor_in_file(&by_position, reader, count, position, found, entry);
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
    index->stored_count += count;
    index->tail = sorted_entries_drop(&by_offset, heap, index->tail, count, &index->tail_count,
                                      &index->tail_capacity);
}

enum storage_status offset_index_inspect(const struct file_reader *reader, uint64_t file_size,
                                         uint64_t log_size, uint32_t *count,
                                         struct offset_entry *last, bool *valid)
{
    uint8_t last_data[OFFSET_INDEX_ENTRY_SIZE];
    uint8_t before_data[OFFSET_INDEX_ENTRY_SIZE];
    enum storage_status status =
        sorted_entries_end(&by_offset, reader, file_size, count, last_data, before_data, valid);
    if (status != STORAGE_OK || *count == 0)
        return status;
    *last = offset_index_decode(last_data);
    *valid = last->position < log_size && last->position <= INT32_MAX &&
             last->relative_offset <= INT32_MAX;
    if (*count == 1)
        return STORAGE_OK;
    struct offset_entry before = offset_index_decode(before_data);
    *valid = *valid && before.relative_offset < last->relative_offset &&
             before.position < last->position;
    return STORAGE_OK;
}
