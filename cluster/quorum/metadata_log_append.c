/*
 * Appending to the file: what this node writes as the leader, and what it fetched from one. The
 * log's own reports (written, durable, failed) come back here.
 */
#include "cluster/quorum/metadata_log_internal.h"

#include "base/assert.h"
#include "protocol/control_record.h"

/* Batches on their way to the file. */
struct metadata_append {
    struct log_append append;
    struct heap *heap;
    size_t size; /* of this block */
    uint8_t data[];
};

int32_t metadata_log_last_epoch(const struct metadata_log *log)
{
    int32_t epoch = log->log ? partition_log_latest_epoch(log->log) : -1;
    if (log->boot.has_snapshot && log->boot.snapshot.epoch > epoch)
        epoch = log->boot.snapshot.epoch;
    return epoch > 0 ? epoch : 0;
}

static void append_done(struct log_append *append)
{
    struct metadata_append *own = append->context;
    heap_put(own->heap, MEMORY_STATE, own, own->size);
}

bool metadata_log_append_bytes(struct metadata_log *log, struct view bytes, bool is_leader)
{
    size_t size = sizeof(struct metadata_append) + bytes.size;
    struct metadata_append *own = heap_must_get(log->loop->heap, MEMORY_STATE, size);
    own->heap = log->loop->heap;
    own->size = size;
    memcpy(own->data, bytes.data, bytes.size);
    own->append = (struct log_append){
        .data = own->data,
        .size = bytes.size,
        .origin = is_leader ? LOG_APPEND_RAFT_LEADER : LOG_APPEND_REPLICATION,
        .leader_epoch = log->quorum.epoch,
        .done = append_done,
        .context = own,
    };
    if (partition_log_append(log->log, &own->append) != LOG_APPEND_QUEUED) {
        heap_put(own->heap, MEMORY_STATE, own, size);
        return false;
    }
    log->bytes_since_snapshot += bytes.size;
    struct quorum_event event = {.kind = QUORUM_EVENT_APPENDED,
                                 .offset = partition_log_end_offset(log->log),
                                 .epoch = partition_log_latest_epoch(log->log)};
    metadata_log_step(log, &event, NULL);
    return true;
}

bool metadata_log_append(struct metadata_log *log, struct view batch)
{
    if (!log->is_active || !log->quorum.is_active || log->is_closing)
        return false;
    klamm_assert(batch_base_offset(batch.data) == metadata_log_next_offset(log));
    klamm_assert(batch_leader_epoch(batch.data) == log->quorum.epoch);
    quorum_boot_release(&log->boot);
    log->has_records = true;
    return metadata_log_append_bytes(log, batch, true);
}

int64_t metadata_log_next_offset(const struct metadata_log *log)
{
    return log->quorum.log_end;
}

/* ---- The first batch of an epoch ------------------------------------------------------------- */

/*
 * The voters, when there is a reason to write them down: only the first snapshot names them, and
 * who fetches the log does not see it; or this node listens elsewhere now. Null: there is none.
 */
static struct view voters_to_write(const struct metadata_log *log, struct arena *arena)
{
    const struct voter_set *set = voter_history_last(&log->voters);
    struct voters_record record;
    if (set->kraft_version < KRAFT_VERSION_DYNAMIC || set->count == 0)
        return VIEW_NULL;
    bool is_corrected = log->options.is_reachable && voters_decode(set->value, &record, arena) &&
                        own_vote_correct(log, &record, arena);
    struct view value = is_corrected ? voters_encode(&record, arena) : VIEW_NULL;
    return view_is_null(value) && set->offset < 0 ? set->value : value;
}

static bool add_voters(const struct metadata_log *log, struct batch_builder *builder,
                       struct view voters)
{
    uint8_t version[16];
    int64_t now_ms = log->loop->wall_ms;
    size_t size =
        voters_encode_kraft_version(metadata_log_kraft_version(log), version, sizeof(version));
    return control_record_append(builder, CONTROL_RECORD_KRAFT_VERSION, now_ms,
                                 view_of(version, size)) &&
           control_record_append(builder, CONTROL_RECORD_KRAFT_VOTERS, now_ms, voters);
}

bool metadata_log_append_change(struct metadata_log *log)
{
    uint8_t change[VOTERS_CHANGE_SIZE_MAX];
    size_t change_size = voters_encode_leader_change(&log->quorum, change, sizeof(change));
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.base_offset = log->quorum.log_end;
    options.leader_epoch = log->quorum.epoch;
    options.control = true;
    struct batch_builder builder;
    batch_builder_init(&builder, log->loop->heap, 0, &options);
    bool ok = control_record_append(&builder, CONTROL_RECORD_LEADER_CHANGE, log->loop->wall_ms,
                                    view_of(change, change_size));
    struct arena arena;
    arena_init(&arena, log->loop->heap, MEMORY_SCRATCH, 0);
    struct view voters = voters_to_write(log, &arena);
    if (ok && !view_is_null(voters))
        ok = add_voters(log, &builder, voters);
    struct view batch;
    ok = ok && batch_builder_finish(&builder, &batch) == COMPRESSION_OK;
    partition_log_begin_epoch(log->log, log->quorum.epoch);
    ok = ok && metadata_log_append_bytes(log, batch, true) && metadata_log_take_control(log, batch);
    batch_builder_deinit(&builder);
    arena_deinit(&arena);
    if (ok)
        metadata_log_tell_voters(log);
    return ok;
}

/* ---- What the log reports -------------------------------------------------------------------- */

static void log_written(void *owner, int64_t written_end)
{
    struct metadata_log *log = owner;
    (void)written_end;
    if (!log->quorum.is_started)
        return;
    if (!log->is_active)
        metadata_log_apply(log);
    metadata_log_wake(log);
}

static void log_durable(void *owner, int64_t durable_end)
{
    struct metadata_log *log = owner;
    struct quorum_event event = {.kind = QUORUM_EVENT_FLUSHED, .offset = durable_end};
    if (log->quorum.is_started && !log->is_cutting && durable_end <= log->quorum.log_end)
        metadata_log_step(log, &event, NULL);
}

static void log_failed(void *owner, enum storage_status status, int64_t written_end)
{
    struct metadata_log *log = owner;
    bool may_go_on = log->is_active || log->quorum.role == QUORUM_FOLLOWER;
    if (status != STORAGE_NO_SPACE || !may_go_on) {
        metadata_log_fail(log, storage_status_text(status));
        return;
    }
    /* Nobody has seen what was not written: a leader serves, and a follower counts, less. */
    struct quorum_event event = {
        .kind = QUORUM_EVENT_CUT, .offset = written_end, .epoch = metadata_log_last_epoch(log)};
    metadata_log_step(log, &event, NULL);
    if (log->is_active)
        log->options.events->cut(log->options.owner, written_end);
}

const struct partition_log_events metadata_log_file_events = {
    .written = log_written,
    .durable = log_durable,
    .failed = log_failed,
};
