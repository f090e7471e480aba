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

struct finding {
    enum kafka_error error;
    struct view message;
};

static struct finding find(const struct request *request, int8_t key_type)
{
    bool is_list = request_version(request) >= LIST_SINCE_VERSION;
    if (key_type < KEY_TYPE_GROUP || key_type >= KEY_TYPE_COUNT)
        return (struct finding){KAFKA_ERROR_INVALID_REQUEST,
                                VIEW_LITERAL("there is no such type of coordinator")};
    /* A share group's key has three parts; since version 6 it may be asked for at all. */
    if (key_type == KEY_TYPE_SHARE && request_version(request) < SHARE_SINCE_VERSION)
        return (struct finding){KAFKA_ERROR_INVALID_REQUEST,
                                is_list ? VIEW_LITERAL("")
                                        : VIEW_LITERAL("this version does not know share groups")};
    return (struct finding){KAFKA_ERROR_COORDINATOR_NOT_AVAILABLE,
                            is_list ? VIEW_LITERAL("")
                                    : VIEW_LITERAL("the coordinator is not available")};
}

static void answer_one(struct request *request, struct finding finding)
{
    struct find_coordinator_response response;
    find_coordinator_response_init(&response);
    response.error_code = (int16_t)finding.error;
    response.error_message = finding.message;
    response.node_id = -1;
    response.port = -1;
    request_respond(request, &response);
}

static void answer_list(struct request *request, struct finding finding)
{
    const struct find_coordinator_request *message = REQUEST_MESSAGE(find_coordinator, request);
    struct find_coordinator_response response;
    find_coordinator_response_init(&response);
    response.coordinators_count = message->coordinator_keys_count;
    response.coordinators =
        request_get(request, response.coordinators_count, sizeof(*response.coordinators));
    for (size_t i = 0; i < response.coordinators_count; i++) {
        find_coordinator_response_coordinator_init(&response.coordinators[i]);
        response.coordinators[i].key = message->coordinator_keys[i];
        response.coordinators[i].node_id = -1;
        response.coordinators[i].port = -1;
        response.coordinators[i].error_code = (int16_t)finding.error;
        response.coordinators[i].error_message = finding.message;
    }
    request_respond(request, &response);
}

static void find_coordinator_split(struct request *request)
{
    struct finding finding = find(request, REQUEST_MESSAGE(find_coordinator, request)->key_type);
    if (request_version(request) < LIST_SINCE_VERSION)
        answer_one(request, finding);
    else
        answer_list(request, finding);
}

const struct api_row api_row_find_coordinator = {
    API_ROW(find_coordinator, API_KEY_FIND_COORDINATOR),
    .route = API_ROUTE_HERE,
    .split = find_coordinator_split,
};
