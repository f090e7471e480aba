/*
 * The orderly stop. control_begin_stop runs the next step that is due and is called again when that
 * step is done; a start that is under way ends its own step first and then calls it.
 *
 * Clean or not is said of each log directory: one that failed takes no marker from the others, and
 * a failure that was reported while the node served does not make the stop a failed one.
 *
 * The quorum closes before the directories get their markers: the marker is the last write of a
 * directory, and the lock that goes with it covers the metadata log.
 */
#include "broker/control.h"

static const uint64_t FRONT_PATIENCE_MS = 5000;

static void end(struct control *control)
{
    control->state = CONTROL_STOPPED;
    control->host.ended(control->host.self, control->exit_status);
}

/* What the shards did in their life, for who looks at one run without a scraper. */
static void say_what_was_done(const struct control *control)
{
    struct connection_counters sum = {0};
    for (unsigned i = 0; i < control->broker->shard_count; i++) {
        const struct connection_counters *one = &control->shard_stops[i].counters;
        sum.opened += one->opened;
        sum.frames += one->frames;
        sum.received_size += one->received_size;
        sum.sent_size += one->sent_size;
        sum.sent_file_size += one->sent_file_size;
    }
    log_info(control->loop->diagnostics,
             "served: connections=%llu requests=%llu received_bytes=%llu sent_bytes=%llu "
             "sendfile_bytes=%llu",
             (unsigned long long)sum.opened, (unsigned long long)sum.frames,
             (unsigned long long)sum.received_size, (unsigned long long)sum.sent_size,
             (unsigned long long)sum.sent_file_size);
}

static void shard_stopped(struct shard_stop *stop)
{
    struct control *control = stop->context;
    if (stop->step == SHARD_STOP_LOGS)
        control->unclean |= stop->unclean;
    if (--control->stopping > 0)
        return;
    if (stop->step == SHARD_STOP_CONNECTIONS)
        say_what_was_done(control);
    control_begin_stop(control);
}

static void stop_shards(struct control *control, enum shard_stop_step step)
{
    unsigned count = control->broker->shard_count;
    control->stopping = count;
    for (unsigned i = 0; i < count; i++)
        shard_stop_post(&control->shard_stops[i], control->loop, i + 1, step);
}

/* Leaderships go to others while this node still serves; not when it cannot go on. */
static void leave(struct control *control)
{
    if (control->exit_status == 0 && membership_leave(&control->membership))
        control->stopping = 1;
    else
        control_begin_stop(control);
}

static void begin(struct control *control)
{
    unsigned count = control->broker->shard_count;
    control->shard_stops = arena_must_get(&control->arena, count, sizeof(*control->shard_stops));
    for (unsigned i = 0; i < count; i++) {
        control->shard_stops[i].stopped = shard_stopped;
        control->shard_stops[i].context = control;
    }
    listeners_close(&control->listeners, LISTENER_CLIENTS);
    live_settings_stop(&control->live);
    membership_close(&control->membership);
}

static void directory_stopped(struct directory_stop *stop, bool ok)
{
    struct control *control = stop->owner->context;
    if (!ok && control->exit_status == 0)
        control->exit_status = 1;
    if (--control->stopping == 0)
        control_begin_stop(control);
}

static void stop_directories(struct control *control)
{
    size_t count = control->directories.count;
    control->directory_stops =
        arena_must_get(&control->arena, count, sizeof(*control->directory_stops));
    control->stopping = 1;
    for (size_t i = 0; i < count; i++) {
        if (control->directories.found[i].is_failed)
            continue;
        struct directory_stop *stop = &control->directory_stops[i];
        stop->done = directory_stopped;
        stop->is_clean = (control->unclean >> i & 1) == 0;
        stop->broker_epoch = membership_broker_epoch(&control->membership);
        control->stopping++;
        directory_owner_stop(&control->owners[i], stop);
    }
    if (--control->stopping == 0)
        control_begin_stop(control);
}

static void front_stopped(struct connections *connections)
{
    struct control *control = container_of(front_of(connections), struct control, front);
    timer_clear(&control->front_patience);
    control->has_front = false;
    control->stopping = 0;
    control_begin_stop(control);
}

static void front_patience_over(struct timer *timer)
{
    struct control *control = container_of(timer, struct control, front_patience);
    connections_close_all(&control->front.connections, CONNECTION_CLOSE_STOPPING);
}

/* Other nodes may talk to the quorum until it is closed; then they are sent away. */
static void stop_front(struct control *control)
{
    listeners_close(&control->listeners, LISTENER_CONTROLLERS);
    control->stopping = 1;
    timer_init(&control->front_patience, front_patience_over);
    loop_set_timer(control->loop, &control->front_patience, FRONT_PATIENCE_MS * 1000000);
    connections_stop(&control->front.connections, front_stopped);
}

void control_begin_stop(struct control *control)
{
    if (control->is_looking_up) {
        cluster_id_lookup_stop(&control->lookup); /* it calls again */
        return;
    }
    if (control->is_booting || control->attaching > 0 || control->stopping > 0)
        return; /* the step under way calls again */
    switch (control->stop_step++) {
    case 0:
        leave(control);
        return;
    case 1:
        begin(control);
        stop_shards(control, SHARD_STOP_CONNECTIONS);
        return;
    case 2:
        stop_shards(control, SHARD_STOP_LOGS);
        return;
    case 3:
        if (control->has_controller) {
            controller_close(&control->controller);
            return;
        }
        control_begin_stop(control);
        return;
    case 4:
        if (control->has_front) {
            stop_front(control);
            return;
        }
        control_begin_stop(control);
        return;
    case 5:
        stop_directories(control);
        return;
    case 6:
        stop_shards(control, SHARD_STOP_DIRECTORIES);
        return;
    default:
        end(control);
    }
}
