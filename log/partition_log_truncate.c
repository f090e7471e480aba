/*
 * A truncation waits until nothing is written and no job refers to the log, has the recovery point
 * of the checkpoint lowered below what it will cut, cuts the files in a job, loads the directory
 * again like a clean one, and takes over what the load found: producers, epochs and indexes need no
 * second way of falling back.
 *
 * The checkpoint comes first because a recovery point behind the cut would have the next start
 * trust what is appended there afterwards, durable or not.
 *
 * Below the high watermark a range may be on its way to a consumer, so nothing there is changed in
 * place: the kept part is written into a new file, which replaces the old one by rename.
 */
#include "base/assert.h"
#include "log/compaction.h"
#include "log/log_recovery.h"
#include "log/partition_log_truncation.h"
#include "log/producer_snapshot.h"

struct log_truncation {
    struct job job;
    struct partition_log *log;
    struct log_change *change;
    struct commit_checkpoint_wait checkpoint_wait;
    enum { CHECKPOINT_OLD, CHECKPOINT_WAITED_FOR, CHECKPOINT_LOWERED } checkpoint;
    int64_t offset;
    int64_t log_start;
    int64_t incomplete_base; /* of the first sealed segment without side files; INT64_MAX: none */
    bool is_full;            /* everything goes; the log starts again at `offset` */
    int64_t old_written_end; /* to fall back to */
    int64_t old_high_watermark;
    bool copies; /* the cut is below the high watermark */
    enum storage_status status;
    int64_t *bases;             /* of the segments, ascending */
    struct segment_file **busy; /* their files with unsynced bytes, referenced */
    uint32_t base_count;
    uint32_t busy_count;
    struct log_load *load;
};

/* ---- In the job ------------------------------------------------------------------------------ */

static enum storage_status unlink_file(struct log_truncation *truncation, struct storage storage,
                                       int64_t base_offset, const char *suffix)
{
    struct log_path path;
    if (!log_path_of_offset(&path, truncation->log->directory, base_offset, suffix))
        return STORAGE_IO;
    enum storage_status status = storage_run_path(storage, STORAGE_UNLINK, path.text, NULL);
    return status == STORAGE_NOT_FOUND ? STORAGE_OK : status;
}

static enum storage_status unlink_segment(struct log_truncation *truncation, struct storage storage,
                                          int64_t base_offset)
{
    static const char *const suffixes[] = {SEGMENT_INDEX_SUFFIX, SEGMENT_TIME_INDEX_SUFFIX,
                                           TRANSACTION_INDEX_SUFFIX, SEGMENT_LOG_SUFFIX};
    enum storage_status status = STORAGE_OK;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]) && status == STORAGE_OK; i++)
        status = unlink_file(truncation, storage, base_offset, suffixes[i]);
    return status;
}

/* Snapshots behind the cut describe what is gone. */
static enum storage_status unlink_snapshots(struct log_truncation *truncation,
                                            const struct job_context *context)
{
    struct storage_listing *listing;
    const char *directory = truncation->log->directory;
    enum storage_status status =
        storage_run_list(context->storage, directory, context->heap, &listing);
    if (status != STORAGE_OK)
        return status;
    for (size_t i = 0; i < listing->count && status == STORAGE_OK; i++) {
        int64_t offset;
        if (log_path_parse_offset(listing->entries[i].name, PRODUCER_SNAPSHOT_SUFFIX, &offset) &&
            (truncation->is_full || offset > truncation->offset))
            status = unlink_file(truncation, context->storage, offset, PRODUCER_SNAPSHOT_SUFFIX);
    }
    storage_listing_release(listing);
    return status;
}

/* Where the first batch begins whose last offset is >= the cut. */
static enum storage_status find_cut(struct log_truncation *truncation, struct storage storage,
                                    struct storage_file *file, uint64_t size, uint32_t *position)
{
    struct file_reader reader = {.storage = storage, .file = file, .blocking = true};
    struct segment_place place = {0};
    bool found;
    *position = (uint32_t)size;
    enum log_read_status status =
        segment_walk_to_offset(&reader, 0, (uint32_t)size, truncation->offset, &found, &place);
    if (status != LOG_READ_OK)
        return STORAGE_IO;
    if (found)
        *position = place.position;
    return STORAGE_OK;
}

