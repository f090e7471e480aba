/*
 * An append, from accepted to written:
 *
 *   1. partition_log_append checks the batches, assigns offsets and leader epoch in place, applies
 *      producers and epochs in memory, and queues the request's own bytes. Later appends of the
 *      same turn are so checked against the earlier ones.
 *   2. In the deferred phase the queue of the turn is written by one vectored append. A closed file
 *      or a full committer only makes the queue wait.
 *   3. When the bytes are in the file, indexes and sizes follow, the written end moves, the
 *      committer hears of it, and the appends are told `done` in order.
 *
 * A failed write undoes step 1 for everything behind the written end: producers and epochs know how
 * to fall back, indexes and sizes were not touched yet, and the file is cut to the size it had.
 * No space: the log refuses appends for a while and tries again. A new segment begins only when the
 * queue is empty, so falling back never crosses a segment.
 */
#include "log/partition_log_internal.h"

#include "base/assert.h"
#include "protocol/batch.h"
#include "protocol/control_record.h"
#include "runtime/test_point.h"

enum { WRITE_BYTES_MAX = 8 * 1024 * 1024 };

#define NO_SPACE_RETRY_NS UINT64_C(1000000000)

/* ---- Checks --------------------------------------------------------------------------------- */

/* What step 1 needs to know of the batches as a whole. */
struct append_summary {
    int64_t first_offset; /* as it will be */
    int64_t last_offset;
    int64_t max_timestamp;
};

static bool assigns_offsets(enum log_append_origin origin)
{
    return origin == LOG_APPEND_CLIENT || origin == LOG_APPEND_COORDINATOR;
}

static enum kafka_error check_batch(const struct partition_log *log,
                                    const struct log_append *append, const uint8_t *batch,
                                    int64_t next_offset)
{
    if (batch_last_offset_delta(batch) < 0)
        return KAFKA_ERROR_CORRUPT_MESSAGE;
    if (assigns_offsets(append->origin))
        return KAFKA_ERROR_NONE;
    int64_t base_offset = batch_base_offset(batch);
    if (base_offset < next_offset || base_offset > INT64_MAX - INT32_MAX - 1)
        return KAFKA_ERROR_OFFSET_OUT_OF_RANGE;
    if (append->origin == LOG_APPEND_RAFT_LEADER &&
        (base_offset != next_offset || batch_leader_epoch(batch) != append->leader_epoch))
        return KAFKA_ERROR_INVALID_RECORD;
    (void)log;
    return KAFKA_ERROR_NONE;
}

/* Walks the batches; fills valid_size and batch_count of the append and the summary. */
static enum kafka_error survey(const struct partition_log *log, struct log_append *append,
                               struct append_summary *summary)
{
    struct view rest = view_of(append->data, append->size);
    struct view batch;
    int64_t next_offset = log->log_end;
    enum batch_parse_result parsed;
    *summary = (struct append_summary){-1, -1, BATCH_NO_TIMESTAMP};
    append->batch_count = 0;
    while ((parsed = batch_next(&rest, &batch)) == BATCH_OK) {
        enum kafka_error error = check_batch(log, append, batch.data, next_offset);
        if (error != KAFKA_ERROR_NONE)
            return error;
        int64_t base_offset =
            assigns_offsets(append->origin) ? next_offset : batch_base_offset(batch.data);
        if (append->batch_count++ == 0)
            summary->first_offset = base_offset;
        summary->last_offset = base_offset + batch_last_offset_delta(batch.data);
        if (batch_max_timestamp(batch.data) > summary->max_timestamp)
            summary->max_timestamp = batch_max_timestamp(batch.data);
        next_offset = summary->last_offset + 1;
    }
    append->valid_size = append->size - rest.size;
    if (append->batch_count == 0 || parsed != BATCH_NEED_MORE)
        return KAFKA_ERROR_CORRUPT_MESSAGE;
    return KAFKA_ERROR_NONE;
}

