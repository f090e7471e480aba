/*
 * Replay of the records of consumer groups, live and on load.
 *
 * A log that was compacted shows only the last value of a key, so anything may be missing in front
 * of what is left: a tombstone of what is not there is nothing, a target may come before its
 * member, and two members may seem to own a partition (the newer epoch wins, KAFKA-19862). A
 * tombstone removes what it names whatever is left below it. Only what does not decode, or belongs
 * to a group of another type, is damage.
 */
#include "base/assert.h"
#include "consumer/consumer_group.h"
#include "consumer/consumer_groups.h"
#include "protocol/messages/consumer_group_current_member_assignment_key.h"
#include "protocol/messages/consumer_group_current_member_assignment_value.h"
#include "protocol/messages/consumer_group_member_metadata_key.h"
#include "protocol/messages/consumer_group_metadata_key.h"
#include "protocol/messages/consumer_group_metadata_value.h"
#include "protocol/messages/consumer_group_partition_metadata_key.h"
#include "protocol/messages/consumer_group_partition_metadata_value.h"
#include "protocol/messages/consumer_group_regular_expression_key.h"
#include "protocol/messages/consumer_group_regular_expression_value.h"
#include "protocol/messages/consumer_group_target_assignment_member_key.h"
#include "protocol/messages/consumer_group_target_assignment_member_value.h"
#include "protocol/messages/consumer_group_target_assignment_metadata_key.h"
#include "protocol/messages/consumer_group_target_assignment_metadata_value.h"

COORDINATOR_RECORD(consumer_group_metadata, CONSUMER_GROUP_METADATA)
COORDINATOR_RECORD(consumer_group_partition_metadata, CONSUMER_GROUP_PARTITION_METADATA)
COORDINATOR_RECORD(consumer_group_member_metadata, CONSUMER_GROUP_MEMBER_METADATA)
COORDINATOR_RECORD(consumer_group_target_assignment_metadata,
                   CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA)
COORDINATOR_RECORD(consumer_group_target_assignment_member, CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER)
COORDINATOR_RECORD(consumer_group_current_member_assignment,
                   CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT)
COORDINATOR_RECORD(consumer_group_regular_expression, CONSUMER_GROUP_REGULAR_EXPRESSION)

/*
 * The consumer group of an id in *consumer; NULL when there is none and `create` is not set. False
 * when the id belongs to a group of another type.
 */
static bool find(struct groups *groups, struct view id, bool create,
                 struct consumer_group **consumer)
{
    *consumer = NULL;
    struct group *group = create ? groups_get(groups, id) : groups_find(groups, id);
    if (!group)
        return true;
    if (group->type == GROUP_SIMPLE && create)
        consumer_group_create(group);
    *consumer = group->consumer;
    return group->type == GROUP_CONSUMER || !create;
}

static enum coordinator_replay replay_epoch(struct groups *groups,
                                            const struct coordinator_record *record)
{
    struct consumer_group_metadata_key key;
    struct consumer_group *consumer;
    bool tombstone = view_is_null(record->value);
    if (!get_consumer_group_metadata_key(record, &groups->scratch, &key) ||
        !find(groups, key.group_id, !tombstone, &consumer))
        return COORDINATOR_REPLAY_DAMAGED;
    if (!tombstone) {
        struct consumer_group_metadata_value value;
        if (!get_consumer_group_metadata_value(record, &groups->scratch, &value))
            return COORDINATOR_REPLAY_DAMAGED;
        consumer->epoch = value.epoch;
        consumer->metadata_hash = value.metadata_hash;
        return COORDINATOR_REPLAY_OK;
    }
    if (!consumer)
        return COORDINATOR_REPLAY_OK;
    struct group *group = consumer->group;
    consumer_group_destroy(group);
    if (group_offsets_are_empty(&group->offsets))
        groups_remove(groups, group);
    return COORDINATOR_REPLAY_OK;
}

static enum coordinator_replay replay_partition_metadata(struct groups *groups,
                                                         const struct coordinator_record *record)
{
    struct consumer_group_partition_metadata_key key;
    struct consumer_group *consumer;
    bool tombstone = view_is_null(record->value);
    if (!get_consumer_group_partition_metadata_key(record, &groups->scratch, &key) ||
        !find(groups, key.group_id, !tombstone, &consumer))
        return COORDINATOR_REPLAY_DAMAGED;
    if (consumer)
        consumer->has_partition_metadata = !tombstone;
    return COORDINATOR_REPLAY_OK;
}

