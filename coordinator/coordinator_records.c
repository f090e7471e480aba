/*
 * Records on their way into the log.
 *
 * A batch takes its memory with its first record. coordinator_append finishes it, hands it to the
 * replica and, when that accepts, replays it into the state in the same call. From then on the
 * batch belongs to the log until `done`: with an error the coordinator breaks; without one nothing
 * is left to do, because answers wait for the high watermark themselves.
 */
#include "coordinator/coordinator_internal.h"

#include "base/assert.h"
#include "protocol/control_record.h"

/* ---- Building ---- */

enum {
    RECORD_OVERHEAD_MAX = 32, /* lengths and deltas of a record, attributes, no headers */
    /*
     * One record may need more than max.message.bytes, which is for clients: a classic group of ten
     * thousand members is one record of some megabytes.
     */
    BATCH_SIZE_MAX = 16 * 1024 * 1024
};

/* What a batch may take at most. */
static size_t batch_size_max(const struct coordinator *coordinator)
{
    const struct topic_config *config = replica_config(coordinator->replica);
    int32_t limit =
        config->max_message_bytes > BATCH_SIZE_MAX ? config->max_message_bytes : BATCH_SIZE_MAX;
    return (size_t)(limit < config->segment_bytes ? limit : config->segment_bytes);
}

/* Where whoever can cut its records in pieces does. */
static size_t batch_size_cut(const struct coordinator *coordinator)
{
    size_t limit = (size_t)replica_config(coordinator->replica)->max_message_bytes;
    size_t most = batch_size_max(coordinator);
    return limit < most ? limit : most;
}

static struct coordinator_batch *batch_create(struct coordinator *coordinator)
{
    struct heap *heap = coordinator->host->heap;
    struct coordinator_batch *batch = heap_must_get(heap, MEMORY_STATE, sizeof(*batch));
    list_link_init(&batch->link);
    batch->heap = heap;
    struct batch_options options = BATCH_OPTIONS_DEFAULT;
    batch_builder_init(&batch->builder, heap, batch_size_max(coordinator), &options);
    buffer_init(&batch->key, heap, MEMORY_SCRATCH, 0);
    buffer_init(&batch->value, heap, MEMORY_SCRATCH, 0);
    return batch;
}

void coordinator_batch_destroy(struct coordinator_batch *batch)
{
    list_remove(&batch->link);
    batch_builder_deinit(&batch->builder);
    buffer_deinit(&batch->key);
    buffer_deinit(&batch->value);
    heap_put(batch->heap, MEMORY_STATE, batch, sizeof(*batch));
}

void coordinator_records_begin(struct coordinator_records *records, struct coordinator *coordinator)
{
    *records = (struct coordinator_records){.coordinator = coordinator};
}

void coordinator_records_drop(struct coordinator_records *records)
{
    if (records->batch)
        coordinator_batch_destroy(records->batch);
    records->batch = NULL;
    records->count = 0;
}

static struct coordinator_batch *batch_of(struct coordinator_records *records)
{
    if (!records->batch)
        records->batch = batch_create(records->coordinator);
    return records->batch;
}

static void spoil(struct coordinator_records *records)
{
    if (records->error == KAFKA_ERROR_NONE)
        records->error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
}

void coordinator_records_add(struct coordinator_records *records, struct view key,
                             struct view value)
{
    if (records->error != KAFKA_ERROR_NONE)
        return;
    struct batch_record record = {
        .timestamp_ms = records->coordinator->host->loop->wall_ms, .key = key, .value = value};
    if (batch_builder_append(&batch_of(records)->builder, &record))
        records->count++;
    else
        spoil(records);
}

size_t coordinator_records_room(const struct coordinator_records *records)
{
    size_t limit = batch_size_cut(records->coordinator);
    size_t used = records->batch ? batch_builder_size(&records->batch->builder) : BATCH_HEADER_SIZE;
    return used + RECORD_OVERHEAD_MAX < limit ? limit - used - RECORD_OVERHEAD_MAX : 0;
}

static struct message_writer writer_in(struct buffer *buffer, int16_t prefix, size_t size)
{
    struct message_writer writer = message_writer_of(NULL, 0);
    buffer_clear(buffer);
    if (!buffer_reserve(buffer, sizeof(prefix) + size)) {
        writer.bytes.failed = true;
        return writer;
    }
    writer = message_writer_of(buffer->data, sizeof(prefix) + size);
    write_i16(&writer.bytes, prefix);
    return writer;
}

