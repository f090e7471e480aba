/*
 * Warming: open the files, then search in a job and read the bytes once, so that they are in the
 * page cache. Ranges that will be copied are read whole, and so is a first batch that the reader
 * wants whatever its size; larger ones at their start: the transport warms the rest ahead of what
 * it sends.
 */
#include "base/assert.h"
#include "log/log_search.h"
#include "log/partition_log_internal.h"
#include "protocol/batch.h"

enum { WARM_BYTES_MAX = 1024 * 1024, WARM_PIECE = 64 * 1024, OPENS_MAX = 4 };

struct log_warm_job {
    struct job job;
    struct segment_file_wait wait;
    struct partition_log *log;
    struct log_warm *warm;
    struct segment_file *file; /* referenced while the job runs */
    struct log_search search;
    int64_t offset;
    int64_t bound; /* what the read may not reach */
    uint32_t max_bytes;
    bool min_one;
    uint64_t generation;
    uint32_t position;       /* out: of the offset */
    uint32_t bound_position; /* out */
    enum log_read_status status;
    unsigned open_count;
};

static void warm_finish(struct log_warm_job *job, enum log_read_status status)
{
    struct partition_log *log = job->log;
    struct log_warm *warm = job->warm;
    heap_put(log->shard->heap, MEMORY_SCRATCH, job, sizeof(*job));
    warm->job = NULL;
    warm->status = status;
    warm->warmed(warm);
    partition_log_job_end(log);
}

/* Bytes of the batch that a reader wants whole whatever its size; 0 when it cannot be told. */
static size_t first_batch_size(const struct log_warm_job *job, const struct job_context *context)
{
    uint8_t prefix[BATCH_PREFIX_SIZE];
    size_t read_size;
    if (!job->min_one ||
        storage_run_read(context->storage, job->search.log, job->position, prefix, sizeof(prefix),
                         &read_size) != STORAGE_OK ||
        read_size < sizeof(prefix) || batch_length(prefix) < 0)
        return 0;
    return batch_size(prefix);
}

static enum log_read_status warm_bytes(struct log_warm_job *job, const struct job_context *context)
{
    uint32_t left = job->search.size - job->position;
    uint32_t wanted = job->max_bytes > LOG_COPY_LIMIT ? job->max_bytes : LOG_COPY_LIMIT;
    if (wanted > WARM_BYTES_MAX)
        wanted = WARM_BYTES_MAX;
    size_t first = first_batch_size(job, context);
    if (wanted < first)
        wanted = first > UINT32_MAX ? UINT32_MAX : (uint32_t)first;
    if (wanted > left)
        wanted = left;
    uint8_t *piece = heap_must_get(context->heap, MEMORY_SCRATCH, WARM_PIECE);
    enum storage_status status = STORAGE_OK;
    for (uint32_t at = 0; at < wanted && status == STORAGE_OK; at += WARM_PIECE) {
        uint32_t size = wanted - at < WARM_PIECE ? wanted - at : WARM_PIECE;
        size_t read_size;
        status = storage_run_read(context->storage, job->search.log, job->position + at, piece,
                                  size, &read_size);
    }
    heap_put(context->heap, MEMORY_SCRATCH, piece, WARM_PIECE);
    return status == STORAGE_OK ? LOG_READ_OK : LOG_READ_FAILED;
}

/* The read will also look where the range ends: at the bound, or at the limit. */
static enum log_read_status warm_ends(struct log_warm_job *job)
{
    uint32_t end = job->search.size;
    enum log_read_status status = LOG_READ_OK;
    if (job->bound > job->search.base_offset && end > 0)
        status = log_search_position(&job->search, job->bound, &end);
    job->bound_position = end;
    if (status != LOG_READ_OK || end <= job->position || end - job->position <= job->max_bytes)
        return status;
    uint32_t reached;
    int64_t next_offset;
    return log_search_limit(&job->search, job->position, job->position + job->max_bytes, end, true,
                            &reached, &next_offset);
}

/* An empty segment, or an offset before it, needs no search. */
static enum log_read_status search_offset(struct log_warm_job *job)
{
    job->position = 0;
    if (job->search.size == 0 || job->offset <= job->search.base_offset)
        return LOG_READ_OK;
    return log_search_position(&job->search, job->offset, &job->position);
}

