/*
 * JoinGroup: a member comes, comes back, or says anew what it subscribes to.
 *
 * A group that does not exist is made by a joiner without an id, and written down at once: it lives
 * on when the joiner does not come back. Then, in this order: is there room, does the joiner fit,
 * who is it. From version 4 on a dynamic joiner without an id is given one and told to come again
 * (MEMBER_ID_REQUIRED), so that lost answers leave no members behind (KIP-394). A static joiner
 * (KIP-345) without an id takes the place of whoever has its instance id.
 */
#include "consumer/group_requests.h"

#include "base/text.h"
#include "consumer/call_memory.h"
#include "consumer/classic_group.h"
#include "consumer/classic_rebalance.h"
#include "consumer/classic_record.h"
#include "consumer/consumer_classic.h"

enum {
    REBALANCE_TIMEOUT_SINCE_VERSION = 1,
    MEMBER_ID_REQUIRED_SINCE_VERSION = 4,
    SKIP_ASSIGNMENT_SINCE_VERSION = 9,
    /* Comparing lists costs their product. Clients offer a handful. */
    PROTOCOLS_MAX = 256,
    MEMBER_ID_SIZE = 36
};

struct join {
    struct groups *groups;
    struct coordinator_call *call;
    const struct join_group_request *message;
    struct classic_group *classic;
    struct classic_joiner joiner;
};

static void answer_error(const struct join *join, struct view member_id, enum kafka_error error)
{
    struct join_group_response *response = join->call->response;
    response->error_code = (int16_t)error;
    response->protocol_name = VIEW_NULL;
    response->member_id = call_copy(join->call, member_id);
    coordinator_answer(join->groups->coordinator, join->call);
}

/* "<client or instance id>-<random id>", in the form in which Java writes one. */
static struct view make_member_id(const struct join *join)
{
    struct view prefix = view_is_null(join->message->group_instance_id)
                             ? join->call->client.id
                             : join->message->group_instance_id;
    size_t capacity = prefix.size + 1 + MEMBER_ID_SIZE + 1;
    char *text = call_get(join->call, capacity, 1);
    uint64_t random[2];
    loop_entropy(coordinator_loop(join->groups->coordinator), random, sizeof(random));
    struct uuid id = uuid_of_random(random[0], random[1]);
    struct text_builder builder;
    text_builder_init(&builder, text, capacity);
    text_append(&builder, prefix);
    for (size_t i = 0; i < UUID_SIZE; i++) {
        if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10)
            text_append_char(&builder, '-');
        text_append_hex(&builder, view_of(&id.bytes[i], 1));
    }
    return text_builder_view(&builder);
}

/* ---- Members that come ---- */

static void add_member(struct join *join, struct view id)
{
    struct classic_group *classic = join->classic;
    join->joiner.id = id;
    classic_pending_remove(classic, id);
    struct classic_member *member = classic_member_add(classic, &join->joiner);
    member->is_new = true;
    if (classic->state == CLASSIC_PREPARING && classic->previous_state == CLASSIC_EMPTY)
        classic->member_came = true;
    classic_member_park_join(member, join->call);
    classic_member_expect(member, CLASSIC_NEW_MEMBER_TIMEOUT_MS);
    classic_prepare_or_complete(classic);
}

static void update_member(struct join *join, struct classic_member *member)
{
    classic_member_update(member, &join->joiner);
    classic_member_park_join(member, join->call);
    classic_prepare_or_complete(join->classic);
}

/* ---- Static members that come back ---- */

/* The group goes on as it is: only the member's id is new, which is written down. */
static void replace_quietly(struct join *join, struct classic_member *member, struct view old_id,
                            struct view old_leader_id)
{
    struct classic_group *classic = join->classic;
    struct join_group_response *response = join->call->response;
    enum kafka_error error = classic_record_write(classic);
    if (error != KAFKA_ERROR_NONE) {
        classic_member_rename(member, old_id);
        answer_error(join, VIEW_LITERAL(""), error);
        return;
    }
    bool is_leader = classic->leader == member;
    if (join->call->version >= SKIP_ASSIGNMENT_SINCE_VERSION) {
        response->skip_assignment = is_leader;
        classic_answer_join(member, join->call);
        return;
    }
    /* Whoever is told that it leads computes an assignment; told the old id, it does not. */
    response->generation_id = classic->generation;
    response->protocol_type = call_copy(join->call, owned_view(classic->protocol_type));
    response->protocol_name = call_copy(join->call, owned_view(classic->protocol));
    response->leader = old_leader_id;
    response->member_id = call_copy(join->call, classic_member_id(member));
    coordinator_answer(join->groups->coordinator, join->call);
}

