/*
 * FindCoordinator: which broker serves a group, a transactional id or a share partition: the leader
 * of the partition of an internal topic that the key is placed in.
 *
 * Before version 4 a request names one key; since then it names several of one type (KIP-699) and
 * each is answered by itself. A topic that is missing is created first, and the answer waits for
 * that; where it cannot be created, and for keys of a type that this broker does not serve, the
 * answer is COORDINATOR_NOT_AVAILABLE, upon which clients ask again.
 */
#include "protocol/messages/find_coordinator.h"

#include "base/text.h"
#include "base/uuid.h"
#include "broker/auto_create.h"
#include "broker/coordinator_kinds.h"
#include "broker/endpoint.h"
#include "broker/shard.h"
#include "coordinator/placement.h"

API_CODEC(find_coordinator);

enum { LIST_SINCE_VERSION = 4, SHARE_SINCE_VERSION = 6 };

/* "<group>:<topic id>:<partition>", with a group id that is not blank (KIP-932). */
static bool is_share_key(struct view key)
{
    struct view group, topic, partition;
    struct uuid id;
    int64_t number;
    bool has_parts = text_split(&key, ':', &group) && text_split(&key, ':', &topic) &&
                     text_split(&key, ':', &partition);
    return has_parts && key.size == 0 && text_trim(group).size > 0 && uuid_parse(topic, &id) &&
           text_parse_i64(partition, INT32_MIN, INT32_MAX, &number);
}

static bool is_key_type(int8_t key_type)
{
    return key_type >= COORDINATOR_GROUPS && key_type < COORDINATOR_SLOTS;
}

static bool is_sound(const struct request *request, int8_t key_type, struct view key)
{
    if (!is_key_type(key_type))
        return false;
    return key_type != COORDINATOR_SHARES ||
           (request_version(request) >= SHARE_SINCE_VERSION && is_share_key(key));
}

struct found {
    enum kafka_error error;
    int32_t node_id;
    struct endpoint endpoint;
};

static struct found find(struct request *request, int8_t key_type, struct view key)
{
    const struct image *image = request->shard->image;
    struct found found = {KAFKA_ERROR_INVALID_REQUEST, -1, {.host = VIEW_LITERAL(""), .port = -1}};
    if (!is_sound(request, key_type, key))
        return found;
    found.error = KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE;
    enum coordinator_slot slot = (enum coordinator_slot)key_type;
    const struct image_topic *topic = image_topic_by_name(image, coordinator_slot_topic(slot));
    if (!coordinator_kind_of(request->shard->broker, slot) || !topic || topic->partition_count == 0)
        return found;
    const struct image_partition *partition =
        image_topic_partition(topic, placement_partition(key, (int32_t)topic->partition_count));
    const struct image_node *leader = partition ? image_broker(image, partition->leader) : NULL;
    struct endpoint endpoint;
    if (!leader || leader->fenced || !endpoint_for_client(request, leader, &endpoint))
        return found;
    return (struct found){KAFKA_ERROR_NONE, leader->id, endpoint};
}

static void answer_one(struct request *request)
{
    const struct find_coordinator_request *message = REQUEST_MESSAGE(find_coordinator, request);
    struct find_coordinator_response response;
    find_coordinator_response_init(&response);
    struct found found = find(request, message->key_type, message->key);
    response.error_code = (int16_t)found.error;
    response.error_message = found.error == KAFKA_ERROR_NONE
                                 ? VIEW_LITERAL("NONE") /* as Kafka says it */
                                 : view_of_string(kafka_error_text(found.error));
    response.node_id = found.node_id;
    response.host = found.endpoint.host;
    response.port = found.endpoint.port;
    request_respond(request, &response);
}

static void answer_list(struct request *request)
{
    const struct find_coordinator_request *message = REQUEST_MESSAGE(find_coordinator, request);
    struct find_coordinator_response response;
    find_coordinator_response_init(&response);
    response.coordinators_count = message->coordinator_keys_count;
    response.coordinators =
        request_get(request, response.coordinators_count, sizeof(*response.coordinators));
    for (size_t i = 0; i < response.coordinators_count; i++) {
        struct find_coordinator_response_coordinator *out = &response.coordinators[i];
        find_coordinator_response_coordinator_init(out);
        out->key = message->coordinator_keys[i];
        struct found found = find(request, message->key_type, out->key);
        out->error_code = (int16_t)found.error;
        out->node_id = found.node_id;
        out->host = found.endpoint.host;
        out->port = found.endpoint.port;
        if (!is_key_type(message->key_type))
            out->error_message = view_of_string(kafka_error_text(KAFKA_ERROR_INVALID_REQUEST));
    }
    request_respond(request, &response);
}

static void find_coordinator_answer(struct request *request)
{
    if (request_version(request) < LIST_SINCE_VERSION)
        answer_one(request);
    else
        answer_list(request);
}

static bool has_sound_key(const struct request *request)
{
    const struct find_coordinator_request *message = REQUEST_MESSAGE(find_coordinator, request);
    if (request_version(request) < LIST_SINCE_VERSION)
        return is_sound(request, message->key_type, message->key);
    for (size_t i = 0; i < message->coordinator_keys_count; i++)
        if (is_sound(request, message->key_type, message->coordinator_keys[i]))
            return true;
    return false;
}

static void find_coordinator_split(struct request *request)
{
    if (!has_sound_key(request)) {
        find_coordinator_answer(request);
        return;
    }
    enum coordinator_slot slot =
        (enum coordinator_slot)REQUEST_MESSAGE(find_coordinator, request)->key_type;
    struct view topic = coordinator_slot_topic(slot);
    if (!coordinator_kind_of(request->shard->broker, slot) ||
        image_topic_by_name(request->shard->image, topic)) {
        find_coordinator_answer(request);
        return;
    }
    struct auto_create *create = request_add_part(request, sizeof(*create));
    create->names = request_get(request, 1, sizeof(*create->names));
    create->names[create->count++] = topic;
    request_post_part(request, &create->part, 0);
    request_await_parts(request);
}

const struct api_row api_row_find_coordinator = {
    API_ROW(find_coordinator, API_KEY_FIND_COORDINATOR),
    .route = API_ROUTE_CONTROLLER,
    .split = find_coordinator_split,
    .part = auto_create_run,
    .join = find_coordinator_answer,
};
