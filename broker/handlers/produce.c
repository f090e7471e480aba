/*
 * Produce: every partition of the request is an item; the items of one shard are one part.
 *
 * On the owner an item is validated, patched in place and appended; it is finished when its
 * acknowledgement rule is met (replication/replica.h). The part goes home with its last item, so
 * the frame, in which the batches lie, is in use until then. The records of different partitions
 * succeed or fail by themselves. What is still out when the request's timeout passes is answered
 * REQUEST_TIMED_OUT and carried out all the same.
 *
 * acks=0 has no answer; where an item failed, closing the connection is the only signal.
 */
#include "protocol/messages/produce.h"

#include "base/assert.h"
#include "base/buffer.h"
#include "broker/request.h"
#include "broker/shard.h"
#include "broker/topic_lookup.h"
#include "protocol/record_validation.h"
#include "replication/replica_table.h"

API_CODEC(produce);

enum { ZSTD_SINCE_VERSION = 7, UNFOLD_FACTOR = 256, UNFOLD_LIMIT = 128 * 1024 * 1024 };

struct produce_part;

struct produce_item {
    struct replica_append append;
    struct produce_part *part; /* NULL: refused at home */
    struct produce_item *next; /* of the same part */
    struct uuid topic_id;
    int32_t partition;
    uint8_t *records; /* in the frame; NULL when there are none */
    size_t records_size;
    struct buffer replacement; /* a rebuilt batch, in the owner's heap until it is written */
    enum kafka_error error;
    const char *message;
    struct record_error *record_errors; /* in the part's arena */
    int32_t record_error_count;
    int64_t base_offset;
    int64_t append_time_ms;
    int64_t log_start_offset;
};

struct produce_part {
    struct part part;
    struct produce_item *first;
    struct produce_item **last;
    unsigned waiting; /* items that are not finished, and one while the part begins */
    int16_t acks;
    int16_t version;
    struct loop *at;
};

struct produce_context {
    struct produce_item *items; /* in the order of the request */
    struct produce_part *parts[LOOP_COUNT_MAX];
};

/* ---- On the owner ---- */

static void finish_item(struct produce_item *item)
{
    struct produce_part *part = item->part;
    if (item->replacement.data)
        buffer_deinit(&item->replacement);
    if (--part->waiting == 0)
        part_done(&part->part, part->at);
}

static void take_offsets(struct produce_item *item)
{
    const struct log_append *append = &item->append.append;
    item->base_offset = append->base_offset;
    item->append_time_ms = append->append_time_ms;
    item->log_start_offset = append->log_start_offset;
}

static void item_acknowledged(struct replica_append *append)
{
    struct produce_item *item = container_of(append, struct produce_item, append);
    item->error = append->error;
    if (item->error == KAFKA_ERROR_NONE)
        take_offsets(item);
    finish_item(item);
}

static struct record_rules rules_of(const struct topic_config *config, int64_t now_ms)
{
    struct record_rules rules = {
        .from_client = true,
        .compacted = config->cleanup_compact,
        .append_time = config->message_timestamp_type == TOPIC_TIMESTAMP_LOG_APPEND,
        .now_ms = now_ms,
        .before_max_ms = config->message_timestamp_before_max_ms,
        .after_max_ms = config->message_timestamp_after_max_ms,
        .batch_size_max = (size_t)config->max_message_bytes,
        .segment_size_max = (size_t)config->segment_bytes,
    };
    size_t unfolded = (size_t)config->max_message_bytes * UNFOLD_FACTOR;
    rules.decompressed_size_max = unfolded < UNFOLD_LIMIT ? unfolded : UNFOLD_LIMIT;
    rules.convert = config->compression_type != TOPIC_COMPRESSION_PRODUCER;
    if (!rules.convert)
        return rules;
    rules.codec = (enum compression_codec)config->compression_type;
    switch (config->compression_type) {
    case TOPIC_COMPRESSION_GZIP:
        rules.level = config->compression_gzip_level;
        break;
    case TOPIC_COMPRESSION_LZ4:
        rules.level = config->compression_lz4_level;
        break;
    case TOPIC_COMPRESSION_ZSTD:
        rules.level = config->compression_zstd_level;
        break;
    case TOPIC_COMPRESSION_NONE:
    case TOPIC_COMPRESSION_SNAPPY:
    case TOPIC_COMPRESSION_PRODUCER:
        break;
    }
    return rules;
}

