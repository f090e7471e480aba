/*
 * Snapshots: when one is due, the job that writes it, and what may go when it is on disk.
 */
#include "cluster/quorum/metadata_log_internal.h"

#include "cluster/quorum/snapshot_job.h"

enum { SNAPSHOT_BYTES_DEFAULT = 20 * 1024 * 1024, MAINTENANCE_INTERVAL_S = 60 };

static void snapshot_done(struct job *job)
{
    struct snapshot_job *snapshot = container_of(job, struct snapshot_job, job);
    struct metadata_log *log = snapshot->context;
    int64_t end = snapshot->image->offset + 1;
    int32_t epoch = snapshot->image->epoch;
    image_release(snapshot->image);
    heap_put(log->loop->heap, MEMORY_STATE, snapshot->voters, snapshot->voters_size);
    log->snapshot = NULL;
    if (snapshot->is_written && end > log->snapshot_end) {
        log_info(log->loop->diagnostics, "metadata snapshot written end_offset=%lld bytes=%llu",
                 (long long)end, (unsigned long long)snapshot->written_size);
        /* The one before stays, so that a damaged newest one is not the end. */
        if (!log->is_closing) {
            partition_log_advance_start(log->log, log->snapshot_end);
            partition_log_roll(log->log);
        }
        log->boot.oldest = (struct snapshot_id){log->snapshot_end, log->snapshot_epoch};
        log->boot.has_snapshot = true;
        log->boot.snapshot = (struct snapshot_id){end, epoch};
        log->snapshot_end = end;
        log->snapshot_epoch = epoch;
        voter_history_forget_before(&log->voters, end);
    } else if (!snapshot->is_written) {
        log_warn(log->loop->diagnostics, "metadata snapshot failed: %s",
                 storage_status_text(snapshot->writer.status));
    }
    heap_put(log->loop->heap, MEMORY_STATE, snapshot, sizeof(*snapshot));
    if (log->is_closing)
        metadata_log_close_next(log);
}

static bool is_snapshot_due(struct metadata_log *log)
{
    uint64_t limit = (uint64_t)(log->options.snapshot_bytes ? log->options.snapshot_bytes
                                                            : SNAPSHOT_BYTES_DEFAULT);
    if (log->bytes_since_snapshot >= limit)
        return true;
    return log->snapshot_due_ns != 0 && log->loop->now_ns >= log->snapshot_due_ns;
}

void metadata_log_offer(struct metadata_log *log, const struct image *image)
{
    if (log->snapshot_due_ns == 0 && log->options.snapshot_interval_ms > 0)
        log->snapshot_due_ns =
            log->loop->now_ns + (uint64_t)log->options.snapshot_interval_ms * NS_PER_MS;
    if (log->snapshot || log->is_closing || log->has_failed || !is_snapshot_due(log) ||
        image->offset < log->snapshot_end)
        return;
    struct snapshot_job *snapshot = heap_must_get(log->loop->heap, MEMORY_STATE, sizeof(*snapshot));
    snapshot_job_init(snapshot, image, log->boot.directory.text);
    image_acquire(image);
    snapshot->previous_end = log->snapshot_end;
    snapshot->context = log;
    snapshot->job.done = snapshot_done;
    const struct voter_set *set = voter_history_at(&log->voters, image->offset + 1);
    if (set->count > 0) {
        snapshot->kraft_version_size = voters_encode_kraft_version(
            set->kraft_version, snapshot->kraft_version, sizeof(snapshot->kraft_version));
        snapshot->voters = heap_must_get(log->loop->heap, MEMORY_STATE, set->value.size);
        snapshot->voters_size = set->value.size;
        memcpy(snapshot->voters, set->value.data, set->value.size);
    }
    log->snapshot = snapshot;
    log->bytes_since_snapshot = 0;
    log->snapshot_due_ns = 0;
    loop_start_job(log->loop, &snapshot->job);
}

static void maintain(struct timer *timer)
{
    struct metadata_log *log = container_of(timer, struct metadata_log, maintenance);
    followers_forget_silent(log);
    if (log->log && !log->is_closing && !log->has_failed)
        partition_log_maintain(log->log, true);
    loop_set_timer(log->loop, timer, MAINTENANCE_INTERVAL_S * 1000 * NS_PER_MS);
}

void metadata_log_snapshots_init(struct metadata_log *log)
{
    timer_init(&log->maintenance, maintain);
    loop_set_timer(log->loop, &log->maintenance, MAINTENANCE_INTERVAL_S * 1000 * NS_PER_MS);
}
