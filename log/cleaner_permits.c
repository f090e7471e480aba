/* A permit is its own message: it goes to the control loop, waits there, and comes back granted. */
#include "log/cleaner_permits.h"

#include "base/assert.h"

void cleaner_permits_init(struct cleaner_permits *permits, struct loop *loop, unsigned limit)
{
    *permits = (struct cleaner_permits){.loop = loop, .limit = limit};
    list_init(&permits->waiting);
}

static void permit_granted(struct message *message, struct loop *at)
{
    (void)at;
    struct cleaner_permit *permit = container_of(message, struct cleaner_permit, message);
    permit->granted(permit);
}

static struct cleaner_permit *most_urgent(const struct cleaner_permits *permits)
{
    struct cleaner_permit *best = NULL;
    list_for_each(link, &permits->waiting)
    {
        struct cleaner_permit *permit = container_of(link, struct cleaner_permit, link);
        if (!best || compaction_is_before(&permit->need, &best->need))
            best = permit;
    }
    return best;
}

static void grant(struct cleaner_permits *permits)
{
    while (permits->granted < permits->limit && !list_is_empty(&permits->waiting)) {
        struct cleaner_permit *permit = most_urgent(permits);
        list_remove(&permit->link);
        permit->others_wait = permit->due > 1 || !list_is_empty(&permits->waiting);
        permits->granted++;
        permit->message.deliver = permit_granted;
        loop_post(permits->loop, permit->loop->index, &permit->message);
    }
}

void cleaner_permits_set_limit(struct cleaner_permits *permits, unsigned limit)
{
    permits->limit = limit;
    grant(permits);
}

static void ask_arrived(struct message *message, struct loop *at)
{
    (void)at;
    struct cleaner_permit *permit = container_of(message, struct cleaner_permit, message);
    list_push_back(&permit->permits->waiting, &permit->link);
    grant(permit->permits);
}

void cleaner_permit_ask(struct cleaner_permit *permit)
{
    list_link_init(&permit->link);
    permit->message.deliver = ask_arrived;
    loop_post(permit->loop, 0, &permit->message);
}

static void permit_home(struct message *message, struct loop *at)
{
    (void)at;
    struct cleaner_permit *permit = container_of(message, struct cleaner_permit, message);
    permit->home(permit);
}

static void return_arrived(struct message *message, struct loop *at)
{
    struct cleaner_permit *permit = container_of(message, struct cleaner_permit, message);
    klamm_assert(permit->permits->granted > 0);
    permit->permits->granted--;
    permit->message.deliver = permit_home;
    loop_post(at, permit->loop->index, &permit->message);
    grant(permit->permits);
}

void cleaner_permit_return(struct cleaner_permit *permit)
{
    permit->message.deliver = return_arrived;
    loop_post(permit->loop, 0, &permit->message);
}