#define COPY_SUFFIX SEGMENT_LOG_SUFFIX SEGMENT_STATE_CLEANED

/* The first `size` bytes into a new file beside the log, durably. */
static enum storage_status copy_prefix(const struct job_context *context, struct storage_file *from,
                                       const char *path, uint64_t size)
{
    enum { PIECE = 256 * 1024 };
    struct storage storage = context->storage;
    struct storage_file *to;
    uint64_t old_size;
    enum storage_status status = storage_run_open(
        storage, path, STORAGE_FLAG_READ | STORAGE_FLAG_WRITE | STORAGE_FLAG_CREATE, &to,
        &old_size);
    if (status != STORAGE_OK)
        return status;
    if (old_size)
        status = storage_run_truncate(storage, to, 0);
    uint8_t *piece = heap_must_get(context->heap, MEMORY_SCRATCH, PIECE);
    for (uint64_t at = 0; at < size && status == STORAGE_OK; at += PIECE) {
        size_t wanted = size - at < PIECE ? (size_t)(size - at) : PIECE;
        size_t read_size = 0;
        status = storage_run_read(storage, from, at, piece, wanted, &read_size);
        if (status == STORAGE_OK && read_size != wanted)
            status = STORAGE_IO;
        if (status == STORAGE_OK)
            status = storage_run_write(storage, to, at, piece, wanted);
    }
    heap_put(context->heap, MEMORY_SCRATCH, piece, PIECE);
    if (status == STORAGE_OK)
        status = storage_run_sync(storage, to);
    storage_run_close(storage, to);
    if (status != STORAGE_OK)
        storage_run_path(storage, STORAGE_UNLINK, path, NULL);
    return status;
}

/* The log file of the segment that is cut, and where. */
struct cut {
    struct storage_file *file; /* NULL: begun, but nothing was written yet */
    struct log_path path;
    struct log_path copy_path;
    uint64_t size;
    uint32_t position;
};

static enum storage_status open_cut(struct log_truncation *truncation, struct storage storage,
                                    int64_t base_offset, struct cut *cut)
{
    const char *directory = truncation->log->directory;
    cut->file = NULL;
    if (!log_path_of_offset(&cut->path, directory, base_offset, SEGMENT_LOG_SUFFIX) ||
        !log_path_of_offset(&cut->copy_path, directory, base_offset, COPY_SUFFIX))
        return STORAGE_IO;
    enum storage_status status = storage_run_open(
        storage, cut->path.text, STORAGE_FLAG_READ | STORAGE_FLAG_WRITE, &cut->file, &cut->size);
    if (status != STORAGE_OK) {
        cut->file = NULL;
        return status == STORAGE_NOT_FOUND ? STORAGE_OK : status;
    }
    return find_cut(truncation, storage, cut->file, cut->size, &cut->position);
}

/* In place, or by the copy that was made. */
static enum storage_status end_cut(struct log_truncation *truncation, struct storage storage,
                                   const struct cut *cut)
{
    if (!cut->file)
        return STORAGE_OK;
    if (truncation->copies && cut->position < cut->size)
        return storage_run_path(storage, STORAGE_RENAME, cut->copy_path.text, cut->path.text);
    enum storage_status status = STORAGE_OK;
    if (cut->position < cut->size)
        status = storage_run_truncate(storage, cut->file, cut->position);
    return status == STORAGE_OK ? storage_run_sync(storage, cut->file) : status;
}

/* What stays is trusted by the load, and the committer will forget these files. */
static enum storage_status sync_busy(struct log_truncation *truncation, struct storage storage)
{
    enum storage_status status = STORAGE_OK;
    for (uint32_t i = 0; i < truncation->busy_count && status == STORAGE_OK; i++)
        status = storage_run_sync(storage, truncation->busy[i]->log);
    return status;
}

/*
 * Removes what lies behind the cut, the newest first, so that a crash leaves no hole: a recovery
 * point behind the cut would have it trusted. Names may reach the disk in any order, so each has to
 * be gone before the next may go, and the last one before the file is cut.
 */
