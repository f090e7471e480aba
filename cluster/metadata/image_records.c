/* One stage per collection; a stage function appends the records of one element. */
#include "cluster/metadata/image_records.h"

#include "protocol/messages/access_control_entry_record.h"
#include "protocol/messages/client_quota_record.h"
#include "protocol/messages/config_record.h"
#include "protocol/messages/delegation_token_record.h"
#include "protocol/messages/feature_level_record.h"
#include "protocol/messages/partition_record.h"
#include "protocol/messages/producer_ids_record.h"
#include "protocol/messages/register_broker_record.h"
#include "protocol/messages/register_controller_record.h"
#include "protocol/messages/topic_record.h"
#include "protocol/messages/user_scram_credential_record.h"
#include "protocol/messages/zk_migration_state_record.h"

#define METADATA_VERSION_FEATURE VIEW_LITERAL("metadata.version")

static bool add(struct image_records_walk *walk, struct metadata_records *records,
                enum metadata_record_type type, const void *message)
{
    int16_t level = image_feature_level(walk->image, METADATA_VERSION_FEATURE);
    return metadata_records_add(records, type, metadata_record_version(type, level), message);
}

static bool add_version_feature(struct image_records_walk *walk, struct metadata_records *records)
{
    struct feature_level_record record = {METADATA_VERSION_FEATURE, 0};
    record.feature_level = image_feature_level(walk->image, METADATA_VERSION_FEATURE);
    return record.feature_level == 0 || add(walk, records, METADATA_RECORD_FEATURE_LEVEL, &record);
}

static bool add_feature(struct image_records_walk *walk, const void *element,
                        struct metadata_records *records)
{
    const struct image_feature *feature = element;
    if (view_equal(feature->name, METADATA_VERSION_FEATURE))
        return true;
    struct feature_level_record record = {feature->name, feature->level};
    return add(walk, records, METADATA_RECORD_FEATURE_LEVEL, &record);
}

static bool add_controller(struct image_records_walk *walk, const void *element,
                           struct metadata_records *records)
{
    const struct image_node *node = element;
    struct register_controller_record record;
    register_controller_record_init(&record);
    record.controller_id = node->id;
    record.incarnation_id = node->incarnation;
    record.end_points =
        arena_get_array(records->arena, node->endpoint_count, sizeof(*record.end_points));
    record.features =
        arena_get_array(records->arena, node->feature_count, sizeof(*record.features));
    if (!record.end_points || !record.features)
        return false;
    for (uint32_t i = 0; i < node->endpoint_count; i++) {
        const struct image_endpoint *from = &node->endpoints[i];
        record.end_points[i] = (struct register_controller_record_controller_endpoint){
            from->name, from->host, from->port, from->security_protocol};
    }
    for (uint32_t i = 0; i < node->feature_count; i++) {
        const struct image_feature_range *from = &node->features[i];
        record.features[i] = (struct register_controller_record_controller_feature){
            from->name, from->minimum, from->maximum};
    }
    record.end_points_count = node->endpoint_count;
    record.features_count = node->feature_count;
    return add(walk, records, METADATA_RECORD_REGISTER_CONTROLLER, &record);
}

static bool add_broker(struct image_records_walk *walk, const void *element,
                       struct metadata_records *records)
{
    const struct image_node *node = element;
    struct register_broker_record record;
    register_broker_record_init(&record);
    record.broker_id = node->id;
    record.incarnation_id = node->incarnation;
    record.broker_epoch = node->epoch;
    record.rack = node->rack;
    record.fenced = node->fenced;
    record.in_controlled_shutdown = node->in_controlled_shutdown;
    record.end_points =
        arena_get_array(records->arena, node->endpoint_count, sizeof(*record.end_points));
    record.features =
        arena_get_array(records->arena, node->feature_count, sizeof(*record.features));
    record.log_dirs =
        arena_get_array(records->arena, node->directory_count, sizeof(*record.log_dirs));
    if (!record.end_points || !record.features || !record.log_dirs)
        return false;
    for (uint32_t i = 0; i < node->endpoint_count; i++) {
        const struct image_endpoint *from = &node->endpoints[i];
        record.end_points[i] = (struct register_broker_record_broker_endpoint){
            from->name, from->host, from->port, from->security_protocol};
    }
    for (uint32_t i = 0; i < node->feature_count; i++) {
        const struct image_feature_range *from = &node->features[i];
        record.features[i] = (struct register_broker_record_broker_feature){
            from->name, from->minimum, from->maximum};
    }
    for (uint32_t i = 0; i < node->directory_count; i++)
        record.log_dirs[i] = node->directories[i];
    record.end_points_count = node->endpoint_count;
    record.features_count = node->feature_count;
    record.log_dirs_count = node->directory_count;
    return add(walk, records, METADATA_RECORD_REGISTER_BROKER, &record);
}

