/*
 * The life of the metadata log: boot job -> snapshot into the loader -> open the log -> read what a
 * start needs -> the quorum begins (metadata_log_step.c).
 *
 * Ways to fail: the directory is not usable or damaged (before the quorum begins), or the device
 * fails (then the node cannot keep promises and ends). A full device only takes back what it
 * refused.
 *
 * Closing: a leader resigns and tells the others, who are waited for a little; then the running
 * snapshot is cancelled, and log, committer and shard end in this order.
 */
#include "cluster/quorum/metadata_log.h"

#include "base/assert.h"
#include "cluster/quorum/metadata_log_internal.h"
#include "cluster/quorum/snapshot_job.h"

enum { FAREWELL_MS = 1000 };

static void closed(struct deferred *deferred);
static void committer_stopped(struct committer *committer);

void metadata_log_fail(struct metadata_log *log, const char *what)
{
    if (log->has_failed)
        return;
    log->has_failed = true;
    struct quorum_event event = {.kind = QUORUM_EVENT_RESIGN};
    if (log->quorum.is_started)
        metadata_log_step(log, &event, NULL);
    metadata_log_refuse_calls(log);
    log->options.events->failed(log->options.owner, what);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void truncated(struct log_change *change)
{
    struct metadata_log *log = change->context;
    log->is_cutting = false;
    if (change->status != STORAGE_OK)
        metadata_log_fail(log, "the metadata log cannot be cut to its newest snapshot");
    if (log->is_closing)
        metadata_log_close_next(log);
    else if (!log->has_failed)
        metadata_log_load(log);
}

/*
 * Whether the log goes on from the newest snapshot. One that was fetched may have its name already
 * while the log still holds another history: too short, or long with epochs that ended before.
 */
static bool is_of_snapshot(const struct metadata_log *log)
{
    return log->snapshot_end == 0 || (partition_log_end_offset(log->log) >= log->snapshot_end &&
                                      partition_log_latest_epoch(log->log) >= log->snapshot_epoch);
}

static void opened(struct log_open_job *open)
{
    struct metadata_log *log = open->context;
    if (open->status != LOG_OPEN_OK) {
        bool is_waited_for = log->is_closing;
        log->stage = METADATA_LOG_UNOPENED;
        metadata_log_fail(log,
                          open->message[0] ? open->message : "the metadata log cannot be opened");
        if (is_waited_for)
            committer_stop(&log->committer, committer_stopped);
        return;
    }
    log->log = open->log;
    if (open->cut_bytes > 0)
        log_warn(log->loop->diagnostics, "metadata log: %llu bytes removed behind the last batch",
                 (unsigned long long)open->cut_bytes);
    log->stage = METADATA_LOG_OPEN;
    if (log->is_closing) {
        metadata_log_close_next(log);
        return;
    }
    if (!is_of_snapshot(log)) {
        log->is_cutting = true;
        log->change = (struct log_change){.done = truncated, .context = log};
        partition_log_truncate_fully(log->log, log->snapshot_end, &log->change);
        return;
    }
    metadata_log_load(log);
}

static void committer_failed(struct committer *committer, enum storage_status status, void *context)
{
    (void)committer;
    metadata_log_fail(context, storage_status_text(status));
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
        metadata_log_fail(log, boot->message);
        return;
    }
    if (!metadata_log_load_snapshot(log))
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
                    .events = &metadata_log_file_events,
                    .owner = log},
        .create = !boot->has_log,
        .opened = opened,
        .context = log,
    };
    configure(&log->open.options.config, &log->options, log->loop->heap);
    partition_log_open(&log->open);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void farewell_over(struct timer *timer)
{
    metadata_log_close_next(container_of(timer, struct metadata_log, farewell));
}

void metadata_log_start(struct metadata_log *log, const struct metadata_log_options *options)
{
    *log = (struct metadata_log){
        .options = *options, .loop = options->loop, .producers = {.expiration_ms = 86400000}};
    voter_history_init(&log->voters, log->loop->heap);
    voter_change_init(log);
    own_vote_init(log);
    kraft_upgrade_init(log);
    timer_init(&log->farewell, farewell_over);
    metadata_log_load_init(log);
    metadata_log_step_init(log);
    metadata_log_snapshots_init(log);
    quorum_peers_init(log);
    fetch_client_init(log);
    quorum_boot_init(&log->boot);
    log->boot.context = log;
    log->boot.job.done = booted;
    log->boot.voter = options->voter;
    log->boot.may_format = options->may_format;
    log->boot.is_observer = !options->may_vote;
    log->boot.has_others = options->voter_count != 1 && options->is_reachable;
    log->boot.is_reachable = options->is_reachable;
    log->boot.static_voters = !options->forms_quorum;
    log->boot.bootstrap = options->bootstrap;
    log->boot.bootstrap_count = options->bootstrap_count;
    log_path_set(&log->boot.log_directory, options->log_directory);
    loop_start_job(log->loop, &log->boot.job);
}

bool metadata_log_is_empty(const struct metadata_log *log)
{
    return !log->has_records;
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
    metadata_log_load_deinit(log);
    quorum_peers_deinit(log);
    followers_clear(log);
    voter_change_deinit(log);
    own_vote_deinit(log);
    kraft_upgrade_forget(log);
    voter_history_deinit(&log->voters);
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

/* Others still hear that this leader goes. */
static bool says_farewell(const struct metadata_log *log)
{
    return timer_is_set(&log->farewell) && !log->has_failed && quorum_peers_are_talking(log);
}

void metadata_log_close_next(struct metadata_log *log)
{
    if (log->stage != METADATA_LOG_OPEN || !log->log || log->is_log_closing ||
        log->is_state_writing || log->fetched.is_writing || log->is_cutting || log->is_warming ||
        says_farewell(log))
        return;
    fetch_server_stop(log);
    if (!list_is_empty(&log->parked))
        return; /* they are being warmed, and call again */
    if (log->snapshot) {
        atomic_store(&log->snapshot->job.cancelled, true);
        return;
    }
    timer_clear(&log->farewell);
    log->is_log_closing = true;
    log->close = (struct log_close){.closed = log_closed, .context = log};
    if (log->has_failed)
        partition_log_drop(log->log, &log->close);
    else
        partition_log_close(log->log, &log->close);
}

void metadata_log_close(struct metadata_log *log)
{
    klamm_assert(!log->is_closing);
    log->is_closing = true;
    timer_clear(&log->maintenance);
    timer_clear(&log->quorum_timer);
    fetch_client_stop(log);
    metadata_log_refuse_calls(log);
    deferred_init(&log->close_step, closed);
    struct quorum_event event = {.kind = QUORUM_EVENT_RESIGN};
    if (log->quorum.is_started && !log->has_failed) {
        loop_set_timer(log->loop, &log->farewell, FAREWELL_MS * NS_PER_MS);
        metadata_log_step(log, &event, NULL);
    }
    if (log->stage == METADATA_LOG_OPEN)
        metadata_log_close_next(log);
    else if (log->stage == METADATA_LOG_UNOPENED)
        committer_stop(&log->committer, committer_stopped);
    else if (log->stage == METADATA_LOG_NONE)
        loop_defer(log->loop, &log->close_step);
    /* Else the job that is under way ends here: booted or opened. */
}
