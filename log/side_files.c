/*
 * On the loop everything that is to be written is encoded into one block; the job only writes
 * blobs: the index at the place behind the stored entries, then the size is set, so that leftovers
 * of a crash or of a truncation behind it vanish. Back on the loop the entries leave the tails.
 */
#include "log/side_files.h"

#include "base/assert.h"
#include "log/file_content.h"
#include "log/log_path.h"
#include "log/producer_snapshot.h"

/* One blob of a file. */
struct side_file {
    const char *suffix;
    uint64_t position; /* bytes, where the blob goes */
    uint8_t *data;
    size_t size;
};

enum { SIDE_INDEX, SIDE_TIMES, SIDE_ABORTED, SIDE_FILES };

struct side_job {
    struct job job;
    struct partition_log *log;
    struct segment *segment;
    struct side_files_options options;
    int64_t base_offset;
    struct side_file files[SIDE_FILES];
    int64_t snapshot_offset;
    uint8_t *snapshot;
    size_t snapshot_size;
    int64_t stale_snapshot; /* that of an earlier stop goes; -1: there is none */
    char *epochs;
    size_t epochs_capacity;
    size_t epochs_size;
    bool lacks_epochs; /* another job is writing them: the segment is not complete with this one */
    uint32_t offset_count; /* tail entries in the blobs */
    uint32_t time_count;
    uint32_t aborted_count;
    struct segment_file **logs; /* to be synced, referenced */
    uint32_t log_count;
    enum storage_status status;
};

/* ---- In the job ------------------------------------------------------------------------------ */

static enum storage_status write_file(struct side_job *side, struct storage storage,
                                      const struct side_file *file)
{
    struct log_path path;
    if (!log_path_of_offset(&path, side->log->directory, side->base_offset, file->suffix))
        return STORAGE_IO;
    struct storage_file *handle;
    uint64_t size;
    enum storage_status status = storage_run_open(
        storage, path.text, STORAGE_FLAG_READ | STORAGE_FLAG_WRITE | STORAGE_FLAG_CREATE, &handle,
        &size);
    if (status != STORAGE_OK)
        return status;
    if (file->size)
        status = storage_run_write(storage, handle, file->position, file->data, file->size);
    if (status == STORAGE_OK && size > file->position + file->size)
        status = storage_run_truncate(storage, handle, file->position + file->size);
    if (status == STORAGE_OK && side->options.is_seal)
        status = storage_run_sync(storage, handle);
    storage_run_close(storage, handle);
    return status;
}

static enum storage_status remove_stale_snapshot(struct side_job *side, struct storage storage)
{
    struct log_path path;
    if (!log_path_of_offset(&path, side->log->directory, side->stale_snapshot,
                            PRODUCER_SNAPSHOT_SUFFIX))
        return STORAGE_IO;
    enum storage_status status = storage_run_path(storage, STORAGE_UNLINK, path.text, NULL);
    return status == STORAGE_NOT_FOUND || status == STORAGE_NO_SPACE ? STORAGE_OK : status;
}

static enum storage_status write_all(struct side_job *side, struct storage storage)
{
    enum storage_status status = STORAGE_OK;
    for (uint32_t i = 0; i < side->log_count && status == STORAGE_OK; i++)
        status = storage_run_sync(storage, side->logs[i]->log);
    for (int i = 0; i < SIDE_FILES && status == STORAGE_OK; i++) {
        if (side->files[i].suffix)
            status = write_file(side, storage, &side->files[i]);
    }
    if (side->epochs && status == STORAGE_OK)
        status = file_content_replace(storage, side->log->directory, LEADER_EPOCHS_FILE_NAME,
                                      view_of(side->epochs, side->epochs_size));
    if (side->snapshot && status == STORAGE_OK)
        status = producer_snapshot_write(storage, side->log->directory, side->snapshot_offset,
                                         view_of(side->snapshot, side->snapshot_size));
    if (side->stale_snapshot >= 0 && status == STORAGE_OK)
        status = remove_stale_snapshot(side, storage);
    if (side->options.is_seal && status == STORAGE_OK)
        status = storage_run_path(storage, STORAGE_SYNC_DIRECTORY, side->log->directory, NULL);
    return status;
}

