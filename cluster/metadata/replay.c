/*
 * One function per record type: decode, check against the draft, change it. The table at the end
 * maps types to functions and knows the newest version of each.
 *
 * Lists that a change record leaves out (null) stay as they are; an empty list is a value. Setting
 * the leader raises the leader epoch even when it names the same node, and every change record
 * raises the partition epoch.
 */
#include "cluster/metadata/replay.h"

#include <stdarg.h>
#include <stdio.h>
#include "cluster/metadata/records.h"
#include "protocol/messages/access_control_entry_record.h"
#include "protocol/messages/broker_registration_change_record.h"
#include "protocol/messages/clear_elr_record.h"
#include "protocol/messages/client_quota_record.h"
#include "protocol/messages/config_record.h"
#include "protocol/messages/delegation_token_record.h"
#include "protocol/messages/feature_level_record.h"
#include "protocol/messages/fence_broker_record.h"
#include "protocol/messages/no_op_record.h"
#include "protocol/messages/partition_change_record.h"
#include "protocol/messages/partition_record.h"
#include "protocol/messages/producer_ids_record.h"
#include "protocol/messages/register_broker_record.h"
#include "protocol/messages/register_controller_record.h"
#include "protocol/messages/remove_access_control_entry_record.h"
#include "protocol/messages/remove_delegation_token_record.h"
#include "protocol/messages/remove_topic_record.h"
#include "protocol/messages/remove_user_scram_credential_record.h"
#include "protocol/messages/topic_record.h"
#include "protocol/messages/unfence_broker_record.h"
#include "protocol/messages/unregister_broker_record.h"
#include "protocol/messages/user_scram_credential_record.h"
#include "protocol/messages/zk_migration_state_record.h"
#include "runtime/test_point.h"

enum { REPLAY_LEADER_UNCHANGED = -2, REPLAY_RECOVERY_UNCHANGED = -1 };

