/*
 * One life of the node: damages the state file, boots, has the log checked against the model, then
 * makes random calls.
 */
#include "base/assert.h"
#include "protocol/batch.h"
#include "protocol/batch_builder.h"
#include "tests/sim/log_life.h"

enum { VALUE_MAX = 3000 };

/* ---- Operations ---- */

static int32_t next_sequence(const struct log_model *model, int64_t producer_id)
{
    struct producer_info info;
    if (!log_model_producer(model, producer_id, INT64_MAX, &info))
        return 0;
    return info.last_sequence + 1;
}

/* Builds a batch and appends it. */
static enum log_append_result append(struct life *life, const struct batch_options *options,
                                     int32_t records, const struct log_append **append)
{
    struct random_stream *random = &life->scenario->lives.random;
    struct batch_builder builder;
    batch_builder_init(&builder, life->node.loop->heap, 0, options);
    static uint8_t value[VALUE_MAX];
    int64_t base_ms = life->node.loop->wall_ms - (int64_t)random_below(random, 50);
    for (int32_t i = 0; i < records; i++) {
        size_t size = random_below(random, random_chance(random, 1, 8) ? VALUE_MAX : 100);
        random_fill(random, value, size < 16 ? size : 16);
        struct batch_record record = {.timestamp_ms = base_ms + i, .value = view_of(value, size)};
        klamm_assert(batch_builder_append(&builder, &record));
    }
    struct view batch;
    klamm_assert(batch_builder_finish(&builder, &batch) == COMPRESSION_OK);
    enum log_append_result result = log_node_append(&life->node, batch, LOG_APPEND_CLIENT, append);
    batch_builder_deinit(&builder);
    return result;
}

static void operate_append(struct life *life)
{
    struct random_stream *random = &life->scenario->lives.random;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    if (random_chance(random, 2, 3)) {
        options.producer_id = 1 + (int64_t)random_below(random, PRODUCERS);
        options.producer_epoch = 0;
        options.base_sequence = next_sequence(&life->scenario->lives.model, options.producer_id);
    }
    const struct log_append *answer;
    enum log_append_result result =
        append(life, &options, 1 + (int32_t)random_below(random, 5), &answer);
    REQUIRE(life, result != LOG_APPEND_DUPLICATE, "a new batch was taken for a duplicate");
    REQUIRE(life, result == LOG_APPEND_QUEUED || log_node_may_refuse(&life->node),
            "an append was refused with %d", answer->error);
}

/* Sends the newest batch of a producer again, as a client does that missed the answer. */
static void operate_retry(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t id = 1 + (int64_t)random_below(&scenario->lives.random, PRODUCERS);
    struct producer_info info;
    if (!log_model_producer(&scenario->lives.model, id, INT64_MAX, &info) ||
        log_node_may_refuse(&life->node))
        return;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.producer_id = id;
    options.producer_epoch = info.producer_epoch;
    options.base_sequence = info.last_sequence - info.offset_delta;
    const struct log_append *answer;
    enum log_append_result result = append(life, &options, info.offset_delta + 1, &answer);
    if (log_node_may_refuse(&life->node))
        return; /* it wrote the queue first */
    REQUIRE(life, result == LOG_APPEND_DUPLICATE,
            "a retry of producer %lld, sequence %d, was not recognised (%d)", (long long)id,
            info.last_sequence, result == LOG_APPEND_REFUSED ? (int)answer->error : 0);
    REQUIRE(life,
            answer->last_offset == info.last_offset &&
                answer->base_offset == info.last_offset - info.offset_delta,
            "a retry was told offset %lld instead of %lld", (long long)answer->last_offset,
            (long long)info.last_offset);
}

static void operate_read(struct life *life)
{
    struct random_stream *random = &life->scenario->lives.random;
    int64_t start = partition_log_start_offset(life->node.log);
    int64_t end = partition_log_written_end(life->node.log);
    if (life->node.is_cutting || partition_log_is_failed(life->node.log))
        return;
    int64_t offset = random_between(random, start, end);
    bool whole = random_chance(random, 1, 2);
    log_check_read(life, offset, whole ? LOG_READ_LOG_END : LOG_READ_HIGH_WATERMARK);
}

static void operate_lookup(struct life *life)
{
    if (life->node.lookups >= 2 || life->node.is_cutting ||
        partition_log_written_end(life->node.log) != partition_log_end_offset(life->node.log) ||
        partition_log_is_failed(life->node.log))
        return;
    int64_t age_ms = (int64_t)random_below(&life->scenario->lives.random, 3000);
    log_check_lookup(life, life->node.loop->wall_ms - age_ms);
}