static void replace_static(struct join *join, struct classic_member *member, struct view new_id)
{
    struct classic_group *classic = join->classic;
    struct view old_id = call_copy(join->call, classic_member_id(member));
    struct view old_leader_id = call_copy(join->call, classic_member_id(classic->leader));
    struct view protocol = owned_view(classic->protocol);
    classic_member_rename(member, new_id);
    classic_member_update(member, &join->joiner);
    classic_member_touch(member);
    bool is_same =
        classic->state == CLASSIC_STABLE && view_equal(classic_group_vote(classic), protocol);
    if (is_same) {
        replace_quietly(join, member, old_id, old_leader_id);
        return;
    }
    classic_member_park_join(member, join->call);
    classic_prepare_or_complete(classic);
}

/* ---- Who joins ---- */

static void join_without_id(struct join *join)
{
    struct view instance_id = join->message->group_instance_id;
    struct view new_id = make_member_id(join);
    struct classic_member *member =
        view_is_null(instance_id) ? NULL : classic_member_by_instance(join->classic, instance_id);
    if (member) {
        replace_static(join, member, new_id);
    } else if (view_is_null(instance_id) &&
               join->call->version >= MEMBER_ID_REQUIRED_SINCE_VERSION) {
        classic_pending_add(join->classic, new_id, (uint64_t)join->message->session_timeout_ms);
        answer_error(join, new_id, KAFKA_ERROR_MEMBER_ID_REQUIRED);
    } else {
        add_member(join, new_id);
    }
}

static void rejoin(struct join *join, struct classic_member *member)
{
    struct classic_group *classic = join->classic;
    bool is_same =
        classic_member_matches(member, join->message->protocols, join->message->protocols_count);
    switch (classic->state) {
    case CLASSIC_PREPARING:
        update_member(join, member);
        break;
    case CLASSIC_COMPLETING:
        /* Perhaps it missed the answer. */
        if (is_same)
            classic_answer_join(member, join->call);
        else
            update_member(join, member);
        break;
    case CLASSIC_STABLE:
        /* The leader comes to force a rebalance, for example for new partitions. */
        if (is_same && member != classic->leader)
            classic_answer_join(member, join->call);
        else
            update_member(join, member);
        break;
    case CLASSIC_EMPTY:
        answer_error(join, join->message->member_id, KAFKA_ERROR_UNKNOWN_MEMBER_ID);
        break;
    }
}

static void join_with_id(struct join *join)
{
    const struct join_group_request *message = join->message;
    bool is_pending = map_find(&join->classic->pending, message->member_id) != NULL;
    if (is_pending && view_is_null(message->group_instance_id)) {
        add_member(join, message->member_id);
        return;
    }
    struct classic_member *member;
    enum kafka_error error = classic_member_validate(join->classic, message->member_id,
                                                     message->group_instance_id, &member);
    if (error == KAFKA_ERROR_NONE) {
        rejoin(join, member);
        return;
    }
    answer_error(join, message->member_id, error);
}

/* Whether there is room: group.max.size. */
static bool is_accepted(const struct join *join)
{
    const struct classic_group *classic = join->classic;
    const struct classic_member *member = classic_member_find(classic, join->message->member_id);
    uint32_t size_max = (uint32_t)groups_settings(join->groups)->group_max_size;
    switch (classic->state) {
    case CLASSIC_EMPTY:
        return true;
    case CLASSIC_PREPARING:
        /* Counting who is back lets the last ones go when the group has become too large. */
        return (member && member->join) || classic->awaiting_join < size_max;
    case CLASSIC_COMPLETING:
    case CLASSIC_STABLE:
        return member || classic_group_size(classic) < size_max;
    }
    klamm_unreachable("state of a classic group");
}

static void refuse_for_size(struct join *join)
{
    struct classic_member *member = classic_member_find(join->classic, join->message->member_id);
    if (member)
        classic_member_remove(member);
    else
        classic_pending_remove(join->classic, join->message->member_id);
    answer_error(join, VIEW_LITERAL(""), KAFKA_ERROR_GROUP_MAX_SIZE_REACHED);
    classic_maybe_complete_join(join->classic);
}

