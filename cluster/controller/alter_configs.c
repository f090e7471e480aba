/*
 * Both requests become the same list of changes per resource; config/alter.h decides what they do,
 * and what it gives back becomes ConfigRecords.
 */
#include "cluster/controller/alter_configs.h"

#include "base/map.h"
#include "base/text.h"
#include "cluster/controller/config_resource.h"
#include "cluster/controller/eligible_leaders.h"
#include "cluster/controller/refusal.h"
#include "config/alter.h"
#include "protocol/messages/config_record.h"

/* One resource of either request. */
struct alteration {
    int8_t type;
    struct view name;
    struct config_change *changes;
    size_t change_count;
    bool is_incremental;
};

static struct refusal refuse(enum kafka_error error, const char *message)
{
    return (struct refusal){error, view_of_string(message)};
}

static bool has_double_key(struct decision *decision, const struct alteration *alteration)
{
    struct map names;
    map_init(&names, decision->arena->heap, MEMORY_SCRATCH, 0);
    bool is_double = false;
    for (size_t i = 0; !is_double && i < alteration->change_count; i++) {
        bool is_new = false;
        decision->failed |= !map_add(&names, alteration->changes[i].name, &is_new);
        is_double = !is_new;
    }
    map_deinit(&names);
    return is_double;
}

static void add_records(struct decision *decision, const struct alteration *alteration,
                        const struct config_altered *altered)
{
    bool is_min_isr_changed = false;
    for (size_t i = 0; i < altered->entry_count; i++) {
        struct config_record record = {alteration->type, alteration->name, altered->entries[i].name,
                                       altered->entries[i].value};
        decision_add(decision, METADATA_RECORD_CONFIG, &record);
        is_min_isr_changed |=
            view_equal(altered->entries[i].name, VIEW_LITERAL("min.insync.replicas"));
    }
    if (is_min_isr_changed && eligible_leaders_are_kept(decision->image))
        eligible_leaders_forget(decision, alteration->name);
}

static struct refusal check_eligible(const struct decision *decision,
                                     const struct alteration *alteration,
                                     const struct config_altered *altered)
{
    struct refusal refusal = {KAFKA_ERROR_NONE, VIEW_NULL};
    for (size_t i = 0; refusal.error == KAFKA_ERROR_NONE && i < altered->entry_count; i++)
        refusal = eligible_leaders_check_setting(decision, alteration->type, alteration->name,
                                                 &altered->entries[i]);
    /* Also where a broker has none that could be taken away. */
    for (size_t i = 0; refusal.error == KAFKA_ERROR_NONE && i < alteration->change_count; i++) {
        struct config_entry asked = {alteration->changes[i].name, VIEW_LITERAL("")};
        refusal =
            eligible_leaders_check_setting(decision, alteration->type, alteration->name, &asked);
    }
    return refusal;
}

/*
 * Whose settings a broker resource may name: any broker's, as the request may have been sent on
 * by that broker; one that is not registered has none, and the answer is this node's.
 */
static int32_t named_node(const struct decision *decision, const struct alteration *alteration)
{
    int64_t id;
    if (alteration->type == CONFIG_RESOURCE_BROKER &&
        text_parse_i64(alteration->name, 0, INT32_MAX, &id) &&
        image_broker(decision->image, (int32_t)id))
        return (int32_t)id;
    return decision->config->node_id;
}

static struct refusal alter(struct decision *decision, const struct alteration *alteration)
{
    if (alteration->type == CONFIG_RESOURCE_TOPIC && alteration->name.size == 0)
        return refuse(KAFKA_ERROR_INVALID_REQUEST, "topics have no common default");
    struct config_resource_check check =
        config_resource_check(decision->image, named_node(decision, alteration), alteration->type,
                              alteration->name, decision->arena);
    if (check.error != KAFKA_ERROR_NONE)
        return (struct refusal){check.error, check.message};
    if (has_double_key(decision, alteration))
        return refuse(KAFKA_ERROR_INVALID_REQUEST, "a setting is named twice");
    struct decision_layers layers;
    decision_fill_layers(decision, &layers);
    struct config_alter_request request = {
        .scope = check.scope,
        .cluster_default = check.cluster_default,
        .existing = decision_config_set(decision, (enum config_resource_type)alteration->type,
                                        alteration->name),
        .layers = layers.layers,
        .changes = alteration->changes,
        .change_count = alteration->change_count,
    };
    struct config_altered altered;
    if (alteration->is_incremental)
        config_alter_incremental(&request, &altered, decision->arena);
    else
        config_alter_replace(&request, &altered, decision->arena);
    if (altered.refusal != CONFIG_ACCEPTED)
        return (struct refusal){(enum kafka_error)altered.refusal, altered.message};
    struct refusal refusal = check_eligible(decision, alteration, &altered);
    if (refusal.error == KAFKA_ERROR_NONE)
        add_records(decision, alteration, &altered);
    return refusal;
}

