/* The checksum covers everything, so entries are checked for sense only, not for every damage. */
#include "log/state_file.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "log/log_path.h"

enum { CHECKSUM_AT = 18 };
static const uint8_t magic[4] = {'K', 'L', 'S', 'T'};

/* The parts of an entry besides name and state, in their longest form. */
enum { ENTRY_SIZE_MAX = 5 + UUID_SIZE + 10 + 10 + 5 + 5 };

size_t state_file_size_max(const struct state_file_entry *entries, size_t count)
{
    size_t size = STATE_FILE_HEAD_SIZE + count * ENTRY_SIZE_MAX;
    for (size_t i = 0; i < count; i++)
        size += entries[i].name.size + entries[i].state.size;
    return size;
}

static uint32_t checksum_of(const uint8_t *data, size_t size)
{
    uint32_t checksum = crc32c(0, data, CHECKSUM_AT);
    return crc32c(checksum, data + STATE_FILE_HEAD_SIZE, size - STATE_FILE_HEAD_SIZE);
}

size_t state_file_encode(int64_t broker_epoch, const struct state_file_entry *entries, size_t count,
                         uint8_t *data, size_t capacity)
{
    struct writer writer = writer_of(data, capacity);
    write_bytes(&writer, magic, sizeof(magic));
    write_i16(&writer, STATE_FILE_VERSION);
    write_i64(&writer, broker_epoch);
    write_u32(&writer, (uint32_t)count);
    write_u32(&writer, 0);
    for (size_t i = 0; i < count; i++) {
        const struct state_file_entry *entry = &entries[i];
        write_uvarint(&writer, (uint32_t)entry->name.size);
        write_view(&writer, entry->name);
        write_bytes(&writer, entry->topic_id.bytes, UUID_SIZE);
        write_varlong(&writer, entry->directory_modified_ms);
        write_varlong(&writer, entry->active_base_offset);
        write_uvarint(&writer, entry->active_size);
        write_uvarint(&writer, (uint32_t)entry->state.size);
        write_view(&writer, entry->state);
    }
    klamm_assert(!writer.failed);
    store_u32(data + CHECKSUM_AT, checksum_of(data, writer.size));
    return writer.size;
}

int state_file_compare_names(struct view a, struct view b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

bool state_file_open(struct state_file_walk *walk, struct view bytes, int64_t broker_epoch)
{
    *walk = (struct state_file_walk){.reader = reader_of(bytes)};
    const uint8_t *head = reader_take(&walk->reader, STATE_FILE_HEAD_SIZE);
    if (!head || memcmp(head, magic, sizeof(magic)) != 0)
        return false;
    struct reader reader = reader_of(view_of(head, STATE_FILE_HEAD_SIZE));
    reader_take(&reader, sizeof(magic));
    int16_t version = read_i16(&reader);
    int64_t epoch = read_i64(&reader);
    walk->left = read_u32(&reader);
    return version == STATE_FILE_VERSION && epoch >= 0 && epoch == broker_epoch &&
           checksum_of(bytes.data, bytes.size) == read_u32(&reader);
}

bool state_file_next(struct state_file_walk *walk, struct state_file_entry *entry)
{
    struct reader *reader = &walk->reader;
    if (walk->left == 0)
        return false;
    walk->left--;
    uint32_t name_size = read_uvarint(reader);
    entry->name = view_of(reader_take(reader, name_size), name_size);
    const uint8_t *id = reader_take(reader, UUID_SIZE);
    entry->directory_modified_ms = read_varlong(reader);
    entry->active_base_offset = read_varlong(reader);
    entry->active_size = read_uvarint(reader);
    uint32_t state_size = read_uvarint(reader);
    entry->state = view_of(reader_take(reader, state_size), state_size);
    bool is_valid = !reader->failed && name_size > 0 && name_size <= LOG_FILE_NAME_MAX &&
                    entry->active_base_offset >= 0 &&
                    state_file_compare_names(walk->previous, entry->name) < 0;
    if (!is_valid) {
        walk->left = 0;
        return false;
    }
    memcpy(entry->topic_id.bytes, id, UUID_SIZE);
    walk->previous = entry->name;
    return true;
}
