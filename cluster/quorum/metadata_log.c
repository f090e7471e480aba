/*
 * The happy path: boot job -> snapshot into the loader -> open the log -> read it in pieces of 1
 * MiB into the loader, one piece a turn -> quorum STARTED -> write quorum-state -> append
 * LEADER_CHANGE
 * -> durable -> `activated`. From then on every durable report of the log becomes a FLUSHED event,
 * and a moved high watermark is told to the owner.
 *
 * Ways to fail: the directory is not usable or damaged (before `activated`), or the device fails
 * (then the node cannot keep promises and ends). A full device only takes back what it refused.
 *
 * Closing: the running snapshot is cancelled, then log, committer and shard end in this order.
 */
#include "cluster/quorum/metadata_log.h"

#include <stdio.h>

#include "base/assert.h"
#include "cluster/quorum/snapshot_job.h"
#include "protocol/control_record.h"

enum {
    LOAD_PIECE_SIZE = 1024 * 1024,
    SNAPSHOT_BYTES_DEFAULT = 20 * 1024 * 1024,
    MAINTENANCE_INTERVAL_S = 60,
};

#define NS_PER_MS ((uint64_t)1000000)

/* One batch on its way to the file. */
struct metadata_append {
    struct log_append append;
    struct heap *heap;
    size_t size; /* of this block */
    uint8_t data[];
};

static void quorum_event(struct metadata_log *log, const struct quorum_event *event);
static void close_log(struct metadata_log *log);
static void closed(struct deferred *deferred);
static void committer_stopped(struct committer *committer);

static void fail(struct metadata_log *log, const char *what)
{
    if (log->has_failed)
        return;
    log->has_failed = true;
    struct quorum_event event = {.kind = QUORUM_EVENT_RESIGN};
    if (log->quorum.is_started)
        quorum_event(log, &event);
    log->options.events->failed(log->options.owner, what);
}

/* ---- Appending ------------------------------------------------------------------------------- */

static void append_done(struct log_append *append)
{
    struct metadata_append *own = append->context;
    heap_put(own->heap, MEMORY_STATE, own, own->size);
}

static bool append_bytes(struct metadata_log *log, struct view batch)
{
    size_t size = sizeof(struct metadata_append) + batch.size;
    struct metadata_append *own = heap_must_get(log->loop->heap, MEMORY_STATE, size);
    own->heap = log->loop->heap;
    own->size = size;
    memcpy(own->data, batch.data, batch.size);
    own->append = (struct log_append){
        .data = own->data,
        .size = batch.size,
        .origin = LOG_APPEND_RAFT_LEADER,
        .leader_epoch = log->quorum.epoch,
        .done = append_done,
        .context = own,
    };
    if (partition_log_append(log->log, &own->append) != LOG_APPEND_QUEUED) {
        heap_put(own->heap, MEMORY_STATE, own, size);
        return false;
    }
    log->bytes_since_snapshot += batch.size;
    struct quorum_event event = {.kind = QUORUM_EVENT_APPENDED,
                                 .offset = partition_log_end_offset(log->log),
                                 .epoch = log->quorum.epoch};
    quorum_event(log, &event);
    return true;
}

bool metadata_log_append(struct metadata_log *log, struct view batch)
{
    if (!log->quorum.is_active || log->is_closing)
        return false;
    klamm_assert(batch_base_offset(batch.data) == metadata_log_next_offset(log));
    klamm_assert(batch_leader_epoch(batch.data) == log->quorum.epoch);
    quorum_boot_release(&log->boot);
    return append_bytes(log, batch);
}

int64_t metadata_log_next_offset(const struct metadata_log *log)
{
    return log->quorum.log_end;
}

