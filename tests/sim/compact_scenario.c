/*
 * One compacted partition log on one simulated node, through several lives.
 *
 * A life boots the log directory, opens the log, walks it, then appends keyed records (plain,
 * idempotent, in transactions that commit or abort), rolls, reads and lets a cleaner compact, until
 * the process dies, the machine loses power, or the device fails; deaths happen at a drawn storage
 * call or at a drawn time. After the last life the log is opened once more without faults and
 * walked. What a walk must find is in compact_model.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "log/cleaner.h"
#include "log/directory_owner.h"
#include "log/log_directory.h"
#include "log/partition_log_internal.h"
#include "protocol/batch_builder.h"
#include "protocol/control_record.h"
#include "tests/sim/compact_model.h"
#include "tests/sim/scenario.h"

enum { LIVES_MAX = 6, READ_SIZE = 64 * 1024, RECORDS_MAX = 5, VALUE_MAX = 60 };

static const uint64_t limit_ns = UINT64_C(120) * 1000000000;

/* ---- State outside of the node ---- */

struct scenario {
    struct sim *sim;
    const struct scenario_options *options;
    struct random_stream random;
    struct log_model model;
    struct log_model failed; /* of appends that failed, or cut: they may be found after a crash */
    unsigned node;
    bool durable_only;   /* the last death took what was not synced */
    bool faults_allowed; /* the device may fail in this life */
    bool verified;       /* this life has walked its log */
    bool failed_device;
    bool opened;
    bool stop_wanted;
    bool clean;
    struct log_config config;
    int32_t epoch;
    int64_t compacted_to;       /* nothing at or behind it was compacted, ever */
    int64_t high_watermark_max; /* of all lives: a cut below it would be none of a replica's */
    int64_t delete_retention_min_ms;
    uint64_t records, operations, compactions, walks;
};

/* ---- State inside of the node ---- */

struct walk {
    struct life *life;
    struct compact_walk state;
    struct log_read read;
    struct log_slice slice;
    struct log_warm warm;
    struct arena arena;
    uint8_t *data; /* READ_SIZE */
    bool is_busy;
    bool is_whole;        /* from the log start to the end */
    bool is_first;        /* of this life: operations begin when it has ended */
    uint64_t compactions; /* of the life, at the start */
    uint64_t cuts;
    int64_t began_dirty;
    uint32_t patience;
};

struct pending_append {
    struct log_append append;
    struct life *life;
    size_t size;
    struct deferred release;
};

struct pending_lookup {
    struct log_lookup lookup;
    struct life *life;
};

struct life {
    struct scenario *scenario;
    struct loop *loop;
    struct log_boot_job boot;
    struct directory_owner owner;
    struct directory_shard directory;
    struct log_shard shard;
    struct cleaner cleaner;
    struct cleaner_permits permits;
    struct log_open_job open;
    struct partition_log *log;
    struct producer_state_options producers;
    struct timer tick;
    struct walk walks[3];
    struct log_close close;
    struct log_change change;
    struct directory_flush_wait flush;
    struct directory_stop stop;
    int64_t cutting_to;
    bool is_cutting;
    bool is_stopping;
    bool was_clean;
    unsigned lookups, warms;
    uint64_t cuts;
    char path[64];
};

#define REQUIRE(life, condition, ...)                                                              \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sim_fail((life)->scenario->sim, __VA_ARGS__);                                          \
    } while (0)

#define TRACE(life, ...) log_debug((life)->loop->diagnostics, __VA_ARGS__)

static const char *const log_directories[] = {"/data"};

static void device_failed(struct life *life)
{
    REQUIRE(life, life->scenario->faults_allowed, "the log failed on a device without faults");
    life->scenario->failed_device = true;
}

/* Whatever was compacted lies below this. */
static void note_bounds(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t base = partition_log_active_segment_base(life->log);
    int64_t watermark = partition_log_high_watermark(life->log);
    if (base > scenario->compacted_to)
        scenario->compacted_to = base;
    if (watermark > scenario->high_watermark_max)
        scenario->high_watermark_max = watermark;
}

/* ---- Walks ---- */

static void walk_go_on(struct walk *walk);
static void start_operations(struct life *life);
static void begin_walk(struct life *life, bool is_view, bool is_whole, bool is_first);

static void check_producers(struct walk *walk)
{
    struct life *life = walk->life;
    for (int64_t id = 1; id <= COMPACT_PRODUCERS; id++) {
        struct producer_info info;
        if (!producer_state_find(partition_log_producers(life->log), id, &info) ||
            info.last_offset < partition_log_start_offset(life->log) ||
            info.last_offset >= walk->state.next)
            continue;
        REQUIRE(life, walk->state.last_of_producer[id] == info.last_offset,
                "the last batch of producer %lld, to offset %lld, is gone", (long long)id,
                (long long)info.last_offset);
    }
}

