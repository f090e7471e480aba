/*
 * One life of the node: walks over the log, then appends keyed records (plain, idempotent, in
 * transactions that commit or abort), rolls, reads and lets a cleaner compact. What a walk must
 * find is in compact_model.h.
 */
#include <stdio.h>

#include "base/assert.h"
#include "log/partition_log_internal.h"
#include "protocol/batch_builder.h"
#include "protocol/control_record.h"
#include "tests/sim/compact_life.h"

enum { RECORDS_MAX = 5, VALUE_MAX = 60 };

/* ---- Appending ---- */

static void append_bytes(struct life *life, struct view bytes, enum log_append_origin origin)
{
    const struct log_append *answer;
    enum log_append_result result = log_node_append(&life->node, bytes, origin, &answer);
    bool is_refused = result == LOG_APPEND_REFUSED && log_node_may_refuse(&life->node);
    REQUIRE(life, result == LOG_APPEND_QUEUED || is_refused,
            "an append was answered by %d, error %d", (int)result, answer->error);
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
    snprintf(key, sizeof(key), "k%02u",
             (unsigned)random_below(&scenario->lives.random, COMPACT_KEYS));
    int size = snprintf(value, sizeof(value), "%llu%*s", (unsigned long long)scenario->records++,
                        1 + (int)random_below(&scenario->lives.random, VALUE_MAX), "");
    struct record_header header = {VIEW_LITERAL("h"), view_of(value, 1)};
    struct batch_record record = {.timestamp_ms = timestamp_ms,
                                  .key = view_of(key, 3),
                                  .value = view_of(value, (size_t)size),
                                  .headers = &header,
                                  .header_count = random_chance(&scenario->lives.random, 1, 4)};
    if (random_chance(&scenario->lives.random, 1, 5))
        record.value = VIEW_NULL;
    klamm_assert(batch_builder_append(builder, &record));
}

static void append_data(struct life *life, int64_t producer_id, bool transactional)
{
    struct scenario *scenario = life->scenario;
    struct random_stream *random = &scenario->lives.random;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    if (random_chance(random, 1, 3))
        options.codec = (enum compression_codec)(1 + random_below(random, 4));
    options.level = compression_level_default(options.codec);
    options.transactional = transactional;
    options.append_time = random_chance(random, 1, 8);
    options.append_time_ms = life->node.loop->wall_ms;
    if (producer_id > 0) {
        options.producer_id = producer_id;
        options.producer_epoch = 0;
        options.base_sequence = next_sequence(&scenario->lives.model, producer_id);
    }
    struct batch_builder builder;
    struct view batch;
    batch_builder_init(&builder, life->node.loop->heap, 0, &options);
    int64_t base_ms = life->node.loop->wall_ms - (int64_t)random_below(random, 50);
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
    struct control_marker marker = {.commit = random_chance(&life->scenario->lives.random, 1, 2),
                                    .producer_id = producer_id,
                                    .producer_epoch = 0,
                                    .coordinator_epoch = 1,
                                    .timestamp_ms = life->node.loop->wall_ms};
    size_t size = control_record_build_marker(batch, &marker);
    append_bytes(life, view_of(batch, size), LOG_APPEND_COORDINATOR);
}

/* Producers 1 to 3 write in transactions, 4 and 5 without. */
static void operate_append(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t id = (int64_t)random_below(&scenario->lives.random, COMPACT_PRODUCERS + 1);
    if (life->node.is_cutting)
        return;
    bool transactional = id >= 1 && id <= 3;
    if (transactional && compact_is_open(&scenario->lives.model, id) &&
        random_chance(&scenario->lives.random, 1, 3))
        append_marker(life, id);
    else
        append_data(life, id, transactional);
}

/* ---- Other operations ---- */

struct pending_lookup {
    struct log_lookup lookup;
    struct life *life;
};

static void lookup_found(struct log_lookup *lookup)
{
    struct pending_lookup *pending = container_of(lookup, struct pending_lookup, lookup);
    struct life *life = pending->life;
    life->node.lookups--;
    REQUIRE(life,
            lookup->status == LOG_READ_OK || life->scenario->lives.faults_allowed ||
                life->node.cuts > 0,
            "a lookup failed on a device without faults");
    if (lookup->status == LOG_READ_OK && lookup->offset >= 0)
        REQUIRE(life, lookup->found_timestamp >= lookup->timestamp,
                "a lookup of %lld found %lld at offset %lld", (long long)lookup->timestamp,
                (long long)lookup->found_timestamp, (long long)lookup->offset);
    heap_put(life->node.loop->heap, MEMORY_STATE, pending, sizeof(*pending));
}