/* The first batch of an epoch; with voters in the log the first leader also writes them down. */
static bool append_leader_change(struct metadata_log *log)
{
    uint8_t change[256];
    size_t change_size =
        voters_encode_leader_change(log->quorum.options.self.id, change, sizeof(change));
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.base_offset = log->quorum.log_end;
    options.leader_epoch = log->quorum.epoch;
    options.control = true;
    struct batch_builder builder;
    batch_builder_init(&builder, log->loop->heap, 0, &options);
    int64_t now_ms = log->loop->wall_ms;
    bool ok = control_record_append(&builder, CONTROL_RECORD_LEADER_CHANGE, now_ms,
                                    view_of(change, change_size));
    if (ok && log->kraft_version == KRAFT_VERSION_DYNAMIC && !log->has_voters_in_log) {
        uint8_t version[16];
        size_t size = voters_encode_kraft_version(log->kraft_version, version, sizeof(version));
        ok = control_record_append(&builder, CONTROL_RECORD_KRAFT_VERSION, now_ms,
                                   view_of(version, size)) &&
             control_record_append(&builder, CONTROL_RECORD_KRAFT_VOTERS, now_ms,
                                   buffer_view(&log->voters));
        log->has_voters_in_log = true;
    }
    struct view batch;
    ok = ok && batch_builder_finish(&builder, &batch) == COMPRESSION_OK;
    partition_log_begin_epoch(log->log, log->quorum.epoch);
    ok = ok && append_bytes(log, batch);
    batch_builder_deinit(&builder);
    return ok;
}

/* ---- The quorum's effects -------------------------------------------------------------------- */

static enum job_progress state_step(struct job *job, const struct job_context *context)
{
    struct metadata_log *log = container_of(job, struct metadata_log, state_job);
    char text[QUORUM_STATE_SIZE_MAX];
    size_t size = quorum_state_encode(&log->quorum.persisted, text, sizeof(text));
    log->state_status = file_content_replace(context->storage, log->boot.directory.text,
                                             QUORUM_STATE_FILE_NAME, view_of(text, size));
    return JOB_FINISHED;
}

static void state_written(struct job *job)
{
    struct metadata_log *log = container_of(job, struct metadata_log, state_job);
    log->is_state_writing = false;
    if (log->is_closing) {
        close_log(log);
        return;
    }
    if (log->state_status != STORAGE_OK) {
        fail(log, "quorum-state cannot be written");
        return;
    }
    struct quorum_event event = {.kind = QUORUM_EVENT_PERSISTED};
    quorum_event(log, &event);
}

static void quorum_event(struct metadata_log *log, const struct quorum_event *event)
{
    struct quorum_effects effects;
    quorum_step(&log->quorum, event, &effects);
    if (effects.persist) {
        log->state_job =
            (struct job){.step = state_step, .done = state_written, .job_class = JOB_DEVICE};
        log->is_state_writing = true;
        loop_start_job(log->loop, &log->state_job);
    }
    if (effects.append_change && !append_leader_change(log))
        fail(log, "the metadata log refuses the first record of this epoch");
    if (effects.committed)
        partition_log_set_high_watermark(log->log, log->quorum.high_watermark);
    /* What a start before this one left behind, when it did not come to removing it. */
    if (effects.activated && log->boot.has_snapshot)
        partition_log_advance_start(log->log, log->boot.oldest_end);
    if (effects.activated)
        log->options.events->activated(log->options.owner);
    if (effects.committed)
        log->options.events->committed(log->options.owner, log->quorum.high_watermark);
}

static void log_durable(void *owner, int64_t durable_end)
{
    struct metadata_log *log = owner;
    struct quorum_event event = {.kind = QUORUM_EVENT_FLUSHED, .offset = durable_end};
    if (log->quorum.role == QUORUM_LEADER)
        quorum_event(log, &event);
}

static void log_failed(void *owner, enum storage_status status, int64_t written_end)
{
    struct metadata_log *log = owner;
    if (status != STORAGE_NO_SPACE || !log->quorum.is_active) {
        fail(log, storage_status_text(status));
        return;
    }
    struct quorum_event event = {
        .kind = QUORUM_EVENT_CUT, .offset = written_end, .epoch = log->quorum.epoch};
    quorum_event(log, &event);
    log->options.events->cut(log->options.owner, written_end);
}

static const struct partition_log_events log_events = {
    .durable = log_durable,
    .failed = log_failed,
};

static void committer_failed(struct committer *committer, enum storage_status status, void *context)
{
    (void)committer;
    fail(context, storage_status_text(status));
}

/* ---- Loading --------------------------------------------------------------------------------- */