static enum storage_status remove_behind(struct log_truncation *truncation,
                                         const struct job_context *context, uint32_t kept)
{
    enum storage_status status = unlink_snapshots(truncation, context);
    for (uint32_t i = truncation->base_count; i > kept && status == STORAGE_OK; i--) {
        status = unlink_segment(truncation, context->storage, truncation->bases[i - 1]);
        if (status == STORAGE_OK)
            status = storage_run_path(context->storage, STORAGE_SYNC_DIRECTORY,
                                      truncation->log->directory, NULL);
    }
    return status;
}

/* Everything goes; the new first file tells the next start where the log is, whatever else it
 * knows. */
static enum storage_status start_anew(struct log_truncation *truncation,
                                      const struct job_context *context)
{
    const char *directory = truncation->log->directory;
    enum storage_status status = remove_behind(truncation, context, 0);
    if (status == STORAGE_OK)
        status = partition_log_make_file(context->storage, directory, truncation->offset);
    if (status == STORAGE_OK)
        status = storage_run_path(context->storage, STORAGE_SYNC_DIRECTORY, directory, NULL);
    return status;
}

/*
 * Cuts the files; the index of the cut segment goes, so that the load makes all its side files
 * again, and that of a segment whose entries are in memory only. What needs space comes first: when
 * there is none, nothing was changed.
 */
static enum storage_status cut_files(struct log_truncation *truncation,
                                     const struct job_context *context)
{
    struct storage storage = context->storage;
    uint32_t kept = truncation->base_count;
    while (kept > 0 && (truncation->is_full || truncation->bases[kept - 1] > truncation->offset))
        kept--;
    if (kept == 0)
        return start_anew(truncation, context);
    struct cut cut;
    int64_t base_offset = truncation->bases[kept - 1];
    enum storage_status status = open_cut(truncation, storage, base_offset, &cut);
    if (status == STORAGE_OK && truncation->copies && cut.file && cut.position < cut.size)
        status = copy_prefix(context, cut.file, cut.copy_path.text, cut.position);
    if (status == STORAGE_OK)
        status = remove_behind(truncation, context, kept);
    if (status == STORAGE_OK)
        status = end_cut(truncation, storage, &cut);
    if (cut.file)
        storage_run_close(storage, cut.file);
    if (status == STORAGE_OK)
        status = unlink_file(truncation, storage, base_offset, SEGMENT_INDEX_SUFFIX);
    if (status == STORAGE_OK && truncation->incomplete_base < base_offset)
        status =
            unlink_file(truncation, storage, truncation->incomplete_base, SEGMENT_INDEX_SUFFIX);
    /* A segment that is empty now is not scanned: what was aborted in it must not come back. */
    if (status == STORAGE_OK)
        status = unlink_file(truncation, storage, base_offset, TRANSACTION_INDEX_SUFFIX);
    if (status == STORAGE_OK)
        status =
            storage_run_path(storage, STORAGE_SYNC_DIRECTORY, truncation->log->directory, NULL);
    return status;
}

static enum job_progress truncation_step(struct job *job, const struct job_context *context)
{
    struct log_truncation *truncation = container_of(job, struct log_truncation, job);
    if (truncation->load)
        return log_load_step(truncation->load, context);
    truncation->status = sync_busy(truncation, context->storage);
    if (truncation->status == STORAGE_OK)
        truncation->status = cut_files(truncation, context);
    if (truncation->status != STORAGE_OK)
        return JOB_FINISHED;
    struct partition_log *log = truncation->log;
    struct log_load *load = heap_must_get(context->heap, MEMORY_SCRATCH, sizeof(*load));
    load->heap = context->heap;
    load->loop = job->loop;
    load->directory = log->directory;
    load->index_interval_bytes = log->config.index_interval_bytes;
    load->is_compacted = log->config.cleanup_compact;
    load->producer_options = log->producers.options;
    load->clean = true;
    load->recovery_point = INT64_MAX;
    load->log_start = truncation->log_start;
    log_load_init(load);
    truncation->load = load;
    return JOB_MORE;
}

/* ---- On the loop ----------------------------------------------------------------------------- */

