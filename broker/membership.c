/* See the header. */
#include "broker/membership.h"

#include "broker/control.h"
#include "broker/own_call.h"
#include "protocol/api_keys.h"

/* ---- The active controller ---- */

/* A controller that leads and has not taken up its office yet is nobody to ask. */
static bool leader(void *self, struct controller_address *address)
{
    const struct control *control = self;
    int32_t own = control->broker->config->node_id;
    if (!control->has_controller)
        return false;
    const struct controller *controller = &control->controller;
    if (controller->is_active) {
        *address = (struct controller_address){.node_id = own,
                                               .epoch = metadata_log_epoch(&controller->log),
                                               .host = VIEW_LITERAL("")};
        return true;
    }
    metadata_log_leader(&controller->log, &address->node_id, &address->epoch, &address->host,
                        &address->port);
    return address->node_id >= 0 && address->node_id != own && address->host.size > 0;
}

/* Nobody waits for it: a node whose metadata log takes nothing ends. */
static void assign_directories(struct control *control, struct controller_call *call)
{
    struct arena arena;
    arena_init(&arena, control->loop->heap, MEMORY_SCRATCH, 0);
    struct assign_replicas_to_dirs_response response;
    controller_assign_directories(&control->controller, call->message, &arena, &response);
    controller_call_answered(call, &response);
    arena_deinit(&arena);
}

/* A node without controller listeners is alone, and asks itself where its replicas lie only. */
static void call_own(void *self, struct controller_call *call)
{
    struct control *control = self;
    if (control->has_front)
        own_call_start(&control->front, call);
    else if (call->api->api_key == API_KEY_ASSIGN_REPLICAS_TO_DIRS)
        assign_directories(control, call);
    else
        controller_call_answered(call, NULL);
}

static void open_channel(struct membership *membership, struct controller_channel *channel)
{
    struct control *control = membership->control;
    struct controller_channel_options options = {
        .loop = control->loop,
        .node_id = control->broker->config->node_id,
        .client_id = VIEW_LITERAL("klamm"),
        .host = {leader, call_own, control},
    };
    controller_channel_init(channel, &options);
}

/* ---- The life as a broker ---- */

static void prepare(void *owner)
{
    control_serve(owner);
}

static void unfenced(void *owner)
{
    control_announce(owner);
}

static void left(void *owner)
{
    struct control *control = owner;
    control->stopping = 0;
    control_begin_stop(control);
}

static void failed(void *owner, const char *text)
{
    control_fail(owner, text);
}

static const struct broker_lifecycle_events lifecycle_events = {
    .prepare = prepare,
    .unfenced = unfenced,
    .left = left,
    .failed = failed,
};

static struct broker_lifecycle_options lifecycle_options(struct membership *membership)
{
    struct control *control = membership->control;
    return (struct broker_lifecycle_options){
        .loop = control->loop,
        .channel = &membership->life,
        .publisher = &control->publisher,
        .config = control->broker->config,
        .registration = membership->registration,
        .events = &lifecycle_events,
        .owner = control,
    };
}

static int64_t broker_epoch(void *self)
{
    const struct control *control = self;
    return membership_broker_epoch(&control->membership);
}

/* Not where nobody else can reach it: that one registers itself when it takes up its office. */
static void enrol(struct membership *membership)
{
    struct control *control = membership->control;
    const struct controller *controller = &control->controller;
    const struct sole_voter *self = &controller->log.options.voter;
    if (!control->broker->config->is_controller || !control->has_front)
        return;
    struct enrolment_options options = {
        .loop = control->loop,
        .channel = &membership->enrolling,
        .publisher = &control->publisher,
        .controller_id = self->id,
        .incarnation = controller->incarnation,
        .listener = self->listener,
        .host = self->host,
        .port = self->port,
    };
    enrolment_start(&membership->enrolment, &options);
}