static enum producer_origin producer_origin_of(enum log_append_origin origin)
{
    switch (origin) {
    case LOG_APPEND_CLIENT:
        return PRODUCER_ORIGIN_CLIENT;
    case LOG_APPEND_COORDINATOR:
        return PRODUCER_ORIGIN_COORDINATOR;
    case LOG_APPEND_REPLICATION:
    case LOG_APPEND_RAFT_LEADER:
        return PRODUCER_ORIGIN_REPLICATION;
    }
    klamm_unreachable("append origin");
}

void partition_log_producer_batch(struct view batch, struct producer_batch *producer)
{
    const uint8_t *header = batch.data;
    *producer = (struct producer_batch){
        .producer_id = batch_producer_id(header),
        .first_offset = batch_base_offset(header),
        .last_offset = batch_last_offset(header),
        .timestamp_ms = batch_max_timestamp(header),
        .first_sequence = batch_base_sequence(header),
        .last_sequence = batch_last_sequence(header),
        .producer_epoch = batch_producer_epoch(header),
        .coordinator_epoch = -1,
        .is_transactional = batch_is_transactional(header),
        .is_control = batch_is_control(header),
    };
    struct control_marker marker;
    if (producer->is_control && control_record_parse_marker(batch, &marker)) {
        producer->marker = marker.commit ? PRODUCER_MARKER_COMMIT : PRODUCER_MARKER_ABORT;
        producer->coordinator_epoch = marker.coordinator_epoch;
    }
}

/* Applies one batch whose offsets are set; an aborted transaction goes into the active segment. */
static void apply_producer(struct partition_log *log, const struct producer_batch *producer)
{
    struct producer_completed completed;
    if (!producer_state_apply(&log->producers, producer, &completed) || !completed.is_aborted)
        return;
    struct aborted_transaction aborted = {.producer_id = completed.producer_id,
                                          .first_offset = completed.first_offset,
                                          .last_offset = completed.last_offset,
                                          .last_stable_offset = completed.last_stable_offset};
    transaction_index_append(&partition_log_active(log)->aborted, log->shard->heap, &aborted);
}

/*
 * Step 1 for every batch: producer check, offsets and epoch, producer apply. On an error everything
 * that this append did is taken back.
 */
static enum kafka_error take_batches(struct partition_log *log, struct log_append *append,
                                     struct producer_duplicate *duplicate)
{
    struct view rest = view_of(append->data, append->valid_size);
    struct view batch;
    int64_t next_offset = log->log_end;
    while (batch_next(&rest, &batch) == BATCH_OK) {
        uint8_t *header = append->data + (batch.data - append->data);
        if (assigns_offsets(append->origin)) {
            batch_set_base_offset(header, next_offset);
            batch_set_leader_epoch(header, append->leader_epoch);
        }
        next_offset = batch_last_offset(header) + 1;
        if (batch_has_producer_id(header)) {
            struct producer_batch producer;
            partition_log_producer_batch(batch, &producer);
            producer.transaction_version = append->transaction_version;
            enum kafka_error error =
                producer_state_check(&log->producers, &producer, producer_origin_of(append->origin),
                                     append->verification_guard, duplicate);
            if (test_point(log->shard->loop, BUG_LOG_SEQUENCE_NOT_CHECKED))
                error = KAFKA_ERROR_NONE;
            if (error != KAFKA_ERROR_NONE) {
                producer_state_undo(&log->producers, log->log_end);
                transaction_index_truncate(&partition_log_active(log)->aborted, log->log_end);
                return error;
            }
            apply_producer(log, &producer);
        }
    }
    rest = view_of(append->data, append->valid_size);
    while (batch_next(&rest, &batch) == BATCH_OK)
        leader_epochs_assign(&log->epochs, log->shard->heap, batch_leader_epoch(batch.data),
                             batch_base_offset(batch.data));
    return KAFKA_ERROR_NONE;
}

