/*
 * Groups and subscriptions need not exist: settings may come before their first member.
 */
#include "cluster/controller/config_resource.h"

#include "base/text.h"
#include "cluster/metadata/topic_name.h"
#include "config/value.h"

static struct config_resource_check refuse(enum kafka_error error, struct view message)
{
    return (struct config_resource_check){.error = error, .message = message};
}

static struct config_resource_check check_topic(const struct image *image, struct view name)
{
    const char *fault = topic_name_fault(name);
    if (fault)
        return refuse(KAFKA_ERROR_INVALID_TOPIC_EXCEPTION, view_of_string(fault));
    if (!image_topic_by_name(image, name))
        return refuse(KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                      VIEW_LITERAL("There is no such topic"));
    return (struct config_resource_check){.scope = CONFIG_SCOPE_TOPIC};
}

/* Settings of another broker are asked of that broker: clients route by the id. */
static struct config_resource_check check_broker(int32_t node_id, struct view name,
                                                 struct arena *arena)
{
    int64_t id;
    if (name.size == 0)
        return (struct config_resource_check){.scope = CONFIG_SCOPE_BROKER,
                                              .cluster_default = true};
    if (!text_parse_i64(name, INT32_MIN, INT32_MAX, &id))
        return refuse(KAFKA_ERROR_INVALID_REQUEST,
                      config_text(arena, "A broker is named by its id, which %.*s is not",
                                  (int)name.size, (const char *)name.data));
    if (id != node_id)
        return refuse(
            KAFKA_ERROR_INVALID_REQUEST,
            config_text(arena, "This is broker %d; ask broker %d itself", (int)node_id, (int)id));
    return (struct config_resource_check){.scope = CONFIG_SCOPE_BROKER};
}

static struct config_resource_check check_named(enum config_scope scope, const char *what,
                                                struct view name, struct arena *arena)
{
    if (name.size == 0)
        return refuse(KAFKA_ERROR_INVALID_REQUEST,
                      config_text(arena, "The name of a %s must not be empty", what));
    return (struct config_resource_check){.scope = scope};
}

struct config_resource_check config_resource_check(const struct image *image, int32_t node_id,
                                                   int8_t type, struct view name,
                                                   struct arena *arena)
{
    switch (type) {
    case CONFIG_RESOURCE_TOPIC:
        return check_topic(image, name);
    case CONFIG_RESOURCE_BROKER:
        return check_broker(node_id, name, arena);
    case CONFIG_RESOURCE_GROUP:
        return check_named(CONFIG_SCOPE_GROUP, "group", name, arena);
    case CONFIG_RESOURCE_CLIENT_METRICS:
        return check_named(CONFIG_SCOPE_CLIENT_METRICS, "client metrics subscription", name, arena);
    case CONFIG_RESOURCE_BROKER_LOGGER:
        return refuse(KAFKA_ERROR_INVALID_REQUEST,
                      VIEW_LITERAL("This broker has no loggers whose levels could be changed"));
    default:
        return refuse(KAFKA_ERROR_INVALID_REQUEST,
                      config_text(arena, "Resources of type %d have no settings", type));
    }
}
