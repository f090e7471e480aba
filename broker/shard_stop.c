/*
 * Connections get STOP_PATIENCE_MS to take their answers; then they are cut; their fetch sessions
 * end on all shards before the first log is closed anywhere. Logs that are still being opened, or
 * dropped because their topic is deleted, are waited for. A log whose replica is offline is left as
 * it is: its directory gets no clean marker, the others do.
 */
#include "broker/shard_stop.h"

#include "base/assert.h"
#include "broker/shard.h"

enum { STOP_PATIENCE_MS = 5000, POLL_MS = 10 };

/* A log on its way to being closed. */
struct closing_log {
    struct log_close close;
    struct shard_stop *stop;
    size_t place; /* of its log directory */
};

static void stop_home(struct message *message, struct loop *at)
{
    (void)at;
    struct shard_stop *stop = container_of(message, struct shard_stop, message);
    stop->stopped(stop);
}

static void go_home(struct shard_stop *stop)
{
    stop->message.deliver = stop_home;
    loop_post(stop->shard->loop, 0, &stop->message);
}

static void one_closed(struct shard_stop *stop)
{
    if (--stop->closing == 0)
        go_home(stop);
}

static void log_closed(struct log_close *close, bool clean)
{
    struct closing_log *closing = container_of(close, struct closing_log, close);
    struct shard_stop *stop = closing->stop;
    if (!clean)
        stop->unclean |= UINT64_C(1) << closing->place;
    heap_put(stop->shard->loop->heap, MEMORY_STATE, closing, sizeof(*closing));
    one_closed(stop);
}

static void close_replica(struct shard_stop *stop, struct replica *replica)
{
    struct shard *shard = stop->shard;
    bool healthy = replica->state == REPLICA_LEADING || replica->state == REPLICA_FOLLOWING;
    bool is_unseen = replica->state == REPLICA_OPENING && !replica->log;
    replica_table_remove(&shard->replicas, replica);
    struct partition_log *log = replica_detach(replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    replica_destroy(replica);
    if (is_unseen)
        stop->unclean = UINT64_MAX;
    if (!log)
        return;
    int place = directories_find_path(shard->broker->directories, partition_log_directory(log));
    klamm_assert(place >= 0);
    struct closing_log *closing = heap_must_get(shard->loop->heap, MEMORY_STATE, sizeof(*closing));
    closing->stop = stop;
    closing->place = (size_t)place;
    closing->close.closed = log_closed;
    stop->closing++;
    if (healthy) {
        partition_log_close(log, &closing->close);
    } else {
        stop->unclean |= UINT64_C(1) << closing->place;
        partition_log_drop(log, &closing->close);
    }
}

static void close_logs(struct timer *timer)
{
    struct shard_stop *stop = container_of(timer, struct shard_stop, deadline);
    struct shard *shard = stop->shard;
    if (shard->opening > 0 || shard->removing > 0) {
        loop_set_timer(shard->loop, timer, POLL_MS * UINT64_C(1000000));
        return;
    }
    timer_clear(&shard->maintenance);
    timer_clear(&shard->lag_check);
    if (shard->directories)
        cleaner_stop(&shard->cleaner);
    stop->unclean = shard->unopened;
    stop->closing = 1;
    list_for_each_safe(link, after, &shard->replicas.replicas)
    {
        close_replica(stop, container_of(link, struct replica, link));
    }
    one_closed(stop);
}

/* No log of a follower is in use any more. */
static void fetchers_closed(struct fetchers *fetchers)
{
    struct shard *shard = container_of(fetchers, struct shard, fetchers);
    close_logs(&shard->stop->deadline);
}

static void sessions_ended(struct fetch_sessions *sessions)
{
    go_home(container_of(sessions, struct shard, sessions)->stop);
}

static void connections_gone(struct connections *connections)
{
    struct shard *shard = front_of(connections)->shard;
    timer_clear(&shard->stop->deadline);
    shard->stop->counters = connections->counters;
    fetch_sessions_await(&shard->sessions, sessions_ended);
}

static void patience_over(struct timer *timer)
{
    struct shard_stop *stop = container_of(timer, struct shard_stop, deadline);
    connections_close_all(&stop->shard->front.connections, CONNECTION_CLOSE_STOPPING);
}

static void close_connections(struct shard_stop *stop)
{
    coordinators_stop(&stop->shard->coordinators);
    peer_channels_close(&stop->shard->peers);
    timer_init(&stop->deadline, patience_over);
    loop_set_timer(stop->shard->loop, &stop->deadline, STOP_PATIENCE_MS * UINT64_C(1000000));
    connections_stop(&stop->shard->front.connections, connections_gone);
}

static void directory_stopped(struct directory_shard *directory)
{
    const struct shard *shard = directory->failed_context;
    one_closed(shard->stop);
}

/* A directory that failed, now or before the start, has nothing to end. */
static void stop_directories(struct shard_stop *stop)
{
    struct shard *shard = stop->shard;
    size_t count = shard->directories ? shard->broker->directories->count : 0;
    stop->closing = 1;
    for (size_t i = 0; i < count; i++) {
        if (shard->broker->directories->found[i].is_failed)
            continue;
        stop->closing++;
        directory_shard_stop(&shard->directories[i], directory_stopped);
    }
    one_closed(stop);
}

static void stop_arrived(struct message *message, struct loop *at)
{
    struct shard_stop *stop = container_of(message, struct shard_stop, message);
    struct shard *shard = shard_of(at);
    stop->shard = shard;
    shard->stop = stop;
    switch (stop->step) {
    case SHARD_STOP_CONNECTIONS:
        close_connections(stop);
        return;
    case SHARD_STOP_LOGS:
        timer_init(&stop->deadline, close_logs);
        fetchers_close(&shard->fetchers, fetchers_closed);
        return;
    case SHARD_STOP_DIRECTORIES:
        stop_directories(stop);
        return;
    }
    klamm_unreachable("step of a shard's stop");
}

void shard_stop_post(struct shard_stop *stop, struct loop *control, unsigned shard_index,
                     enum shard_stop_step step)
{
    stop->step = step;
    stop->message.deliver = stop_arrived;
    loop_post(control, shard_index, &stop->message);
}
