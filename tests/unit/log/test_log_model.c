/*
 * Random operations on a log, compared with a plain list of batches: appends (also slow and failing
 * ones), truncation, log start, retention, rolling, reads, clean restarts and power cuts. Device
 * requests complete in random order.
 *
 * What must hold: an append that was told written is in the log until a truncation or a crash; what
 * was told durable survives a crash; what is read is what was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "tests/unit/log/log_fixture.h"

enum { BATCHES_MAX = 20000, PENDING_MAX = 64, SEEDS = 300, OPERATIONS = 600 };

struct model_batch {
    int64_t base, last;
    uint8_t *data;
    size_t size;
};

struct pending {
    struct log_append append;
    struct model *model;
    uint8_t *data;
    bool in_use;
};

struct model {
    struct log_fixture fixture;
    struct random_stream random;
    struct model_batch batches[BATCHES_MAX];
    size_t count;
    struct pending pending[PENDING_MAX];
    struct log_change change;
    int64_t cut_offset; /* of the truncation under way, or -1 */
};

static uint64_t draw(struct model *model, uint64_t bound)
{
    return random_below(&model->random, bound);
}

static int64_t model_end(const struct model *model)
{
    return model->count ? model->batches[model->count - 1].last + 1 : 0;
}

static void forget_from(struct model *model, int64_t offset)
{
    while (model->count && model->batches[model->count - 1].last >= offset)
        free(model->batches[--model->count].data);
}

static void append_done(struct log_append *append)
{
    struct pending *pending = container_of(append, struct pending, append);
    struct model *model = pending->model;
    if (append->error == KAFKA_ERROR_NONE) {
        assert_true(model->count < BATCHES_MAX);
        assert_true(append->base_offset >= model_end(model));
        model->batches[model->count++] = (struct model_batch){
            append->base_offset, append->last_offset, pending->data, append->size};
    } else {
        free(pending->data);
    }
    pending->in_use = false;
}

static void do_append(struct model *model)
{
    struct pending *pending = NULL;
    for (size_t i = 0; i < PENDING_MAX && !pending; i++) {
        if (!model->pending[i].in_use)
            pending = &model->pending[i];
    }
    if (!pending)
        return;
    struct fixture_append append;
    struct batch_options options = fixture_options();
    fixture_batch(&model->fixture, &append, &options, 1 + (int32_t)draw(model, 4), draw(model, 600),
                  model->fixture.node.wall_ms - (int64_t)draw(model, 1000));
    *pending = (struct pending){.model = model, .data = append.data, .in_use = true};
    pending->append = append.append;
    pending->append.origin = LOG_APPEND_CLIENT;
    pending->append.leader_epoch = (int32_t)(model->count / 50);
    pending->append.done = append_done;
    if (partition_log_append(model->fixture.log, &pending->append) == LOG_APPEND_QUEUED)
        return;
    assert_int_equal(pending->append.error, KAFKA_ERROR_KAFKA_STORAGE_ERROR);
    free(pending->data);
    pending->in_use = false;
}

/* Runs with requests held back, completing some in random order; or everything. */
static void run(struct model *model, bool all)
{
    struct memory_node *node = &model->fixture.node;
    node->hold = true;
    memory_node_run(node);
    while (memory_node_held(node) > 0 && (all || draw(model, 3) > 0)) {
        /* Writes of one file stay in order: there is at most one. */
        memory_node_complete(node, draw(model, memory_node_held(node)));
        memory_node_run(node);
    }
}

static void truncated(struct log_change *change)
{
    struct model *model = container_of(change, struct model, change);
    if (change->status == STORAGE_NO_SPACE) {
        model->cut_offset = -1;
        return;
    }
    assert_int_equal(change->status, STORAGE_OK);
    forget_from(model, model->cut_offset);
    int64_t start = partition_log_start_offset(model->fixture.log);
    int64_t end = model_end(model) > start ? model_end(model) : start;
    assert_int_equal(partition_log_end_offset(model->fixture.log), end);
    model->cut_offset = -1;
}

