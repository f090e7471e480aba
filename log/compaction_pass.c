/*
 * Every step reads one piece of a file at most. Both walks go through whole segments in order; the
 * one that fills the map begins at the first dirty segment, the one that copies at the first of
 * all, because transactions must be seen from their beginning.
 */
#include "log/compaction_pass.h"

#include <stdio.h>

#include "base/assert.h"
#include "log/partition_log_internal.h"
#include "log/producer_snapshot.h"
#include "protocol/batch.h"
#include "runtime/test_point.h"

enum { RECORDS_AT_A_TIME = 64 }; /* between two looks whether others want the core */

/* ---- Ends ------------------------------------------------------------------------------------ */

/* Goes to the end with this status. */
static void end_with(struct compaction_pass *pass, enum compaction_status status)
{
    pass->status = status;
    pass->phase = COMPACTION_ENDING;
}

/* True when the device did what it was asked for; else the pass ends. */
static bool check_device(struct compaction_pass *pass, enum storage_status status)
{
    switch (status) {
    case STORAGE_OK:
        return true;
    case STORAGE_NO_SPACE:
    case STORAGE_LIMIT:
        end_with(pass, COMPACTION_NO_SPACE);
        return false;
    case STORAGE_PENDING:
    case STORAGE_NOT_RESIDENT:
    case STORAGE_NOT_FOUND:
    case STORAGE_EXISTS:
    case STORAGE_DENIED:
    case STORAGE_LOCKED:
    case STORAGE_NOT_EMPTY:
    case STORAGE_IO:
    case STORAGE_POISONED:
        end_with(pass, COMPACTION_FAILED);
        return false;
    }
    klamm_unreachable("storage status");
}

static const struct compaction_source *source_at(const struct compaction_pass *pass)
{
    return &pass->plan.sources[pass->place];
}

/* The log cannot be compacted as it is. */
static void give_up(struct compaction_pass *pass, const char *fault, uint64_t position)
{
    snprintf(pass->fault, sizeof(pass->fault), "bad %s at position %llu of segment %lld", fault,
             (unsigned long long)position, (long long)source_at(pass)->base_offset);
    end_with(pass, COMPACTION_UNCLEANABLE);
}

/* ---- Reading sources ------------------------------------------------------------------------- */

static bool open_source(struct compaction_pass *pass, const struct job_context *context)
{
    if (pass->scan.file)
        return true;
    struct log_path path;
    const struct compaction_source *source = source_at(pass);
    if (!log_path_of_offset(&path, pass->plan.directory, source->base_offset, SEGMENT_LOG_SUFFIX))
        klamm_unreachable("the path of an open partition fits");
    enum storage_status status =
        log_scan_open(&pass->scan, context->storage, &pass->heap, path.text, 0, source->size);
    if (status == STORAGE_OK && pass->scan.size == source->size)
        return true;
    log_scan_close(&pass->scan, context->storage);
    if (status == STORAGE_LIMIT)
        end_with(pass, COMPACTION_NO_SPACE);
    else
        give_up(pass, "file", 0);
    return false;
}

/* The next batch, within the step's budget. */
static enum log_scan_result next_batch(struct compaction_pass *pass,
                                       const struct job_context *context, unsigned *budget,
                                       struct view *batch)
{
    uint64_t position = pass->scan.position;
    enum log_scan_result result = log_scan_next(&pass->scan, context->storage, budget, batch);
    pass->moved += pass->scan.position - position;
    if (result == LOG_SCAN_BAD)
        give_up(pass, "length or format", pass->scan.position);
    else if (result == LOG_SCAN_FAILED)
        give_up(pass, "sector or too large a batch", pass->scan.position);
    return result;
}

/* A copy of the aborted transactions that matter from this offset on, for one walk. */
static void begin_transactions(struct compaction_pass *pass, int64_t from)
{
    size_t count = 0;
    if (pass->has_transactions)
        compaction_transactions_deinit(&pass->transactions);
    for (size_t i = 0; i < pass->plan.aborted_count; i++) {
        if (pass->plan.aborted[i].last_offset >= from)
            pass->aborted[count++] = pass->plan.aborted[i];
    }
    compaction_transactions_init(&pass->transactions, &pass->heap, pass->aborted, count);
    pass->has_transactions = true;
}

/* ---- Producers ------------------------------------------------------------------------------- */