/* A copy, because the generated structs have pointers that may be written through. */
static bool copy_ids(struct metadata_records *records, struct node_list list, int32_t **ids,
                     size_t *count)
{
    *ids = arena_get_array(records->arena, list.count, sizeof(**ids));
    if (!*ids)
        return false;
    if (list.count)
        memcpy(*ids, list.ids, list.count * sizeof(**ids));
    *count = list.count;
    return true;
}

static bool add_partition(struct image_records_walk *walk, int32_t index,
                          struct metadata_records *records)
{
    const struct image_partition *partition = image_topic_partition(walk->topic, index);
    if (!partition)
        return true;
    struct partition_state state = image_partition_state(partition);
    struct partition_record record;
    partition_record_init(&record);
    record.partition_id = index;
    record.topic_id = walk->topic->id;
    record.leader = state.leader;
    record.leader_epoch = state.leader_epoch;
    record.partition_epoch = state.partition_epoch;
    record.leader_recovery_state = (int8_t)state.recovery;
    bool ok =
        copy_ids(records, state.replicas, &record.replicas, &record.replicas_count) &&
        copy_ids(records, state.isr, &record.isr, &record.isr_count) &&
        copy_ids(records, state.removing, &record.removing_replicas,
                 &record.removing_replicas_count) &&
        copy_ids(records, state.adding, &record.adding_replicas, &record.adding_replicas_count);
    if (ok && state.eligible.count)
        ok = copy_ids(records, state.eligible, &record.eligible_leader_replicas,
                      &record.eligible_leader_replicas_count);
    if (ok && state.last_known.count)
        ok = copy_ids(records, state.last_known, &record.last_known_elr,
                      &record.last_known_elr_count);
    size_t directories_size = state.replicas.count * sizeof(struct uuid);
    record.directories = arena_get_array(records->arena, state.replicas.count, sizeof(struct uuid));
    if (!ok || !record.directories)
        return false;
    if (state.directories && directories_size)
        memcpy(record.directories, state.directories, directories_size);
    record.directories_count = state.replicas.count;
    return add(walk, records, METADATA_RECORD_PARTITION, &record);
}

static bool add_topic(struct image_records_walk *walk, const void *element,
                      struct metadata_records *records)
{
    const struct image_topic *topic = element;
    struct topic_record record = {topic->name, topic->id};
    walk->topic = topic;
    walk->partition = 0;
    return add(walk, records, METADATA_RECORD_TOPIC, &record);
}

static bool add_config(struct image_records_walk *walk, const void *element,
                       struct metadata_records *records)
{
    const struct image_config *config = element;
    for (uint32_t i = 0; i < config->setting_count; i++) {
        struct config_record record = {config->type, config->name, config->settings[i].name,
                                       config->settings[i].value};
        if (!add(walk, records, METADATA_RECORD_CONFIG, &record))
            return false;
    }
    return true;
}

static bool add_quota(struct image_records_walk *walk, const void *element,
                      struct metadata_records *records)
{
    const struct image_quota *quota = element;
    struct client_quota_record record;
    client_quota_record_init(&record);
    record.entity = arena_get_array(records->arena, quota->part_count, sizeof(*record.entity));
    if (!record.entity)
        return false;
    for (uint32_t i = 0; i < quota->part_count; i++)
        record.entity[i] =
            (struct client_quota_record_entity_data){quota->parts[i].type, quota->parts[i].name};
    record.entity_count = quota->part_count;
    for (uint32_t i = 0; i < quota->value_count; i++) {
        record.key = quota->values[i].key;
        record.value = quota->values[i].value;
        if (!add(walk, records, METADATA_RECORD_CLIENT_QUOTA, &record))
            return false;
    }
    return true;
}

static bool add_acl(struct image_records_walk *walk, const void *element,
                    struct metadata_records *records)
{
    const struct image_acl *acl = element;
    struct access_control_entry_record record = {
        .id = acl->id,
        .resource_type = acl->resource_type,
        .resource_name = acl->resource_name,
        .pattern_type = acl->pattern_type,
        .principal = acl->principal,
        .host = acl->host,
        .operation = acl->operation,
        .permission_type = acl->permission_type,
    };
    return add(walk, records, METADATA_RECORD_ACCESS_CONTROL_ENTRY, &record);
}