static void do_truncate(struct model *model)
{
    struct partition_log *log = model->fixture.log;
    int64_t start = partition_log_start_offset(log);
    int64_t end = partition_log_end_offset(log);
    if (model->cut_offset >= 0 || start == end)
        return;
    model->cut_offset = end - 1 - (int64_t)draw(model, (uint64_t)(end - start) / 4 + 1);
    if (model->cut_offset < start)
        model->cut_offset = start;
    model->change = (struct log_change){.done = truncated};
    partition_log_truncate(log, model->cut_offset, &model->change);
}

static void do_watermark(struct model *model)
{
    struct partition_log *log = model->fixture.log;
    int64_t end = partition_log_written_end(log);
    int64_t low = partition_log_high_watermark(log);
    if (end > low)
        partition_log_set_high_watermark(log,
                                         low + (int64_t)draw(model, (uint64_t)(end - low) + 1));
}

static void do_start(struct model *model)
{
    struct partition_log *log = model->fixture.log;
    int64_t low = partition_log_start_offset(log);
    int64_t high = partition_log_high_watermark(log);
    assert_true(
        partition_log_advance_start(log, low + (int64_t)draw(model, (uint64_t)(high - low) + 1)));
}

/* The batch of the model that holds `offset`. */
static const struct model_batch *find_batch(const struct model *model, int64_t offset)
{
    for (size_t i = 0; i < model->count; i++) {
        if (model->batches[i].last >= offset)
            return &model->batches[i];
    }
    return NULL;
}

static void compare(struct model *model, const struct log_slice *slice, int64_t offset)
{
    uint8_t *data = malloc(slice->size);
    assert_int_equal(log_slice_copy(&model->fixture.shard, slice, 0, data, slice->size),
                     LOG_READ_OK);
    struct view rest = view_of(data, slice->size);
    struct view batch;
    while (batch_next(&rest, &batch) == BATCH_OK) {
        const struct model_batch *expected = find_batch(model, offset);
        if (!expected)
            break; /* written, but not told yet */
        assert_int_equal(batch.size, expected->size);
        assert_memory_equal(batch.data, expected->data, batch.size);
        offset = expected->last + 1;
    }
    free(data);
}

static void do_read(struct model *model)
{
    struct partition_log *log = model->fixture.log;
    int64_t start = partition_log_start_offset(log);
    int64_t end = partition_log_written_end(log);
    struct log_read read = {.offset = start + (int64_t)draw(model, (uint64_t)(end - start) + 1),
                            .max_bytes = (uint32_t)draw(model, 20000),
                            .min_one = true,
                            .bound = draw(model, 2) ? LOG_READ_LOG_END : LOG_READ_HIGH_WATERMARK};
    int64_t bound = read.bound == LOG_READ_LOG_END ? end : partition_log_high_watermark(log);
    struct log_slice slice;
    enum log_read_status status = partition_log_read(log, &read, &slice);
    if (status == LOG_READ_NEEDS_IO)
        return; /* a file is not open; other tests warm */
    assert_int_equal(status, LOG_READ_OK);
    if (slice.size > 0)
        compare(model, &slice, read.offset);
    else
        assert_true(read.offset >= bound || !find_batch(model, read.offset) ||
                    find_batch(model, read.offset)->last >= bound);
    log_slice_release(&slice);
}

static void settle(struct model *model)
{
    model->fixture.node.slow = false;
    model->fixture.node.failure[STORAGE_WRITE].status = STORAGE_OK;
    run(model, true);
    assert_int_equal(model->cut_offset, -1);
    model->fixture.node.hold = false;
    memory_node_run(&model->fixture.node);
}

static void check_all(struct model *model)
{
    struct partition_log *log = model->fixture.log;
    int64_t start = partition_log_start_offset(log);
    assert_int_equal(fixture_scan(&model->fixture, 4000), partition_log_end_offset(log));
    assert_true(partition_log_end_offset(log) >= model_end(model));
    struct log_read read = {.offset = start, .max_bytes = 1 << 20, .min_one = true};
    struct log_slice slice;
    assert_int_equal(fixture_read(&model->fixture, &read, &slice), LOG_READ_OK);
    if (slice.size)
        compare(model, &slice, start);
    log_slice_release(&slice);
}