static bool refuse(struct replay *replay, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(struct replay *replay, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(replay->problem, sizeof(replay->problem), format, arguments);
    va_end(arguments);
    return false;
}

/* Decodes into a local struct; a body that is malformed or longer than its message is refused. */
#define DECODE(record_type, name)                                                                  \
    struct record_type name;                                                                       \
    if (!record_type##_decode(&name, in, version, replay->arena) || reader_left(in) != 0)          \
    return refuse(replay, #record_type " version %d is malformed", version)

static bool replay_topic(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(topic_record, record);
    if (!draft_add_topic(replay->draft, record.name, record.topic_id))
        return refuse(replay, "topic %.*s exists already", (int)record.name.size,
                      (const char *)record.name.data);
    return true;
}

static bool replay_remove_topic(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(remove_topic_record, record);
    if (!draft_remove_topic(replay->draft, record.topic_id))
        return refuse(replay, "the topic to remove does not exist");
    return true;
}

static struct node_list list_of(const int32_t *ids, size_t count)
{
    return (struct node_list){ids, (uint32_t)count};
}

static bool replay_partition(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(partition_record, record);
    if (record.directories_count != 0 && record.directories_count != record.replicas_count)
        return refuse(replay, "partition %d names %zu directories for %zu replicas",
                      record.partition_id, record.directories_count, record.replicas_count);
    struct partition_state state = {
        .leader = record.leader,
        .leader_epoch = record.leader_epoch,
        .partition_epoch = record.partition_epoch,
        .recovery =
            record.leader_recovery_state == IMAGE_RECOVERING ? IMAGE_RECOVERING : IMAGE_RECOVERED,
        .replicas = list_of(record.replicas, record.replicas_count),
        .isr = list_of(record.isr, record.isr_count),
        .adding = list_of(record.adding_replicas, record.adding_replicas_count),
        .removing = list_of(record.removing_replicas, record.removing_replicas_count),
        .eligible = list_of(record.eligible_leader_replicas, record.eligible_leader_replicas_count),
        .last_known = list_of(record.last_known_elr, record.last_known_elr_count),
        .directories = record.directories_count ? record.directories : NULL,
    };
    if (!draft_set_partition(replay->draft, record.topic_id, record.partition_id, &state))
        return refuse(replay, "partition %d belongs to no topic", record.partition_id);
    return true;
}

static bool replay_partition_change(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(partition_change_record, record);
    const struct image_topic *topic = image_topic_by_id(replay->draft->next, record.topic_id);
    const struct image_partition *old =
        topic ? image_topic_partition(topic, record.partition_id) : NULL;
    if (!old)
        return refuse(replay, "partition %d to change does not exist", record.partition_id);
    struct partition_state state = image_partition_state(old);
    if (record.leader != REPLAY_LEADER_UNCHANGED) {
        state.leader = record.leader;
        state.leader_epoch += !test_point_in(replay->test_points, BUG_METADATA_KEEP_LEADER_EPOCH);
    }
    state.partition_epoch++;
    if (record.isr)
        state.isr = list_of(record.isr, record.isr_count);
    if (record.replicas) {
        if (record.replicas_count != state.replicas.count)
            state.directories = NULL;
        state.replicas = list_of(record.replicas, record.replicas_count);
    }
    if (record.removing_replicas)
        state.removing = list_of(record.removing_replicas, record.removing_replicas_count);
    if (record.adding_replicas)
        state.adding = list_of(record.adding_replicas, record.adding_replicas_count);
    if (record.leader_recovery_state != REPLAY_RECOVERY_UNCHANGED)
        state.recovery =
            record.leader_recovery_state == IMAGE_RECOVERING ? IMAGE_RECOVERING : IMAGE_RECOVERED;
    if (record.eligible_leader_replicas)
        state.eligible =
            list_of(record.eligible_leader_replicas, record.eligible_leader_replicas_count);
    if (record.last_known_elr)
        state.last_known = list_of(record.last_known_elr, record.last_known_elr_count);
    if (record.directories) {
        if (record.directories_count != state.replicas.count)
            return refuse(replay, "partition %d changes to %zu directories for %u replicas",
                          record.partition_id, record.directories_count, state.replicas.count);
        state.directories = record.directories;
    }
    if (!draft_set_partition(replay->draft, record.topic_id, record.partition_id, &state))
        return refuse(replay, "partition %d has too many replicas", record.partition_id);
    return true;
}

static bool replay_clear_elr(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(clear_elr_record, record);
    draft_clear_eligible(replay->draft, record.topic_name.size ? record.topic_name : VIEW_NULL);
    return true;
}

/* Endpoints and features have the same fields in broker and controller records. */
#define COPY_ENDPOINTS(node, record)                                                               \
    do {                                                                                           \
        struct image_endpoint *endpoints =                                                         \
            arena_get_array(replay->arena, (record).end_points_count, sizeof(*endpoints));         \
        struct image_feature_range *features =                                                     \
            arena_get_array(replay->arena, (record).features_count, sizeof(*features));            \
        if (!endpoints || !features)                                                               \
            return refuse(replay, "out of memory");                                                \
        for (size_t i = 0; i < (record).end_points_count; i++)                                     \
            endpoints[i] = (struct image_endpoint){                                                \
                (record).end_points[i].name, (record).end_points[i].host,                          \
                (record).end_points[i].port, (record).end_points[i].security_protocol};            \
        for (size_t i = 0; i < (record).features_count; i++)                                       \
            features[i] = (struct image_feature_range){                                            \
                (record).features[i].name, (record).features[i].min_supported_version,             \
                (record).features[i].max_supported_version};                                       \
        (node).endpoints = endpoints;                                                              \
        (node).endpoint_count = (uint32_t)(record).end_points_count;                               \
        (node).features = features;                                                                \
        (node).feature_count = (uint32_t)(record).features_count;                                  \
    } while (0)

static bool replay_register_broker(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(register_broker_record, record);
    struct image_node node = {
        .id = record.broker_id,
        .epoch = record.broker_epoch,
        .register_offset = replay->offset,
        .incarnation = record.incarnation_id,
        .rack = record.rack,
        .directories = record.log_dirs,
        .directory_count = (uint32_t)record.log_dirs_count,
        .fenced = record.fenced,
        .in_controlled_shutdown = record.in_controlled_shutdown,
    };
    COPY_ENDPOINTS(node, record);
    draft_set_broker(replay->draft, &node);
    return true;
}

static bool replay_unregister_broker(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(unregister_broker_record, record);
    const struct image_node *node = image_broker(replay->draft->next, record.broker_id);
    if (!node || node->epoch != record.broker_epoch)
        return refuse(replay, "broker %d is not registered with epoch %lld", record.broker_id,
                      (long long)record.broker_epoch);
    draft_remove_broker(replay->draft, record.broker_id);
    return true;
}

/* The registration to change, when the epoch fits. */
static bool find_broker(struct replay *replay, int32_t id, int64_t epoch, struct image_node *node)
{
    const struct image_node *found = image_broker(replay->draft->next, id);
    if (!found || found->epoch != epoch)
        return refuse(replay, "broker %d is not registered with epoch %lld", id, (long long)epoch);
    *node = *found;
    return true;
}

static bool replay_fence_broker(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(fence_broker_record, record);
    struct image_node node;
    if (!find_broker(replay, record.id, record.epoch, &node))
        return false;
    node.fenced = true;
    draft_set_broker(replay->draft, &node);
    return true;
}

static bool replay_unfence_broker(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(unfence_broker_record, record);
    struct image_node node;
    if (!find_broker(replay, record.id, record.epoch, &node))
        return false;
    node.fenced = false;
    draft_set_broker(replay->draft, &node);
    return true;
}

static bool replay_registration_change(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(broker_registration_change_record, record);
    struct image_node node;
    if (!find_broker(replay, record.broker_id, record.broker_epoch, &node))
        return false;
    if (record.fenced < -1 || record.fenced > 1 || record.in_controlled_shutdown < 0 ||
        record.in_controlled_shutdown > 1)
        return refuse(replay, "broker %d changes in an unknown way", record.broker_id);
    if (record.fenced != 0)
        node.fenced = record.fenced > 0;
    if (record.in_controlled_shutdown != 0)
        node.in_controlled_shutdown = true;
    if (record.log_dirs_count != 0) {
        node.directories = record.log_dirs;
        node.directory_count = (uint32_t)record.log_dirs_count;
    }
    draft_set_broker(replay->draft, &node);
    return true;
}

static bool replay_register_controller(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(register_controller_record, record);
    struct image_node node = {
        .id = record.controller_id,
        .epoch = -1,
        .register_offset = replay->offset,
        .incarnation = record.incarnation_id,
    };
    COPY_ENDPOINTS(node, record);
    draft_set_controller(replay->draft, &node);
    return true;
}

static bool replay_config(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(config_record, record);
    draft_set_config(replay->draft, record.resource_type, record.resource_name, record.name,
                     record.value);
    return true;
}

static bool replay_feature_level(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(feature_level_record, record);
    if (record.feature_level < 0)
        return refuse(replay, "a feature level is negative");
    draft_set_feature(replay->draft, record.name, record.feature_level);
    return true;
}

static bool replay_client_quota(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(client_quota_record, record);
    struct image_quota_part *parts =
        arena_get_array(replay->arena, record.entity_count, sizeof(*parts));
    if (!parts)
        return refuse(replay, "out of memory");
    for (size_t i = 0; i < record.entity_count; i++)
        parts[i] =
            (struct image_quota_part){record.entity[i].entity_type, record.entity[i].entity_name};
    draft_set_quota(replay->draft, parts, (uint32_t)record.entity_count, record.key, record.value,
                    record.remove);
    return true;
}

static bool replay_producer_ids(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(producer_ids_record, record);
    if (record.next_producer_id < replay->draft->next->producer_ids.next)
        return refuse(replay, "producer ids go back from %lld to %lld",
                      (long long)replay->draft->next->producer_ids.next,
                      (long long)record.next_producer_id);
    draft_set_producer_ids(replay->draft,
                           (struct image_producer_ids){.next = record.next_producer_id,
                                                       .broker_id = record.broker_id,
                                                       .broker_epoch = record.broker_epoch});
    return true;
}

static bool replay_acl(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(access_control_entry_record, record);
    struct image_acl acl = {
        .id = record.id,
        .resource_type = record.resource_type,
        .pattern_type = record.pattern_type,
        .operation = record.operation,
        .permission_type = record.permission_type,
        .resource_name = record.resource_name,
        .principal = record.principal,
        .host = record.host,
    };
    draft_set_acl(replay->draft, &acl);
    return true;
}

static bool replay_remove_acl(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(remove_access_control_entry_record, record);
    if (!draft_remove_acl(replay->draft, record.id))
        return refuse(replay, "the access control entry to remove does not exist");
    return true;
}

static bool replay_scram(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(user_scram_credential_record, record);
    struct image_scram scram = {
        .mechanism = record.mechanism,
        .iterations = record.iterations,
        .user = record.name,
        .salt = record.salt,
        .stored_key = record.stored_key,
        .server_key = record.server_key,
    };
    draft_set_scram(replay->draft, &scram);
    return true;
}

static bool replay_remove_scram(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(remove_user_scram_credential_record, record);
    if (!draft_remove_scram(replay->draft, record.mechanism, record.name))
        return refuse(replay, "the credential to remove does not exist");
    return true;
}

static bool replay_token(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(delegation_token_record, record);
    struct image_token token = {
        .token_id = record.token_id,
        .owner = record.owner,
        .requester = record.requester,
        .renewers = record.renewers,
        .renewer_count = (uint32_t)record.renewers_count,
        .issue_ms = record.issue_timestamp,
        .max_ms = record.max_timestamp,
        .expiration_ms = record.expiration_timestamp,
    };
    draft_set_token(replay->draft, &token);
    return true;
}

static bool replay_remove_token(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(remove_delegation_token_record, record);
    if (!draft_remove_token(replay->draft, record.token_id))
        return refuse(replay, "the delegation token to remove does not exist");
    return true;
}

static bool replay_no_op(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(no_op_record, record);
    (void)record;
    return true;
}

static bool replay_zk_migration(struct replay *replay, struct reader *in, int16_t version)
{
    DECODE(zk_migration_state_record, record);
    draft_set_zk_migration(replay->draft, record.zk_migration_state);
    return true;
}

/* The three transaction records carry at most a text for people; the caller does what they say. */
static bool replay_transaction(struct replay *replay, struct reader *in, int16_t version)
{
    (void)replay;
    (void)in;
    (void)version;
    return true;
}

struct replay_row {
    bool (*apply)(struct replay *replay, struct reader *in, int16_t version);
    int16_t version_max;
};

enum { REPLAY_ROWS = METADATA_RECORD_CLEAR_ELR + 1 };

static const struct replay_row rows[REPLAY_ROWS] = {
    [METADATA_RECORD_REGISTER_BROKER] = {replay_register_broker, 3},
    [METADATA_RECORD_UNREGISTER_BROKER] = {replay_unregister_broker, 0},
    [METADATA_RECORD_TOPIC] = {replay_topic, 0},
    [METADATA_RECORD_PARTITION] = {replay_partition, 2},
    [METADATA_RECORD_CONFIG] = {replay_config, 0},
    [METADATA_RECORD_PARTITION_CHANGE] = {replay_partition_change, 2},
    [METADATA_RECORD_FENCE_BROKER] = {replay_fence_broker, 0},
    [METADATA_RECORD_UNFENCE_BROKER] = {replay_unfence_broker, 0},
    [METADATA_RECORD_REMOVE_TOPIC] = {replay_remove_topic, 0},
    [METADATA_RECORD_DELEGATION_TOKEN] = {replay_token, 0},
    [METADATA_RECORD_USER_SCRAM_CREDENTIAL] = {replay_scram, 0},
    [METADATA_RECORD_FEATURE_LEVEL] = {replay_feature_level, 0},
    [METADATA_RECORD_CLIENT_QUOTA] = {replay_client_quota, 0},
    [METADATA_RECORD_PRODUCER_IDS] = {replay_producer_ids, 0},
    [METADATA_RECORD_BROKER_REGISTRATION_CHANGE] = {replay_registration_change, 2},
    [METADATA_RECORD_ACCESS_CONTROL_ENTRY] = {replay_acl, 0},
    [METADATA_RECORD_REMOVE_ACCESS_CONTROL_ENTRY] = {replay_remove_acl, 0},
    [METADATA_RECORD_NO_OP] = {replay_no_op, 0},
    [METADATA_RECORD_ZK_MIGRATION_STATE] = {replay_zk_migration, 0},
    [METADATA_RECORD_REMOVE_USER_SCRAM_CREDENTIAL] = {replay_remove_scram, 0},
    [METADATA_RECORD_BEGIN_TRANSACTION] = {replay_transaction, 0},
    [METADATA_RECORD_END_TRANSACTION] = {replay_transaction, 0},
    [METADATA_RECORD_ABORT_TRANSACTION] = {replay_transaction, 0},
    [METADATA_RECORD_REMOVE_DELEGATION_TOKEN] = {replay_remove_token, 0},
    [METADATA_RECORD_REGISTER_CONTROLLER] = {replay_register_controller, 0},
    [METADATA_RECORD_CLEAR_ELR] = {replay_clear_elr, 0},
};

static enum replay_mark mark_of(uint32_t type)
{
    if (type == METADATA_RECORD_BEGIN_TRANSACTION)
        return REPLAY_BEGIN;
    if (type == METADATA_RECORD_END_TRANSACTION)
        return REPLAY_END;
    if (type == METADATA_RECORD_ABORT_TRANSACTION)
        return REPLAY_ABORT;
    return REPLAY_PLAIN;
}

bool replay_record(struct replay *replay, struct view value, enum replay_mark *mark)
{
    struct reader in = reader_of(value);
    struct metadata_frame frame;
    if (view_is_null(value) || !metadata_frame_read(&in, &frame))
        return refuse(replay, "the frame of a metadata record is malformed");
    if (frame.type >= REPLAY_ROWS || !rows[frame.type].apply)
        return refuse(replay, "metadata record type %u is unknown", frame.type);
    if (frame.version > rows[frame.type].version_max)
        return refuse(replay, "metadata record type %u has unknown version %d", frame.type,
                      frame.version);
    *mark = mark_of(frame.type);
    return rows[frame.type].apply(replay, &in, frame.version);
}
