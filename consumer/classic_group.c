/*
 * Members stand in a list in the order in which they came, and in maps by id and instance. How many
 * members list a protocol is counted when they come, change and go, so that a join costs what its
 * own list costs, however many members there are.
 */
#include "consumer/classic_group.h"

#include "base/assert.h"
#include "consumer/classic_rebalance.h"
#include "consumer/groups.h"

struct protocol_count {
    uint32_t count;
    struct view name;
    uint8_t name_bytes[];
};

/* ---- Owned bytes ---- */

static void owned_clear(struct groups *groups, struct owned *owned)
{
    if (owned->data)
        heap_put(groups->heap, MEMORY_STATE, owned->data, owned->size ? owned->size : 1);
    *owned = (struct owned){NULL, 0};
}

static void owned_set(struct groups *groups, struct owned *owned, struct view view)
{
    struct owned copy = {NULL, 0};
    if (!view_is_null(view)) {
        copy.data = heap_must_get(groups->heap, MEMORY_STATE, view.size ? view.size : 1);
        copy.size = view.size;
        if (view.size)
            memcpy(copy.data, view.data, view.size);
    }
    owned_clear(groups, owned);
    *owned = copy;
}

/* ---- Life ---- */

struct classic_group *classic_group_get(struct group *group)
{
    if (group->type == GROUP_CLASSIC)
        return group->classic;
    klamm_assert(group->type == GROUP_SIMPLE);
    struct groups *groups = group->groups;
    struct classic_group *classic = heap_must_get(groups->heap, MEMORY_STATE, sizeof(*classic));
    *classic = (struct classic_group){
        .group = group, .state_since_ms = coordinator_loop(groups->coordinator)->wall_ms};
    list_init(&classic->members);
    uint64_t seed = groups->by_id.seed;
    map_init(&classic->by_id, groups->heap, MEMORY_STATE, seed);
    map_init(&classic->by_instance, groups->heap, MEMORY_STATE, seed);
    map_init(&classic->known, groups->heap, MEMORY_STATE, seed);
    map_init(&classic->pending, groups->heap, MEMORY_STATE, seed);
    timer_init(&classic->join_timer, classic_join_timer_fired);
    timer_init(&classic->sync_timer, classic_sync_timer_fired);
    group->type = GROUP_CLASSIC;
    group->classic = classic;
    return classic;
}

void classic_group_free(struct group *group)
{
    struct classic_group *classic = group->classic;
    while (!list_is_empty(&classic->members))
        classic_member_remove(container_of(classic->members.next, struct classic_member, link));
    struct map_entry *entry;
    while ((entry = map_first(&classic->pending)))
        classic_pending_remove(classic, ((struct pending_member *)entry->value)->id);
    timer_clear(&classic->join_timer);
    timer_clear(&classic->sync_timer);
    owned_clear(group->groups, &classic->protocol_type);
    owned_clear(group->groups, &classic->protocol);
    map_deinit(&classic->by_id);
    map_deinit(&classic->by_instance);
    map_deinit(&classic->known);
    map_deinit(&classic->pending);
    heap_put(group->groups->heap, MEMORY_STATE, classic, sizeof(*classic));
    group->classic = NULL;
    group->type = GROUP_SIMPLE;
}

void classic_group_unload(struct classic_group *classic, enum kafka_error error)
{
    list_for_each(link, &classic->members)
    {
        struct classic_member *member = container_of(link, struct classic_member, link);
        struct coordinator_call *join = classic_member_take_join(member);
        struct coordinator_call *sync = classic_member_take_sync(member);
        if (join)
            coordinator_fail(join, error);
        if (sync)
            coordinator_fail(sync, error);
    }
}

struct view classic_state_name(enum classic_state state)
{
    switch (state) {
    case CLASSIC_EMPTY:
        return VIEW_LITERAL("Empty");
    case CLASSIC_PREPARING:
        return VIEW_LITERAL("PreparingRebalance");
    case CLASSIC_COMPLETING:
        return VIEW_LITERAL("CompletingRebalance");
    case CLASSIC_STABLE:
        return VIEW_LITERAL("Stable");
    }
    klamm_unreachable("state of a classic group");
}