static bool keep_voters(struct metadata_log *log, struct view value)
{
    buffer_clear(&log->voters);
    return buffer_append(&log->voters, value.data, value.size);
}

/* Voters written behind the bootstrap snapshot replace those in it. */
static bool load_control_batch(struct metadata_log *log, struct view batch)
{
    struct batch_header header;
    batch_header_read(batch.data, &header);
    struct record_cursor cursor;
    record_cursor_init(&cursor, batch_records(batch), header.record_count);
    struct record record;
    while (record_cursor_next(&cursor, &record) == RECORD_OK) {
        enum control_record_type type;
        if (!control_record_read_key(record.key, &type))
            return false;
        if (type == CONTROL_RECORD_KRAFT_VERSION &&
            !voters_decode_kraft_version(record.value, &log->kraft_version))
            return false;
        if (type == CONTROL_RECORD_KRAFT_VOTERS) {
            if (!keep_voters(log, record.value))
                return false;
            log->has_voters_in_log = true;
        }
    }
    return true;
}

static bool load_snapshot_batch(void *context, struct view batch, const char **problem)
{
    struct metadata_log *log = context;
    if (loader_apply(&log->loader, batch, true))
        return true;
    *problem = log->loader.problem;
    return false;
}

static bool load_snapshot(struct metadata_log *log)
{
    const struct quorum_boot *boot = &log->boot;
    if (!boot->has_snapshot)
        return true;
    struct view content = file_content_view(&boot->snapshot_content);
    struct snapshot_voters voters;
    int64_t timestamp_ms = -1;
    const char *problem = "the snapshot has no header";
    if (!snapshot_read_header(content, &voters, &timestamp_ms) ||
        !snapshot_walk(content, load_snapshot_batch, log, &problem)) {
        fail(log, problem);
        return false;
    }
    if (!view_is_null(voters.kraft_version) &&
        !voters_decode_kraft_version(voters.kraft_version, &log->kraft_version)) {
        fail(log, "the snapshot's kraft.version is malformed");
        return false;
    }
    if (!view_is_null(voters.voters)) {
        keep_voters(log, voters.voters);
        log->has_voters_in_log = boot->snapshot.end_offset > 0;
    }
    loader_set_position(&log->loader, boot->snapshot.end_offset, boot->snapshot.epoch,
                        timestamp_ms);
    log->snapshot_end = boot->snapshot.end_offset;
    return true;
}

static bool voters_are_ours(struct metadata_log *log)
{
    if (log->voters.size == 0)
        return true;
    struct arena arena;
    arena_init(&arena, log->loop->heap, MEMORY_SCRATCH, 0);
    bool ours = voters_is_sole(buffer_view(&log->voters), log->options.voter.id,
                               log->options.voter.directory_id, &arena);
    arena_deinit(&arena);
    return ours;
}

static void loaded(struct metadata_log *log)
{
    heap_put(log->loop->heap, MEMORY_SCRATCH, log->piece, LOAD_PIECE_SIZE);
    log->piece = NULL;
    if (!voters_are_ours(log)) {
        fail(log, "the metadata log names other voters than this node alone");
        return;
    }
    struct quorum_event event = {.kind = QUORUM_EVENT_STARTED};
    event.started.file = log->boot.state;
    event.started.file.version = log->kraft_version >= KRAFT_VERSION_DYNAMIC ? 1 : 0;
    event.started.file.voters[0] = log->options.voter.id;
    event.started.file.voter_count = event.started.file.version == 0 ? 1 : 0;
    event.started.log_end = partition_log_end_offset(log->log);
    event.started.snapshot_end = log->snapshot_end;
    event.started.last_epoch = partition_log_latest_epoch(log->log);
    if (log->boot.has_snapshot && log->boot.snapshot.epoch > event.started.last_epoch)
        event.started.last_epoch = log->boot.snapshot.epoch;
    struct quorum_node self = {log->options.voter.id, log->options.voter.directory_id};
    event.voters = &self;
    event.voter_count = 1;
    /* A sole voter waits for nobody; the properties of elections come with other voters. */
    struct quorum_options options = {.self = self,
                                     .election_timeout_ns = 1000000000,
                                     .fetch_timeout_ns = 2000000000,
                                     .backoff_max_ns = 1000000000,
                                     .seed = loop_random_seed(log->loop, 1)};
    quorum_init(&log->quorum, &options);
    quorum_event(log, &event);
}