static void keep_record_errors(struct produce_item *item, const struct record_validation *result)
{
    item->message = result->message;
    if (result->error_count == 0)
        return;
    size_t size = (size_t)result->error_count * sizeof(*item->record_errors);
    item->record_errors = arena_get(&item->part->part.arena, size);
    if (!item->record_errors)
        return;
    memcpy(item->record_errors, result->errors, size);
    item->record_error_count = result->error_count;
}

/* Checks that need no record: what was sent at all, and what its version may carry. */
static enum kafka_error check_header(const struct produce_item *item)
{
    if (item->records_size < BATCH_HEADER_SIZE || batch_magic(item->records) != BATCH_MAGIC)
        return KAFKA_ERROR_NONE; /* record_validate names what is wrong */
    uint16_t attributes = batch_attributes(item->records);
    if ((attributes & BATCH_ATTRIBUTE_CODEC_MASK) == COMPRESSION_ZSTD &&
        item->part->version < ZSTD_SINCE_VERSION)
        return KAFKA_ERROR_UNSUPPORTED_COMPRESSION_TYPE;
    if (attributes & BATCH_ATTRIBUTE_TRANSACTIONAL)
        return KAFKA_ERROR_INVALID_TXN_STATE; /* no transaction can have been begun */
    return KAFKA_ERROR_NONE;
}

/* Validates and patches; on success `append` has the bytes to write. */
static enum kafka_error prepare(struct produce_item *item, const struct replica *replica,
                                struct loop *at)
{
    enum kafka_error error = check_header(item);
    if (error != KAFKA_ERROR_NONE)
        return error;
    struct record_rules rules = rules_of(&replica->config, at->wall_ms);
    struct record_validation result;
    struct view records = view_of(item->records, item->records_size);
    buffer_init(&item->replacement, at->heap, MEMORY_SCRATCH, 0);
    error = record_validate(records, &rules, at->heap, &item->replacement, &result);
    if (error != KAFKA_ERROR_NONE) {
        keep_record_errors(item, &result);
        return error;
    }
    struct log_append *append = &item->append.append;
    append->data = item->records;
    append->size = item->records_size;
    if (result.action == RECORD_ACTION_STAMP)
        record_validation_stamp(&result, append->data, append->size);
    if (result.action == RECORD_ACTION_REPLACE) {
        append->data = item->replacement.data;
        append->size = item->replacement.size;
    }
    return KAFKA_ERROR_NONE;
}

/* Kafka names the log's start with what it finds inside a batch, but not with all other errors. */
static bool tells_log_start(const struct produce_item *item)
{
    size_t size;
    struct view records = view_of(item->records, item->records_size);
    if (batch_parse(records, &size) != BATCH_OK || size != records.size)
        return false;
    return item->error != KAFKA_ERROR_UNSUPPORTED_COMPRESSION_TYPE &&
           item->error != KAFKA_ERROR_CORRUPT_MESSAGE &&
           item->error != KAFKA_ERROR_MESSAGE_TOO_LARGE &&
           item->error != KAFKA_ERROR_RECORD_LIST_TOO_LARGE &&
           item->error != KAFKA_ERROR_KAFKA_STORAGE_ERROR;
}

static void refuse_item(struct produce_item *item, const struct replica *replica)
{
    if (tells_log_start(item))
        item->log_start_offset = partition_log_start_offset(replica->log);
    finish_item(item);
}

static void produce_item(struct produce_item *item, struct shard *shard, struct loop *at)
{
    struct replica *replica = replica_table_find(&shard->replicas, item->topic_id, item->partition);
    item->error = replica ? replica_check(replica, -1) : KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (item->error != KAFKA_ERROR_NONE) {
        finish_item(item);
        return;
    }
    item->error = prepare(item, replica, at);
    if (item->error != KAFKA_ERROR_NONE) {
        refuse_item(item, replica);
        return;
    }
    item->append.acks = item->part->acks;
    item->append.done = item_acknowledged;
    item->append.append.origin = LOG_APPEND_CLIENT;
    if (!replica_append(replica, &item->append))
        return;
    if (item->append.error == KAFKA_ERROR_NONE) {
        item_acknowledged(&item->append);
    } else {
        item->error = item->append.error;
        refuse_item(item, replica);
    }
}