static void operate_lookup(struct life *life)
{
    if (life->node.lookups >= 2 || life->node.is_cutting)
        return;
    struct pending_lookup *pending =
        heap_must_get(life->node.loop->heap, MEMORY_STATE, sizeof(*pending));
    pending->life = life;
    pending->lookup =
        (struct log_lookup){.kind = LOG_LOOKUP_TIMESTAMP,
                            .timestamp = life->node.loop->wall_ms -
                                         (int64_t)random_below(&life->scenario->lives.random, 3000),
                            .found = lookup_found};
    life->node.lookups++;
    partition_log_lookup(life->node.log, &pending->lookup);
}

static void operate_watermark(struct life *life)
{
    int64_t now = partition_log_high_watermark(life->node.log);
    int64_t offset = random_between(&life->scenario->lives.random, now,
                                    partition_log_written_end(life->node.log));
    int64_t boundary = log_model_boundary(&life->scenario->lives.model, offset);
    if (boundary > now)
        partition_log_set_high_watermark(life->node.log, boundary);
}

static void operate_start(struct life *life)
{
    int64_t start = partition_log_start_offset(life->node.log);
    int64_t limit = partition_log_high_watermark(life->node.log);
    if (limit <= start || life->node.is_cutting)
        return;
    int64_t to =
        start + 1 +
        (int64_t)random_below(&life->scenario->lives.random, (uint64_t)(limit - start) / 4 + 1);
    if (to <= limit)
        partition_log_advance_start(life->node.log, to);
}

static void operate_policy(struct life *life)
{
    struct log_config config = life->scenario->lives.config;
    config.cleanup_compact = random_chance(&life->scenario->lives.random, 3, 4);
    partition_log_set_config(life->node.log, &config);
}

static void cut_told(struct directory_flush_wait *wait, bool ok)
{
    struct life *life = container_of(wait, struct life, flush);
    life->node.is_cutting = false;
    if (!ok)
        log_node_device_failed(&life->node);
    else
        log_model_cut(&life->scenario->lives.failed, 0); /* it cannot come back any more */
}

static void cut_done(struct log_change *change)
{
    struct life *life = container_of(change, struct life, node.change);
    if (change->status != STORAGE_OK) {
        life->node.is_cutting = false;
        log_node_device_failed(&life->node);
        return;
    }
    /* Until the journal has the cut on disk, a power cut may bring back what was cut. */
    struct log_lives *lives = &life->scenario->lives;
    log_node_remember_failed(lives, log_model_boundary(&lives->model, life->node.cutting_to));
    log_model_cut(&lives->model, life->node.cutting_to);
    life->flush.done = cut_told;
    directory_owner_flush(&life->node.owner, &life->flush);
}

/* What was never below a high watermark may be cut, as a follower does. */
static void operate_cut(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t end = partition_log_end_offset(life->node.log);
    int64_t low = scenario->high_watermark_max;
    if (life->node.is_cutting || partition_log_is_failed(life->node.log) || end <= low ||
        life->node.warms > 0 || life->node.lookups > 0)
        return;
    int64_t offset = random_between(&scenario->lives.random, low, end - 1);
    int64_t boundary = log_model_boundary(&scenario->lives.model, offset);
    if (boundary < low)
        return;
    log_node_cut(&life->node, offset, cut_done);
}

/* Whatever was compacted lies below this. */
static void note_bounds(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t base = partition_log_active_segment_base(life->node.log);
    int64_t watermark = partition_log_high_watermark(life->node.log);
    if (base > scenario->compacted_to)
        scenario->compacted_to = base;
    if (watermark > scenario->high_watermark_max)
        scenario->high_watermark_max = watermark;
}