static void end_whole(struct walk *walk)
{
    struct life *life = walk->life;
    struct scenario *scenario = life->scenario;
    struct partition_log *log = life->log;
    scenario->walks++;
    if (!walk->state.is_view) {
        check_producers(walk);
        if (walk->is_first)
            begin_walk(life, true, true, true);
        return;
    }
    TRACE(life, "view of [%lld, %lld), read to %lld", (long long)walk->state.start,
          (long long)partition_log_last_stable_offset(log), (long long)walk->state.next);
    bool judges_clean =
        walk->compactions == life->cleaner.counters.compactions && walk->cuts == life->cuts;
    compact_walk_end_view(&walk->state, partition_log_start_offset(log),
                          partition_log_last_stable_offset(log), life->loop->wall_ms,
                          scenario->delete_retention_min_ms, judges_clean);
    if (walk->is_first) {
        scenario->verified = true;
        start_operations(life);
    }
}

static void end_walk(struct walk *walk)
{
    walk->is_busy = false;
    arena_deinit(&walk->arena);
}

static void walk_warmed(struct log_warm *warm)
{
    struct walk *walk = container_of(warm, struct walk, warm);
    struct life *life = walk->life;
    life->warms--;
    if (warm->status != LOG_READ_OK) {
        bool excused = life->scenario->faults_allowed || walk->cuts != life->cuts ||
                       life->is_cutting ||
                       walk->read.offset < partition_log_start_offset(life->log);
        REQUIRE(life, excused, "warming offset %lld failed", (long long)walk->read.offset);
        if (walk->is_first)
            device_failed(life);
        end_walk(walk);
        return;
    }
    REQUIRE(life, ++walk->patience < 5000, "offset %lld never becomes readable",
            (long long)walk->read.offset);
    walk_go_on(walk);
}

/* Reads one slice into the walk's memory; false: nothing more for now. */
static bool walk_read(struct walk *walk)
{
    struct life *life = walk->life;
    enum log_read_status status = partition_log_read(life->log, &walk->read, &walk->slice);
    uint32_t size = walk->slice.size;
    if (status == LOG_READ_OK && size > 0) {
        REQUIRE(life, size <= READ_SIZE, "a read of at most %d bytes gave %u", READ_SIZE, size);
        status = log_slice_copy(&life->shard, &walk->slice, 0, walk->data, size);
        log_slice_release(&walk->slice);
    }
    if (status == LOG_READ_NEEDS_IO) {
        walk->warm = (struct log_warm){.warmed = walk_warmed};
        life->warms++;
        partition_log_warm(life->log, &walk->read, &walk->warm);
        return false;
    }
    if (status == LOG_READ_OUT_OF_RANGE && !walk->is_first) {
        end_walk(walk); /* cut or deleted meanwhile */
        return false;
    }
    if (status == LOG_READ_FAILED) {
        if (walk->cuts == life->cuts)
            device_failed(life);
        end_walk(walk);
        return false;
    }
    REQUIRE(life, status == LOG_READ_OK, "offset %lld is out of range",
            (long long)walk->read.offset);
    return true;
}

static void walk_go_on(struct walk *walk)
{
    struct life *life = walk->life;
    while (walk_read(walk)) {
        int64_t end = partition_log_bound(life->log, walk->read.bound);
        if (walk->slice.size == 0) {
            REQUIRE(life, walk->read.offset >= end || end <= life->scenario->compacted_to,
                    "nothing is readable at %lld below %lld", (long long)walk->read.offset,
                    (long long)end);
            end_walk(walk);
            if (walk->is_whole && walk->cuts == life->cuts)
                end_whole(walk);
            return;
        }
        walk->state.compacted_to = life->scenario->compacted_to;
        compact_walk_take(&walk->state, view_of(walk->data, walk->slice.size), walk->slice.aborted,
                          walk->slice.aborted_count);
        /* A bound may lie inside a batch. */
        REQUIRE(life, walk->slice.next_offset >= walk->state.next || walk->slice.next_offset == end,
                "a slice says %lld, its last batch ends at %lld",
                (long long)walk->slice.next_offset, (long long)walk->state.next);
        arena_reset(&walk->arena);
        walk->patience = 0;
        walk->read.offset = walk->slice.next_offset;
        if (walk->read.offset < walk->state.next)
            walk->read.offset = walk->state.next;
        if (!walk->is_whole && random_chance(&life->scenario->random, 1, 3)) {
            end_walk(walk);
            return;
        }
    }
}