static enum job_progress side_step(struct job *job, const struct job_context *context)
{
    struct side_job *side = container_of(job, struct side_job, job);
    side->status = write_all(side, context->storage);
    return JOB_FINISHED;
}

/* ---- On the loop ----------------------------------------------------------------------------- */

static void take_back(struct side_job *side, struct heap *heap)
{
    for (int i = 0; i < SIDE_FILES; i++)
        heap_put(heap, MEMORY_SCRATCH, side->files[i].data, side->files[i].size);
    heap_put(heap, MEMORY_SCRATCH, side->snapshot, side->snapshot_size);
    heap_put(heap, MEMORY_SCRATCH, side->epochs, side->epochs_capacity);
    for (uint32_t i = 0; i < side->log_count; i++)
        segment_file_release(side->logs[i]);
    heap_put(heap, MEMORY_SCRATCH, side->logs, side->log_count * sizeof(struct segment_file *));
    heap_put(heap, MEMORY_SCRATCH, side, sizeof(*side));
}

/* The segment that begins where the snapshot was taken has what is below it in a file now. */
static void mark_snapshot(struct partition_log *log, int64_t offset)
{
    for (uint32_t i = log->segment_count; i > 0; i--) {
        if (log->segments[i - 1]->base_offset == offset)
            log->segments[i - 1]->has_snapshot = true;
    }
}

static void side_done(struct job *job)
{
    struct side_job *side = container_of(job, struct side_job, job);
    struct partition_log *log = side->log;
    struct segment *segment = side->segment;
    enum storage_status status = side->status;
    void (*done)(struct partition_log *, enum storage_status) = side->options.done;
    segment->is_index_writing = false;
    if (side->epochs)
        log->is_writing_epochs = false;
    if (status == STORAGE_OK) {
        offset_index_stored(&segment->index, log->shard->heap, side->offset_count);
        time_index_stored(&segment->times, log->shard->heap, side->time_count);
        segment->aborted.written_count += side->aborted_count;
        if (segment->file)
            segment_file_forget_index(segment->file);
        if (side->options.is_seal && !side->lacks_epochs)
            segment->needs_side_files = false;
        if (side->options.with_snapshot)
            mark_snapshot(log, side->snapshot_offset);
    } else {
        log->epochs.is_dirty = true;
    }
    take_back(side, log->shard->heap);
    partition_log_update_recovery_limit(log);
    if (status != STORAGE_OK && status != STORAGE_NO_SPACE && status != STORAGE_LIMIT)
        partition_log_fail(log, status);
    if (done)
        done(log, status);
    partition_log_job_end(log);
}

static uint8_t *blob(struct heap *heap, size_t size)
{
    return size ? heap_must_get(heap, MEMORY_SCRATCH, size) : NULL;
}

static void encode_indexes(struct side_job *side, struct segment *segment, struct heap *heap)
{
    struct side_file *index = &side->files[SIDE_INDEX];
    struct side_file *times = &side->files[SIDE_TIMES];
    struct side_file *aborted = &side->files[SIDE_ABORTED];
    side->offset_count = segment->index.tail_count;
    index->suffix = SEGMENT_INDEX_SUFFIX;
    index->position = (uint64_t)segment->index.stored_count * OFFSET_INDEX_ENTRY_SIZE;
    index->size = (size_t)side->offset_count * OFFSET_INDEX_ENTRY_SIZE;
    index->data = blob(heap, index->size);
    offset_index_encode(segment->index.tail, side->offset_count, index->data);
    side->time_count = segment->times.tail_count;
    times->suffix = SEGMENT_TIME_INDEX_SUFFIX;
    times->position = (uint64_t)segment->times.stored_count * TIME_INDEX_ENTRY_SIZE;
    times->size = (size_t)side->time_count * TIME_INDEX_ENTRY_SIZE;
    times->data = blob(heap, times->size);
    time_index_encode(segment->times.tail, side->time_count, times->data);
    side->aborted_count = segment->aborted.count - segment->aborted.written_count;
    if (side->aborted_count == 0)
        return;
    aborted->suffix = TRANSACTION_INDEX_SUFFIX;
    aborted->position = (uint64_t)segment->aborted.written_count * TRANSACTION_INDEX_ENTRY_SIZE;
    aborted->size = (size_t)side->aborted_count * TRANSACTION_INDEX_ENTRY_SIZE;
    aborted->data = blob(heap, aborted->size);
    transaction_index_encode(&segment->aborted, segment->aborted.written_count, aborted->data);
}

