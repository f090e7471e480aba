#include "consumer/consumer_group_timers.h"

#include "base/text.h"
#include "consumer/consumer_group_leave.h"
#include "runtime/test_point.h"

/* A timer that is later than this was held up with the whole node. */
enum { LATE_MS = 2000, RETRY_MS = 500 };

static const uint64_t ns_per_ms = 1000000;

static struct loop *loop_of(const struct consumer_member *member)
{
    return coordinator_loop(member->group->groups->coordinator);
}

static void set_timer(const struct consumer_member *member, struct timer *timer, int64_t delay_ms)
{
    loop_set_timer(loop_of(member), timer, (uint64_t)(delay_ms > 0 ? delay_ms : 0) * ns_per_ms);
}

/* The value of a key of the group's own settings; `fallback` where it is not set. */
static int32_t group_setting(const struct groups *groups, struct view group_id, struct view key,
                             int32_t fallback)
{
    const struct image_config *config =
        image_config(coordinator_image(groups->coordinator), CONFIG_RESOURCE_GROUP, group_id);
    struct view text = config ? image_config_value(config, key) : VIEW_NULL;
    int64_t value;
    if (view_is_null(text) || !text_parse_i64(text, 1, INT32_MAX, &value))
        return fallback;
    return (int32_t)value;
}

/* The setting of the group, else of the node. */
static int32_t group_session_timeout_ms(const struct consumer_group *consumer)
{
    return group_setting(consumer->groups, consumer->group->id,
                         VIEW_LITERAL("consumer.session.timeout.ms"),
                         groups_settings(consumer->groups)->group_consumer_session_timeout_ms);
}

int32_t consumer_group_heartbeat_interval_ms(const struct groups *groups, struct view group_id)
{
    return group_setting(groups, group_id, VIEW_LITERAL("consumer.heartbeat.interval.ms"),
                         groups_settings(groups)->group_consumer_heartbeat_interval_ms);
}

static int64_t session_timeout_ms(const struct consumer_member *member)
{
    if (consumer_member_is_classic(member))
        return member->metadata->classic_member_metadata->session_timeout_ms;
    return group_session_timeout_ms(member->group);
}

/* Fences the member (which frees it), or tries again soon when the log refuses. */
static void fence(struct consumer_member *member, struct timer *timer, const char *reason)
{
    if (consumer_group_fence(member, reason) != KAFKA_ERROR_NONE)
        set_timer(member, timer, RETRY_MS);
}

static void session_fired(struct timer *timer)
{
    struct consumer_member *member = container_of(timer, struct consumer_member, session);
    uint64_t now_ns = loop_of(member)->now_ns;
    if (now_ns < member->session_due_ns) {
        loop_set_timer(loop_of(member), timer, member->session_due_ns - now_ns);
        return;
    }
    if (now_ns - member->session_due_ns > LATE_MS * ns_per_ms) {
        struct view id = member->group->group->id;
        int32_t grace_ms = consumer_group_heartbeat_interval_ms(member->group->groups, id);
        member->session_due_ns = now_ns + (uint64_t)grace_ms * ns_per_ms;
        set_timer(member, timer, grace_ms);
        return;
    }
    if (!test_point(loop_of(member), BUG_CONSUMER_NO_SESSIONS))
        fence(member, timer, "its session timed out");
}

static void rebalance_fired(struct timer *timer)
{
    struct consumer_member *member = container_of(timer, struct consumer_member, rebalance);
    if (member->progress.epoch == member->rebalance_epoch)
        fence(member, timer, "it did not give up partitions in time");
}

static void join_fired(struct timer *timer)
{
    fence(container_of(timer, struct consumer_member, join), timer,
          "it did not join again in time");
}

static void sync_fired(struct timer *timer)
{
    fence(container_of(timer, struct consumer_member, sync), timer, "it did not sync in time");
}

void consumer_member_init_timers(struct consumer_member *member)
{
    timer_init(&member->session, session_fired);
    timer_init(&member->rebalance, rebalance_fired);
    timer_init(&member->join, join_fired);
    timer_init(&member->sync, sync_fired);
}

void consumer_member_clear_timers(struct consumer_member *member)
{
    timer_clear(&member->session);
    timer_clear(&member->rebalance);
    timer_clear(&member->join);
    timer_clear(&member->sync);
}

void consumer_member_touch(struct consumer_member *member)
{
    struct loop *loop = loop_of(member);
    uint64_t timeout_ns = (uint64_t)session_timeout_ms(member) * ns_per_ms;
    member->session_due_ns = loop->now_ns + timeout_ns;
    /* A timer that fires too early sets itself again; one that is set too late must move. */
    if (!timer_is_set(&member->session) || member->session.due_ns > member->session_due_ns)
        loop_set_timer(loop, &member->session, timeout_ns);
}

void consumer_member_watch_revocation(struct consumer_member *member)
{
    if (member->progress.state != MEMBER_UNREVOKED_PARTITIONS ||
        consumer_member_is_classic(member)) {
        timer_clear(&member->rebalance);
        return;
    }
    member->rebalance_epoch = member->progress.epoch;
    set_timer(member, &member->rebalance, member->metadata->rebalance_timeout_ms);
}

void consumer_member_await_join(struct consumer_member *member)
{
    if (!timer_is_set(&member->join))
        set_timer(member, &member->join, member->metadata->rebalance_timeout_ms);
}

void consumer_member_joined(struct consumer_member *member)
{
    timer_clear(&member->join);
    set_timer(member, &member->sync, member->metadata->rebalance_timeout_ms);
}

void consumer_member_synced(struct consumer_member *member)
{
    timer_clear(&member->sync);
}
