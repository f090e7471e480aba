/*
 * One life of the node: boots the log directory, opens the log, has it checked against the model,
 * then makes random calls until the process dies, the device fails, or a stop is asked for.
 */
#include <stdio.h>
#include <string.h>

#include "protocol/batch.h"
#include "protocol/batch_builder.h"
#include "tests/sim/log_life.h"

enum { VALUE_MAX = 3000 };

static const char *const log_directories[] = {"/data"};

void log_life_device_failed(struct life *life)
{
    REQUIRE(life, life->scenario->faults_allowed, "the log failed on a device without faults");
    life->scenario->failed_device = true;
}
/* ---- Operations ---- */

struct pending_append {
    struct log_append append;
    struct life *life;
    size_t size;
    struct deferred release;
};

static void append_release(struct deferred *deferred)
{
    struct pending_append *pending = container_of(deferred, struct pending_append, release);
    struct heap *heap = pending->life->loop->heap;
    heap_put(heap, MEMORY_FRAME, pending->append.data, pending->size);
    heap_put(heap, MEMORY_STATE, pending, sizeof(*pending));
}

/* A failed append may be found after a crash: its bytes may be in the file. */
static void remember_failed(struct scenario *scenario, int64_t base_offset)
{
    const struct log_model *model = &scenario->model;
    log_model_restart(&scenario->failed, base_offset);
    for (size_t i = 0; i < model->count; i++) {
        const struct model_batch *batch = &model->batches[i];
        if (batch->base_offset >= base_offset)
            log_model_add(&scenario->failed, batch->bytes, batch->size);
    }
}

static void append_done(struct log_append *append)
{
    struct pending_append *pending = container_of(append, struct pending_append, append);
    struct life *life = pending->life;
    struct log_model *model = &life->scenario->model;
    TRACE(life, "append of %lld done: %d", (long long)append->base_offset, append->error);
    if (append->error == KAFKA_ERROR_NONE) {
        const struct model_batch *batch = log_model_find(model, append->base_offset);
        REQUIRE(life, batch && batch->last_offset == append->last_offset,
                "an append of [%lld, %lld] ended that the model does not have",
                (long long)append->base_offset, (long long)append->last_offset);
        REQUIRE(life, life->changing || append->base_offset >= model->written_end,
                "appends ended out of order at %lld", (long long)append->base_offset);
        REQUIRE(life, memcmp(batch->bytes, append->data, append->size) == 0,
                "the bytes of an append at %lld changed", (long long)append->base_offset);
        log_model_cut(&life->scenario->failed, 0); /* rolled back, or it would not go on */
        int64_t end = append->last_offset + 1;
        if (life->changing && end > log_model_boundary(model, life->changing_to))
            end = log_model_boundary(model, life->changing_to);
        if (end > model->written_end)
            model->written_end = end;
    } else {
        REQUIRE(life, append->error == KAFKA_ERROR_KAFKA_STORAGE_ERROR, "an append failed with %d",
                append->error);
        if (life->scenario->failed.count == 0)
            remember_failed(life->scenario, append->base_offset);
        log_model_cut(model, append->base_offset);
        life->version++;
    }
    loop_defer(life->loop, &pending->release);
}

static int32_t next_sequence(const struct log_model *model, int64_t producer_id)
{
    struct producer_info info;
    if (!log_model_producer(model, producer_id, INT64_MAX, &info))
        return 0;
    return info.last_sequence + 1;
}

/* Builds a batch into memory of the node's heap. */
static struct pending_append *build_batch(struct life *life, const struct batch_options *options,
                                          int32_t records)
{
    struct scenario *scenario = life->scenario;
    struct batch_builder builder;
    batch_builder_init(&builder, life->loop->heap, 0, options);
    static uint8_t value[VALUE_MAX];
    int64_t base_ms = life->loop->wall_ms - (int64_t)random_below(&scenario->random, 50);
    for (int32_t i = 0; i < records; i++) {
        size_t size = random_below(&scenario->random,
                                   random_chance(&scenario->random, 1, 8) ? VALUE_MAX : 100);
        random_fill(&scenario->random, value, size < 16 ? size : 16);
        struct batch_record record = {.timestamp_ms = base_ms + i, .value = view_of(value, size)};
        klamm_assert(batch_builder_append(&builder, &record));
    }
    struct view batch;
    klamm_assert(batch_builder_finish(&builder, &batch) == COMPRESSION_OK);
    struct pending_append *pending =
        heap_must_get(life->loop->heap, MEMORY_STATE, sizeof(*pending));
    pending->life = life;
    pending->size = batch.size;
    deferred_init(&pending->release, append_release);
    pending->append =
        (struct log_append){.data = heap_get(life->loop->heap, MEMORY_FRAME, batch.size),
                            .size = batch.size,
                            .origin = LOG_APPEND_CLIENT,
                            .leader_epoch = life->epoch,
                            .done = append_done};
    memcpy(pending->append.data, batch.data, batch.size);
    batch_builder_deinit(&builder);
    return pending;
}

