/*
 * The control loop's state machine. See control.h for the order of start and stop.
 */
#include "broker/control.h"

#include <stdio.h>

#include "base/assert.h"
#include "broker/shard.h"
#include "broker/shard_metadata.h"
#include "broker/shard_stop.h"
#include "cluster/metadata/draft.h"

static const uint64_t NS_PER_MS = 1000000;

static void end(struct control *control)
{
    control->state = CONTROL_STOPPED;
    control->host.ended(control->host.self, control->exit_status);
}

void control_fail(struct control *control, const char *text)
{
    log_error(control->loop->diagnostics, "cannot go on: %s", text);
    if (control->exit_status == 0)
        control->exit_status = 1;
    control_stop(control);
}

/* ---- Start ---- */

static void first_image_shown(struct publisher_waiter *waiter)
{
    struct control *control = container_of(waiter, struct control, first_image);
    if (control->state != CONTROL_STARTING)
        return;
    char message[400];
    if (!listeners_open(&control->listeners, message, sizeof(message))) {
        control_fail(control, message);
        return;
    }
    control->state = CONTROL_SERVING;
    log_info(control->loop->diagnostics, "serving: node=%d shards=%u start_ms=%llu",
             control->broker->config->node_id, control->broker->shard_count,
             (unsigned long long)((control->loop->now_ns - control->started_ns) / NS_PER_MS));
    control->host.ready(control->host.self);
}

/* The image of a node that knows nothing but itself. */
static void publish_own_image(struct control *control)
{
    struct image *empty = image_create_empty(control->loop->heap, VIEW_LITERAL("none"));
    publisher_init(&control->publisher, control->loop, empty, shard_apply_image);
    struct image_draft draft;
    draft_begin(&draft, empty);
    struct image_node self = {.id = control->broker->config->node_id, .rack = VIEW_NULL};
    draft_set_broker(&draft, &self);
    draft_set_leadership(&draft, self.id, 0);
    struct image_delta *delta;
    const struct image *image = draft_finish(&draft, &delta);
    control->first_image.version = image->version;
    control->first_image.shown = first_image_shown;
    publisher_publish(&control->publisher, image, delta);
    publisher_wait(&control->publisher, &control->first_image);
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
    listeners_init(&control->listeners, loop, broker);
    publish_own_image(control);
}

/* ---- Stop ---- */

static void shard_stopped(struct shard_stop *stop)
{
    struct control *control = stop->context;
    if (--control->shards_running == 0)
        end(control);
}

void control_stop(struct control *control)
{
    if (control->state >= CONTROL_STOPPING)
        return;
    control->state = CONTROL_STOPPING;
    log_info(control->loop->diagnostics, "stopping");
    listeners_close(&control->listeners);
    unsigned count = control->broker->shard_count;
    control->shard_stops =
        heap_must_get(control->loop->heap, MEMORY_STATE, count * sizeof(*control->shard_stops));
    control->shards_running = count;
    for (unsigned i = 0; i < count; i++) {
        control->shard_stops[i].stopped = shard_stopped;
        control->shard_stops[i].context = control;
        shard_stop_post(&control->shard_stops[i], control->loop, i + 1);
    }
}
