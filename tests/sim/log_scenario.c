/*
 * One partition log on one simulated node, through several lives.
 *
 * A life boots the log directory, opens the log, checks what was recovered against the model, then
 * makes random calls until the process dies, the machine loses power, the device fails, or a clean
 * stop is asked for. Deaths happen at a drawn storage call or at a drawn time. After the last life
 * the log is opened once more without faults and compared as a whole.
 *
 * Invariants checked (simulation notes, section 7): L1 and L2 by comparing every byte, L3 epochs,
 * L4 in partition_log_check, L5 lookups, L6 producers, L7 the recovered end.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "log/directory_owner.h"
#include "log/directory_shard.h"
#include "log/leader_epochs.h"
#include "log/log_directory.h"
#include "log/partition_log.h"
#include "protocol/batch.h"
#include "protocol/batch_builder.h"
#include "tests/sim/log_model.h"
#include "tests/sim/scenario.h"
#include "tests/sim/state_damage.h"

enum {
    LIVES_MAX = 6,
    PRODUCERS = 4,
    SCAN_SIZE = 64 * 1024,
    VALUE_MAX = 3000,
    READS_MAX = 4 /* under way at a time */
};

static const uint64_t open_limit_ns = UINT64_C(120) * 1000000000;
static const uint64_t stop_limit_ns = UINT64_C(120) * 1000000000;

/* ---- State outside of the node ---- */

enum expectation { EXPECT_NOTHING_LOST, EXPECT_DURABLE_ONLY };

struct scenario {
    struct sim *sim;
    const struct scenario_options *options;
    struct random_stream random;
    struct log_model model;
    struct log_model failed; /* batches whose append failed and that nothing has replaced yet */
    unsigned node;
    enum expectation expectation; /* of the last death */
    bool faults_allowed;          /* the device may fail in this life */
    bool recovered;               /* this life has opened its log */
    bool verified;                /* this life has compared its log */
    bool failed_device;           /* this life saw a device error */
    bool stop_wanted;
    bool clean;            /* the last life ended by a clean stop */
    int64_t truncating_to; /* asked for and not done when the node died; -1: none */
    struct log_config config;
    int32_t epoch;                       /* the newest leader epoch of all lives */
    struct state_damage_copy state_copy; /* of the state file of some clean stop */
    bool truncates;                      /* this run cuts the log now and then */
    uint64_t operations;
    uint64_t appended, read, looked_up;
    struct life *life; /* of the running node; its memory is the node's */
};

/* ---- State inside of the node ---- */

struct scan {
    struct life *life;
    struct log_read read;
    struct log_slice slice;
    struct log_warm warm;
    uint8_t *data; /* SCAN_SIZE */
    bool busy;
    bool whole;        /* goes on to the end, for verification */
    int64_t limit;     /* do not read behind this offset */
    uint32_t patience; /* warms in a row */
    uint64_t cuts;     /* of the life, at the start */
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
    int64_t start;
    uint64_t version;
};

struct life {
    struct scenario *scenario;
    struct loop *loop;
    struct state_damage damage;
    struct log_boot_job boot;
    struct directory_owner owner;
    struct directory_shard directory;
    struct log_shard shard;
    struct log_open_job open;
    struct partition_log *log;
    struct producer_state_options producers;
    struct timer tick;
    struct scan scans[READS_MAX];
    struct log_change change;
    struct directory_flush_wait flush_wait;
    struct directory_flush_wait checkpoint_wait;
    bool checkpointing;
    bool changing; /* until the checkpoints know of the cut */
    int64_t changing_to;
    struct log_close close;
    struct directory_stop stop;
    bool stopping;
    bool clean;       /* the directory was marked clean at boot */
    unsigned lookups; /* under way */
    unsigned warms;
    uint64_t version; /* changes with every append and cut */
    uint64_t cuts;    /* truncations asked for */
    int32_t epoch;
    char path[64];
};

#define FAIL(life, ...) sim_fail((life)->scenario->sim, __VA_ARGS__)
#define REQUIRE(life, condition, ...)                                                              \
    do {                                                                                           \
        if (!(condition))                                                                          \
            FAIL(life, __VA_ARGS__);                                                               \
    } while (0)

/* What happens, for a person who follows one seed (--chatty). */
#define TRACE(life, ...) log_debug((life)->loop->diagnostics, __VA_ARGS__)

static const char *const log_directories[] = {"/data"};

