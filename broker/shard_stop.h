/*
 * The orderly stop of a shard: answer what is parked, send what is answered, close the connections.
 * The message travels from the control loop to the shard and back.
 */
#ifndef KLAMM_BROKER_SHARD_STOP_H
#define KLAMM_BROKER_SHARD_STOP_H

#include "runtime/loop.h"

struct shard;

struct shard_stop {
    struct message message;
    struct shard *shard;
    struct timer deadline;                    /* the shard's */
    void (*stopped)(struct shard_stop *stop); /* on the control loop */
    void *context;                            /* the caller's */
};

/* On the control loop. `stopped` follows once the shard has nothing left to do. */
void shard_stop_post(struct shard_stop *stop, struct loop *control, unsigned shard_index);

#endif