static void begin_walk(struct life *life, bool is_view, bool is_whole, bool is_first)
{
    struct scenario *scenario = life->scenario;
    struct walk *walk = NULL;
    for (unsigned i = 0; i < 3 && !walk; i++)
        walk = life->walks[i].is_busy ? NULL : &life->walks[i];
    if (!walk || life->is_cutting)
        return;
    uint8_t *data = walk->data;
    if (!data)
        data = heap_must_get(life->loop->heap, MEMORY_STATE, READ_SIZE);
    *walk = (struct walk){.life = life,
                          .data = data,
                          .is_busy = true,
                          .is_whole = is_whole,
                          .is_first = is_first,
                          .compactions = life->cleaner.counters.compactions,
                          .cuts = life->cuts};
    arena_init(&walk->arena, life->loop->heap, MEMORY_SCRATCH, 0);
    int64_t start = partition_log_start_offset(life->log);
    int64_t offset =
        is_whole ? start
                 : random_between(&scenario->random, start, partition_log_written_end(life->log));
    walk->read = (struct log_read){
        .offset = offset,
        .max_bytes =
            is_first ? READ_SIZE : 1 + (uint32_t)random_below(&scenario->random, READ_SIZE),
        .min_one = true,
        .bound = is_view ? LOG_READ_LAST_STABLE : LOG_READ_LOG_END,
        .arena = &walk->arena};
    int64_t clean_end = partition_log_first_dirty(life->log);
    compact_walk_begin(&walk->state, &scenario->model, is_view, offset, scenario->compacted_to,
                       life->log->compaction ? offset : clean_end);
    walk_go_on(walk);
}

/* ---- Appending ---- */

static void append_release(struct deferred *deferred)
{
    struct pending_append *pending = container_of(deferred, struct pending_append, release);
    struct heap *heap = pending->life->loop->heap;
    heap_put(heap, MEMORY_FRAME, pending->append.data, pending->size);
    heap_put(heap, MEMORY_STATE, pending, sizeof(*pending));
}

/* Nothing is remembered yet. */
static void remember_failed(struct scenario *scenario, int64_t base_offset)
{
    for (size_t i = 0; i < scenario->model.count; i++) {
        const struct model_batch *batch = &scenario->model.batches[i];
        if (batch->base_offset < base_offset)
            continue;
        if (scenario->failed.count == 0)
            log_model_restart(&scenario->failed, batch->base_offset);
        log_model_add(&scenario->failed, batch->bytes, batch->size);
    }
}

static void append_done(struct log_append *append)
{
    struct pending_append *pending = container_of(append, struct pending_append, append);
    struct life *life = pending->life;
    struct log_model *model = &life->scenario->model;
    if (append->error == KAFKA_ERROR_NONE) {
        log_model_cut(&life->scenario->failed, 0);
        int64_t end = append->last_offset + 1;
        if (life->is_cutting && end > log_model_boundary(model, life->cutting_to))
            end = log_model_boundary(model, life->cutting_to);
        if (end > model->written_end)
            model->written_end = end;
    } else {
        REQUIRE(life, append->error == KAFKA_ERROR_KAFKA_STORAGE_ERROR, "an append failed with %d",
                append->error);
        if (life->scenario->failed.count == 0)
            remember_failed(life->scenario, append->base_offset);
        log_model_cut(model, append->base_offset);
        life->cuts++;
    }
    loop_defer(life->loop, &pending->release);
}

static void append_bytes(struct life *life, struct view bytes, enum log_append_origin origin)
{
    struct heap *heap = life->loop->heap;
    struct pending_append *pending = heap_must_get(heap, MEMORY_STATE, sizeof(*pending));
    pending->life = life;
    pending->size = bytes.size;
    deferred_init(&pending->release, append_release);
    pending->append = (struct log_append){.data = heap_get(heap, MEMORY_FRAME, bytes.size),
                                          .size = bytes.size,
                                          .origin = origin,
                                          .leader_epoch = life->scenario->epoch,
                                          .done = append_done};
    memcpy(pending->append.data, bytes.data, bytes.size);
    enum log_append_result result = partition_log_append(life->log, &pending->append);
    if (result == LOG_APPEND_QUEUED) {
        log_model_add(&life->scenario->model, pending->append.data, pending->append.size);
        return;
    }
    bool excused = life->is_cutting || partition_log_is_failed(life->log) ||
                   partition_log_is_out_of_space(life->log);
    REQUIRE(life, result == LOG_APPEND_REFUSED && excused, "an append was answered by %d, error %d",
            (int)result, pending->append.error);
    loop_defer(life->loop, &pending->release);
}

static int32_t next_sequence(const struct log_model *model, int64_t producer_id)
{
    for (size_t i = model->count; i > 0; i--) {
        const uint8_t *batch = model->batches[i - 1].bytes;
        if (batch_producer_id(batch) == producer_id && !batch_is_control(batch))
            return batch_base_sequence(batch) + batch_last_offset_delta(batch) + 1;
    }
    return 0;
}

