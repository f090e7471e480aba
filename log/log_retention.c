/*
 * The regular step of a log. Retention removes whole segments from the front, in order, and stops
 * at the first that does not qualify: the log start moves up first, then the segments leave the
 * list, then their files are renamed to `.deleted` in a job, and after file.delete.delay.ms another
 * job unlinks them. A range that is being sent keeps its open file. While a compaction rewrites
 * segments none is removed.
 *
 * Age is judged by a segment's largest timestamp, but never later than the broker's own time of its
 * last write: a record stamped in the far future does not pin a segment for ever.
 */
#include <stdio.h>

#include "base/assert.h"
#include "log/log_path.h"
#include "log/partition_log_internal.h"
#include "log/producer_snapshot.h"
#include "log/side_files.h"
#include "runtime/test_point.h"

enum { DELETION_SEGMENTS_MAX = 64 }; /* of one job; the rest follows in the next step */

#define MAINTENANCE_INTERVAL_NS UINT64_C(1000000000)

static const char *const segment_suffixes[] = {SEGMENT_LOG_SUFFIX, SEGMENT_INDEX_SUFFIX,
                                               SEGMENT_TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX,
                                               PRODUCER_SNAPSHOT_SUFFIX};

enum { SUFFIXES = sizeof(segment_suffixes) / sizeof(segment_suffixes[0]) };

/* ---- Removing files -------------------------------------------------------------------------- */

/* Segments on their way out: renamed, waiting, then unlinked. */
struct log_deletion {
    struct job job;
    struct timer timer;
    struct list link; /* partition_log.deletions while the timer runs */
    struct partition_log *log;
    char *directory; /* own copy: outlives the log */
    bool is_renamed;
    enum storage_status status;
    int64_t empty_base; /* of an active segment that has no file yet; -1: it has */
    uint32_t count;
    int64_t bases[DELETION_SEGMENTS_MAX];
};

static enum storage_status rename_file(const struct log_deletion *deletion, struct storage storage,
                                       int64_t base_offset, const char *suffix)
{
    struct log_path from;
    struct log_path to;
    char deleted[32];
    snprintf(deleted, sizeof(deleted), "%s" SEGMENT_STATE_DELETED, suffix);
    if (!log_path_of_offset(&from, deletion->directory, base_offset, suffix) ||
        !log_path_of_offset(&to, deletion->directory, base_offset, deleted))
        return STORAGE_IO;
    enum storage_status status = storage_run_path(
        storage, deletion->is_renamed ? STORAGE_UNLINK : STORAGE_RENAME,
        deletion->is_renamed ? to.text : from.text, deletion->is_renamed ? NULL : to.text);
    return status == STORAGE_NOT_FOUND ? STORAGE_OK : status;
}

/* Without any file of the log the next start would not know where it is. */
static enum storage_status make_active_file(const struct log_deletion *deletion,
                                            const struct job_context *context)
{
    if (deletion->empty_base < 0)
        return STORAGE_OK;
    enum storage_status status =
        partition_log_make_file(context->storage, deletion->directory, deletion->empty_base);
    if (status == STORAGE_OK)
        status =
            storage_run_path(context->storage, STORAGE_SYNC_DIRECTORY, deletion->directory, NULL);
    return status;
}

static enum job_progress deletion_step(struct job *job, const struct job_context *context)
{
    struct log_deletion *deletion = container_of(job, struct log_deletion, job);
    deletion->status = deletion->is_renamed ? STORAGE_OK : make_active_file(deletion, context);
    /* The oldest first: after a crash in between, what is left has no hole in it. */
    for (uint32_t i = 0; i < deletion->count && deletion->status == STORAGE_OK; i++) {
        for (int s = 0; s < SUFFIXES && deletion->status == STORAGE_OK; s++)
            deletion->status =
                rename_file(deletion, context->storage, deletion->bases[i], segment_suffixes[s]);
        /* Names may reach the disk in any order: each has to be there before the next may go. */
        if (deletion->status == STORAGE_OK && !deletion->is_renamed &&
            !test_point(job->loop, BUG_LOG_DELETE_WITHOUT_ORDER))
            deletion->status = storage_run_path(context->storage, STORAGE_SYNC_DIRECTORY,
                                                deletion->directory, NULL);
    }
    return JOB_FINISHED;
}