static void adopt_load(struct partition_log *log, const struct log_truncation *truncation)
{
    const struct log_load *load = truncation->load;
    if (load->status != LOG_OPEN_OK) {
        partition_log_fail(log, STORAGE_IO);
        return;
    }
    /* Epochs are held here: those in the file may be older. */
    struct leader_epochs epochs = log->epochs;
    leader_epochs_init(&log->epochs);
    if (log->has_committer)
        committer_truncated(&log->commit, load->log_end);
    partition_log_adopt(log, load);
    log->is_changed = true;
    leader_epochs_deinit(&log->epochs, log->shard->heap);
    log->epochs = epochs;
    leader_epochs_truncate_end(&log->epochs, log->written_end);
    if (truncation->is_full)
        leader_epochs_clear(&log->epochs);
}

/* No space for the copy: the log is as it was, and the caller may try again. */
static void fall_back(struct partition_log *log, const struct log_truncation *truncation)
{
    log->written_end = truncation->old_written_end;
    log->log_end = truncation->old_written_end;
    log->high_watermark = truncation->old_high_watermark;
}

static void release_busy(struct log_truncation *truncation, struct heap *heap)
{
    for (uint32_t i = 0; i < truncation->busy_count; i++)
        segment_file_release(truncation->busy[i]);
    heap_put(heap, MEMORY_SCRATCH, truncation->busy,
             truncation->base_count * sizeof(struct segment_file *));
}

static void truncation_done(struct job *job)
{
    struct log_truncation *truncation = container_of(job, struct log_truncation, job);
    struct partition_log *log = truncation->log;
    struct heap *heap = log->shard->heap;
    struct log_change *change = truncation->change;
    change->status = truncation->status;
    if (truncation->status == STORAGE_NO_SPACE)
        fall_back(log, truncation);
    else if (truncation->status != STORAGE_OK)
        partition_log_fail(log, truncation->status);
    else
        adopt_load(log, truncation);
    if (log->state == PARTITION_LOG_FAILED)
        change->status = log->failure;
    log->cut_limit = INT64_MAX;
    partition_log_update_recovery_limit(log);
    if (truncation->load) {
        struct heap *load_heap = truncation->load->heap;
        log_load_deinit(truncation->load);
        heap_put(load_heap, MEMORY_SCRATCH, truncation->load, sizeof(*truncation->load));
    }
    release_busy(truncation, heap);
    heap_put(heap, MEMORY_SCRATCH, truncation->bases,
             truncation->base_count * sizeof(*truncation->bases));
    heap_put(heap, MEMORY_SCRATCH, truncation, sizeof(*truncation));
    if (log->state == PARTITION_LOG_CUTTING)
        log->state = PARTITION_LOG_RUNNING;
    change->done(change);
    partition_log_job_end(log);
}

/* Only epochs may have to go: the batches end at or below the cut. */
static void drop_epochs(struct deferred *deferred)
{
    struct log_change *change = container_of(deferred, struct log_change, deferred);
    change->status = STORAGE_OK;
    change->done(change);
}

/* Nothing was changed: the checkpoints cannot be written. */
static void give_up(struct partition_log *log, struct log_truncation *truncation)
{
    struct log_change *change = truncation->change;
    log->truncation = NULL;
    log->cut_limit = INT64_MAX;
    partition_log_update_recovery_limit(log);
    change->status = log->state == PARTITION_LOG_FAILED ? log->failure : STORAGE_NO_SPACE;
    heap_put(log->shard->heap, MEMORY_SCRATCH, truncation, sizeof(*truncation));
    if (log->state == PARTITION_LOG_CUTTING)
        log->state = PARTITION_LOG_RUNNING;
    change->done(change);
}

static void checkpoint_written(struct commit_checkpoint_wait *wait, bool ok)
{
    struct log_truncation *truncation = container_of(wait, struct log_truncation, checkpoint_wait);
    struct partition_log *log = truncation->log;
    truncation->checkpoint = CHECKPOINT_LOWERED;
    partition_log_job_begin(log); /* the callback may ask for the end of the log */
    if (!ok)
        give_up(log, truncation);
    partition_log_job_end(log);
}