void classic_group_move(struct classic_group *classic, enum classic_state state)
{
    static const uint8_t allowed_from[] = {
        [CLASSIC_EMPTY] = 1 << CLASSIC_PREPARING,
        [CLASSIC_PREPARING] = 1 << CLASSIC_EMPTY | 1 << CLASSIC_COMPLETING | 1 << CLASSIC_STABLE,
        [CLASSIC_COMPLETING] = 1 << CLASSIC_PREPARING,
        [CLASSIC_STABLE] = 1 << CLASSIC_COMPLETING,
    };
    klamm_assert(allowed_from[state] & 1 << classic->state);
    classic->previous_state = classic->state;
    classic->state = state;
    classic->state_since_ms = coordinator_loop(classic_groups(classic)->coordinator)->wall_ms;
}

void classic_group_check(const struct classic_group *classic)
{
    uint32_t joins = 0, syncs = 0, members = 0;
    bool has_leader = false;
    list_for_each(link, &classic->members)
    {
        const struct classic_member *member = container_of(link, struct classic_member, link);
        members++;
        joins += member->join != NULL;
        syncs += member->awaits_sync;
        has_leader |= member == classic->leader;
        klamm_assert(!member->join || classic->state == CLASSIC_PREPARING);
        klamm_assert(!member->sync || classic->state == CLASSIC_COMPLETING);
    }
    klamm_assert(members == classic_group_size(classic));
    klamm_assert(joins == classic->awaiting_join);
    klamm_assert(syncs == classic->awaiting_sync);
    klamm_assert(has_leader == (classic->leader != NULL));
    bool has_generation = classic->state == CLASSIC_COMPLETING || classic->state == CLASSIC_STABLE;
    klamm_assert(!has_generation || members > 0);
    klamm_assert(!has_generation || classic->protocol.data);
    klamm_assert(classic->state != CLASSIC_EMPTY || members == 0);
}

/* ---- What members know ---- */

static void count_protocols(struct classic_group *classic, const struct classic_member *member)
{
    struct groups *groups = classic_groups(classic);
    for (size_t i = 0; i < member->protocol_count; i++) {
        struct view name = member->protocols[i].name;
        struct protocol_count *known = map_get(&classic->known, name);
        if (!known) {
            known = heap_must_get(groups->heap, MEMORY_STATE, sizeof(*known) + name.size);
            if (name.size)
                memcpy(known->name_bytes, name.data, name.size);
            known->name = view_of(known->name_bytes, name.size);
            bool is_put = map_put(&classic->known, known->name, known);
            klamm_assert(is_put);
        }
        known->count++;
    }
}

static void uncount_protocols(struct classic_group *classic, const struct classic_member *member)
{
    for (size_t i = 0; i < member->protocol_count; i++) {
        struct protocol_count *known = map_get(&classic->known, member->protocols[i].name);
        if (--known->count > 0)
            continue;
        map_remove(&classic->known, known->name);
        heap_put(classic_groups(classic)->heap, MEMORY_STATE, known,
                 sizeof(*known) + known->name.size);
    }
}

static void free_protocols(struct classic_member *member)
{
    if (member->protocols)
        heap_put(classic_groups(member->group)->heap, MEMORY_STATE, member->protocols,
                 member->protocols_size);
    member->protocols = NULL;
    member->protocol_count = 0;
}

static struct view append(uint8_t **end, struct view view)
{
    struct view copy = view_of(*end, view.size);
    if (view.size)
        memcpy(*end, view.data, view.size);
    *end += view.size;
    return copy;
}

/* A name that is listed twice counts once, as its first entry. */
static bool is_listed_before(const struct join_group_request_protocol *protocols, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (view_equal(protocols[i].name, protocols[index].name))
            return true;
    return false;
}

