/* Batches through our own builder; its output was compared with Kafka's in tests/golden. */
#include "tests/fuzz/seed_batch.h"

#include "base/assert.h"
#include "base/random.h"
#include "protocol/control_record.h"

enum { TEXT_SIZE = 64, RECORDS_MAX = 6, HEADERS_MAX = 3 };

static struct view random_text(struct random_stream *random, bool may_be_null)
{
    static const uint8_t text[TEXT_SIZE] =
        "what is written twice is written twice and what is not is not.";
    if (may_be_null && random_chance(random, 1, 5))
        return VIEW_NULL;
    size_t from = (size_t)random_below(random, TEXT_SIZE);
    return view_of(text + from, (size_t)random_below(random, TEXT_SIZE - from));
}

static struct batch_options random_options(struct random_stream *random)
{
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    options.codec = (enum compression_codec)random_below(random, COMPRESSION_CODECS);
    options.level = compression_level_default(options.codec);
    options.append_time = random_chance(random, 1, 6);
    options.append_time_ms = 1700000000000;
    if (random_chance(random, 1, 2)) {
        options.producer_id = random_between(random, 0, 5);
        options.producer_epoch = (int16_t)random_between(random, 0, 3);
        options.base_sequence = (int32_t)random_between(random, INT32_MAX - 3, INT32_MAX);
        options.transactional = random_chance(random, 1, 2);
    }
    return options;
}

static void append_random(struct batch_builder *builder, struct random_stream *random)
{
    struct record_header headers[HEADERS_MAX];
    struct batch_record record = {
        .timestamp_ms = random_chance(random, 1, 10) ? -1 : random_between(random, 0, 100000),
        .key = random_text(random, true),
        .value = random_text(random, true),
        .headers = headers,
        .header_count = (size_t)random_below(random, HEADERS_MAX + 1),
    };
    for (size_t i = 0; i < record.header_count; i++)
        headers[i] = (struct record_header){random_text(random, false), random_text(random, true)};
    klamm_assert(batch_builder_append(builder, &record));
}

static struct control_marker random_marker(struct random_stream *random)
{
    return (struct control_marker){
        .commit = random_chance(random, 1, 2),
        .producer_id = random_between(random, 0, 5),
        .producer_epoch = (int16_t)random_between(random, 0, 3),
        .coordinator_epoch = (int32_t)random_between(random, 0, 3),
        .timestamp_ms = random_between(random, 0, 100000),
    };
}

size_t seed_batch_write(uint64_t number, uint8_t *data, size_t capacity)
{
    struct random_stream random;
    struct heap heap;
    struct batch_builder builder;
    struct view batch;
    random_init(&random, 21, number);
    if (random_chance(&random, 1, 10)) {
        struct control_marker marker = random_marker(&random);
        if (capacity < CONTROL_RECORD_MARKER_BATCH_SIZE)
            return 0;
        return control_record_build_marker(data, &marker);
    }
    struct batch_options options = random_options(&random);
    heap_init_plain(&heap);
    batch_builder_init(&builder, &heap, 0, &options);
    for (uint64_t i = random_below(&random, RECORDS_MAX); i > 0; i--)
        append_random(&builder, &random);
    klamm_assert(batch_builder_finish(&builder, &batch) == COMPRESSION_OK);
    size_t size = batch.size <= capacity ? batch.size : 0;
    memcpy(data, batch.data, size);
    batch_builder_deinit(&builder);
    return size;
}

void seed_batch_mend(uint8_t *data, size_t size)
{
    while (size >= BATCH_HEADER_SIZE) {
        size_t batch_size_now;
        enum batch_parse_result parsed = batch_parse(view_of(data, size), &batch_size_now);
        if (parsed != BATCH_OK) {
            store_u32(BATCH_FIELD(data, batch_length), (uint32_t)(size - BATCH_PREFIX_SIZE));
            *BATCH_FIELD(data, magic) = BATCH_MAGIC;
            batch_size_now = size;
        }
        batch_crc_update(data, batch_size_now);
        data += batch_size_now;
        size -= batch_size_now;
    }
}