/* The base of the segment that will be cut is as low as the end of the log can get. */
static void lower_checkpoint(struct partition_log *log, struct log_truncation *truncation)
{
    struct committer *committer = log->has_committer ? log->commit.committer : NULL;
    uint32_t place = truncation->is_full ? 0 : partition_log_segment_at(log, truncation->offset);
    log->cut_limit = log->segments[place]->base_offset;
    if (truncation->offset < log->cut_limit)
        log->cut_limit = truncation->offset;
    partition_log_update_recovery_limit(log);
    truncation->checkpoint = CHECKPOINT_LOWERED;
    if (!committer || !committer->write_checkpoints)
        return;
    truncation->checkpoint = CHECKPOINT_WAITED_FOR;
    truncation->checkpoint_wait.written = checkpoint_written;
    committer->write_checkpoints(committer, &truncation->checkpoint_wait,
                                 committer->failed_context);
}

void partition_log_begin_truncation(struct partition_log *log)
{
    struct log_truncation *truncation = log->truncation;
    struct heap *heap = log->shard->heap;
    if (truncation->checkpoint == CHECKPOINT_OLD)
        lower_checkpoint(log, truncation);
    if (truncation->checkpoint == CHECKPOINT_WAITED_FOR)
        return;
    log->truncation = NULL;
    truncation->log_start = log->log_start;
    if (truncation->is_full || truncation->log_start > truncation->offset)
        truncation->log_start = truncation->offset;
    truncation->copies = truncation->offset < log->high_watermark;
    truncation->old_written_end = log->written_end;
    truncation->old_high_watermark = log->high_watermark;
    truncation->base_count = log->segment_count;
    truncation->bases =
        heap_must_get(heap, MEMORY_SCRATCH, log->segment_count * sizeof(*truncation->bases));
    truncation->busy =
        heap_must_get(heap, MEMORY_SCRATCH, log->segment_count * sizeof(struct segment_file *));
    truncation->incomplete_base = INT64_MAX;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        const struct segment *segment = log->segments[i];
        struct segment_file *file = segment->file;
        truncation->bases[i] = segment->base_offset;
        if (segment->is_sealed && segment->needs_side_files &&
            segment->base_offset < truncation->incomplete_base)
            truncation->incomplete_base = segment->base_offset;
        if (!file || !file->log || !commit_file_is_busy(&file->commit))
            continue;
        segment_file_acquire(file);
        truncation->busy[truncation->busy_count++] = file;
    }
    if (truncation->offset < log->written_end) {
        log->written_end =
            truncation->offset > log->log_start ? truncation->offset : log->log_start;
        log->log_end = log->written_end;
        if (log->high_watermark > log->written_end)
            log->high_watermark = log->written_end;
    }
    partition_log_job_begin(log);
    loop_start_job(log->shard->loop, &truncation->job);
}

static void request_truncation(struct partition_log *log, int64_t offset, bool is_full,
                               struct log_change *change)
{
    klamm_assert(log->truncation == NULL);
    klamm_assert(log->state != PARTITION_LOG_CUTTING);
    struct log_truncation *truncation =
        heap_must_get(log->shard->heap, MEMORY_SCRATCH, sizeof(*truncation));
    truncation->log = log;
    truncation->change = change;
    truncation->offset = offset;
    truncation->is_full = is_full;
    truncation->job.step = truncation_step;
    truncation->job.done = truncation_done;
    truncation->job.job_class = JOB_DEVICE;
    if (log->state == PARTITION_LOG_RUNNING || log->state == PARTITION_LOG_NO_SPACE)
        log->state = PARTITION_LOG_CUTTING;
    log->truncation = truncation;
    partition_log_stop_compaction(log);
    loop_defer(log->shard->loop, &log->deferred);
}

void partition_log_truncate(struct partition_log *log, int64_t offset, struct log_change *change)
{
    if (offset >= log->log_end) {
        leader_epochs_truncate_end(&log->epochs, log->log_end);
        deferred_init(&change->deferred, drop_epochs);
        loop_defer(log->shard->loop, &change->deferred);
        return;
    }
    request_truncation(log, offset, offset < log->segments[0]->base_offset, change);
}

void partition_log_truncate_fully(struct partition_log *log, int64_t offset,
                                  struct log_change *change)
{
    request_truncation(log, offset, true, change);
}