struct message_writer coordinator_records_key(struct coordinator_records *records, int16_t type,
                                              size_t size)
{
    return writer_in(&batch_of(records)->key, type, size);
}

struct message_writer coordinator_records_value(struct coordinator_records *records,
                                                int16_t version, size_t size)
{
    return writer_in(&batch_of(records)->value, version, size);
}

void coordinator_records_end(struct coordinator_records *records, const struct message_writer *key,
                             const struct message_writer *value)
{
    if (message_writer_failed(key) || (value && message_writer_failed(value))) {
        spoil(records);
        return;
    }
    coordinator_records_add(records, view_of(key->bytes.data, key->bytes.size),
                            value ? view_of(value->bytes.data, value->bytes.size) : VIEW_NULL);
}

bool coordinator_record_version(struct reader *value, int16_t min, int16_t max, int16_t *version)
{
    *version = read_i16(value);
    return !value->failed && *version >= min && *version <= max;
}

/* ---- Replaying what was accepted ---- */

static void replay_batch(struct coordinator *coordinator, const struct coordinator_batch *batch)
{
    const struct batch_builder *builder = &batch->builder;
    bool is_transactional = builder->options.transactional;
    struct record_cursor cursor;
    struct record record;
    record_cursor_init(&cursor, batch_records(buffer_view(&builder->plain)), builder->record_count);
    enum record_status status;
    while ((status = record_cursor_next(&cursor, &record)) == RECORD_OK) {
        klamm_assert(record.key.size >= sizeof(int16_t));
        struct coordinator_record replayed = {
            .type = load_i16(record.key.data),
            .key = view_of(record.key.data + sizeof(int16_t), record.key.size - sizeof(int16_t)),
            .value = record.value,
            .offset = batch->append.append.base_offset + record.offset_delta,
            .timestamp_ms = builder->base_timestamp + record.timestamp_delta,
            .producer_id = is_transactional ? builder->options.producer_id : BATCH_NO_PRODUCER_ID,
            .producer_epoch =
                is_transactional ? builder->options.producer_epoch : BATCH_NO_PRODUCER_EPOCH,
        };
        enum coordinator_replay result =
            coordinator->kind->replay(coordinator->kind_state, &replayed);
        klamm_assert(result == COORDINATOR_REPLAY_OK);
    }
    klamm_assert(status == RECORD_END);
}

/* ---- Appending ---- */

/*
 * A device that stays full would have the log loaded anew with every try. The pause doubles from
 * two to 32 seconds.
 */
enum { FAILURES_COUNTED = 5 };
#define FAILURE_PAUSE_NS UINT64_C(1000000000)

/* The log is done with the bytes; behind a failure nothing that waits can be true. */
static void append_done(struct replica_append *append)
{
    struct coordinator_batch *batch = container_of(append, struct coordinator_batch, append);
    struct coordinator *coordinator = batch->coordinator;
    enum kafka_error error = append->error;
    coordinator_batch_destroy(batch);
    if (error == KAFKA_ERROR_NONE || !coordinator)
        return;
    coordinator->host->counters.failed_appends++;
    if (coordinator->failures < FAILURES_COUNTED)
        coordinator->failures++;
    coordinator->retry_at_ns =
        coordinator->host->loop->now_ns + (FAILURE_PAUSE_NS << coordinator->failures);
    coordinator_break(coordinator, error, "an append failed");
}

/* Whether the log is where the state is; if not, the coordinator reads it again. */
static enum kafka_error check_log(struct coordinator *coordinator)
{
    enum kafka_error error = coordinator_refusal(coordinator);
    if (error != KAFKA_ERROR_NONE)
        return error;
    error = replica_check(coordinator->replica, -1);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (coordinator->failures > 1 && coordinator->host->loop->now_ns < coordinator->retry_at_ns)
        return KAFKA_ERROR_KAFKA_STORAGE_ERROR;
    if (partition_log_end_offset(coordinator->replica->log) == coordinator->end_offset)
        return KAFKA_ERROR_NONE;
    coordinator->is_stale = true;
    loop_defer(coordinator->host->loop, &coordinator->reload);
    return KAFKA_ERROR_COORDINATOR_LOAD_IN_PROGRESS;
}