static void device_failed(struct life *life)
{
    REQUIRE(life, life->scenario->faults_allowed, "the log failed on a device without faults");
    life->scenario->failed_device = true;
}

/* ---- Comparing ---- */

static void start_operations(struct life *life);
static void scan_continue(struct scan *scan);

static void check_producers(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t end = partition_log_end_offset(life->log);
    producer_state_assert(partition_log_producers(life->log));
    for (int64_t id = 1; id <= PRODUCERS; id++) {
        struct producer_info expected, found;
        bool known = log_model_producer(&scenario->model, id, end, &expected);
        bool present = producer_state_find(partition_log_producers(life->log), id, &found);
        REQUIRE(life, known == present, "producer %lld is %s in the state of the log at %lld",
                (long long)id, present ? "unexpected" : "missing", (long long)end);
        if (!known)
            continue;
        REQUIRE(life,
                found.last_sequence == expected.last_sequence &&
                    found.producer_epoch == expected.producer_epoch &&
                    found.last_offset == expected.last_offset,
                "producer %lld: sequence %d at %lld in epoch %d instead of %d at %lld in %d",
                (long long)id, found.last_sequence, (long long)found.last_offset,
                found.producer_epoch, expected.last_sequence, (long long)expected.last_offset,
                expected.producer_epoch);
    }
}

static void check_epochs(struct life *life, int64_t from)
{
    const struct log_model *model = &life->scenario->model;
    const struct leader_epochs *epochs = partition_log_leader_epochs(life->log);
    int64_t end = partition_log_end_offset(life->log);
    for (size_t i = 0; i < model->count; i++) {
        const struct model_batch *batch = &model->batches[i];
        if (batch->base_offset < from || batch->base_offset >= end)
            continue;
        const struct leader_epoch *entry = leader_epochs_of_offset(epochs, batch->base_offset);
        int32_t expected = load_i32(BATCH_FIELD(batch->bytes, leader_epoch));
        REQUIRE(life, entry && entry->epoch == expected,
                "offset %lld is of epoch %d, the log says %d", (long long)batch->base_offset,
                expected, entry ? entry->epoch : -1);
    }
}

/* What an open log may look like after the last death; then the model follows it. */
static void check_recovered(struct life *life)
{
    struct scenario *scenario = life->scenario;
    struct log_model *model = &scenario->model;
    int64_t start = partition_log_start_offset(life->log);
    int64_t end = partition_log_end_offset(life->log);
    int64_t least =
        scenario->expectation == EXPECT_DURABLE_ONLY ? model->durable_end : model->written_end;
    TRACE(life, "recovered [%lld, %lld), durable %lld: %s", (long long)start, (long long)end,
          (long long)partition_log_durable_end(life->log), life->open.message);
    partition_log_check(life->log);
    REQUIRE(life, end >= least, "the log ends at %lld after %s, %lld was promised", (long long)end,
            scenario->expectation == EXPECT_DURABLE_ONLY ? "a power cut" : "a crash",
            (long long)least);
    for (size_t i = 0; i < scenario->failed.count && end > log_model_end(model); i++) {
        const struct model_batch *batch = &scenario->failed.batches[i];
        if (batch->base_offset == log_model_end(model))
            log_model_add(model, batch->bytes, batch->size);
    }
    log_model_cut(&scenario->failed, 0);
    REQUIRE(life, end <= log_model_end(model), "the log ends at %lld, only %lld was ever appended",
            (long long)end, (long long)log_model_end(model));
    REQUIRE(life, log_model_boundary(model, end) == end, "the log ends inside the batch at %lld",
            (long long)log_model_boundary(model, end));
    REQUIRE(life, start <= model->start_max,
            "the log starts at %lld, it was never moved above %lld", (long long)start,
            (long long)model->start_max);
    if (life->clean)
        REQUIRE(life, start == model->start_max && life->open.scanned_bytes == 0,
                "after a clean stop the log starts at %lld instead of %lld and scanned %llu bytes",
                (long long)start, (long long)model->start_max,
                (unsigned long long)life->open.scanned_bytes);
    log_model_cut(model, end);
    model->written_end = end;
    model->durable_end = partition_log_durable_end(life->log);
    scenario->recovered = true;
    check_producers(life);
    /* A log start that was not in a checkpoint yet may fall back, epochs below it do not return. */
    check_epochs(life, model->start_ever);
    model->start_max = start;
}

