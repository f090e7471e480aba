/*
 * Offsets by time, in one job over a copy of what the loop knows of the segments. The job opens the
 * files by name: a segment that was deleted meanwhile is passed over, as if the lookup had come
 * after the deletion. When segments were replaced meanwhile (compaction, a cut) what was copied is
 * no longer true of the files: then the lookup begins anew, once the files have their names.
 *
 * By timestamp: in offset order, each segment whose largest timestamp reaches the target; inside,
 * from the last place behind which larger timestamps lie (time index, then offset index), batches
 * whose own largest timestamp reaches it are decoded. When a segment has none after all, the search
 * goes on in the next one. The largest timestamp: the segment and batch that carry it, then the
 * first record that has it.
 */
#include "base/assert.h"
#include "log/log_path.h"
#include "log/log_scan.h"
#include "log/log_search.h"
#include "log/partition_log_internal.h"
#include "protocol/batch.h"
#include "protocol/compression.h"
#include "protocol/record.h"

enum { RECORDS_SIZE_MAX = 256 * 1024 * 1024, PIECES_PER_STEP = 1 };

/* What the job knows of one segment. */
struct lookup_segment {
    int64_t base_offset;
    int64_t max_timestamp; /* or UNKNOWN: the last entry of its time index */
    uint32_t size;
    uint32_t offset_count; /* entries in the files */
    uint32_t time_count;
    uint32_t hint_position; /* a batch boundary before the answer, from the tails */
};

struct log_lookup_job {
    struct job job;
    struct partition_log *log;
    struct log_lookup *lookup;
    enum log_lookup_kind kind;
    int64_t timestamp;
    int64_t log_start;
    uint64_t generation; /* of the log, when its segments were copied */
    struct list link;    /* partition_log.lookups while it waits to begin */
    struct lookup_segment *segments;
    uint32_t segment_count;
    uint32_t place; /* the segment at work */
    struct log_scan scan;
    struct buffer records;
    /* Out. */
    enum log_read_status status;
    int64_t offset;
    int64_t found_timestamp;
    int32_t leader_epoch;
};

/* ---- In the job: records --------------------------------------------------------------------- */

/* The first record at or behind the log start with a timestamp of at least `timestamp`. */
static bool search_batch(struct log_lookup_job *job, struct view batch, int64_t timestamp)
{
    struct view bytes = batch_records(batch);
    if (batch_is_compressed(batch.data)) {
        buffer_clear(&job->records);
        enum compression_codec codec = (enum compression_codec)batch_codec(batch.data);
        if (compression_decompress(codec, bytes, RECORDS_SIZE_MAX, &job->records) !=
            COMPRESSION_OK) {
            job->status = LOG_READ_FAILED;
            return false;
        }
        bytes = buffer_view(&job->records);
    }
    struct record_cursor cursor;
    struct record record;
    record_cursor_init(&cursor, bytes, batch_record_count(batch.data));
    while (record_cursor_next(&cursor, &record) == RECORD_OK) {
        int64_t offset = batch_base_offset(batch.data) + record.offset_delta;
        int64_t found = batch_record_timestamp(batch.data, record.timestamp_delta);
        if (found < timestamp || offset < job->log_start)
            continue;
        job->offset = offset;
        job->found_timestamp = found;
        job->leader_epoch = batch_leader_epoch(batch.data);
        return true;
    }
    return false;
}

/* ---- In the job: places ---------------------------------------------------------------------- */

/* Opens a file of the segment for one search; false: it is gone, or the device failed (status). */
static bool open_index(struct log_lookup_job *job, struct storage storage, const char *suffix,
                       struct file_reader *reader)
{
    struct log_path path;
    uint64_t size;
    int64_t base_offset = job->segments[job->place].base_offset;
    *reader = (struct file_reader){.storage = storage, .blocking = true};
    if (!log_path_of_offset(&path, job->log->directory, base_offset, suffix))
        klamm_unreachable("the path of an open partition fits");
    enum storage_status status =
        storage_run_open(storage, path.text, STORAGE_FLAG_READ, &reader->file, &size);
    if (status != STORAGE_OK && status != STORAGE_NOT_FOUND)
        job->status = LOG_READ_FAILED;
    return status == STORAGE_OK;
}

/* Largest timestamp of a segment that was loaded but not looked at yet. */
static void learn_timestamp(struct log_lookup_job *job, struct storage storage)
{
    struct lookup_segment *segment = &job->segments[job->place];
    struct file_reader reader;
    if (segment->max_timestamp != SEGMENT_TIMESTAMP_UNKNOWN)
        return;
    segment->max_timestamp = SEGMENT_TIMESTAMP_NONE;
    if (!open_index(job, storage, SEGMENT_TIME_INDEX_SUFFIX, &reader))
        return;
    uint8_t data[TIME_INDEX_ENTRY_SIZE];
    uint64_t position = (uint64_t)(segment->time_count - 1) * TIME_INDEX_ENTRY_SIZE;
    if (file_reader_read(&reader, position, data, sizeof(data)) == STORAGE_OK) {
        segment->max_timestamp = time_index_decode(data).timestamp;
    } else {
        job->status = LOG_READ_FAILED;
    }
    storage_run_close(storage, reader.file);
}