static enum coordinator_replay replay_member(struct groups *groups,
                                             const struct coordinator_record *record)
{
    struct consumer_group_member_metadata_key key;
    struct consumer_group *consumer;
    bool tombstone = view_is_null(record->value);
    if (!get_consumer_group_member_metadata_key(record, &groups->scratch, &key) ||
        !find(groups, key.group_id, !tombstone, &consumer))
        return COORDINATOR_REPLAY_DAMAGED;
    if (!tombstone) {
        member_metadata value;
        if (!get_consumer_group_member_metadata_value(record, &groups->scratch, &value))
            return COORDINATOR_REPLAY_DAMAGED;
        if (!member_metadata_set_names(&value, value.subscribed_topic_names,
                                       value.subscribed_topic_names_count, &groups->scratch))
            return COORDINATOR_REPLAY_DAMAGED;
        struct consumer_member *member = consumer_group_get_member(consumer, key.member_id);
        consumer_member_list(member);
        consumer_member_set_metadata(member, &value);
        return COORDINATOR_REPLAY_OK;
    }
    struct consumer_member *member =
        consumer ? consumer_group_find_member(consumer, key.member_id) : NULL;
    if (member)
        consumer_member_unlist(member);
    return COORDINATOR_REPLAY_OK;
}

static enum coordinator_replay replay_target_epoch(struct groups *groups,
                                                   const struct coordinator_record *record)
{
    struct consumer_group_target_assignment_metadata_key key;
    struct consumer_group *consumer;
    bool tombstone = view_is_null(record->value);
    if (!get_consumer_group_target_assignment_metadata_key(record, &groups->scratch, &key) ||
        !find(groups, key.group_id, !tombstone, &consumer))
        return COORDINATOR_REPLAY_DAMAGED;
    if (!consumer)
        return COORDINATOR_REPLAY_OK;
    if (tombstone) {
        consumer->assignment_epoch = -1;
        return COORDINATOR_REPLAY_OK;
    }
    struct consumer_group_target_assignment_metadata_value value;
    if (!get_consumer_group_target_assignment_metadata_value(record, &groups->scratch, &value))
        return COORDINATOR_REPLAY_DAMAGED;
    consumer->assignment_epoch = value.assignment_epoch;
    return COORDINATOR_REPLAY_OK;
}

/* Adds the partitions of one topic of a record; false for a number that cannot be one. */
static bool add_partitions(struct partition_set_builder *builder, struct uuid topic,
                           const int32_t *partitions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (partitions[i] < 0 || partitions[i] > CONSUMER_PARTITION_MAX)
            return false;
        partition_set_add(builder, topic, partitions[i]);
    }
    return true;
}

static enum coordinator_replay replay_target(struct groups *groups,
                                             const struct coordinator_record *record)
{
    struct consumer_group_target_assignment_member_key key;
    struct consumer_group *consumer;
    bool tombstone = view_is_null(record->value);
    if (!get_consumer_group_target_assignment_member_key(record, &groups->scratch, &key) ||
        !find(groups, key.group_id, !tombstone, &consumer))
        return COORDINATOR_REPLAY_DAMAGED;
    if (tombstone) {
        struct consumer_member *member =
            consumer ? map_get(&consumer->members, key.member_id) : NULL;
        if (member)
            consumer_member_set_target(member, NULL);
        return COORDINATOR_REPLAY_OK;
    }
    struct consumer_group_target_assignment_member_value value;
    if (!get_consumer_group_target_assignment_member_value(record, &groups->scratch, &value))
        return COORDINATOR_REPLAY_DAMAGED;
    struct partition_set_builder builder;
    partition_set_builder_init(&builder, &groups->scratch);
    for (size_t t = 0; t < value.topic_partitions_count; t++) {
        if (!add_partitions(&builder, value.topic_partitions[t].topic_id,
                            value.topic_partitions[t].partitions,
                            value.topic_partitions[t].partitions_count))
            return COORDINATOR_REPLAY_DAMAGED;
    }
    const struct partition_set *target = partition_set_finish(&builder);
    if (!target)
        return COORDINATOR_REPLAY_DAMAGED;
    consumer_member_set_target(consumer_group_get_member(consumer, key.member_id), target);
    return COORDINATOR_REPLAY_OK;
}

static const struct partition_set *
progress_set(struct groups *groups,
             const struct consumer_group_current_member_assignment_value_topic_partitions *topics,
             size_t count)
{
    struct partition_set_builder builder;
    partition_set_builder_init(&builder, &groups->scratch);
    for (size_t t = 0; t < count; t++) {
        if (!add_partitions(&builder, topics[t].topic_id, topics[t].partitions,
                            topics[t].partitions_count))
            return NULL;
    }
    return partition_set_finish(&builder);
}

