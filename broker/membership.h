/*
 * What ties this node to its cluster: who the active controller is, and the channels to it, one per
 * purpose. On the control loop.
 *
 * Invariant: calls of this node's own begin and end here; after membership_close none is under way
 * to another node, and what is asked later ends at once.
 */
#ifndef KLAMM_BROKER_MEMBERSHIP_H
#define KLAMM_BROKER_MEMBERSHIP_H

#include "cluster/controller_channel.h"

struct control;

struct membership {
    struct control *control;
    struct controller_channel forwarding; /* of clients' requests */
    bool is_open;
};

/* After the controller was started. */
void membership_open(struct membership *membership, struct control *control);
/* Another controller is active, or this node became it or ceased to be. */
void membership_leader_changed(struct membership *membership);
/* The epoch of this node's registration as a broker; -1 before. */
int64_t membership_broker_epoch(const struct membership *membership);
/* Fine when it was never opened. */
void membership_close(struct membership *membership);

#endif
