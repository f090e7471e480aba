/* DeleteAcls: there is no authorizer; every filter is answered as Kafka does without one. */
#include "protocol/messages/delete_acls.h"

#include "broker/request.h"

API_CODEC(delete_acls);

static void delete_acls_split(struct request *request)
{
    const struct delete_acls_request *message = REQUEST_MESSAGE(delete_acls, request);
    struct delete_acls_response response;
    delete_acls_response_init(&response);
    response.filter_results =
        request_get(request, message->filters_count, sizeof(*response.filter_results));
    response.filter_results_count = message->filters_count;
    for (size_t i = 0; i < message->filters_count; i++)
        response.filter_results[i] = (struct delete_acls_response_delete_acls_filter_result){
            .error_code = KAFKA_ERROR_SECURITY_DISABLED,
            .error_message = VIEW_LITERAL("no authorizer is configured")};
    request_respond(request, &response);
}

const struct api_row api_row_delete_acls = {
    API_ROW(delete_acls, API_KEY_DELETE_ACLS),
    .route = API_ROUTE_HERE,
    .split = delete_acls_split,
};