/* A lookup that nothing has overtaken equals a walk over all records. */
static void lookup_found(struct log_lookup *lookup)
{
    struct pending_lookup *pending = container_of(lookup, struct pending_lookup, lookup);
    struct life *life = pending->life;
    life->lookups--;
    bool comparable = pending->version == life->version &&
                      pending->start == partition_log_start_offset(life->log);
    if (lookup->status == LOG_READ_OK && comparable) {
        int64_t expected =
            log_model_lookup(&life->scenario->model, pending->start, lookup->timestamp);
        if (expected >= partition_log_written_end(life->log))
            expected = -1;
        REQUIRE(life, lookup->offset == expected,
                "the first offset at %lld ms is %lld, the log says %lld",
                (long long)lookup->timestamp, (long long)expected, (long long)lookup->offset);
    } else if (lookup->status != LOG_READ_OK) {
        REQUIRE(life, life->scenario->faults_allowed || !comparable,
                "a lookup failed on a device without faults");
    }
    heap_put(life->loop->heap, MEMORY_STATE, pending, sizeof(*pending));
}

static void scan_warmed(struct log_warm *warm)
{
    struct scan *scan = container_of(warm, struct scan, warm);
    scan->life->warms--;
    if (warm->status != LOG_READ_OK) {
        if (partition_log_is_failed(scan->life->log) || scan->life->scenario->faults_allowed) {
            scan->busy = false;
            if (scan->whole)
                device_failed(scan->life);
            return;
        }
        struct partition_log *log = scan->life->log;
        bool is_there = scan->read.offset >= partition_log_start_offset(log) &&
                        scan->read.offset < partition_log_written_end(log);
        REQUIRE(scan->life, !is_there || scan->life->changing || scan->cuts != scan->life->cuts,
                "warming offset %lld failed", (long long)scan->read.offset);
        scan->busy = false;
        return;
    }
    REQUIRE(scan->life, ++scan->patience < 5000, "offset %lld never becomes readable",
            (long long)scan->read.offset);
    scan_continue(scan);
}

static void scan_end(struct scan *scan)
{
    struct life *life = scan->life;
    scan->busy = false;
    if (!scan->whole)
        return;
    scan->whole = false;
    life->scenario->verified = true;
    start_operations(life);
}

static void scan_warm(struct scan *scan)
{
    scan->warm = (struct log_warm){.warmed = scan_warmed};
    scan->life->warms++;
    partition_log_warm(scan->life->log, &scan->read, &scan->warm);
}

/* Reads and compares; true when the scan goes on at a later offset. */
static bool scan_take(struct scan *scan)
{
    struct life *life = scan->life;
    const struct log_model *model = &life->scenario->model;
    int64_t offset = log_model_boundary(model, scan->read.offset);
    int64_t next = log_model_compare(model, offset, scan->data, scan->slice.size);
    REQUIRE(life, next > scan->read.offset, "a read of offset %lld ends at %lld",
            (long long)scan->read.offset, (long long)next);
    REQUIRE(life, next <= scan->limit, "a read went to %lld, the bound was %lld", (long long)next,
            (long long)scan->limit);
    if (scan->slice.next_offset >= 0)
        REQUIRE(life, scan->slice.next_offset == next, "a slice says %lld instead of %lld",
                (long long)scan->slice.next_offset, (long long)next);
    life->scenario->read++;
    scan->read.offset = next;
    scan->patience = 0;
    return scan->whole;
}

static void scan_continue(struct scan *scan)
{
    struct life *life = scan->life;
    for (;;) {
        if (!partition_log_is_failed(life->log) && scan->whole &&
            scan->read.offset >= partition_log_end_offset(life->log)) {
            scan_end(scan);
            return;
        }
        TRACE(life, "read %lld, at most %u bytes up to the %s", (long long)scan->read.offset,
              scan->read.max_bytes, scan->read.bound == LOG_READ_LOG_END ? "end" : "watermark");
        scan->limit = scan->read.bound == LOG_READ_LOG_END
                          ? partition_log_written_end(life->log)
                          : partition_log_high_watermark(life->log);
        enum log_read_status status = partition_log_read(life->log, &scan->read, &scan->slice);
        if (status == LOG_READ_OK && scan->slice.size > 0) {
            uint32_t size = scan->slice.size;
            REQUIRE(life, size <= SCAN_SIZE, "a read of at most %d bytes gave %u", SCAN_SIZE, size);
            status = log_slice_copy(&life->shard, &scan->slice, 0, scan->data, size);
            log_slice_release(&scan->slice);
        } else if (status == LOG_READ_OK) {
            REQUIRE(life, !scan->whole, "nothing is readable at %lld below the log end",
                    (long long)scan->read.offset);
            scan_end(scan);
            return;
        }
        if (status == LOG_READ_NEEDS_IO) {
            scan_warm(scan);
            return;
        }
        if (status == LOG_READ_OUT_OF_RANGE && !scan->whole) {
            scan_end(scan); /* cut or deleted meanwhile */
            return;
        }
        if (status == LOG_READ_FAILED) {
            device_failed(life);
            scan->busy = false;
            return;
        }
        REQUIRE(life, status == LOG_READ_OK, "offset %lld is out of range",
                (long long)scan->read.offset);
        if (!scan_take(scan)) {
            scan_end(scan);
            return;
        }
    }
}

