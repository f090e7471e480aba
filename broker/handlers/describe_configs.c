/*
 * DescribeConfigs: settings of topics, brokers, groups and client metrics subscriptions.
 *
 * Each resource succeeds or fails by itself. What is listed, and where each value comes from, is
 * decided in config/describe.h; here resources are checked and entries put onto the wire.
 */
#include "protocol/messages/describe_configs.h"

#include "cluster/controller/config_resource.h"
#include "broker/request.h"
#include "broker/topic_settings.h"
#include "config/describe.h"

API_CODEC(describe_configs);

static void fill_entry(struct request *request, const struct config_described *described,
                       struct describe_configs_response_describe_configs_resource_result *out)
{
    describe_configs_response_describe_configs_resource_result_init(out);
    out->name = described->name;
    out->value = described->value;
    out->read_only = described->is_read_only;
    out->config_source = (int8_t)described->source;
    out->is_sensitive = described->is_sensitive;
    out->config_type = (int8_t)described->type;
    out->documentation = described->documentation;
    out->synonyms = request_get(request, described->synonym_count, sizeof(*out->synonyms));
    out->synonyms_count = described->synonym_count;
    for (size_t i = 0; i < described->synonym_count; i++) {
        const struct config_described_synonym *synonym = &described->synonyms[i];
        describe_configs_response_describe_configs_synonym_init(&out->synonyms[i]);
        out->synonyms[i].name = synonym->name;
        out->synonyms[i].value = synonym->value;
        out->synonyms[i].source = (int8_t)synonym->source;
    }
}

/* Lists the entries of a resource that was found good. */
static void fill_entries(struct request *request,
                         const struct describe_configs_request_describe_configs_resource *asked,
                         const struct config_resource_check *check,
                         struct describe_configs_response_describe_configs_result *out)
{
    const struct describe_configs_request *message = REQUEST_MESSAGE(describe_configs, request);
    const struct broker *broker = request->front->broker;
    const struct image *image = request_image(request);
    struct config_described_list list;
    struct config_set stored = settings_of(image, (enum config_resource_type)asked->resource_type,
                                           asked->resource_name, &request->arena);
    struct config_layers layers = settings_layers(broker, image, VIEW_LITERAL(""), &request->arena);
    if (check->scope != CONFIG_SCOPE_BROKER)
        layers.topic = &stored;
    struct config_describe_request wanted = {
        .scope = check->scope,
        .cluster_default = check->cluster_default,
        .keys = asked->configuration_keys,
        .key_count = asked->configuration_keys_count,
        .with_synonyms = message->include_synonyms,
        .with_documentation = message->include_documentation,
        .layers = layers,
    };
    if (!config_describe(&wanted, &list, &request->arena)) {
        out->error_code = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
        return;
    }
    out->configs = request_get(request, list.count, sizeof(*out->configs));
    out->configs_count = list.count;
    for (size_t i = 0; i < list.count; i++)
        fill_entry(request, &list.items[i], &out->configs[i]);
}

static void describe_configs_split(struct request *request)
{
    const struct describe_configs_request *message = REQUEST_MESSAGE(describe_configs, request);
    const struct broker *broker = request->front->broker;
    struct describe_configs_response response;
    describe_configs_response_init(&response);
    response.results = request_get(request, message->resources_count, sizeof(*response.results));
    response.results_count = message->resources_count;
    for (size_t i = 0; i < message->resources_count; i++) {
        const struct describe_configs_request_describe_configs_resource *asked =
            &message->resources[i];
        struct describe_configs_response_describe_configs_result *out = &response.results[i];
        describe_configs_response_describe_configs_result_init(out);
        out->resource_type = asked->resource_type;
        out->resource_name = asked->resource_name;
        struct config_resource_check check =
            config_resource_check(request_image(request), broker->config->node_id,
                                  asked->resource_type, asked->resource_name, &request->arena);
        out->error_code = (int16_t)check.error;
        if (check.error == KAFKA_ERROR_NONE)
            fill_entries(request, asked, &check, out);
        else
            out->error_message = check.message;
    }
    request_respond(request, &response);
}

const struct api_row api_row_describe_configs = {
    API_ROW(describe_configs, API_KEY_DESCRIBE_CONFIGS),
    .route = API_ROUTE_HERE,
    .split = describe_configs_split,
};
