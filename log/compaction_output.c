/*
 * Batches go through one buffer of a mebibyte; every 32 MiB the file is synced, so that the last
 * sync has little to do and the kernel's dirty pages stay few.
 */
#include "log/compaction_output.h"

#include <stdio.h>

#include "base/assert.h"
#include "log/producer_snapshot.h"
#include "protocol/batch.h"
#include "runtime/test_point.h"

enum { BUFFER_SIZE = 1024 * 1024, SYNC_BYTES = 32 * 1024 * 1024 };

static const char *const suffixes[] = {SEGMENT_LOG_SUFFIX, SEGMENT_INDEX_SUFFIX,
                                       SEGMENT_TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX};

enum { SUFFIXES = sizeof(suffixes) / sizeof(suffixes[0]) };

static bool path_of(struct log_path *path, const char *directory, int64_t base_offset,
                    const char *suffix, const char *state)
{
    char full[32];
    snprintf(full, sizeof(full), "%s%s", suffix, state);
    return log_path_of_offset(path, directory, base_offset, full);
}

void compaction_outputs_init(struct compaction_outputs *outputs, struct heap *heap,
                             const char *directory, const struct loop *loop)
{
    *outputs = (struct compaction_outputs){.heap = heap, .directory = directory, .loop = loop};
}

