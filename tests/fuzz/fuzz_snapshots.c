/*
 * Binary files beside the log: producer snapshots, transaction indexes, metadata snapshots; the
 * first byte chooses which. What is accepted is written again byte for byte, or reads the same.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/seed_batch.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "cluster/quorum/snapshot_file.h"
#include "log/producer_snapshot.h"
#include "log/transaction_index.h"

enum { FORMATS = 3 };

static void check_producers(struct view bytes, struct heap *heap)
{
    struct producer_state_options options = {.expiration_ms = INT64_MAX};
    struct producer_state state, again;
    producer_state_init(&state, heap, &options);
    producer_state_init(&again, heap, &options);
    if (producer_snapshot_file_decode(bytes, &state, 0)) {
        size_t size = producer_snapshot_file_size(&state);
        uint8_t *written = heap_get(heap, MEMORY_SCRATCH, size);
        producer_snapshot_file_encode(&state, written);
        klamm_assert(producer_snapshot_file_decode(view_of(written, size), &again, 0));
        klamm_assert(producer_snapshot_file_size(&again) == size);
        heap_put(heap, MEMORY_SCRATCH, written, size);
    } else {
        klamm_assert(producer_state_is_empty(&state));
    }
    producer_state_deinit(&state);
    producer_state_deinit(&again);
}

static void count_found(void *context, const struct aborted_transaction *entry)
{
    (void)entry;
    (*(size_t *)context)++;
}

static void check_transactions(struct view bytes, struct heap *heap)
{
    struct transaction_index index;
    transaction_index_init(&index);
    if (transaction_index_decode(&index, heap, bytes, 0)) {
        klamm_assert((size_t)index.count * TRANSACTION_INDEX_ENTRY_SIZE == bytes.size);
        uint8_t *written = heap_get(heap, MEMORY_SCRATCH, bytes.size + 1);
        transaction_index_encode(&index, 0, written);
        klamm_assert(bytes.size == 0 || memcmp(written, bytes.data, bytes.size) == 0);
        heap_put(heap, MEMORY_SCRATCH, written, bytes.size + 1);
        size_t found = 0;
        (void)transaction_index_collect(&index, 0, INT64_MAX, count_found, &found);
        klamm_assert(found <= index.count);
        transaction_index_truncate(&index, 5);
    } else {
        klamm_assert(index.count == 0);
    }
    transaction_index_deinit(&index, heap);
}

static bool take_batch(void *context, struct view batch, const char **problem)
{
    (void)problem;
    *(size_t *)context += batch.size;
    klamm_assert(batch_crc_is_valid(batch));
    return true;
}

static void check_metadata(struct view bytes, struct heap *heap)
{
    struct buffer copy;
    struct snapshot_voters voters;
    const char *problem = NULL;
    size_t walked = 0;
    int64_t timestamp_ms;
    buffer_init(&copy, heap, MEMORY_SCRATCH, 0);
    klamm_assert(buffer_append(&copy, bytes.data, bytes.size));
    seed_batch_mend(copy.data, copy.size);
    bool whole = snapshot_walk(buffer_view(&copy), take_batch, &walked, &problem);
    klamm_assert(whole ? walked == copy.size : problem != NULL);
    (void)snapshot_read_header(buffer_view(&copy), &voters, &timestamp_ms);
    (void)snapshot_walk(bytes, take_batch, &walked, &problem);
    buffer_deinit(&copy);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct heap heap;
    if (size == 0)
        return;
    heap_init_plain(&heap);
    struct view bytes = view_of(data + 1, size - 1);
    struct buffer mended;
    switch (data[0] % FORMATS) {
    case 0:
        check_producers(bytes, &heap);
        buffer_init(&mended, &heap, MEMORY_SCRATCH, 0);
        klamm_assert(buffer_append(&mended, bytes.data, bytes.size));
        if (mended.size >= 6) { /* int16 version, uint32 checksum of the rest */
            store_u32(mended.data + 2, crc32c(0, mended.data + 6, mended.size - 6));
            check_producers(buffer_view(&mended), &heap);
        }
        buffer_deinit(&mended);
        break;
    case 1:
        check_transactions(bytes, &heap);
        break;
    default:
        check_metadata(bytes, &heap);
        break;
    }
    for (int i = 0; i < MEMORY_CLASSES; i++)
        klamm_assert(heap.used[i] == 0);
}

static size_t seed_producers(struct random_stream *random, uint8_t *data, size_t capacity)
{
    struct heap heap;
    struct producer_state_options options = {.expiration_ms = INT64_MAX};
    struct producer_state state;
    heap_init_plain(&heap);
    producer_state_init(&state, &heap, &options);
    int64_t offset = 0;
    for (uint64_t i = random_below(random, 6); i > 0; i--) {
        struct producer_batch batch = {
            .producer_id = (int64_t)i,
            .first_offset = offset,
            .last_offset = offset + 3,
            .timestamp_ms = 1000,
            .last_sequence = 3,
            .producer_epoch = (int16_t)random_below(random, 3),
            .is_transactional = random_chance(random, 1, 2),
        };
        struct producer_completed completed;
        (void)producer_state_apply(&state, &batch, &completed);
        offset += 4;
    }
    producer_state_settle(&state, offset);
    size_t size = producer_snapshot_file_size(&state);
    if (size <= capacity)
        producer_snapshot_file_encode(&state, data);
    producer_state_deinit(&state);
    return size <= capacity ? size : 0;
}

static size_t seed_transactions(struct random_stream *random, uint8_t *data, size_t capacity)
{
    struct writer writer = writer_of(data, capacity);
    int64_t offset = 0;
    for (uint64_t i = random_below(random, 6); i > 0; i--) {
        write_i16(&writer, 0);
        write_i64(&writer, (int64_t)i);
        write_i64(&writer, offset);
        offset += random_between(random, 1, 9);
        write_i64(&writer, offset);
        write_i64(&writer, offset + 1);
    }
    return writer.size;
}

/* A header batch, records, a footer batch; the control values are those of version 0. */
static size_t seed_metadata(struct random_stream *random, uint8_t *data, size_t capacity)
{
    struct heap heap;
    struct batch_builder builder;
    struct view batch;
    size_t size = 0;
    heap_init_plain(&heap);
    for (int part = 0; part < 3; part++) {
        struct batch_options options = BATCH_OPTIONS_DEFAULT;
        options.base_offset = part;
        options.leader_epoch = 3;
        options.control = part != 1;
        batch_builder_init(&builder, &heap, 0, &options);
        uint8_t key[4] = {0, 0, 0, part == 0 ? 3 : 4};
        uint8_t value[11] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0};
        struct batch_record record = {
            .timestamp_ms = 7,
            .key = part == 1 ? VIEW_NULL : view_of(key, sizeof(key)),
            .value = view_of(value, part == 0   ? 11
                                    : part == 1 ? random_below(random, 9)
                                                : 3),
        };
        klamm_assert(batch_builder_append(&builder, &record));
        klamm_assert(batch_builder_finish(&builder, &batch) == COMPRESSION_OK);
        if (size + batch.size <= capacity) {
            memcpy(data + size, batch.data, batch.size);
            size += batch.size;
        }
        batch_builder_deinit(&builder);
    }
    return size;
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    struct random_stream random;
    random_init(&random, 51, number);
    data[0] = (uint8_t)(number % FORMATS);
    switch (number % FORMATS) {
    case 0:
        return 1 + seed_producers(&random, data + 1, capacity - 1);
    case 1:
        return 1 + seed_transactions(&random, data + 1, capacity - 1);
    default:
        return 1 + seed_metadata(&random, data + 1, capacity - 1);
    }
}
