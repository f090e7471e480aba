/*
 * The control loop of a node: start, stop, listeners, metadata.
 *
 * Start: open the log directories, make them known to the shards, listen on the controller
 * listeners (the quorum's nodes need each other before anything is served), load the metadata and
 * register, and when every shard shows the image in which this node serves, listen for clients.
 * Stop, in this order: accept no clients, answer what is parked, close the logs,
 * close the quorum and then its listeners, write checkpoints and clean markers, end.
 *
 * Invariants:
 *  1. `state` only moves forward, and each step of the stop waits for the one before.
 *  2. A log directory gets a clean marker only when every log in it, of every shard, was closed
 *     cleanly.
 */
#ifndef KLAMM_BROKER_CONTROL_H
#define KLAMM_BROKER_CONTROL_H

#include "broker/broker.h"
#include "broker/cluster_id_lookup.h"
#include "broker/front.h"
#include "broker/listeners.h"
#include "broker/live_settings.h"
#include "broker/membership.h"
#include "broker/shard_attach.h"
#include "broker/shard_stop.h"
#include "broker/sweep.h"
#include "cluster/controller/controller.h"
#include "cluster/metadata/publisher.h"
#include "log/cleaner_permits.h"
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

struct control {
    struct broker *broker;
    struct loop *loop;
    struct control_host host;
    enum control_state state;
    int exit_status;
    uint64_t started_ns;
    struct arena arena; /* what start builds and the node keeps */
    struct listeners listeners;
    struct front front; /* of the controller listeners */
    bool has_front;     /* init'ed and not stopped */
    struct timer front_patience;
    struct live_settings live;
    struct cluster_id_lookup lookup;
    bool is_looking_up; /* the cluster id is asked for */
    struct log_boot_job boot;
    bool is_booting;
    struct directories directories;
    struct directory_owner *owners; /* [directories.count]; init'ed where the directory works */
    struct shard_attach *attaches;  /* [shard_count] */
    struct cleaner_permits cleaning;
    unsigned attaching; /* shards that have not attached yet */
    struct sweep strays;
    struct sweep deleted;
    struct publisher publisher;
    struct controller controller;
    bool has_controller; /* started and not closed */
    struct membership membership;
    struct shard_stop *shard_stops; /* [shard_count] */
    struct deferred first_stop;     /* a failure may be noticed in a call of what the stop closes */
    unsigned stop_step;             /* the next step of the stop, in the order of control_stop.c */
    unsigned stopping;              /* shards or directories that the step waits for */
    struct directory_stop *directory_stops;
    uint64_t unclean; /* directories that must not get a clean marker, a bit each by place */
};

/* On the control loop. */
static inline struct control *control_of(const struct loop *loop)
{
    return loop->owner;
}

/* On the control loop, at boot. */
void control_boot(struct control *control, struct broker *broker, struct loop *loop,
                  struct control_host host);
/* The process was asked to end (SIGTERM, SIGINT): an orderly stop begins. */
void control_stop(struct control *control);
/* The node cannot start or go on: one line, and the process ends with status 1 in order. */
void control_fail(struct control *control, const char *text);

/* Between control_start.c and control.c: the logs are open and the metadata is shown. */
void control_start(struct control *control);
void control_serve(struct control *control);
/* It listens and is unfenced: whoever started the node is told. */
void control_announce(struct control *control);
/* Between control_stop.c and control.c. */
void control_begin_stop(struct control *control);

#endif
