/* Connections get STOP_PATIENCE_MS to take their answers; then they are cut. */
#include "broker/shard_stop.h"

#include "base/list.h"
#include "broker/shard.h"

enum { STOP_PATIENCE_MS = 5000 };

static void stop_home(struct message *message, struct loop *at)
{
    (void)at;
    struct shard_stop *stop = container_of(message, struct shard_stop, message);
    stop->stopped(stop);
}

static void connections_gone(struct connections *connections)
{
    struct shard *shard = connections->context;
    struct shard_stop *stop = shard->stop;
    timer_clear(&stop->deadline);
    stop->message.deliver = stop_home;
    loop_post(shard->loop, 0, &stop->message);
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