/*
 * The stop before this one left a snapshot where the log ended. A start that knows the log without
 * listing its files (log/log_state.h) does not remove it.
 */
static int64_t stale_snapshot(const struct partition_log *log)
{
    int64_t offset = log->loaded_end;
    uint32_t place = partition_log_segment_at(log, offset);
    bool is_needed = offset >= log->written_end || log->segments[place]->base_offset == offset;
    return is_needed ? -1 : offset;
}

static void encode_state(struct side_job *side, struct partition_log *log, struct heap *heap)
{
    if (side->options.with_snapshot) {
        side->snapshot_offset = log->written_end;
        side->snapshot_size = producer_snapshot_file_size(&log->producers);
        side->snapshot = blob(heap, side->snapshot_size);
        producer_snapshot_file_encode(&log->producers, side->snapshot);
    }
    /* Jobs end in any order: an older text would replace a newer one. */
    side->lacks_epochs = side->options.is_seal && log->is_writing_epochs;
    if (side->options.is_seal && log->epochs.is_dirty && !side->lacks_epochs) {
        side->epochs_capacity = leader_epochs_text_size_max(&log->epochs);
        side->epochs = heap_must_get(heap, MEMORY_SCRATCH, side->epochs_capacity);
        side->epochs_size = leader_epochs_encode(&log->epochs, side->epochs, side->epochs_capacity);
        log->epochs.is_dirty = false;
        log->is_writing_epochs = true;
    }
}

/* The open files with bytes that nobody synced yet. */
static void take_logs(struct side_job *side, struct partition_log *log, struct heap *heap)
{
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct segment_file *file = log->segments[i]->file;
        side->log_count += file && file->log && commit_file_is_busy(&file->commit);
    }
    if (side->log_count == 0)
        return;
    side->logs = heap_must_get(heap, MEMORY_SCRATCH, side->log_count * sizeof(*side->logs));
    uint32_t count = 0;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct segment_file *file = log->segments[i]->file;
        if (!file || !file->log || !commit_file_is_busy(&file->commit))
            continue;
        segment_file_acquire(file);
        side->logs[count++] = file;
    }
}

void side_files_write(struct partition_log *log, struct segment *segment,
                      const struct side_files_options *options)
{
    struct heap *heap = log->shard->heap;
    klamm_assert(!segment->is_index_writing);
    struct side_job *side = heap_must_get(heap, MEMORY_SCRATCH, sizeof(*side));
    side->log = log;
    side->segment = segment;
    side->options = *options;
    side->base_offset = segment->base_offset;
    segment->is_index_writing = true;
    if (options->is_seal && segment->max_timestamp != SEGMENT_TIMESTAMP_UNKNOWN)
        segment_seal_entries(segment, heap);
    encode_indexes(side, segment, heap);
    encode_state(side, log, heap);
    side->stale_snapshot = -1;
    if (options->with_log_sync) {
        take_logs(side, log, heap);
        side->stale_snapshot = stale_snapshot(log);
    }
    side->job.step = side_step;
    side->job.done = side_done;
    side->job.job_class = options->with_log_sync ? JOB_DEVICE : JOB_BACKGROUND;
    partition_log_job_begin(log);
    loop_start_job(log->shard->loop, &side->job);
}
