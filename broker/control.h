/*
 * The control loop of a node: start, stop, listeners, metadata.
 *
 * Start: open the log directories, load the metadata, tell the shards, and when every shard shows
 * the first image, listen. Stop, in the order of DESIGN section 6: accept nothing new, answer what
 * is parked, flush and close the logs, checkpoints, clean markers, end.
 *
 * Invariant: `state` only moves forward.
 */
#ifndef KLAMM_BROKER_CONTROL_H
#define KLAMM_BROKER_CONTROL_H

#include "broker/broker.h"
#include "broker/listeners.h"
#include "cluster/metadata/publisher.h"
#include "runtime/loop.h"

enum control_state { CONTROL_STARTING, CONTROL_SERVING, CONTROL_STOPPING, CONTROL_STOPPED };

/* How the control loop reaches its process. */
struct control_host {
    /* The node serves: say so to whoever started it. */
    void (*ready)(void *self);
    /* The node ends with this exit status. */
    void (*ended)(void *self, int status);
    void *self;
};

struct shard_stop;

struct control {
    struct broker *broker;
    struct loop *loop;
    struct control_host host;
    enum control_state state;
    int exit_status;
    uint64_t started_ns;
    struct listeners listeners;
    struct publisher publisher;
    struct publisher_waiter first_image;
    struct shard_stop *shard_stops; /* [shard_count] */
    unsigned shards_running;
};

/* On the control loop, at boot. */
void control_boot(struct control *control, struct broker *broker, struct loop *loop,
                  struct control_host host);
/* The process was asked to end (SIGTERM, SIGINT): an orderly stop begins. */
void control_stop(struct control *control);
/* The node cannot go on: one line, and the process ends with status 1 after an orderly stop. */
void control_fail(struct control *control, const char *text);

#endif