static void begin_mapping(struct compaction_pass *pass)
{
    uint32_t place = 0;
    while (pass->plan.sources[place].end_offset <= pass->plan.first_dirty)
        place++;
    pass->place = place;
    pass->map_end = pass->plan.upper_offset;
    begin_transactions(pass, source_at(pass)->base_offset);
    compaction_map_init(&pass->map, &pass->heap, pass->plan.hash_key,
                        pass->plan.options.map_size_max, pass->plan.options.map_load_factor);
    pass->has_map = true;
    pass->phase = COMPACTION_MAPPING;
}

static void step_snapshot(struct compaction_pass *pass, const struct job_context *context)
{
    int64_t offset = -1;
    producer_state_init(&pass->producers, &pass->heap, &pass->plan.producers);
    pass->has_producers = true;
    if (!check_device(pass, producer_snapshot_load(context->storage, pass->plan.directory,
                                                   pass->plan.upper_offset, context->wall_ms,
                                                   &pass->heap, &pass->producers, &offset)))
        return;
    pass->place = 0;
    while (pass->place < pass->plan.source_count && source_at(pass)->end_offset <= offset)
        pass->place++;
}

static void step_producers(struct compaction_pass *pass, const struct job_context *context)
{
    if (!pass->has_producers) {
        step_snapshot(pass, context);
        return;
    }
    if (pass->place == pass->plan.source_count) {
        begin_mapping(pass);
        return;
    }
    if (!open_source(pass, context))
        return;
    pass->scan.skims = true;
    unsigned budget = 1;
    struct view batch;
    enum log_scan_result result;
    while ((result = next_batch(pass, context, &budget, &batch)) == LOG_SCAN_BATCH) {
        job_give_way(context->pace);
        if (!batch_has_producer_id(batch.data))
            continue;
        struct producer_batch producer;
        struct producer_completed completed;
        partition_log_producer_batch(batch, &producer);
        if (producer.last_offset < producer.first_offset || producer.last_offset == INT64_MAX)
            continue; /* rot, which the next walk finds */
        producer_state_apply(&pass->producers, &producer, &completed);
        producer_state_settle(&pass->producers, producer.last_offset + 1);
    }
    if (result != LOG_SCAN_END)
        return;
    log_scan_close(&pass->scan, context->storage);
    pass->scan.skims = false;
    pass->place++;
}

/* ---- Mapping --------------------------------------------------------------------------------- */

/* False: the map is full or the batch damaged; the phase is over then. */
static bool map_records(struct compaction_pass *pass, struct view batch, uint64_t position)
{
    struct batch_reader *reader = &pass->filter.reader;
    const char *fault = compaction_open_batch(reader, batch);
    if (fault) {
        give_up(pass, fault, position);
        return false;
    }
    struct batch_reader_record record;
    enum record_status status;
    for (unsigned i = 1; (status = batch_reader_next(reader, &record)) == RECORD_OK; i++) {
        if (i % RECORDS_AT_A_TIME == 0)
            job_give_way(pass->map.pace);
        if (view_is_null(record.record.key) || record.offset < pass->plan.first_dirty)
            continue;
        if (!compaction_map_put(&pass->map, record.record.key, record.offset)) {
            pass->map_end = record.offset;
            return false;
        }
    }
    if (status == RECORD_MALFORMED)
        give_up(pass, "record", position);
    return status == RECORD_END;
}

static bool map_batch(struct compaction_pass *pass, struct view batch, uint64_t position)
{
    const struct aborted_transaction *aborted;
    if (batch_is_control(batch.data)) {
        compaction_transactions_control(&pass->transactions, batch, &aborted);
        return true;
    }
    bool is_aborted = compaction_transactions_data(&pass->transactions, batch.data);
    if (is_aborted && !test_point(pass->job.loop, BUG_COMPACT_COUNT_ABORTED))
        return true;
    if (batch_last_offset(batch.data) < pass->plan.first_dirty)
        return true;
    return map_records(pass, batch, position);
}