void membership_open(struct membership *membership, struct control *control,
                     const struct broker_registration_request *registration)
{
    *membership =
        (struct membership){.control = control, .registration = registration, .is_open = true};
    open_channel(membership, &membership->forwarding);
    open_channel(membership, &membership->life);
    open_channel(membership, &membership->changes);
    open_channel(membership, &membership->places);
    open_channel(membership, &membership->enrolling);
    struct isr_sender_options isr_options = {
        .loop = control->loop,
        .channel = &membership->changes,
        .broker_id = control->broker->config->node_id,
        .broker_epoch = broker_epoch,
        .self = control,
    };
    isr_sender_init(&membership->isr, &isr_options);
    struct directory_sender_options directory_options = {
        .loop = control->loop,
        .channel = &membership->places,
        .publisher = &control->publisher,
        .broker_id = control->broker->config->node_id,
        .broker_epoch = broker_epoch,
        .self = control,
    };
    directory_sender_init(&membership->directories, &directory_options);
    enrol(membership);
    if (!registration || server_config_quorum(control->broker->config) == CONFIG_QUORUM_ALONE)
        return;
    struct broker_lifecycle_options options = lifecycle_options(membership);
    membership->has_lifecycle = true;
    broker_lifecycle_start(&membership->lifecycle, &options);
}

bool membership_ready(struct membership *membership)
{
    struct control *control = membership->control;
    if (membership->has_lifecycle)
        return false;
    if (!membership->is_open || !membership->registration || !control->has_front)
        return true;
    struct broker_lifecycle_options options = lifecycle_options(membership);
    membership->has_lifecycle = true;
    if (control->controller.broker_epoch < 0) { /* the log names other voters */
        broker_lifecycle_start(&membership->lifecycle, &options);
        return false;
    }
    broker_lifecycle_adopt(&membership->lifecycle, &options, control->controller.broker_epoch);
    return true;
}

bool membership_serves(struct membership *membership)
{
    if (!membership->has_lifecycle)
        return true;
    broker_lifecycle_serve(&membership->lifecycle);
    return membership->lifecycle.was_unfenced;
}

void membership_leader_changed(struct membership *membership)
{
    if (!membership->is_open)
        return;
    controller_channel_leader_changed(&membership->forwarding);
    controller_channel_leader_changed(&membership->life);
    controller_channel_leader_changed(&membership->changes);
    controller_channel_leader_changed(&membership->places);
    controller_channel_leader_changed(&membership->enrolling);
}

int64_t membership_broker_epoch(const struct membership *membership)
{
    if (membership->has_lifecycle)
        return membership->lifecycle.epoch;
    /* A stop may come before the start got so far. */
    return membership->control ? membership->control->controller.broker_epoch : -1;
}

void membership_tell_directory(struct membership *membership, struct uuid topic_id,
                               int32_t partition, struct uuid directory)
{
    if (membership->is_open)
        directory_sender_add(&membership->directories, topic_id, partition, directory);
}

void membership_fail_directory(struct membership *membership, struct uuid directory)
{
    if (membership->has_lifecycle)
        broker_lifecycle_fail_directory(&membership->lifecycle, directory);
    else if (membership->is_open)
        controller_report_directories(&membership->control->controller, &directory, 1);
}

bool membership_leave(struct membership *membership)
{
    if (!membership->has_lifecycle)
        return false;
    broker_lifecycle_leave(&membership->lifecycle);
    return true;
}

void membership_close(struct membership *membership)
{
    if (!membership->is_open)
        return;
    membership->is_open = false;
    if (membership->has_lifecycle)
        broker_lifecycle_stop(&membership->lifecycle);
    controller_channel_close(&membership->forwarding);
    controller_channel_close(&membership->life);
    controller_channel_close(&membership->changes);
    controller_channel_close(&membership->places);
    controller_channel_close(&membership->enrolling);
    enrolment_stop(&membership->enrolment);
    isr_sender_close(&membership->isr);
    directory_sender_close(&membership->directories);
}
