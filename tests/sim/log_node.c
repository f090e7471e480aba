/* Boot, open, calls, close: each step starts the next one. */
#include "tests/sim/log_node.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

const char *const log_node_directories[1] = {"/data"};

static struct sim *sim_here(const struct log_node *node)
{
    return node->lives->sim;
}

void log_node_device_failed(struct log_node *node)
{
    sim_require(sim_here(node), node->lives->faults_allowed,
                "the log failed on a device without faults");
    node->lives->failed_device = true;
}

/* ---- Appends ---- */

struct pending_append {
    struct log_append append;
    struct log_node *node;
    size_t size;
    struct deferred release;
};

static void append_release(struct deferred *deferred)
{
    struct pending_append *pending = container_of(deferred, struct pending_append, release);
    struct heap *heap = pending->node->loop->heap;
    heap_put(heap, MEMORY_FRAME, pending->append.data, pending->size);
    heap_put(heap, MEMORY_STATE, pending, sizeof(*pending));
}

void log_node_remember_failed(struct log_lives *lives, int64_t base_offset)
{
    const struct log_model *model = &lives->model;
    log_model_restart(&lives->failed, base_offset);
    for (size_t i = 0; i < model->count; i++) {
        const struct model_batch *batch = &model->batches[i];
        if (batch->base_offset >= base_offset)
            log_model_add(&lives->failed, batch->bytes, batch->size);
    }
}

/* What lies behind a cut that is under way is not promised any more. */
static int64_t promised_end(const struct log_node *node, int64_t end)
{
    int64_t limit =
        node->is_cutting ? log_model_boundary(&node->lives->model, node->cutting_to) : end;
    return end < limit ? end : limit;
}

static void append_done(struct log_append *append)
{
    struct pending_append *pending = container_of(append, struct pending_append, append);
    struct log_node *node = pending->node;
    struct sim *sim = sim_here(node);
    struct log_lives *lives = node->lives;
    struct log_model *model = &lives->model;
    TRACE(node, "append of %lld done: %d", (long long)append->base_offset, append->error);
    if (append->error == KAFKA_ERROR_NONE) {
        const struct model_batch *batch = log_model_find(model, append->base_offset);
        sim_require(sim, batch && batch->last_offset == append->last_offset,
                    "an append of [%lld, %lld] ended that the model does not have",
                    (long long)append->base_offset, (long long)append->last_offset);
        sim_require(sim, node->is_cutting || append->base_offset >= model->written_end,
                    "appends ended out of order at %lld", (long long)append->base_offset);
        sim_require(sim, memcmp(batch->bytes, append->data, append->size) == 0,
                    "the bytes of an append at %lld changed", (long long)append->base_offset);
        log_model_cut(&lives->failed, 0); /* rolled back, or it would not go on */
        int64_t end = promised_end(node, append->last_offset + 1);
        if (end > model->written_end)
            model->written_end = end;
    } else {
        sim_require(sim, append->error == KAFKA_ERROR_KAFKA_STORAGE_ERROR,
                    "an append failed with %d", append->error);
        if (lives->failed.count == 0)
            log_node_remember_failed(lives, append->base_offset);
        log_model_cut(model, append->base_offset);
        node->version++;
        node->cuts++;
    }
    loop_defer(node->loop, &pending->release);
}

bool log_node_may_refuse(const struct log_node *node)
{
    return node->is_cutting || partition_log_is_failed(node->log) ||
           partition_log_is_out_of_space(node->log);
}

enum log_append_result log_node_append(struct log_node *node, struct view bytes,
                                       enum log_append_origin origin,
                                       const struct log_append **append)
{
    struct heap *heap = node->loop->heap;
    struct pending_append *pending = heap_must_get(heap, MEMORY_STATE, sizeof(*pending));
    pending->node = node;
    pending->size = bytes.size;
    deferred_init(&pending->release, append_release);
    pending->append = (struct log_append){.data = heap_get(heap, MEMORY_FRAME, bytes.size),
                                          .size = bytes.size,
                                          .origin = origin,
                                          .leader_epoch = node->lives->epoch,
                                          .done = append_done};
    memcpy(pending->append.data, bytes.data, bytes.size);
    *append = &pending->append;
    enum log_append_result result = partition_log_append(node->log, &pending->append);
    TRACE(node, "append at %lld: %d", (long long)pending->append.base_offset, (int)result);
    if (result == LOG_APPEND_QUEUED) {
        log_model_add(&node->lives->model, pending->append.data, pending->append.size);
        node->version++;
    } else {
        loop_defer(node->loop, &pending->release);
    }
    return result;
}

