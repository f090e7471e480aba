/*
 * The loop's half of a compaction: makes the plan, starts run after run of the job, and lets the
 * new segments take the old ones' places.
 *
 * Each end of a run is a moment to look around: the log may be closing, failed, or waiting to be
 * cut, the bytes of this second may be used up, and a share of the time is left to others. Only
 * between the commit of a group and its last name there is no way back: then the change is finished
 * first.
 */
#include "base/assert.h"
#include "log/compaction_pass.h"
#include "log/partition_log_internal.h"
#include "runtime/test_point.h"

enum { SLICE_BYTES = 4 * 1024 * 1024, SLICE_BYTES_MIN = 64 * 1024 };

#define RETRY_NS     UINT64_C(1000000000)
#define VOID_POLL_NS UINT64_C(5000000)

struct compaction {
    struct compaction_pass pass;
    struct partition_log *log;
    struct timer timer;
    void (*next)(struct compaction *compaction); /* what the timer is set for; NULL: none */
    uint64_t started_ns;
    uint64_t run_started_ns;
    uint64_t rested_ns;                           /* then the runs so far are rested from */
    int64_t end_at_start;                         /* end offset of the log when it began */
    int64_t bases[COMPACTION_GROUP_SEGMENTS_MAX]; /* of the segments that were replaced last */
    uint32_t base_count;
    struct segment_file **pins; /* files of the new segments until they have their names */
    uint32_t pin_count;
    struct compaction_report report;
    void (*done)(void *context, const struct compaction_report *report);
    void *context;
};

/* ---- The plan -------------------------------------------------------------------------------- */

static void take_sources(struct compaction *compaction, uint32_t first, uint32_t count)
{
    const struct partition_log *log = compaction->log;
    struct compaction_plan *plan = &compaction->pass.plan;
    plan->source_count = count;
    plan->sources = heap_must_get(log->shard->heap, MEMORY_SCRATCH, count * sizeof(*plan->sources));
    for (uint32_t i = 0; i < count; i++) {
        const struct segment *segment = log->segments[first + i];
        plan->sources[i] = (struct compaction_source){
            .base_offset = segment->base_offset,
            .end_offset = partition_log_segment_end(log, first + i),
            .first_append_ms = segment->first_append_ms,
            .last_append_ms = segment->last_append_ms,
            .size = segment->size,
            .offset_count = offset_index_count(&segment->index),
            .time_count = time_index_count(&segment->times),
        };
    }
}

/* Of all segments, because the marker of a transaction may lie behind what is compacted. */
static void take_aborted(struct compaction *compaction, uint32_t first)
{
    const struct partition_log *log = compaction->log;
    struct compaction_plan *plan = &compaction->pass.plan;
    size_t count = 0;
    for (uint32_t i = first; i < log->segment_count; i++)
        count += log->segments[i]->aborted.count;
    plan->aborted_count = 0;
    if (count == 0)
        return;
    plan->aborted = heap_must_get(log->shard->heap, MEMORY_SCRATCH, count * sizeof(*plan->aborted));
    for (uint32_t i = first; i < log->segment_count; i++) {
        const struct transaction_index *index = &log->segments[i]->aborted;
        for (uint32_t k = 0; k < index->count; k++)
            plan->aborted[plan->aborted_count++] = index->entries[k];
    }
}

static void make_plan(struct compaction *compaction, const struct compaction_need *need,
                      const struct compaction_options *options)
{
    const struct partition_log *log = compaction->log;
    struct compaction_plan *plan = &compaction->pass.plan;
    uint32_t first = partition_log_segment_at(log, log->log_start);
    uint32_t end = partition_log_segment_at(log, need->upper_offset);
    klamm_assert(log->segments[end]->base_offset == need->upper_offset);
    plan->directory = log->directory;
    plan->first_dirty = need->first_dirty;
    plan->upper_offset = need->upper_offset;
    plan->delete_retention_ms = log->config.delete_retention_ms;
    plan->segment_bytes = log->config.segment_bytes;
    plan->segment_index_bytes = log->config.segment_index_bytes;
    plan->index_interval_bytes = log->config.index_interval_bytes;
    plan->producers = *log->producers.options;
    plan->options = *options;
    if (need->overdue_ms > 0 || log->outgrows_compaction)
        plan->options.time_percent = 100;
    plan->slice_bytes = SLICE_BYTES;
    /* With little allowed a second, shorter slices keep the flow even. */
    if (options->bytes_per_second > 0 && options->bytes_per_second / 10 < SLICE_BYTES)
        plan->slice_bytes = options->bytes_per_second / 10 + SLICE_BYTES_MIN;
    plan->hash_key.k0 = loop_random_seed(log->shard->loop, log_shard_new_generation(log->shard));
    plan->hash_key.k1 = loop_random_seed(log->shard->loop, log_shard_new_generation(log->shard));
    take_sources(compaction, first, end - first);
    take_aborted(compaction, first);
}

