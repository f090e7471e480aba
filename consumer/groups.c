/*
 * The kind "group": what every coordinator of __consumer_offsets does with its records.
 *
 * Replay makes a group for the first record that names it and takes it away with its tombstone,
 * unless offsets keep it. Types above those of offsets and classic groups belong to the consumer
 * protocol.
 */
#include "consumer/groups.h"

#include "base/assert.h"
#include "consumer/classic_rebalance.h"
#include "consumer/classic_record.h"
#include "consumer/consumer_classic.h"
#include "consumer/offset_expiry.h"

enum { TYPE_OFFSET_LEGACY, TYPE_OFFSET, TYPE_CLASSIC_GROUP };
enum { RANDOM_PURPOSE_GROUPS = 0x67727073 };

/* ---- The table ---- */

struct group *groups_find(const struct groups *groups, struct view id)
{
    return map_get(&groups->by_id, id);
}

struct group *groups_get(struct groups *groups, struct view id)
{
    struct group *group = groups_find(groups, id);
    if (group)
        return group;
    group = heap_must_get(groups->heap, MEMORY_STATE, sizeof(*group) + id.size);
    group->groups = groups;
    if (id.size)
        memcpy(group->id_bytes, id.data, id.size);
    group->id = view_of(group->id_bytes, id.size);
    group_offsets_init(&group->offsets, groups);
    bool is_put = map_put(&groups->by_id, group->id, group);
    klamm_assert(is_put);
    return group;
}

static void group_free(struct group *group)
{
    struct groups *groups = group->groups;
    if (group->type == GROUP_CLASSIC)
        classic_group_free(group);
    else if (group->type == GROUP_CONSUMER)
        consumer_classic_displace(group);
    group_offsets_deinit(group);
    map_remove(&groups->by_id, group->id);
    heap_put(groups->heap, MEMORY_STATE, group, sizeof(*group) + group->id.size);
}

void groups_remove(struct groups *groups, struct group *group)
{
    klamm_assert(group->groups == groups);
    klamm_assert(group->type == GROUP_SIMPLE);
    klamm_assert(group_offsets_are_empty(&group->offsets));
    group_free(group);
}

/* ---- The kind ---- */

static void *groups_create(struct coordinator *coordinator)
{
    struct heap *heap = coordinator_heap(coordinator);
    struct groups *groups = heap_must_get(heap, MEMORY_STATE, sizeof(*groups));
    uint64_t seed = loop_random_seed(coordinator_loop(coordinator), RANDOM_PURPOSE_GROUPS);
    groups->coordinator = coordinator;
    groups->heap = heap;
    map_init(&groups->by_id, heap, MEMORY_STATE, seed);
    map_init(&groups->topics, heap, MEMORY_STATE, seed);
    map_init(&groups->transactions, heap, MEMORY_STATE, seed);
    arena_init(&groups->scratch, heap, MEMORY_SCRATCH, 0);
    list_link_init(&groups->expiry.link);
    consumer_groups_init(&groups->consumer);
    return groups;
}

static void groups_destroy(void *state)
{
    struct groups *groups = state;
    struct map_entry *entry;
    while ((entry = map_first(&groups->by_id)))
        group_free(entry->value);
    klamm_assert(map_count(&groups->topics) == 0);
    klamm_assert(map_count(&groups->transactions) == 0);
    timer_clear(&groups->expiry);
    consumer_groups_deinit(&groups->consumer);
    map_deinit(&groups->by_id);
    map_deinit(&groups->topics);
    map_deinit(&groups->transactions);
    arena_deinit(&groups->scratch);
    heap_put(groups->heap, MEMORY_STATE, groups, sizeof(*groups));
}

static enum coordinator_replay groups_replay(void *state, const struct coordinator_record *record)
{
    struct groups *groups = state;
    enum coordinator_replay result;
    switch (record->type) {
    case TYPE_OFFSET_LEGACY:
    case TYPE_OFFSET:
        result = group_offsets_replay(groups, record);
        break;
    case TYPE_CLASSIC_GROUP:
        result = classic_record_replay(groups, record);
        break;
    default:
        result = consumer_classic_replay(groups, record);
        break;
    }
    arena_reset(&groups->scratch);
    return result;
}

static void groups_replay_marker(void *state, const struct coordinator_marker *marker)
{
    group_offsets_replay_marker(state, marker);
}

static void groups_loaded(void *state)
{
    struct groups *groups = state;
    map_for_each(entry, &groups->by_id)
    {
        struct group *group = entry->value;
        if (group->type == GROUP_CLASSIC)
            classic_group_loaded(group->classic);
    }
    consumer_groups_loaded(groups);
    offset_expiry_start(groups);
}

static void groups_unload(void *state, enum kafka_error error)
{
    struct groups *groups = state;
    map_for_each(entry, &groups->by_id)
    {
        struct group *group = entry->value;
        if (group->type == GROUP_CLASSIC)
            classic_group_unload(group->classic, error);
    }
    consumer_groups_unload(groups, error);
}

static void groups_metadata(void *state, const struct image_delta *delta)
{
    struct groups *groups = state;
    for (uint32_t i = 0; i < delta->topic_count; i++)
        if (!delta->topics[i].after)
            offset_expiry_topic_deleted(groups, delta->topics[i].before);
    consumer_groups_metadata(groups, delta);
}

const struct coordinator_kind groups_kind = {
    .name = "group",
    .topic = {(const uint8_t *)"__consumer_offsets", sizeof("__consumer_offsets") - 1},
    .create = groups_create,
    .destroy = groups_destroy,
    .replay = groups_replay,
    .replay_marker = groups_replay_marker,
    .loaded = groups_loaded,
    .unload = groups_unload,
    .metadata = groups_metadata,
};
