/* AssignReplicasToDirs: a broker tells in which directories its replicas lie. */
#include "protocol/messages/assign_replicas_to_dirs.h"

#include "broker/controller_part.h"
#include "cluster/controller/assign_replicas_to_dirs.h"

API_CODEC(assign_replicas_to_dirs);

static void assign_replicas_to_dirs_split(struct request *request)
{
    controller_part_post(request, request->message,
                         sizeof(struct assign_replicas_to_dirs_response));
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_assign_replicas_to_dirs(decision, message, response);
}

static void assign_replicas_to_dirs_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

static void assign_replicas_to_dirs_join(struct request *request)
{
    enum kafka_error error;
    const struct assign_replicas_to_dirs_response *response =
        controller_part_response(request, &error);
    if (response) {
        request_respond(request, response);
        return;
    }
    struct assign_replicas_to_dirs_response refused;
    assign_replicas_to_dirs_response_init(&refused);
    refused.error_code = (int16_t)error;
    request_respond(request, &refused);
}

const struct api_row api_row_assign_replicas_to_dirs = {
    API_ROW(assign_replicas_to_dirs, API_KEY_ASSIGN_REPLICAS_TO_DIRS),
    .route = API_ROUTE_CONTROLLER,
    .split = assign_replicas_to_dirs_split,
    .part = assign_replicas_to_dirs_part,
    .join = assign_replicas_to_dirs_join,
    .release = controller_part_release,
};
