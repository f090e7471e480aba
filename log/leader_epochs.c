/*
 * How it works: a sorted array, searched by bisection; almost all logs have a handful of epochs.
 * A new epoch replaces entries that start at or behind it: those had no records, because the log
 * was cut or their leader wrote nothing.
 */
#include "log/leader_epochs.h"

#include "base/assert.h"
#include "base/text.h"
#include "log/checkpoint_file.h"
#include "log/file_content.h"
#include "log/log_path.h"

enum {
    EPOCHS_CAPACITY_FIRST = 2,
    EPOCHS_LINE_SIZE_MAX = 11 + 1 + 20 + 1,
    EPOCHS_FILE_SIZE_MAX = 64 * 1024 * 1024
};

void leader_epochs_init(struct leader_epochs *epochs)
{
    *epochs = (struct leader_epochs){0};
}

void leader_epochs_deinit(struct leader_epochs *epochs, struct heap *heap)
{
    heap_put(heap, MEMORY_STATE, epochs->entries, epochs->capacity * sizeof(*epochs->entries));
    leader_epochs_init(epochs);
}

void leader_epochs_clear(struct leader_epochs *epochs)
{
    epochs->is_dirty |= epochs->count > 0;
    epochs->count = 0;
}

static void reserve(struct leader_epochs *epochs, struct heap *heap, uint32_t count)
{
    if (count <= epochs->capacity)
        return;
    uint32_t capacity = epochs->capacity ? epochs->capacity : EPOCHS_CAPACITY_FIRST;
    while (capacity < count)
        capacity *= 2;
    struct leader_epoch *entries = heap_must_get(heap, MEMORY_STATE, capacity * sizeof(*entries));
    if (epochs->count > 0)
        memcpy(entries, epochs->entries, epochs->count * sizeof(*entries));
    heap_put(heap, MEMORY_STATE, epochs->entries, epochs->capacity * sizeof(*entries));
    epochs->entries = entries;
    epochs->capacity = capacity;
}

bool leader_epochs_assign(struct leader_epochs *epochs, struct heap *heap, int32_t epoch,
                          int64_t start_offset)
{
    if (epoch < 0 || start_offset < 0 || epoch <= leader_epochs_latest(epochs))
        return false;
    leader_epochs_truncate_end(epochs, start_offset);
    reserve(epochs, heap, epochs->count + 1);
    epochs->entries[epochs->count++] = (struct leader_epoch){epoch, start_offset};
    epochs->is_dirty = true;
    return true;
}

int32_t leader_epochs_latest(const struct leader_epochs *epochs)
{
    return epochs->count > 0 ? epochs->entries[epochs->count - 1].epoch : -1;
}