static void produce_part(struct part *base, struct loop *at)
{
    struct produce_part *part = container_of(base, struct produce_part, part);
    struct shard *shard = shard_of(at);
    part->at = at;
    part->waiting = 1;
    for (const struct produce_item *item = part->first; item; item = item->next)
        part->waiting++;
    /* The last item to finish sends the part home, and with it goes the list. */
    for (struct produce_item *item = part->first, *next; item; item = next) {
        next = item->next;
        produce_item(item, shard, at);
    }
    if (--part->waiting == 0)
        part_done(&part->part, at);
}

/* ---- At home ---- */

/* Names the item's place: its part, or the error that keeps it at home. */
static enum kafka_error place_item(struct request *request, struct produce_item *item,
                                   const struct produce_request_topic_produce_data *topic_data)
{
    const struct image_topic *topic;
    enum kafka_error error =
        topic_lookup(request->shard->image, request_version(request) >= 13, topic_data->topic_id,
                     topic_data->name, item->partition, &topic);
    if (error != KAFKA_ERROR_NONE)
        return error;
    if (image_topic_name_is_internal(topic->name) &&
        !view_equal(request->base.client_id, VIEW_LITERAL("__admin_client")))
        return KAFKA_ERROR_INVALID_TOPIC_EXCEPTION;
    item->topic_id = topic->id;
    return KAFKA_ERROR_NONE;
}

static void add_to_part(struct request *request, struct produce_item *item)
{
    struct produce_context *context = request->context;
    unsigned target = shard_of_partition(request->shard->broker, item->topic_id, item->partition);
    struct produce_part *part = context->parts[target];
    if (!part) {
        part = request_add_part(request, sizeof(*part));
        part->acks = REQUEST_MESSAGE(produce, request)->acks;
        part->version = request_version(request);
        part->last = &part->first;
        context->parts[target] = part;
    }
    item->part = part;
    *part->last = item;
    part->last = &item->next;
}

static bool has_transactional_records(const struct produce_request *message)
{
    for (size_t i = 0; i < message->topic_data_count; i++) {
        const struct produce_request_topic_produce_data *topic = &message->topic_data[i];
        for (size_t j = 0; j < topic->partition_data_count; j++) {
            struct view records = topic->partition_data[j].records.memory;
            if (records.size >= BATCH_HEADER_SIZE && batch_magic(records.data) == BATCH_MAGIC &&
                batch_is_transactional(records.data))
                return true;
        }
    }
    return false;
}

/* What keeps the request as a whole from being carried out. */
static enum kafka_error check_request(const struct produce_request *message)
{
    if (view_is_null(message->transactional_id) && has_transactional_records(message))
        return KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    bool valid_acks = message->acks >= -1 && message->acks <= 1;
    return valid_acks ? KAFKA_ERROR_NONE : KAFKA_ERROR_INVALID_REQUIRED_ACKS;
}

static void fill_items(struct request *request)
{
    const struct produce_request *message = REQUEST_MESSAGE(produce, request);
    struct produce_context *context = request->context;
    struct produce_item *item = context->items;
    enum kafka_error error = check_request(message);
    for (size_t i = 0; i < message->topic_data_count; i++) {
        const struct produce_request_topic_produce_data *topic = &message->topic_data[i];
        for (size_t j = 0; j < topic->partition_data_count; j++, item++) {
            struct view records = topic->partition_data[j].records.memory;
            item->partition = topic->partition_data[j].index;
            item->base_offset = -1;
            item->append_time_ms = -1;
            item->log_start_offset = -1;
            if (records.size > 0)
                item->records = request->base.frame + (records.data - request->base.frame);
            item->records_size = records.size;
            item->error = error == KAFKA_ERROR_NONE ? place_item(request, item, topic) : error;
            if (item->error == KAFKA_ERROR_NONE)
                add_to_part(request, item);
        }
    }
}

