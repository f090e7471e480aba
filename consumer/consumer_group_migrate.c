/*
 * An upgrade first makes the new members in an arena (what a JoinGroup said, what a SyncGroup
 * gave), so that a subscription or an assignment that cannot be read refuses it before anything is
 * written. Then one batch ends the old group and makes the new one; replaying it swaps the two in
 * memory. A downgrade is the same the other way round, and ends with a rebalance of the classic
 * group.
 */
#include "consumer/consumer_group_migrate.h"

#include "base/assert.h"
#include "base/text.h"
#include "consumer/classic_rebalance.h"
#include "consumer/classic_record.h"
#include "consumer/consumer_group_records.h"
#include "consumer/consumer_group_subscription.h"
#include "consumer/consumer_group_timers.h"
#include "consumer/consumer_protocol.h"
#include "protocol/messages/group_metadata_key.h"
#include "protocol/messages/group_metadata_value.h"

COORDINATOR_RECORD(group_metadata, GROUP_METADATA)

enum { GROUP_METADATA_WRITTEN_VERSION = 3 };

static bool policy_is(const struct groups *groups, struct view one, struct view other)
{
    struct view policy = groups_settings(groups)->group_consumer_migration_policy;
    return text_equal_any_case(policy, one) || text_equal_any_case(policy, other);
}

/* ---- Upgrade --------------------------------------------------------------------------------- */

/* A classic member as it will be in the consumer group. */
struct upgraded {
    struct view id;
    member_metadata metadata;
    const struct partition_set *assigned;
};

static const char *read_assigned(const struct classic_member *member, const struct image *image,
                                 struct arena *arena, struct upgraded *to)
{
    to->assigned = &partition_set_empty;
    if (member->assignment.size == 0)
        return NULL;
    struct consumer_protocol_assignment assignment;
    if (!consumer_protocol_read_assignment(owned_view(member->assignment), arena, &assignment))
        return "The group cannot be upgraded: an assignment of its members is malformed.";
    if (assignment.user_data.size > 0)
        return "The group cannot be upgraded: its assignor keeps data of its own, which would be "
               "lost. Switch to a default assignor first.";
    to->assigned = consumer_protocol_partitions(image, &assignment, arena);
    return to->assigned ? NULL : "There is no memory to upgrade the group.";
}

static bool copy_protocols(const struct classic_member *member, struct arena *arena,
                           member_metadata *metadata)
{
    struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        arena_get(arena, sizeof(*classic));
    struct consumer_group_member_metadata_value_classic_protocol *protocols =
        arena_get_array(arena, member->protocol_count, sizeof(*protocols));
    if (!classic || !protocols)
        return false;
    for (size_t i = 0; i < member->protocol_count; i++) {
        protocols[i].name = member->protocols[i].name;
        protocols[i].metadata = member->protocols[i].metadata;
    }
    classic->session_timeout_ms = member->session_timeout_ms;
    classic->supported_protocols = protocols;
    classic->supported_protocols_count = member->protocol_count;
    metadata->classic_member_metadata = classic;
    return true;
}

static const char *upgrade_member(const struct classic_member *member, struct view protocol,
                                  const struct image *image, struct arena *arena,
                                  struct upgraded *to)
{
    struct consumer_protocol_subscription subscription;
    if (!consumer_protocol_read_subscription(classic_member_metadata(member, protocol), arena,
                                             &subscription))
        return "The group cannot be upgraded: a subscription of its members is malformed.";
    to->id = classic_member_id(member);
    member_metadata_default(&to->metadata);
    to->metadata.instance_id = owned_view(member->instance_id);
    to->metadata.rack_id = subscription.rack_id;
    to->metadata.rebalance_timeout_ms = member->rebalance_timeout_ms;
    to->metadata.client_id = owned_view(member->client_id);
    to->metadata.client_host = owned_view(member->client_host);
    if (!member_metadata_set_names(&to->metadata, subscription.topics, subscription.topics_count,
                                   arena) ||
        !copy_protocols(member, arena, &to->metadata))
        return "There is no memory to upgrade the group.";
    return read_assigned(member, image, arena, to);
}

static const char *upgrade_problem(const struct classic_group *classic)
{
    const struct groups *groups = classic_groups(classic);
    if (!policy_is(groups, VIEW_LITERAL("bidirectional"), VIEW_LITERAL("upgrade")))
        return "The group has classic members, and group.consumer.migration.policy does not allow "
               "to upgrade it.";
    if (!classic_group_has_consumers(classic))
        return "The group has classic members of another type than consumers.";
    if (classic_group_size(classic) > (uint32_t)groups_settings(groups)->group_consumer_max_size)
        return "The group has more members than group.consumer.max.size allows.";
    return NULL;
}