static void free_deletion(struct log_deletion *deletion, struct heap *heap)
{
    list_remove(&deletion->link);
    timer_clear(&deletion->timer);
    heap_put(heap, MEMORY_STATE, deletion->directory, strlen(deletion->directory) + 1);
    heap_put(heap, MEMORY_STATE, deletion, sizeof(*deletion));
}

static void deletion_due(struct timer *timer)
{
    struct log_deletion *deletion = container_of(timer, struct log_deletion, timer);
    list_remove(&deletion->link);
    partition_log_job_begin(deletion->log);
    loop_start_job(deletion->log->shard->loop, &deletion->job);
}

static void wait_for_delay(struct partition_log *log, struct log_deletion *deletion);

static void deletion_done(struct job *job)
{
    struct log_deletion *deletion = container_of(job, struct log_deletion, job);
    struct partition_log *log = deletion->log;
    if (deletion->status != STORAGE_OK && deletion->status != STORAGE_NO_SPACE)
        partition_log_fail(log, deletion->status);
    if (deletion->is_renamed || deletion->status != STORAGE_OK) {
        free_deletion(deletion, log->shard->heap);
    } else {
        wait_for_delay(log, deletion);
    }
    partition_log_job_end(log);
}

void partition_log_forget_deletions(struct partition_log *log)
{
    list_for_each_safe(link, after, &log->deletions)
        free_deletion(container_of(link, struct log_deletion, link), log->shard->heap);
}

static struct log_deletion *new_deletion(struct partition_log *log, uint32_t count)
{
    struct heap *heap = log->shard->heap;
    klamm_assert(count <= DELETION_SEGMENTS_MAX);
    struct log_deletion *deletion = heap_must_get(heap, MEMORY_STATE, sizeof(*deletion));
    size_t size = strlen(log->directory) + 1;
    deletion->log = log;
    deletion->directory = heap_must_get(heap, MEMORY_STATE, size);
    memcpy(deletion->directory, log->directory, size);
    deletion->count = count;
    deletion->empty_base = -1;
    list_link_init(&deletion->link);
    timer_init(&deletion->timer, deletion_due);
    deletion->job.step = deletion_step;
    deletion->job.done = deletion_done;
    deletion->job.job_class = JOB_BACKGROUND;
    return deletion;
}

/* The files have their `.deleted` names; the second job follows after the delay. */
static void wait_for_delay(struct partition_log *log, struct log_deletion *deletion)
{
    int64_t delay_ms = log->config.file_delete_delay_ms;
    deletion->is_renamed = true;
    list_push_back(&log->deletions, &deletion->link);
    loop_set_timer(log->shard->loop, &deletion->timer,
                   delay_ms > 0 ? (uint64_t)delay_ms * 1000000 : 0);
}

void partition_log_remove_renamed(struct partition_log *log, const int64_t *bases, uint32_t count)
{
    struct log_deletion *deletion = new_deletion(log, count);
    memcpy(deletion->bases, bases, count * sizeof(*bases));
    wait_for_delay(log, deletion);
}

/* Takes the first `count` segments out of the log and starts removing their files. */
static void delete_segments(struct partition_log *log, uint32_t count)
{
    klamm_assert(count < log->segment_count);
    struct log_deletion *deletion = new_deletion(log, count);
    const struct segment *active = partition_log_active(log);
    deletion->empty_base = active->size == 0 ? active->base_offset : -1;
    for (uint32_t i = 0; i < count; i++) {
        deletion->bases[i] = log->segments[i]->base_offset;
        partition_log_free_segment(log, log->segments[i]);
    }
    log->segment_count -= count;
    memmove(log->segments, log->segments + count, log->segment_count * sizeof(*log->segments));
    log->shard->counters.deleted_segments += count;
    if (log->has_committer)
        committer_void_below(&log->commit, log->segments[0]->base_offset);
    partition_log_update_commit(log);
    partition_log_update_recovery_limit(log);
    partition_log_job_begin(log);
    loop_start_job(log->shard->loop, &deletion->job);
}

/* ---- Which segments go ----------------------------------------------------------------------- */

/* When the newest record of the segment was written, as far as retention is concerned. */
static int64_t segment_age_base_ms(const struct segment *segment)
{
    if (segment->max_timestamp < 0 || segment->max_timestamp > segment->last_append_ms)
        return segment->last_append_ms;
    return segment->max_timestamp;
}