/* Applies the whole batches of a piece; false when one was refused. */
static bool apply_piece(struct metadata_log *log, struct view piece)
{
    struct view batch;
    while (batch_next(&piece, &batch) == BATCH_OK) {
        bool is_old = batch_base_offset(batch.data) < log->loader.next_offset;
        if (!is_old && !loader_apply(&log->loader, batch, false)) {
            fail(log, log->loader.problem);
            return false;
        }
        if (batch_is_control(batch.data) && !load_control_batch(log, batch)) {
            fail(log, "a control record of the metadata log is malformed");
            return false;
        }
    }
    return true;
}

static struct log_read next_read(const struct metadata_log *log)
{
    return (struct log_read){.offset = log->loader.next_offset,
                             .max_bytes = LOAD_PIECE_SIZE,
                             .min_one = true,
                             .bound = LOG_READ_LOG_END};
}

static void warmed(struct log_warm *warm)
{
    struct metadata_log *log = warm->context;
    if (warm->status == LOG_READ_FAILED)
        fail(log, "the metadata log cannot be read");
    else
        loop_defer(log->loop, &log->load_step);
}

static void warm_next(struct metadata_log *log, const struct log_read *read)
{
    log->warm = (struct log_warm){.warmed = warmed, .context = log};
    partition_log_warm(log->log, read, &log->warm);
}

/* A single batch may be larger than a piece (up to 8 MiB). */
static enum log_read_status load_slice(struct metadata_log *log, const struct log_slice *slice,
                                       bool *refused)
{
    uint8_t *to = log->piece;
    if (slice->size > LOAD_PIECE_SIZE)
        to = heap_must_get(log->loop->heap, MEMORY_SCRATCH, slice->size);
    enum log_read_status status = log_slice_copy(&log->shard, slice, 0, to, slice->size);
    if (status == LOG_READ_OK) {
        log->bytes_since_snapshot += slice->size;
        *refused = !apply_piece(log, view_of(to, slice->size));
    }
    if (to != log->piece)
        heap_put(log->loop->heap, MEMORY_SCRATCH, to, slice->size);
    return status;
}

static void load_step(struct deferred *deferred)
{
    struct metadata_log *log = container_of(deferred, struct metadata_log, load_step);
    if (log->is_closing)
        return;
    if (log->loader.next_offset >= partition_log_written_end(log->log)) {
        loaded(log);
        return;
    }
    struct log_read read = next_read(log);
    struct log_slice slice;
    bool refused = false;
    int64_t before = log->loader.next_offset;
    enum log_read_status status = partition_log_read(log->log, &read, &slice);
    if (status == LOG_READ_OK && slice.size > 0) {
        status = load_slice(log, &slice, &refused);
        log_slice_release(&slice);
    }
    if (refused)
        return;
    if (status == LOG_READ_NEEDS_IO)
        warm_next(log, &read);
    else if (status != LOG_READ_OK || log->loader.next_offset == before)
        fail(log, "the metadata log cannot be read");
    else
        loop_defer(log->loop, deferred);
}

static void start_loading(struct metadata_log *log)
{
    if (partition_log_start_offset(log->log) > log->loader.next_offset) {
        fail(log, "the metadata log begins behind its newest snapshot");
        return;
    }
    log->piece = heap_must_get(log->loop->heap, MEMORY_SCRATCH, LOAD_PIECE_SIZE);
    loop_defer(log->loop, &log->load_step);
}

static void truncated(struct log_change *change)
{
    struct metadata_log *log = change->context;
    if (change->status != STORAGE_OK)
        fail(log, "the metadata log cannot be cut to its newest snapshot");
    else
        start_loading(log);
}

