/* AlterPartitionReassignments: decided by the controller; the moves go on after the answer. */
#include "protocol/messages/alter_partition_reassignments.h"

#include "broker/controller_part.h"
#include "cluster/controller/alter_reassignments.h"

API_CODEC(alter_partition_reassignments);

static void alter_partition_reassignments_split(struct request *request)
{
    controller_part_post_until(request, request->message,
                               sizeof(struct alter_partition_reassignments_response),
                               REQUEST_MESSAGE(alter_partition_reassignments, request)->timeout_ms);
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_alter_partition_reassignments(decision, message, response);
}

static void alter_partition_reassignments_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

static void alter_partition_reassignments_join(struct request *request)
{
    enum kafka_error error;
    const struct alter_partition_reassignments_response *response =
        controller_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct alter_partition_reassignments_response refused;
    alter_partition_reassignments_response_init(&refused);
    refused.error_code = (int16_t)error;
    refused.error_message = view_of_string(kafka_error_text(error));
    request_respond(request, &refused);
}

const struct api_row api_row_alter_partition_reassignments = {
    API_ROW(alter_partition_reassignments, API_KEY_ALTER_PARTITION_REASSIGNMENTS),
    .route = API_ROUTE_CONTROLLER,
    .split = alter_partition_reassignments_split,
    .part = alter_partition_reassignments_part,
    .arrived = controller_part_arrived,
    .join = alter_partition_reassignments_join,
    .release = controller_part_release,
};
