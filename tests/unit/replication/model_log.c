#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/replication/model_log.h"

#include "protocol/batch_builder.h"

void model_clear(struct model_log *log)
{
    for (size_t i = 0; i < log->batch_count; i++)
        free(log->batches[i].bytes);
    *log = (struct model_log){.leader_epoch = log->leader_epoch};
}

static void add_epoch(struct model_log *log, int32_t epoch, int64_t start)
{
    if (log->epoch_count && log->epochs[log->epoch_count - 1].epoch == epoch)
        return;
    while (log->epoch_count && log->epochs[log->epoch_count - 1].start >= start)
        log->epoch_count--;
    assert_true(log->epoch_count < MODEL_EPOCHS);
    log->epochs[log->epoch_count++] = (struct model_epoch){epoch, start};
}

void model_take_batch(struct model_log *log, struct view batch)
{
    assert_true(log->batch_count < MODEL_BATCHES);
    struct model_batch *taken = &log->batches[log->batch_count++];
    *taken = (struct model_batch){.bytes = malloc(batch.size),
                                  .size = batch.size,
                                  .base_offset = batch_base_offset(batch.data),
                                  .last_offset = batch_last_offset(batch.data),
                                  .epoch = batch_leader_epoch(batch.data)};
    assert_non_null(taken->bytes);
    memcpy(taken->bytes, batch.data, batch.size);
    add_epoch(log, taken->epoch, taken->base_offset);
    log->log_end = taken->last_offset + 1;
}

void model_log_append(struct model_log *log, struct heap *heap, int64_t wall_ms, int32_t count,
                      size_t value_size)
{
    static uint64_t serial; /* no two batches are the same */
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    struct batch_builder builder;
    struct view batch;
    uint8_t *value = calloc(1, value_size + 8);
    options.base_offset = log->log_end;
    options.leader_epoch = log->leader_epoch;
    batch_builder_init(&builder, heap, 0, &options);
    for (int32_t i = 0; i < count; i++) {
        store_u64(value, ++serial);
        struct batch_record record = {.timestamp_ms = wall_ms,
                                      .value = view_of(value, value_size + 8)};
        assert_true(batch_builder_append(&builder, &record));
    }
    assert_int_equal(batch_builder_finish(&builder, &batch), COMPRESSION_OK);
    model_take_batch(log, batch);
    batch_builder_deinit(&builder);
    free(value);
}

void model_begin_epoch(struct model_log *log, int32_t leader_epoch)
{
    log->leader_epoch = leader_epoch;
    add_epoch(log, leader_epoch, log->log_end);
}

void model_truncate(struct model_log *log, int64_t offset)
{
    while (log->batch_count && log->batches[log->batch_count - 1].last_offset >= offset)
        free(log->batches[--log->batch_count].bytes);
    log->log_end =
        log->batch_count ? log->batches[log->batch_count - 1].last_offset + 1 : log->log_start;
    while (log->epoch_count && log->epochs[log->epoch_count - 1].start >= log->log_end)
        log->epoch_count--;
    if (log->high_watermark > log->log_end)
        log->high_watermark = log->log_end;
}

void model_replicate(struct model_log *log, const struct model_log *from, size_t count)
{
    size_t same = 0;
    while (same < log->batch_count && same < from->batch_count &&
           log->batches[same].size == from->batches[same].size &&
           memcmp(log->batches[same].bytes, from->batches[same].bytes, log->batches[same].size) ==
               0)
        same++;
    if (same < log->batch_count)
        model_truncate(log, log->batches[same].base_offset);
    for (size_t i = same; i < from->batch_count && i < same + count; i++)
        model_take_batch(log, view_of(from->batches[i].bytes, from->batches[i].size));
}

void model_advance_start(struct model_log *log, int64_t offset)
{
    size_t gone = 0;
    while (gone < log->batch_count && log->batches[gone].last_offset < offset)
        free(log->batches[gone++].bytes);
    log->batch_count -= gone;
    memmove(log->batches, log->batches + gone, log->batch_count * sizeof(*log->batches));
    log->log_start = offset;
    if (log->high_watermark < offset)
        log->high_watermark = offset;
    size_t dropped = 0;
    while (dropped + 1 < log->epoch_count && log->epochs[dropped + 1].start <= offset)
        dropped++;
    log->epoch_count -= dropped;
    memmove(log->epochs, log->epochs + dropped, log->epoch_count * sizeof(*log->epochs));
    if (log->epoch_count && log->epochs[0].start < offset)
        log->epochs[0].start = offset;
}

/* By the words of KIP-101 and KIP-279. */
bool model_epoch_end(const struct model_log *log, int32_t epoch, int32_t *found, int64_t *end)
{
    *found = -1;
    *end = -1;
    if (epoch < 0 || log->epoch_count == 0 || epoch > log->epochs[log->epoch_count - 1].epoch)
        return false;
    size_t above = 0;
    while (above < log->epoch_count && log->epochs[above].epoch <= epoch)
        above++;
    *found = above > 0 ? log->epochs[above - 1].epoch : epoch;
    *end = above < log->epoch_count ? log->epochs[above].start : log->log_end;
    return true;
}
