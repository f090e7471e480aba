/* The bytes of journal files: names, heads, entries. Everything read is bounded and checked. */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/text.h"
#include "log/journal.h"

enum { ENTRY_PREFIX_SIZE = 8 }; /* size and checksum, not counted by themselves */

static const uint8_t magic[4] = {'K', 'L', 'M', 'J'};

void journal_name_format(char *text, unsigned loop_index, uint64_t number)
{
    struct text_builder builder;
    text_builder_init(&builder, text, LOG_FILE_NAME_MAX + 1);
    text_append_format(&builder, JOURNAL_NAME_PREFIX "%u-%llu", loop_index,
                       (unsigned long long)number);
}

bool journal_name_parse(const char *name, unsigned *loop_index, uint64_t *number)
{
    struct view rest = view_of_string(name);
    struct view prefix = VIEW_LITERAL(JOURNAL_NAME_PREFIX);
    uint64_t loop;
    if (!text_starts_with(rest, prefix))
        return false;
    rest = view_of(rest.data + prefix.size, rest.size - prefix.size);
    size_t dash = text_find(rest, '-');
    if (dash == rest.size || !text_parse_u64(view_of(rest.data, dash), UINT16_MAX, &loop))
        return false;
    *loop_index = (unsigned)loop;
    return text_parse_u64(view_of(rest.data + dash + 1, rest.size - dash - 1), UINT64_MAX, number);
}

void journal_head_encode(uint8_t data[JOURNAL_HEAD_SIZE], unsigned loop_index, uint64_t number)
{
    memcpy(data, magic, sizeof(magic));
    store_u16(data + 4, JOURNAL_VERSION);
    store_u16(data + 6, (uint16_t)loop_index);
    store_u64(data + 8, number);
    store_u32(data + 16, crc32c(0, data, 16));
}

bool journal_head_decode(struct view bytes, unsigned loop_index, uint64_t number)
{
    uint8_t expected[JOURNAL_HEAD_SIZE];
    journal_head_encode(expected, loop_index, number);
    return bytes.size >= JOURNAL_HEAD_SIZE && memcmp(bytes.data, expected, sizeof(expected)) == 0;
}

void journal_entry_seal(const struct journal_entry *entry, uint8_t *data)
{
    uint32_t size = JOURNAL_ENTRY_HEAD_SIZE - ENTRY_PREFIX_SIZE + entry->size;
    struct writer writer = writer_of(data, JOURNAL_ENTRY_HEAD_SIZE);
    write_u32(&writer, size);
    write_u32(&writer, 0);
    write_u8(&writer, (uint8_t)entry->kind);
    write_bytes(&writer, "\0\0\0", 3);
    write_i32(&writer, entry->partition);
    write_bytes(&writer, entry->topic_id.bytes, UUID_SIZE);
    write_i64(&writer, entry->segment_base);
    write_u64(&writer, entry->position);
    write_i64(&writer, entry->start);
    write_i64(&writer, entry->end);
    klamm_assert(!writer.failed && writer.size == JOURNAL_ENTRY_HEAD_SIZE);
    store_u32(data + 4, crc32c(0, data + ENTRY_PREFIX_SIZE, size));
}

static bool is_sound(const struct journal_entry *entry)
{
    if (entry->partition < 0 || entry->start < 0)
        return false;
    switch (entry->kind) {
    case JOURNAL_DATA:
        return entry->segment_base >= 0 && entry->end > entry->start && entry->size > 0 &&
               entry->position <= INT32_MAX;
    case JOURNAL_CUT:
    case JOURNAL_VOID:
    case JOURNAL_DELETED:
        return entry->size == 0;
    }
    return false;
}

size_t journal_entry_decode(struct view bytes, struct journal_entry *entry, struct view *data)
{
    struct reader reader = reader_of(bytes);
    uint32_t size = read_u32(&reader);
    uint32_t checksum = read_u32(&reader);
    if (reader.failed || size < JOURNAL_ENTRY_HEAD_SIZE - ENTRY_PREFIX_SIZE ||
        size > JOURNAL_ENTRY_SIZE_MAX || size > reader_left(&reader) ||
        crc32c(0, reader.next, size) != checksum)
        return 0;
    entry->kind = (enum journal_kind)read_u8(&reader);
    reader_take(&reader, 3);
    entry->partition = read_i32(&reader);
    memcpy(entry->topic_id.bytes, reader_take(&reader, UUID_SIZE), UUID_SIZE);
    entry->segment_base = read_i64(&reader);
    entry->position = read_u64(&reader);
    entry->start = read_i64(&reader);
    entry->end = read_i64(&reader);
    entry->size = size - (JOURNAL_ENTRY_HEAD_SIZE - ENTRY_PREFIX_SIZE);
    *data = view_of(reader.next, entry->size);
    return is_sound(entry) ? ENTRY_PREFIX_SIZE + size : 0;
}