static struct scan *free_scan(struct life *life)
{
    for (unsigned i = 0; i < READS_MAX; i++) {
        if (!life->scans[i].busy)
            return &life->scans[i];
    }
    return NULL;
}

static void scan_start(struct life *life, struct scan *scan, int64_t offset, bool whole,
                       enum log_read_bound bound)
{
    if (!scan->data)
        scan->data = heap_must_get(life->loop->heap, MEMORY_STATE, SCAN_SIZE);
    scan->life = life;
    scan->busy = true;
    scan->whole = whole;
    scan->patience = 0;
    scan->cuts = life->cuts;
    scan->read = (struct log_read){
        .offset = offset,
        .max_bytes =
            whole ? SCAN_SIZE : 1 + (uint32_t)random_below(&life->scenario->random, SCAN_SIZE),
        .min_one = true,
        .bound = bound};
    scan_continue(scan);
}

/* ---- Operations ---- */

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
    if (life->changing && scenario->truncating_to < 0)
        return;
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
    struct scan *scan = free_scan(life);
    int64_t start = partition_log_start_offset(life->log);
    int64_t end = partition_log_written_end(life->log);
    if (!scan || life->changing || partition_log_is_failed(life->log))
        return;
    int64_t offset = random_between(&life->scenario->random, start, end);
    bool whole = random_chance(&life->scenario->random, 1, 2);
    enum log_read_bound bound = whole ? LOG_READ_LOG_END : LOG_READ_HIGH_WATERMARK;
    scan_start(life, scan, offset, false, bound);
}

static void operate_lookup(struct life *life)
{
    if (life->lookups >= 2 || life->changing ||
        partition_log_written_end(life->log) != partition_log_end_offset(life->log) ||
        partition_log_is_failed(life->log))
        return;
    struct pending_lookup *pending =
        heap_must_get(life->loop->heap, MEMORY_STATE, sizeof(*pending));
    pending->life = life;
    pending->version = life->version;
    pending->start = partition_log_start_offset(life->log);
    pending->lookup = (struct log_lookup){
        .kind = LOG_LOOKUP_TIMESTAMP,
        .timestamp = life->loop->wall_ms - (int64_t)random_below(&life->scenario->random, 3000),
        .found = lookup_found};
    life->lookups++;
    life->scenario->looked_up++;
    partition_log_lookup(life->log, &pending->lookup);
}

static void checkpoints_flushed(struct directory_flush_wait *wait, bool ok)
{
    struct life *life = container_of(wait, struct life, flush_wait);
    life->changing = false;
    if (!ok)
        device_failed(life);
}

static void change_done(struct log_change *change)
{
    struct life *life = container_of(change, struct life, change);
    struct log_model *model = &life->scenario->model;
    life->scenario->truncating_to = -1;
    life->version++;
    TRACE(life, "truncated: %s", storage_status_text(change->status));
    if (change->status != STORAGE_OK) {
        life->changing = false;
        device_failed(life);
        return;
    }
    log_model_cut(model, life->changing_to);
    REQUIRE(life,
            partition_log_end_offset(life->log) == log_model_end(model) ||
                partition_log_end_offset(life->log) == life->changing_to,
            "a cut at %lld ended at %lld instead of %lld", (long long)life->changing_to,
            (long long)partition_log_end_offset(life->log), (long long)log_model_end(model));
    check_producers(life);
    check_epochs(life, model->start_ever);
    /* Until the checkpoint knows of the cut, recovery would trust what is appended now too early.
     */
    life->flush_wait.done = checkpoints_flushed;
    directory_owner_flush(&life->owner, &life->flush_wait);
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
    scenario->truncating_to = offset;
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
        device_failed(life);
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
        device_failed(life);
        return;
    }
    uint64_t count = 1 + random_below(&scenario->random, 8);
    for (uint64_t i = 0; i < count && !partition_log_is_failed(life->log); i++)
        operate(life);
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
        REQUIRE(life, close->log_end == log_model_end(model),
                "the log was closed at %lld instead of %lld", (long long)close->log_end,
                (long long)log_model_end(model));
    if (clean) {
        model->durable_end = log_model_end(model);
        model->start_max = close->log_start_offset;
        if (model->start_ever < model->start_max)
            model->start_ever = model->start_max;
    }
    life->stop = (struct directory_stop){
        .done = owner_stopped, .is_clean = clean, .broker_epoch = life->epoch};
    directory_owner_stop(&life->owner, &life->stop);
}