static void operate_append(struct life *life)
{
    struct scenario *scenario = life->scenario;
    struct log_model *model = &scenario->model;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    if (random_chance(&scenario->random, 2, 3)) {
        options.producer_id = 1 + (int64_t)random_below(&scenario->random, PRODUCERS);
        options.producer_epoch = 0;
        options.base_sequence = next_sequence(model, options.producer_id);
    }
    struct pending_append *pending =
        build_batch(life, &options, 1 + (int32_t)random_below(&scenario->random, 5));
    enum log_append_result result = partition_log_append(life->log, &pending->append);
    TRACE(life, "append at %lld: %d", (long long)pending->append.base_offset, (int)result);
    if (result == LOG_APPEND_QUEUED) {
        log_model_add(model, pending->append.data, pending->append.size);
        scenario->appended++;
        life->version++;
        return;
    }
    REQUIRE(life, result == LOG_APPEND_REFUSED, "a new batch was taken for a duplicate");
    bool excused = life->changing || partition_log_is_failed(life->log) ||
                   partition_log_is_out_of_space(life->log);
    REQUIRE(life, excused, "an append was refused with %d", pending->append.error);
    loop_defer(life->loop, &pending->release);
}

/* Sends the newest batch of a producer again, as a client does that missed the answer. */
static void operate_retry(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t id = 1 + (int64_t)random_below(&scenario->random, PRODUCERS);
    struct producer_info info;
    if (!log_model_producer(&scenario->model, id, INT64_MAX, &info) || life->changing ||
        partition_log_is_failed(life->log) || partition_log_is_out_of_space(life->log))
        return;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.producer_id = id;
    options.producer_epoch = info.producer_epoch;
    options.base_sequence = info.last_sequence - info.offset_delta;
    struct pending_append *pending = build_batch(life, &options, info.offset_delta + 1);
    enum log_append_result result = partition_log_append(life->log, &pending->append);
    if (partition_log_is_failed(life->log) || partition_log_is_out_of_space(life->log)) {
        loop_defer(life->loop, &pending->release); /* it wrote the queue first */
        return;
    }
    REQUIRE(life, result == LOG_APPEND_DUPLICATE,
            "a retry of producer %lld, sequence %d, was not recognised (%d)", (long long)id,
            info.last_sequence, result == LOG_APPEND_REFUSED ? (int)pending->append.error : 0);
    REQUIRE(life,
            pending->append.last_offset == info.last_offset &&
                pending->append.base_offset == info.last_offset - info.offset_delta,
            "a retry was told offset %lld instead of %lld", (long long)pending->append.last_offset,
            (long long)info.last_offset);
    loop_defer(life->loop, &pending->release);
}

static void operate_read(struct life *life)
{
    struct random_stream *random = &life->scenario->random;
    int64_t start = partition_log_start_offset(life->log);
    int64_t end = partition_log_written_end(life->log);
    if (life->changing || partition_log_is_failed(life->log))
        return;
    int64_t offset = random_between(random, start, end);
    bool whole = random_chance(random, 1, 2);
    log_check_read(life, offset, whole ? LOG_READ_LOG_END : LOG_READ_HIGH_WATERMARK);
}

static void operate_lookup(struct life *life)
{
    if (life->lookups >= 2 || life->changing ||
        partition_log_written_end(life->log) != partition_log_end_offset(life->log) ||
        partition_log_is_failed(life->log))
        return;
    int64_t age_ms = (int64_t)random_below(&life->scenario->random, 3000);
    log_check_lookup(life, life->loop->wall_ms - age_ms);
}

