/*
 * A controller that the test plays by hand, for what is sent to it through a controller_channel:
 * this node is the active one itself, and a call waits in `asked` until the test answers it.
 */
#ifndef KLAMM_TESTS_UNIT_CLUSTER_ASKED_CONTROLLER_H
#define KLAMM_TESTS_UNIT_CLUSTER_ASKED_CONTROLLER_H

#include "cluster/controller_channel.h"
#include "tests/unit/log/memory_node.h"

enum { ASKED_NODE_ID = 1 };

struct asked_controller {
    struct memory_node node;
    struct loop *loop; /* the node's first */
    struct controller_channel channel;
    struct controller_call *asked; /* NULL: nothing waits; at most one may */
    int64_t broker_epoch;          /* 40 at first */
};

void asked_controller_init(struct asked_controller *controller);
/* The sender is closed before. */
void asked_controller_deinit(struct asked_controller *controller);
/* For the senders' options, with the asked_controller as `self`. */
int64_t asked_controller_broker_epoch(void *self);
/* The request that waits; there must be one. */
const void *asked_controller_message(const struct asked_controller *controller);
/* Answers what waits and runs the node; NULL: the answer is lost. */
void asked_controller_answer(struct asked_controller *controller, const void *response);

#endif
