/* A list, mostly of one: blocks with the value of the record behind the struct. */
#include "cluster/quorum/voter_history.h"

#include <string.h>

#include "base/assert.h"
#include "cluster/quorum/quorum_internal.h"
#include "cluster/quorum/voters.h"

static struct voter_set *set_of(struct list *link)
{
    return container_of(link, struct voter_set, link);
}

static void drop(struct voter_history *history, struct voter_set *set)
{
    list_remove(&set->link);
    heap_put(history->heap, MEMORY_STATE, set, set->size);
}

/* Appends a set with a copy of `value`, which names nobody yet. */
static struct voter_set *add(struct voter_history *history, int64_t offset, int16_t kraft_version,
                             struct view value)
{
    size_t size = sizeof(struct voter_set) + value.size;
    struct voter_set *set = heap_must_get(history->heap, MEMORY_STATE, size);
    *set = (struct voter_set){.offset = offset, .kraft_version = kraft_version, .size = size};
    if (!view_is_null(value)) {
        memcpy(set->bytes, value.data, value.size);
        set->value = view_of(set->bytes, value.size);
    }
    list_push_back(&history->sets, &set->link);
    return set;
}

void voter_history_init(struct voter_history *history, struct heap *heap)
{
    history->heap = heap;
    list_init(&history->sets);
    add(history, -1, KRAFT_VERSION_STATIC, VIEW_NULL);
}

void voter_history_deinit(struct voter_history *history)
{
    list_for_each_safe(link, after, &history->sets) drop(history, set_of(link));
}

bool voter_history_restart(struct voter_history *history, int64_t offset, struct view kraft_version,
                           struct view voters)
{
    voter_history_deinit(history);
    add(history, -1, KRAFT_VERSION_STATIC, VIEW_NULL);
    if (!view_is_null(kraft_version) && !voter_history_add_version(history, offset, kraft_version))
        return false;
    return view_is_null(voters) || voter_history_add_voters(history, offset, voters);
}

/* Where a set of the same offset (of a snapshot, or a record read twice) stands, this one goes. */
static void replace_before(struct voter_history *history, const struct voter_set *last)
{
    list_for_each_safe(link, after, &history->sets)
    {
        struct voter_set *set = set_of(link);
        if (set != last && set->offset >= last->offset)
            drop(history, set);
    }
}

bool voter_history_add_version(struct voter_history *history, int64_t offset, struct view value)
{
    int16_t version;
    if (!voters_decode_kraft_version(value, &version))
        return false;
    const struct voter_set *before = voter_history_last(history);
    struct voter_set *set = add(history, offset, version, before->value);
    set->count = before->count;
    memcpy(set->nodes, before->nodes, sizeof(set->nodes));
    replace_before(history, set);
    return true;
}

bool voter_history_add_voters(struct voter_history *history, int64_t offset, struct view value)
{
    struct quorum_node nodes[QUORUM_VOTERS_MAX];
    uint32_t count;
    if (!voters_decode_nodes(value, history->heap, nodes, &count))
        return false;
    struct voter_set *set = add(history, offset, voter_history_last(history)->kraft_version, value);
    set->count = count;
    memcpy(set->nodes, nodes, count * sizeof(nodes[0]));
    replace_before(history, set);
    return true;
}

void voter_history_cut(struct voter_history *history, int64_t end_offset)
{
    list_for_each_safe(link, after, &history->sets)
    {
        struct voter_set *set = set_of(link);
        if (set->offset >= end_offset)
            drop(history, set);
    }
    klamm_assert(!list_is_empty(&history->sets));
}

void voter_history_forget_before(struct voter_history *history, int64_t end_offset)
{
    const struct voter_set *kept = voter_history_at(history, end_offset);
    list_for_each_safe(link, after, &history->sets)
    {
        struct voter_set *set = set_of(link);
        if (set == kept)
            return;
        drop(history, set);
    }
}

const struct voter_set *voter_history_last(const struct voter_history *history)
{
    return container_of(history->sets.previous, struct voter_set, link);
}

const struct voter_set *voter_history_at(const struct voter_history *history, int64_t end_offset)
{
    const struct voter_set *found = container_of(history->sets.next, struct voter_set, link);
    list_for_each(link, &history->sets)
    {
        const struct voter_set *set = container_of(link, struct voter_set, link);
        if (set->offset < end_offset)
            found = set;
    }
    return found;
}

static bool has(const struct voter_set *set, struct quorum_node node)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (quorum_same_node(set->nodes[i], node))
            return true;
    return false;
}

bool voter_history_was_voter(const struct voter_history *history, struct quorum_node node)
{
    const struct voter_set *last = voter_history_last(history);
    bool was = false;
    list_for_each(link, &history->sets)
    {
        const struct voter_set *set = container_of(link, struct voter_set, link);
        if (set != last)
            was = has(set, node);
    }
    return was;
}