static void free_plan(struct compaction *compaction)
{
    struct heap *heap = compaction->log->shard->heap;
    struct compaction_plan *plan = &compaction->pass.plan;
    heap_put(heap, MEMORY_SCRATCH, plan->sources, plan->source_count * sizeof(*plan->sources));
    heap_put(heap, MEMORY_SCRATCH, plan->aborted, plan->aborted_count * sizeof(*plan->aborted));
}

/* ---- Changing places ------------------------------------------------------------------------- */

/* A segment of the log out of an output, its files open and pinned. */
static struct segment *adopt_output(struct compaction *compaction, struct compaction_output *output)
{
    struct partition_log *log = compaction->log;
    struct heap *heap = log->shard->heap;
    const struct segment *from = &output->segment;
    struct segment *segment = partition_log_new_segment(log, from->base_offset);
    klamm_assert(from->index.tail_count == 0);
    klamm_assert(from->times.tail_count == 0);
    segment->size = from->size;
    segment->bytes_since_index = from->bytes_since_index;
    segment->max_timestamp = from->max_timestamp;
    segment->max_timestamp_offset = from->max_timestamp_offset;
    segment->first_append_ms = from->first_append_ms;
    segment->last_append_ms = from->last_append_ms;
    segment->is_sealed = true;
    segment->has_snapshot = from->has_snapshot;
    segment->index.stored_count = from->index.stored_count;
    segment->times.stored_count = from->times.stored_count;
    for (uint32_t i = 0; i < from->aborted.count; i++)
        transaction_index_append(&segment->aborted, heap, &from->aborted.entries[i]);
    segment->aborted.written_count = segment->aborted.count;
    struct segment_file *file = segment_file_of(log->shard, segment);
    file->log = output->log;
    file->commit.file = output->log;
    file->index = output->index;
    output->log = NULL;
    output->index = NULL;
    log->shard->counters.file_opens++;
    segment_file_acquire(file);
    compaction->pins[compaction->pin_count++] = file;
    return segment;
}

/*
 * Whether a file holds the producers at an offset: it stays where one of the `count` segments from
 * `place` on began and a new one begins, as its first one does.
 */
static bool has_snapshot_at(const struct partition_log *log, uint32_t place, uint32_t count,
                            int64_t offset)
{
    for (uint32_t i = place; i < place + count; i++) {
        if (log->segments[i]->base_offset == offset)
            return log->segments[i]->has_snapshot;
    }
    return false;
}

/* Makes `count` places from `place` on `new_count` places; what was there is given back. */
static void replace_segments(struct compaction *compaction, uint32_t place, uint32_t count)
{
    struct partition_log *log = compaction->log;
    struct heap *heap = log->shard->heap;
    struct compaction_outputs *outputs = &compaction->pass.outputs;
    uint32_t new_count = outputs->count;
    uint32_t behind = log->segment_count - place - count;
    uint32_t total = place + new_count + behind;
    struct segment **segments = heap_must_get(heap, MEMORY_STATE, total * sizeof(*segments));
    memcpy(segments, log->segments, place * sizeof(*segments));
    memcpy(segments + place + new_count, log->segments + place + count, behind * sizeof(*segments));
    for (uint32_t i = 0; i < new_count; i++) {
        struct segment *segment = &outputs->items[i].segment;
        segment->has_snapshot = has_snapshot_at(log, place, count, segment->base_offset);
    }
    for (uint32_t i = 0; i < count; i++)
        partition_log_free_segment(log, log->segments[place + i]);
    heap_put(heap, MEMORY_STATE, log->segments, log->segment_capacity * sizeof(*segments));
    log->segments = segments;
    log->segment_capacity = total;
    log->segment_count = total;
    for (uint32_t i = 0; i < new_count; i++)
        segments[place + i] = adopt_output(compaction, &outputs->items[i]);
}

