/* DescribeAcls: there is no authorizer; the answer is Kafka's without one. */
#include "protocol/messages/describe_acls.h"

#include "broker/request.h"

API_CODEC(describe_acls);

static void describe_acls_split(struct request *request)
{
    struct describe_acls_response response;
    describe_acls_response_init(&response);
    response.error_code = KAFKA_ERROR_SECURITY_DISABLED;
    response.error_message = VIEW_LITERAL("no authorizer is configured");
    request_respond(request, &response);
}

const struct api_row api_row_describe_acls = {
    API_ROW(describe_acls, API_KEY_DESCRIBE_ACLS),
    .route = API_ROUTE_HERE,
    .split = describe_acls_split,
};