static void append_record(struct life *life, struct batch_builder *builder, int64_t timestamp_ms)
{
    struct scenario *scenario = life->scenario;
    char key[4];
    char value[VALUE_MAX + 32];
    snprintf(key, sizeof(key), "k%02u", (unsigned)random_below(&scenario->random, COMPACT_KEYS));
    int size = snprintf(value, sizeof(value), "%llu%*s", (unsigned long long)scenario->records++,
                        1 + (int)random_below(&scenario->random, VALUE_MAX), "");
    struct record_header header = {VIEW_LITERAL("h"), view_of(value, 1)};
    struct batch_record record = {.timestamp_ms = timestamp_ms,
                                  .key = view_of(key, 3),
                                  .value = view_of(value, (size_t)size),
                                  .headers = &header,
                                  .header_count = random_chance(&scenario->random, 1, 4)};
    if (random_chance(&scenario->random, 1, 5))
        record.value = VIEW_NULL;
    klamm_assert(batch_builder_append(builder, &record));
}

static void append_data(struct life *life, int64_t producer_id, bool transactional)
{
    struct scenario *scenario = life->scenario;
    struct random_stream *random = &scenario->random;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    if (random_chance(random, 1, 3))
        options.codec = (enum compression_codec)(1 + random_below(random, 4));
    options.level = compression_level_default(options.codec);
    options.transactional = transactional;
    options.append_time = random_chance(random, 1, 8);
    options.append_time_ms = life->loop->wall_ms;
    if (producer_id > 0) {
        options.producer_id = producer_id;
        options.producer_epoch = 0;
        options.base_sequence = next_sequence(&scenario->model, producer_id);
    }
    struct batch_builder builder;
    struct view batch;
    batch_builder_init(&builder, life->loop->heap, 0, &options);
    int64_t base_ms = life->loop->wall_ms - (int64_t)random_below(random, 50);
    uint64_t count = 1 + random_below(random, RECORDS_MAX);
    for (uint64_t i = 0; i < count; i++)
        append_record(life, &builder, base_ms - (int64_t)random_below(random, 5));
    klamm_assert(batch_builder_finish(&builder, &batch) == COMPRESSION_OK);
    append_bytes(life, batch, LOG_APPEND_CLIENT);
    batch_builder_deinit(&builder);
}

static void append_marker(struct life *life, int64_t producer_id)
{
    uint8_t batch[CONTROL_RECORD_MARKER_BATCH_SIZE];
    struct control_marker marker = {.commit = random_chance(&life->scenario->random, 1, 2),
                                    .producer_id = producer_id,
                                    .producer_epoch = 0,
                                    .coordinator_epoch = 1,
                                    .timestamp_ms = life->loop->wall_ms};
    size_t size = control_record_build_marker(batch, &marker);
    append_bytes(life, view_of(batch, size), LOG_APPEND_COORDINATOR);
}

/* Producers 1 to 3 write in transactions, 4 and 5 without. */
static void operate_append(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t id = (int64_t)random_below(&scenario->random, COMPACT_PRODUCERS + 1);
    if (life->is_cutting)
        return;
    bool transactional = id >= 1 && id <= 3;
    if (transactional && compact_is_open(&scenario->model, id) &&
        random_chance(&scenario->random, 1, 3))
        append_marker(life, id);
    else
        append_data(life, id, transactional);
}

/* ---- Other operations ---- */

static void lookup_found(struct log_lookup *lookup)
{
    struct pending_lookup *pending = container_of(lookup, struct pending_lookup, lookup);
    struct life *life = pending->life;
    life->lookups--;
    REQUIRE(life, lookup->status == LOG_READ_OK || life->scenario->faults_allowed || life->cuts > 0,
            "a lookup failed on a device without faults");
    if (lookup->status == LOG_READ_OK && lookup->offset >= 0)
        REQUIRE(life, lookup->found_timestamp >= lookup->timestamp,
                "a lookup of %lld found %lld at offset %lld", (long long)lookup->timestamp,
                (long long)lookup->found_timestamp, (long long)lookup->offset);
    heap_put(life->loop->heap, MEMORY_STATE, pending, sizeof(*pending));
}

static void operate_lookup(struct life *life)
{
    if (life->lookups >= 2 || life->is_cutting)
        return;
    struct pending_lookup *pending =
        heap_must_get(life->loop->heap, MEMORY_STATE, sizeof(*pending));
    pending->life = life;
    pending->lookup = (struct log_lookup){
        .kind = LOG_LOOKUP_TIMESTAMP,
        .timestamp = life->loop->wall_ms - (int64_t)random_below(&life->scenario->random, 3000),
        .found = lookup_found};
    life->lookups++;
    partition_log_lookup(life->log, &pending->lookup);
}