/* ---- Rolling -------------------------------------------------------------------------------- */

/* What makes a new segment necessary, not only wanted. */
static bool must_roll(const struct partition_log *log, const struct log_append *append,
                      const struct append_summary *summary)
{
    const struct segment *active = partition_log_active(log);
    uint64_t size = (uint64_t)active->size + log->queued_bytes + append->valid_size;
    return size > SEGMENT_SIZE_MAX || !segment_holds_offset(active, summary->last_offset);
}

static bool wants_roll(const struct partition_log *log, const struct log_append *append,
                       const struct append_summary *summary)
{
    const struct segment *active = partition_log_active(log);
    if (must_roll(log, append, summary))
        return true;
    if (active->size == 0)
        return false;
    if (log->wants_roll || segment_is_index_full(active, log->config.segment_index_bytes))
        return true;
    if ((uint64_t)active->size + log->queued_bytes + append->valid_size >
        (uint64_t)log->config.segment_bytes)
        return true;
    int64_t waited_ms = log->shard->loop->wall_ms - active->first_append_ms;
    return active->first_append_ms >= 0 &&
           waited_ms > log->config.segment_ms - active->roll_jitter_ms;
}

/* False: the old segment still has writes under way, or its last write failed just now. */
static bool roll_when_due(struct partition_log *log, const struct log_append *append,
                          const struct append_summary *summary)
{
    if (!wants_roll(log, append, summary))
        return true;
    partition_log_pump(log);
    if (log->state != PARTITION_LOG_RUNNING)
        return false; /* the write failed, and the offsets of the summary are no longer true */
    if (!list_is_empty(&log->queue))
        return !must_roll(log, append, summary);
    /*
     * Segments follow each other without a hole, so that a start can tell a loss; a leader's gap
     * lies inside of the new one, unless it is too wide for that.
     */
    bool holds = summary->last_offset - log->log_end <= INT32_MAX;
    partition_log_begin_segment(log, holds ? log->log_end : summary->first_offset);
    return true;
}

/* ---- Step 1 --------------------------------------------------------------------------------- */

static enum log_append_result refuse(struct log_append *append, enum kafka_error error)
{
    append->error = error;
    return LOG_APPEND_REFUSED;
}

/* Whether appends are taken at all; a full device is tried again after a while. */
static bool is_writable(struct partition_log *log)
{
    if (log->state == PARTITION_LOG_NO_SPACE && !log->is_rolling_back &&
        log->shard->loop->now_ns >= log->retry_at_ns)
        log->state = PARTITION_LOG_RUNNING;
    return log->state == PARTITION_LOG_RUNNING;
}

static enum log_append_result answer_duplicate(struct log_append *append,
                                               const struct producer_duplicate *duplicate)
{
    append->error = KAFKA_ERROR_NONE;
    append->base_offset = duplicate->first_offset;
    append->last_offset = duplicate->last_offset;
    append->max_timestamp = duplicate->timestamp_ms;
    append->append_time_ms = duplicate->timestamp_ms; /* as Kafka, also with CreateTime */
    return LOG_APPEND_DUPLICATE;
}

