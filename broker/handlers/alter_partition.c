/* AlterPartition: a leader proposes in-sync sets. */
#include "protocol/messages/alter_partition.h"

#include "broker/controller_part.h"
#include "cluster/controller/alter_partition.h"

API_CODEC(alter_partition);

static void alter_partition_split(struct request *request)
{
    controller_part_post(request, request->message, sizeof(struct alter_partition_response));
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_alter_partition(decision, message, decision->version, response);
}

static void alter_partition_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

static void alter_partition_join(struct request *request)
{
    enum kafka_error error;
    const struct alter_partition_response *response = controller_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct alter_partition_response refused;
    alter_partition_response_init(&refused);
    refused.error_code = (int16_t)error;
    request_respond(request, &refused);
}

const struct api_row api_row_alter_partition = {
    API_ROW(alter_partition, API_KEY_ALTER_PARTITION),
    .route = API_ROUTE_CONTROLLER,
    .split = alter_partition_split,
    .part = alter_partition_part,
    .join = alter_partition_join,
    .release = controller_part_release,
};
