/*
 * The happy path: classic_prepare, members park their joins, complete_join answers them and fixes
 * the generation, the leader's SyncGroup writes the record (sync_group.c) and classic_answer_syncs
 * ends the rebalance.
 *
 * What can go wrong: nobody joins (the group is EMPTY again, or waits for its static members), a
 * member does not come back (it is removed), the leader does not sync (the sync timer removes
 * whoever did not, and the next rebalance begins).
 */
#include "consumer/classic_rebalance.h"

#include "consumer/call_memory.h"
#include "consumer/classic_record.h"
#include "consumer/groups.h"
#include "protocol/messages/sync_group.h"
#include "runtime/test_point.h"

enum { STALL_MS = 1000 };

static struct loop *loop_of(const struct classic_group *classic)
{
    return coordinator_loop(classic_groups(classic)->coordinator);
}

static void set_timer_ms(struct classic_group *classic, struct timer *timer, int32_t delay_ms)
{
    loop_set_timer(loop_of(classic), timer, (uint64_t)(delay_ms > 0 ? delay_ms : 0) * 1000000u);
}

/* ---- Answers ---- */

void classic_answer_join_error(struct classic_group *classic, struct coordinator_call *call,
                               struct view member_id, enum kafka_error error)
{
    struct join_group_response *response = call->response;
    response->error_code = (int16_t)error;
    response->protocol_name = VIEW_NULL;
    response->member_id = call_copy(call, member_id);
    coordinator_answer(classic_groups(classic)->coordinator, call);
}

void classic_answer_sync_error(struct classic_group *classic, struct coordinator_call *call,
                               enum kafka_error error)
{
    struct sync_group_response *response = call->response;
    response->error_code = (int16_t)error;
    coordinator_answer(classic_groups(classic)->coordinator, call);
}

static void list_members(const struct classic_group *classic, struct coordinator_call *call)
{
    struct join_group_response *response = call->response;
    response->members_count = classic_group_size(classic);
    response->members = call_get(call, response->members_count, sizeof(*response->members));
    struct join_group_response_member *out = response->members;
    list_for_each(link, &classic->members)
    {
        const struct classic_member *member = container_of(link, struct classic_member, link);
        join_group_response_member_init(out);
        out->member_id = call_copy(call, classic_member_id(member));
        out->group_instance_id = call_copy(call, owned_view(member->instance_id));
        out->metadata =
            call_copy(call, classic_member_metadata(member, owned_view(classic->protocol)));
        out++;
    }
}

void classic_answer_join(struct classic_member *member, struct coordinator_call *call)
{
    const struct classic_group *classic = member->group;
    struct join_group_response *response = call->response;
    response->generation_id = classic->generation;
    response->protocol_type = call_copy(call, owned_view(classic->protocol_type));
    response->protocol_name = call_copy(call, owned_view(classic->protocol));
    response->leader = call_copy(call, classic_member_id(classic->leader));
    response->member_id = call_copy(call, classic_member_id(member));
    if (classic->leader == member)
        list_members(classic, call);
    coordinator_answer(classic_groups(classic)->coordinator, call);
}

void classic_answer_sync(struct classic_member *member, struct coordinator_call *call)
{
    const struct classic_group *classic = member->group;
    struct sync_group_response *response = call->response;
    response->protocol_type = call_copy(call, owned_view(classic->protocol_type));
    response->protocol_name = call_copy(call, owned_view(classic->protocol));
    response->assignment = call_copy(call, owned_view(member->assignment));
    coordinator_answer(classic_groups(classic)->coordinator, call);
}

void classic_answer_syncs(struct classic_group *classic)
{
    list_for_each(link, &classic->members)
    {
        struct classic_member *member = container_of(link, struct classic_member, link);
        struct coordinator_call *call = classic_member_take_sync(member);
        if (!call)
            continue;
        classic_answer_sync(member, call);
        classic_member_touch(member);
    }
}

