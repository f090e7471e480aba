/* Values borrow what they are made of; only the lists of topics of a set are gathered anew. */
#include "consumer/consumer_group_records.h"

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

void consumer_records_begin(struct consumer_records *batch, struct groups *groups,
                            struct view group_id, struct arena *arena)
{
    *batch = (struct consumer_records){.arena = arena, .group_id = group_id};
    coordinator_records_begin(&batch->records, groups->coordinator);
}

static void refuse(struct consumer_records *batch)
{
    if (batch->records.error == KAFKA_ERROR_NONE)
        batch->records.error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
}

/* Generated structs take pointers to what they only read. */
static int32_t *borrow_numbers(const int32_t *numbers)
{
    union {
        const int32_t *read;
        int32_t *borrowed;
    } pointer = {.read = numbers};
    return pointer.borrowed;
}

static struct view *borrow_views(const struct view *views)
{
    union {
        const struct view *read;
        struct view *borrowed;
    } pointer = {.read = views};
    return pointer.borrowed;
}

void put_group_epoch(struct consumer_records *batch, int32_t epoch, int64_t metadata_hash)
{
    struct consumer_group_metadata_key key = {.group_id = batch->group_id};
    struct consumer_group_metadata_value value;
    consumer_group_metadata_value_init(&value);
    value.epoch = epoch;
    value.metadata_hash = metadata_hash;
    put_consumer_group_metadata(&batch->records, &key, &value, 0);
}

void put_group_epoch_tombstone(struct consumer_records *batch)
{
    struct consumer_group_metadata_key key = {.group_id = batch->group_id};
    put_consumer_group_metadata_tombstone(&batch->records, &key);
}

void put_partition_metadata_tombstone(struct consumer_records *batch)
{
    struct consumer_group_partition_metadata_key key = {.group_id = batch->group_id};
    put_consumer_group_partition_metadata_tombstone(&batch->records, &key);
}

void put_member(struct consumer_records *batch, struct view member_id,
                const member_metadata *metadata)
{
    struct consumer_group_member_metadata_key key = {batch->group_id, member_id};
    put_consumer_group_member_metadata(&batch->records, &key, metadata, 0);
}

void put_member_tombstone(struct consumer_records *batch, struct view member_id)
{
    struct consumer_group_member_metadata_key key = {batch->group_id, member_id};
    put_consumer_group_member_metadata_tombstone(&batch->records, &key);
}

void put_target_epoch(struct consumer_records *batch, int32_t epoch)
{
    struct consumer_group_target_assignment_metadata_key key = {.group_id = batch->group_id};
    struct consumer_group_target_assignment_metadata_value value = {.assignment_epoch = epoch};
    put_consumer_group_target_assignment_metadata(&batch->records, &key, &value, 0);
}

void put_target_epoch_tombstone(struct consumer_records *batch)
{
    struct consumer_group_target_assignment_metadata_key key = {.group_id = batch->group_id};
    put_consumer_group_target_assignment_metadata_tombstone(&batch->records, &key);
}

void put_target(struct consumer_records *batch, struct view member_id,
                const struct partition_set *target)
{
    struct consumer_group_target_assignment_member_key key = {batch->group_id, member_id};
    struct consumer_group_target_assignment_member_value value;
    consumer_group_target_assignment_member_value_init(&value);
    value.topic_partitions =
        arena_get_array(batch->arena, target->topic_count, sizeof(*value.topic_partitions));
    if (!value.topic_partitions) {
        refuse(batch);
        return;
    }
    value.topic_partitions_count = target->topic_count;
    for (uint32_t t = 0; t < target->topic_count; t++) {
        const struct partition_set_topic *topic = &target->topics[t];
        value.topic_partitions[t].topic_id = topic->id;
        value.topic_partitions[t].partitions = borrow_numbers(partition_set_of(target, topic));
        value.topic_partitions[t].partitions_count = topic->count;
    }
    put_consumer_group_target_assignment_member(&batch->records, &key, &value, 0);
}

