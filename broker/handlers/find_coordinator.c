/*
 * FindCoordinator: which broker serves a group or a transactional id.
 *
 * Before version 4 a request names one key; since then it names several of one type (KIP-699) and
 * each is answered by itself. This node serves no groups and no transactions, so the answer for a
 * sound key is COORDINATOR_NOT_AVAILABLE, upon which clients ask again.
 */
#include "protocol/messages/find_coordinator.h"

#include "base/text.h"
#include "base/uuid.h"
#include "broker/request.h"

API_CODEC(find_coordinator);

enum {
    KEY_TYPE_GROUP,
    KEY_TYPE_TRANSACTION,
    KEY_TYPE_SHARE,
    KEY_TYPE_COUNT,
    LIST_SINCE_VERSION = 4,
    SHARE_SINCE_VERSION = 6
};

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
    return key_type >= KEY_TYPE_GROUP && key_type < KEY_TYPE_COUNT;
}

static enum kafka_error find(const struct request *request, int8_t key_type, struct view key)
{
    if (!is_key_type(key_type))
        return KAFKA_ERROR_INVALID_REQUEST;
    if (key_type == KEY_TYPE_SHARE &&
        (request_version(request) < SHARE_SINCE_VERSION || !is_share_key(key)))
        return KAFKA_ERROR_INVALID_REQUEST;
    return KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE;
}

static void answer_one(struct request *request)
{
    const struct find_coordinator_request *message = REQUEST_MESSAGE(find_coordinator, request);
    struct find_coordinator_response response;
    find_coordinator_response_init(&response);
    enum kafka_error error = find(request, message->key_type, message->key);
    response.error_code = (int16_t)error;
    response.error_message = view_of_string(kafka_error_text(error));
    response.node_id = -1;
    response.port = -1;
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
        out->node_id = -1;
        out->port = -1;
        out->error_code = (int16_t)find(request, message->key_type, out->key);
        if (!is_key_type(message->key_type))
            out->error_message = view_of_string(kafka_error_text(KAFKA_ERROR_INVALID_REQUEST));
    }
    request_respond(request, &response);
}

static void find_coordinator_split(struct request *request)
{
    if (request_version(request) < LIST_SINCE_VERSION)
        answer_one(request);
    else
        answer_list(request);
}

const struct api_row api_row_find_coordinator = {
    API_ROW(find_coordinator, API_KEY_FIND_COORDINATOR),
    .route = API_ROUTE_HERE,
    .split = find_coordinator_split,
};
