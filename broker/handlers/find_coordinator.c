/*
 * FindCoordinator: which broker serves a group or a transactional id.
 *
 * Before version 4 a request names one key; since then it names several of one type (KIP-699) and
 * each is answered by itself. This node serves no groups and no transactions, so the answer for a
 * sound key is COORDINATOR_NOT_AVAILABLE, upon which clients ask again.
 */
#include "protocol/messages/find_coordinator.h"

#include "broker/request.h"
#include "broker/shard.h"

API_CODEC(find_coordinator);

enum {
    KEY_TYPE_GROUP,
    KEY_TYPE_TRANSACTION,
    KEY_TYPE_SHARE,
    KEY_TYPE_COUNT,
    LIST_SINCE_VERSION = 4,
    SHARE_SINCE_VERSION = 6
};

static enum kafka_error find(const struct request *request, int8_t key_type)
{
    if (key_type < KEY_TYPE_GROUP || key_type >= KEY_TYPE_COUNT)
        return KAFKA_ERROR_INVALID_REQUEST;
    if (key_type == KEY_TYPE_SHARE && request_version(request) < SHARE_SINCE_VERSION)
        return KAFKA_ERROR_INVALID_REQUEST;
    return KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE;
}

static void find_coordinator_split(struct request *request)
{
    const struct find_coordinator_request *message = REQUEST_MESSAGE(find_coordinator, request);
    struct find_coordinator_response response;
    find_coordinator_response_init(&response);
    enum kafka_error error = find(request, message->key_type);
    if (request_version(request) < LIST_SINCE_VERSION) {
        response.error_code = (int16_t)error;
        response.node_id = -1;
        response.host = VIEW_LITERAL("");
        response.port = -1;
        request_respond(request, &response);
        return;
    }
    struct find_coordinator_response_coordinator *list =
        request_get(request, message->coordinator_keys_count, sizeof(*list));
    for (size_t i = 0; i < message->coordinator_keys_count; i++) {
        find_coordinator_response_coordinator_init(&list[i]);
        list[i].key = message->coordinator_keys[i];
        list[i].node_id = -1;
        list[i].host = VIEW_LITERAL("");
        list[i].port = -1;
        list[i].error_code = (int16_t)error;
    }
    response.coordinators = list;
    response.coordinators_count = message->coordinator_keys_count;
    request_respond(request, &response);
}

const struct api_row api_row_find_coordinator = {
    API_ROW(find_coordinator, API_KEY_FIND_COORDINATOR),
    .route = API_ROUTE_HERE,
    .split = find_coordinator_split,
};
