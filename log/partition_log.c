/*
 * The parts of a partition log that only look or only tell: making the object from what a load
 * found, offsets, the events of the deferred phase, failing. The other files act.
 */
#include "log/partition_log_internal.h"

#include "base/assert.h"
#include "base/random.h"
#include "log/cleaner.h"
#include "log/compaction.h"
#include "log/log_recovery.h"
#include "log/log_state.h"
#include "runtime/test_point.h"

void log_config_of_topic(struct log_config *config, const struct topic_config *topic)
{
    int64_t segment_ms = topic->segment_ms;
    if (topic->cleanup_compact && topic->max_compaction_lag_ms < segment_ms)
        segment_ms = topic->max_compaction_lag_ms;
    *config = (struct log_config){
        .durability = topic->durability,
        .segment_bytes = topic->segment_bytes,
        .segment_ms = segment_ms,
        .segment_jitter_ms = topic->segment_jitter_ms,
        .segment_index_bytes = topic->segment_index_bytes,
        .index_interval_bytes = topic->index_interval_bytes,
        .flush_messages = topic->flush_messages,
        .flush_ms = topic->flush_ms,
        .retention_bytes = topic->retention_bytes,
        .retention_ms = topic->retention_ms,
        .file_delete_delay_ms = topic->file_delete_delay_ms,
        .delete_retention_ms = topic->delete_retention_ms,
        .min_compaction_lag_ms = topic->min_compaction_lag_ms,
        .max_compaction_lag_ms = topic->max_compaction_lag_ms,
        .min_cleanable_ratio = topic->min_cleanable_dirty_ratio,
        .cleanup_delete = topic->cleanup_delete,
        .cleanup_compact = topic->cleanup_compact,
    };
}

/* ---- Segments -------------------------------------------------------------------------------- */

