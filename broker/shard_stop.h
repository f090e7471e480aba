/*
 * The orderly stop of a shard, in steps that the control loop asks for one after the other, each on
 * all shards before the next: a message that travels to the shard and back.
 *
 *  1. connections: the coordinators resign, which answers whoever waits for them; answer what else
 *     is parked, send what is answered, close them. Afterwards no answer holds a range of a file,
 *     on any shard.
 *  2. logs: end all following, then close every log, with its data on disk.
 *  3. directories: end the committers and remove their journals, after the checkpoints were
 *     written.
 */
#ifndef KLAMM_BROKER_SHARD_STOP_H
#define KLAMM_BROKER_SHARD_STOP_H

#include "connection/connections.h"
#include "runtime/loop.h"

struct shard;

enum shard_stop_step { SHARD_STOP_CONNECTIONS, SHARD_STOP_LOGS, SHARD_STOP_DIRECTORIES };

struct shard_stop {
    struct message message;
    enum shard_stop_step step;
    /* Out, of LOGS: directories (a bit each, by place) with a log whose data is not all on disk. */
    uint64_t unclean;
    struct connection_counters counters;      /* out, of CONNECTIONS: what they counted */
    void (*stopped)(struct shard_stop *stop); /* on the control loop */
    void *context;                            /* the caller's */
    /* The shard's. */
    struct shard *shard;
    struct timer deadline;
    unsigned closing; /* logs or directories being closed */
};

/* On the control loop. `stopped` follows once the step is done. */
void shard_stop_post(struct shard_stop *stop, struct loop *control, unsigned shard_index,
                     enum shard_stop_step step);

#endif