/* ---- Cuts ---- */

void log_node_cut(struct log_node *node, int64_t offset, void (*done)(struct log_change *change))
{
    struct log_model *model = &node->lives->model;
    int64_t boundary = log_model_boundary(model, offset);
    node->is_cutting = true;
    node->cutting_to = offset;
    node->cuts++;
    node->version++;
    if (model->durable_end > boundary)
        model->durable_end = boundary;
    if (model->written_end > boundary)
        model->written_end = boundary;
    TRACE(node, "cut at %lld of [%lld, %lld)", (long long)offset,
          (long long)partition_log_start_offset(node->log),
          (long long)partition_log_end_offset(node->log));
    node->change = (struct log_change){.done = done};
    partition_log_truncate(node->log, offset, &node->change);
}

/* ---- The end of a life in good order ---- */

static void shard_stopped(struct directory_shard *directory)
{
    struct log_node *node = container_of(directory, struct log_node, directory);
    log_shard_deinit(&node->shard);
    sim_node_stop(node->loop, 0);
}

static void owner_stopped(struct directory_stop *stop, bool ok)
{
    struct log_node *node = container_of(stop, struct log_node, stop);
    if (!ok)
        log_node_device_failed(node);
    node->lives->stopped = ok && stop->is_clean;
    node->lives->clean = node->lives->clean && stop->is_clean;
    directory_shard_stop(&node->directory, shard_stopped);
}

static void log_closed(struct log_close *close, bool clean)
{
    struct log_node *node = container_of(close, struct log_node, close);
    struct log_model *model = &node->lives->model;
    node->log = NULL;
    if (!clean)
        log_node_device_failed(node);
    else
        sim_require(sim_here(node), close->log_end == log_model_end(model),
                    "the log was closed at %lld instead of %lld", (long long)close->log_end,
                    (long long)log_model_end(model));
    if (clean) {
        model->durable_end = log_model_end(model);
        model->start_max = close->log_start_offset;
        if (model->start_ever < model->start_max)
            model->start_ever = model->start_max;
    }
    node->lives->clean = clean;
    node->stop = (struct directory_stop){
        .done = owner_stopped, .is_clean = clean, .broker_epoch = node->lives->epoch};
    directory_owner_stop(&node->owner, &node->stop);
}

static void stop_begin(struct log_node *node)
{
    if (partition_log_is_failed(node->log)) {
        log_node_device_failed(node);
        return;
    }
    if (node->is_cutting || node->events->is_busy(node) ||
        partition_log_end_offset(node->log) != partition_log_written_end(node->log)) {
        loop_set_timer(node->loop, &node->tick, 1000000);
        return;
    }
    node->is_stopping = true;
    TRACE(node, "stopping at %lld", (long long)partition_log_end_offset(node->log));
    if (node->events->closing)
        node->events->closing(node);
    node->close = (struct log_close){.closed = log_closed};
    partition_log_close(node->log, &node->close);
}

/* ---- Calls ---- */

static void on_tick(struct timer *timer)
{
    struct log_node *node = container_of(timer, struct log_node, tick);
    struct random_stream *random = &node->lives->random;
    if (node->lives->stop_wanted && !node->is_stopping) {
        stop_begin(node);
        return;
    }
    if (partition_log_is_failed(node->log)) {
        log_node_device_failed(node);
        return;
    }
    uint64_t count = 1 + random_below(random, node->events->operations_max);
    for (uint64_t i = 0; i < count && !partition_log_is_failed(node->log); i++) {
        node->lives->operations++;
        node->events->operate(node);
        if (!node->is_cutting)
            partition_log_check(node->log);
    }
    loop_set_timer(node->loop, &node->tick, random_below(random, 5000000));
}

