/*
 * All versions used are not flexible, so an answer is its body. Values are noise; the tail mode
 * writes a time into them.
 */
#include "bench/requests.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/crc32c.h"
#include "bench/template.h"
#include "protocol/batch.h"
#include "protocol/batch_builder.h"
#include "protocol/errors.h"
#include "protocol/messages/create_topics.h"
#include "protocol/messages/fetch.h"
#include "protocol/messages/list_offsets.h"
#include "protocol/messages/metadata.h"
#include "protocol/messages/produce.h"

enum { METADATA_VERSION = 8, CREATE_TOPICS_VERSION = 4, LIST_OFFSETS_VERSION = 5 };

void bench_open(struct bench_pool *pool, const struct bench_options *options)
{
    /* Besides the requests in flight a connection may have one for the run itself. */
    bench_pool_open(pool, options->host, options->port, options->connections,
                    options->in_flight + 2);
}

static bool topic_is_ready(struct bench_pool *pool, const struct bench_options *options)
{
    struct arena arena;
    arena_init(&arena, &pool->heap, MEMORY_SCRATCH, 0);
    struct metadata_request request;
    metadata_request_init(&request);
    struct metadata_request_topic topic = {.name = view_of_string(options->topic)};
    request.topics = &topic;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    struct request_template template;
    BENCH_TEMPLATE(metadata_request, API_KEY_METADATA, &request, METADATA_VERSION, &arena,
                   &template);
    const uint8_t *body;
    size_t size = bench_call(pool, &template, &body);
    struct metadata_response response;
    struct reader in = reader_of(view_of(body, size));
    bool ready = metadata_response_decode(&response, &in, METADATA_VERSION, &arena) &&
                 response.topics_count == 1 && response.topics[0].error_code == 0 &&
                 response.topics[0].partitions_count >= (size_t)options->partitions;
    for (size_t i = 0; ready && i < response.topics[0].partitions_count; i++)
        ready = response.topics[0].partitions[i].error_code == 0;
    arena_deinit(&arena);
    return ready;
}

/* The first error of any partition, or none and all end offsets. */
static enum kafka_error try_end_offsets(struct bench_pool *pool,
                                        const struct bench_options *options, int64_t *offsets)
{
    struct arena arena;
    arena_init(&arena, &pool->heap, MEMORY_SCRATCH, 0);
    struct list_offsets_request request;
    list_offsets_request_init(&request);
    request.replica_id = -1;
    struct list_offsets_request_list_offsets_topic topic = {.name = view_of_string(options->topic)};
    topic.partitions =
        arena_get_array(&arena, (size_t)options->partitions, sizeof(*topic.partitions));
    topic.partitions_count = (size_t)options->partitions;
    for (int32_t i = 0; i < options->partitions; i++) {
        list_offsets_request_list_offsets_partition_init(&topic.partitions[i]);
        topic.partitions[i].partition_index = i;
        topic.partitions[i].timestamp = -1;
    }
    request.topics = &topic;
    request.topics_count = 1;
    struct request_template template;
    BENCH_TEMPLATE(list_offsets_request, API_KEY_LIST_OFFSETS, &request, LIST_OFFSETS_VERSION,
                   &arena, &template);
    const uint8_t *body;
    size_t size = bench_call(pool, &template, &body);
    struct list_offsets_response response;
    struct reader in = reader_of(view_of(body, size));
    if (!list_offsets_response_decode(&response, &in, LIST_OFFSETS_VERSION, &arena) ||
        response.topics_count != 1)
        bench_fail("the answer to ListOffsets cannot be read");
    int16_t error = 0;
    for (size_t i = 0; i < response.topics[0].partitions_count; i++) {
        const struct list_offsets_response_list_offsets_partition_response *part =
            &response.topics[0].partitions[i];
        if (error == 0)
            error = part->error_code;
        if (part->partition_index >= 0 && part->partition_index < options->partitions)
            offsets[part->partition_index] = part->offset;
    }
    arena_deinit(&arena);
    return (enum kafka_error)error;
}