/*
 * The hash of the new group's topics. It is computed over a group in memory, which nobody else
 * sees.
 */
static bool hash_of(struct groups *groups, const struct upgraded *members, uint32_t count,
                    struct arena *arena, int64_t *hash)
{
    struct consumer_group draft;
    consumer_group_init(&draft, groups, NULL);
    for (uint32_t m = 0; m < count; m++) {
        struct consumer_member *member = consumer_group_get_member(&draft, members[m].id);
        consumer_member_list(member);
        consumer_member_set_metadata(member, &members[m].metadata);
    }
    struct subscription_change nothing = {.leaving_count = 0};
    struct group_subscription subscription;
    bool done = group_subscription_compute(&draft, &nothing, arena, &subscription);
    *hash = subscription.hash;
    consumer_group_deinit(&draft);
    return done;
}

static void put_upgraded(struct consumer_records *batch, const struct upgraded *members,
                         uint32_t count, int32_t epoch, int64_t hash)
{
    classic_record_put_tombstone(&batch->records, batch->group_id);
    for (uint32_t m = 0; m < count; m++)
        put_member(batch, members[m].id, &members[m].metadata);
    put_group_epoch(batch, epoch, hash);
    for (uint32_t m = 0; m < count; m++)
        put_target(batch, members[m].id, members[m].assigned);
    put_target_epoch(batch, epoch);
    for (uint32_t m = 0; m < count; m++) {
        struct member_progress progress = {epoch, epoch, MEMBER_STABLE, members[m].assigned,
                                           &partition_set_empty};
        put_progress(batch, members[m].id, &progress);
    }
}

/* Sessions of all members go on from here. */
static void touch_all(struct groups *groups, struct view id)
{
    struct group *group = groups_find(groups, id);
    if (!group || group->type != GROUP_CONSUMER)
        return;
    map_for_each(entry, &group->consumer->members)
    {
        struct consumer_member *member = entry->value;
        if (member->listed)
            consumer_member_touch(member);
    }
}

static enum kafka_error upgrade_members(struct classic_group *classic, struct view id,
                                        struct arena *arena, const char **message)
{
    struct groups *groups = classic_groups(classic);
    uint32_t count = 0;
    struct upgraded *members =
        arena_get_array(arena, classic_group_size(classic), sizeof(*members));
    if (!members)
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    struct view protocol =
        classic->protocol.data ? owned_view(classic->protocol) : classic_group_vote(classic);
    list_for_each(link, &classic->members)
    {
        *message = upgrade_member(container_of(link, struct classic_member, link), protocol,
                                  coordinator_image(groups->coordinator), arena, &members[count++]);
        if (*message)
            return KAFKA_ERROR_GROUP_ID_NOT_FOUND;
    }
    int64_t hash;
    if (!hash_of(groups, members, count, arena, &hash))
        return KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    struct consumer_records batch;
    consumer_records_begin(&batch, groups, id, arena);
    put_upgraded(&batch, members, count, classic->generation, hash);
    classic_group_unload(classic, KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    enum kafka_error error = coordinator_append(&batch.records);
    if (error == KAFKA_ERROR_NONE)
        touch_all(groups, id);
    return error;
}

enum kafka_error consumer_group_upgrade(struct group *group, const char **message)
{
    struct groups *groups = group->groups;
    struct arena arena;
    arena_init(&arena, groups->heap, MEMORY_SCRATCH, 0);
    struct view id = arena_copy(&arena, group->id);
    enum kafka_error error;
    if (group->type == GROUP_CLASSIC && group->classic->state != CLASSIC_EMPTY) {
        *message = upgrade_problem(group->classic);
        error = *message ? KAFKA_ERROR_GROUP_ID_NOT_FOUND
                         : upgrade_members(group->classic, id, &arena, message);
    } else {
        struct coordinator_records records;
        coordinator_records_begin(&records, groups->coordinator);
        classic_record_put_tombstone(&records, id);
        error = coordinator_append(&records);
    }
    arena_deinit(&arena);
    return error;
}

/* ---- Downgrade ------------------------------------------------------------------------------- */

bool consumer_group_can_downgrade_without(const struct consumer_group *consumer,
                                          struct consumer_member *const *members, size_t count)
{
    uint32_t classic_leaving = 0;
    for (size_t i = 0; i < count; i++)
        classic_leaving += consumer_member_is_classic(members[i]);
    uint32_t left = consumer->member_count - (uint32_t)count;
    return left > 0 && consumer->classic_count - classic_leaving == left &&
           policy_is(consumer->groups, VIEW_LITERAL("bidirectional"), VIEW_LITERAL("downgrade")) &&
           left <= (uint32_t)groups_settings(consumer->groups)->group_max_size;
}

static bool is_leaving(const struct consumer_member *member, struct consumer_member *const *leaving,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (leaving[i] == member)
            return true;
    }
    return false;
}