static void opened(struct log_open_job *open)
{
    struct metadata_log *log = open->context;
    if (open->status != LOG_OPEN_OK) {
        log->stage = METADATA_LOG_NONE;
        fail(log, open->message[0] ? open->message : "the metadata log cannot be opened");
        if (log->is_closing)
            committer_stop(&log->committer, committer_stopped);
        return;
    }
    log->log = open->log;
    if (open->cut_bytes > 0)
        log_warn(log->loop->diagnostics, "metadata log: %llu bytes removed behind the last batch",
                 (unsigned long long)open->cut_bytes);
    log->stage = METADATA_LOG_OPEN;
    if (log->is_closing) {
        close_log(log);
        return;
    }
    if (partition_log_end_offset(log->log) < log->snapshot_end) {
        log->change = (struct log_change){.done = truncated, .context = log};
        partition_log_truncate_fully(log->log, log->snapshot_end, &log->change);
        return;
    }
    start_loading(log);
}

/* The settings of Kafka's metadata log: nothing expires by age or size, everything is synced. */
static void configure(struct log_config *config, const struct metadata_log_options *options,
                      struct heap *heap)
{
    struct topic_config defaults;
    struct arena arena;
    arena_init(&arena, heap, MEMORY_SCRATCH, 0);
    topic_config_default(&defaults, &arena);
    arena_deinit(&arena);
    log_config_of_topic(config, &defaults);
    config->durability = TOPIC_DURABILITY_SYNC;
    config->segment_bytes = options->segment_bytes;
    config->retention_bytes = -1;
    config->retention_ms = -1;
    config->cleanup_delete = true;
    config->cleanup_compact = false;
}

static void booted(struct job *job)
{
    struct quorum_boot *boot = container_of(job, struct quorum_boot, job);
    struct metadata_log *log = boot->context;
    log->stage = METADATA_LOG_NONE;
    if (log->is_closing) {
        closed(&log->close_step);
        return;
    }
    if (boot->is_refused) {
        fail(log, boot->message);
        return;
    }
    if (!load_snapshot(log))
        return;
    log->stage = METADATA_LOG_OPENING;
    log_shard_init(&log->shard, log->loop,
                   &(struct log_shard_options){.open_files_limit = 8, .place_count = 16});
    committer_init(&log->committer, log->loop, log->boot.log_directory.text,
                   &(struct committer_options){.sync_count_max = 2}, committer_failed, log);
    log->open = (struct log_open_job){
        .options = {.shard = &log->shard,
                    .directory = log->boot.directory.text,
                    .topic = VIEW_LITERAL(DIRECTORY_METADATA_TOPIC),
                    .partition = 0,
                    .topic_id = UUID_METADATA,
                    .producers = &log->producers,
                    .committer = &log->committer,
                    .events = &log_events,
                    .owner = log},
        .create = !boot->has_log,
        .opened = opened,
        .context = log,
    };
    configure(&log->open.options.config, &log->options, log->loop->heap);
    partition_log_open(&log->open);
}

/* ---- Snapshots ------------------------------------------------------------------------------- */

static void snapshot_done(struct job *job)
{
    struct snapshot_job *snapshot = container_of(job, struct snapshot_job, job);
    struct metadata_log *log = snapshot->context;
    int64_t end = snapshot->image->offset + 1;
    image_release(snapshot->image);
    log->snapshot = NULL;
    if (snapshot->is_written) {
        log_info(log->loop->diagnostics, "metadata snapshot written end_offset=%lld bytes=%llu",
                 (long long)end, (unsigned long long)snapshot->written_size);
        /* The one before stays, so that a damaged newest one is not the end. */
        if (!log->is_closing) {
            partition_log_advance_start(log->log, log->snapshot_end);
            partition_log_roll(log->log);
        }
        log->snapshot_end = end;
    } else {
        log_warn(log->loop->diagnostics, "metadata snapshot failed: %s",
                 storage_status_text(snapshot->writer.status));
    }
    heap_put(log->loop->heap, MEMORY_STATE, snapshot, sizeof(*snapshot));
    if (log->is_closing)
        close_log(log);
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
    if (log->kraft_version >= KRAFT_VERSION_DYNAMIC) {
        snapshot->kraft_version_size = voters_encode_kraft_version(
            log->kraft_version, snapshot->kraft_version, sizeof(snapshot->kraft_version));
        if (log->voters.size <= sizeof(snapshot->voters)) {
            memcpy(snapshot->voters, log->voters.data, log->voters.size);
            snapshot->voters_size = log->voters.size;
        }
    }
    log->snapshot = snapshot;
    log->bytes_since_snapshot = 0;
    log->snapshot_due_ns = 0;
    loop_start_job(log->loop, &snapshot->job);
}