static void change_done(struct log_change *change)
{
    struct life *life = container_of(change, struct life, change);
    struct log_model *model = &life->scenario->model;
    life->changing = false;
    life->version++;
    TRACE(life, "truncated: %s", storage_status_text(change->status));
    if (change->status != STORAGE_OK) {
        log_life_device_failed(life);
        return;
    }
    log_model_cut(model, life->changing_to);
    REQUIRE(life,
            partition_log_end_offset(life->log) == log_model_end(model) ||
                partition_log_end_offset(life->log) == life->changing_to,
            "a cut at %lld ended at %lld instead of %lld", (long long)life->changing_to,
            (long long)partition_log_end_offset(life->log), (long long)log_model_end(model));
    log_check_producers(life);
    log_check_epochs(life, model->start_ever);
}

static void operate_truncate(struct life *life)
{
    struct scenario *scenario = life->scenario;
    struct log_model *model = &scenario->model;
    int64_t start = partition_log_start_offset(life->log);
    int64_t end = partition_log_end_offset(life->log);
    if (!scenario->truncates || life->changing || partition_log_is_failed(life->log) ||
        end <= start || life->warms > 0 || life->lookups > 0)
        return;
    int64_t low = end - 1 - (int64_t)random_below(&scenario->random, 60);
    int64_t offset = low < start ? start : low;
    /* Between the log start and the batch that holds it there is no room for a new batch. */
    if (log_model_boundary(model, offset) < start)
        return;
    life->changing = true;
    life->cuts++;
    life->changing_to = offset;
    int64_t boundary = log_model_boundary(model, offset);
    if (model->durable_end > boundary)
        model->durable_end = boundary;
    if (model->written_end > boundary)
        model->written_end = boundary;
    life->version++;
    TRACE(life, "truncate at %lld of [%lld, %lld)", (long long)offset, (long long)start,
          (long long)end);
    life->change = (struct log_change){.done = change_done};
    partition_log_truncate(life->log, offset, &life->change);
}

static void operate_start(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t start = partition_log_start_offset(life->log);
    int64_t limit = partition_log_high_watermark(life->log);
    if (limit <= start || life->changing)
        return;
    int64_t to = start + 1 + (int64_t)random_below(&scenario->random, (uint64_t)(limit - start));
    TRACE(life, "start moves from %lld to %lld", (long long)start, (long long)to);
    REQUIRE(life, partition_log_advance_start(life->log, to), "the log start may not move to %lld",
            (long long)to);
}

/* Watermarks are log ends of replicas, so they lie between batches. */
static void operate_watermark(struct life *life)
{
    int64_t start = partition_log_start_offset(life->log);
    int64_t offset =
        random_between(&life->scenario->random, start, partition_log_written_end(life->log));
    int64_t boundary = log_model_boundary(&life->scenario->model, offset);
    int64_t now = partition_log_set_high_watermark(life->log, boundary < start ? start : boundary);
    TRACE(life, "high watermark %lld", (long long)now);
}

static void checkpointed(struct directory_flush_wait *wait, bool ok)
{
    struct life *life = container_of(wait, struct life, checkpoint_wait);
    life->checkpointing = false;
    if (!ok)
        log_life_device_failed(life);
}

static void operate_checkpoint(struct life *life)
{
    if (life->checkpointing)
        return;
    life->checkpointing = true;
    life->checkpoint_wait.done = checkpointed;
    directory_owner_flush(&life->owner, &life->checkpoint_wait);
}

static void operate(struct life *life)
{
    struct random_stream *random = &life->scenario->random;
    uint64_t draw = random_below(random, 100);
    life->scenario->operations++;
    if (draw < 55)
        operate_append(life);
    else if (draw < 62)
        operate_retry(life);
    else if (draw < 76)
        operate_read(life);
    else if (draw < 78)
        operate_lookup(life);
    else if (draw < 86)
        operate_watermark(life);
    else if (draw < 90)
        partition_log_flush(life->log);
    else if (draw < 92)
        operate_truncate(life);
    else if (draw < 93)
        operate_start(life);
    else if (draw < 95)
        partition_log_roll(life->log);
    else if (draw < 97)
        partition_log_begin_epoch(life->log, life->epoch = ++life->scenario->epoch);
    else if (draw < 99)
        partition_log_maintain(life->log, false);
    else
        operate_checkpoint(life);
    if (!life->changing)
        partition_log_check(life->log);
    int64_t start = partition_log_start_offset(life->log);
    if (start > life->scenario->model.start_max)
        life->scenario->model.start_max = start;
    if (start > life->scenario->model.start_ever)
        life->scenario->model.start_ever = start;
}