static void swap_group(struct compaction *compaction)
{
    struct partition_log *log = compaction->log;
    const struct compaction_pass *pass = &compaction->pass;
    const struct compaction_source *first = &pass->plan.sources[pass->group.first];
    uint32_t place = partition_log_segment_at(log, first->base_offset);
    uint32_t count = pass->group.count;
    klamm_assert(place + count < log->segment_count);
    for (uint32_t i = 0; i < count; i++) {
        klamm_assert(log->segments[place + i]->base_offset == first[i].base_offset);
        klamm_assert(log->segments[place + i]->size == first[i].size);
        compaction->bases[i] = first[i].base_offset;
        compaction->report.bytes_before += first[i].size;
    }
    for (uint32_t i = 0; i < pass->outputs.count; i++)
        compaction->report.bytes_after += pass->outputs.items[i].segment.size;
    compaction->base_count = count;
    compaction->report.old_segments += count;
    compaction->report.new_segments += pass->outputs.count;
    compaction->pins = heap_must_get(log->shard->heap, MEMORY_SCRATCH,
                                     pass->outputs.count * sizeof(*compaction->pins));
    compaction->pin_count = 0;
    replace_segments(compaction, place, count);
    if (!test_point(log->shard->loop, BUG_COMPACT_KEEP_PLACES))
        log->generation = log_shard_new_generation(log->shard);
    log->is_swapping = true;
    partition_log_update_commit(log);
    partition_log_update_recovery_limit(log);
}