void classic_drop_assignments(struct classic_group *classic, enum kafka_error error)
{
    list_for_each(link, &classic->members)
    {
        struct classic_member *member = container_of(link, struct classic_member, link);
        classic_member_assign(member, VIEW_LITERAL(""));
        struct coordinator_call *call = classic_member_take_sync(member);
        if (!call)
            continue;
        classic_answer_sync_error(classic, call, error);
        classic_member_touch(member);
    }
}

/* ---- Preparing ---- */

static void complete_join(struct classic_group *classic);

static bool have_all_joined(const struct classic_group *classic)
{
    return classic->awaiting_join == classic_group_size(classic) &&
           map_count(&classic->pending) == 0;
}

static void prepare(struct classic_group *classic)
{
    if (classic->state == CLASSIC_COMPLETING)
        classic_drop_assignments(classic, KAFKA_ERROR_REBALANCE_IN_PROGRESS);
    timer_clear(&classic->sync_timer);
    bool is_initial = classic->state == CLASSIC_EMPTY;
    classic_group_move(classic, CLASSIC_PREPARING);
    if (is_initial) {
        int32_t timeout_ms = classic_group_rebalance_timeout_ms(classic);
        classic->initial_delay_ms =
            groups_settings(classic_groups(classic))->group_initial_rebalance_delay_ms;
        classic->initial_left_ms =
            timeout_ms > classic->initial_delay_ms ? timeout_ms - classic->initial_delay_ms : 0;
        classic->member_came = false;
        set_timer_ms(classic, &classic->join_timer, classic->initial_delay_ms);
    } else if (have_all_joined(classic)) {
        complete_join(classic);
    } else {
        bool is_impatient = test_point(loop_of(classic), BUG_GROUP_IMPATIENT);
        set_timer_ms(classic, &classic->join_timer,
                     is_impatient ? 1 : classic_group_rebalance_timeout_ms(classic));
    }
}

void classic_maybe_complete_join(struct classic_group *classic)
{
    if (classic->state == CLASSIC_PREPARING && classic->previous_state != CLASSIC_EMPTY &&
        have_all_joined(classic))
        complete_join(classic);
}

void classic_prepare_or_complete(struct classic_group *classic)
{
    if (classic->state == CLASSIC_PREPARING)
        classic_maybe_complete_join(classic);
    else
        prepare(classic);
}

/* ---- Completing ---- */

static void drop_absent(struct classic_group *classic)
{
    list_for_each_safe(link, after, &classic->members)
    {
        struct classic_member *member = container_of(link, struct classic_member, link);
        if (!member->join && !member->instance_id.data)
            classic_member_remove(member);
    }
}

/* A leader among those who came; false when nobody did. */
static bool elect_leader(struct classic_group *classic)
{
    if (classic->leader && classic->leader->join)
        return true;
    list_for_each(link, &classic->members)
    {
        struct classic_member *member = container_of(link, struct classic_member, link);
        if (member->join) {
            classic->leader = member;
            return true;
        }
    }
    return false;
}

static void become_empty(struct classic_group *classic)
{
    classic->generation++;
    classic_group_set_protocol(classic, VIEW_NULL);
    classic_group_move(classic, CLASSIC_EMPTY);
    enum kafka_error error = classic_record_write(classic);
    if (error != KAFKA_ERROR_NONE)
        log_warn(loop_of(classic)->diagnostics, "empty group not written group=%.*s error=%s",
                 (int)classic->group->id.size, (const char *)classic->group->id.data,
                 kafka_error_name(error));
}