void compaction_outputs_clear(struct compaction_outputs *outputs, struct storage storage)
{
    for (uint32_t i = 0; i < outputs->count; i++) {
        struct compaction_output *output = &outputs->items[i];
        if (output->log)
            storage_run_close(storage, output->log);
        if (output->index)
            storage_run_close(storage, output->index);
        segment_deinit(&output->segment, outputs->heap);
    }
    heap_put(outputs->heap, MEMORY_SCRATCH, outputs->items,
             outputs->capacity * sizeof(*outputs->items));
    heap_put(outputs->heap, MEMORY_SCRATCH, outputs->buffer, BUFFER_SIZE);
    outputs->items = NULL;
    outputs->count = 0;
    outputs->capacity = 0;
    outputs->buffer = NULL;
    outputs->buffered = 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static struct compaction_output *last_of(const struct compaction_outputs *outputs)
{
    klamm_assert(outputs->count > 0);
    return &outputs->items[outputs->count - 1];
}

/* Opens a `.cleaned` file, empty whatever was there. */
static enum storage_status open_cleaned(const struct compaction_outputs *outputs,
                                        struct storage storage, int64_t base_offset,
                                        const char *suffix, struct storage_file **file)
{
    struct log_path path;
    uint64_t size = 0;
    *file = NULL;
    if (!path_of(&path, outputs->directory, base_offset, suffix, SEGMENT_STATE_CLEANED))
        return STORAGE_IO;
    enum storage_status status =
        storage_run_open(storage, path.text,
                         STORAGE_FLAG_READ | STORAGE_FLAG_WRITE | STORAGE_FLAG_CREATE, file, &size);
    if (status != STORAGE_OK) {
        *file = NULL;
        return status;
    }
    return size > 0 ? storage_run_truncate(storage, *file, 0) : STORAGE_OK;
}

enum storage_status compaction_outputs_begin(struct compaction_outputs *outputs,
                                             struct storage storage, int64_t base_offset)
{
    if (!outputs->buffer)
        outputs->buffer = heap_must_get(outputs->heap, MEMORY_SCRATCH, BUFFER_SIZE);
    if (outputs->count == outputs->capacity) {
        uint32_t capacity = outputs->capacity ? outputs->capacity * 2 : 4;
        struct compaction_output *items =
            heap_resize(outputs->heap, MEMORY_SCRATCH, outputs->items,
                        outputs->capacity * sizeof(*items), capacity * sizeof(*items));
        if (!items)
            return STORAGE_LIMIT;
        outputs->items = items;
        outputs->capacity = capacity;
    }
    struct compaction_output *output = &outputs->items[outputs->count++];
    *output = (struct compaction_output){.last_offset = base_offset - 1};
    segment_init(&output->segment, base_offset);
    outputs->unsynced = 0;
    return open_cleaned(outputs, storage, base_offset, SEGMENT_LOG_SUFFIX, &output->log);
}

bool compaction_outputs_has_room(const struct compaction_outputs *outputs, const uint8_t *batch,
                                 uint64_t size_max, int32_t index_bytes)
{
    const struct segment *segment = &last_of(outputs)->segment;
    if (segment->size == 0)
        return segment_holds_offset(segment, batch_last_offset(batch));
    return segment->size + (uint64_t)batch_size(batch) <= size_max &&
           segment_holds_offset(segment, batch_last_offset(batch)) &&
           !segment_is_index_full(segment, index_bytes);
}

static enum storage_status write_out(struct compaction_outputs *outputs, struct storage storage,
                                     struct view bytes, uint64_t position)
{
    struct compaction_output *output = last_of(outputs);
    enum storage_status status =
        storage_run_write(storage, output->log, position, bytes.data, bytes.size);
    outputs->written += bytes.size;
    outputs->unsynced += bytes.size;
    if (status == STORAGE_OK && outputs->unsynced >= SYNC_BYTES) {
        outputs->unsynced = 0;
        status = storage_run_sync(storage, output->log);
    }
    return status;
}

static enum storage_status drain(struct compaction_outputs *outputs, struct storage storage)
{
    if (outputs->buffered == 0)
        return STORAGE_OK;
    size_t size = outputs->buffered;
    outputs->buffered = 0;
    return write_out(outputs, storage, view_of(outputs->buffer, size),
                     last_of(outputs)->segment.size - size);
}

enum storage_status compaction_outputs_add(struct compaction_outputs *outputs,
                                           struct storage storage, struct view batch,
                                           int32_t index_interval_bytes)
{
    struct compaction_output *output = last_of(outputs);
    klamm_assert(batch_base_offset(batch.data) > output->last_offset);
    enum storage_status status = STORAGE_OK;
    if (batch.size > BUFFER_SIZE - outputs->buffered)
        status = drain(outputs, storage);
    if (status != STORAGE_OK)
        return status;
    uint64_t position = output->segment.size;
    segment_add_batch(&output->segment, outputs->heap, batch.data, index_interval_bytes);
    output->last_offset = batch_last_offset(batch.data);
    if (batch.size > BUFFER_SIZE)
        return write_out(outputs, storage, batch, position);
    memcpy(outputs->buffer + outputs->buffered, batch.data, batch.size);
    outputs->buffered += batch.size;
    return STORAGE_OK;
}

/* ---- Sealing --------------------------------------------------------------------------------- */

static enum storage_status write_index(const struct compaction_outputs *outputs,
                                       struct storage storage, const char *suffix,
                                       struct view bytes, struct storage_file **file)
{
    int64_t base_offset = last_of(outputs)->segment.base_offset;
    enum storage_status status = open_cleaned(outputs, storage, base_offset, suffix, file);
    if (status == STORAGE_OK && bytes.size > 0)
        status = storage_run_write(storage, *file, 0, bytes.data, bytes.size);
    if (status == STORAGE_OK)
        status = storage_run_sync(storage, *file);
    return status;
}

static enum storage_status write_and_close(const struct compaction_outputs *outputs,
                                           struct storage storage, const char *suffix,
                                           struct view bytes)
{
    struct storage_file *file;
    enum storage_status status = write_index(outputs, storage, suffix, bytes, &file);
    if (file)
        storage_run_close(storage, file);
    return status;
}

static enum storage_status write_indexes(struct compaction_outputs *outputs, struct storage storage,
                                         uint8_t *data)
{
    struct compaction_output *output = last_of(outputs);
    struct segment *segment = &output->segment;
    size_t size = (size_t)segment->index.tail_count * OFFSET_INDEX_ENTRY_SIZE;
    offset_index_encode(segment->index.tail, segment->index.tail_count, data);
    enum storage_status status =
        write_index(outputs, storage, SEGMENT_INDEX_SUFFIX, view_of(data, size), &output->index);
    if (status != STORAGE_OK)
        return status;
    size = (size_t)segment->times.tail_count * TIME_INDEX_ENTRY_SIZE;
    time_index_encode(segment->times.tail, segment->times.tail_count, data);
    status = write_and_close(outputs, storage, SEGMENT_TIME_INDEX_SUFFIX, view_of(data, size));
    if (status != STORAGE_OK || segment->aborted.count == 0)
        return status;
    size = (size_t)segment->aborted.count * TRANSACTION_INDEX_ENTRY_SIZE;
    transaction_index_encode(&segment->aborted, 0, data);
    return write_and_close(outputs, storage, TRANSACTION_INDEX_SUFFIX, view_of(data, size));
}

static enum storage_status seal_indexes(struct compaction_outputs *outputs, struct storage storage)
{
    struct segment *segment = &last_of(outputs)->segment;
    segment_seal_entries(segment, outputs->heap);
    size_t capacity = (size_t)segment->index.tail_count * OFFSET_INDEX_ENTRY_SIZE +
                      (size_t)segment->times.tail_count * TIME_INDEX_ENTRY_SIZE +
                      (size_t)segment->aborted.count * TRANSACTION_INDEX_ENTRY_SIZE + 1;
    uint8_t *data = heap_must_get(outputs->heap, MEMORY_SCRATCH, capacity);
    enum storage_status status = write_indexes(outputs, storage, data);
    heap_put(outputs->heap, MEMORY_SCRATCH, data, capacity);
    if (status != STORAGE_OK)
        return status;
    offset_index_stored(&segment->index, outputs->heap, segment->index.tail_count);
    time_index_stored(&segment->times, outputs->heap, segment->times.tail_count);
    segment->aborted.written_count = segment->aborted.count;
    return STORAGE_OK;
}

enum storage_status compaction_outputs_seal(struct compaction_outputs *outputs,
                                            struct storage storage, int64_t modified_ms)
{
    struct compaction_output *output = last_of(outputs);
    struct log_path path;
    enum storage_status status = drain(outputs, storage);
    if (status == STORAGE_OK && !test_point(outputs->loop, BUG_COMPACT_SKIP_OUTPUT_SYNC))
        status = storage_run_sync(storage, output->log);
    if (status == STORAGE_OK)
        status = seal_indexes(outputs, storage);
    if (status != STORAGE_OK)
        return status;
    output->segment.is_sealed = true;
    output->segment.last_append_ms = modified_ms;
    if (!path_of(&path, outputs->directory, output->segment.base_offset, SEGMENT_LOG_SUFFIX,
                 SEGMENT_STATE_CLEANED))
        return STORAGE_IO;
    struct storage_request request = {
        .operation = STORAGE_SET_MODIFIED, .path = path.text, .modified_ms = modified_ms};
    return storage_run(storage, &request);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* A file that is not there is fine: not every segment has every file, or it was done before. */
static enum storage_status rename_state(struct storage storage, const char *directory,
                                        int64_t base_offset, const char *suffix, const char *from,
                                        const char *to)
{
    struct log_path old_path;
    struct log_path new_path;
    if (!path_of(&old_path, directory, base_offset, suffix, from) ||
        !path_of(&new_path, directory, base_offset, suffix, to))
        return STORAGE_IO;
    enum storage_status status =
        storage_run_path(storage, STORAGE_RENAME, old_path.text, new_path.text);
    return status == STORAGE_NOT_FOUND ? STORAGE_OK : status;
}

/* The step is durable before the next one begins. */
static enum storage_status end_step(struct storage storage, const char *directory,
                                    const struct loop *loop)
{
    if (test_point(loop, BUG_COMPACT_SWAP_WITHOUT_ORDER))
        return STORAGE_OK;
    return storage_run_path(storage, STORAGE_SYNC_DIRECTORY, directory, NULL);
}

enum storage_status compaction_outputs_commit(const struct compaction_outputs *outputs,
                                              struct storage storage)
{
    enum storage_status status = end_step(storage, outputs->directory, outputs->loop);
    for (uint32_t i = outputs->count; i > 0 && status == STORAGE_OK; i--) {
        int64_t base_offset = outputs->items[i - 1].segment.base_offset;
        for (int s = 0; s < SUFFIXES && status == STORAGE_OK; s++)
            status = rename_state(storage, outputs->directory, base_offset, suffixes[s],
                                  SEGMENT_STATE_CLEANED, SEGMENT_STATE_SWAP);
        if (status == STORAGE_OK)
            status = end_step(storage, outputs->directory, outputs->loop);
    }
    return status;
}

static enum storage_status unlink_state(const struct compaction_outputs *outputs,
                                        struct storage storage, uint32_t place, int suffix,
                                        const char *state)
{
    struct log_path path;
    if (!path_of(&path, outputs->directory, outputs->items[place].segment.base_offset,
                 suffixes[suffix], state))
        return STORAGE_IO;
    enum storage_status status = storage_run_path(storage, STORAGE_UNLINK, path.text, NULL);
    return status == STORAGE_NOT_FOUND ? STORAGE_OK : status;
}

/* With the first log back under `.cleaned` a start throws everything from its base on away. */
enum storage_status compaction_outputs_revert(const struct compaction_outputs *outputs,
                                              struct storage storage)
{
    enum storage_status status =
        rename_state(storage, outputs->directory, outputs->items[0].segment.base_offset,
                     SEGMENT_LOG_SUFFIX, SEGMENT_STATE_SWAP, SEGMENT_STATE_CLEANED);
    if (status == STORAGE_OK)
        status = storage_run_path(storage, STORAGE_SYNC_DIRECTORY, outputs->directory, NULL);
    for (uint32_t i = 0; i < outputs->count && status == STORAGE_OK; i++) {
        for (int s = 0; s < SUFFIXES && status == STORAGE_OK; s++)
            status = unlink_state(outputs, storage, i, s, SEGMENT_STATE_SWAP);
    }
    if (status == STORAGE_OK)
        status = storage_run_path(storage, STORAGE_SYNC_DIRECTORY, outputs->directory, NULL);
    if (status == STORAGE_OK)
        compaction_outputs_discard(outputs, storage);
    return status;
}

void compaction_outputs_discard(const struct compaction_outputs *outputs, struct storage storage)
{
    for (uint32_t i = 0; i < outputs->count; i++) {
        for (int s = 0; s < SUFFIXES; s++)
            unlink_state(outputs, storage, i, s, SEGMENT_STATE_CLEANED);
    }
}

static bool holds(const int64_t *bases, uint32_t count, int64_t base_offset)
{
    for (uint32_t i = 0; i < count; i++) {
        if (bases[i] == base_offset)
            return true;
    }
    return false;
}

static enum storage_status old_names(const struct compaction_names *names, struct storage storage)
{
    enum storage_status status = STORAGE_OK;
    for (uint32_t i = 0; i < names->count && status == STORAGE_OK; i++) {
        for (int s = 0; s < SUFFIXES && status == STORAGE_OK; s++)
            status = rename_state(storage, names->directory, names->bases[i], suffixes[s], "",
                                  SEGMENT_STATE_DELETED);
        /* The state of the producers at this offset is of use only where a segment begins. */
        if (status == STORAGE_OK && !holds(names->new_bases, names->new_count, names->bases[i]))
            status = rename_state(storage, names->directory, names->bases[i],
                                  PRODUCER_SNAPSHOT_SUFFIX, "", SEGMENT_STATE_DELETED);
    }
    return status;
}

static enum storage_status new_names(const struct compaction_names *names, struct storage storage)
{
    enum storage_status status = STORAGE_OK;
    for (uint32_t i = 0; i < names->new_count && status == STORAGE_OK; i++) {
        for (int s = 0; s < SUFFIXES && status == STORAGE_OK; s++)
            status = rename_state(storage, names->directory, names->new_bases[i], suffixes[s],
                                  SEGMENT_STATE_SWAP, "");
    }
    return status;
}

enum storage_status compaction_take_old_names(const struct compaction_names *names,
                                              struct storage storage, const struct loop *loop)
{
    enum storage_status status = old_names(names, storage);
    return status == STORAGE_OK ? end_step(storage, names->directory, loop) : status;
}

enum storage_status compaction_take_new_names(const struct compaction_names *names,
                                              struct storage storage, const struct loop *loop)
{
    enum storage_status status = new_names(names, storage);
    return status == STORAGE_OK ? end_step(storage, names->directory, loop) : status;
}