static bool add_scram(struct image_records_walk *walk, const void *element,
                      struct metadata_records *records)
{
    const struct image_scram *scram = element;
    struct user_scram_credential_record record = {
        .name = scram->user,
        .mechanism = scram->mechanism,
        .salt = scram->salt,
        .stored_key = scram->stored_key,
        .server_key = scram->server_key,
        .iterations = scram->iterations,
    };
    return add(walk, records, METADATA_RECORD_USER_SCRAM_CREDENTIAL, &record);
}

static bool add_token(struct image_records_walk *walk, const void *element,
                      struct metadata_records *records)
{
    const struct image_token *token = element;
    struct delegation_token_record record;
    delegation_token_record_init(&record);
    record.owner = token->owner;
    record.requester = token->requester;
    record.renewers = arena_get_array(records->arena, token->renewer_count, sizeof(struct view));
    if (!record.renewers)
        return false;
    for (uint32_t i = 0; i < token->renewer_count; i++)
        record.renewers[i] = token->renewers[i];
    record.renewers_count = token->renewer_count;
    record.issue_timestamp = token->issue_ms;
    record.max_timestamp = token->max_ms;
    record.expiration_timestamp = token->expiration_ms;
    record.token_id = token->token_id;
    return add(walk, records, METADATA_RECORD_DELEGATION_TOKEN, &record);
}

/* The values that are no collection. */
static bool add_singles(struct image_records_walk *walk, struct metadata_records *records)
{
    const struct image *image = walk->image;
    if (image->producer_ids.next > 0) {
        struct producer_ids_record record = {.broker_id = image->producer_ids.broker_id,
                                             .broker_epoch = image->producer_ids.broker_epoch,
                                             .next_producer_id = image->producer_ids.next};
        if (!add(walk, records, METADATA_RECORD_PRODUCER_IDS, &record))
            return false;
    }
    if (image->zk_migration_state >= 0) {
        struct zk_migration_state_record record = {image->zk_migration_state};
        return add(walk, records, METADATA_RECORD_ZK_MIGRATION_STATE, &record);
    }
    return true;
}

struct stage {
    size_t tree; /* offset of the tree in the image */
    bool (*add)(struct image_records_walk *walk, const void *element,
                struct metadata_records *records);
};

static const struct stage stages[] = {
    {offsetof(struct image, features), add_feature},
    {offsetof(struct image, controllers), add_controller},
    {offsetof(struct image, brokers), add_broker},
    {offsetof(struct image, topics_by_name), add_topic},
    {offsetof(struct image, configs), add_config},
    {offsetof(struct image, quotas), add_quota},
    {offsetof(struct image, acls), add_acl},
    {offsetof(struct image, scrams), add_scram},
    {offsetof(struct image, tokens), add_token},
};

enum { STAGE_COUNT = sizeof(stages) / sizeof(stages[0]) };

void image_records_start(const struct image *image, struct image_records_walk *walk)
{
    *walk = (struct image_records_walk){.image = image};
}

/* Appends what comes next; false at the end of everything or on failure. */
static bool advance(struct image_records_walk *walk, struct metadata_records *records, bool *failed)
{
    bool ok = true;
    if (walk->topic && walk->partition < walk->topic->partition_count) {
        ok = add_partition(walk, (int32_t)walk->partition++, records);
    } else if (walk->stage == STAGE_COUNT) {
        return false;
    } else if (!walk->is_stage_started) {
        const void *tree = (const uint8_t *)walk->image + stages[walk->stage].tree;
        image_tree_start(tree, &walk->cursor);
        walk->is_stage_started = true;
        ok = walk->stage != 0 || add_version_feature(walk, records);
    } else {
        const void *element = image_tree_next(&walk->cursor);
        walk->topic = NULL;
        if (element) {
            ok = stages[walk->stage].add(walk, element, records);
        } else {
            walk->is_stage_started = false;
            if (++walk->stage == STAGE_COUNT)
                ok = add_singles(walk, records);
        }
    }
    *failed = !ok;
    return ok;
}

bool image_records_next(struct image_records_walk *walk, struct metadata_records *records,
                        size_t count, bool *failed)
{
    *failed = false;
    while (records->count < count) {
        if (!advance(walk, records, failed))
            return false;
    }
    return true;
}
