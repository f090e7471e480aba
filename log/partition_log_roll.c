/*
 * Beginning a new segment costs nothing on the append path: the file is made by the first write to
 * it, and the side files of the old segment are written in the background. Until those are synced
 * the recovery point stays below the old segment's end.
 */
#include "base/assert.h"
#include "log/partition_log_internal.h"
#include "log/side_files.h"

enum { TAIL_ENTRIES_MAX = 2048 }; /* of one index in memory before they go to the file */

void partition_log_update_recovery_limit(struct partition_log *log)
{
    log->commit.recovery_limit = log->cut_limit;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        if (!log->segments[i]->is_sealed || !log->segments[i]->needs_side_files)
            continue;
        int64_t limit = partition_log_segment_end(log, i) - 1;
        if (limit < log->commit.recovery_limit)
            log->commit.recovery_limit = limit;
        return;
    }
}

void partition_log_begin_segment(struct partition_log *log, int64_t base_offset)
{
    klamm_assert(list_is_empty(&log->queue));
    klamm_assert(log->written_end == log->log_end);
    struct segment *old = partition_log_active(log);
    if (base_offset < log->log_end)
        base_offset = log->log_end;
    klamm_assert(base_offset > old->base_offset);
    log->wants_roll = false;
    log->shard->counters.rolls++;
    old->is_sealed = true;
    old->needs_side_files = true;
    struct segment *segment = partition_log_new_segment(log, base_offset);
    segment->is_directory_unsynced = true;
    partition_log_push_segment(log, segment);
    partition_log_update_recovery_limit(log);
    if (!old->is_index_writing)
        side_files_write(log, old,
                         &(struct side_files_options){.is_seal = true, .with_snapshot = true});
}

void partition_log_trim_tails(struct partition_log *log, struct segment *segment)
{
    bool is_long = segment->index.tail_count >= TAIL_ENTRIES_MAX ||
                   segment->times.tail_count >= TAIL_ENTRIES_MAX;
    if (is_long && !segment->is_index_writing && log->state == PARTITION_LOG_RUNNING)
        side_files_write(log, segment, &(struct side_files_options){0});
}

void partition_log_roll(struct partition_log *log)
{
    log->wants_roll = true;
}
