/*
 * What the active controller does by itself, at its own time: it fences brokers that fell silent,
 * gives leadership back to preferred replicas, and elects leaders where only an unclean election
 * can, if that is allowed.
 *
 * Each duty is a timer of the control loop and a decision. Nobody waits for the outcome; when the
 * log refuses the records, the duty tries again.
 *
 * Invariants:
 *  1. Nothing happens, and no timer is set, unless the controller is active.
 *  2. The sessions follow the head image: controller.c tells every change of it.
 *  3. One broker is fenced per turn of the timer, the longest silent one first.
 */
#ifndef KLAMM_CLUSTER_CONTROLLER_CONTROLLER_DUTIES_H
#define KLAMM_CLUSTER_CONTROLLER_CONTROLLER_DUTIES_H

#include "cluster/controller/broker_sessions.h"
#include "runtime/loop.h"

struct controller;

struct controller_duties {
    struct controller *controller;
    struct broker_sessions sessions;
    struct timer session;   /* set while a session can end */
    struct timer preferred; /* the next look for leaders that are not the preferred ones */
    struct timer unclean;   /* the next look for partitions without a leader */
    bool is_active;
};

void controller_duties_init(struct controller_duties *duties, struct controller *controller);
/* The controller is active, with this head; called again when its head went back. */
void controller_duties_claim(struct controller_duties *duties);
/* The controller is not active any more; harmless when it was not. */
void controller_duties_renounce(struct controller_duties *duties);
/* The head moved on by one decision. */
void controller_duties_follow(struct controller_duties *duties, const struct image_delta *delta);

#endif