static void stop_begin(struct life *life)
{
    bool busy = life->changing || life->checkpointing || life->lookups > 0 || life->warms > 0 ||
                partition_log_end_offset(life->log) != partition_log_written_end(life->log);
    for (unsigned i = 0; i < READS_MAX; i++)
        busy = busy || life->scans[i].busy;
    if (busy && !partition_log_is_failed(life->log)) {
        loop_set_timer(life->loop, &life->tick, 1000000);
        return;
    }
    if (partition_log_is_failed(life->log)) {
        device_failed(life);
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
        device_failed(life);
    (void)written_end;
}

static const struct partition_log_events log_events = {told_written, told_durable, told_failed};

static void owner_failed(struct directory_owner *owner, enum storage_status status, void *context)
{
    (void)owner;
    (void)status;
    device_failed(context);
}

static void log_opened(struct log_open_job *job)
{
    struct life *life = job->context;
    if (job->status != LOG_OPEN_OK) {
        REQUIRE(life, job->status == LOG_OPEN_IO, "the log is damaged: %s", job->message);
        device_failed(life);
        return;
    }
    life->log = job->log;
    life->scenario->life = life;
    life->epoch = ++life->scenario->epoch;
    directory_owner_loaded(&life->owner);
    check_recovered(life);
    partition_log_begin_epoch(life->log, life->epoch);
    scan_start(life, &life->scans[0], partition_log_start_offset(life->log), true,
               LOG_READ_LOG_END);
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
        device_failed(life);
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
    if (!create && entry->state.size > 0) {
        life->open.log = partition_log_open_known(&life->open.options, entry->state);
        if (life->open.log) {
            log_opened(&life->open);
            return;
        }
    }
    partition_log_open(&life->open);
}

static void damage_done(struct state_damage *damage)
{
    struct life *life = container_of(damage, struct life, damage);
    loop_start_job(life->loop, &life->boot.job);
}

static void boot(struct loop *loop, void *argument)
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
    state_damage_start(&life->damage, loop, log_directories[0], &scenario->state_copy,
                       &scenario->random, damage_done);
}

/* ---- Lives ---- */

static bool has_verified_or_died(void *context)
{
    struct scenario *scenario = context;
    return scenario->verified || scenario->failed_device ||
           !sim_is_running(scenario->sim, scenario->node);
}

static bool has_ended(void *context)
{
    struct scenario *scenario = context;
    return scenario->failed_device || !sim_is_running(scenario->sim, scenario->node);
}

static void draw_faults(struct scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    struct sim_faults *faults = sim_node_faults(scenario->sim, scenario->node);
    *faults = (struct sim_faults){.test_points = scenario->options->test_points};
    if (random_chance(random, 1, 2))
        faults->append_pending = 200000;
    if (random_chance(random, 1, 2))
        faults->read_miss = 200000;
    if (random_chance(random, 1, 4))
        faults->storage_slow = 1 + (uint32_t)random_below(random, 20);
    if (random_chance(random, 1, 3))
        faults->no_space = 5000;
    scenario->faults_allowed = random_chance(random, 1, 4);
    if (scenario->faults_allowed) {
        faults->write_error = random_chance(random, 1, 2) ? 2000 : 0;
        faults->sync_error = random_chance(random, 1, 2) ? 2000 : 0;
        faults->read_error = random_chance(random, 1, 2) ? 500 : 0;
    }
    /* Refused space while opening or stopping ends in a failed directory, which is fair. */
    scenario->faults_allowed = scenario->faults_allowed || faults->no_space > 0;
}