/* Hands the bytes to the replica; on NONE the batch belongs to the log, else it is gone. */
static enum kafka_error append_batch(struct coordinator *coordinator,
                                     struct coordinator_batch *batch, struct view bytes)
{
    struct coordinator_counters *counters = &coordinator->host->counters;
    batch->coordinator = coordinator;
    batch->append.append.data = (uint8_t *)(uintptr_t)bytes.data;
    batch->append.append.size = bytes.size;
    batch->append.append.origin = LOG_APPEND_COORDINATOR;
    batch->append.acks = -1;
    batch->append.done = append_done;
    if (replica_append(coordinator->replica, &batch->append)) {
        enum kafka_error error = batch->append.error;
        klamm_assert(error != KAFKA_ERROR_NONE); /* new bytes are never committed at once */
        coordinator_batch_destroy(batch);
        counters->refused_appends++;
        return error;
    }
    list_push_back(&coordinator->batches, &batch->link);
    coordinator->end_offset = batch->append.append.last_offset + 1;
    counters->appends++;
    return KAFKA_ERROR_NONE;
}

static enum kafka_error append_records(struct coordinator_records *records)
{
    struct coordinator *coordinator = records->coordinator;
    struct coordinator_batch *batch = records->batch;
    enum kafka_error error = records->error;
    if (error == KAFKA_ERROR_NONE)
        error = check_log(coordinator);
    struct view bytes;
    if (error == KAFKA_ERROR_NONE &&
        batch_builder_finish(&batch->builder, &bytes) != COMPRESSION_OK)
        error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    if (error != KAFKA_ERROR_NONE) {
        coordinator_records_drop(records);
        return error;
    }
    uint32_t count = records->count;
    records->batch = NULL;
    records->count = 0;
    error = append_batch(coordinator, batch, bytes);
    if (error != KAFKA_ERROR_NONE)
        return error;
    coordinator->host->counters.appended_records += count;
    replay_batch(coordinator, batch);
    return KAFKA_ERROR_NONE;
}

enum kafka_error coordinator_append(struct coordinator_records *records)
{
    if (records->count == 0 && records->error == KAFKA_ERROR_NONE) {
        coordinator_records_drop(records);
        return KAFKA_ERROR_NONE;
    }
    if (records->batch) {
        enum compression_codec codec = records->coordinator->codec;
        records->batch->builder.options.codec = codec;
        records->batch->builder.options.level = compression_level_default(codec);
    }
    return coordinator_map_error(append_records(records));
}

enum kafka_error coordinator_append_transactional(struct coordinator_records *records,
                                                  int64_t producer_id, int16_t producer_epoch,
                                                  uint64_t verification_guard)
{
    if (records->batch) {
        struct batch_options *options = &records->batch->builder.options;
        options->transactional = true;
        options->producer_id = producer_id;
        options->producer_epoch = producer_epoch;
        records->batch->append.append.verification_guard = verification_guard;
    }
    return coordinator_append(records);
}

enum kafka_error coordinator_append_marker(struct coordinator *coordinator,
                                           const struct coordinator_marker *marker)
{
    enum kafka_error error = check_log(coordinator);
    if (error != KAFKA_ERROR_NONE)
        return error;
    struct coordinator_batch *batch = batch_create(coordinator);
    struct buffer *bytes = &batch->builder.plain;
    if (!buffer_reserve(bytes, CONTROL_RECORD_MARKER_BATCH_SIZE)) {
        coordinator_batch_destroy(batch);
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    }
    const struct control_marker control = {
        .commit = marker->commit,
        .producer_id = marker->producer_id,
        .producer_epoch = marker->producer_epoch,
        .coordinator_epoch = marker->coordinator_epoch,
        .timestamp_ms = coordinator->host->loop->wall_ms,
    };
    bytes->size = control_record_build_marker(bytes->data, &control);
    batch->append.append.transaction_version = marker->transaction_version;
    error = append_batch(coordinator, batch, buffer_view(bytes));
    if (error != KAFKA_ERROR_NONE)
        return error;
    struct coordinator_marker replayed = *marker;
    replayed.offset = batch->append.append.base_offset;
    if (coordinator->kind->replay_marker)
        coordinator->kind->replay_marker(coordinator->kind_state, &replayed);
    return KAFKA_ERROR_NONE;
}
