/*
 * | field | bytes |
 * |---|---|
 * | version of the hash | 1, always 0 |
 * | topic id | two int64, most significant half first |
 * | name | a text |
 * | partition count | int32 |
 * | per partition: its number | int32 |
 * | per replica with a rack, sorted: size of its text in characters | int32 |
 * | the rack | a text |
 *
 * All little-endian. A text is its UTF-16 code units and then their number as an int32.
 */
#include "consumer/consumer_group_hash.h"

#include <xxhash.h>

#include "base/buffer.h"
#include "base/sort.h"

enum { RACKS_MAX = 64 }; /* replicas of a partition that count */

static void append_u32(struct buffer *buffer, uint32_t value)
{
    uint8_t bytes[4];
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    buffer_append(buffer, bytes, sizeof(bytes));
}

static void append_u64(struct buffer *buffer, uint64_t value)
{
    append_u32(buffer, (uint32_t)value);
    append_u32(buffer, (uint32_t)(value >> 32));
}

static void append_unit(struct buffer *buffer, uint32_t unit)
{
    uint8_t bytes[2] = {(uint8_t)unit, (uint8_t)(unit >> 8)};
    buffer_append(buffer, bytes, sizeof(bytes));
}

/* One code point of UTF-8; a stray byte counts as U+FFFD. */
static uint32_t next_code_point(struct view text, size_t *at)
{
    uint8_t lead = text.data[(*at)++];
    unsigned more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    if (lead < 0x80)
        return lead;
    uint32_t point = more == 3 ? lead & 7u : more == 2 ? lead & 15u : lead & 31u;
    if (more == 0 || *at + more > text.size)
        return 0xfffd;
    while (more-- > 0)
        point = point << 6 | (text.data[(*at)++] & 63u);
    return point;
}

/* Appends the code units of a text (unless only counting) and returns how many they are. */
static uint32_t append_units(struct buffer *buffer, struct view text)
{
    uint32_t units = 0;
    for (size_t at = 0; at < text.size;) {
        uint32_t point = next_code_point(text, &at);
        bool pair = point > 0xffff;
        units += pair ? 2 : 1;
        if (!buffer)
            continue;
        if (pair)
            append_unit(buffer, 0xd800 + ((point - 0x10000) >> 10));
        append_unit(buffer, pair ? 0xdc00 + ((point - 0x10000) & 0x3ff) : point);
    }
    return units;
}

static void append_text(struct buffer *buffer, struct view text)
{
    append_u32(buffer, append_units(buffer, text));
}

static int compare_racks(const void *a, const void *b, void *context)
{
    (void)context;
    return view_compare(*(const struct view *)a, *(const struct view *)b);
}

static void append_racks(struct buffer *buffer, const struct image *image,
                         const struct image_partition *partition)
{
    struct view racks[RACKS_MAX];
    struct view scratch[RACKS_MAX];
    size_t count = 0;
    struct node_list replicas = image_partition_replicas(partition);
    for (uint32_t i = 0; i < replicas.count && count < RACKS_MAX; i++) {
        const struct image_node *broker = image_broker(image, replicas.ids[i]);
        if (broker && !view_is_null(broker->rack))
            racks[count++] = broker->rack;
    }
    sort_stable(racks, count, sizeof(racks[0]), scratch, compare_racks, NULL);
    for (size_t i = 0; i < count; i++) {
        append_u32(buffer, append_units(NULL, racks[i]));
        append_text(buffer, racks[i]);
    }
}

bool consumer_topic_hash(const struct image *image, const struct image_topic *topic,
                         struct arena *arena, int64_t *hash)
{
    struct buffer buffer;
    buffer_init(&buffer, arena->heap, MEMORY_SCRATCH, 0);
    bool done = buffer_reserve(&buffer, 64 + topic->name.size * 2 + topic->partition_count * 4u);
    uint8_t version = 0;
    buffer_append(&buffer, &version, 1);
    append_u64(&buffer, uuid_most(topic->id));
    append_u64(&buffer, uuid_least(topic->id));
    append_text(&buffer, topic->name);
    append_u32(&buffer, topic->partition_count);
    for (uint32_t p = 0; p < topic->partition_count; p++) {
        append_u32(&buffer, p);
        const struct image_partition *partition = image_topic_partition(topic, (int32_t)p);
        if (partition)
            append_racks(&buffer, image, partition);
    }
    *hash = done ? (int64_t)XXH3_64bits(buffer.data, buffer.size) : 0;
    buffer_deinit(&buffer);
    return done;
}

bool consumer_group_hash(const int64_t *topic_hashes, size_t count, struct arena *arena,
                         int64_t *hash)
{
    *hash = 0;
    if (count == 0)
        return true;
    struct buffer buffer;
    buffer_init(&buffer, arena->heap, MEMORY_SCRATCH, 0);
    bool done = buffer_reserve(&buffer, count * sizeof(int64_t));
    for (size_t i = 0; i < count; i++)
        append_u64(&buffer, (uint64_t)topic_hashes[i]);
    if (done)
        *hash = (int64_t)XXH3_64bits(buffer.data, buffer.size);
    buffer_deinit(&buffer);
    return done;
}
