/*
 * The session timer is lazy: heartbeats do not move it. When it fires it looks who is silent for
 * longest, fences that one if its session has ended, and sets itself for the next.
 */
#include "cluster/controller/controller_duties.h"

#include "base/assert.h"
#include "cluster/controller/controller.h"

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

void controller_duties_init(struct controller_duties *duties, struct controller *controller)
{
    const struct server_config *config = controller->options.config;
    uint64_t timeout_ms = (uint64_t)config->settings.broker_session_timeout_ms;
    *duties = (struct controller_duties){.controller = controller};
    broker_sessions_init(&duties->sessions, controller->loop->heap, timeout_ms * NS_PER_MS,
                         config->is_broker ? config->node_id : -1);
    timer_init(&duties->session, session_due);
}

void controller_duties_claim(struct controller_duties *duties)
{
    struct controller *controller = duties->controller;
    duties->is_active = true;
    broker_sessions_claim(&duties->sessions, controller->head, controller->loop->now_ns);
    set_session_timer(duties, 0);
}

void controller_duties_renounce(struct controller_duties *duties)
{
    duties->is_active = false;
    broker_sessions_renounce(&duties->sessions);
    timer_clear(&duties->session);
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
}