static void stop_begin(struct life *life);

static void on_tick(struct timer *timer)
{
    struct life *life = container_of(timer, struct life, tick);
    struct scenario *scenario = life->scenario;
    if (scenario->stop_wanted && !life->stopping) {
        stop_begin(life);
        return;
    }
    if (partition_log_is_failed(life->log)) {
        log_life_device_failed(life);
        return;
    }
    uint64_t count = 1 + random_below(&scenario->random, 8);
    for (uint64_t i = 0; i < count && !partition_log_is_failed(life->log); i++)
        operate(life);
    loop_set_timer(life->loop, &life->tick, random_below(&scenario->random, 5000000));
}

void log_life_start_operations(struct life *life)
{
    timer_init(&life->tick, on_tick);
    loop_set_timer(life->loop, &life->tick, 1000000);
}

/* ---- The end of a life in good order ---- */

static void shard_stopped(struct directory_shard *directory)
{
    struct life *life = container_of(directory, struct life, directory);
    log_shard_deinit(&life->shard);
    sim_node_stop(life->loop, 0);
}

static void owner_stopped(struct directory_stop *stop, bool ok)
{
    struct life *life = container_of(stop, struct life, stop);
    if (!ok)
        log_life_device_failed(life);
    life->scenario->stopped = ok && stop->is_clean;
    life->scenario->clean = life->scenario->clean && stop->is_clean;
    directory_shard_stop(&life->directory, shard_stopped);
}

static void log_closed(struct log_close *close, bool clean)
{
    struct life *life = container_of(close, struct life, close);
    struct log_model *model = &life->scenario->model;
    life->log = NULL;
    if (!clean)
        log_life_device_failed(life);
    else
        REQUIRE(life, close->log_end == log_model_end(model),
                "the log was closed at %lld instead of %lld", (long long)close->log_end,
                (long long)log_model_end(model));
    if (clean) {
        model->durable_end = log_model_end(model);
        model->start_max = close->log_start_offset;
        if (model->start_ever < model->start_max)
            model->start_ever = model->start_max;
    }
    life->scenario->clean = clean;
    life->stop = (struct directory_stop){.done = owner_stopped, .is_clean = clean};
    directory_owner_stop(&life->owner, &life->stop);
}

static void stop_begin(struct life *life)
{
    bool busy = life->changing || life->checkpointing || log_checks_are_busy(life) ||
                partition_log_end_offset(life->log) != partition_log_written_end(life->log);
    if (busy && !partition_log_is_failed(life->log)) {
        loop_set_timer(life->loop, &life->tick, 1000000);
        return;
    }
    if (partition_log_is_failed(life->log)) {
        log_life_device_failed(life);
        return;
    }
    life->stopping = true;
    TRACE(life, "stopping at %lld", (long long)partition_log_end_offset(life->log));
    life->close = (struct log_close){.closed = log_closed};
    partition_log_close(life->log, &life->close);
}

/* ---- The beginning of a life ---- */

static void told_written(void *owner, int64_t written_end)
{
    struct life *life = owner;
    REQUIRE(life, written_end <= log_model_end(&life->scenario->model),
            "written up to %lld, which nobody appended", (long long)written_end);
}

static void told_durable(void *owner, int64_t durable_end)
{
    struct life *life = owner;
    struct log_model *model = &life->scenario->model;
    TRACE(life, "durable %lld", (long long)durable_end);
    if (life->changing && durable_end > log_model_boundary(model, life->changing_to))
        durable_end = log_model_boundary(model, life->changing_to);
    REQUIRE(life, durable_end <= log_model_end(model), "durable up to %lld, which nobody appended",
            (long long)durable_end);
    if (durable_end > model->durable_end)
        model->durable_end = durable_end;
}

static void told_failed(void *owner, enum storage_status status, int64_t written_end)
{
    struct life *life = owner;
    if (status != STORAGE_NO_SPACE)
        log_life_device_failed(life);
    (void)written_end;
}

