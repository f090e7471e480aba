/*
 * DescribeLogDirs: directories and the sizes of their partitions (KIP-113, KIP-827).
 */
#include "protocol/messages/describe_log_dirs.h"

#include "broker/request.h"
#include "broker/shard.h"

API_CODEC(describe_log_dirs);

static void describe_log_dirs_split(struct request *request)
{
    struct describe_log_dirs_response response;
    describe_log_dirs_response_init(&response);
    request_respond(request, &response);
}

const struct api_row api_row_describe_log_dirs = {
    API_ROW(describe_log_dirs, API_KEY_DESCRIBE_LOG_DIRS),
    .route = API_ROUTE_EVERY_SHARD,
    .split = describe_log_dirs_split,
};