uint32_t partition_log_segment_at(const struct partition_log *log, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = log->segment_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (log->segments[middle]->base_offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int64_t partition_log_segment_end(const struct partition_log *log, uint32_t place)
{
    if (place + 1 < log->segment_count)
        return log->segments[place + 1]->base_offset;
    return log->written_end;
}

void partition_log_push_segment(struct partition_log *log, struct segment *segment)
{
    struct heap *heap = log->shard->heap;
    if (log->segment_count == log->segment_capacity) {
        uint32_t capacity = log->segment_capacity ? log->segment_capacity * 2 : 1;
        struct segment **segments = heap_must_get(heap, MEMORY_STATE, capacity * sizeof(*segments));
        if (log->segment_count)
            memcpy(segments, log->segments, log->segment_count * sizeof(*segments));
        heap_put(heap, MEMORY_STATE, log->segments, log->segment_capacity * sizeof(*segments));
        log->segments = segments;
        log->segment_capacity = capacity;
    }
    log->segments[log->segment_count++] = segment;
}

struct segment *partition_log_new_segment(struct partition_log *log, int64_t base_offset)
{
    struct segment *segment = heap_must_get(log->shard->heap, MEMORY_STATE, sizeof(*segment));
    segment_init(segment, base_offset);
    int64_t jitter_ms = log->config.segment_jitter_ms < log->config.segment_ms
                            ? log->config.segment_jitter_ms
                            : log->config.segment_ms;
    if (jitter_ms > 0) {
        uint64_t drawn = loop_random_seed(log->shard->loop, log_shard_new_generation(log->shard) ^
                                                                (uint64_t)base_offset);
        segment->roll_jitter_ms = (int64_t)(drawn % ((uint64_t)jitter_ms + 1));
    }
    return segment;
}

void partition_log_free_segment(struct partition_log *log, struct segment *segment)
{
    if (log->has_committer && segment->file)
        committer_discard_file(&log->commit, &segment->file->commit);
    segment_deinit(segment, log->shard->heap);
    heap_put(log->shard->heap, MEMORY_STATE, segment, sizeof(*segment));
}

/* ---- The committer's events ------------------------------------------------------------------ */

static void commit_durable(struct commit_partition *partition, int64_t durable_end)
{
    struct partition_log *log = container_of(partition, struct partition_log, commit);
    if (log->events && log->events->durable)
        log->events->durable(log->owner, durable_end);
}

static void commit_failed(struct commit_partition *partition, enum storage_status status)
{
    partition_log_fail(container_of(partition, struct partition_log, commit), status);
}

static void commit_hold(struct commit_partition *partition, struct commit_file *file)
{
    (void)partition;
    segment_file_acquire(container_of(file, struct segment_file, commit));
}

static void commit_release(struct commit_partition *partition, struct commit_file *file)
{
    (void)partition;
    segment_file_release(container_of(file, struct segment_file, commit));
}

static const struct commit_partition_events commit_events = {
    .durable = commit_durable,
    .failed = commit_failed,
    .hold = commit_hold,
    .release = commit_release,
};

void partition_log_update_commit(struct partition_log *log)
{
    log->commit.log_start_offset = log->log_start;
    log->commit.first_base_offset = log->segments[0]->base_offset;
    log->commit.high_watermark = log->high_watermark;
    log->commit.cleaner_offset = log->first_dirty;
    log->commit.flush_messages = log->config.flush_messages;
    log->commit.flush_ms = log->config.flush_ms;
    log->commit.is_waited_for = log->config.durability == TOPIC_DURABILITY_SYNC;
}

static void join_committer(struct partition_log *log, struct committer *committer)
{
    log->commit.events = &commit_events;
    log->commit.topic = view_of(log->directory + strlen(log->directory) + 1, log->topic_size);
    log->commit.partition = log->partition;
    log->commit.topic_id = log->topic_id;
    log->commit.directory = log->directory;
    partition_log_update_commit(log);
    if (!committer)
        return;
    committer_add_partition(committer, &log->commit, log->written_end);
    log->has_committer = true;
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* The deferred phase: write the turn's appends, then tell what ended. */
static void log_deferred(struct deferred *deferred)
{
    struct partition_log *log = container_of(deferred, struct partition_log, deferred);
    partition_log_pump(log);
    list_remove(&log->deferred.link); /* what the pump ended is told here, not a turn later */
    partition_log_job_begin(log);     /* callbacks may ask for the end of the log */
    for (struct list *link; (link = list_pop_front(&log->finished)) != NULL;) {
        struct log_append *append = container_of(link, struct log_append, link);
        if (append->done)
            append->done(append);
    }
    if (log->told_written_end < log->written_end) {
        log->told_written_end = log->written_end;
        if (log->events && log->events->written)
            log->events->written(log->owner, log->written_end);
    }
    if (log->wants_failed_event) {
        log->wants_failed_event = false;
        if (log->events && log->events->failed)
            log->events->failed(log->owner, log->failure, log->written_end);
    }
    partition_log_job_end(log);
}

/*
 * A loaded segment moves to the log's heap. Its indexes are in their files, unless the device was
 * full when they were made again.
 */
static void copy_segment(struct partition_log *log, const struct segment *from)
{
    struct heap *heap = log->shard->heap;
    struct segment *segment = partition_log_new_segment(log, from->base_offset);
    struct segment fresh = *segment;
    *segment = *from;
    segment->roll_jitter_ms = fresh.roll_jitter_ms;
    segment->aborted = fresh.aborted;
    if (from->index.tail_count > 0)
        segment->index = fresh.index;
    if (from->times.tail_count > 0)
        segment->times = fresh.times;
    segment->index.tail = NULL;
    segment->index.tail_capacity = 0;
    segment->times.tail = NULL;
    segment->times.tail_capacity = 0;
    klamm_assert(from->index.tail_count == 0 || from->index.stored_count == 0);
    klamm_assert(from->times.tail_count == 0 || from->times.stored_count == 0);
    for (uint32_t i = 0; i < from->index.tail_count; i++)
        offset_index_append(&segment->index, heap, from->index.tail[i]);
    for (uint32_t i = 0; i < from->times.tail_count; i++)
        time_index_append(&segment->times, heap, from->times.tail[i]);
    for (uint32_t i = 0; i < from->aborted.count; i++)
        transaction_index_append(&segment->aborted, heap, &from->aborted.entries[i]);
    segment->aborted.written_count = from->aborted.written_count;
    partition_log_push_segment(log, segment);
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

void partition_log_adopt(struct partition_log *log, const struct log_load *load)
{
    for (uint32_t i = 0; i < log->segment_count; i++)
        partition_log_free_segment(log, log->segments[i]);
    log->segment_count = 0;
    for (uint32_t i = 0; i < load->segment_count; i++)
        copy_segment(log, &load->segments[i]);
    leader_epochs_deinit(&log->epochs, log->shard->heap);
    leader_epochs_init(&log->epochs);
    leader_epochs_copy(&log->epochs, log->shard->heap, &load->epochs);
    producer_state_clear(&log->producers);
    producer_state_copy(&log->producers, &load->producers);
    log->generation = log_shard_new_generation(log->shard);
    log->is_changed = load->was_scanned;
    log->written_end = load->log_end;
    log->log_end = load->log_end;
    log->loaded_end = load->log_end;
    log->told_written_end = load->log_end;
    log->log_start = load->log_start;
    log->high_watermark = clamp(log->high_watermark, log->log_start, log->written_end);
    if (log->first_dirty > log->written_end)
        log->first_dirty = log->written_end;
    producer_state_advance_high_watermark(&log->producers, log->high_watermark);
    partition_log_update_commit(log);
    partition_log_update_recovery_limit(log);
}

static void leave_cleaner(struct partition_log *log)
{
    list_remove(&log->compacted_link);
    if (log->shard->cleaner)
        cleaner_forget(log->shard->cleaner, log);
}

/* In the list of the loop's cleaner while the policy asks for it. */
static void join_cleaner(struct partition_log *log)
{
    bool is_in = list_is_linked(&log->compacted_link);
    if (log->config.cleanup_compact && !is_in)
        list_push_back(&log->shard->compacted, &log->compacted_link);
    if (log->config.cleanup_compact)
        return;
    leave_cleaner(log);
    partition_log_stop_compaction(log);
}

struct partition_log *partition_log_create_loaded(const struct partition_log_options *options,
                                                  const struct log_load *load)
{
    struct heap *heap = options->shard->heap;
    struct partition_log *log = heap_must_get(heap, MEMORY_STATE, sizeof(*log));
    log->shard = options->shard;
    size_t directory_size = strlen(options->directory) + 1;
    log->topic_size = (uint32_t)options->topic.size;
    log->directory = heap_must_get(heap, MEMORY_STATE, directory_size + log->topic_size);
    memcpy(log->directory, options->directory, directory_size);
    memcpy(log->directory + directory_size, options->topic.data, log->topic_size);
    log->partition = options->partition;
    log->topic_id = options->topic_id;
    log->config = options->config;
    log->events = options->events;
    log->owner = options->owner;
    list_init(&log->queue);
    list_init(&log->finished);
    list_init(&log->deletions);
    list_link_init(&log->room_wait.link);
    deferred_init(&log->deferred, log_deferred);
    leader_epochs_init(&log->epochs);
    producer_state_init(&log->producers, heap, options->producers);
    log->high_watermark = options->high_watermark;
    log->first_dirty = options->cleaner_offset;
    list_init(&log->lookups);
    list_link_init(&log->compacted_link);
    log->cut_limit = INT64_MAX;
    partition_log_adopt(log, load);
    join_committer(log, options->committer);
    join_cleaner(log);
    return log;
}

/*
 * The committer remembers the offsets for the checkpoints. After a clean closing everything is
 * synced, which it learns by the files going first; else what it knows must be taken before.
 */
static void leave_committer(struct partition_log *log, const struct commit_state *state)
{
    if (!log->has_committer)
        return;
    log->has_committer = false;
    bool is_deleted = log->is_dropping && log->failure == STORAGE_OK;
    committer_cancel_wait(&log->room_wait);
    committer_remove_partition(&log->commit, is_deleted ? NULL : state);
}

/* What the next start may know of a log that closed cleanly; `data` is the block that it lies in.
 */
static struct commit_state describe(const struct partition_log *log, uint8_t **data, size_t *size)
{
    const struct segment *active = partition_log_active(log);
    struct commit_state state = {.active_base_offset = active->base_offset,
                                 .active_size = active->size};
    *size = log_state_size_max(log);
    *data = NULL;
    if (*size == 0)
        return state;
    *data = heap_must_get(log->shard->heap, MEMORY_SCRATCH, *size);
    state.state = view_of(*data, log_state_encode(log, *data, *size));
    return state;
}

void partition_log_destroy(struct partition_log *log, bool clean)
{
    struct heap *heap = log->shard->heap;
    klamm_assert(log->jobs == 0);
    klamm_assert(list_is_empty(&log->queue));
    klamm_assert(list_is_empty(&log->finished));
    klamm_assert(list_is_empty(&log->lookups));
    klamm_assert(log->compaction == NULL);
    leave_cleaner(log);
    struct commit_state state = {0};
    uint8_t *state_data = NULL;
    size_t state_size = 0;
    if (clean && log->has_committer)
        state = describe(log, &state_data, &state_size);
    partition_log_forget_deletions(log);
    if (!clean)
        leave_committer(log, &state);
    for (uint32_t i = 0; i < log->segment_count; i++)
        partition_log_free_segment(log, log->segments[i]);
    leave_committer(log, &state);
    heap_put(heap, MEMORY_SCRATCH, state_data, state_size);
    heap_put(heap, MEMORY_STATE, log->segments, log->segment_capacity * sizeof(*log->segments));
    leader_epochs_deinit(&log->epochs, heap);
    producer_state_deinit(&log->producers);
    list_remove(&log->deferred.link);
    heap_put(heap, MEMORY_STATE, log->directory, strlen(log->directory) + 1 + log->topic_size);
    heap_put(heap, MEMORY_STATE, log, sizeof(*log));
}

void partition_log_job_begin(struct partition_log *log)
{
    log->jobs++;
}

void partition_log_job_end(struct partition_log *log)
{
    klamm_assert(log->jobs > 0);
    log->jobs--;
    partition_log_advance(log);
}

void partition_log_fail(struct partition_log *log, enum storage_status status)
{
    if (log->state == PARTITION_LOG_FAILED)
        return;
    bool is_closing = log->state == PARTITION_LOG_CLOSING;
    log->failure = status;
    log->is_damaged = true;
    if (!is_closing)
        log->state = PARTITION_LOG_FAILED;
    log->wants_failed_event = true;
    /* Once for a directory: whoever sees the error first. */
    if (!log->has_committer || log->commit.committer->failure == STORAGE_OK)
        log_error(log->shard->loop->diagnostics, "partition log failed directory=%s error=\"%s\"",
                  log->directory, storage_status_text(status));
    if (log->write_count == 0)
        partition_log_refuse_queue(log);
    loop_defer(log->shard->loop, &log->deferred);
    if (log->has_committer)
        committer_fail(log->commit.committer, status);
}

void partition_log_set_config(struct partition_log *log, const struct log_config *config)
{
    log->config = *config;
    partition_log_update_commit(log);
    join_cleaner(log);
}

void partition_log_set_owner(struct partition_log *log, const struct partition_log_events *events,
                             void *owner)
{
    log->events = events;
    log->owner = owner;
}

/* ---- Offsets --------------------------------------------------------------------------------- */

int64_t partition_log_start_offset(const struct partition_log *log)
{
    return log->log_start;
}

int64_t partition_log_end_offset(const struct partition_log *log)
{
    return log->log_end;
}

int64_t partition_log_written_end(const struct partition_log *log)
{
    return log->written_end;
}

int64_t partition_log_durable_end(const struct partition_log *log)
{
    return log->has_committer ? log->commit.durable_end : log->log_start;
}

int64_t partition_log_recovery_point(const struct partition_log *log)
{
    return log->has_committer ? commit_partition_recovery_point(&log->commit) : log->log_start;
}

int64_t partition_log_high_watermark(const struct partition_log *log)
{
    return log->high_watermark;
}

int64_t partition_log_last_stable_offset(const struct partition_log *log)
{
    int64_t unstable = producer_state_first_unstable_offset(&log->producers);
    if (unstable < 0 || unstable > log->high_watermark ||
        test_point(log->shard->loop, BUG_TXN_READ_UNSTABLE))
        return log->high_watermark;
    return unstable > log->log_start ? unstable : log->log_start;
}

int64_t partition_log_set_high_watermark(struct partition_log *log, int64_t offset)
{
    log->high_watermark = clamp(offset, log->log_start, log->written_end);
    log->commit.high_watermark = log->high_watermark;
    producer_state_advance_high_watermark(&log->producers, log->high_watermark);
    return log->high_watermark;
}

uint64_t partition_log_size(const struct partition_log *log)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < log->segment_count; i++)
        size += log->segments[i]->size;
    return size;
}

int32_t partition_log_segment_count(const struct partition_log *log)
{
    return (int32_t)log->segment_count;
}

int64_t partition_log_active_segment_base(const struct partition_log *log)
{
    return partition_log_active(log)->base_offset;
}

const char *partition_log_directory(const struct partition_log *log)
{
    return log->directory;
}

struct uuid partition_log_topic_id(const struct partition_log *log)
{
    return log->topic_id;
}

const struct leader_epochs *partition_log_leader_epochs(const struct partition_log *log)
{
    return &log->epochs;
}

const struct producer_state *partition_log_producers(const struct partition_log *log)
{
    return &log->producers;
}

int32_t partition_log_latest_epoch(const struct partition_log *log)
{
    return leader_epochs_latest(&log->epochs);
}

bool partition_log_epoch_end(const struct partition_log *log, int32_t leader_epoch,
                             int32_t *found_epoch, int64_t *end_offset)
{
    struct leader_epoch_end end =
        leader_epochs_end_of(&log->epochs, leader_epoch, log->written_end);
    *found_epoch = end.epoch;
    *end_offset = end.end_offset;
    return end.end_offset >= 0;
}

void partition_log_begin_epoch(struct partition_log *log, int32_t leader_epoch)
{
    leader_epochs_assign(&log->epochs, log->shard->heap, leader_epoch, log->log_end);
}

int64_t partition_log_first_dirty(const struct partition_log *log)
{
    bool is_known = log->first_dirty >= log->log_start && log->first_dirty <= log->written_end;
    return is_known ? log->first_dirty : log->log_start;
}

bool partition_log_is_out_of_space(const struct partition_log *log)
{
    return log->state == PARTITION_LOG_NO_SPACE;
}

bool partition_log_is_failed(const struct partition_log *log)
{
    return log->state == PARTITION_LOG_FAILED;
}

void partition_log_flush(struct partition_log *log)
{
    if (log->has_committer)
        committer_request(&log->commit, log->log_end);
}

uint64_t partition_log_begin_verification(struct partition_log *log, int64_t producer_id,
                                          int16_t producer_epoch, int32_t first_sequence,
                                          bool supports_epoch_bump)
{
    return producer_state_begin_verification(&log->producers, producer_id, producer_epoch,
                                             first_sequence, supports_epoch_bump,
                                             log->shard->loop->wall_ms);
}

bool partition_log_advance_start(struct partition_log *log, int64_t offset)
{
    if (offset > log->high_watermark)
        return false;
    if (offset <= log->log_start)
        return true;
    log->log_start = offset;
    leader_epochs_truncate_start(&log->epochs, offset);
    producer_state_advance_log_start(&log->producers, offset);
    partition_log_update_commit(log);
    if (log->events && log->events->started)
        log->events->started(log->owner, offset);
    return true;
}

void partition_log_check(const struct partition_log *log)
{
    klamm_assert(log->log_start <= log->high_watermark);
    klamm_assert(log->high_watermark <= log->written_end);
    klamm_assert(log->written_end <= log->log_end);
    if (log->has_committer) {
        klamm_assert(log->commit.durable_end <= log->written_end);
        klamm_assert(partition_log_recovery_point(log) <= log->commit.durable_end);
    }
    int64_t stable = partition_log_last_stable_offset(log);
    klamm_assert(log->log_start <= stable);
    klamm_assert(stable <= log->high_watermark);
    klamm_assert(log->segment_count > 0);
    for (uint32_t i = 0; i + 1 < log->segment_count; i++) {
        klamm_assert(log->segments[i]->base_offset < log->segments[i + 1]->base_offset);
        klamm_assert(log->segments[i]->is_sealed);
    }
    if (log->state != PARTITION_LOG_CUTTING)
        klamm_assert(partition_log_active(log)->base_offset <= log->written_end);
    int64_t next_offset = log->written_end;
    list_for_each(link, &log->queue)
    {
        const struct log_append *append = container_of(link, struct log_append, link);
        klamm_assert(append->base_offset >= next_offset);
        next_offset = append->last_offset + 1;
    }
    klamm_assert(next_offset == log->log_end);
}
