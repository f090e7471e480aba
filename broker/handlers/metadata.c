/*
 * Metadata: brokers, topics, partitions, from the image that the shard shows.
 *
 * Unknown topics are created when both the request and auto.create.topics.enable allow it
 * (broker/auto_create.h). The answer waits until every shard shows them, so the client need not ask
 * again.
 */
#include "protocol/messages/metadata.h"

#include "broker/authorized_operations.h"
#include "broker/auto_create.h"
#include "broker/endpoint.h"
#include "broker/request.h"
#include "broker/shard.h"
#include "cluster/metadata/topic_name.h"

API_CODEC(metadata);

enum { LISTENER_ERROR_SINCE_VERSION = 6 };

/* In Kafka's order: unfenced brokers by id. */
static void list_brokers(struct request *request, struct metadata_response *response)
{
    const struct image *image = request->shard->image;
    struct image_walk walk;
    size_t capacity = 0;
    image_walk_start(&image->brokers, &walk);
    while (image_walk_next_node(&walk))
        capacity++;
    struct metadata_response_broker *list = request_get(request, capacity, sizeof(*list));
    size_t count = 0;
    image_walk_start(&image->brokers, &walk);
    for (const struct image_node *node; (node = image_walk_next_node(&walk)) != NULL;) {
        struct endpoint endpoint;
        if (node->fenced || !endpoint_for_client(request, node, &endpoint))
            continue;
        list[count++] = (struct metadata_response_broker){
            .node_id = node->id,
            .host = endpoint.host,
            .port = endpoint.port,
            .rack = node->rack,
        };
    }
    response->brokers = list;
    response->brokers_count = count;
}

static int32_t *copy_ids(struct request *request, struct node_list list, size_t *count)
{
    int32_t *ids = request_get(request, list.count, sizeof(*ids));
    if (list.count)
        memcpy(ids, list.ids, list.count * sizeof(*ids));
    *count = list.count;
    return ids;
}

/* Clients of version 0 cannot do with nodes that the answer does not list. */
static void keep_alive_ids(const struct request *request, int32_t *ids, size_t *count,
                           struct metadata_response_partition *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (endpoint_is_alive(request, ids[i]))
            ids[kept++] = ids[i];
    if (kept < *count && out->error_code == KAFKA_ERROR_NONE)
        out->error_code = KAFKA_ERROR_REPLICA_NOT_AVAILABLE;
    *count = kept;
}

static void fill_partition(struct request *request, const struct image_partition *partition,
                           int32_t index, struct metadata_response_partition *out)
{
    struct node_list replicas = image_partition_replicas(partition);
    metadata_response_partition_init(out);
    out->partition_index = index;
    out->leader_id = partition->leader;
    out->leader_epoch = partition->leader_epoch;
    out->replica_nodes = copy_ids(request, replicas, &out->replica_nodes_count);
    out->isr_nodes = copy_ids(request, image_partition_isr(partition), &out->isr_nodes_count);
    out->offline_replicas = request_get(request, replicas.count, sizeof(int32_t));
    for (uint32_t i = 0; i < replicas.count; i++)
        if (endpoint_replica_is_offline(request, partition, i))
            out->offline_replicas[out->offline_replicas_count++] = replicas.ids[i];
    enum kafka_error error = endpoint_leader_error(request, partition->leader);
    if (error == KAFKA_ERROR_LISTENER_NOT_FOUND &&
        request_version(request) < LISTENER_ERROR_SINCE_VERSION)
        error = KAFKA_ERROR_LEADER_NOT_AVAILABLE;
    out->error_code = (int16_t)error;
    if (error != KAFKA_ERROR_NONE)
        out->leader_id = IMAGE_LEADER_NONE;
    if (request_version(request) == 0) {
        keep_alive_ids(request, out->replica_nodes, &out->replica_nodes_count, out);
        keep_alive_ids(request, out->isr_nodes, &out->isr_nodes_count, out);
    }
}

static void fill_topic(struct request *request, const struct image_topic *topic,
                       struct metadata_response_topic *out)
{
    metadata_response_topic_init(out);
    out->name = topic->name;
    out->topic_id = topic->id;
    out->is_internal = image_topic_name_is_internal(topic->name);
    if (REQUEST_MESSAGE(metadata, request)->include_topic_authorized_operations)
        out->topic_authorized_operations = TOPIC_OPERATIONS;
    out->partitions = request_get(request, topic->partition_count, sizeof(*out->partitions));
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct image_partition *partition = image_topic_partition(topic, (int32_t)i);
        if (partition)
            fill_partition(request, partition, (int32_t)i,
                           &out->partitions[out->partitions_count++]);
    }
}

static void list_all_topics(struct request *request, struct metadata_response *response)
{
    const struct image *image = request->shard->image;
    struct image_topic_walk walk;
    size_t count = 0;
    image_topic_walk_start(image, VIEW_NULL, &walk);
    while (image_topic_walk_next(&walk))
        count++;
    response->topics = request_get(request, count, sizeof(*response->topics));
    image_topic_walk_start(image, VIEW_NULL, &walk);
    for (const struct image_topic *topic; (topic = image_topic_walk_next(&walk)) != NULL;)
        fill_topic(request, topic, &response->topics[response->topics_count++]);
}