static enum job_progress warm_step(struct job *base, const struct job_context *context)
{
    struct log_warm_job *job = container_of(base, struct log_warm_job, job);
    job->search.storage = context->storage;
    job->search.blocking = true;
    job->status = search_offset(job);
    if (job->status == LOG_READ_OK && job->position < job->search.size)
        job->status = warm_bytes(job, context);
    if (job->status == LOG_READ_OK)
        job->status = warm_ends(job);
    return JOB_FINISHED;
}

static void open_and_search(struct log_warm_job *job, struct segment_file *file);

static void remember(struct log_warm_job *job, int64_t offset, uint32_t position)
{
    struct partition_log *log = job->log;
    log_shard_remember(log->shard, job->generation, offset, job->search.base_offset, position);
}

static void warm_done(struct job *base)
{
    struct log_warm_job *job = container_of(base, struct log_warm_job, job);
    struct partition_log *log = job->log;
    bool is_current = job->generation == log->generation && job->file->segment;
    segment_file_release(job->file);
    if (job->status == LOG_READ_OK && is_current) {
        /*
         * Behind a gap the offset lies before the segment, where no memory is needed: it would
         * displace what the read must know of the segments on the way, whose files may be closed.
         */
        if (job->offset > job->search.base_offset)
            remember(job, job->offset, job->position);
        /* A bound behind this segment is in a later one: its position here means nothing. */
        if (job->bound_position < job->search.size)
            remember(job, job->bound, job->bound_position);
        uint32_t place = partition_log_segment_at(log, job->search.base_offset);
        if (job->position == job->search.size && place + 1 < log->segment_count) {
            job->open_count = 0;
            open_and_search(job, segment_file_of(log->shard, log->segments[place + 1]));
            return;
        }
    }
    warm_finish(job, job->status);
}

static void warm_opened(struct segment_file_wait *wait, enum storage_status status)
{
    struct log_warm_job *job = container_of(wait, struct log_warm_job, wait);
    struct segment_file *file = wait->file;
    if (status != STORAGE_OK || !file->segment) {
        /* A segment that was deleted meanwhile is no failure: the next read finds out. */
        warm_finish(job, file->segment ? LOG_READ_FAILED : LOG_READ_OK);
        return;
    }
    open_and_search(job, file);
}

static void open_and_search(struct log_warm_job *job, struct segment_file *file)
{
    struct partition_log *log = job->log;
    struct segment *segment = file->segment;
    bool needs_index = segment->index.stored_count > 0;
    segment_file_check_index(file, segment->index.stored_count);
    if ((!file->log || (needs_index && !file->index)) && job->open_count++ < OPENS_MAX) {
        job->wait.ready = warm_opened;
        segment_file_open(file, log->directory, needs_index, false, &job->wait);
        return;
    }
    if (!file->log || (needs_index && !file->index)) {
        warm_finish(job, LOG_READ_FAILED); /* the index stays shorter than it was */
        return;
    }
    job->search = (struct log_search){.log = file->log,
                                      .index = file->index,
                                      .base_offset = segment->base_offset,
                                      .size = segment->size};
    job->search.stored_count = segment->index.stored_count;
    struct offset_entry entry;
    if (offset_index_floor_in_tail(&segment->index, log_search_relative(&job->search, job->offset),
                                   &entry)) {
        job->search.floor_position = entry.position;
        job->search.stored_count = 0;
    }
    segment_file_acquire(file);
    job->file = file;
    job->job.step = warm_step;
    job->job.done = warm_done;
    job->job.job_class = JOB_DEVICE;
    loop_start_job(log->shard->loop, &job->job);
}

void partition_log_warm(struct partition_log *log, const struct log_read *read,
                        struct log_warm *warm)
{
    struct log_warm_job *job = heap_must_get(log->shard->heap, MEMORY_SCRATCH, sizeof(*job));
    job->log = log;
    job->warm = warm;
    job->offset = read->offset;
    job->bound = partition_log_bound(log, read->bound);
    job->max_bytes = read->max_bytes;
    job->min_one = read->min_one;
    job->generation = log->generation;
    warm->job = job;
    partition_log_job_begin(log);
    uint32_t place = partition_log_segment_at(log, read->offset);
    open_and_search(job, segment_file_of(log->shard, log->segments[place]));
}
