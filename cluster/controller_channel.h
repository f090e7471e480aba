/*
 * Requests of this node to the active controller, whoever that is at the moment.
 *
 * Owns one connection for one purpose (registration and heartbeats, forwarding, in-sync sets, each
 * has its own, so that a heartbeat never waits behind a large change), the search for the active
 * controller, and repeating: a call that meets a lost connection, or a controller that is not
 * active any more, is sent again until its time is over. Where this node is the active controller
 * the call goes back to its caller (`here`), or to the host's own dispatch, without encoding.
 * Control loop only.
 *
 * Invariants:
 *  1. `done` of a call, or `here` instead, is called exactly once, never inside
 *     controller_channel_send; the call and its message stay in place until then.
 *  2. Calls begin in the order of controller_channel_send, at most in_flight_max of them under way;
 *     one that is repeated goes before those that have not begun.
 *  3. A call that was begun may have been carried out, whatever its status says, and more than
 *     once.
 *  4. A call that runs on this node itself is not cut short: it ends when its answer comes.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_CHANNEL_H
#define KLAMM_CLUSTER_CONTROLLER_CHANNEL_H

#include "base/list.h"
#include "connection/channel.h"
#include "protocol/errors.h"
#include "runtime/loop.h"

struct controller_call;

/* The active controller, as far as this node knows. */
struct controller_address {
    int32_t node_id;
    int32_t epoch;    /* of its leadership */
    struct view host; /* borrowed for the call */
    uint16_t port;
};

struct controller_channel_host {
    /* False: nobody is known to lead. */
    bool (*leader)(void *self, struct controller_address *address);
    /*
     * This node is the active controller: carries the call out here and ends with
     * controller_call_answered, at once or later.
     */
    void (*local)(void *self, struct controller_call *call);
    void *self;
};

/* Embedded by whoever asks. */
struct controller_call {
    const struct channel_call *api;
    const void *message; /* the request struct */
    int16_t version_min;
    int16_t version_max;
    int32_t version; /* out: that was sent; of the response in `done` */
    /* From controller_channel_send to the answer, over all attempts; 0: as long as it takes. */
    uint64_t timeout_ns;
    /* Until an attempt counts as lost; 0: the channel's. */
    uint64_t attempt_timeout_ns;
    /* The error of the answer as a whole: NOT_CONTROLLER there is not an answer. */
    enum kafka_error (*error_of)(const void *response);
    /*
     * OK with the response, which is valid inside the call; TIMED_OUT, UNSUPPORTED, MALFORMED or
     * CLOSED without. The call may be reused or freed inside.
     */
    void (*done)(struct controller_call *call, enum channel_status status, const void *response);
    /*
     * This node is the active controller: the call is over without `done`, its caller decides by
     * itself. NULL: host.local carries it out.
     */
    void (*here)(struct controller_call *call);
    void *context; /* the caller's */
    /* Private. */
    struct list link;
    struct controller_channel *owner;
    struct channel_request request;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    bool is_local;
};

struct controller_channel_options {
    struct loop *loop;
    int32_t node_id;             /* this node */
    struct view client_id;       /* borrowed for good */
    uint32_t in_flight_max;      /* 0: 1 */
    uint64_t attempt_timeout_ns; /* 0: 5 s */
    uint64_t retry_ns;           /* pause before a call is repeated; 0: 50 ms */
    struct controller_channel_host host;
};

struct controller_channel {
    struct controller_channel_options options;
    struct loop *loop;
    struct list waiting; /* calls that are to be sent */
    struct list sent;    /* calls under way */
    uint32_t sent_count;
    struct channel *channel; /* NULL before the first remote leader */
    char host[256];          /* where `channel` goes */
    size_t host_size;
    uint16_t port;
    /* To whom the calls under way were sent. */
    bool has_leader;
    int32_t leader_id;
    int32_t leader_epoch;
    bool is_closed;
    struct deferred pump;
    struct timer retry;    /* nothing is sent while it is set */
    struct timer deadline; /* of the call that ends first */
    uint64_t repeated;     /* counter: attempts that had to be repeated */
};

/* `channel` stays where it is until controller_channel_close. */
void controller_channel_init(struct controller_channel *channel,
                             const struct controller_channel_options *options);
void controller_channel_send(struct controller_channel *channel, struct controller_call *call);
/* Takes a call back that does not run on this node; `done` is not called. */
void controller_channel_cancel(struct controller_call *call);
/* Another controller is known, or none: calls under way elsewhere begin anew at the new one. */
void controller_channel_leader_changed(struct controller_channel *channel);
/*
 * Ends all calls with CLOSED, and those that are sent later too; the connection goes. Calls that
 * run on this node are still answered. Not from inside `done`.
 */
void controller_channel_close(struct controller_channel *channel);

/* For host.local: the answer; NULL: lost, the call is repeated. */
void controller_call_answered(struct controller_call *call, const void *response);

#endif