static void set_protocols(struct classic_member *member,
                          const struct join_group_request_protocol *protocols, size_t count)
{
    size_t size = (count + 1) * sizeof(struct classic_protocol);
    for (size_t i = 0; i < count; i++)
        size += protocols[i].name.size + protocols[i].metadata.size;
    member->protocols = heap_must_get(classic_groups(member->group)->heap, MEMORY_STATE, size);
    member->protocols_size = size;
    uint8_t *end = (uint8_t *)(member->protocols + count + 1);
    for (size_t i = 0; i < count; i++) {
        if (is_listed_before(protocols, i))
            continue;
        struct classic_protocol *protocol = &member->protocols[member->protocol_count++];
        protocol->name = append(&end, protocols[i].name);
        protocol->metadata = append(&end, protocols[i].metadata);
    }
}

bool classic_member_matches(const struct classic_member *member,
                            const struct join_group_request_protocol *protocols, size_t count)
{
    if (member->protocol_count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!view_equal(member->protocols[i].name, protocols[i].name) ||
            !view_equal(member->protocols[i].metadata, protocols[i].metadata))
            return false;
    return true;
}

bool classic_member_gives(const struct classic_member *member,
                          const struct join_group_request_protocol *protocol)
{
    for (size_t i = 0; i < member->protocol_count; i++)
        if (view_equal(member->protocols[i].name, protocol->name))
            return view_equal(member->protocols[i].metadata, protocol->metadata);
    return false;
}

struct view classic_member_metadata(const struct classic_member *member, struct view protocol)
{
    for (size_t i = 0; i < member->protocol_count; i++)
        if (view_equal(member->protocols[i].name, protocol))
            return member->protocols[i].metadata;
    return VIEW_LITERAL("");
}

/* ---- Members ---- */

struct classic_member *classic_member_find(const struct classic_group *classic, struct view id)
{
    return map_get(&classic->by_id, id);
}

struct classic_member *classic_member_by_instance(const struct classic_group *classic,
                                                  struct view instance_id)
{
    return map_get(&classic->by_instance, instance_id);
}

enum kafka_error classic_member_validate(const struct classic_group *classic, struct view id,
                                         struct view instance_id, struct classic_member **member)
{
    *member = NULL;
    if (!view_is_null(instance_id)) {
        const struct classic_member *owner = classic_member_by_instance(classic, instance_id);
        if (!owner)
            return KAFKA_ERROR_UNKNOWN_MEMBER_ID;
        if (!view_equal(classic_member_id(owner), id))
            return KAFKA_ERROR_FENCED_INSTANCE_ID;
    }
    *member = classic_member_find(classic, id);
    return *member ? KAFKA_ERROR_NONE : KAFKA_ERROR_UNKNOWN_MEMBER_ID;
}

static void member_fired(struct timer *timer)
{
    classic_session_fired(container_of(timer, struct classic_member, session));
}

struct classic_member *classic_member_add(struct classic_group *classic,
                                          const struct classic_joiner *joiner)
{
    struct groups *groups = classic_groups(classic);
    struct classic_member *member = heap_must_get(groups->heap, MEMORY_STATE, sizeof(*member));
    *member = (struct classic_member){
        .group = classic,
        .session_timeout_ms = joiner->session_timeout_ms,
        .rebalance_timeout_ms = joiner->rebalance_timeout_ms,
    };
    timer_init(&member->session, member_fired);
    owned_set(groups, &member->id, joiner->id);
    owned_set(groups, &member->instance_id, joiner->instance_id);
    owned_set(groups, &member->client_id, joiner->client_id);
    owned_set(groups, &member->client_host, joiner->client_host);
    owned_set(groups, &member->assignment, VIEW_LITERAL(""));
    set_protocols(member, joiner->protocols, joiner->protocol_count);
    if (classic_group_size(classic) == 0)
        classic_group_set_protocol_type(classic, joiner->protocol_type);
    count_protocols(classic, member);
    list_push_back(&classic->members, &member->link);
    bool is_put = map_put(&classic->by_id, classic_member_id(member), member);
    if (member->instance_id.data)
        is_put &= map_put(&classic->by_instance, owned_view(member->instance_id), member);
    klamm_assert(is_put);
    if (!classic->leader)
        classic->leader = member;
    return member;
}

