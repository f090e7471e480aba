/*
 * A produced batch under random topic settings. The first two bytes choose the settings; the rest
 * is the records field, mended so that validation gets to the records.
 *
 * What is accepted is a valid batch afterwards; a replacement is accepted as it is under the same
 * rules; deciding by the header never accepts what the records forbid, except what it does not see
 * (malformed records).
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/seed_batch.h"

#include "base/assert.h"
#include "protocol/record_validation.h"

enum { PREFIX_SIZE = 2, NOW = 50000 };

static struct record_rules rules_of(const uint8_t *chosen)
{
    struct record_rules rules = {
        .from_client = chosen[0] & 1,
        .compacted = chosen[0] & 2,
        .append_time = chosen[0] & 4,
        .every_record = chosen[0] & 8,
        .convert = chosen[0] & 16,
        .codec = (enum compression_codec)(chosen[1] % COMPRESSION_CODECS),
        .now_ms = NOW,
        .before_max_ms = chosen[0] & 32 ? INT64_MAX : 10000,
        .after_max_ms = chosen[0] & 64 ? INT64_MAX : 10000,
        .batch_size_max = 20000,
        .segment_size_max = 30000,
        .decompressed_size_max = 256 * 1024,
    };
    rules.level = compression_level_default(rules.codec);
    return rules;
}

static void check_stored(struct view stored, const struct record_rules *rules,
                         const struct record_validation *result, struct heap *heap)
{
    struct record_validation again;
    struct record_rules same = *rules;
    struct buffer output;
    size_t size;
    klamm_assert(batch_parse(stored, &size) == BATCH_OK);
    klamm_assert(size == stored.size);
    klamm_assert(batch_crc_is_valid(stored));
    klamm_assert(batch_max_timestamp(stored.data) == result->max_timestamp_ms);
    klamm_assert(stored.size <= rules->batch_size_max);
    if (result->action != RECORD_ACTION_REPLACE || rules->append_time)
        return;
    buffer_init(&output, heap, MEMORY_SCRATCH, 0);
    klamm_assert(record_validate(stored, &same, heap, &output, &again) == KAFKA_ERROR_NONE);
    klamm_assert(again.action == RECORD_ACTION_KEEP);
    buffer_deinit(&output);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    struct heap heap;
    struct buffer bytes, output;
    struct record_validation result;
    if (size < PREFIX_SIZE)
        return;
    struct record_rules rules = rules_of(data);
    heap_init_plain(&heap);
    buffer_init(&bytes, &heap, MEMORY_SCRATCH, 0);
    buffer_init(&output, &heap, MEMORY_SCRATCH, 0);
    klamm_assert(buffer_append(&bytes, data + PREFIX_SIZE, size - PREFIX_SIZE));
    seed_batch_mend(bytes.data, bytes.size);
    enum kafka_error error = record_validate(buffer_view(&bytes), &rules, &heap, &output, &result);
    klamm_assert(error == result.error);
    klamm_assert(result.error_count >= 0 && result.error_count <= RECORD_ERRORS_MAX);
    if (error != KAFKA_ERROR_NONE) {
        klamm_assert(output.size == 0);
        klamm_assert(result.message);
    } else {
        struct view stored = buffer_view(&bytes);
        if (result.action == RECORD_ACTION_STAMP)
            record_validation_stamp(&result, bytes.data, bytes.size);
        if (result.action == RECORD_ACTION_REPLACE)
            stored = result.replacement;
        check_stored(stored, &rules, &result, &heap);
    }
    buffer_deinit(&bytes);
    buffer_deinit(&output);
    klamm_assert(heap.used[MEMORY_SCRATCH] == 0);
}

size_t fuzz_seed(uint64_t number, uint8_t *data, size_t capacity)
{
    data[0] = (uint8_t)(number * 37);
    data[1] = (uint8_t)(number / 7);
    return PREFIX_SIZE + seed_batch_write(number, data + PREFIX_SIZE, capacity - PREFIX_SIZE);
}