static enum consumer_member_state state_of(int8_t number)
{
    switch (number) {
    case MEMBER_STABLE:
        return MEMBER_STABLE;
    case MEMBER_UNREVOKED_PARTITIONS:
        return MEMBER_UNREVOKED_PARTITIONS;
    case MEMBER_UNRELEASED_PARTITIONS:
        return MEMBER_UNRELEASED_PARTITIONS;
    default:
        return MEMBER_UNKNOWN;
    }
}

static enum coordinator_replay replay_progress(struct groups *groups,
                                               const struct coordinator_record *record)
{
    struct consumer_group_current_member_assignment_key key;
    struct consumer_group *consumer;
    bool tombstone = view_is_null(record->value);
    if (!get_consumer_group_current_member_assignment_key(record, &groups->scratch, &key) ||
        !find(groups, key.group_id, !tombstone, &consumer))
        return COORDINATOR_REPLAY_DAMAGED;
    if (tombstone) {
        struct consumer_member *member =
            consumer ? consumer_group_find_member(consumer, key.member_id) : NULL;
        if (!member)
            return COORDINATOR_REPLAY_OK;
        struct member_progress left = {MEMBER_EPOCH_LEAVE, MEMBER_EPOCH_LEAVE,
                                       member->progress.state, &partition_set_empty,
                                       &partition_set_empty};
        consumer_member_set_progress(member, &left);
        return COORDINATOR_REPLAY_OK;
    }
    struct consumer_group_current_member_assignment_value value;
    if (!get_consumer_group_current_member_assignment_value(record, &groups->scratch, &value))
        return COORDINATOR_REPLAY_DAMAGED;
    struct member_progress progress = {
        value.member_epoch, value.previous_member_epoch, state_of(value.state),
        progress_set(groups, value.assigned_partitions, value.assigned_partitions_count),
        progress_set(groups, value.partitions_pending_revocation,
                     value.partitions_pending_revocation_count)};
    if (!progress.assigned || !progress.revoking)
        return COORDINATOR_REPLAY_DAMAGED;
    struct consumer_member *member = consumer_group_get_member(consumer, key.member_id);
    consumer_member_list(member);
    consumer_member_set_progress(member, &progress);
    return COORDINATOR_REPLAY_OK;
}

static enum coordinator_replay replay_regex(struct groups *groups,
                                            const struct coordinator_record *record)
{
    struct consumer_group_regular_expression_key key;
    struct consumer_group *consumer;
    bool tombstone = view_is_null(record->value);
    if (!get_consumer_group_regular_expression_key(record, &groups->scratch, &key) ||
        !find(groups, key.group_id, !tombstone, &consumer))
        return COORDINATOR_REPLAY_DAMAGED;
    if (tombstone) {
        if (consumer && consumer_group_find_regex(consumer, key.regular_expression))
            consumer_group_set_regex(consumer, key.regular_expression, NULL, 0, 0, 0);
        return COORDINATOR_REPLAY_OK;
    }
    struct consumer_group_regular_expression_value value;
    if (!get_consumer_group_regular_expression_value(record, &groups->scratch, &value))
        return COORDINATOR_REPLAY_DAMAGED;
    consumer_group_set_regex(consumer, key.regular_expression, value.topics, value.topics_count,
                             value.version, value.timestamp);
    return COORDINATOR_REPLAY_OK;
}

enum coordinator_replay consumer_groups_replay(struct groups *groups,
                                               const struct coordinator_record *record)
{
    switch (record->type) {
    case CONSUMER_GROUP_METADATA_KEY_TYPE:
        return replay_epoch(groups, record);
    case CONSUMER_GROUP_PARTITION_METADATA_KEY_TYPE:
        return replay_partition_metadata(groups, record);
    case CONSUMER_GROUP_MEMBER_METADATA_KEY_TYPE:
        return replay_member(groups, record);
    case CONSUMER_GROUP_TARGET_ASSIGNMENT_METADATA_KEY_TYPE:
        return replay_target_epoch(groups, record);
    case CONSUMER_GROUP_TARGET_ASSIGNMENT_MEMBER_KEY_TYPE:
        return replay_target(groups, record);
    case CONSUMER_GROUP_CURRENT_MEMBER_ASSIGNMENT_KEY_TYPE:
        return replay_progress(groups, record);
    case CONSUMER_GROUP_REGULAR_EXPRESSION_KEY_TYPE:
        return replay_regex(groups, record);
    default:
        return COORDINATOR_REPLAY_UNKNOWN;
    }
}