/* The prefix that qualifies under one rule or another; never behind the high watermark. */
struct retention {
    uint32_t count;
    bool needs_timestamps; /* stopped at a segment whose largest timestamp was not read yet */
    bool needs_sync;       /* stopped at a segment with bytes that are not synced yet */
};

static bool is_expired(const struct partition_log *log, const struct segment *segment)
{
    return log->shard->loop->wall_ms - segment_age_base_ms(segment) > log->config.retention_ms;
}

static struct retention survey(const struct partition_log *log, bool pause_age)
{
    const struct log_config *config = &log->config;
    struct retention retention = {0};
    uint64_t excess = 0;
    uint64_t total = partition_log_size(log);
    if (config->cleanup_delete && config->retention_bytes >= 0 &&
        total > (uint64_t)config->retention_bytes)
        excess = total - (uint64_t)config->retention_bytes;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        const struct segment *segment = log->segments[i];
        int64_t end = partition_log_segment_end(log, i);
        bool is_active = i + 1 == log->segment_count;
        /* A sealed one may be empty: compaction found nothing in it that had to stay. */
        if (log->high_watermark < end || segment->is_index_writing ||
            (segment->size == 0 && is_active))
            break;
        bool by_start = !is_active && end <= log->log_start;
        bool by_size = excess >= segment->size && excess > 0;
        bool by_age = config->cleanup_delete && config->retention_ms >= 0 && !pause_age;
        if (by_age && !by_start && !by_size &&
            segment->max_timestamp == SEGMENT_TIMESTAMP_UNKNOWN) {
            retention.needs_timestamps = true;
            break;
        }
        if (!by_start && !by_size && !(by_age && is_expired(log, segment)))
            break;
        /* A power cut may bring it back, and its torn end would take what follows along. */
        if (segment->file && commit_file_is_busy(&segment->file->commit)) {
            retention.needs_sync = true;
            break;
        }
        excess = excess > segment->size ? excess - segment->size : 0;
        retention.count++;
    }
    return retention;
}

/* ---- Timestamps of old segments -------------------------------------------------------------- */

struct timestamp_job {
    struct job job;
    struct partition_log *log;
    int64_t base_offset;
    uint32_t stored_count;
    struct log_path path;
    struct time_entry last;
    enum storage_status status;
};

static enum job_progress timestamp_step(struct job *job, const struct job_context *context)
{
    struct timestamp_job *read = container_of(job, struct timestamp_job, job);
    struct storage_file *file;
    uint64_t size;
    uint8_t data[TIME_INDEX_ENTRY_SIZE];
    read->status =
        storage_run_open(context->storage, read->path.text, STORAGE_FLAG_READ, &file, &size);
    if (read->status != STORAGE_OK)
        return JOB_FINISHED;
    struct file_reader reader = {context->storage, file, true};
    read->status = file_reader_read(
        &reader, (uint64_t)(read->stored_count - 1) * TIME_INDEX_ENTRY_SIZE, data, sizeof(data));
    storage_run_close(context->storage, file);
    read->last = time_index_decode(data);
    return JOB_FINISHED;
}

static void timestamp_done(struct job *job)
{
    struct timestamp_job *read = container_of(job, struct timestamp_job, job);
    struct partition_log *log = read->log;
    uint32_t place = partition_log_segment_at(log, read->base_offset);
    struct segment *segment = log->segments[place];
    if (segment->base_offset == read->base_offset &&
        segment->max_timestamp == SEGMENT_TIMESTAMP_UNKNOWN) {
        /* An index that cannot be read says nothing: the file's own time counts then. */
        segment->max_timestamp = SEGMENT_TIMESTAMP_NONE;
        if (read->status == STORAGE_OK) {
            segment->max_timestamp = read->last.timestamp;
            segment->max_timestamp_offset = segment->base_offset + read->last.relative_offset;
        }
        log->next_retention_ns = 0;
    }
    heap_put(log->shard->heap, MEMORY_SCRATCH, read, sizeof(*read));
    partition_log_job_end(log);
}