void put_target_tombstone(struct consumer_records *batch, struct view member_id)
{
    struct consumer_group_target_assignment_member_key key = {batch->group_id, member_id};
    put_consumer_group_target_assignment_member_tombstone(&batch->records, &key);
}

static struct consumer_group_current_member_assignment_value_topic_partitions *
topics_of(struct consumer_records *batch, const struct partition_set *set)
{
    struct consumer_group_current_member_assignment_value_topic_partitions *topics =
        arena_get_array(batch->arena, set->topic_count, sizeof(*topics));
    if (!topics) {
        refuse(batch);
        return NULL;
    }
    for (uint32_t t = 0; t < set->topic_count; t++) {
        const struct partition_set_topic *topic = &set->topics[t];
        topics[t].topic_id = topic->id;
        topics[t].partitions = borrow_numbers(partition_set_of(set, topic));
        topics[t].partitions_count = topic->count;
    }
    return topics;
}

void put_progress(struct consumer_records *batch, struct view member_id,
                  const struct member_progress *progress)
{
    struct consumer_group_current_member_assignment_key key = {batch->group_id, member_id};
    struct consumer_group_current_member_assignment_value value;
    consumer_group_current_member_assignment_value_init(&value);
    value.member_epoch = progress->epoch;
    value.previous_member_epoch = progress->previous_epoch;
    value.state = (int8_t)progress->state;
    value.assigned_partitions = topics_of(batch, progress->assigned);
    value.assigned_partitions_count = progress->assigned->topic_count;
    value.partitions_pending_revocation = topics_of(batch, progress->revoking);
    value.partitions_pending_revocation_count = progress->revoking->topic_count;
    if (batch->records.error == KAFKA_ERROR_NONE)
        put_consumer_group_current_member_assignment(&batch->records, &key, &value, 0);
}

void put_progress_tombstone(struct consumer_records *batch, struct view member_id)
{
    struct consumer_group_current_member_assignment_key key = {batch->group_id, member_id};
    put_consumer_group_current_member_assignment_tombstone(&batch->records, &key);
}

void put_regex(struct consumer_records *batch, struct view pattern, const struct view *topics,
               size_t topic_count, int64_t version, int64_t timestamp_ms)
{
    struct consumer_group_regular_expression_key key = {batch->group_id, pattern};
    struct consumer_group_regular_expression_value value;
    consumer_group_regular_expression_value_init(&value);
    value.topics = borrow_views(topics);
    value.topics_count = topic_count;
    value.version = version;
    value.timestamp = timestamp_ms;
    put_consumer_group_regular_expression(&batch->records, &key, &value, 0);
}

void put_regex_tombstone(struct consumer_records *batch, struct view pattern)
{
    struct consumer_group_regular_expression_key key = {batch->group_id, pattern};
    put_consumer_group_regular_expression_tombstone(&batch->records, &key);
}

void put_removed_member(struct consumer_records *batch, struct view member_id)
{
    put_progress_tombstone(batch, member_id);
    put_target_tombstone(batch, member_id);
    put_member_tombstone(batch, member_id);
}

void put_removed_group(struct consumer_records *batch, const struct consumer_group *consumer)
{
    map_for_each(entry, &consumer->members)
    {
        const struct consumer_member *member = entry->value;
        if (member->listed)
            put_progress_tombstone(batch, member->id);
    }
    map_for_each(entry, &consumer->members)
    {
        const struct consumer_member *member = entry->value;
        put_target_tombstone(batch, member->id);
    }
    put_target_epoch_tombstone(batch);
    map_for_each(entry, &consumer->members)
    {
        const struct consumer_member *member = entry->value;
        if (member->listed)
            put_member_tombstone(batch, member->id);
    }
    map_for_each(entry, &consumer->regexes)
    {
        const struct consumer_regex *regex = entry->value;
        if (regex->resolved)
            put_regex_tombstone(batch, regex->pattern);
    }
    put_partition_metadata_tombstone(batch);
    put_group_epoch_tombstone(batch);
}