static void draw_config(struct scenario *scenario)
{
    struct random_stream *random = &scenario->random;
    struct arena arena;
    struct heap heap;
    heap_init_plain(&heap);
    arena_init(&arena, &heap, MEMORY_SCRATCH, 0);
    struct topic_config topic;
    topic_config_default(&topic, &arena);
    log_config_of_topic(&scenario->config, &topic);
    arena_deinit(&arena);
    scenario->config.segment_bytes = 20000 + (int32_t)random_below(random, 60000);
    scenario->config.index_interval_bytes = 1 + (int32_t)random_below(random, 5000);
    scenario->config.durability =
        random_chance(random, 2, 3) ? TOPIC_DURABILITY_SYNC : TOPIC_DURABILITY_CACHE;
    scenario->config.file_delete_delay_ms = (int64_t)random_below(random, 2000);
    if (random_chance(random, 1, 3))
        scenario->config.retention_bytes = 30000 + (int64_t)random_below(random, 200000);
    if (random_chance(random, 1, 4))
        scenario->config.flush_ms = 10 + (int64_t)random_below(random, 2000);
}

/* Dies now, by power cut or as a process; after device errors only a power cut is judged. */
static void end_life(struct scenario *scenario, bool power_cut)
{
    struct sim *sim = scenario->sim;
    if (scenario->failed_device)
        power_cut = true;
    if (sim_is_running(sim, scenario->node)) {
        if (power_cut)
            sim_power_cut(sim, scenario->node);
        else
            sim_crash(sim, scenario->node);
    }
    scenario->life = NULL;
}

static void live(struct scenario *scenario, bool last)
{
    struct sim *sim = scenario->sim;
    struct random_stream *random = &scenario->random;
    scenario->recovered = scenario->verified = false;
    scenario->failed_device = scenario->stop_wanted = false;
    draw_faults(scenario);
    if (last) {
        *sim_node_faults(sim, scenario->node) =
            (struct sim_faults){.test_points = scenario->options->test_points};
        scenario->faults_allowed = false;
    }
    bool power_cut = random_chance(random, 1, 2);
    bool crash_at_call = !last && random_chance(random, 1, 2);
    if (scenario->options->chatty) {
        const struct sim_faults *faults = sim_node_faults(sim, scenario->node);
        fprintf(stderr, "life: %s%s pending %u miss %u no space %u write %u sync %u read %u\n",
                power_cut ? "power cut" : "crash", crash_at_call ? " at a call" : "",
                faults->append_pending, faults->read_miss, faults->no_space, faults->write_error,
                faults->sync_error, faults->read_error);
        sim_print_files(sim, scenario->node);
    }
    sim_start(sim, scenario->node);
    if (crash_at_call)
        sim_crash_at_storage_call(sim, scenario->node,
                                  1 + random_below(random, UINT64_C(1) << random_below(random, 12)),
                                  power_cut);
    bool reached = sim_run_to(sim, has_verified_or_died, scenario, sim_now_ns(sim) + open_limit_ns);
    sim_require(sim, reached, "the log did not open within %llu s",
                (unsigned long long)(open_limit_ns / 1000000000));
    uint64_t until = sim_now_ns(sim) + (random_below(random, 2000) + 1) * 1000000;
    sim_run_to(sim, has_ended, scenario, until);
    if (sim_is_running(sim, scenario->node) && !scenario->failed_device &&
        random_chance(random, 1, 4)) {
        scenario->stop_wanted = true;
        reached = sim_run_to(sim, has_ended, scenario, sim_now_ns(sim) + stop_limit_ns);
        sim_require(sim, reached, "the log did not stop within %llu s",
                    (unsigned long long)(stop_limit_ns / 1000000000));
        if (!sim_is_running(sim, scenario->node) && scenario->clean)
            power_cut = random_chance(random, 1, 2);
        if (scenario->clean && power_cut)
            sim_power_cut(sim, scenario->node);
    }
    bool was_power = power_cut || scenario->failed_device;
    end_life(scenario, power_cut);
    /* What an earlier power cut took is still missing when nobody has looked meanwhile. */
    if (was_power)
        scenario->expectation = EXPECT_DURABLE_ONLY;
    else if (scenario->recovered)
        scenario->expectation = EXPECT_NOTHING_LOST;
}

void log_scenario_run(struct sim *sim, const struct scenario_options *options)
{
    struct scenario scenario = {.sim = sim, .options = options, .truncating_to = -1};
    random_init(&scenario.random, sim_seed(sim), 1000);
    log_model_init(&scenario.model, sim);
    log_model_init(&scenario.failed, sim);
    draw_config(&scenario);
    scenario.truncates = options->truncates && random_chance(&scenario.random, 1, 2);
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
