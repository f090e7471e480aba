/*
 * IncrementalAlterConfigs (KIP-339): single settings are set, deleted, extended or reduced.
 */
#include "protocol/messages/incremental_alter_configs.h"

#include "broker/controller_part.h"
#include "cluster/controller/alter_configs.h"

API_CODEC(incremental_alter_configs);

static void incremental_alter_configs_split(struct request *request)
{
    controller_part_post(request, request->message,
                         sizeof(struct incremental_alter_configs_response));
}

static void decide(struct decision *decision, const void *message, void *response)
{
    decide_incremental_alter_configs(decision, message, response);
}

static void incremental_alter_configs_part(struct part *part, struct loop *at)
{
    controller_part_run(part, at, decide);
}

/* Nothing was changed: the same error for each resource. */
static void refuse_all(struct request *request, enum kafka_error error)
{
    const struct incremental_alter_configs_request *message =
        REQUEST_MESSAGE(incremental_alter_configs, request);
    struct incremental_alter_configs_response response;
    incremental_alter_configs_response_init(&response);
    response.responses =
        request_get(request, message->resources_count, sizeof(*response.responses));
    response.responses_count = message->resources_count;
    for (size_t i = 0; i < message->resources_count; i++) {
        incremental_alter_configs_response_alter_configs_resource_response_init(
            &response.responses[i]);
        response.responses[i].error_code = (int16_t)error;
        response.responses[i].resource_type = message->resources[i].resource_type;
        response.responses[i].resource_name = message->resources[i].resource_name;
    }
    request_respond(request, &response);
}

static void incremental_alter_configs_join(struct request *request)
{
    const struct controller_part *part = controller_part_of(request);
    if (part->error == KAFKA_ERROR_NONE)
        request_respond(request, part->response);
    else
        refuse_all(request, part->error);
}

const struct api_row api_row_incremental_alter_configs = {
    API_ROW(incremental_alter_configs, API_KEY_INCREMENTAL_ALTER_CONFIGS),
    .route = API_ROUTE_CONTROLLER,
    .split = incremental_alter_configs_split,
    .part = incremental_alter_configs_part,
    .join = incremental_alter_configs_join,
    .arrived = controller_part_arrived,
    .release = controller_part_release,
};
