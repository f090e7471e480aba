/* Layers come from four places: three resources of the image and the file. */
#include "broker/topic_settings.h"

#include <stdio.h>

#include "base/assert.h"

struct config_set settings_of(const struct image *image, enum config_resource_type type,
                              struct view name, struct arena *arena)
{
    const struct image_config *config = image_config(image, type, name);
    if (!config || config->setting_count == 0)
        return CONFIG_SET_EMPTY;
    struct config_entry *entries = arena_must_get(arena, config->setting_count, sizeof(*entries));
    for (uint32_t i = 0; i < config->setting_count; i++)
        entries[i] = (struct config_entry){config->settings[i].name, config->settings[i].value};
    return (struct config_set){entries, config->setting_count};
}

static const struct config_set *keep(struct config_set set, struct arena *arena)
{
    struct config_set *kept = arena_get(arena, sizeof(*kept));
    klamm_assert(kept != NULL);
    *kept = set;
    return kept;
}

struct config_layers settings_layers(const struct broker *broker, const struct image *image,
                                     struct view topic, struct arena *arena)
{
    char id[16];
    snprintf(id, sizeof(id), "%d", broker->config->node_id);
    struct config_layers layers = {.file = &broker->config->file};
    if (topic.size > 0)
        layers.topic = keep(settings_of(image, CONFIG_RESOURCE_TOPIC, topic, arena), arena);
    layers.dynamic_broker =
        keep(settings_of(image, CONFIG_RESOURCE_BROKER, view_of_string(id), arena), arena);
    layers.dynamic_cluster =
        keep(settings_of(image, CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""), arena), arena);
    return layers;
}

void topic_settings_resolve(struct topic_config *config, const struct broker *broker,
                            const struct image *image, struct view topic, struct heap *scratch)
{
    struct arena arena;
    arena_init(&arena, scratch, MEMORY_SCRATCH, 0);
    struct config_layers layers = settings_layers(broker, image, topic, &arena);
    bool is_static = layers.dynamic_broker->count == 0 && layers.dynamic_cluster->count == 0;
    /* At start this runs for every partition: without dynamic entries the file is resolved. */
    if (is_static)
        topic_config_override(config, &broker->config->topic_defaults, layers.topic, &arena);
    else
        topic_config_resolve(config, &layers, &arena);
    /* Texts would point into the image, which does not live as long as the replica. */
    config->leader_throttled_replicas = VIEW_NULL;
    config->follower_throttled_replicas = VIEW_NULL;
    arena_deinit(&arena);
}
