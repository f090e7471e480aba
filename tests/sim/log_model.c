/* A growing array; everything is recomputed by walking it, because it has to be right, not fast. */
#include "tests/sim/log_model.h"

#include <string.h>

#include "base/assert.h"
#include "protocol/batch.h"
#include "protocol/record.h"

void log_model_init(struct log_model *model, struct sim *sim)
{
    *model = (struct log_model){.sim = sim};
    heap_init_plain(&model->heap);
}

void log_model_deinit(struct log_model *model)
{
    log_model_cut(model, 0);
    if (model->batches)
        heap_put(&model->heap, MEMORY_STATE, model->batches,
                 model->capacity * sizeof(struct model_batch));
    model->batches = NULL;
}

int64_t log_model_end(const struct log_model *model)
{
    return model->count > 0 ? model->batches[model->count - 1].last_offset + 1 : model->base_end;
}

void log_model_add(struct log_model *model, const uint8_t *bytes, size_t size)
{
    if (model->count == model->capacity) {
        size_t capacity = model->capacity ? model->capacity * 2 : 256;
        model->batches = heap_resize(&model->heap, MEMORY_STATE, model->batches,
                                     model->capacity * sizeof(struct model_batch),
                                     capacity * sizeof(struct model_batch));
        model->capacity = capacity;
    }
    struct model_batch batch = {.base_offset = batch_base_offset(bytes),
                                .last_offset =
                                    batch_base_offset(bytes) + batch_last_offset_delta(bytes),
                                .size = (uint32_t)size,
                                .bytes = heap_must_get(&model->heap, MEMORY_STATE, size)};
    memcpy(batch.bytes, bytes, size);
    sim_require(model->sim, batch.base_offset == log_model_end(model),
                "a batch was accepted at offset %lld behind end %lld", (long long)batch.base_offset,
                (long long)log_model_end(model));
    model->batches[model->count++] = batch;
}

const struct model_batch *log_model_find(const struct log_model *model, int64_t offset)
{
    size_t low = 0, high = model->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (model->batches[middle].last_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < model->count && model->batches[low].base_offset <= offset ? &model->batches[low]
                                                                           : NULL;
}

int64_t log_model_boundary(const struct log_model *model, int64_t offset)
{
    const struct model_batch *batch = log_model_find(model, offset);
    return batch ? batch->base_offset : offset;
}

void log_model_cut(struct log_model *model, int64_t offset)
{
    while (model->count > 0 && model->batches[model->count - 1].last_offset >= offset) {
        struct model_batch *batch = &model->batches[--model->count];
        heap_put(&model->heap, MEMORY_STATE, batch->bytes, batch->size);
    }
    int64_t end = log_model_end(model);
    if (model->written_end > end)
        model->written_end = end;
    if (model->durable_end > end)
        model->durable_end = end;
}

void log_model_restart(struct log_model *model, int64_t offset)
{
    log_model_cut(model, model->base_end);
    klamm_assert(model->count == 0);
    model->base_end = model->written_end = model->durable_end = offset;
}

int64_t log_model_compare(const struct log_model *model, int64_t offset, const uint8_t *bytes,
                          size_t size)
{
    const struct model_batch *batch = log_model_find(model, offset);
    while (size > 0) {
        sim_require(model->sim, batch && batch < model->batches + model->count,
                    "offset %lld was read and never appended", (long long)offset);
        sim_require(model->sim,
                    size >= batch->size && memcmp(bytes, batch->bytes, batch->size) == 0,
                    "the batch at offset %lld reads differently from what was appended",
                    (long long)batch->base_offset);
        bytes += batch->size;
        size -= batch->size;
        offset = batch->last_offset + 1;
        batch++;
    }
    return offset;
}

bool log_model_producer(const struct log_model *model, int64_t producer_id, int64_t end,
                        struct producer_info *info)
{
    bool found = false;
    *info = (struct producer_info){.producer_id = producer_id, .last_sequence = -1};
    for (size_t i = 0; i < model->count && model->batches[i].last_offset < end; i++) {
        const uint8_t *bytes = model->batches[i].bytes;
        if (batch_producer_id(bytes) != producer_id)
            continue;
        found = true;
        info->producer_epoch = load_i16(BATCH_FIELD(bytes, producer_epoch));
        info->last_sequence = batch_base_sequence(bytes) + batch_last_offset_delta(bytes);
        info->last_offset = model->batches[i].last_offset;
        info->offset_delta = batch_last_offset_delta(bytes);
    }
    return found;
}

int64_t log_model_lookup(const struct log_model *model, int64_t start, int64_t timestamp)
{
    for (size_t i = 0; i < model->count; i++) {
        const struct model_batch *batch = &model->batches[i];
        if (batch->last_offset < start)
            continue;
        struct record_cursor cursor;
        record_cursor_init(
            &cursor, view_of(batch->bytes + BATCH_HEADER_SIZE, batch->size - BATCH_HEADER_SIZE),
            load_i32(BATCH_FIELD(batch->bytes, record_count)));
        struct record record;
        while (record_cursor_next(&cursor, &record) == RECORD_OK) {
            int64_t offset = batch->base_offset + record.offset_delta;
            if (offset >= start &&
                batch_base_timestamp(batch->bytes) + record.timestamp_delta >= timestamp)
                return offset;
        }
    }
    return -1;
}