/* ---- The group ---- */

/* An empty group is written when it is made: see above. */
static enum kafka_error make_group(struct groups *groups, struct view id)
{
    struct coordinator_records records;
    coordinator_records_begin(&records, groups->coordinator);
    classic_record_put_empty(&records, id, coordinator_loop(groups->coordinator)->wall_ms);
    return coordinator_append(&records);
}

/* An empty consumer group gives way to a classic one. */
static enum kafka_error displace_consumers(struct group *group)
{
    struct coordinator_records records;
    coordinator_records_begin(&records, group->groups->coordinator);
    consumer_classic_put_tombstones(&records, group);
    classic_record_put_empty(&records, group->id,
                             coordinator_loop(group->groups->coordinator)->wall_ms);
    return coordinator_append(&records);
}

/* NULL and *error when there is none, or none that a classic member may join. */
static struct classic_group *find_group(struct groups *groups, const struct join *join,
                                        enum kafka_error *error)
{
    struct group *group = groups_find(groups, join->message->group_id);
    *error = KAFKA_ERROR_NONE;
    if (!group && join->message->member_id.size > 0)
        *error = KAFKA_ERROR_UNKNOWN_MEMBER_ID;
    else if (!group)
        *error = make_group(groups, join->message->group_id);
    else if (group->type == GROUP_CONSUMER)
        *error = displace_consumers(group);
    group = groups_find(groups, join->message->group_id);
    return *error == KAFKA_ERROR_NONE ? classic_group_get(group) : NULL;
}

static enum kafka_error check(const struct join *join)
{
    const struct broker_settings *settings = groups_settings(join->groups);
    const struct join_group_request *message = join->message;
    if (message->group_id.size == 0)
        return KAFKA_ERROR_INVALID_GROUP_ID;
    if (message->session_timeout_ms < settings->group_min_session_timeout_ms ||
        message->session_timeout_ms > settings->group_max_session_timeout_ms)
        return KAFKA_ERROR_INVALID_SESSION_TIMEOUT;
    if (message->protocols_count > PROTOCOLS_MAX)
        return KAFKA_ERROR_INVALID_REQUEST;
    return KAFKA_ERROR_NONE;
}

static struct classic_joiner joiner_of(const struct coordinator_call *call)
{
    const struct join_group_request *message = call->request;
    bool has_timeout = call->version >= REBALANCE_TIMEOUT_SINCE_VERSION;
    return (struct classic_joiner){
        .id = message->member_id,
        .instance_id = message->group_instance_id,
        .client_id = view_is_null(call->client.id) ? VIEW_LITERAL("") : call->client.id,
        .client_host = call->client.host,
        .session_timeout_ms = message->session_timeout_ms,
        .rebalance_timeout_ms =
            has_timeout ? message->rebalance_timeout_ms : message->session_timeout_ms,
        .protocol_type = message->protocol_type,
        .protocols = message->protocols,
        .protocol_count = message->protocols_count,
    };
}

void join_group(struct groups *groups, struct coordinator_call *call)
{
    struct join join = {
        .groups = groups, .call = call, .message = call->request, .joiner = joiner_of(call)};
    const struct join_group_request *message = join.message;
    enum kafka_error error = check(&join);
    if (error != KAFKA_ERROR_NONE) {
        answer_error(&join, message->member_id, error);
        return;
    }
    struct group *group = groups_find(groups, message->group_id);
    if (group && group->type == GROUP_CONSUMER && !consumer_classic_is_empty(group)) {
        consumer_classic_join(group, call);
        return;
    }
    join.classic = find_group(groups, &join, &error);
    if (!join.classic) {
        answer_error(&join, message->member_id, error);
        return;
    }
    if (!is_accepted(&join))
        refuse_for_size(&join);
    else if (!classic_group_supports(join.classic, message->protocol_type, message->protocols,
                                     message->protocols_count))
        answer_error(&join, message->member_id, KAFKA_ERROR_INCONSISTENT_GROUP_PROTOCOL);
    else if (message->member_id.size == 0)
        join_without_id(&join);
    else
        join_with_id(&join);
}