void log_node_start_operations(struct log_node *node)
{
    timer_init(&node->tick, on_tick);
    loop_set_timer(node->loop, &node->tick, 1000000);
}

/* ---- What the log tells ---- */

static void told_written(void *owner, int64_t written_end)
{
    const struct log_node *node = owner;
    sim_require(sim_here(node), written_end <= log_model_end(&node->lives->model),
                "written up to %lld, which nobody appended", (long long)written_end);
}

static void told_durable(void *owner, int64_t durable_end)
{
    struct log_node *node = owner;
    struct log_model *model = &node->lives->model;
    TRACE(node, "durable %lld", (long long)durable_end);
    durable_end = promised_end(node, durable_end);
    sim_require(sim_here(node), durable_end <= log_model_end(model),
                "durable up to %lld, which nobody appended", (long long)durable_end);
    if (durable_end > model->durable_end)
        model->durable_end = durable_end;
}

static void told_failed(void *owner, enum storage_status status, int64_t written_end)
{
    (void)written_end;
    if (status != STORAGE_NO_SPACE)
        log_node_device_failed(owner);
}

static const struct partition_log_events log_events = {told_written, told_durable, told_failed};

static void owner_failed(struct directory_owner *owner, enum storage_status status, void *context)
{
    (void)owner;
    (void)status;
    log_node_device_failed(context);
}

/* ---- The beginning of a life ---- */

void log_node_check_end(struct log_node *node)
{
    struct log_lives *lives = node->lives;
    struct log_model *model = &lives->model;
    struct sim *sim = lives->sim;
    int64_t end = partition_log_end_offset(node->log);
    int64_t least = lives->durable_only ? model->durable_end : model->written_end;
    partition_log_check(node->log);
    sim_require(sim, end >= least, "the log ends at %lld after %s, %lld was promised",
                (long long)end, lives->durable_only ? "a power cut" : "a crash", (long long)least);
    for (size_t i = 0; i < lives->failed.count && end > log_model_end(model); i++) {
        const struct model_batch *batch = &lives->failed.batches[i];
        if (batch->base_offset == log_model_end(model))
            log_model_add(model, batch->bytes, batch->size);
    }
    log_model_cut(&lives->failed, 0);
    sim_require(sim, end <= log_model_end(model),
                "the log ends at %lld, only %lld was ever appended", (long long)end,
                (long long)log_model_end(model));
}

void log_node_follow(struct log_node *node)
{
    struct log_model *model = &node->lives->model;
    int64_t end = partition_log_end_offset(node->log);
    sim_require(sim_here(node), log_model_boundary(model, end) == end,
                "the log ends inside the batch at %lld", (long long)log_model_boundary(model, end));
    log_model_cut(model, end);
    model->written_end = end;
    model->durable_end = partition_log_durable_end(node->log);
    node->lives->opened = true;
}

static void log_opened(struct log_open_job *job)
{
    struct log_node *node = job->context;
    if (job->status != LOG_OPEN_OK) {
        sim_require(sim_here(node), job->status == LOG_OPEN_IO, "the log is damaged: %s",
                    job->message);
        log_node_device_failed(node);
        return;
    }
    node->log = job->log;
    node->lives->epoch++;
    directory_owner_loaded(&node->owner);
    TRACE(node, "opened [%lld, %lld), durable %lld: %s",
          (long long)partition_log_start_offset(node->log),
          (long long)partition_log_end_offset(node->log),
          (long long)partition_log_durable_end(node->log), job->message);
    node->events->opened(node);
}

static const struct log_directory_entry *find_entry(const struct log_directory_found *found)
{
    for (size_t i = 0; i < found->entry_count; i++) {
        if (strcmp(found->entries[i].name, "topic-0") == 0)
            return &found->entries[i];
    }
    return NULL;
}