static const struct partition_log_events log_events = {told_written, told_durable, told_failed};

static void owner_failed(struct directory_owner *owner, enum storage_status status, void *context)
{
    (void)owner;
    (void)status;
    log_life_device_failed(context);
}

static void log_opened(struct log_open_job *job)
{
    struct life *life = job->context;
    if (job->status != LOG_OPEN_OK) {
        REQUIRE(life, job->status == LOG_OPEN_IO, "the log is damaged: %s", job->message);
        log_life_device_failed(life);
        return;
    }
    life->log = job->log;
    life->scenario->life = life;
    life->epoch = ++life->scenario->epoch;
    directory_owner_loaded(&life->owner);
    log_check_recovered(life);
    partition_log_begin_epoch(life->log, life->epoch);
    log_check_whole(life);
}

static const struct log_directory_entry *find_entry(const struct log_directory_found *found)
{
    for (size_t i = 0; i < found->entry_count; i++) {
        if (strcmp(found->entries[i].name, "topic-0") == 0)
            return &found->entries[i];
    }
    return NULL;
}

static void boot_done(struct job *job)
{
    struct life *life = container_of(job, struct life, boot.job);
    struct scenario *scenario = life->scenario;
    if (life->boot.status != LOG_BOOT_OK || life->boot.found[0].is_failed) {
        REQUIRE(life, scenario->faults_allowed, "the directory does not boot: %s",
                life->boot.message);
        log_life_device_failed(life);
        return;
    }
    const struct log_directory_found *found = &life->boot.found[0];
    /* A life that died while it booted may have taken the marker of the one before away. */
    REQUIRE(life, !found->is_clean || scenario->clean,
            "the directory is marked clean after a crash");
    life->clean = found->is_clean;
    scenario->clean = false;
    directory_owner_init(&life->owner, life->loop, 0, found, NULL, owner_failed, life);
    struct random_stream *random = &scenario->random;
    struct committer_options committer = {.is_journal_enabled = random_chance(random, 2, 3),
                                          .journal_file_size = 10000 + random_below(random, 200000),
                                          .journal_append_max =
                                              1 + (uint32_t)random_below(random, 8000)};
    directory_shard_init(&life->directory, life->loop, 0, found->path.text, &life->owner,
                         &committer, NULL, NULL);
    directory_owner_attach(&life->owner, &life->directory);
    log_shard_init(&life->shard, life->loop, &(struct log_shard_options){.open_files_limit = 3});
    const struct log_directory_entry *entry = find_entry(found);
    bool create = !entry || uuid_is_zero(entry->topic_id);
    REQUIRE(life, !create || scenario->model.durable_end == 0,
            "the partition directory is gone, %lld was durable",
            (long long)scenario->model.durable_end);
    snprintf(life->path, sizeof(life->path), "%s/topic-0", log_directories[0]);
    life->producers = (struct producer_state_options){.expiration_ms = INT64_C(86400000)};
    life->open =
        (struct log_open_job){.options = {.shard = &life->shard,
                                          .directory = life->path,
                                          .topic = VIEW_LITERAL("topic"),
                                          .topic_id = UUID_ONE,
                                          .config = scenario->config,
                                          .producers = &life->producers,
                                          .committer = &life->directory.committer,
                                          .events = &log_events,
                                          .owner = life,
                                          .clean = found->is_clean,
                                          .recovery_point = entry ? entry->recovery_point : 0,
                                          .log_start_offset = entry ? entry->log_start_offset : 0,
                                          .high_watermark = entry ? entry->high_watermark : 0},
                              .create = create,
                              .opened = log_opened,
                              .context = life};
    partition_log_open(&life->open);
}

void log_life_boot(struct loop *loop, void *argument)
{
    struct scenario *scenario = argument;
    struct life *life = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*life));
    static const struct uuid directory_id = {{7}};
    life->scenario = scenario;
    life->loop = loop;
    life->boot.paths = log_directories;
    life->boot.path_count = 1;
    life->boot.metadata_path = log_directories[0];
    life->boot.node_id = 1;
    life->boot.new_cluster_id = VIEW_LITERAL("simulated");
    life->boot.may_format = true;
    life->boot.new_directory_ids = &directory_id;
    log_boot_init(&life->boot);
    life->boot.job.done = boot_done;
    loop_start_job(loop, &life->boot.job);
}
