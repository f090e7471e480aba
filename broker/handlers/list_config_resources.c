/*
 * ListConfigResources (KIP-1142): the names of everything that can have settings.
 *
 * Topics and brokers are listed because they exist; groups and client metrics subscriptions when
 * they have settings. Version 0 knew client metrics alone.
 */
#include "protocol/messages/list_config_resources.h"

#include "base/text.h"
#include "broker/request.h"
#include "broker/shard.h"

API_CODEC(list_config_resources);

struct listing {
    struct request *request;
    struct list_config_resources_response *response;
    size_t capacity;
};

static void add_resource(struct listing *listing, enum config_resource_type type, struct view name)
{
    struct list_config_resources_response *response = listing->response;
    if (response->config_resources_count == listing->capacity)
        return;
    struct list_config_resources_response_config_resource *resource =
        &response->config_resources[response->config_resources_count++];
    list_config_resources_response_config_resource_init(resource);
    resource->resource_name = name;
    resource->resource_type = (int8_t)type;
}

static bool is_supported(int8_t type)
{
    return type == CONFIG_RESOURCE_TOPIC || type == CONFIG_RESOURCE_BROKER ||
           type == CONFIG_RESOURCE_BROKER_LOGGER || type == CONFIG_RESOURCE_CLIENT_METRICS ||
           type == CONFIG_RESOURCE_GROUP;
}

static bool is_wanted(const struct request *request, enum config_resource_type type)
{
    const struct list_config_resources_request *message =
        REQUEST_MESSAGE(list_config_resources, request);
    if (request_version(request) == 0)
        return type == CONFIG_RESOURCE_CLIENT_METRICS;
    for (size_t i = 0; i < message->resource_types_count; i++) {
        if (message->resource_types[i] == (int8_t)type)
            return true;
    }
    return message->resource_types_count == 0;
}

static void list_topics(struct listing *listing)
{
    struct image_topic_walk walk;
    image_topic_walk_start(listing->request->shard->image, VIEW_NULL, &walk);
    for (const struct image_topic *topic; (topic = image_topic_walk_next(&walk)) != NULL;)
        add_resource(listing, CONFIG_RESOURCE_TOPIC, topic->name);
}

static void list_brokers(struct listing *listing, enum config_resource_type type)
{
    struct image_walk walk;
    image_walk_start(&listing->request->shard->image->brokers, &walk);
    for (const struct image_node *node; (node = image_walk_next_node(&walk)) != NULL;) {
        char text[16];
        struct text_builder name;
        text_builder_init(&name, text, sizeof(text));
        text_append_i64(&name, node->id);
        add_resource(listing, type, arena_copy(&listing->request->arena, text_builder_view(&name)));
    }
}

static void list_stored(struct listing *listing, enum config_resource_type type)
{
    struct image_walk walk;
    image_walk_start(&listing->request->shard->image->configs, &walk);
    for (const struct image_config *config; (config = image_walk_next_config(&walk)) != NULL;) {
        if (config->type == (int8_t)type)
            add_resource(listing, type, config->name);
    }
}

/* Room for all of them: twice the brokers, since they are listed for two types. */
static size_t count_all(const struct image *image)
{
    struct image_walk walk;
    struct image_topic_walk topics;
    size_t count = 0;
    image_topic_walk_start(image, VIEW_NULL, &topics);
    while (image_topic_walk_next(&topics))
        count++;
    image_walk_start(&image->brokers, &walk);
    while (image_walk_next_node(&walk))
        count += 2;
    image_walk_start(&image->configs, &walk);
    while (image_walk_next_config(&walk))
        count++;
    return count;
}

static void list_config_resources_split(struct request *request)
{
    const struct list_config_resources_request *message =
        REQUEST_MESSAGE(list_config_resources, request);
    struct list_config_resources_response response;
    list_config_resources_response_init(&response);
    for (size_t i = 0; i < message->resource_types_count; i++) {
        if (!is_supported(message->resource_types[i]))
            response.error_code = KAFKA_ERROR_UNSUPPORTED_VERSION;
    }
    if (response.error_code == KAFKA_ERROR_NONE) {
        struct listing listing = {request, &response, count_all(request->shard->image)};
        response.config_resources =
            request_get(request, listing.capacity, sizeof(*response.config_resources));
        if (is_wanted(request, CONFIG_RESOURCE_GROUP))
            list_stored(&listing, CONFIG_RESOURCE_GROUP);
        if (is_wanted(request, CONFIG_RESOURCE_CLIENT_METRICS))
            list_stored(&listing, CONFIG_RESOURCE_CLIENT_METRICS);
        if (is_wanted(request, CONFIG_RESOURCE_BROKER_LOGGER))
            list_brokers(&listing, CONFIG_RESOURCE_BROKER_LOGGER);
        if (is_wanted(request, CONFIG_RESOURCE_BROKER))
            list_brokers(&listing, CONFIG_RESOURCE_BROKER);
        if (is_wanted(request, CONFIG_RESOURCE_TOPIC))
            list_topics(&listing);
    }
    request_respond(request, &response);
}

const struct api_row api_row_list_config_resources = {
    API_ROW(list_config_resources, API_KEY_LIST_CONFIG_RESOURCES),
    .route = API_ROUTE_HERE,
    .split = list_config_resources_split,
};
