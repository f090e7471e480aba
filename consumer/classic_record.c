/*
 * Replay takes members that are not in the record away, then adds the new ones, then sets what the
 * record says of each. Live, the record was made from the same members, so nothing comes or goes.
 */
#include "consumer/classic_record.h"

#include "base/assert.h"
#include "consumer/consumer_classic.h"
#include "consumer/groups.h"
#include "protocol/messages/group_metadata_key.h"
#include "protocol/messages/group_metadata_value.h"

COORDINATOR_RECORD(group_metadata, GROUP_METADATA)

/* The highest version without tagged fields, as Kafka writes it. */
enum { VALUE_VERSION = 3 };

/* ---- Writing ---- */

static void fill_members(struct group_metadata_value *value, const struct classic_group *classic)
{
    struct group_metadata_value_member_metadata *out = value->members;
    list_for_each(link, &classic->members)
    {
        const struct classic_member *member = container_of(link, struct classic_member, link);
        group_metadata_value_member_metadata_init(out);
        out->member_id = classic_member_id(member);
        out->group_instance_id = owned_view(member->instance_id);
        out->client_id = owned_view(member->client_id);
        out->client_host = owned_view(member->client_host);
        out->rebalance_timeout = member->rebalance_timeout_ms;
        out->session_timeout = member->session_timeout_ms;
        out->subscription = classic_member_metadata(member, owned_view(classic->protocol));
        out->assignment = owned_view(member->assignment);
        out++;
    }
}

/* Adds the record of the group as it is. */
static void put_group(struct coordinator_records *records, const struct classic_group *classic)
{
    struct heap *heap = classic_groups(classic)->heap;
    struct group_metadata_key key = {.group = classic->group->id};
    struct group_metadata_value value;
    group_metadata_value_init(&value);
    if (classic->protocol_type.data)
        value.protocol_type = owned_view(classic->protocol_type);
    value.generation = classic->generation;
    value.protocol = owned_view(classic->protocol);
    value.leader = classic->leader ? classic_member_id(classic->leader) : VIEW_NULL;
    value.current_state_timestamp = classic->state_since_ms;
    value.members_count = classic_group_size(classic);
    size_t size = value.members_count * sizeof(*value.members);
    if (value.members_count > 0) {
        value.members = heap_must_get(heap, MEMORY_SCRATCH, size);
        fill_members(&value, classic);
    }
    put_group_metadata(records, &key, &value, VALUE_VERSION);
    if (value.members_count > 0)
        heap_put(heap, MEMORY_SCRATCH, value.members, size);
}

void classic_record_put_empty(struct coordinator_records *records, struct view group,
                              int64_t now_ms)
{
    struct group_metadata_key key = {.group = group};
    struct group_metadata_value value;
    group_metadata_value_init(&value);
    value.protocol = VIEW_NULL;
    value.leader = VIEW_NULL;
    value.current_state_timestamp = now_ms;
    put_group_metadata(records, &key, &value, VALUE_VERSION);
}

enum kafka_error classic_record_write(const struct classic_group *classic)
{
    struct coordinator_records records;
    coordinator_records_begin(&records, classic_groups(classic)->coordinator);
    put_group(&records, classic);
    return coordinator_append(&records);
}

void classic_record_put_tombstone(struct coordinator_records *records, struct view group)
{
    struct group_metadata_key key = {.group = group};
    put_group_metadata_tombstone(records, &key);
}

/* ---- Replay ---- */

static void replay_tombstone(struct groups *groups, struct view id)
{
    struct group *group = groups_find(groups, id);
    if (!group)
        return;
    if (group->type == GROUP_CLASSIC)
        classic_group_free(group);
    if (group->type == GROUP_SIMPLE && group_offsets_are_empty(&group->offsets))
        groups_remove(groups, group);
}

static bool is_in(const struct group_metadata_value *value, const struct map *ids,
                  const struct classic_member *member)
{
    return value->members_count > 0 && map_find(ids, classic_member_id(member));
}