/* How many entries start at or below `offset`. */
static uint32_t count_up_to_offset(const struct leader_epochs *epochs, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = epochs->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (epochs->entries[middle].start_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many entries have an epoch at or below `epoch`. */
static uint32_t count_up_to_epoch(const struct leader_epochs *epochs, int32_t epoch)
{
    uint32_t low = 0;
    uint32_t high = epochs->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (epochs->entries[middle].epoch <= epoch)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct leader_epoch *leader_epochs_of_offset(const struct leader_epochs *epochs,
                                                   int64_t offset)
{
    uint32_t count = count_up_to_offset(epochs, offset);
    return count > 0 ? &epochs->entries[count - 1] : NULL;
}

struct leader_epoch_end leader_epochs_end_of(const struct leader_epochs *epochs, int32_t epoch,
                                             int64_t log_end_offset)
{
    int32_t latest = leader_epochs_latest(epochs);
    if (epoch == -1 || latest < 0 || epoch > latest)
        return (struct leader_epoch_end){-1, -1};
    if (epoch == latest)
        return (struct leader_epoch_end){epoch, log_end_offset};
    uint32_t count = count_up_to_epoch(epochs, epoch);
    if (count == 0)
        return (struct leader_epoch_end){epoch, epochs->entries[0].start_offset};
    return (struct leader_epoch_end){epochs->entries[count - 1].epoch,
                                     epochs->entries[count].start_offset};
}

void leader_epochs_truncate_end(struct leader_epochs *epochs, int64_t offset)
{
    while (epochs->count > 0 && epochs->entries[epochs->count - 1].start_offset >= offset) {
        epochs->count--;
        epochs->is_dirty = true;
    }
}

void leader_epochs_truncate_start(struct leader_epochs *epochs, int64_t offset)
{
    uint32_t count = count_up_to_offset(epochs, offset);
    if (count == 0 || (count == 1 && epochs->entries[0].start_offset == offset))
        return;
    /* The last entry that starts at or below `offset` stays and now starts there. */
    memmove(epochs->entries, epochs->entries + count - 1,
            (epochs->count - count + 1) * sizeof(*epochs->entries));
    epochs->count -= count - 1;
    epochs->entries[0].start_offset = offset;
    epochs->is_dirty = true;
}

void leader_epochs_copy(struct leader_epochs *to, struct heap *heap,
                        const struct leader_epochs *from)
{
    klamm_assert(to->count == 0);
    reserve(to, heap, from->count);
    if (from->count > 0)
        memcpy(to->entries, from->entries, from->count * sizeof(*to->entries));
    to->count = from->count;
    to->is_dirty = from->is_dirty;
}

size_t leader_epochs_text_size_max(const struct leader_epochs *epochs)
{
    return 32 + (size_t)epochs->count * EPOCHS_LINE_SIZE_MAX;
}

size_t leader_epochs_encode(const struct leader_epochs *epochs, char *text, size_t capacity)
{
    struct text_builder builder;
    text_builder_init(&builder, text, capacity);
    text_append_format(&builder, "0\n%u\n", epochs->count);
    for (uint32_t i = 0; i < epochs->count; i++)
        text_append_format(&builder, "%d %lld\n", epochs->entries[i].epoch,
                           (long long)epochs->entries[i].start_offset);
    klamm_assert(!builder.truncated);
    return builder.size;
}

static bool decode_line(struct view line, struct leader_epoch *entry)
{
    struct view epoch = checkpoint_next_field(&line);
    struct view offset = checkpoint_next_field(&line);
    int64_t number;
    if (view_is_null(offset) || !view_is_null(checkpoint_next_field(&line)))
        return false;
    if (!text_parse_i64(epoch, 0, INT32_MAX, &number))
        return false;
    entry->epoch = (int32_t)number;
    return text_parse_i64(offset, 0, INT64_MAX, &entry->start_offset);
}

static bool decode_lines(struct leader_epochs *epochs, struct view text, uint64_t count)
{
    while (epochs->count < count) {
        struct view line = checkpoint_next_line(&text);
        struct leader_epoch *entry = &epochs->entries[epochs->count];
        if (view_is_null(line) || !decode_line(line, entry))
            return false;
        if (epochs->count > 0 &&
            (entry->epoch <= entry[-1].epoch || entry->start_offset <= entry[-1].start_offset))
            return false;
        epochs->count++;
    }
    while (text.size > 0) {
        if (text_trim(checkpoint_next_line(&text)).size != 0)
            return false;
    }
    return true;
}

bool leader_epochs_decode(struct leader_epochs *epochs, struct heap *heap, struct view text)
{
    uint64_t count;
    if (!checkpoint_read_head(&text, &count))
        return false;
    reserve(epochs, heap, (uint32_t)count);
    epochs->count = 0;
    if (!decode_lines(epochs, text, count)) {
        leader_epochs_deinit(epochs, heap);
        return false;
    }
    epochs->is_dirty = false;
    return true;
}

enum storage_status leader_epochs_load(struct storage storage, const char *directory,
                                       struct leader_epochs *epochs, struct heap *heap, bool *valid)
{
    struct log_path path;
    struct file_content content;
    *valid = true;
    if (!log_path_join(&path, directory, LEADER_EPOCHS_FILE_NAME))
        return STORAGE_LIMIT;
    enum storage_status status =
        file_content_read(storage, path.text, heap, EPOCHS_FILE_SIZE_MAX, &content);
    if (status == STORAGE_NOT_FOUND)
        return STORAGE_OK;
    if (status != STORAGE_OK)
        return status;
    *valid = leader_epochs_decode(epochs, heap, file_content_view(&content));
    file_content_release(&content);
    return STORAGE_OK;
}