static void begin_group(struct compaction_pass *pass, uint32_t first)
{
    pass->group = compaction_next_group(&pass->plan, first, pass->map_end);
    pass->place = first;
    pass->changes_group = pass->group.count > 1;
    pass->group_size_max = 0;
    for (uint32_t i = 0; i < pass->group.count; i++)
        pass->group_size_max += pass->plan.sources[first + i].size;
    if (pass->group_size_max < (uint64_t)pass->plan.segment_bytes)
        pass->group_size_max = (uint64_t)pass->plan.segment_bytes;
    if (pass->group_size_max > SEGMENT_SIZE_MAX)
        pass->group_size_max = SEGMENT_SIZE_MAX;
    if (pass->group.count == 0)
        end_with(pass, COMPACTION_OK);
}

static void begin_copying(struct compaction_pass *pass, const struct job_context *context)
{
    struct compaction_rules rules = {.map_end = pass->map_end,
                                     .upper_offset = pass->plan.upper_offset,
                                     .now_ms = context->wall_ms,
                                     .delete_retention_ms = pass->plan.delete_retention_ms};
    log_scan_close(&pass->scan, context->storage);
    begin_transactions(pass, pass->plan.sources[0].base_offset);
    compaction_filter_deinit(&pass->filter);
    compaction_filter_init(&pass->filter, &pass->heap, &rules, &pass->map, &pass->transactions,
                           &pass->producers, pass->job.loop);
    pass->phase = COMPACTION_COPYING;
    begin_group(pass, 0);
}

static void step_mapping(struct compaction_pass *pass, const struct job_context *context)
{
    if (!pass->has_filter) {
        struct compaction_rules none = {0};
        compaction_filter_init(&pass->filter, &pass->heap, &none, &pass->map, &pass->transactions,
                               &pass->producers, pass->job.loop);
        pass->has_filter = true;
    }
    if (pass->place == pass->plan.source_count) {
        begin_copying(pass, context);
        return;
    }
    if (!open_source(pass, context))
        return;
    unsigned budget = 1;
    struct view batch;
    enum log_scan_result result;
    while ((result = next_batch(pass, context, &budget, &batch)) == LOG_SCAN_BATCH) {
        job_give_way(context->pace);
        if (map_batch(pass, batch, pass->scan.position - batch.size))
            continue;
        if (pass->phase == COMPACTION_MAPPING)
            begin_copying(pass, context);
        return;
    }
    if (result != LOG_SCAN_END)
        return;
    log_scan_close(&pass->scan, context->storage);
    pass->place++;
}

/* ---- Copying --------------------------------------------------------------------------------- */

struct compaction_group compaction_next_group(const struct compaction_plan *plan, uint32_t first,
                                              int64_t map_end)
{
    struct compaction_group group = {first, 0};
    uint64_t size = 0, offsets = 0, times = 0;
    for (uint32_t i = first; i < plan->source_count && group.count < COMPACTION_GROUP_SEGMENTS_MAX;
         i++) {
        const struct compaction_source *source = &plan->sources[i];
        if (source->base_offset >= map_end)
            break;
        size += source->size;
        offsets += (uint64_t)source->offset_count * OFFSET_INDEX_ENTRY_SIZE;
        times += (uint64_t)source->time_count * TIME_INDEX_ENTRY_SIZE;
        bool spans = source->size > 0 &&
                     source->end_offset - 1 - plan->sources[first].base_offset > INT32_MAX;
        if (group.count > 0 && (spans || size > (uint64_t)plan->segment_bytes ||
                                offsets > (uint64_t)plan->segment_index_bytes ||
                                times > (uint64_t)plan->segment_index_bytes))
            break;
        group.count++;
    }
    return group;
}

static int64_t newest_ms(const struct compaction_pass *pass)
{
    int64_t newest = -1;
    for (uint32_t i = 0; i < pass->group.count; i++) {
        int64_t last = pass->plan.sources[pass->group.first + i].last_append_ms;
        if (last > newest)
            newest = last;
    }
    return newest;
}

static bool begin_output(struct compaction_pass *pass, const struct job_context *context,
                         int64_t base_offset)
{
    if (!check_device(pass,
                      compaction_outputs_begin(&pass->outputs, context->storage, base_offset)))
        return false;
    struct compaction_output *output = &pass->outputs.items[pass->outputs.count - 1];
    output->segment.first_append_ms = pass->plan.sources[pass->group.first].first_append_ms;
    return true;
}

static bool seal_output(struct compaction_pass *pass, const struct job_context *context)
{
    return check_device(pass,
                        compaction_outputs_seal(&pass->outputs, context->storage, newest_ms(pass)));
}