static void operate_watermark(struct life *life)
{
    int64_t now = partition_log_high_watermark(life->log);
    int64_t offset =
        random_between(&life->scenario->random, now, partition_log_written_end(life->log));
    int64_t boundary = log_model_boundary(&life->scenario->model, offset);
    if (boundary > now)
        partition_log_set_high_watermark(life->log, boundary);
}

static void operate_start(struct life *life)
{
    int64_t start = partition_log_start_offset(life->log);
    int64_t limit = partition_log_high_watermark(life->log);
    if (limit <= start || life->is_cutting)
        return;
    int64_t to = start + 1 +
                 (int64_t)random_below(&life->scenario->random, (uint64_t)(limit - start) / 4 + 1);
    if (to <= limit)
        partition_log_advance_start(life->log, to);
}

static void operate_policy(struct life *life)
{
    struct log_config config = life->scenario->config;
    config.cleanup_compact = random_chance(&life->scenario->random, 3, 4);
    partition_log_set_config(life->log, &config);
}

static void cut_told(struct directory_flush_wait *wait, bool ok)
{
    struct life *life = container_of(wait, struct life, flush);
    life->is_cutting = false;
    if (!ok)
        device_failed(life);
}

static void cut_done(struct log_change *change)
{
    struct life *life = container_of(change, struct life, change);
    if (change->status != STORAGE_OK) {
        life->is_cutting = false;
        device_failed(life);
        return;
    }
    /* Until the journal has the cut on disk, a power cut may bring back what was cut. */
    log_model_cut(&life->scenario->failed, 0);
    remember_failed(life->scenario, log_model_boundary(&life->scenario->model, life->cutting_to));
    log_model_cut(&life->scenario->model, life->cutting_to);
    life->flush.done = cut_told;
    directory_owner_flush(&life->owner, &life->flush);
}

/* What was never below a high watermark may be cut, as a follower does. */
static void operate_cut(struct life *life)
{
    struct scenario *scenario = life->scenario;
    struct log_model *model = &scenario->model;
    int64_t end = partition_log_end_offset(life->log);
    int64_t low = scenario->high_watermark_max;
    if (life->is_cutting || partition_log_is_failed(life->log) || end <= low || life->warms > 0 ||
        life->lookups > 0)
        return;
    int64_t offset = random_between(&scenario->random, low, end - 1);
    int64_t boundary = log_model_boundary(model, offset);
    if (boundary < low)
        return;
    life->is_cutting = true;
    life->cuts++;
    life->cutting_to = offset;
    if (model->durable_end > boundary)
        model->durable_end = boundary;
    if (model->written_end > boundary)
        model->written_end = boundary;
    TRACE(life, "cut at %lld of [%lld, %lld)", (long long)offset, (long long)low, (long long)end);
    life->change = (struct log_change){.done = cut_done};
    partition_log_truncate(life->log, offset, &life->change);
}

static void operate(struct life *life)
{
    struct random_stream *random = &life->scenario->random;
    uint64_t draw = random_below(random, 100);
    life->scenario->operations++;
    if (draw < 60)
        operate_append(life);
    else if (draw < 66)
        begin_walk(life, random_chance(random, 1, 2), random_chance(random, 2, 3), false);
    else if (draw < 69)
        operate_lookup(life);
    else if (draw < 83)
        operate_watermark(life);
    else if (draw < 86)
        partition_log_flush(life->log);
    else if (draw < 91)
        partition_log_roll(life->log);
    else if (draw < 95)
        partition_log_maintain(life->log, false);
    else if (draw < 96)
        partition_log_begin_epoch(life->log, ++life->scenario->epoch);
    else if (draw < 97)
        operate_policy(life);
    else if (draw < 98)
        operate_cut(life);
    else if (draw < 99 && random_chance(random, 1, 4))
        operate_start(life);
    else
        cleaner_wake(&life->cleaner);
    if (!life->is_cutting)
        partition_log_check(life->log);
    note_bounds(life);
}

static void stop_begin(struct life *life);

static void on_tick(struct timer *timer)
{
    struct life *life = container_of(timer, struct life, tick);
    struct scenario *scenario = life->scenario;
    if (scenario->stop_wanted && !life->is_stopping) {
        stop_begin(life);
        return;
    }
    if (partition_log_is_failed(life->log)) {
        device_failed(life);
        return;
    }
    uint64_t count = 1 + random_below(&scenario->random, 6);
    for (uint64_t i = 0; i < count && !partition_log_is_failed(life->log); i++)
        operate(life);
    scenario->compactions = life->cleaner.counters.compactions;
    loop_set_timer(life->loop, &life->tick, random_below(&scenario->random, 5000000));
}

static void start_operations(struct life *life)
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
        device_failed(life);
    life->scenario->clean = ok && stop->is_clean;
    directory_shard_stop(&life->directory, shard_stopped);
}

