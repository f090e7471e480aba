/*
 * Both requests become the same list of changes per resource; config/alter.h decides what they do,
 * and what it gives back becomes ConfigRecords.
 */
#include "cluster/controller/alter_configs.h"

#include "base/text.h"
#include "cluster/controller/assignment.h"
#include "cluster/controller/topic_name.h"
#include "config/alter.h"
#include "protocol/messages/clear_elr_record.h"
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

static struct refusal check_topic(const struct decision *decision, struct view name)
{
    const char *fault = topic_name_problem(name);
    if (fault)
        return refuse(KAFKA_ERROR_INVALID_TOPIC_EXCEPTION, fault);
    if (!image_topic_by_name(decision->image, name))
        return refuse(KAFKA_ERROR_UNKNOWN_TOPIC_OR_PARTITION, "there is no such topic");
    return (struct refusal){KAFKA_ERROR_NONE, VIEW_NULL};
}

static struct refusal check_broker(const struct decision *decision, struct view name)
{
    int64_t id;
    if (name.size == 0)
        return (struct refusal){KAFKA_ERROR_NONE, VIEW_NULL};
    if (!text_parse_i64(name, 0, INT32_MAX, &id))
        return refuse(KAFKA_ERROR_INVALID_REQUEST, "a broker is named by its node id");
    if (!image_broker(decision->image, (int32_t)id))
        return refuse(KAFKA_ERROR_INVALID_REQUEST, "there is no such broker");
    return (struct refusal){KAFKA_ERROR_NONE, VIEW_NULL};
}

/* Whether the resource can have settings, and which rules they follow. */
static struct refusal check_resource(const struct decision *decision,
                                     const struct alteration *alteration, enum config_scope *scope)
{
    switch (alteration->type) {
    case CONFIG_RESOURCE_TOPIC:
        *scope = CONFIG_SCOPE_TOPIC;
        return check_topic(decision, alteration->name);
    case CONFIG_RESOURCE_BROKER:
        *scope = CONFIG_SCOPE_BROKER;
        return check_broker(decision, alteration->name);
    case CONFIG_RESOURCE_CLIENT_METRICS:
        *scope = CONFIG_SCOPE_CLIENT_METRICS;
        break;
    case CONFIG_RESOURCE_GROUP:
        *scope = CONFIG_SCOPE_GROUP;
        break;
    default:
        return refuse(KAFKA_ERROR_INVALID_REQUEST, "such a resource has no settings");
    }
    if (alteration->name.size == 0)
        return refuse(KAFKA_ERROR_INVALID_REQUEST, "the resource has no name");
    return (struct refusal){KAFKA_ERROR_NONE, VIEW_NULL};
}

static bool has_double_key(const struct alteration *alteration)
{
    for (size_t i = 1; i < alteration->change_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (view_equal(alteration->changes[i].name, alteration->changes[k].name))
                return true;
        }
    }
    return false;
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
    bool has_eligible =
        image_feature_level(decision->image, VIEW_LITERAL("eligible.leader.replicas.version")) > 0;
    if (!is_min_isr_changed || !has_eligible)
        return;
    if (alteration->type == CONFIG_RESOURCE_TOPIC ||
        (alteration->type == CONFIG_RESOURCE_BROKER && alteration->name.size == 0)) {
        bool is_topic = alteration->type == CONFIG_RESOURCE_TOPIC;
        struct clear_elr_record record = {is_topic ? alteration->name : VIEW_LITERAL("")};
        decision_add(decision, METADATA_RECORD_CLEAR_ELR, &record);
    }
}

static struct refusal alter(struct decision *decision, const struct alteration *alteration)
{
    enum config_scope scope;
    struct refusal refusal = check_resource(decision, alteration, &scope);
    if (refusal.error != KAFKA_ERROR_NONE)
        return refusal;
    if (has_double_key(alteration))
        return refuse(KAFKA_ERROR_INVALID_REQUEST, "a setting is named twice");
    struct decision_layers layers;
    decision_fill_layers(decision, &layers);
    struct config_alter_request request = {
        .scope = scope,
        .cluster_default = scope == CONFIG_SCOPE_BROKER && alteration->name.size == 0,
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
    add_records(decision, alteration, &altered);
    return (struct refusal){KAFKA_ERROR_NONE, VIEW_NULL};
}

/* Whether another resource of the request is the same one. */
static bool is_double(const struct alteration *all, size_t count, size_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (i != index && all[i].type == all[index].type &&
            view_equal(all[i].name, all[index].name))
            return true;
    }
    return false;
}

static void alter_all(struct decision *decision, const struct alteration *all, size_t count,
                      bool validate_only, struct refusal *refusals)
{
    for (size_t i = 0; i < count; i++) {
        if (is_double(all, count, i))
            refusals[i] = refuse(KAFKA_ERROR_INVALID_REQUEST, "the request names this twice");
        else
            refusals[i] = alter(decision, &all[i]);
    }
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
