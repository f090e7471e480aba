/*
 * The orderly stop of a shard: answer what is parked, send what is answered, close the connections,
 * then close every log. The message travels from the control loop to the shard and back.
 */
#ifndef KLAMM_BROKER_SHARD_STOP_H
#define KLAMM_BROKER_SHARD_STOP_H

#include "connection/connections.h"
#include "runtime/loop.h"

struct shard;

struct shard_stop {
    struct message message;
    bool is_clean;                       /* out: every log was closed with all its data on disk */
    struct connection_counters counters; /* out: what the shard's connections counted */
    void (*stopped)(struct shard_stop *stop); /* on the control loop */
    void *context;                            /* the caller's */
    /* The shard's. */
    struct shard *shard;
    struct timer deadline;
    unsigned closing; /* logs being closed */
};

/* On the control loop. `stopped` follows once the shard has nothing left to do. */
void shard_stop_post(struct shard_stop *stop, struct loop *control, unsigned shard_index);

#endif
