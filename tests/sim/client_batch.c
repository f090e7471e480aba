/* A value's eight bytes say who it is; what follows makes the sizes differ. */
#include "tests/sim/client_batch.h"

#include <string.h>

#include "protocol/batch_builder.h"

void client_batch_write(struct sim *sim, struct heap *heap, const struct client_batch *batch,
                        struct writer *writer)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    if (batch->producer_id >= 0) {
        options.producer_id = batch->producer_id;
        options.producer_epoch = batch->producer_epoch;
        options.base_sequence = batch->sequence;
    }
    struct batch_builder builder;
    batch_builder_init(&builder, heap, 0, &options);
    for (int32_t i = 0; i < batch->count; i++) {
        uint32_t number = batch->first_number + (uint32_t)i;
        uint8_t value[512];
        memset(value, (int)number, sizeof(value));
        store_u64(value, history_value(batch->client, number));
        size_t size = 8 + (number * 2654435761u >> 16) % (sizeof(value) - 8);
        struct batch_record record = {.timestamp_ms = 1700000000000 + number,
                                      .key = view_of(&batch->partition, sizeof(batch->partition)),
                                      .value = view_of(value, size)};
        sim_require(sim, batch_builder_append(&builder, &record), "no batch");
    }
    struct view bytes;
    sim_require(sim, batch_builder_finish(&builder, &bytes) == COMPRESSION_OK, "no batch");
    write_i32(writer, (int32_t)bytes.size);
    write_view(writer, bytes);
    batch_builder_deinit(&builder);
}

static int64_t take_batch(struct history *history, int32_t partition, struct view batch,
                          int64_t position, uint64_t *count)
{
    struct sim *sim = history->sim;
    struct batch_header header;
    batch_header_read(batch.data, &header);
    int64_t last_offset = header.base_offset + header.last_offset_delta;
    sim_require(sim, header.base_offset <= position && last_offset >= position,
                "partition %d: a read of %lld brought [%lld, %lld]", partition, (long long)position,
                (long long)header.base_offset, (long long)last_offset);
    struct record_cursor cursor;
    record_cursor_init(&cursor,
                       view_of(batch.data + BATCH_HEADER_SIZE, batch.size - BATCH_HEADER_SIZE),
                       header.record_count);
    struct record record;
    enum record_status status;
    while ((status = record_cursor_next(&cursor, &record)) == RECORD_OK) {
        sim_require(sim, record.value.size >= 8, "a record without its value");
        history_see(history, partition, header.base_offset + record.offset_delta,
                    load_u64(record.value.data), false);
        ++*count;
    }
    sim_require(sim, status == RECORD_END, "malformed records at %lld",
                (long long)header.base_offset);
    return last_offset + 1;
}

int64_t client_batch_read(struct history *history, int32_t partition, struct view records,
                          int64_t position, uint64_t *count)
{
    struct view batch;
    while (batch_next(&records, &batch) == BATCH_OK) {
        int64_t last_offset = batch_base_offset(batch.data) + batch_last_offset_delta(batch.data);
        if (history_is_lost(history, partition, batch_leader_epoch(batch.data), last_offset))
            break; /* of who has not heard yet that it does not lead any more */
        position = take_batch(history, partition, batch, position, count);
    }
    return position;
}