static void produce_split(struct request *request)
{
    const struct produce_request *message = REQUEST_MESSAGE(produce, request);
    struct produce_context *context = request_get(request, 1, sizeof(*context));
    size_t count = 0;
    for (size_t i = 0; i < message->topic_data_count; i++)
        count += message->topic_data[i].partition_data_count;
    context->items = request_get(request, count, sizeof(*context->items));
    request->context = context;
    fill_items(request);
    for (unsigned i = 1; i <= request->shard->broker->shard_count; i++)
        if (context->parts[i])
            request_post_part(request, &context->parts[i]->part, i);
    if (request->parts_out > 1 && message->acks != 0)
        request_set_deadline(request, message->timeout_ms);
    request_await_parts(request);
}

static void fill_record_errors(struct request *request, const struct produce_item *item,
                               struct produce_response_partition_produce_response *out)
{
    size_t count = (size_t)item->record_error_count;
    if (item->message)
        out->error_message = view_of_string(item->message);
    if (count == 0)
        return;
    out->record_errors = request_get(request, count, sizeof(*out->record_errors));
    out->record_errors_count = count;
    for (size_t i = 0; i < count; i++) {
        out->record_errors[i].batch_index = item->record_errors[i].index;
        out->record_errors[i].batch_index_error_message =
            view_of_string(item->record_errors[i].message);
    }
}

static void fill_partition(struct request *request, const struct produce_item *item,
                           struct produce_response_partition_produce_response *out)
{
    produce_response_partition_produce_response_init(out);
    out->index = item->partition;
    out->base_offset = -1;
    if (item->part && !item->part->part.is_home) {
        out->error_code = KAFKA_ERROR_REQUEST_TIMED_OUT;
        return;
    }
    out->error_code = (int16_t)item->error;
    out->log_start_offset = item->log_start_offset;
    if (item->error != KAFKA_ERROR_NONE) {
        fill_record_errors(request, item, out);
        return;
    }
    out->base_offset = item->base_offset;
    out->log_append_time_ms = item->append_time_ms;
}

/* Whether all items went well; for acks=0. */
static bool is_successful(const struct request *request)
{
    const struct produce_request *message = REQUEST_MESSAGE(produce, request);
    const struct produce_context *context = request->context;
    const struct produce_item *item = context->items;
    for (size_t i = 0; i < message->topic_data_count; i++)
        for (size_t j = 0; j < message->topic_data[i].partition_data_count; j++, item++)
            if (item->error != KAFKA_ERROR_NONE)
                return false;
    return true;
}

static void produce_join(struct request *request)
{
    const struct produce_request *message = REQUEST_MESSAGE(produce, request);
    const struct produce_context *context = request->context;
    if (message->acks == 0) {
        if (is_successful(request))
            request_end(request);
        else
            request_refuse(request, CONNECTION_CLOSE_ACKS_ZERO, NULL);
        return;
    }
    struct produce_response response;
    produce_response_init(&response);
    response.responses_count = message->topic_data_count;
    response.responses =
        request_get(request, response.responses_count, sizeof(*response.responses));
    const struct produce_item *item = context->items;
    for (size_t i = 0; i < message->topic_data_count; i++) {
        const struct produce_request_topic_produce_data *topic = &message->topic_data[i];
        struct produce_response_topic_produce_response *out = &response.responses[i];
        produce_response_topic_produce_response_init(out);
        out->name = topic->name;
        out->topic_id = topic->topic_id;
        out->partition_responses_count = topic->partition_data_count;
        out->partition_responses =
            request_get(request, topic->partition_data_count, sizeof(*out->partition_responses));
        for (size_t j = 0; j < topic->partition_data_count; j++, item++)
            fill_partition(request, item, &out->partition_responses[j]);
    }
    request_respond(request, &response);
}

const struct api_row api_row_produce = {
    API_ROW(produce, API_KEY_PRODUCE),
    .route = API_ROUTE_PARTITION,
    .split = produce_split,
    .part = produce_part,
    .join = produce_join,
};
