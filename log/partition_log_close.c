/*
 * Closing waits until the queue is written and no job refers to the log, then writes and syncs the
 * log files and side files in one job, and then the object goes. Dropping skips the writing.
 */
#include "base/assert.h"
#include "log/compaction.h"
#include "log/partition_log_internal.h"
#include "log/partition_log_truncation.h"
#include "log/side_files.h"

static bool is_quiet(const struct partition_log *log)
{
    return log->jobs == 0 && log->write_count == 0 && !log->is_rolling_back &&
           !log->is_opening_for_write && list_is_empty(&log->queue) &&
           list_is_empty(&log->finished) && !log->wants_failed_event;
}

static void end_log(struct partition_log *log, bool clean)
{
    struct log_close *close = log->close;
    close->log_end = log->written_end;
    close->log_start_offset = log->log_start;
    close->recovery_point = clean ? log->written_end : partition_log_recovery_point(log);
    close->high_watermark = log->high_watermark;
    partition_log_destroy(log, clean);
    close->closed(close, clean);
}

/* The closing job ended; the last reference of the job itself goes right after. */
static void close_written(struct partition_log *log, enum storage_status status)
{
    if (status != STORAGE_OK)
        log->is_damaged = true;
    log->is_closed = true;
}

/* A sealed segment whose side files found no space earlier. */
static struct segment *incomplete_segment(const struct partition_log *log)
{
    for (uint32_t i = 0; i + 1 < log->segment_count; i++) {
        if (log->segments[i]->needs_side_files)
            return log->segments[i];
    }
    return NULL;
}

static void incomplete_written(struct partition_log *log, enum storage_status status)
{
    if (status != STORAGE_OK)
        log->is_damaged = true; /* the next start makes them */
}

/* The active segment was found empty after a crash and got nothing since: only its name matters. */
struct name_sync {
    struct partition_log *log;
    struct storage_request request;
};

static void name_synced(struct storage_request *request)
{
    struct name_sync *sync = container_of(request, struct name_sync, request);
    struct partition_log *log = sync->log;
    enum storage_status status = request->status;
    heap_put(log->shard->heap, MEMORY_STATE, sync, sizeof(*sync));
    partition_log_active(log)->is_directory_unsynced = false;
    if (status != STORAGE_OK)
        partition_log_fail(log, status);
    partition_log_job_end(log);
}

static void sync_name(struct partition_log *log)
{
    struct name_sync *sync = heap_must_get(log->shard->heap, MEMORY_STATE, sizeof(*sync));
    sync->log = log;
    sync->request = (struct storage_request){
        .operation = STORAGE_SYNC_DIRECTORY, .path = log->directory, .done = name_synced};
    partition_log_job_begin(log);
    storage_submit(log->shard->loop->storage, &sync->request);
}

static void advance_close(struct partition_log *log)
{
    if (!is_quiet(log))
        return;
    if (log->is_closed || log->is_dropping || log->is_damaged) {
        end_log(log, log->is_closed && !log->is_damaged);
        return;
    }
    struct segment *incomplete = incomplete_segment(log);
    if (incomplete) {
        side_files_write(log, incomplete,
                         &(struct side_files_options){.is_seal = true, .done = incomplete_written});
        return;
    }
    if (!log->is_changed && partition_log_active(log)->is_directory_unsynced) {
        sync_name(log);
        return;
    }
    if (!log->is_changed) {
        /* Opened, perhaps read, and as it was; an epoch without records is of no use to anyone. */
        end_log(log, true);
        return;
    }
    side_files_write(
        log, partition_log_active(log),
        &(struct side_files_options){
            .is_seal = true, .with_snapshot = true, .with_log_sync = true, .done = close_written});
}

void partition_log_advance(struct partition_log *log)
{
    if (log->truncation && is_quiet(log))
        partition_log_begin_truncation(log);
    else if (log->close && !log->truncation)
        advance_close(log);
}

static void begin_close(struct partition_log *log, struct log_close *close)
{
    klamm_assert(log->close == NULL);
    log->close = close;
    if (log->state == PARTITION_LOG_FAILED)
        log->is_damaged = true;
    log->state = PARTITION_LOG_CLOSING;
    partition_log_stop_compaction(log);
    loop_defer(log->shard->loop, &log->deferred);
}

void partition_log_close(struct partition_log *log, struct log_close *close)
{
    begin_close(log, close);
}

void partition_log_drop(struct partition_log *log, struct log_close *close)
{
    log->is_dropping = true;
    if (log->write_count == 0)
        partition_log_refuse_queue(log);
    begin_close(log, close);
}