static void start_directory(struct log_node *node, const struct log_directory_found *found)
{
    struct random_stream *random = &node->lives->random;
    const struct log_node_events *events = node->events;
    struct committer_options committer = {
        .is_journal_enabled = random_chance(random, 2, 3),
        .journal_partitions_min = events->journal_partitions_min,
        .journal_file_size =
            events->journal_size_min + random_below(random, events->journal_size_range),
        .journal_append_max = 1 + (uint32_t)random_below(random, 8000)};
    directory_owner_init(&node->owner, node->loop, 0, found, NULL, owner_failed, node);
    directory_shard_init(&node->directory, node->loop, 0, found->path.text, &node->owner,
                         &committer, NULL, NULL);
    directory_owner_attach(&node->owner, &node->directory);
    log_shard_init(&node->shard, node->loop, &(struct log_shard_options){.open_files_limit = 3});
    if (events->booted)
        events->booted(node);
}

static void open_log(struct log_node *node, const struct log_directory_found *found)
{
    struct log_lives *lives = node->lives;
    const struct log_directory_entry *entry = find_entry(found);
    bool create = !entry || uuid_is_zero(entry->topic_id);
    sim_require(lives->sim, !create || lives->model.durable_end == 0,
                "the partition directory is gone, %lld was durable",
                (long long)lives->model.durable_end);
    snprintf(node->path, sizeof(node->path), "%s/topic-0", log_node_directories[0]);
    node->producers = (struct producer_state_options){.expiration_ms = INT64_C(86400000)};
    node->open =
        (struct log_open_job){.options = {.shard = &node->shard,
                                          .directory = node->path,
                                          .topic = VIEW_LITERAL("topic"),
                                          .topic_id = UUID_ONE,
                                          .config = lives->config,
                                          .producers = &node->producers,
                                          .committer = &node->directory.committer,
                                          .events = &log_events,
                                          .owner = node,
                                          .clean = found->is_clean,
                                          .is_checkpointed = entry && entry->is_checkpointed,
                                          .recovery_point = entry ? entry->recovery_point : 0,
                                          .log_start_offset = entry ? entry->log_start_offset : 0,
                                          .high_watermark = entry ? entry->high_watermark : 0,
                                          .cleaner_offset = entry ? entry->cleaner_offset : -1},
                              .create = create,
                              .opened = log_opened,
                              .context = node};
    if (node->events->opens_known && !create && entry->state.size > 0)
        node->open.log = partition_log_open_known(&node->open.options, entry->state);
    if (node->open.log)
        log_opened(&node->open);
    else
        partition_log_open(&node->open);
}

static void boot_done(struct job *job)
{
    struct log_node *node = container_of(job, struct log_node, boot.job);
    struct log_lives *lives = node->lives;
    if (node->boot.status != LOG_BOOT_OK || node->boot.found[0].is_failed) {
        sim_require(lives->sim, lives->faults_allowed, "the directory does not boot: %s",
                    node->boot.message);
        log_node_device_failed(node);
        return;
    }
    const struct log_directory_found *found = &node->boot.found[0];
    /* A life that died while it booted may have taken the marker of the one before away. */
    sim_require(lives->sim, !found->is_clean || lives->clean,
                "the directory is marked clean after a crash");
    lives->clean = false;
    start_directory(node, found);
    open_log(node, found);
}

void log_node_init(struct log_node *node, struct loop *loop, struct log_lives *lives,
                   const struct log_node_events *events)
{
    static const struct uuid directory_id = {{7}};
    *node = (struct log_node){.lives = lives, .loop = loop, .events = events};
    node->boot.paths = log_node_directories;
    node->boot.path_count = 1;
    node->boot.metadata_path = log_node_directories[0];
    node->boot.node_id = 1;
    node->boot.new_cluster_id = VIEW_LITERAL("simulated");
    node->boot.may_format = true;
    node->boot.new_directory_ids = &directory_id;
    log_boot_init(&node->boot);
    node->boot.job.done = boot_done;
}

void log_node_boot(struct log_node *node)
{
    loop_start_job(node->loop, &node->boot.job);
}
