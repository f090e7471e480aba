/*
 * What ties this node to its cluster: who the active controller is, the channels to it, one per
 * purpose, this node's life as a broker, its registration as a controller, the in-sync sets that
 * its leaders propose, and where its replicas lie. On the control loop.
 *
 * A node that is alone and has no controller listener has no life as a broker here: its controller
 * registers it, and nobody else could hear of it.
 *
 * Invariant: after membership_close no call is under way to another node, and what is asked later
 * ends at once.
 */
#ifndef KLAMM_BROKER_MEMBERSHIP_H
#define KLAMM_BROKER_MEMBERSHIP_H

#include "cluster/broker_lifecycle.h"
#include "cluster/controller_channel.h"
#include "cluster/directory_sender.h"
#include "cluster/enrolment.h"
#include "cluster/isr_sender.h"

struct control;

struct membership {
    struct control *control;
    struct controller_channel forwarding; /* of clients' requests */
    struct controller_channel life;       /* registration and heartbeats */
    struct controller_channel changes;    /* of in-sync sets */
    struct controller_channel places;     /* of replicas in log directories */
    struct controller_channel enrolling;  /* registration as a controller */
    struct broker_lifecycle lifecycle;
    struct isr_sender isr;
    struct directory_sender directories;
    struct enrolment enrolment; /* started on controllers that others can reach */
    const struct broker_registration_request *registration; /* NULL: the node is no broker */
    bool has_lifecycle;
    bool is_open;
};

/* After the controller was started. `registration` is borrowed for good. */
void membership_open(struct membership *membership, struct control *control,
                     const struct broker_registration_request *registration);
/*
 * The first committed metadata is shown; on a node that is alone with its registration. True: this
 * node serves now; false: control_serve is called when it is registered.
 */
bool membership_ready(struct membership *membership);
/* The listeners are open. True: say so; false: control_announce is called when it is unfenced. */
bool membership_serves(struct membership *membership);
/* Another controller is active, or this node became it or ceased to be. */
void membership_leader_changed(struct membership *membership);
/* The epoch of this node's registration as a broker; -1 before. */
int64_t membership_broker_epoch(const struct membership *membership);
/* A replica of this node lies in another directory than the metadata says. */
void membership_tell_directory(struct membership *membership, struct uuid topic_id,
                               int32_t partition, struct uuid directory);
/* A log directory failed, others work. */
void membership_fail_directory(struct membership *membership, struct uuid directory);
/*
 * Controlled shutdown. False: there is nothing to hand over; true: control_begin_stop is called
 * when it is done or given up.
 */
bool membership_leave(struct membership *membership);
/* Fine when it was never opened. */
void membership_close(struct membership *membership);

#endif