static void do_restart(struct model *model)
{
    settle(model);
    struct log_fixture *fixture = &model->fixture;
    int64_t end = partition_log_end_offset(fixture->log);
    fixture_close(fixture);
    assert_true(fixture->closed_clean);
    fixture_open(fixture);
    assert_non_null(fixture->log);
    assert_int_equal(fixture->scanned_bytes, 0);
    assert_int_equal(partition_log_end_offset(fixture->log), end);
    check_all(model);
}

static void do_crash(struct model *model)
{
    struct log_fixture *fixture = &model->fixture;
    settle(model);
    int64_t durable = partition_log_durable_end(fixture->log);
    fixture->log_start = 0; /* forgotten: the checkpoint is old */
    fixture_crash(fixture);
    assert_int_equal(fixture->open_status, LOG_OPEN_OK);
    assert_true(partition_log_end_offset(fixture->log) >= durable);
    forget_from(model, partition_log_end_offset(fixture->log));
    check_all(model);
}

static void step(struct model *model)
{
    struct log_fixture *fixture = &model->fixture;
    uint64_t kind = draw(model, 100);
    if (kind < 50)
        do_append(model);
    else if (kind < 60)
        do_read(model);
    else if (kind < 68)
        do_watermark(model);
    else if (kind < 70)
        do_start(model);
    else if (kind < 73)
        do_truncate(model);
    else if (kind < 76)
        partition_log_roll(fixture->log);
    else if (kind < 80)
        partition_log_maintain(fixture->log, false);
    else if (kind < 82)
        partition_log_flush(fixture->log);
    else if (kind < 84)
        memory_node_fail(&fixture->node, STORAGE_WRITE, 0, STORAGE_NO_SPACE);
    else if (kind < 86)
        fixture->node.slow = !fixture->node.slow;
    else if (kind < 88)
        memory_node_advance(&fixture->node, UINT64_C(1500000000));
    else if (kind < 89)
        do_restart(model);
    else if (kind < 90)
        do_crash(model);
    else
        run(model, kind < 92);
    partition_log_check(fixture->log);
    committer_assert(&fixture->directory.committer);
}

static void run_seed(uint64_t seed)
{
    struct model *model = calloc(1, sizeof(*model));
    struct log_fixture *fixture = &model->fixture;
    fixture_init(fixture);
    random_init(&model->random, seed, 0);
    model->cut_offset = -1;
    fixture->config.segment_bytes = 4000 + (int32_t)draw(model, 20000);
    fixture->config.index_interval_bytes = 200 + (int32_t)draw(model, 3000);
    fixture->config.retention_bytes = draw(model, 3) ? -1 : 30000;
    if (draw(model, 2))
        fixture->config.durability = TOPIC_DURABILITY_CACHE;
    fixture->shard.retention_interval_ns = UINT64_C(2000000000);
    fixture_create(fixture);
    for (int i = 0; i < OPERATIONS; i++)
        step(model);
    settle(model);
    check_all(model);
    fixture_deinit(fixture);
    forget_from(model, 0);
    free(model);
}

/* Printed when the program ends inside a seed. */
static uint64_t current_seed;

static void print_seed(void)
{
    if (current_seed > 0 && current_seed <= SEEDS)
        fprintf(stderr, "repeat with KLAMM_TEST_SEED=%llu\n", (unsigned long long)current_seed);
}

static void random_operations_agree_with_the_list(void **state)
{
    (void)state;
    const char *only = getenv("KLAMM_TEST_SEED");
    if (only) {
        run_seed(strtoull(only, NULL, 10));
        return;
    }
    for (current_seed = 1; current_seed <= SEEDS; current_seed++)
        run_seed(current_seed);
}

int main(void)
{
    atexit(print_seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_operations_agree_with_the_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
