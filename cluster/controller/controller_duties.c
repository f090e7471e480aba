/*
 * The session timer is lazy: heartbeats do not move it. When it fires it looks who is silent for
 * longest, fences that one if its session has ended, and sets itself for the next.
 *
 * The sweeps over all partitions come at their intervals; one that was full goes on in the next
 * turn. A change of unclean.leader.election.enable brings the unclean one at once.
 */
#include "cluster/controller/controller_duties.h"

#include "base/assert.h"
#include "cluster/controller/controller.h"
#include "cluster/controller/leader_sweep.h"

enum { NS_PER_MS = 1000000 };

/* After a refusal of the log, such as a full device. */
static const uint64_t retry_ns = 1000ull * NS_PER_MS;

static void set_session_timer(struct controller_duties *duties, uint64_t earliest_ns)
{
    struct loop *loop = duties->controller->loop;
    uint64_t next_ns = broker_sessions_next_ns(&duties->sessions);
    if (!duties->is_active || next_ns == UINT64_MAX) {
        timer_clear(&duties->session);
        return;
    }
    if (next_ns < loop->now_ns + earliest_ns)
        next_ns = loop->now_ns + earliest_ns;
    loop_set_timer(loop, &duties->session, next_ns - loop->now_ns);
}

/* False when the log refuses. */
static bool fence(struct controller_duties *duties, const struct broker_session *session)
{
    struct controller *controller = duties->controller;
    struct arena arena;
    struct decision decision;
    arena_init(&arena, controller->loop->heap, MEMORY_SCRATCH, 0);
    bool ok = controller_decide(controller, &decision, &arena);
    klamm_assert(ok);
    const struct image_node *broker = image_broker(decision.image, session->id);
    klamm_assert(broker);
    log_info(controller->loop->diagnostics,
             "broker %d is fenced: nothing was heard of it for %llu ms", session->id,
             (unsigned long long)((controller->loop->now_ns - session->contact_ns) / NS_PER_MS));
    decide_fence_broker(&decision, broker);
    ok = controller_append(controller, &decision) == KAFKA_ERROR_NONE;
    arena_deinit(&arena);
    return ok;
}

static void session_due(struct timer *timer)
{
    struct controller_duties *duties = container_of(timer, struct controller_duties, session);
    const struct broker_session *session =
        broker_sessions_expired(&duties->sessions, duties->controller->loop->now_ns);
    bool ok = !session || fence(duties, session);
    set_session_timer(duties, ok ? 0 : retry_ns);
}

/* ---- Sweeps ---- */

static uint64_t preferred_ns(const struct controller_duties *duties)
{
    const struct broker_settings *settings = &duties->controller->options.config->settings;
    return (uint64_t)settings->leader_imbalance_check_interval_seconds * 1000 * NS_PER_MS;
}

static uint64_t unclean_ns(const struct controller_duties *duties)
{
    const struct broker_settings *settings = &duties->controller->options.config->settings;
    return (uint64_t)settings->unclean_leader_election_interval_ms * NS_PER_MS;
}

/* Runs a sweep; when the next one is due. */
static uint64_t sweep(struct controller_duties *duties, bool (*decide)(struct decision *decision),
                      const char *what, uint64_t interval_ns)
{
    struct controller *controller = duties->controller;
    struct arena arena;
    struct decision decision;
    arena_init(&arena, controller->loop->heap, MEMORY_SCRATCH, 0);
    klamm_assert(controller_decide(controller, &decision, &arena));
    bool is_full = decide(&decision);
    if (decision.records.count > 0)
        log_info(controller->loop->diagnostics, "%zu partitions get %s", decision.records.count,
                 what);
    uint64_t delay_ns = is_full ? 0 : interval_ns;
    if (controller_append(controller, &decision) != KAFKA_ERROR_NONE)
        delay_ns = retry_ns;
    arena_deinit(&arena);
    return delay_ns;
}

static void preferred_due(struct timer *timer)
{
    struct controller_duties *duties = container_of(timer, struct controller_duties, preferred);
    uint64_t delay_ns =
        sweep(duties, decide_preferred_leaders, "their preferred leader", preferred_ns(duties));
    if (duties->is_active)
        loop_set_timer(duties->controller->loop, timer, delay_ns);
}

static void unclean_due(struct timer *timer)
{
    struct controller_duties *duties = container_of(timer, struct controller_duties, unclean);
    uint64_t delay_ns =
        sweep(duties, decide_unclean_leaders, "a leader that may lack records", unclean_ns(duties));
    if (duties->is_active)
        loop_set_timer(duties->controller->loop, timer, delay_ns);
}

static bool changes_unclean(const struct image_delta *delta)
{
    struct view name = VIEW_LITERAL("unclean.leader.election.enable");
    for (uint32_t i = 0; i < delta->config_count; i++) {
        struct view before = image_config_value(delta->configs[i].before, name);
        struct view after = image_config_value(delta->configs[i].after, name);
        if (view_is_null(before) != view_is_null(after) || !view_equal(before, after))
            return true;
    }
    return false;
}

/* ---- Life ---- */

void controller_duties_init(struct controller_duties *duties, struct controller *controller)
{
    const struct server_config *config = controller->options.config;
    uint64_t timeout_ms = (uint64_t)config->settings.broker_session_timeout_ms;
    *duties = (struct controller_duties){.controller = controller};
    broker_sessions_init(&duties->sessions, controller->loop->heap, timeout_ms * NS_PER_MS,
                         config->is_broker ? config->node_id : -1);
    timer_init(&duties->session, session_due);
    timer_init(&duties->preferred, preferred_due);
    timer_init(&duties->unclean, unclean_due);
}

void controller_duties_claim(struct controller_duties *duties)
{
    struct controller *controller = duties->controller;
    struct loop *loop = controller->loop;
    duties->is_active = true;
    broker_sessions_claim(&duties->sessions, controller->head, loop->now_ns);
    set_session_timer(duties, 0);
    if (controller->options.config->settings.auto_leader_rebalance_enable)
        loop_set_timer(loop, &duties->preferred, preferred_ns(duties));
    loop_set_timer(loop, &duties->unclean, unclean_ns(duties));
}

void controller_duties_renounce(struct controller_duties *duties)
{
    duties->is_active = false;
    broker_sessions_renounce(&duties->sessions);
    timer_clear(&duties->session);
    timer_clear(&duties->preferred);
    timer_clear(&duties->unclean);
}

void controller_duties_follow(struct controller_duties *duties, const struct image_delta *delta)
{
    if (!duties->is_active)
        return;
    for (uint32_t i = 0; i < delta->broker_count; i++)
        broker_sessions_follow(&duties->sessions, delta->after, delta->brokers[i].id,
                               duties->controller->loop->now_ns);
    if (!timer_is_set(&duties->session))
        set_session_timer(duties, 0);
    if (changes_unclean(delta))
        loop_set_timer(duties->controller->loop, &duties->unclean, 0);
}