/* The largest timestamp below one; clients may ask for the smallest that there is. */
static int64_t timestamp_below(int64_t timestamp)
{
    return timestamp > INT64_MIN ? timestamp - 1 : timestamp;
}

/* The last offset of this segment before which no timestamp reaches the target. */
static int64_t time_floor(struct log_lookup_job *job, struct storage storage)
{
    const struct lookup_segment *segment = &job->segments[job->place];
    int64_t offset = segment->base_offset;
    struct file_reader reader;
    if (segment->time_count == 0 || !open_index(job, storage, SEGMENT_TIME_INDEX_SUFFIX, &reader))
        return offset;
    bool found = false;
    struct time_entry entry;
    /* Strictly smaller: an equal timestamp may begin before the entry's offset. */
    if (time_index_floor_in_file(&reader, segment->time_count, timestamp_below(job->timestamp),
                                 &found, &entry) != STORAGE_OK)
        job->status = LOG_READ_FAILED;
    else if (found)
        offset += entry.relative_offset;
    storage_run_close(storage, reader.file);
    return offset;
}

/* A batch boundary at or before the batch that holds `offset`. */
static uint32_t offset_floor(struct log_lookup_job *job, struct storage storage, int64_t offset)
{
    const struct lookup_segment *segment = &job->segments[job->place];
    struct file_reader reader;
    uint32_t position = segment->hint_position;
    if (segment->offset_count == 0 || offset <= segment->base_offset ||
        !open_index(job, storage, SEGMENT_INDEX_SUFFIX, &reader))
        return position;
    bool found = false;
    struct offset_entry entry;
    if (offset_index_floor_in_file(&reader, segment->offset_count,
                                   (uint32_t)(offset - segment->base_offset), &found,
                                   &entry) != STORAGE_OK)
        job->status = LOG_READ_FAILED;
    else if (found && entry.position > position)
        position = entry.position;
    storage_run_close(storage, reader.file);
    return position;
}

/* ---- In the job: steps ----------------------------------------------------------------------- */

static bool open_log(struct log_lookup_job *job, const struct job_context *context, int64_t from)
{
    const struct lookup_segment *segment = &job->segments[job->place];
    struct log_path path;
    uint32_t position = offset_floor(job, context->storage, from);
    if (!log_path_of_offset(&path, job->log->directory, segment->base_offset, SEGMENT_LOG_SUFFIX))
        klamm_unreachable("the path of an open partition fits");
    enum storage_status status = log_scan_open(&job->scan, context->storage, context->heap,
                                               path.text, position, segment->size);
    if (status != STORAGE_OK && status != STORAGE_NOT_FOUND)
        job->status = LOG_READ_FAILED;
    return status == STORAGE_OK;
}

/* Whether the segment at work can hold the answer; opens it. */
static bool begin_segment(struct log_lookup_job *job, const struct job_context *context)
{
    learn_timestamp(job, context->storage);
    const struct lookup_segment *segment = &job->segments[job->place];
    if (segment->size == 0 || segment->max_timestamp < job->timestamp || job->status != LOG_READ_OK)
        return false;
    int64_t from = time_floor(job, context->storage);
    return open_log(job, context, from > job->log_start ? from : job->log_start);
}

/* Scans one piece for the target; true when the segment is done with. */
static bool scan_piece(struct log_lookup_job *job, const struct job_context *context)
{
    unsigned budget = PIECES_PER_STEP;
    struct view batch;
    enum log_scan_result result;
    while ((result = log_scan_next(&job->scan, context->storage, &budget, &batch)) ==
           LOG_SCAN_BATCH) {
        if (batch_max_timestamp(batch.data) >= job->timestamp &&
            batch_last_offset(batch.data) >= job->log_start &&
            search_batch(job, batch, job->timestamp))
            break;
    }
    if (result == LOG_SCAN_PAUSE)
        return false;
    if (result == LOG_SCAN_BAD || result == LOG_SCAN_FAILED)
        job->status = LOG_READ_FAILED;
    log_scan_close(&job->scan, context->storage);
    return true;
}

static bool is_finished(const struct log_lookup_job *job)
{
    return job->offset >= 0 || job->status != LOG_READ_OK || job->place == job->segment_count;
}

/* Turns "the largest" into "this timestamp, from this segment on". */
static void choose_largest(struct log_lookup_job *job, const struct job_context *context)
{
    uint32_t best = job->segment_count;
    int64_t largest = SEGMENT_TIMESTAMP_NONE;
    for (job->place = 0; job->place < job->segment_count; job->place++) {
        learn_timestamp(job, context->storage);
        if (job->segments[job->place].max_timestamp > largest) {
            largest = job->segments[job->place].max_timestamp;
            best = job->place;
        }
    }
    job->place = best;
    job->timestamp = largest;
    job->kind = LOG_LOOKUP_TIMESTAMP;
}