void classic_member_update(struct classic_member *member, const struct classic_joiner *joiner)
{
    uncount_protocols(member->group, member);
    free_protocols(member);
    set_protocols(member, joiner->protocols, joiner->protocol_count);
    count_protocols(member->group, member);
    member->session_timeout_ms = joiner->session_timeout_ms;
    member->rebalance_timeout_ms = joiner->rebalance_timeout_ms;
}

void classic_member_rename(struct classic_member *member, struct view id)
{
    struct classic_group *classic = member->group;
    struct coordinator_call *join = classic_member_take_join(member);
    struct coordinator_call *sync = classic_member_take_sync(member);
    if (join)
        classic_answer_join_error(classic, join, classic_member_id(member),
                                  KAFKA_ERROR_FENCED_INSTANCE_ID);
    if (sync)
        classic_answer_sync_error(classic, sync, KAFKA_ERROR_FENCED_INSTANCE_ID);
    classic_member_await_sync(member, false);
    map_remove(&classic->by_id, classic_member_id(member));
    owned_set(classic_groups(classic), &member->id, id);
    bool is_put = map_put(&classic->by_id, classic_member_id(member), member);
    klamm_assert(is_put);
}

void classic_member_remove(struct classic_member *member)
{
    struct classic_group *classic = member->group;
    struct groups *groups = classic_groups(classic);
    struct coordinator_call *join = classic_member_take_join(member);
    struct coordinator_call *sync = classic_member_take_sync(member);
    if (join)
        classic_answer_join_error(classic, join, VIEW_LITERAL(""), KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    if (sync)
        classic_answer_sync_error(classic, sync, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
    classic_member_await_sync(member, false);
    timer_clear(&member->session);
    list_remove(&member->link);
    map_remove(&classic->by_id, classic_member_id(member));
    if (member->instance_id.data)
        map_remove(&classic->by_instance, owned_view(member->instance_id));
    if (classic->leader == member)
        classic->leader = list_is_empty(&classic->members)
                              ? NULL
                              : container_of(classic->members.next, struct classic_member, link);
    uncount_protocols(classic, member);
    free_protocols(member);
    owned_clear(groups, &member->id);
    owned_clear(groups, &member->instance_id);
    owned_clear(groups, &member->client_id);
    owned_clear(groups, &member->client_host);
    owned_clear(groups, &member->assignment);
    heap_put(groups->heap, MEMORY_STATE, member, sizeof(*member));
}

void classic_member_assign(struct classic_member *member, struct view assignment)
{
    owned_set(classic_groups(member->group), &member->assignment, assignment);
}

void classic_member_expect(struct classic_member *member, uint64_t timeout_ms)
{
    struct loop *loop = coordinator_loop(classic_groups(member->group)->coordinator);
    member->deadline_ns = loop->now_ns + timeout_ms * 1000000u;
    member->has_grace = false;
    /* A timer that is early enough finds the new deadline when it fires. */
    if (!timer_is_set(&member->session) || member->session.due_ns > member->deadline_ns)
        loop_set_timer(loop, &member->session, timeout_ms * 1000000u);
}

void classic_member_park_join(struct classic_member *member, struct coordinator_call *call)
{
    struct coordinator_call *before = classic_member_take_join(member);
    if (before)
        classic_answer_join_error(member->group, before, classic_member_id(member),
                                  KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    member->join = call;
    member->group->awaiting_join++;
}

void classic_member_park_sync(struct classic_member *member, struct coordinator_call *call)
{
    struct coordinator_call *before = classic_member_take_sync(member);
    if (before)
        classic_answer_sync_error(member->group, before, KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    member->sync = call;
}

struct coordinator_call *classic_member_take_join(struct classic_member *member)
{
    struct coordinator_call *call = member->join;
    if (call)
        member->group->awaiting_join--;
    member->join = NULL;
    return call;
}

struct coordinator_call *classic_member_take_sync(struct classic_member *member)
{
    struct coordinator_call *call = member->sync;
    member->sync = NULL;
    return call;
}

void classic_member_await_sync(struct classic_member *member, bool awaits)
{
    if (awaits == member->awaits_sync)
        return;
    member->awaits_sync = awaits;
    if (awaits)
        member->group->awaiting_sync++;
    else
        member->group->awaiting_sync--;
}

/* ---- Pending members ---- */

static void pending_fired(struct timer *timer)
{
    struct pending_member *pending = container_of(timer, struct pending_member, timer);
    struct classic_group *classic = pending->group;
    classic_pending_remove(classic, pending->id);
    classic_maybe_complete_join(classic);
}

void classic_pending_add(struct classic_group *classic, struct view id, uint64_t timeout_ms)
{
    struct groups *groups = classic_groups(classic);
    struct pending_member *pending =
        heap_must_get(groups->heap, MEMORY_STATE, sizeof(*pending) + id.size);
    pending->group = classic;
    memcpy(pending->id_bytes, id.data, id.size);
    pending->id = view_of(pending->id_bytes, id.size);
    timer_init(&pending->timer, pending_fired);
    bool is_put = map_put(&classic->pending, pending->id, pending);
    klamm_assert(is_put);
    loop_set_timer(coordinator_loop(groups->coordinator), &pending->timer, timeout_ms * 1000000u);
}

bool classic_pending_remove(struct classic_group *classic, struct view id)
{
    struct pending_member *pending = map_remove(&classic->pending, id);
    if (!pending)
        return false;
    timer_clear(&pending->timer);
    heap_put(classic_groups(classic)->heap, MEMORY_STATE, pending,
             sizeof(*pending) + pending->id.size);
    return true;
}

/* ---- Protocols ---- */

bool classic_group_supports(const struct classic_group *classic, struct view protocol_type,
                            const struct join_group_request_protocol *protocols, size_t count)
{
    if (classic->state == CLASSIC_EMPTY)
        return protocol_type.size > 0 && count > 0;
    if (!view_equal(protocol_type, owned_view(classic->protocol_type)))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct protocol_count *known = map_get(&classic->known, protocols[i].name);
        if ((known ? known->count : 0) == classic_group_size(classic))
            return true;
    }
    return false;
}

/* Every member votes for the first of its own list that all list. */
struct view classic_group_vote(const struct classic_group *classic)
{
    struct map votes;
    map_init(&votes, classic_groups(classic)->heap, MEMORY_SCRATCH, classic->known.seed);
    list_for_each(link, &classic->members)
    {
        const struct classic_member *member = container_of(link, struct classic_member, link);
        for (size_t i = 0; i < member->protocol_count; i++) {
            const struct protocol_count *known =
                map_get(&classic->known, member->protocols[i].name);
            if (known->count != classic_group_size(classic))
                continue;
            struct map_entry *entry = map_add(&votes, known->name, NULL);
            klamm_assert(entry);
            entry->number++;
            break;
        }
    }
    struct view winner = VIEW_NULL;
    uint64_t most = 0;
    map_for_each(entry, &votes)
    {
        if (entry->number > most) {
            most = entry->number;
            winner = map_entry_key(entry);
        }
    }
    map_deinit(&votes);
    klamm_assert(!view_is_null(winner));
    return winner;
}

void classic_group_set_protocol(struct classic_group *classic, struct view protocol)
{
    owned_set(classic_groups(classic), &classic->protocol, protocol);
}

void classic_group_set_protocol_type(struct classic_group *classic, struct view protocol_type)
{
    owned_set(classic_groups(classic), &classic->protocol_type, protocol_type);
}

int32_t classic_group_rebalance_timeout_ms(const struct classic_group *classic)
{
    int32_t longest = 0;
    list_for_each(link, &classic->members)
    {
        const struct classic_member *member = container_of(link, struct classic_member, link);
        if (member->rebalance_timeout_ms > longest)
            longest = member->rebalance_timeout_ms;
    }
    return longest;
}

bool classic_group_has_consumers(const struct classic_group *classic)
{
    return view_equal(owned_view(classic->protocol_type), VIEW_LITERAL("consumer"));
}
