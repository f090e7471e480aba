/*
 * How it works: the text is cut into lines and the lines into fields, nothing is copied. Decoded
 * entries are sorted, because files of Kafka are in hash order; lookups are then binary searches,
 * which matters when 100,000 partitions are loaded. Any line that is not understood makes the whole
 * file invalid: half a checkpoint would silently say 0 for the rest.
 */
#include "log/checkpoint_file.h"

#include "base/sort.h"
#include "base/text.h"
#include "log/file_content.h"
#include "log/log_path.h"

enum {
    CHECKPOINT_FILE_SIZE_MAX = 256 * 1024 * 1024,
    CHECKPOINT_LINE_NUMBERS_MAX = 1 + 11 + 1 + 20 + 1 /* " <int32> <int64>\n" */
};

struct view checkpoint_next_line(struct view *text)
{
    if (text->size == 0)
        return VIEW_NULL;
    size_t end = text_find(*text, '\n');
    struct view line = view_of(text->data, end);
    size_t used = end < text->size ? end + 1 : end;
    *text = view_of(text->data + used, text->size - used);
    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    return line;
}

static bool is_blank(uint8_t character)
{
    return character == ' ' || character == '\t';
}

struct view checkpoint_next_field(struct view *line)
{
    size_t start = 0;
    while (start < line->size && is_blank(line->data[start]))
        start++;
    size_t end = start;
    while (end < line->size && !is_blank(line->data[end]))
        end++;
    if (start == end)
        return VIEW_NULL;
    struct view field = view_of(line->data + start, end - start);
    *line = view_of(line->data + end, line->size - end);
    return field;
}

bool checkpoint_read_head(struct view *text, uint64_t *count)
{
    *count = 0;
    if (text->size == 0)
        return true;
    uint64_t version;
    struct view line = checkpoint_next_line(text);
    if (!text_parse_u64(text_trim(line), UINT32_MAX, &version) || version != 0)
        return false;
    line = checkpoint_next_line(text);
    /* Every entry needs at least 4 bytes; a larger count is wrong before memory is asked for. */
    return !view_is_null(line) && text_parse_u64(text_trim(line), INT32_MAX, count) &&
           *count <= text->size / 4 + 1;
}

static bool decode_entry(struct view line, struct checkpoint_entry *entry)
{
    entry->topic = checkpoint_next_field(&line);
    struct view partition = checkpoint_next_field(&line);
    struct view offset = checkpoint_next_field(&line);
    int64_t number;
    if (view_is_null(offset) || !view_is_null(checkpoint_next_field(&line)))
        return false;
    if (!text_parse_i64(partition, 0, INT32_MAX, &number))
        return false;
    entry->partition = (int32_t)number;
    return text_parse_i64(offset, INT64_MIN, INT64_MAX, &entry->offset);
}

static int compare_entries(const void *left, const void *right, void *context)
{
    const struct checkpoint_entry *a = left;
    const struct checkpoint_entry *b = right;
    (void)context;
    int order = view_compare(a->topic, b->topic);
    if (order != 0)
        return order;
    return (a->partition > b->partition) - (a->partition < b->partition);
}

bool checkpoint_decode(struct view text, struct arena *arena, struct checkpoint *checkpoint)
{
    *checkpoint = (struct checkpoint){NULL, 0};
    uint64_t count;
    if (!checkpoint_read_head(&text, &count))
        return false;
    struct checkpoint_entry *entries = arena_get_array(arena, (size_t)count, sizeof(*entries));
    if (!entries)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct view line = checkpoint_next_line(&text);
        if (view_is_null(line) || !decode_entry(line, &entries[i]))
            return false;
    }
    while (text.size > 0) {
        if (text_trim(checkpoint_next_line(&text)).size != 0)
            return false;
    }
    if (!sort_stable_on(arena->heap, entries, (size_t)count, sizeof(*entries), compare_entries,
                        NULL))
        return false;
    *checkpoint = (struct checkpoint){entries, (size_t)count};
    return true;
}

size_t checkpoint_size(const struct checkpoint_entry *entries, size_t count)
{
    char numbers[64];
    struct text_builder line;
    text_builder_init(&line, numbers, sizeof(numbers));
    text_append_format(&line, "0\n%zu\n", count);
    size_t size = line.size;
    for (size_t i = 0; i < count; i++) {
        text_builder_init(&line, numbers, sizeof(numbers));
        text_append_format(&line, " %d %lld\n", entries[i].partition, (long long)entries[i].offset);
        size += entries[i].topic.size + line.size;
    }
    return size;
}

void checkpoint_encode(const struct checkpoint_entry *entries, size_t count, uint8_t *data)
{
    char numbers[64];
    struct text_builder line;
    text_builder_init(&line, numbers, sizeof(numbers));
    text_append_format(&line, "0\n%zu\n", count);
    memcpy(data, line.data, line.size);
    data += line.size;
    for (size_t i = 0; i < count; i++) {
        memcpy(data, entries[i].topic.data, entries[i].topic.size);
        data += entries[i].topic.size;
        text_builder_init(&line, numbers, sizeof(numbers));
        text_append_format(&line, " %d %lld\n", entries[i].partition, (long long)entries[i].offset);
        memcpy(data, line.data, line.size);
        data += line.size;
    }
}

int64_t checkpoint_find(const struct checkpoint *checkpoint, struct view topic, int32_t partition,
                        int64_t otherwise)
{
    struct checkpoint_entry wanted = {topic, partition, 0};
    size_t place = sort_lower_bound(checkpoint->entries, checkpoint->count, sizeof(wanted), &wanted,
                                    compare_entries, NULL);
    if (place < checkpoint->count &&
        compare_entries(&checkpoint->entries[place], &wanted, NULL) == 0)
        return checkpoint->entries[place].offset;
    return otherwise;
}

enum storage_status checkpoint_read(struct storage storage, const char *directory, const char *name,
                                    struct arena *arena, struct checkpoint *checkpoint, bool *valid)
{
    struct log_path path;
    struct file_content content;
    *checkpoint = (struct checkpoint){NULL, 0};
    *valid = true;
    if (!log_path_join(&path, directory, name))
        return STORAGE_LIMIT;
    enum storage_status status =
        file_content_read(storage, path.text, arena->heap, CHECKPOINT_FILE_SIZE_MAX, &content);
    if (status == STORAGE_NOT_FOUND)
        return STORAGE_OK;
    if (status != STORAGE_OK)
        return status;
    struct view text = arena_copy(arena, file_content_view(&content));
    file_content_release(&content);
    *valid = !view_is_null(text) && checkpoint_decode(text, arena, checkpoint);
    return STORAGE_OK;
}
