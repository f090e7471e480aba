/* The states of the control loop; start and stop are in files of their own. */
#include "broker/control.h"

#include "base/assert.h"

static const uint64_t NS_PER_MS = 1000000;

static void first_stop(struct deferred *deferred)
{
    control_begin_stop(container_of(deferred, struct control, first_stop));
}

void control_boot(struct control *control, struct broker *broker, struct loop *loop,
                  struct control_host host)
{
    *control = (struct control){
        .broker = broker,
        .loop = loop,
        .host = host,
        .state = CONTROL_STARTING,
        .started_ns = loop->now_ns,
    };
    loop->owner = control;
    deferred_init(&control->first_stop, first_stop);
    arena_init(&control->arena, loop->heap, MEMORY_STATE, 0);
    listeners_init(&control->listeners, loop, broker);
    control_start(control);
}

static struct sweep_input sweep_input(const struct control *control)
{
    return (struct sweep_input){
        .directories = &control->directories,
        .image = control->publisher.current,
        .node_id = control->broker->config->node_id,
    };
}

void control_announce(struct control *control)
{
    if (control->state != CONTROL_SERVING)
        return;
    log_info(control->loop->diagnostics, "serving: node=%d shards=%u start_ms=%llu",
             control->broker->config->node_id, control->broker->shard_count,
             (unsigned long long)((control->loop->now_ns - control->started_ns) / NS_PER_MS));
    control->host.ready(control->host.self);
}

/* Open for clients, if there are any to come. */
static void serve(struct control *control)
{
    char message[512];
    if (!listeners_open(&control->listeners, LISTENER_CLIENTS, message, sizeof(message))) {
        control_fail(control, message);
        return;
    }
    control->state = CONTROL_SERVING;
    for (size_t i = 0; i < control->directories.count; i++) {
        if (!control->directories.found[i].is_failed)
            directory_owner_loaded(&control->owners[i]);
    }
    log_boot_forget_states(&control->boot);
    if (membership_serves(&control->membership))
        control_announce(control);
}

/* The names of partitions that are not served are free: clients may come. */
static void strays_swept(struct sweep *sweep)
{
    struct control *control = container_of(sweep, struct control, strays);
    if (control->state != CONTROL_STARTING)
        return;
    live_settings_start(&control->live, &control->publisher, &control->listeners,
                        &control->cleaning, control->broker);
    serve(control);
    if (control->state != CONTROL_SERVING)
        return;
    struct sweep_input input = sweep_input(control);
    sweep_start(&control->deleted, control->loop, SWEEP_DELETED, &input, NULL);
}

void control_serve(struct control *control)
{
    if (control->state != CONTROL_STARTING)
        return;
    if (!control->broker->config->is_broker) {
        serve(control); /* there are no partitions here */
        return;
    }
    struct sweep_input input = sweep_input(control);
    sweep_start(&control->strays, control->loop, SWEEP_STRAYS, &input, strays_swept);
}

void control_fail(struct control *control, const char *text)
{
    if (control->exit_status != 0)
        return;
    log_error(control->loop->diagnostics, "%s: %s",
              control->state == CONTROL_STARTING ? "cannot start" : "cannot go on", text);
    control->exit_status = 1;
    control_stop(control);
}

void control_stop(struct control *control)
{
    if (control->state >= CONTROL_STOPPING)
        return;
    if (control->exit_status == 0)
        log_info(control->loop->diagnostics, "stopping");
    control->state = CONTROL_STOPPING;
    loop_defer(control->loop, &control->first_stop);
}