static void read_timestamp(struct partition_log *log, const struct segment *segment)
{
    struct timestamp_job *read = heap_must_get(log->shard->heap, MEMORY_SCRATCH, sizeof(*read));
    read->log = log;
    read->base_offset = segment->base_offset;
    read->stored_count = segment->times.stored_count;
    bool fits = log_path_of_offset(&read->path, log->directory, segment->base_offset,
                                   SEGMENT_TIME_INDEX_SUFFIX);
    klamm_assert(fits);
    read->job.step = timestamp_step;
    read->job.done = timestamp_done;
    read->job.job_class = JOB_BACKGROUND;
    partition_log_job_begin(log);
    loop_start_job(log->shard->loop, &read->job);
}

/* ---- The step -------------------------------------------------------------------------------- */

/*
 * What stays must begin with a snapshot of the producers: what they wrote before is needed to know
 * them again, and goes. A seal without space wrote none; the next roll brings one. On a full device
 * making room comes first, and without producers there is nothing to lose.
 */
static uint32_t count_with_snapshot(const struct partition_log *log, uint32_t count)
{
    if (log->state == PARTITION_LOG_NO_SPACE || log->producers.producer_count == 0)
        return count;
    while (count > 0 && !log->segments[count]->has_snapshot)
        count--;
    return count;
}

static void retain(struct partition_log *log, bool pause_age)
{
    if (log->compaction) {
        log->next_retention_ns = 0; /* as soon as it has ended */
        return;
    }
    struct retention retention = survey(log, pause_age);
    uint32_t count = retention.count;
    if (retention.needs_sync) {
        partition_log_flush(log);
        log->next_retention_ns = 0;
    }
    if (count == log->segment_count) {
        /* Everything goes: the log needs an empty segment to go on with. */
        if (!list_is_empty(&log->queue) || log->write_count > 0 || log->is_rolling_back)
            return;
        partition_log_begin_segment(log, log->log_end);
        count = log->segment_count - 1;
        /* The old one is being sealed: it follows in a later step. */
        while (count > 0 && log->segments[count - 1]->is_index_writing)
            count--;
        log->next_retention_ns = 0;
    }
    if (count > DELETION_SEGMENTS_MAX) {
        count = DELETION_SEGMENTS_MAX;
        log->next_retention_ns = 0;
    }
    count = count_with_snapshot(log, count);
    if (count > 0) {
        int64_t start = log->segments[count]->base_offset;
        if (start > log->log_start)
            partition_log_advance_start(log, start);
        delete_segments(log, count);
    } else if (retention.needs_timestamps) {
        read_timestamp(log, log->segments[0]);
    }
}

/*
 * What lies in the active segment is not compacted; with max.compaction.lag.ms it has to leave that
 * in time also when nothing is appended any more.
 */
static void roll_for_compaction(struct partition_log *log)
{
    const struct segment *active = partition_log_active(log);
    if (!log->config.cleanup_compact || log->state != PARTITION_LOG_RUNNING || active->size == 0 ||
        active->first_append_ms < 0 ||
        log->shard->loop->wall_ms - active->first_append_ms <= log->config.max_compaction_lag_ms)
        return;
    if (list_is_empty(&log->queue) && log->write_count == 0 && !log->is_rolling_back &&
        log->written_end > active->base_offset)
        partition_log_begin_segment(log, log->log_end);
}

/* Side files that found no space are tried again. */
static void retry_side_files(struct partition_log *log)
{
    for (uint32_t i = 0; i + 1 < log->segment_count; i++) {
        struct segment *segment = log->segments[i];
        if (segment->needs_side_files && !segment->is_index_writing)
            side_files_write(log, segment, &(struct side_files_options){.is_seal = true});
    }
}

void partition_log_maintain(struct partition_log *log, bool pause_age)
{
    uint64_t now_ns = log->shard->loop->now_ns;
    /* Also on a full device: this is what makes room. */
    bool is_alive = log->state == PARTITION_LOG_RUNNING || log->state == PARTITION_LOG_NO_SPACE;
    if (!is_alive || now_ns < log->next_maintenance_ns)
        return;
    log->next_maintenance_ns = now_ns + MAINTENANCE_INTERVAL_NS;
    retry_side_files(log);
    if (!pause_age)
        roll_for_compaction(log);
    if (now_ns < log->next_retention_ns && log->retained_start == log->log_start)
        return;
    log->next_retention_ns = now_ns + log->shard->retention_interval_ns;
    log->retained_start = log->log_start;
    if (!pause_age)
        producer_state_expire(&log->producers, log->shard->loop->wall_ms);
    retain(log, pause_age);
}