/* How often each resource is named; the key is its type and name. */
static bool count_resources(struct decision *decision, const struct alteration *all, size_t count,
                            struct map *resources, struct view *keys)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *key = decision_get(decision, 1 + all[i].name.size, 1);
        key[0] = (uint8_t)all[i].type;
        if (all[i].name.size)
            memcpy(key + 1, all[i].name.data, all[i].name.size);
        keys[i] = view_of(key, 1 + all[i].name.size);
        struct map_entry *entry = map_add(resources, keys[i], NULL);
        if (!entry)
            return false;
        entry->number++;
    }
    return true;
}

static void alter_all(struct decision *decision, const struct alteration *all, size_t count,
                      bool validate_only, struct refusal *refusals)
{
    struct map resources;
    map_init(&resources, decision->arena->heap, MEMORY_SCRATCH, 0);
    struct view *keys = decision_get(decision, count, sizeof(*keys));
    decision->failed |= !count_resources(decision, all, count, &resources, keys);
    for (size_t i = 0; !decision->failed && i < count; i++) {
        if (map_find(&resources, keys[i])->number > 1)
            refusals[i] = refuse(KAFKA_ERROR_INVALID_REQUEST, "the request names this twice");
        else
            refusals[i] = alter(decision, &all[i]);
    }
    map_deinit(&resources);
    if (validate_only)
        metadata_records_cut(&decision->records, 0);
}

void decide_incremental_alter_configs(struct decision *decision,
                                      const struct incremental_alter_configs_request *request,
                                      struct incremental_alter_configs_response *response)
{
    size_t count = request->resources_count;
    struct alteration *all = decision_get(decision, count, sizeof(*all));
    struct refusal *refusals = decision_get(decision, count, sizeof(*refusals));
    for (size_t i = 0; i < count; i++) {
        const struct incremental_alter_configs_request_alter_configs_resource *resource =
            &request->resources[i];
        all[i] = (struct alteration){.type = resource->resource_type,
                                     .name = resource->resource_name,
                                     .change_count = resource->configs_count,
                                     .is_incremental = true};
        all[i].changes = decision_get(decision, resource->configs_count, sizeof(*all[i].changes));
        for (size_t k = 0; k < resource->configs_count; k++)
            all[i].changes[k] = (struct config_change){resource->configs[k].name,
                                                       resource->configs[k].config_operation,
                                                       resource->configs[k].value};
    }
    alter_all(decision, all, count, request->validate_only, refusals);
    incremental_alter_configs_response_init(response);
    response->responses = decision_get(decision, count, sizeof(*response->responses));
    response->responses_count = count;
    for (size_t i = 0; i < count; i++)
        response->responses[i] =
            (struct incremental_alter_configs_response_alter_configs_resource_response){
                (int16_t)refusals[i].error, refusals[i].message, all[i].type, all[i].name};
}

void decide_alter_configs(struct decision *decision, const struct alter_configs_request *request,
                          struct alter_configs_response *response)
{
    size_t count = request->resources_count;
    struct alteration *all = decision_get(decision, count, sizeof(*all));
    struct refusal *refusals = decision_get(decision, count, sizeof(*refusals));
    for (size_t i = 0; i < count; i++) {
        const struct alter_configs_request_alter_configs_resource *resource =
            &request->resources[i];
        all[i] = (struct alteration){.type = resource->resource_type,
                                     .name = resource->resource_name,
                                     .change_count = resource->configs_count};
        all[i].changes = decision_get(decision, resource->configs_count, sizeof(*all[i].changes));
        for (size_t k = 0; k < resource->configs_count; k++)
            all[i].changes[k] = (struct config_change){resource->configs[k].name, CONFIG_SET,
                                                       resource->configs[k].value};
    }
    alter_all(decision, all, count, request->validate_only, refusals);
    alter_configs_response_init(response);
    response->responses = decision_get(decision, count, sizeof(*response->responses));
    response->responses_count = count;
    for (size_t i = 0; i < count; i++)
        response->responses[i] = (struct alter_configs_response_alter_configs_resource_response){
            (int16_t)refusals[i].error, refusals[i].message, all[i].type, all[i].name};
}
