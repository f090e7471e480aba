/* See the header. */
#include "broker/membership.h"

#include "broker/auto_create.h"
#include "broker/control.h"
#include "broker/forwarding.h"

/* A controller that leads and has not taken up its office yet is nobody to ask. */
static bool leader(void *self, struct controller_address *address)
{
    struct control *control = self;
    if (!control->has_controller)
        return false;
    *address = (struct controller_address){.node_id = control->broker->config->node_id,
                                           .epoch = metadata_log_epoch(&control->controller.log),
                                           .host = VIEW_LITERAL("")};
    if (control->controller.is_active)
        return true;
    metadata_log_leader(&control->controller.log, &address->node_id, &address->epoch,
                        &address->host, &address->port);
    return address->host.size > 0;
}

/* What was to be forwarded is decided here after all. */
static void run_here(void *self, struct controller_call *call)
{
    (void)self;
    if (auto_create_owns(call))
        auto_create_run_here(call);
    else
        forwarding_run_here(call);
}

void membership_open(struct membership *membership, struct control *control)
{
    membership->control = control;
    membership->is_open = true;
    struct controller_channel_options options = {
        .loop = control->loop,
        .node_id = control->broker->config->node_id,
        .client_id = VIEW_LITERAL("klamm"),
        .host = {leader, run_here, control},
    };
    controller_channel_init(&membership->forwarding, &options);
}

void membership_leader_changed(struct membership *membership)
{
    if (membership->is_open)
        controller_channel_leader_changed(&membership->forwarding);
}

int64_t membership_broker_epoch(const struct membership *membership)
{
    return membership->control->controller.broker_epoch;
}

void membership_close(struct membership *membership)
{
    if (!membership->is_open)
        return;
    membership->is_open = false;
    controller_channel_close(&membership->forwarding);
}
