/*
 * Deciding. Clean is what lies below the first dirty offset, dirty what follows up to the first
 * segment that must not be touched yet. A segment of which only a part was compacted (the map was
 * full) counts as dirty.
 */
#include "log/compaction.h"

#include "log/partition_log_internal.h"

/* When its newest record was written, as far as anybody can tell: see log_retention.c. */
static int64_t newest_ms(const struct segment *segment)
{
    if (segment->max_timestamp < 0 || segment->max_timestamp > segment->last_append_ms)
        return segment->last_append_ms;
    return segment->max_timestamp;
}

/*
 * When its oldest record was written. Of a segment from before the start only the file's own time
 * is known; it is no older than the last record of the one before.
 */
static int64_t oldest_ms(const struct partition_log *log, uint32_t place)
{
    const struct segment *segment = log->segments[place];
    if (segment->first_append_ms >= 0)
        return segment->first_append_ms;
    return place > 0 ? log->segments[place - 1]->last_append_ms : segment->last_append_ms;
}

/* Nothing of it can change any more, and a crash would not lose it. */
static bool is_settled(const struct partition_log *log, const struct segment *segment, int64_t end)
{
    return segment->is_sealed && !segment->needs_side_files && !segment->is_index_writing &&
           !(segment->file && commit_file_is_busy(&segment->file->commit)) &&
           end <= partition_log_recovery_point(log) && end <= partition_log_last_stable_offset(log);
}

bool compaction_survey(const struct partition_log *log, struct compaction_need *need)
{
    int64_t now_ms = log->shard->loop->wall_ms;
    *need = (struct compaction_need){0};
    bool is_alive = log->state == PARTITION_LOG_RUNNING || log->state == PARTITION_LOG_NO_SPACE;
    if (!log->config.cleanup_compact || !is_alive || log->is_uncleanable || log->compaction ||
        !log->has_committer || log->close || log->truncation)
        return false;
    /* A load does not tell which markers are replicated: until all are, some may be cut again. */
    if (log->high_watermark < log->loaded_end)
        return false;
    need->first_dirty = partition_log_first_dirty(log);
    need->upper_offset = need->first_dirty;
    int64_t oldest = INT64_MAX;
    for (uint32_t i = 0; i + 1 < log->segment_count; i++) {
        const struct segment *segment = log->segments[i];
        int64_t end = partition_log_segment_end(log, i);
        if (end <= log->log_start)
            continue; /* retention removes it */
        if (!is_settled(log, segment, end))
            break;
        if (end <= need->first_dirty) {
            need->clean_bytes += segment->size;
            continue;
        }
        if (newest_ms(segment) > now_ms - log->config.min_compaction_lag_ms)
            break;
        if (oldest_ms(log, i) < oldest)
            oldest = oldest_ms(log, i);
        need->dirty_bytes += segment->size;
        need->upper_offset = end;
    }
    if (need->upper_offset <= need->first_dirty)
        return true;
    uint64_t all = need->clean_bytes + need->dirty_bytes;
    need->ratio = all > 0 ? (double)need->dirty_bytes / (double)all : 0;
    if (now_ms - oldest > log->config.max_compaction_lag_ms)
        need->overdue_ms = now_ms - oldest - log->config.max_compaction_lag_ms;
    need->is_due = need->dirty_bytes > 0 &&
                   (need->overdue_ms > 0 || need->ratio > log->config.min_cleanable_ratio);
    return true;
}

bool compaction_is_before(const struct compaction_need *a, const struct compaction_need *b)
{
    if (a->overdue_ms != b->overdue_ms)
        return a->overdue_ms > b->overdue_ms;
    return a->ratio > b->ratio;
}