static void maintain(struct timer *timer)
{
    struct metadata_log *log = container_of(timer, struct metadata_log, maintenance);
    if (log->log && !log->is_closing && !log->has_failed)
        partition_log_maintain(log->log, true);
    loop_set_timer(log->loop, timer, MAINTENANCE_INTERVAL_S * 1000 * NS_PER_MS);
}

/* ---- Life ------------------------------------------------------------------------------------ */

void metadata_log_start(struct metadata_log *log, const struct metadata_log_options *options)
{
    *log = (struct metadata_log){
        .options = *options, .loop = options->loop, .producers = {.expiration_ms = 86400000}};
    buffer_init(&log->voters, log->loop->heap, MEMORY_STATE, VOTERS_VALUE_SIZE_MAX);
    deferred_init(&log->load_step, load_step);
    timer_init(&log->maintenance, maintain);
    loader_init(&log->loader, image_create_empty(log->loop->heap, options->cluster_id));
    quorum_boot_init(&log->boot);
    log->boot.context = log;
    log->boot.job.done = booted;
    log->boot.voter = options->voter;
    log->boot.may_format = options->may_format;
    log->boot.static_voters = options->static_voters;
    log->boot.bootstrap = options->bootstrap;
    log->boot.bootstrap_count = options->bootstrap_count;
    log_path_set(&log->boot.log_directory, options->log_directory);
    loop_set_timer(log->loop, &log->maintenance, MAINTENANCE_INTERVAL_S * 1000 * NS_PER_MS);
    loop_start_job(log->loop, &log->boot.job);
}

const struct image *metadata_log_take_image(struct metadata_log *log)
{
    const struct image *image = loader_image(&log->loader);
    loader_deinit(&log->loader);
    return image;
}

bool metadata_log_is_empty(const struct metadata_log *log)
{
    return log->loader.record_count == 0;
}

struct view metadata_log_bootstrap(const struct metadata_log *log)
{
    return log->boot.bootstrap_content.data ? file_content_view(&log->boot.bootstrap_content)
                                            : VIEW_NULL;
}

/* The last step, whatever had been begun. */
static void closed(struct deferred *deferred)
{
    struct metadata_log *log = container_of(deferred, struct metadata_log, close_step);
    quorum_boot_release(&log->boot);
    if (log->loader.stable)
        loader_deinit(&log->loader);
    buffer_deinit(&log->voters);
    heap_put(log->loop->heap, MEMORY_SCRATCH, log->piece, LOAD_PIECE_SIZE);
    log->options.events->closed(log->options.owner, log->is_clean);
}

static void committer_stopped(struct committer *committer)
{
    struct metadata_log *log = container_of(committer, struct metadata_log, committer);
    log_shard_deinit(&log->shard);
    closed(&log->close_step);
}

static void log_closed(struct log_close *close, bool clean)
{
    struct metadata_log *log = close->context;
    log->log = NULL;
    log->is_clean = clean && !log->has_failed;
    committer_stop(&log->committer, committer_stopped);
}

/* Called again by whatever it has to wait for. */
static void close_log(struct metadata_log *log)
{
    log->close = (struct log_close){.closed = log_closed, .context = log};
    if (log->is_state_writing)
        return;
    if (log->snapshot)
        atomic_store(&log->snapshot->job.cancelled, true);
    else if (log->has_failed)
        partition_log_drop(log->log, &log->close);
    else
        partition_log_close(log->log, &log->close);
}

void metadata_log_close(struct metadata_log *log)
{
    klamm_assert(!log->is_closing);
    log->is_closing = true;
    timer_clear(&log->maintenance);
    struct quorum_event event = {.kind = QUORUM_EVENT_RESIGN};
    if (log->quorum.is_started)
        quorum_event(log, &event);
    deferred_init(&log->close_step, closed);
    if (log->stage == METADATA_LOG_OPEN)
        close_log(log);
    else if (log->stage == METADATA_LOG_NONE)
        loop_defer(log->loop, &log->close_step);
    /* Else the job that is under way ends here: booted or opened. */
}