static enum job_progress lookup_step(struct job *base, const struct job_context *context)
{
    struct log_lookup_job *job = container_of(base, struct log_lookup_job, job);
    if (!job->records.heap)
        buffer_init(&job->records, context->heap, MEMORY_SCRATCH, 0);
    if (job->kind == LOG_LOOKUP_MAX_TIMESTAMP)
        choose_largest(job, context);
    if (!is_finished(job)) {
        bool is_open = job->scan.file || begin_segment(job, context);
        if (!is_open || scan_piece(job, context))
            job->place++;
    }
    if (!is_finished(job))
        return JOB_MORE;
    log_scan_close(&job->scan, context->storage);
    log_scan_deinit(&job->scan);
    buffer_deinit(&job->records);
    return JOB_FINISHED;
}

/* ---- On the loop ----------------------------------------------------------------------------- */

static void forget_segments(struct log_lookup_job *job)
{
    heap_put(job->log->shard->heap, MEMORY_SCRATCH, job->segments,
             job->segment_count * sizeof(*job->segments));
    job->segments = NULL;
    job->segment_count = 0;
}

static void begin(struct log_lookup_job *job);

static void lookup_done(struct job *base)
{
    struct log_lookup_job *job = container_of(base, struct log_lookup_job, job);
    struct partition_log *log = job->log;
    struct log_lookup *lookup = job->lookup;
    forget_segments(job);
    if (job->generation != log->generation) {
        begin(job);
        return;
    }
    lookup->status = job->status;
    lookup->offset = job->status == LOG_READ_OK ? job->offset : -1;
    lookup->found_timestamp = lookup->offset >= 0 ? job->found_timestamp : -1;
    lookup->leader_epoch = lookup->offset >= 0 ? job->leader_epoch : -1;
    lookup->job = NULL;
    heap_put(log->shard->heap, MEMORY_SCRATCH, job, sizeof(*job));
    lookup->found(lookup);
    partition_log_job_end(log);
}

/* The newest boundary in the tails behind which all larger timestamps lie. */
static uint32_t tail_hint(const struct segment *segment, int64_t timestamp)
{
    struct time_entry time;
    struct offset_entry entry;
    if (!time_index_floor_in_tail(&segment->times, timestamp_below(timestamp), &time) ||
        !offset_index_floor_in_tail(&segment->index, time.relative_offset, &entry))
        return 0;
    return entry.position;
}

static void copy_segments(struct log_lookup_job *job)
{
    const struct partition_log *log = job->log;
    job->segment_count = log->segment_count;
    job->segments = heap_must_get(log->shard->heap, MEMORY_SCRATCH,
                                  job->segment_count * sizeof(*job->segments));
    for (uint32_t i = 0; i < log->segment_count; i++) {
        const struct segment *segment = log->segments[i];
        int64_t target =
            job->kind == LOG_LOOKUP_TIMESTAMP ? job->timestamp : segment->max_timestamp;
        job->segments[i] = (struct lookup_segment){.base_offset = segment->base_offset,
                                                   .max_timestamp = segment->max_timestamp,
                                                   .size = segment->size,
                                                   .offset_count = segment->index.stored_count,
                                                   .time_count = segment->times.stored_count,
                                                   .hint_position = tail_hint(segment, target)};
    }
}

/* From the start, with the segments as they are now; or as soon as files can be opened by name. */
static void begin(struct log_lookup_job *job)
{
    struct partition_log *log = job->log;
    if (log->is_swapping) {
        list_push_back(&log->lookups, &job->link);
        return;
    }
    job->kind = job->lookup->kind;
    job->timestamp = job->lookup->timestamp;
    job->log_start = log->log_start;
    job->generation = log->generation;
    job->place = 0;
    job->offset = -1;
    job->status = LOG_READ_OK;
    copy_segments(job);
    job->scan = (struct log_scan){0};
    job->records = (struct buffer){0};
    loop_start_job(log->shard->loop, &job->job);
}

void partition_log_start_lookups(struct partition_log *log)
{
    struct list waiting;
    list_init(&waiting);
    list_splice_back(&waiting, &log->lookups);
    for (struct list *link; (link = list_pop_front(&waiting)) != NULL;)
        begin(container_of(link, struct log_lookup_job, link));
}

void partition_log_lookup(struct partition_log *log, struct log_lookup *lookup)
{
    struct heap *heap = log->shard->heap;
    struct log_lookup_job *job = heap_must_get(heap, MEMORY_SCRATCH, sizeof(*job));
    job->log = log;
    job->lookup = lookup;
    list_link_init(&job->link);
    job->job.step = lookup_step;
    job->job.done = lookup_done;
    job->job.job_class = JOB_DEVICE;
    lookup->job = job;
    partition_log_job_begin(log);
    begin(job);
}
