/*
 * Connections get STOP_PATIENCE_MS to take their answers; then they are cut. Logs that are still
 * being opened are waited for. A log whose replica is offline is left as it is: its directory gets
 * no clean marker.
 */
#include "broker/shard_stop.h"

#include "base/assert.h"
#include "broker/shard.h"

enum { STOP_PATIENCE_MS = 5000, OPENING_POLL_MS = 10 };

/* A log on its way to being closed. */
struct closing_log {
    struct log_close close;
    struct shard_stop *stop;
    struct replica *replica;
};

static void stop_home(struct message *message, struct loop *at)
{
    (void)at;
    struct shard_stop *stop = container_of(message, struct shard_stop, message);
    stop->stopped(stop);
}

static void one_closed(struct shard_stop *stop)
{
    if (--stop->closing > 0)
        return;
    stop->counters = stop->shard->connections.counters;
    stop->message.deliver = stop_home;
    loop_post(stop->shard->loop, 0, &stop->message);
}

static void log_closed(struct log_close *close, bool clean)
{
    struct closing_log *closing = container_of(close, struct closing_log, close);
    struct shard_stop *stop = closing->stop;
    stop->is_clean &= clean;
    heap_put(stop->shard->loop->heap, MEMORY_STATE, closing, sizeof(*closing));
    one_closed(stop);
}

static void close_replica(struct shard_stop *stop, struct replica *replica)
{
    struct shard *shard = stop->shard;
    bool leading = replica->state == REPLICA_LEADING;
    replica_table_remove(&shard->replicas, replica);
    struct partition_log *log = replica_detach(replica, KAFKA_ERROR_NOT_LEADER_OR_FOLLOWER);
    replica_destroy(replica);
    if (!leading)
        stop->is_clean = false;
    if (!log)
        return;
    struct closing_log *closing = heap_must_get(shard->loop->heap, MEMORY_STATE, sizeof(*closing));
    closing->stop = stop;
    closing->close.closed = log_closed;
    stop->closing++;
    if (leading)
        partition_log_close(log, &closing->close);
    else
        partition_log_drop(log, &closing->close);
}

static void close_logs(struct timer *timer)
{
    struct shard_stop *stop = container_of(timer, struct shard_stop, deadline);
    struct shard *shard = stop->shard;
    if (shard->opening > 0) {
        loop_set_timer(shard->loop, timer, OPENING_POLL_MS * UINT64_C(1000000));
        return;
    }
    timer_clear(&shard->maintenance);
    stop->is_clean = true;
    stop->closing = 1;
    list_for_each_safe(link, after, &shard->replicas.replicas)
    {
        close_replica(stop, container_of(link, struct replica, link));
    }
    one_closed(stop);
}

static void connections_gone(struct connections *connections)
{
    struct shard *shard = connections->context;
    struct shard_stop *stop = shard->stop;
    timer_clear(&stop->deadline);
    timer_init(&stop->deadline, close_logs);
    loop_set_timer(shard->loop, &stop->deadline, 0);
}

static void patience_over(struct timer *timer)
{
    struct shard_stop *stop = container_of(timer, struct shard_stop, deadline);
    connections_close_all(&stop->shard->connections, CONNECTION_CLOSE_STOPPING);
}

static void stop_arrived(struct message *message, struct loop *at)
{
    struct shard_stop *stop = container_of(message, struct shard_stop, message);
    struct shard *shard = shard_of(at);
    stop->shard = shard;
    shard->stop = stop;
    timer_init(&stop->deadline, patience_over);
    loop_set_timer(at, &stop->deadline, STOP_PATIENCE_MS * UINT64_C(1000000));
    connections_stop(&shard->connections, connections_gone);
}

void shard_stop_post(struct shard_stop *stop, struct loop *control, unsigned shard_index)
{
    stop->message.deliver = stop_arrived;
    loop_post(control, shard_index, &stop->message);
}
