/*
 * CreateAcls: there is no authorizer, so an entry would protect nothing. As Kafka without one,
 * every entry is refused with SECURITY_DISABLED instead of being stored.
 */
#include "protocol/messages/create_acls.h"

#include "broker/request.h"

API_CODEC(create_acls);

static void create_acls_split(struct request *request)
{
    const struct create_acls_request *message = REQUEST_MESSAGE(create_acls, request);
    struct create_acls_response response;
    create_acls_response_init(&response);
    response.results = request_get(request, message->creations_count, sizeof(*response.results));
    response.results_count = message->creations_count;
    for (size_t i = 0; i < message->creations_count; i++)
        response.results[i] = (struct create_acls_response_acl_creation_result){
            KAFKA_ERROR_SECURITY_DISABLED, VIEW_LITERAL("no authorizer is configured")};
    request_respond(request, &response);
}

const struct api_row api_row_create_acls = {
    API_ROW(create_acls, API_KEY_CREATE_ACLS),
    .route = API_ROUTE_HERE,
    .split = create_acls_split,
};