static void operate(struct log_node *node)
{
    struct life *life = container_of(node, struct life, node);
    struct random_stream *random = &life->scenario->lives.random;
    uint64_t draw = random_below(random, 100);
    if (draw < 60)
        operate_append(life);
    else if (draw < 66)
        compact_read_begin(life, random_chance(random, 1, 2), random_chance(random, 2, 3), false);
    else if (draw < 69)
        operate_lookup(life);
    else if (draw < 83)
        operate_watermark(life);
    else if (draw < 86)
        partition_log_flush(life->node.log);
    else if (draw < 91)
        partition_log_roll(life->node.log);
    else if (draw < 95)
        partition_log_maintain(life->node.log, false);
    else if (draw < 96)
        partition_log_begin_epoch(life->node.log, ++life->scenario->lives.epoch);
    else if (draw < 97)
        operate_policy(life);
    else if (draw < 98)
        operate_cut(life);
    else if (draw < 99 && random_chance(random, 1, 4))
        operate_start(life);
    else
        cleaner_wake(&life->cleaner);
    note_bounds(life);
}

/* ---- A life ---- */

/* By the model, when markers count below `replicated`. */
static int64_t stable_offset(const struct life *life, int64_t replicated)
{
    int64_t unstable = compact_unstable_offset(&life->scenario->lives.model, replicated);
    int64_t start = partition_log_start_offset(life->node.log);
    int64_t stable = partition_log_high_watermark(life->node.log);
    if (unstable < 0 || unstable >= stable)
        return stable;
    return unstable > start ? unstable : start;
}

/* The ends, and what the log knows of transactions. */
static void check_recovered(struct life *life)
{
    struct scenario *scenario = life->scenario;
    struct partition_log *log = life->node.log;
    log_node_check_end(&life->node);
    log_node_follow(&life->node);
    if (scenario->high_watermark_max > partition_log_end_offset(log))
        scenario->high_watermark_max = partition_log_end_offset(log);
    partition_log_set_high_watermark(log, scenario->high_watermark_max);
    /* A snapshot does not remember transactions whose marker is not replicated yet. */
    int64_t watermark = partition_log_high_watermark(log);
    int64_t stable = partition_log_last_stable_offset(log);
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
        log_node_device_failed(&life->node);
    else
        compact_read_begin(life, false, true, true);
}

static void opened(struct log_node *node)
{
    struct life *life = container_of(node, struct life, node);
    TRACE(node, "first dirty %lld", (long long)partition_log_first_dirty(node->log));
    check_recovered(life);
    note_bounds(life);
    partition_log_begin_epoch(node->log, node->lives->epoch);
    life->flush.done = checkpoints_known;
    directory_owner_flush(&node->owner, &life->flush);
}

static void booted(struct log_node *node)
{
    struct life *life = container_of(node, struct life, node);
    struct random_stream *random = &node->lives->random;
    struct cleaner_options cleaner = {
        .is_enabled = true,
        .backoff_ns = (1 + random_below(random, 200)) * 1000000,
        .map_size_max = 24 * 3 / 2 * (16 + random_below(random, 40)),
        .map_load_factor = 0.9,
        .bytes_per_second = random_chance(random, 1, 4) ? 20000 + random_below(random, 500000) : 0,
        .time_percent =
            random_chance(random, 1, 2) ? 100 : (unsigned)(1 + random_below(random, 100))};
    cleaner_permits_init(&life->permits, node->loop, 1);
    cleaner_init(&life->cleaner, &node->shard, &life->permits, &cleaner);
}

static bool is_busy(struct log_node *node)
{
    return node->lookups > 0 || node->warms > 0;
}

static void closing(struct log_node *node)
{
    cleaner_stop(&container_of(node, struct life, node)->cleaner);
}

static const struct log_node_events node_events = {.booted = booted,
                                                   .opened = opened,
                                                   .operate = operate,
                                                   .is_busy = is_busy,
                                                   .closing = closing,
                                                   .operations_max = 6,
                                                   .journal_size_min = 5000,
                                                   .journal_size_range = 50000,
                                                   .journal_partitions_min = 1};

void compact_life_boot(struct loop *loop, void *argument)
{
    struct life *life = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*life));
    struct log_lives *lives = argument;
    life->scenario = container_of(lives, struct scenario, lives);
    log_node_init(&life->node, loop, lives, &node_events);
    log_node_boot(&life->node);
}
