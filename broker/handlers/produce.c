/*
 * Produce, on the connection's loop: items, parts, deadline, answer.
 *
 * The records of different partitions succeed or fail by themselves. What is still out when the
 * request's timeout passes is answered REQUEST_TIMED_OUT and carried out all the same. acks=0 has
 * no answer; where an item failed, closing the connection is the only signal.
 */
#include "broker/handlers/produce.h"

#include "broker/endpoint.h"
#include "broker/shard.h"
#include "broker/topic_lookup.h"
#include "protocol/messages/produce.h"

API_CODEC(produce);

enum { LEADERS_SINCE_VERSION = 10 };

struct produce_context {
    struct produce_item *items; /* in the order of the request */
    struct produce_part *parts[LOOP_COUNT_MAX];
};

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
        part->transactional_id = REQUEST_MESSAGE(produce, request)->transactional_id;
        part->last = &part->first;
        context->parts[target] = part;
    }
    item->part = part;
    *part->last = item;
    part->last = &item->next;
}

/* The transactional batches of a request: whether there are any, and of one producer only. */
struct transactional_records {
    bool exist;
    bool are_mixed;
    int64_t producer_id;
};

static struct transactional_records find_transactional(const struct produce_request *message)
{
    struct transactional_records found = {0};
    for (size_t i = 0; i < message->topic_data_count; i++) {
        const struct produce_request_topic_produce_data *topic = &message->topic_data[i];
        for (size_t j = 0; j < topic->partition_data_count; j++) {
            struct view records = topic->partition_data[j].records.memory;
            if (records.size < BATCH_HEADER_SIZE || batch_magic(records.data) != BATCH_MAGIC ||
                !batch_is_transactional(records.data))
                continue;
            int64_t producer_id = batch_producer_id(records.data);
            found.are_mixed |= found.exist && producer_id != found.producer_id;
            found.exist = true;
            found.producer_id = producer_id;
        }
    }
    return found;
}

/* What keeps the request as a whole from being carried out. */
static enum kafka_error check_request(const struct produce_request *message)
{
    struct transactional_records transactional = find_transactional(message);
    if (transactional.exist && view_is_null(message->transactional_id))
        return KAFKA_ERROR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    if (transactional.are_mixed)
        return KAFKA_ERROR_INVALID_PRODUCER_ID_MAPPING;
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

/* Who leads instead, so that the client need not ask for metadata first (KIP-951). */
static void name_leader(struct request *request, const struct produce_item *item,
                        struct produce_response_partition_produce_response *out,
                        struct endpoint_list *leaders)
{
    bool is_elsewhere = item->error == KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (!is_elsewhere || request_version(request) < LEADERS_SINCE_VERSION)
        return;
    const struct image_partition *partition =
        endpoint_list_add_leader(leaders, request, item->topic_id, item->partition);
    if (!partition)
        return;
    out->current_leader.leader_id = partition->leader;
    out->current_leader.leader_epoch = partition->leader_epoch;
}

static void list_leaders(struct request *request, const struct endpoint_list *leaders,
                         struct produce_response *response)
{
    response->node_endpoints =
        request_get(request, leaders->count, sizeof(*response->node_endpoints));
    response->node_endpoints_count = leaders->count;
    for (size_t i = 0; i < leaders->count; i++) {
        const struct endpoint_entry *entry = &leaders->entries[i];
        response->node_endpoints[i] = (struct produce_response_node_endpoint){
            entry->node_id, entry->endpoint.host, entry->endpoint.port, entry->rack};
    }
}

static void fill_partition(struct request *request, const struct produce_item *item,
                           struct produce_response_partition_produce_response *out,
                           struct endpoint_list *leaders)
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
        name_leader(request, item, out, leaders);
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
    struct endpoint_list leaders = {0};
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
            fill_partition(request, item, &out->partition_responses[j], &leaders);
    }
    if (leaders.count > 0)
        list_leaders(request, &leaders, &response);
    request_respond(request, &response);
}

const struct api_row api_row_produce = {
    API_ROW(produce, API_KEY_PRODUCE), .route = API_ROUTE_PARTITION, .split = produce_split,
    .part = produce_part_run,          .join = produce_join,
};