static bool add_batch(struct compaction_pass *pass, const struct job_context *context,
                      struct view batch)
{
    uint64_t written = pass->outputs.written;
    if (!compaction_outputs_has_room(&pass->outputs, batch.data, pass->group_size_max,
                                     pass->plan.segment_index_bytes)) {
        if (!seal_output(pass, context) ||
            !begin_output(pass, context, batch_base_offset(batch.data)))
            return false;
    }
    bool ok = check_device(pass, compaction_outputs_add(&pass->outputs, context->storage, batch,
                                                        pass->plan.index_interval_bytes));
    pass->moved += pass->outputs.written - written;
    return ok;
}

/* Takes one batch of the source at work; false ends the step. */
static bool copy_batch(struct compaction_pass *pass, const struct job_context *context,
                       struct view batch)
{
    const struct aborted_transaction *aborted;
    struct view output = batch;
    if (pass->outputs.count > 0 &&
        batch_base_offset(batch.data) <= pass->outputs.items[pass->outputs.count - 1].last_offset) {
        give_up(pass, "order of offsets", pass->scan.position - batch.size);
        return false;
    }
    switch (compaction_filter_batch(&pass->filter, batch, &output, &aborted)) {
    case COMPACTION_KEEP:
        break;
    case COMPACTION_REPLACE:
        pass->changes_group = true;
        break;
    case COMPACTION_DROP:
        pass->changes_group = true;
        return true;
    case COMPACTION_DAMAGED:
        give_up(pass, pass->filter.fault, pass->scan.position - batch.size);
        return false;
    case COMPACTION_OUT_OF_MEMORY:
        end_with(pass, COMPACTION_NO_SPACE);
        return false;
    }
    if (!add_batch(pass, context, output))
        return false;
    if (aborted)
        transaction_index_append(&pass->outputs.items[pass->outputs.count - 1].segment.aborted,
                                 &pass->heap, aborted);
    return true;
}

/* All sources of the group are read: the new segments are committed, unless nothing changed. */
static void end_group(struct compaction_pass *pass, const struct job_context *context)
{
    if (!seal_output(pass, context))
        return;
    if (!pass->changes_group) {
        compaction_outputs_discard(&pass->outputs, context->storage);
        compaction_outputs_clear(&pass->outputs, context->storage);
        begin_group(pass, pass->group.first + pass->group.count);
        return;
    }
    enum storage_status status = compaction_outputs_commit(&pass->outputs, context->storage);
    if (status != STORAGE_OK) {
        if (compaction_outputs_revert(&pass->outputs, context->storage) != STORAGE_OK)
            status = STORAGE_IO;
        check_device(pass, status);
        return;
    }
    pass->phase = COMPACTION_OLD_NAMES;
    pass->stop = COMPACTION_STOP_SWAP;
}

static void step_copying(struct compaction_pass *pass, const struct job_context *context)
{
    uint32_t end = pass->group.first + pass->group.count;
    if (pass->place == end) {
        end_group(pass, context);
        return;
    }
    if (pass->outputs.count == 0 &&
        !begin_output(pass, context, pass->plan.sources[pass->group.first].base_offset))
        return;
    if (!open_source(pass, context))
        return;
    unsigned budget = 1;
    struct view batch;
    enum log_scan_result result;
    while ((result = next_batch(pass, context, &budget, &batch)) == LOG_SCAN_BATCH) {
        job_give_way(context->pace);
        if (!copy_batch(pass, context, batch))
            return;
    }
    if (result != LOG_SCAN_END)
        return;
    log_scan_close(&pass->scan, context->storage);
    pass->place++;
}

/* ---- Naming ---------------------------------------------------------------------------------- */