void bench_create_topic(struct bench_pool *pool, const struct bench_options *options)
{
    struct arena arena;
    arena_init(&arena, &pool->heap, MEMORY_SCRATCH, 0);
    struct create_topics_request request;
    create_topics_request_init(&request);
    struct create_topics_request_creatable_topic topic;
    create_topics_request_creatable_topic_init(&topic);
    struct create_topics_request_creatable_topic_config configs[16];
    for (unsigned i = 0; i < options->config_count; i++) {
        const char *text = options->configs[i];
        const char *equals = strchr(text, '=');
        if (!equals)
            bench_fail("--config takes KEY=VALUE, not \"%s\"", text);
        configs[i].name = view_of(text, (size_t)(equals - text));
        configs[i].value = view_of_string(equals + 1);
    }
    topic.name = view_of_string(options->topic);
    topic.num_partitions = options->partitions;
    topic.replication_factor = 1;
    topic.configs = configs;
    topic.configs_count = options->config_count;
    request.topics = &topic;
    request.topics_count = 1;
    struct request_template template;
    BENCH_TEMPLATE(create_topics_request, API_KEY_CREATE_TOPICS, &request, CREATE_TOPICS_VERSION,
                   &arena, &template);
    const uint8_t *body;
    size_t size = bench_call(pool, &template, &body);
    struct create_topics_response response;
    struct reader in = reader_of(view_of(body, size));
    if (!create_topics_response_decode(&response, &in, CREATE_TOPICS_VERSION, &arena) ||
        response.topics_count != 1)
        bench_fail("the answer to CreateTopics cannot be read");
    int16_t error = response.topics[0].error_code;
    if (error != 0 && error != KAFKA_ERROR_TOPIC_ALREADY_EXISTS)
        bench_fail("topic %s: %s", options->topic, kafka_error_name((enum kafka_error)error));
    int64_t *offsets = arena_get_array(&arena, (size_t)options->partitions, sizeof(int64_t));
    uint64_t end_ns = bench_now_ns() + 60000000000u;
    while (!topic_is_ready(pool, options) ||
           try_end_offsets(pool, options, offsets) != KAFKA_ERROR_NONE)
        if (bench_now_ns() > end_ns)
            bench_fail("topic %s has fewer than %d partitions with a leader", options->topic,
                       options->partitions);
    arena_deinit(&arena);
}

uint8_t *bench_batch_make(struct arena *arena, const struct bench_options *options,
                          struct random_stream *random, size_t *size)
{
    struct batch_options batch_options = BATCH_OPTIONS_DEFAULT;
    struct batch_builder builder;
    batch_builder_init(&builder, arena->heap, 0, &batch_options);
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    unsigned count = (unsigned)random_between(random, options->records_min, options->records_max);
    uint8_t *value = arena_get(arena, options->record_size);
    for (unsigned i = 0; i < count; i++) {
        char key[24];
        int key_size =
            snprintf(key, sizeof(key), "key-%016llx", (unsigned long long)random_u64(random));
        random_fill(random, value, options->record_size);
        struct batch_record record = {.timestamp_ms = now_ms,
                                      .key = view_of(key, (size_t)key_size),
                                      .value = view_of(value, options->record_size)};
        if (!batch_builder_append(&builder, &record))
            bench_fail("a batch of more than 2 GiB");
    }
    struct view batch;
    batch_builder_finish(&builder, &batch);
    uint8_t *bytes = arena_get(arena, batch.size);
    memcpy(bytes, batch.data, batch.size);
    *size = batch.size;
    batch_builder_deinit(&builder);
    return bytes;
}

void bench_batch_stamp(uint8_t *batch, size_t size, const struct bench_stamp *stamp)
{
    uint16_t attributes = batch_attributes(batch) & (uint16_t)~BATCH_ATTRIBUTE_TRANSACTIONAL;
    if (stamp->transactional)
        attributes |= BATCH_ATTRIBUTE_TRANSACTIONAL;
    store_u16(BATCH_FIELD(batch, attributes), attributes);
    store_u64(BATCH_FIELD(batch, producer_id), (uint64_t)stamp->producer_id);
    store_u16(BATCH_FIELD(batch, producer_epoch), (uint16_t)stamp->producer_epoch);
    store_u32(BATCH_FIELD(batch, base_sequence), (uint32_t)stamp->base_sequence);
    uint32_t sum = crc32c(0, batch + BATCH_CRC_START, size - BATCH_CRC_START);
    store_u32(BATCH_FIELD(batch, crc), sum);
}

void bench_encode_produce(struct arena *arena, const char *topic_name, const char *transactional_id,
                          int16_t acks, int16_t version, const struct bench_batch *batches,
                          unsigned count, struct request_template *template)
{
    struct produce_request request;
    produce_request_init(&request);
    request.transactional_id =
        transactional_id ? view_of_string(transactional_id) : view_of(NULL, 0);
    request.acks = acks;
    request.timeout_ms = 30000;
    struct produce_request_topic_produce_data topic = {.name = view_of_string(topic_name)};
    topic.partition_data = arena_get_array(arena, count, sizeof(*topic.partition_data));
    topic.partition_data_count = count;
    uint64_t payload = 0;
    for (unsigned i = 0; i < count; i++) {
        topic.partition_data[i].index = batches[i].partition;
        topic.partition_data[i].records.memory = view_of(batches[i].bytes, batches[i].size);
        payload += batches[i].size;
    }
    request.topic_data = &topic;
    request.topic_data_count = 1;
    BENCH_TEMPLATE(produce_request, API_KEY_PRODUCE, &request, version, arena, template);
    template->payload = payload;
}