static void log_closed(struct log_close *close, bool clean)
{
    struct life *life = container_of(close, struct life, close);
    struct log_model *model = &life->scenario->model;
    life->log = NULL;
    if (!clean)
        device_failed(life);
    else
        model->durable_end = log_model_end(model);
    life->stop = (struct directory_stop){.done = owner_stopped, .is_clean = clean};
    directory_owner_stop(&life->owner, &life->stop);
}

static void stop_begin(struct life *life)
{
    bool busy = life->is_cutting || life->lookups > 0 || life->warms > 0 ||
                partition_log_end_offset(life->log) != partition_log_written_end(life->log);
    if (partition_log_is_failed(life->log)) {
        device_failed(life);
        return;
    }
    if (busy) {
        loop_set_timer(life->loop, &life->tick, 1000000);
        return;
    }
    life->is_stopping = true;
    cleaner_stop(&life->cleaner);
    life->close = (struct log_close){.closed = log_closed};
    partition_log_close(life->log, &life->close);
}

/* ---- The beginning of a life ---- */

static void told_durable(void *owner, int64_t durable_end)
{
    struct life *life = owner;
    struct log_model *model = &life->scenario->model;
    if (life->is_cutting && durable_end > log_model_boundary(model, life->cutting_to))
        durable_end = log_model_boundary(model, life->cutting_to);
    if (durable_end > model->durable_end)
        model->durable_end = durable_end;
}

static void told_failed(void *owner, enum storage_status status, int64_t written_end)
{
    (void)written_end;
    if (status != STORAGE_NO_SPACE)
        device_failed(owner);
}

static const struct partition_log_events log_events = {NULL, told_durable, told_failed};

static void owner_failed(struct directory_owner *owner, enum storage_status status, void *context)
{
    (void)owner;
    (void)status;
    device_failed(context);
}

/* By the model, when markers count below `replicated`. */
static int64_t stable_offset(const struct life *life, int64_t replicated)
{
    int64_t unstable = compact_unstable_offset(&life->scenario->model, replicated);
    int64_t start = partition_log_start_offset(life->log);
    int64_t stable = partition_log_high_watermark(life->log);
    if (unstable < 0 || unstable >= stable)
        return stable;
    return unstable > start ? unstable : start;
}

/* The ends, and what the log knows of transactions. */
static void check_recovered(struct life *life)
{
    struct scenario *scenario = life->scenario;
    struct log_model *model = &scenario->model;
    int64_t end = partition_log_end_offset(life->log);
    int64_t least = scenario->durable_only ? model->durable_end : model->written_end;
    partition_log_check(life->log);
    REQUIRE(life, end >= least, "the log ends at %lld, %lld was promised", (long long)end,
            (long long)least);
    for (size_t i = 0; i < scenario->failed.count && end > log_model_end(model); i++) {
        const struct model_batch *batch = &scenario->failed.batches[i];
        if (batch->base_offset == log_model_end(model))
            log_model_add(model, batch->bytes, batch->size);
    }
    log_model_cut(&scenario->failed, 0);
    REQUIRE(life, end <= log_model_end(model), "the log ends at %lld, only %lld was appended",
            (long long)end, (long long)log_model_end(model));
    REQUIRE(life, log_model_boundary(model, end) == end, "the log ends inside a batch at %lld",
            (long long)end);
    log_model_cut(model, end);
    model->written_end = end;
    model->durable_end = partition_log_durable_end(life->log);
    if (scenario->high_watermark_max > end)
        scenario->high_watermark_max = end;
    partition_log_set_high_watermark(life->log, scenario->high_watermark_max);
    /* A snapshot does not remember transactions whose marker is not replicated yet. */
    int64_t watermark = partition_log_high_watermark(life->log);
    int64_t stable = partition_log_last_stable_offset(life->log);
    REQUIRE(life,
            stable >= stable_offset(life, watermark) && stable <= stable_offset(life, INT64_MAX),
            "the last stable offset is %lld instead of %lld to %lld", (long long)stable,
            (long long)stable_offset(life, watermark), (long long)stable_offset(life, INT64_MAX));
}

/*
 * Before the first checkpoint has an entry for it, a compacted log that loses the end of a segment
 * in a power cut is not told from one that was compacted there.
 */
static void checkpoints_known(struct directory_flush_wait *wait, bool ok)
{
    struct life *life = container_of(wait, struct life, flush);
    if (!ok)
        device_failed(life);
    else
        begin_walk(life, false, true, true);
}

