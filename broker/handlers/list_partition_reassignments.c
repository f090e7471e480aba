/* ListPartitionReassignments: as the controller sees them, what is not committed yet included. */
#include "protocol/messages/list_partition_reassignments.h"

#include "broker/controller_part.h"
#include "cluster/controller/list_reassignments.h"

API_CODEC(list_partition_reassignments);

static void list_partition_reassignments_split(struct request *request)
{
    controller_part_post_until(request, request->message,
                               sizeof(struct list_partition_reassignments_response),
                               REQUEST_MESSAGE(list_partition_reassignments, request)->timeout_ms);
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_list_partition_reassignments(decision, message, response);
}

static void list_partition_reassignments_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

static void list_partition_reassignments_join(struct request *request)
{
    enum kafka_error error;
    const struct list_partition_reassignments_response *response =
        controller_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct list_partition_reassignments_response refused;
    list_partition_reassignments_response_init(&refused);
    refused.error_code = (int16_t)error;
    refused.error_message = view_of_string(kafka_error_text(error));
    request_respond(request, &refused);
}

const struct api_row api_row_list_partition_reassignments = {
    API_ROW(list_partition_reassignments, API_KEY_LIST_PARTITION_REASSIGNMENTS),
    .route = API_ROUTE_CONTROLLER,
    .split = list_partition_reassignments_split,
    .part = list_partition_reassignments_part,
    .arrived = controller_part_arrived,
    .join = list_partition_reassignments_join,
    .release = controller_part_release,
};
