/*
 * AlterConfigs: the named settings replace all that a resource has. Deprecated in favour of
 * IncrementalAlterConfigs, but all that older clients know.
 */
#include "protocol/messages/alter_configs.h"

#include "broker/controller_part.h"
#include "cluster/controller/alter_configs.h"

API_CODEC(alter_configs);

static void alter_configs_split(struct request *request)
{
    controller_part_post(request, request->message, sizeof(struct alter_configs_response));
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_alter_configs(decision, message, response);
}

static void alter_configs_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

/* Nothing was changed: the same error for each resource. */
static void refuse_all(struct request *request, enum kafka_error error)
{
    const struct alter_configs_request *message = REQUEST_MESSAGE(alter_configs, request);
    struct alter_configs_response response;
    alter_configs_response_init(&response);
    response.responses =
        request_get(request, message->resources_count, sizeof(*response.responses));
    response.responses_count = message->resources_count;
    for (size_t i = 0; i < message->resources_count; i++) {
        alter_configs_response_alter_configs_resource_response_init(&response.responses[i]);
        response.responses[i].error_code = (int16_t)error;
        response.responses[i].resource_type = message->resources[i].resource_type;
        response.responses[i].resource_name = message->resources[i].resource_name;
    }
    request_respond(request, &response);
}

static void alter_configs_join(struct request *request)
{
    const struct controller_part *part = controller_part_of(request);
    if (part->error == KAFKA_ERROR_NONE)
        request_respond(request, part->response);
    else
        refuse_all(request, part->error);
}

const struct api_row api_row_alter_configs = {
    API_ROW(alter_configs, API_KEY_ALTER_CONFIGS),
    .route = API_ROUTE_CONTROLLER,
    .split = alter_configs_split,
    .part = alter_configs_part,
    .join = alter_configs_join,
    .arrived = controller_part_arrived,
    .release = controller_part_release,
};
