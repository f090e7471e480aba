/* Small helpers of all decisions. */
#include "cluster/controller/decision.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/text.h"

void decision_init(struct decision *decision, const struct image *image,
                   const struct server_config *config, struct random_stream *random,
                   struct arena *arena, int64_t next_offset)
{
    *decision = (struct decision){.image = image,
                                  .config = config,
                                  .random = random,
                                  .arena = arena,
                                  .next_offset = next_offset};
    metadata_records_init(&decision->records, arena);
}

void decision_add(struct decision *decision, enum metadata_record_type type, const void *message)
{
    int16_t level = image_feature_level(decision->image, VIEW_LITERAL("metadata.version"));
    if (!metadata_records_add(&decision->records, type, metadata_record_version(type, level),
                              message))
        decision->failed = true;
}

void *decision_get(struct decision *decision, size_t count, size_t size)
{
    void *room = arena_get_array(decision->arena, count, size);
    if (!room)
        klamm_halt(__FILE__, __LINE__, "out of memory for an admitted request");
    return room;
}

struct view decision_text(struct decision *decision, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (size < 0)
        return VIEW_LITERAL("");
    size_t used = (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1;
    return arena_copy(decision->arena, view_of(text, used));
}

struct uuid decision_new_id(struct decision *decision)
{
    struct uuid id;
    do {
        uint64_t most = random_u64(decision->random);
        id = uuid_of_random(most, random_u64(decision->random));
    } while (uuid_text_begins_with_dash(id));
    return id;
}

struct config_set decision_config_set(struct decision *decision, enum config_resource_type type,
                                      struct view name)
{
    const struct image_config *config = image_config(decision->image, type, name);
    if (!config)
        return CONFIG_SET_EMPTY;
    struct config_entry *entries = decision_get(decision, config->setting_count, sizeof(*entries));
    for (uint32_t i = 0; i < config->setting_count; i++)
        entries[i] = (struct config_entry){config->settings[i].name, config->settings[i].value};
    return (struct config_set){entries, config->setting_count};
}

void decision_fill_layers(struct decision *decision, struct decision_layers *layers)
{
    struct view own_id = decision_text(decision, "%d", decision->config->node_id);
    layers->broker = decision_config_set(decision, CONFIG_RESOURCE_BROKER, own_id);
    layers->cluster = decision_config_set(decision, CONFIG_RESOURCE_BROKER, VIEW_LITERAL(""));
    layers->layers = (struct config_layers){.dynamic_broker = &layers->broker,
                                            .dynamic_cluster = &layers->cluster,
                                            .file = &decision->config->file};
}

int32_t decision_min_isr(struct decision *decision, struct view topic)
{
    struct view name = VIEW_LITERAL("min.insync.replicas");
    struct view own =
        image_config_value(image_config(decision->image, CONFIG_RESOURCE_TOPIC, topic), name);
    if (view_is_null(own))
        own = image_config_value(
            image_config(decision->image, CONFIG_RESOURCE_BROKER, VIEW_LITERAL("")), name);
    int64_t value;
    if (!view_is_null(own) && text_parse_i64(own, 1, INT32_MAX, &value))
        return (int32_t)value;
    return decision->config->topic_defaults.min_insync_replicas;
}

bool decision_is_unclean_allowed(struct decision *decision, struct view topic)
{
    struct view name = VIEW_LITERAL("unclean.leader.election.enable");
    const struct image *image = decision->image;
    struct view own = image_config_value(image_config(image, CONFIG_RESOURCE_TOPIC, topic), name);
    if (view_is_null(own)) {
        char node[12];
        int size = snprintf(node, sizeof(node), "%d", decision->config->node_id);
        own = image_config_value(
            image_config(image, CONFIG_RESOURCE_BROKER, view_of(node, (size_t)size)), name);
    }
    if (view_is_null(own))
        own =
            image_config_value(image_config(image, CONFIG_RESOURCE_BROKER, VIEW_LITERAL("")), name);
    bool value;
    if (!view_is_null(own) && text_parse_boolean(own, &value))
        return value;
    return decision->config->topic_defaults.unclean_leader_election_enable;
}