static void log_opened(struct log_open_job *job)
{
    struct life *life = job->context;
    struct scenario *scenario = life->scenario;
    if (job->status != LOG_OPEN_OK) {
        REQUIRE(life, job->status == LOG_OPEN_IO, "the log is damaged: %s", job->message);
        device_failed(life);
        return;
    }
    life->log = job->log;
    scenario->opened = true;
    directory_owner_loaded(&life->owner);
    TRACE(life, "opened [%lld, %lld), first dirty %lld",
          (long long)partition_log_start_offset(life->log),
          (long long)partition_log_end_offset(life->log),
          (long long)partition_log_first_dirty(life->log));
    check_recovered(life);
    note_bounds(life);
    partition_log_begin_epoch(life->log, ++scenario->epoch);
    life->flush.done = checkpoints_known;
    directory_owner_flush(&life->owner, &life->flush);
}

static const struct log_directory_entry *find_entry(const struct log_directory_found *found)
{
    for (size_t i = 0; i < found->entry_count; i++) {
        if (strcmp(found->entries[i].name, "topic-0") == 0)
            return &found->entries[i];
    }
    return NULL;
}

static void start_directory(struct life *life, const struct log_directory_found *found)
{
    struct random_stream *random = &life->scenario->random;
    struct committer_options committer = {.is_journal_enabled = random_chance(random, 2, 3),
                                          .journal_partitions_min = 1,
                                          .journal_file_size = 5000 + random_below(random, 50000),
                                          .journal_append_max =
                                              1 + (uint32_t)random_below(random, 8000)};
    struct cleaner_options cleaner = {
        .is_enabled = true,
        .backoff_ns = (1 + random_below(random, 200)) * 1000000,
        .map_size_max = 24 * 3 / 2 * (16 + random_below(random, 40)),
        .map_load_factor = 0.9,
        .bytes_per_second = random_chance(random, 1, 4) ? 20000 + random_below(random, 500000) : 0};
    directory_owner_init(&life->owner, life->loop, 0, found, NULL, owner_failed, life);
    directory_shard_init(&life->directory, life->loop, 0, found->path.text, &life->owner,
                         &committer, NULL, NULL);
    directory_owner_attach(&life->owner, &life->directory);
    log_shard_init(&life->shard, life->loop, &(struct log_shard_options){.open_files_limit = 3});
    cleaner_permits_init(&life->permits, life->loop, 1);
    cleaner_init(&life->cleaner, &life->shard, &life->permits, &cleaner);
}

static void boot_done(struct job *job)
{
    struct life *life = container_of(job, struct life, boot.job);
    struct scenario *scenario = life->scenario;
    if (life->boot.status != LOG_BOOT_OK || life->boot.found[0].is_failed) {
        REQUIRE(life, scenario->faults_allowed, "the directory does not boot: %s",
                life->boot.message);
        device_failed(life);
        return;
    }
    const struct log_directory_found *found = &life->boot.found[0];
    REQUIRE(life, !found->is_clean || scenario->clean, "marked clean after a crash");
    scenario->clean = false;
    start_directory(life, found);
    const struct log_directory_entry *entry = find_entry(found);
    bool create = !entry || uuid_is_zero(entry->topic_id);
    REQUIRE(life, !create || scenario->model.durable_end == 0, "the partition is gone");
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
                                          .is_checkpointed = entry && entry->is_checkpointed,
                                          .recovery_point = entry ? entry->recovery_point : 0,
                                          .log_start_offset = entry ? entry->log_start_offset : 0,
                                          .high_watermark = entry ? entry->high_watermark : 0,
                                          .cleaner_offset = entry ? entry->cleaner_offset : -1},
                              .create = create,
                              .opened = log_opened,
                              .context = life};
    partition_log_open(&life->open);
}

static void boot(struct loop *loop, void *argument)
{
    struct life *life = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*life));
    static const struct uuid directory_id = {{7}};
    life->scenario = argument;
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

/* ---- Lives ---- */

static bool has_verified_or_died(void *context)
{
    const struct scenario *scenario = context;
    return scenario->verified || scenario->failed_device ||
           !sim_is_running(scenario->sim, scenario->node);
}

static bool has_ended(void *context)
{
    const struct scenario *scenario = context;
    return scenario->failed_device || !sim_is_running(scenario->sim, scenario->node);
}

static void draw_faults(struct scenario *scenario, bool last)
{
    struct random_stream *random = &scenario->random;
    struct sim_faults *faults = sim_node_faults(scenario->sim, scenario->node);
    *faults = (struct sim_faults){.test_points = scenario->options->test_points};
    scenario->faults_allowed = false;
    if (last)
        return;
    faults->append_pending = random_chance(random, 1, 2) ? 200000 : 0;
    faults->read_miss = random_chance(random, 1, 2) ? 200000 : 0;
    if (random_chance(random, 1, 4))
        faults->storage_slow = 1 + (uint32_t)random_below(random, 20);
    if (random_chance(random, 1, 4))
        faults->no_space = 5000;
    scenario->faults_allowed = random_chance(random, 1, 5);
    if (scenario->faults_allowed) {
        faults->write_error = random_chance(random, 1, 2) ? 2000 : 0;
        faults->sync_error = random_chance(random, 1, 2) ? 2000 : 0;
        faults->read_error = random_chance(random, 1, 2) ? 500 : 0;
    }
    scenario->faults_allowed = scenario->faults_allowed || faults->no_space > 0;
}