static void change_done(struct log_change *change)
{
    struct life *life = container_of(change, struct life, node.change);
    struct log_model *model = &life->scenario->lives.model;
    life->node.is_cutting = false;
    life->node.version++;
    TRACE(&life->node, "truncated: %s", storage_status_text(change->status));
    if (change->status != STORAGE_OK) {
        log_node_device_failed(&life->node);
        return;
    }
    log_model_cut(model, life->node.cutting_to);
    REQUIRE(life,
            partition_log_end_offset(life->node.log) == log_model_end(model) ||
                partition_log_end_offset(life->node.log) == life->node.cutting_to,
            "a cut at %lld ended at %lld instead of %lld", (long long)life->node.cutting_to,
            (long long)partition_log_end_offset(life->node.log), (long long)log_model_end(model));
    log_check_producers(life);
    log_check_epochs(life, model->start_ever);
}

static void operate_truncate(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t start = partition_log_start_offset(life->node.log);
    int64_t end = partition_log_end_offset(life->node.log);
    if (!scenario->truncates || life->node.is_cutting || partition_log_is_failed(life->node.log) ||
        end <= start || life->node.warms > 0 || life->node.lookups > 0)
        return;
    int64_t low = end - 1 - (int64_t)random_below(&scenario->lives.random, 60);
    int64_t offset = low < start ? start : low;
    /* Between the log start and the batch that holds it there is no room for a new batch. */
    if (log_model_boundary(&scenario->lives.model, offset) < start)
        return;
    log_node_cut(&life->node, offset, change_done);
}

static void operate_start(struct life *life)
{
    struct scenario *scenario = life->scenario;
    int64_t start = partition_log_start_offset(life->node.log);
    int64_t limit = partition_log_high_watermark(life->node.log);
    if (limit <= start || life->node.is_cutting)
        return;
    int64_t to =
        start + 1 + (int64_t)random_below(&scenario->lives.random, (uint64_t)(limit - start));
    TRACE(&life->node, "start moves from %lld to %lld", (long long)start, (long long)to);
    REQUIRE(life, partition_log_advance_start(life->node.log, to),
            "the log start may not move to %lld", (long long)to);
}

/* Watermarks are log ends of replicas, so they lie between batches. */
static void operate_watermark(struct life *life)
{
    int64_t start = partition_log_start_offset(life->node.log);
    int64_t offset = random_between(&life->scenario->lives.random, start,
                                    partition_log_written_end(life->node.log));
    int64_t boundary = log_model_boundary(&life->scenario->lives.model, offset);
    int64_t now =
        partition_log_set_high_watermark(life->node.log, boundary < start ? start : boundary);
    TRACE(&life->node, "high watermark %lld", (long long)now);
}

static void checkpointed(struct directory_flush_wait *wait, bool ok)
{
    struct life *life = container_of(wait, struct life, checkpoint_wait);
    life->checkpointing = false;
    if (!ok)
        log_node_device_failed(&life->node);
}

static void operate_checkpoint(struct life *life)
{
    if (life->checkpointing)
        return;
    life->checkpointing = true;
    life->checkpoint_wait.done = checkpointed;
    directory_owner_flush(&life->node.owner, &life->checkpoint_wait);
}

static void operate(struct log_node *node)
{
    struct life *life = container_of(node, struct life, node);
    struct random_stream *random = &life->scenario->lives.random;
    uint64_t draw = random_below(random, 100);
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
        partition_log_flush(life->node.log);
    else if (draw < 92)
        operate_truncate(life);
    else if (draw < 93)
        operate_start(life);
    else if (draw < 95)
        partition_log_roll(life->node.log);
    else if (draw < 97)
        partition_log_begin_epoch(life->node.log, ++life->scenario->lives.epoch);
    else if (draw < 99)
        partition_log_maintain(life->node.log, false);
    else
        operate_checkpoint(life);
    int64_t start = partition_log_start_offset(life->node.log);
    struct log_model *model = &life->scenario->lives.model;
    if (start > model->start_max)
        model->start_max = start;
    if (start > model->start_ever)
        model->start_ever = start;
}

/* ---- A life ---- */

static bool is_busy(struct log_node *node)
{
    const struct life *life = container_of(node, struct life, node);
    return life->checkpointing || log_checks_are_busy(life);
}

static void opened(struct log_node *node)
{
    struct life *life = container_of(node, struct life, node);
    log_check_recovered(life);
    partition_log_begin_epoch(node->log, node->lives->epoch);
    log_check_whole(life);
}

static const struct log_node_events node_events = {.opened = opened,
                                                   .operate = operate,
                                                   .is_busy = is_busy,
                                                   .operations_max = 8,
                                                   .opens_known = true,
                                                   .journal_size_min = 10000,
                                                   .journal_size_range = 200000};

static void damage_done(struct state_damage *damage)
{
    log_node_boot(&container_of(damage, struct life, damage)->node);
}

void log_life_boot(struct loop *loop, void *argument)
{
    struct life *life = heap_must_get(loop->heap, MEMORY_STATE, sizeof(*life));
    struct log_lives *lives = argument;
    life->scenario = container_of(lives, struct scenario, lives);
    log_node_init(&life->node, loop, lives, &node_events);
    state_damage_start(&life->damage, loop, log_node_directories[0], &life->scenario->state_copy,
                       &lives->random, damage_done);
}