static void step_naming(struct compaction_pass *pass, const struct job_context *context)
{
    int64_t bases[COMPACTION_GROUP_SEGMENTS_MAX];
    size_t new_size = pass->outputs.count * sizeof(int64_t);
    int64_t *new_bases = heap_must_get(context->heap, MEMORY_SCRATCH, new_size);
    for (uint32_t i = 0; i < pass->group.count; i++)
        bases[i] = pass->plan.sources[pass->group.first + i].base_offset;
    for (uint32_t i = 0; i < pass->outputs.count; i++)
        new_bases[i] = pass->outputs.items[i].segment.base_offset;
    struct compaction_names names = {pass->plan.directory, bases, pass->group.count, new_bases,
                                     pass->outputs.count};
    pass->naming = STORAGE_OK;
    if (pass->phase == COMPACTION_OLD_NAMES) {
        pass->naming = compaction_take_old_names(&names, context->storage, pass->job.loop);
        if (pass->naming == STORAGE_OK)
            pass->phase = COMPACTION_NEW_NAMES;
    }
    if (pass->naming == STORAGE_OK)
        pass->naming = compaction_take_new_names(&names, context->storage, pass->job.loop);
    heap_put(context->heap, MEMORY_SCRATCH, new_bases, new_size);
    pass->stop = COMPACTION_STOP_NAMED;
    if (pass->naming != STORAGE_OK)
        return;
    compaction_outputs_clear(&pass->outputs, context->storage);
    pass->phase = COMPACTION_COPYING;
    begin_group(pass, pass->group.first + pass->group.count);
}

/* ---- The job --------------------------------------------------------------------------------- */

/* What is half written goes, what is committed stays for the next start. */
static void step_ending(struct compaction_pass *pass, const struct job_context *context)
{
    log_scan_close(&pass->scan, context->storage);
    log_scan_deinit(&pass->scan);
    compaction_outputs_discard(&pass->outputs, context->storage);
    compaction_outputs_clear(&pass->outputs, context->storage);
    if (pass->has_filter)
        compaction_filter_deinit(&pass->filter);
    if (pass->has_transactions)
        compaction_transactions_deinit(&pass->transactions);
    if (pass->has_map)
        compaction_map_deinit(&pass->map);
    if (pass->has_producers)
        producer_state_deinit(&pass->producers);
    heap_put(&pass->heap, MEMORY_SCRATCH, pass->aborted,
             pass->plan.aborted_count * sizeof(*pass->aborted));
    pass->stop = COMPACTION_STOP_ENDED;
}

static void begin_pass(struct compaction_pass *pass, const struct job_context *context)
{
    if (pass->has_heap)
        return;
    /* The job's heap is counted anew in every run; what is held across runs is counted here. */
    pass->heap = (struct heap){
        .get = context->heap->get, .put = context->heap->put, .backend = context->heap->backend};
    pass->has_heap = true;
    pass->scan.heap = &pass->heap;
    compaction_outputs_init(&pass->outputs, &pass->heap, pass->plan.directory, pass->job.loop);
    if (pass->plan.aborted_count > 0)
        pass->aborted = heap_must_get(&pass->heap, MEMORY_SCRATCH,
                                      pass->plan.aborted_count * sizeof(*pass->aborted));
}

static enum job_progress pass_step(struct job *job, const struct job_context *context)
{
    struct compaction_pass *pass = container_of(job, struct compaction_pass, job);
    begin_pass(pass, context);
    pass->map.pace = context->pace;
    pass->filter.pace = context->pace;
    pass->stop = COMPACTION_STOP_SLICE;
    bool is_naming = pass->phase == COMPACTION_OLD_NAMES || pass->phase == COMPACTION_NEW_NAMES;
    if (atomic_load_explicit(&job->cancelled, memory_order_relaxed) && !is_naming &&
        pass->phase != COMPACTION_ENDING)
        end_with(pass, COMPACTION_STOPPED);
    switch (pass->phase) {
    case COMPACTION_PRODUCERS:
        step_producers(pass, context);
        break;
    case COMPACTION_MAPPING:
        step_mapping(pass, context);
        break;
    case COMPACTION_COPYING:
        step_copying(pass, context);
        break;
    case COMPACTION_OLD_NAMES:
    case COMPACTION_NEW_NAMES:
        step_naming(pass, context);
        break;
    case COMPACTION_ENDING:
        step_ending(pass, context);
        break;
    }
    if (pass->stop != COMPACTION_STOP_SLICE)
        return JOB_FINISHED;
    return pass->moved - pass->slice_start < pass->plan.slice_bytes ? JOB_MORE : JOB_FINISHED;
}

void compaction_pass_end(struct compaction_pass *pass, enum compaction_status status)
{
    if (pass->phase != COMPACTION_ENDING)
        end_with(pass, status);
}

void compaction_pass_init(struct compaction_pass *pass)
{
    klamm_assert(pass->plan.source_count > 0);
    klamm_assert(pass->plan.first_dirty < pass->plan.upper_offset);
    pass->job.step = pass_step;
    pass->job.job_class = JOB_BACKGROUND;
}