static void remove_absent(struct classic_group *classic, const struct group_metadata_value *value)
{
    struct map ids;
    map_init(&ids, classic_groups(classic)->heap, MEMORY_SCRATCH, classic->by_id.seed);
    for (size_t i = 0; i < value->members_count; i++) {
        bool is_put = map_put(&ids, value->members[i].member_id, NULL);
        klamm_assert(is_put);
    }
    list_for_each_safe(link, after, &classic->members)
    {
        struct classic_member *member = container_of(link, struct classic_member, link);
        if (!is_in(value, &ids, member))
            classic_member_remove(member);
    }
    map_deinit(&ids);
}

static void replay_member(struct classic_group *classic, const struct group_metadata_value *value,
                          const struct group_metadata_value_member_metadata *from)
{
    struct join_group_request_protocol protocol = {
        .name = view_is_null(value->protocol) ? VIEW_LITERAL("") : value->protocol,
        .metadata = from->subscription,
    };
    struct classic_joiner joiner = {
        .id = from->member_id,
        .instance_id = from->group_instance_id,
        .client_id = from->client_id,
        .client_host = from->client_host,
        .session_timeout_ms = from->session_timeout,
        .rebalance_timeout_ms =
            from->rebalance_timeout < 0 ? from->session_timeout : from->rebalance_timeout,
        .protocol_type = value->protocol_type,
        .protocols = &protocol,
        .protocol_count = 1,
    };
    struct classic_member *member = classic_member_find(classic, from->member_id);
    bool is_instance_free = view_is_null(from->group_instance_id) ||
                            !classic_member_by_instance(classic, from->group_instance_id);
    if (!member && !is_instance_free)
        joiner.instance_id = VIEW_NULL; /* a damaged record lists an instance twice */
    if (!member)
        member = classic_member_add(classic, &joiner);
    else if (!classic_member_gives(member, &protocol))
        classic_member_update(member, &joiner);
    classic_member_assign(member, from->assignment);
    /* In the record's order, as the members stood when it was written. */
    list_remove(&member->link);
    list_push_back(&classic->members, &member->link);
}

static void replay_value(struct classic_group *classic, const struct group_metadata_value *value)
{
    remove_absent(classic, value);
    for (size_t i = 0; i < value->members_count; i++)
        replay_member(classic, value, &value->members[i]);
    classic->generation = value->generation;
    classic_group_set_protocol(classic, value->protocol);
    if (value->members_count > 0 && view_is_null(value->protocol))
        classic_group_set_protocol(classic, VIEW_LITERAL(""));
    classic_group_set_protocol_type(classic, value->protocol_type.size > 0 ? value->protocol_type
                                                                           : VIEW_NULL);
    struct classic_member *leader =
        view_is_null(value->leader) ? NULL : classic_member_find(classic, value->leader);
    if (leader)
        classic->leader = leader;
    classic->previous_state = classic->state;
    classic->state = classic_group_size(classic) > 0 ? CLASSIC_STABLE : CLASSIC_EMPTY;
    classic->state_since_ms = value->current_state_timestamp;
}

enum coordinator_replay classic_record_replay(struct groups *groups,
                                              const struct coordinator_record *record)
{
    struct group_metadata_key key;
    struct group_metadata_value value;
    if (!get_group_metadata_key(record, &groups->scratch, &key))
        return COORDINATOR_REPLAY_DAMAGED;
    if (view_is_null(record->value)) {
        replay_tombstone(groups, key.group);
        return COORDINATOR_REPLAY_OK;
    }
    if (!get_group_metadata_value(record, &groups->scratch, &value))
        return COORDINATOR_REPLAY_DAMAGED;
    struct group *group = groups_get(groups, key.group);
    if (group->type == GROUP_CONSUMER)
        consumer_classic_displace(group);
    replay_value(classic_group_get(group), &value);
    return COORDINATOR_REPLAY_OK;
}