static void fill_asked_topic(struct request *request, const struct metadata_request_topic *asked,
                             struct metadata_response_topic *out)
{
    const struct image *image = request->shard->image;
    bool by_id = !uuid_is_zero(asked->topic_id);
    const struct image_topic *topic =
        by_id ? image_topic_by_id(image, asked->topic_id) : image_topic_by_name(image, asked->name);
    if (topic) {
        fill_topic(request, topic, out);
        return;
    }
    metadata_response_topic_init(out);
    if (by_id) {
        out->name = VIEW_NULL;
        out->topic_id = asked->topic_id;
        out->error_code = KAFKA_ERROR_UNKNOWN_TOPIC_ID;
        return;
    }
    out->name = asked->name;
    out->is_internal = image_topic_name_is_internal(asked->name);
    out->error_code = topic_name_fault(asked->name) ? KAFKA_ERROR_INVALID_TOPIC_EXCEPTION
                                                    : KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
}

/* Version 0 has no way to ask for none: there an empty list means all. */
static bool asks_for_all(const struct request *request)
{
    const struct metadata_request *message = REQUEST_MESSAGE(metadata, request);
    return message->topics == NULL || (request_version(request) == 0 && message->topics_count == 0);
}

static void metadata_answer(struct request *request)
{
    const struct metadata_request *message = REQUEST_MESSAGE(metadata, request);
    struct metadata_response response;
    metadata_response_init(&response);
    list_brokers(request, &response);
    response.cluster_id = request->shard->image->cluster_id;
    response.controller_id = endpoint_controller_id(request);
    if (message->include_cluster_authorized_operations)
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    if (asks_for_all(request)) {
        list_all_topics(request, &response);
    } else {
        response.topics = request_get(request, message->topics_count, sizeof(*response.topics));
        for (size_t i = 0; i < message->topics_count; i++)
            fill_asked_topic(request, &message->topics[i], &response.topics[i]);
        response.topics_count = message->topics_count;
    }
    request_respond(request, &response);
}

/* Before version 12 topics are asked for by name alone. */
static bool has_bad_topic(const struct request *request)
{
    const struct metadata_request *message = REQUEST_MESSAGE(metadata, request);
    for (size_t i = 0; i < message->topics_count; i++) {
        bool by_id = !uuid_is_zero(message->topics[i].topic_id);
        bool unusable =
            request_version(request) < 12 && (by_id || view_is_null(message->topics[i].name));
        if (unusable || (!by_id && view_is_null(message->topics[i].name)))
            return true;
    }
    return false;
}

static void refuse_all(struct request *request)
{
    const struct metadata_request *message = REQUEST_MESSAGE(metadata, request);
    struct metadata_response response;
    metadata_response_init(&response);
    response.topics = request_get(request, message->topics_count, sizeof(*response.topics));
    for (size_t i = 0; i < message->topics_count; i++) {
        metadata_response_topic_init(&response.topics[i]);
        response.topics[i].topic_id = message->topics[i].topic_id;
        response.topics[i].name =
            view_is_null(message->topics[i].name) ? VIEW_LITERAL("") : message->topics[i].name;
        response.topics[i].error_code = KAFKA_ERROR_INVALID_REQUEST;
    }
    response.topics_count = message->topics_count;
    request_respond(request, &response);
}

/* Whether the name is to be created: wanted, allowed, and not one of the cluster's own topics. */
static bool is_creatable(struct request *request, const struct metadata_request_topic *asked)
{
    return uuid_is_zero(asked->topic_id) && !topic_name_fault(asked->name) &&
           !image_topic_name_is_internal(asked->name) &&
           !image_topic_by_name(request->shard->image, asked->name);
}

/* Asks the controller for the topics that are missing; false when there are none. */
static bool create_missing(struct request *request)
{
    const struct metadata_request *message = REQUEST_MESSAGE(metadata, request);
    bool allowed = message->allow_auto_topic_creation &&
                   request->shard->broker->config->settings.auto_create_topics_enable;
    if (!allowed || asks_for_all(request))
        return false;
    struct auto_create *create = NULL;
    for (size_t i = 0; i < message->topics_count; i++) {
        if (!is_creatable(request, &message->topics[i]))
            continue;
        if (!create) {
            create = request_add_part(request, sizeof(*create));
            create->names = request_get(request, message->topics_count, sizeof(struct view));
        }
        create->names[create->count++] = message->topics[i].name;
    }
    if (!create)
        return false;
    request_post_part(request, &create->part, 0);
    request_await_parts(request);
    return true;
}

static void metadata_split(struct request *request)
{
    if (has_bad_topic(request))
        refuse_all(request);
    else if (!create_missing(request))
        metadata_answer(request);
}

const struct api_row api_row_metadata = {
    API_ROW(metadata, API_KEY_METADATA),
    .route = API_ROUTE_CONTROLLER,
    .split = metadata_split,
    .part = auto_create_run,
    .join = metadata_answer,
};