static void draw_config(struct scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    struct arena arena;
    struct heap heap;
    struct topic_config topic;
    struct log_config *config = &scenario->config;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    topic_config_default(&topic, &arena);
    log_config_of_topic(config, &topic);
    arena_deinit(&arena);
    config->segment_bytes = 1500 + (int32_t)random_below(random, 15000);
    config->index_interval_bytes = 1 + (int32_t)random_below(random, 2000);
    config->durability =
        random_chance(random, 2, 3) ? TOPIC_DURABILITY_SYNC : TOPIC_DURABILITY_CACHE;
    config->file_delete_delay_ms = (int64_t)random_below(random, 500);
    config->cleanup_compact = true;
    config->cleanup_delete = random_chance(random, 1, 4);
    if (config->cleanup_delete)
        config->retention_bytes = 30000 + (int64_t)random_below(random, 200000);
    config->min_cleanable_ratio = (double)random_below(random, 60) / 100;
    config->delete_retention_ms = (int64_t)random_below(random, 1500);
    config->min_compaction_lag_ms =
        random_chance(random, 1, 4) ? (int64_t)random_below(random, 500) : 0;
    if (random_chance(random, 1, 3))
        config->max_compaction_lag_ms =
            config->min_compaction_lag_ms + 1 + (int64_t)random_below(random, 2000);
    scenario->delete_retention_min_ms = config->delete_retention_ms;
}

static void end_life(struct scenario *scenario, bool power_cut)
{
    struct sim *sim = scenario->sim;
    bool was_running = sim_is_running(sim, scenario->node);
    power_cut = power_cut || scenario->failed_device;
    if (was_running && power_cut)
        sim_power_cut(sim, scenario->node);
    else if (was_running)
        sim_crash(sim, scenario->node);
    /* What an earlier power cut took is still missing when nobody has looked meanwhile. */
    if (power_cut)
        scenario->durable_only = true;
    else if (scenario->opened)
        scenario->durable_only = false;
}

static void live(struct scenario *scenario, bool last)
{
    struct sim *sim = scenario->sim;
    struct random_stream *random = &scenario->random;
    scenario->opened = scenario->verified = false;
    scenario->failed_device = scenario->stop_wanted = false;
    draw_faults(scenario, last);
    bool power_cut = random_chance(random, 2, 3);
    bool crash_at_call = !last && random_chance(random, 1, 2);
    if (scenario->options->chatty) {
        fprintf(stderr, "life: %s%s\n", power_cut ? "power cut" : "crash",
                crash_at_call ? " at a call" : "");
        sim_print_files(sim, scenario->node);
    }
    sim_start(sim, scenario->node);
    if (crash_at_call)
        sim_crash_at_storage_call(sim, scenario->node,
                                  1 + random_below(random, UINT64_C(1) << random_below(random, 13)),
                                  power_cut);
    bool reached = sim_run_to(sim, has_verified_or_died, scenario, sim_now_ns(sim) + limit_ns);
    sim_require(sim, reached, "the log did not open within %llu s",
                (unsigned long long)(limit_ns / 1000000000));
    sim_run_to(sim, has_ended, scenario,
               sim_now_ns(sim) + (random_below(random, 2000) + 1) * 1000000);
    if (sim_is_running(sim, scenario->node) && !scenario->failed_device &&
        random_chance(random, 1, 4)) {
        scenario->stop_wanted = true;
        reached = sim_run_to(sim, has_ended, scenario, sim_now_ns(sim) + limit_ns);
        sim_require(sim, reached, "the log did not stop within %llu s",
                    (unsigned long long)(limit_ns / 1000000000));
        if (!sim_is_running(sim, scenario->node) && scenario->clean && power_cut)
            sim_power_cut(sim, scenario->node);
    }
    end_life(scenario, power_cut);
}

void compact_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct scenario scenario = {.sim = sim, .options = options};
    random_init(&scenario.random, sim_seed(sim), 1000);
    log_model_init(&scenario.model, sim);
    log_model_init(&scenario.failed, sim);
    draw_config(&scenario);
    scenario.node = sim_add_node(
        sim, &(struct sim_node_spec){
                 .loops = 1, .boot = boot, .argument = &scenario, .chatty = options->chatty});
    uint64_t lives = 1 + random_below(&scenario.random, LIVES_MAX);
    for (uint64_t i = 0; i < lives; i++)
        live(&scenario, false);
    live(&scenario, true);
    sim_note(sim, &scenario.operations, sizeof(scenario.operations));
    log_model_deinit(&scenario.model);
    log_model_deinit(&scenario.failed);
}