enum log_append_result partition_log_append(struct partition_log *log, struct log_append *append)
{
    append->error = KAFKA_ERROR_NONE;
    append->base_offset = -1;
    append->last_offset = -1;
    append->append_time_ms = -1;
    append->max_timestamp = -1;
    append->log_start_offset = log->log_start;
    list_link_init(&append->link);
    if (!is_writable(log))
        return refuse(append, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    struct append_summary summary;
    enum kafka_error error = survey(log, append, &summary);
    if (error != KAFKA_ERROR_NONE)
        return refuse(append, error);
    if (append->valid_size > SEGMENT_SIZE_MAX ||
        (append->origin != LOG_APPEND_REPLICATION &&
         append->valid_size > (uint32_t)log->config.segment_bytes))
        return refuse(append, KAFKA_ERROR_RECORD_LIST_TOO_LARGE);
    if (summary.last_offset - summary.first_offset > INT32_MAX)
        return refuse(append, KAFKA_ERROR_RECORD_LIST_TOO_LARGE);
    if (!roll_when_due(log, append, &summary))
        return refuse(append, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    struct producer_duplicate duplicate;
    error = take_batches(log, append, &duplicate);
    if (error == KAFKA_ERROR_DUPLICATE_SEQUENCE_NUMBER)
        return answer_duplicate(append, &duplicate);
    if (error != KAFKA_ERROR_NONE)
        return refuse(append, error);
    append->base_offset = summary.first_offset;
    append->last_offset = summary.last_offset;
    append->max_timestamp = summary.max_timestamp;
    append->append_time_ms = batch_is_append_time(append->data) ? summary.max_timestamp : -1;
    log->log_end = summary.last_offset + 1;
    log->queued_bytes += (uint32_t)append->valid_size;
    list_push_back(&log->queue, &append->link);
    loop_defer(log->shard->loop, &log->deferred);
    return LOG_APPEND_QUEUED;
}

/* ---- Steps 2 and 3 -------------------------------------------------------------------------- */

/* Moves the first `count` queued appends to the finished ones. */
static void finish_appends(struct partition_log *log, uint32_t count, enum kafka_error error)
{
    for (uint32_t i = 0; i < count; i++) {
        struct list *link = list_pop_front(&log->queue);
        klamm_assert(link != NULL);
        struct log_append *append = container_of(link, struct log_append, link);
        append->error = error;
        log->queued_bytes -= (uint32_t)append->valid_size;
        list_push_back(&log->finished, &append->link);
    }
    loop_defer(log->shard->loop, &log->deferred);
}

/* The bytes of the first `count` queued appends are in the file, behind the segment's end. */
static void account_written(struct partition_log *log, uint32_t count,
                            const struct storage_buffer *buffers)
{
    struct segment *active = partition_log_active(log);
    struct log_shard *shard = log->shard;
    uint32_t position = active->size;
    int64_t base_offset = log->written_end;
    uint32_t done = 0;
    list_for_each(link, &log->queue)
    {
        if (done++ == count)
            break;
        const struct log_append *append = container_of(link, struct log_append, link);
        struct view rest = view_of(append->data, append->valid_size);
        struct view batch;
        while (batch_next(&rest, &batch) == BATCH_OK) {
            segment_add_batch(active, shard->heap, batch.data, log->config.index_interval_bytes);
            shard->counters.appended_batches++;
        }
        log->written_end = append->last_offset + 1;
        log_shard_remember(shard, log->generation, log->written_end, active->base_offset,
                           active->size);
    }
    if (active->first_append_ms < 0)
        active->first_append_ms = shard->loop->wall_ms;
    active->last_append_ms = shard->loop->wall_ms;
    log->is_changed = true;
    if (shard->is_device_full)
        log_info(shard->loop->diagnostics, "appends are taken again: directory=%s", log->directory);
    shard->is_device_full = false;
    producer_state_settle(&log->producers, log->written_end);
    shard->counters.writes++;
    shard->counters.appended_bytes += active->size - position;
    if (log->has_committer) {
        committer_written(&log->commit, &active->file->commit, base_offset, log->written_end,
                          position, buffers, count, active->size - position);
        if (log->config.durability == TOPIC_DURABILITY_SYNC)
            committer_request(&log->commit, log->written_end);
    }
    partition_log_trim_tails(log, active);
}

void partition_log_refuse_queue(struct partition_log *log)
{
    uint32_t count = 0;
    list_for_each(link, &log->queue)
    {
        (void)link;
        count++;
    }
    finish_appends(log, count, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    if (!test_point(log->shard->loop, BUG_LOG_KEEP_FAILED_PRODUCERS))
        producer_state_undo(&log->producers, log->written_end);
    transaction_index_truncate(&partition_log_active(log)->aborted, log->written_end);
    /* An epoch that begins exactly at the written end may be the leader's own: it stays. */
    leader_epochs_truncate_end(&log->epochs, log->written_end + 1);
    log->log_end = log->written_end;
    klamm_assert(log->queued_bytes == 0);
}

/* A cut after a write that found no space; these are rare, so that a log holds no room for one. */
struct rollback {
    struct partition_log *log;
    struct storage_request request;
};

/*
 * The cut must be durable before anything else is: the bytes of the failed write could come back
 * after a power cut, behind them a segment that was begun since.
 */
static void rollback_step(struct storage_request *request)
{
    struct rollback *rollback = container_of(request, struct rollback, request);
    struct partition_log *log = rollback->log;
    enum storage_status status = request->status;
    if (status == STORAGE_OK && request->operation == STORAGE_TRUNCATE) {
        struct storage_file *file = request->file;
        *request = (struct storage_request){
            .operation = STORAGE_SYNC, .file = file, .done = rollback_step};
        storage_submit(log->shard->loop->storage, request);
        return;
    }
    heap_put(log->shard->heap, MEMORY_STATE, rollback, sizeof(*rollback));
    log->is_rolling_back = false;
    segment_file_release(partition_log_active(log)->file);
    if (status != STORAGE_OK)
        partition_log_fail(log, status);
    partition_log_advance(log);
}

/* Cuts what a failed write may have left behind the segment's end. */
static void cut_leftover(struct partition_log *log)
{
    struct segment *active = partition_log_active(log);
    struct segment_file *file = active->file;
    if (test_point(log->shard->loop, BUG_LOG_NO_SPACE_KEEPS_TAIL))
        return;
    if (!file || !file->log || storage_size(log->shard->loop->storage, file->log) == active->size)
        return;
    log->is_rolling_back = true;
    segment_file_acquire(file);
    struct rollback *rollback = heap_must_get(log->shard->heap, MEMORY_STATE, sizeof(*rollback));
    rollback->log = log;
    rollback->request = (struct storage_request){.operation = STORAGE_TRUNCATE,
                                                 .file = file->log,
                                                 .size = active->size,
                                                 .done = rollback_step};
    storage_submit(log->shard->loop->storage, &rollback->request);
}

static void write_failed(struct partition_log *log, enum storage_status status)
{
    log->shard->counters.failed_writes++;
    if (status != STORAGE_NO_SPACE && status != STORAGE_LIMIT) {
        partition_log_fail(log, status);
        return;
    }
    if (log->state == PARTITION_LOG_RUNNING)
        log->state = PARTITION_LOG_NO_SPACE;
    if (!log->shard->is_device_full)
        log_warn(log->shard->loop->diagnostics,
                 "appends are refused until there is room: directory=%s error=\"%s\"",
                 log->directory, storage_status_text(status));
    log->shard->is_device_full = true;
    log->failure = status;
    log->retry_at_ns = log->shard->loop->now_ns + NO_SPACE_RETRY_NS;
    log->wants_failed_event = true;
    partition_log_refuse_queue(log);
    cut_leftover(log);
}

/* The block of a write goes back to the shard, which has a new one by now perhaps. */
static void release_write(struct log_write *write)
{
    struct log_shard *shard = write->log->shard;
    if (shard->spare_write)
        heap_put(shard->heap, MEMORY_STATE, write, sizeof(*write));
    else
        shard->spare_write = write;
}

/* A write ended, at once or later. */
static void write_finish(struct partition_log *log, uint32_t count,
                         const struct storage_buffer *buffers, enum storage_status status)
{
    log->write_count = 0;
    if (status == STORAGE_OK && log->state != PARTITION_LOG_FAILED) {
        account_written(log, count, buffers);
        finish_appends(log, count, KAFKA_ERROR_NONE);
    } else if (log->state != PARTITION_LOG_FAILED) {
        write_failed(log, status);
    } else {
        partition_log_refuse_queue(log);
    }
}

static void write_pending_done(struct storage_request *request)
{
    struct log_write *write = container_of(request, struct log_write, request);
    struct partition_log *log = write->log;
    uint32_t count = log->write_count;
    struct segment_file *file = partition_log_active(log)->file;
    write_finish(log, count, write->buffers, request->status);
    release_write(write);
    segment_file_release(file);
    partition_log_pump(log);
    partition_log_advance(log);
}

/* A log that waits for its file; the file of a busy log stays open. */
struct open_for_write {
    struct partition_log *log;
    struct segment_file_wait wait;
};

static void opened_for_write(struct segment_file_wait *wait, enum storage_status status)
{
    struct open_for_write *open = container_of(wait, struct open_for_write, wait);
    struct partition_log *log = open->log;
    heap_put(log->shard->heap, MEMORY_STATE, open, sizeof(*open));
    log->is_opening_for_write = false;
    if (status != STORAGE_OK && log->state != PARTITION_LOG_FAILED)
        write_failed(log, status);
    partition_log_pump(log);
    partition_log_advance(log);
}

static void room_is_ready(struct commit_room_wait *wait)
{
    struct partition_log *log = container_of(wait, struct partition_log, room_wait);
    partition_log_pump(log);
    partition_log_advance(log);
}

/* Whether the next write can be made now; if not, someone will call pump again. */
static bool can_write(struct partition_log *log)
{
    if (list_is_empty(&log->queue) || log->write_count > 0 || log->is_rolling_back ||
        log->is_opening_for_write || log->state == PARTITION_LOG_FAILED)
        return false;
    struct segment *active = partition_log_active(log);
    struct segment_file *file = segment_file_of(log->shard, active);
    if (!file->log) {
        log->is_opening_for_write = true;
        struct open_for_write *open = heap_must_get(log->shard->heap, MEMORY_STATE, sizeof(*open));
        open->log = log;
        open->wait.ready = opened_for_write;
        segment_file_open(file, log->directory, false, active->size == 0, &open->wait);
        return false;
    }
    if (log->has_committer && !committer_has_room(log->commit.committer)) {
        if (!list_is_linked(&log->room_wait.link)) {
            log->room_wait.ready = room_is_ready;
            committer_wait_for_room(log->commit.committer, &log->room_wait);
        }
        return false;
    }
    return true;
}

static uint32_t gather(struct partition_log *log, struct storage_buffer *buffers)
{
    uint32_t count = 0;
    size_t size = 0;
    list_for_each(link, &log->queue)
    {
        struct log_append *append = container_of(link, struct log_append, link);
        if (count == LOG_WRITE_BUFFERS_MAX ||
            (count > 0 && size + append->valid_size > WRITE_BYTES_MAX))
            break;
        buffers[count++] = (struct storage_buffer){append->data, append->valid_size};
        size += append->valid_size;
    }
    return count;
}

/* The shard's block, for the length of a write. */
static struct log_write *take_write(struct partition_log *log)
{
    struct log_shard *shard = log->shard;
    struct log_write *write = shard->spare_write;
    shard->spare_write = NULL;
    if (!write)
        write = heap_must_get(shard->heap, MEMORY_STATE, sizeof(*write));
    write->log = log;
    write->request = (struct storage_request){.done = write_pending_done};
    return write;
}

void partition_log_pump(struct partition_log *log)
{
    while (can_write(log)) {
        struct log_write *write = take_write(log);
        uint32_t count = gather(log, write->buffers);
        struct segment_file *file = partition_log_active(log)->file;
        segment_file_acquire(file);
        log->write_count = count;
        enum storage_status status = storage_append(log->shard->loop->storage, file->log,
                                                    write->buffers, count, &write->request);
        if (status == STORAGE_PENDING) {
            log->shard->counters.pending_writes++;
            return;
        }
        write_finish(log, count, write->buffers, status);
        release_write(write);
        segment_file_release(file);
    }
}