static void unpin(struct compaction *compaction)
{
    struct heap *heap = compaction->log->shard->heap;
    for (uint32_t i = 0; i < compaction->pin_count; i++)
        segment_file_release(compaction->pins[i]);
    heap_put(heap, MEMORY_SCRATCH, compaction->pins,
             compaction->pin_count * sizeof(*compaction->pins));
    compaction->pins = NULL;
    compaction->pin_count = 0;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void start_run(struct compaction *compaction)
{
    compaction->pass.slice_start = compaction->pass.moved;
    compaction->run_started_ns = compaction->log->shard->loop->now_ns;
    loop_start_job(compaction->log->shard->loop, &compaction->pass.job);
}

static void go_on_later(struct compaction *compaction, uint64_t delay_ns,
                        void (*next)(struct compaction *compaction))
{
    compaction->next = next;
    loop_set_timer(compaction->log->shard->loop, &compaction->timer, delay_ns);
}

static void timer_due(struct timer *timer)
{
    struct compaction *compaction = container_of(timer, struct compaction, timer);
    void (*next)(struct compaction *) = compaction->next;
    compaction->next = NULL;
    next(compaction);
}

static bool wants_end(const struct compaction *compaction)
{
    const struct partition_log *log = compaction->log;
    return log->close || log->truncation || log->wants_compaction_end ||
           (log->state != PARTITION_LOG_RUNNING && log->state != PARTITION_LOG_NO_SPACE);
}

/* From when on the bytes moved so far are allowed to have been moved. */
static uint64_t throttled_until_ns(const struct compaction *compaction)
{
    uint64_t rate = compaction->pass.plan.options.bytes_per_second;
    if (rate == 0)
        return 0;
    return compaction->started_ns + (uint64_t)((double)compaction->pass.moved / (double)rate * 1e9);
}

/*
 * After a run: how long it took decides how long the others have the core and the device alone. Its
 * wait for a worker counts as well: where there is one, the others need the time even more.
 */
static void begin_rest(struct compaction *compaction)
{
    uint64_t share = compaction->pass.plan.options.time_percent;
    uint64_t now_ns = compaction->log->shard->loop->now_ns;
    uint64_t took_ns = now_ns - compaction->run_started_ns;
    if (compaction->rested_ns < now_ns)
        compaction->rested_ns = now_ns;
    compaction->rested_ns += took_ns * (100 - share) / share;
}

static void go_on(struct compaction *compaction)
{
    uint64_t now_ns = compaction->log->shard->loop->now_ns;
    uint64_t due_ns = throttled_until_ns(compaction);
    if (due_ns < compaction->rested_ns)
        due_ns = compaction->rested_ns;
    if (wants_end(compaction))
        compaction_pass_end(&compaction->pass, COMPACTION_STOPPED);
    else if (due_ns > now_ns) {
        go_on_later(compaction, due_ns - now_ns, go_on);
        return;
    }
    start_run(compaction);
}

static void take_results(struct compaction *compaction)
{
    struct partition_log *log = compaction->log;
    struct compaction_pass *pass = &compaction->pass;
    struct compaction_report *report = &compaction->report;
    report->status = pass->status;
    report->first_dirty = pass->plan.first_dirty;
    report->end_offset = pass->map_end;
    report->bytes_moved = pass->moved;
    report->read_records = pass->filter.counts.read_records;
    report->kept_records = pass->filter.counts.kept_records;
    report->keyless_records = pass->filter.counts.keyless_records;
    if (report->status == COMPACTION_OK) {
        log->first_dirty = pass->map_end;
        int64_t grown = partition_log_end_offset(log) - compaction->end_at_start;
        log->outgrows_compaction = grown > (report->end_offset - report->first_dirty) / 2;
        partition_log_update_commit(log);
    } else if (report->status == COMPACTION_UNCLEANABLE) {
        log->is_uncleanable = true;
        log_error(log->shard->loop->diagnostics,
                  "partition log cannot be compacted directory=%s error=\"%s\"", log->directory,
                  pass->fault);
    } else if (report->status == COMPACTION_FAILED) {
        partition_log_fail(log, STORAGE_IO);
    }
}

static void finish(struct compaction *compaction)
{
    struct partition_log *log = compaction->log;
    take_results(compaction);
    log->compaction = NULL;
    log->wants_compaction_end = false;
    if (compaction->done)
        compaction->done(compaction->context, &compaction->report);
    free_plan(compaction);
    heap_put(log->shard->heap, MEMORY_SCRATCH, compaction, sizeof(*compaction));
    partition_log_job_end(log);
}

/* The old files have gone out of the way and the new ones have their names; or try again. */
static void named(struct compaction *compaction)
{
    struct partition_log *log = compaction->log;
    enum storage_status status = compaction->pass.naming;
    bool may_wait = status == STORAGE_NO_SPACE || status == STORAGE_LIMIT;
    if (may_wait && !log->close && log->state != PARTITION_LOG_FAILED) {
        go_on_later(compaction, RETRY_NS, start_run);
        return;
    }
    log->is_swapping = false;
    unpin(compaction);
    if (status == STORAGE_OK)
        partition_log_remove_renamed(log, compaction->bases, compaction->base_count);
    else
        partition_log_fail(log, status); /* the next start finishes it */
    partition_log_start_lookups(log);
    go_on(compaction);
}

/* The new segments are committed: from here on only forward. */
static void swap(struct compaction *compaction)
{
    struct partition_log *log = compaction->log;
    if (log->state == PARTITION_LOG_FAILED) {
        go_on(compaction);
        return;
    }
    if (!committer_is_void_durable(&log->commit)) {
        go_on_later(compaction, VOID_POLL_NS, swap);
        return;
    }
    swap_group(compaction);
    start_run(compaction);
}

static void run_done(struct job *job)
{
    struct compaction *compaction = container_of(job, struct compaction, pass.job);
    begin_rest(compaction);
    switch (compaction->pass.stop) {
    case COMPACTION_STOP_SLICE:
        go_on(compaction);
        return;
    case COMPACTION_STOP_SWAP:
        swap(compaction);
        return;
    case COMPACTION_STOP_NAMED:
        named(compaction);
        return;
    case COMPACTION_STOP_ENDED:
        finish(compaction);
        return;
    }
    klamm_unreachable("compaction stop");
}

/* ---- Beginning ------------------------------------------------------------------------------- */

bool partition_log_compact(struct partition_log *log, const struct compaction_options *options,
                           void (*done)(void *context, const struct compaction_report *report),
                           void *context)
{
    struct compaction_need need;
    if (!compaction_survey(log, &need))
        return false;
    if (need.upper_offset > options->upper_offset)
        need.upper_offset = options->upper_offset;
    if (need.upper_offset <= need.first_dirty)
        return false;
    klamm_assert(options->time_percent >= 1 && options->time_percent <= 100);
    struct compaction *compaction =
        heap_must_get(log->shard->heap, MEMORY_SCRATCH, sizeof(*compaction));
    compaction->log = log;
    compaction->done = done;
    compaction->context = context;
    compaction->started_ns = log->shard->loop->now_ns;
    compaction->end_at_start = partition_log_end_offset(log);
    timer_init(&compaction->timer, timer_due);
    make_plan(compaction, &need, options);
    compaction_pass_init(&compaction->pass);
    compaction->pass.job.done = run_done;
    log->compaction = compaction;
    log->wants_compaction_end = false;
    /* What the journal has of these segments would be put where it was. */
    committer_void_below(&log->commit, need.upper_offset);
    partition_log_job_begin(log);
    start_run(compaction);
    return true;
}

void partition_log_stop_compaction(struct partition_log *log)
{
    struct compaction *compaction = log->compaction;
    if (!compaction)
        return;
    log->wants_compaction_end = true;
    if (compaction->next && compaction->next != swap) {
        timer_clear(&compaction->timer);
        timer_due(&compaction->timer);
    } else if (!compaction->next) {
        atomic_store_explicit(&compaction->pass.job.cancelled, true, memory_order_relaxed);
    }
}
