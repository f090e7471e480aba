/*
 * The life of this node as a broker of its cluster: registered, caught up, unfenced, alive by
 * heartbeats, and leaving in order (KIP-500, KIP-631, KIP-841, KIP-858).
 *
 *     IDLE ── start ──> REGISTERING ── answer ──> CATCHING_UP ── every shard shows the registration
 *                            ^                                                       │
 *        STALE_BROKER_EPOCH ─┤                                          events.prepare│
 *                            │                                                       v
 *                            └──── RUNNING <── unfenced ── FENCED <── broker_lifecycle_serve
 *                                     │
 *      LEFT <── SHOULD_SHUT_DOWN ── LEAVING <── broker_lifecycle_leave
 *
 * Relies on a controller_channel of its own, which finds the controller and repeats; decides itself
 * what to say and when. A broker counts as caught up when every shard of this node shows the image
 * with its registration: then the logs of its partitions are open, and it needs no answer of the
 * controller to know it. Control loop only.
 *
 * Invariants:
 *  1. At most one request is under way.
 *  2. `epoch` is that of the newest registration that was answered, -1 before the first one.
 *  3. A heartbeat asks to be unfenced only when every shard shows the registration of `epoch` and
 *     the owner has said that it serves.
 *  4. Each event is called at most once, never inside a call of this module.
 */
#ifndef KLAMM_CLUSTER_BROKER_LIFECYCLE_H
#define KLAMM_CLUSTER_BROKER_LIFECYCLE_H

#include "base/random.h"
#include "cluster/controller/features.h"
#include "cluster/controller_channel.h"
#include "cluster/metadata/publisher.h"
#include "config/server_config.h"
#include "protocol/messages/broker_heartbeat.h"
#include "protocol/messages/broker_registration.h"

enum broker_lifecycle_state {
    BROKER_IDLE,        /* start was not called */
    BROKER_REGISTERING, /* asks for an epoch */
    BROKER_CATCHING_UP, /* has an epoch; the metadata up to it is not shown yet */
    BROKER_FENCED,      /* caught up; unfenced once the owner serves */
    BROKER_RUNNING,     /* the controller has said that it is not fenced */
    BROKER_LEAVING,     /* controlled shutdown */
    BROKER_LEFT,        /* may stop; nothing is sent any more */
};

struct broker_lifecycle_events {
    /* Caught up: get ready for requests, then call broker_lifecycle_serve. */
    void (*prepare)(void *owner);
    /* Every shard shows that this broker is unfenced. */
    void (*unfenced)(void *owner);
    /* After broker_lifecycle_leave: leaderships are handed over, or it was given up. */
    void (*left)(void *owner);
    /* This node must end; the text says why. */
    void (*failed)(void *owner, const char *text);
};

struct broker_lifecycle_options {
    struct loop *loop;
    struct controller_channel *channel; /* used for nothing else */
    struct publisher *publisher;
    const struct server_config *config;
    /* Without features; with the incarnation of this process. Borrowed for good. */
    const struct broker_registration_request *registration;
    const struct broker_lifecycle_events *events;
    void *owner;
};

enum { BROKER_LIFECYCLE_DIRECTORIES = 64 }; /* failed ones that are reported */

struct broker_lifecycle {
    struct broker_lifecycle_options options;
    struct loop *loop;
    enum broker_lifecycle_state state;
    int64_t epoch;
    struct controller_call call;
    bool is_asking; /* `call` is under way */
    bool is_urgent; /* the next request leaves right behind it */
    bool serves;    /* the owner has said so */
    bool was_prepared;
    bool was_unfenced;
    struct broker_registration_request registration;
    struct broker_registration_request_feature features[CONTROLLER_FEATURE_COUNT];
    struct broker_heartbeat_request heartbeat;
    struct timer next;       /* the next request */
    struct timer patience;   /* the first registration must be done by then; then the leaving */
    struct timer report;     /* a failed directory must be reported by then */
    uint64_t retry_ns;       /* pause after the last failure; 0: it was none */
    int16_t last_error;      /* of registrations; each kind is logged once */
    uint64_t leave_pause_ns; /* between the heartbeats of a controlled shutdown */
    struct random_stream random;
    struct publisher_waiter shown;
    const struct image *watched; /* referenced; the version that is waited for, or shown last */
    int64_t shown_offset;        /* every shard shows metadata up to here; -1: none */
    struct uuid failed[BROKER_LIFECYCLE_DIRECTORIES];
    size_t failed_count;
    size_t reported_count; /* of these, in a heartbeat that was answered */
    size_t asked_count;    /* of these, in the heartbeat under way */
    struct deferred tell;  /* `left` is due */
};

/* Registers. `lifecycle` stays where it is until broker_lifecycle_stop. */
void broker_lifecycle_start(struct broker_lifecycle *lifecycle,
                            const struct broker_lifecycle_options *options);
/*
 * The same for a node that the controller of this very node has registered and unfenced while it
 * started: goes on from there.
 */
void broker_lifecycle_adopt(struct broker_lifecycle *lifecycle,
                            const struct broker_lifecycle_options *options, int64_t epoch);
/* The node takes requests: it may be unfenced. */
void broker_lifecycle_serve(struct broker_lifecycle *lifecycle);
/*
 * A log directory failed: it is in every heartbeat from now on, the first of which leaves at once.
 * Where it cannot be reported within log.dir.failure.timeout.ms, `failed` follows.
 */
void broker_lifecycle_fail_directory(struct broker_lifecycle *lifecycle, struct uuid directory);
/* Controlled shutdown; `left` follows, at once where there is nothing to hand over. */
void broker_lifecycle_leave(struct broker_lifecycle *lifecycle);
/* No event follows, no timer runs; the channel is to be closed before or right after. */
void broker_lifecycle_stop(struct broker_lifecycle *lifecycle);

#endif