void bench_produce_template(struct arena *arena, const struct bench_options *options,
                            struct random_stream *random, int32_t first_partition, unsigned count,
                            struct request_template *template)
{
    struct bench_batch *batches = arena_get_array(arena, count, sizeof(*batches));
    for (unsigned i = 0; i < count; i++) {
        batches[i].partition = (first_partition + (int32_t)i) % options->partitions;
        batches[i].bytes = bench_batch_make(arena, options, random, &batches[i].size);
    }
    bench_encode_produce(arena, options->topic, NULL, (int16_t)options->acks, BENCH_PRODUCE_VERSION,
                         batches, count, template);
}

void bench_check_produce(struct arena *arena, const uint8_t *body, size_t size)
{
    struct produce_response response;
    struct reader in = reader_of(view_of(body, size));
    if (!produce_response_decode(&response, &in, BENCH_PRODUCE_VERSION, arena))
        bench_fail("an answer to Produce cannot be read");
    for (size_t t = 0; t < response.responses_count; t++) {
        for (size_t p = 0; p < response.responses[t].partition_responses_count; p++) {
            int16_t error = response.responses[t].partition_responses[p].error_code;
            if (error != 0)
                bench_fail("produce: %s", kafka_error_name((enum kafka_error)error));
        }
    }
    arena_reset(arena);
}

void bench_fetch_template(struct arena *arena, const struct bench_options *options,
                          const struct bench_assignment *assignment, int32_t wait_ms,
                          struct request_template *template)
{
    struct fetch_request request;
    fetch_request_init(&request);
    request.max_wait_ms = wait_ms;
    request.min_bytes = 1;
    request.max_bytes = 50 << 20;
    struct fetch_request_fetch_topic topic = {.topic = view_of_string(options->topic)};
    topic.partitions = arena_get_array(arena, assignment->count, sizeof(*topic.partitions));
    topic.partitions_count = assignment->count;
    for (unsigned i = 0; i < assignment->count; i++) {
        fetch_request_fetch_partition_init(&topic.partitions[i]);
        topic.partitions[i].partition = assignment->partitions[i];
        topic.partitions[i].fetch_offset = assignment->offsets[i];
        topic.partitions[i].partition_max_bytes = (int32_t)options->fetch_size;
    }
    request.topics = &topic;
    request.topics_count = 1;
    BENCH_TEMPLATE(fetch_request, API_KEY_FETCH, &request, BENCH_FETCH_VERSION, arena, template);
}

static int64_t *offset_of(struct bench_assignment *assignment, int32_t partition)
{
    for (unsigned i = 0; i < assignment->count; i++)
        if (assignment->partitions[i] == partition)
            return &assignment->offsets[i];
    bench_fail("partition %d was not asked for", partition);
}

uint64_t bench_read_fetch(struct arena *arena, const uint8_t *body, size_t size,
                          struct bench_assignment *assignment,
                          void (*batch)(void *argument, const uint8_t *batch, size_t size),
                          void *argument)
{
    struct fetch_response response;
    struct reader in = reader_of(view_of(body, size));
    if (!fetch_response_decode(&response, &in, BENCH_FETCH_VERSION, arena))
        bench_fail("an answer to Fetch cannot be read");
    uint64_t bytes = 0;
    for (size_t t = 0; t < response.responses_count; t++) {
        for (size_t p = 0; p < response.responses[t].partitions_count; p++) {
            struct fetch_response_partition_data *data = &response.responses[t].partitions[p];
            if (data->error_code != 0)
                bench_fail("fetch: %s", kafka_error_name((enum kafka_error)data->error_code));
            struct view left = data->records.memory;
            bytes += left.size;
            while (left.size >= BATCH_HEADER_SIZE && batch_size(left.data) <= left.size) {
                *offset_of(assignment, data->partition_index) = batch_last_offset(left.data) + 1;
                if (batch)
                    batch(argument, left.data, batch_size(left.data));
                size_t taken = batch_size(left.data);
                left = view_of(left.data + taken, left.size - taken);
            }
        }
    }
    arena_reset(arena);
    return bytes;
}

void bench_end_offsets(struct bench_pool *pool, const struct bench_options *options,
                       int64_t *offsets)
{
    enum kafka_error error = try_end_offsets(pool, options, offsets);
    if (error != KAFKA_ERROR_NONE)
        bench_fail("offsets of %s: %s", options->topic, kafka_error_name(error));
}