/* What a member gave with a protocol; null when it does not list it. */
static struct view metadata_for(const struct consumer_member *member, struct view protocol)
{
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        member->metadata->classic_member_metadata;
    for (size_t i = 0; i < classic->supported_protocols_count; i++) {
        if (view_equal(classic->supported_protocols[i].name, protocol))
            return classic->supported_protocols[i].metadata;
    }
    return VIEW_NULL;
}

/* The first protocol of a member that all who stay list; null when there is none. */
static struct view common_protocol(const struct consumer_group *consumer,
                                   struct consumer_member *const *leaving, size_t count)
{
    const struct consumer_member *first = NULL;
    map_for_each(entry, &consumer->members)
    {
        const struct consumer_member *member = entry->value;
        if (!first && member->listed && !is_leaving(member, leaving, count))
            first = member;
    }
    const struct consumer_group_member_metadata_value_classic_member_metadata *classic =
        first->metadata->classic_member_metadata;
    for (size_t i = 0; i < classic->supported_protocols_count; i++) {
        struct view name = classic->supported_protocols[i].name;
        bool common = true;
        map_for_each(entry, &consumer->members)
        {
            const struct consumer_member *member = entry->value;
            if (member->listed && !is_leaving(member, leaving, count))
                common &= !view_is_null(metadata_for(member, name));
        }
        if (common)
            return name;
    }
    return VIEW_NULL;
}

static bool downgrade_member(const struct consumer_member *member, struct view protocol,
                             struct arena *arena, struct group_metadata_value_member_metadata *out)
{
    const member_metadata *metadata = member->metadata;
    group_metadata_value_member_metadata_init(out);
    out->member_id = member->id;
    out->group_instance_id = metadata->instance_id;
    out->client_id = metadata->client_id;
    out->client_host = metadata->client_host;
    out->rebalance_timeout = metadata->rebalance_timeout_ms;
    out->session_timeout = metadata->classic_member_metadata->session_timeout_ms;
    out->subscription = metadata_for(member, protocol);
    int16_t version;
    if (!consumer_protocol_version(out->subscription, &version))
        return false;
    out->assignment = consumer_protocol_write_assignment(
        coordinator_image(member->group->groups->coordinator), member->target, version, arena);
    return !view_is_null(out->assignment);
}

static bool put_downgraded(struct consumer_records *batch, const struct consumer_group *consumer,
                           struct consumer_member *const *leaving, size_t count)
{
    struct group_metadata_key key = {.group = batch->group_id};
    struct group_metadata_value value;
    group_metadata_value_init(&value);
    value.protocol = common_protocol(consumer, leaving, count);
    if (view_is_null(value.protocol))
        return false;
    value.protocol_type = VIEW_LITERAL("consumer");
    value.generation = consumer->epoch;
    value.current_state_timestamp = coordinator_loop(consumer->groups->coordinator)->wall_ms;
    value.members = arena_get_array(batch->arena, consumer->member_count, sizeof(*value.members));
    if (!value.members)
        return false;
    map_for_each(entry, &consumer->members)
    {
        const struct consumer_member *member = entry->value;
        if (!member->listed || is_leaving(member, leaving, count))
            continue;
        if (!downgrade_member(member, value.protocol, batch->arena,
                              &value.members[value.members_count++]))
            return false;
    }
    value.leader = value.members[0].member_id;
    put_group_metadata(&batch->records, &key, &value, GROUP_METADATA_WRITTEN_VERSION);
    return true;
}

enum kafka_error consumer_group_downgrade(struct consumer_group *consumer,
                                          struct consumer_member *const *leaving, size_t count)
{
    struct groups *groups = consumer->groups;
    struct arena arena;
    arena_init(&arena, groups->heap, MEMORY_SCRATCH, 0);
    struct view id = arena_copy(&arena, consumer->group->id);
    struct consumer_records batch;
    consumer_records_begin(&batch, groups, id, &arena);
    put_removed_group(&batch, consumer);
    enum kafka_error error = KAFKA_ERROR_UNKNOWN_SERVER_ERROR;
    if (put_downgraded(&batch, consumer, leaving, count))
        error = coordinator_append(&batch.records);
    else
        coordinator_records_drop(&batch.records);
    if (error == KAFKA_ERROR_NONE) {
        struct group *group = groups_find(groups, id);
        klamm_assert(group && group->type == GROUP_CLASSIC);
        classic_group_loaded(group->classic);
        classic_prepare_or_complete(group->classic);
    }
    arena_deinit(&arena);
    return error;
}