static void complete_join(struct classic_group *classic)
{
    timer_clear(&classic->join_timer);
    drop_absent(classic);
    if (classic_group_size(classic) == 0) {
        become_empty(classic);
        return;
    }
    if (!elect_leader(classic)) {
        /* Only static members, all away: they have until their sessions end. */
        set_timer_ms(classic, &classic->join_timer, classic_group_rebalance_timeout_ms(classic));
        return;
    }
    classic->generation++;
    classic_group_set_protocol(classic, classic_group_vote(classic));
    classic_group_move(classic, CLASSIC_COMPLETING);
    list_for_each(link, &classic->members)
    {
        struct classic_member *member = container_of(link, struct classic_member, link);
        struct coordinator_call *call = classic_member_take_join(member);
        member->is_new = false;
        classic_member_touch(member);
        classic_member_await_sync(member, true);
        if (call)
            classic_answer_join(member, call);
    }
    set_timer_ms(classic, &classic->sync_timer, classic_group_rebalance_timeout_ms(classic));
    classic_group_check(classic);
}

void classic_join_timer_fired(struct timer *timer)
{
    struct classic_group *classic = container_of(timer, struct classic_group, join_timer);
    klamm_assert(classic->state == CLASSIC_PREPARING);
    bool is_initial = classic->previous_state == CLASSIC_EMPTY;
    if (!is_initial || !classic->member_came || classic->initial_left_ms == 0) {
        complete_join(classic);
        return;
    }
    int32_t passed_ms = classic->initial_delay_ms;
    int32_t delay_ms = groups_settings(classic_groups(classic))->group_initial_rebalance_delay_ms;
    classic->member_came = false;
    classic->initial_delay_ms =
        delay_ms < classic->initial_left_ms ? delay_ms : classic->initial_left_ms;
    classic->initial_left_ms =
        classic->initial_left_ms > passed_ms ? classic->initial_left_ms - passed_ms : 0;
    set_timer_ms(classic, timer, classic->initial_delay_ms);
}

/* ---- Syncing ---- */

void classic_sync_arrived(struct classic_member *member)
{
    struct classic_group *classic = member->group;
    classic_member_await_sync(member, false);
    if (classic->awaiting_sync == 0)
        timer_clear(&classic->sync_timer);
}

void classic_sync_timer_fired(struct timer *timer)
{
    struct classic_group *classic = container_of(timer, struct classic_group, sync_timer);
    klamm_assert(classic->state == CLASSIC_COMPLETING || classic->state == CLASSIC_STABLE);
    if (classic->awaiting_sync == 0)
        return;
    list_for_each_safe(link, after, &classic->members)
    {
        struct classic_member *member = container_of(link, struct classic_member, link);
        if (member->awaits_sync)
            classic_member_remove(member);
    }
    prepare(classic);
}

/* ---- Sessions ---- */

void classic_session_fired(struct classic_member *member)
{
    struct classic_group *classic = member->group;
    struct loop *loop = loop_of(classic);
    if (loop->now_ns < member->deadline_ns) {
        loop_set_timer(loop, &member->session, member->deadline_ns - loop->now_ns);
        return;
    }
    /* Whoever waits for us is alive; a new one is kept for a while only, it may have given up. */
    if (!member->is_new && (member->join || member->sync))
        return;
    if (test_point(loop, BUG_GROUP_NO_SESSIONS))
        return;
    /* This node stood still; what the member has sent meanwhile is not read yet. */
    uint64_t late_ns = loop->now_ns - member->deadline_ns;
    if (late_ns > (uint64_t)STALL_MS * 1000000u && !member->has_grace) {
        classic_member_expect(member, STALL_MS);
        member->has_grace = true;
        return;
    }
    classic_member_remove(member);
    if (classic->state != CLASSIC_EMPTY)
        classic_prepare_or_complete(classic);
}

void classic_group_loaded(struct classic_group *classic)
{
    list_for_each(link, &classic->members)
        classic_member_touch(container_of(link, struct classic_member, link));
    int32_t size_max = groups_settings(classic_groups(classic))->group_max_size;
    if (classic_group_size(classic) > (uint32_t)size_max)
        prepare(classic);
}
